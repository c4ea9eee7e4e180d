//! Receipts on their way to those whose messages they are for: delivered, read, retry.

use super::{BAD_STANZA, Desk, messages::group_of};
use crate::network::interop::wire::Node;

impl Desk<'_> {
    pub(super) fn receipt(&mut self, node: &Node) {
        if node.attr("id").is_none() {
            return self.refuse(node, BAD_STANZA);
        }
        if let Some(group) = group_of(node) {
            return self.group_receipt(&group, node);
        }
        // A receipt that nobody can get has done its work: the client is to forget it.
        if let Ok(to) = self.recipient(node) {
            let kind = node.attr("type");
            let is_read = matches!(kind.as_deref(), Some("read" | "played"));
            if !is_read || self.both_want_receipts(&to) {
                let mut forwarded = Node::new("receipt")
                    .with("from", self.me)
                    .with_opt("id", node.attr("id").map(std::borrow::Cow::into_owned))
                    .with_opt("type", kind.map(std::borrow::Cow::into_owned))
                    .with("t", self.t());
                forwarded.content = node.content.clone();
                self.directory.post(&to, forwarded, self.now, self.step);
            }
        }
        let ack = self.ack(node);
        self.answer(ack);
    }
}
