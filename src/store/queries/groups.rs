//! Groups and who is in them.

use async_trait::async_trait;
use sqlx::Row as _;

use super::{DbRow, Result, Txn, corrupt, id};
use crate::{
    domain::{ChatId, GatekeeperId, GroupMember, GroupRole, RemoteUserId},
    store::{GroupMemberRow, GroupRepository, GroupRow, GroupShown, LoginRow},
};

const TABLE: &str = "remote_groups";
const MEMBERS: &str = "group_members";

fn role_text(role: GroupRole) -> &'static str {
    match role {
        GroupRole::Member => "member",
        GroupRole::Admin => "admin",
        GroupRole::Owner => "owner",
    }
}

fn role(text: Option<&str>) -> Result<Option<GroupRole>> {
    Ok(match text {
        None => None,
        Some("member") => Some(GroupRole::Member),
        Some("admin") => Some(GroupRole::Admin),
        Some("owner") => Some(GroupRole::Owner),
        Some(other) => {
            return Err(corrupt(MEMBERS, &format!("there is no role {other:?}")));
        }
    })
}

fn member(row: &DbRow) -> Result<GroupMemberRow> {
    Ok(GroupMemberRow {
        user: id(
            MEMBERS,
            RemoteUserId::parse,
            row.try_get::<String, _>("remote_id")?,
        )?,
        role: role(row.try_get::<Option<String>, _>("role")?.as_deref())?,
        shown: role(row.try_get::<Option<String>, _>("shown")?.as_deref())?,
    })
}

#[async_trait]
impl GroupRepository for Txn {
    async fn group(
        &mut self,
        gatekeeper: &GatekeeperId,
        chat: &ChatId,
    ) -> Result<Option<GroupRow>> {
        let row = sqlx::query(
            "SELECT facts, shown FROM remote_groups WHERE gatekeeper = $1 AND chat = $2",
        )
        .bind(gatekeeper.as_str())
        .bind(chat.as_str())
        .fetch_optional(&mut *self.tx)
        .await?;
        row.map(|row| {
            let (facts, shown): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            Ok(GroupRow {
                gatekeeper: gatekeeper.clone(),
                chat: chat.clone(),
                facts: serde_json::from_str(&facts).map_err(|error| corrupt(TABLE, &error))?,
                shown: serde_json::from_str(&shown).map_err(|error| corrupt(TABLE, &error))?,
            })
        })
        .transpose()
    }

