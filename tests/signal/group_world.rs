//! A group in a test: who is in it, what its members read and write.

use drawbridge::{
    domain::{
        ChatId, GatekeeperId, Group, GroupFacts, GroupMember, GroupRole, RemoteUserId, Timestamp,
    },
    domain::{MessageContext, Outgoing, OutgoingContent, PortalId},
    network::{
        Enqueued, NetworkError, Origin,
        interop::{
            inbound::{self, Answer},
            outbound::{self, GroupRules},
            profile::Profile,
            wire::{self, Jid, Node},
        },
    },
    store::{GroupMemberRow, GroupRow, GroupShown},
};

use super::{
    peer::Peer,
    stanzas::{chat, id},
    world::{LOGIN, NOW, World, phone, us},
};

pub(crate) const GROUP: &str = "120363000000000001@g.us";

pub(crate) fn group() -> Jid {
    GROUP.parse().unwrap()
}

pub(crate) fn group_chat() -> ChatId {
    ChatId::parse(GROUP).unwrap()
}

pub(crate) fn gatekeeper() -> GatekeeperId {
    GatekeeperId::parse("whatsapp").unwrap()
}

pub(crate) fn user(jid: &Jid) -> RemoteUserId {
    RemoteUserId::parse(jid.to_string()).unwrap()
}

/// A group of the login and so many phones, with whom there are sessions.
pub(crate) async fn in_a_group(count: u32) -> (World, Vec<Peer>) {
    let world = World::new().await;
    let mut peers: Vec<Peer> = (1..=count).map(|n| Peer::new(&phone(n), &us())).collect();
    for peer in &mut peers {
        let bundle = peer.bundle(true);
        world.fetched(&peer.jid, &bundle).await.unwrap();
    }
    let mut jids: Vec<Jid> = peers.iter().map(|peer| peer.jid.clone()).collect();
    jids.push(us());
    world.form_group(&jids).await;
    (world, peers)
}

/// What a peer reads in a message of ours to the group, taking the sender key if it is brought.
pub(crate) fn read_in_group(peer: &mut Peer, stanza: &Node) -> Result<Vec<u8>, String> {
    if let Some(enc) = brought(peer, stanza) {
        let kind = drawbridge::signal::CiphertextKind::parse(&enc.attr("type").unwrap()).unwrap();
        let plaintext = peer.decrypt(kind, enc.content_bytes().unwrap()).unwrap();
        let plaintext = wire::message::unpad(&plaintext).unwrap();
        let start = wire::message::distribution_in(plaintext, &group_chat()).unwrap();
        peer.take_distribution(GROUP, &start);
    }
    let plaintext = peer
        .decrypt_in_group(GROUP, &sealed_bytes(stanza))
        .map_err(|error| error.to_string())?;
    Ok(wire::message::unpad(&plaintext).unwrap().to_vec())
}

/// What a message of ours to the group brings to one peer alone.
pub(crate) fn brought<'s>(peer: &Peer, stanza: &'s Node) -> Option<&'s Node> {
    let mut to = stanza.find("participants")?.children().iter();
    to.find(|to| to.jid("jid").as_ref() == Some(&peer.jid))?
        .find("enc")
}

/// To whom a message of ours brings the sender key.
pub(crate) fn given(stanza: &Node) -> Vec<Jid> {
    let to = stanza.find("participants").map_or(&[][..], Node::children);
    to.iter().map(|to| to.jid("jid").unwrap()).collect()
}

/// What a message of ours says to everybody.
pub(crate) fn sealed_bytes(stanza: &Node) -> Vec<u8> {
    let mut children = stanza.children().iter();
    let enc = children
        .find(|child| child.attr("type").as_deref() == Some("skmsg"))
        .unwrap();
    enc.content_bytes().unwrap().to_vec()
}

/// A `<message>` of a member to the group, `brings` being a whole pairwise plaintext and `says` one with the sender key.
pub(crate) fn from_member(
    peer: &mut Peer,
    id: &str,
    brings: Option<&[u8]>,
    says: Option<&[u8]>,
) -> Node {
    let mut message = Node::new("message")
        .with("from", group())
        .with("participant", &peer.jid)
        .with("id", id)
        .with("t", "1760000001")
        .with("type", "text")
        .with("display_name", "Joe");
    let enc = |kind: &str, bytes: Vec<u8>| {
        Node::new("enc")
            .with("v", "2")
            .with("type", kind)
            .bytes(bytes)
    };
    if let Some(brings) = brings {
        let (kind, bytes) = peer.encrypt(brings);
        message = message.child(enc(kind.as_str(), bytes));
    }
    if let Some(says) = says {
        let bytes = peer.encrypt_to_group(GROUP, says);
        message = message.child(enc("skmsg", bytes));
    }
    message
}

/// A plaintext that brings a peer's sender key, for a group by name.
pub(crate) fn bringing_key(peer: &mut Peer, named: &str) -> Vec<u8> {
    let start = peer.distribution(GROUP);
    wire::message::distribution(&ChatId::parse(named).unwrap(), start)
}

pub(crate) fn padded_bytes(plaintext: Vec<u8>) -> Vec<u8> {
    wire::message::pad(plaintext, 3)
}

