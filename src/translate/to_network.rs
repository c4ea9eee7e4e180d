//! Matrix events as messages of the gatekeeper.

use ruma::{
    OwnedEventId,
    events::{
        AnyMessageLikeEvent, AnyTimelineEvent, MessageLikeEvent,
        room::message::{
            MessageType, OriginalRoomMessageEvent, Relation, sanitize::remove_plain_reply_fallback,
        },
    },
};

use super::{clean_text, split_text};
use crate::domain::{Capabilities, OutgoingContent, Quote, Unbridgeable};

/// What the translation of one event needs to know.
#[derive(Debug, Clone)]
pub struct NetworkContext<'a> {
    /// What the gatekeeper takes.
    pub capabilities: &'a Capabilities,
    /// The gatekeeper's name, for the sentences.
    pub gatekeeper: &'a str,
    /// The message the event answers, if it answers one the other side knows.
    pub quote: Option<Quote>,
}

/// The event a message answers, if it is an answer.
#[must_use]
pub fn reply_target(event: &AnyTimelineEvent) -> Option<OwnedEventId> {
    match &original_message(event)?.content.relates_to {
        Some(Relation::Reply(reply)) => Some(reply.in_reply_to.event_id.clone()),
        Some(Relation::Thread(thread)) if !thread.is_falling_back => {
            thread.in_reply_to.as_ref().map(|to| to.event_id.clone())
        }
        Some(Relation::Thread(thread)) => Some(thread.event_id.clone()),
        _ => None,
    }
}

/// The parts an event is sent as. An empty list means that the event is not for the other side (a member's change, a deleted
/// message) and nobody needs to be told.
///
/// # Errors
/// Why the event cannot be carried.
pub fn to_network(
    event: &AnyTimelineEvent,
    context: &NetworkContext<'_>,
) -> Result<Vec<OutgoingContent>, Unbridgeable> {
    let AnyTimelineEvent::MessageLike(event_like) = event else {
        return Ok(Vec::new());
    };
    match event_like {
        AnyMessageLikeEvent::RoomMessage(MessageLikeEvent::Original(message)) => {
            message_parts(message, context)
        }
        AnyMessageLikeEvent::RoomEncrypted(MessageLikeEvent::Original(_)) => Err(unsupported(
            context,
            "encrypted",
            "this room is encrypted, and the bridge cannot read encrypted rooms yet: use a room without encryption",
        )),
        AnyMessageLikeEvent::Reaction(MessageLikeEvent::Original(_)) => Err(unsupported(
            context,
            "reaction",
            "reactions are not carried yet",
        )),
        AnyMessageLikeEvent::Sticker(MessageLikeEvent::Original(_)) => Err(unsupported(
            context,
            "sticker",
            "stickers are not carried yet",
        )),
        AnyMessageLikeEvent::RoomRedaction(_) => Err(unsupported(
            context,
            "redaction",
            "deletions are not carried yet, the message stays on the other side",
        )),
        _ => Ok(Vec::new()),
    }
}

fn original_message(event: &AnyTimelineEvent) -> Option<&OriginalRoomMessageEvent> {
    match event {
        AnyTimelineEvent::MessageLike(AnyMessageLikeEvent::RoomMessage(
            MessageLikeEvent::Original(message),
        )) => Some(message),
        _ => None,
    }
}

fn message_parts(
    message: &OriginalRoomMessageEvent,
    context: &NetworkContext<'_>,
) -> Result<Vec<OutgoingContent>, Unbridgeable> {
    let (edited, msgtype) = match &message.content.relates_to {
        Some(Relation::Replacement(edit)) => (true, &edit.new_content.msgtype),
        _ => (false, &message.content.msgtype),
    };
    let is_answer = matches!(
        message.content.relates_to,
        Some(Relation::Reply(_) | Relation::Thread(_))
    );
    let body = match msgtype {
        MessageType::Text(text) => text.body.clone(),
        MessageType::Notice(notice) => notice.body.clone(),
        MessageType::Emote(emote) => format!("/me {}", emote.body),
        MessageType::Location(_) => {
            return Err(unsupported(
                context,
                "location",
                "locations are not carried yet",
            ));
        }
        MessageType::Audio(_)
        | MessageType::File(_)
        | MessageType::Image(_)
        | MessageType::Video(_) => {
            return Err(unsupported(
                context,
                "media",
                "files, pictures, video and audio are not carried yet",
            ));
        }
        _ => {
            return Err(unsupported(
                context,
                "unknown_message_type",
                "this kind of message is not carried",
            ));
        }
    };
    // The fallback is text the sender's client claims somebody else wrote: it is never trusted, the quote comes from our own
    // message table.
    let body = if is_answer {
        remove_plain_reply_fallback(&body)
    } else {
        &body
    };
    let mut body = clean_text(body);
    if body.trim().is_empty() {
        return Err(unsupported(context, "empty", "the message has no text"));
    }
    if edited {
        body = format!("* {body}");
    }
    let limit = context.capabilities.max_text_chars;
    let pieces = split_text(&body, |piece| piece.chars().count() <= limit);
    Ok(pieces
        .into_iter()
        .enumerate()
        .map(|(part, body)| OutgoingContent::Text {
            body,
            quote: context
                .quote
                .clone()
                .filter(|_| part == 0 && context.capabilities.replies),
        })
        .collect())
}

fn unsupported(context: &NetworkContext<'_>, reason: &'static str, why: &str) -> Unbridgeable {
    Unbridgeable {
        reason,
        notice: Some(format!("Not sent to {}: {why}.", context.gatekeeper)),
    }
}
