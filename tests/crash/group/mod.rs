//! A group in the traffic: who is in it, what was written there, and what both sides have to show of it in the end.
//!
//! Some members stay in the group from its making to the end; visitors come and go. Who of the visitors was in it when something
//! was written is read from the logs of two who stay: what a phone is told comes in the order of the server.

mod acts;
mod oracle;
mod view;

pub(crate) use acts::Act;

use std::collections::BTreeMap;

use drawbridge::{
    domain::{GatekeeperId, RemoteUserId},
    matrix::GhostNaming,
    network::interop::wire::Jid,
    sandbox::{ContactHandle, Flavour},
};
use rand::{SeedableRng as _, rngs::StdRng};

use super::{
    files::Workshop,
    ledger::Reaction,
    support::{
        homeserver::SERVER,
        stage::{Stage, USER},
    },
};

/// How many contacts stay in the group.
const STAYING: usize = 4;
/// How many come and go.
const VISITORS: usize = 3;
/// What ghosts' names begin with.
const GHOSTS: &str = "_drawbridge_";

/// Somebody in the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Who {
    /// The Matrix user.
    User,
    /// A contact: first those who stay, the first of them the owner, then the visitors.
    Contact(usize),
}

impl Who {
    /// As messages name them.
    fn word(self) -> String {
        match self {
            Self::User => "u".to_owned(),
            Self::Contact(number) => number.to_string(),
        }
    }

    fn read(word: &str) -> Option<Self> {
        match word {
            "u" => Some(Self::User),
            number => number.parse().ok().map(Self::Contact),
        }
    }

    fn stays(self) -> bool {
        match self {
            Self::User => true,
            Self::Contact(number) => number < STAYING,
        }
    }
}

/// What the messages of somebody begin with, before their number.
fn prefix(who: Who) -> String {
    format!("group {} ", who.word())
}

/// Whose message a text is, and the how manieth.
fn label(text: &str) -> Option<(Who, usize)> {
    let mut words = text.strip_prefix("group ")?.split_whitespace();
    Some((Who::read(words.next()?)?, words.next()?.parse().ok()?))
}

/// A message as it has to be shown.
#[derive(Debug)]
struct Post {
    /// Its id on the side where it was written.
    id: String,
    text: String,
    edits: usize,
    is_deleted: bool,
    /// SHA-256 of its file.
    file: Option<[u8; 32]>,
    reactions: BTreeMap<Who, Reaction>,
}

/// The group.
pub(crate) struct Group {
    rng: StdRng,
    workshop: Workshop,
    jid: Jid,
    /// Its address as text.
    address: String,
    room: String,
    login: Jid,
    contacts: Vec<ContactHandle>,
    posts: BTreeMap<Who, Vec<Post>>,
    subjects: usize,
    /// How many messages had arrived when that was looked at last.
    arrived: usize,
}

impl Group {
    /// Has a contact make the group, with the login an admin of it; the user enters its room.
    pub(crate) async fn prepare(stage: &Stage, seed: u64) -> Self {
        let login = stage.chats[0].login_address();
        let login = login.expect("there is a login");
        let talking = stage.chats.iter().take(STAYING / 2);
        let mut contacts: Vec<ContactHandle> = talking.map(|chat| chat.contact().clone()).collect();
        for number in contacts.len()..STAYING + VISITORS {
            let name = format!("Member {number}");
            let added = stage.sandbox.add_contact(Flavour::WhatsApp, &name).await;
            contacts.push(added.expect("a contact can be added"));
        }
        let owner = &contacts[0];
        let mut members = vec![login.clone()];
        members.extend(
            contacts[1..STAYING]
                .iter()
                .map(|contact| contact.jid().clone()),
        );
        let made = owner.create_group("Subject 0", &members).await;
        let jid = made.expect("a contact can make a group");
        let group = jid.to_string();
        let promoted = owner.promote(&group, std::slice::from_ref(&login)).await;
        promoted.expect("the owner can promote");
        let said = owner.send_text(&group, "hello").await;
        said.expect("the owner can write");
        Self {
            rng: StdRng::seed_from_u64(seed),
            workshop: Workshop::new(),
            room: stage.room_of_group(&group).await,
            address: group,
            jid,
            login,
            contacts,
            posts: BTreeMap::new(),
            subjects: 0,
            arrived: 0,
        }
    }

    /// Its room.
    pub(crate) fn room(&self) -> &str {
        &self.room
    }

    fn owner(&self) -> &ContactHandle {
        &self.contacts[0]
    }

    fn posts(&self, who: Who) -> &[Post] {
        self.posts.get(&who).map_or(&[], Vec::as_slice)
    }

    fn post(&mut self, (who, number): (Who, usize)) -> &mut Post {
        let posts = self.posts.get_mut(&who);
        &mut posts.expect("they have written")[number]
    }

    /// Everybody who can be in it.
    fn everybody(&self) -> impl Iterator<Item = Who> + use<> {
        let contacts = (0..self.contacts.len()).map(Who::Contact);
        std::iter::once(Who::User).chain(contacts)
    }

    /// Who an account of the room is.
    fn who_is(&self, user: &str) -> Option<Who> {
        if user == USER {
            return Some(Who::User);
        }
        let mut contacts = self.contacts.iter();
        let is = |contact: &ContactHandle| ghost(contact.jid()) == user;
        contacts.position(is).map(Who::Contact)
    }

    /// Who an address is.
    fn who_has(&self, jid: &Jid) -> Option<Who> {
        if *jid == self.login {
            return Some(Who::User);
        }
        let mut contacts = self.contacts.iter();
        contacts
            .position(|contact| contact.jid() == jid)
            .map(Who::Contact)
    }

    /// Whether a contact is in the group, as its owner knows it.
    fn has(&self, contact: usize) -> bool {
        let jid = self.contacts[contact].jid();
        let group = self.owner().group(&self.address);
        group.is_some_and(|group| group.members.contains_key(jid))
    }

    /// The address of the group's file of what happened, for whoever looks into a failure.
    pub(crate) fn write_down(&self, stage: &Stage) {
        let room = &self.room;
        let world = stage.homeserver.world();
        let events = world.rooms.get(room).map(|room| &room.events);
        let logs: BTreeMap<String, _> = self
            .contacts
            .iter()
            .map(|contact| (contact.jid().to_string(), contact.log()))
            .collect();
        let all = serde_json::json!({ "room": events, "phones": logs });
        stage.keep_file("group.json", &all.to_string());
    }
}

/// The ghost of a contact.
pub(crate) fn ghost(jid: &Jid) -> String {
    let gatekeeper = GatekeeperId::parse("whatsapp").expect("a gatekeeper's id");
    let remote = RemoteUserId::parse(jid.to_string()).expect("an address of a user");
    GhostNaming::new(GHOSTS, SERVER)
        .mxid(&gatekeeper, &remote)
        .to_string()
}
