//! Matrix users' own accounts on either side, blocked users, who was asked to be reachable, and contacts.

use async_trait::async_trait;
use sqlx::Row as _;

use super::{DbRow, Result, Txn, corrupt, id, portals::ghost};
use crate::{
    domain::{GatekeeperId, LoginId, Reachability, RemoteUserId, Timestamp},
    store::{GhostRow, PeopleRepository, PuppetRow, ReachabilityRow},
};

fn user(table: &'static str, row: &DbRow) -> Result<RemoteUserId> {
    id(
        table,
        RemoteUserId::parse,
        row.try_get::<String, _>("remote_id")?,
    )
}

fn state_text(state: Reachability) -> &'static str {
    match state {
        Reachability::Asked => "asked",
        Reachability::Accepted => "accepted",
        Reachability::Declined => "declined",
    }
}

#[async_trait]
impl PeopleRepository for Txn {
    async fn puppet(&mut self, mxid: &str) -> Result<Option<PuppetRow>> {
        let row = sqlx::query("SELECT token FROM puppets WHERE mxid = $1")
            .bind(mxid)
            .fetch_optional(&mut *self.tx)
            .await?;
        row.map(|row| {
            let sealed: Vec<u8> = row.try_get(0)?;
            let token = self.sealer.open("puppets", mxid, "token", &sealed)?;
            Ok(PuppetRow {
                mxid: mxid.to_owned(),
                token: String::from_utf8(token).map_err(|error| corrupt("puppets", &error))?,
            })
        })
        .transpose()
    }

