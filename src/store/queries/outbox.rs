//! Stanzas on their way to the gatekeeper.

use async_trait::async_trait;
use sqlx::Row as _;

use super::{DbRow, Result, Txn, corrupt, id};
use crate::{
    domain::{ChatId, LoginId, PortalId, StanzaId, Timestamp},
    store::{
        LinkRepository as _, MessageLink, NewOutboxRow, OutboxKind, OutboxRepository, OutboxRow,
        SendStage, StatusReport,
    },
};

const TABLE: &str = "outbox";
const QUEUED: i64 = 0;
const ACKNOWLEDGED: i64 = 1;
const REFUSED: i64 = 2;
const DELIVERED: i64 = 3;
/// What is left of a payload that is not needed any more.
const EMPTY: &[u8] = &[];

fn plaintext_key(login: LoginId, stanza_id: &StanzaId) -> String {
    format!("{login}/{stanza_id}")
}

fn report(row: &DbRow) -> Result<StatusReport> {
    let stage = match row.try_get("state")? {
        ACKNOWLEDGED => SendStage::Sent,
        DELIVERED => SendStage::Delivered,
        REFUSED => SendStage::Refused {
            reason: row
                .try_get::<Option<String>, _>("reason")?
                .unwrap_or_default(),
        },
        other => return Err(corrupt(TABLE, &format!("{other} is no state to report"))),
    };
    Ok(StatusReport {
        seq: row.try_get("seq")?,
        portal: PortalId(row.try_get("portal")?),
        event_id: row.try_get("event_id")?,
        part: row.try_get("part")?,
        stage,
        created_at: Timestamp(row.try_get("created_at")?),
    })
}

impl Txn {
    /// The row without its plaintext, which only a retry needs.
    fn outbox_row(row: &DbRow) -> Result<OutboxRow> {
        let login = LoginId(row.try_get("login")?);
        let stanza_id = id(
            TABLE,
            StanzaId::parse,
            row.try_get::<String, _>("stanza_id")?,
        )?;
        let kind = match row.try_get::<String, _>("kind")?.as_str() {
            "receipt" => OutboxKind::Receipt,
            "media_request" => OutboxKind::MediaRequest,
            _ => OutboxKind::Message,
        };
        Ok(OutboxRow {
            seq: row.try_get("seq")?,
            row: NewOutboxRow {
                login,
                stanza_id,
                chat: id(TABLE, ChatId::parse, row.try_get::<String, _>("chat")?)?,
                kind,
                payload: row.try_get("payload")?,
                plaintext: Vec::new(),
                portal: row.try_get::<Option<i64>, _>("portal")?.map(PortalId),
                event_id: row.try_get("event_id")?,
                part: row.try_get("part")?,
                created_at: Timestamp(row.try_get("created_at")?),
            },
        })
    }
}

#[async_trait]
impl OutboxRepository for Txn {
    async fn queue(&mut self, row: &NewOutboxRow) -> Result<bool> {
        self.ratchet = true;
        let plaintext = (!row.plaintext.is_empty()).then(|| {
            let key = plaintext_key(row.login, &row.stanza_id);
            self.sealer.seal(TABLE, &key, "plaintext", &row.plaintext)
        });
        let kind = match row.kind {
            OutboxKind::Message => "message",
            OutboxKind::Receipt => "receipt",
            OutboxKind::MediaRequest => "media_request",
        };
        let queued = sqlx::query(
            "INSERT INTO outbox (login, stanza_id, chat, kind, payload, plaintext, portal, event_id, part, created_at, state, retries) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, 0) ON CONFLICT (login, stanza_id) DO NOTHING",
        )
        .bind(row.login.0)
        .bind(row.stanza_id.as_str())
        .bind(row.chat.as_str())
        .bind(kind)
        .bind(&row.payload)
        .bind(plaintext)
        .bind(row.portal.map(|portal| portal.0))
        .bind(&row.event_id)
        .bind(row.part)
        .bind(row.created_at.0)
        .execute(&mut *self.tx)
        .await?;
        Ok(queued.rows_affected() > 0)
    }

    async fn outbox_knows(&mut self, login: LoginId, stanza_id: &StanzaId) -> Result<bool> {
        let row = sqlx::query("SELECT 1 FROM outbox WHERE login = $1 AND stanza_id = $2")
            .bind(login.0)
            .bind(stanza_id.as_str())
            .fetch_optional(&mut *self.tx)
            .await?;
        Ok(row.is_some())
    }

    async fn is_sent_message(&mut self, login: LoginId, stanza_id: &StanzaId) -> Result<bool> {
        let row = sqlx::query(
            "SELECT 1 FROM outbox WHERE login = $1 AND stanza_id = $2 AND part >= 0 AND state <> $3",
        )
        .bind(login.0)
        .bind(stanza_id.as_str())
        .bind(REFUSED)
        .fetch_optional(&mut *self.tx)
        .await?;
        Ok(row.is_some())
    }

