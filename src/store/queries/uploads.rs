//! Files on their way to the homeserver.

use async_trait::async_trait;
use sqlx::Row as _;

use super::{Result, Txn};
use crate::{
    domain::Timestamp,
    store::{UploadRepository, UploadRow},
};

#[async_trait]
impl UploadRepository for Txn {
    async fn upload(&mut self, key: &str) -> Result<Option<UploadRow>> {
        let row = sqlx::query("SELECT uri, done FROM uploads WHERE key = $1")
            .bind(key)
            .fetch_optional(&mut *self.tx)
            .await?;
        row.map(|row| {
            Ok(UploadRow {
                uri: row.try_get(0)?,
                done: row.try_get(1)?,
            })
        })
        .transpose()
    }

    async fn put_upload(&mut self, key: &str, uri: &str, now: Timestamp) -> Result<()> {
        sqlx::query(
            "INSERT INTO uploads (key, uri, done, created_at) VALUES ($1, $2, FALSE, $3) ON CONFLICT (key) DO UPDATE SET uri = excluded.uri WHERE NOT uploads.done",
        )
        .bind(key)
        .bind(uri)
        .bind(now.0)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    async fn finish_upload(&mut self, key: &str) -> Result<()> {
        sqlx::query("UPDATE uploads SET done = TRUE WHERE key = $1")
            .bind(key)
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    async fn prune_uploads(&mut self, before: Timestamp) -> Result<u64> {
        let done = sqlx::query("DELETE FROM uploads WHERE created_at < $1")
            .bind(before.0)
            .execute(&mut *self.tx)
            .await?;
        Ok(done.rows_affected())
    }
}
