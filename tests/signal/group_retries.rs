//! What members of a group are given again, and what becomes of the sender key then.

use drawbridge::{
    domain::GroupRole,
    network::interop::{
        inbound, outbound,
        wire::{self, Jid, Node},
    },
};

use super::{
    group_world::{
        GROUP, given, group, in_a_group, naming, notification, read_in_group, sealed_bytes,
    },
    peer::{Peer, group_key_place},
    stanzas::{chat, read, text},
    world::{LOGIN, NOW, phone, us},
};

fn chain(sent: &Node) -> u32 {
    group_key_place(&sealed_bytes(sent)).0
}

fn retry(from: &Jid, participant: &Jid, id: &str, count: u64) -> Node {
    Node::new("receipt")
        .with("from", from)
        .with("participant", participant)
        .with("id", id)
        .with("type", "retry")
        .child(
            Node::new("retry")
                .with("count", count)
                .with("id", id)
                .with("t", "1760000001")
                .with("v", "1"),
        )
}

#[tokio::test]
async fn a_member_that_lost_the_key_gets_the_message_alone_and_the_key_with_it() {
    let (world, mut peers) = in_a_group(2).await;
    let sent = world.said("A1", "hello").await;
    for peer in &mut peers {
        read_in_group(peer, &sent).unwrap();
        peer.lose_sender_keys();
    }
    let receipts: Vec<Node> = peers
        .iter()
        .map(|peer| retry(&group(), &peer.jid, "A1", 1))
        .collect();
    for receipt in &receipts {
        let answer = world.receipt(receipt, NOW).await;
        assert!(answer.queued);
        assert_eq!(answer.chat, Some(chat(&group())));
    }
    let rows = world.outbox_nodes().await;
    assert_eq!(rows.len(), 3, "one answer does not take another's place");
    let next = world.said("A2", "next").await;
    assert!(next.find("participants").is_none());
    for (peer, answer) in peers.iter_mut().zip(&rows[1..]) {
        assert_eq!(answer.jid("to"), Some(group()));
        assert_eq!(answer.jid("participant"), Some(peer.jid.clone()));
        assert_eq!(answer.attr("id").as_deref(), Some("A1"));
        assert_eq!(answer.find("enc").unwrap().number("count"), Some(1));
        let plaintext = read(peer, answer).unwrap();
        assert!(plaintext.starts_with(&text("hello")));
        let start = wire::message::distribution_in(&plaintext, &chat(&group())).unwrap();
        peer.take_distribution(GROUP, &start);
        assert_eq!(read_in_group(peer, &next).unwrap(), text("next"));
    }
}

#[tokio::test]
async fn each_copy_leaves_the_outbox_by_its_own_acknowledgement() {
    let (world, peers) = in_a_group(2).await;
    world.said("A1", "hello").await;
    for peer in &peers {
        world
            .receipt(&retry(&group(), &peer.jid, "A1", 1), NOW)
            .await;
    }
    let rows = world.outbox().await;
    assert_eq!(rows.len(), 3);
    for row in &rows {
        assert_eq!(outbound::wire_id(&row.row), "A1");
    }
    for left in (0..3).rev() {
        let ack = Node::new("ack").with("class", "message").with("id", "A1");
        world.acked(ack).await;
        assert_eq!(world.outbox().await.len(), left);
    }
}

#[tokio::test]
async fn each_member_is_answered_five_times_and_nobody_else() {
    let (world, peers) = in_a_group(2).await;
    world.said("A1", "secret").await;
    let mut stranger = Peer::new(&phone(9), &us());
    let bundle = stranger.bundle(true);
    world.fetched(&stranger.jid, &bundle).await.unwrap();
    let others = [
        retry(&group(), &stranger.jid, "A1", 1),
        retry(&stranger.jid, &stranger.jid, "A1", 1),
        retry(&"1234@g.us".parse().unwrap(), &peers[0].jid, "A1", 1),
        retry(&peers[0].jid, &peers[0].jid, "A1", 1),
        retry(&group(), &us(), "A1", 1),
    ];
    for receipt in &others {
        assert!(!world.receipt(receipt, NOW).await.queued, "{receipt:?}");
    }
    for peer in &peers {
        for time in 1..=7 {
            let receipt = retry(&group(), &peer.jid, "A1", 1);
            let answer = world.receipt(&receipt, NOW).await;
            assert_eq!(answer.queued, time <= 5, "time {time}");
        }
    }
    assert_eq!(world.outbox().await.len(), 11);
}

#[tokio::test]
async fn a_member_without_a_session_is_answered_once_its_keys_are_there() {
    let (world, mut peers) = in_a_group(1).await;
    let mut late = Peer::new(&phone(2), &us());
    world.set_role(&late.jid, Some(GroupRole::Member)).await;
    world.keyless.remember(LOGIN, late.jid.clone(), false, NOW);
    let sent = world.said("A1", "hello").await;
    read_in_group(&mut peers[0], &sent).unwrap();
    let receipt = retry(&group(), &late.jid, "A1", 1);
    let answer = world.receipt(&receipt, NOW).await;
    assert_eq!(answer.keys_wanted, Some(late.jid.clone()));
    assert!(answer.again);
    let bundle = late.bundle(true);
    world.fetched(&late.jid, &bundle).await.unwrap();
    assert!(world.receipt(&receipt, NOW).await.queued);
    let answer = world.outbox_nodes().await.pop().unwrap();
    assert!(
        read(&mut late, &answer)
            .unwrap()
            .starts_with(&text("hello"))
    );
}

