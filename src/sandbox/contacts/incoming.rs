//! What comes to a contact's phone: messages, receipts, acknowledgements, notifications.

use libsignal_protocol::protocol::SignalProtocolError;

use super::{
    content::Content,
    keyring::{self, Fingerprint},
    message::{Message, Status},
    phone::Phone,
    signals::read_typing,
    understand::{self, Understood},
};
use crate::{
    domain::Typing,
    network::interop::wire::{Jid, Node},
    sandbox::directory::{DeviceKeys, key_id, key_value, prekey_node},
};

/// How often a message is asked for again, and answered again.
pub(super) const MOST_RETRIES: u64 = 5;
/// From which retry on the receipt brings keys.
const KEYS_FROM_RETRY: u64 = 2;

/// Somebody's keys, and a one-time prekey if there was one.
pub(super) type Bundle = (DeviceKeys, Option<(u32, [u8; 32])>);

/// A bundle in an element, with or without a one-time prekey.
pub(super) fn read_bundle(node: &Node) -> Option<Bundle> {
    let keys = DeviceKeys::read(node).filter(|keys| keys.signed.is_signed_by(&keys.identity))?;
    let prekey = node
        .find("key")
        .and_then(|key| Some((key_id(key)?, key_value(key, "value")?)));
    Some((keys, prekey))
}

/// The messages a receipt is for: its own id, those of its list, those it is gathered by.
fn receipt_ids(node: &Node) -> Vec<String> {
    let listed = node.find("list").map_or(&[][..], Node::children);
    let gathered = node
        .children()
        .iter()
        .filter(|child| child.tag == "participants")
        .filter_map(|child| child.attr("key"));
    std::iter::once(node)
        .chain(listed)
        .filter_map(|item| item.attr("id"))
        .chain(gathered)
        .map(std::borrow::Cow::into_owned)
        .collect()
}

/// Where a message comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin<'a> {
    pub(super) chat: &'a Jid,
    /// The member who wrote it, in a group.
    pub(super) sender: Option<&'a Jid>,
    pub(super) id: &'a str,
}

impl<'a> Origin<'a> {
    pub(super) fn author(self) -> &'a Jid {
        self.sender.unwrap_or(self.chat)
    }

    /// A receipt for the message.
    fn receipt(self) -> Node {
        Node::new("receipt")
            .with("id", self.id)
            .with("to", self.chat)
            .with_opt("participant", self.sender)
    }
}

impl Phone {
    /// Takes a stanza; `false` ends the connection.
    pub(super) fn stanza(&mut self, node: &Node) -> bool {
        match node.tag.as_ref() {
            "success" => self.logged_in(),
            "failure" => {
                tracing::warn!(
                    reason = node.attr("reason").as_deref(),
                    "a contact's login was refused"
                );
                return false;
            }
            "stream:error" => return false,
            "message" => self.message(node),
            "receipt" => self.receipt(node),
            "ack" => self.acknowledged(node),
            "iq" => self.answer(node),
            "ib" if node.find("offline").is_some() => self.catch_up(),
            "notification" => self.notification(node),
            "call" => {
                self.called(node);
                self.ack(node);
            }
            "chatstate" => {
                if let Some(from) = node.jid("from") {
                    let who = node.jid("participant");
                    self.shared
                        .set_typing_in(&from, who.as_ref(), read_typing(node));
                }
            }
            "presence" => {
                if let Some(from) = node.jid("from") {
                    let gone = node.attr("type").as_deref() == Some("unavailable");
                    self.shared.set_present(&from, !gone);
                }
            }
            _ => {}
        }
        true
    }

    pub(super) fn ack(&mut self, node: &Node) {
        let mut ack = Node::new("ack").with("class", node.tag.as_ref());
        for (from, to) in [("id", "id"), ("from", "to"), ("participant", "participant")] {
            ack = ack.with_opt(to, node.attr(from).map(std::borrow::Cow::into_owned));
        }
        if let Some(to) = node.jid("from") {
            ack = ack.with("to", to);
        }
        if node.tag != "message" {
            ack = ack.with_opt("type", node.attr("type").map(std::borrow::Cow::into_owned));
        }
        self.sends.push(ack);
    }

