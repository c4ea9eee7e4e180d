//! The queries, one text for both engines: this module is compiled once an engine, over the `Db` of the file that includes it.

use std::{fmt::Display, sync::Arc};

use async_trait::async_trait;
use sqlx::Row as _;

use super::{BEGIN, BEGIN_READ, Db, ENGINE, EPOCH, LANES, MIGRATOR};
use crate::{
    domain::{IdError, MessageRef, PortalId, RemoteUserId, StanzaId},
    store::{StoreError, StoreTxn, sealing::Sealer},
};

mod deliveries;
mod encryption;
mod engine;
mod expiries;
mod fence;
mod groups;
mod links;
mod locked;
mod logins;
mod matrix_inbox;
mod notices;
mod outbox;
mod people;
mod polls;
mod portals;
mod reactions;
mod remote_inbox;
mod sender_keys;
mod signal;
mod uploads;

pub(super) use engine::Engine;

type Result<T> = std::result::Result<T, StoreError>;
type DbRow = <Db as sqlx::Database>::Row;

/// One transaction of this engine.
struct Txn {
    tx: sqlx::Transaction<'static, Db>,
    sealer: Arc<Sealer>,
    /// Whether something was written that a ratchet depends on.
    ratchet: bool,
}

#[async_trait]
impl StoreTxn for Txn {
    async fn commit(self: Box<Self>) -> Result<()> {
        Ok(self.tx.commit().await?)
    }

    async fn rollback(self: Box<Self>) -> Result<()> {
        Ok(self.tx.rollback().await?)
    }
}

fn corrupt(table: &'static str, reason: &impl Display) -> StoreError {
    StoreError::Corrupt {
        table,
        reason: reason.to_string(),
    }
}

fn id<T>(
    table: &'static str,
    parse: impl Fn(String) -> std::result::Result<T, IdError>,
    text: String,
) -> Result<T> {
    parse(text).map_err(|error| corrupt(table, &error))
}

/// What stands for the login among the writers of messages.
fn writer(sender: Option<&RemoteUserId>) -> &str {
    sender.map_or("", RemoteUserId::as_str)
}

fn writer_of(table: &'static str, text: String) -> Result<Option<RemoteUserId>> {
    match text.as_str() {
        "" => Ok(None),
        _ => Ok(Some(id(table, RemoteUserId::parse, text)?)),
    }
}

/// The message that a row names by its `stanza_id` and `sender`.
fn message_of(table: &'static str, row: &DbRow) -> Result<MessageRef> {
    Ok(MessageRef {
        id: id(
            table,
            StanzaId::parse,
            row.try_get::<String, _>("stanza_id")?,
        )?,
        sender: writer_of(table, row.try_get("sender")?)?,
    })
}

/// The key of what is known of a message; no id has a blank in it.
fn message_key(portal: PortalId, message: &MessageRef) -> String {
    format!(
        "{portal} {} {}",
        writer(message.sender.as_ref()),
        message.id
    )
}

fn number(table: &'static str, value: i64) -> Result<u32> {
    u32::try_from(value).map_err(|error| corrupt(table, &error))
}
