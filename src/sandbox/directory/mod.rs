//! The gatekeeper's state: accounts, one-time prekeys, mailboxes, and who is connected.
//!
//! It is in memory as a whole; every change of what must survive a restart is also written into a [`Step`], which commits it.
//! What a step is to cause on the wire happens after the commit.

mod account;
mod groups;
mod mailbox;
mod people;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tokio::sync::mpsc;

pub(super) use account::{Account, DeviceKeys, Kind, SignedKey, key_id, key_value, prekey_node};
pub use groups::Role;
pub(super) use groups::{
    Description, GROUPS, Group, Groups, NewGroup, hash as members_hash, is_group, participant,
};
pub(super) use mailbox::{Entry, KEPT_MS, Mailbox};
pub(super) use people::{People, Setting};

use super::{
    disk::{self, Change, DiskError, Snapshot, Table},
    flavour::Flavour,
};
use crate::network::interop::wire::{Jid, Node};

/// What goes to a client.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// A stanza.
    Stanza(Node),
    /// The end, after what was sent before.
    End,
}

/// The connection of a client.
#[derive(Debug, Clone)]
pub(super) struct Line {
    /// Unique in one run of the sandbox, from 1 on.
    pub(super) id: u64,
    pub(super) sender: mpsc::UnboundedSender<Outgoing>,
    /// Whether the mailbox has been sent, and what is new follows at once.
    pub(super) online: bool,
}

impl Line {
    /// Sends a stanza; nothing happens if the connection is gone.
    pub(super) fn send(&self, node: Node) {
        let _ = self.sender.send(Outgoing::Stanza(node));
    }
}

/// What happens after a commit.
#[derive(Debug)]
pub(super) enum Effect {
    /// An answer on a connection.
    Answer(mpsc::UnboundedSender<Outgoing>, Node),
    /// The connection of a new login is taken up: success and the mailbox.
    Welcome(Jid, u64),
    /// A stanza of somebody's mailbox.
    Deliver(Jid, u64),
    /// A stanza for somebody if they are connected.
    Live(Jid, Node),
    /// The end of a connection.
    End(mpsc::UnboundedSender<Outgoing>),
}

/// What one piece of work changes and causes.
#[derive(Debug, Default)]
pub(super) struct Step {
    pub(super) changes: Vec<Change>,
    pub(super) effects: Vec<Effect>,
}

/// The state.
#[derive(Debug, Default)]
pub(super) struct Directory {
    pub(super) accounts: HashMap<Jid, Account>,
    pub(super) prekeys: HashMap<Jid, BTreeMap<u32, [u8; 32]>>,
    pub(super) mailboxes: HashMap<Jid, Mailbox>,
    pub(super) lines: HashMap<Jid, Line>,
    pub(super) groups: Groups,
    /// JPEGs by their ids.
    pub(super) pictures: HashMap<String, Vec<u8>>,
    pub(super) setting: Setting,
    next_entry: u64,
}

impl Directory {
    /// The state that was stored.
    pub(super) fn load(snapshot: &Snapshot) -> Result<Self, DiskError> {
        let corrupt = |table, reason: String| DiskError::Corrupt { table, reason };
        let mut directory = Self {
            next_entry: 1,
            groups: Groups::load(snapshot)?,
            ..Self::default()
        };
        for (_, value) in &snapshot[&Table::Users] {
            let account: Account = serde_json::from_slice(value)
                .map_err(|error| corrupt("users", error.to_string()))?;
            directory.accounts.insert(account.jid.clone(), account);
        }
        for (key, value) in &snapshot[&Table::Prekeys] {
            let (owner, id, value) = read_prekey(key, value)
                .ok_or_else(|| corrupt("prekeys", "its key is malformed".to_owned()))?;
            directory
                .prekeys
                .entry(owner)
                .or_default()
                .insert(id, value);
        }
        for (key, value) in &snapshot[&Table::Pictures] {
            let id = String::from_utf8_lossy(key).into_owned();
            directory.pictures.insert(id, value.clone());
        }
        for (key, value) in &snapshot[&Table::Mailbox] {
            let (owner, entry) = mailbox::read_row(key, value)
                .ok_or_else(|| corrupt("mailbox", "it is no stanza".to_owned()))?;
            directory.next_entry = directory.next_entry.max(entry.number + 1);
            directory
                .mailboxes
                .entry(owner)
                .or_default()
                .0
                .push_back(entry);
        }
        Ok(directory)
    }

    /// Writes an account.
    pub(super) fn save_account(&self, jid: &Jid, step: &mut Step) {
        if let Some(account) = self.accounts.get(jid) {
            let value = serde_json::to_vec(account).expect("an account is JSON");
            step.changes
                .push(Change::Put(Table::Users, account_key(jid), value));
        }
    }

    /// Removes an account and all that belongs to it.
    pub(super) fn remove_account(&mut self, jid: &Jid, step: &mut Step) {
        self.accounts.remove(jid);
        step.changes
            .push(Change::Delete(Table::Users, account_key(jid)));
        for id in self.prekeys.remove(jid).unwrap_or_default().into_keys() {
            step.changes
                .push(Change::Delete(Table::Prekeys, prekey_key(jid, id)));
        }
        for entry in self.mailboxes.remove(jid).unwrap_or_default().0 {
            let key = mailbox::row_key(jid, entry.number);
            step.changes.push(Change::Delete(Table::Mailbox, key));
        }
    }

