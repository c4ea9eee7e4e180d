//! What is done to earlier messages: edits and reactions.

use ruma::EventId;
use serde_json::{Value, json};

use super::{MatrixContext, MatrixEvent, emoji::fully_qualified, notices, replacing, text};
use crate::{
    domain::{IncomingContent, IncomingMessage},
    translate::{clean_text, text::shortened},
};

/// The longest reaction, in characters.
const MAX_REACTION: usize = 100;

/// A reaction; taken back, it is none.
pub(super) fn reaction(emoji: &str, about: &MatrixContext) -> Vec<MatrixEvent> {
    let key = fully_qualified(shortened(clean_text(emoji).trim(), MAX_REACTION).trim());
    if key.is_empty() {
        return Vec::new();
    }
    let Some(target) = &about.target else {
        return notices::notice(&format!(
            "{} reacted with {key} to a message that is not in this room.",
            notices::sender(about)
        ));
    };
    let relation = json!({ "rel_type": "m.annotation", "event_id": target, "key": key });
    vec![MatrixEvent {
        kind: "m.reaction",
        content: json!({ "m.relates_to": relation }),
    }]
}

/// An edit: of the message's text, or of the text under a file. Where the message is not known, it comes anew and says so.
pub(super) fn edit(
    incoming: &IncomingMessage,
    content: &IncomingContent,
    about: &MatrixContext,
) -> Vec<MatrixEvent> {
    let (new, is_caption) = match content {
        IncomingContent::Text { body, .. } => (body.as_str(), false),
        IncomingContent::Media { caption, .. } => (caption.as_deref().unwrap_or_default(), true),
        _ => {
            return notices::notice(&format!(
                "{} changed an earlier message in a way that cannot be shown here. Open the app to see it.",
                notices::sender(about)
            ));
        }
    };
    let original = about.original.as_ref().map(|original| {
        let latest = &original["m.new_content"];
        if latest.is_object() { latest } else { original }
    });
    let file = original.filter(|original| is_file(original));
    match (&about.target, file) {
        (Some(target), Some(file)) => edited(
            caption_contents(file, new, incoming, about),
            original,
            target,
        ),
        (Some(target), None) if !is_caption => {
            edited(text::contents(new, incoming, about), original, target)
        }
        (target, _) => {
            let marked = format!("(edited) {new}");
            let answers = MatrixContext {
                reply_to: target.clone().or_else(|| about.reply_to.clone()),
                ..about.clone()
            };
            answers.related(text::contents(marked.trim_end(), incoming, about))
        }
    }
}

/// The first content as an edit of an event, the others behind it.
fn edited(
    mut contents: Vec<Value>,
    original: Option<&Value>,
    target: &EventId,
) -> Vec<MatrixEvent> {
    if let Some(first) = contents.first_mut() {
        let mentions = new_mentions(&first["m.mentions"], original);
        *first = replacing(first.take(), target, &mentions);
    }
    contents.into_iter().map(MatrixEvent::message).collect()
}

/// Those whom an edit mentions and the edited event did not (Matrix specification, "Mentioning the replied to user" and edits).
fn new_mentions(mentions: &Value, original: Option<&Value>) -> Value {
    let Some(before) = original.map(|original| &original["m.mentions"]) else {
        return json!({});
    };
    let had = |user: &Value| {
        before["user_ids"]
            .as_array()
            .is_some_and(|users| users.contains(user))
    };
    let users = mentions["user_ids"].as_array();
    let new: Vec<&Value> = users.into_iter().flatten().filter(|u| !had(u)).collect();
    if new.is_empty() {
        json!({})
    } else {
        json!({ "user_ids": new })
    }
}

fn is_file(content: &Value) -> bool {
    matches!(
        content["msgtype"].as_str(),
        Some("m.image" | "m.video" | "m.audio" | "m.file")
    )
}

/// A file's content with another text under it, or none.
fn caption_contents(
    file: &Value,
    caption: &str,
    incoming: &IncomingMessage,
    about: &MatrixContext,
) -> Vec<Value> {
    let mut content = file.clone();
    let name = [&file["filename"], &file["body"]]
        .into_iter()
        .find(|name| name.is_string())
        .cloned()
        .unwrap_or_else(|| json!("file"));
    if let Some(fields) = content.as_object_mut() {
        for field in ["m.relates_to", "format", "formatted_body"] {
            fields.remove(field);
        }
    }
    content["body"] = name.clone();
    content["filename"] = name;
    content["m.mentions"] = json!({});
    if caption.trim().is_empty() {
        return vec![content];
    }
    let mut contents = text::contents(caption, incoming, about);
    if let Some(first) = contents.first_mut() {
        for field in ["body", "format", "formatted_body", "m.mentions"] {
            if let Some(value) = first.get(field) {
                content[field] = value.clone();
            }
        }
        *first = content;
    }
    contents
}
