//! Retry receipts, both ways, until the message is read or both sides give up.

use drawbridge::{network::interop::wire::Node, store::RemoteNotice};

use super::{
    peer::Peer,
    stanzas::{kinds, message, padded, read, text},
    world::{NOW, World, bundle_in, keys_into, phone, us},
};

/// A retry receipt of a peer; with its keys from the second on, as clients do.
fn retry(peer: &mut Peer, id: &str, count: u64) -> Node {
    let receipt = Node::new("receipt")
        .with("from", &peer.jid)
        .with("id", id)
        .with("type", "retry")
        .child(
            Node::new("retry")
                .with("count", count)
                .with("id", id)
                .with("t", "1760000001")
                .with("v", "1"),
        )
        .child(Node::new("registration").bytes(peer.registration_id().to_be_bytes()));
    if count < 2 {
        return receipt;
    }
    let bundle = peer.bundle(true);
    receipt.child(keys_into(Node::new("keys"), &bundle))
}

#[tokio::test]
async fn what_cannot_be_read_is_asked_for_until_it_can() {
    let world = World::new().await;
    let mut peer = Peer::new(&phone(1), &us());
    peer.establish(&world.bundle(true).await);
    let (kind, mut broken) = peer.encrypt(&padded("at last"));
    let last = broken.len() - 1;
    broken[last] ^= 1;
    let stanza = message(&peer.jid, "M1", (kind, broken));

    let first = world.receive(vec![stanza.clone()]).await.remove(0);
    assert_eq!(kinds(&first), ["receipt retry", "ack"]);
    let retry = first.nodes[0].find("retry").unwrap();
    assert_eq!(retry.number("count"), Some(1));
    assert_eq!(retry.attr("id").as_deref(), Some("M1"));
    assert_eq!(retry.attr("t").as_deref(), Some("1760000001"));
    assert!(first.nodes[0].find("registration").is_some());
    assert!(first.nodes[0].find("keys").is_none());
    let placeholder = world.waiting(&peer.jid).await;
    assert_eq!(placeholder[0].message.plaintext, None);
    assert_eq!(placeholder[0].revision, 0);

    let second = world.receive(vec![stanza]).await.remove(0);
    assert_eq!(kinds(&second), ["receipt retry", "ack"]);
    assert_eq!(second.chat, None, "there is a placeholder already");
    let receipt = &second.nodes[0];
    assert_eq!(receipt.find("retry").unwrap().number("count"), Some(2));
    let bundle = bundle_in(receipt, receipt.find("keys").unwrap());
    let handed_out = bundle.prekey.unwrap().id;
    assert!(world.has_prekey(handed_out).await);

    peer.establish(&bundle);
    let sealed = peer.encrypt(&padded("at last"));
    let third = world
        .receive(vec![message(&peer.jid, "M1", sealed)])
        .await
        .remove(0);
    assert_eq!(kinds(&third), ["receipt", "ack"]);
    assert!(!world.has_prekey(handed_out).await);
    let rows = world.waiting(&peer.jid).await;
    assert_eq!(rows.len(), 1, "the placeholder was replaced");
    assert_eq!(rows[0].message.plaintext, Some(text("at last")));
}

#[tokio::test]
async fn a_message_is_asked_for_five_times_at_most() {
    let world = World::new().await;
    let mut peer = Peer::new(&phone(1), &us());
    peer.establish(&world.bundle(true).await);
    let (kind, bytes) = peer.encrypt(&padded("lost"));
    let stanza = message(&peer.jid, "M1", (kind, bytes[..bytes.len() - 4].to_vec()));
    for count in 1..=7 {
        let answer = world.receive(vec![stanza.clone()]).await.remove(0);
        let expected: &[&str] = if count <= 5 {
            &["receipt retry", "ack"]
        } else {
            &["ack"]
        };
        assert_eq!(kinds(&answer), expected, "time {count}");
    }
}

#[tokio::test]
async fn a_peer_that_lost_its_session_gets_the_message_again() {
    let world = World::new().await;
    let mut peer = Peer::new(&phone(1), &us());
    let bundle = peer.bundle(true);
    world.fetched(&peer.jid, &bundle).await.unwrap();
    world.send(&peer.jid, "A1", "hello").await.unwrap();
    let sent = world.outbox_nodes().await;
    peer.reinstall();
    read(&mut peer, &sent[0]).unwrap_err();

    let receipt = retry(&mut peer, "A1", 2);
    let answer = world.receipt(&receipt, NOW).await;
    assert!(answer.queued);
    assert_eq!(kinds(&answer), ["ack retry"]);
    let again = world.outbox_nodes().await;
    assert_eq!(again.len(), 1, "the same row, with new bytes");
    assert_eq!(again[0].attr("id").as_deref(), Some("A1"));
    assert_eq!(again[0].find("enc").unwrap().number("count"), Some(2));
    assert_eq!(read(&mut peer, &again[0]).unwrap(), text("hello"));
    let rows = world.waiting(&peer.jid).await;
    assert_eq!(rows[0].message.notice, Some(RemoteNotice::IdentityChanged));
}

