//! What must be true at the end: every message once, in order and as it was left, on each side, and no key used twice.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use drawbridge::sandbox::Status;
use serde_json::{Value, json};

use super::{
    files::sha256,
    ledger::{Place, Way, Written, number_in, prefix},
    support::stage::{BOT, Stage, USER},
    traffic::{Action, Traffic, timer_is_set_by},
    user::User,
    view::{self, FileAt, Shown, Side},
};

/// How many complaints are told in full.
const TOLD: usize = 40;
/// How long the last texts and the last receipts may take.
const LAST: Duration = Duration::from_secs(20);

/// What was found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Verdict {
    sent: usize,
    kills: usize,
    lost: usize,
    pub(crate) duplicated: usize,
    pub(crate) undecryptable: usize,
    /// Events of encrypted rooms that a device of the user's cannot read.
    undecryptable_in_rooms: usize,
    /// Events the devices have read, and of those how many only when their key came after them.
    opened: usize,
    late: usize,
    pub(crate) key_reuse: usize,
    pub(crate) out_of_order: usize,
    /// What is there, but not as it was left: texts, answers, reactions, votes, deletions, files, receipts.
    wrong: usize,
    /// How often a member who had just come asked for a message and its key, and how often a change of the user's to the group was
    /// refused: both happen when two do something at the same time.
    pub(crate) asked_again: usize,
    pub(crate) refused: usize,
    kinds: BTreeMap<&'static str, usize>,
    seed: u64,
    engine: String,
    complaints: Vec<String>,
}

impl Verdict {
    /// The verdict as one line of JSON.
    pub(crate) fn json(&self) -> Value {
        json!({
            "engine": self.engine, "sent": self.sent, "kills": self.kills, "lost": self.lost,
            "duplicated": self.duplicated, "undecryptable": self.undecryptable,
            "undecryptable_in_rooms": self.undecryptable_in_rooms, "opened": self.opened, "late": self.late, "key_reuse": self.key_reuse,
            "out_of_order": self.out_of_order, "wrong": self.wrong, "asked_again": self.asked_again,
            "refused": self.refused, "kinds": self.kinds, "seed": self.seed,
        })
    }

    fn damage(&self) -> usize {
        self.lost
            + self.duplicated
            + self.undecryptable
            + self.undecryptable_in_rooms
            + self.key_reuse
            + self.out_of_order
            + self.wrong
    }

    /// Whether nothing is wrong, and something was tried.
    pub(crate) fn is_clean(&self) -> bool {
        self.sent > 0 && self.damage() == 0
    }

    /// The same with the run's parameters.
    pub(crate) fn with(mut self, kills: usize, seed: u64) -> Self {
        self.kills = kills;
        self.seed = seed;
        self
    }

    pub(crate) fn complain(&mut self, what: String) {
        self.wrong += 1;
        self.complaints.push(what);
    }

    /// Tells something that is counted elsewhere.
    pub(crate) fn remark(&mut self, what: String) {
        self.complaints.push(what);
    }

    pub(crate) fn lose(&mut self, what: &str) {
        self.lost += 1;
        self.complaints.push(format!("lost: {what}"));
    }

    /// Tells what is wrong, one line each.
    pub(crate) fn tell(&self) {
        for complaint in self.complaints.iter().take(TOLD) {
            eprintln!("wrong: {complaint}");
        }
        if let Some(more) = self.complaints.len().checked_sub(TOLD + 1) {
            eprintln!("wrong: and {} more", more + 1);
        }
    }
}

/// Waits until everything has arrived (or the deadline), then judges.
pub(crate) async fn settle(stage: &Stage, traffic: &mut Traffic, deadline: Duration) -> Verdict {
    let mut hashes = HashMap::new();
    arrive(stage, traffic, deadline, &mut hashes).await;
    // The bridge works, and its settings are the ones that were made.
    for chat in 0..stage.chats.len() {
        traffic.act(stage, chat, Way::Out, Action::Text).await;
    }
    traffic.last_in_groups(stage).await;
    arrive(stage, traffic, LAST, &mut hashes).await;
    // What should not come any more would come now.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut verdict = judge(stage, traffic, &mut hashes);
    compare_timers(stage, traffic, &mut verdict);
    fetch_files(stage, traffic, &mut verdict).await;
    read_all(stage, traffic, &mut verdict).await;
    verdict
}

