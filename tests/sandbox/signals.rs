//! What is no message: receipts of every kind, typing, presence, calls and the gatekeeper's own notices.

use drawbridge::{
    domain::{MediaKind, Typing},
    network::interop::wire::{Jid, Node},
    sandbox::{MediaToSend, Status, content::Content},
};
use waproto::{
    buffa::MessageField,
    whatsapp::{
        Message,
        message::{AudioMessage, ReactionMessage},
    },
};

use super::{
    partner::DEADLINE,
    talk::{Talk, key},
};

fn read(talk: &Talk, id: &str, kind: &'static str) -> Node {
    Node::new("receipt")
        .with("id", id)
        .with("to", &talk.jid)
        .with("type", kind)
}

#[tokio::test]
async fn what_was_read_is_told_in_a_list_or_gathered_by_message() {
    let mut talk = Talk::start().await;
    for id in ["U1", "U2"] {
        talk.say(id, "hello").await;
    }
    let reaction = Message {
        reaction_message: MessageField::some(ReactionMessage {
            key: key("U1", true),
            text: Some("👍".to_owned()),
            ..ReactionMessage::default()
        }),
        ..Message::default()
    };
    talk.write("X1", reaction.clone()).await;
    talk.contact.mark_read(&talk.login).unwrap();
    let receipt = talk.next("receipt", Some("read")).await;
    assert_eq!(receipt.attr("id").as_deref(), Some("U2"));
    let listed = receipt.find("list").unwrap().children();
    assert_eq!(listed.len(), 1, "a reaction is not read");
    assert_eq!(listed[0].attr("id").as_deref(), Some("U1"));

    for id in ["U3", "U4"] {
        talk.say(id, "hello").await;
    }
    talk.contact.mark_read_aggregated(&talk.login).unwrap();
    let receipt = talk.next("receipt", Some("read")).await;
    assert!(receipt.find("list").is_none());
    let gathered: Vec<_> = receipt
        .children()
        .iter()
        .map(|child| child.attr("key"))
        .collect();
    assert_eq!(gathered, [Some("U3".into()), Some("U4".into())]);
    let user = receipt.children()[0].find("user").unwrap();
    assert_eq!(user.jid("jid"), Some(talk.jid.clone()));
    assert!(user.number("t").is_some());

    talk.say("U5", "hello").await;
    talk.contact.mark_read(&talk.login).unwrap();
    let receipt = talk.next("receipt", Some("read")).await;
    assert_eq!(receipt.attr("id").as_deref(), Some("U5"));
    assert!(receipt.children().is_empty(), "the others were read before");
}

#[tokio::test]
async fn gathered_receipts_reach_the_contact_too() {
    let mut talk = Talk::start().await;
    let mut ids = Vec::new();
    for text in ["one", "two"] {
        ids.push(talk.contact.send_text(&talk.login, text).await.unwrap());
        talk.hear().await;
    }
    let mut receipt = read(&talk, &ids[1], "read");
    for id in &ids {
        let user = Node::new("user").with("jid", &talk.user.login);
        let participants = Node::new("participants").with("key", id.as_str());
        receipt = receipt.child(participants.child(user));
    }
    talk.client.send(receipt).await;
    for id in &ids {
        talk.until(id, |message| message.status == Status::Read)
            .await;
    }
}

#[tokio::test]
async fn a_voice_note_is_listened_to_on_both_sides() {
    let mut talk = Talk::start().await;
    let media = MediaToSend::bytes(MediaKind::Voice, "audio/ogg; codecs=opus", [1]);
    let id = talk.contact.send_media(&talk.login, media).await.unwrap();
    talk.hear().await;
    let played = read(&talk, &id, "played");
    talk.client.send(played).await;
    let kept = talk.until(&id, |message| message.played).await;
    assert_eq!(kept.status, Status::Read);

    let voice = Message {
        audio_message: MessageField::some(AudioMessage {
            ptt: Some(true),
            ..AudioMessage::default()
        }),
        ..Message::default()
    };
    talk.write("U1", voice).await;
    talk.say("U2", "not audible").await;
    talk.contact.mark_played(&talk.login, "U2").unwrap();
    talk.contact.mark_played(&talk.login, "U1").unwrap();
    let receipt = talk.next("receipt", Some("played")).await;
    assert_eq!(receipt.attr("id").as_deref(), Some("U1"));
}

