//! What goes to and fro: texts, and everything else a conversation carries, in a mixture that a seed decides.

use std::{collections::BTreeMap, time::Duration};

use drawbridge::domain::MediaKind;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::{
    contact::Contact,
    files::{KINDS, Workshop},
    group::{Act, Group, Who},
    ledger::{ChatLedger, Kind, Place, Reaction, Way, Written, has_caption, prefix},
    relayed::Relayed,
    support::stage::{Chat, Stage},
    user::{OPTIONS, User},
    view,
};

/// The most messages that are under way; more wait until some arrived.
const IN_FLIGHT: usize = 300;
/// How far back what is answered, changed and deleted lies at most, in messages.
const RECENT: usize = 12;
/// How much of what happens, happens in the group.
const IN_GROUP: f64 = 0.35;
/// And in the linked room.
const IN_LINKED: f64 = 0.2;
/// The chats in encrypted rooms.
const ENCRYPTED: [usize; 2] = [1, 2];
/// After how many messages the key of a room is changed.
const ROTATE_AFTER: u64 = 7;
const EMOJI: [&str; 4] = ["👍", "😂", "🎉", "🔥"];
const TIMERS: [u32; 4] = [86_400, 604_800, 7_776_000, 0];

/// One thing somebody does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Text,
    Reply,
    Edit,
    Delete,
    React,
    File,
    /// A picture that the server does not have any more when it is fetched.
    Vanished,
    Location,
    Card,
    Poll,
    Vote,
    Typing,
    Read,
    Call,
    Timer,
}

/// How often each is done, of a thousand.
const MIXTURE: [(Action, u32); 15] = [
    (Action::Text, 500),
    (Action::Reply, 80),
    (Action::Edit, 80),
    (Action::Delete, 40),
    (Action::React, 110),
    (Action::File, 60),
    (Action::Vanished, 4),
    (Action::Location, 20),
    (Action::Card, 10),
    (Action::Poll, 15),
    (Action::Vote, 30),
    (Action::Typing, 20),
    (Action::Read, 20),
    (Action::Call, 6),
    (Action::Timer, 5),
];

/// The traffic so far.
pub(crate) struct Traffic {
    rng: StdRng,
    workshop: Workshop,
    /// The group, once there is one.
    pub(crate) group: Option<Group>,
    /// The linked room, once there is one.
    pub(crate) relayed: Option<Relayed>,
    /// What was written, by chat.
    pub(crate) chats: Vec<ChatLedger>,
    /// How many of each kind were sent.
    pub(crate) kinds: BTreeMap<&'static str, usize>,
    /// How many messages had arrived when that was looked at last.
    arrived: usize,
}

impl Traffic {
    pub(crate) fn new(chats: usize, seed: u64) -> Self {
        let mut traffic = Self {
            rng: StdRng::seed_from_u64(seed),
            workshop: Workshop::new(),
            group: None,
            relayed: None,
            chats: Vec::new(),
            kinds: BTreeMap::new(),
            arrived: 0,
        };
        traffic.add_chats(chats);
        traffic
    }

    /// There are this many chats now.
    pub(crate) fn add_chats(&mut self, chats: usize) {
        self.chats.resize_with(chats, ChatLedger::default);
    }

    /// How many things were sent in all.
    pub(crate) fn sent(&self) -> usize {
        self.kinds.values().sum()
    }

    /// Whether so much is under way that nothing more is sent.
    pub(crate) fn is_full(&mut self, stage: &Stage) -> bool {
        self.has_more_under_way(stage, IN_FLIGHT)
    }

    /// Whether more than so many messages are under way.
    pub(crate) fn has_more_under_way(&mut self, stage: &Stage, most: usize) -> bool {
        let standing: usize = self.chats.iter().map(ChatLedger::standing).sum();
        // Deletions take from both sides of the comparison, and the bound need not be exact.
        if standing > self.arrived + most {
            self.arrived = arrived(stage);
        }
        standing > self.arrived + most
    }

