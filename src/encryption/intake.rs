//! What came for the device, out of the store and into the machine: in the order in which it came, and forgotten in the same commit
//! in which the machine has learnt from it.

use std::{collections::BTreeMap, sync::atomic::Ordering};

use matrix_sdk_crypto::EncryptionSyncChanges;
use ruma_crypto::{
    OneTimeKeyAlgorithm, OwnedUserId, UInt, api::client::sync::sync_events::DeviceLists,
    events::AnyToDeviceEvent, serde::Raw,
};

use super::{
    Encryption,
    machine::{EncryptionError, Machine},
};
use crate::{matrix::DeviceTraffic, store::StoreError};

/// How many pieces are taken together.
const BATCH: i64 = 64;

/// Several pieces as one.
#[derive(Default)]
struct Taken {
    to_device: Vec<Raw<AnyToDeviceEvent>>,
    lists: DeviceLists,
    counts: BTreeMap<OneTimeKeyAlgorithm, UInt>,
    fallback: Option<Vec<OneTimeKeyAlgorithm>>,
}

impl Taken {
    /// Adds a piece that came after the others.
    fn add(&mut self, traffic: DeviceTraffic) {
        self.to_device
            .extend(traffic.to_device.into_iter().map(Raw::from_json));
        let users = |ids: Vec<String>| {
            ids.into_iter()
                .filter_map(|id| OwnedUserId::try_from(id).ok())
        };
        self.lists.changed.extend(users(traffic.changed));
        self.lists.left.extend(users(traffic.left));
        if let Some(counts) = traffic.one_time_keys {
            let count =
                |(algorithm, count): (String, u64)| Some((algorithm.into(), UInt::new(count)?));
            self.counts = counts.into_iter().filter_map(count).collect();
        }
        if let Some(types) = traffic.fallback_keys {
            self.fallback = Some(types.into_iter().map(Into::into).collect());
        }
    }
}

impl Encryption {
    /// Takes all that came for the device. Whoever calls it sees what came before.
    pub(super) async fn take_traffic(&self) -> Result<(), EncryptionError> {
        let inner = &self.0;
        if !inner.waiting.load(Ordering::Acquire) {
            return Ok(());
        }
        let _one = inner.taking.lock().await;
        while inner.waiting.swap(false, Ordering::AcqRel) {
            if let Err(error) = self.take_batches().await {
                inner.waiting.store(true, Ordering::Release);
                return Err(error);
            }
        }
        Ok(())
    }

    async fn take_batches(&self) -> Result<(), EncryptionError> {
        let inner = &self.0;
        loop {
            let rows = inner
                .db
                .read(|txn| Box::pin(async move { txn.device_traffic(BATCH).await }))
                .await?;
            let Some(&(last, _)) = rows.last() else {
                return Ok(());
            };
            let mut taken = Taken::default();
            for (seq, json) in rows {
                if let Ok(traffic) = serde_json::from_str(&json) {
                    taken.add(traffic);
                } else {
                    // This program wrote it, so another version of it did.
                    tracing::error!(seq, "what came for the bot's device is unreadable");
                }
            }
            let changed = !taken.lists.changed.is_empty() || !taken.lists.left.is_empty();
            // Read before the machine has spent what reads them.
            let mut came = self.take_answers(&taken.to_device).await?;
            came.extend(self.learn(taken, last).await?);
            inner.note_came(&came).await?;
            if changed {
                inner.devices.fetch_add(1, Ordering::AcqRel);
            }
            // New one-time keys may be wanted, or answers to what others asked.
            inner.wake.notify_one();
            if let Some(sink) = inner.sink.get() {
                for (room, key) in came {
                    sink.key_came(&room, &key);
                }
            }
        }
    }

    /// Gives the machine what came, and forgets it up to `last`; the keys that came with it, by room.
    async fn learn(
        &self,
        taken: Taken,
        last: i64,
    ) -> Result<Vec<(String, String)>, EncryptionError> {
        let inner = &self.0;
        let settings = inner.decryption();
        let mut machine = inner.machine.write().await;
        let changes = EncryptionSyncChanges {
            to_device_events: taken.to_device,
            changed_devices: &taken.lists,
            one_time_keys_counts: &taken.counts,
            unused_fallback_keys: taken.fallback.as_deref(),
            next_batch_token: None,
        };
        let learning = async {
            let learnt = machine.olm.receive_sync_changes(changes, &settings).await;
            learnt.map_err(EncryptionError::from)
        };
        let learnt = machine
            .store
            .in_one_step(learning, move |txn| {
                Box::pin(async move {
                    txn.finish_device_traffic(last).await?;
                    fail::fail_point!("device_traffic.before_commit");
                    Ok::<_, StoreError>(())
                })
            })
            .await;
        match learnt {
            Ok((_, keys)) => {
                fail::fail_point!("device_traffic.after_commit");
                Ok(keys
                    .into_iter()
                    .map(|key| (key.room_id.to_string(), key.session_id))
                    .collect())
            }
            Err(error) => {
                // The machine may be ahead of its store: it is made anew from what is stored.
                let (db, clock) = (&inner.db, inner.clock.clone());
                let share = inner.config.share_keys;
                *machine = Machine::open(db, inner.who.clone(), clock, share).await?;
                Err(error)
            }
        }
    }
}
