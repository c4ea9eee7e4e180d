//! A linked room in the traffic: a group that a room of the user's shows, whose members without a login are spoken for by the user's.
//!
//! Everybody stays from the beginning to the end. What the members of the room write goes to the group in the order of the room, so
//! it has one count for all of them; what the group's members write has one for each phone.

mod acts;
mod oracle;

use std::time::{Duration, Instant};

use drawbridge::{
    network::interop::wire::Jid,
    sandbox::{ContactHandle, Flavour},
};
use rand::{SeedableRng as _, rngs::StdRng};
use serde_json::json;

use super::{
    START,
    files::Workshop,
    group::ghost,
    support::{
        homeserver::World,
        stage::{BOT, Stage, USER},
    },
};

/// The room's members: the user with the login first, then those it speaks for, with what they are called.
const MEMBERS: [(&str, &str); 3] = [
    (USER, ""),
    ("@bob:test.example", "Bob"),
    ("@carol:test.example", "Carol"),
];
/// How many contacts are in the group.
const CONTACTS: usize = 2;

/// Where somebody writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum From {
    /// In the room.
    Room,
    /// On this contact's phone.
    Phone(usize),
}

impl From {
    fn word(self) -> String {
        match self {
            Self::Room => "room".to_owned(),
            Self::Phone(contact) => contact.to_string(),
        }
    }

    /// What messages say, before how often they were changed.
    fn label(self, number: usize) -> String {
        format!("linked {} {number}", self.word())
    }
}

/// Where a message was written, and the how manieth it is.
type Place = (From, usize);

/// The message that a text is.
fn place(text: &str) -> Option<Place> {
    let mut words = text.strip_prefix("linked ")?.split_whitespace();
    let from = match words.next()? {
        "room" => From::Room,
        contact => From::Phone(contact.parse().ok()?),
    };
    Some((from, words.next()?.parse().ok()?))
}

/// A message as it has to be shown.
#[derive(Debug)]
struct Post {
    /// Which of the room's members wrote it; the first for what is from a phone.
    by: usize,
    /// Its id on the side where it was written.
    id: String,
    text: String,
    edits: usize,
    is_deleted: bool,
    /// What it answers.
    answers: Option<Place>,
    /// SHA-256 of its file.
    file: Option<[u8; 32]>,
}

/// The linked room.
pub(crate) struct Relayed {
    rng: StdRng,
    workshop: Workshop,
    jid: Jid,
    /// The group's address as text.
    address: String,
    room: String,
    /// How many events the room had when it was ready.
    first: usize,
    login: Jid,
    contacts: Vec<ContactHandle>,
    from_room: Vec<Post>,
    from_phones: [Vec<Post>; CONTACTS],
    /// How many messages had arrived when that was looked at last.
    arrived: usize,
}

impl Relayed {
    /// Has a contact make the group; the user links a room of theirs to it and lets their login speak for its members.
    pub(crate) async fn prepare(stage: &Stage, seed: u64) -> Self {
        let login = stage.login().expect("there is a login");
        let mut contacts = Vec::new();
        for number in 0..CONTACTS {
            let name = format!("Neighbour {number}");
            let added = stage.sandbox.add_contact(Flavour::WhatsApp, &name).await;
            contacts.push(added.expect("a contact can be added"));
        }
        let others = [login.clone(), contacts[1].jid().clone()];
        let made = contacts[0].create_group("Linked", &others).await;
        let jid = made.expect("a contact can make a group");
        let address = jid.to_string();

        let homeserver = &stage.homeserver;
        let room = homeserver.create_room(USER, &[BOT], false);
        let levels = json!({ "users": { BOT: 100, USER: 100 } });
        homeserver.set_state(&room, USER, "m.room.power_levels", "", levels);
        for (member, name) in &MEMBERS[1..] {
            homeserver.set_name(member, name);
            homeserver.set_member(&room, USER, member, "invite");
            homeserver.join(&room, member);
        }
        let mut relayed = Self {
            rng: StdRng::seed_from_u64(seed),
            workshop: Workshop::new(),
            jid,
            address,
            room,
            first: 0,
            login,
            contacts,
            from_room: Vec::new(),
            from_phones: [Vec::new(), Vec::new()],
            arrived: 0,
        };
        relayed.link(stage).await;
        relayed
    }

