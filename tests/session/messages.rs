//! Messages both ways between a login's connection and a phone with ratchets of its own.

use drawbridge::{
    domain::LoginId,
    network::{
        Network,
        interop::{
            ConnectionPolicy,
            partner::PushSink,
            wire::{self, Jid, Node},
        },
    },
    signal::CiphertextKind,
};

use super::{
    peer::{Line, Peer, assigned, published, uploaded, within},
    ratchet::Peer as Phone,
    stage::{MXID, Stage, USER, chat},
};

fn user() -> Jid {
    USER.parse().unwrap()
}

/// A login that is connected, and a phone that has its keys.
pub(crate) async fn acquainted(policy: ConnectionPolicy) -> (Peer, Stage, LoginId, Line, Phone) {
    let peer = Peer::start().await;
    let stage = Stage::new(&peer.profile_layer(), policy).await;
    let (login, mut line) = tokio::join!(stage.gatekeeper.log_in(MXID), peer.log_in());
    let mut phone = Phone::new(&user(), &assigned());
    phone.establish(&uploaded(&line.until_asked("list").await));
    (peer, stage, login.unwrap(), line, phone)
}

fn sealed(phone: &mut Phone, id: &str, body: &str) -> Node {
    sealed_bytes(phone, id, &wire::message::text(body, None, None))
}

/// A message that a phone encrypts now.
pub(crate) fn sealed_bytes(phone: &mut Phone, id: &str, plaintext: &[u8]) -> Node {
    let padded = wire::message::pad(plaintext.to_vec(), 3);
    let (kind, ciphertext) = phone.encrypt(&padded);
    Node::new("message")
        .with("id", id)
        .with("from", user())
        .with("t", "1700000000")
        .with("type", "text")
        .with("sts", "42")
        .child(
            Node::new("enc")
                .with("v", "2")
                .with("type", kind.as_str())
                .bytes(ciphertext),
        )
}

/// The texts that wait for their way into Matrix, in order.
async fn texts(stage: &Stage, login: LoginId) -> Vec<String> {
    let texts = stage.texts(login, &chat()).await;
    texts
        .into_iter()
        .map(|text| text.expect("a plaintext"))
        .collect()
}

/// The ids of the next messages that are acknowledged, each after its receipt.
async fn acknowledged(line: &mut Line, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    while ids.len() < count {
        let receipt = line.next().await;
        assert_eq!(
            (receipt.tag.as_ref(), receipt.attr("type")),
            ("receipt", None)
        );
        assert_eq!(receipt.attr("sts").as_deref(), Some("42"));
        let ack = line.next().await;
        assert_eq!(ack.attr("class").as_deref(), Some("message"));
        assert_eq!(ack.attr("id"), receipt.attr("id"));
        ids.push(ack.attr("id").expect("an id").into_owned());
    }
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_kept_then_received_and_acknowledged() {
    let (_peer, stage, login, mut line, mut phone) = acquainted(ConnectionPolicy::Always).await;
    line.send(sealed(&mut phone, "A1", "hello")).await;
    assert_eq!(acknowledged(&mut line, 1).await, ["A1"]);
    assert_eq!(texts(&stage, login).await, ["hello"]);
    stage.until_heard().await;
    stage.gatekeeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mailbox_comes_in_order_and_each_message_once() {
    let idle = ConnectionPolicy::OnDemand { idle_ms: 200 };
    let (peer, stage, login, mut line, mut phone) = acquainted(idle).await;
    while line.next_or_end().await.is_some() {}
    let mut mailbox: Vec<Node> = (0..150)
        .map(|number| sealed(&mut phone, &format!("A{number}"), &format!("text {number}")))
        .collect();
    // The gatekeeper repeats what it is not sure was received.
    mailbox.extend(mailbox[..20].to_vec());
    assert!(stage.gatekeeper.pushed(MXID).await.unwrap());
    let mut line = peer.accept().await;
    line.send(Node::new("success")).await;
    for message in &mailbox {
        line.send(message.clone()).await;
    }
    line.send(Node::new("ib").child(Node::new("offline").with("count", "170")))
        .await;
    let ids = acknowledged(&mut line, mailbox.len()).await;
    let expected: Vec<String> = mailbox
        .iter()
        .map(|message| message.attr("id").expect("an id").into_owned())
        .collect();
    assert_eq!(ids, expected);
    let expected: Vec<String> = (0..150).map(|number| format!("text {number}")).collect();
    assert_eq!(texts(&stage, login).await, expected);
    while line.next_or_end().await.is_some() {}
    stage.gatekeeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_kept_and_not_acknowledged_is_not_kept_twice() {
    let (peer, stage, login, mut line, mut phone) = acquainted(ConnectionPolicy::Always).await;
    let message = sealed(&mut phone, "A1", "once");
    line.send(message.clone()).await;
    stage.until_heard().await;
    drop(line);
    let mut line = peer.log_in().await;
    line.send(message).await;
    line.send(sealed(&mut phone, "A2", "and another")).await;
    assert_eq!(acknowledged(&mut line, 2).await, ["A1", "A2"]);
    assert_eq!(texts(&stage, login).await, ["once", "and another"]);
    stage.gatekeeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_kept_is_not_acknowledged() {
    let (_peer, stage, _login, mut line, mut phone) = acquainted(ConnectionPolicy::Always).await;
    stage.db.close().await;
    line.send(sealed(&mut phone, "A1", "to a broken store"))
        .await;
    let answered = within("the end", async {
        while let Some(node) = line.next_or_end().await {
            if node.attr("id").as_deref() == Some("A1") {
                return true;
            }
        }
        false
    });
    assert!(!answered.await);
    stage.gatekeeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_is_read_on_the_phone() {
    let (_peer, stage, login, mut line, mut phone) = acquainted(ConnectionPolicy::Always).await;
    line.users.push(published(&user(), &phone.bundle(true)));
    let resolve = stage.gatekeeper.resolve(login, "+49 151 5555-0001");
    let (found, _) = tokio::join!(resolve, line.until_asked("key"));
    assert_eq!(found.unwrap().as_str(), USER);
    for number in 0..3 {
        stage
            .send(login, &format!("M{number}"), &format!("text {number}"))
            .await;
        let stanza = line.next().await;
        let enc = stanza.find("enc").unwrap();
        let kind = CiphertextKind::parse(&enc.attr("type").unwrap()).unwrap();
        let padded = phone.decrypt(kind, enc.content_bytes().unwrap()).unwrap();
        let expected = wire::message::text(&format!("text {number}"), None, None);
        assert_eq!(wire::message::unpad(&padded).unwrap(), expected);
    }
    stage.gatekeeper.stop().await;
}
