//! What the two sides show of a chat: the room as a client that knows edits, redactions and votes, the phone as its log.

use std::collections::HashMap;

use drawbridge::sandbox::content::Content;
use serde_json::Value;

use super::{
    ledger::Way,
    support::{
        homeserver::World,
        stage::{BOT, Chat, USER},
    },
};

/// How a room says that a message waits for another try.
const PLACEHOLDER: &str = "could not be decrypted";

/// The types of events that are shown as messages.
const SHOWN: [&str; 3] = [
    "m.room.message",
    "m.sticker",
    "org.matrix.msc3381.poll.start",
];

/// The events of a room by their ids.
pub(crate) type Events<'e> = HashMap<&'e str, &'e Value>;

/// A message as one side shows it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shown {
    pub(crate) id: String,
    /// What it says, as the ledger writes it.
    pub(crate) text: String,
    /// What it answers, by its id on this side.
    pub(crate) answers: Option<String>,
    /// Where its file is, if it has one.
    pub(crate) file: Option<FileAt>,
}

/// A file on one side.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum FileAt {
    /// At the homeserver.
    Matrix(String),
    /// On the phone, of this SHA-256 as its message says.
    Phone([u8; 32]),
}

/// One side of a chat.
#[derive(Debug, Default)]
pub(crate) struct Side {
    /// What came from the other side, in order, without what was deleted.
    pub(crate) came: Vec<Shown>,
    /// How many messages that came were deleted.
    pub(crate) deleted: usize,
    /// What stands there by the bridge.
    pub(crate) notices: Vec<String>,
    /// What the bridge told of failures, and other things that should not be there.
    pub(crate) troubles: Vec<String>,
    /// Messages that could not be decrypted when they came.
    pub(crate) placeholders: usize,
    /// Reactions by message and by whose they are.
    pub(crate) reactions: HashMap<(String, Way), Vec<String>>,
    /// Votes by poll and by whose they are: the texts of the options.
    pub(crate) votes: HashMap<(String, Way), Vec<String>>,
}

/// A field of a JSON object; empty if it is no text.
pub(crate) fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value[field].as_str().unwrap_or_default()
}

/// Whether an event is shown as a message, or changes one.
pub(crate) fn is_shown(event: &Value) -> bool {
    SHOWN.contains(&text(event, "type"))
}

/// Whether what an event said was deleted.
pub(crate) fn is_redacted(event: &Value) -> bool {
    event["content"]
        .as_object()
        .is_none_or(serde_json::Map::is_empty)
}

/// Whose an event in a room is.
fn way_of(event: &Value) -> Way {
    if event["sender"] == USER {
        Way::Out
    } else {
        Way::In
    }
}

fn poll_of(content: &Value) -> Option<&Value> {
    ["org.matrix.msc3381.poll.start", "m.poll"]
        .iter()
        .map(|key| &content[*key])
        .find(|poll| poll.is_object())
}

/// What the user sees in a room.
pub(crate) fn room(world: &World, room_id: &str) -> Side {
    let Some(room) = world.rooms.get(room_id) else {
        return Side::default();
    };
    let mut side = Side::default();
    let events = room.shown();
    let by_id: Events = events
        .iter()
        .map(|event| (text(event, "event_id"), *event))
        .collect();
    let newest = edits(&events, &by_id);
    for event in events {
        let kind = text(event, "type");
        match kind {
            "m.reaction" if !is_redacted(event) => {
                let relation = &event["content"]["m.relates_to"];
                let about = (text(relation, "event_id").to_owned(), way_of(event));
                let key = text(relation, "key").to_owned();
                side.reactions.entry(about).or_default().push(key);
            }
            "org.matrix.msc3381.poll.response" => vote(&mut side, &by_id, event),
            _ if is_shown(event) && event["sender"] != USER => {
                let changed = newest.get(text(event, "event_id")).copied();
                message(&mut side, event, changed);
            }
            _ => {}
        }
    }
    side
}

/// The newest content of each message that was changed.
pub(crate) fn edits<'e>(events: &[&'e Value], by_id: &Events<'e>) -> HashMap<&'e str, &'e Value> {
    let mut newest = HashMap::new();
    for event in events {
        let relation = &event["content"]["m.relates_to"];
        let of = text(relation, "event_id");
        let is_own = |edited: &&Value| edited["sender"] == event["sender"];
        if relation["rel_type"] == "m.replace" && by_id.get(of).is_some_and(is_own) {
            newest.insert(of, &event["content"]["m.new_content"]);
        }
    }
    newest
}