#[tokio::test]
async fn writing_recording_and_stopping_are_told_apart_both_ways() {
    let mut talk = Talk::start().await;
    let until_connected =
        |contact: &drawbridge::sandbox::ContactHandle| contact.is_connected().then_some(());
    talk.contact
        .wait_for(until_connected, DEADLINE)
        .await
        .unwrap();
    for state in [Typing::Composing, Typing::Recording, Typing::Paused] {
        talk.contact.typing(&talk.login, state).unwrap();
        let node = talk.client.next_of("chatstate").await;
        assert_eq!(node.jid("from"), Some(talk.jid.clone()));
        let composing = node.find("composing");
        assert_eq!(composing.is_some(), state != Typing::Paused);
        assert_eq!(node.find("paused").is_some(), state == Typing::Paused);
        let media = composing.and_then(|composing| composing.attr("media"));
        assert_eq!(media.is_some(), state == Typing::Recording);

        let child = composing.or(node.find("paused")).unwrap().clone();
        let said = Node::new("chatstate").with("to", &talk.jid).child(child);
        talk.client.send(said).await;
        let login = talk.user.login.clone();
        talk.contact
            .wait_for(
                |contact| (contact.typing_of(&login) == state).then_some(()),
                DEADLINE,
            )
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn presence_is_seen_by_those_who_wrote_with_each_other() {
    let mut talk = Talk::start().await;
    talk.say("U1", "hello").await;
    for (present, kind) in [(false, "unavailable"), (true, "available")] {
        talk.contact.presence(present).unwrap();
        let node = talk.client.next_of("presence").await;
        assert_eq!(node.jid("from"), Some(talk.jid.clone()));
        assert_eq!(node.attr("type").as_deref(), Some(kind));
        talk.client
            .send(Node::new("presence").with("type", kind))
            .await;
        let login = talk.user.login.clone();
        talk.contact
            .wait_for(
                |contact| (contact.sees_present(&login) == Some(present)).then_some(()),
                DEADLINE,
            )
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_call_is_offered_and_missed_and_waits_for_who_is_away() {
    let mut talk = Talk::start().await;
    let call = talk.contact.call(&talk.login, true).await.unwrap();
    let node = talk.next("call", None).await;
    assert_eq!(node.jid("from"), Some(talk.jid.clone()));
    assert!(node.number("t").is_some());
    let offer = node.find("offer").unwrap();
    assert_eq!(offer.attr("call-id").as_deref(), Some(call.as_str()));
    assert_eq!(offer.jid("call-creator"), Some(talk.jid.clone()));
    assert!(offer.find("video").is_some());
    let login = talk.login.clone();
    talk.stage
        .until("the call is acknowledged", || {
            talk.stage.sandbox.waiting(&login) == 0
        })
        .await;

    drop(talk.client);
    let sandbox = &talk.stage.sandbox;
    talk.stage
        .until("the user is away", || !sandbox.is_connected(&login))
        .await;
    talk.contact.hang_up(&login, &call).unwrap();
    let chat = talk.user.login.clone();
    let told = |contact: &drawbridge::sandbox::ContactHandle| {
        let told = contact.messages(&chat).pop()?;
        matches!(told.content, Content::Call { missed: true, .. }).then_some(())
    };
    talk.contact.wait_for(told, DEADLINE).await.unwrap();
    talk.stage
        .until("the end of the call waits", || {
            talk.stage.sandbox.waiting(&login) == 1
        })
        .await;
    talk.stage
        .until("the Partner is called", || !talk.stage.pushes().is_empty())
        .await;
    let mut client = talk.user.connect(&talk.stage).await;
    let node = client.next_of("call").await;
    let end = node.find("terminate").unwrap();
    assert_eq!(end.attr("call-id").as_deref(), Some(call.as_str()));
    assert_eq!(end.attr("reason").as_deref(), Some("timeout"));
    // Clients differ in whether they say what about a call they acknowledge.
    let ack = Node::new("ack")
        .with("class", "call")
        .with("type", "terminate")
        .with("id", node.attr("id").unwrap().into_owned())
        .with("to", &talk.jid);
    client.send(ack).await;
    talk.stage
        .until("it is acknowledged", || {
            talk.stage.sandbox.waiting(&login) == 0
        })
        .await;
}

#[tokio::test]
async fn a_contact_sees_that_it_was_called() {
    let mut talk = Talk::start().await;
    let offer = Node::new("offer")
        .with("call-id", "C1")
        .with("call-creator", &talk.user.login);
    let call = Node::new("call").with("to", &talk.jid).with("id", "S1");
    talk.client.send(call.clone().child(offer)).await;
    let ack = talk.client.next_of("ack").await;
    assert_eq!(ack.attr("class").as_deref(), Some("call"));
    assert_eq!(ack.attr("error"), None);
    let login = talk.user.login.clone();
    let called = |contact: &drawbridge::sandbox::ContactHandle| {
        let messages = contact.messages(&login);
        messages.into_iter().find(|message| {
            message.notice && matches!(message.content, Content::Call { missed: false, .. })
        })
    };
    talk.contact.wait_for(called, DEADLINE).await.unwrap();
    assert_eq!(talk.contact.received_count(), 0);

    talk.client.send(call.child(Node::new("offer"))).await;
    let nack = talk.client.next_of("ack").await;
    assert_eq!(nack.attr("error").as_deref(), Some("487"));
}

#[tokio::test]
async fn the_gatekeeper_has_something_to_say() {
    let mut talk = Talk::start().await;
    let text = "Our terms change\non Monday.";
    talk.stage.sandbox.notify(&talk.login, text).await.unwrap();
    let notice = talk.next("notification", Some("w:notice")).await;
    assert_eq!(notice.jid("from"), Some(Jid::server("s.whatsapp.net")));
    let body = notice.find("body").unwrap().content_bytes();
    assert_eq!(body, Some(text.as_bytes()));
    let login = talk.login.clone();
    talk.stage
        .until("it is acknowledged", || {
            talk.stage.sandbox.waiting(&login) == 0
        })
        .await;
    let nobody = talk.stage.sandbox.notify("7-1@interop", "hello?").await;
    assert!(nobody.is_err());
}
