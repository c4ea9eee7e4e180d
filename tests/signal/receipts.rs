//! Receipts from the gatekeeper, in all their forms.

use drawbridge::{
    domain::{ChatId, StanzaId},
    network::interop::wire::{Jid, Node},
    store::{RemoteMessageRow, RemoteNotice},
};

use super::{
    peer::Peer,
    stanzas::{chat, id, kinds},
    world::{LOGIN, NOW, World, phone, us},
};

fn receipt(from: &Jid, kind: Option<&'static str>) -> Node {
    Node::new("receipt")
        .with("from", from)
        .with("id", "R1")
        .with("t", "1760000005")
        .with_opt("type", kind)
}

fn participants(message: &str, users: &[(&Jid, &str)]) -> Node {
    users.iter().fold(
        Node::new("participants").with("key", message),
        |node, (jid, t)| node.child(Node::new("user").with("jid", *jid).with("t", *t)),
    )
}

/// Who read what, and when in seconds.
fn reads(rows: &[RemoteMessageRow]) -> Vec<(String, Vec<String>, i64)> {
    rows.iter()
        .map(|row| match &row.message.notice {
            Some(RemoteNotice::Read { ids }) => (
                row.message.sender.to_string(),
                ids.iter().map(StanzaId::to_string).collect(),
                row.message.sent_at.seconds(),
            ),
            other => panic!("{other:?}"),
        })
        .collect()
}

/// A world in which messages of ours wait for their receipts.
async fn sent(ids: &[&str]) -> (World, Peer) {
    let world = World::new().await;
    let mut peer = Peer::new(&phone(1), &us());
    let bundle = peer.bundle(true);
    world.fetched(&peer.jid, &bundle).await.unwrap();
    for id in ids {
        world.send(&peer.jid, id, "hello").await.unwrap();
        let ack = Node::new("ack").with("class", "message").with("id", *id);
        world.acked(ack).await;
    }
    (world, peer)
}

impl World {
    async fn is_delivered(&self, id: &str) -> bool {
        let id = self::id(id);
        self.step(move |txn| {
            let id = id.clone();
            Box::pin(async move { Ok(txn.retryable(LOGIN, &id).await?.is_none()) })
        })
        .await
    }

    async fn waiting_in(&self, chat: &str) -> Vec<RemoteMessageRow> {
        let chat = ChatId::parse(chat).unwrap();
        self.step(move |txn| {
            let chat = chat.clone();
            Box::pin(async move { txn.waiting_messages(LOGIN, &chat, 100).await })
        })
        .await
    }
}

#[tokio::test]
async fn a_delivery_wakes_the_chat_and_shows_nothing() {
    for kind in [None, Some("delivered"), Some("inactive")] {
        let (world, peer) = sent(&["R1", "S2"]).await;
        let list = Node::new("list").child(Node::new("item").with("id", "S2"));
        let node = receipt(&peer.jid, kind).child(list);
        let answer = world.receipt(&node, NOW).await;
        assert_eq!(answer.chat, Some(chat(&peer.jid)));
        assert!(world.is_delivered("R1").await && world.is_delivered("S2").await);
        assert_eq!(world.waiting(&peer.jid).await, []);
    }
}

#[tokio::test]
async fn what_was_read_or_played_was_delivered_too() {
    for kind in ["read", "played"] {
        let (world, peer) = sent(&["R1"]).await;
        let node = receipt(&peer.jid, Some(kind));
        assert_eq!(
            kinds(&world.receipt(&node, NOW).await),
            [format!("ack {kind}")]
        );
        assert!(world.is_delivered("R1").await);
        let rows = world.waiting(&peer.jid).await;
        assert_eq!(reads(&rows)[0].1, ["R1"]);
    }
}

#[tokio::test]
async fn receipts_between_a_users_own_devices_say_nothing_of_ours() {
    let (world, peer) = sent(&["R1"]).await;
    for kind in [
        "read-self",
        "played-self",
        "sender",
        "server-error",
        "unheard-of",
    ] {
        let answer = world.receipt(&receipt(&peer.jid, Some(kind)), NOW).await;
        assert_eq!(kinds(&answer), [format!("ack {kind}")]);
        assert_eq!(answer.chat, None);
    }
    assert!(!world.is_delivered("R1").await);
    assert_eq!(world.waiting(&peer.jid).await, []);
}

#[tokio::test]
async fn aggregated_receipts_are_one_notice_a_reader_and_time() {
    let (world, peer) = sent(&["S1", "S2", "S3"]).await;
    let node = receipt(&peer.jid, Some("read"))
        .child(participants("S1", &[(&peer.jid, "1760000001")]))
        .child(participants("S2", &[(&peer.jid, "1760000001")]))
        .child(participants("S3", &[(&peer.jid, "1760000009")]));
    for _ in 0..2 {
        let answer = world.receipt(&node, NOW).await;
        assert_eq!(kinds(&answer), ["ack read"]);
        assert_eq!(answer.chat, Some(chat(&peer.jid)));
    }
    let who = peer.jid.to_string();
    let rows = world.waiting(&peer.jid).await;
    let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        reads(&rows),
        [
            (who.clone(), ids(&["S1", "S2"]), 1_760_000_001),
            (who, ids(&["S3"]), 1_760_000_009),
        ]
    );
    for id in ["S1", "S2", "S3"] {
        assert!(world.is_delivered(id).await, "{id}");
    }
}

#[tokio::test]
async fn in_a_group_each_member_reads_for_itself() {
    let (world, _) = sent(&["S1"]).await;
    let group = Jid::user("123-456", "g.us");
    let (first, second) = (phone(1), phone(2));
    let node = receipt(&group, Some("read")).child(participants(
        "S1",
        &[(&first, "1760000001"), (&second, "1760000002")],
    ));
    world.receipt(&node, NOW).await;
    let alone = receipt(&group, Some("read")).with("participant", &first);
    world.receipt(&alone, NOW).await;
    // Whose it is, it does not say.
    world.receipt(&receipt(&group, Some("read")), NOW).await;
    let rows = world.waiting_in("123-456@g.us").await;
    let readers: Vec<_> = reads(&rows)
        .into_iter()
        .map(|(who, ids, _)| (who, ids.concat()))
        .collect();
    assert_eq!(
        readers,
        [
            (first.to_string(), "S1".to_owned()),
            (second.to_string(), "S1".to_owned()),
            (first.to_string(), "R1".to_owned()),
        ]
    );
}

#[tokio::test]
async fn malformed_receipts_cost_only_themselves() {
    let (world, peer) = sent(&["S1"]).await;
    let stranger = phone(9);
    let node = receipt(&peer.jid, Some("read"))
        .child(Node::new("participants"))
        .child(participants("not an id\n", &[(&peer.jid, "1")]))
        .child(Node::new("participants").with("key", "S1"))
        // In a direct chat nobody reads for somebody else.
        .child(participants("S1", &[(&stranger, "1760000001")]));
    let answer = world.receipt(&node, NOW).await;
    assert_eq!(kinds(&answer), ["ack read"]);
    assert_eq!(world.waiting(&peer.jid).await, []);
    assert_eq!(world.waiting(&stranger).await, []);
    assert!(!world.is_delivered("S1").await);
    let no_ids = Node::new("receipt").with("from", &peer.jid);
    let answer = world.receipt(&no_ids, NOW).await;
    assert_eq!((answer.chat, answer.nodes.len()), (None, 0));
}
