//! What a phone knows of people: the contact's own profile, who asked to reach it, whom it blocked, how others look.
//!
//! What the contact does to its account is kept until the gatekeeper has taken it, so it may be done while there is no
//! connection.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    cast::{Line, Saying, Script},
    content::{Composed, base64_text},
    phone::{Asked, Phone},
};
use crate::network::interop::wire::{Jid, Node};

/// The longest name, in characters.
const MAX_NAME: usize = 100;

/// What a contact does to its account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Deed {
    /// Takes another name.
    Name(String),
    /// Shows another picture; none if there are no bytes.
    Picture(#[serde(with = "base64_text")] Vec<u8>),
    /// Switches interop on or off.
    OptIn(bool),
    /// Accepts or declines somebody's request.
    Answer(Jid, bool),
    /// Blocks a user or takes it back.
    Block(Jid, bool),
}

/// A picture of somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    /// Its id.
    pub id: String,
    /// Where it is.
    pub url: String,
}

/// Somebody who asked whether they may write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Who asks.
    pub jid: Jid,
    /// What they call themselves.
    pub name: Option<String>,
    /// When they asked, in milliseconds since the Unix epoch.
    pub at: i64,
}

/// What a phone keeps of people.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct People {
    pub(super) opted_out: bool,
    /// The contact's own picture.
    pub(super) picture: Option<String>,
    pub(super) requests: Vec<Request>,
    pub(super) blocked: BTreeSet<Jid>,
    /// How others look.
    pub(super) pictures: BTreeMap<Jid, Picture>,
    /// What the gatekeeper has not taken yet, by its place.
    pub(super) deeds: BTreeMap<u64, Deed>,
}

impl People {
    /// The same with something more that the gatekeeper is to take.
    pub(super) fn doing(mut self, deed: Deed) -> Self {
        self.keep(deed);
        self
    }

    fn keep(&mut self, deed: Deed) -> u64 {
        let number = self.deeds.last_key_value().map_or(1, |(last, _)| last + 1);
        self.deeds.insert(number, deed);
        number
    }
}

impl Phone {
    /// Does something to the account: now, or with the next connection.
    pub(super) fn does(&mut self, deed: Deed) {
        let people = &mut self.stored.people;
        match &deed {
            Deed::Name(name) => self.stored.name = name.chars().take(MAX_NAME).collect(),
            Deed::Picture(_) => {}
            Deed::OptIn(is_in) => {
                people.opted_out = !is_in;
                if *is_in {
                    people.requests.clear();
                }
            }
            Deed::Answer(asker, accepts) => {
                people.requests.retain(|request| request.jid != *asker);
                if *accepts {
                    people.opted_out = false;
                    people.requests.clear();
                }
            }
            Deed::Block(user, true) => {
                people.blocked.insert(user.clone());
            }
            Deed::Block(user, false) => {
                people.blocked.remove(user);
            }
        }
        let number = self.stored.people.keep(deed);
        self.people_changed();
        if self.logged_in {
            self.carry_out(number);
        }
    }

    /// Stores what is known of people, and lets the page and the tests see it.
    fn people_changed(&mut self) {
        self.changes.push(self.stored.change());
        self.shared.set_person(&self.stored);
    }

    /// There is a connection: what was done meanwhile is told, and what waits for a decision is decided.
    pub(super) fn people_logged_in(&mut self) {
        let numbers: Vec<u64> = self.stored.people.deeds.keys().copied().collect();
        for number in numbers {
            self.carry_out(number);
        }
        for request in self.stored.people.requests.clone() {
            self.consider(&request.jid);
        }
        self.seen_pictures.clear();
    }

    fn carry_out(&mut self, number: u64) {
        let Some(deed) = self.stored.people.deeds.get(&number) else {
            return;
        };
        let user = |jid: &Jid| Node::new("user").with("jid", jid);
        let (xmlns, child) = match deed {
            Deed::Name(_) => {
                self.present();
                return self.request(self.ping_node(), Asked::Deed(number));
            }
            Deed::Picture(jpeg) => {
                let picture = Node::new("picture").with("type", "image");
                ("w:profile:picture", picture.bytes(jpeg.clone()))
            }
            Deed::OptIn(true) => ("w:interop", Node::new("opt_in_integrators")),
            Deed::OptIn(false) => ("w:interop", Node::new("opt_out_integrators")),
            Deed::Answer(asker, accepts) => {
                let status = if *accepts { "accepted" } else { "declined" };
                let user = user(asker).with("status", status);
                ("w:interop", Node::new("reachability").child(user))
            }
            Deed::Block(other, block) => {
                let action = if *block { "block" } else { "unblock" };
                let item = Node::new("item").with("action", action).with("jid", other);
                ("blocklist", item)
            }
        };
        let iq = Node::new("iq")
            .with("type", "set")
            .with("xmlns", xmlns)
            .with("to", self.server())
            .child(child);
        self.request(iq, Asked::Deed(number));
    }