    async fn queued(&mut self, login: LoginId, after: i64, limit: i64) -> Result<Vec<OutboxRow>> {
        let rows = sqlx::query(
            "SELECT seq, login, stanza_id, chat, kind, payload, portal, event_id, part, created_at FROM outbox WHERE login = $1 AND state = 0 AND seq > $2 ORDER BY seq LIMIT $3",
        )
        .bind(login.0)
        .bind(after)
        .bind(limit)
        .fetch_all(&mut *self.tx)
        .await?;
        rows.iter().map(Self::outbox_row).collect()
    }

    async fn acknowledged(
        &mut self,
        login: LoginId,
        stanza_id: &StanzaId,
        seq: i64,
        at: Timestamp,
    ) -> Result<Option<OutboxRow>> {
        let row = sqlx::query(
            "UPDATE outbox SET state = $3, payload = $5 WHERE login = $1 AND stanza_id = $2 AND state = $4 AND seq = $6 RETURNING seq, login, stanza_id, chat, kind, payload, portal, event_id, part, created_at",
        )
        .bind(login.0)
        .bind(stanza_id.as_str())
        .bind(ACKNOWLEDGED)
        .bind(QUEUED)
        .bind(EMPTY)
        .bind(seq)
        .fetch_optional(&mut *self.tx)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let row = Self::outbox_row(&row)?;
        if let (Some(portal), Some(event_id)) = (row.row.portal, &row.row.event_id)
            && row.row.part >= 0
        {
            self.put_link(&MessageLink {
                portal,
                event_id: event_id.clone(),
                stanza_id: stanza_id.clone(),
                sender: None,
                part: row.row.part,
                sent_at: at,
            })
            .await?;
            sqlx::query(
                "UPDATE links SET login = $3 WHERE portal = $1 AND stanza_id = $2 AND sender = ''",
            )
            .bind(portal.0)
            .bind(stanza_id.as_str())
            .bind(login.0)
            .execute(&mut *self.tx)
            .await?;
        }
        Ok(Some(row))
    }

    async fn refused(
        &mut self,
        login: LoginId,
        stanza_id: &StanzaId,
        seq: i64,
        reason: &str,
    ) -> Result<Option<OutboxRow>> {
        let row = sqlx::query(
            "UPDATE outbox SET state = $3, reason = $4, plaintext = NULL, payload = $6 WHERE login = $1 AND stanza_id = $2 AND state = $5 AND seq = $7 RETURNING seq, login, stanza_id, chat, kind, payload, portal, event_id, part, created_at",
        )
        .bind(login.0)
        .bind(stanza_id.as_str())
        .bind(REFUSED)
        .bind(reason)
        .bind(QUEUED)
        .bind(EMPTY)
        .bind(seq)
        .fetch_optional(&mut *self.tx)
        .await?;
        row.as_ref().map(Self::outbox_row).transpose()
    }

