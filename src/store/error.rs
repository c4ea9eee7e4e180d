//! What can go wrong in the store.

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused or the connection broke.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// A migration could not be applied.
    #[error("the database could not be migrated: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The database was written by a newer program.
    #[error(
        "the database has migration {found}, this program knows up to {known}: install the newer drawbridge, or restore a backup from before the update"
    )]
    TooNew {
        /// The newest migration the database has.
        found: i64,
        /// The newest this program knows.
        known: i64,
    },
    /// Another process took over the database.
    #[error(
        "another drawbridge (epoch {current}) has taken over this database, this one (epoch {ours}) has stopped writing: run only one"
    )]
    Fenced {
        /// The epoch of the process that owns the database now.
        current: i64,
        /// This process's epoch.
        ours: i64,
    },
    /// A row holds what this program cannot read.
    #[error("a row of {table} is unreadable: {reason}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A sealed value does not open with the configured key.
    #[error(
        "a sealed value of {table} does not open: the row was altered, or the sealing key is not the one it was written with"
    )]
    Unsealable {
        /// The table.
        table: &'static str,
    },
    /// The database address is not one this program understands.
    #[error("{0:?} is not a database address: use sqlite:<path> or postgres://…")]
    Address(String),
    /// The guard file beside the database cannot be read or written.
    #[error("the ratchet guard file {path} cannot be used: {source}")]
    Guard {
        /// The file.
        path: String,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The database file cannot be opened or made.
    #[error("the database file {path} cannot be opened: {source}")]
    File {
        /// The file.
        path: String,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// A step panicked; nothing of it was stored.
    #[error("a step of the store panicked; nothing of it was stored")]
    Panicked,
    /// The store has been shut down.
    #[error("the store is shut down")]
    Closed,
}

/// What passes: SQLite busy or locked, Postgres's serialization failures, deadlocks, lock timeouts, restarts.
const PASSING: &[&str] = &[
    "5", "6", "261", "262", "517", "40001", "40P01", "55P03", "57P01", "57P02", "57P03", "53300",
];

impl StoreError {
    /// Whether the same transaction may succeed if it is tried again.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Database(sqlx::Error::Database(error)) => error
                .code()
                .is_some_and(|code| PASSING.contains(&code.as_ref())),
            Self::Database(error) => matches!(
                error,
                sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::BeginFailed
            ),
            _ => false,
        }
    }
}