    /// Puts a one-time prekey into the directory.
    pub(super) fn add_prekey(&mut self, jid: &Jid, id: u32, value: [u8; 32], step: &mut Step) {
        self.prekeys
            .entry(jid.clone())
            .or_default()
            .insert(id, value);
        step.changes.push(Change::Put(
            Table::Prekeys,
            prekey_key(jid, id),
            value.to_vec(),
        ));
    }

    /// Takes a one-time prekey, which nobody gets again. The second value is how many are left.
    pub(super) fn take_prekey(
        &mut self,
        jid: &Jid,
        step: &mut Step,
    ) -> Option<((u32, [u8; 32]), usize)> {
        let prekeys = self.prekeys.get_mut(jid)?;
        let (id, value) = prekeys.pop_first()?;
        let left = prekeys.len();
        step.changes
            .push(Change::Delete(Table::Prekeys, prekey_key(jid, id)));
        Some(((id, value), left))
    }

    /// Removes all one-time prekeys of an account.
    pub(super) fn clear_prekeys(&mut self, jid: &Jid, step: &mut Step) {
        for id in self.prekeys.remove(jid).unwrap_or_default().into_keys() {
            step.changes
                .push(Change::Delete(Table::Prekeys, prekey_key(jid, id)));
        }
    }

    /// Puts a stanza into somebody's mailbox; it is delivered after the commit.
    pub(super) fn post(&mut self, to: &Jid, node: Node, now: i64, step: &mut Step) {
        if self.accounts.get(to).is_some_and(Account::is_silent) {
            return;
        }
        let number = self.next_entry;
        self.next_entry += 1;
        let key = mailbox::row_key(to, number);
        step.changes.push(Change::Put(
            Table::Mailbox,
            key,
            mailbox::row_value(now, &node),
        ));
        step.effects.push(Effect::Deliver(to.clone(), number));
        self.mailboxes
            .entry(to.clone())
            .or_default()
            .0
            .push_back(Entry {
                number,
                at: now,
                node,
                durable: false,
                sent_on: 0,
            });
    }

    /// Removes what a client acknowledged.
    pub(super) fn acknowledged(&mut self, by: &Jid, ack: &Node, step: &mut Step) {
        let taken = self
            .mailboxes
            .get_mut(by)
            .and_then(|mailbox| mailbox.take_acknowledged(ack));
        if let Some(entry) = taken {
            let key = mailbox::row_key(by, entry.number);
            step.changes.push(Change::Delete(Table::Mailbox, key));
        }
    }

    /// Removes what waited longer than 30 days.
    pub(super) fn expire_mailboxes(&mut self, now: i64, step: &mut Step) {
        for (owner, mailbox) in &mut self.mailboxes {
            mailbox.0.retain(|entry| {
                let keep = now - entry.at < KEPT_MS;
                if !keep {
                    let key = mailbox::row_key(owner, entry.number);
                    step.changes.push(Change::Delete(Table::Mailbox, key));
                }
                keep
            });
        }
    }

    /// Remembers that two users wrote to each other.
    pub(super) fn note_chat(&mut self, a: &Jid, b: &Jid, step: &mut Step) {
        for (owner, other) in [(a, b), (b, a)] {
            let new = self
                .accounts
                .get_mut(owner)
                .is_some_and(|account| account.chats.insert(other.clone()));
            if new {
                self.save_account(owner, step);
            }
        }
    }

    /// Tells everybody a user wrote with or shares a group with that the user's identity key is another now.
    pub(super) fn announce_identity(&mut self, of: &Jid, now: i64, step: &mut Step) {
        let Some(account) = self.accounts.get(of) else {
            return;
        };
        let chats = account.chats.clone();
        for peer in chats
            .into_iter()
            .chain(self.group_peers(of))
            .collect::<BTreeSet<_>>()
        {
            if !self.accounts.contains_key(&peer) {
                continue;
            }
            let notification = Node::new("notification")
                .with("type", "encrypt")
                .with("from", of)
                .with("id", format!("identity-{}", self.next_entry))
                .with("t", (now / 1000).to_string())
                .child(Node::new("identity"));
            self.post(&peer, notification, now, step);
        }
    }

    /// The Partner user with an identifier people see.
    pub(super) fn partner_by_visible_id(
        &self,
        flavour: Flavour,
        visible_id: &str,
    ) -> Option<&Account> {
        self.accounts.values().find(|account| {
            account.flavour == flavour
                && matches!(&account.kind, Kind::Partner { visible_id: id, .. } if id == visible_id)
        })
    }
}

fn account_key(jid: &Jid) -> Vec<u8> {
    disk::key([jid.to_string().as_bytes()])
}

fn prekey_key(jid: &Jid, id: u32) -> Vec<u8> {
    let mut key = disk::key([jid.to_string().as_bytes()]);
    key.extend_from_slice(&id.to_be_bytes());
    key
}

fn read_prekey(key: &[u8], value: &[u8]) -> Option<(Jid, u32, [u8; 32])> {
    let (owner, id) = key.split_last_chunk::<4>()?;
    let owner = std::str::from_utf8(owner.strip_suffix(&[0])?)
        .ok()?
        .parse()
        .ok()?;
    Some((owner, u32::from_be_bytes(*id), value.try_into().ok()?))
}
