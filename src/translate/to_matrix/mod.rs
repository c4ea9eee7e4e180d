//! Messages of the gatekeeper as Matrix events.

mod cards;
mod changes;
mod emoji;
mod media;
mod notices;
mod polls;
mod text;

use std::collections::BTreeMap;

use ruma::{EventId, OwnedEventId, OwnedUserId};
use serde_json::{Value, json};

use crate::domain::{AttachmentKey, IncomingContent, IncomingMessage, RemoteUserId};

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
    /// How to decrypt it, if it is encrypted.
    pub encryption: Option<AttachmentKey>,
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
#[expect(
    clippy::large_enum_variant,
    reason = "one a message, and mostly the large one"
)]
pub enum MediaAtMatrix {
    /// It is at the homeserver.
    Uploaded {
        /// Its `mxc://` URI.
        uri: String,
        /// How to decrypt it, if it is encrypted.
        encryption: Option<AttachmentKey>,
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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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
///
/// A message that replaces its placeholder does so as an edit of it; one that cannot be an edit (a sticker, a poll, a place)
/// comes behind an edit that says so. Either way the first event is the edit.
#[must_use]
pub fn to_matrix(incoming: &IncomingMessage, about: &MatrixContext) -> Vec<MatrixEvent> {
    let events = match &incoming.content {
        IncomingContent::Text { body, preview } => {
            text::events(incoming, body, preview.as_ref(), about)
        }
        IncomingContent::Media {
            details, caption, ..
        } => media::events(incoming, details, caption.as_deref(), about),
        IncomingContent::Reaction { emoji, .. } => changes::reaction(emoji, about),
        IncomingContent::Edit { content, .. } => changes::edit(incoming, content, about),
        IncomingContent::Location(location) => cards::location(location, about),
        IncomingContent::Contacts(contacts) => cards::contacts(contacts, about),
        IncomingContent::Poll(poll) => polls::start(poll, about),
        IncomingContent::PollVote { .. } => polls::response(about),
        content => notices::of(content, about),
    };
    events.into_iter().map(fitted).collect()
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

/// The content of an edit that gives a notice by the bridge itself another text.
#[must_use]
pub fn edited_notice(body: &str, edits: &EventId) -> Value {
    replacing(bridge_notice(body, None), edits, &json!({}))
}

/// The content of an edit: the new content with what is shown by clients that know no edits around it. `mentions` are those
/// whom the edit mentions and the edited event did not.
fn replacing(content: Value, edits: &EventId, mentions: &Value) -> Value {
    let mut around = content.clone();
    // A file's name is no caption, so it is not changed into one.
    let is_name = content["filename"].is_string() && content["filename"] == content["body"];
    if let Some(body) = content["body"].as_str().filter(|_| !is_name) {
        around["body"] = json!(format!("* {body}"));
    }
    if let Some(html) = content["formatted_body"].as_str() {
        around["formatted_body"] = json!(format!("* {html}"));
    }
    around["m.mentions"] = mentions.clone();
    around["m.new_content"] = content;
    around["m.relates_to"] = json!({ "rel_type": "m.replace", "event_id": edits });
    around
}

impl MatrixEvent {
    /// A message (`m.room.message`).
    fn message(content: Value) -> Self {
        Self {
            kind: "m.room.message",
            content,
        }
    }
}

impl MatrixContext {
    /// Messages as the answer they are and in the place of their placeholder.
    fn related(&self, mut contents: Vec<Value>) -> Vec<MatrixEvent> {
        if let Some(first) = contents.first_mut() {
            match (&self.replaces, &self.reply_to) {
                (Some(placeholder), _) => {
                    let mentions = first["m.mentions"].clone();
                    *first = replacing(first.take(), placeholder, &mentions);
                }
                (None, Some(event_id)) => answering(first, event_id),
                (None, None) => {}
            }
        }
        contents.into_iter().map(MatrixEvent::message).collect()
    }

    /// An event that cannot be an edit, as the answer it is and behind an edit of its placeholder.
    fn related_below(&self, mut event: MatrixEvent) -> Vec<MatrixEvent> {
        if let Some(event_id) = &self.reply_to {
            answering(&mut event.content, event_id);
        }
        let placeholder = self
            .replaces
            .as_deref()
            .map(|placeholder| MatrixEvent::message(edited_notice("(arrived below)", placeholder)));
        placeholder.into_iter().chain([event]).collect()
    }
}

fn answering(content: &mut Value, event_id: &EventId) {
    content["m.relates_to"] = json!({ "m.in_reply_to": { "event_id": event_id } });
}

/// An event that homeservers take: one that is too large in spite of all limits on its parts says so instead.
fn fitted(event: MatrixEvent) -> MatrixEvent {
    /// An event may have 65,536 bytes with its envelope (Matrix specification, "Size limits").
    const MAX_CONTENT_BYTES: usize = 59_000;
    let size = serde_json::to_vec(&event.content).map_or(usize::MAX, |json| json.len());
    if size <= MAX_CONTENT_BYTES {
        return event;
    }
    MatrixEvent::message(bridge_notice(
        "A message arrived that is too large to be shown here. Open the app to see it.",
        None,
    ))
}
