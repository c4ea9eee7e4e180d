//! What happens in the linked room: its members and the group's write, answer, edit, delete, and send files.

use drawbridge::{
    domain::{MediaKind, MessageRef, RemoteUserId, StanzaId},
    sandbox::MediaToSend,
};
use rand::RngExt as _;
use serde_json::Value;

use super::{CONTACTS, From, MEMBERS, Place, Post, Relayed, place};
use crate::{
    ledger::{Kind, Written},
    support::stage::Stage,
    user::User,
    view::{is_redacted, is_shown, said, text},
};

/// The most messages that are under way.
const IN_FLIGHT: usize = 100;
/// How far back what is answered, changed and deleted lies at most, in messages.
const RECENT: usize = 8;

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Text,
    Answer,
    Edit,
    Delete,
    File,
}

/// How often each is done, of a thousand.
const MIXTURE: [(Act, u32); 5] = [
    (Act::Text, 600),
    (Act::Answer, 150),
    (Act::Edit, 120),
    (Act::Delete, 80),
    (Act::File, 50),
];

impl Relayed {
    /// Whether so much is under way that nothing more is written.
    pub(crate) fn is_full(&mut self, stage: &Stage) -> bool {
        let phones = self.from_phones.iter().flatten();
        let all = self.from_room.iter().chain(phones);
        let standing = all.filter(|post| !post.is_deleted).count();
        if standing > self.arrived + IN_FLIGHT {
            self.arrived = self.count_arrived(stage);
        }
        standing > self.arrived + IN_FLIGHT
    }

