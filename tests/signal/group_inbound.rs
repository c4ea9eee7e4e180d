//! Messages of the members of a group: the sender key before them, with them, too late, or for another group.

use drawbridge::{
    domain::{IncomingContent, RemoteUserId},
    network::interop::wire::{self, Node},
};

use super::{
    group_world::{GROUP, bringing_key, from_member, group, group_chat, padded_bytes},
    peer::Peer,
    stanzas::{chat, id, kinds, message, padded, text},
    world::{World, bundle_in, phone, us},
};

/// A member that has a session with us, and us in the group.
async fn talking() -> (World, Peer) {
    let world = World::new().await;
    let mut peer = Peer::new(&phone(1), &us());
    peer.establish(&world.bundle(true).await);
    world.form_group(&[us(), phone(1), phone(2)]).await;
    (world, peer)
}

/// A text of a member that brings its sender key.
fn first(peer: &mut Peer, id: &str, body: &str) -> Node {
    let key = padded_bytes(bringing_key(peer, GROUP));
    from_member(peer, id, Some(&key), Some(&padded(body)))
}

fn next(peer: &mut Peer, id: &str, body: &str) -> Node {
    from_member(peer, id, None, Some(&padded(body)))
}

impl World {
    /// What waits of the group, in order; `None` for what could not be decrypted.
    async fn group_texts(&self) -> Vec<Option<Vec<u8>>> {
        let rows = self.waiting(&group()).await;
        rows.into_iter()
            .map(|row| row.message.plaintext.clone())
            .collect()
    }
}

#[tokio::test]
async fn the_key_comes_with_the_first_message_and_reads_all_that_follow() {
    let (world, mut peer) = talking().await;
    let nodes = vec![
        first(&mut peer, "M1", "one"),
        next(&mut peer, "M2", "two"),
        next(&mut peer, "M3", "three"),
    ];
    let answers = world.receive(nodes).await;
    for answer in &answers {
        assert_eq!(kinds(answer), ["receipt", "ack"]);
        assert_eq!(answer.chat, Some(chat(&group())));
        let [receipt, ack] = &answer.nodes[..] else {
            panic!("two stanzas")
        };
        for node in [receipt, ack] {
            assert_eq!(node.jid("to"), Some(group()));
            assert_eq!(node.jid("participant"), Some(phone(1)));
        }
    }
    let rows = world.waiting(&group()).await;
    let sender = RemoteUserId::parse(phone(1).to_string()).unwrap();
    for (row, body) in rows.iter().zip(["one", "two", "three"]) {
        assert_eq!(row.message.plaintext, Some(text(body)));
        assert_eq!(row.message.sender, sender);
    }
    assert_eq!(rows.len(), 3);
}

#[tokio::test]
async fn order_and_repetition_do_not_matter() {
    let (world, mut peer) = talking().await;
    let one = first(&mut peer, "M1", "one");
    let (two, three) = (next(&mut peer, "M2", "two"), next(&mut peer, "M3", "three"));
    world
        .receive_and_crash(vec![one.clone(), three.clone()])
        .await;
    assert_eq!(world.group_texts().await.len(), 0, "nothing was kept");
    world.receive(vec![one.clone(), three.clone()]).await;
    let again = world.receive(vec![three, two, one]).await;
    for answer in &again {
        assert_eq!(kinds(answer), ["receipt", "ack"]);
    }
    let texts = ["one", "three", "two"].map(|body| Some(text(body)));
    assert_eq!(world.group_texts().await, texts);
}

#[tokio::test]
async fn the_same_ciphertext_under_another_id_is_not_shown_twice() {
    let (world, mut peer) = talking().await;
    let one = first(&mut peer, "M1", "one");
    let two = next(&mut peer, "M2", "two");
    world.receive(vec![one, two.clone()]).await;
    let answers = world.receive(vec![two.with("id", "M3")]).await;
    assert_eq!(kinds(&answers[0]), ["ack"]);
    assert_eq!(world.group_texts().await.len(), 2);
}

