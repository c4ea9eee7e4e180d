//! Portals, ghosts, and management rooms.

use async_trait::async_trait;
use sqlx::Row as _;

use super::{DbRow, Result, Txn, corrupt, id};
use crate::{
    domain::{ChatId, GatekeeperId, LoginId, PortalId, PortalKey, RemoteUserId},
    store::{
        GhostRepository, GhostRow, NameSource, PortalRepository, PortalRow, PortalSettings,
        UserRepository,
    },
};

/// What stands for no login in the key of a group's portal, where an SQL `NULL` would equal nothing.
pub(super) const SHARED: i64 = -1;

fn portal(row: &DbRow) -> Result<PortalRow> {
    let login: i64 = row.try_get("login")?;
    Ok(PortalRow {
        id: PortalId(row.try_get("id")?),
        key: PortalKey {
            gatekeeper: id(
                "portals",
                GatekeeperId::parse,
                row.try_get::<String, _>("gatekeeper")?,
            )?,
            chat: id("portals", ChatId::parse, row.try_get::<String, _>("chat")?)?,
            login: (login != SHARED).then_some(LoginId(login)),
        },
        room_id: row.try_get("room_id")?,
        ready: row.try_get("ready")?,
        settings: serde_json::from_str(&row.try_get::<String, _>("settings")?)
            .map_err(|error| corrupt("portals", &error))?,
        relay: row.try_get::<Option<i64>, _>("relay")?.map(LoginId),
        linked: row.try_get("linked")?,
    })
}

pub(super) fn ghost(row: &DbRow) -> Result<GhostRow> {
    Ok(GhostRow {
        gatekeeper: id(
            "ghosts",
            GatekeeperId::parse,
            row.try_get::<String, _>("gatekeeper")?,
        )?,
        remote_id: id(
            "ghosts",
            RemoteUserId::parse,
            row.try_get::<String, _>("remote_id")?,
        )?,
        mxid: row.try_get("mxid")?,
        registered: row.try_get("registered")?,
        name: row.try_get("name")?,
        name_source: match row.try_get::<i64, _>("name_source")? {
            0 => NameSource::Address,
            1 => NameSource::Profile,
            _ => NameSource::Contact,
        },
        picture: row.try_get("picture")?,
        avatar: row.try_get("avatar")?,
    })
}

#[async_trait]
impl PortalRepository for Txn {
    async fn portal(&mut self, key: &PortalKey) -> Result<Option<PortalRow>> {
        let row =
            sqlx::query("SELECT * FROM portals WHERE gatekeeper = $1 AND chat = $2 AND login = $3")
                .bind(key.gatekeeper.as_str())
                .bind(key.chat.as_str())
                .bind(key.login.map_or(SHARED, |login| login.0))
                .fetch_optional(&mut *self.tx)
                .await?;
        row.as_ref().map(portal).transpose()
    }

    async fn portals_in(&mut self, room_id: &str) -> Result<Vec<PortalRow>> {
        let rows = sqlx::query("SELECT * FROM portals WHERE room_id = $1 ORDER BY place, id")
            .bind(room_id)
            .fetch_all(&mut *self.tx)
            .await?;
        rows.iter().map(portal).collect()
    }

    async fn portal_by_id(&mut self, id: PortalId) -> Result<Option<PortalRow>> {
        let row = sqlx::query("SELECT * FROM portals WHERE id = $1")
            .bind(id.0)
            .fetch_optional(&mut *self.tx)
            .await?;
        row.as_ref().map(portal).transpose()
    }

    async fn portals_of(&mut self, login: LoginId) -> Result<Vec<PortalRow>> {
        let rows = sqlx::query("SELECT * FROM portals WHERE login = $1 ORDER BY id")
            .bind(login.0)
            .fetch_all(&mut *self.tx)
            .await?;
        rows.iter().map(portal).collect()
    }

