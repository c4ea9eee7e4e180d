//! A Partner's user in groups: sessions with every member, sender keys, and stanzas kept until they are looked for.

use std::collections::{HashMap, VecDeque};

use async_trait::async_trait;
use drawbridge::{
    network::interop::wire::{Jid, Node},
    sandbox::Flavour,
    signal::CiphertextKind,
};
use futures_util::FutureExt;
use libsignal_protocol::protocol::{
    DeviceId, ProtocolAddress, SenderKeyDistributionMessage as Distribution, SenderKeyName,
    SenderKeyRecord, SenderKeyStore, SignalProtocolError, create_sender_key_distribution_message,
    group_decrypt, group_encrypt, process_sender_key_distribution_message,
};
use waproto::{
    buffa::MessageField,
    codec,
    whatsapp::{Message, message::SenderKeyDistributionMessage},
};

use super::{
    partner::Stage,
    talk::live,
    user::{Client, User},
};

type Result<T> = std::result::Result<T, SignalProtocolError>;

/// Sender keys in memory.
#[derive(Default, Clone)]
pub(crate) struct Keys(HashMap<SenderKeyName, SenderKeyRecord>);

#[async_trait]
impl SenderKeyStore for Keys {
    async fn store_sender_key(&mut self, name: &SenderKeyName, key: SenderKeyRecord) -> Result<()> {
        self.0.insert(name.clone(), key);
        Ok(())
    }

    async fn load_sender_key(&self, name: &SenderKeyName) -> Result<Option<SenderKeyRecord>> {
        Ok(self.0.get(name).cloned())
    }
}

/// The user.
pub(crate) struct Member {
    pub(crate) user: User,
    pub(crate) client: Client,
    pub(crate) keys: Keys,
    kept: VecDeque<Node>,
    requests: u32,
}

/// Where requests about all groups go.
pub(crate) fn all_groups() -> Jid {
    Jid::server("g.us")
}

/// An element with some users in it.
pub(crate) fn with_members(tag: &'static str, members: &[&Jid]) -> Node {
    members.iter().fold(Node::new(tag), |node, jid| {
        node.child(Node::new("participant").with("jid", *jid))
    })
}

/// The roles in a `<group>`, by address.
pub(crate) fn roles(group: &Node) -> HashMap<Jid, Option<String>> {
    let participants = group.children().iter().filter(|c| c.tag == "participant");
    participants
        .map(|c| {
            let role = c.attr("type").map(std::borrow::Cow::into_owned);
            (c.jid("jid").unwrap(), role)
        })
        .collect()
}

fn text(message: &Message) -> Option<&str> {
    message.conversation.as_deref()
}

impl Member {
    /// Enlists and connects.
    pub(crate) async fn start(stage: &Stage, visible_id: &str) -> Self {
        Self::of(stage, visible_id, Flavour::WhatsApp).await
    }

    /// The same at a gatekeeper.
    pub(crate) async fn of(stage: &Stage, visible_id: &str, flavour: Flavour) -> Self {
        let user = User::enlist(stage, visible_id, flavour, &live()).await;
        let client = user.connect(stage).await;
        Self {
            user,
            client,
            keys: Keys::default(),
            kept: VecDeque::new(),
            requests: 0,
        }
    }

    /// Connects again.
    pub(crate) async fn reconnect(&mut self, stage: &Stage) {
        self.client = self.user.connect(stage).await;
    }

    /// Takes all that waits, until the server knows: it does not come again.
    pub(crate) async fn settle(&mut self, stage: &Stage) {
        let server = Jid::server("s.whatsapp.net");
        let login = self.user.login.to_string();
        let emptied = async {
            while stage.sandbox.waiting(&login) > 0 {
                self.ask("get", "w:p", &server, None, Some(Node::new("ping")))
                    .await;
            }
        };
        let emptied = tokio::time::timeout(super::partner::DEADLINE, emptied).await;
        emptied.expect("the mailbox is emptied");
    }

    pub(crate) fn jid(&self) -> Jid {
        self.user.login.clone()
    }

    async fn take(&mut self) -> Node {
        let node = self.client.next().await;
        if matches!(&*node.tag, "message" | "receipt" | "notification") {
            self.client.acknowledge(&node).await;
        }
        node
    }

    /// The next stanza that is so; the others are kept.
    pub(crate) async fn find(&mut self, so: impl Fn(&Node) -> bool) -> Node {
        if let Some(place) = self.kept.iter().position(&so) {
            return self.kept.remove(place).unwrap();
        }
        loop {
            let node = self.take().await;
            if so(&node) {
                return node;
            }
            self.kept.push_back(node);
        }
    }