/// A `<notification type="w:gp2">`.
pub(crate) fn notification(id: &str, by: &Jid, t: i64, child: Node) -> Node {
    Node::new("notification")
        .with("type", "w:gp2")
        .with("from", group())
        .with("participant", by)
        .with("id", id)
        .with("t", t.to_string())
        .child(child)
}

/// An element that names users.
pub(crate) fn naming(tag: &'static str, users: &[&Jid]) -> Node {
    users.iter().fold(Node::new(tag), |node, user| {
        node.child(Node::new("participant").with("jid", *user))
    })
}

impl World {
    /// Stores a group of these, all of them ordinary members.
    pub(crate) async fn form_group(&self, jids: &[Jid]) {
        let members: Vec<GroupMember> = jids
            .iter()
            .map(|jid| GroupMember {
                user: user(jid),
                role: GroupRole::Member,
            })
            .collect();
        let group = Group {
            facts: GroupFacts {
                subject: "Friends".to_owned(),
                ..GroupFacts::default()
            },
            members,
        };
        self.step(move |txn| {
            let group = group.clone();
            Box::pin(async move {
                txn.put_group(&GroupRow {
                    gatekeeper: gatekeeper(),
                    chat: group_chat(),
                    facts: group.facts,
                    shown: GroupShown::default(),
                })
                .await?;
                txn.set_group_members(&gatekeeper(), &group_chat(), &group.members)
                    .await
            })
        })
        .await;
    }

    pub(crate) async fn facts(&self) -> Option<GroupFacts> {
        self.step(|txn| {
            Box::pin(async move {
                let group = txn.group(&gatekeeper(), &group_chat()).await?;
                Ok(group.map(|group| group.facts))
            })
        })
        .await
    }

    /// Who is in the group now, by address.
    pub(crate) async fn members(&self) -> Vec<(String, GroupRole)> {
        let rows: Vec<GroupMemberRow> = self
            .step(|txn| {
                Box::pin(async move { txn.group_members(&gatekeeper(), &group_chat()).await })
            })
            .await;
        rows.into_iter()
            .filter_map(|row| Some((row.user.to_string(), row.role?)))
            .collect()
    }

    /// Changes who is in the group without anybody being told.
    pub(crate) async fn set_role(&self, jid: &Jid, role: Option<GroupRole>) {
        let user = user(jid);
        self.step(move |txn| {
            let user = user.clone();
            Box::pin(async move {
                txn.set_group_role(&gatekeeper(), &group_chat(), &user, role)
                    .await
            })
        })
        .await;
    }

    /// Sends a text to the group at a time.
    pub(crate) async fn say(
        &self,
        name: &str,
        body: &str,
        now: Timestamp,
    ) -> Result<Enqueued, NetworkError> {
        let (message, keyless) = (saying(name, body), self.keyless.clone());
        self.step(move |txn| {
            let (message, keyless) = (message.clone(), keyless.clone());
            Box::pin(async move {
                let groups = GroupRules {
                    most: 1024,
                    keyless: &keyless,
                };
                outbound::enqueue(txn, LOGIN, &message, &origin(), groups, now).await
            })
        })
        .await
    }

    /// As [`say`](Self::say), but the commit is lost.
    pub(crate) async fn say_and_crash(&self, name: &str, body: &str) {
        let (message, keyless) = (saying(name, body), self.keyless.clone());
        let lost = self
            .crash(move |txn| {
                let (message, keyless) = (message.clone(), keyless.clone());
                Box::pin(async move {
                    let groups = GroupRules {
                        most: 1024,
                        keyless: &keyless,
                    };
                    outbound::enqueue(txn, LOGIN, &message, &origin(), groups, NOW).await
                })
            })
            .await;
        assert_eq!(lost.unwrap(), Enqueued::Queued);
    }

    /// Sends a text to the group; the stanza that is queued.
    pub(crate) async fn said(&self, name: &str, body: &str) -> Node {
        assert_eq!(self.say(name, body, NOW).await.unwrap(), Enqueued::Queued);
        self.outbox_nodes().await.pop().unwrap()
    }

    pub(crate) async fn shares(&self) -> Vec<String> {
        self.step(|txn| Box::pin(async move { txn.sender_key_shares(LOGIN, &group_chat()).await }))
            .await
    }

    pub(crate) async fn notified(&self, node: &Node) -> Answer {
        let node = node.clone();
        let layers = ["whatsapp".to_owned(), "sandbox".to_owned()];
        let profile = std::sync::Arc::new(Profile::load(&layers, None).unwrap());
        self.step(move |txn| {
            let (node, profile) = (node.clone(), profile.clone());
            Box::pin(async move { inbound::notification(txn, LOGIN, &node, &profile, NOW).await })
        })
        .await
    }
}

pub(crate) fn saying(name: &str, body: &str) -> Outgoing {
    Outgoing {
        chat: chat(&group()),
        id: id(name),
        content: OutgoingContent::Text {
            body: body.to_owned(),
            preview: None,
        },
        context: MessageContext::default(),
    }
}

pub(crate) fn origin() -> Origin {
    Origin {
        portal: PortalId(1),
        event_id: "$1".to_owned(),
        part: 0,
    }
}
