//! What crypto machines remember: records sealed under their machine and place.

use std::fmt::Write as _;

use async_trait::async_trait;
use sqlx::Row as _;

use super::{DbRow, Result, Txn, corrupt};
use crate::{
    domain::Timestamp,
    store::{
        EncryptionRepository, KeyRequestRow, MachineId, MachineRecord, RecordKind, RoomKeyRow,
    },
};

const RECORDS: &str = "machine_records";
const ROOM_KEYS: &str = "room_keys";
const KEY_REQUESTS: &str = "key_requests";

/// The parts of a row's key with their lengths: some of them may hold anything.
fn row_key(machine: &MachineId, parts: &[&str]) -> String {
    let mut key = machine.to_string();
    for part in parts {
        write!(key, " {}:{part}", part.len()).expect("a string takes whatever is written");
    }
    key
}

fn count(table: &'static str, value: i64) -> Result<u64> {
    u64::try_from(value).map_err(|error| corrupt(table, &error))
}

impl Txn {
    fn room_key_of(&self, machine: &MachineId, row: &DbRow) -> Result<RoomKeyRow> {
        let room_id: String = row.try_get("room_id")?;
        let session_id: String = row.try_get("session_id")?;
        let sealed: Vec<u8> = row.try_get("record")?;
        let key = row_key(machine, &[&room_id, &session_id]);
        Ok(RoomKeyRow {
            record: self.sealer.open(ROOM_KEYS, &key, "record", &sealed)?,
            room_id,
            session_id,
            sender_key: row.try_get("sender_key")?,
            sender_kind: row.try_get("sender_kind")?,
            backed_up_in: row.try_get("backed_up_in")?,
        })
    }

    fn room_keys_of(&self, machine: &MachineId, rows: &[DbRow]) -> Result<Vec<RoomKeyRow>> {
        rows.iter()
            .map(|row| self.room_key_of(machine, row))
            .collect()
    }

    fn key_request_of(&self, machine: &MachineId, row: &DbRow) -> Result<KeyRequestRow> {
        let request_id: String = row.try_get("request_id")?;
        let sealed: Vec<u8> = row.try_get("record")?;
        let key = row_key(machine, &[&request_id]);
        Ok(KeyRequestRow {
            record: self.sealer.open(KEY_REQUESTS, &key, "record", &sealed)?,
            request_id,
            info: row.try_get("info")?,
            sent: row.try_get("sent")?,
        })
    }
}

#[async_trait]
impl EncryptionRepository for Txn {
    async fn machine_record(
        &mut self,
        machine: &MachineId,
        kind: RecordKind,
        scope: &str,
        name: &str,
    ) -> Result<Option<Vec<u8>>> {
        let row = sqlx::query(
            "SELECT record FROM machine_records WHERE machine = $1 AND kind = $2 AND scope = $3 AND name = $4",
        )
        .bind(machine.as_str())
        .bind(kind.as_str())
        .bind(scope)
        .bind(name)
        .fetch_optional(&mut *self.tx)
        .await?;
        row.map(|row| {
            let sealed: Vec<u8> = row.try_get(0)?;
            let key = row_key(machine, &[kind.as_str(), scope, name]);
            self.sealer.open(RECORDS, &key, "record", &sealed)
        })
        .transpose()
    }

    async fn machine_records(
        &mut self,
        machine: &MachineId,
        kind: RecordKind,
        scope: Option<&str>,
    ) -> Result<Vec<MachineRecord>> {
        let query = match scope {
            Some(scope) => sqlx::query(
                "SELECT scope, name, record FROM machine_records WHERE machine = $1 AND kind = $2 AND scope = $3 ORDER BY name",
            )
            .bind(machine.as_str())
            .bind(kind.as_str())
            .bind(scope),
            None => sqlx::query(
                "SELECT scope, name, record FROM machine_records WHERE machine = $1 AND kind = $2 ORDER BY scope, name",
            )
            .bind(machine.as_str())
            .bind(kind.as_str()),
        };
        let rows = query.fetch_all(&mut *self.tx).await?;
        rows.iter()
            .map(|row| {
                let scope: String = row.try_get(0)?;
                let name: String = row.try_get(1)?;
                let sealed: Vec<u8> = row.try_get(2)?;
                let key = row_key(machine, &[kind.as_str(), &scope, &name]);
                Ok(MachineRecord {
                    kind,
                    record: self.sealer.open(RECORDS, &key, "record", &sealed)?,
                    scope,
                    name,
                })
            })
            .collect()
    }

