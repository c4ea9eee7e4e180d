//! Messages in groups: encrypted once with the phone's sender key, which goes pairwise to those who do not have it, and read
//! with the keys of others.

use std::collections::BTreeSet;

use libsignal_protocol::protocol::SignalProtocolError;
use waproto::{
    buffa::MessageField,
    codec,
    whatsapp::{Message as Proto, message::SenderKeyDistributionMessage},
};

use super::{
    compose::Attributes,
    content::Composed,
    incoming::{MOST_RETRIES, Origin, read_bundle},
    keyring::{self, Fingerprint},
    message::{Message, Status},
    phone::{Asked, Phone},
    sender_keys, understand,
};
use crate::network::interop::wire::{Jid, Node};

/// How many users one fetch of keys names.
const MOST_FETCHED: usize = 100;

/// The protobuf that gives a sender key, without padding; it may stand before another message's fields.
fn distribution(group: &Jid, key: Vec<u8>) -> Vec<u8> {
    codec::message_to_vec(&Proto {
        sender_key_distribution_message: MessageField::some(SenderKeyDistributionMessage {
            group_id: Some(group.to_string()),
            axolotl_sender_key_distribution_message: Some(key),
        }),
        ..Proto::default()
    })
}

/// The sender key a plaintext gives for a group, and whether it says anything else.
fn given_key(group: &Jid, plaintext: &[u8]) -> (Option<Vec<u8>>, bool) {
    let Ok(mut proto) = codec::message_decode(plaintext) else {
        return (None, true);
    };
    let given = proto.sender_key_distribution_message.take();
    let key = given
        .filter(|given| given.group_id.as_deref() == Some(&*group.to_string()))
        .and_then(|given| given.axolotl_sender_key_distribution_message);
    (key, proto != Proto::default())
}

impl Phone {
    /// Encrypts what waits for a group, once there is a session with each member who needs the key.
    pub(super) fn release_group(&mut self, group: &Jid) {
        let is_waiting = self.waiting.get(group).is_some_and(|ids| !ids.is_empty());
        if !self.caught_up || !is_waiting {
            return;
        }
        if !self.shared.groups().contains_key(group) {
            return self.query_group(group);
        }
        let Some(needing) = self.needing_key(group) else {
            return self.give_up(group);
        };
        let unknown: Vec<Jid> = needing
            .into_iter()
            .filter(|jid| !self.keyring.has_session(jid) && !self.keyless.contains(jid))
            .collect();
        if !unknown.is_empty() {
            return self.fetch_keys_of(group, &unknown);
        }
        for id in self.waiting.remove(group).unwrap_or_default() {
            let message = self.shared.log().find(group, true, &id).cloned();
            if let Some(message) = message
                && let Err(error) = self.encrypt_to_group(&message)
            {
                tracing::warn!(%id, %error, "a contact cannot encrypt a message to a group");
                self.mark(group, &id, Status::Failed);
            }
        }
    }

    /// What waits for a group cannot be sent.
    pub(super) fn give_up(&mut self, group: &Jid) {
        for id in self.waiting.remove(group).unwrap_or_default() {
            self.mark(group, &id, Status::Failed);
        }
    }

    /// The server did not pass a message on: nobody has the key that was in it.
    pub(super) fn refused_by_group(&mut self, group: &Jid) {
        self.keyring.groups.rotate(group);
        self.note_key(group, BTreeSet::clear);
    }

    /// The members of a group who do not have the phone's key; `None` if the phone is not in it.
    fn needing_key(&self, group: &Jid) -> Option<BTreeSet<Jid>> {
        let groups = self.shared.groups();
        let state = groups.get(group)?;
        let own = &self.stored.jid;
        state.info.members.contains_key(own).then(|| {
            let members = state.info.members.keys();
            let needing = members.filter(|jid| *jid != own && !state.has_key.contains(*jid));
            needing.cloned().collect()
        })
    }

    fn fetch_keys_of(&mut self, group: &Jid, whom: &[Jid]) {
        let asked = |asked: &Asked| matches!(asked, Asked::GroupKeys(of, _) if of == group);
        if self.asked.values().any(asked) {
            return;
        }
        for some in whom.chunks(MOST_FETCHED) {
            let key = some.iter().fold(Node::new("key"), |key, jid| {
                key.child(Node::new("user").with("jid", jid))
            });
            let iq = Node::new("iq")
                .with("type", "get")
                .with("xmlns", "encrypt")
                .with("to", self.server())
                .child(key);
            self.request(iq, Asked::GroupKeys(group.clone(), some.to_vec()));
        }
    }