    async fn put_puppet(&mut self, puppet: &PuppetRow) -> Result<()> {
        let sealed = self
            .sealer
            .seal("puppets", &puppet.mxid, "token", puppet.token.as_bytes());
        sqlx::query(
            "INSERT INTO puppets (mxid, token) VALUES ($1, $2) ON CONFLICT (mxid) DO UPDATE SET token = excluded.token",
        )
        .bind(&puppet.mxid)
        .bind(sealed)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    async fn delete_puppet(&mut self, mxid: &str) -> Result<()> {
        sqlx::query("DELETE FROM puppets WHERE mxid = $1")
            .bind(mxid)
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    async fn owner_of_account(
        &mut self,
        gatekeeper: &GatekeeperId,
        remote_id: &RemoteUserId,
    ) -> Result<Option<String>> {
        let row =
            sqlx::query("SELECT mxid FROM own_accounts WHERE gatekeeper = $1 AND remote_id = $2")
                .bind(gatekeeper.as_str())
                .bind(remote_id.as_str())
                .fetch_optional(&mut *self.tx)
                .await?;
        row.map(|row| Ok(row.try_get(0)?)).transpose()
    }

    async fn own_accounts(&mut self, mxid: &str) -> Result<Vec<(GatekeeperId, RemoteUserId)>> {
        let rows = sqlx::query(
            "SELECT gatekeeper, remote_id FROM own_accounts WHERE mxid = $1 ORDER BY gatekeeper, remote_id",
        )
        .bind(mxid)
        .fetch_all(&mut *self.tx)
        .await?;
        rows.iter()
            .map(|row| {
                let gatekeeper = row.try_get::<String, _>("gatekeeper")?;
                Ok((
                    id("own_accounts", GatekeeperId::parse, gatekeeper)?,
                    user("own_accounts", row)?,
                ))
            })
            .collect()
    }

    async fn set_account_owner(
        &mut self,
        gatekeeper: &GatekeeperId,
        remote_id: &RemoteUserId,
        mxid: Option<&str>,
    ) -> Result<()> {
        let statement = match mxid {
            Some(_) => {
                "INSERT INTO own_accounts (gatekeeper, remote_id, mxid) VALUES ($1, $2, $3) \
                 ON CONFLICT (gatekeeper, remote_id) DO UPDATE SET mxid = excluded.mxid"
            }
            None => {
                "DELETE FROM own_accounts WHERE gatekeeper = $1 AND remote_id = $2 AND mxid <> $3"
            }
        };
        sqlx::query(statement)
            .bind(gatekeeper.as_str())
            .bind(remote_id.as_str())
            .bind(mxid.unwrap_or_default())
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    async fn blocked(&mut self, login: LoginId) -> Result<Vec<RemoteUserId>> {
        let rows = sqlx::query("SELECT remote_id FROM blocked WHERE login = $1 ORDER BY remote_id")
            .bind(login.0)
            .fetch_all(&mut *self.tx)
            .await?;
        rows.iter().map(|row| user("blocked", row)).collect()
    }

    async fn set_blocked(
        &mut self,
        login: LoginId,
        user: &RemoteUserId,
        blocked: bool,
    ) -> Result<()> {
        let statement = if blocked {
            "INSERT INTO blocked (login, remote_id) VALUES ($1, $2) ON CONFLICT DO NOTHING"
        } else {
            "DELETE FROM blocked WHERE login = $1 AND remote_id = $2"
        };
        sqlx::query(statement)
            .bind(login.0)
            .bind(user.as_str())
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    async fn reachabilities(&mut self, login: LoginId) -> Result<Vec<ReachabilityRow>> {
        let rows = sqlx::query(
            "SELECT * FROM reachability WHERE login = $1 ORDER BY asked_at DESC, remote_id",
        )
        .bind(login.0)
        .fetch_all(&mut *self.tx)
        .await?;
        rows.iter()
            .map(|row| {
                let state = match row.try_get::<String, _>("state")?.as_str() {
                    "asked" => Reachability::Asked,
                    "accepted" => Reachability::Accepted,
                    "declined" => Reachability::Declined,
                    other => {
                        let why = format!("there is no state {other:?}");
                        return Err(corrupt("reachability", &why));
                    }
                };
                Ok(ReachabilityRow {
                    user: user("reachability", row)?,
                    state,
                    asked_at: Timestamp(row.try_get("asked_at")?),
                })
            })
            .collect()
    }

    async fn put_reachability(&mut self, login: LoginId, row: &ReachabilityRow) -> Result<()> {
        sqlx::query(
            "INSERT INTO reachability (login, remote_id, state, asked_at) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (login, remote_id) DO UPDATE SET state = excluded.state, asked_at = excluded.asked_at",
        )
        .bind(login.0)
        .bind(row.user.as_str())
        .bind(state_text(row.state))
        .bind(row.asked_at.0)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    async fn contacts(
        &mut self,
        login: LoginId,
        text: Option<&str>,
        limit: i64,
    ) -> Result<Vec<GhostRow>> {
        let rows = sqlx::query(
            "SELECT ghosts.* FROM ghosts JOIN logins ON logins.id = $1 AND logins.gatekeeper = ghosts.gatekeeper WHERE \
             EXISTS (SELECT 1 FROM portals WHERE portals.login = logins.id AND portals.chat = ghosts.remote_id) \
             OR EXISTS (SELECT 1 FROM group_members AS theirs JOIN group_members AS own ON own.gatekeeper = theirs.gatekeeper \
             AND own.chat = theirs.chat AND own.role IS NOT NULL AND own.remote_id = logins.remote_login \
             WHERE theirs.gatekeeper = ghosts.gatekeeper AND theirs.remote_id = ghosts.remote_id AND theirs.role IS NOT NULL)",
        )
        .bind(login.0)
        .fetch_all(&mut *self.tx)
        .await?;
        // Found and sorted here and not there: the engines know different letters and put them in different orders.
        let mut found = Vec::new();
        for row in &rows {
            let contact = ghost(row)?;
            let (name, address) = (
                contact.name.clone().unwrap_or_default().to_lowercase(),
                contact.remote_id.as_str().to_lowercase(),
            );
            if text.is_none_or(|text| is_called(&name, &address, text)) {
                let called = if name.is_empty() { address } else { name };
                found.push((called, contact));
            }
        }
        found.sort_by(|(a, one), (b, other)| (a, &one.remote_id).cmp(&(b, &other.remote_id)));
        let limit = usize::try_from(limit).unwrap_or_default();
        Ok(found
            .into_iter()
            .take(limit)
            .map(|(_, contact)| contact)
            .collect())
    }
}

/// Whether somebody of a name and an address, both in small letters, is looked for with a text; a phone number however it is
/// written.
fn is_called(name: &str, address: &str, text: &str) -> bool {
    let text = text.trim().to_lowercase();
    let number: String = text
        .chars()
        .filter(|c| !matches!(c, ' ' | '+' | '-' | '(' | ')' | '.' | '/'))
        .collect();
    let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    name.contains(&text) || address.contains(&text) || is_number && address.contains(&number)
}
