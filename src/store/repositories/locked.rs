//! Encrypted events, and what comes for the bridge's device.

use async_trait::async_trait;

use super::Result;
use crate::{
    domain::Timestamp,
    store::{AskedKey, KeyNotice, LockedEvent},
};

/// What homeservers send to the bridge's device beside the rooms: messages, lists of devices, counts of keys.
#[async_trait]
pub trait DeviceTrafficRepository {
    /// Keeps what came, behind what came before it.
    async fn keep_device_traffic(&mut self, json: &str, now: Timestamp) -> Result<()>;
    /// The oldest that is kept: number and content, in the order in which it came.
    async fn device_traffic(&mut self, limit: i64) -> Result<Vec<(i64, String)>>;
    /// Forgets what was taken, up to a number.
    async fn finish_device_traffic(&mut self, up_to: i64) -> Result<()>;
}

/// Events that wait for the key they were encrypted with. They are passed by the room's others.
#[async_trait]
pub trait LockedEventRepository {
    /// Sets an event that waits aside until its key comes; whether it waited. Since when is kept if it was set aside before.
    async fn lock_event(&mut self, seq: i64, key_id: &str, now: Timestamp) -> Result<bool>;
    /// Puts the events of a room that wait for a key back among those that wait to be carried; how many.
    async fn unlock_events(&mut self, room_id: &str, key_id: &str) -> Result<u64>;
    /// Puts every event that waits for a key back; their rooms.
    async fn unlock_all_events(&mut self) -> Result<Vec<String>>;
    /// Events set aside by a time of which their room was told less than `stage`, oldest first.
    async fn locked_events(
        &mut self,
        since: Timestamp,
        stage: i64,
        limit: i64,
    ) -> Result<Vec<LockedEvent>>;
    /// Notes how much a room was told of an event that waits, or waited, for its key.
    async fn set_told(&mut self, seq: i64, stage: i64) -> Result<()>;
    /// How many events of a room of which it was told wait for a key, or are about to be carried because it came.
    async fn told_waiting(&mut self, room_id: &str, key_id: &str) -> Result<i64>;
    /// Ends the events of a room that wait for a key: their JSON is dropped, their ids stay known. How many.
    async fn give_up_events(&mut self, room_id: &str, key_id: &str) -> Result<u64>;
}

/// Keys that are missing: whom they were asked of, and what rooms were told.
#[async_trait]
pub trait MissingKeyRepository {
    /// Remembers that somebody was asked for a key. Since when is kept if they were asked before.
    async fn put_asked_key(&mut self, key: &AskedKey) -> Result<()>;
    /// Every key that was asked for, and whether it came.
    async fn asked_keys(&mut self) -> Result<Vec<AskedKey>>;
    /// A key came, whoever was asked for it.
    async fn set_key_came(&mut self, room_id: &str, key_id: &str) -> Result<()>;
    /// Forgets that somebody was asked for a key.
    async fn delete_asked_key(&mut self, key: &AskedKey) -> Result<()>;
    /// Every notice of a missing key that still says that something waits.
    async fn key_notices(&mut self) -> Result<Vec<KeyNotice>>;
    /// The notice of a key that is missing in a room.
    async fn key_notice(&mut self, room_id: &str, key_id: &str) -> Result<Option<KeyNotice>>;
    /// Stores a notice, new or changed.
    async fn put_key_notice(&mut self, notice: &KeyNotice) -> Result<()>;
    /// Forgets a notice: it says what became of the events.
    async fn delete_key_notice(&mut self, room_id: &str, key_id: &str) -> Result<()>;
}
