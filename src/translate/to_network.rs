//! Matrix events as messages of the gatekeeper.

use ruma::{
    OwnedEventId, UserId,
    events::{
        AnyMessageLikeEvent, AnyTimelineEvent, MessageLikeEvent,
        room::message::{
            MessageType, OriginalRoomMessageEvent, Relation, sanitize::remove_plain_reply_fallback,
        },
    },
};

use super::{clean_text, split_text};
use crate::domain::{
    Capabilities, MatrixMedia, MediaDetails, MessageContext, MessageRef, OutgoingContent, Quote,
    RemoteUserId, Timestamp, Unbridgeable,
};

/// The earlier events an event is about, to be looked up for the [`NetworkContext`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Targets {
    /// The event a message answers (also the thread it belongs to).
    pub reply: Option<OwnedEventId>,
    /// The event that is edited, reacted to, redacted, voted in or ended.
    pub subject: Option<OwnedEventId>,
}

/// What is known of the message an event answers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Reply {
    /// It answers none, or one that nothing is known of.
    #[default]
    None,
    /// The other side knows it.
    Known(MessageRef),
    /// It is in this room, but the other side never saw it: who wrote it, and its text.
    Foreign {
        /// The name of who wrote it.
        name: String,
        /// Its plain text.
        body: String,
    },
}

/// What is known of the event that is edited, reacted to, redacted, voted in or ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Target {
    /// The other side does not know it.
    #[default]
    Unknown,
    /// A message.
    Message {
        /// Its parts on the other side, in order, at least one.
        parts: Vec<MessageRef>,
        /// When it was sent.
        sent_at: Timestamp,
    },
    /// A reaction of the login's user: to which message.
    Reaction(MessageRef),
}

/// A poll that the bridge has carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownPoll {
    /// The poll's message.
    pub message: MessageRef,
    /// What votes are encrypted with; `None` if it is not known, so nobody can vote from here.
    pub secret: Option<[u8; 32]>,
    /// Its options: the Matrix answer id and the text, in order.
    pub options: Vec<(String, String)>,
}

/// What the translation of one event needs to know.
pub struct NetworkContext<'a> {
    /// What the gatekeeper takes.
    pub capabilities: &'a Capabilities,
    /// The gatekeeper's name, for the sentences.
    pub gatekeeper: &'a str,
    /// The message the event answers.
    pub reply: Reply,
    /// The event it is about.
    pub target: Target,
    /// The poll it is about.
    pub poll: Option<KnownPoll>,
    /// Who a mentioned Matrix user is on the other side.
    pub people: &'a (dyn Fn(&UserId) -> Option<RemoteUserId> + Sync),
    /// 32 random bytes, used for nothing else: a new poll's secret.
    pub random: [u8; 32],
}

/// One message an event is sent as.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// What it says.
    pub content: PartContent,
    /// What goes with it.
    pub context: MessageContext,
}

/// What a part says.
#[derive(Debug, Clone, PartialEq)]
pub enum PartContent {
    /// Something that is ready to be sent.
    Ready(OutgoingContent),
    /// A file that has to be hosted first.
    Media {
        /// What it is.
        details: MediaDetails,
        /// Where it is.
        source: MatrixMedia,
        /// A smaller picture of it, if the sender's client made one.
        thumbnail: Option<MatrixMedia>,
        /// The text under it, with the gatekeeper's marks.
        caption: Option<String>,
        /// The most bytes that are taken.
        limit: u64,
    },
}

/// The events an event is about.
#[must_use]
pub fn targets(event: &AnyTimelineEvent) -> Targets {
    Targets {
        reply: reply_target(event),
        subject: None,
    }
}

/// The event a message answers, if it is an answer.
fn reply_target(event: &AnyTimelineEvent) -> Option<OwnedEventId> {
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
) -> Result<Vec<Part>, Unbridgeable> {
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
) -> Result<Vec<Part>, Unbridgeable> {
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
        .map(|(part, body)| Part {
            content: PartContent::Ready(OutgoingContent::Text {
                body,
                preview: None,
            }),
            context: MessageContext {
                quote: match &context.reply {
                    Reply::Known(message) if part == 0 && context.capabilities.replies => {
                        Some(Quote {
                            message: message.clone(),
                            text: None,
                        })
                    }
                    _ => None,
                },
                ..MessageContext::default()
            },
        })
        .collect())
}

fn unsupported(context: &NetworkContext<'_>, reason: &'static str, why: &str) -> Unbridgeable {
    Unbridgeable {
        reason,
        notice: Some(format!("Not sent to {}: {why}.", context.gatekeeper)),
    }
}
