//! What travels: [`Outgoing`] towards the gatekeeper, [`Incoming`] towards Matrix.
//!
//! The set of kinds is closed, so every place that handles them is checked to handle all.

use serde::{Deserialize, Serialize};

use super::{ChatId, RemoteUserId, StanzaId, Timestamp};

/// A message a Matrix user sends to a chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The chat it goes to.
    pub chat: ChatId,
    /// Its id on the wire, chosen before the first try and kept over retries.
    pub id: StanzaId,
    /// What it says.
    pub content: OutgoingContent,
}

/// What an outgoing message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutgoingContent {
    /// Plain text with the gatekeeper's marks, possibly quoting an earlier message.
    Text {
        /// The text.
        body: String,
        /// The message it answers.
        quote: Option<Quote>,
    },
}

/// An earlier message that another one answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// The quoted message.
    pub id: StanzaId,
    /// Who wrote it; `None` when the login itself did.
    pub sender: Option<RemoteUserId>,
}

/// A message that came from the gatekeeper, decrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    /// The chat it is in.
    pub chat: ChatId,
    /// Who wrote it.
    pub sender: RemoteUserId,
    /// Its id on the wire.
    pub id: StanzaId,
    /// When its sender sent it, as the gatekeeper says.
    pub sent_at: Timestamp,
    /// The name the sender shows, if the stanza carried one.
    pub display_name: Option<String>,
    /// What it says.
    pub content: IncomingContent,
}

/// What an incoming message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IncomingContent {
    /// Text with the gatekeeper's marks, possibly quoting an earlier message.
    Text {
        /// The text.
        body: String,
        /// The message it answers.
        quote: Option<Quote>,
    },
    /// It could not be decrypted; another try has been asked for.
    Undecryptable,
    /// The sender's identity key changed.
    IdentityChanged,
    /// A kind of message the bridge does not carry, by the name the gatekeeper gives it.
    Unsupported {
        /// The name of the kind, in the protocol's terms.
        kind: String,
    },
}

/// How far a message got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptKind {
    /// It reached the other user's device.
    Delivered,
    /// The other user saw it.
    Read,
}

/// A receipt that came from the gatekeeper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncomingReceipt {
    /// The chat of the messages.
    pub chat: ChatId,
    /// Whose device says so.
    pub sender: RemoteUserId,
    /// How far they got.
    pub kind: ReceiptKind,
    /// The messages.
    pub ids: Vec<StanzaId>,
    /// When, as the gatekeeper says.
    pub at: Timestamp,
}

/// Why a Matrix event cannot be carried, and what its sender is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unbridgeable {
    /// A short machine-readable reason, one of the `m.bridge`-style reasons of MSC1410-like clients, such as `unsupported_event`.
    pub reason: &'static str,
    /// The sentence shown in the room; `None` for events that are silently not for the other side.
    pub notice: Option<String>,
}
