//! Texts: marks as HTML, mentions as links to users, long ones in several events.

use serde_json::{Value, json};

use super::{MatrixContext, MatrixEvent, Thumbnail};
use crate::{
    domain::{IncomingMessage, LinkPreview},
    translate::{
        clean_text, encrypted_file,
        markup::{self, People, Shown},
        split_text,
        text::shortened,
    },
};

/// The most bytes of a body and of its HTML.
const MAX_BODY_BYTES: usize = 12_000;
/// The most bytes of both as JSON. An event may have 65,536 bytes, and an edit carries both twice.
const MAX_JSON_BYTES: usize = 26_000;
/// How much of a quoted message is shown, in characters.
const MAX_QUOTE: usize = 300;
/// The longest title and description of a link, in characters.
const MAX_PREVIEW: usize = 1_000;

/// The events of a text message.
pub(super) fn events(
    incoming: &IncomingMessage,
    body: &str,
    preview: Option<&LinkPreview>,
    about: &MatrixContext,
) -> Vec<MatrixEvent> {
    let quoted = with_quote(body, incoming, about);
    let mut contents = contents(&quoted, incoming, about);
    if let (Some(first), Some(preview)) = (contents.first_mut(), preview) {
        first["com.beeper.linkpreviews"] = json!([link_preview(preview, about.preview.as_ref())]);
    }
    about.related(contents)
}

/// A text as the contents of messages, at least one.
pub(super) fn contents(
    text: &str,
    incoming: &IncomingMessage,
    about: &MatrixContext,
) -> Vec<Value> {
    pieces(text, incoming, about)
        .into_iter()
        .enumerate()
        .map(|(at, piece)| {
            let mentions_room = at == 0 && incoming.context.mentions_room;
            let mut content = json!({ "msgtype": "m.text" });
            say(&mut content, piece, mentions_room);
            content
        })
        .collect()
}

/// A text in which nothing is a mark as the contents of messages.
pub(super) fn literal(text: &str) -> Vec<Value> {
    split_text(text, |piece| piece.len() <= MAX_BODY_BYTES)
        .into_iter()
        .map(|body| json!({ "msgtype": "m.text", "body": body, "m.mentions": {} }))
        .collect()
}

/// A text in pieces that an event has room for.
pub(super) fn pieces(text: &str, incoming: &IncomingMessage, about: &MatrixContext) -> Vec<Shown> {
    let people = people(incoming, about);
    let pieces = markup::split_marks(&clean_text(text), |piece| {
        piece.len() <= MAX_BODY_BYTES && fits(&markup::show(piece, &people))
    });
    pieces
        .iter()
        .map(|piece| markup::show(piece, &people))
        .collect()
}

fn fits(shown: &Shown) -> bool {
    let html = shown.html.as_deref().unwrap_or_default();
    let json = |text: &str| serde_json::to_string(text).map_or(usize::MAX, |json| json.len());
    shown.body.len() <= MAX_BODY_BYTES
        && html.len() <= MAX_BODY_BYTES
        && json(&shown.body) + json(html) <= MAX_JSON_BYTES
}

/// Puts a text into a content.
pub(super) fn say(content: &mut Value, shown: Shown, mentions_room: bool) {
    content["body"] = json!(shown.body);
    if let Some(html) = shown.html {
        content["format"] = json!("org.matrix.custom.html");
        content["formatted_body"] = json!(html);
    }
    let mut mentions = json!({});
    if !shown.mentions.is_empty() {
        mentions["user_ids"] = json!(shown.mentions);
    }
    if mentions_room {
        mentions["room"] = json!(true);
    }
    content["m.mentions"] = mentions;
}

/// A sentence with a text below it.
pub(super) fn below(sentence: &str, shown: Shown) -> Shown {
    let html = shown
        .html
        .map(|html| format!("{}<br>{html}", markup::escape(sentence)));
    Shown {
        body: format!("{sentence}\n{}", shown.body),
        html,
        mentions: shown.mentions,
    }
}

/// Who can be mentioned in a message, by what its text has behind the `@`.
fn people(incoming: &IncomingMessage, about: &MatrixContext) -> People {
    let others = incoming.context.mentions.iter().filter_map(|user| {
        let who = about.people.get(user)?;
        let address = user.as_str();
        let name = address.split_once('@').map_or(address, |(name, _)| name);
        Some((name.to_owned(), who.clone()))
    });
    let login = about
        .login
        .clone()
        .filter(|_| incoming.context.mentions_login);
    People::new(others.chain(login))
}

/// A text in front of which stands what it answers, where that cannot be pointed at. Nothing is shown of it but what the message
/// itself says.
pub(super) fn with_quote(text: &str, incoming: &IncomingMessage, about: &MatrixContext) -> String {
    let points_at_it = about.reply_to.is_some() && about.replaces.is_none();
    let quote = incoming.context.quote.as_ref().filter(|_| !points_at_it);
    let Some(quoted) = quote.and_then(|quote| quote.text.as_deref()) else {
        return text.to_owned();
    };
    // A code block's beginning in it would take in what follows.
    let quoted = clean_text(quoted).replace("```", "`");
    let quoted = shortened(quoted.trim(), MAX_QUOTE);
    if quoted.is_empty() {
        return text.to_owned();
    }
    let lines: Vec<String> = quoted.lines().map(|line| format!("> {line}")).collect();
    // An answer that quotes by itself stays apart.
    let gap = if text.starts_with("> ") { "\n" } else { "" };
    format!("{}\n{gap}{text}", lines.join("\n"))
}

/// What a link leads to (`com.beeper.linkpreviews`, MSC4095).
fn link_preview(preview: &LinkPreview, picture: Option<&Thumbnail>) -> Value {
    let url = clean_text(&preview.url);
    let mut shown = json!({ "matched_url": shortened(&url, MAX_PREVIEW), "og:url": shortened(&url, MAX_PREVIEW) });
    let texts = [
        ("og:title", &preview.title),
        ("og:description", &preview.description),
    ];
    for (key, text) in texts {
        if let Some(text) = text {
            shown[key] = json!(shortened(&clean_text(text), MAX_PREVIEW));
        }
    }
    if let Some(picture) = picture {
        match &picture.encryption {
            Some(key) => {
                shown["beeper:image:encryption"] = encrypted_file::write(&picture.uri, key);
            }
            None => shown["og:image"] = json!(picture.uri),
        }
        shown["og:image:type"] = json!(picture.mime_type);
        shown["og:image:width"] = json!(picture.width);
        shown["og:image:height"] = json!(picture.height);
        shown["matrix:image:size"] = json!(picture.size);
    }
    shown
}