async fn arrive(stage: &Stage, traffic: &Traffic, deadline: Duration, hashes: &mut Hashes) {
    let end = tokio::time::Instant::now() + deadline;
    while judge(stage, traffic, hashes).damage() > 0 && tokio::time::Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What the files at the homeserver are, by their addresses.
pub(crate) type Hashes = HashMap<String, [u8; 32]>;

fn judge(stage: &Stage, traffic: &Traffic, hashes: &mut Hashes) -> Verdict {
    for device in stage.devices().clone() {
        device.catch_up();
    }
    let mut verdict = Verdict {
        sent: traffic.sent(),
        kinds: traffic.kinds.clone(),
        engine: stage.engine.to_string(),
        ..Verdict::default()
    };
    for (index, chat) in stage.chats.iter().enumerate() {
        let room = match chat.room() {
            Some(room_id) => view::room(&stage.homeserver.world(), &room_id),
            None => Side::default(),
        };
        let mut case = Case {
            chat: index,
            traffic,
            room,
            phone: view::phone(chat),
            ids: HashMap::new(),
            hashes: sums(stage, hashes),
        };
        for way in Way::BOTH {
            case.count(way, &mut verdict);
        }
        for way in Way::BOTH {
            case.compare(way, &mut verdict);
        }
        case.notices(&mut verdict);
        let counters = chat.contact().counters();
        verdict.undecryptable += counters.undecryptable + case.room.placeholders;
        verdict.key_reuse += counters.key_reuse;
    }
    read_on_devices(stage, &mut verdict);
    if let Some(group) = &traffic.group {
        group.judge(stage, sums(stage, hashes), &mut verdict);
    }
    if let Some(relayed) = &traffic.relayed {
        relayed.judge(stage, sums(stage, hashes), &mut verdict);
    }
    verdict
}

/// What the user's devices make of the encrypted rooms.
fn read_on_devices(stage: &Stage, verdict: &mut Verdict) {
    let devices = stage.devices().clone();
    for (number, device) in devices.iter().enumerate() {
        let (closed, opened, late, plain) = device.findings();
        verdict.opened += opened;
        verdict.late += late;
        verdict.undecryptable_in_rooms += closed.len();
        for event in closed {
            verdict.remark(format!(
                "device {number} cannot read {} in {}: {}",
                event.event, event.room, event.why
            ));
        }
        if opened == 0 {
            verdict.complain(format!("device {number} read nothing"));
        }
        if plain > 0 {
            verdict.complain(format!(
                "{plain} messages were sent in plain in encrypted rooms"
            ));
        }
    }
}

/// The hashes of the files at the homeserver; none is computed twice.
fn sums<'h>(stage: &Stage, hashes: &'h mut Hashes) -> &'h Hashes {
    for (url, media) in &stage.homeserver.world().media {
        if let Some(file) = media.file.as_ref()
            && !hashes.contains_key(url)
        {
            hashes.insert(url.clone(), file.sha256());
        }
    }
    hashes
}

/// One chat, as it was written and as both sides show it.
struct Case<'a> {
    chat: usize,
    traffic: &'a Traffic,
    room: Side,
    phone: Side,
    /// The ids of the messages on the side they came to.
    ids: HashMap<(Way, usize), String>,
    hashes: &'a Hashes,
}

