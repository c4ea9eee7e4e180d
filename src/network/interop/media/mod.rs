//! Files both ways: the login's own encrypted and hosted for the gatekeeper, received ones fetched as ciphertext and decrypted as
//! they are read.
//!
//! Invariants: a file is never whole in memory; only ciphertext is on the disk; what is fetched was checked against its MAC and
//! its hash before anybody reads it; the host it comes from is the profile's, whatever the message says; nothing stays behind of
//! what fails or is given up.

mod fetching;
mod hosting;
mod reading;
mod work;

use std::{sync::Arc, time::Duration};

pub(super) use fetching::fetch;
pub(super) use hosting::host;
pub(super) use work::WorkDir;

use super::{partner::HostedMedia, wire::media::MediaFault};
use crate::network::MediaError;

/// How many bytes are worked on at a time.
const CHUNK: usize = 64 * 1024;

/// Bytes of a block of the cipher.
const BLOCK: usize = 16;

/// Where files are kept on their way, and how long is waited for them.
pub(super) struct MediaPlaces {
    /// The files that are hosted.
    pub(super) hosted: Arc<HostedMedia>,
    /// The files that are fetched.
    pub(super) work: WorkDir,
    /// How long a server may give nothing.
    pub(super) patience: Duration,
}

fn corrupt(fault: MediaFault) -> MediaError {
    MediaError::Corrupt(fault.as_str())
}
