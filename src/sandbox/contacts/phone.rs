//! A contact's phone without its connection: what it does with a command or a stanza, as changes and stanzas to send.
//!
//! The changes are committed before the stanzas leave, so a ratchet key is never used twice and nothing that was acknowledged
//! is lost.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{
    Shared,
    asking::{Answered, Asking},
    cast::{Line, Script},
    compose::Attributes,
    content::{Composed, File},
    keyring::{Keyring, OwnKeys},
    message::{Message, Status},
    people::People,
};
use crate::{
    network::interop::wire::{self, Jid, Node},
    sandbox::{
        directory::{is_group, prekey_node},
        disk::{self, Change, Table},
        error::SandboxError,
        flavour::Flavour,
    },
};

/// How many one-time prekeys a phone uploads first, and later.
const PREKEYS_FIRST: usize = 100;
const PREKEYS_BATCH: usize = 50;

/// What is stored of a contact itself.
#[derive(Clone, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own that is stored by its name"
)]
pub(super) struct Stored {
    pub(super) jid: Jid,
    pub(super) flavour: Flavour,
    pub(super) number: u64,
    pub(super) name: String,
    pub(super) script: Script,
    pub(super) keys: OwnKeys,
    /// Whether the phone is to be connected.
    pub(super) online: bool,
    /// Whether the gatekeeper knows the phone's Noise key.
    pub(super) registered: bool,
    /// Whether the gatekeeper has the phone's prekeys.
    pub(super) uploaded: bool,
    /// What those who wrote call themselves.
    #[serde(default)]
    pub(super) names: BTreeMap<Jid, String>,
    /// After how many seconds what is written in a chat disappears.
    #[serde(default)]
    pub(super) timers: BTreeMap<Jid, u32>,
    /// Whether the phone has not kept the files it sent.
    #[serde(default)]
    pub(super) lost_files: bool,
    /// The identifier people see, of a user of the Partner the sandbox plays.
    #[serde(default)]
    pub(super) visible_id: Option<String>,
    /// The profile, and what is known of others.
    #[serde(default)]
    pub(super) people: People,
}

impl Stored {
    /// A contact that was just made.
    pub(super) fn new(
        jid: Jid,
        flavour: Flavour,
        number: u64,
        name: &str,
        script: Script,
        keys: OwnKeys,
    ) -> Self {
        Self {
            jid,
            flavour,
            number,
            name: name.to_owned(),
            script,
            keys,
            online: script.starts_online(),
            registered: false,
            uploaded: false,
            names: BTreeMap::new(),
            timers: BTreeMap::new(),
            lost_files: false,
            visible_id: None,
            people: People::default(),
        }
    }

    /// The change that stores it.
    pub(super) fn change(&self) -> Change {
        let value = serde_json::to_vec(self).expect("a contact is JSON");
        Change::Put(
            Table::Contacts,
            disk::key([self.jid.to_string().as_bytes()]),
            value,
        )
    }
}

/// What a request that is on its way is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    Upload,
    Keys(Jid),
    /// Keys of some members of a group.
    GroupKeys(Jid, Vec<Jid>),
    /// Something the contact does to its account.
    Deed(u64),
    /// How somebody looks.
    Picture(Jid),
    Other,
}

/// A file the other side wants to be uploaded again.
pub(super) struct Reupload {
    pub(super) chat: Jid,
    /// The message the file is of.
    pub(super) id: String,
    pub(super) file: File,
    /// The request, which is acknowledged with the answer.
    pub(super) request: Node,
}