    async fn portals(&mut self) -> Result<Vec<PortalRow>> {
        let rows = sqlx::query("SELECT * FROM portals ORDER BY id")
            .fetch_all(&mut *self.tx)
            .await?;
        rows.iter().map(portal).collect()
    }

    async fn set_portal_relay(&mut self, id: PortalId, relay: Option<LoginId>) -> Result<()> {
        sqlx::query("UPDATE portals SET relay = $2 WHERE id = $1")
            .bind(id.0)
            .bind(relay.map(|login| login.0))
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    async fn set_portal_linked(&mut self, id: PortalId, linked: bool) -> Result<()> {
        sqlx::query("UPDATE portals SET linked = $2 WHERE id = $1")
            .bind(id.0)
            .bind(linked)
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    async fn delete_portal(&mut self, id: PortalId) -> Result<()> {
        for statement in [
            "DELETE FROM links WHERE portal = $1",
            "DELETE FROM read_marks WHERE portal = $1",
            "DELETE FROM reactions WHERE portal = $1",
            "DELETE FROM polls WHERE portal = $1",
            "DELETE FROM notices WHERE portal = $1",
            "DELETE FROM expiries WHERE portal = $1",
            "DELETE FROM portals WHERE id = $1",
        ] {
            sqlx::query(statement)
                .bind(id.0)
                .execute(&mut *self.tx)
                .await?;
        }
        Ok(())
    }

    async fn ensure_portal(&mut self, key: &PortalKey, id: PortalId) -> Result<PortalRow> {
        if let Some(portal) = self.portal(key).await? {
            return Ok(portal);
        }
        sqlx::query(
            "INSERT INTO portals (id, gatekeeper, chat, login, ready) VALUES ($1, $2, $3, $4, FALSE) ON CONFLICT DO NOTHING",
        )
        .bind(id.0)
        .bind(key.gatekeeper.as_str())
        .bind(key.chat.as_str())
        .bind(key.login.map_or(SHARED, |login| login.0))
        .execute(&mut *self.tx)
        .await?;
        Ok(self.portal(key).await?.ok_or(sqlx::Error::RowNotFound)?)
    }

    async fn set_portal_room(&mut self, id: PortalId, room_id: Option<&str>) -> Result<()> {
        sqlx::query(
            "UPDATE portals SET room_id = $2, place = (SELECT COALESCE(MAX(other.place), 0) + 1 FROM portals AS other \
             WHERE other.room_id = $2) WHERE id = $1 AND COALESCE(room_id, '') <> COALESCE($2, '')",
        )
        .bind(id.0)
        .bind(room_id)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    async fn set_portal_ready(&mut self, id: PortalId, ready: bool) -> Result<()> {
        sqlx::query("UPDATE portals SET ready = $2 WHERE id = $1")
            .bind(id.0)
            .bind(ready)
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    async fn set_portal_settings(&mut self, id: PortalId, settings: &PortalSettings) -> Result<()> {
        let json = serde_json::to_string(settings).map_err(|error| corrupt("portals", &error))?;
        sqlx::query("UPDATE portals SET settings = $2 WHERE id = $1")
            .bind(id.0)
            .bind(json)
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    async fn portal_rooms(&mut self) -> Result<Vec<String>> {
        let rows = sqlx::query(
            "SELECT DISTINCT room_id FROM portals WHERE room_id IS NOT NULL ORDER BY room_id",
        )
        .fetch_all(&mut *self.tx)
        .await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }
}

#[async_trait]
impl GhostRepository for Txn {
    async fn ghost(
        &mut self,
        gatekeeper: &GatekeeperId,
        remote_id: &RemoteUserId,
    ) -> Result<Option<GhostRow>> {
        let row = sqlx::query("SELECT * FROM ghosts WHERE gatekeeper = $1 AND remote_id = $2")
            .bind(gatekeeper.as_str())
            .bind(remote_id.as_str())
            .fetch_optional(&mut *self.tx)
            .await?;
        row.as_ref().map(ghost).transpose()
    }

    async fn ghost_by_mxid(&mut self, mxid: &str) -> Result<Option<GhostRow>> {
        let row = sqlx::query("SELECT * FROM ghosts WHERE mxid = $1")
            .bind(mxid)
            .fetch_optional(&mut *self.tx)
            .await?;
        row.as_ref().map(ghost).transpose()
    }

    async fn put_ghost(&mut self, ghost: &GhostRow) -> Result<()> {
        sqlx::query(
            "INSERT INTO ghosts (gatekeeper, remote_id, mxid, registered, name, name_source, picture, avatar) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
             ON CONFLICT (gatekeeper, remote_id) DO UPDATE SET mxid = excluded.mxid, registered = excluded.registered, name = excluded.name, \
             name_source = excluded.name_source, picture = excluded.picture, avatar = excluded.avatar",
        )
        .bind(ghost.gatekeeper.as_str())
        .bind(ghost.remote_id.as_str())
        .bind(&ghost.mxid)
        .bind(ghost.registered)
        .bind(&ghost.name)
        .bind(match ghost.name_source {
            NameSource::Address => 0_i64,
            NameSource::Profile => 1,
            NameSource::Contact => 2,
        })
        .bind(&ghost.picture)
        .bind(&ghost.avatar)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    async fn unused_ghosts(&mut self) -> Result<Vec<GhostRow>> {
        let rows = sqlx::query(
            "SELECT * FROM ghosts WHERE registered AND name_source <> 2 \
             AND NOT EXISTS (SELECT 1 FROM portals WHERE portals.gatekeeper = ghosts.gatekeeper AND portals.chat = ghosts.remote_id) \
             AND NOT EXISTS (SELECT 1 FROM group_members WHERE group_members.gatekeeper = ghosts.gatekeeper \
             AND group_members.remote_id = ghosts.remote_id) ORDER BY mxid",
        )
        .fetch_all(&mut *self.tx)
        .await?;
        rows.iter().map(ghost).collect()
    }

    async fn delete_ghost(
        &mut self,
        gatekeeper: &GatekeeperId,
        remote_id: &RemoteUserId,
    ) -> Result<()> {
        sqlx::query("DELETE FROM ghosts WHERE gatekeeper = $1 AND remote_id = $2")
            .bind(gatekeeper.as_str())
            .bind(remote_id.as_str())
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }
}

#[async_trait]
impl UserRepository for Txn {
    async fn management_room_owner(&mut self, room_id: &str) -> Result<Option<String>> {
        let row = sqlx::query("SELECT mxid FROM management_rooms WHERE room_id = $1")
            .bind(room_id)
            .fetch_optional(&mut *self.tx)
            .await?;
        row.map(|row| Ok(row.try_get(0)?)).transpose()
    }

    async fn management_rooms(&mut self) -> Result<Vec<String>> {
        let rows = sqlx::query("SELECT room_id FROM management_rooms ORDER BY mxid")
            .fetch_all(&mut *self.tx)
            .await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    async fn management_room(&mut self, mxid: &str) -> Result<Option<String>> {
        let row = sqlx::query("SELECT room_id FROM management_rooms WHERE mxid = $1")
            .bind(mxid)
            .fetch_optional(&mut *self.tx)
            .await?;
        row.map(|row| Ok(row.try_get(0)?)).transpose()
    }

    async fn set_management_room(&mut self, mxid: &str, room_id: Option<&str>) -> Result<()> {
        sqlx::query("DELETE FROM management_rooms WHERE mxid = $1 OR room_id = $2")
            .bind(mxid)
            .bind(room_id)
            .execute(&mut *self.tx)
            .await?;
        if let Some(room_id) = room_id {
            sqlx::query("INSERT INTO management_rooms (mxid, room_id) VALUES ($1, $2)")
                .bind(mxid)
                .bind(room_id)
                .execute(&mut *self.tx)
                .await?;
        }
        Ok(())
    }
}
