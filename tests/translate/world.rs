//! What the cases share: events, contexts, and results written as a person can review them.

use std::{collections::BTreeMap, fmt::Write};

use drawbridge::{
    domain::{
        Capabilities, GroupRole, IncomingContent, IncomingMessage, MessageContext, MessageRef,
        OutgoingContent, Quote, RemoteUserId, StanzaId, Timestamp,
    },
    translate::{
        Appearance, KnownPoll, MatrixContext, NetworkContext, Part, PartContent, Reply, RoomEvent,
        Target, to_matrix, to_network,
    },
};
use ruma::{OwnedEventId, OwnedUserId, UserId};
use serde_json::{Value, json};

/// When the events of the cases were sent.
pub(crate) const NOW: i64 = 1_700_000_000_000;

/// An event of somebody's at [`NOW`].
pub(crate) fn event(kind: &str, content: &Value) -> RoomEvent {
    let json = json!({ "type": kind, "origin_server_ts": NOW, "content": content });
    RoomEvent::from_json(&json.to_string()).unwrap()
}

/// A message of somebody's.
pub(crate) fn message(content: &Value) -> RoomEvent {
    event("m.room.message", content)
}

/// A plain text message.
pub(crate) fn text(body: &str) -> RoomEvent {
    message(&json!({ "msgtype": "m.text", "body": body }))
}

/// A message whose HTML is this.
pub(crate) fn html(html: &str) -> RoomEvent {
    message(&json!({
        "msgtype": "m.text",
        "body": "(the plain body)",
        "format": "org.matrix.custom.html",
        "formatted_body": html,
    }))
}

pub(crate) fn user(address: &str) -> RemoteUserId {
    RemoteUserId::parse(address).unwrap()
}

/// A message of the contact's.
pub(crate) fn theirs(id: &str) -> MessageRef {
    MessageRef {
        id: StanzaId::parse(id).unwrap(),
        sender: Some(user("4915555550001@s.whatsapp.net")),
    }
}

/// A message of the login's own.
pub(crate) fn own(id: &str) -> MessageRef {
    MessageRef {
        id: StanzaId::parse(id).unwrap(),
        sender: None,
    }
}

pub(crate) fn event_id(id: &str) -> OwnedEventId {
    OwnedEventId::try_from(id).unwrap()
}

/// The ghosts `@wa_NUMBER:example.org` are the users of these numbers.
fn people(mxid: &UserId) -> Option<RemoteUserId> {
    let number = mxid.localpart().strip_prefix("wa_")?;
    Some(user(&format!("{number}@s.whatsapp.net")))
}

/// What is known of the other side when an event goes there.
pub(crate) struct There {
    pub(crate) capabilities: Capabilities,
    pub(crate) reply: Reply,
    pub(crate) target: Target,
    pub(crate) poll: Option<KnownPoll>,
    pub(crate) role: Option<GroupRole>,
}

/// The other side, knowing nothing yet.
pub(crate) fn there() -> There {
    There {
        capabilities: Capabilities::default(),
        reply: Reply::None,
        target: Target::Unknown,
        poll: None,
        role: None,
    }
}

impl There {
    pub(crate) fn with(change: impl FnOnce(&mut Self)) -> Self {
        let mut there = there();
        change(&mut there);
        there
    }

    /// The event is about messages sent some seconds before it.
    pub(crate) fn about(parts: &[MessageRef], seconds_before: i64) -> Self {
        Self::with(|there| {
            there.target = Target::Message {
                parts: parts.to_vec(),
                sent_at: Timestamp(NOW - seconds_before * 1000),
            };
        })
    }

    /// What an event becomes.
    pub(crate) fn parts(&self, event: &RoomEvent) -> Result<Vec<Part>, Value> {
        let context = NetworkContext {
            capabilities: &self.capabilities,
            gatekeeper: "WhatsApp",
            reply: self.reply.clone(),
            target: self.target.clone(),
            poll: self.poll.clone(),
            role: self.role,
            people: &people,
            random: [7; 32],
        };
        to_network(event, &context)
            .map_err(|why| json!({ "reason": why.reason, "notice": why.notice }))
    }

    /// What an event becomes, to be reviewed.
    pub(crate) fn shows(&self, event: &RoomEvent) -> Value {
        match self.parts(event) {
            Ok(parts) => parts.iter().map(part).collect(),
            Err(refusal) => refusal,
        }
    }
}

