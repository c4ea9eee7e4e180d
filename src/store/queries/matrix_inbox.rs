//! The inbox of Matrix events, and single values.

use async_trait::async_trait;
use sqlx::Row as _;

use super::{Result, Txn};
use crate::{
    domain::Timestamp,
    store::{
        Accepted, InboxEvent, KeyValueRepository, MatrixEventRow, MatrixInboxRepository,
        QuarantinedEvent,
    },
};

#[async_trait]
impl MatrixInboxRepository for Txn {
    async fn accept_transaction(
        &mut self,
        txn_id: &str,
        content_hash: &[u8],
        events: &[MatrixEventRow],
        now: Timestamp,
    ) -> Result<Accepted> {
        let known = sqlx::query(
            "INSERT INTO transactions (txn_id, content_hash, received_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        )
        .bind(txn_id)
        .bind(content_hash)
        .bind(now.0)
        .execute(&mut *self.tx)
        .await?
        .rows_affected()
            == 0;
        let mut accepted = Accepted::default();
        for event in events {
            let state = if event.quarantine.is_some() { 2_i64 } else { 0 };
            let new = !known && sqlx::query(
                "INSERT INTO matrix_events (event_id, room_id, json, state, reason, received_at) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (event_id) DO NOTHING",
            )
            .bind(&event.event_id)
            .bind(&event.room_id)
            .bind(&event.json)
            .bind(state)
            .bind(&event.quarantine)
            .bind(now.0)
            .execute(&mut *self.tx)
            .await?
            .rows_affected()
                > 0;
            let waiting_in = if new {
                accepted.new_events += 1;
                (state == 0).then(|| event.room_id.clone())
            } else {
                sqlx::query_scalar(
                    "SELECT room_id FROM matrix_events WHERE event_id = $1 AND state = 0",
                )
                .bind(&event.event_id)
                .fetch_optional(&mut *self.tx)
                .await?
            };
            accepted
                .rooms
                .extend(waiting_in.filter(|room| !accepted.rooms.contains(room)));
        }
        Ok(accepted)
    }

    async fn waiting_rooms(&mut self) -> Result<Vec<String>> {
        let rows = sqlx::query("SELECT DISTINCT room_id FROM matrix_events WHERE state = 0")
            .fetch_all(&mut *self.tx)
            .await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    async fn waiting_events(&mut self, room_id: &str, limit: i64) -> Result<Vec<InboxEvent>> {
        let rows = sqlx::query(
            "SELECT seq, event_id, json, received_at, locked_at IS NOT NULL FROM matrix_events WHERE state = 0 AND room_id = $1 ORDER BY seq LIMIT $2",
        )
        .bind(room_id)
        .bind(limit)
        .fetch_all(&mut *self.tx)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(InboxEvent {
                    seq: row.try_get(0)?,
                    event_id: row.try_get(1)?,
                    room_id: room_id.to_owned(),
                    json: row.try_get(2)?,
                    received_at: Timestamp(row.try_get(3)?),
                    was_locked: row.try_get(4)?,
                    sealed: None,
                })
            })
            .collect()
    }

    async fn finish_event(&mut self, seq: i64) -> Result<bool> {
        let done = sqlx::query(
            "UPDATE matrix_events SET state = 1, json = '' WHERE seq = $1 AND state = 0",
        )
        .bind(seq)
        .execute(&mut *self.tx)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    async fn quarantine_event(&mut self, seq: i64, reason: &str) -> Result<()> {
        sqlx::query("UPDATE matrix_events SET state = 2, reason = $2 WHERE seq = $1")
            .bind(seq)
            .bind(reason)
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    async fn quarantined_events(&mut self, limit: i64) -> Result<Vec<QuarantinedEvent>> {
        let rows = sqlx::query(
            "SELECT seq, event_id, room_id, reason, received_at FROM matrix_events WHERE state = 2 ORDER BY seq LIMIT $1",
        )
        .bind(limit)
        .fetch_all(&mut *self.tx)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(QuarantinedEvent {
                    seq: row.try_get(0)?,
                    event_id: row.try_get(1)?,
                    room_id: row.try_get(2)?,
                    reason: row.try_get::<Option<String>, _>(3)?.unwrap_or_default(),
                    received_at: Timestamp(row.try_get(4)?),
                })
            })
            .collect()
    }

    async fn retry_quarantined(&mut self, seq: i64) -> Result<Option<String>> {
        let row = sqlx::query(
            "UPDATE matrix_events SET state = 0, reason = NULL WHERE seq = $1 AND state = 2 RETURNING room_id",
        )
        .bind(seq)
        .fetch_optional(&mut *self.tx)
        .await?;
        row.map(|row| Ok(row.try_get(0)?)).transpose()
    }

    async fn prune_matrix_inbox(&mut self, before: Timestamp) -> Result<u64> {
        let events = sqlx::query("DELETE FROM matrix_events WHERE state = 1 AND received_at < $1")
            .bind(before.0)
            .execute(&mut *self.tx)
            .await?;
        let transactions = sqlx::query("DELETE FROM transactions WHERE received_at < $1")
            .bind(before.0)
            .execute(&mut *self.tx)
            .await?;
        Ok(events.rows_affected() + transactions.rows_affected())
    }
}

#[async_trait]
impl KeyValueRepository for Txn {
    async fn value(&mut self, key: &str) -> Result<Option<String>> {
        let row = sqlx::query("SELECT value FROM key_values WHERE key = $1")
            .bind(key)
            .fetch_optional(&mut *self.tx)
            .await?;
        row.map(|row| Ok(row.try_get(0)?)).transpose()
    }

    async fn set_value(&mut self, key: &str, value: &str) -> Result<()> {
        sqlx::query(
            "INSERT INTO key_values (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        )
        .bind(key)
        .bind(value)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    async fn delete_value(&mut self, key: &str) -> Result<()> {
        sqlx::query("DELETE FROM key_values WHERE key = $1")
            .bind(key)
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    async fn replace_value(
        &mut self,
        key: &str,
        before: Option<&str>,
        after: Option<&str>,
    ) -> Result<bool> {
        let query = match (before, after) {
            (None, None) => return Ok(true),
            (None, Some(after)) => sqlx::query(
                "INSERT INTO key_values (key, value) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING",
            )
            .bind(key)
            .bind(after),
            (Some(before), None) => {
                sqlx::query("DELETE FROM key_values WHERE key = $1 AND value = $2")
                    .bind(key)
                    .bind(before)
            }
            (Some(before), Some(after)) => {
                sqlx::query("UPDATE key_values SET value = $3 WHERE key = $1 AND value = $2")
                    .bind(key)
                    .bind(before)
                    .bind(after)
            }
        };
        let replaced = query.execute(&mut *self.tx).await?;
        Ok(replaced.rows_affected() > 0)
    }

    async fn values(&mut self, prefix: &str) -> Result<Vec<(String, String)>> {
        // Compared here and not there: the engines sort texts by different rules.
        let rows = sqlx::query("SELECT key, value FROM key_values ORDER BY key")
            .fetch_all(&mut *self.tx)
            .await?;
        let mut values = Vec::new();
        for row in &rows {
            let key: String = row.try_get(0)?;
            if key.starts_with(prefix) {
                values.push((key, row.try_get(1)?));
            }
        }
        Ok(values)
    }
}