    async fn put_machine_record(
        &mut self,
        machine: &MachineId,
        record: &MachineRecord,
        now: Timestamp,
    ) -> Result<()> {
        self.ratchet |= record.kind.is_ratchet();
        let kind = record.kind.as_str();
        let key = row_key(machine, &[kind, &record.scope, &record.name]);
        let sealed = self.sealer.seal(RECORDS, &key, "record", &record.record);
        sqlx::query(
            "INSERT INTO machine_records (machine, kind, scope, name, record, stored_at) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (machine, kind, scope, name) DO UPDATE SET record = excluded.record, stored_at = excluded.stored_at",
        )
        .bind(machine.as_str())
        .bind(kind)
        .bind(&record.scope)
        .bind(&record.name)
        .bind(sealed)
        .bind(now.0)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    async fn delete_machine_record(
        &mut self,
        machine: &MachineId,
        kind: RecordKind,
        scope: &str,
        name: &str,
    ) -> Result<()> {
        self.ratchet |= kind.is_ratchet();
        sqlx::query(
            "DELETE FROM machine_records WHERE machine = $1 AND kind = $2 AND scope = $3 AND name = $4",
        )
        .bind(machine.as_str())
        .bind(kind.as_str())
        .bind(scope)
        .bind(name)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    async fn delete_machine_records(
        &mut self,
        machine: &MachineId,
        kind: RecordKind,
        scope: Option<&str>,
    ) -> Result<()> {
        self.ratchet |= kind.is_ratchet();
        let query = match scope {
            Some(scope) => sqlx::query(
                "DELETE FROM machine_records WHERE machine = $1 AND kind = $2 AND scope = $3",
            )
            .bind(machine.as_str())
            .bind(kind.as_str())
            .bind(scope),
            None => sqlx::query("DELETE FROM machine_records WHERE machine = $1 AND kind = $2")
                .bind(machine.as_str())
                .bind(kind.as_str()),
        };
        query.execute(&mut *self.tx).await?;
        Ok(())
    }

    async fn prune_machine_records(
        &mut self,
        machine: &MachineId,
        kind: RecordKind,
        before: Timestamp,
    ) -> Result<u64> {
        let done = sqlx::query(
            "DELETE FROM machine_records WHERE machine = $1 AND kind = $2 AND stored_at < $3",
        )
        .bind(machine.as_str())
        .bind(kind.as_str())
        .bind(before.0)
        .execute(&mut *self.tx)
        .await?;
        Ok(done.rows_affected())
    }

    async fn room_key(
        &mut self,
        machine: &MachineId,
        room_id: &str,
        session_id: &str,
    ) -> Result<Option<RoomKeyRow>> {
        let row = sqlx::query(
            "SELECT * FROM room_keys WHERE machine = $1 AND room_id = $2 AND session_id = $3",
        )
        .bind(machine.as_str())
        .bind(room_id)
        .bind(session_id)
        .fetch_optional(&mut *self.tx)
        .await?;
        row.map(|row| self.room_key_of(machine, &row)).transpose()
    }

    async fn room_keys(
        &mut self,
        machine: &MachineId,
        room_id: Option<&str>,
    ) -> Result<Vec<RoomKeyRow>> {
        let query = match room_id {
            Some(room_id) => {
                sqlx::query("SELECT * FROM room_keys WHERE machine = $1 AND room_id = $2")
                    .bind(machine.as_str())
                    .bind(room_id)
            }
            None => {
                sqlx::query("SELECT * FROM room_keys WHERE machine = $1").bind(machine.as_str())
            }
        };
        let rows = query.fetch_all(&mut *self.tx).await?;
        self.room_keys_of(machine, &rows)
    }

    async fn room_keys_from(
        &mut self,
        machine: &MachineId,
        sender_key: &str,
        sender_kind: i64,
        after: &str,
        limit: i64,
    ) -> Result<Vec<RoomKeyRow>> {
        let rows = sqlx::query(
            "SELECT * FROM room_keys WHERE machine = $1 AND sender_key = $2 AND sender_kind = $3 AND session_id > $4 \
             ORDER BY session_id LIMIT $5",
        )
        .bind(machine.as_str())
        .bind(sender_key)
        .bind(sender_kind)
        .bind(after)
        .bind(limit)
        .fetch_all(&mut *self.tx)
        .await?;
        self.room_keys_of(machine, &rows)
    }

    async fn room_keys_to_back_up(
        &mut self,
        machine: &MachineId,
        version: &str,
        limit: i64,
    ) -> Result<Vec<RoomKeyRow>> {
        // Each part of the condition is a range of the index, which `<>` would not be.
        let rows = sqlx::query(
            "SELECT * FROM room_keys WHERE machine = $1 AND (backed_up_in IS NULL OR backed_up_in < $2 OR backed_up_in > $2) LIMIT $3",
        )
        .bind(machine.as_str())
        .bind(version)
        .bind(limit)
        .fetch_all(&mut *self.tx)
        .await?;
        self.room_keys_of(machine, &rows)
    }

    async fn count_room_keys(
        &mut self,
        machine: &MachineId,
        version: Option<&str>,
    ) -> Result<(u64, u64)> {
        let row = sqlx::query(
            "SELECT COUNT(*), COUNT(CASE WHEN backed_up_in = $2 THEN 1 END) FROM room_keys WHERE machine = $1",
        )
        .bind(machine.as_str())
        .bind(version)
        .fetch_one(&mut *self.tx)
        .await?;
        Ok((
            count(ROOM_KEYS, row.try_get(0)?)?,
            count(ROOM_KEYS, row.try_get(1)?)?,
        ))
    }

    async fn put_room_key(
        &mut self,
        machine: &MachineId,
        key: &RoomKeyRow,
        keeps_backup: bool,
        now: Timestamp,
    ) -> Result<()> {
        let place = row_key(machine, &[&key.room_id, &key.session_id]);
        let sealed = self.sealer.seal(ROOM_KEYS, &place, "record", &key.record);
        sqlx::query(
            "INSERT INTO room_keys (machine, room_id, session_id, sender_key, sender_kind, backed_up_in, stored_at, record) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (machine, room_id, session_id) DO UPDATE SET \
             sender_key = excluded.sender_key, sender_kind = excluded.sender_kind, record = excluded.record, \
             backed_up_in = CASE WHEN $9 THEN room_keys.backed_up_in ELSE excluded.backed_up_in END",
        )
        .bind(machine.as_str())
        .bind(&key.room_id)
        .bind(&key.session_id)
        .bind(&key.sender_key)
        .bind(key.sender_kind)
        .bind(&key.backed_up_in)
        .bind(now.0)
        .bind(sealed)
        .bind(keeps_backup)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    async fn set_room_key_backed_up(
        &mut self,
        machine: &MachineId,
        room_id: &str,
        session_id: &str,
        version: &str,
    ) -> Result<()> {
        sqlx::query(
            "UPDATE room_keys SET backed_up_in = $4 WHERE machine = $1 AND room_id = $2 AND session_id = $3",
        )
        .bind(machine.as_str())
        .bind(room_id)
        .bind(session_id)
        .bind(version)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    async fn reset_room_key_backups(&mut self, machine: &MachineId) -> Result<()> {
        sqlx::query(
            "UPDATE room_keys SET backed_up_in = NULL WHERE machine = $1 AND backed_up_in IS NOT NULL",
        )
        .bind(machine.as_str())
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    async fn delete_room_keys(
        &mut self,
        machine: &MachineId,
        room_id: &str,
        before: Timestamp,
    ) -> Result<u64> {
        let done = sqlx::query(
            "DELETE FROM room_keys WHERE machine = $1 AND room_id = $2 AND stored_at < $3",
        )
        .bind(machine.as_str())
        .bind(room_id)
        .bind(before.0)
        .execute(&mut *self.tx)
        .await?;
        Ok(done.rows_affected())
    }

    async fn delete_all_room_keys(
        &mut self,
        machine: &MachineId,
        before: Timestamp,
        spares_newest: bool,
    ) -> Result<u64> {
        let done = sqlx::query(
            "DELETE FROM room_keys WHERE machine = $1 AND stored_at < $2 AND (NOT $3 OR stored_at < (SELECT MAX(newer.stored_at) FROM room_keys newer \
             WHERE newer.machine = $1 AND newer.room_id = room_keys.room_id AND newer.sender_key = room_keys.sender_key))",
        )
        .bind(machine.as_str())
        .bind(before.0)
        .bind(spares_newest)
        .execute(&mut *self.tx)
        .await?;
        Ok(done.rows_affected())
    }

    async fn delete_outdated_room_keys(
        &mut self,
        machine: &MachineId,
        room_id: &str,
    ) -> Result<u64> {
        let done = sqlx::query(
            "DELETE FROM room_keys WHERE machine = $1 AND room_id = $2 AND stored_at < (SELECT MAX(newer.stored_at) FROM room_keys newer \
             WHERE newer.machine = $1 AND newer.room_id = $2 AND newer.sender_key = room_keys.sender_key)",
        )
        .bind(machine.as_str())
        .bind(room_id)
        .execute(&mut *self.tx)
        .await?;
        Ok(done.rows_affected())
    }

    async fn key_request(
        &mut self,
        machine: &MachineId,
        request_id: &str,
    ) -> Result<Option<KeyRequestRow>> {
        let row = sqlx::query("SELECT * FROM key_requests WHERE machine = $1 AND request_id = $2")
            .bind(machine.as_str())
            .bind(request_id)
            .fetch_optional(&mut *self.tx)
            .await?;
        row.map(|row| self.key_request_of(machine, &row))
            .transpose()
    }

    async fn key_request_about(
        &mut self,
        machine: &MachineId,
        info: &str,
    ) -> Result<Option<KeyRequestRow>> {
        let row = sqlx::query(
            "SELECT * FROM key_requests WHERE machine = $1 AND info = $2 ORDER BY request_id LIMIT 1",
        )
        .bind(machine.as_str())
        .bind(info)
        .fetch_optional(&mut *self.tx)
        .await?;
        row.map(|row| self.key_request_of(machine, &row))
            .transpose()
    }

    async fn unsent_key_requests(&mut self, machine: &MachineId) -> Result<Vec<KeyRequestRow>> {
        let rows = sqlx::query("SELECT * FROM key_requests WHERE machine = $1 AND NOT sent")
            .bind(machine.as_str())
            .fetch_all(&mut *self.tx)
            .await?;
        rows.iter()
            .map(|row| self.key_request_of(machine, row))
            .collect()
    }

    async fn put_key_request(
        &mut self,
        machine: &MachineId,
        request: &KeyRequestRow,
    ) -> Result<()> {
        let key = row_key(machine, &[&request.request_id]);
        let sealed = self
            .sealer
            .seal(KEY_REQUESTS, &key, "record", &request.record);
        sqlx::query(
            "INSERT INTO key_requests (machine, request_id, info, sent, record) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (machine, request_id) DO UPDATE SET info = excluded.info, sent = excluded.sent, record = excluded.record",
        )
        .bind(machine.as_str())
        .bind(&request.request_id)
        .bind(&request.info)
        .bind(request.sent)
        .bind(sealed)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    async fn delete_key_request(&mut self, machine: &MachineId, request_id: &str) -> Result<()> {
        sqlx::query("DELETE FROM key_requests WHERE machine = $1 AND request_id = $2")
            .bind(machine.as_str())
            .bind(request_id)
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    async fn take_lease(
        &mut self,
        machine: &MachineId,
        name: &str,
        holder: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<i64>> {
        let row = sqlx::query(
            "INSERT INTO machine_leases (machine, name, holder, expires_at, generation) VALUES ($1, $2, $3, $4, 1) \
             ON CONFLICT (machine, name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at, \
             generation = machine_leases.generation + CASE WHEN machine_leases.holder = excluded.holder THEN 0 ELSE 1 END \
             WHERE machine_leases.holder = excluded.holder OR machine_leases.expires_at <= $5 RETURNING generation",
        )
        .bind(machine.as_str())
        .bind(name)
        .bind(holder)
        .bind(until.0)
        .bind(now.0)
        .fetch_optional(&mut *self.tx)
        .await?;
        Ok(match row {
            Some(row) => Some(row.try_get(0)?),
            None => None,
        })
    }

    async fn machine_size(&mut self, machine: &MachineId) -> Result<u64> {
        let mut size = 0;
        for query in [
            "SELECT COALESCE(SUM(LENGTH(record)), 0) FROM machine_records WHERE machine = $1",
            "SELECT COALESCE(SUM(LENGTH(record)), 0) FROM room_keys WHERE machine = $1",
            "SELECT COALESCE(SUM(LENGTH(record)), 0) FROM key_requests WHERE machine = $1",
        ] {
            let row = sqlx::query(query)
                .bind(machine.as_str())
                .fetch_one(&mut *self.tx)
                .await?;
            size += count(RECORDS, row.try_get(0)?)?;
        }
        Ok(size)
    }

    async fn delete_machine(&mut self, machine: &MachineId) -> Result<()> {
        self.ratchet = true;
        for query in [
            "DELETE FROM machine_records WHERE machine = $1",
            "DELETE FROM room_keys WHERE machine = $1",
            "DELETE FROM key_requests WHERE machine = $1",
            "DELETE FROM machine_leases WHERE machine = $1",
        ] {
            sqlx::query(query)
                .bind(machine.as_str())
                .execute(&mut *self.tx)
                .await?;
        }
        Ok(())
    }
}