impl Case<'_> {
    fn written(&self, way: Way) -> &[Written] {
        self.traffic.chats[self.chat].written(way)
    }

    /// The side messages of a way come to.
    fn side(&self, way: Way) -> &Side {
        match way {
            Way::Out => &self.phone,
            Way::In => &self.room,
        }
    }

    fn hash(&self, shown: &Shown) -> Option<[u8; 32]> {
        match shown.file.as_ref()? {
            FileAt::Phone(sha256) => Some(*sha256),
            FileAt::Matrix(url) => self.hashes.get(url).copied(),
        }
    }

    /// Which message something is: by the number in its text, or by its file.
    fn number(&self, way: Way, shown: &Shown) -> Option<usize> {
        if let Some(number) = number_in(&shown.text, &prefix(way, self.chat)) {
            return Some(number);
        }
        let hash = self.hash(shown)?;
        let mut written = self.written(way).iter();
        written.position(|written| written.file == Some(hash))
    }

    fn named(&self, way: Way, number: usize) -> String {
        format!("{} {} {number}", way.word(), self.chat)
    }

    /// Counts what is missing, double or out of order, and notes which is which.
    fn count(&mut self, way: Way, verdict: &mut Verdict) {
        let mut times: HashMap<usize, usize> = HashMap::new();
        let mut numbers = Vec::new();
        let mut ids = Vec::new();
        for shown in &self.side(way).came {
            match self.number(way, shown) {
                Some(number) => {
                    *times.entry(number).or_default() += 1;
                    numbers.push(number);
                    ids.push(((way, number), shown.id.clone()));
                }
                // What the preparation said.
                None if shown.text == "hello" => {}
                None => verdict.complain(format!(
                    "{} {}: nobody wrote {:?}",
                    way.word(),
                    self.chat,
                    shown.text
                )),
            }
        }
        let written = self.written(way);
        let mut deleted = 0;
        for (number, written) in written.iter().enumerate() {
            let is_there = times.contains_key(&number);
            deleted += usize::from(written.is_deleted);
            if !written.is_deleted && !is_there {
                verdict.lost += 1;
                verdict.complaints.push(format!(
                    "{} is lost ({:?})",
                    self.named(way, number),
                    written.kind
                ));
            }
            if written.is_deleted && is_there {
                verdict.complain(format!(
                    "{} was deleted and is there",
                    self.named(way, number)
                ));
            }
        }
        // In a room the edits of a message are deleted with it, and what was sent and deleted by a process that did not live to note
        // it is sent and deleted again.
        if way == Way::Out && self.phone.deleted > deleted {
            verdict.complain(format!(
                "out {}: {} messages are deleted and {deleted} should be",
                self.chat, self.phone.deleted
            ));
        }
        verdict.duplicated += times.values().map(|times| times - 1).sum::<usize>();
        verdict.out_of_order += numbers.windows(2).filter(|pair| pair[0] > pair[1]).count();
        self.ids.extend(ids);
    }

    /// A message's id on a side: the one its messages of a way come to.
    fn id_at(&self, side: Way, place: Place) -> Option<&str> {
        if place.way == side {
            let id = self.ids.get(&(place.way, place.number));
            return id.map(String::as_str);
        }
        let written = &self.written(place.way)[place.number];
        Some(&written.id)
    }

    /// Compares what is shown of every message that stands with what was left of it.
    fn compare(&self, way: Way, verdict: &mut Verdict) {
        for shown in &self.side(way).came {
            let Some(number) = self.number(way, shown) else {
                continue;
            };
            let Some(written) = self.written(way).get(number) else {
                verdict.complain(format!("{} was never written", self.named(way, number)));
                continue;
            };
            if written.is_deleted {
                continue;
            }
            self.compare_one(Place { way, number }, written, shown, verdict);
        }
    }

    fn compare_one(&self, place: Place, written: &Written, shown: &Shown, verdict: &mut Verdict) {
        let name = self.named(place.way, place.number);
        if shown.text != written.text {
            verdict.complain(format!(
                "{name} says {:?} and not {:?}",
                shown.text, written.text
            ));
        }
        let hash = self.hash(shown);
        if hash != written.file || shown.file.is_some() != written.file.is_some() {
            verdict.complain(format!("{name} has another file"));
        }
        if let Some(answered) = written.answers {
            let standing = !self.written(answered.way)[answered.number].is_deleted;
            let wanted = self.id_at(place.way, answered);
            if standing && shown.answers.as_deref() != wanted {
                verdict.complain(format!(
                    "{name} answers {:?} and not {}",
                    shown.answers,
                    self.named(answered.way, answered.number)
                ));
            }
        }
        for side in Way::BOTH {
            let Some(id) = self.id_at(side, place) else {
                continue;
            };
            for by in Way::BOTH {
                self.compare_marks(side, (place, id), by, written, verdict);
            }
        }
    }

    /// Compares the reaction and the vote of one person, as one side shows them.
    fn compare_marks(
        &self,
        side: Way,
        (place, id): (Place, &str),
        by: Way,
        written: &Written,
        verdict: &mut Verdict,
    ) {
        let shown = self.side(side);
        let key = (id.to_owned(), by);
        let name = self.named(place.way, place.number);
        // Matrix asks for the picture of an emoji, the other side does not.
        let bare = |emoji: &str| emoji.replace('\u{fe0f}', "");
        let wanted: Vec<String> = written
            .reactions
            .get(&by)
            .map(|reaction| bare(reaction.emoji))
            .into_iter()
            .collect();
        let reactions = shown.reactions.get(&key).map_or(&[][..], Vec::as_slice);
        let reactions: Vec<String> = reactions.iter().map(|emoji| bare(emoji)).collect();
        if reactions != wanted {
            verdict.complain(format!(
                "{name} has the reactions {reactions:?} and not {wanted:?} by {} on the side of {}",
                by.word(),
                side.word()
            ));
        }
        let wanted: Vec<&str> = written.votes.get(&by).copied().into_iter().collect();
        let votes = shown.votes.get(&key).map_or(&[][..], Vec::as_slice);
        if votes != wanted {
            verdict.complain(format!(
                "{name} has the votes {votes:?} and not {wanted:?} by {} on the side of {}",
                by.word(),
                side.word()
            ));
        }
    }

    /// The notices of calls and timers, each once, and no others.
    fn notices(&self, verdict: &mut Verdict) {
        let ledger = &self.traffic.chats[self.chat];
        let notices = &self.room.notices;
        let with = |words: &str| notices.iter().filter(|n| n.contains(words)).count();
        let (in_room, on_phone) = match timer_is_set_by(self.chat) {
            Way::In => (ledger.timers, 0),
            Way::Out => (0, ledger.timers),
        };
        let told = [
            ("is calling you", with("is calling you"), ledger.calls),
            (
                "tried to reach you",
                with("tried to reach you"),
                ledger.missed,
            ),
            (
                "disappearing messages",
                with("disappearing messages"),
                in_room,
            ),
            ("a new timer", self.phone.notices.len(), on_phone),
        ];
        for (what, found, wanted) in &told {
            let (found, wanted) = (*found, *wanted);
            if found < wanted {
                verdict.lost += wanted - found;
                let chat = self.chat;
                verdict.complaints.push(format!(
                    "{found} notices say {what:?} in chat {chat} and {wanted} should"
                ));
            }
            verdict.duplicated += found.saturating_sub(wanted);
        }
        let known = |notice: &&String| told.iter().any(|(words, ..)| notice.contains(words));
        for notice in notices.iter().filter(|notice| !known(notice)) {
            verdict.complain(format!("chat {} has the notice {notice:?}", self.chat));
        }
        for trouble in self.room.troubles.iter().chain(&self.phone.troubles) {
            verdict.complain(format!("chat {} is told {trouble:?}", self.chat));
        }
    }
}

