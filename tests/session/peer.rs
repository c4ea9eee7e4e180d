//! A gatekeeper whose every stanza a test decides: the chat server's side of the wire over TCP, and the enlistment endpoint.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Json, Router,
    body::Bytes as Body,
    extract::State,
    response::Redirect,
    routing::{get, post},
};
use bytes::BytesMut;
use drawbridge::{
    domain::Timestamp,
    network::interop::wire::{
        self, Jid, Node, certificate, enlistment,
        frame::{WA_HEADER, put_frame, take_frame},
        noise::{Opener, Responder, Sealer, public_key},
        payload::ClientPayload,
    },
    signal::{Bundle, PublicPreKey, PublicSignedPreKey},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::ratchet::Peer as Phone;

/// How long anything may take.
pub(crate) const DEADLINE: Duration = Duration::from_mins(1);

/// Waits, but not for ever.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let Ok(value) = tokio::time::timeout(DEADLINE, future).await else {
        panic!("in vain: {what}");
    };
    value
}

/// The gatekeeper.
pub(crate) struct Peer {
    chat: TcpListener,
    http: SocketAddr,
    root_private: [u8; 32],
    static_private: [u8; 32],
    enlistments: Arc<Mutex<Vec<enlistment::Enlistment>>>,
    /// The next internal identifier that is given, if not the usual one.
    pub(crate) next_login: Arc<Mutex<Option<Jid>>>,
}

/// A picture as the media server has it.
pub(crate) const PICTURE: &[u8] = &[0xff, 0xd8, 0xff, 7, 7, 7];

impl Peer {
    pub(crate) async fn start() -> Self {
        let chat = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let http = listener.local_addr().unwrap();
        let enlistments = Arc::new(Mutex::default());
        let next_login = Arc::new(Mutex::default());
        let elsewhere = format!("http://{http}/media/picture");
        let router = Router::new()
            .route("/3p/interop_reg", post(enlist))
            .with_state((enlistments.clone(), next_login.clone()))
            .route("/media/picture", get(|| async { PICTURE }))
            .route("/media/large", get(|| async { vec![0; 5 << 20] }))
            .route(
                "/media/away",
                get(|| async move { Redirect::temporary(&elsewhere) }),
            );
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            chat,
            http,
            root_private: rand::random(),
            static_private: rand::random(),
            enlistments,
            next_login,
        }
    }

    /// Where the media server has something.
    pub(crate) fn media(&self, name: &str) -> String {
        format!("http://{}/media/{name}", self.http)
    }

    /// The keys of the profile that are this gatekeeper's own.
    pub(crate) fn profile_layer(&self) -> serde_json::Value {
        let root = public_key(&self.root_private)
            .iter()
            .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        serde_json::json!({
            "live": false,
            "integrator_id": 1,
            "enlist_url": format!("http://{}/3p/interop_reg", self.http),
            "jwks_url": format!("http://{}/jwks", self.http),
            "media_url": format!("http://{}/media", self.http),
            "root_key": root,
            "stanzas": { "unenlisted_reasons": [404] },
            "chat": { "transport": "tcp", "address": self.chat_address().to_string() },
        })
    }

    pub(crate) fn enlistments(&self) -> Vec<enlistment::Enlistment> {
        self.enlistments.lock().unwrap().clone()
    }

    /// The next connection, its handshake done and its login not answered.
    pub(crate) async fn accept(&self) -> Line {
        within("a connection", async {
            let (stream, _) = self.chat.accept().await.unwrap();
            Line::shake_hands(stream, self).await
        })
        .await
    }

    /// Whether the next connection is given up after the server's hello.
    pub(crate) async fn refused(&self) -> bool {
        within("a connection", async {
            let (mut stream, _) = self.chat.accept().await.unwrap();
            Line::say_hello(&mut stream, &mut BytesMut::new(), self).await;
            stream.read_buf(&mut BytesMut::new()).await.unwrap_or(0) == 0
        })
        .await
    }

    pub(crate) fn chat_address(&self) -> SocketAddr {
        self.chat.local_addr().unwrap()
    }

    /// The next connection, logged in, its mailbox empty.
    pub(crate) async fn log_in(&self) -> Line {
        let mut line = self.accept().await;
        line.send(Node::new("success")).await;
        line.send(Node::new("ib").child(Node::new("offline").with("count", "0")))
            .await;
        line
    }
}