/// A phone.
pub(super) struct Phone {
    pub(super) stored: Stored,
    pub(super) keyring: Keyring,
    pub(super) shared: Arc<Shared>,
    pub(super) late_by: Duration,
    /// What was sent and not acknowledged, by its place.
    pub(super) outbox: BTreeMap<u64, Node>,
    /// Messages that wait for a session, by chat.
    pub(super) waiting: HashMap<Jid, Vec<String>>,
    pub(super) asked: HashMap<String, Asked>,
    next_request: u64,
    pub(super) logged_in: bool,
    /// Whether the mailbox came, so that what is known of groups is what is so.
    pub(super) caught_up: bool,
    /// Requests that somebody may wait for, by their ids, and those that wait for a connection.
    pub(super) asking: HashMap<String, Asking>,
    pub(super) unasked: Vec<Asking>,
    /// What is to be told to those who wait.
    pub(super) answers: Vec<(Answered, Result<Node, SandboxError>)>,
    /// Members of groups whose keys cannot be had.
    pub(super) keyless: HashSet<Jid>,
    /// How often each message was asked for again.
    pub(super) retries: HashMap<(Jid, String), u64>,
    /// Since the connection was made: so that a message is not answered twice.
    pub(super) answered: HashSet<(Jid, String, u64)>,
    pub(super) changes: Vec<Change>,
    pub(super) sends: Vec<Node>,
    /// What the contact is to say by itself.
    pub(super) lines: Vec<(Jid, Line)>,
    /// What is to be uploaded again.
    pub(super) reuploads: Vec<Reupload>,
    /// The requests for it that are being answered.
    pub(super) answering: HashSet<(Jid, String)>,
    /// Whose pictures were asked for since the connection was made.
    pub(super) seen_pictures: HashSet<Jid>,
    pub(super) now: i64,
}

impl Phone {
    pub(super) fn new(
        stored: Stored,
        keyring: Keyring,
        shared: Arc<Shared>,
        outbox: BTreeMap<u64, Node>,
        late_by: Duration,
    ) -> Self {
        Self {
            stored,
            keyring,
            shared,
            late_by,
            outbox,
            waiting: HashMap::new(),
            asked: HashMap::new(),
            next_request: 1,
            logged_in: false,
            caught_up: false,
            asking: HashMap::new(),
            unasked: Vec::new(),
            answers: Vec::new(),
            keyless: HashSet::new(),
            retries: HashMap::new(),
            answered: HashSet::new(),
            changes: Vec::new(),
            sends: Vec::new(),
            lines: Vec::new(),
            reuploads: Vec::new(),
            answering: HashSet::new(),
            seen_pictures: HashSet::new(),
            now: 0,
        }
    }

    pub(super) fn server(&self) -> Jid {
        Jid::server(self.stored.flavour.user_server())
    }

    /// The server let the phone in: prekeys, what was not acknowledged, what waits.
    pub(super) fn logged_in(&mut self) {
        self.logged_in = true;
        self.asked.clear();
        self.present();
        if !self.stored.uploaded {
            self.upload(PREKEYS_FIRST);
        }
        self.people_logged_in();
        self.sends.extend(self.outbox.values().cloned());
        let queued = self.shared.log().queued();
        let on_its_way: HashSet<String> = self
            .outbox
            .values()
            .filter_map(|node| node.attr("id").map(std::borrow::Cow::into_owned))
            .collect();
        self.waiting.clear();
        for (chat, id) in queued {
            if !on_its_way.contains(&id) {
                self.waiting.entry(chat).or_default().push(id);
            }
        }
        let chats: Vec<Jid> = self.waiting.keys().cloned().collect();
        for chat in chats {
            self.release(&chat);
        }
    }

    /// Says that the contact is there, and its name.
    pub(super) fn present(&mut self) {
        self.sends.push(
            Node::new("presence")
                .with("type", "available")
                .with("name", self.stored.name.as_str()),
        );
    }

    /// The connection ended.
    pub(super) fn disconnected(&mut self) {
        self.logged_in = false;
        self.fall_behind();
        self.answered.clear();
    }

    /// Encrypts what waits for a chat, or asks for keys first.
    pub(super) fn release(&mut self, chat: &Jid) {
        if is_group(chat) {
            return self.release_group(chat);
        }
        if !self.keyring.has_session(chat) {
            if self.logged_in {
                self.fetch_keys(chat);
            }
            return;
        }
        for id in self.waiting.remove(chat).unwrap_or_default() {
            let message = self.shared.log().find(chat, true, &id).cloned();
            if let Some(message) = message {
                self.encrypt(&message, None);
            }
        }
    }