    /// The next notification of a group with an element; that element.
    pub(crate) async fn told(&mut self, group: &Jid, tag: &str) -> (Node, Node) {
        let so = |node: &Node| {
            node.attr("type").as_deref() == Some("w:gp2")
                && node.jid("from").as_ref() == Some(group)
                && node.find(tag).is_some()
        };
        let node = self.find(so).await;
        let element = node.find(tag).unwrap().clone();
        (node, element)
    }

    /// Whether a stanza came already, or comes before a ping is answered.
    pub(crate) async fn has_come(&mut self, so: impl Fn(&Node) -> bool) -> bool {
        let server = Jid::server("s.whatsapp.net");
        self.ask("get", "w:p", &server, None, Some(Node::new("ping")))
            .await;
        self.kept.iter().any(so)
    }

    /// Asks and waits for the answer.
    pub(crate) async fn ask(
        &mut self,
        kind: &str,
        xmlns: &str,
        to: &Jid,
        target: Option<&Jid>,
        child: Option<Node>,
    ) -> Node {
        self.requests += 1;
        let id = format!("m{}", self.requests);
        let mut iq = Node::new("iq")
            .with("type", kind)
            .with("xmlns", xmlns)
            .with("to", to)
            .with("id", id.as_str())
            .with_opt("target", target);
        if let Some(child) = child {
            iq = iq.child(child);
        }
        self.client.send(iq).await;
        self.find(|node| node.tag == "iq" && node.attr("id").as_deref() == Some(&id))
            .await
    }

    /// Changes a group; the answer, or the code of the refusal.
    pub(crate) async fn set(&mut self, to: &Jid, child: Node) -> std::result::Result<Node, u64> {
        let answer = self.ask("set", "w:g2", to, None, Some(child)).await;
        match answer.find("error") {
            Some(error) => Err(error.number("code").unwrap()),
            None => Ok(answer),
        }
    }

    /// Makes a group; its address.
    pub(crate) async fn create(&mut self, key: &str, members: &[&Jid]) -> Jid {
        let create = with_members("create", members)
            .with("subject", "Bridge builders")
            .with("key", key);
        let answer = self.set(&all_groups(), create).await.unwrap();
        answer.find("group").unwrap().jid("id").unwrap()
    }

    /// Asks what a group is.
    pub(crate) async fn query(&mut self, group: &Jid) -> std::result::Result<Node, u64> {
        let query = Node::new("query").with("request", "interactive");
        let answer = self.ask("get", "w:g2", group, None, Some(query)).await;
        match answer.find("error") {
            Some(error) => Err(error.number("code").unwrap()),
            None => Ok(answer.find("group").unwrap().clone()),
        }
    }

    fn own_key(&self, group: &Jid) -> SenderKeyName {
        SenderKeyName::new(group.to_string(), self.user.login.to_string())
    }

    /// The message that gives the user's sender key.
    fn distribution(&mut self, group: &Jid) -> MessageField<SenderKeyDistributionMessage> {
        let name = self.own_key(group);
        let mut rng = rand::rng();
        let made = create_sender_key_distribution_message(&name, &mut self.keys, &mut rng);
        let made = made.now_or_never().unwrap().unwrap();
        MessageField::some(SenderKeyDistributionMessage {
            group_id: Some(group.to_string()),
            axolotl_sender_key_distribution_message: Some(made.serialized().to_vec()),
        })
    }

    /// Lets the ratchet work on the session with somebody.
    pub(crate) fn towards(&mut self, whom: &Jid) {
        self.user.ratchet.us = ProtocolAddress::new(&whom.to_string(), DeviceId::new(0));
    }

    /// Encrypts for one member alone.
    async fn seal_for(&mut self, to: &Jid, message: &Message) -> Node {
        self.towards(to);
        if !self.user.ratchet.has_session() {
            let wanted = Node::new("key").child(Node::new("user").with("jid", to));
            let server = Jid::server("s.whatsapp.net");
            let answer = self
                .ask("get", "encrypt", &server, None, Some(wanted))
                .await;
            let bundle = super::user::bundle(&answer.find("list").unwrap().children()[0]);
            self.user.ratchet.establish(&bundle.unwrap());
        }
        let (kind, bytes) = self.user.ratchet.encrypt(&padded(message));
        Node::new("enc")
            .with("v", "2")
            .with("type", kind.as_str())
            .bytes(bytes)
    }

