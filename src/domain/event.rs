//! What travels: [`Outgoing`] towards the gatekeeper, [`IncomingMessage`] towards Matrix.
//!
//! The set of kinds is closed, so every place that handles them is checked to handle all.

use serde::{Deserialize, Serialize};

use super::{ChatId, MediaDetails, MediaKind, RemoteMedia, RemoteUserId, StanzaId};

/// A message of a chat.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MessageRef {
    /// Its id on the wire.
    pub id: StanzaId,
    /// Who wrote it; `None` when the login itself did.
    pub sender: Option<RemoteUserId>,
}

/// An earlier message that another one answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// Which.
    pub message: MessageRef,
    /// What it says, as whoever quotes it says; shown only where the message itself cannot be pointed at.
    pub text: Option<String>,
}

/// What a message says besides its content (`ContextInfo` on the wire).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MessageContext {
    /// The message it answers.
    pub quote: Option<Quote>,
    /// The users it mentions, named in its text as `@` and the user part of the address.
    pub mentions: Vec<RemoteUserId>,
    /// Whether the login itself is mentioned, by its own address in the text (only towards Matrix).
    pub mentions_login: bool,
    /// Whether everybody in the chat is mentioned.
    pub mentions_room: bool,
    /// After how many seconds it is to disappear.
    pub expires_after: Option<u32>,
}

/// A message a Matrix user sends to a chat.
#[derive(Debug, Clone, PartialEq)]
pub struct Outgoing {
    /// The chat it goes to.
    pub chat: ChatId,
    /// Its id on the wire, chosen before the first try and kept over retries.
    pub id: StanzaId,
    /// What it says.
    pub content: OutgoingContent,
    /// What goes with it.
    pub context: MessageContext,
}

/// What an outgoing message says.
#[derive(Debug, Clone, PartialEq)]
pub enum OutgoingContent {
    /// Text with the gatekeeper's marks.
    Text {
        /// The text.
        body: String,
        /// What a link in it leads to.
        preview: Option<LinkPreview>,
    },
    /// A file that is hosted as ciphertext.
    Media {
        /// What it is.
        details: MediaDetails,
        /// Where it is.
        file: RemoteMedia,
        /// The text under it, with the gatekeeper's marks.
        caption: Option<String>,
    },
    /// A reaction, in the place of an earlier one of the login to the same message; empty takes it back.
    Reaction {
        /// To what.
        target: MessageRef,
        /// The emoji or short text.
        emoji: String,
    },
    /// A new text for a message of the login's own.
    Edit {
        /// Which.
        target: StanzaId,
        /// Its text from now on, with the gatekeeper's marks.
        body: String,
        /// What kind of file the text is the caption of, if it is one's.
        caption_of: Option<MediaKind>,
    },
    /// A message is deleted for everybody: one of the login's own, or somebody else's in a group it is an admin of.
    Revoke {
        /// Which.
        target: MessageRef,
    },
    /// A place.
    Location(Location),
    /// Contact cards, at least one.
    Contacts(Vec<ContactCard>),
    /// A poll.
    Poll(Poll),
    /// A vote, in the place of an earlier one of the login in the same poll.
    PollVote {
        /// The poll.
        poll: MessageRef,
        /// The poll's secret.
        secret: [u8; 32],
        /// The texts of the chosen options; none takes the vote back.
        choices: Vec<String>,
    },
    /// From now on messages of the chat disappear after this many seconds; 0 ends that.
    Timer {
        /// How many.
        seconds: u32,
    },
}

/// A page a message links to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkPreview {
    /// Its address, as it is in the text.
    pub url: String,
    /// Its title.
    pub title: Option<String>,
    /// A sentence about it.
    pub description: Option<String>,
    /// A small JPEG.
    pub thumbnail: Option<Vec<u8>>,
}

