//! Messages and receipts from the gatekeeper, as far as the remote inbox and the answers.

use drawbridge::{
    domain::StanzaId,
    network::interop::{inbound, wire::Node},
    store::RemoteNotice,
};

use super::{
    peer::Peer,
    stanzas::{chat, id, kinds, message, padded, sealed, text},
    world::{LOGIN, NOW, World, phone, us},
};

async fn talking() -> (World, Peer) {
    let world = World::new().await;
    let mut peer = Peer::new(&phone(1), &us());
    peer.establish(&world.bundle(true).await);
    (world, peer)
}

#[tokio::test]
async fn a_batch_is_read_in_order_and_answered_with_receipt_before_acknowledgement() {
    let (world, mut peer) = talking().await;
    let nodes: Vec<_> = (1..=3)
        .map(|n| {
            let sealed = peer.encrypt(&padded(&format!("text {n}")));
            message(&peer.jid, &format!("M{n}"), sealed)
        })
        .collect();
    let answers = world.receive(nodes).await;
    for (n, answer) in (1..=3).zip(&answers) {
        assert_eq!(kinds(answer), ["receipt", "ack"]);
        assert_eq!(answer.chat, Some(chat(&peer.jid)));
        let [receipt, ack] = &answer.nodes[..] else {
            panic!("two stanzas")
        };
        assert_eq!(receipt.attr("sts").as_deref(), Some("42"));
        assert_eq!(receipt.jid("to"), Some(peer.jid.clone()));
        assert_eq!(ack.attr("class").as_deref(), Some("message"));
        assert_eq!(ack.attr("id").unwrap(), format!("M{n}"));
    }
    let rows = world.waiting(&peer.jid).await;
    let texts: Vec<_> = rows
        .iter()
        .map(|row| row.message.plaintext.clone())
        .collect();
    assert_eq!(texts, [1, 2, 3].map(|n| Some(text(&format!("text {n}")))));
    let first = &rows[0].message;
    assert_eq!(first.display_name.as_deref(), Some("Joe"));
    assert_eq!(first.sent_at.0, 1_760_000_001_000);
    assert_eq!(first.ciphertext_hash.len(), 32);
}

#[tokio::test]
async fn what_comes_again_is_answered_and_not_kept_twice() {
    let (world, mut peer) = talking().await;
    let node = sealed(&mut peer, "M1", &padded("once"));
    world.receive_and_crash(vec![node.clone()]).await;
    assert_eq!(world.waiting(&peer.jid).await.len(), 0, "nothing was kept");

    world.receive(vec![node.clone()]).await;
    let again = world.receive(vec![node.clone(), node]).await;
    for answer in &again {
        assert_eq!(kinds(answer), ["receipt", "ack"]);
        assert_eq!(
            answer.chat,
            Some(chat(&peer.jid)),
            "its worker is woken again"
        );
    }
    assert_eq!(world.waiting(&peer.jid).await.len(), 1);
}

#[tokio::test]
async fn the_same_ciphertext_under_another_id_is_not_shown_twice() {
    let (world, mut peer) = talking().await;
    let sealed = peer.encrypt(&padded("once"));
    world
        .receive(vec![message(&peer.jid, "M1", sealed.clone())])
        .await;
    let answers = world.receive(vec![message(&peer.jid, "M2", sealed)]).await;
    assert_eq!(kinds(&answers[0]), ["ack"]);
    assert_eq!(world.waiting(&peer.jid).await.len(), 1);
}

#[tokio::test]
async fn a_malformed_stanza_costs_only_itself() {
    let (world, mut peer) = talking().await;
    let good = sealed(&mut peer, "M1", &padded("good"));
    let also_good = sealed(&mut peer, "M2", &padded("also good"));
    let no_sender = Node::new("message").with("id", "X1");
    let no_id = Node::new("message").with("from", &peer.jid);
    let no_enc = Node::new("message")
        .with("from", &peer.jid)
        .with("id", "X2");
    let from_a_server = Node::new("message")
        .with("from", "s.whatsapp.net")
        .with("id", "X3");
    let answers = world
        .receive(vec![
            no_sender,
            good,
            no_id,
            no_enc,
            from_a_server,
            also_good,
        ])
        .await;
    let kinds: Vec<_> = answers.iter().map(kinds).collect();
    assert_eq!(kinds[0], ["ack 487"]);
    assert_eq!(kinds[1], ["receipt", "ack"]);
    assert!(kinds[2].is_empty(), "without an id nothing can be answered");
    assert_eq!(kinds[3], ["ack 490"]);
    assert_eq!(kinds[4], ["ack 487"]);
    assert_eq!(kinds[5], ["receipt", "ack"]);
    assert_eq!(world.waiting(&peer.jid).await.len(), 2);
}

