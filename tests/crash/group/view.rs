//! What each side shows of the group: the room as a client shows it, a phone as its log.

use std::collections::{BTreeMap, HashMap};

use drawbridge::sandbox::{Message, content::Content};
use serde_json::Value;

use super::{Group, STAYING, Who, label};
use crate::{
    support::{
        homeserver::World,
        stage::{BOT, Stage},
    },
    view::{FileAt, edits, is_redacted, is_shown, said, text},
};

/// How a room says that a message waits for another try.
const PLACEHOLDER: &str = "could not be decrypted";
/// How the bot begins to say that the gatekeeper refused a change.
const REFUSED: &str = "Not done at ";

/// A message as one side shows it.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) who: Who,
    pub(super) number: usize,
    pub(super) text: String,
    pub(super) file: Option<FileAt>,
    /// Who reacted, and with what.
    pub(super) reactions: BTreeMap<Who, Vec<String>>,
}

/// One side.
#[derive(Debug, Default)]
pub(super) struct Side {
    /// In order, without what was deleted.
    pub(super) seen: Vec<Seen>,
    /// What should not be there.
    pub(super) troubles: Vec<String>,
    /// How often a change of the user's was refused, which happens when both sides change the same.
    pub(super) refused: usize,
    /// Messages that could not be decrypted when they came.
    pub(super) placeholders: usize,
}

impl Side {
    /// Takes a text by its writer, if it is what they wrote.
    fn take(&mut self, who: Option<Who>, text: String) -> Option<&mut Seen> {
        match (who, label(&text)) {
            (Some(who), Some((by, number))) if who == by => {
                self.seen.push(Seen {
                    who,
                    number,
                    text,
                    file: None,
                    reactions: BTreeMap::new(),
                });
                self.seen.last_mut()
            }
            // What the preparation said.
            _ if text == "hello" => None,
            _ => {
                self.troubles.push(format!("{text:?} by {who:?}"));
                None
            }
        }
    }
}

/// What the room shows.
pub(super) fn room(world: &World, group: &Group) -> Side {
    let mut side = Side::default();
    let events = world.rooms[&group.room].shown();
    let by_id = events
        .iter()
        .map(|event| (text(event, "event_id"), *event))
        .collect();
    let newest = edits(&events, &by_id);
    let mut reactions: HashMap<&str, BTreeMap<Who, Vec<String>>> = HashMap::new();
    for event in events.iter().copied() {
        if event["type"] == "m.reaction"
            && !is_redacted(event)
            && let Some(who) = group.who_is(text(event, "sender"))
        {
            let relation = &event["content"]["m.relates_to"];
            let of = reactions.entry(text(relation, "event_id")).or_default();
            let key = text(relation, "key").to_owned();
            of.entry(who).or_default().push(key);
        }
    }
    for event in events {
        let first = &event["content"];
        let is_edit = first["m.relates_to"]["rel_type"] == "m.replace";
        if !is_shown(event) || is_redacted(event) || is_edit {
            continue;
        }
        let body = text(first, "body");
        side.placeholders += usize::from(body.contains(PLACEHOLDER));
        if event["sender"] == BOT && body.starts_with(REFUSED) {
            side.refused += 1;
            continue;
        }
        let id = text(event, "event_id");
        let content = newest.get(id).copied().unwrap_or(first);
        let who = group.who_is(text(event, "sender"));
        if let Some(seen) = side.take(who, said(content)) {
            let url = content["url"].as_str();
            seen.file = url.map(|url| FileAt::Matrix(url.to_owned()));
            seen.reactions = reactions.remove(id).unwrap_or_default();
        }
    }
    side
}

/// What a contact's phone shows.
pub(super) fn phone(group: &Group, contact: usize) -> Side {
    let mut side = Side::default();
    for message in group.contacts[contact].messages(&group.jid) {
        if message.notice {
            if !matches!(message.content, Content::Group { .. }) {
                side.troubles.push(message.text);
            }
            continue;
        }
        if message.revoked {
            continue;
        }
        let who = writer(group, contact, &message);
        let is_plain = matches!(message.content, Content::Text { .. } | Content::File(_));
        if !is_plain {
            side.troubles.push(format!("{:?}", message.content));
            continue;
        }
        let Some(seen) = side.take(who, message.text) else {
            continue;
        };
        if let Content::File(file) = message.content {
            seen.file = file.remote.map(|remote| FileAt::Phone(remote.sha256));
        }
        for (jid, emoji) in message.reactions {
            if let Some(who) = group.who_has(&jid) {
                seen.reactions.entry(who).or_default().push(emoji);
            }
        }
    }
    side
}

/// Who wrote a message on a contact's phone.
pub(super) fn writer(group: &Group, contact: usize, message: &Message) -> Option<Who> {
    match &message.sender {
        _ if message.outgoing => Some(Who::Contact(contact)),
        Some(jid) => group.who_has(jid),
        None => None,
    }
}

/// The latest messages in the room, and their ids.
pub(super) fn latest_in_room(
    world: &World,
    room: &str,
    most: usize,
) -> Vec<((Who, usize), String)> {
    let shown = |event: &&Value| is_shown(event) && !is_redacted(event);
    let events = world.rooms[room].shown().into_iter().rev().filter(shown);
    let first = events.filter(|event| event["content"]["m.relates_to"]["rel_type"].is_null());
    first
        .filter_map(|event| {
            let label = label(&said(&event["content"]))?;
            Some((label, text(event, "event_id").to_owned()))
        })
        .take(most)
        .collect()
}

/// How many messages of those who stay came over the bridge and were not deleted.
pub(super) fn arrived(stage: &Stage, group: &Group) -> usize {
    let in_room = room(&stage.homeserver.world(), group);
    let came = in_room.seen.iter().filter(|seen| seen.who != Who::User);
    let came = came.filter(|seen| seen.who.stays()).count();
    let on_phone = phone(group, STAYING - 1);
    let went = on_phone.seen.iter().filter(|seen| seen.who == Who::User);
    came + went.count()
}