/// A place.
#[derive(Debug, Clone, PartialEq)]
pub struct Location {
    /// Degrees north, -90 to 90.
    pub latitude: f64,
    /// Degrees east, -180 to 180.
    pub longitude: f64,
    /// How exact that is, in metres.
    pub accuracy: Option<u32>,
    /// What is there.
    pub name: Option<String>,
    /// Its postal address.
    pub address: Option<String>,
    /// Whether it is the first of a position that keeps being told.
    pub live: bool,
}

/// Somebody's contact card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactCard {
    /// Whose.
    pub name: String,
    /// The card as a vCard (RFC 6350).
    pub vcard: String,
}

/// A poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poll {
    /// The question.
    pub question: String,
    /// The options, in order, each different.
    pub options: Vec<String>,
    /// How many options one may choose; 0 for any number.
    pub selectable: u32,
    /// What votes are encrypted with; without it nobody can vote from here.
    pub secret: Option<[u8; 32]>,
}

/// A vote as it travels, encrypted with its poll's secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncryptedVote {
    /// The ciphertext with its tag.
    pub payload: Vec<u8>,
    /// The nonce, 12 bytes.
    pub iv: Vec<u8>,
}

/// What a decrypted message says.
#[derive(Debug, Clone, PartialEq)]
pub struct IncomingMessage {
    /// What it says.
    pub content: IncomingContent,
    /// What goes with it.
    pub context: MessageContext,
}

/// What an incoming message says.
#[derive(Debug, Clone, PartialEq)]
pub enum IncomingContent {
    /// Text with the gatekeeper's marks.
    Text {
        /// The text.
        body: String,
        /// What a link in it leads to.
        preview: Option<LinkPreview>,
    },
    /// A file.
    Media {
        /// What it is.
        details: MediaDetails,
        /// Where it is; `None` if the message does not say so in full.
        file: Option<RemoteMedia>,
        /// The text under it, with the gatekeeper's marks.
        caption: Option<String>,
    },
    /// A reaction, in the place of the sender's earlier one; empty takes it back.
    Reaction {
        /// To what.
        target: MessageRef,
        /// The emoji.
        emoji: String,
    },
    /// A message of the sender's is changed.
    Edit {
        /// Which.
        target: MessageRef,
        /// What it says from now on: text, or a file whose caption alone counts.
        content: Box<IncomingContent>,
    },
    /// A message is deleted for everybody.
    Revoke {
        /// Which.
        target: MessageRef,
    },
    /// A place.
    Location(Location),
    /// Contact cards.
    Contacts(Vec<ContactCard>),
    /// A poll.
    Poll(Poll),
    /// A vote, in the place of the sender's earlier one.
    PollVote {
        /// The poll.
        poll: MessageRef,
        /// The vote.
        vote: EncryptedVote,
    },
    /// From now on messages of the chat disappear after this many seconds; 0 ends that.
    Timer {
        /// How many.
        seconds: u32,
    },
    /// It could not be decrypted; another try has been asked for.
    Undecryptable,
    /// The sender's identity key changed.
    IdentityChanged,
    /// Somebody calls, or called in vain.
    Call {
        /// Whether with a picture.
        video: bool,
        /// Whether it is over without having been answered.
        missed: bool,
    },
    /// Something the gatekeeper itself has to say.
    GatekeeperNotice {
        /// What.
        text: String,
    },
    /// Something between the programs that no person sees.
    Nothing,
    /// A kind of message the bridge does not carry, by the name the gatekeeper gives it.
    Unsupported {
        /// The name of the kind, in the protocol's terms.
        kind: String,
    },
}

/// Whether somebody is writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Typing {
    /// They write.
    Composing,
    /// They record a voice message.
    Recording,
    /// They have stopped.
    Paused,
}

/// Why a Matrix event cannot be carried, and what its sender is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unbridgeable {
    /// A short machine-readable reason, one of the `m.bridge`-style reasons of MSC1410-like clients, such as `unsupported_event`.
    pub reason: &'static str,
    /// The sentence shown in the room; `None` for events that are silently not for the other side.
    pub notice: Option<String>,
}
