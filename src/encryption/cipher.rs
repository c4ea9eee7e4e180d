//! Sealing what the bridge says and opening what it reads.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use matrix_sdk_crypto::{MegolmError, vodozemac::megolm::DecryptionError};
use ruma::RoomId;
use ruma_crypto::{events::AnyMessageLikeEventContent, serde::Raw};
use serde_json::{Value, value::to_raw_value};

use super::{
    CARRIED, Encryption, Inner,
    machine::EncryptionError,
    rooms::{Recipients, Turn, crossed},
};
use crate::{
    matrix::{CipherError, Intent, MatrixError, RoomCipher},
    store::{Lane, StoreError},
};

/// For how long it counts that everybody's devices can be written to: one that had no key left may have one by then.
const PREPARED: Duration = Duration::from_mins(5);

/// Something on its way, boxed: the compiler cannot see through all of it at once.
type Doing<'a, T> = BoxFuture<'a, Result<T, EncryptionError>>;

#[async_trait]
impl RoomCipher for Encryption {
    async fn is_encrypted(&self, by: &Intent, room: &RoomId) -> Result<bool, MatrixError> {
        Ok(self.0.rules(by, room).await?.is_some())
    }

    async fn seal(
        &self,
        by: &Intent,
        room: &RoomId,
        kind: &str,
        content: &Value,
    ) -> Result<Option<Value>, MatrixError> {
        let inner = &self.0;
        let rules: Doing<'_, _> = Box::pin(inner.rules(by, room));
        let Some(rules) = rules.await? else {
            return Ok(None);
        };
        inner.ready().await?;
        let turn = inner.rooms.turn(room);
        let mut turn = turn.lock().await;
        let recipients: Doing<'_, _> = Box::pin(inner.recipients(by, room));
        let recipients = recipients.await?;
        let preparing: Doing<'_, _> = Box::pin(inner.prepare(&mut turn, recipients.clone()));
        preparing.await?;
        let settings = inner.settings(&rules, &recipients);
        let sealed: Doing<'_, _> =
            Box::pin(inner.share_and_encrypt(room, &recipients, settings, (kind, content)));
        let mut sealed = sealed.await?;
        // What the bridge has to know again without a key, and what homeservers relate events by.
        if let (Some(inside), Some(outside)) = (content.as_object(), sealed.as_object_mut()) {
            for (key, value) in inside {
                if key.starts_with(&inner.marks) {
                    outside.insert(key.clone(), value.clone());
                }
            }
        }
        Ok(Some(sealed))
    }

    async fn open(&self, room: &RoomId, event: &str) -> Result<String, CipherError> {
        let failed = |error: &dyn std::fmt::Display| CipherError::Failed(error.to_string());
        // A key that came before this event has to be known.
        self.take_traffic().await.map_err(|error| failed(&error))?;
        let room = crossed(room).map_err(|error| CipherError::Unreadable(error.to_string()))?;
        let raw = Raw::from_json_string(event.to_owned())
            .map_err(|error| CipherError::Unreadable(error.to_string()))?;
        let settings = self.0.decryption();
        let machine = self.0.machine.read().await;
        let opened = machine.olm.decrypt_room_event(&raw, &room, &settings).await;
        drop(machine);
        match opened {
            Ok(opened) => Ok(opened.event.json().get().to_owned()),
            Err(MegolmError::MissingRoomKey(withheld)) => Err(CipherError::MissingKey {
                session: session_of(event).unwrap_or_default(),
                withheld: withheld.map(|code| code.as_str().to_owned()),
            }),
            Err(MegolmError::SenderIdentityNotTrusted(level)) => {
                Err(CipherError::Untrusted(format!("{level}")))
            }
            Err(MegolmError::Store(error)) => Err(failed(&error)),
            // The key is there, but only from a later message on: an earlier form of it may come.
            Err(MegolmError::Decryption(DecryptionError::UnknownMessageIndex(..))) => {
                Err(CipherError::MissingKey {
                    session: session_of(event).unwrap_or_default(),
                    withheld: None,
                })
            }
            Err(error) => Err(CipherError::Unreadable(error.to_string())),
        }
    }

    async fn ask_for_key(&self, room: &RoomId, event: &str) -> Result<(), MatrixError> {
        let _ = (room, event);
        Ok(())
    }

    fn saw_state(&self, room: &str, kind: &str) {
        self.0.rooms.saw(room, kind);
    }

    fn traffic_waiting(&self, by_transaction: bool) {
        let inner = &self.0;
        inner.waiting.store(true, Ordering::Release);
        inner.wake.notify_one();
        if by_transaction && !inner.carried.swap(true, Ordering::Relaxed) {
            tracing::info!("the homeserver sends keys with its transactions");
            let db = inner.db.clone();
            tokio::spawn(async move {
                let noted = db.step(Lane::room(CARRIED), |txn| {
                    Box::pin(async move { txn.set_value(CARRIED, "1").await })
                });
                let noted: Result<(), StoreError> = noted.await;
                if let Err(error) = noted {
                    tracing::debug!(%error, "how keys come is found out again after the next start");
                }
            });
        }
    }

    fn needs_sync(&self) -> bool {
        self.0.needs_sync()
    }
}

impl Inner {
    /// Makes sure that everybody's devices are known and can be written to, unless nothing has changed since the last time.
    async fn prepare(
        &self,
        turn: &mut Turn,
        recipients: std::sync::Arc<Recipients>,
    ) -> Result<(), EncryptionError> {
        let devices = self.devices.load(Ordering::Acquire);
        if let Some((before, then, at)) = &turn.prepared
            && *then == devices
            && **before == *recipients
            && at.elapsed() < PREPARED
        {
            return Ok(());
        }
        turn.prepared = None;
        let machine = self.machine.read().await;
        let users = recipients.borrowed();
        machine.olm.update_tracked_users(users).await?;
        drop(machine);
        self.send_requests().await?;
        let _one = self.asking.lock().await;
        let machine = self.machine.read().await;
        let users = recipients.borrowed().into_iter();
        let missing = machine.olm.get_missing_sessions(users).await?;
        drop(machine);
        if let Some((id, claim)) = missing {
            self.claim(&id, &claim).await?;
        }
        turn.prepared = Some((recipients, devices, Instant::now()));
        Ok(())
    }

    async fn share_and_encrypt(
        &self,
        room: &RoomId,
        recipients: &Recipients,
        settings: matrix_sdk_crypto::EncryptionSettings,
        (kind, content): (&str, &Value),
    ) -> Result<Value, EncryptionError> {
        let id = crossed(room)?;
        let users = recipients.borrowed().into_iter();
        let machine = self.machine.read().await;
        let requests = machine.olm.share_room_key(&id, users, settings).await?;
        drop(machine);
        for request in requests {
            self.send_to_devices(&request).await?;
        }
        let content: Raw<AnyMessageLikeEventContent> = to_raw_value(content)
            .map(Raw::from_json)
            .map_err(|error| MatrixError::Request(error.to_string()))?;
        let machine = self.machine.read().await;
        let sealed = machine
            .olm
            .encrypt_room_event_raw(&id, kind, &content)
            .await
            .map_err(|error| EncryptionError::Crypto(error.to_string()))?;
        serde_json::from_str(sealed.content.json().get())
            .map_err(|error| EncryptionError::Crypto(error.to_string()))
    }
}

/// The id of the key an event is encrypted with.
pub(super) fn session_of(event: &str) -> Option<String> {
    let event: Value = serde_json::from_str(event).ok()?;
    Some(event["content"]["session_id"].as_str()?.to_owned())
}
