//! What the login's user does at the moment, on its way to the gatekeeper: the latest of each. It is sent once and not kept,
//! except what the user is called and that they are there, which the gatekeeper forgets with each connection.

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
    /// Whether the user is there, as told last; it is kept.
    present: bool,
    /// What the user is called; it is kept, and told with whether they are there.
    name: Option<String>,
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
        waiting.present = available;
        self.bell.notify_one();
    }

    /// What the user is called; told at once and to each new connection.
    pub(super) fn name(&self, name: String) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.name.as_ref() != Some(&name) {
            waiting.name = Some(name);
            waiting.available = Some(waiting.present);
            self.bell.notify_one();
        }
    }

    /// A new connection: what was to be told before is not true any more, except that the user is there and their name.
    pub(super) fn renew(&self) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.typing.clear();
        let tells = waiting.present || waiting.name.is_some();
        waiting.available = tells.then_some(waiting.present);
        if tells {
            self.bell.notify_one();
        }
    }

    /// Waits until there is something to tell.
    pub(super) async fn rung(&self) {
        self.bell.notified().await;
    }

    /// Takes what waits, as stanzas.
    pub(super) fn take(&self) -> Vec<Node> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let (available, typing) = (
            waiting.available.take(),
            std::mem::take(&mut waiting.typing),
        );
        let writing = typing
            .into_iter()
            .map(|(chat, state)| chatstate(&chat, state));
        let name = waiting.name.as_deref();
        let there = available.map(|available| presence(available, name));
        there.into_iter().chain(writing).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_connection_is_told_that_the_user_is_there_and_nothing_else() {
        let signals = Signals::default();
        let chat = Jid::user("447700900005", "s.whatsapp.net");
        signals.renew();
        assert!(signals.take().is_empty());
        signals.presence(true);
        signals.typing(chat.clone(), Typing::Composing);
        assert_eq!(signals.take().len(), 2);
        signals.typing(chat, Typing::Composing);
        signals.renew();
        let told = signals.take();
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].attr("type").as_deref(), Some("available"));
        assert!(signals.take().is_empty());
        signals.presence(false);
        signals.renew();
        assert!(signals.take().is_empty());
    }

    #[test]
    fn a_name_is_told_at_once_once_and_to_each_connection() {
        let signals = Signals::default();
        let said = |signals: &Signals| -> Vec<(Option<String>, Option<String>)> {
            let text = |node: &Node, key| node.attr(key).map(std::borrow::Cow::into_owned);
            let nodes = signals.take();
            nodes
                .iter()
                .map(|node| (text(node, "type"), text(node, "name")))
                .collect()
        };
        let told = |kind: &str, name: &str| vec![(Some(kind.to_owned()), Some(name.to_owned()))];
        // That somebody has a name does not mean that they are there.
        signals.name("Ada".to_owned());
        assert_eq!(said(&signals), told("unavailable", "Ada"));
        signals.name("Ada".to_owned());
        assert_eq!(said(&signals), []);
        signals.renew();
        assert_eq!(said(&signals), told("unavailable", "Ada"));
        signals.presence(true);
        assert_eq!(said(&signals), told("available", "Ada"));
        signals.name("Ada L.".to_owned());
        assert_eq!(said(&signals), told("available", "Ada L."));
        signals.renew();
        assert_eq!(said(&signals), told("available", "Ada L."));
    }
}
