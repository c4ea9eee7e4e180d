//! Reactions.

use async_trait::async_trait;
use sqlx::Row as _;

use super::{DbRow, Result, Txn, corrupt, message_key, message_of, writer, writer_of};
use crate::{
    domain::{MessageRef, PortalId, RemoteUserId},
    store::{ReactionRepository, ReactionRow},
};

const TABLE: &str = "reactions";

fn key(portal: PortalId, message: &MessageRef, by: Option<&RemoteUserId>) -> String {
    format!("{} {}", message_key(portal, message), writer(by))
}

impl Txn {
    fn reaction_row(&self, row: &DbRow) -> Result<ReactionRow> {
        let portal = PortalId(row.try_get("portal")?);
        let message = message_of(TABLE, row)?;
        let by = writer_of(TABLE, row.try_get("reactor")?)?;
        let sealed: Vec<u8> = row.try_get("emoji")?;
        let key = key(portal, &message, by.as_ref());
        let emoji = self.sealer.open(TABLE, &key, "emoji", &sealed)?;
        Ok(ReactionRow {
            portal,
            message,
            by,
            event_id: row.try_get("event_id")?,
            emoji: String::from_utf8(emoji).map_err(|error| corrupt(TABLE, &error))?,
        })
    }
}

#[async_trait]
impl ReactionRepository for Txn {
    async fn reaction(
        &mut self,
        portal: PortalId,
        message: &MessageRef,
        by: Option<&RemoteUserId>,
    ) -> Result<Option<ReactionRow>> {
        let row = sqlx::query(
            "SELECT * FROM reactions WHERE portal = $1 AND stanza_id = $2 AND sender = $3 AND reactor = $4",
        )
        .bind(portal.0)
        .bind(message.id.as_str())
        .bind(writer(message.sender.as_ref()))
        .bind(writer(by))
        .fetch_optional(&mut *self.tx)
        .await?;
        row.map(|row| self.reaction_row(&row)).transpose()
    }

    async fn reaction_by_event(
        &mut self,
        portal: PortalId,
        event_id: &str,
    ) -> Result<Option<ReactionRow>> {
        let row = sqlx::query("SELECT * FROM reactions WHERE portal = $1 AND event_id = $2")
            .bind(portal.0)
            .bind(event_id)
            .fetch_optional(&mut *self.tx)
            .await?;
        row.map(|row| self.reaction_row(&row)).transpose()
    }

    async fn put_reaction(&mut self, reaction: &ReactionRow) -> Result<()> {
        let key = key(reaction.portal, &reaction.message, reaction.by.as_ref());
        let emoji = self
            .sealer
            .seal(TABLE, &key, "emoji", reaction.emoji.as_bytes());
        sqlx::query(
            "INSERT INTO reactions (portal, stanza_id, sender, reactor, event_id, emoji) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (portal, stanza_id, sender, reactor) DO UPDATE SET event_id = excluded.event_id, emoji = excluded.emoji",
        )
        .bind(reaction.portal.0)
        .bind(reaction.message.id.as_str())
        .bind(writer(reaction.message.sender.as_ref()))
        .bind(writer(reaction.by.as_ref()))
        .bind(&reaction.event_id)
        .bind(emoji)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    async fn delete_reaction(
        &mut self,
        portal: PortalId,
        message: &MessageRef,
        by: Option<&RemoteUserId>,
    ) -> Result<bool> {
        let done = sqlx::query(
            "DELETE FROM reactions WHERE portal = $1 AND stanza_id = $2 AND sender = $3 AND reactor = $4",
        )
        .bind(portal.0)
        .bind(message.id.as_str())
        .bind(writer(message.sender.as_ref()))
        .bind(writer(by))
        .execute(&mut *self.tx)
        .await?;
        Ok(done.rows_affected() > 0)
    }
}
