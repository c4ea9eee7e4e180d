//! What the machine does with a stanza that comes once it is logged in.

use super::Session;
use crate::{
    domain::Timestamp,
    network::interop::{
        session::{
            Acked, Event, Transmit, iq, refused_for_now,
            requests::{Asker, outcome},
            signals,
        },
        wire::Node,
    },
};

impl Session {
    pub(super) fn handle_open(&mut self, node: Node, now: Timestamp) {
        match node.tag.as_ref() {
            "message" => self.events.push_back(Event::Message(node)),
            "receipt" => self.events.push_back(Event::Receipt(node)),
            "ack" => self.handle_ack(node),
            "iq" => self.handle_iq(node),
            "ib" => self.handle_ib(&node),
            "notification" => self.handle_notification(node),
            "call" => self.handle_call(node, now),
            "chatstate" => self.events.extend(signals::typing(&node)),
            "presence" => self.events.extend(signals::available(&node)),
            "success" => {}
            tag => {
                tracing::debug!(tag, "an unknown stanza");
                self.acknowledge(&node);
            }
        }
    }

    fn handle_ack(&mut self, node: Node) {
        let Some(mut acked) = Acked::read(node) else {
            return;
        };
        if let Some(code) = acked.error.filter(|code| refused_for_now(*code)) {
            // It stays in flight until its time is over, and goes again on the next connection.
            tracing::warn!(
                id = acked.id,
                code,
                "the gatekeeper cannot take a stanza now"
            );
            return;
        }
        if let Some(seq) = self.window.acked(&acked) {
            acked.seq = seq;
            self.events.push_back(Event::Acked(acked));
        }
    }

    fn handle_iq(&mut self, node: Node) {
        match node.attr("type").as_deref() {
            Some("result" | "error") => {
                let asker = node
                    .attr("id")
                    .and_then(|id| {
                        let number = id.strip_prefix(&self.prefix)?.strip_prefix('-')?;
                        number.parse().ok()
                    })
                    .and_then(|number| self.requests.take(number));
                match asker {
                    Some(Asker::Ping) => self.heartbeat.answered(),
                    Some(Asker::Owner(request)) => self.events.push_back(Event::Answered {
                        request,
                        outcome: outcome(node),
                    }),
                    None => tracing::debug!("an answer that nobody waits for"),
                }
            }
            Some("get") if node.attr("xmlns").as_deref() == Some("urn:xmpp:ping") => {
                let pong = Node::new("iq")
                    .with("type", "result")
                    .with("to", &self.options.server)
                    .with_opt("id", node.attr("id").map(std::borrow::Cow::into_owned));
                self.transmits.push_back(Transmit::Node(pong));
            }
            _ => tracing::debug!("an unknown request of the gatekeeper"),
        }
    }

    fn handle_ib(&mut self, node: &Node) {
        let count = |child: &Node| child.number("count").unwrap_or(0);
        if let Some(preview) = node.find("offline_preview") {
            let count = count(preview);
            self.events.push_back(Event::MailboxWaiting { count });
        } else if let Some(offline) = node.find("offline") {
            let count = count(offline);
            self.events.push_back(Event::MailboxDrained { count });
        } else {
            tracing::debug!("an unknown information of the gatekeeper");
        }
    }

    fn handle_call(&mut self, node: Node, now: Timestamp) {
        match self.calls.take(&node, &self.options.calls, now) {
            Some(call) => self.events.push_back(Event::Call { call, node }),
            None => self.acknowledge(&node),
        }
    }

    fn handle_notification(&mut self, node: Node) {
        let kind = node.attr("type").unwrap_or_default().into_owned();
        if kind == "encrypt" {
            if node.find("identity").is_some() {
                self.events.push_back(Event::IdentityChanged(node));
                return;
            }
            if let Some(count) = iq::count(&node)
                && count < self.options.prekeys_low
            {
                self.events.push_back(Event::PrekeysLow { count });
            }
        } else if self.options.notifications.contains(&kind) {
            self.events.push_back(Event::Notification(node));
            return;
        } else {
            tracing::debug!(kind, "an unknown notification");
        }
        self.acknowledge(&node);
    }
}
