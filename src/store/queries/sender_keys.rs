//! Sender keys of groups, who has one's own, to whom messages to groups go and how far they are.

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};
use sqlx::Row as _;

use super::{Result, Txn, corrupt, id};
use crate::{
    domain::{ChatId, LoginId, RemoteUserId, StanzaId},
    store::{ReceiptStage, SenderKeyRepository},
};

const TABLE: &str = "sender_keys";
const SHARES: &str = "sender_key_shares";
const RECEIPTS: &str = "group_receipts";
const RECIPIENTS: &str = "group_recipients";

fn row_key(login: LoginId, chat: &ChatId, sender: &str) -> String {
    format!("{login} {chat} {sender}")
}

#[async_trait]
impl SenderKeyRepository for Txn {
    async fn sender_key(
        &mut self,
        login: LoginId,
        chat: &ChatId,
        sender: &str,
    ) -> Result<Option<Vec<u8>>> {
        let row = sqlx::query(
            "SELECT record FROM sender_keys WHERE login = $1 AND chat = $2 AND sender = $3",
        )
        .bind(login.0)
        .bind(chat.as_str())
        .bind(sender)
        .fetch_optional(&mut *self.tx)
        .await?;
        row.map(|row| {
            let sealed: Vec<u8> = row.try_get(0)?;
            let key = row_key(login, chat, sender);
            self.sealer.open(TABLE, &key, "record", &sealed)
        })
        .transpose()
    }

    async fn put_sender_key(
        &mut self,
        login: LoginId,
        chat: &ChatId,
        sender: &str,
        record: &[u8],
    ) -> Result<()> {
        self.ratchet = true;
        let key = row_key(login, chat, sender);
        let sealed = self.sealer.seal(TABLE, &key, "record", record);
        sqlx::query(
            "INSERT INTO sender_keys (login, chat, sender, record) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (login, chat, sender) DO UPDATE SET record = excluded.record",
        )
        .bind(login.0)
        .bind(chat.as_str())
        .bind(sender)
        .bind(sealed)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    async fn delete_sender_key(
        &mut self,
        login: LoginId,
        chat: &ChatId,
        sender: &str,
    ) -> Result<()> {
        self.ratchet = true;
        sqlx::query("DELETE FROM sender_keys WHERE login = $1 AND chat = $2 AND sender = $3")
            .bind(login.0)
            .bind(chat.as_str())
            .bind(sender)
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    async fn sender_key_shares(&mut self, login: LoginId, chat: &ChatId) -> Result<Vec<String>> {
        let rows = sqlx::query(
            "SELECT address FROM sender_key_shares WHERE login = $1 AND chat = $2 ORDER BY address",
        )
        .bind(login.0)
        .bind(chat.as_str())
        .fetch_all(&mut *self.tx)
        .await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    async fn put_sender_key_share(
        &mut self,
        login: LoginId,
        chat: &ChatId,
        address: &str,
    ) -> Result<()> {
        sqlx::query(
            "INSERT INTO sender_key_shares (login, chat, address) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        )
        .bind(login.0)
        .bind(chat.as_str())
        .bind(address)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    async fn delete_sender_key_shares(&mut self, login: LoginId, chat: &ChatId) -> Result<()> {
        sqlx::query("DELETE FROM sender_key_shares WHERE login = $1 AND chat = $2")
            .bind(login.0)
            .bind(chat.as_str())
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    async fn groups_sharing(&mut self, login: LoginId, address: &str) -> Result<Vec<ChatId>> {
        let rows = sqlx::query(
            "SELECT chat FROM sender_key_shares WHERE login = $1 AND address = $2 ORDER BY chat",
        )
        .bind(login.0)
        .bind(address)
        .fetch_all(&mut *self.tx)
        .await?;
        rows.iter()
            .map(|row| id(SHARES, ChatId::parse, row.try_get::<String, _>(0)?))
            .collect()
    }

    async fn delete_own_sender_keys(&mut self, login: LoginId, own: &str) -> Result<()> {
        self.ratchet = true;
        sqlx::query("DELETE FROM sender_keys WHERE login = $1 AND sender = $2")
            .bind(login.0)
            .bind(own)
            .execute(&mut *self.tx)
            .await?;
        sqlx::query("DELETE FROM sender_key_shares WHERE login = $1")
            .bind(login.0)
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    async fn put_group_recipients(
        &mut self,
        login: LoginId,
        chat: &ChatId,
        stanza_id: &StanzaId,
        members: &[RemoteUserId],
    ) -> Result<()> {
        let members = serde_json::to_string(members).map_err(|e| corrupt(RECIPIENTS, &e))?;
        let hash = STANDARD.encode(Sha256::digest(&members));
        sqlx::query(
            "INSERT INTO group_recipients (login, chat, hash, members) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        )
        .bind(login.0)
        .bind(chat.as_str())
        .bind(&hash)
        .bind(members)
        .execute(&mut *self.tx)
        .await?;
        sqlx::query("UPDATE outbox SET recipients = $3 WHERE login = $1 AND stanza_id = $2")
            .bind(login.0)
            .bind(stanza_id.as_str())
            .bind(hash)
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    async fn group_recipients(
        &mut self,
        login: LoginId,
        stanza_id: &StanzaId,
    ) -> Result<Vec<RemoteUserId>> {
        let row = sqlx::query(
            "SELECT group_recipients.members FROM outbox JOIN group_recipients ON group_recipients.login = outbox.login \
             AND group_recipients.chat = outbox.chat AND group_recipients.hash = outbox.recipients \
             WHERE outbox.login = $1 AND outbox.stanza_id = $2",
        )
        .bind(login.0)
        .bind(stanza_id.as_str())
        .fetch_optional(&mut *self.tx)
        .await?;
        let Some(row) = row else {
            return Ok(Vec::new());
        };
        let members: String = row.try_get(0)?;
        serde_json::from_str(&members).map_err(|error| corrupt(RECIPIENTS, &error))
    }

    async fn put_group_receipt(
        &mut self,
        login: LoginId,
        stanza_id: &StanzaId,
        member: &RemoteUserId,
        stage: ReceiptStage,
    ) -> Result<()> {
        let number: i64 = match stage {
            ReceiptStage::Delivered => 1,
            ReceiptStage::Read => 2,
        };
        sqlx::query(
            "INSERT INTO group_receipts (login, stanza_id, member, stage) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (login, stanza_id, member) DO UPDATE SET stage = excluded.stage \
             WHERE group_receipts.stage < excluded.stage",
        )
        .bind(login.0)
        .bind(stanza_id.as_str())
        .bind(member.as_str())
        .bind(number)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    async fn group_receivers(
        &mut self,
        login: LoginId,
        stanza_id: &StanzaId,
    ) -> Result<Vec<RemoteUserId>> {
        let rows = sqlx::query(
            "SELECT member FROM group_receipts WHERE login = $1 AND stanza_id = $2 ORDER BY member",
        )
        .bind(login.0)
        .bind(stanza_id.as_str())
        .fetch_all(&mut *self.tx)
        .await?;
        rows.iter()
            .map(|row| id(RECEIPTS, RemoteUserId::parse, row.try_get::<String, _>(0)?))
            .collect()
    }
}
