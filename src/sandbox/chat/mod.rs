//! The chat server: clients log in over Noise and exchange stanzas. It knows nothing of what is inside the ciphertext.

mod calls;
mod group_messages;
mod groups;
mod keys;
mod login;
mod messages;
mod people;
mod receipts;
mod requests;
mod server;

use crate::{
    network::interop::wire::{Jid, Node, Value},
    sandbox::{
        directory::{Directory, Effect, Outgoing, Step},
        flavour::Flavour,
    },
};
use tokio::sync::mpsc::UnboundedSender;

pub(super) use keys::prekeys_low;
pub(super) use login::{UNKNOWN_LOGIN, phone_payload};
pub(super) use server::{listen, serve};

/// One stanza of a client being handled.
struct Desk<'a> {
    directory: &'a mut Directory,
    step: &'a mut Step,
    /// Whose stanza it is.
    me: &'a Jid,
    flavour: Flavour,
    sender: &'a UnboundedSender<Outgoing>,
    /// Milliseconds since the Unix epoch.
    now: i64,
}

impl Desk<'_> {
    fn handle(&mut self, node: &Node) {
        match node.tag.as_ref() {
            "message" => self.message(node),
            "receipt" => self.receipt(node),
            "ack" => self.directory.acknowledged(self.me, node, self.step),
            "iq" => self.request(node),
            "chatstate" => self.typing(node),
            "presence" => self.presence(node),
            "call" => self.call(node),
            "notification" => self.notification(node),
            tag => tracing::debug!(tag, "an unknown stanza of a client"),
        }
    }

    fn answer(&mut self, node: Node) {
        self.step
            .effects
            .push(Effect::Answer(self.sender.clone(), node));
    }

    /// The seconds of now.
    fn t(&self) -> String {
        (self.now / 1000).to_string()
    }

    /// The server's own address.
    fn server(&self) -> Jid {
        Jid::server(self.flavour.user_server())
    }

    /// The `<ack>` a stanza of the client gets.
    fn ack(&self, node: &Node) -> Node {
        let copied = |key: &str| -> Option<Value> {
            node.attrs
                .iter()
                .find(|(name, _)| name == key)
                .map(|(_, value)| value.clone())
        };
        let mut ack = Node::new("ack").with("class", node.tag.as_ref());
        for (from, to) in [("id", "id"), ("to", "from"), ("participant", "participant")] {
            ack = ack.with_opt(to, copied(from));
        }
        if node.tag != "message" {
            ack = ack.with_opt("type", copied("type"));
        }
        ack.with("t", self.t())
    }

    /// Refuses a stanza with a code.
    fn refuse(&mut self, node: &Node, code: u16) {
        let why = self.why_refused(node).filter(|_| code == BLOCKED);
        let nack = self
            .ack(node)
            .with("error", u64::from(code))
            .with_opt("text", why);
        self.answer(nack);
    }

    /// The account a stanza is for, if the sender may write to it.
    fn recipient(&self, node: &Node) -> Result<Jid, u16> {
        let to = node.jid("to").ok_or(BAD_STANZA)?.bare();
        let account = self.directory.accounts.get(&to).ok_or(UNKNOWN_USER)?;
        let mine = self.directory.accounts.get(self.me).ok_or(UNKNOWN_USER)?;
        if account.flavour != self.flavour || (account.is_partner() && mine.is_partner()) {
            return Err(UNKNOWN_USER);
        }
        let closed = account.is_closed_to(mine) || mine.is_closed_to(account);
        if closed || account.blocked.contains(self.me) || mine.blocked.contains(&to) {
            return Err(BLOCKED);
        }
        Ok(to)
    }
}

/// The stanza cannot be understood.
const BAD_STANZA: u16 = 487;
/// Nobody has this address.
const UNKNOWN_USER: u16 = 404;
/// The sender may not write to the group.
const FORBIDDEN: u16 = 403;
/// The recipient does not want it.
const BLOCKED: u16 = 403;
