//! Stanzas between a Partner's user and the contacts.

use bytes::BytesMut;
use drawbridge::{
    domain::Typing,
    network::interop::wire::{Jid, Node, frame, noise},
    sandbox::{Flavour, Status},
};

use futures_util::{SinkExt, StreamExt};

use super::{
    partner::{DEADLINE, Stage},
    user::{Client, User},
};

fn echo() -> Jid {
    Jid::user("447700900001", "s.whatsapp.net")
}

fn live() -> Jid {
    Jid::user("447700900005", "s.whatsapp.net")
}

/// A user who is connected and has the contact's keys.
async fn ready(stage: &Stage, contact: &Jid) -> (User, Client) {
    let mut user = User::enlist(stage, "@alice:example.org", Flavour::WhatsApp, contact).await;
    let mut client = user.connect(stage).await;
    let bundle = client.keys_of(contact).await.unwrap();
    user.ratchet.establish(&bundle);
    (user, client)
}

#[tokio::test]
async fn text_goes_there_and_back_encrypted_and_is_shown_as_read() {
    let stage = Stage::start().await;
    let (mut user, mut client) = ready(&stage, &echo()).await;
    for text in ["hello", "how are you? 🌉", "line\nline"] {
        client
            .send(user.message(&format!("id-{}", text.len()), &echo(), text))
            .await;
        let (mut acked, mut delivered, mut read, mut answer) = (false, false, false, None);
        while !(acked && delivered && read && answer.is_some()) {
            let node = client.next().await;
            match (node.tag.as_ref(), node.attr("type").as_deref()) {
                ("ack", _) => {
                    assert_eq!(node.attr("error"), None);
                    assert_eq!(node.jid("from"), Some(echo()));
                    assert!(node.number("t").is_some());
                    acked = true;
                }
                ("receipt", None) => delivered = true,
                ("receipt", Some("read")) => read = true,
                ("message", _) => {
                    assert_eq!(node.jid("from"), Some(echo()));
                    assert_eq!(node.attr("display_name").as_deref(), Some("Edda Echo"));
                    assert!(node.attr("sts").is_some() && node.attr("notify").is_none());
                    answer = Some(user.read(&node));
                }
                _ => {}
            }
            if matches!(node.tag.as_ref(), "receipt" | "message") {
                client.acknowledge(&node).await;
            }
        }
        assert_eq!(answer.as_deref(), Some(text));
    }
    let contact = stage.sandbox.contact(&echo().to_string()).unwrap();
    assert_eq!(contact.received_count(), 3);
    let counters = contact.counters();
    assert_eq!(
        (
            counters.undecryptable,
            counters.key_reuse,
            counters.duplicates
        ),
        (0, 0, 0)
    );
    let login = user.login.to_string();
    stage
        .until("the mailbox is empty", || {
            stage.sandbox.waiting(&login) == 0
        })
        .await;
}

#[tokio::test]
async fn a_contact_sees_how_far_its_message_came() {
    let stage = Stage::start().await;
    let (mut user, mut client) = ready(&stage, &live()).await;
    let contact = stage.sandbox.contact(&live().to_string()).unwrap();
    let id = contact
        .send_text(&user.login.to_string(), "are you there?")
        .await
        .unwrap();
    let message = client.next_of("message").await;
    assert_eq!(user.read(&message), "are you there?");
    client.acknowledge(&message).await;
    let status = |wanted: Status| {
        contact.wait_for(
            move |contact| {
                contact
                    .sent()
                    .iter()
                    .any(|m| m.status == wanted)
                    .then_some(())
            },
            DEADLINE,
        )
    };
    status(Status::Sent).await.unwrap();
    client
        .send(
            Node::new("receipt")
                .with("id", id.as_str())
                .with("to", live()),
        )
        .await;
    status(Status::Delivered).await.unwrap();
    let read = Node::new("receipt")
        .with("id", id.as_str())
        .with("to", live())
        .with("type", "read");
    client.send(read).await;
    status(Status::Read).await.unwrap();
    let ack = client.next_of("ack").await;
    assert_eq!(ack.attr("class").as_deref(), Some("receipt"));
}

#[tokio::test]
async fn a_message_key_used_twice_and_a_repetition_are_noticed() {
    let stage = Stage::start().await;
    let (mut user, mut client) = ready(&stage, &live()).await;
    let contact = stage.sandbox.contact(&live().to_string()).unwrap();
    let message = user.message("one", &live(), "one");
    client.send(message.clone()).await;
    client.send(message).await;
    contact
        .wait_for(
            |contact| (contact.counters().duplicates == 1).then_some(()),
            DEADLINE,
        )
        .await
        .unwrap();
    assert_eq!(contact.received_count(), 1);
    let before = user.ratchet.sessions.clone();
    client.send(user.message("two", &live(), "two")).await;
    user.ratchet.sessions = before;
    client
        .send(user.message("three", &live(), "another text under the same key"))
        .await;
    contact
        .wait_for(
            |contact| (contact.counters().key_reuse == 1).then_some(()),
            DEADLINE,
        )
        .await
        .unwrap();
}