    async fn link(&mut self, stage: &Stage) {
        let room = self.room.clone();
        let is_in = |world: &World, user: &str| {
            let membership = world.rooms[&room].members.get(user);
            membership.is_some_and(|is| is == "join")
        };
        let bot = stage.homeserver.wait("the bot to enter", START, |world| {
            is_in(world, BOT).then_some(())
        });
        bot.await;
        let linked = format!("bridge {room} whatsapp {}", self.address);
        self.command(stage, &linked, "is linked to").await;
        let ghosts: Vec<String> = self.contacts.iter().map(|one| ghost(one.jid())).collect();
        let there = stage.homeserver.wait("the ghosts", START, |world| {
            ghosts.iter().all(|ghost| is_in(world, ghost)).then_some(())
        });
        there.await;
        let relay = format!("set-relay {room} whatsapp");
        self.command(stage, &relay, "speaks in").await;
        // What the bot says of the link is no part of the traffic; a first message of each side comes after it.
        self.settle(stage).await;
        self.first = stage.homeserver.world().rooms[&room].events.len();
    }

    async fn command(&self, stage: &Stage, words: &str, answer: &str) {
        let management = stage.management();
        stage.homeserver.send_text(&management, USER, words);
        let answered = stage.homeserver.wait(answer, START, |world| {
            let mut said = world.messages(&management).into_iter();
            said.any(|(sender, content)| {
                let body = content["body"].as_str().unwrap_or_default();
                sender == BOT && body.contains(answer) && body.contains(&self.room)
            })
            .then_some(())
        });
        answered.await;
    }

    /// Both ways are open: a text goes each.
    async fn settle(&self, stage: &Stage) {
        let said = self.contacts[0].send_text(&self.address, "hello").await;
        said.expect("a member can write");
        let (member, _) = MEMBERS[1];
        stage.homeserver.send_text(&self.room, member, "hello");
        let shown = stage.homeserver.wait("the first text", START, |world| {
            let ghost = ghost(self.contacts[0].jid());
            let mut said = world.messages(&self.room).into_iter();
            said.any(|(sender, content)| sender == ghost && content["body"] == "hello")
                .then_some(())
        });
        shown.await;
        let end = Instant::now() + START;
        let came = |phone: &ContactHandle| {
            let mut messages = phone.messages(&self.jid).into_iter();
            messages.any(|message| message.text == "*Bob*: hello")
        };
        while !self.contacts.iter().all(came) {
            assert!(
                Instant::now() < end,
                "nobody speaks for Bob: see {}",
                stage.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn posts(&self, from: From) -> &[Post] {
        match from {
            From::Room => &self.from_room,
            From::Phone(contact) => &self.from_phones[contact],
        }
    }

    fn posts_mut(&mut self, from: From) -> &mut Vec<Post> {
        match from {
            From::Room => &mut self.from_room,
            From::Phone(contact) => &mut self.from_phones[contact],
        }
    }

    fn post(&self, (from, number): Place) -> Option<&Post> {
        self.posts(from).get(number)
    }

    /// What a phone shows of a message that was written in the room.
    fn on_phone(post: &Post) -> String {
        match MEMBERS[post.by].1 {
            "" => post.text.clone(),
            name => format!("*{name}*: {}", post.text),
        }
    }

    /// The file of what happened, for whoever looks into a failure.
    pub(crate) fn write_down(&self, stage: &Stage) {
        let world = stage.homeserver.world();
        let events = world.rooms.get(&self.room).map(|room| &room.events);
        let logs: Vec<_> = self.contacts.iter().map(ContactHandle::log).collect();
        let all = json!({ "room": events, "phones": logs });
        stage.keep_file("linked.json", &all.to_string());
    }
}