    /// Does something, or waits a moment.
    pub(crate) async fn some(&mut self, stage: &Stage) {
        tokio::time::sleep(Duration::from_millis(self.rng.random_range(1..12))).await;
        if self.rng.random_bool(IN_LINKED) {
            self.act_in_linked(stage).await;
            return;
        }
        let in_group = self.rng.random_bool(IN_GROUP / (1.0 - IN_LINKED));
        if let Some(group) = self.group.as_mut().filter(|_| in_group) {
            if !group.is_full(stage) {
                let done = group.anything(stage).await;
                *self.kinds.entry(done).or_default() += 1;
            }
            return;
        }
        if self.is_full(stage) {
            return;
        }
        let chat = self.rng.random_range(0..stage.chats.len());
        self.anything(stage, chat).await;
    }

    /// Makes the group, and the room that is linked to another.
    pub(crate) async fn add_groups(&mut self, stage: &Stage) {
        let seed = self.rng.random();
        self.group = Some(Group::prepare(stage, seed).await);
        let seed = self.rng.random();
        self.relayed = Some(Relayed::prepare(stage, seed).await);
    }

    /// Writes down what the groups show, for whoever looks into a failure.
    pub(crate) fn write_down(&self, stage: &Stage) {
        if let Some(group) = &self.group {
            group.write_down(stage);
        }
        if let Some(relayed) = &self.relayed {
            relayed.write_down(stage);
        }
    }

    /// Does something in the linked room, if there is one and not too much is under way.
    pub(crate) async fn act_in_linked(&mut self, stage: &Stage) {
        if let Some(relayed) = &mut self.relayed
            && !relayed.is_full(stage)
        {
            let done = relayed.anything(stage).await;
            *self.kinds.entry(done).or_default() += 1;
        }
    }

    /// Does one thing in the group, if there is one.
    pub(crate) async fn act_in_group(&mut self, stage: &Stage, by: Who, act: Act) {
        if let Some(group) = &mut self.group {
            let done = group.act(stage, by, act).await;
            *self.kinds.entry(done).or_default() += 1;
        }
    }

    /// Everybody who stays in the groups writes once more.
    pub(crate) async fn last_in_groups(&mut self, stage: &Stage) {
        if let Some(group) = &mut self.group {
            let count = group.last_texts(stage).await;
            *self.kinds.entry("group text").or_default() += count;
        }
        if let Some(relayed) = &mut self.relayed {
            let count = relayed.last_texts(stage).await;
            *self.kinds.entry("relayed text").or_default() += count;
        }
    }

    /// Does something in a chat.
    pub(crate) async fn anything(&mut self, stage: &Stage, chat: usize) {
        let has_room = stage.chats[chat].room().is_some();
        let way = if has_room && self.rng.random_bool(0.5) {
            Way::Out
        } else {
            Way::In
        };
        let action = crate::mixture::pick(&MIXTURE, &mut self.rng);
        self.act(stage, chat, way, action).await;
    }

    /// Switches encryption on in the rooms of some chats and of the group; the user has a device that reads them from then on.
    pub(crate) async fn encrypt_some(&self, stage: &Stage) {
        for chat in ENCRYPTED {
            if let Some(room) = stage.chats.get(chat).and_then(Chat::room) {
                stage.encrypt(&room, ROTATE_AFTER).await;
            }
        }
        if let Some(group) = &self.group {
            stage.encrypt(group.room(), ROTATE_AFTER).await;
        }
    }