    /// The gatekeeper took a deed, or refused it.
    pub(super) fn deed_done(&mut self, number: u64, answer: &Node) {
        let Some(deed) = self.stored.people.deeds.remove(&number) else {
            return;
        };
        if let Some(error) = answer.find("error") {
            let code = error.number("code");
            tracing::warn!(?code, "a contact's change of its account was refused");
        } else if matches!(deed, Deed::Picture(_)) {
            let id = answer
                .find("picture")
                .and_then(|picture| picture.attr("id"));
            self.stored.people.picture = id.map(std::borrow::Cow::into_owned);
        }
        self.people_changed();
    }

    /// Looks how somebody looks, once a connection.
    pub(super) fn look_at(&mut self, user: &Jid) {
        if self.seen_pictures.insert(user.clone()) {
            self.ask_picture(user);
        }
    }

    fn ask_picture(&mut self, user: &Jid) {
        let known = self.stored.people.pictures.get(user);
        let picture = Node::new("picture")
            .with("type", "image")
            .with("query", "url")
            .with_opt("id", known.map(|known| known.id.clone()));
        let iq = Node::new("iq")
            .with("type", "get")
            .with("xmlns", "w:profile:picture")
            .with("to", self.server())
            .with("target", user)
            .child(picture);
        self.request(iq, Asked::Picture(user.clone()));
    }

    /// How somebody looks came, or that they do not show it.
    pub(super) fn picture_came(&mut self, user: Jid, answer: &Node) {
        let picture = answer.find("picture");
        let field = |name| Some(picture?.attr(name)?.into_owned());
        match (field("id"), field("url")) {
            (Some(id), Some(url)) => {
                let picture = Picture { id, url };
                self.stored.people.pictures.insert(user, picture);
                self.people_changed();
            }
            // It is the one that is known.
            (Some(_), None) => {}
            _ => self.unseen(&user),
        }
    }

    /// Somebody shows no picture.
    fn unseen(&mut self, user: &Jid) {
        if self.stored.people.pictures.remove(user).is_some() {
            self.people_changed();
        }
    }

    /// Takes what the gatekeeper tells about people.
    pub(super) fn notified(&mut self, node: &Node) {
        let Some(from) = node.jid("from").map(|from| from.bare()) else {
            return;
        };
        match node.attr("type").as_deref() {
            Some("w:interop") => self.reachability(&from, node),
            Some("picture") if node.find("delete").is_some() => self.unseen(&from),
            Some("picture") => self.ask_picture(&from),
            Some("profile") => {
                let name = node.find("name").and_then(Node::content_bytes);
                if let Some(Ok(name)) = name.map(std::str::from_utf8) {
                    self.called_by(&from, name);
                }
            }
            Some("blocklist") => {
                if let Some(item) = node.find("item")
                    && let Some(user) = item.jid("jid")
                {
                    let blocked = &mut self.stored.people.blocked;
                    let changed = if item.attr("action").as_deref() == Some("block") {
                        blocked.insert(user.bare())
                    } else {
                        blocked.remove(&user.bare())
                    };
                    if changed {
                        self.people_changed();
                    }
                }
            }
            _ => {}
        }
    }

    /// Notes what somebody calls themselves.
    pub(super) fn called_by(&mut self, user: &Jid, name: &str) {
        let name: String = name.chars().take(MAX_NAME).collect();
        if self.stored.names.get(user) != Some(&name) {
            self.shared.set_name(user, &name);
            self.stored.names.insert(user.clone(), name);
            self.changes.push(self.stored.change());
        }
    }

    /// A Partner's user asks whether they may write.
    fn reachability(&mut self, from: &Jid, node: &Node) {
        let Some(asked) = node.find("reachability") else {
            return;
        };
        let people = &self.stored.people;
        if asked.attr("status").is_some() || people.requests.iter().any(|r| r.jid == *from) {
            return;
        }
        let name = asked.attr("name").map(std::borrow::Cow::into_owned);
        if let Some(name) = &name {
            self.called_by(from, name);
        }
        self.stored.people.requests.push(Request {
            jid: from.clone(),
            name,
            at: self.now,
        });
        self.people_changed();
        self.tell(
            from,
            Composed::text("This person uses another app and asks whether they may write to you."),
        );
        self.consider(from);
    }

    /// Decides on a request after a moment, if the contact does so by itself.
    fn consider(&mut self, asker: &Jid) {
        let accepts = match self.stored.script {
            Script::Willing => true,
            Script::Unwilling => false,
            _ => return,
        };
        let line = Line {
            after: self.late_by.min(super::cast::MOMENT),
            saying: Saying::Does(Deed::Answer(asker.clone(), accepts)),
        };
        self.lines.push((asker.clone(), line));
    }
}
