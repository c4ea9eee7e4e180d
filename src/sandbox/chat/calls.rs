//! Calls, and what a phone says about a file it uploaded again, on their way to others.
//!
//! ```xml
//! <call to id><offer call-id call-creator>[<video/>]</offer></call>  becomes  <call from id t>…</call>
//! <notification type="mediaretry" to id><encrypt/><rmr/></notification>  becomes  <notification type="mediaretry" from id t>…
//! ```

use super::{BAD_STANZA, Desk, messages::group_of};
use crate::network::interop::wire::Node;

impl Desk<'_> {
    pub(super) fn call(&mut self, node: &Node) {
        let about_a_call = node
            .children()
            .iter()
            .any(|child| child.attr("call-id").is_some());
        if node.attr("id").is_none() || !about_a_call {
            return self.refuse(node, BAD_STANZA);
        }
        self.pass_on(node);
    }

    pub(super) fn notification(&mut self, node: &Node) {
        let known = node.attr("type").as_deref() == Some("mediaretry");
        if node.attr("id").is_none() || !known {
            return self.refuse(node, BAD_STANZA);
        }
        if let Some(group) = group_of(node) {
            return self.group_notification(&group, node);
        }
        self.pass_on(node);
    }

    /// Puts a stanza into the recipient's mailbox as it is.
    fn pass_on(&mut self, node: &Node) {
        let to = match self.recipient(node) {
            Ok(to) => to,
            Err(code) => return self.refuse(node, code),
        };
        let mut forwarded = Node::new(node.tag.clone())
            .with("from", self.me)
            .with_opt("id", node.attr("id").map(std::borrow::Cow::into_owned))
            .with_opt("type", node.attr("type").map(std::borrow::Cow::into_owned))
            .with("t", self.t());
        forwarded.content = node.content.clone();
        self.directory.note_chat(self.me, &to, self.step);
        self.directory.post(&to, forwarded, self.now, self.step);
        let ack = self.ack(node);
        self.answer(ack);
    }
}
