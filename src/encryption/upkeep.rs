//! What is done once a start or once a day: devices nobody uses any more are deleted, and old keys forgotten.

use std::time::Duration;

use super::{Encryption, Inner, device};
use crate::{domain::Timestamp, matrix::MatrixError};

/// How often old keys are looked for.
pub(super) const EVERY: Duration = Duration::from_hours(24);
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// For how long it is remembered which messages between devices were read: nobody brings older ones again.
const REMEMBERED_DAYS: i64 = 30;
/// For how long a device goes on with one key of a room at most, as clients do it.
const IN_USE_DAYS: i64 = 8;

impl Encryption {
    /// Forgets old keys as the configuration has it, once a day.
    pub(super) async fn keep_forgetting(&self) {
        loop {
            self.0.forget_old().await;
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Throws away the key that the next message in a room would be encrypted with; whether there was one. The next has a new one.
    pub(super) async fn discard(&self, room: &ruma::RoomId) -> Result<bool, MatrixError> {
        let id = super::rooms::crossed(room)?;
        let turn = self.0.rooms.turn(room);
        let _turn = turn.lock().await;
        let machine = self.0.machine.read().await;
        let discarded = machine.olm.discard_room_key(&id).await;
        discarded.map_err(|error| MatrixError::Encryption(error.to_string()))
    }
}

impl Inner {
    async fn forget_old(&self) {
        let store = self.machine.read().await.store.clone();
        let before = |days: i64| Timestamp(self.clock.now_ms().saturating_sub(days * DAY_MS));
        if let Err(error) = store.forget_message_hashes(before(REMEMBERED_DAYS)).await {
            tracing::warn!(%error, "what was read long ago could not be forgotten");
        }
        let Some(days) = self.config.delete_keys_after_days else {
            return;
        };
        let days = i64::from(days);
        let old = store.delete_all_room_keys(before(days), true);
        let unused = store.delete_all_room_keys(before(days.max(IN_USE_DAYS)), false);
        let forgotten = async { Ok::<_, super::MachineStoreError>(old.await? + unused.await?) };
        match forgotten.await {
            Ok(0) => {}
            Ok(keys) => tracing::info!(keys, "old keys of encrypted rooms are deleted"),
            Err(error) => {
                tracing::warn!(%error, "old keys of encrypted rooms could not be deleted");
            }
        }
    }

    /// Deletes devices that this one has taken the place of. A homeserver may refuse that; then they stay.
    pub(super) async fn delete_outdated_devices(&self) {
        let bot = self.client.bot();
        let devices = match bot.devices().await {
            Ok(devices) => devices,
            Err(error) => {
                tracing::debug!(%error, "the homeserver does not tell the bot's devices");
                return;
            }
        };
        let now = self.who.1.as_str();
        for old in devices.iter().filter(|id| device::is_outdated(id, now)) {
            match bot.delete_device(old).await {
                Ok(()) => tracing::info!(device = %old, "a former device of the bot is deleted"),
                Err(error) => {
                    tracing::debug!(device = %old, %error, "a former device of the bot stays");
                }
            }
        }
    }
}
