//! What is to be written, as values: committed at once, or held until the rest is there and read from here meanwhile.

use crate::{
    domain::Timestamp,
    store::{
        KeyRequestRow, MachineId, MachineRecord, RecordKind, RoomKeyRow, StoreError, StoreTxn,
    },
};

/// One change of what a machine remembers.
#[derive(Clone)]
pub(super) enum Write {
    Put(MachineRecord),
    /// Forgets the records of a scope.
    Delete {
        kind: RecordKind,
        scope: String,
    },
    DeleteOne {
        kind: RecordKind,
        scope: String,
        name: String,
    },
    PutRoomKey {
        key: RoomKeyRow,
        keeps_backup: bool,
    },
    BackedUp {
        room_id: String,
        session_id: String,
        version: String,
    },
    ResetBackups,
    PutRequest(KeyRequestRow),
    DeleteRequest(String),
}

impl Write {
    async fn run(
        &self,
        txn: &mut dyn StoreTxn,
        machine: &MachineId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        match self {
            Self::Put(record) => txn.put_machine_record(machine, record, now).await,
            Self::Delete { kind, scope } => {
                txn.delete_machine_records(machine, *kind, Some(scope))
                    .await
            }
            Self::DeleteOne { kind, scope, name } => {
                txn.delete_machine_record(machine, *kind, scope, name).await
            }
            Self::PutRoomKey { key, keeps_backup } => {
                txn.put_room_key(machine, key, *keeps_backup, now).await
            }
            Self::BackedUp {
                room_id,
                session_id,
                version,
            } => {
                txn.set_room_key_backed_up(machine, room_id, session_id, version)
                    .await
            }
            Self::ResetBackups => txn.reset_room_key_backups(machine).await,
            Self::PutRequest(request) => txn.put_key_request(machine, request).await,
            Self::DeleteRequest(id) => txn.delete_key_request(machine, id).await,
        }
    }
}

/// Writes all, in order.
pub(super) async fn run(
    writes: &[Write],
    txn: &mut dyn StoreTxn,
    machine: &MachineId,
    now: Timestamp,
) -> Result<(), StoreError> {
    for write in writes {
        write.run(txn, machine, now).await?;
    }
    Ok(())
}

/// What the last write to a record leaves of it.
pub(super) enum Last {
    Put(Vec<u8>),
    Gone,
}

/// What the last write to a record leaves of it; `None` if none wrote it.
pub(super) fn record(writes: &[Write], kind: RecordKind, scope: &str, name: &str) -> Option<Last> {
    writes.iter().rev().find_map(|write| match write {
        Write::Put(put) if put.kind == kind && put.scope == scope && put.name == name => {
            Some(Last::Put(put.record.clone()))
        }
        Write::Delete {
            kind: its_kind,
            scope: its_scope,
        } if *its_kind == kind && its_scope == scope => Some(Last::Gone),
        Write::DeleteOne {
            kind: its_kind,
            scope: its_scope,
            name: its_name,
        } if *its_kind == kind && its_scope == scope && its_name == name => Some(Last::Gone),
        _ => None,
    })
}

/// Makes of stored records what they are after the writes.
pub(super) fn overlay_records(
    writes: &[Write],
    kind: RecordKind,
    scope: Option<&str>,
    records: &mut Vec<MachineRecord>,
) {
    let meant = |its_kind: RecordKind, its_scope: &str| {
        its_kind == kind && scope.is_none_or(|scope| scope == its_scope)
    };
    for write in writes {
        match write {
            Write::Put(put) if meant(put.kind, &put.scope) => {
                records.retain(|one| one.scope != put.scope || one.name != put.name);
                records.push(put.clone());
            }
            Write::Delete { kind, scope } if meant(*kind, scope) => {
                records.retain(|one| one.scope != *scope);
            }
            Write::DeleteOne { kind, scope, name } if meant(*kind, scope) => {
                records.retain(|one| one.scope != *scope || one.name != *name);
            }
            _ => {}
        }
    }
}

/// The room key as it was last written.
pub(super) fn room_key<'w>(
    writes: &'w [Write],
    room_id: &str,
    session_id: &str,
) -> Option<&'w RoomKeyRow> {
    writes.iter().rev().find_map(|write| match write {
        Write::PutRoomKey { key, .. } if key.room_id == room_id && key.session_id == session_id => {
            Some(key)
        }
        _ => None,
    })
}

/// Makes of stored requests what they are after the writes.
pub(super) fn overlay_requests(writes: &[Write], requests: &mut Vec<KeyRequestRow>) {
    for write in writes {
        match write {
            Write::PutRequest(put) => {
                requests.retain(|one| one.request_id != put.request_id);
                requests.push(put.clone());
            }
            Write::DeleteRequest(id) => requests.retain(|one| one.request_id != *id),
            _ => {}
        }
    }
}