    fn message(&mut self, node: &Node) {
        let (Some(from), Some(id)) = (node.jid("from"), node.attr("id")) else {
            return;
        };
        let (chat, id) = (from.bare(), id.into_owned());
        let sender = node.jid("participant").map(|sender| sender.bare());
        let origin = Origin {
            chat: &chat,
            sender: sender.as_ref(),
            id: &id,
        };
        if let Some(name) = node.attr("notify").or_else(|| node.attr("display_name")) {
            self.called_by(origin.author(), &name);
        }
        self.look_at(origin.author());
        if sender.is_some() {
            self.group_message(node, origin);
            return self.ack(node);
        }
        let enc = node.find("enc");
        let parsed = enc.and_then(|enc| keyring::parse(&enc.attr("type")?, enc.content_bytes()?));
        let Some((ciphertext, fingerprint)) = parsed else {
            self.undecryptable(node, origin);
            return self.ack(node);
        };
        self.note_use(fingerprint);
        if self.shared.log().find(&chat, false, &id).is_some() {
            self.shared.log().counters.duplicates += 1;
            self.delivered(origin);
            return self.ack(node);
        }
        match self.keyring.decrypt(&chat, &ciphertext) {
            Ok(opened) => {
                if opened.identity_changed {
                    self.identity_changed(&chat);
                }
                self.keep(origin, &opened.plaintext, fingerprint);
            }
            Err(SignalProtocolError::DuplicatedMessage(..)) => {
                self.shared.log().counters.duplicates += 1;
            }
            Err(error) => {
                tracing::debug!(%id, %error, "a contact cannot decrypt a message");
                self.undecryptable(node, origin);
            }
        }
        self.ack(node);
    }

    /// Notes the key a ciphertext was made with.
    pub(super) fn note_use(&mut self, fingerprint: Fingerprint) {
        let mut log = self.shared.log();
        if !log.note_key(fingerprint) {
            log.counters.key_reuse += 1;
            tracing::error!("a message key was used for two ciphertexts");
        }
    }

    pub(super) fn keep(&mut self, origin: Origin<'_>, padded: &[u8], fingerprint: Fingerprint) {
        let Origin { chat, sender, id } = origin;
        let plaintext = understand::unpad(padded).unwrap_or_default();
        let Understood {
            message: mut composed,
            quoted_text,
            vote,
        } = understand::decode(plaintext);
        if sender.is_some() {
            self.see_as_owner(&mut composed.content, plaintext);
        }
        if let Some(vote) = &vote {
            let chosen = self.read_vote(chat, origin.author(), &composed.content, vote);
            if let Content::Vote { choices, .. } = &mut composed.content {
                *choices = chosen;
            }
        }
        let message = Message {
            sender: sender.cloned(),
            outgoing: false,
            status: Status::Delivered,
            quoted_text,
            plaintext: plaintext.to_vec(),
            fingerprint: Some(fingerprint),
            ..Message::written(id.to_owned(), chat, composed, self.now)
        };
        let row = self.shared.log().add(&self.stored.jid, message.clone());
        self.changes.push(row);
        self.apply(&message);
        self.shared.set_typing_in(chat, sender, Typing::Paused);
        self.delivered(origin);
        self.respond(&message);
    }

    /// In a group, the message another is about is the contact's own only if it says so by name.
    fn see_as_owner(&self, content: &mut Content, plaintext: &[u8]) {
        let (Content::Reaction { to: target }
        | Content::Vote { poll: target, .. }
        | Content::Revoke { of: target }) = content
        else {
            return;
        };
        let author = understand::author_of_target(plaintext);
        target.own &= author.is_some_and(|author| author == self.stored.jid.to_string());
    }

    pub(super) fn delivered(&mut self, origin: Origin<'_>) {
        self.sends.push(origin.receipt());
    }

    /// Asks for a message again.
    pub(super) fn undecryptable(&mut self, node: &Node, origin: Origin<'_>) {
        let id = origin.id;
        let count = self
            .retries
            .entry((origin.author().clone(), id.to_owned()))
            .or_default();
        *count += 1;
        let count = *count;
        {
            let mut log = self.shared.log();
            log.counters.undecryptable += usize::from(count == 1);
            log.counters.retries_sent += usize::from(count <= MOST_RETRIES);
        }
        if count > MOST_RETRIES {
            return;
        }
        let retry = Node::new("retry")
            .with("count", count)
            .with("id", id)
            .with_opt("t", node.attr("t").map(std::borrow::Cow::into_owned))
            .with("v", "1");
        let [registration, kind, identity, signed] = self.keyring.device_keys().nodes();
        let mut receipt = origin
            .receipt()
            .with("type", "retry")
            .child(retry)
            .child(registration);
        if count >= KEYS_FROM_RETRY {
            let mut keys = Node::new("keys").child(kind).child(identity);
            for (id, value) in self.keyring.make_prekeys(1) {
                keys = keys.child(prekey_node(id, &value));
            }
            receipt = receipt.child(keys.child(signed));
        }
        self.sends.push(receipt);
    }