    /// The keys of members came. Who has none does not get the sender key, and asks for it later.
    pub(super) fn group_keys_came(&mut self, group: &Jid, asked: &[Jid], node: &Node) {
        let users = node.find("list").map_or(&[][..], Node::children);
        for user in users {
            let (Some(jid), Some((keys, prekey))) = (user.jid("jid"), read_bundle(user)) else {
                continue;
            };
            if !asked.contains(&jid) || self.keyring.has_session(&jid) {
                continue;
            }
            match self.keyring.establish(&jid, &keys, prekey) {
                Ok(true) => self.identity_changed_in(group, &jid),
                Ok(false) => {}
                Err(error) => tracing::debug!(%error, "a member's keys are unusable"),
            }
        }
        for jid in asked {
            if !self.keyring.has_session(jid) {
                self.keyless.insert(jid.clone());
            }
        }
        let left = |asked: &Asked| matches!(asked, Asked::GroupKeys(of, _) if of == group);
        if !self.asked.values().any(left) {
            self.release_group(group);
        }
    }

    fn encrypt_to_group(&mut self, message: &Message) -> Result<(), SignalProtocolError> {
        let group = &message.chat;
        let attributes = Attributes::of(&message.content, &message.text);
        let needing = self.needing_key(group).unwrap_or_default();
        let key = distribution(group, self.keyring.groups.distribution(group)?);
        let mut participants = Node::new("participants");
        let mut given = Vec::new();
        for jid in needing {
            if !self.keyring.has_session(&jid) {
                continue;
            }
            let (kind, bytes) = self.keyring.encrypt(&jid, &padded(key.clone()))?;
            let enc = Node::new("enc")
                .with("v", "2")
                .with("type", kind)
                .bytes(bytes);
            participants = participants.child(Node::new("to").with("jid", &jid).child(enc));
            given.push(jid);
        }
        let plaintext = self.padded(message);
        let sealed = self.keyring.groups.encrypt(group, &plaintext)?;
        let hash = self
            .shared
            .groups()
            .get(group)
            .map(|state| state.info.hash());
        let mut node = Node::new("message")
            .with("to", group)
            .with("id", message.id.as_str())
            .with("type", attributes.kind)
            .with_opt("edit", attributes.edit)
            .with_opt("phash", hash);
        if !given.is_empty() {
            node = node.child(participants);
            self.note_key(group, |has_key| has_key.extend(given));
        }
        let enc = attributes.of_enc("skmsg", None).bytes(sealed);
        self.post(node.child(enc));
        Ok(())
    }

    /// Gives one member a message again, with the sender key in it.
    pub(super) fn answer_group_retry(&mut self, group: &Jid, who: &Jid, node: &Node) {
        let Some(retry) = node.find("retry") else {
            return;
        };
        let id = retry
            .attr("id")
            .or_else(|| node.attr("id"))
            .unwrap_or_default()
            .into_owned();
        let count = retry.number("count").unwrap_or(1).max(1);
        let message = self.shared.log().find(group, true, &id).cloned();
        let is_member = |jid: &Jid| {
            let groups = self.shared.groups();
            let state = groups.get(group);
            state.is_some_and(|state| state.info.members.contains_key(jid))
        };
        let wanted = count <= MOST_RETRIES && is_member(who) && is_member(&self.stored.jid);
        let Some(message) = message.filter(|_| wanted) else {
            return;
        };
        // A receipt that came twice is answered once.
        if !self.answered.insert((who.clone(), id.clone(), count)) {
            return;
        }
        let bundle = node.find("keys").and_then(|keys| {
            let registration = node.find("registration")?.clone();
            read_bundle(&keys.clone().child(registration))
        });
        if let Some((keys, prekey)) = bundle {
            match self.keyring.establish(who, &keys, prekey) {
                Ok(true) => self.identity_changed_in(group, who),
                Ok(false) => {}
                Err(error) => tracing::debug!(%error, "the keys of a retry receipt are unusable"),
            }
        }
        if !self.keyring.has_session(who) {
            return;
        }
        match self.encrypt_for_one(&message, who, count) {
            Ok(node) => {
                self.shared.log().counters.retries_answered += 1;
                self.note_key(group, |has_key| {
                    has_key.insert(who.clone());
                });
                self.post(node);
            }
            Err(error) => tracing::warn!(%id, %error, "a contact cannot answer a retry"),
        }
    }

    fn encrypt_for_one(
        &mut self,
        message: &Message,
        who: &Jid,
        count: u64,
    ) -> Result<Node, SignalProtocolError> {
        let group = &message.chat;
        let mut plaintext = distribution(group, self.keyring.groups.distribution(group)?);
        plaintext.extend(self.padded(message));
        let (kind, bytes) = self.keyring.encrypt(who, &plaintext)?;
        let attributes = Attributes::of(&message.content, &message.text);
        let enc = attributes.of_enc(kind, Some(count)).bytes(bytes);
        Ok(Node::new("message")
            .with("to", group)
            .with("participant", who)
            .with("id", message.id.as_str())
            .with("type", attributes.kind)
            .with_opt("edit", attributes.edit)
            .child(enc))
    }

