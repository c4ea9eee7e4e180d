//! A small file outside the database that knows how far the ratchets are, so that an old copy put back is noticed.
//!
//! ```text
//! 0   8 bytes   "DBGUARD1"
//! 8   16 bytes  the database's id
//! 24  8 bytes   commits with ratchet steps of lane 0, little-endian; then those of lane 1, …
//! ```
//! A counter is written after its commit and before anybody is told of it, so the file is never ahead of the database it belongs to,
//! unless that is an older copy. A crash of the machine may set the file back by what was not yet synced: about a second.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use super::StoreError;

const MAGIC: &[u8; 8] = b"DBGUARD1";
const HEADER: usize = 24;
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// What a guard file said.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct GuardRecord {
    /// The database it belongs to.
    pub(super) database_id: [u8; 16],
    /// The commits with ratchet steps, a number a lane.
    pub(super) commits: Vec<i64>,
}

/// The guard file, open.
#[derive(Debug)]
pub(super) struct Guard {
    path: PathBuf,
    file: File,
    unsynced: AtomicBool,
}

impl GuardRecord {
    /// Reads a guard file; `None` if there is none or it is not one.
    ///
    /// # Errors
    /// That the file cannot be read.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, StoreError> {
        match fs::read(path) {
            Ok(bytes) => Ok(Self::parse(&bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(refused(path, source)),
        }
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(MAGIC)?;
        let (database_id, counters) = rest.split_first_chunk()?;
        let (counters, odd) = counters.as_chunks();
        odd.is_empty().then(|| Self {
            database_id: *database_id,
            commits: counters
                .iter()
                .map(|bytes| i64::from_le_bytes(*bytes))
                .collect(),
        })
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER + 8 * self.commits.len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&self.database_id);
        for commits in &self.commits {
            bytes.extend_from_slice(&commits.to_le_bytes());
        }
        bytes
    }
}

impl Guard {
    /// Puts a new guard file in the place of what was there, whole or not at all.
    ///
    /// # Errors
    /// That the file cannot be written.
    pub(super) fn create(path: &Path, record: &GuardRecord) -> Result<Self, StoreError> {
        let write = || {
            let mut name = path.as_os_str().to_owned();
            name.push(".new");
            let new = PathBuf::from(name);
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&new)?;
            file.write_all(&record.bytes())?;
            file.sync_all()?;
            fs::rename(&new, path)?;
            let folder = match path.parent() {
                Some(folder) if !folder.as_os_str().is_empty() => folder,
                _ => Path::new("."),
            };
            File::open(folder)?.sync_all()?;
            Ok(file)
        };
        Ok(Self {
            file: write().map_err(|source| refused(path, source))?,
            path: path.to_owned(),
            unsynced: AtomicBool::new(false),
        })
    }

    /// Writes the counter of a lane.
    ///
    /// # Errors
    /// That the file cannot be written.
    pub(super) fn record(&self, lane: usize, commits: i64) -> Result<(), StoreError> {
        let offset = (HEADER + 8 * lane) as u64;
        self.file
            .write_all_at(&commits.to_le_bytes(), offset)
            .map_err(|source| refused(&self.path, source))?;
        self.unsynced.store(true, Ordering::Release);
        Ok(())
    }

    /// Makes what was written survive a crash of the machine.
    ///
    /// # Errors
    /// That the disk refused.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        if self.unsynced.swap(false, Ordering::AcqRel) {
            self.file
                .sync_data()
                .map_err(|source| refused(&self.path, source))?;
        }
        Ok(())
    }

    /// Syncs now and then until told to stop, and once more then.
    pub(super) async fn keep_synced(self: Arc<Self>, stop: CancellationToken) {
        loop {
            let stopped = tokio::time::timeout(SYNC_EVERY, stop.cancelled())
                .await
                .is_ok();
            if self.unsynced.load(Ordering::Acquire) {
                let guard = self.clone();
                match tokio::task::spawn_blocking(move || guard.sync()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::error!(%error, "the guard file was not synced"),
                    Err(error) => tracing::error!(%error, "the guard file was not synced"),
                }
            }
            if stopped {
                return;
            }
        }
    }
}

fn refused(path: &Path, source: io::Error) -> StoreError {
    StoreError::Guard {
        path: path.display().to_string(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_again_what_was_recorded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("guard");
        assert_eq!(GuardRecord::read(&path).unwrap(), None);
        let mut record = GuardRecord {
            database_id: [3; 16],
            commits: vec![5, 0, 7],
        };
        let guard = Guard::create(&path, &record).unwrap();
        assert_eq!(GuardRecord::read(&path).unwrap().as_ref(), Some(&record));
        guard.record(1, 9).unwrap();
        guard.sync().unwrap();
        record.commits[1] = 9;
        assert_eq!(GuardRecord::read(&path).unwrap(), Some(record));
    }

    #[test]
    fn a_file_that_is_no_guard_says_nothing() {
        assert_eq!(GuardRecord::parse(b""), None);
        assert_eq!(GuardRecord::parse(b"DBGUARD1short"), None);
        assert_eq!(GuardRecord::parse(&[0; 32]), None);
        let mut bytes = GuardRecord {
            database_id: [0; 16],
            commits: vec![1],
        }
        .bytes();
        bytes.pop();
        assert_eq!(GuardRecord::parse(&bytes), None);
    }
}
