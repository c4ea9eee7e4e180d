//! What people show of themselves, and whom they let write to them: names, pictures, opting in, requests, blocks.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Account, Directory, Step};
use crate::{
    network::interop::wire::{Jid, Node},
    sandbox::{
        disk::{Change, Table},
        flavour::{Flavour, Integrator},
        hex,
    },
};

/// How many bytes of a picture's hash are its id.
const ID_BYTES: usize = 8;

/// What the directory tells of the gatekeeper around it.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct Setting {
    /// The Partners there are agreements with.
    pub(in crate::sandbox) integrators: Vec<Integrator>,
    /// The origin of the media server.
    pub(in crate::sandbox) origin: String,
}

/// What an account shows, and who may write to it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::sandbox) struct People {
    /// The id of the picture.
    pub(in crate::sandbox) picture: Option<String>,
    /// Whether the user does not want to be reached by Partners' users.
    pub(in crate::sandbox) opted_out: bool,
    /// Partner users who asked whether they may, and got no answer.
    pub(in crate::sandbox) asked_by: BTreeSet<Jid>,
    /// Partner users who asked and were declined.
    pub(in crate::sandbox) declined: BTreeSet<Jid>,
}

impl Account {
    /// Whether the two may not write to each other because one is a Partner's user and the other does not want to hear from any.
    pub(in crate::sandbox) fn is_closed_to(&self, other: &Self) -> bool {
        self.people.opted_out && other.is_partner()
    }

    /// Whether another user may see the name and the picture.
    fn shows_itself_to(&self, other: &Self) -> bool {
        !self.blocked.contains(&other.jid) && !self.is_closed_to(other)
    }
}

impl Directory {
    /// Keeps a picture; its id. The same bytes have the same id.
    pub(in crate::sandbox) fn keep_picture(&mut self, jpeg: &[u8], step: &mut Step) -> String {
        let id = hex(&Sha256::digest(jpeg)[..ID_BYTES]);
        if !self.pictures.contains_key(&id) {
            step.changes.push(Change::Put(
                Table::Pictures,
                id.as_bytes().to_vec(),
                jpeg.to_vec(),
            ));
            self.pictures.insert(id.clone(), jpeg.to_vec());
        }
        id
    }

    /// Where anybody gets a picture.
    pub(in crate::sandbox) fn picture_url(&self, flavour: Flavour, id: &str) -> String {
        let origin = &self.setting.origin;
        format!("{origin}/{}/media/pictures/{id}.jpg", flavour.path())
    }

    /// Those who are told when a user's name or picture changes: whom the user wrote with or shares a group with.
    pub(in crate::sandbox) fn audience(&self, of: &Jid) -> BTreeSet<Jid> {
        let Some(account) = self.accounts.get(of) else {
            return BTreeSet::new();
        };
        let mut peers = account.chats.clone();
        peers.extend(self.group_peers(of));
        peers.retain(|peer| {
            let peer = self.accounts.get(peer);
            peer.is_some_and(|peer| account.shows_itself_to(peer))
        });
        peers
    }

    /// The picture a user shows another: `None` for none, 401 if it is not shown to them.
    pub(in crate::sandbox) fn picture_of(
        &self,
        owner: &Jid,
        viewer: &Jid,
    ) -> Result<Option<String>, u16> {
        let account = self.accounts.get(owner).ok_or(404_u16)?;
        let viewer = self.accounts.get(viewer).ok_or(404_u16)?;
        if account.flavour != viewer.flavour {
            return Err(404);
        }
        if !account.shows_itself_to(viewer) {
            return Err(401);
        }
        Ok(account.people.picture.clone())
    }

    /// A notification about a user, from the user's address unless another is given.
    pub(in crate::sandbox) fn notify(
        &mut self,
        to: &Jid,
        from: &Jid,
        kind: &'static str,
        child: Node,
        now: i64,
        step: &mut Step,
    ) {
        let notification = Node::new("notification")
            .with("type", kind)
            .with("from", from)
            .with("id", format!("{kind}-{}", self.next_entry))
            .with("t", (now / 1000).to_string())
            .child(child);
        self.post(to, notification, now, step);
    }

    fn announce(&mut self, of: &Jid, kind: &'static str, child: &Node, now: i64, step: &mut Step) {
        for peer in self.audience(of) {
            self.notify(&peer, of, kind, child.clone(), now, step);
        }
    }