type Enlisting = (
    Arc<Mutex<Vec<enlistment::Enlistment>>>,
    Arc<Mutex<Option<Jid>>>,
);

async fn enlist(
    State((enlistments, next)): State<Enlisting>,
    body: Body,
) -> Json<enlistment::EnlistmentAnswer> {
    enlistments
        .lock()
        .unwrap()
        .push(enlistment::parse(&body).unwrap());
    let login = next.lock().unwrap().clone().unwrap_or_else(assigned);
    Json(enlistment::EnlistmentAnswer::Ok { login })
}

/// The internal identifier every login gets.
pub(crate) fn assigned() -> Jid {
    Jid::interop(1, 10_853_634_039_893)
}

/// The keys of a freshly installed user of the gatekeeper.
pub(crate) fn bundle(user: &Jid) -> Node {
    published(user, &Phone::new(user, &assigned()).bundle(false))
}

/// Keys as the gatekeeper hands them out.
pub(crate) fn published(user: &Jid, keys: &Bundle) -> Node {
    let numbered = |tag: &'static str, id: u32, value: [u8; 32]| {
        Node::new(tag)
            .child(Node::new("id").bytes(&id.to_be_bytes()[1..]))
            .child(Node::new("value").bytes(value))
    };
    let signed = &keys.signed_prekey;
    let node = Node::new("user")
        .with("jid", user)
        .child(Node::new("registration").bytes(keys.registration_id.to_be_bytes()))
        .child(Node::new("type").bytes([5]))
        .child(Node::new("identity").bytes(keys.identity))
        .child(
            numbered("skey", signed.id, signed.value)
                .child(Node::new("signature").bytes(signed.signature)),
        );
    match &keys.prekey {
        Some(prekey) => node.child(numbered("key", prekey.id, prekey.value)),
        None => node,
    }
}

/// The keys in a login's upload, with its first one-time prekey.
pub(crate) fn uploaded(iq: &Node) -> Bundle {
    let bytes = |node: &Node, tag: &str| node.find(tag).unwrap().content_bytes().unwrap().to_vec();
    let number = |node: &Node, tag: &str| {
        bytes(node, tag)
            .iter()
            .fold(0, |number, byte| number << 8 | u32::from(*byte))
    };
    let (skey, key) = (
        iq.find("skey").unwrap(),
        &iq.find("list").unwrap().children()[0],
    );
    Bundle {
        registration_id: number(iq, "registration"),
        identity: bytes(iq, "identity").try_into().unwrap(),
        signed_prekey: PublicSignedPreKey {
            id: number(skey, "id"),
            value: bytes(skey, "value").try_into().unwrap(),
            signature: bytes(skey, "signature").try_into().unwrap(),
        },
        prekey: Some(PublicPreKey {
            id: number(key, "id"),
            value: bytes(key, "value").try_into().unwrap(),
        }),
    }
}

/// One connection of a login.
pub(crate) struct Line {
    stream: TcpStream,
    buffer: BytesMut,
    sealer: Sealer,
    opener: Opener,
    /// What the login presented.
    pub(crate) payload: ClientPayload,
    /// The requests that were answered, by what was asked.
    pub(crate) asked: Vec<Node>,
    /// Who has keys here.
    pub(crate) users: Vec<Node>,
    /// What requests of a namespace are answered with, or the code they are refused with.
    pub(crate) answers: Vec<(&'static str, Result<Node, &'static str>)>,
    /// How many one-time prekeys are said to be left.
    pub(crate) prekeys: u64,
    held: VecDeque<Node>,
}

async fn read_frame(stream: &mut TcpStream, buffer: &mut BytesMut) -> Option<Vec<u8>> {
    loop {
        if let Some(frame) = take_frame(buffer) {
            return Some(frame.to_vec());
        }
        if stream.read_buf(buffer).await.unwrap_or(0) == 0 {
            return None;
        }
    }
}

async fn write_frame(stream: &mut TcpStream, bytes: &[u8]) {
    let mut out = BytesMut::new();
    put_frame(&mut out, bytes).unwrap();
    // The bridge may have gone; what a test then waits for tells more than this write.
    let _ = stream.write_all(&out).await;
}