    /// Encrypts a message into the outbox.
    pub(super) fn encrypt(&mut self, message: &Message, count: Option<u64>) {
        let (chat, id) = (&message.chat, message.id.as_str());
        let attributes = Attributes::of(&message.content, &message.text);
        match self.keyring.encrypt(chat, &self.padded(message)) {
            Ok((kind, bytes)) => {
                let enc = attributes.of_enc(kind, count).bytes(bytes);
                let message = Node::new("message")
                    .with("to", chat)
                    .with("id", id)
                    .with("type", attributes.kind)
                    .with_opt("edit", attributes.edit)
                    .child(enc);
                self.post(message);
            }
            Err(error) => {
                tracing::warn!(%id, %error, "a contact cannot encrypt a message");
                self.mark(chat, id, Status::Failed);
            }
        }
    }

    /// Sends a stanza that is sent again until it is acknowledged.
    pub(super) fn post(&mut self, node: Node) {
        let number = self.outbox.last_key_value().map_or(1, |(last, _)| last + 1);
        let key = self.outbox_key(number);
        self.changes
            .push(Change::Put(Table::ContactOutbox, key, wire::encode(&node)));
        if self.logged_in {
            self.sends.push(node.clone());
        }
        self.outbox.insert(number, node);
    }

    fn outbox_key(&self, number: u64) -> Vec<u8> {
        let mut key = disk::key([self.stored.jid.to_string().as_bytes()]);
        key.extend_from_slice(&number.to_be_bytes());
        key
    }

    /// Moves one of the contact's own messages forward.
    pub(super) fn mark(&mut self, chat: &Jid, id: &str, status: Status) {
        let row = self
            .shared
            .log()
            .advance(&self.stored.jid, chat, true, id, status);
        self.changes.extend(row);
    }

    /// `<ack>`: what was sent leaves the outbox.
    pub(super) fn acknowledged(&mut self, ack: &Node) {
        let fits = |node: &Node| {
            ack.attr("class").as_deref() == Some(&*node.tag)
                && ack.attr("id") == node.attr("id")
                && (node.tag == "message" || ack.attr("type") == node.attr("type"))
        };
        let Some(number) = self
            .outbox
            .iter()
            .find(|(_, node)| fits(node))
            .map(|(number, _)| *number)
        else {
            return;
        };
        let node = self.outbox.remove(&number);
        self.changes.push(Change::Delete(
            Table::ContactOutbox,
            self.outbox_key(number),
        ));
        if let Some(node) = node.filter(|node| node.tag == "message")
            && let (Some(chat), Some(id)) = (node.jid("to"), node.attr("id"))
        {
            let refused = ack.attr("error").is_some();
            let status = if refused {
                Status::Failed
            } else {
                Status::Sent
            };
            if let Some(hash) = ack.attr("phash") {
                self.compare_members(&chat, &hash);
            }
            // What one member got again says nothing of the message.
            if node.attr("participant").is_none() {
                if refused && is_group(&chat) {
                    self.refused_by_group(&chat);
                }
                self.mark(&chat, &id, status);
            }
        }
    }

    pub(super) fn next_id(&mut self) -> String {
        let id = format!("q{}", self.next_request);
        self.next_request += 1;
        id
    }

    pub(super) fn request(&mut self, iq: Node, asked: Asked) {
        let id = self.next_id();
        self.asked.insert(id.clone(), asked);
        self.sends.push(iq.with("id", id));
    }

    fn upload(&mut self, count: usize) {
        let list = self
            .keyring
            .make_prekeys(count)
            .iter()
            .fold(Node::new("list"), |list, (id, value)| {
                list.child(prekey_node(*id, value))
            });
        let iq = Node::new("iq")
            .with("type", "set")
            .with("xmlns", "encrypt")
            .with("to", self.server());
        let keys = self.keyring.device_keys();
        let iq = keys.nodes().into_iter().fold(iq, Node::child).child(list);
        self.request(iq, Asked::Upload);
    }

    fn fetch_keys(&mut self, chat: &Jid) {
        let asked = Asked::Keys(chat.clone());
        if self.asked.values().any(|other| *other == asked) {
            return;
        }
        let iq = Node::new("iq")
            .with("type", "get")
            .with("xmlns", "encrypt")
            .with("to", self.server())
            .child(Node::new("key").child(Node::new("user").with("jid", chat)));
        self.request(iq, asked);
    }

