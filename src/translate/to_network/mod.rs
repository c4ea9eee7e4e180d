//! Matrix events as messages of the gatekeeper.

mod changes;
mod media;
mod places;
mod polls;
mod relay;
mod state;
mod text;

pub use polls::poll_options;
pub use relay::{RelayTemplates, Relayed, relay};
use ruma::{OwnedEventId, UserId};
use serde_json::Value;

use super::{
    clean_name,
    event::{AsRoomEvent, RoomEvent, event_id, extensible_text},
    text::shortened,
};
use crate::domain::{
    Capabilities, GroupRole, MatrixMedia, MediaDetails, MessageContext, MessageRef,
    OutgoingContent, Quote, RemoteUserId, Timestamp, Unbridgeable,
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
    /// What the login that speaks is in the group; `None` in a direct chat, and where nothing depends on it.
    pub role: Option<GroupRole>,
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

impl Part {
    /// A part that is nothing but its content.
    fn plain(content: OutgoingContent) -> Self {
        Self {
            content: PartContent::Ready(content),
            context: MessageContext::default(),
        }
    }
}

impl NetworkContext<'_> {
    /// What says that a part answers a message the other side knows.
    fn quote(&self) -> Option<Quote> {
        match &self.reply {
            Reply::Known(message) if self.capabilities.replies => Some(Quote {
                message: message.clone(),
                text: None,
            }),
            _ => None,
        }
    }

    /// The refusal of an event; `why` is a clause that says what was not carried and what to do.
    fn not_sent(&self, reason: &'static str, why: &str) -> Unbridgeable {
        Unbridgeable {
            reason,
            notice: Some(format!("Not sent to {}: {why}.", self.gatekeeper)),
        }
    }
}

/// The events an event is about.
#[must_use]
pub fn targets(event: &impl AsRoomEvent) -> Targets {
    let event = event.as_room_event();
    let relation = &event.content["m.relates_to"];
    let related = event_id(&relation["event_id"]);
    match (event.kind.as_str(), relation["rel_type"].as_str()) {
        ("m.room.redaction", _) => Targets {
            reply: None,
            subject: event.redacts.clone(),
        },
        (_, Some("m.replace" | "m.annotation" | "m.reference")) => Targets {
            reply: None,
            subject: related,
        },
        (_, rel_type) => Targets {
            reply: reply_target(relation, rel_type == Some("m.thread")),
            subject: None,
        },
    }
}

/// The event a message answers. A message of a thread that answers nothing in it answers the thread's first message.
fn reply_target(relation: &Value, is_thread: bool) -> Option<OwnedEventId> {
    let answered = event_id(&relation["m.in_reply_to"]["event_id"]);
    if !is_thread {
        return answered;
    }
    if relation["is_falling_back"].as_bool() == Some(true) {
        return event_id(&relation["event_id"]);
    }
    answered.or_else(|| event_id(&relation["event_id"]))
}

/// The parts an event is sent as. An empty list means that the event is not for the other side (a member's change, a deleted
/// message) and nobody needs to be told.
///
/// # Errors
/// Why the event cannot be carried. The reasons are `call`, `empty`, `encrypted`, `malformed`, `malformed_file`, `not_own`,
/// `reaction`, `too_large`, `too_old`, `unknown_target`, `unsupported_event`, `unsupported_media` and `unsupported_timer`.
pub fn to_network(
    event: &impl AsRoomEvent,
    context: &NetworkContext<'_>,
) -> Result<Vec<Part>, Unbridgeable> {
    let event = event.as_room_event();
    if event.is_redacted {
        return Ok(Vec::new());
    }
    if event.is_state {
        return state::parts(&event, context);
    }
    if event.kind == "m.room.redaction" {
        return changes::redaction(&event, context);
    }
    if event
        .content
        .as_object()
        .is_none_or(serde_json::Map::is_empty)
    {
        return Ok(Vec::new());
    }
    let is_edit = event.content["m.relates_to"]["rel_type"] == "m.replace";
    match event.kind.as_str() {
        "m.room.message" if is_edit => changes::edit(&event, context),
        "m.room.message" => message(&event.content, context),
        "m.sticker" => media::parts(&event.content, context),
        "m.reaction" => changes::reaction(&event.content, context),
        "m.poll.start" | "org.matrix.msc3381.poll.start" if is_edit => Err(context.not_sent(
            "unsupported_event",
            "a poll cannot be changed there, it stays as it was. Close it and make a new one instead",
        )),
        "m.poll.start" | "org.matrix.msc3381.poll.start" => polls::start(&event.content, context),
        "m.poll.response" | "org.matrix.msc3381.poll.response" => {
            polls::response(&event.content, context)
        }
        "m.poll.end" | "org.matrix.msc3381.poll.end" => polls::end(&event.content, context),
        "m.room.encrypted" => Err(context.not_sent(
            "encrypted",
            "this room is encrypted, and the bridge cannot read encrypted rooms yet: use a room without encryption",
        )),
        "m.call.invite" | "m.rtc.notification" | "org.matrix.msc4075.rtc.notification" => {
            Err(context.not_sent("call", "calls are not carried. Call in the app instead"))
        }
        _ => unknown(&event, context),
    }
}

fn message(content: &Value, context: &NetworkContext<'_>) -> Result<Vec<Part>, Unbridgeable> {
    match content["msgtype"].as_str().unwrap_or_default() {
        "m.text" | "m.notice" | "m.emote" => text::parts(content, context),
        "m.image" | "m.video" | "m.audio" | "m.file" => media::parts(content, context),
        "m.location" => places::parts(content, context),
        other => Err(unsupported(other, context)),
    }
}

/// Events without a name here: those that people see are refused by name, the others are the programs' own.
fn unknown(event: &RoomEvent, context: &NetworkContext<'_>) -> Result<Vec<Part>, Unbridgeable> {
    let is_seen = event.content["body"].is_string() || extensible_text(&event.content).is_some();
    if is_seen {
        Err(unsupported(&event.kind, context))
    } else {
        Ok(Vec::new())
    }
}

fn unsupported(kind: &str, context: &NetworkContext<'_>) -> Unbridgeable {
    let name = shortened(&clean_name(kind), 60);
    let name = if name.is_empty() { "?" } else { &name };
    context.not_sent(
        "unsupported_event",
        &format!("messages of the kind “{name}” are not carried. Say it in a text message instead"),
    )
}