#[tokio::test]
async fn a_plaintext_that_is_not_padded_is_kept_and_refused() {
    let (world, mut peer) = talking().await;
    let mut plaintext = text("badly padded");
    plaintext.push(0);
    let node = sealed(&mut peer, "M1", &plaintext);
    let answers = world.receive(vec![node]).await;
    assert_eq!(kinds(&answers[0]), ["ack 491"]);
    let rows = world.waiting(&peer.jid).await;
    assert_eq!(rows[0].message.plaintext, Some(plaintext));
}

#[tokio::test]
async fn a_new_identity_key_is_announced_before_the_message_it_came_with() {
    let (world, mut peer) = talking().await;
    let node = sealed(&mut peer, "M1", &padded("old phone"));
    world.receive(vec![node]).await;
    peer.reinstall();
    peer.establish(&world.bundle(true).await);
    let node = sealed(&mut peer, "M2", &padded("new phone"));
    world.receive(vec![node]).await;

    let rows = world.waiting(&peer.jid).await;
    let notices: Vec<_> = rows.iter().map(|row| row.message.notice.clone()).collect();
    assert_eq!(notices, [None, Some(RemoteNotice::IdentityChanged), None]);
    assert_eq!(rows[2].message.stanza_id, id("M2"));
}

#[tokio::test]
async fn a_notified_identity_change_ends_the_session_and_is_told_when_the_key_is_seen() {
    let (world, mut peer) = talking().await;
    let node = sealed(&mut peer, "M1", &padded("old phone"));
    world.receive(vec![node]).await;
    peer.reinstall();
    let notification = Node::new("notification")
        .with("type", "encrypt")
        .with("from", &peer.jid)
        .with("id", "N1")
        .child(Node::new("identity"));
    let answer = world
        .step(move |txn| {
            let notification = notification.clone();
            Box::pin(async move { inbound::identity_changed(txn, LOGIN, &notification).await })
        })
        .await;
    assert_eq!(kinds(&answer), ["ack encrypt"]);
    assert_eq!(answer.keys_wanted, Some(peer.jid.clone()));
    assert_eq!(world.waiting(&peer.jid).await.len(), 1, "no key, no notice");

    let bundle = peer.bundle(true);
    let chat_to_wake = world.fetched(&peer.jid, &bundle).await.unwrap();
    assert_eq!(chat_to_wake, Some(chat(&peer.jid)));
    let bundle = peer.bundle(true);
    assert_eq!(world.fetched(&peer.jid, &bundle).await.unwrap(), None);
    let rows = world.waiting(&peer.jid).await;
    assert_eq!(rows.len(), 2, "told once");
    assert_eq!(rows[1].message.notice, Some(RemoteNotice::IdentityChanged));
}

#[tokio::test]
async fn a_read_receipt_becomes_one_notice_however_often_it_comes() {
    let (world, peer) = talking().await;
    let receipt = Node::new("receipt")
        .with("from", &peer.jid)
        .with("id", "S1")
        .with("type", "read")
        .with("t", "1760000005")
        .child(
            Node::new("list")
                .child(Node::new("item").with("id", "S2"))
                .child(Node::new("item").with("id", "S3")),
        );
    for _ in 0..2 {
        let answer = world.receipt(&receipt, NOW).await;
        assert_eq!(kinds(&answer), ["ack read"]);
    }
    let rows = world.waiting(&peer.jid).await;
    assert_eq!(rows.len(), 1);
    let ids: Vec<StanzaId> = ["S1", "S2", "S3"].map(id).into();
    assert_eq!(rows[0].message.notice, Some(RemoteNotice::Read { ids }));
    assert_eq!(rows[0].message.sent_at.0, 1_760_000_005_000);
}
