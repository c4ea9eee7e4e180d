//! The stanzas of the outbox that were written and not acknowledged yet; bounded.

use std::collections::VecDeque;

use crate::domain::Timestamp;

/// A stanza of the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    /// Its tag, by which it is acknowledged: `message` or `receipt`.
    pub class: &'static str,
    /// Its id on the wire.
    pub id: String,
    /// The encoded stanza.
    pub payload: Vec<u8>,
}

#[derive(Debug)]
struct Entry {
    class: &'static str,
    id: String,
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

    pub(super) fn push(&mut self, class: &'static str, id: String, deadline: Timestamp) {
        self.entries.push_back(Entry {
            class,
            id,
            deadline,
        });
    }

    /// Takes out what is acknowledged; `false` if it is not in flight.
    pub(super) fn acked(&mut self, class: &str, id: &str) -> bool {
        let place = self
            .entries
            .iter()
            .position(|entry| entry.class == class && entry.id == id);
        match place {
            Some(place) => self.entries.remove(place).is_some(),
            None => false,
        }
    }

    /// Whether an acknowledgement is overdue.
    pub(super) fn is_overdue(&self, now: Timestamp) -> bool {
        self.timeout().is_some_and(|deadline| deadline <= now)
    }

    /// All entries wait equally long, so the first one's time is over first.
    pub(super) fn timeout(&self) -> Option<Timestamp> {
        self.entries.front().map(|entry| entry.deadline)
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }
}
