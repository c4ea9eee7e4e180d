//! Reading: what is stored, as it will be once what is held back is committed.

use matrix_sdk_crypto::{
    GossipRequest,
    olm::{Account, InboundGroupSession, PickledInboundGroupSession, StaticAccountData},
};
use serde::de::DeserializeOwned;

use super::{
    MachineStore, MachineStoreError, Result,
    error::unreadable,
    write::{self, Last},
};
use crate::store::{KeyRequestRow, MachineRecord, RecordKind, RoomKeyRow};

pub(super) fn parse<T: DeserializeOwned>(what: &'static str, json: &[u8]) -> Result<T> {
    serde_json::from_slice(json).map_err(|error| unreadable(what, &error))
}

pub(super) fn parse_request(row: &KeyRequestRow) -> Result<GossipRequest> {
    parse("key request", &row.record)
}

/// The key of a row as it was written.
fn written_room_key(row: &RoomKeyRow) -> Result<PickledInboundGroupSession> {
    parse("room key", &row.record)
}

fn opened(pickle: PickledInboundGroupSession) -> Result<InboundGroupSession> {
    InboundGroupSession::from_pickle(pickle).map_err(|error| unreadable("room key", &error))
}

/// The key of a row, with what the row says of its backup.
pub(super) fn parse_room_key(row: &RoomKeyRow) -> Result<InboundGroupSession> {
    let mut pickle = written_room_key(row)?;
    pickle.backed_up = row.backed_up_in.is_some();
    opened(pickle)
}

pub(super) fn parse_room_keys(rows: &[RoomKeyRow]) -> Result<Vec<InboundGroupSession>> {
    rows.iter().map(parse_room_key).collect()
}

impl MachineStore {
    /// A record by its place.
    pub(super) async fn bytes(
        &self,
        kind: RecordKind,
        scope: &str,
        name: &str,
    ) -> Result<Option<Vec<u8>>> {
        if let Some(writes) = &*self.held()
            && let Some(found) = write::record(writes, kind, scope, name)
        {
            return Ok(match found {
                Last::Put(bytes) => Some(bytes),
                Last::Gone => None,
            });
        }
        self.read(
            (kind, scope.to_owned(), name.to_owned()),
            |txn, machine, (kind, scope, name)| {
                Box::pin(async move { txn.machine_record(&machine, kind, &scope, &name).await })
            },
        )
        .await
    }

    /// A record by its place, parsed.
    pub(super) async fn value<T: DeserializeOwned>(
        &self,
        kind: RecordKind,
        scope: &str,
        name: &str,
    ) -> Result<Option<T>> {
        let bytes = self.bytes(kind, scope, name).await?;
        bytes.map(|bytes| parse(kind.as_str(), &bytes)).transpose()
    }

    /// The records of a kind, of one scope or of all.
    pub(super) async fn list(
        &self,
        kind: RecordKind,
        scope: Option<&str>,
    ) -> Result<Vec<MachineRecord>> {
        let mut records = self
            .read(
                (kind, scope.map(str::to_owned)),
                |txn, machine, (kind, scope)| {
                    Box::pin(
                        async move { txn.machine_records(&machine, kind, scope.as_deref()).await },
                    )
                },
            )
            .await?;
        if let Some(writes) = &*self.held() {
            write::overlay_records(writes, kind, scope, &mut records);
        }
        Ok(records)
    }

    /// The records of a kind, parsed.
    pub(super) async fn values<T: DeserializeOwned>(
        &self,
        kind: RecordKind,
        scope: Option<&str>,
    ) -> Result<Vec<T>> {
        let records = self.list(kind, scope).await?;
        records
            .iter()
            .map(|record| parse(kind.as_str(), &record.record))
            .collect()
    }

    pub(super) async fn room_key(
        &self,
        room_id: &str,
        session_id: &str,
    ) -> Result<Option<InboundGroupSession>> {
        if let Some(writes) = &*self.held()
            && let Some(row) = write::room_key(writes, room_id, session_id)
        {
            return opened(written_room_key(row)?).map(Some);
        }
        let row = self
            .read(
                (room_id.to_owned(), session_id.to_owned()),
                |txn, machine, (room, session)| {
                    Box::pin(async move { txn.room_key(&machine, &room, &session).await })
                },
            )
            .await?;
        row.as_ref().map(parse_room_key).transpose()
    }

    pub(super) async fn room_keys(
        &self,
        room_id: Option<&str>,
    ) -> Result<Vec<InboundGroupSession>> {
        let rows = self
            .read(room_id.map(str::to_owned), |txn, machine, room| {
                Box::pin(async move { txn.room_keys(&machine, room.as_deref()).await })
            })
            .await?;
        parse_room_keys(&rows)
    }

    pub(super) async fn request(&self, request_id: &str) -> Result<Option<GossipRequest>> {
        let row = self
            .read(request_id.to_owned(), |txn, machine, id| {
                Box::pin(async move { txn.key_request(&machine, &id).await })
            })
            .await?;
        self.one_request(row, |row| row.request_id == request_id)
    }

    pub(super) async fn request_about(&self, info: &str) -> Result<Option<GossipRequest>> {
        let row = self
            .read(info.to_owned(), |txn, machine, info| {
                Box::pin(async move { txn.key_request_about(&machine, &info).await })
            })
            .await?;
        self.one_request(row, |row| row.info == info)
    }

    fn one_request(
        &self,
        stored: Option<KeyRequestRow>,
        meant: impl Fn(&KeyRequestRow) -> bool,
    ) -> Result<Option<GossipRequest>> {
        let mut rows: Vec<_> = stored.into_iter().collect();
        if let Some(writes) = &*self.held() {
            write::overlay_requests(writes, &mut rows);
        }
        // The last one is the newest.
        let row = rows.iter().rev().find(|row| meant(row));
        row.map(parse_request).transpose()
    }

    pub(super) async fn unsent_requests(&self) -> Result<Vec<GossipRequest>> {
        let mut rows = self
            .read((), |txn, machine, ()| {
                Box::pin(async move { txn.unsent_key_requests(&machine).await })
            })
            .await?;
        if let Some(writes) = &*self.held() {
            write::overlay_requests(writes, &mut rows);
        }
        rows.iter()
            .filter(|row| !row.sent)
            .map(parse_request)
            .collect()
    }

    pub(super) async fn account(&self) -> Result<Option<Account>> {
        let Some(pickle) = self.value(RecordKind::Account, "", "").await? else {
            return Ok(None);
        };
        let account =
            Account::from_pickle(pickle).map_err(|error| unreadable("account", &error))?;
        self.remember(&account);
        Ok(Some(account))
    }

    /// Remembers what never changes of the account.
    pub(super) fn remember(&self, account: &Account) {
        *self.own() = Some(account.static_data().clone());
    }

    /// What never changes of the account.
    pub(super) async fn own_account(&self) -> Result<StaticAccountData> {
        if let Some(own) = self.get_static_account() {
            return Ok(own);
        }
        match self.account().await? {
            Some(account) => Ok(account.static_data().clone()),
            None => Err(self.no_account()),
        }
    }

    pub(super) fn no_account(&self) -> MachineStoreError {
        MachineStoreError::NoAccount {
            user_id: self.user_id.to_string(),
            device_id: self.device_id.to_string(),
        }
    }
}
