//! Encrypted events, and what comes for the bridge's device.

use async_trait::async_trait;
use sqlx::Row as _;

use super::{DbRow, Result, Txn};
use crate::{
    domain::Timestamp,
    store::{
        AskedKey, DeviceTrafficRepository, KeyNotice, LockedEvent, LockedEventRepository,
        MissingKeyRepository,
    },
};

#[async_trait]
impl DeviceTrafficRepository for Txn {
    async fn keep_device_traffic(&mut self, json: &str, now: Timestamp) -> Result<()> {
        sqlx::query("INSERT INTO device_traffic (json, received_at) VALUES ($1, $2)")
            .bind(json)
            .bind(now.0)
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    async fn device_traffic(&mut self, limit: i64) -> Result<Vec<(i64, String)>> {
        let rows = sqlx::query("SELECT seq, json FROM device_traffic ORDER BY seq LIMIT $1")
            .bind(limit)
            .fetch_all(&mut *self.tx)
            .await?;
        rows.iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
            .collect()
    }

    async fn finish_device_traffic(&mut self, up_to: i64) -> Result<()> {
        sqlx::query("DELETE FROM device_traffic WHERE seq <= $1")
            .bind(up_to)
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }
}

#[async_trait]
impl LockedEventRepository for Txn {
    async fn lock_event(&mut self, seq: i64, key_id: &str, now: Timestamp) -> Result<bool> {
        let locked = sqlx::query(
            "UPDATE matrix_events SET state = 3, key_id = $2, locked_at = COALESCE(locked_at, $3) WHERE seq = $1 AND state = 0",
        )
        .bind(seq)
        .bind(key_id)
        .bind(now.0)
        .execute(&mut *self.tx)
        .await?;
        Ok(locked.rows_affected() > 0)
    }

    async fn unlock_events(&mut self, room_id: &str, key_id: &str) -> Result<u64> {
        let unlocked = sqlx::query(
            "UPDATE matrix_events SET state = 0 WHERE state = 3 AND room_id = $1 AND key_id = $2",
        )
        .bind(room_id)
        .bind(key_id)
        .execute(&mut *self.tx)
        .await?;
        Ok(unlocked.rows_affected())
    }

    async fn unlock_all_events(&mut self) -> Result<Vec<String>> {
        let rows =
            sqlx::query("UPDATE matrix_events SET state = 0 WHERE state = 3 RETURNING room_id")
                .fetch_all(&mut *self.tx)
                .await?;
        let mut rooms = rows
            .iter()
            .map(|row| Ok(row.try_get(0)?))
            .collect::<Result<Vec<String>>>()?;
        rooms.sort_unstable();
        rooms.dedup();
        Ok(rooms)
    }

    async fn locked_events(
        &mut self,
        since: Timestamp,
        stage: i64,
        limit: i64,
    ) -> Result<Vec<LockedEvent>> {
        let rows = sqlx::query(
            "SELECT seq, event_id, room_id, json, key_id, locked_at, told FROM matrix_events WHERE state = 3 AND locked_at <= $1 AND told < $2 ORDER BY seq LIMIT $3",
        )
        .bind(since.0)
        .bind(stage)
        .bind(limit)
        .fetch_all(&mut *self.tx)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(LockedEvent {
                    seq: row.try_get(0)?,
                    event_id: row.try_get(1)?,
                    room_id: row.try_get(2)?,
                    json: row.try_get(3)?,
                    key_id: row.try_get(4)?,
                    locked_at: Timestamp(row.try_get(5)?),
                    told: row.try_get(6)?,
                })
            })
            .collect()
    }

    async fn set_told(&mut self, seq: i64, stage: i64) -> Result<()> {
        sqlx::query("UPDATE matrix_events SET told = $2 WHERE seq = $1")
            .bind(seq)
            .bind(stage)
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    async fn told_waiting(&mut self, room_id: &str, key_id: &str) -> Result<i64> {
        let counted = sqlx::query_scalar(
            "SELECT (SELECT COUNT(*) FROM matrix_events WHERE state = 3 AND room_id = $1 AND key_id = $2 AND told > 0) \
             + (SELECT COUNT(*) FROM matrix_events WHERE state = 0 AND room_id = $1 AND key_id = $2 AND told > 0)",
        )
        .bind(room_id)
        .bind(key_id)
        .fetch_one(&mut *self.tx)
        .await?;
        Ok(counted)
    }

    async fn give_up_events(&mut self, room_id: &str, key_id: &str) -> Result<u64> {
        let ended = sqlx::query(
            "UPDATE matrix_events SET state = 1, json = '' WHERE state = 3 AND room_id = $1 AND key_id = $2",
        )
        .bind(room_id)
        .bind(key_id)
        .execute(&mut *self.tx)
        .await?;
        Ok(ended.rows_affected())
    }
}

