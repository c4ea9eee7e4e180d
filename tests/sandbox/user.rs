//! A Partner's user: enlisted, with a chat connection made of the wire's parts and one ratchet.

use bytes::BytesMut;
use drawbridge::{
    network::interop::wire::{
        self, Jid, Node,
        enlistment::EnlistmentKeys,
        frame::{WA_HEADER, put_frame, take_frame},
        noise::{Initiator, Opener, Sealer, public_key},
        payload::ClientPayload,
    },
    sandbox::Flavour,
    signal::{Bundle, CiphertextKind, PublicPreKey, PublicSignedPreKey},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use waproto::{codec, whatsapp::Message};

use super::{
    partner::{DEADLINE, Stage, login_of},
    ratchet::Peer,
};

/// A Partner's user.
pub(crate) struct User {
    pub(crate) visible_id: String,
    pub(crate) flavour: Flavour,
    pub(crate) login: Jid,
    pub(crate) noise_private: [u8; 32],
    /// The ratchet with the one contact the user writes to.
    pub(crate) ratchet: Peer,
}

impl User {
    /// Enlists; `with` is whom the user will write to.
    pub(crate) async fn enlist(
        stage: &Stage,
        visible_id: &str,
        flavour: Flavour,
        with: &Jid,
    ) -> Self {
        let noise_private: [u8; 32] = rand::random();
        let mut ratchet = Peer::new(&Jid::server("s.whatsapp.net"), with);
        let keys = keys(&noise_private, &ratchet.bundle(false));
        let token = stage
            .key
            .token(&stage.profile(flavour), visible_id, stage.now())
            .unwrap();
        let login = login_of(&stage.enlist(flavour, &keys, &token, "1").await);
        Self {
            visible_id: visible_id.to_owned(),
            flavour,
            login,
            noise_private,
            ratchet,
        }
    }

    /// Connects; the first stanza says whether the login was taken.
    pub(crate) async fn dial(&self, stage: &Stage) -> Client {
        let profile = stage.profile(self.flavour);
        let Jid::Interop { user, .. } = self.login else {
            panic!("{} is no login", self.login)
        };
        let token = stage
            .key
            .token(&profile, &self.visible_id, stage.now())
            .unwrap();
        let payload = ClientPayload {
            username: None,
            passive: false,
            pull: true,
            device: 0,
            user_agent: Some(profile.user_agent.clone()),
            product: profile.product,
            account_id: user,
            token: token.into_bytes(),
            enable_read_receipts: true,
        }
        .encode();
        Client::open(stage, self.noise_private, &payload).await
    }

    /// Connects and is taken.
    pub(crate) async fn connect(&self, stage: &Stage) -> Client {
        let mut client = self.dial(stage).await;
        assert_eq!(client.next().await.tag, "success");
        client
    }

    /// Encrypts a text for the contact as a message.
    pub(crate) fn message(&mut self, id: &str, to: &Jid, text: &str) -> Node {
        let message = Message {
            conversation: Some(text.to_owned()),
            ..Message::default()
        };
        self.seal(id, to, &message)
    }

    /// Encrypts anything for the contact as a message.
    pub(crate) fn seal(&mut self, id: &str, to: &Jid, message: &Message) -> Node {
        let mut padded = codec::message_to_vec(message);
        padded.extend([5; 5]);
        let (kind, bytes) = self.ratchet.encrypt(&padded);
        let enc = Node::new("enc")
            .with("v", "2")
            .with("type", kind.as_str())
            .bytes(bytes);
        Node::new("message")
            .with("to", to)
            .with("id", id)
            .with("type", "text")
            .child(enc)
    }

    /// Decrypts a message.
    pub(crate) fn open(&mut self, message: &Node) -> Message {
        let enc = message.find("enc").unwrap();
        let kind = CiphertextKind::parse(&enc.attr("type").unwrap()).unwrap();
        let mut padded = self
            .ratchet
            .decrypt(kind, enc.content_bytes().unwrap())
            .unwrap();
        let n = *padded.last().unwrap();
        let padding = padded.split_off(padded.len() - usize::from(n));
        assert!((1..=16).contains(&n) && padding.iter().all(|byte| *byte == n));
        codec::message_decode(&padded).unwrap()
    }

    /// Decrypts a message to its text.
    pub(crate) fn read(&mut self, message: &Node) -> String {
        self.open(message).conversation.expect("a text")
    }
}

/// A connection after the handshake.
pub(crate) struct Client {
    stream: TcpStream,
    buffer: BytesMut,
    sealer: Sealer,
    opener: Opener,
    requests: u32,
}

impl Client {
    /// Connects with a payload; the first stanza says whether it was taken.
    pub(crate) async fn open(stage: &Stage, noise_private: [u8; 32], payload: &[u8]) -> Self {
        let (initiator, hello) = Initiator::new(noise_private, rand::random());
        let mut stream = TcpStream::connect(stage.sandbox.chat_address())
            .await
            .unwrap();
        let mut out = BytesMut::from(&WA_HEADER[..]);
        put_frame(&mut out, &hello).unwrap();
        stream.write_all(&out).await.unwrap();
        let mut buffer = BytesMut::new();
        let answer = frame(&mut stream, &mut buffer).await.unwrap();
        let (finish, transport) = initiator
            .read_server_hello(&answer, &stage.sandbox.root_key(), stage.now(), payload)
            .unwrap();
        let mut out = BytesMut::new();
        put_frame(&mut out, &finish).unwrap();
        stream.write_all(&out).await.unwrap();
        let (sealer, opener) = transport.split();
        Self {
            stream,
            buffer,
            sealer,
            opener,
            requests: 0,
        }
    }

    pub(crate) async fn send(&mut self, node: Node) {
        let mut out = BytesMut::new();
        put_frame(&mut out, &self.sealer.seal(&wire::pack(&node))).unwrap();
        self.stream.write_all(&out).await.unwrap();
    }

    /// The next stanza, `None` at the end of the connection.
    pub(crate) async fn next_or_end(&mut self) -> Option<Node> {
        let frame = tokio::time::timeout(DEADLINE, frame(&mut self.stream, &mut self.buffer));
        let frame = frame.await.expect("a stanza in time")?;
        Some(wire::unpack(&self.opener.open(&frame).unwrap()).unwrap())
    }

    pub(crate) async fn next(&mut self) -> Node {
        self.next_or_end().await.expect("the connection stays")
    }

    /// The next stanza with a tag; others are passed over.
    pub(crate) async fn next_of(&mut self, tag: &str) -> Node {
        loop {
            let node = self.next().await;
            if node.tag == tag {
                return node;
            }
        }
    }

    /// The next message or, before it, the end of the mailbox: `None`.
    pub(crate) async fn mail(&mut self) -> Option<Node> {
        loop {
            let node = self.next().await;
            if node.tag == "message" {
                return Some(node);
            }
            if node.tag == "ib" && node.find("offline").is_some() {
                return None;
            }
        }
    }

    pub(crate) async fn acknowledge(&mut self, node: &Node) {
        let mut ack = Node::new("ack")
            .with("class", node.tag.as_ref())
            .with("id", node.attr("id").unwrap().into_owned())
            .with("to", node.jid("from").unwrap());
        if node.tag != "message" {
            ack = ack.with_opt("type", node.attr("type").map(std::borrow::Cow::into_owned));
        }
        self.send(ack).await;
    }

    /// Asks and waits for the answer.
    pub(crate) async fn ask(&mut self, kind: &str, xmlns: &str, child: Node) -> Node {
        self.ask_of(kind, xmlns, None, child).await
    }

    /// Asks about somebody and waits for the answer.
    pub(crate) async fn ask_of(
        &mut self,
        kind: &str,
        xmlns: &str,
        target: Option<&Jid>,
        child: Node,
    ) -> Node {
        self.requests += 1;
        let id = format!("r{}", self.requests);
        let iq = Node::new("iq")
            .with("type", kind)
            .with("xmlns", xmlns)
            .with("to", Jid::server("s.whatsapp.net"))
            .with("id", id.as_str())
            .with_opt("target", target)
            .child(child);
        self.send(iq).await;
        loop {
            let answer = self.next_of("iq").await;
            if answer.attr("id").as_deref() == Some(&id) {
                return answer;
            }
        }
    }

    /// The next notification of a type, acknowledged.
    pub(crate) async fn told(&mut self, kind: &str) -> Node {
        loop {
            let node = self.next_of("notification").await;
            self.acknowledge(&node).await;
            if node.attr("type").as_deref() == Some(kind) {
                return node;
            }
        }
    }

    /// Why somebody's keys are not given: code and text.
    pub(crate) async fn keys_refused(&mut self, jid: &Jid) -> Option<(u64, String)> {
        let wanted = Node::new("key").child(Node::new("user").with("jid", jid));
        let answer = self.ask("get", "encrypt", wanted).await;
        refusal(&answer.find("list").unwrap().children()[0])
    }

    /// Fetches somebody's keys.
    pub(crate) async fn keys_of(&mut self, jid: &Jid) -> Option<Bundle> {
        let wanted = Node::new("key").child(Node::new("user").with("jid", jid));
        let answer = self.ask("get", "encrypt", wanted).await;
        bundle(&answer.find("list").unwrap().children()[0])
    }
}

async fn frame(stream: &mut TcpStream, buffer: &mut BytesMut) -> Option<bytes::Bytes> {
    loop {
        if let Some(frame) = take_frame(buffer) {
            return Some(frame);
        }
        match stream.read_buf(buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

/// The code and the text of the `<error>` in an element.
pub(crate) fn refusal(node: &Node) -> Option<(u64, String)> {
    let error = node.find("error")?;
    Some((error.number("code")?, error.attr("text")?.into_owned()))
}

/// What a user enlists with.
pub(crate) fn keys(noise_private: &[u8; 32], bundle: &Bundle) -> EnlistmentKeys {
    EnlistmentKeys {
        noise_public: public_key(noise_private),
        registration_id: bundle.registration_id,
        identity: bundle.identity,
        signed_prekey_id: bundle.signed_prekey.id,
        signed_prekey: bundle.signed_prekey.value,
        signed_prekey_signature: bundle.signed_prekey.signature,
    }
}

fn number(node: &Node) -> u32 {
    let bytes = node.find("id").unwrap().content_bytes().unwrap();
    bytes
        .iter()
        .fold(0, |number, byte| number << 8 | u32::from(*byte))
}

fn bytes<const N: usize>(node: &Node, tag: &str) -> [u8; N] {
    node.find(tag)
        .unwrap()
        .content_bytes()
        .unwrap()
        .try_into()
        .unwrap()
}

pub(crate) fn bundle(user: &Node) -> Option<Bundle> {
    let signed = user.find("skey")?;
    Some(Bundle {
        registration_id: u32::from_be_bytes(bytes(user, "registration")),
        identity: bytes(user, "identity"),
        signed_prekey: PublicSignedPreKey {
            id: number(signed),
            value: bytes(signed, "value"),
            signature: bytes(signed, "signature"),
        },
        prekey: user.find("key").map(|key| PublicPreKey {
            id: number(key),
            value: bytes(key, "value"),
        }),
    })
}