    fn receipt(&mut self, node: &Node) {
        let mut answered = true;
        if let Some(chat) = node.jid("from").map(|from| from.bare()) {
            let who = node.jid("participant").map(|who| who.bare());
            if let Some(who) = who {
                if self.receipt_in_group(&chat, &who, node) {
                    self.ack(node);
                }
                return;
            }
            match node.attr("type").as_deref() {
                None | Some("delivered") => self.mark_all(&chat, node, Status::Delivered),
                Some("read") => self.mark_all(&chat, node, Status::Read),
                Some("played") => {
                    self.mark_all(&chat, node, Status::Read);
                    self.mark_played(&chat, node);
                }
                Some("retry") => self.answer_retry(&chat, node),
                Some("server-error") => answered = self.file_asked(&chat, node),
                Some(_) => {}
            }
        }
        if answered {
            self.ack(node);
        }
    }

    /// Takes a receipt of a group's member; `false` if it is acknowledged later.
    fn receipt_in_group(&mut self, group: &Jid, who: &Jid, node: &Node) -> bool {
        let kind = node.attr("type");
        let status = match kind.as_deref() {
            None | Some("delivered") => Status::Delivered,
            Some("read" | "played") => Status::Read,
            Some("retry") => {
                self.answer_group_retry(group, who, node);
                return true;
            }
            Some("server-error") => return self.file_asked(group, node),
            Some(_) => return true,
        };
        for id in receipt_ids(node) {
            self.mark_in_group(group, who, &id, status);
        }
        if kind.as_deref() == Some("played") {
            self.mark_played(group, node);
        }
        true
    }

    fn mark_all(&mut self, chat: &Jid, node: &Node, status: Status) {
        for id in receipt_ids(node) {
            self.mark(chat, &id, status);
        }
    }

    fn mark_played(&mut self, chat: &Jid, node: &Node) {
        for id in receipt_ids(node) {
            let played = |message: &mut Message| {
                let first = !message.played;
                message.played = true;
                first
            };
            let row = self
                .shared
                .log()
                .change(&self.stored.jid, chat, true, &id, played);
            self.changes.extend(row);
        }
    }

    /// Encrypts a message again, with a new session if the receipt brings keys.
    fn answer_retry(&mut self, chat: &Jid, node: &Node) {
        let Some(retry) = node.find("retry") else {
            return;
        };
        let id = retry
            .attr("id")
            .or_else(|| node.attr("id"))
            .unwrap_or_default()
            .into_owned();
        let count = retry.number("count").unwrap_or(1).max(1);
        let message = self.shared.log().find(chat, true, &id).cloned();
        let Some(message) = message.filter(|_| count <= MOST_RETRIES) else {
            return;
        };
        // A receipt that came twice is answered once.
        if !self.answered.insert((chat.clone(), id.clone(), count)) {
            return;
        }
        let bundle = node.find("keys").and_then(|keys| {
            let registration = node.find("registration")?.clone();
            read_bundle(&keys.clone().child(registration))
        });
        if let Some((keys, prekey)) = bundle {
            match self.keyring.establish(chat, &keys, prekey) {
                Ok(true) => self.identity_changed(chat),
                Ok(false) => {}
                Err(error) => tracing::debug!(%error, "the keys of a retry receipt are unusable"),
            }
        }
        if self.keyring.has_session(chat) {
            self.shared.log().counters.retries_answered += 1;
            self.encrypt(&message, Some(count));
        }
    }

    fn notification(&mut self, node: &Node) {
        if node.attr("type").as_deref() == Some("w:gp2") {
            self.group_changed(node);
        }
        if node.attr("type").as_deref() == Some("encrypt") {
            if node.find("count").is_some() {
                self.prekeys_low();
            } else if let Some(user) = node.jid("from").filter(|_| node.find("identity").is_some())
            {
                self.keyring.archive(&user);
                self.forget_key_of(&user);
            }
        } else {
            self.notified(node);
        }
        self.ack(node);
    }
}
