//! What waits for a user until their client acknowledges it.

use std::collections::VecDeque;

use crate::{
    network::interop::wire::{self, Jid, Node},
    sandbox::disk,
};

/// How long a stanza waits, in milliseconds: 30 days.
pub(in crate::sandbox) const KEPT_MS: i64 = 30 * 24 * 60 * 60 * 1000;

/// One stanza that waits.
#[derive(Debug)]
pub(in crate::sandbox) struct Entry {
    /// Its place in the order of all mailboxes.
    pub(in crate::sandbox) number: u64,
    /// When it came, in milliseconds since the Unix epoch.
    pub(in crate::sandbox) at: i64,
    pub(in crate::sandbox) node: Node,
    /// Whether it is on disk; it is not shown to anybody before.
    pub(in crate::sandbox) durable: bool,
    /// The connection it was sent on last, 0 for none.
    pub(in crate::sandbox) sent_on: u64,
}

/// A user's mailbox, oldest first.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct Mailbox(pub(in crate::sandbox) VecDeque<Entry>);

impl Entry {
    /// Whether its owner is called if they are not connected.
    pub(in crate::sandbox) fn calls_owner(&self) -> bool {
        self.durable && matches!(&*self.node.tag, "message" | "call")
    }
}

impl Mailbox {
    /// Whether there is something the owner is called about.
    pub(in crate::sandbox) fn calls_owner(&self) -> bool {
        self.0.iter().any(Entry::calls_owner)
    }

    /// The entry of a number.
    pub(in crate::sandbox) fn entry(&mut self, number: u64) -> Option<&mut Entry> {
        let at = self
            .0
            .binary_search_by_key(&number, |entry| entry.number)
            .ok()?;
        self.0.get_mut(at)
    }

    /// Removes what an `<ack class id to [type]/>` of the client acknowledges: the first that was sent and fits.
    pub(in crate::sandbox) fn take_acknowledged(&mut self, ack: &Node) -> Option<Entry> {
        let at = self.0.iter().position(|entry| acknowledges(ack, entry))?;
        self.0.remove(at)
    }

    /// How many stanzas with a tag could be sent.
    pub(in crate::sandbox) fn count(&self, tag: &str) -> u64 {
        let waiting = self
            .0
            .iter()
            .filter(|entry| entry.durable && entry.node.tag == tag);
        waiting.count() as u64
    }
}

fn acknowledges(ack: &Node, entry: &Entry) -> bool {
    let node = &entry.node;
    entry.sent_on != 0
        && ack.attr("id") == node.attr("id")
        && ack.attr("class").as_deref() == Some(&*node.tag)
        && (matches!(&*node.tag, "message" | "call") || ack.attr("type") == node.attr("type"))
        && (ack.attr("participant").is_none()
            || ack.jid("participant").map(|one| one.bare())
                == node.jid("participant").map(|one| one.bare()))
        && ack.jid("to").map(|to| to.bare()) == node.jid("from").map(|from| from.bare())
}

/// The key of an entry on disk.
pub(in crate::sandbox) fn row_key(owner: &Jid, number: u64) -> Vec<u8> {
    let mut key = disk::key([owner.to_string().as_bytes()]);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

/// An entry's value on disk: the time, then the stanza.
pub(in crate::sandbox) fn row_value(at: i64, node: &Node) -> Vec<u8> {
    let mut value = at.to_be_bytes().to_vec();
    value.extend_from_slice(&wire::encode(node));
    value
}

/// Reads a row.
pub(in crate::sandbox) fn read_row(key: &[u8], value: &[u8]) -> Option<(Jid, Entry)> {
    let (owner, number) = key.split_last_chunk::<8>()?;
    let owner = std::str::from_utf8(owner.strip_suffix(&[0])?)
        .ok()?
        .parse()
        .ok()?;
    let (at, stanza) = value.split_first_chunk::<8>()?;
    let entry = Entry {
        number: u64::from_be_bytes(*number),
        at: i64::from_be_bytes(*at),
        node: wire::decode(stanza).ok()?,
        durable: true,
        sent_on: 0,
    };
    Some((owner, entry))
}