fn message(side: &mut Side, event: &Value, changed: Option<&Value>) {
    if is_redacted(event) {
        side.deleted += 1;
        return;
    }
    let first = &event["content"];
    if first["m.relates_to"]["rel_type"] == "m.replace" {
        return;
    }
    side.placeholders += usize::from(text(first, "body").contains(PLACEHOLDER));
    let content = changed.unwrap_or(first);
    let body = text(content, "body");
    if event["sender"] == BOT {
        side.troubles.push(body.to_owned());
    } else if content["msgtype"] == "m.notice" {
        side.notices.push(body.to_owned());
    } else {
        let answers = first["m.relates_to"]["m.in_reply_to"]["event_id"].as_str();
        side.came.push(Shown {
            id: text(event, "event_id").to_owned(),
            text: said(content),
            answers: answers.map(str::to_owned),
            file: content["url"]
                .as_str()
                .map(|url| FileAt::Matrix(url.to_owned())),
        });
    }
}

/// What a message in a room says, as the ledger writes it.
pub(crate) fn said(content: &Value) -> String {
    if let Some(poll) = poll_of(content) {
        let question = &poll["question"];
        let old = question["org.matrix.msc1767.text"].as_str();
        return old.unwrap_or(text(question, "body")).to_owned();
    }
    let body = text(content, "body");
    if content["msgtype"] == "m.location" {
        let name = text(&content["org.matrix.msc3488.location"], "description");
        let at = text(content, "geo_uri").trim_start_matches("geo:");
        return format!("{name} at {at}");
    }
    if content["url"].is_string() {
        // A body that is the file's name is no text under it.
        let named = content["filename"].is_null() || content["filename"] == content["body"];
        return if named {
            String::new()
        } else {
            body.to_owned()
        };
    }
    match body.strip_prefix("Contact: ") {
        Some(card) => card.lines().next().unwrap_or_default().to_owned(),
        None => body.to_owned(),
    }
}

/// The last vote of each person counts.
fn vote(side: &mut Side, by_id: &Events, event: &Value) {
    let poll_id = text(&event["content"]["m.relates_to"], "event_id");
    let poll = by_id
        .get(poll_id)
        .and_then(|event| poll_of(&event["content"]));
    let options = poll.and_then(|poll| poll["answers"].as_array());
    let name = |id: &Value| {
        let mut options = options.into_iter().flatten();
        let option = options.find(|option| option["id"] == *id)?;
        Some(text(option, "org.matrix.msc1767.text").to_owned())
    };
    let chosen = event["content"]["org.matrix.msc3381.poll.response"]["answers"].as_array();
    let chosen = chosen.into_iter().flatten().filter_map(name).collect();
    side.votes
        .insert((poll_id.to_owned(), way_of(event)), chosen);
}

/// What the contact sees of a chat.
pub(crate) fn phone(chat: &Chat) -> Side {
    let contact = chat.contact();
    let Some(login) = chat.login_address() else {
        return Side::default();
    };
    let mut side = Side::default();
    let way = |jid: &_| {
        if jid == contact.jid() {
            Way::In
        } else {
            Way::Out
        }
    };
    for message in contact.messages(&login) {
        for (who, emoji) in &message.reactions {
            let about = (message.id.clone(), way(who));
            side.reactions.entry(about).or_default().push(emoji.clone());
        }
        for (who, options) in &message.votes {
            let about = (message.id.clone(), way(who));
            side.votes.insert(about, options.clone());
        }
        if message.outgoing {
            continue;
        }
        if message.notice {
            // The phone notes the calls that its owner gave up.
            if !matches!(message.content, Content::Call { .. }) {
                side.troubles.push(message.text);
            }
            continue;
        }
        if message.revoked {
            side.deleted += 1;
            continue;
        }
        let mut shown = Shown {
            id: message.id,
            text: message.text,
            answers: message.quotes.map(|quote| quote.id.to_string()),
            file: None,
        };
        match message.content {
            Content::Text { .. } | Content::Poll(_) => {}
            Content::File(file) => {
                shown.file = file.remote.map(|remote| FileAt::Phone(remote.sha256));
            }
            Content::Location(place) => {
                let name = place.name.unwrap_or_default();
                shown.text = format!("{name} at {},{}", place.latitude, place.longitude);
            }
            Content::Timer { seconds } => {
                side.notices.push(format!("timer {seconds}"));
                continue;
            }
            other => {
                side.troubles.push(format!("{other:?}"));
                continue;
            }
        }
        side.came.push(shown);
    }
    side
}

/// The latest messages of others in a room, as they first were, without what was deleted.
pub(crate) fn latest(world: &World, room_id: &str, events: usize) -> Vec<Shown> {
    let mut side = Side::default();
    let Some(room) = world.rooms.get(room_id) else {
        return Vec::new();
    };
    let from = room.events.len().saturating_sub(events);
    for event in &room.events[from..] {
        let event = room.as_shown(event);
        if is_shown(event) && event["sender"] != USER {
            message(&mut side, event, None);
        }
    }
    side.came
}
