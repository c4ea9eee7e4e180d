//! Files on their way to the homeserver.

use async_trait::async_trait;
use sqlx::Row as _;
use zeroize::Zeroizing;

use super::{Result, Txn, corrupt};
use crate::{
    domain::{AttachmentSecret, Timestamp},
    store::{UploadRepository, UploadRow},
};

const TABLE: &str = "uploads";

/// A key and its counter block, one behind the other.
fn read_secret(bytes: &[u8]) -> Result<AttachmentSecret> {
    let (key, iv) = bytes.split_at_checked(32).unwrap_or((bytes, &[]));
    Ok(AttachmentSecret {
        key: exactly(key)?,
        iv: exactly(iv)?,
    })
}

fn exactly<const N: usize>(bytes: &[u8]) -> Result<[u8; N]> {
    bytes.try_into().map_err(|error| corrupt(TABLE, &error))
}

#[async_trait]
impl UploadRepository for Txn {
    async fn upload(&mut self, key: &str) -> Result<Option<UploadRow>> {
        let row = sqlx::query("SELECT uri, done, secret, sha256 FROM uploads WHERE key = $1")
            .bind(key)
            .fetch_optional(&mut *self.tx)
            .await?;
        row.map(|row| {
            let sealed: Option<Vec<u8>> = row.try_get(2)?;
            let secret = sealed
                .map(|sealed| self.sealer.open(TABLE, key, "secret", &sealed))
                .transpose()?;
            let sha256: Option<Vec<u8>> = row.try_get(3)?;
            Ok(UploadRow {
                uri: row.try_get(0)?,
                done: row.try_get(1)?,
                secret: secret.map(|secret| read_secret(&secret)).transpose()?,
                sha256: sha256.map(|sha256| exactly(&sha256)).transpose()?,
            })
        })
        .transpose()
    }

    async fn put_upload(
        &mut self,
        key: &str,
        uri: &str,
        secret: Option<&AttachmentSecret>,
        now: Timestamp,
    ) -> Result<()> {
        let sealed = secret.map(|secret| {
            let bytes = Zeroizing::new([&secret.key[..], &secret.iv].concat());
            self.sealer.seal(TABLE, key, "secret", &bytes)
        });
        sqlx::query(
            "INSERT INTO uploads (key, uri, done, secret, created_at) VALUES ($1, $2, FALSE, $3, $4) ON CONFLICT (key) DO UPDATE SET uri = excluded.uri, secret = excluded.secret WHERE NOT uploads.done",
        )
        .bind(key)
        .bind(uri)
        .bind(sealed)
        .bind(now.0)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    async fn finish_upload(&mut self, key: &str, sha256: Option<&[u8; 32]>) -> Result<()> {
        sqlx::query("UPDATE uploads SET done = TRUE, sha256 = $2 WHERE key = $1 AND NOT done")
            .bind(key)
            .bind(sha256.map(|sha256| sha256.to_vec()))
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