    /// Does one thing; a text is written where that cannot be done now, for want of something to do it to.
    pub(crate) async fn act(&mut self, stage: &Stage, chat: usize, way: Way, action: Action) {
        let done = match action {
            Action::Reply => self.reply(stage, chat, way).await,
            Action::Edit => self.edit(stage, chat, way).await,
            Action::Delete => self.delete(stage, chat, way).await,
            Action::React => self.react(stage, chat, way).await,
            // Files are encrypted by themselves, which is not looked at here.
            Action::File | Action::Vanished if stage.has_encrypted_room(chat) => None,
            Action::File => {
                let kind = KINDS[self.rng.random_range(0..KINDS.len())];
                Some(self.file(stage, chat, way, kind).await)
            }
            Action::Vanished if way == Way::In => {
                self.file(stage, chat, way, MediaKind::Image).await;
                if let Some(written) = self.chats[chat].written_mut(way).last_mut() {
                    written.is_vanishing = true;
                    Contact::of(stage, chat).lose(stage, &written.id).await;
                }
                Some("vanished")
            }
            Action::Location => Some(self.location(stage, chat, way).await),
            Action::Card if way == Way::In => Some(self.card(stage, chat).await),
            Action::Poll => Some(self.poll(stage, chat, way).await),
            Action::Vote => self.vote(stage, chat, way).await,
            Action::Typing => Some(self.typing(stage, chat, way)),
            Action::Read => {
                match User::of(stage, chat).filter(|_| way == Way::Out) {
                    Some(user) => user.read(),
                    None => Contact::of(stage, chat).read(),
                }
                Some("read")
            }
            Action::Call if way == Way::In => Some(self.call(stage, chat).await),
            Action::Timer => self.timer(stage, chat, way).await,
            Action::Text | Action::Vanished | Action::Card | Action::Call => None,
        };
        let done = match done {
            Some(done) => done,
            None => self.text(stage, chat, way).await,
        };
        *self.kinds.entry(done).or_default() += 1;
    }

    /// What the next message of a chat and way begins with.
    fn label(&self, chat: usize, way: Way) -> String {
        let number = self.chats[chat].written(way).len();
        format!("{}{number}", prefix(way, chat))
    }

    fn note(&mut self, chat: usize, way: Way, written: Written) {
        self.chats[chat].written_mut(way).push(written);
    }

    /// Something on somebody's side that was not deleted: one of their own messages, or one they have seen.
    fn pick(
        &mut self,
        stage: &Stage,
        chat: usize,
        by: Way,
        fits: impl Fn(Place, &Written) -> bool,
    ) -> Option<(Place, String)> {
        let ledger = &self.chats[chat];
        let own = ledger.written(by).iter().enumerate().rev().take(RECENT);
        let own = own.map(|(number, written)| (Place { way: by, number }, written.id.clone()));
        let (seen, other) = match by {
            Way::Out => (User::of(stage, chat)?.seen(&prefix(Way::In, chat)), Way::In),
            Way::In => (
                Contact::of(stage, chat).seen(&prefix(Way::Out, chat)),
                Way::Out,
            ),
        };
        let seen = seen.into_iter().rev().take(RECENT);
        let seen = seen.map(|(number, id)| (Place { way: other, number }, id));
        let mut candidates: Vec<(Place, String)> = own
            .chain(seen)
            .filter(|(place, _)| {
                let written = ledger.at(*place);
                !written.is_deleted && fits(*place, written)
            })
            .collect();
        if candidates.is_empty() {
            return None;
        }
        let at = self.rng.random_range(0..candidates.len());
        Some(candidates.swap_remove(at))
    }

