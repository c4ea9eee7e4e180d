//! Sender keys of groups, who has one's own, and how far messages to groups are.

use async_trait::async_trait;
use sqlx::Row as _;

use super::{Result, Txn};
use crate::{
    domain::{ChatId, LoginId, RemoteUserId, StanzaId},
    store::{ReceiptStage, SenderKeyRepository},
};

const TABLE: &str = "sender_keys";

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

    async fn delete_sender_key_shares(
        &mut self,
        login: LoginId,
        chat: &ChatId,
        address: Option<&str>,
    ) -> Result<()> {
        sqlx::query(
            "DELETE FROM sender_key_shares WHERE login = $1 AND chat = $2 AND ($3 = '' OR address = $3)",
        )
        .bind(login.0)
        .bind(chat.as_str())
        .bind(address.unwrap_or_default())
        .execute(&mut *self.tx)
        .await?;
        Ok(())
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

    async fn put_group_receipt(
        &mut self,
        login: LoginId,
        stanza_id: &StanzaId,
        member: &RemoteUserId,
        stage: ReceiptStage,
    ) -> Result<i64> {
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
        let row = sqlx::query(
            "SELECT COUNT(*) FROM group_receipts WHERE login = $1 AND stanza_id = $2 AND stage >= $3",
        )
        .bind(login.0)
        .bind(stanza_id.as_str())
        .bind(number)
        .fetch_one(&mut *self.tx)
        .await?;
        Ok(row.try_get(0)?)
    }
}
