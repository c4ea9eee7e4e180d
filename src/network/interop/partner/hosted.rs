//! Media this bridge hosts for the gatekeepers: ciphertext, on disk, under random references, for a time.
//!
//! A file `<reference>` is its expiry in milliseconds as 8 big-endian bytes, then the ciphertext. It is written beside its
//! place and renamed, so that what is served is whole.

use std::{
    collections::HashSet,
    fmt,
    io::{Error, ErrorKind},
    path::PathBuf,
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    fs,
    io::{AsyncReadExt as _, AsyncWriteExt as _},
};

use crate::domain::Timestamp;

/// The expiry in front of the ciphertext.
pub(super) const HEADER: u64 = 8;

/// What is behind the reference while the file is being written.
const UNFINISHED: &str = ".new";

/// What hosted media are found by: 128 random bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct StorageReference(u128);

impl fmt::Display for StorageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for StorageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StorageReference(..)")
    }
}

impl FromStr for StorageReference {
    type Err = Error;

    /// Only the one text [`fmt::Display`] writes, so that no path hides in it.
    fn from_str(text: &str) -> Result<Self, Error> {
        let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() != 32 || !text.bytes().all(digit) {
            return Err(Error::from(ErrorKind::InvalidInput));
        }
        u128::from_str_radix(text, 16)
            .map(Self)
            .map_err(|_| Error::from(ErrorKind::InvalidInput))
    }
}

/// The folder of hosted media. One process has one of it.
#[derive(Debug)]
pub struct HostedMedia {
    folder: PathBuf,
    /// What is being written at the moment; the sweep leaves it alone.
    unfinished: Arc<Mutex<HashSet<StorageReference>>>,
}

impl HostedMedia {
    /// Media in a folder, which is made when the first are stored.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            unfinished: Arc::default(),
        }
    }

    /// Begins a file that is kept until it expires.
    ///
    /// # Errors
    /// The disk's.
    pub async fn create(&self, expires: Timestamp) -> Result<Hosting, Error> {
        fs::create_dir_all(&self.folder).await?;
        let reference = StorageReference(rand::random());
        let place = Place::new(self, reference);
        let mut file = fs::File::create_new(&place.path).await?;
        file.write_all(&expires.0.to_be_bytes()).await?;
        Ok(Hosting { file, place })
    }

    /// Deletes what has expired, and what an earlier process left unfinished.
    ///
    /// # Errors
    /// The disk's.
    pub async fn sweep(&self, now: Timestamp) -> Result<usize, Error> {
        let mut entries = match fs::read_dir(&self.folder).await {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(error),
        };
        let mut deleted = 0;
        while let Some(entry) = entries.next_entry().await? {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let keep = match (name.parse(), name.strip_suffix(UNFINISHED)) {
                (Ok(reference), _) => self.open(reference, now).await?.is_some(),
                (Err(_), Some(name)) => name
                    .parse()
                    .is_ok_and(|reference| self.is_unfinished(reference)),
                (Err(_), None) => true,
            };
            if keep {
                continue;
            }
            match fs::remove_file(entry.path()).await {
                Ok(()) => deleted += 1,
                // It was finished, or given up, since the folder was read.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(deleted)
    }

    fn is_unfinished(&self, reference: StorageReference) -> bool {
        self.unfinished
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(&reference)
    }

    /// The file, at the start of the ciphertext, and the length of that; `None` if there is none or it has expired.
    pub(super) async fn open(
        &self,
        reference: StorageReference,
        now: Timestamp,
    ) -> Result<Option<(fs::File, u64)>, Error> {
        let mut file = match fs::File::open(self.folder.join(reference.to_string())).await {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if file.read_i64().await? <= now.0 {
            return Ok(None);
        }
        let length = file.metadata().await?.len() - HEADER;
        Ok(Some((file, length)))
    }
}

/// A file that is being written. Nothing of it stays if it is dropped before it is finished.
#[derive(Debug)]
pub struct Hosting {
    file: fs::File,
    place: Place,
}

impl Hosting {
    /// Adds ciphertext.
    ///
    /// # Errors
    /// The disk's.
    pub async fn write(&mut self, ciphertext: &[u8]) -> Result<(), Error> {
        self.file.write_all(ciphertext).await
    }

    /// Makes the file durable and lets it be found.
    ///
    /// # Errors
    /// The disk's.
    pub async fn finish(mut self) -> Result<StorageReference, Error> {
        self.file.flush().await?;
        self.file.sync_all().await?;
        let reference = self.place.reference;
        let folder = self.place.path.with_file_name("");
        fs::rename(&self.place.path, folder.join(reference.to_string())).await?;
        self.place.taken = true;
        // The new name has to survive a power cut too.
        fs::File::open(&folder).await?.sync_all().await?;
        Ok(reference)
    }
}

/// Where an unfinished file is.
#[derive(Debug)]
struct Place {
    reference: StorageReference,
    path: PathBuf,
    unfinished: Arc<Mutex<HashSet<StorageReference>>>,
    /// Whether nothing is there any more.
    taken: bool,
}

impl Place {
    fn new(media: &HostedMedia, reference: StorageReference) -> Self {
        let place = Self {
            reference,
            path: media.folder.join(format!("{reference}{UNFINISHED}")),
            unfinished: media.unfinished.clone(),
            taken: false,
        };
        place
            .unfinished
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(reference);
        place
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.taken {
            // It may not even have been made.
            let _ = std::fs::remove_file(&self.path);
        }
        self.unfinished
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.reference);
    }
}