    /// A message to a group, with the sender key for some.
    pub(crate) async fn seal(
        &mut self,
        group: &Jid,
        id: &str,
        message: &Message,
        needing: &[Jid],
    ) -> Node {
        let key = Message {
            sender_key_distribution_message: self.distribution(group),
            ..Message::default()
        };
        let mut node = Node::new("message")
            .with("to", group)
            .with("id", id)
            .with("type", "text");
        if !needing.is_empty() {
            let mut participants = Node::new("participants");
            for jid in needing {
                let enc = self.seal_for(jid, &key).await;
                participants = participants.child(Node::new("to").with("jid", jid).child(enc));
            }
            node = node.child(participants);
        }
        let name = self.own_key(group);
        let (padded, mut rng) = (padded(message), rand::rng());
        let sealed = group_encrypt(&mut self.keys, &name, &padded, &mut rng);
        let sealed = sealed.now_or_never().unwrap().unwrap();
        let enc = Node::new("enc")
            .with("v", "2")
            .with("type", "skmsg")
            .bytes(sealed.serialized().to_vec());
        node.child(enc)
    }

    /// Writes to a group; the server's acknowledgement.
    pub(crate) async fn write(
        &mut self,
        group: &Jid,
        id: &str,
        message: &Message,
        needing: &[Jid],
    ) -> Node {
        let node = self.seal(group, id, message, needing).await;
        self.client.send(node).await;
        self.find(|node| node.tag == "ack" && node.attr("id").as_deref() == Some(id))
            .await
    }

    /// Answers a retry receipt with the whole message and the key in it.
    pub(crate) async fn write_again(&mut self, receipt: &Node, message: &Message) {
        let group = receipt.jid("from").unwrap();
        let who = receipt.jid("participant").unwrap();
        let whole = Message {
            sender_key_distribution_message: self.distribution(&group),
            ..message.clone()
        };
        let enc = self.seal_for(&who, &whole).await.with("count", "1");
        let node = Node::new("message")
            .with("to", &group)
            .with("participant", &who)
            .with("id", receipt.attr("id").unwrap().into_owned())
            .with("type", "text")
            .child(enc);
        self.client.send(node).await;
    }

    /// Decrypts a message of a group: first the key, if it is there.
    pub(crate) fn open(&mut self, node: &Node) -> Result<Message> {
        let group = node.jid("from").unwrap();
        let sender = node.jid("participant").unwrap();
        let name = SenderKeyName::new(group.to_string(), sender.to_string());
        let mut said = Message::default();
        for enc in node.children() {
            let (kind, bytes) = (enc.attr("type").unwrap(), enc.content_bytes().unwrap());
            if kind == "skmsg" {
                let opened = group_decrypt(bytes, &mut self.keys, &name);
                said = unpadded(opened.now_or_never().unwrap()?);
                continue;
            }
            self.towards(&sender);
            let kind = CiphertextKind::parse(&kind).unwrap();
            let mut message = unpadded(self.user.ratchet.decrypt(kind, bytes)?);
            if let Some(given) = message.sender_key_distribution_message.take() {
                assert_eq!(given.group_id, Some(group.to_string()));
                let key = given.axolotl_sender_key_distribution_message.unwrap();
                let key = Distribution::try_from(key.as_slice())?;
                process_sender_key_distribution_message(&name, &key, &mut self.keys)
                    .now_or_never()
                    .unwrap()?;
            }
            said = message;
        }
        Ok(said)
    }

    /// The next message of a group: its stanza and what is in it.
    pub(crate) async fn hear(&mut self, group: &Jid) -> (Node, Message) {
        let node = self.hear_sealed(group).await;
        let message = self.open(&node).unwrap();
        (node, message)
    }

    /// The next message of a group as it came.
    pub(crate) async fn hear_sealed(&mut self, group: &Jid) -> Node {
        self.find(|node| node.tag == "message" && node.jid("from").as_ref() == Some(group))
            .await
    }

    /// The text of the next message of a group.
    pub(crate) async fn hear_text(&mut self, group: &Jid) -> String {
        let (_, message) = self.hear(group).await;
        text(&message).unwrap_or_default().to_owned()
    }
}

fn padded(message: &Message) -> Vec<u8> {
    let mut padded = codec::message_to_vec(message);
    padded.extend([4; 4]);
    padded
}

fn unpadded(mut padded: Vec<u8>) -> Message {
    let n = *padded.last().unwrap();
    padded.truncate(padded.len() - usize::from(n));
    codec::message_decode(&padded).unwrap()
}
