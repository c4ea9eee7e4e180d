//! Why the sandbox could not do something.

use super::{contacts::FileError, disk::DiskError};
use crate::network::interop::wire::noise::NoiseError;

/// Why the sandbox could not do something.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// Its folder or database could not be used.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// An address could not be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: String,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The page and the registration of phones have no password, so they may be on the loopback interface alone.
    #[error("{0} is not a loopback address: the sandbox listens on this machine alone")]
    NotLoopback(String),
    /// The HTTP client could not be made.
    #[error("the HTTP client could not be made: {0}")]
    Http(String),
    /// All numbers reserved for fiction are in use.
    #[error("all the sandbox's phone numbers are in use")]
    NoNumbers,
    /// There is no such contact.
    #[error("the sandbox has no such contact")]
    NoContact,
    /// The options name a Partner with the number of the one the sandbox would play.
    #[error(
        "the sandbox does not play a Partner of its own: its options name one with the same number"
    )]
    NotPlayed,
    /// A user of the Partner the sandbox plays could not be enlisted.
    #[error("the Partner's user could not be enlisted: {0}")]
    Enlistment(String),
    /// What is to be shown as a picture is none.
    #[error("a picture is a JPEG of at most 256 KiB")]
    Picture,
    /// Somebody a contact cannot write to.
    #[error("{0:?} is nobody a contact can write to")]
    Recipient(String),
    /// A contact's phone could not be registered.
    #[error("the phone could not be registered: {0}")]
    Registration(String),
    /// What is to be changed, or voted in, is not there.
    #[error("the chat has no such message")]
    NoMessage,
    /// The gatekeeper refused what a contact asked for.
    #[error("the gatekeeper refused it with code {0}")]
    Refused(u16),
    /// The contact's phone is to stay away.
    #[error("the contact's phone is switched off: switch it on first")]
    Offline,
    /// A file cannot be had or sent.
    #[error(transparent)]
    File(#[from] FileError),
    /// The sandbox or the contact is shut down.
    #[error("the sandbox is shut down")]
    Closed,
    /// Nothing came of what was waited for.
    #[error("what was waited for did not happen in time")]
    Deadline,
}

/// Why a connection to the chat server ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum LineError {
    /// The other side closed it, or it broke.
    #[error("the connection broke: {0}")]
    Io(#[from] std::io::Error),
    /// The other side closed it.
    #[error("the connection was closed")]
    Closed,
    /// The other side was silent for too long.
    #[error("the other side was silent for too long")]
    Silent,
    /// What came is not the protocol.
    #[error("{0}")]
    Protocol(&'static str),
    /// The handshake or a frame failed.
    #[error(transparent)]
    Noise(#[from] NoiseError),
}
