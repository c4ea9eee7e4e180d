//! SQLite: one connection that writes, a few that read beside it.
//!
//! Write-ahead log, and `synchronous=FULL`: with `NORMAL` a power cut can lose the last commits, and with them the ratchet step of
//! a ciphertext that has already left.

use std::{
    fs::OpenOptions, os::unix::fs::OpenOptionsExt as _, path::Path, sync::Arc, time::Duration,
};

use sqlx::{
    migrate::Migrator,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{Store, StoreError, sealing::Sealer};

#[path = "queries/mod.rs"]
#[expect(
    clippy::duplicate_mod,
    reason = "one text of queries, compiled once an engine"
)]
mod queries;

type Db = sqlx::Sqlite;

const ENGINE: &str = "sqlite";
/// The lock is taken at once: a transaction that reads first and writes later could find that another has written meanwhile.
const BEGIN: &str = "BEGIN IMMEDIATE";
const BEGIN_READ: &str = "BEGIN";
const EPOCH: &str = "SELECT epoch FROM instance WHERE id = 1";
/// SQLite has one writer, so more lanes would only wait for each other.
const LANES: usize = 1;
const READERS: u32 = 3;
static MIGRATOR: Migrator = sqlx::migrate!("migrations/sqlite");

/// Opens the database at a path; makes it, readable by its owner alone, if there is none.
///
/// # Errors
/// What of the file or a migration failed.
pub(super) async fn connect(
    path: &Path,
    sealer: Arc<Sealer>,
) -> Result<Arc<dyn Store>, StoreError> {
    // SQLite gives the log files the mode of the database file.
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|source| StoreError::File {
            path: path.display().to_string(),
            source,
        })?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(10))
        .statement_cache_capacity(200);
    let writers = SqlitePoolOptions::new()
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_with(options.clone())
        .await?;
    let readers = SqlitePoolOptions::new()
        .max_connections(READERS)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        // What is read is small and recent: half a megabyte of pages each is plenty.
        .connect_lazy_with(
            options
                .pragma("query_only", "ON")
                .pragma("cache_size", "-500"),
        );
    Ok(Arc::new(
        queries::Engine::start(writers, readers, sealer).await?,
    ))
}