impl Line {
    async fn say_hello(stream: &mut TcpStream, buffer: &mut BytesMut, peer: &Peer) -> Responder {
        let mut header = [0; 4];
        stream.read_exact(&mut header).await.unwrap();
        assert_eq!(header, WA_HEADER);
        let hello = read_frame(stream, buffer).await.unwrap();
        let now = Timestamp(
            i64::try_from(
                std::time::SystemTime::now()
                    .duration_since(std::time::UNIX_EPOCH)
                    .unwrap()
                    .as_millis(),
            )
            .unwrap(),
        );
        let chain = certificate::issue_chain(
            &peer.root_private,
            &rand::random(),
            &public_key(&peer.static_private),
            &(now.plus_millis(-60_000)..now.plus_millis(3_600_000)),
            &mut rand::rng(),
        );
        let (responder, hello) =
            Responder::read_client_hello(&hello, &peer.static_private, rand::random(), &chain)
                .unwrap();
        write_frame(stream, &hello).await;
        responder
    }

    async fn shake_hands(mut stream: TcpStream, peer: &Peer) -> Self {
        let mut buffer = BytesMut::new();
        let responder = Self::say_hello(&mut stream, &mut buffer, peer).await;
        let finish = read_frame(&mut stream, &mut buffer).await.unwrap();
        let (_, payload, transport) = responder.read_client_finish(&finish).unwrap();
        let (sealer, opener) = transport.split();
        Self {
            stream,
            buffer,
            sealer,
            opener,
            payload: ClientPayload::parse(&payload).unwrap(),
            asked: Vec::new(),
            users: Vec::new(),
            answers: Vec::new(),
            prekeys: 100,
            held: VecDeque::new(),
        }
    }

    pub(crate) async fn send(&mut self, node: Node) {
        let sealed = self.sealer.seal(&wire::pack(&node));
        write_frame(&mut self.stream, &sealed).await;
    }

    /// The next stanza that is no request; requests are answered. `None` when the bridge closed the connection.
    pub(crate) async fn next_or_end(&mut self) -> Option<Node> {
        loop {
            let frame = read_frame(&mut self.stream, &mut self.buffer).await?;
            let node = wire::unpack(&self.opener.open(&frame).unwrap()).unwrap();
            if node.tag != "iq" {
                return Some(node);
            }
            let answer = self.answer(&node);
            self.asked.push(node);
            self.send(answer).await;
        }
    }

    pub(crate) async fn next(&mut self) -> Node {
        if let Some(node) = self.held.pop_front() {
            return node;
        }
        within("a stanza", self.next_or_end())
            .await
            .expect("the bridge closed the connection")
    }

    /// Answers requests until one of them is about `child`.
    pub(crate) async fn until_asked(&mut self, child: &str) -> Node {
        within(child, async {
            loop {
                if let Some(asked) = self.asked.iter().find(|iq| iq.find(child).is_some()) {
                    return asked.clone();
                }
                let frame = read_frame(&mut self.stream, &mut self.buffer)
                    .await
                    .expect("the bridge closed the connection");
                let node = wire::unpack(&self.opener.open(&frame).unwrap()).unwrap();
                if node.tag == "iq" {
                    let answer = self.answer(&node);
                    self.asked.push(node);
                    self.send(answer).await;
                } else {
                    self.held.push_back(node);
                }
            }
        })
        .await
    }

    fn answer(&self, iq: &Node) -> Node {
        let result = Node::new("iq")
            .with("type", "result")
            .with("from", "s.whatsapp.net")
            .with("id", iq.attr("id").expect("an id").into_owned());
        let xmlns = iq.attr("xmlns").unwrap_or_default();
        match self.answers.iter().find(|(of, _)| *of == xmlns) {
            Some((_, Ok(answer))) => return result.child(answer.clone()),
            Some((_, Err(code))) => {
                let error = Node::new("error").with("code", *code);
                return result.with("type", "error").child(error);
            }
            None => {}
        }
        if iq.find("count").is_some() {
            return result.child(Node::new("count").with("value", self.prekeys));
        }
        let Some(key) = iq.find("key") else {
            return result;
        };
        let users = key.children().iter().map(|wanted| {
            self.users
                .iter()
                .find(|user| user.jid("jid") == wanted.jid("jid"))
                .cloned()
                .unwrap_or_else(|| wanted.clone().child(Node::new("error").with("code", "404")))
        });
        result.child(users.fold(Node::new("list"), Node::child))
    }
}
