//! Messages from the gatekeeper on their way into Matrix.

use async_trait::async_trait;
use sqlx::Row as _;

use super::{DbRow, Result, Txn, corrupt, id};
use crate::{
    domain::{ChatId, LoginId, RemoteUserId, StanzaId, Timestamp},
    store::{NewRemoteMessage, RemoteInboxRepository, RemoteMessageRow},
};

const TABLE: &str = "remote_messages";

fn plaintext_key(
    login: LoginId,
    chat: &ChatId,
    sender: &RemoteUserId,
    stanza: &StanzaId,
) -> String {
    format!("{login}/{chat}/{sender}/{stanza}")
}

impl Txn {
    fn remote_row(&self, row: &DbRow) -> Result<RemoteMessageRow> {
        let login = LoginId(row.try_get("login")?);
        let chat = id(TABLE, ChatId::parse, row.try_get::<String, _>("chat")?)?;
        let sender = id(
            TABLE,
            RemoteUserId::parse,
            row.try_get::<String, _>("sender")?,
        )?;
        let stanza_id = id(
            TABLE,
            StanzaId::parse,
            row.try_get::<String, _>("stanza_id")?,
        )?;
        let plaintext = row
            .try_get::<Option<Vec<u8>>, _>("plaintext")?
            .map(|sealed| {
                let key = plaintext_key(login, &chat, &sender, &stanza_id);
                self.sealer.open(TABLE, &key, "plaintext", &sealed)
            })
            .transpose()?;
        let notice = row
            .try_get::<Option<String>, _>("notice")?
            .map(|json| serde_json::from_str(&json).map_err(|error| corrupt(TABLE, &error)))
            .transpose()?;
        Ok(RemoteMessageRow {
            seq: row.try_get("seq")?,
            revision: row.try_get("revision")?,
            message: NewRemoteMessage {
                login,
                chat,
                sender,
                stanza_id,
                ciphertext_hash: row.try_get("ciphertext_hash")?,
                plaintext,
                notice,
                sent_at: Timestamp(row.try_get("sent_at")?),
                display_name: row.try_get("display_name")?,
                received_at: Timestamp(row.try_get("received_at")?),
            },
        })
    }
}

#[async_trait]
impl RemoteInboxRepository for Txn {
    async fn remote_message_known(
        &mut self,
        login: LoginId,
        chat: &ChatId,
        sender: &RemoteUserId,
        stanza_id: &StanzaId,
    ) -> Result<Option<bool>> {
        let row = sqlx::query(
            "SELECT decrypted FROM remote_messages WHERE login = $1 AND chat = $2 AND sender = $3 AND stanza_id = $4",
        )
        .bind(login.0)
        .bind(chat.as_str())
        .bind(sender.as_str())
        .bind(stanza_id.as_str())
        .fetch_optional(&mut *self.tx)
        .await?;
        row.map(|row| Ok(row.try_get(0)?)).transpose()
    }

    async fn put_remote_message(&mut self, message: &NewRemoteMessage) -> Result<bool> {
        let decrypted = message.plaintext.is_some() || message.notice.is_some();
        let plaintext = message.plaintext.as_ref().map(|plaintext| {
            let key = plaintext_key(
                message.login,
                &message.chat,
                &message.sender,
                &message.stanza_id,
            );
            self.sealer.seal(TABLE, &key, "plaintext", plaintext)
        });
        let notice = message
            .notice
            .as_ref()
            .map(serde_json::to_string)
            .transpose()
            .map_err(|error| corrupt(TABLE, &error))?;
        let put = sqlx::query(
            "INSERT INTO remote_messages (login, chat, sender, stanza_id, ciphertext_hash, plaintext, notice, decrypted, display_name, sent_at, received_at, revision, retries, state) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, 0, 0) \
             ON CONFLICT (login, chat, sender, stanza_id) DO UPDATE SET plaintext = excluded.plaintext, notice = excluded.notice, \
             ciphertext_hash = excluded.ciphertext_hash, decrypted = TRUE, revision = remote_messages.revision + 1, state = 0 \
             WHERE remote_messages.decrypted = FALSE AND excluded.decrypted = TRUE",
        )
        .bind(message.login.0)
        .bind(message.chat.as_str())
        .bind(message.sender.as_str())
        .bind(message.stanza_id.as_str())
        .bind(&message.ciphertext_hash)
        .bind(plaintext)
        .bind(notice)
        .bind(decrypted)
        .bind(&message.display_name)
        .bind(message.sent_at.0)
        .bind(message.received_at.0)
        .execute(&mut *self.tx)
        .await?;
        Ok(put.rows_affected() > 0)
    }

    async fn count_retry(
        &mut self,
        login: LoginId,
        chat: &ChatId,
        sender: &RemoteUserId,
        stanza_id: &StanzaId,
    ) -> Result<i64> {
        let row = sqlx::query(
            "UPDATE remote_messages SET retries = retries + 1 WHERE login = $1 AND chat = $2 AND sender = $3 AND stanza_id = $4 RETURNING retries",
        )
        .bind(login.0)
        .bind(chat.as_str())
        .bind(sender.as_str())
        .bind(stanza_id.as_str())
        .fetch_optional(&mut *self.tx)
        .await?;
        Ok(match row {
            Some(row) => row.try_get(0)?,
            None => 0,
        })
    }

