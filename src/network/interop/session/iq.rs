//! Requests a Partner's user makes over the chat channel, and how their answers are read.
//!
//! A request is an `<iq>` without `id`; [`Session::request`](super::Session::request) gives it one. `server` is the address of the
//! gatekeeper's server (`s.whatsapp.net`).

use crate::network::interop::wire::{Jid, Node};

fn iq(kind: &'static str, xmlns: &'static str, server: &Jid) -> Node {
    Node::new("iq")
        .with("type", kind)
        .with("xmlns", xmlns)
        .with("to", server)
}

/// `<iq type="get" xmlns="w:p"><ping/></iq>`.
#[must_use]
pub fn ping(server: &Jid) -> Node {
    iq("get", "w:p", server).child(Node::new("ping"))
}

/// `<iq type="get" xmlns="encrypt"><key><user jid="…" [reason="identity"]/>…</key></iq>`: a prekey bundle of each user. With
/// `identity_changed` the gatekeeper is told that the keys are wanted because an identity changed.
#[must_use]
pub fn key_fetch(server: &Jid, users: &[Jid], identity_changed: bool) -> Node {
    let keys = users.iter().fold(Node::new("key"), |keys, user| {
        keys.child(
            Node::new("user")
                .with("jid", user)
                .with_opt("reason", identity_changed.then_some("identity")),
        )
    });
    iq("get", "encrypt", server).child(keys)
}

/// The `<user>` elements in the answer to [`key_fetch`], with or without a bundle in them.
#[must_use]
pub fn fetched_users(answer: &Node) -> &[Node] {
    answer.find("list").map_or(&[], Node::children)
}

/// The code of the `<error code/>` in a fetched `<user>`; `None` if it holds a bundle.
#[must_use]
pub fn fetch_error(user: &Node) -> Option<u16> {
    match user.find("error") {
        Some(error) => Some(
            error
                .number("code")
                .and_then(|code| u16::try_from(code).ok())
                .unwrap_or(0),
        ),
        None if user.find("identity").is_none() => Some(404),
        None => None,
    }
}

/// Whether an error code of an answer says that the gatekeeper cannot serve now: 429 and 500 to 599.
#[must_use]
pub fn is_passing(code: u16) -> bool {
    matches!(code, 429 | 500..=599)
}

/// `<iq type="get" xmlns="encrypt"><count/></iq>`: how many one-time prekeys the gatekeeper holds.
#[must_use]
pub fn prekey_count(server: &Jid) -> Node {
    iq("get", "encrypt", server).child(Node::new("count"))
}

/// The number in the answer to [`prekey_count`], and in `<notification type="encrypt"><count value="4"/></notification>`.
#[must_use]
pub fn count(answer: &Node) -> Option<u64> {
    answer.find("count")?.number("value")
}

/// `<iq type="get" xmlns="encrypt"><digest/></iq>`: what the gatekeeper holds of our keys.
#[must_use]
pub fn digest(server: &Jid) -> Node {
    iq("get", "encrypt", server).child(Node::new("digest"))
}

/// `<iq type="set" xmlns="encrypt">…</iq>` around the elements of a prekey upload or of `<rotate><skey/></rotate>`.
#[must_use]
pub fn encrypt_set(server: &Jid, children: Vec<Node>) -> Node {
    children
        .into_iter()
        .fold(iq("set", "encrypt", server), Node::child)
}

/// `<iq type="get" xmlns="blocklist"/>`.
#[must_use]
pub fn blocklist_get(server: &Jid) -> Node {
    iq("get", "blocklist", server)
}

/// `<iq type="set" xmlns="blocklist"><item action="block|unblock" jid="…"/></iq>`.
#[must_use]
pub fn blocklist_set(server: &Jid, user: &Jid, block: bool) -> Node {
    iq("set", "blocklist", server).child(
        Node::new("item")
            .with("action", if block { "block" } else { "unblock" })
            .with("jid", user),
    )
}

/// The users in the answer to [`blocklist_get`]: `<list><item jid="…"/>…</list>`; items that are no address are left out.
#[must_use]
pub fn blocked(answer: &Node) -> Vec<Jid> {
    answer
        .find("list")
        .map_or(&[][..], Node::children)
        .iter()
        .filter_map(|item| item.jid("jid"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_without_a_bundle_is_an_error() {
        let bare = Node::new("user").with("jid", "1@s.whatsapp.net");
        assert_eq!(fetch_error(&bare), Some(404));
        let refused = bare.clone().child(Node::new("error").with("code", "406"));
        assert_eq!(fetch_error(&refused), Some(406));
        let found = bare.child(Node::new("identity").bytes(vec![0; 32]));
        assert_eq!(fetch_error(&found), None);
    }
}
