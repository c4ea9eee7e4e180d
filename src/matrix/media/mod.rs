//! Files at the homeserver, which pass through as they come: none is ever held whole.
//!
//! Invariants: an address (`mxc://…`) is taken apart by its grammar and never pasted into a path; nothing but the homeserver itself
//! gets the token; who waits for bytes waits as long as some come, and no longer.

mod download;
mod error;
mod mxc;
mod outside;
mod progress;
mod upload;

use std::{
    io,
    sync::{Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
};

use bytes::Bytes;
use futures_util::stream::BoxStream;
use url::Url;

pub use download::Download;
pub use error::{DownloadError, UploadError};
pub use upload::Upload;

use super::MatrixError;
use outside::Outside;

/// The bytes of a file as they come.
pub type ByteStream = BoxStream<'static, io::Result<Bytes>>;

/// What is known about the homeserver's media repository.
pub(super) struct MediaServer {
    outside: Outside,
    /// It has no endpoint that makes an address before there is a file.
    no_create: AtomicBool,
    /// It gives files only by the older endpoint.
    legacy_download: AtomicBool,
    /// The largest file it takes, once it was asked; `u64::MAX` if it has no limit.
    limit: Mutex<Option<u64>>,
}

impl MediaServer {
    pub(super) fn new(homeserver: &Url) -> Result<Self, MatrixError> {
        Ok(Self {
            outside: Outside::new(homeserver)?,
            no_create: AtomicBool::new(false),
            legacy_download: AtomicBool::new(false),
            limit: Mutex::new(None),
        })
    }

    fn limit(&self) -> MutexGuard<'_, Option<u64>> {
        self.limit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