/// A part, to be reviewed.
fn part(part: &Part) -> Value {
    let mut shown = match &part.content {
        PartContent::Ready(content) => ready(content),
        PartContent::Media {
            details,
            source,
            thumbnail,
            caption,
            limit,
        } => json!({
            "media": format!("{:?}", details.kind),
            "type": details.mime_type,
            "name": details.file_name,
            "size": [details.width, details.height],
            "duration": details.duration_ms,
            "waveform": details.waveform.as_ref().map(|values| format!("{values:?}")),
            "from": source.uri,
            "encrypted": source.encryption.is_some(),
            "thumbnail": thumbnail.as_ref().map(|thumbnail| &thumbnail.uri),
            "caption": caption,
            "limit": limit,
        }),
    };
    let context = &part.context;
    if let Some(quote) = &context.quote {
        shown["answers"] = json!(quote.message.id.as_str());
    }
    if !context.mentions.is_empty() {
        shown["mentions"] = json!(context.mentions);
    }
    if context.mentions_room {
        shown["mentions"] = json!("everybody");
    }
    if let Some(fields) = shown.as_object_mut() {
        fields.retain(|_, value| !value.is_null() && *value != json!([null, null]));
    }
    shown
}

fn ready(content: &OutgoingContent) -> Value {
    match content {
        OutgoingContent::Text { body, preview } => {
            let preview = preview
                .as_ref()
                .map(|p| [Some(&p.url), p.title.as_ref(), p.description.as_ref()]);
            json!({ "text": visible(body), "preview": preview })
        }
        OutgoingContent::Reaction { target, emoji } => {
            json!({ "reaction": emoji, "to": target.id.as_str() })
        }
        OutgoingContent::Edit {
            target,
            body,
            caption_of,
        } => json!({
            "edits": target.as_str(),
            "text": visible(body),
            "caption of": caption_of.map(|kind| format!("{kind:?}")),
        }),
        OutgoingContent::Revoke { target } => match &target.sender {
            None => json!({ "deletes": target.id.as_str() }),
            Some(sender) => json!({ "deletes": target.id.as_str(), "of": sender.as_str() }),
        },
        OutgoingContent::Poll(poll) => json!({
            "poll": poll.question,
            "options": poll.options,
            "selectable": poll.selectable,
            "secret": poll.secret == Some([7; 32]),
        }),
        OutgoingContent::PollVote { poll, choices, .. } => {
            json!({ "votes": choices, "in": poll.id.as_str() })
        }
        OutgoingContent::Timer { seconds } => json!({ "timer": seconds }),
        other => json!(format!("{other:?}")),
    }
}

/// A text with its invisible characters shown.
pub(crate) fn visible(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars() {
        match c {
            '\u{200b}' | '\u{202e}' | '\u{feff}' => write!(shown, "<{:x}>", u32::from(c)).unwrap(),
            c => shown.push(c),
        }
    }
    shown
}

/// What is known in Matrix when a message comes there.
pub(crate) fn here() -> MatrixContext {
    let bo = Appearance {
        mxid: OwnedUserId::try_from("@wa_4915555550002:example.org").unwrap(),
        name: "Bo".to_owned(),
    };
    let ada = Appearance {
        mxid: OwnedUserId::try_from("@ada:example.org").unwrap(),
        name: "Ada".to_owned(),
    };
    MatrixContext {
        gatekeeper: "WhatsApp".to_owned(),
        sender: "Cleo".to_owned(),
        people: BTreeMap::from([(user("4915555550002@s.whatsapp.net"), bo)]),
        login: Some(("1-42".to_owned(), ada)),
        ..MatrixContext::default()
    }
}

pub(crate) fn here_with(change: impl FnOnce(&mut MatrixContext)) -> MatrixContext {
    let mut here = here();
    change(&mut here);
    here
}

/// A text of the contact's.
pub(crate) fn said(body: &str) -> IncomingMessage {
    bare(IncomingContent::Text {
        body: body.to_owned(),
        preview: None,
    })
}

/// A message with nothing around it.
pub(crate) fn bare(content: IncomingContent) -> IncomingMessage {
    IncomingMessage {
        content,
        context: MessageContext::default(),
    }
}

/// A message that answers another one, whose text it says.
pub(crate) fn answering(mut message: IncomingMessage, text: Option<&str>) -> IncomingMessage {
    message.context.quote = Some(Quote {
        message: theirs("3EB0AA"),
        text: text.map(str::to_owned),
    });
    message
}

/// What a message becomes, to be reviewed: contents of `m.room.message` alone, others with their type.
pub(crate) fn shown(message: &IncomingMessage, here: &MatrixContext) -> Value {
    to_matrix(message, here)
        .into_iter()
        .map(|event| match event.kind {
            "m.room.message" => event.content,
            kind => json!({ "type": kind, "content": event.content }),
        })
        .collect()
}
