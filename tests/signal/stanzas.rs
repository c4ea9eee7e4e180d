//! The gatekeeper's side of a test: stanzas as it delivers them, and the calls under test on them.

use drawbridge::{
    domain::{ChatId, MessageContext, Outgoing, OutgoingContent, PortalId, StanzaId, Timestamp},
    network::{
        Enqueued, NetworkError, Origin,
        interop::{
            inbound::{self, Answer},
            outbound::{self, GroupRules},
            profile::Profile,
            wire::{self, Jid, Node},
        },
    },
    signal::{Bundle, CiphertextKind},
    store::OutboxRow,
};

use super::{
    peer::Peer,
    world::{LOGIN, NOW, World, user_node},
};

pub(crate) const PORTAL: PortalId = PortalId(99);

pub(crate) fn id(text: &str) -> StanzaId {
    StanzaId::parse(text).unwrap()
}

/// How the gatekeeper says what no public document gives.
pub(crate) fn profile() -> Profile {
    Profile::load(&["whatsapp".to_owned(), "sandbox".to_owned()], None).unwrap()
}

pub(crate) fn chat(jid: &Jid) -> ChatId {
    ChatId::parse(jid.to_string()).unwrap()
}

/// A message of text as the protobuf.
pub(crate) fn text(body: &str) -> Vec<u8> {
    wire::message::text(body, None, None)
}

/// A message of text, padded as it is encrypted.
pub(crate) fn padded(body: &str) -> Vec<u8> {
    wire::message::pad(text(body), 7)
}

/// A `<message>` the gatekeeper delivers.
pub(crate) fn message(from: &Jid, id: &str, (kind, ciphertext): (CiphertextKind, Vec<u8>)) -> Node {
    let enc = Node::new("enc")
        .with("v", "2")
        .with("type", kind.as_str())
        .bytes(ciphertext);
    Node::new("message")
        .with("from", from)
        .with("id", id)
        .with("t", "1760000001")
        .with("type", "text")
        .with("display_name", "Joe")
        .with("sts", "42")
        .child(enc)
}

/// A `<message>` that a peer encrypts now.
pub(crate) fn sealed(peer: &mut Peer, id: &str, plaintext: &[u8]) -> Node {
    let sealed = peer.encrypt(plaintext);
    message(&peer.jid, id, sealed)
}

/// What of an answer would go on the wire, as `tag type` or `tag`, in order.
pub(crate) fn kinds(answer: &Answer) -> Vec<String> {
    let kind = |node: &Node| match (node.attr("type"), node.attr("error")) {
        (_, Some(code)) => format!("{} {code}", node.tag),
        (Some(kind), _) => format!("{} {kind}", node.tag),
        _ => node.tag.to_string(),
    };
    answer.nodes.iter().map(kind).collect()
}

impl World {
    pub(crate) async fn receive(&self, nodes: Vec<Node>) -> Vec<Answer> {
        self.step(move |txn| {
            let nodes = nodes.clone();
            Box::pin(async move { inbound::receive(txn, LOGIN, &nodes, NOW).await })
        })
        .await
    }

    /// As [`receive`](Self::receive), but the commit is lost.
    pub(crate) async fn receive_and_crash(&self, nodes: Vec<Node>) -> Vec<Answer> {
        self.crash(move |txn| {
            let nodes = nodes.clone();
            Box::pin(async move { inbound::receive(txn, LOGIN, &nodes, NOW).await })
        })
        .await
    }

    pub(crate) async fn receipt(&self, node: &Node, now: Timestamp) -> Answer {
        let node = node.clone();
        self.step(move |txn| {
            let node = node.clone();
            Box::pin(async move { inbound::receipt(txn, LOGIN, &node, now).await })
        })
        .await
    }

    /// Takes an acknowledgement of the copy that is in the outbox now.
    pub(crate) async fn acked(&self, node: Node) -> Answer {
        let rows = self.outbox().await;
        let acked = rows
            .iter()
            .find(|row| node.attr("id").as_deref() == Some(outbound::wire_id(&row.row)));
        let seq = acked.map_or(0, |row| row.seq);
        self.step(move |txn| {
            let node = node.clone();
            Box::pin(
                async move { inbound::message_ack(txn, LOGIN, &node, seq, &profile(), NOW).await },
            )
        })
        .await
    }

    /// Sends a text from the Matrix event `$1`.
    pub(crate) async fn send(
        &self,
        to: &Jid,
        id: &str,
        body: &str,
    ) -> Result<Enqueued, NetworkError> {
        let text = OutgoingContent::Text {
            body: body.to_owned(),
            preview: None,
        };
        self.send_content(to, id, text).await
    }

    /// Sends a message from the Matrix event `$1`.
    pub(crate) async fn send_content(
        &self,
        to: &Jid,
        id: &str,
        content: OutgoingContent,
    ) -> Result<Enqueued, NetworkError> {
        let message = Outgoing {
            chat: chat(to),
            id: self::id(id),
            content,
            context: MessageContext::default(),
        };
        let keyless = self.keyless.clone();
        self.step(move |txn| {
            let (message, keyless) = (message.clone(), keyless.clone());
            Box::pin(async move {
                let groups = GroupRules {
                    most: 1024,
                    keyless: &keyless,
                };
                let origin = Origin {
                    portal: PORTAL,
                    event_id: "$1".to_owned(),
                    part: 0,
                };
                outbound::enqueue(txn, LOGIN, &message, &origin, groups, NOW).await
            })
        })
        .await
    }

    /// Gives us a peer's keys as the answer to a fetch.
    pub(crate) async fn fetched(
        &self,
        jid: &Jid,
        bundle: &Bundle,
    ) -> Result<Option<ChatId>, NetworkError> {
        self.fetched_node(jid, user_node(jid, bundle)).await
    }

    pub(crate) async fn fetched_node(
        &self,
        jid: &Jid,
        user: Node,
    ) -> Result<Option<ChatId>, NetworkError> {
        let jid = jid.clone();
        self.step(move |txn| {
            let (jid, user) = (jid.clone(), user.clone());
            Box::pin(async move {
                outbound::establish_from_key_response(txn, LOGIN, &jid, &user, NOW).await
            })
        })
        .await
    }

    pub(crate) async fn outbox(&self) -> Vec<OutboxRow> {
        self.step(|txn| Box::pin(txn.queued(LOGIN, -1, 100))).await
    }

    /// The stanzas in the outbox, as the gatekeeper decodes them.
    pub(crate) async fn outbox_nodes(&self) -> Vec<Node> {
        let rows = self.outbox().await;
        rows.iter()
            .map(|row| wire::decode(&row.row.payload).unwrap())
            .collect()
    }
}

/// What a peer reads in a `<message>` of ours.
pub(crate) fn read(peer: &mut Peer, stanza: &Node) -> Result<Vec<u8>, String> {
    let enc = stanza.find("enc").unwrap();
    assert_eq!(enc.attr("v").as_deref(), Some("2"));
    let kind = CiphertextKind::parse(&enc.attr("type").unwrap()).unwrap();
    let plaintext = peer
        .decrypt(kind, enc.content_bytes().unwrap())
        .map_err(|error| error.to_string())?;
    let plaintext = wire::message::unpad(&plaintext).map_err(|error| error.to_string())?;
    Ok(plaintext.to_vec())
}