/// Compares the timers on the phones, and of the last texts that came there, with those that were set.
fn compare_timers(stage: &Stage, traffic: &Traffic, verdict: &mut Verdict) {
    for (index, chat) in stage.chats.iter().enumerate() {
        let wanted = traffic.chats[index].timer;
        let timer = chat.contact().timer(chat.login());
        if timer != wanted {
            verdict.complain(format!(
                "chat {index}: the timer is {timer} and not {wanted}"
            ));
        }
        let messages = chat.login_address().map(|of| chat.contact().messages(&of));
        let messages = messages.unwrap_or_default();
        let last = messages.iter().rfind(|message| !message.outgoing);
        let expires = last.and_then(|last| last.expires_after).unwrap_or(0);
        if expires != wanted {
            verdict.complain(format!(
                "chat {index}: the last text disappears after {expires} seconds and not {wanted}"
            ));
        }
    }
}

/// Lets the contacts fetch every file they were sent.
async fn fetch_files(stage: &Stage, traffic: &Traffic, verdict: &mut Verdict) {
    for (index, chat) in stage.chats.iter().enumerate() {
        let standing = |hash: &[u8; 32]| {
            let mut written = traffic.chats[index].written(Way::Out).iter();
            written.any(|written| written.file == Some(*hash) && !written.is_deleted)
        };
        for shown in view::phone(chat).came {
            let Some(FileAt::Phone(said)) = shown.file else {
                continue;
            };
            match chat.contact().open_media(chat.login(), &shown.id).await {
                Ok(bytes) if sha256(&bytes) == said && standing(&said) => {}
                Ok(_) => verdict.complain(format!("chat {index}: a file is not what was sent")),
                Err(error) => verdict.complain(format!("chat {index}: no file: {error}")),
            }
        }
    }
}

/// Lets both sides read everything, and waits until the other side knows.
async fn read_all(stage: &Stage, traffic: &Traffic, verdict: &mut Verdict) {
    for (index, chat) in stage.chats.iter().enumerate() {
        let Some(user) = User::of(stage, index) else {
            continue;
        };
        user.read();
        let done = chat.contact().mark_read(chat.login());
        done.expect("the contact can read");
    }
    let end = tokio::time::Instant::now() + LAST;
    let mut waiting = unread(stage, traffic);
    while !waiting.is_empty() && tokio::time::Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(50)).await;
        waiting = unread(stage, traffic);
    }
    for what in waiting {
        verdict.complain(what);
    }
}

/// What one side has read and the other does not know.
fn unread(stage: &Stage, traffic: &Traffic) -> Vec<String> {
    let mut unread = Vec::new();
    for (index, chat) in stage.chats.iter().enumerate() {
        let (Some(room_id), Some(login)) = (chat.room(), chat.login_address()) else {
            continue;
        };
        let ledger = &traffic.chats[index];
        let messages = chat.contact().messages(&login);
        let own = messages.iter().filter(|message| message.outgoing);
        let waiting = own.filter(|message| message.status < Status::Read).count();
        if waiting > 0 {
            unread.push(format!(
                "chat {index}: {waiting} messages of the contact's are not shown to them as read"
            ));
        }
        let out = ledger.written(Way::Out);
        let world = stage.homeserver.world();
        let read = world
            .receipts
            .iter()
            .filter(|(room, user, _)| *room == room_id && user != USER && user != BOT)
            .filter_map(|(.., event)| out.iter().position(|written| written.id == *event))
            .max();
        let newest = out.iter().rposition(|written| !written.is_deleted);
        if read < newest {
            unread.push(format!(
                "chat {index}: shown as read up to {read:?} and not {newest:?}"
            ));
        }
    }
    unread
}
