//! Opening a database: which engine, whose turn to write it is, and whether it is an old copy.

use std::{path::Path, sync::Arc};

use super::{
    Database, Renewal, Store, StoreError,
    guard::{Guard, GuardRecord},
    postgres,
    sealing::Sealer,
    sqlite,
};
use crate::domain::Timestamp;

/// What was found when the database was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenReport {
    /// The epoch of this process; a process of an older one can no longer write.
    pub epoch: i64,
    /// Why every session has to be archived before anything is encrypted, if it has; asked at every start until
    /// [`Database::sessions_renewed`].
    pub renewal: Option<Renewal>,
}

/// Opens the database at `sqlite:<path>` or `postgres://…`, makes or migrates it as needed, and takes over the writing.
///
/// `guard` is where the guard file is; without one an old copy of the database is not noticed.
///
/// # Errors
/// That the address, the key or the guard file is wrong, that the database is newer than this program, or what the database said.
pub async fn open(
    uri: &str,
    sealing_key: &[u8; 32],
    guard: Option<&Path>,
    now: Timestamp,
) -> Result<(Database, OpenReport), StoreError> {
    let store = connect(uri, sealing_key).await?;
    let found = guard.map(GuardRecord::read).transpose()?.flatten();

    let mut txn = store.begin().await?;
    if txn.instance().await?.is_none() {
        txn.create_instance(&rand::random()).await?;
    }
    // From here on nobody else commits, so what is read below stays true.
    let epoch = txn.take_over(now).await?;
    let instance = txn.instance().await?.ok_or(sqlx::Error::RowNotFound)?;
    let mut commits = vec![0; store.lanes()];
    for (lane, number) in txn.ratchet_commits().await? {
        if let Some(commits) = commits.get_mut(lane) {
            *commits = number;
        }
    }
    let mut renewal = instance.renewal;
    if guard.is_some() {
        renewal = judge(&commits, instance.database_id, found.as_ref()).or(renewal);
    }
    if renewal != instance.renewal {
        txn.set_renewal(renewal).await?;
    }
    if let Some(found) = found.filter(|found| found.database_id == instance.database_id) {
        for (lane, (ours, theirs)) in commits.iter_mut().zip(found.commits).enumerate() {
            if theirs > *ours {
                *ours = theirs;
                txn.set_ratchet_commits(lane, theirs).await?;
            }
        }
    }
    // The database knows of the renewal before the guard forgets why.
    txn.commit().await?;
    let record = GuardRecord {
        database_id: instance.database_id,
        commits,
    };
    let guard = guard.map(|path| Guard::create(path, &record)).transpose()?;
    Ok((
        Database::new(store, epoch, guard),
        OpenReport { epoch, renewal },
    ))
}

/// Brings the database at an address to this program's newest migration, without taking over the writing.
///
/// # Errors
/// As [`open`].
pub async fn migrate(uri: &str, sealing_key: &[u8; 32]) -> Result<(), StoreError> {
    connect(uri, sealing_key).await?.close().await;
    Ok(())
}

/// Opens a database to look at it, without taking over the writing; `None` if it does not exist yet. Steps on it are refused.
///
/// # Errors
/// As [`open`].
pub async fn inspect(uri: &str, sealing_key: &[u8; 32]) -> Result<Option<Database>, StoreError> {
    if let Some(path) = uri.strip_prefix("sqlite:")
        && !Path::new(path.strip_prefix("//").unwrap_or(path)).exists()
    {
        return Ok(None);
    }
    let store = connect(uri, sealing_key).await?;
    Ok(Some(Database::new(store, NOBODY, None)))
}

/// An epoch no process has.
const NOBODY: i64 = -1;

async fn connect(uri: &str, sealing_key: &[u8; 32]) -> Result<Arc<dyn Store>, StoreError> {
    let sealer = Arc::new(Sealer::new(sealing_key));
    if let Some(path) = uri.strip_prefix("sqlite:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        // Other processes, and the readers of this one, would not see a database in memory.
        if path.is_empty() || path.contains(":memory:") || path.contains('?') {
            return Err(StoreError::Address(uri.to_owned()));
        }
        return sqlite::connect(Path::new(path), sealer).await;
    }
    if uri.starts_with("postgres://") || uri.starts_with("postgresql://") {
        return postgres::connect(uri, sealer).await;
    }
    // Only the scheme is shown: what follows may hold a password.
    let scheme = uri.split(':').next().unwrap_or_default();
    Err(StoreError::Address(format!("{scheme}:…")))
}

/// Whether ratchets may have gone further than the database knows.
fn judge(commits: &[i64], database_id: [u8; 16], found: Option<&GuardRecord>) -> Option<Renewal> {
    match found {
        Some(found) if found.database_id == database_id => {
            let ahead = found
                .commits
                .iter()
                .enumerate()
                .any(|(lane, theirs)| *theirs > commits.get(lane).copied().unwrap_or(0));
            ahead.then_some(Renewal::Restored)
        }
        // A database that never took a ratchet step has no key to use twice.
        _ => commits
            .iter()
            .any(|number| *number > 0)
            .then_some(Renewal::GuardMissing),
    }
}
