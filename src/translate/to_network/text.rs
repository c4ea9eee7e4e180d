//! Texts: formatted, mentioning, quoting what the other side never saw, split where they are too long.

use ruma::{OwnedUserId, events::room::message::sanitize::remove_plain_reply_fallback};
use serde_json::Value;

use super::{super::markup, NetworkContext, Part, PartContent, Reply};
use crate::{
    domain::{LinkPreview, MessageContext, OutgoingContent, RemoteUserId, Unbridgeable},
    translate::{
        clean_name, clean_text,
        markup::{Formatted, Marked},
        text::shortened,
    },
};

/// How much of a message is quoted to those who never saw it, in characters.
const MAX_QUOTE: usize = 200;
/// The longest title and description of a link, in characters.
const MAX_PREVIEW: usize = 500;

/// The parts of a text message.
pub(super) fn parts(
    content: &Value,
    context: &NetworkContext<'_>,
) -> Result<Vec<Part>, Unbridgeable> {
    let said = said(content);
    if said.is_blank() {
        return Err(context.not_sent(
            "empty",
            "the message has no text. Write some and send it again",
        ));
    }
    Ok(text_parts(said, content, context))
}

/// What a text message says.
pub(super) fn said(content: &Value) -> Formatted {
    let is_answer = content["m.relates_to"]["m.in_reply_to"].is_object();
    let body = content["body"].as_str().unwrap_or_default();
    // The fallback is text the sender's client claims somebody else wrote: it is never trusted, the quote comes from our own
    // message table.
    let body = if is_answer {
        remove_plain_reply_fallback(body)
    } else {
        body
    };
    let said = read(body, content);
    if content["msgtype"] == "m.emote" {
        said.in_italics()
    } else {
        said
    }
}

/// Reads a body, or the HTML in its place.
pub(super) fn read(body: &str, content: &Value) -> Formatted {
    if content["format"] == "org.matrix.custom.html"
        && let Some(html) = content["formatted_body"].as_str()
    {
        let formatted = markup::from_html(html);
        if !formatted.is_blank() {
            return formatted;
        }
    }
    markup::from_plain(body.trim_matches('\n'), &mentioned_ids(content))
}

fn mentioned_ids(content: &Value) -> Vec<OwnedUserId> {
    let ids = content["m.mentions"]["user_ids"].as_array();
    ids.into_iter()
        .flatten()
        .filter_map(|id| OwnedUserId::try_from(id.as_str()?).ok())
        .take(100)
        .collect()
}

/// Whether a message mentions everybody. Clients from before intentional mentions only write it.
pub(super) fn mentions_room(content: &Value) -> bool {
    match content.get("m.mentions") {
        Some(mentions) => mentions["room"].as_bool() == Some(true),
        None => content["body"].as_str().is_some_and(|body| {
            body.split(|c: char| c.is_whitespace() || ",.:;!?".contains(c))
                .any(|word| word == "@room")
        }),
    }
}

/// The message that is answered, as a quoted text, if the other side does not know it.
pub(super) fn foreign_quote(context: &NetworkContext<'_>) -> Option<Formatted> {
    let Reply::Foreign { name, body } = &context.reply else {
        return None;
    };
    let body = clean_text(body);
    let lines: Vec<&str> = body
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let beginning = shortened(&lines.join("\n"), MAX_QUOTE);
    let quote = format!("{}: {beginning}", clean_name(name));
    Some(markup::from_plain(&quote, &[]).quoted())
}

/// A text in front of which stands what it answers, if the other side does not know that.
pub(super) fn with_foreign_quote(said: Formatted, context: &NetworkContext<'_>) -> Formatted {
    match foreign_quote(context) {
        Some(quote) => quote.followed_by(said),
        None => said,
    }
}

/// The parts of a text that is a message.
pub(super) fn text_parts(
    said: Formatted,
    content: &Value,
    context: &NetworkContext<'_>,
) -> Vec<Part> {
    let mut parts = plain_parts(&with_foreign_quote(said, context), context);
    for part in &mut parts {
        if let PartContent::Ready(OutgoingContent::Text { body, preview }) = &mut part.content
            && context.capabilities.link_previews
        {
            *preview = link_preview(content, body);
        }
    }
    if let Some(first) = parts.first_mut() {
        first.context.quote = context.quote();
        first.context.mentions_room = mentions_room(content);
    }
    parts
}

/// The parts of a text that answers nothing.
pub(super) fn plain_parts(said: &Formatted, context: &NetworkContext<'_>) -> Vec<Part> {
    pieces(said, context)
        .into_iter()
        .map(|(body, mentions)| Part {
            content: PartContent::Ready(OutgoingContent::Text {
                body,
                preview: None,
            }),
            context: MessageContext {
                mentions,
                ..MessageContext::default()
            },
        })
        .collect()
}

/// A text with the gatekeeper's marks in pieces of the length it takes, each with those it mentions.
pub(super) fn pieces(
    said: &Formatted,
    context: &NetworkContext<'_>,
) -> Vec<(String, Vec<RemoteUserId>)> {
    let Marked { text, mentions } = markup::to_marks(said, context.people);
    let limit = context.capabilities.max_text_chars;
    markup::split_marks(&text, |piece| piece.chars().count() <= limit)
        .into_iter()
        .map(|piece| {
            let in_piece = mentions.iter().filter(|user| {
                let name = user.as_str().split('@').next().unwrap_or_default();
                let longer = |after: &str| after.starts_with(|c: char| c.is_ascii_alphanumeric());
                piece
                    .split(&format!("@{name}"))
                    .skip(1)
                    .any(|after| !longer(after))
            });
            let in_piece = in_piece.cloned().collect();
            (piece, in_piece)
        })
        .collect()
}

/// What the sender's client says of the first link of a text it says something of (`com.beeper.linkpreviews`, MSC4095).
fn link_preview(content: &Value, text: &str) -> Option<LinkPreview> {
    let previews = content["com.beeper.linkpreviews"].as_array()?;
    previews.iter().find_map(|preview| {
        let of = |key: &str| {
            let value = clean_text(preview[key].as_str()?);
            let value = shortened(value.trim(), MAX_PREVIEW);
            (!value.is_empty()).then_some(value)
        };
        let url = preview["matched_url"].as_str()?;
        let (title, description) = (of("og:title"), of("og:description"));
        let says_something = title.is_some() || description.is_some();
        (says_something && !url.is_empty() && text.contains(url)).then(|| LinkPreview {
            url: url.to_owned(),
            title,
            description,
            thumbnail: None,
        })
    })
}