    /// Does something; what it was.
    pub(crate) async fn anything(&mut self, stage: &Stage) -> &'static str {
        let act = crate::mixture::pick(&MIXTURE, &mut self.rng);
        let from = if self.rng.random_bool(0.6) {
            From::Room
        } else {
            From::Phone(self.rng.random_range(0..CONTACTS))
        };
        self.act(stage, from, act).await
    }

    /// Does one thing; a text is written where that cannot be done now.
    async fn act(&mut self, stage: &Stage, from: From, act: Act) -> &'static str {
        let done = match act {
            Act::Text => None,
            Act::Answer => self.answer(stage, from).await,
            Act::Edit => self.edit(stage, from).await,
            Act::Delete => self.delete(stage, from).await,
            Act::File => Some(self.file(stage, from).await),
        };
        let done = match done {
            Some(done) => done,
            None => self.text(stage, from, None).await,
        };
        match from {
            From::Room => done.0,
            From::Phone(_) => done.1,
        }
    }

    /// Everybody writes once more; how many that are.
    pub(crate) async fn last_texts(&mut self, stage: &Stage) -> usize {
        for from in std::iter::repeat_n(From::Room, MEMBERS.len()).chain(phones()) {
            self.text(stage, from, None).await;
        }
        MEMBERS.len() + CONTACTS
    }

    /// A member of the room: those for whom the login speaks more often.
    fn somebody(&mut self) -> usize {
        self.rng.random_range(0..MEMBERS.len())
    }

    fn user<'s>(&self, stage: &'s Stage, by: usize) -> User<'s> {
        User::of_room(stage, &self.room, MEMBERS[by].0)
    }

    async fn text(&mut self, stage: &Stage, from: From, answers: Option<(Place, String)>) -> Done {
        let text = from.label(self.posts(from).len());
        let by = self.somebody();
        let (answered, shown) = answers.unzip();
        let id = match from {
            From::Room => self.user(stage, by).say(&text, shown.as_deref()),
            From::Phone(contact) => {
                let phone = &self.contacts[contact];
                let sent = match answered.zip(shown) {
                    None => phone.send_text(&self.address, &text).await,
                    Some((place, id)) => {
                        let author = match place.0 {
                            From::Room => &self.login,
                            From::Phone(other) => self.contacts[other].jid(),
                        };
                        let quotes = MessageRef {
                            id: StanzaId::parse(id).expect("a message has an id"),
                            sender: RemoteUserId::parse(author.to_string()).ok(),
                        };
                        phone.send_reply(&self.address, &text, quotes).await
                    }
                };
                sent.expect("a member can write")
            }
        };
        let post = Post {
            by: if from == From::Room { by } else { 0 },
            id,
            text,
            edits: 0,
            is_deleted: false,
            answers: answered,
            file: None,
        };
        self.posts_mut(from).push(post);
        ("relayed text", "linked text")
    }

    /// Answers one of the latest messages that are before somebody.
    async fn answer(&mut self, stage: &Stage, from: From) -> Option<Done> {
        let mut seen = match from {
            From::Room => self.latest_in_room(stage),
            From::Phone(contact) => self.latest_on_phone(contact),
        };
        seen.retain(|(place, _)| self.post(*place).is_some_and(|post| !post.is_deleted));
        if seen.is_empty() {
            return None;
        }
        let answered = seen.swap_remove(self.rng.random_range(0..seen.len()));
        self.text(stage, from, Some(answered)).await;
        Some(("relayed answer", "linked answer"))
    }

    async fn file(&mut self, stage: &Stage, from: From) -> Done {
        let file = self.workshop.make(MediaKind::Image, &mut self.rng);
        let (text, sha256) = (from.label(self.posts(from).len()), file.sha256);
        let by = self.somebody();
        let id = match from {
            From::Room => self.user(stage, by).send_file(file, &text).0,
            From::Phone(contact) => {
                let media = MediaToSend::bytes(file.kind, file.mime_type(), file.bytes.clone());
                let media = media.with_caption(&text);
                let sent = self.contacts[contact].send_media(&self.address, media);
                sent.await.expect("a member can send a file")
            }
        };
        let post = Post {
            by: if from == From::Room { by } else { 0 },
            id,
            text,
            edits: 0,
            is_deleted: false,
            answers: None,
            file: Some(sha256),
        };
        self.posts_mut(from).push(post);
        ("relayed file", "linked file")
    }

    /// One of the latest messages of a side.
    fn pick(&mut self, from: From, fits: impl Fn(&Post) -> bool) -> Option<usize> {
        let posts = self.posts(from).iter().enumerate().rev().take(RECENT);
        let fitting: Vec<usize> = posts
            .filter(|(_, post)| !post.is_deleted && fits(post))
            .map(|(number, _)| number)
            .collect();
        if fitting.is_empty() {
            return None;
        }
        Some(fitting[self.rng.random_range(0..fitting.len())])
    }

    async fn edit(&mut self, stage: &Stage, from: From) -> Option<Done> {
        let number = self.pick(from, |post| post.file.is_none())?;
        let post = &mut self.posts_mut(from)[number];
        post.edits += 1;
        post.text = format!("{} v{}", from.label(number), post.edits + 1);
        let (by, id, text) = (post.by, post.id.clone(), post.text.clone());
        match from {
            From::Room => {
                let mut written = Written::new(Kind::Text, text.clone());
                written.id = id;
                self.user(stage, by).edit(&written, &text);
            }
            From::Phone(contact) => {
                let edited = self.contacts[contact].edit(&self.address, &id, &text);
                edited.await.expect("a member can edit");
            }
        }
        Some(("relayed edit", "linked edit"))
    }

    async fn delete(&mut self, stage: &Stage, from: From) -> Option<Done> {
        let number = self.pick(from, |_| true)?;
        let post = &mut self.posts_mut(from)[number];
        post.is_deleted = true;
        let (by, id) = (post.by, post.id.clone());
        match from {
            From::Room => self.user(stage, by).redact(&id),
            From::Phone(contact) => {
                let deleted = self.contacts[contact].revoke(&self.address, &id);
                deleted.await.expect("a member can delete");
            }
        }
        Some(("relayed deletion", "linked deletion"))
    }

    /// The latest messages in the room, whoever wrote them, and their ids.
    fn latest_in_room(&self, stage: &Stage) -> Vec<(Place, String)> {
        let world = stage.homeserver.world();
        let is_first = |event: &&Value| {
            let relation = &event["content"]["m.relates_to"]["rel_type"];
            is_shown(event) && !is_redacted(event) && relation.is_null()
        };
        let events = world.rooms[&self.room].events[self.first..].iter().rev();
        events
            .filter(is_first)
            .filter_map(|event| {
                let place = place(&said(&event["content"]))?;
                Some((place, text(event, "event_id").to_owned()))
            })
            .take(RECENT)
            .collect()
    }

    /// The same on a phone.
    fn latest_on_phone(&self, contact: usize) -> Vec<(Place, String)> {
        let latest = self.contacts[contact].latest(&self.jid, RECENT);
        latest
            .into_iter()
            .filter(|message| !message.notice && !message.revoked)
            .filter_map(|message| {
                let said = message.text.split_once("*: ").map(|(_, said)| said);
                Some((place(said.unwrap_or(&message.text))?, message.id))
            })
            .collect()
    }
}

/// What was done, as it is called from the room and from a phone.
type Done = (&'static str, &'static str);

fn phones() -> impl Iterator<Item = From> {
    (0..CONTACTS).map(From::Phone)
}
