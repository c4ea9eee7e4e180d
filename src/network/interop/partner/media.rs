//! Media this bridge hosts for the gatekeepers to fetch: ciphertext, on disk, under random references, for a time.
//!
//! A file `<reference>` is its expiry in milliseconds as 8 big-endian bytes, then the ciphertext. It is written beside its
//! place and renamed, so that what is served is whole.

use std::{
    fmt,
    io::{Error, ErrorKind, SeekFrom},
    path::PathBuf,
    str::FromStr,
};

use axum::{
    body::Body,
    extract::{Path, State},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{
            ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE,
            CONTENT_TYPE, RANGE, X_CONTENT_TYPE_OPTIONS,
        },
    },
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use tokio::{
    fs,
    io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _},
};
use tokio_util::codec::{BytesCodec, FramedRead};

use super::PartnerState;
use crate::domain::Timestamp;

/// The expiry in front of the ciphertext.
const HEADER: u64 = 8;

/// Why media cannot be hosted.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// The ciphertext's source or the disk failed.
    #[error("the media cannot be stored: {0}")]
    Io(#[from] Error),
    /// There is more of it than the gatekeeper takes.
    #[error("the media have more than {0} bytes")]
    TooLarge(u64),
}

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

/// The folder of hosted media.
#[derive(Debug)]
pub struct HostedMedia {
    folder: PathBuf,
}

impl HostedMedia {
    /// Media in a folder, which is made when the first are stored.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Stores ciphertext as it comes, at most `limit` bytes of it, until it expires.
    ///
    /// # Errors
    /// Says why not; nothing stays behind then.
    pub async fn store(
        &self,
        mut ciphertext: impl Stream<Item = Result<Bytes, Error>> + Unpin,
        limit: u64,
        expires: Timestamp,
    ) -> Result<StorageReference, MediaError> {
        fs::create_dir_all(&self.folder).await?;
        let reference = StorageReference(rand::random());
        let unfinished = self.folder.join(format!("{reference}.new"));
        let written = async {
            let mut file = fs::File::create_new(&unfinished).await?;
            file.write_all(&expires.0.to_be_bytes()).await?;
            let mut length = 0u64;
            while let Some(chunk) = ciphertext.next().await {
                let chunk = chunk?;
                length = length.saturating_add(chunk.len() as u64);
                if length > limit {
                    return Err(MediaError::TooLarge(limit));
                }
                file.write_all(&chunk).await?;
            }
            file.sync_all().await?;
            Ok(fs::rename(&unfinished, self.folder.join(reference.to_string())).await?)
        }
        .await;
        if written.is_err() {
            // It may not even have been made.
            let _ = fs::remove_file(&unfinished).await;
        }
        written.map(|()| reference)
    }

    /// Deletes what has expired, and what an interrupted [`Self::store`] left. Call it while nothing is being stored.
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
            let keep = match name.to_str().map(StorageReference::from_str) {
                Some(Ok(reference)) => self.open(reference, now).await?.is_some(),
                _ => !name.to_string_lossy().ends_with(".new"),
            };
            if !keep {
                fs::remove_file(entry.path()).await?;
                deleted += 1;
            }
        }
        Ok(deleted)
    }

    /// The file, at the start of the ciphertext, and the length of that; `None` if there is none or it has expired.
    async fn open(
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

/// What part of a file is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Whole,
    /// From, up to and including.
    Range(u64, u64),
    Unsatisfiable,
}

impl Part {
    /// Reads a `Range` header (RFC 9110, 14.2). What is malformed or asks for several ranges asks for the whole.
    fn of(header: Option<&HeaderValue>, length: u64) -> Self {
        let asked = header
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("bytes="))
            .and_then(|range| range.trim().split_once('-'));
        let number = |text: &str| {
            let digits = text.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| text.parse::<u64>().ok()).flatten()
        };
        match asked {
            Some(("", last)) => match number(last) {
                Some(0) => Self::Unsatisfiable,
                Some(_) if length == 0 => Self::Unsatisfiable,
                Some(last) => Self::Range(length.saturating_sub(last), length - 1),
                None => Self::Whole,
            },
            Some((from, to)) => match (number(from), to.is_empty(), number(to)) {
                (Some(from), ..) if from >= length => Self::Unsatisfiable,
                (Some(from), true, _) => Self::Range(from, length - 1),
                (Some(from), false, Some(to)) if from <= to => {
                    Self::Range(from, to.min(length - 1))
                }
                _ => Self::Whole,
            },
            None => Self::Whole,
        }
    }
}

pub(super) async fn handle(
    State(state): State<PartnerState>,
    Path(reference): Path<String>,
    headers: HeaderMap,
) -> Result<Response, StatusCode> {
    let reference: StorageReference = reference.parse().map_err(|_| StatusCode::NOT_FOUND)?;
    let failed = |error: Error| {
        tracing::warn!(%error, "hosted media cannot be read");
        StatusCode::INTERNAL_SERVER_ERROR
    };
    let (mut file, length) = state
        .media
        .open(reference, state.now())
        .await
        .map_err(failed)?
        .ok_or(StatusCode::NOT_FOUND)?;
    let (status, from, count) = match Part::of(headers.get(RANGE), length) {
        Part::Whole => (StatusCode::OK, 0, length),
        Part::Range(from, to) => (StatusCode::PARTIAL_CONTENT, from, to - from + 1),
        Part::Unsatisfiable => {
            let range = [(CONTENT_RANGE, format!("bytes */{length}"))];
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, range).into_response());
        }
    };
    file.seek(SeekFrom::Start(HEADER + from))
        .await
        .map_err(failed)?;
    let chunks =
        FramedRead::new(file.take(count), BytesCodec::new()).map_ok(bytes::BytesMut::freeze);
    let mut response = (
        status,
        [
            (CONTENT_TYPE, "application/octet-stream"),
            (CONTENT_DISPOSITION, "attachment"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (CACHE_CONTROL, "private, no-store"),
            (ACCEPT_RANGES, "bytes"),
        ],
        Body::from_stream(chunks),
    )
        .into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(count));
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {from}-{}/{length}", from + count - 1);
        let range = HeaderValue::from_str(&range).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
        headers.insert(CONTENT_RANGE, range);
    }
    Ok(response)
}
