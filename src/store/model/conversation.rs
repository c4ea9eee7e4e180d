//! The rows of what a conversation carries besides its messages: reactions, polls, files, notices, and what disappears.

use serde::{Deserialize, Serialize};

use crate::domain::{AttachmentSecret, MessageRef, PortalId, RemoteUserId, Timestamp};

/// Somebody's reaction to a message; there is one a person and message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReactionRow {
    /// The portal both are in.
    pub portal: PortalId,
    /// The message.
    pub message: MessageRef,
    /// Who reacted; `None` when the login's user did.
    pub by: Option<RemoteUserId>,
    /// The reaction's event.
    pub event_id: String,
    /// The emoji or short text (sealed at rest).
    pub emoji: String,
}

/// A poll: what it takes to read and to cast votes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PollRow {
    /// The portal it is in.
    pub portal: PortalId,
    /// The message it is on the other side.
    pub message: MessageRef,
    /// The event it is.
    pub event_id: String,
    /// What its votes are encrypted with (sealed at rest).
    pub secret: Option<[u8; 32]>,
    /// The question (sealed at rest).
    pub question: String,
    /// The options, in order (sealed at rest).
    pub options: Vec<PollOption>,
    /// How many options one may choose; 0 for any number.
    pub selectable: u32,
    /// The address of the login of ours that made it, as it was then: votes are encrypted for that one (sealed at rest).
    pub author: Option<RemoteUserId>,
}

/// An option of a poll.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PollOption {
    /// Its id in the event.
    pub id: String,
    /// Its text, which is all the other side knows it by.
    pub text: String,
}

/// A file on its way to the homeserver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadRow {
    /// The address it has there, `mxc://…`, known before the file is.
    pub uri: String,
    /// Whether the homeserver has the whole of it.
    pub done: bool,
    /// What it is encrypted with, if it is: the same at every try, as another file under the same address would not be opened by it.
    pub secret: Option<AttachmentSecret>,
    /// The SHA-256 of its ciphertext, known when the homeserver has it.
    pub sha256: Option<[u8; 32]>,
}

/// A notice of the bridge that is edited when what it is about changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeRow {
    /// The event it is.
    pub event_id: String,
    /// What it says now.
    pub text: String,
}

/// An event that disappears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpiryRow {
    /// The portal it is in.
    pub portal: PortalId,
    /// The event.
    pub event_id: String,
    /// When it disappears.
    pub at: Timestamp,
}

/// What is decided for one room alone; stored as JSON. What is `None` is as the configuration says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PortalSettings {
    /// Whether read receipts are passed on.
    pub receipts: Option<bool>,
    /// Whether it is passed on that somebody writes.
    pub typing: Option<bool>,
    /// Whether it is passed on that somebody is there.
    pub presence: Option<bool>,
    /// After how many seconds messages disappear; `None` if they stay.
    pub expires_after: Option<u32>,
}

/// How far a message is of which its sender has not been told yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusReport {
    /// Its place in the order of sending.
    pub seq: i64,
    /// The portal it came from.
    pub portal: PortalId,
    /// The Matrix event it carries.
    pub event_id: String,
    /// Which part of that event, from 0.
    pub part: i64,
    /// How far it is.
    pub stage: SendStage,
    /// When it was made.
    pub created_at: Timestamp,
}

/// How far a message is on its way to the other side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendStage {
    /// The gatekeeper has it.
    Sent,
    /// The other side's device has it.
    Delivered,
    /// The gatekeeper does not take it.
    Refused {
        /// Why, and what to do, in a sentence.
        reason: String,
    },
}