    async fn handled_by_another(
        &mut self,
        login: LoginId,
        chat: &ChatId,
        sender: &RemoteUserId,
        stanza_id: &StanzaId,
    ) -> Result<Option<bool>> {
        let row = sqlx::query(
            "SELECT remote_messages.decrypted FROM remote_messages JOIN logins ON logins.id = remote_messages.login \
             WHERE remote_messages.login <> $1 AND chat = $2 AND sender = $3 AND stanza_id = $4 AND remote_messages.state = 1 \
             AND logins.gatekeeper = (SELECT gatekeeper FROM logins WHERE id = $1) ORDER BY remote_messages.decrypted DESC LIMIT 1",
        )
        .bind(login.0)
        .bind(chat.as_str())
        .bind(sender.as_str())
        .bind(stanza_id.as_str())
        .fetch_optional(&mut *self.tx)
        .await?;
        row.map(|row| Ok(row.try_get(0)?)).transpose()
    }

    async fn waiting_chats(&mut self) -> Result<Vec<(LoginId, ChatId)>> {
        let rows = sqlx::query("SELECT DISTINCT login, chat FROM remote_messages WHERE state = 0")
            .fetch_all(&mut *self.tx)
            .await?;
        rows.iter()
            .map(|row| {
                let chat = id(TABLE, ChatId::parse, row.try_get::<String, _>(1)?)?;
                Ok((LoginId(row.try_get(0)?), chat))
            })
            .collect()
    }

    async fn waiting_messages(
        &mut self,
        login: LoginId,
        chat: &ChatId,
        limit: i64,
    ) -> Result<Vec<RemoteMessageRow>> {
        let rows = sqlx::query(
            "SELECT * FROM remote_messages WHERE state = 0 AND login = $1 AND chat = $2 ORDER BY seq LIMIT $3",
        )
        .bind(login.0)
        .bind(chat.as_str())
        .bind(limit)
        .fetch_all(&mut *self.tx)
        .await?;
        rows.iter().map(|row| self.remote_row(row)).collect()
    }

    async fn waiting_notices(
        &mut self,
        login: LoginId,
        chat: &ChatId,
        limit: i64,
    ) -> Result<Vec<RemoteMessageRow>> {
        let rows = sqlx::query(
            "SELECT * FROM remote_messages WHERE state = 0 AND login = $1 AND chat = $2 AND notice IS NOT NULL ORDER BY seq LIMIT $3",
        )
        .bind(login.0)
        .bind(chat.as_str())
        .bind(limit)
        .fetch_all(&mut *self.tx)
        .await?;
        rows.iter().map(|row| self.remote_row(row)).collect()
    }

    async fn finish_message(&mut self, seq: i64, revision: i64, keep: bool) -> Result<bool> {
        let statement = if keep {
            "UPDATE remote_messages SET state = 1 WHERE seq = $1 AND revision = $2 AND state = 0"
        } else {
            "UPDATE remote_messages SET state = 1, plaintext = NULL WHERE seq = $1 AND revision = $2 AND state = 0"
        };
        let done = sqlx::query(statement)
            .bind(seq)
            .bind(revision)
            .execute(&mut *self.tx)
            .await?;
        Ok(done.rows_affected() > 0)
    }

    async fn kept_message(
        &mut self,
        login: LoginId,
        chat: &ChatId,
        sender: &RemoteUserId,
        stanza_id: &StanzaId,
    ) -> Result<Option<RemoteMessageRow>> {
        let row = sqlx::query(
            "SELECT * FROM remote_messages WHERE login = $1 AND chat = $2 AND sender = $3 AND stanza_id = $4 AND state = 1 AND plaintext IS NOT NULL",
        )
        .bind(login.0)
        .bind(chat.as_str())
        .bind(sender.as_str())
        .bind(stanza_id.as_str())
        .fetch_optional(&mut *self.tx)
        .await?;
        row.map(|row| self.remote_row(&row)).transpose()
    }

    async fn forget_kept(
        &mut self,
        login: LoginId,
        chat: &ChatId,
        sender: &RemoteUserId,
        stanza_id: &StanzaId,
    ) -> Result<()> {
        sqlx::query(
            "UPDATE remote_messages SET plaintext = NULL WHERE login = $1 AND chat = $2 AND sender = $3 AND stanza_id = $4 AND state = 1",
        )
        .bind(login.0)
        .bind(chat.as_str())
        .bind(sender.as_str())
        .bind(stanza_id.as_str())
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    async fn revise_message(
        &mut self,
        login: LoginId,
        chat: &ChatId,
        sender: &RemoteUserId,
        stanza_id: &StanzaId,
        plaintext: &[u8],
    ) -> Result<bool> {
        let key = plaintext_key(login, chat, sender, stanza_id);
        let sealed = self.sealer.seal(TABLE, &key, "plaintext", plaintext);
        let revised = sqlx::query(
            "UPDATE remote_messages SET plaintext = $5, state = 0, revision = revision + 1 \
             WHERE login = $1 AND chat = $2 AND sender = $3 AND stanza_id = $4 AND state = 1 AND plaintext IS NOT NULL",
        )
        .bind(login.0)
        .bind(chat.as_str())
        .bind(sender.as_str())
        .bind(stanza_id.as_str())
        .bind(sealed)
        .execute(&mut *self.tx)
        .await?;
        Ok(revised.rows_affected() > 0)
    }

    async fn prune_remote_inbox(&mut self, before: Timestamp) -> Result<u64> {
        let done = sqlx::query("DELETE FROM remote_messages WHERE state = 1 AND received_at < $1")
            .bind(before.0)
            .execute(&mut *self.tx)
            .await?;
        Ok(done.rows_affected())
    }
}