    async fn text(&mut self, stage: &Stage, chat: usize, way: Way) -> &'static str {
        let mut written = Written::new(Kind::Text, self.label(chat, way));
        written.id = match User::of(stage, chat).filter(|_| way == Way::Out) {
            Some(user) => user.say(&written.text, None),
            None => Contact::of(stage, chat).say(&written.text).await,
        };
        self.note(chat, way, written);
        "text"
    }

    async fn reply(&mut self, stage: &Stage, chat: usize, way: Way) -> Option<&'static str> {
        let (place, id) = self.pick(stage, chat, way, |_, _| true)?;
        let mut written = Written::new(Kind::Text, self.label(chat, way));
        written.answers = Some(place);
        written.id = match way {
            Way::Out => User::of(stage, chat)?.say(&written.text, Some(&id)),
            Way::In => {
                let contact = Contact::of(stage, chat);
                contact.answer(&written.text, &id, place.way).await
            }
        };
        self.note(chat, way, written);
        Some("reply")
    }

    async fn edit(&mut self, stage: &Stage, chat: usize, way: Way) -> Option<&'static str> {
        let editable = |place: Place, written: &Written| place.way == way && written.is_editable();
        let (place, id) = self.pick(stage, chat, way, editable)?;
        let written = self.chats[chat].at_mut(place);
        written.edits += 1;
        written.text = format!(
            "{}{} v{}",
            prefix(way, chat),
            place.number,
            written.edits + 1
        );
        match way {
            Way::Out => {
                User::of(stage, chat)?.edit(written, &written.text);
            }
            Way::In => Contact::of(stage, chat).edit(&id, &written.text).await,
        }
        Some("edit")
    }

    async fn delete(&mut self, stage: &Stage, chat: usize, way: Way) -> Option<&'static str> {
        let (place, id) = self.pick(stage, chat, way, |place, _| place.way == way)?;
        self.chats[chat].at_mut(place).is_deleted = true;
        match way {
            Way::Out => User::of(stage, chat)?.redact(&id),
            Way::In => Contact::of(stage, chat).revoke(&id).await,
        }
        Some("deletion")
    }

    async fn react(&mut self, stage: &Stage, chat: usize, way: Way) -> Option<&'static str> {
        let (place, id) = self.pick(stage, chat, way, |_, _| true)?;
        self.react_to(stage, chat, way, (place, &id)).await
    }

    /// Reacts to a message, or changes or takes back the reaction that is there.
    async fn react_to(
        &mut self,
        stage: &Stage,
        chat: usize,
        way: Way,
        (place, id): (Place, &str),
    ) -> Option<&'static str> {
        let how = self.rng.random_range(0..3);
        let emoji = self.rng.random_range(0..EMOJI.len());
        let reactions = &mut self.chats[chat].at_mut(place).reactions;
        let before = reactions.remove(&way);
        let emoji = match &before {
            Some(before) if before.emoji == EMOJI[emoji] => EMOJI[(emoji + 1) % EMOJI.len()],
            _ => EMOJI[emoji],
        };
        let taken_back = before.is_some() && how == 0;
        let mut events = before.map(|before| before.events).unwrap_or_default();
        match way {
            Way::Out => {
                let user = User::of(stage, chat)?;
                // Some clients take the old reaction back, some leave that to others.
                if how < 2 {
                    events.drain(..).for_each(|event_id| user.redact(&event_id));
                }
                if !taken_back {
                    events.push(user.react(id, emoji));
                }
            }
            Way::In => {
                let said = if taken_back { "" } else { emoji };
                Contact::of(stage, chat).react(id, place.way, said).await;
            }
        }
        if !taken_back {
            reactions.insert(way, Reaction { emoji, events });
        }
        Some("reaction")
    }

    /// Reacts to the newest message that is there, and has the reaction changed.
    pub(crate) async fn change_a_reaction(&mut self, stage: &Stage, chat: usize, way: Way) {
        let reacted = |_: Place, written: &Written| written.reactions.contains_key(&way);
        let done = match self.pick(stage, chat, way, reacted) {
            Some((place, id)) => self.react_to(stage, chat, way, (place, &id)).await,
            None => self.react(stage, chat, way).await,
        };
        if let Some(done) = done {
            *self.kinds.entry(done).or_default() += 1;
        }
    }

    async fn file(
        &mut self,
        stage: &Stage,
        chat: usize,
        way: Way,
        kind: MediaKind,
    ) -> &'static str {
        let file = self.workshop.make(kind, &mut self.rng);
        let label = self.label(chat, way);
        let text = if has_caption(kind) {
            label.clone()
        } else {
            String::new()
        };
        let mut written = Written::new(Kind::File(kind), text);
        written.file = Some(file.sha256);
        match User::of(stage, chat).filter(|_| way == Way::Out) {
            Some(user) => (written.id, written.content) = user.send_file(file, &label),
            None => written.id = Contact::of(stage, chat).send_file(file, &label).await,
        }
        self.note(chat, way, written);
        match kind {
            MediaKind::Image => "image",
            MediaKind::Voice => "voice",
            MediaKind::Sticker => "sticker",
            _ => "file",
        }
    }

    async fn location(&mut self, stage: &Stage, chat: usize, way: Way) -> &'static str {
        let name = self.label(chat, way);
        let at = (
            f64::from(self.rng.random_range(-340..340)) / 4.0,
            f64::from(self.rng.random_range(-700..700)) / 4.0,
        );
        let text = format!("{name} at {},{}", at.0, at.1);
        let mut written = Written::new(Kind::Location, text);
        written.id = match User::of(stage, chat).filter(|_| way == Way::Out) {
            Some(user) => user.send_location(&name, at),
            None => Contact::of(stage, chat).send_location(&name, at).await,
        };
        self.note(chat, way, written);
        "location"
    }

    async fn card(&mut self, stage: &Stage, chat: usize) -> &'static str {
        let mut written = Written::new(Kind::Contact, self.label(chat, Way::In));
        written.id = Contact::of(stage, chat).send_card(&written.text).await;
        self.note(chat, Way::In, written);
        "contact"
    }

    async fn poll(&mut self, stage: &Stage, chat: usize, way: Way) -> &'static str {
        let mut written = Written::new(Kind::Poll, self.label(chat, way));
        written.id = match User::of(stage, chat).filter(|_| way == Way::Out) {
            Some(user) => user.ask(&written.text),
            None => Contact::of(stage, chat).ask(&written.text).await,
        };
        self.note(chat, way, written);
        "poll"
    }

    async fn vote(&mut self, stage: &Stage, chat: usize, way: Way) -> Option<&'static str> {
        let is_poll = |_: Place, written: &Written| written.kind == Kind::Poll;
        let (place, id) = self.pick(stage, chat, way, is_poll)?;
        let option = self.rng.random_range(0..OPTIONS.len());
        match way {
            Way::Out => {
                User::of(stage, chat)?.vote(&id, place.way, option);
            }
            Way::In => Contact::of(stage, chat).vote(&id, place.way, option).await,
        }
        let votes = &mut self.chats[chat].at_mut(place).votes;
        votes.insert(way, OPTIONS[option].1);
        Some("vote")
    }

    fn typing(&mut self, stage: &Stage, chat: usize, way: Way) -> &'static str {
        let writes = self.rng.random_bool(0.7);
        match User::of(stage, chat).filter(|_| way == Way::Out) {
            Some(user) => user.typing(writes),
            None => Contact::of(stage, chat).typing(writes),
        }
        "typing"
    }

    async fn call(&mut self, stage: &Stage, chat: usize) -> &'static str {
        let contact = Contact::of(stage, chat);
        let call = contact.call().await;
        self.chats[chat].calls += 1;
        if self.rng.random_bool(0.5) {
            contact.hang_up(&call);
            self.chats[chat].missed += 1;
        }
        "call"
    }

    /// Only one of the two changes the timer of a chat, so that there is no doubt which is the last.
    async fn timer(&mut self, stage: &Stage, chat: usize, way: Way) -> Option<&'static str> {
        if way != timer_is_set_by(chat) {
            return None;
        }
        let ledger = &mut self.chats[chat];
        let at = self.rng.random_range(0..TIMERS.len());
        let seconds = if TIMERS[at] == ledger.timer {
            TIMERS[(at + 1) % TIMERS.len()]
        } else {
            TIMERS[at]
        };
        match way {
            Way::Out => User::of(stage, chat)?.set_timer(seconds),
            Way::In => Contact::of(stage, chat).set_timer(seconds).await,
        }
        ledger.timers += 1;
        ledger.timer = seconds;
        Some("timer")
    }
}

/// Who changes the timer of a chat.
pub(crate) fn timer_is_set_by(chat: usize) -> Way {
    if chat.is_multiple_of(2) {
        Way::In
    } else {
        Way::Out
    }
}

/// How many messages arrived on either side and were not deleted.
fn arrived(stage: &Stage) -> usize {
    let world = stage.homeserver.world();
    let shown = |chat: usize| match stage.chats[chat].room() {
        Some(room) => view::room(&world, &room).came.len(),
        None => 0,
    };
    let chats = 0..stage.chats.len();
    let here: usize = chats.map(shown).sum();
    drop(world);
    let there = stage.chats.iter().map(|chat| view::phone(chat).came.len());
    here + there.sum::<usize>()
}