#[tokio::test]
async fn a_one_time_prekey_is_handed_out_once() {
    let stage = Stage::start().await;
    let user = User::enlist(&stage, "@alice:example.org", Flavour::WhatsApp, &live()).await;
    let mut client = user.connect(&stage).await;
    let before = stage.sandbox.prekeys_left(&live().to_string());
    let first = client.keys_of(&live()).await.unwrap().prekey.unwrap();
    let second = client.keys_of(&live()).await.unwrap().prekey.unwrap();
    assert_ne!(first.id, second.id);
    assert_eq!(stage.sandbox.prekeys_left(&live().to_string()), before - 2);
    let stage = stage.restart().await;
    let mut client = user.connect(&stage).await;
    let third = client.keys_of(&live()).await.unwrap().prekey.unwrap();
    assert!(third.id != first.id && third.id != second.id);
    assert!(
        client
            .keys_of(&Jid::user("447700900999", "s.whatsapp.net"))
            .await
            .is_none()
    );
}

#[tokio::test]
async fn the_owner_of_few_prekeys_is_told() {
    let stage = Stage::start().await;
    let user = User::enlist(&stage, "@alice:example.org", Flavour::WhatsApp, &live()).await;
    let mut client = user.connect(&stage).await;
    let low = client.next_of("notification").await;
    assert_eq!(low.find("count").unwrap().number("value"), Some(0));
    let count = client.ask("get", "encrypt", Node::new("count")).await;
    assert_eq!(count.find("count").unwrap().number("value"), Some(0));
}

#[tokio::test]
async fn what_nobody_can_get_is_refused() {
    let stage = Stage::start().await;
    let (mut user, mut client) = ready(&stage, &live()).await;
    let nobody = Jid::user("447700900998", "s.whatsapp.net");
    client.send(user.message("lost", &nobody, "hello?")).await;
    let nack = client.next_of("ack").await;
    assert_eq!(
        (nack.attr("id").as_deref(), nack.attr("error").as_deref()),
        (Some("lost"), Some("404"))
    );

    let contact = stage.sandbox.contact(&live().to_string()).unwrap();
    contact
        .wait_for(|contact| contact.is_connected().then_some(()), DEADLINE)
        .await
        .unwrap();
    contact.block(&user.login.to_string(), true).unwrap();
    let blocked = async {
        loop {
            client
                .send(user.message("unwanted", &live(), "hello?"))
                .await;
            if client.next_of("ack").await.attr("error").as_deref() == Some("403") {
                return;
            }
        }
    };
    tokio::time::timeout(DEADLINE, blocked).await.unwrap();
    client
        .send(Node::new("message").with("to", live()).with("id", "empty"))
        .await;
    assert_eq!(
        client.next_of("ack").await.attr("error").as_deref(),
        Some("487")
    );
}

#[tokio::test]
async fn a_blocklist_is_kept_and_honoured() {
    let stage = Stage::start().await;
    let (user, mut client) = ready(&stage, &live()).await;
    let item = Node::new("item")
        .with("action", "block")
        .with("jid", live());
    assert_eq!(
        client
            .ask("set", "blocklist", item)
            .await
            .attr("type")
            .as_deref(),
        Some("result")
    );
    let contact = stage.sandbox.contact(&live().to_string()).unwrap();
    contact
        .send_text(&user.login.to_string(), "let me in")
        .await
        .unwrap();
    contact
        .wait_for(
            |contact| {
                contact
                    .sent()
                    .iter()
                    .any(|m| m.status == Status::Failed)
                    .then_some(())
            },
            DEADLINE,
        )
        .await
        .unwrap();
    let stage = stage.restart().await;
    let mut client = user.connect(&stage).await;
    let list = client.ask("get", "blocklist", Node::new("list")).await;
    assert_eq!(
        list.find("list").unwrap().children()[0].jid("jid"),
        Some(live())
    );
}

#[tokio::test]
async fn a_second_connection_takes_the_place_of_the_first() {
    let stage = Stage::start().await;
    let user = User::enlist(&stage, "@alice:example.org", Flavour::WhatsApp, &live()).await;
    let mut first = user.connect(&stage).await;
    let mut second = user.connect(&stage).await;
    let conflict = first.next_of("stream:error").await;
    assert_eq!(
        conflict.find("conflict").unwrap().attr("type").as_deref(),
        Some("replaced")
    );
    assert!(first.next_or_end().await.is_none());
    let pong = second.ask("get", "w:p", Node::new("ping")).await;
    assert_eq!(pong.attr("type").as_deref(), Some("result"));
}

#[tokio::test]
async fn a_deleted_user_is_unknown_afterwards() {
    let stage = Stage::start().await;
    let user = User::enlist(&stage, "@alice:example.org", Flavour::WhatsApp, &live()).await;
    let mut client = user.connect(&stage).await;
    let gone = client.ask("set", "w:interop", Node::new("delete")).await;
    assert_eq!(gone.attr("type").as_deref(), Some("result"));
    assert!(client.next_or_end().await.is_none());
    assert_eq!(
        user.dial(&stage)
            .await
            .next()
            .await
            .attr("reason")
            .as_deref(),
        Some("404")
    );
}

