//! What a contact wrote and got, as the page and the tests see it.

use std::collections::{BTreeMap, HashMap};

use super::{
    keyring::Fingerprint,
    message::{Counters, Message, Received, Status},
};
use crate::{
    network::interop::wire::Jid,
    sandbox::disk::{self, Change, DiskError, Table},
};

/// Everything a contact wrote and got, oldest first.
#[derive(Debug, Default)]
pub(super) struct Log {
    messages: Vec<Message>,
    chats: BTreeMap<Jid, Vec<usize>>,
    by_id: HashMap<(Jid, bool, String), usize>,
    fingerprints: HashMap<([u8; 32], u32), [u8; 8]>,
    received: usize,
    pub(super) counters: Counters,
}

impl Log {
    /// Adds a stored message.
    pub(super) fn restore(&mut self, value: &[u8]) -> Result<(), DiskError> {
        let message = serde_json::from_slice(value).map_err(|error| DiskError::Corrupt {
            table: "contact_messages",
            reason: error.to_string(),
        })?;
        self.insert(message);
        Ok(())
    }

    /// Adds a message; the change stores it.
    pub(super) fn add(&mut self, owner: &Jid, message: Message) -> Change {
        let place = self.insert(message);
        self.row(owner, place)
    }

    fn insert(&mut self, message: Message) -> usize {
        let place = self.messages.len();
        if let Some(fingerprint) = message.fingerprint {
            self.fingerprints
                .insert((fingerprint.ratchet, fingerprint.counter), fingerprint.hash);
        }
        if !message.outgoing && !message.notice {
            self.received += 1;
        }
        let key = (message.chat.clone(), message.outgoing, message.id.clone());
        self.by_id.insert(key, place);
        self.chats
            .entry(message.chat.clone())
            .or_default()
            .push(place);
        self.messages.push(message);
        place
    }

    fn row(&self, owner: &Jid, place: usize) -> Change {
        let mut key = disk::key([owner.to_string().as_bytes()]);
        key.extend_from_slice(&(place as u64).to_be_bytes());
        let value = serde_json::to_vec(&self.messages[place]).expect("a message is JSON");
        Change::Put(Table::ContactMessages, key, value)
    }

    /// A message of a chat.
    pub(super) fn find(&self, chat: &Jid, outgoing: bool, id: &str) -> Option<&Message> {
        let place = self.by_id.get(&(chat.clone(), outgoing, id.to_owned()))?;
        self.messages.get(*place)
    }

    /// A message of a chat, whoever wrote it.
    pub(super) fn either(&self, chat: &Jid, id: &str) -> Option<&Message> {
        self.find(chat, false, id)
            .or_else(|| self.find(chat, true, id))
    }

    /// Moves the contact's own message forward; a status never goes back.
    pub(super) fn advance(
        &mut self,
        owner: &Jid,
        chat: &Jid,
        outgoing: bool,
        id: &str,
        status: Status,
    ) -> Option<Change> {
        self.change(owner, chat, outgoing, id, |message| {
            let forward = message.status < status;
            if forward {
                message.status = status;
            }
            forward
        })
    }

    /// Changes a message; `how` says whether it did.
    pub(super) fn change(
        &mut self,
        owner: &Jid,
        chat: &Jid,
        outgoing: bool,
        id: &str,
        how: impl FnOnce(&mut Message) -> bool,
    ) -> Option<Change> {
        let place = *self.by_id.get(&(chat.clone(), outgoing, id.to_owned()))?;
        how(&mut self.messages[place]).then(|| self.row(owner, place))
    }

    /// Notes the key a ciphertext was made with; `false` if it was used for another ciphertext before.
    pub(super) fn note_key(&mut self, fingerprint: Fingerprint) -> bool {
        let key = (fingerprint.ratchet, fingerprint.counter);
        let known = *self.fingerprints.entry(key).or_insert(fingerprint.hash);
        known == fingerprint.hash
    }

    /// The messages of a chat, oldest first.
    pub(super) fn chat(&self, chat: &Jid) -> impl DoubleEndedIterator<Item = &Message> {
        let places = self.chats.get(chat).map_or(&[][..], Vec::as_slice);
        places.iter().map(|place| &self.messages[*place])
    }

    /// All messages, oldest first.
    pub(super) fn all(&self) -> &[Message] {
        &self.messages
    }

    /// With whom there are chats.
    pub(super) fn chats(&self) -> impl Iterator<Item = &Jid> {
        self.chats.keys()
    }

    /// The contact's own messages that the server has not got.
    pub(super) fn queued(&self) -> Vec<(Jid, String)> {
        let queued = self
            .messages
            .iter()
            .filter(|m| m.outgoing && m.status == Status::Queued);
        queued
            .map(|message| (message.chat.clone(), message.id.clone()))
            .collect()
    }

    /// What came, in order.
    pub(super) fn received(&self) -> Vec<Received> {
        self.messages
            .iter()
            .filter(|message| !message.outgoing && !message.notice)
            .map(Received::from)
            .collect()
    }

    /// How many messages came.
    pub(super) fn received_count(&self) -> usize {
        self.received
    }

    /// What the contact wrote, in order.
    pub(super) fn sent(&self) -> Vec<Message> {
        self.messages
            .iter()
            .filter(|message| message.outgoing)
            .cloned()
            .collect()
    }
}