#[tokio::test]
async fn the_first_retry_of_a_new_installation_makes_us_fetch_its_keys() {
    let world = World::new().await;
    let mut peer = Peer::new(&phone(1), &us());
    let bundle = peer.bundle(true);
    world.fetched(&peer.jid, &bundle).await.unwrap();
    world.send(&peer.jid, "A1", "hello").await.unwrap();
    let before = peer.registration_id();
    while peer.registration_id() == before {
        peer.reinstall();
    }
    let receipt = retry(&mut peer, "A1", 1);
    let answer = world.receipt(&receipt, NOW).await;
    assert_eq!(answer.keys_wanted, Some(peer.jid.clone()));
    assert!(answer.again);
    assert!(
        answer.nodes.is_empty(),
        "not acknowledged before it is done"
    );

    let bundle = peer.bundle(true);
    world.fetched(&peer.jid, &bundle).await.unwrap();
    let answer = world.receipt(&receipt, NOW).await;
    assert!(answer.queued);
    let again = world.outbox_nodes().await;
    assert_eq!(read(&mut peer, &again[0]).unwrap(), text("hello"));
}

#[tokio::test]
async fn a_session_is_made_anew_once_an_hour() {
    let world = World::new().await;
    let mut peer = Peer::new(&phone(1), &us());
    let bundle = peer.bundle(true);
    world.fetched(&peer.jid, &bundle).await.unwrap();
    world.send(&peer.jid, "A1", "hello").await.unwrap();
    let kind_of_answer = async |peer: &mut Peer, at| {
        let receipt = retry(peer, "A1", 2);
        assert!(world.receipt(&receipt, at).await.queued);
        let stanza = world.outbox_nodes().await.remove(0);
        // The first message of a session is what a peer that got nothing of it needs; the place in the chain tells them apart.
        let enc = stanza.find("enc").unwrap().clone();
        let kind = drawbridge::signal::CiphertextKind::parse(&enc.attr("type").unwrap()).unwrap();
        super::peer::key_place(kind, enc.content_bytes().unwrap())
    };
    let (first_session, place) = kind_of_answer(&mut peer, NOW).await;
    assert_eq!(place, 0);
    let (session, place) = kind_of_answer(&mut peer, NOW.plus_millis(60_000)).await;
    assert_eq!(
        (session, place),
        (first_session, 1),
        "the same session goes on"
    );
    let (session, _) = kind_of_answer(&mut peer, NOW.plus_millis(3_600_001)).await;
    assert_ne!(session, first_session);
}

#[tokio::test]
async fn a_retry_is_answered_five_times_and_never_for_somebody_else() {
    let world = World::new().await;
    let mut peer = Peer::new(&phone(1), &us());
    let bundle = peer.bundle(true);
    world.fetched(&peer.jid, &bundle).await.unwrap();
    world.send(&peer.jid, "A1", "secret").await.unwrap();

    let mut stranger = Peer::new(&phone(2), &us());
    let bundle = stranger.bundle(true);
    world.fetched(&stranger.jid, &bundle).await.unwrap();
    let before = world.outbox_nodes().await;
    let answer = world.receipt(&retry(&mut stranger, "A1", 2), NOW).await;
    assert!(!answer.queued);
    assert_eq!(world.outbox_nodes().await, before);

    for count in 1..=7 {
        let receipt = retry(&mut peer, "A1", 1);
        let answer = world.receipt(&receipt, NOW).await;
        assert_eq!(answer.queued, count <= 5, "time {count}");
        assert_eq!(kinds(&answer), ["ack retry"]);
    }
    assert!(!world.receipt(&retry(&mut peer, "A1", 6), NOW).await.queued);
}

#[tokio::test]
async fn what_was_delivered_is_not_sent_again() {
    let world = World::new().await;
    let mut peer = Peer::new(&phone(1), &us());
    let bundle = peer.bundle(true);
    world.fetched(&peer.jid, &bundle).await.unwrap();
    world.send(&peer.jid, "A1", "hello").await.unwrap();
    let ack = Node::new("ack").with("class", "message").with("id", "A1");
    world.acked(ack).await;
    let delivered = Node::new("receipt")
        .with("from", &peer.jid)
        .with("id", "A1");
    let answer = world.receipt(&delivered, NOW).await;
    assert_eq!(kinds(&answer), ["ack"]);
    assert!(!world.receipt(&retry(&mut peer, "A1", 1), NOW).await.queued);
    assert_eq!(world.outbox().await.len(), 0);
}
