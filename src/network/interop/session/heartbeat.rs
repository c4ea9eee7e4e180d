//! Pings: one every so often, at uneven distances, and the judgement that nobody answers any more.

use rand::{RngExt, rngs::StdRng};

use crate::domain::Timestamp;

/// When to ping and when to give up.
#[derive(Debug)]
pub(super) struct Heartbeat {
    interval: i64,
    patience: i64,
    next: Timestamp,
    /// By when something must be heard, while a ping is out.
    deadline: Option<Timestamp>,
}

/// What is due.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Beat {
    Nothing,
    Ping,
    Dead,
}

impl Heartbeat {
    pub(super) fn new(interval: i64, patience: i64, rng: &mut StdRng, now: Timestamp) -> Self {
        let mut beat = Self {
            interval,
            patience,
            next: now,
            deadline: None,
        };
        beat.schedule(rng, now);
        beat
    }

    /// A fifth more or less than the interval, so that logins that connected together do not ping together.
    fn schedule(&mut self, rng: &mut StdRng, now: Timestamp) {
        let spread = (self.interval / 5).max(1);
        self.next = now.plus_millis(self.interval + rng.random_range(-spread..=spread));
    }

    /// Anything heard proves the peer alive: the answer may be behind a long mailbox.
    pub(super) fn heard(&mut self, now: Timestamp) {
        if let Some(deadline) = &mut self.deadline {
            *deadline = now.plus_millis(self.patience);
        }
    }

    /// The ping was answered.
    pub(super) fn answered(&mut self) {
        self.deadline = None;
    }

    pub(super) fn poll(&mut self, rng: &mut StdRng, now: Timestamp) -> Beat {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            return Beat::Dead;
        }
        if self.next > now {
            return Beat::Nothing;
        }
        self.schedule(rng, now);
        if self.deadline.is_some() {
            return Beat::Nothing;
        }
        self.deadline = Some(now.plus_millis(self.patience));
        Beat::Ping
    }

    pub(super) fn timeout(&self) -> Timestamp {
        match self.deadline {
            Some(deadline) if deadline < self.next => deadline,
            _ => self.next,
        }
    }
}
