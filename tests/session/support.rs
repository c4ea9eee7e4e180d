//! A store for a test.

use std::path::Path;

use drawbridge::{
    domain::Timestamp,
    store::{self, Database},
};

/// A new SQLite database in a folder.
pub(crate) async fn open_store(dir: &Path, now: Timestamp) -> Database {
    let uri = format!("sqlite:{}", dir.join("bridge.db").display());
    let guard = dir.join("bridge.guard");
    let (db, _) = store::open(&uri, &[7; 32], Some(&guard), now)
        .await
        .unwrap();
    db
}
