//! What goes through groups: messages to every other member, receipts and requests to one of them, typing to those connected.
//!
//! ```xml
//! <message to=G id type><participants><to jid><enc/></to>…</participants><enc type="skmsg"/></message>  becomes, for each other
//! member,  <message from=G participant id t type display_name sts><enc/>?<enc type="skmsg"/></message>
//! <message to=G participant id type><enc/></message> and <receipt to=G participant id/>  become, for the participant alone,
//! <message from=G participant id t type><enc/></message> and <receipt from=G participant id t/>
//! ```

use std::collections::HashMap;

use super::{BAD_STANZA, Desk, FORBIDDEN, UNKNOWN_USER};
use crate::{
    network::interop::wire::{Content, Jid, Node},
    sandbox::directory::{Account, Effect, Group},
};

impl Desk<'_> {
    /// A message to a group, of a form that was checked.
    pub(super) fn group_message(&mut self, group: &Jid, node: &Node) {
        let found = self.directory.groups.all.get(group);
        let Some(found) = found.filter(|group| group.flavour == self.flavour) else {
            return self.refuse(node, UNKNOWN_USER);
        };
        let Some(role) = found.role(self.me) else {
            return self.refuse(node, FORBIDDEN);
        };
        let hash = found.hash();
        if let Some(one) = node.jid("participant") {
            let one = one.bare();
            if !found.members.contains_key(&one) || one == *self.me {
                return self.refuse(node, FORBIDDEN);
            }
            let encrypted = encrypted(node).cloned().collect();
            let message = self.for_member(group, node, &one, encrypted);
            self.directory.post(&one, message, self.now, self.step);
        } else {
            if found.announce && !role.is_admin() {
                return self.refuse(node, FORBIDDEN);
            }
            self.fan_out(&found.clone(), node);
        }
        let ack = self.ack(node).with("phash", hash);
        self.answer(ack);
    }

    /// Gives a message to every other member, each with the ciphertext that is theirs alone.
    fn fan_out(&mut self, group: &Group, node: &Node) {
        let own = node.find("participants").map_or(&[][..], Node::children);
        let own: HashMap<Jid, Vec<Node>> = own
            .iter()
            .filter_map(|to| Some((to.jid("jid")?.bare(), encrypted(to).cloned().collect())))
            .collect();
        let others = group.members.keys().filter(|jid| *jid != self.me);
        for member in others {
            let mut ciphertexts = own.get(member).cloned().unwrap_or_default();
            ciphertexts.extend(encrypted(node).cloned());
            let message = self.for_member(&group.jid, node, member, ciphertexts);
            self.directory.post(member, message, self.now, self.step);
        }
    }

    fn for_member(&self, group: &Jid, node: &Node, to: &Jid, encrypted: Vec<Node>) -> Node {
        let mut message = Node::new("message")
            .with("from", group)
            .with("participant", self.me)
            .with("t", self.t());
        for name in ["id", "type", "edit"] {
            let value = node.attr(name).map(std::borrow::Cow::into_owned);
            message = message.with_opt(name, value);
        }
        message = self.named(message, to);
        message.content = Content::Nodes(encrypted);
        message
    }

    /// A receipt for a message of one member.
    pub(super) fn group_receipt(&mut self, group: &Jid, node: &Node) {
        let kind = node.attr("type");
        let is_read = matches!(kind.as_deref(), Some("read" | "played"));
        let to = self.one_member(group, node);
        // A receipt that nobody can get has done its work: the client is to forget it.
        if let Some(to) = to.filter(|to| !is_read || self.both_want_receipts(to)) {
            let receipt = self.passed_on(group, node);
            self.directory.post(&to, receipt, self.now, self.step);
        }
        let ack = self.ack(node);
        self.answer(ack);
    }

    /// What a member says about a file of another's message.
    pub(super) fn group_notification(&mut self, group: &Jid, node: &Node) {
        let Some(to) = self.one_member(group, node) else {
            return self.refuse(node, BAD_STANZA);
        };
        let notification = self.passed_on(group, node);
        self.directory.post(&to, notification, self.now, self.step);
        let ack = self.ack(node);
        self.answer(ack);
    }

    pub(super) fn group_typing(&mut self, group: &Jid, node: &Node) {
        let found = self.directory.groups.all.get(group);
        let Some(found) = found.filter(|found| found.members.contains_key(self.me)) else {
            return;
        };
        for member in found.members.keys().filter(|member| *member != self.me) {
            let mut state = Node::new("chatstate")
                .with("from", group)
                .with("participant", self.me);
            state.content = node.content.clone();
            self.step.effects.push(Effect::Live(member.clone(), state));
        }
    }

    /// The one other member of the client's group a stanza is for.
    fn one_member(&self, group: &Jid, node: &Node) -> Option<Jid> {
        let to = node.jid("participant")?.bare();
        let found = self.directory.groups.all.get(group)?;
        let both = [self.me, &to].map(|jid| found.members.contains_key(jid));
        (both == [true, true] && to != *self.me).then_some(to)
    }

    fn passed_on(&self, group: &Jid, node: &Node) -> Node {
        let mut passed = Node::new(node.tag.clone())
            .with("from", group)
            .with("participant", self.me)
            .with("t", self.t());
        for name in ["id", "type"] {
            let value = node.attr(name).map(std::borrow::Cow::into_owned);
            passed = passed.with_opt(name, value);
        }
        passed.content = node.content.clone();
        passed
    }

    /// Whether both sides take part in read receipts.
    pub(super) fn both_want_receipts(&self, to: &Jid) -> bool {
        [self.me, to].into_iter().all(|jid| {
            let account = self.directory.accounts.get(jid);
            account.is_some_and(Account::read_receipts)
        })
    }
}

fn encrypted(node: &Node) -> impl Iterator<Item = &Node> {
    node.children().iter().filter(|child| child.tag == "enc")
}
