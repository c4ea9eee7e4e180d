//! Requests of a phone about groups: asked when the phone is connected, asked again after a broken connection, answered after
//! what they caused is stored.

use tokio::sync::oneshot;

use super::{groups::GroupInfo, phone::Phone};
use crate::{
    network::interop::wire::{Jid, Node},
    sandbox::{
        directory::{GROUPS, Role, participant},
        error::SandboxError,
    },
};

/// Where the answer is told.
pub(super) type Answered = oneshot::Sender<Result<Node, SandboxError>>;

/// A request, and who waits for its answer.
pub(super) struct Asking {
    pub(super) iq: Node,
    pub(super) done: Option<Answered>,
}

/// `<iq type xmlns="w:g2" to>`.
pub(super) fn about_groups(kind: &'static str, to: &Jid, child: Node) -> Node {
    Node::new("iq")
        .with("type", kind)
        .with("xmlns", "w:g2")
        .with("to", to)
        .child(child)
}

/// `<create subject key><participant jid/>…</create>` for the server of groups.
pub(super) fn create(subject: &str, key: String, members: &[Jid]) -> Node {
    let create = Node::new("create")
        .with("subject", subject)
        .with("key", key);
    about_groups("set", &Jid::server(GROUPS), of_members(create, members))
}

/// An element with a participant for each of some users.
pub(super) fn of_members(element: Node, members: &[Jid]) -> Node {
    members.iter().fold(element, |element, jid| {
        element.child(participant(jid, Role::Member))
    })
}

impl Phone {
    /// Asks, now or when the phone has caught up.
    pub(super) fn ask(&mut self, iq: Node, done: Option<Answered>) {
        if !self.stored.online {
            if let Some(done) = done {
                self.answers.push((done, Err(SandboxError::Offline)));
            }
            return;
        }
        let asking = Asking { iq, done };
        if self.caught_up {
            self.ask_now(asking);
        } else {
            self.unasked.push(asking);
        }
    }

    fn ask_now(&mut self, asking: Asking) {
        let id = self.next_id();
        self.sends.push(asking.iq.clone().with("id", id.as_str()));
        self.asking.insert(id, asking);
    }

    /// The mailbox is empty: what waited for that goes on.
    pub(super) fn catch_up(&mut self) {
        self.caught_up = true;
        for asking in std::mem::take(&mut self.unasked) {
            self.ask_now(asking);
        }
        let chats: Vec<Jid> = self.waiting.keys().cloned().collect();
        for chat in chats {
            self.release(&chat);
        }
    }

    /// The connection ended: what was not answered is asked again.
    pub(super) fn fall_behind(&mut self) {
        self.caught_up = false;
        self.keyless.clear();
        let mut asking: Vec<(String, Asking)> = self.asking.drain().collect();
        asking.sort_by(|(a, _), (b, _)| (a.len(), a).cmp(&(b.len(), b)));
        self.unasked
            .extend(asking.into_iter().map(|(_, asking)| asking));
    }

    /// Takes an answer, if it is to such a request.
    pub(super) fn answered_to(&mut self, node: &Node) -> bool {
        let asking = node
            .attr("id")
            .and_then(|id| self.asking.remove(id.as_ref()));
        let Some(Asking { iq, done }) = asking else {
            return false;
        };
        let refused = node.find("error").map(|error| error.number("code"));
        let outcome = match refused {
            Some(code) => {
                let code = code.and_then(|code| u16::try_from(code).ok());
                Err(SandboxError::Refused(code.unwrap_or(500)))
            }
            None => Ok(node.clone()),
        };
        if let Some(info) = node.find("group").and_then(GroupInfo::read) {
            self.take_group(info);
        }
        if let Some(group) = iq.jid("to").filter(|_| iq.find("query").is_some()) {
            if outcome.is_err() {
                self.give_up(&group);
            }
            self.release(&group);
        }
        if let Some(done) = done {
            self.answers.push((done, outcome));
        }
        true
    }

    /// Asks what a group is.
    pub(super) fn query_group(&mut self, group: &Jid) {
        let query = Node::new("query").with("request", "interactive");
        let iq = about_groups("get", group, query);
        let mut asked = self.asking.values().chain(&self.unasked);
        if !asked.any(|other| other.iq == iq) {
            self.ask(iq, None);
        }
    }

    /// Adds somebody to a group the contact is admin of, if there is one.
    pub(super) fn add_to_a_group(&mut self, who: &Jid) {
        let group = {
            let groups = self.shared.groups();
            let own = &self.stored.jid;
            let admin =
                |info: &GroupInfo| info.members.get(own).is_some_and(|role| role.is_admin());
            let found = groups.values().find(|state| admin(&state.info));
            found.map(|state| state.info.jid.clone())
        };
        if let Some(group) = group {
            let add = of_members(Node::new("add"), std::slice::from_ref(who));
            self.ask(about_groups("set", &group, add), None);
        }
    }
}
