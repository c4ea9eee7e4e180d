//! Messages of the gatekeeper as Matrix events.

use std::collections::BTreeMap;

use ruma::{EventId, OwnedEventId, OwnedUserId};
use serde_json::{Value, json};

use super::{clean_text, split_text};
use crate::domain::{IncomingContent, IncomingMessage, RemoteUserId};

/// The most bytes of text put into one event. An event may have 65,536 bytes as canonical JSON (Matrix specification, "Size
/// limits"); escaping can double a cleaned text, and an edit carries it twice.
const MAX_BODY_BYTES: usize = 12_000;

/// A Matrix user as they are mentioned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appearance {
    /// The user id.
    pub mxid: OwnedUserId,
    /// The name shown.
    pub name: String,
}

/// A small picture that was uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thumbnail {
    /// Its `mxc://` URI.
    pub uri: String,
    /// Its MIME type.
    pub mime_type: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its width in pixels.
    pub width: u32,
    /// Its height in pixels.
    pub height: u32,
}

/// What became of a message's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaAtMatrix {
    /// It is at the homeserver.
    Uploaded {
        /// Its `mxc://` URI.
        uri: String,
        /// Its size in bytes.
        size: u64,
        /// A smaller picture of it.
        thumbnail: Option<Thumbnail>,
        /// Its `BlurHash`.
        blurhash: Option<String>,
    },
    /// It could not be had and was asked for again.
    AskedAgain,
    /// It cannot be had: why, as the end of a sentence.
    Lost(String),
    /// It is not shown, as view-once files are not carried here.
    Withheld,
}

/// What the translation of one message needs to know.
#[derive(Debug, Clone, Default)]
pub struct MatrixContext {
    /// The gatekeeper's name, for the sentences.
    pub gatekeeper: String,
    /// The sender's name, for the sentences.
    pub sender: String,
    /// The event in this room that the message answers.
    pub reply_to: Option<OwnedEventId>,
    /// The placeholder this message replaces, if it was shown as one before.
    pub replaces: Option<OwnedEventId>,
    /// The event that is edited, reacted to or voted in.
    pub target: Option<OwnedEventId>,
    /// The content of the event that is edited, if it is known.
    pub original: Option<Value>,
    /// Who [`mentioned`] users are.
    pub people: BTreeMap<RemoteUserId, Appearance>,
    /// Who the login is: what its address at the gatekeeper begins with, up to the server, and its Matrix user.
    pub login: Option<(String, Appearance)>,
    /// What became of the file.
    pub media: Option<MediaAtMatrix>,
    /// What became of the picture of a link's preview.
    pub preview: Option<Thumbnail>,
    /// The ids of the answers that are voted for; `None` if the vote could not be read.
    pub answers: Option<Vec<String>>,
}

/// One event that shows a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatrixEvent {
    /// Its type.
    pub kind: &'static str,
    /// Its content.
    pub content: Value,
}

/// The users a message mentions, to be looked up for the [`MatrixContext`].
#[must_use]
pub fn mentioned(message: &IncomingMessage) -> &[RemoteUserId] {
    &message.context.mentions
}

/// The events that show a message, in order. None where there is nothing to show: a reaction taken back, a deleted message, a vote
/// in an unknown poll.
#[must_use]
pub fn to_matrix(incoming: &IncomingMessage, about: &MatrixContext) -> Vec<MatrixEvent> {
    let (msgtype, bodies) = match &incoming.content {
        IncomingContent::Text { body, .. } => {
            let body = clean_text(body);
            ("m.text", split_text(&body, |piece| piece.len() <= MAX_BODY_BYTES))
        }
        IncomingContent::Undecryptable => (
            "m.notice",
            vec!["This message could not be decrypted yet. It was asked for again and will appear here when it comes.".to_owned()],
        ),
        IncomingContent::IdentityChanged => (
            "m.notice",
            vec!["The security code of this contact changed. That happens when they get a new phone or install the app again; if it matters, ask them in person whether it was them.".to_owned()],
        ),
        IncomingContent::Unsupported { kind } => (
            "m.notice",
            vec![format!("A message of a kind the bridge does not carry yet arrived ({}). Open the app on the other side to see it.", clean_text(kind))],
        ),
        _ => return Vec::new(),
    };
    bodies
        .into_iter()
        .enumerate()
        .map(|(part, body)| MatrixEvent {
            kind: "m.room.message",
            content: message(msgtype, &body, part, about),
        })
        .collect()
}

/// The content of a notice by the bridge itself, about an event if one is given.
#[must_use]
pub fn bridge_notice(body: &str, about: Option<&EventId>) -> Value {
    let mut content = json!({ "msgtype": "m.notice", "body": body, "m.mentions": {} });
    if let Some(event_id) = about {
        content["m.relates_to"] = json!({ "m.in_reply_to": { "event_id": event_id } });
    }
    content
}

fn message(msgtype: &str, body: &str, part: usize, about: &MatrixContext) -> Value {
    let mut content = json!({ "msgtype": msgtype, "body": body, "m.mentions": {} });
    if part > 0 {
        return content;
    }
    if let Some(placeholder) = &about.replaces {
        let new_content = content.clone();
        content["body"] = json!(format!("* {body}"));
        content["m.new_content"] = new_content;
        content["m.relates_to"] = json!({ "rel_type": "m.replace", "event_id": placeholder });
    } else if let Some(event_id) = &about.reply_to {
        content["m.relates_to"] = json!({ "m.in_reply_to": { "event_id": event_id } });
    }
    content
}
