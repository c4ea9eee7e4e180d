//! Receipts on their way to those whose messages they are for: delivered, read, retry.

use super::{BAD_STANZA, Desk};
use crate::{network::interop::wire::Node, sandbox::directory::Account};

impl Desk<'_> {
    pub(super) fn receipt(&mut self, node: &Node) {
        if node.attr("id").is_none() {
            return self.refuse(node, BAD_STANZA);
        }
        // A receipt that nobody can get has done its work: the client is to forget it.
        if let Ok(to) = self.recipient(node) {
            let kind = node.attr("type");
            let is_read = matches!(kind.as_deref(), Some("read" | "played"));
            let wanted = [self.me, &to].into_iter().all(|jid| {
                self.directory
                    .accounts
                    .get(jid)
                    .is_some_and(Account::read_receipts)
            });
            if !is_read || wanted {
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
