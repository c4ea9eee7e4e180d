//! Polls.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sqlx::Row as _;

use super::{DbRow, Result, Txn, corrupt, message_key, message_of, number, writer};
use crate::{
    domain::{MessageRef, PortalId, RemoteUserId},
    store::{PollOption, PollRepository, PollRow},
};

const TABLE: &str = "polls";

/// What somebody wrote of a poll, as it is sealed.
#[derive(Serialize, Deserialize)]
struct Content {
    question: String,
    options: Vec<PollOption>,
    #[serde(default)]
    author: Option<RemoteUserId>,
}

impl Txn {
    fn poll_row(&self, row: &DbRow) -> Result<PollRow> {
        let portal = PortalId(row.try_get("portal")?);
        let message = message_of(TABLE, row)?;
        let key = message_key(portal, &message);
        let secret = row
            .try_get::<Option<Vec<u8>>, _>("secret")?
            .map(|sealed| {
                let secret = self.sealer.open(TABLE, &key, "secret", &sealed)?;
                secret
                    .try_into()
                    .map_err(|_| corrupt(TABLE, &"a poll's secret is not 32 bytes"))
            })
            .transpose()?;
        let sealed: Vec<u8> = row.try_get("content")?;
        let content = self.sealer.open(TABLE, &key, "content", &sealed)?;
        let content: Content =
            serde_json::from_slice(&content).map_err(|error| corrupt(TABLE, &error))?;
        Ok(PollRow {
            portal,
            message,
            event_id: row.try_get("event_id")?,
            secret,
            question: content.question,
            options: content.options,
            selectable: number(TABLE, row.try_get("selectable")?)?,
            author: content.author,
        })
    }
}

#[async_trait]
impl PollRepository for Txn {
    async fn put_poll(&mut self, poll: &PollRow) -> Result<()> {
        let key = message_key(poll.portal, &poll.message);
        let secret = poll
            .secret
            .as_ref()
            .map(|secret| self.sealer.seal(TABLE, &key, "secret", secret));
        let content = serde_json::to_vec(&Content {
            question: poll.question.clone(),
            options: poll.options.clone(),
            author: poll.author.clone(),
        })
        .map_err(|error| corrupt(TABLE, &error))?;
        let content = self.sealer.seal(TABLE, &key, "content", &content);
        sqlx::query(
            "INSERT INTO polls (portal, stanza_id, sender, event_id, secret, content, selectable) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
        )
        .bind(poll.portal.0)
        .bind(poll.message.id.as_str())
        .bind(writer(poll.message.sender.as_ref()))
        .bind(&poll.event_id)
        .bind(secret)
        .bind(content)
        .bind(i64::from(poll.selectable))
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    async fn poll(&mut self, portal: PortalId, message: &MessageRef) -> Result<Option<PollRow>> {
        let row =
            sqlx::query("SELECT * FROM polls WHERE portal = $1 AND stanza_id = $2 AND sender = $3")
                .bind(portal.0)
                .bind(message.id.as_str())
                .bind(writer(message.sender.as_ref()))
                .fetch_optional(&mut *self.tx)
                .await?;
        row.map(|row| self.poll_row(&row)).transpose()
    }

    async fn poll_by_event(&mut self, portal: PortalId, event_id: &str) -> Result<Option<PollRow>> {
        let row = sqlx::query("SELECT * FROM polls WHERE portal = $1 AND event_id = $2")
            .bind(portal.0)
            .bind(event_id)
            .fetch_optional(&mut *self.tx)
            .await?;
        row.map(|row| self.poll_row(&row)).transpose()
    }
}
