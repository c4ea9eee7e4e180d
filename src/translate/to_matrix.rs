//! Messages of the gatekeeper as Matrix events.

use ruma::{EventId, OwnedEventId};
use serde_json::{Value, json};

use super::{clean_text, split_text};
use crate::domain::IncomingContent;

/// The most bytes of text put into one event. An event may have 65,536 bytes as canonical JSON (Matrix specification, "Size
/// limits"); escaping can double a cleaned text, and an edit carries it twice.
const MAX_BODY_BYTES: usize = 12_000;

/// What the translation of one message needs to know.
#[derive(Debug, Clone, Default)]
pub struct MatrixContext {
    /// The event that the message it answers is in this room.
    pub reply_to: Option<OwnedEventId>,
    /// The placeholder this message replaces, if it was shown as one before.
    pub replaces: Option<OwnedEventId>,
}

/// The contents of the `m.room.message` events that show a message, in order; never empty.
#[must_use]
pub fn to_matrix(incoming: &IncomingContent, about: &MatrixContext) -> Vec<Value> {
    let (msgtype, bodies) = match incoming {
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
    };
    bodies
        .into_iter()
        .enumerate()
        .map(|(part, body)| message(msgtype, &body, part, about))
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