    async fn put_group(&mut self, group: &GroupRow) -> Result<()> {
        let json = |value: serde_json::Result<String>| value.map_err(|e| corrupt(TABLE, &e));
        sqlx::query(
            "INSERT INTO remote_groups (gatekeeper, chat, facts, shown) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (gatekeeper, chat) DO UPDATE SET facts = excluded.facts",
        )
        .bind(group.gatekeeper.as_str())
        .bind(group.chat.as_str())
        .bind(json(serde_json::to_string(&group.facts))?)
        .bind(json(serde_json::to_string(&group.shown))?)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    async fn set_group_shown(
        &mut self,
        gatekeeper: &GatekeeperId,
        chat: &ChatId,
        shown: &GroupShown,
    ) -> Result<()> {
        let json = serde_json::to_string(shown).map_err(|error| corrupt(TABLE, &error))?;
        sqlx::query("UPDATE remote_groups SET shown = $3 WHERE gatekeeper = $1 AND chat = $2")
            .bind(gatekeeper.as_str())
            .bind(chat.as_str())
            .bind(json)
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    async fn delete_group(&mut self, gatekeeper: &GatekeeperId, chat: &ChatId) -> Result<()> {
        for statement in [
            "DELETE FROM remote_groups WHERE gatekeeper = $1 AND chat = $2",
            "DELETE FROM group_members WHERE gatekeeper = $1 AND chat = $2",
        ] {
            sqlx::query(statement)
                .bind(gatekeeper.as_str())
                .bind(chat.as_str())
                .execute(&mut *self.tx)
                .await?;
        }
        Ok(())
    }

    async fn group_members(
        &mut self,
        gatekeeper: &GatekeeperId,
        chat: &ChatId,
    ) -> Result<Vec<GroupMemberRow>> {
        let rows = sqlx::query(
            "SELECT * FROM group_members WHERE gatekeeper = $1 AND chat = $2 ORDER BY remote_id",
        )
        .bind(gatekeeper.as_str())
        .bind(chat.as_str())
        .fetch_all(&mut *self.tx)
        .await?;
        rows.iter().map(member).collect()
    }

    async fn set_group_members(
        &mut self,
        gatekeeper: &GatekeeperId,
        chat: &ChatId,
        members: &[GroupMember],
    ) -> Result<()> {
        let known = self.group_members(gatekeeper, chat).await?;
        for one in &known {
            if one.role.is_some() && !members.iter().any(|member| member.user == one.user) {
                self.set_group_role(gatekeeper, chat, &one.user, None)
                    .await?;
            }
        }
        for member in members {
            let unchanged = known
                .iter()
                .any(|one| one.user == member.user && one.role == Some(member.role));
            if !unchanged {
                self.set_group_role(gatekeeper, chat, &member.user, Some(member.role))
                    .await?;
            }
        }
        Ok(())
    }

    async fn set_group_role(
        &mut self,
        gatekeeper: &GatekeeperId,
        chat: &ChatId,
        user: &RemoteUserId,
        role: Option<GroupRole>,
    ) -> Result<()> {
        sqlx::query(
            "INSERT INTO group_members (gatekeeper, chat, remote_id, role) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (gatekeeper, chat, remote_id) DO UPDATE SET role = excluded.role",
        )
        .bind(gatekeeper.as_str())
        .bind(chat.as_str())
        .bind(user.as_str())
        .bind(role.map(role_text))
        .execute(&mut *self.tx)
        .await?;
        self.drop_gone(gatekeeper, chat, user).await
    }

    async fn set_member_shown(
        &mut self,
        gatekeeper: &GatekeeperId,
        chat: &ChatId,
        user: &RemoteUserId,
        shown: Option<GroupRole>,
    ) -> Result<()> {
        // Who left the group while they came into the room has no row, and has to be taken out again.
        sqlx::query(
            "INSERT INTO group_members (gatekeeper, chat, remote_id, shown) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (gatekeeper, chat, remote_id) DO UPDATE SET shown = excluded.shown",
        )
        .bind(gatekeeper.as_str())
        .bind(chat.as_str())
        .bind(user.as_str())
        .bind(shown.map(role_text))
        .execute(&mut *self.tx)
        .await?;
        self.drop_gone(gatekeeper, chat, user).await
    }

    async fn forget_shown(&mut self, gatekeeper: &GatekeeperId, chat: &ChatId) -> Result<()> {
        for statement in [
            "UPDATE group_members SET shown = NULL WHERE gatekeeper = $1 AND chat = $2",
            "DELETE FROM group_members WHERE gatekeeper = $1 AND chat = $2 AND role IS NULL",
            "UPDATE remote_groups SET shown = '{}' WHERE gatekeeper = $1 AND chat = $2",
        ] {
            sqlx::query(statement)
                .bind(gatekeeper.as_str())
                .bind(chat.as_str())
                .execute(&mut *self.tx)
                .await?;
        }
        Ok(())
    }

    async fn unshown_members(
        &mut self,
        gatekeeper: &GatekeeperId,
        chat: &ChatId,
        limit: i64,
    ) -> Result<Vec<GroupMemberRow>> {
        let rows = sqlx::query(
            "SELECT * FROM group_members WHERE gatekeeper = $1 AND chat = $2 \
             AND COALESCE(role, '') <> COALESCE(shown, '') ORDER BY remote_id LIMIT $3",
        )
        .bind(gatekeeper.as_str())
        .bind(chat.as_str())
        .bind(limit)
        .fetch_all(&mut *self.tx)
        .await?;
        rows.iter().map(member).collect()
    }

    async fn group_logins(
        &mut self,
        gatekeeper: &GatekeeperId,
        chat: &ChatId,
    ) -> Result<Vec<LoginRow>> {
        let rows = sqlx::query(
            "SELECT logins.* FROM logins JOIN group_members \
             ON group_members.gatekeeper = logins.gatekeeper AND group_members.remote_id = logins.remote_login \
             WHERE logins.gatekeeper = $1 AND group_members.chat = $2 AND group_members.role IS NOT NULL \
             AND logins.state <> 'logged_out' ORDER BY logins.id",
        )
        .bind(gatekeeper.as_str())
        .bind(chat.as_str())
        .fetch_all(&mut *self.tx)
        .await?;
        rows.iter().map(|row| self.login_row(row)).collect()
    }

    async fn groups_with(
        &mut self,
        gatekeeper: &GatekeeperId,
        user: &RemoteUserId,
    ) -> Result<Vec<ChatId>> {
        let rows = sqlx::query(
            "SELECT chat FROM group_members WHERE gatekeeper = $1 AND remote_id = $2 AND role IS NOT NULL ORDER BY chat",
        )
        .bind(gatekeeper.as_str())
        .bind(user.as_str())
        .fetch_all(&mut *self.tx)
        .await?;
        rows.iter()
            .map(|row| id(MEMBERS, ChatId::parse, row.try_get::<String, _>(0)?))
            .collect()
    }
}

impl Txn {
    /// Forgets a member who is neither in the group nor shown.
    async fn drop_gone(
        &mut self,
        gatekeeper: &GatekeeperId,
        chat: &ChatId,
        user: &RemoteUserId,
    ) -> Result<()> {
        sqlx::query(
            "DELETE FROM group_members WHERE gatekeeper = $1 AND chat = $2 AND remote_id = $3 AND role IS NULL AND shown IS NULL",
        )
        .bind(gatekeeper.as_str())
        .bind(chat.as_str())
        .bind(user.as_str())
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }
}
