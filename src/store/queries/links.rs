//! Which event is which message.

use async_trait::async_trait;
use sqlx::Row as _;

use super::{DbRow, Result, Txn, message_of, portals::SHARED, writer};
use crate::{
    domain::{LoginId, PortalId, RemoteUserId, StanzaId, Timestamp},
    store::{LinkRepository, MessageLink},
};

const TABLE: &str = "links";

fn link(row: &DbRow) -> Result<MessageLink> {
    let message = message_of(TABLE, row)?;
    Ok(MessageLink {
        portal: PortalId(row.try_get("portal")?),
        event_id: row.try_get("event_id")?,
        stanza_id: message.id,
        sender: message.sender,
        part: row.try_get("part")?,
        sent_at: Timestamp(row.try_get("sent_at")?),
    })
}

#[async_trait]
impl LinkRepository for Txn {
    async fn put_link(&mut self, link: &MessageLink) -> Result<()> {
        sqlx::query(
            "INSERT INTO links (portal, event_id, stanza_id, sender, part, sent_at) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        )
        .bind(link.portal.0)
        .bind(&link.event_id)
        .bind(link.stanza_id.as_str())
        .bind(writer(link.sender.as_ref()))
        .bind(link.part)
        .bind(link.sent_at.0)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    async fn links_by_event(
        &mut self,
        portal: PortalId,
        event_id: &str,
    ) -> Result<Vec<MessageLink>> {
        let rows =
            sqlx::query("SELECT * FROM links WHERE portal = $1 AND event_id = $2 ORDER BY part")
                .bind(portal.0)
                .bind(event_id)
                .fetch_all(&mut *self.tx)
                .await?;
        rows.iter().map(link).collect()
    }

    async fn links_by_stanza(
        &mut self,
        portal: PortalId,
        sender: Option<&RemoteUserId>,
        stanza_id: &StanzaId,
    ) -> Result<Vec<MessageLink>> {
        let rows = sqlx::query(
            "SELECT * FROM links WHERE portal = $1 AND stanza_id = $2 AND sender = $3 ORDER BY part",
        )
        .bind(portal.0)
        .bind(stanza_id.as_str())
        .bind(writer(sender))
        .fetch_all(&mut *self.tx)
        .await?;
        rows.iter().map(link).collect()
    }

    async fn newest_own(
        &mut self,
        portal: PortalId,
        stanza_ids: &[StanzaId],
    ) -> Result<Option<MessageLink>> {
        let mut newest: Option<(i64, MessageLink)> = None;
        for stanza_id in stanza_ids {
            let row = sqlx::query(
                "SELECT * FROM links WHERE portal = $1 AND stanza_id = $2 AND sender = '' ORDER BY seq DESC LIMIT 1",
            )
            .bind(portal.0)
            .bind(stanza_id.as_str())
            .fetch_optional(&mut *self.tx)
            .await?;
            let Some(row) = row else { continue };
            let seq = row.try_get("seq")?;
            if newest.as_ref().is_none_or(|(known, _)| *known < seq) {
                newest = Some((seq, link(&row)?));
            }
        }
        Ok(newest.map(|(_, link)| link))
    }

    async fn newest_unread(
        &mut self,
        portal: PortalId,
        login: LoginId,
        until: Timestamp,
    ) -> Result<Option<MessageLink>> {
        let row = sqlx::query(
            "SELECT * FROM links WHERE portal = $1 AND sender <> '' AND sent_at <= $3 \
             AND seq > COALESCE((SELECT seq FROM read_marks WHERE portal = $1 AND login = $2), 0) \
             ORDER BY seq DESC LIMIT 1",
        )
        .bind(portal.0)
        .bind(login.0)
        .bind(until.0)
        .fetch_optional(&mut *self.tx)
        .await?;
        row.as_ref().map(link).transpose()
    }

    async fn author(&mut self, portal: PortalId, stanza_id: &StanzaId) -> Result<Option<LoginId>> {
        let row = sqlx::query(
            "SELECT login FROM links WHERE portal = $1 AND stanza_id = $2 AND sender = '' AND login <> 0 \
             UNION ALL SELECT login FROM outbox WHERE portal = $1 AND stanza_id = $2 AND part >= 0 AND state <> 2 LIMIT 1",
        )
        .bind(portal.0)
        .bind(stanza_id.as_str())
        .fetch_optional(&mut *self.tx)
        .await?;
        row.map(|row| Ok(LoginId(row.try_get(0)?))).transpose()
    }

    async fn delete_links(&mut self, portal: PortalId, event_id: &str) -> Result<()> {
        sqlx::query("DELETE FROM links WHERE portal = $1 AND event_id = $2")
            .bind(portal.0)
            .bind(event_id)
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    async fn unread_up_to(
        &mut self,
        portal: PortalId,
        login: LoginId,
        event_id: &str,
    ) -> Result<Vec<MessageLink>> {
        // Without a mark yet, the login may have come into the group later than the messages.
        let rows = sqlx::query(
            "SELECT * FROM links WHERE portal = $1 AND sender <> '' \
             AND seq > COALESCE((SELECT seq FROM read_marks WHERE portal = $1 AND login = $2), 0) \
             AND seq <= (SELECT MAX(seq) FROM links WHERE portal = $1 AND event_id = $3) \
             AND (EXISTS (SELECT 1 FROM read_marks WHERE portal = $1 AND login = $2) \
             OR NOT EXISTS (SELECT 1 FROM portals WHERE id = $1 AND login = $4) \
             OR EXISTS (SELECT 1 FROM remote_messages JOIN portals ON portals.chat = remote_messages.chat \
             WHERE portals.id = $1 AND remote_messages.login = $2 AND remote_messages.sender = links.sender \
             AND remote_messages.stanza_id = links.stanza_id)) \
             ORDER BY seq",
        )
        .bind(portal.0)
        .bind(login.0)
        .bind(event_id)
        .bind(SHARED)
        .fetch_all(&mut *self.tx)
        .await?;
        rows.iter().map(link).collect()
    }

    async fn set_read_up_to(
        &mut self,
        portal: PortalId,
        login: LoginId,
        event_id: &str,
    ) -> Result<()> {
        sqlx::query(
            "INSERT INTO read_marks (portal, login, seq) \
             SELECT $1, $2, MAX(seq) FROM links WHERE portal = $1 AND event_id = $3 HAVING MAX(seq) IS NOT NULL \
             ON CONFLICT (portal, login) DO UPDATE SET seq = excluded.seq WHERE read_marks.seq < excluded.seq",
        )
        .bind(portal.0)
        .bind(login.0)
        .bind(event_id)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }
}
