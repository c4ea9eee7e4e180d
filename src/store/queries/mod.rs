//! The queries, one text for both engines: this module is compiled once an engine, over the `Db` of the file that includes it.

use std::{fmt::Display, sync::Arc};

use async_trait::async_trait;

use super::{BEGIN, BEGIN_READ, Db, ENGINE, EPOCH, LANES, MIGRATOR};
use crate::{
    domain::IdError,
    store::{StoreError, StoreTxn, sealing::Sealer},
};

mod engine;
mod fence;
mod links;
mod logins;
mod matrix_inbox;
mod outbox;
mod portals;
mod remote_inbox;
mod signal;

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

fn number(table: &'static str, value: i64) -> Result<u32> {
    u32::try_from(value).map_err(|error| corrupt(table, &error))
}
