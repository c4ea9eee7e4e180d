//! Signal state: records sealed under their table, login and id.

use async_trait::async_trait;
use sqlx::Row as _;

use super::{Result, Txn, number};
use crate::{
    domain::{LoginId, Timestamp},
    store::{PreKeyRow, SessionRow, SignalRepository, SignedPreKeyRow},
};

fn row_key(login: LoginId, id: impl std::fmt::Display) -> String {
    format!("{login}/{id}")
}

#[async_trait]
impl SignalRepository for Txn {
    async fn session(&mut self, login: LoginId, address: &str) -> Result<Option<Vec<u8>>> {
        let row = sqlx::query("SELECT record FROM sessions WHERE login = $1 AND address = $2")
            .bind(login.0)
            .bind(address)
            .fetch_optional(&mut *self.tx)
            .await?;
        row.map(|row| {
            let sealed: Vec<u8> = row.try_get(0)?;
            self.sealer
                .open("sessions", &row_key(login, address), "record", &sealed)
        })
        .transpose()
    }

    async fn put_session(&mut self, login: LoginId, address: &str, record: &[u8]) -> Result<()> {
        self.ratchet = true;
        let sealed = self
            .sealer
            .seal("sessions", &row_key(login, address), "record", record);
        sqlx::query(
            "INSERT INTO sessions (login, address, record) VALUES ($1, $2, $3) ON CONFLICT (login, address) DO UPDATE SET record = excluded.record",
        )
        .bind(login.0)
        .bind(address)
        .bind(sealed)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    async fn sessions(&mut self, login: LoginId) -> Result<Vec<SessionRow>> {
        let rows =
            sqlx::query("SELECT address, record FROM sessions WHERE login = $1 ORDER BY address")
                .bind(login.0)
                .fetch_all(&mut *self.tx)
                .await?;
        rows.iter()
            .map(|row| {
                let address: String = row.try_get(0)?;
                let sealed: Vec<u8> = row.try_get(1)?;
                let record =
                    self.sealer
                        .open("sessions", &row_key(login, &address), "record", &sealed)?;
                Ok(SessionRow { address, record })
            })
            .collect()
    }

    async fn identity(&mut self, login: LoginId, address: &str) -> Result<Option<Vec<u8>>> {
        let row = sqlx::query("SELECT identity FROM identities WHERE login = $1 AND address = $2")
            .bind(login.0)
            .bind(address)
            .fetch_optional(&mut *self.tx)
            .await?;
        Ok(match row {
            Some(row) => row.try_get(0)?,
            None => None,
        })
    }

    async fn put_identity(&mut self, login: LoginId, address: &str, key: &[u8]) -> Result<()> {
        sqlx::query(
            "INSERT INTO identities (login, address, identity) VALUES ($1, $2, $3) ON CONFLICT (login, address) DO UPDATE SET identity = excluded.identity",
        )
        .bind(login.0)
        .bind(address)
        .bind(key)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    async fn session_remade_at(
        &mut self,
        login: LoginId,
        address: &str,
    ) -> Result<Option<Timestamp>> {
        let row = sqlx::query("SELECT remade_at FROM identities WHERE login = $1 AND address = $2")
            .bind(login.0)
            .bind(address)
            .fetch_optional(&mut *self.tx)
            .await?;
        Ok(match row {
            Some(row) => row.try_get::<Option<i64>, _>(0)?.map(Timestamp),
            None => None,
        })
    }

    async fn set_session_remade(
        &mut self,
        login: LoginId,
        address: &str,
        at: Timestamp,
    ) -> Result<()> {
        sqlx::query(
            "INSERT INTO identities (login, address, remade_at) VALUES ($1, $2, $3) ON CONFLICT (login, address) DO UPDATE SET remade_at = excluded.remade_at",
        )
        .bind(login.0)
        .bind(address)
        .bind(at.0)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    async fn prekey(&mut self, login: LoginId, id: u32) -> Result<Option<PreKeyRow>> {
        let row = sqlx::query("SELECT record, uploaded FROM prekeys WHERE login = $1 AND id = $2")
            .bind(login.0)
            .bind(i64::from(id))
            .fetch_optional(&mut *self.tx)
            .await?;
        row.map(|row| {
            let sealed: Vec<u8> = row.try_get(0)?;
            Ok(PreKeyRow {
                id,
                record: self
                    .sealer
                    .open("prekeys", &row_key(login, id), "record", &sealed)?,
                uploaded: row.try_get(1)?,
            })
        })
        .transpose()
    }

    async fn insert_prekeys(
        &mut self,
        login: LoginId,
        prekeys: &[PreKeyRow],
        next_id: u32,
    ) -> Result<()> {
        for prekey in prekeys {
            let key = row_key(login, prekey.id);
            let sealed = self.sealer.seal("prekeys", &key, "record", &prekey.record);
            sqlx::query(
                "INSERT INTO prekeys (login, id, record, uploaded) VALUES ($1, $2, $3, $4) ON CONFLICT (login, id) DO UPDATE SET record = excluded.record, uploaded = excluded.uploaded",
            )
            .bind(login.0)
            .bind(i64::from(prekey.id))
            .bind(sealed)
            .bind(prekey.uploaded)
            .execute(&mut *self.tx)
            .await?;
        }
        sqlx::query("UPDATE logins SET next_prekey_id = $2 WHERE id = $1")
            .bind(login.0)
            .bind(i64::from(next_id))
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    async fn unconfirmed_prekeys(&mut self, login: LoginId) -> Result<Vec<PreKeyRow>> {
        let rows = sqlx::query(
            "SELECT id, record FROM prekeys WHERE login = $1 AND uploaded = FALSE ORDER BY id",
        )
        .bind(login.0)
        .fetch_all(&mut *self.tx)
        .await?;
        rows.iter()
            .map(|row| {
                let id = number("prekeys", row.try_get(0)?)?;
                let sealed: Vec<u8> = row.try_get(1)?;
                Ok(PreKeyRow {
                    id,
                    record: self
                        .sealer
                        .open("prekeys", &row_key(login, id), "record", &sealed)?,
                    uploaded: false,
                })
            })
            .collect()
    }

    async fn confirm_prekeys(&mut self, login: LoginId, ids: &[u32]) -> Result<()> {
        for id in ids {
            sqlx::query("UPDATE prekeys SET uploaded = TRUE WHERE login = $1 AND id = $2")
                .bind(login.0)
                .bind(i64::from(*id))
                .execute(&mut *self.tx)
                .await?;
        }
        Ok(())
    }

    async fn delete_prekey(&mut self, login: LoginId, id: u32) -> Result<()> {
        sqlx::query("DELETE FROM prekeys WHERE login = $1 AND id = $2")
            .bind(login.0)
            .bind(i64::from(id))
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    async fn signed_prekey(&mut self, login: LoginId, id: u32) -> Result<Option<SignedPreKeyRow>> {
        let row = sqlx::query(
            "SELECT record, created_at FROM signed_prekeys WHERE login = $1 AND id = $2",
        )
        .bind(login.0)
        .bind(i64::from(id))
        .fetch_optional(&mut *self.tx)
        .await?;
        row.map(|row| {
            let sealed: Vec<u8> = row.try_get(0)?;
            Ok(SignedPreKeyRow {
                id,
                record: self.sealer.open(
                    "signed_prekeys",
                    &row_key(login, id),
                    "record",
                    &sealed,
                )?,
                created_at: Timestamp(row.try_get(1)?),
            })
        })
        .transpose()
    }

    async fn put_signed_prekey(
        &mut self,
        login: LoginId,
        key: &SignedPreKeyRow,
        keep: i64,
    ) -> Result<()> {
        let sealed = self.sealer.seal(
            "signed_prekeys",
            &row_key(login, key.id),
            "record",
            &key.record,
        );
        sqlx::query(
            "INSERT INTO signed_prekeys (login, id, record, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT (login, id) DO UPDATE SET record = excluded.record, created_at = excluded.created_at",
        )
        .bind(login.0)
        .bind(i64::from(key.id))
        .bind(sealed)
        .bind(key.created_at.0)
        .execute(&mut *self.tx)
        .await?;
        sqlx::query("UPDATE logins SET signed_prekey_id = $2 WHERE id = $1")
            .bind(login.0)
            .bind(i64::from(key.id))
            .execute(&mut *self.tx)
            .await?;
        sqlx::query(
            "DELETE FROM signed_prekeys WHERE login = $1 AND id NOT IN (SELECT id FROM signed_prekeys WHERE login = $1 ORDER BY created_at DESC, id DESC LIMIT $2)",
        )
        .bind(login.0)
        .bind(keep)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }
}