    /// Gives a user another name; who should know is told.
    pub(in crate::sandbox) fn set_name(
        &mut self,
        of: &Jid,
        name: String,
        now: i64,
        step: &mut Step,
    ) {
        let Some(account) = self.accounts.get_mut(of) else {
            return;
        };
        if account.name == name {
            return;
        }
        let child = Node::new("name").bytes(name.as_str());
        account.name = name;
        self.save_account(of, step);
        self.announce(of, "profile", &child, now, step);
    }

    /// Gives a user another picture, or none; who should know is told.
    pub(in crate::sandbox) fn set_picture(
        &mut self,
        of: &Jid,
        picture: Option<String>,
        now: i64,
        step: &mut Step,
    ) {
        let Some(account) = self.accounts.get_mut(of) else {
            return;
        };
        if account.people.picture == picture {
            return;
        }
        let child = match &picture {
            Some(id) => Node::new("set").with("id", id.as_str()),
            None => Node::new("delete"),
        };
        account.people.picture = picture;
        self.save_account(of, step);
        self.announce(of, "picture", &child, now, step);
    }

    /// A user can be reached by Partners' users, or not any more. Those who asked are told of the first.
    pub(in crate::sandbox) fn set_opted_in(
        &mut self,
        of: &Jid,
        opted_in: bool,
        now: i64,
        step: &mut Step,
    ) {
        let Some(account) = self.accounts.get_mut(of) else {
            return;
        };
        account.people.opted_out = !opted_in;
        let mut told = BTreeSet::new();
        if opted_in {
            told = std::mem::take(&mut account.people.asked_by);
            told.append(&mut account.people.declined);
        }
        self.save_account(of, step);
        for asker in told {
            self.tell_asker(&asker, of, "accepted", now, step);
        }
    }

    /// A Partner's user asks to be let through: `sent`, `already` asked or reachable, or `refused` before.
    pub(in crate::sandbox) fn ask_to_reach(
        &mut self,
        asker: &Jid,
        to: &Jid,
        now: i64,
        step: &mut Step,
    ) -> Result<&'static str, u16> {
        let mine = self.accounts.get(asker).ok_or(404_u16)?;
        let (flavour, name) = (mine.flavour, mine.shown_name());
        let account = self.accounts.get_mut(to).ok_or(404_u16)?;
        if account.flavour != flavour || account.is_partner() {
            return Err(404);
        }
        let people = &mut account.people;
        if people.declined.contains(asker) || account.blocked.contains(asker) {
            return Ok("refused");
        }
        if !people.opted_out || !people.asked_by.insert(asker.clone()) {
            return Ok("already");
        }
        self.save_account(to, step);
        let request = Node::new("reachability").with_opt("name", name);
        self.notify(to, asker, "w:interop", request, now, step);
        Ok("sent")
    }

    /// A user answers a request; to accept one is to opt in.
    pub(in crate::sandbox) fn answer_asker(
        &mut self,
        of: &Jid,
        asker: &Jid,
        accepts: bool,
        now: i64,
        step: &mut Step,
    ) -> Result<(), u16> {
        let account = self.accounts.get_mut(of).ok_or(404_u16)?;
        if !account.people.asked_by.contains(asker) {
            return Err(404);
        }
        if accepts {
            self.set_opted_in(of, true, now, step);
        } else {
            account.people.asked_by.remove(asker);
            account.people.declined.insert(asker.clone());
            self.save_account(of, step);
            self.tell_asker(asker, of, "declined", now, step);
        }
        Ok(())
    }

    fn tell_asker(
        &mut self,
        asker: &Jid,
        of: &Jid,
        status: &'static str,
        now: i64,
        step: &mut Step,
    ) {
        if self.accounts.contains_key(asker) {
            let child = Node::new("reachability").with("status", status);
            self.notify(asker, of, "w:interop", child, now, step);
        }
    }

    /// Blocks a user for another, or takes it back; whether there is such an account.
    pub(in crate::sandbox) fn set_blocked(
        &mut self,
        by: &Jid,
        other: &Jid,
        block: bool,
        step: &mut Step,
    ) -> bool {
        let Some(account) = self.accounts.get_mut(by) else {
            return false;
        };
        if block {
            account.blocked.insert(other.clone());
        } else {
            account.blocked.remove(other);
        }
        self.save_account(by, step);
        true
    }
}
