//! The connections of one engine: those that write and those that only read.

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::{Pool, migrate::MigrateError};

use super::{BEGIN, BEGIN_READ, Db, ENGINE, LANES, MIGRATOR, Result, Txn};
use crate::store::{Store, StoreError, StoreTxn, sealing::Sealer};

/// A database of this engine.
pub(in super::super) struct Engine {
    writers: Pool<Db>,
    readers: Pool<Db>,
    sealer: Arc<Sealer>,
}

impl Engine {
    /// Brings the database to this program's migration and puts the pools to work.
    ///
    /// # Errors
    /// [`StoreError::TooNew`], or what of a migration failed.
    pub(in super::super) async fn start(
        writers: Pool<Db>,
        readers: Pool<Db>,
        sealer: Arc<Sealer>,
    ) -> Result<Self> {
        migrate(&writers).await?;
        Ok(Self {
            writers,
            readers,
            sealer,
        })
    }

    async fn begin_on(
        &self,
        pool: &Pool<Db>,
        statement: &'static str,
    ) -> Result<Box<dyn StoreTxn>> {
        Ok(Box::new(Txn {
            tx: pool.begin_with(statement).await?,
            sealer: self.sealer.clone(),
            ratchet: false,
        }))
    }
}

async fn migrate(pool: &Pool<Db>) -> Result<()> {
    let Err(error) = MIGRATOR.run(pool).await else {
        return Ok(());
    };
    let known = MIGRATOR
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap_or(0);
    match error {
        MigrateError::VersionMissing(_) => {
            let found: i64 = sqlx::query_scalar("SELECT MAX(version) FROM _sqlx_migrations")
                .fetch_one(pool)
                .await?;
            if found > known {
                return Err(StoreError::TooNew { found, known });
            }
            Err(error.into())
        }
        other => Err(other.into()),
    }
}

#[async_trait]
impl Store for Engine {
    async fn begin(&self) -> Result<Box<dyn StoreTxn>> {
        self.begin_on(&self.writers, BEGIN).await
    }

    async fn begin_read(&self) -> Result<Box<dyn StoreTxn>> {
        self.begin_on(&self.readers, BEGIN_READ).await
    }

    fn engine(&self) -> &'static str {
        ENGINE
    }

    fn lanes(&self) -> usize {
        LANES
    }

    async fn close(&self) {
        // The readers first: the last connection of SQLite's writer folds the log into the file.
        self.readers.close().await;
        self.writers.close().await;
    }
}