#[tokio::test]
async fn typing_reaches_the_other_side() {
    let stage = Stage::start().await;
    let (user, mut client) = ready(&stage, &live()).await;
    let contact = stage.sandbox.contact(&live().to_string()).unwrap();
    contact
        .wait_for(|contact| contact.is_connected().then_some(()), DEADLINE)
        .await
        .unwrap();
    client
        .send(
            Node::new("chatstate")
                .with("to", live())
                .child(Node::new("composing")),
        )
        .await;
    let login = user.login.clone();
    contact
        .wait_for(
            |contact| contact.sees_typing(&login).then_some(()),
            DEADLINE,
        )
        .await
        .unwrap();
    contact
        .typing(&user.login.to_string(), Typing::Composing)
        .unwrap();
    let state = client.next_of("chatstate").await;
    assert_eq!(state.jid("from"), Some(live()));
    assert!(state.find("composing").is_some());
}

#[tokio::test]
async fn a_contact_on_a_new_phone_has_a_new_identity_and_everybody_is_told() {
    let stage = Stage::start().await;
    let (mut user, mut client) = ready(&stage, &live()).await;
    client.send(user.message("before", &live(), "before")).await;
    client.next_of("ack").await;
    let old = client.keys_of(&live()).await.unwrap().identity;
    stage
        .sandbox
        .contact(&live().to_string())
        .unwrap()
        .reinstall()
        .await
        .unwrap();
    let notice = loop {
        let node = client.next_of("notification").await;
        if node.find("identity").is_some() {
            break node;
        }
    };
    assert_eq!(notice.jid("from"), Some(live()));
    let new = client.keys_of(&live()).await.unwrap();
    assert_ne!(new.identity, old);
    user.ratchet.establish(&new);
    client.send(user.message("after", &live(), "after")).await;
    let contact = stage.sandbox.contact(&live().to_string()).unwrap();
    contact
        .wait_for(
            |contact| (contact.received_count() == 2).then_some(()),
            DEADLINE,
        )
        .await
        .unwrap();
}

#[tokio::test]
async fn what_cannot_be_decrypted_is_asked_for_again_and_answered() {
    let stage = Stage::start().await;
    let (mut user, mut client) = ready(&stage, &live()).await;
    let contact = stage.sandbox.contact(&live().to_string()).unwrap();
    let mut broken = user.message("broken", &live(), "legible at last");
    if let drawbridge::network::interop::wire::Content::Nodes(nodes) = &mut broken.content
        && let drawbridge::network::interop::wire::Content::Bytes(bytes) = &mut nodes[0].content
    {
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
    }
    client.send(broken).await;
    let retry = client.next_of("receipt").await;
    assert_eq!(retry.attr("type").as_deref(), Some("retry"));
    assert_eq!(retry.find("retry").unwrap().number("count"), Some(1));
    client.acknowledge(&retry).await;
    client
        .send(user.message("broken", &live(), "legible at last"))
        .await;
    let received = contact
        .wait_for(|contact| contact.received().pop(), DEADLINE)
        .await
        .unwrap();
    assert_eq!(
        (received.id.as_str(), received.text.as_str()),
        ("broken", "legible at last")
    );
    assert_eq!(contact.counters().undecryptable, 1);

    let id = contact
        .send_text(&user.login.to_string(), "once more")
        .await
        .unwrap();
    let lost = client.next_of("message").await;
    client.acknowledge(&lost).await;
    let ask = Node::new("receipt")
        .with("id", id.as_str())
        .with("to", live())
        .with("type", "retry")
        .child(
            Node::new("retry")
                .with("count", "1")
                .with("id", id.as_str())
                .with("v", "1"),
        );
    client.send(ask).await;
    let again = client.next_of("message").await;
    assert_eq!(again.attr("id").as_deref(), Some(id.as_str()));
    assert_eq!(again.find("enc").unwrap().number("count"), Some(1));
    assert_eq!(user.read(&again), "once more");
}

#[tokio::test]
async fn the_chat_channel_is_there_by_websocket_too() {
    let stage = Stage::start().await;
    let url = format!("ws://{}/chat", stage.sandbox.http_address());
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    let (initiator, hello) = noise::Initiator::new([7; 32], [9; 32]);
    let mut out = BytesMut::from(&frame::WA_HEADER[..]);
    frame::put_frame(&mut out, &hello).unwrap();
    // The pieces of the stream need not be frames.
    for piece in out.chunks(11) {
        socket.send(piece.to_vec().into()).await.unwrap();
    }
    let mut buffer = BytesMut::new();
    let answer = loop {
        if let Some(answer) = frame::take_frame(&mut buffer) {
            break answer;
        }
        let message = socket.next().await.unwrap().unwrap();
        buffer.extend_from_slice(&message.into_data());
    };
    let root_key = stage.sandbox.root_key();
    assert!(
        initiator
            .read_server_hello(&answer, &root_key, stage.now(), b"")
            .is_ok()
    );
}