    /// A message in a group: first the sender key, if it is there, then what is encrypted with it.
    pub(super) fn group_message(&mut self, node: &Node, origin: Origin<'_>) {
        let Origin {
            chat: group, id, ..
        } = origin;
        let sender = origin.author();
        if !self.shared.groups().contains_key(group) {
            self.query_group(group);
        }
        let known = self.shared.log().find(group, false, id).is_some();
        let mut said = None;
        for enc in node.children().iter().filter(|child| child.tag == "enc") {
            let opened = match enc.attr("type").as_deref() {
                Some("skmsg") => self.open_with_sender_key(group, sender, enc, known),
                _ => self.open_pairwise(group, sender, enc, known),
            };
            said = opened.or(said);
        }
        match said {
            _ if known => {
                self.shared.log().counters.duplicates += 1;
                self.delivered(origin);
            }
            Some((padded, fingerprint)) => self.keep(origin, &padded, fingerprint),
            None => self.undecryptable(node, origin),
        }
    }

    fn open_with_sender_key(
        &mut self,
        group: &Jid,
        sender: &Jid,
        enc: &Node,
        known: bool,
    ) -> Option<(Vec<u8>, Fingerprint)> {
        let bytes = enc.content_bytes()?;
        let fingerprint = sender_keys::fingerprint(group, sender, bytes)?;
        self.note_use(fingerprint);
        if known {
            return None;
        }
        match self.keyring.groups.decrypt(group, sender, bytes) {
            Ok(padded) => Some((padded, fingerprint)),
            Err(error) => {
                tracing::debug!(%error, "a contact cannot decrypt a message of a group");
                None
            }
        }
    }

    /// Takes the sender key; what else is said is the message.
    fn open_pairwise(
        &mut self,
        group: &Jid,
        sender: &Jid,
        enc: &Node,
        known: bool,
    ) -> Option<(Vec<u8>, Fingerprint)> {
        let (ciphertext, fingerprint) = keyring::parse(&enc.attr("type")?, enc.content_bytes()?)?;
        self.note_use(fingerprint);
        let opened = match self.keyring.decrypt(sender, &ciphertext) {
            Ok(opened) => opened,
            Err(error) => {
                tracing::debug!(%error, "a contact cannot decrypt a sender key");
                return None;
            }
        };
        if opened.identity_changed {
            self.identity_changed_in(group, sender);
        }
        let plaintext = understand::unpad(&opened.plaintext)?;
        let (key, says_more) = given_key(group, plaintext);
        if let Some(key) = key
            && let Err(error) = self.keyring.groups.take(group, sender, &key)
        {
            tracing::debug!(%error, "a contact cannot take a sender key");
        }
        (says_more && !known).then_some((opened.plaintext, fingerprint))
    }

    /// Says in a group that a member's identity key is another now, and gives them the sender keys again.
    fn identity_changed_in(&mut self, group: &Jid, who: &Jid) {
        self.shared.log().counters.identity_changes += 1;
        self.forget_key_of(who);
        let name = self.stored.names.get(who).cloned();
        let name = name.unwrap_or_else(|| who.to_string());
        let text = format!("The security code with {name} changed.");
        self.tell(group, Composed::text(text));
    }

    /// What a member told of one of the contact's own messages. It has come as far as it has with the last of the others.
    pub(super) fn mark_in_group(&mut self, group: &Jid, who: &Jid, id: &str, status: Status) {
        let others: Vec<Jid> = {
            let groups = self.shared.groups();
            let members = groups.get(group).map(|state| state.info.members.keys());
            let members = members.into_iter().flatten();
            members
                .filter(|jid| **jid != self.stored.jid)
                .cloned()
                .collect()
        };
        let row = self
            .shared
            .log()
            .change(&self.stored.jid, group, true, id, |message| {
                let known = message.receipts.get(who);
                if known.is_some_and(|known| *known >= status) {
                    return false;
                }
                message.receipts.insert(who.clone(), status);
                let so_far = |jid| message.receipts.get(jid).is_some_and(|is| *is >= status);
                if others.iter().all(so_far) {
                    message.status = message.status.max(status);
                }
                true
            });
        self.changes.extend(row);
    }

    /// The server's answer to a group message says who is in the group, by a hash.
    pub(super) fn compare_members(&mut self, group: &Jid, hash: &str) {
        let own = self
            .shared
            .groups()
            .get(group)
            .map(|state| state.info.hash());
        if own.as_deref() != Some(hash) {
            self.query_group(group);
        }
    }
}

/// A plaintext with n bytes of value n behind it.
pub(super) fn padded(mut plaintext: Vec<u8>) -> Vec<u8> {
    let n: u8 = rand::random_range(1..=16);
    plaintext.resize(plaintext.len() + usize::from(n), n);
    plaintext
}
