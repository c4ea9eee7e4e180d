//! What can be asked of encrypted rooms.

use async_trait::async_trait;

use super::Result;
use crate::{
    domain::Timestamp,
    store::{KeyRequestRow, MachineId, MachineRecord, RecordKind, RoomKeyRow},
};

/// What crypto machines remember. Nothing of one machine is seen by another.
#[async_trait]
pub trait EncryptionRepository {
    /// A record by its place.
    async fn machine_record(
        &mut self,
        machine: &MachineId,
        kind: RecordKind,
        scope: &str,
        name: &str,
    ) -> Result<Option<Vec<u8>>>;
    /// The records of a kind, of one scope or of all, by scope and name.
    async fn machine_records(
        &mut self,
        machine: &MachineId,
        kind: RecordKind,
        scope: Option<&str>,
    ) -> Result<Vec<MachineRecord>>;
    /// Stores a record in the place of an earlier one.
    async fn put_machine_record(
        &mut self,
        machine: &MachineId,
        record: &MachineRecord,
        now: Timestamp,
    ) -> Result<()>;
    /// Forgets the record at a place.
    async fn delete_machine_record(
        &mut self,
        machine: &MachineId,
        kind: RecordKind,
        scope: &str,
        name: &str,
    ) -> Result<()>;
    /// Forgets the records of a kind, of one scope or of all.
    async fn delete_machine_records(
        &mut self,
        machine: &MachineId,
        kind: RecordKind,
        scope: Option<&str>,
    ) -> Result<()>;
    /// Forgets the records of a kind stored before `before`. How many rows went.
    async fn prune_machine_records(
        &mut self,
        machine: &MachineId,
        kind: RecordKind,
        before: Timestamp,
    ) -> Result<u64>;

    /// A room key.
    async fn room_key(
        &mut self,
        machine: &MachineId,
        room_id: &str,
        session_id: &str,
    ) -> Result<Option<RoomKeyRow>>;
    /// The keys of a room, or of all.
    async fn room_keys(
        &mut self,
        machine: &MachineId,
        room_id: Option<&str>,
    ) -> Result<Vec<RoomKeyRow>>;
    /// Keys of a device of which so much is known, in order of their session ids, from behind one on.
    async fn room_keys_from(
        &mut self,
        machine: &MachineId,
        sender_key: &str,
        sender_kind: i64,
        after: &str,
        limit: i64,
    ) -> Result<Vec<RoomKeyRow>>;
    /// Keys that are not in a version of the backup.
    async fn room_keys_to_back_up(
        &mut self,
        machine: &MachineId,
        version: &str,
        limit: i64,
    ) -> Result<Vec<RoomKeyRow>>;
    /// How many room keys there are, and how many are in a version of the backup.
    async fn count_room_keys(
        &mut self,
        machine: &MachineId,
        version: Option<&str>,
    ) -> Result<(u64, u64)>;
    /// Stores a room key in the place of an earlier form of it. With `keeps_backup` it stays in the backup it is known to be in.
    async fn put_room_key(
        &mut self,
        machine: &MachineId,
        key: &RoomKeyRow,
        keeps_backup: bool,
        now: Timestamp,
    ) -> Result<()>;
    /// Remembers that a key is in a version of the backup.
    async fn set_room_key_backed_up(
        &mut self,
        machine: &MachineId,
        room_id: &str,
        session_id: &str,
        version: &str,
    ) -> Result<()>;
    /// Forgets of every key that it is in a backup.
    async fn reset_room_key_backups(&mut self, machine: &MachineId) -> Result<()>;
    /// Forgets the keys of a room that came before `before`. How many rows went.
    async fn delete_room_keys(
        &mut self,
        machine: &MachineId,
        room_id: &str,
        before: Timestamp,
    ) -> Result<u64>;
    /// Forgets the keys of all rooms that came before `before`, but for the newest of each device and room if `spares_newest`. How many
    /// rows went.
    async fn delete_all_room_keys(
        &mut self,
        machine: &MachineId,
        before: Timestamp,
        spares_newest: bool,
    ) -> Result<u64>;
    /// Forgets the keys of a room but for the newest of each device that writes there. How many rows went.
    async fn delete_outdated_room_keys(
        &mut self,
        machine: &MachineId,
        room_id: &str,
    ) -> Result<u64>;

    /// A request for a key or secret.
    async fn key_request(
        &mut self,
        machine: &MachineId,
        request_id: &str,
    ) -> Result<Option<KeyRequestRow>>;
    /// A request by what it asks for.
    async fn key_request_about(
        &mut self,
        machine: &MachineId,
        info: &str,
    ) -> Result<Option<KeyRequestRow>>;
    /// The requests that have not left.
    async fn unsent_key_requests(&mut self, machine: &MachineId) -> Result<Vec<KeyRequestRow>>;
    /// Stores a request in the place of an earlier form of it.
    async fn put_key_request(&mut self, machine: &MachineId, request: &KeyRequestRow)
    -> Result<()>;
    /// Forgets a request.
    async fn delete_key_request(&mut self, machine: &MachineId, request_id: &str) -> Result<()>;

    /// Takes or extends a lease if nobody else has it now. Its generation, `None` if somebody has it.
    async fn take_lease(
        &mut self,
        machine: &MachineId,
        name: &str,
        holder: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<i64>>;
    /// How many bytes the sealed records of a machine take.
    async fn machine_size(&mut self, machine: &MachineId) -> Result<u64>;
    /// Forgets everything a machine remembers.
    async fn delete_machine(&mut self, machine: &MachineId) -> Result<()>;
}
