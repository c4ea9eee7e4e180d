//! What must be true of the linked room at the end: every message once, in order, as it was left and as its author's, on each side.

use std::collections::{BTreeMap, HashMap};

use drawbridge::sandbox::content::Content;
use serde_json::Value;

use super::{CONTACTS, From, MEMBERS, Place, Post, Relayed, place};
use crate::{
    group::ghost,
    oracle::{Hashes, Verdict},
    support::{homeserver::World, stage::Stage},
    view::{FileAt, edits, is_redacted, is_shown, said, text},
};

/// How a room says that a message waits for another try.
const PLACEHOLDER: &str = "could not be decrypted";

/// A message as one side shows it.
struct Seen {
    place: Place,
    id: String,
    text: String,
    answers: Option<String>,
    file: Option<FileAt>,
}

/// One side.
#[derive(Default)]
struct Side {
    /// What came over the bridge, in order, without what was deleted.
    seen: Vec<Seen>,
    troubles: Vec<String>,
    placeholders: usize,
}

impl Relayed {
    /// Judges the room and every phone.
    pub(crate) fn judge(&self, stage: &Stage, hashes: &Hashes, verdict: &mut Verdict) {
        let room = self.room_side(&stage.homeserver.world());
        let phones: Vec<Side> = (0..CONTACTS).map(|one| self.phone_side(one)).collect();
        verdict.undecryptable += room.placeholders;
        let phone_of = |contact: usize| From::Phone(contact);
        let from_phones: Vec<From> = (0..CONTACTS).map(phone_of).collect();
        self.compare("the linked room", &room, &from_phones, hashes, verdict);
        for (contact, phone) in phones.iter().enumerate() {
            let name = format!("phone {contact} of the linked group");
            self.compare(&name, phone, &[From::Room], hashes, verdict);
            let counters = self.contacts[contact].counters();
            verdict.undecryptable += counters.undecryptable;
            verdict.key_reuse += counters.key_reuse;
        }
    }

    /// How many messages came over the bridge and were not deleted.
    pub(super) fn count_arrived(&self, stage: &Stage) -> usize {
        let room = self.room_side(&stage.homeserver.world());
        room.seen.len() + self.phone_side(CONTACTS - 1).seen.len()
    }

    fn room_side(&self, world: &World) -> Side {
        let mut side = Side::default();
        let events = world.rooms[&self.room].shown();
        let by_id = events
            .iter()
            .map(|event| (text(event, "event_id"), *event))
            .collect();
        let newest = edits(&events, &by_id);
        for event in &events[self.first..] {
            let first = &event["content"];
            let is_edit = first["m.relates_to"]["rel_type"] == "m.replace";
            let sender = text(event, "sender");
            let is_from_here = MEMBERS.iter().any(|(member, _)| *member == sender);
            if !is_shown(event) || is_redacted(event) || is_edit || is_from_here {
                continue;
            }
            side.placeholders += usize::from(text(first, "body").contains(PLACEHOLDER));
            let id = text(event, "event_id");
            let content = newest.get(id).copied().unwrap_or(first);
            let said = said(content);
            match place(&said) {
                Some((From::Phone(by), number))
                    if self.contacts.get(by).map(|one| ghost(one.jid())).as_deref()
                        == Some(sender) =>
                {
                    side.seen.push(Seen {
                        place: (From::Phone(by), number),
                        id: id.to_owned(),
                        text: said,
                        answers: answered(first),
                        file: content["url"]
                            .as_str()
                            .map(|url| FileAt::Matrix(url.to_owned())),
                    });
                }
                _ => side.troubles.push(format!("{said:?} by {sender}")),
            }
        }
        side
    }

