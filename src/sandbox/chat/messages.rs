//! Messages, typing and presence on their way to others.
//!
//! ```xml
//! <message to id type edit><enc/></message>  becomes  <message from id t type edit display_name sts><enc/></message> for a Partner
//! user and <message from id t type edit notify><enc/></message> for a phone
//! ```

use super::{BAD_STANZA, Desk};
use crate::{
    network::interop::wire::{Content, Jid, Node},
    sandbox::directory::{Account, Effect, is_group},
};

/// The group a stanza is for.
pub(super) fn group_of(node: &Node) -> Option<Jid> {
    node.jid("to").filter(is_group)
}

/// The longest id a stanza may have.
const MAX_ID: usize = 128;

impl Desk<'_> {
    pub(super) fn message(&mut self, node: &Node) {
        let usable = node
            .attr("id")
            .is_some_and(|id| !id.is_empty() && id.len() <= MAX_ID)
            && node
                .find("enc")
                .is_some_and(|enc| enc.content_bytes().is_some());
        if !usable {
            return self.refuse(node, BAD_STANZA);
        }
        if let Some(group) = group_of(node) {
            return self.group_message(&group, node);
        }
        let to = match self.recipient(node) {
            Ok(to) => to,
            Err(code) => return self.refuse(node, code),
        };
        let mut forwarded = Node::new("message")
            .with("from", self.me)
            .with_opt("id", node.attr("id").map(std::borrow::Cow::into_owned))
            .with("t", self.t())
            .with_opt("type", node.attr("type").map(std::borrow::Cow::into_owned))
            .with_opt("edit", node.attr("edit").map(std::borrow::Cow::into_owned));
        forwarded = self.named(forwarded, &to);
        forwarded.content = Content::Nodes(
            node.children()
                .iter()
                .filter(|child| child.tag == "enc")
                .cloned()
                .collect(),
        );
        self.directory.note_chat(self.me, &to, self.step);
        self.directory.post(&to, forwarded, self.now, self.step);
        let ack = self.ack(node);
        self.answer(ack);
    }

    /// A message with its sender's name, as its recipient gets it.
    pub(super) fn named(&self, message: Node, to: &Jid) -> Node {
        let account = self.directory.accounts.get(self.me);
        let name = account.and_then(Account::shown_name);
        if matches!(to, Jid::Interop { .. }) {
            message
                .with_opt("display_name", name)
                .with("sts", self.now.to_string())
        } else {
            message.with_opt("notify", name)
        }
    }

    /// `<chatstate to><composing [media]/></chatstate>`, for the recipient if connected.
    pub(super) fn typing(&mut self, node: &Node) {
        if let Some(group) = group_of(node) {
            return self.group_typing(&group, node);
        }
        if let Ok(to) = self.recipient(node) {
            let mut state = Node::new("chatstate").with("from", self.me);
            state.content = node.content.clone();
            self.step.effects.push(Effect::Live(to, state));
        }
    }

    /// `<presence type name/>`: the name is kept, and told if it is another; those the user wrote with see the presence if connected.
    pub(super) fn presence(&mut self, node: &Node) {
        let name = node
            .attr("name")
            .map(|name| name.chars().take(100).collect::<String>());
        let Some(account) = self.directory.accounts.get(self.me) else {
            return;
        };
        let chats = account.chats.clone();
        if let Some(name) = name {
            self.directory.set_name(self.me, name, self.now, self.step);
        }
        for peer in chats {
            let presence = Node::new("presence")
                .with("from", self.me)
                .with_opt("type", node.attr("type").map(std::borrow::Cow::into_owned));
            self.step.effects.push(Effect::Live(peer, presence));
        }
    }
}