    async fn delivered(&mut self, login: LoginId, stanza_id: &StanzaId) -> Result<()> {
        sqlx::query(
            "UPDATE outbox SET state = $3, plaintext = CASE WHEN chat LIKE '%@g.us' THEN plaintext ELSE NULL END \
             WHERE login = $1 AND stanza_id = $2 AND state = $4",
        )
        .bind(login.0)
        .bind(stanza_id.as_str())
        .bind(DELIVERED)
        .bind(ACKNOWLEDGED)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    async fn retryable(
        &mut self,
        login: LoginId,
        stanza_id: &StanzaId,
    ) -> Result<Option<(OutboxRow, i64)>> {
        let row = sqlx::query(
            "SELECT * FROM outbox WHERE login = $1 AND stanza_id = $2 AND plaintext IS NOT NULL",
        )
        .bind(login.0)
        .bind(stanza_id.as_str())
        .fetch_optional(&mut *self.tx)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let sealed: Vec<u8> = row.try_get("plaintext")?;
        let mut found = Self::outbox_row(&row)?;
        let key = plaintext_key(login, stanza_id);
        found.row.plaintext = self.sealer.open(TABLE, &key, "plaintext", &sealed)?;
        Ok(Some((found, row.try_get("retries")?)))
    }

    async fn requeue(
        &mut self,
        login: LoginId,
        stanza_id: &StanzaId,
        payload: &[u8],
    ) -> Result<()> {
        self.ratchet = true;
        // A new row, so that it is after everything its connection has sent.
        let row = sqlx::query("DELETE FROM outbox WHERE login = $1 AND stanza_id = $2 RETURNING *")
            .bind(login.0)
            .bind(stanza_id.as_str())
            .fetch_optional(&mut *self.tx)
            .await?;
        let Some(row) = row else { return Ok(()) };
        sqlx::query(
            "INSERT INTO outbox (login, stanza_id, chat, kind, payload, plaintext, portal, event_id, part, created_at, state, retries, reported) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, $11, $12)",
        )
        .bind(login.0)
        .bind(stanza_id.as_str())
        .bind(row.try_get::<String, _>("chat")?)
        .bind(row.try_get::<String, _>("kind")?)
        .bind(payload)
        .bind(row.try_get::<Option<Vec<u8>>, _>("plaintext")?)
        .bind(row.try_get::<Option<i64>, _>("portal")?)
        .bind(row.try_get::<Option<String>, _>("event_id")?)
        .bind(row.try_get::<i64, _>("part")?)
        .bind(row.try_get::<i64, _>("created_at")?)
        .bind(row.try_get::<i64, _>("retries")? + 1)
        .bind(row.try_get::<i64, _>("reported")?)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    async fn queue_length(&mut self, login: LoginId) -> Result<i64> {
        let row = sqlx::query("SELECT COUNT(*) FROM outbox WHERE login = $1 AND state = 0")
            .bind(login.0)
            .fetch_one(&mut *self.tx)
            .await?;
        Ok(row.try_get(0)?)
    }

    async fn oldest_queued(&mut self, login: LoginId) -> Result<Option<Timestamp>> {
        let row = sqlx::query(
            "SELECT created_at FROM outbox WHERE login = $1 AND state = 0 AND kind = 'message' ORDER BY seq LIMIT 1",
        )
        .bind(login.0)
        .fetch_optional(&mut *self.tx)
        .await?;
        row.map(|row| Ok(Timestamp(row.try_get(0)?))).transpose()
    }

    // The conditions are those of the partial index, word for word: that is how SQLite knows that it may use it.
    async fn unreported(
        &mut self,
        login: LoginId,
        chat: &ChatId,
        limit: i64,
    ) -> Result<Vec<StatusReport>> {
        let rows = sqlx::query(
            "SELECT seq, portal, event_id, part, state, reason, created_at FROM outbox WHERE login = $1 AND chat = $2 \
             AND portal IS NOT NULL AND event_id IS NOT NULL AND state <> 0 AND state <> reported AND NOT EXISTS (SELECT 1 FROM outbox other WHERE other.portal = outbox.portal \
             AND other.event_id = outbox.event_id AND (other.state = 0 OR (other.state = 2 AND outbox.state <> 2))) ORDER BY seq LIMIT $3",
        )
        .bind(login.0)
        .bind(chat.as_str())
        .bind(limit)
        .fetch_all(&mut *self.tx)
        .await?;
        rows.iter().map(report).collect()
    }

    async fn set_reported(&mut self, reports: &[(i64, SendStage)]) -> Result<()> {
        for (seq, stage) in reports {
            let state = match stage {
                SendStage::Sent => ACKNOWLEDGED,
                SendStage::Delivered => DELIVERED,
                SendStage::Refused { .. } => REFUSED,
            };
            sqlx::query("UPDATE outbox SET reported = $2 WHERE seq = $1 AND reported < $2")
                .bind(seq)
                .bind(state)
                .execute(&mut *self.tx)
                .await?;
        }
        Ok(())
    }

    async fn unreported_chats(&mut self) -> Result<Vec<(LoginId, ChatId)>> {
        let rows = sqlx::query(
            "SELECT DISTINCT login, chat FROM outbox WHERE portal IS NOT NULL AND event_id IS NOT NULL \
             AND state <> 0 AND state <> reported ORDER BY login, chat",
        )
        .fetch_all(&mut *self.tx)
        .await?;
        rows.iter()
            .map(|row| {
                let chat = id(TABLE, ChatId::parse, row.try_get::<String, _>(1)?)?;
                Ok((LoginId(row.try_get(0)?), chat))
            })
            .collect()
    }

    async fn prune_outbox(&mut self, before: Timestamp) -> Result<u64> {
        let done = sqlx::query("DELETE FROM outbox WHERE state <> 0 AND created_at < $1")
            .bind(before.0)
            .execute(&mut *self.tx)
            .await?;
        sqlx::query(
            "DELETE FROM group_receipts WHERE NOT EXISTS (SELECT 1 FROM outbox \
             WHERE outbox.login = group_receipts.login AND outbox.stanza_id = group_receipts.stanza_id)",
        )
        .execute(&mut *self.tx)
        .await?;
        sqlx::query(
            "DELETE FROM group_recipients WHERE hash NOT IN (SELECT recipients FROM outbox WHERE recipients IS NOT NULL)",
        )
        .execute(&mut *self.tx)
        .await?;
        Ok(done.rows_affected())
    }
}