#[tokio::test]
async fn another_device_of_a_member_makes_the_key_a_spent_one() {
    for known_by in ["keys", "notification", "registration"] {
        let (world, mut peers) = in_a_group(2).await;
        let before = world.said("A1", "before").await;
        for peer in &mut peers {
            read_in_group(peer, &before).unwrap();
        }
        let mut earlier = peers.pop().unwrap();
        let mut another = Peer::new(&earlier.jid, &us());
        match known_by {
            "keys" => {}
            "notification" => {
                let changed = Node::new("notification")
                    .with("type", "encrypt")
                    .with("from", &another.jid)
                    .with("id", "N1")
                    .child(Node::new("identity"));
                world
                    .step(move |txn| {
                        let changed = changed.clone();
                        Box::pin(
                            async move { inbound::identity_changed(txn, LOGIN, &changed).await },
                        )
                    })
                    .await;
            }
            _ => {
                let registration = another.registration_id().to_be_bytes();
                let receipt = retry(&group(), &another.jid, "A1", 1)
                    .child(Node::new("registration").bytes(registration));
                let answer = world.receipt(&receipt, NOW).await;
                assert_eq!(answer.keys_wanted, Some(another.jid.clone()));
            }
        }
        let bundle = another.bundle(true);
        world.fetched(&another.jid, &bundle).await.unwrap();
        let after = world.said("A2", "after").await;
        assert_eq!(given(&after), [phone(1), phone(2)], "{known_by}");
        assert_ne!(chain(&before), chain(&after), "{known_by}");
        for peer in [&mut peers[0], &mut another] {
            assert_eq!(read_in_group(peer, &after).unwrap(), text("after"));
        }
        earlier
            .decrypt_in_group(GROUP, &sealed_bytes(&after))
            .unwrap_err();
    }
}

#[tokio::test]
async fn who_got_the_key_on_a_further_device_cannot_read_on_after_leaving() {
    for told in [true, false] {
        let (world, mut peers) = in_a_group(1).await;
        let late = phone(2);
        world.set_role(&late, Some(GroupRole::Member)).await;
        world.keyless.remember(LOGIN, late.clone(), false, NOW);
        let before = world.said("A1", "before").await;
        read_in_group(&mut peers[0], &before).unwrap();

        let device = late.to_string().replace('@', ":3@");
        let mut further = Peer::new(&device.parse().unwrap(), &us());
        let bundle = further.bundle(true);
        world.fetched(&further.jid, &bundle).await.unwrap();
        let receipt = retry(&group(), &further.jid, "A1", 1);
        assert!(world.receipt(&receipt, NOW).await.queued);
        let answer = world.outbox_nodes().await.pop().unwrap();
        let plaintext = read(&mut further, &answer).unwrap();
        let start = wire::message::distribution_in(&plaintext, &chat(&group())).unwrap();
        further.take_distribution(GROUP, &start);
        let next = world.said("A2", "next").await;
        assert_eq!(chain(&before), chain(&next), "nobody has left");
        further
            .decrypt_in_group(GROUP, &sealed_bytes(&next))
            .unwrap();

        if told {
            let left = naming("leave", &[&late]);
            let left = notification("N1", &late, 1_760_000_100, left);
            world.notified(&left).await;
        } else {
            world.set_role(&late, None).await;
        }
        let after = world.said("A3", "after").await;
        assert_ne!(chain(&before), chain(&after), "told: {told}");
        further
            .decrypt_in_group(GROUP, &sealed_bytes(&after))
            .unwrap_err();
    }
}

#[tokio::test]
async fn who_came_long_after_a_message_is_not_given_it() {
    let (world, peers) = in_a_group(2).await;
    world.said("A1", "before").await;
    let mut added = Peer::new(&phone(3), &us());
    let bundle = added.bundle(true);
    world.fetched(&added.jid, &bundle).await.unwrap();
    world.set_role(&added.jid, Some(GroupRole::Member)).await;
    let asks = |peer: &Peer, id| retry(&group(), &peer.jid, id, 1);
    let late = NOW.plus_millis(24 * 60 * 60 * 1000);
    assert!(!world.receipt(&asks(&added, "A1"), late).await.queued);
    // At first it may be that the message was sent only when they had come.
    assert!(world.receipt(&asks(&added, "A1"), NOW).await.queued);
    world.said("A2", "after").await;
    assert!(world.receipt(&asks(&added, "A2"), NOW).await.queued);

    world.set_role(&peers[1].jid, None).await;
    assert!(!world.receipt(&asks(&peers[1], "A1"), NOW).await.queued);
    world.set_role(&peers[1].jid, Some(GroupRole::Member)).await;
    assert!(world.receipt(&asks(&peers[1], "A1"), NOW).await.queued);
    assert!(world.receipt(&asks(&peers[0], "A1"), NOW).await.queued);
}
