//! What happens in the group: messages and their changes, members who come and go, admins, subjects, from both sides.

use drawbridge::{
    domain::MediaKind,
    network::interop::wire::Jid,
    sandbox::{ContactHandle, MediaToSend, Role},
};
use rand::RngExt as _;
use serde_json::{Value, json};

use super::{Group, Post, STAYING, VISITORS, Who, ghost, label, prefix, view};
use crate::{
    ledger::{Kind, Reaction, Written},
    support::stage::{Stage, USER},
    user::User,
};

/// The most messages of the group that are under way.
const IN_FLIGHT: usize = 150;
/// How far back what is changed lies at most, in messages.
const RECENT: usize = 8;
const EMOJI: [&str; 4] = ["👍", "😂", "🎉", "🔥"];

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Text,
    Edit,
    Delete,
    React,
    File,
    /// A visitor who is in the group writes.
    Visit,
    /// A visitor comes or goes.
    Member,
    Role,
    Subject,
}

/// How often each is done, of a thousand.
const MIXTURE: [(Act, u32); 9] = [
    (Act::Text, 530),
    (Act::Edit, 70),
    (Act::Delete, 40),
    (Act::React, 100),
    (Act::File, 30),
    (Act::Visit, 110),
    (Act::Member, 70),
    (Act::Role, 25),
    (Act::Subject, 25),
];

impl Group {
    /// Whether so much is under way that nothing more is written.
    pub(crate) fn is_full(&mut self, stage: &Stage) -> bool {
        let staying = self.everybody().filter(|who| who.stays());
        let standing: usize = staying
            .map(|who| {
                self.posts(who)
                    .iter()
                    .filter(|post| !post.is_deleted)
                    .count()
            })
            .sum();
        if standing > self.arrived + IN_FLIGHT {
            self.arrived = view::arrived(stage, self);
        }
        standing > self.arrived + IN_FLIGHT
    }

