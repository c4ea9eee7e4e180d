//! What the login's user does at the moment, on its way to the gatekeeper: the latest of each, sent once, never kept.

use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::{
    domain::Typing,
    network::interop::{
        session::signals::{chatstate, presence},
        wire::{Jid, Node},
    },
};

/// In how many chats somebody can be writing at the same time.
const MOST: usize = 32;

#[derive(Debug, Default)]
struct Waiting {
    available: Option<bool>,
    typing: Vec<(Jid, Typing)>,
}

/// What waits to be told.
#[derive(Debug, Default)]
pub(super) struct Signals {
    waiting: Mutex<Waiting>,
    bell: Notify,
}

impl Signals {
    pub(super) fn typing(&self, chat: Jid, state: Typing) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let known = waiting.typing.iter().position(|(known, _)| *known == chat);
        match known {
            Some(place) => waiting.typing[place].1 = state,
            None if waiting.typing.len() < MOST => waiting.typing.push((chat, state)),
            None => {}
        }
        self.bell.notify_one();
    }

    pub(super) fn presence(&self, available: bool) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.available = Some(available);
        self.bell.notify_one();
    }

    /// Waits until there is something to tell.
    pub(super) async fn rung(&self) {
        self.bell.notified().await;
    }

    /// Takes what waits, as stanzas.
    pub(super) fn take(&self) -> Vec<Node> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let Waiting { available, typing } = std::mem::take(&mut *waiting);
        let writing = typing
            .into_iter()
            .map(|(chat, state)| chatstate(&chat, state));
        available.map(presence).into_iter().chain(writing).collect()
    }
}
