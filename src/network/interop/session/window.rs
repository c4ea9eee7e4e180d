//! The stanzas of the outbox that were written and not acknowledged yet; bounded.

use std::collections::VecDeque;

use super::Acked;
use crate::domain::Timestamp;

/// A stanza of the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    /// Its place in the outbox, which tells the copies of one message apart.
    pub seq: i64,
    /// Its tag, by which it is acknowledged: `message` or `receipt`.
    pub class: &'static str,
    /// Its id on the wire.
    pub id: String,
    /// Its type, if its acknowledgement repeats it: `read` for a read receipt, `server-error` for the request of a file. Both,
    /// and the delivery receipt, are acknowledged under the id of the message they are about.
    pub kind: Option<&'static str>,
    /// The encoded stanza.
    pub payload: Vec<u8>,
}

#[derive(Debug)]
struct Entry {
    seq: i64,
    class: &'static str,
    id: String,
    kind: Option<&'static str>,
    deadline: Timestamp,
}

/// What is in flight, in order of sending: acknowledgements come nearly in order, so a search from the front is short.
#[derive(Debug)]
pub(super) struct Window {
    entries: VecDeque<Entry>,
    most: usize,
}

impl Window {
    pub(super) fn new(most: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            most,
        }
    }

    pub(super) fn left(&self) -> usize {
        self.most.saturating_sub(self.entries.len())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn holds(&self, queued: &Queued) -> bool {
        self.entries.iter().any(|entry| {
            entry.seq == queued.seq
                && entry.class == queued.class
                && entry.id == queued.id
                && entry.kind == queued.kind
        })
    }

    /// Takes in what is sent; gives its payload back.
    pub(super) fn push(&mut self, queued: Queued, deadline: Timestamp) -> Vec<u8> {
        self.entries.push_back(Entry {
            seq: queued.seq,
            class: queued.class,
            id: queued.id,
            kind: queued.kind,
            deadline,
        });
        queued.payload
    }

    /// Takes out what is acknowledged, the earliest copy first; its place in the outbox, `None` if it is not in flight.
    pub(super) fn acked(&mut self, acked: &Acked) -> Option<i64> {
        let place = self.entries.iter().position(|entry| {
            entry.class == acked.class
                && entry.id == acked.id
                && (entry.kind.is_none() || entry.kind == acked.kind.as_deref())
        });
        self.entries.remove(place?).map(|entry| entry.seq)
    }

    /// Whether the acknowledgement of a message is overdue. A receipt whose acknowledgement is overdue is let go: it stays in
    /// the outbox and goes again on the next connection, but is not worth a new one.
    pub(super) fn expire(&mut self, now: Timestamp) -> bool {
        while let Some(entry) = self.entries.front()
            && entry.deadline <= now
        {
            if entry.class == "message" {
                return true;
            }
            self.entries.pop_front();
        }
        false
    }

    /// All entries wait equally long, so the first one's time is over first.
    pub(super) fn timeout(&self) -> Option<Timestamp> {
        self.entries.front().map(|entry| entry.deadline)
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }
}
