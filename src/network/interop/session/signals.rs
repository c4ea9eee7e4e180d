//! Signals that are told once and forgotten: who is writing, and who is there.
//!
//! ```xml
//! <chatstate to|from="…" [participant="…"]><composing [media="audio"]/></chatstate>
//! <chatstate to|from="…" [participant="…"]><paused/></chatstate>
//! <presence type="available|unavailable" [name="…"] [from="…"]/>
//! ```

use super::Event;
use crate::{
    domain::Typing,
    network::interop::wire::{Jid, Node},
};

/// `<chatstate>`: whether the login's user writes in a chat.
#[must_use]
pub fn chatstate(chat: &Jid, state: Typing) -> Node {
    let state = match state {
        Typing::Composing => Node::new("composing"),
        Typing::Recording => Node::new("composing").with("media", "audio"),
        Typing::Paused => Node::new("paused"),
    };
    Node::new("chatstate").with("to", chat).child(state)
}

/// `<presence>`: whether the login's user is there, and what they are called.
#[must_use]
pub fn presence(available: bool, name: Option<&str>) -> Node {
    let kind = if available {
        "available"
    } else {
        "unavailable"
    };
    Node::new("presence")
        .with("type", kind)
        .with_opt("name", name)
}

/// What a `<chatstate>` that comes tells, if anything.
pub(super) fn typing(node: &Node) -> Option<Event> {
    let state = match (node.find("composing"), node.find("paused")) {
        (Some(composing), _) if composing.attr("media").as_deref() == Some("audio") => {
            Typing::Recording
        }
        (Some(_), _) => Typing::Composing,
        (None, Some(_)) => Typing::Paused,
        (None, None) => return None,
    };
    Some(Event::Typing {
        chat: node.jid("from")?,
        participant: node.jid("participant"),
        state,
    })
}

/// What a `<presence>` that comes tells, if anything. One without type says that somebody is there.
pub(super) fn available(node: &Node) -> Option<Event> {
    let available = match node.attr("type").as_deref() {
        None | Some("available") => true,
        Some("unavailable") => false,
        Some(_) => return None,
    };
    Some(Event::Presence {
        from: node.jid("from")?,
        available,
    })
}