    /// Sends a ping.
    pub(super) fn ping(&mut self) {
        self.request(self.ping_node(), Asked::Other);
    }

    pub(super) fn ping_node(&self) -> Node {
        Node::new("iq")
            .with("type", "get")
            .with("xmlns", "w:p")
            .with("to", self.server())
            .child(Node::new("ping"))
    }

    /// The answer to a request.
    pub(super) fn answer(&mut self, node: &Node) {
        if self.answered_to(node) {
            return;
        }
        let asked = node
            .attr("id")
            .and_then(|id| self.asked.remove(id.as_ref()));
        let failed = node.attr("type").as_deref() == Some("error");
        match asked {
            Some(Asked::Upload) if !failed => {
                self.stored.uploaded = true;
                self.changes.push(self.stored.change());
            }
            Some(Asked::Keys(chat)) => self.keys_came(&chat, node),
            Some(Asked::GroupKeys(group, asked)) => self.group_keys_came(&group, &asked, node),
            Some(Asked::Deed(number)) => self.deed_done(number, node),
            Some(Asked::Picture(user)) => self.picture_came(user, node),
            _ => {}
        }
    }

    fn keys_came(&mut self, chat: &Jid, node: &Node) {
        let users = node.find("list").map_or(&[][..], Node::children);
        let user = users
            .iter()
            .find(|user| user.jid("jid").as_ref() == Some(chat));
        let bundle = user.and_then(super::incoming::read_bundle);
        let established = match &bundle {
            Some((keys, prekey)) => self.keyring.establish(chat, keys, *prekey).ok(),
            None => None,
        };
        match established {
            Some(changed) => {
                if changed {
                    self.identity_changed(chat);
                }
                self.release(chat);
            }
            None => {
                for id in self.waiting.remove(chat).unwrap_or_default() {
                    self.mark(chat, &id, Status::Failed);
                }
            }
        }
    }

    /// Few prekeys are left at the gatekeeper.
    pub(super) fn prekeys_low(&mut self) {
        if self.stored.uploaded && !self.asked.values().any(|asked| *asked == Asked::Upload) {
            self.upload(PREKEYS_BATCH);
        }
    }

    /// Says in the chat that the other side's identity key is another now.
    pub(super) fn identity_changed(&mut self, chat: &Jid) {
        self.shared.log().counters.identity_changes += 1;
        self.forget_key_of(chat);
        self.tell(
            chat,
            Composed::text("The security code with this contact changed."),
        );
    }

    /// Tells the contact something in a chat.
    pub(super) fn tell(&mut self, chat: &Jid, message: Composed) {
        let notice = Message::told(new_id(), chat, message, self.now);
        let row = self.shared.log().add(&self.stored.jid, notice);
        self.changes.push(row);
    }

    /// Forgets all sessions and makes new keys, as after a new installation. The gatekeeper keeps the Noise key.
    pub(super) fn reinstall(&mut self) -> Result<(), disk::DiskError> {
        let forgotten = self.keyring.forget();
        self.changes.extend(forgotten);
        let groups: Vec<Jid> = self.shared.groups().keys().cloned().collect();
        for group in groups {
            self.note_key(&group, std::collections::BTreeSet::clear);
        }
        let noise_private = self.stored.keys.noise_private;
        self.stored.keys = OwnKeys::generate(self.now);
        self.stored.keys.noise_private = noise_private;
        self.keyring = Keyring::new(self.stored.jid.clone(), &self.stored.keys)?;
        self.stored.uploaded = false;
        self.changes.push(self.stored.change());
        if self.logged_in {
            self.upload(PREKEYS_FIRST);
        }
        Ok(())
    }
}

/// A message id as phones make them: `3EB0` and 18 hexadecimal digits.
pub(super) fn new_id() -> String {
    let random: [u8; 9] = rand::random();
    let mut id = "3EB0".to_owned();
    for byte in random {
        use std::fmt::Write;
        write!(id, "{byte:02X}").expect("a string takes all that is written");
    }
    id
}
