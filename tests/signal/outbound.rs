//! Messages and read receipts to the gatekeeper, as far as the outbox.

use drawbridge::{
    domain::{
        ChatId, MediaDetails, MediaKey, MediaKind, MessageRef, OutgoingContent, RemoteMedia,
        RemoteUserId, StanzaId,
    },
    network::{
        Enqueued, NetworkError,
        interop::{
            outbound,
            wire::{self, Jid, Node},
        },
    },
    store::RemoteNotice,
};

use super::{
    peer::Peer,
    stanzas::{chat, id, read, text},
    world::{LOGIN, NOW, World, phone, us, user_node},
};

async fn acquainted() -> (World, Peer) {
    let world = World::new().await;
    let mut peer = Peer::new(&phone(1), &us());
    let bundle = peer.bundle(true);
    world.fetched(&peer.jid, &bundle).await.unwrap();
    (world, peer)
}

#[tokio::test]
async fn without_a_session_nothing_is_written() {
    let world = World::new().await;
    let result = world.send(&phone(1), "A1", "hello").await.unwrap();
    assert_eq!(result, Enqueued::NoSession);
    assert_eq!(world.outbox().await.len(), 0);
}

#[tokio::test]
async fn a_message_is_queued_once_to_the_last_byte() {
    let (world, mut peer) = acquainted().await;
    let result = world.send(&peer.jid, "A1", "hello").await.unwrap();
    assert_eq!(result, Enqueued::Queued);
    let first = world.outbox().await;

    let result = world.send(&peer.jid, "A1", "hello").await.unwrap();
    assert_eq!(result, Enqueued::Known);
    assert_eq!(world.outbox().await, first, "the same bytes, nothing new");

    let stanza = wire::decode(&first[0].row.payload).unwrap();
    assert_eq!(stanza.attr("type").as_deref(), Some("text"));
    assert_eq!(stanza.attr("id").as_deref(), Some("A1"));
    assert_eq!(stanza.jid("to"), Some(peer.jid.clone()));
    assert_eq!(stanza.find("enc").unwrap().attr("count"), None);
    assert_eq!(read(&mut peer, &stanza).unwrap(), text("hello"));
}

#[tokio::test]
async fn a_server_cannot_be_written_to() {
    let (world, _) = acquainted().await;
    let to = Jid::server("s.whatsapp.net");
    let result = world.send(&to, "A1", "hello").await;
    assert!(matches!(result, Err(NetworkError::Unsendable(_))));
    assert_eq!(world.outbox().await.len(), 0);
}

#[tokio::test]
async fn a_user_without_keys_is_named_as_such() {
    let world = World::new().await;
    let jid = phone(1);
    let nobody = Node::new("user")
        .with("jid", &jid)
        .child(Node::new("error").with("code", "404"));
    let result = world.fetched_node(&jid, nobody).await;
    assert!(matches!(result, Err(NetworkError::NoSuchUser(_))));

    let mut forged = Peer::new(&jid, &us()).bundle(true);
    forged.signed_prekey.value[0] ^= 1;
    let result = world.fetched_node(&jid, user_node(&jid, &forged)).await;
    assert!(matches!(result, Err(NetworkError::NoSuchUser(_))));
    let result = world.send(&jid, "A1", "hello").await.unwrap();
    assert_eq!(result, Enqueued::NoSession);
}

#[tokio::test]
async fn an_acknowledged_message_leaves_the_outbox_and_a_refused_one_is_told() {
    let (world, peer) = acquainted().await;
    for n in ["A1", "A2"] {
        world.send(&peer.jid, n, "hello").await.unwrap();
    }
    let ack = |id: &str| {
        Node::new("ack")
            .with("class", "message")
            .with("id", id)
            .with("from", &peer.jid)
            .with("t", "1760000003")
    };
    let answer = world.acked(ack("A1")).await;
    assert_eq!(
        answer.chat,
        Some(chat(&peer.jid)),
        "its state is to be told"
    );
    let answer = world.acked(ack("A1")).await;
    assert_eq!(answer.chat, None, "nothing changed");
    assert_eq!(world.outbox().await.len(), 1);

    world.acked(ack("A2").with("error", "503")).await;
    assert_eq!(world.outbox().await.len(), 1, "refused for now");
    for _ in 0..2 {
        world.acked(ack("A2").with("error", "479")).await;
    }
    assert_eq!(world.outbox().await.len(), 0);
    let rows = world.waiting(&peer.jid).await;
    assert_eq!(rows.len(), 1);
    let Some(RemoteNotice::SendFailed { event_id, reason }) = &rows[0].message.notice else {
        panic!("{:?}", rows[0].message.notice)
    };
    assert_eq!(event_id, "$1");
    assert!(reason.contains("479"), "{reason}");
    let known = world.send(&peer.jid, "A1", "hello").await.unwrap();
    assert_eq!(known, Enqueued::Known, "what was sent is not sent again");
}

