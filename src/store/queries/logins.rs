//! Logins.

use async_trait::async_trait;
use sqlx::Row as _;

use super::{DbRow, Result, Txn, corrupt, id, number};
use crate::{
    domain::{GatekeeperId, LoginId},
    store::{LoginRepository, LoginRow, LoginSecrets, LoginState},
};

const TABLE: &str = "logins";

impl Txn {
    pub(super) fn login_row(&self, row: &DbRow) -> Result<LoginRow> {
        let login: i64 = row.try_get("id")?;
        let sealed: Vec<u8> = row.try_get("secrets")?;
        let opened = self
            .sealer
            .open(TABLE, &login.to_string(), "secrets", &sealed)?;
        let secrets: LoginSecrets =
            serde_json::from_slice(&opened).map_err(|error| corrupt(TABLE, &error))?;
        Ok(LoginRow {
            id: LoginId(login),
            gatekeeper: id(
                TABLE,
                GatekeeperId::parse,
                row.try_get::<String, _>("gatekeeper")?,
            )?,
            mxid: row.try_get("mxid")?,
            visible_id: row.try_get("visible_id")?,
            remote_login: row.try_get("remote_login")?,
            state: state_of(&row.try_get::<String, _>("state")?)?,
            secrets,
            next_prekey_id: number(TABLE, row.try_get("next_prekey_id")?)?,
            signed_prekey_id: number(TABLE, row.try_get("signed_prekey_id")?)?,
        })
    }
}

fn state_text(state: LoginState) -> &'static str {
    match state {
        LoginState::Enlisting => "enlisting",
        LoginState::Active => "active",
        LoginState::Unenlisted => "unenlisted",
        LoginState::LoggedOut => "logged_out",
    }
}

fn state_of(text: &str) -> Result<LoginState> {
    Ok(match text {
        "enlisting" => LoginState::Enlisting,
        "active" => LoginState::Active,
        "unenlisted" => LoginState::Unenlisted,
        "logged_out" => LoginState::LoggedOut,
        other => return Err(corrupt(TABLE, &format!("{other} is no state of a login"))),
    })
}

#[async_trait]
impl LoginRepository for Txn {
    async fn insert_login(&mut self, login: &LoginRow) -> Result<()> {
        let json = zeroize::Zeroizing::new(
            serde_json::to_vec(&login.secrets).map_err(|error| corrupt(TABLE, &error))?,
        );
        let sealed = self
            .sealer
            .seal(TABLE, &login.id.to_string(), "secrets", &json);
        sqlx::query(
            "INSERT INTO logins (id, gatekeeper, mxid, visible_id, remote_login, state, secrets, next_prekey_id, signed_prekey_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(login.id.0)
        .bind(login.gatekeeper.as_str())
        .bind(&login.mxid)
        .bind(&login.visible_id)
        .bind(&login.remote_login)
        .bind(state_text(login.state))
        .bind(sealed)
        .bind(i64::from(login.next_prekey_id))
        .bind(i64::from(login.signed_prekey_id))
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    async fn login(&mut self, id: LoginId) -> Result<Option<LoginRow>> {
        let row = sqlx::query("SELECT * FROM logins WHERE id = $1")
            .bind(id.0)
            .fetch_optional(&mut *self.tx)
            .await?;
        row.map(|row| self.login_row(&row)).transpose()
    }

    async fn logins(&mut self) -> Result<Vec<LoginRow>> {
        let rows = sqlx::query("SELECT * FROM logins ORDER BY id")
            .fetch_all(&mut *self.tx)
            .await?;
        rows.iter().map(|row| self.login_row(row)).collect()
    }

    async fn logins_of(&mut self, mxid: &str) -> Result<Vec<LoginRow>> {
        let rows = sqlx::query("SELECT * FROM logins WHERE mxid = $1 ORDER BY id")
            .bind(mxid)
            .fetch_all(&mut *self.tx)
            .await?;
        rows.iter().map(|row| self.login_row(row)).collect()
    }

    async fn login_by_visible_id(
        &mut self,
        gatekeeper: &GatekeeperId,
        visible_id: &str,
    ) -> Result<Option<LoginRow>> {
        let row = sqlx::query("SELECT * FROM logins WHERE gatekeeper = $1 AND visible_id = $2")
            .bind(gatekeeper.as_str())
            .bind(visible_id)
            .fetch_optional(&mut *self.tx)
            .await?;
        row.map(|row| self.login_row(&row)).transpose()
    }

    async fn set_login_state(
        &mut self,
        id: LoginId,
        state: LoginState,
        remote_login: Option<&str>,
    ) -> Result<()> {
        sqlx::query(
            "UPDATE logins SET state = $2, remote_login = COALESCE($3, remote_login) WHERE id = $1",
        )
        .bind(id.0)
        .bind(state_text(state))
        .bind(remote_login)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    async fn delete_login(&mut self, id: LoginId) -> Result<()> {
        for statement in [
            "DELETE FROM read_marks WHERE login = $1",
            "DELETE FROM links WHERE portal IN (SELECT id FROM portals WHERE login = $1)",
            "DELETE FROM reactions WHERE portal IN (SELECT id FROM portals WHERE login = $1)",
            "DELETE FROM polls WHERE portal IN (SELECT id FROM portals WHERE login = $1)",
            "DELETE FROM notices WHERE portal IN (SELECT id FROM portals WHERE login = $1)",
            "DELETE FROM expiries WHERE portal IN (SELECT id FROM portals WHERE login = $1)",
            "DELETE FROM portals WHERE login = $1",
            "DELETE FROM sessions WHERE login = $1",
            "DELETE FROM identities WHERE login = $1",
            "DELETE FROM prekeys WHERE login = $1",
            "DELETE FROM signed_prekeys WHERE login = $1",
            "DELETE FROM outbox WHERE login = $1",
            "DELETE FROM remote_messages WHERE login = $1",
            "DELETE FROM sender_keys WHERE login = $1",
            "DELETE FROM sender_key_shares WHERE login = $1",
            "DELETE FROM group_receipts WHERE login = $1",
            "DELETE FROM group_recipients WHERE login = $1",
            "DELETE FROM blocked WHERE login = $1",
            "DELETE FROM reachability WHERE login = $1",
            "UPDATE portals SET relay = NULL WHERE relay = $1",
            "UPDATE links SET login = 0 WHERE login = $1",
            "DELETE FROM logins WHERE id = $1",
        ] {
            sqlx::query(statement)
                .bind(id.0)
                .execute(&mut *self.tx)
                .await?;
        }
        Ok(())
    }
}
