//! Files on their way through the gatekeeper's side: what can go wrong with one, and one that has been fetched.

use std::{io, sync::Arc};

use bytes::Bytes;
use futures_util::stream::BoxStream;

use crate::domain::file_size;

/// The bytes of a file as they come.
pub type ByteStream = BoxStream<'static, io::Result<Bytes>>;

/// Why a file cannot be had or hosted.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// It is larger than is taken.
    #[error("it is larger than {}", file_size(*.limit))]
    TooLarge {
        /// The most that is taken, in bytes.
        limit: u64,
    },
    /// The gatekeeper does not have it any more.
    #[error("it is not on the server any more")]
    Gone,
    /// What came is not what was announced: a hash, the MAC, the length or the padding is wrong.
    #[error("what came is not what was sent ({0})")]
    Corrupt(&'static str),
    /// The source that was read from failed; what it said.
    #[error("it could not be read: {0}")]
    Source(io::Error),
    /// The gatekeeper's server failed, is not there, or is too slow; trying again may help.
    #[error("the server cannot give it now: {0}")]
    Unreachable(String),
    /// The gatekeeper's server refuses it.
    #[error("the server refuses it: {0}")]
    Refused(String),
    /// The disk failed.
    #[error("it could not be stored: {0}")]
    Disk(io::Error),
}

impl MediaError {
    /// Whether the same call may work later without anybody's doing.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Source(_) | Self::Unreachable(_) | Self::Disk(_))
    }
}

/// Opens a fetched file anew, and keeps it on the disk.
pub(super) type OpenFile = Arc<dyn Fn() -> ByteStream + Send + Sync>;

/// A file that was fetched and whose ciphertext was found to be what was sent. It is gone from the disk when this and every
/// stream of its bytes are dropped.
pub struct FetchedFile {
    /// The size of the file in bytes.
    pub size: u64,
    pub(super) open: OpenFile,
}

impl FetchedFile {
    /// The file from its beginning. The stream fails before its last bytes, with [`io::ErrorKind::InvalidData`], if the file is not
    /// what was announced.
    #[must_use]
    pub fn bytes(&self) -> ByteStream {
        (self.open)()
    }
}