#[async_trait]
impl MissingKeyRepository for Txn {
    async fn put_asked_key(&mut self, key: &AskedKey) -> Result<()> {
        sqlx::query(
            "INSERT INTO asked_keys (room_id, key_id, sender, asked_at, came) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (room_id, key_id, sender) DO UPDATE SET came = excluded.came",
        )
        .bind(&key.room_id)
        .bind(&key.key_id)
        .bind(&key.sender)
        .bind(key.asked_at.0)
        .bind(key.came)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    async fn asked_keys(&mut self) -> Result<Vec<AskedKey>> {
        let rows = sqlx::query("SELECT room_id, key_id, sender, asked_at, came FROM asked_keys")
            .fetch_all(&mut *self.tx)
            .await?;
        rows.iter()
            .map(|row| {
                Ok(AskedKey {
                    room_id: row.try_get(0)?,
                    key_id: row.try_get(1)?,
                    sender: row.try_get(2)?,
                    asked_at: Timestamp(row.try_get(3)?),
                    came: row.try_get(4)?,
                })
            })
            .collect()
    }

    async fn set_key_came(&mut self, room_id: &str, key_id: &str) -> Result<()> {
        sqlx::query("UPDATE asked_keys SET came = TRUE WHERE room_id = $1 AND key_id = $2")
            .bind(room_id)
            .bind(key_id)
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    async fn delete_asked_key(&mut self, key: &AskedKey) -> Result<()> {
        sqlx::query("DELETE FROM asked_keys WHERE room_id = $1 AND key_id = $2 AND sender = $3")
            .bind(&key.room_id)
            .bind(&key.key_id)
            .bind(&key.sender)
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    async fn key_notices(&mut self) -> Result<Vec<KeyNotice>> {
        let rows = sqlx::query("SELECT room_id, key_id, event_id, text FROM key_notices")
            .fetch_all(&mut *self.tx)
            .await?;
        rows.iter().map(key_notice).collect()
    }

    async fn key_notice(&mut self, room_id: &str, key_id: &str) -> Result<Option<KeyNotice>> {
        let row = sqlx::query(
            "SELECT room_id, key_id, event_id, text FROM key_notices WHERE room_id = $1 AND key_id = $2",
        )
        .bind(room_id)
        .bind(key_id)
        .fetch_optional(&mut *self.tx)
        .await?;
        row.as_ref().map(key_notice).transpose()
    }

    async fn put_key_notice(&mut self, notice: &KeyNotice) -> Result<()> {
        sqlx::query(
            "INSERT INTO key_notices (room_id, key_id, event_id, text) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (room_id, key_id) DO UPDATE SET event_id = excluded.event_id, text = excluded.text",
        )
        .bind(&notice.room_id)
        .bind(&notice.key_id)
        .bind(&notice.event_id)
        .bind(&notice.text)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    async fn delete_key_notice(&mut self, room_id: &str, key_id: &str) -> Result<()> {
        sqlx::query("DELETE FROM key_notices WHERE room_id = $1 AND key_id = $2")
            .bind(room_id)
            .bind(key_id)
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }
}

fn key_notice(row: &DbRow) -> Result<KeyNotice> {
    Ok(KeyNotice {
        room_id: row.try_get(0)?,
        key_id: row.try_get(1)?,
        event_id: row.try_get(2)?,
        text: row.try_get(3)?,
    })
}