    fn phone_side(&self, contact: usize) -> Side {
        let mut side = Side::default();
        for message in self.contacts[contact].messages(&self.jid) {
            if message.notice {
                if !matches!(message.content, Content::Group { .. }) {
                    side.troubles.push(message.text);
                }
                continue;
            }
            let is_bridged = message.sender.as_ref() == Some(&self.login);
            if message.outgoing || message.revoked || !is_bridged {
                continue;
            }
            // What the preparation said.
            if message.text == "*Bob*: hello" {
                continue;
            }
            let words = message.text.split_once("*: ").map(|(_, said)| said);
            let Some(place @ (From::Room, _)) = place(words.unwrap_or(&message.text)) else {
                side.troubles.push(format!("{:?}", message.text));
                continue;
            };
            let file = match message.content {
                Content::Text { .. } => None,
                Content::File(file) => file.remote.map(|remote| FileAt::Phone(remote.sha256)),
                other => {
                    side.troubles.push(format!("{other:?}"));
                    continue;
                }
            };
            side.seen.push(Seen {
                place,
                id: message.id,
                text: message.text,
                answers: message.quotes.map(|quote| quote.id.to_string()),
                file,
            });
        }
        side
    }

    /// Compares one side with what was written where its messages come from.
    fn compare(
        &self,
        name: &str,
        side: &Side,
        from: &[From],
        hashes: &Hashes,
        verdict: &mut Verdict,
    ) {
        for trouble in &side.troubles {
            verdict.complain(format!("{name}: {trouble}"));
        }
        let ids: HashMap<Place, &str> = side
            .seen
            .iter()
            .map(|seen| (seen.place, seen.id.as_str()))
            .collect();
        for from in from {
            let mut times: BTreeMap<usize, usize> = BTreeMap::new();
            let mut last = None;
            for seen in side.seen.iter().filter(|seen| seen.place.0 == *from) {
                let number = seen.place.1;
                *times.entry(number).or_default() += 1;
                if last > Some(number) {
                    verdict.out_of_order += 1;
                    verdict.remark(format!("{name}: {} after {last:?}", seen.text));
                }
                last = Some(number);
                match self.post(seen.place) {
                    None => verdict.complain(format!("{name}: nobody wrote {:?}", seen.text)),
                    Some(post) if post.is_deleted => {
                        verdict.complain(format!("{name}: {:?} was deleted", seen.text));
                    }
                    Some(post) => self.compare_one(name, (post, seen), &ids, hashes, verdict),
                }
            }
            verdict.duplicated += times.values().map(|times| times - 1).sum::<usize>();
            for (number, post) in self.posts(*from).iter().enumerate() {
                if !post.is_deleted && !times.contains_key(&number) {
                    verdict.lose(&format!("{:?} on {name}", post.text));
                }
            }
        }
    }

    fn compare_one(
        &self,
        name: &str,
        (post, seen): (&Post, &Seen),
        ids: &HashMap<Place, &str>,
        hashes: &Hashes,
        verdict: &mut Verdict,
    ) {
        let wanted = match seen.place.0 {
            From::Room => Self::on_phone(post),
            From::Phone(_) => post.text.clone(),
        };
        if seen.text != wanted {
            verdict.complain(format!("{name}: {:?} is to be {wanted:?}", seen.text));
        }
        let file = match &seen.file {
            Some(FileAt::Phone(sha256)) => Some(*sha256),
            Some(FileAt::Matrix(url)) => hashes.get(url).copied(),
            None => None,
        };
        if file != post.file {
            verdict.complain(format!("{name}: {:?} has another file", seen.text));
        }
        let Some(answered) = post.answers else {
            return;
        };
        let Some(target) = self.post(answered).filter(|target| !target.is_deleted) else {
            return;
        };
        // What came over the bridge to this side has another id there than where it was written.
        let came_here = matches!(answered.0, From::Room) == matches!(seen.place.0, From::Room);
        let wanted = if came_here {
            ids.get(&answered).copied()
        } else {
            Some(target.id.as_str())
        };
        // A phone has what other phones wrote under the id it has everywhere, and the room what its members wrote.
        if seen.answers.as_deref() != wanted {
            verdict.complain(format!(
                "{name}: {:?} answers {:?} and not {wanted:?}",
                seen.text, seen.answers
            ));
        }
    }
}

fn answered(content: &Value) -> Option<String> {
    let event = &content["m.relates_to"]["m.in_reply_to"]["event_id"];
    event.as_str().map(str::to_owned)
}