    /// Does something; what it was.
    pub(crate) async fn anything(&mut self, stage: &Stage) -> &'static str {
        let act = crate::mixture::pick(&MIXTURE, &mut self.rng);
        let by = if self.rng.random_bool(0.4) {
            Who::User
        } else {
            Who::Contact(self.rng.random_range(0..STAYING))
        };
        self.act(stage, by, act).await
    }

    /// Does one thing; a text is written where that cannot be done now.
    pub(crate) async fn act(&mut self, stage: &Stage, by: Who, act: Act) -> &'static str {
        let done = match act {
            Act::Text => None,
            Act::Edit => self.edit(stage, by).await,
            Act::Delete => self.delete(stage, by).await,
            Act::React => self.react(stage, by).await,
            // Files are encrypted by themselves, which is not looked at here.
            Act::File if stage.is_encrypted(&self.room) => None,
            Act::File => Some(self.file(stage, by).await),
            Act::Visit => self.visit().await,
            Act::Member => self.member(stage, by).await,
            Act::Role => self.role(stage, by).await,
            Act::Subject => Some(self.subject(stage, by).await),
        };
        match done {
            Some(done) => done,
            None => self.text(stage, by).await,
        }
    }

    /// Everybody who stays writes once more.
    pub(crate) async fn last_texts(&mut self, stage: &Stage) -> usize {
        let staying: Vec<Who> = self.everybody().filter(|who| who.stays()).collect();
        let count = staying.len();
        for who in staying {
            self.text(stage, who).await;
        }
        count
    }

    fn user<'a>(&self, stage: &'a Stage) -> User<'a> {
        User::in_room(stage, &self.room)
    }

    fn note(&mut self, by: Who, id: String, file: Option<[u8; 32]>) {
        let posts = self.posts.entry(by).or_default();
        let text = format!("{}{}", prefix(by), posts.len());
        posts.push(Post {
            id,
            text,
            edits: 0,
            is_deleted: false,
            file,
            reactions: std::collections::BTreeMap::new(),
        });
    }

    async fn text(&mut self, stage: &Stage, by: Who) -> &'static str {
        let text = format!("{}{}", prefix(by), self.posts(by).len());
        let id = match by {
            Who::User => self.user(stage).say(&text, None),
            Who::Contact(contact) => {
                let sent = self.contacts[contact].send_text(&self.address, &text);
                sent.await.expect("a member can write")
            }
        };
        self.note(by, id, None);
        "group text"
    }

    async fn file(&mut self, stage: &Stage, by: Who) -> &'static str {
        let file = self.workshop.make(MediaKind::Image, &mut self.rng);
        let text = format!("{}{}", prefix(by), self.posts(by).len());
        let sha256 = file.sha256;
        let id = match by {
            Who::User => self.user(stage).send_file(file, &text).0,
            Who::Contact(contact) => {
                let media = MediaToSend::bytes(file.kind, file.mime_type(), file.bytes.clone());
                let media = media.with_caption(&text);
                let sent = self.contacts[contact].send_media(&self.address, media);
                sent.await.expect("a member can send a file")
            }
        };
        self.note(by, id, Some(sha256));
        "group file"
    }

    async fn visit(&mut self) -> Option<&'static str> {
        let contact = STAYING + self.rng.random_range(0..VISITORS);
        let phone = &self.contacts[contact];
        let group = phone.group(&self.address)?;
        if !group.members.contains_key(phone.jid()) {
            return None;
        }
        let by = Who::Contact(contact);
        let text = format!("{}{}", prefix(by), self.posts(by).len());
        let sent = phone.send_text(&self.address, &text).await;
        self.note(by, sent.expect("a visitor can try to write"), None);
        Some("group text of a visitor")
    }

    /// One of somebody's latest messages.
    fn pick_own(&mut self, by: Who, fits: impl Fn(&Post) -> bool) -> Option<usize> {
        let posts = self.posts(by).iter().enumerate().rev().take(RECENT);
        let fitting: Vec<usize> = posts
            .filter(|(_, post)| !post.is_deleted && fits(post))
            .map(|(number, _)| number)
            .collect();
        if fitting.is_empty() {
            return None;
        }
        Some(fitting[self.rng.random_range(0..fitting.len())])
    }

    async fn edit(&mut self, stage: &Stage, by: Who) -> Option<&'static str> {
        let number = self.pick_own(by, |post| post.file.is_none())?;
        let post = self.post((by, number));
        post.edits += 1;
        post.text = format!("{}{number} v{}", prefix(by), post.edits + 1);
        let (id, text) = (post.id.clone(), post.text.clone());
        match by {
            Who::User => {
                let mut written = Written::new(Kind::Text, text.clone());
                written.id = id;
                self.user(stage).edit(&written, &text);
            }
            Who::Contact(contact) => {
                let edited = self.contacts[contact].edit(&self.address, &id, &text);
                edited.await.expect("a member can edit");
            }
        }
        Some("group edit")
    }

    async fn delete(&mut self, stage: &Stage, by: Who) -> Option<&'static str> {
        let number = self.pick_own(by, |_| true)?;
        let post = self.post((by, number));
        post.is_deleted = true;
        let id = post.id.clone();
        match by {
            Who::User => self.user(stage).redact(&id),
            Who::Contact(contact) => {
                let deleted = self.contacts[contact].revoke(&self.address, &id);
                deleted.await.expect("a member can delete");
            }
        }
        Some("group deletion")
    }

    /// One of the latest messages somebody has before them, of those who stay, and its id there.
    fn pick_seen(&mut self, stage: &Stage, by: Who) -> Option<((Who, usize), String)> {
        let seen: Vec<((Who, usize), String)> = match by {
            Who::User => view::latest_in_room(&stage.homeserver.world(), &self.room, RECENT * 2),
            Who::Contact(contact) => {
                let latest = self.contacts[contact].latest(&self.jid, RECENT * 2);
                let shown = latest
                    .into_iter()
                    .filter(|message| !message.notice && !message.revoked);
                shown
                    .filter_map(|message| Some((label(&message.text)?, message.id)))
                    .collect()
            }
        };
        let mut fitting: Vec<_> = seen
            .into_iter()
            .filter(|((who, number), _)| {
                who.stays()
                    && self
                        .posts(*who)
                        .get(*number)
                        .is_some_and(|post| !post.is_deleted)
            })
            .collect();
        if fitting.is_empty() {
            return None;
        }
        let at = self.rng.random_range(0..fitting.len());
        Some(fitting.swap_remove(at))
    }

    async fn react(&mut self, stage: &Stage, by: Who) -> Option<&'static str> {
        let (place, id) = self.pick_seen(stage, by)?;
        let emoji = EMOJI[self.rng.random_range(0..EMOJI.len())];
        let takes_back = self.rng.random_bool(0.3);
        let before = self.post(place).reactions.remove(&by);
        let is_same = before.as_ref().is_some_and(|before| before.emoji == emoji);
        let taken_back = before.is_some() && (takes_back || is_same);
        let mut events = before.map(|before| before.events).unwrap_or_default();
        match by {
            Who::User => {
                let user = self.user(stage);
                events.drain(..).for_each(|event| user.redact(&event));
                if !taken_back {
                    events.push(user.react(&id, emoji));
                }
            }
            Who::Contact(contact) => {
                let said = if taken_back { "" } else { emoji };
                let own = place.0 == by;
                let reacted = self.contacts[contact].react(&self.address, &id, own, said);
                reacted.await.expect("a member can react");
            }
        }
        if !taken_back {
            let reaction = Reaction { emoji, events };
            self.post(place).reactions.insert(by, reaction);
        }
        Some("group reaction")
    }

    /// A visitor comes or goes: the owner's doing, or the user's.
    pub(crate) async fn member(&mut self, stage: &Stage, by: Who) -> Option<&'static str> {
        let contact = STAYING + self.rng.random_range(0..VISITORS);
        let jid = self.contacts[contact].jid().clone();
        if by != Who::User {
            let (owner, group) = (self.owner(), &self.address);
            let who = std::slice::from_ref(&jid);
            let is_in = self.has(contact);
            let changed = if is_in {
                owner.remove_members(group, who).await
            } else {
                owner.add_members(group, who).await
            };
            changed.expect("the owner may change who is in the group");
            return Some(if is_in { "removal" } else { "addition" });
        }
        let ghost = ghost(&jid);
        let shown = {
            let world = stage.homeserver.world();
            world.rooms[&self.room].members.get(&ghost).cloned()
        };
        let (membership, done) = match shown.as_deref() {
            Some("join") => ("leave", "kick"),
            Some("invite") => return None,
            _ => ("invite", "invitation"),
        };
        let homeserver = &stage.homeserver;
        homeserver.set_member(&self.room, USER, &ghost, membership);
        Some(done)
    }

    /// Somebody becomes an admin or is none any more.
    async fn role(&mut self, stage: &Stage, by: Who) -> Option<&'static str> {
        let contact = self.rng.random_range(2..STAYING + VISITORS);
        let group = self.owner().group(&self.address)?;
        let jid = self.contacts[contact].jid().clone();
        let is_admin = *group.members.get(&jid)? > Role::Member;
        if by == Who::User {
            self.level(stage, &jid, is_admin);
            return Some("power");
        }
        let who = std::slice::from_ref(&jid);
        let done = self.give_role(self.owner(), who, is_admin).await;
        done.then_some("role")
    }

    async fn give_role(&self, owner: &ContactHandle, who: &[Jid], is_admin: bool) -> bool {
        let given = if is_admin {
            owner.demote(&self.address, who).await
        } else {
            owner.promote(&self.address, who).await
        };
        given.is_ok()
    }

    fn level(&self, stage: &Stage, jid: &Jid, is_admin: bool) {
        let mut levels = {
            let world = stage.homeserver.world();
            let key = ("m.room.power_levels".to_owned(), String::new());
            let levels = world.rooms[&self.room].state.get(&key);
            levels.cloned().unwrap_or_else(|| json!({}))
        };
        let level: Value = if is_admin { json!(0) } else { json!(50) };
        levels["users"][ghost(jid)] = level;
        let homeserver = &stage.homeserver;
        homeserver.set_state(&self.room, USER, "m.room.power_levels", "", levels);
    }

    /// The group gets another subject.
    pub(crate) async fn subject(&mut self, stage: &Stage, by: Who) -> &'static str {
        self.subjects += 1;
        let subject = format!("Subject {}", self.subjects);
        if by == Who::User {
            let content = json!({ "name": subject });
            let homeserver = &stage.homeserver;
            homeserver.set_state(&self.room, USER, "m.room.name", "", content);
            return "name";
        }
        let set = self.owner().set_subject(&self.address, &subject).await;
        set.expect("the owner may change the subject");
        "subject"
    }
}