#[tokio::test]
async fn what_has_no_key_is_asked_for_and_the_answer_brings_both() {
    let (world, mut peer) = talking().await;
    peer.distribution(GROUP);
    let lost = next(&mut peer, "M1", "lost");
    let answer = world.receive(vec![lost.clone()]).await.remove(0);
    assert_eq!(kinds(&answer), ["receipt retry", "ack"]);
    let receipt = &answer.nodes[0];
    assert_eq!(receipt.jid("to"), Some(group()));
    assert_eq!(receipt.jid("participant"), Some(phone(1)));
    assert_eq!(receipt.find("retry").unwrap().number("count"), Some(1));
    assert_eq!(world.group_texts().await, [None]);

    let answer = world.receive(vec![lost]).await.remove(0);
    let receipt = &answer.nodes[0];
    let bundle = bundle_in(receipt, receipt.find("keys").unwrap());
    peer.establish(&bundle);
    let mut whole = text("found");
    whole.extend(bringing_key(&mut peer, GROUP));
    let again = from_member(&mut peer, "M1", Some(&padded_bytes(whole)), None);
    let later = next(&mut peer, "M2", "later");
    let answers = world.receive(vec![again, later]).await;
    for answer in &answers {
        assert_eq!(kinds(answer), ["receipt", "ack"]);
    }
    let rows = world.waiting(&group()).await;
    assert_eq!(rows.len(), 2, "the placeholder was replaced");
    assert_eq!(rows[0].revision, 1);
    let says = wire::message::read(
        rows[0].message.plaintext.as_deref().unwrap(),
        &rows[0].message.sender,
        "",
    );
    let found = IncomingContent::Text {
        body: "found".to_owned(),
        preview: None,
    };
    assert_eq!(says.content, found);
    assert_eq!(rows[1].message.plaintext, Some(text("later")));
}

#[tokio::test]
async fn a_key_counts_for_the_group_it_comes_in_and_the_device_it_comes_from() {
    let (world, mut peer) = talking().await;
    let foreign = padded_bytes(bringing_key(&mut peer, "120363000000000002@g.us"));
    let node = from_member(&mut peer, "M1", Some(&foreign), Some(&padded("x")));
    let answers = world.receive(vec![node]).await;
    assert_eq!(kinds(&answers[0]), ["receipt retry", "ack"]);

    // In a direct chat nobody brings keys of groups.
    let key = padded_bytes(bringing_key(&mut peer, GROUP));
    let sealed = peer.encrypt(&key);
    world.receive(vec![message(&peer.jid, "M2", sealed)]).await;
    let answers = world.receive(vec![next(&mut peer, "M3", "x")]).await;
    assert_eq!(kinds(&answers[0]), ["receipt retry", "ack"]);

    // Nobody writes as somebody else, with or without bringing the key.
    let mut other = Peer::new(&phone(2), &us());
    other.establish(&world.bundle(true).await);
    let key = padded_bytes(bringing_key(&mut other, GROUP));
    let forged = from_member(&mut other, "M4", Some(&key), Some(&padded("forged")));
    world.receive(vec![first(&mut peer, "M5", "mine")]).await;
    let answers = world
        .receive(vec![
            next(&mut other, "M6", "forged").with("participant", &peer.jid),
            forged,
        ])
        .await;
    assert_eq!(kinds(&answers[0]), ["receipt retry", "ack"]);
    let shown: Vec<_> = world.group_texts().await.into_iter().flatten().collect();
    assert_eq!(shown, [text("mine"), text("forged")], "one is its own");
}

#[tokio::test]
async fn a_message_that_only_brings_a_key_shows_nothing() {
    let (world, mut peer) = talking().await;
    let key = padded_bytes(bringing_key(&mut peer, GROUP));
    let node = from_member(&mut peer, "M1", Some(&key), None);
    let answers = world.receive(vec![node, next(&mut peer, "M2", "hi")]).await;
    assert_eq!(kinds(&answers[0]), ["receipt", "ack"]);
    let rows = world.waiting(&group()).await;
    let plaintext = rows[0].message.plaintext.as_deref().unwrap();
    let says = wire::message::read(plaintext, &rows[0].message.sender, "");
    assert_eq!(says.content, IncomingContent::Nothing);
    assert_eq!(rows[1].message.plaintext, Some(text("hi")));
}

#[tokio::test]
async fn who_is_not_known_to_be_in_the_group_is_shown_all_the_same() {
    let (world, mut peer) = talking().await;
    world.set_role(&peer.jid, None).await;
    world.receive(vec![first(&mut peer, "M1", "hello")]).await;
    assert_eq!(world.group_texts().await, [Some(text("hello"))]);
}

#[tokio::test]
async fn a_malformed_stanza_costs_only_itself() {
    let (world, mut peer) = talking().await;
    let mut nobody = first(&mut peer, "M1", "x");
    nobody.attrs.retain(|(key, _)| key != "participant");
    let a_group = next(&mut peer, "M2", "x").with("participant", group());
    let nothing = Node::new("message")
        .with("from", group())
        .with("participant", &peer.jid)
        .with("id", "M3");
    // A sender key is of groups alone.
    let direct = next(&mut peer, "M4", "x").with("from", &peer.jid);
    let good = first(&mut peer, "M5", "good");
    let answers = world
        .receive(vec![nobody, a_group, nothing, direct, good])
        .await;
    let kinds: Vec<_> = answers.iter().map(kinds).collect();
    assert_eq!(
        kinds[..4],
        [["ack 487"], ["ack 487"], ["ack 490"], ["ack 490"]]
    );
    assert_eq!(kinds[4], ["receipt", "ack"]);
    let rows = world.waiting(&group()).await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].message.stanza_id, id("M5"));
    assert_eq!(rows[0].message.chat, group_chat());
}
