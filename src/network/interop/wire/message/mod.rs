//! The `Message` protobuf inside the end-to-end encryption, both ways, and its padding.
//!
//! A kind of message is a file that builds and reads it; [`encode`] and [`read`] choose among them. What is read may have been
//! written by anybody: a field that is not what it should be costs that field, or makes the message
//! [`Unsupported`](crate::domain::IncomingContent::Unsupported) by the name of its kind, never more.

mod contact;
mod context;
mod encode;
mod envelope;
mod key;
mod kinds;
mod location;
mod media;
mod padding;
mod poll;
mod protocol;
mod reaction;
mod read;
mod sender_key;
mod text;
mod wrappers;

pub use encode::encode;
pub use envelope::Envelope;
pub use padding::{PaddingError, pad, unpad};
pub use read::read;
pub use sender_key::{distribution, distribution_in};
pub use text::text;

pub(super) use media::{media_key, with_path};

use crate::domain::{ChatId, RemoteUserId, Timestamp};

/// The longest `Message` that is looked into. The longest text has 256 KiB, a quote and a small picture come on top; what is small
/// in bytes can be some 300 times as large in memory, so longer ones are refused.
pub(super) const MAX_LENGTH: usize = 384 * 1024;

/// What an outgoing message says besides its content: to whom, as whom, when, and a nonce for what is encrypted inside it.
#[derive(Debug, Clone, Copy)]
pub struct Encoding<'a> {
    /// The chat.
    pub chat: &'a ChatId,
    /// The login's own address at the gatekeeper.
    pub own: &'a str,
    /// The present.
    pub now: Timestamp,
    /// A nonce that is used once.
    pub nonce: [u8; 12],
}

/// Whose message is read, and by whom.
#[derive(Debug, Clone, Copy)]
struct Reading<'a> {
    /// Who wrote it.
    sender: &'a RemoteUserId,
    /// What the gatekeeper calls the login.
    own: &'a str,
}