#[tokio::test]
async fn a_read_receipt_waits_in_the_outbox_until_it_is_acknowledged() {
    let (world, peer) = acquainted().await;
    read_by_user(&world, &peer, &["M1", "M2"]).await;
    let rows = world.outbox().await;
    assert_eq!(rows.len(), 1);
    assert_eq!(outbound::wire_id(&rows[0].row), "M1");
    let receipt = wire::decode(&rows[0].row.payload).unwrap();
    assert_eq!(receipt.attr("type").as_deref(), Some("read"));
    assert_eq!(receipt.attr("id").as_deref(), Some("M1"));
    assert_eq!(receipt.attr("participant"), None);
    let listed = receipt.find("list").unwrap().children();
    assert_eq!(listed[0].attr("id").as_deref(), Some("M2"));

    let ack = Node::new("ack").with("class", "receipt").with("id", "M1");
    world.acked(ack.clone()).await;
    assert_eq!(
        world.outbox().await.len(),
        1,
        "that was the delivery receipt's"
    );
    world.acked(ack.with("type", "read")).await;
    assert_eq!(world.outbox().await.len(), 0);
}

#[tokio::test]
async fn what_is_read_with_something_that_was_read_before_is_told() {
    let (world, peer) = acquainted().await;
    for _ in 0..2 {
        read_by_user(&world, &peer, &["M1"]).await;
        read_by_user(&world, &peer, &["M1", "M2"]).await;
    }
    let rows = world.outbox().await;
    let told: Vec<&str> = rows.iter().map(|row| outbound::wire_id(&row.row)).collect();
    assert_eq!(told, ["M1", "M2"]);
}

async fn read_by_user(world: &World, peer: &Peer, messages: &'static [&'static str]) {
    let to = chat(&peer.jid);
    let sender = RemoteUserId::parse(peer.jid.to_string()).unwrap();
    world
        .step(move |txn| {
            let (to, sender): (ChatId, _) = (to.clone(), sender.clone());
            Box::pin(async move {
                let ids: Vec<StanzaId> = messages.iter().map(|&name| id(name)).collect();
                outbound::enqueue_read(txn, LOGIN, &to, &sender, &ids, NOW).await
            })
        })
        .await;
}

#[tokio::test]
async fn the_stanza_says_what_kind_of_message_it_is_at_each_try() {
    let (world, mut peer) = acquainted().await;
    let target = MessageRef {
        id: id("M1"),
        sender: None,
    };
    let file = RemoteMedia {
        path: "/interop/whatsapp/download/1/0123/".to_owned(),
        key: MediaKey([1; 32]),
        sha256: [2; 32],
        encrypted_sha256: [3; 32],
        size: 4,
    };
    let media = |kind, mime: &str| OutgoingContent::Media {
        details: MediaDetails::new(kind, mime),
        file: file.clone(),
        caption: None,
    };
    let reaction = |emoji: &str| OutgoingContent::Reaction {
        target: target.clone(),
        emoji: emoji.to_owned(),
    };
    let contents = [
        (media(MediaKind::Image, "image/jpeg"), "media image - show"),
        (media(MediaKind::Voice, "audio/ogg"), "media ptt - show"),
        (reaction("\u{1f600}"), "reaction - - hide"),
        (reaction(""), "reaction - 7 hide"),
        (
            OutgoingContent::Edit {
                target: id("M1"),
                body: "better".to_owned(),
                caption_of: None,
            },
            "text - 1 hide",
        ),
        (
            OutgoingContent::Revoke {
                target: MessageRef {
                    id: id("M1"),
                    sender: None,
                },
            },
            "text - 7 hide",
        ),
    ];
    for (number, (content, expected)) in contents.into_iter().enumerate() {
        let name = format!("A{number}");
        let queued = world.send_content(&peer.jid, &name, content).await;
        assert_eq!(queued.unwrap(), Enqueued::Queued);
        let stanza = world.outbox_nodes().await.pop().unwrap();
        assert_eq!(said(&stanza), expected);
        let plaintext = read(&mut peer, &stanza).unwrap();
        // Sent again, it is the same message and says the same, even after the gatekeeper has taken it.
        let ack = Node::new("ack").with("class", "message");
        world.acked(ack.with("id", name.as_str())).await;
        let retry = Node::new("receipt")
            .with("from", &peer.jid)
            .with("id", name.as_str())
            .with("type", "retry")
            .child(Node::new("retry").with("count", "1").with("id", name));
        assert!(world.receipt(&retry, NOW).await.queued);
        let again = world.outbox_nodes().await.pop().unwrap();
        assert_eq!(again.find("enc").unwrap().number("count"), Some(1));
        assert_eq!(said(&again), expected);
        assert_eq!(read(&mut peer, &again).unwrap(), plaintext);
        let ack = Node::new("ack").with("class", "message");
        let id = again.attr("id").unwrap().into_owned();
        world.acked(ack.with("id", id)).await;
    }
}

/// `type mediatype edit show|hide` of a message's stanza.
fn said(stanza: &Node) -> String {
    let attr = |node: &Node, key| {
        node.attr(key)
            .map_or_else(|| "-".to_owned(), std::borrow::Cow::into_owned)
    };
    let enc = stanza.find("enc").unwrap();
    let fail = match enc.attr("decrypt-fail").as_deref() {
        Some("hide") => "hide",
        _ => "show",
    };
    let kind = attr(stanza, "type");
    let edit = attr(stanza, "edit");
    format!("{kind} {} {edit} {fail}", attr(enc, "mediatype"))
}
