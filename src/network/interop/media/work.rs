//! The folder of fetched files: one process's, emptied when the next begins.

use std::{
    io::{Error, ErrorKind},
    path::{Path, PathBuf},
};

use tokio::fs;

/// The end of the name of every file in it.
const SUFFIX: &str = ".part";

/// The folder.
pub(in crate::network::interop) struct WorkDir {
    folder: PathBuf,
    /// Begins the names of this process's files.
    life: String,
}

impl WorkDir {
    /// A folder, which is made when the first file is.
    pub(in crate::network::interop) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            life: format!("{:032x}", rand::random::<u128>()),
        }
    }

    /// Deletes what an earlier process left.
    pub(in crate::network::interop) async fn empty(&self) -> Result<(), Error> {
        let mut entries = match fs::read_dir(&self.folder).await {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        while let Some(entry) = entries.next_entry().await? {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.ends_with(SUFFIX) && !name.starts_with(&self.life) {
                fs::remove_file(entry.path()).await?;
            }
        }
        Ok(())
    }

    /// A new file that only this user can read.
    pub(super) async fn create(&self) -> Result<(WorkFile, fs::File), Error> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)
            .await?;
        let name = format!("{}-{:032x}{SUFFIX}", self.life, rand::random::<u128>());
        let place = WorkFile(self.folder.join(name));
        let file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&place.0)
            .await?;
        Ok((place, file))
    }
}

/// A file of the folder, deleted when this is dropped.
pub(super) struct WorkFile(PathBuf);

impl WorkFile {
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for WorkFile {
    fn drop(&mut self) {
        // It may not even have been made.
        if let Err(error) = std::fs::remove_file(&self.0)
            && error.kind() != ErrorKind::NotFound
        {
            tracing::warn!(%error, "a fetched file could not be deleted");
        }
    }
}
