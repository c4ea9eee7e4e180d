//! What answers what, both ways: messages both sides know, messages one of them never saw, threads, other rooms.

use drawbridge::{
    domain::{MessageRef, RemoteUserId, StanzaId},
    sandbox::{Flavour, Received, content::Composed},
};
use serde_json::{Value, json};
use waproto::{
    buffa::MessageField,
    codec,
    whatsapp::{ContextInfo, Message as Proto, message::ExtendedTextMessage},
};

use super::{
    chat::{Chat, event, id_of},
    contact::{Contact, proto},
    world::{MARKED, Plan, World},
};

/// The id and the author of the message a message answers, as its protobuf says.
fn quoted(received: &Received) -> Option<(String, String)> {
    let context = proto(received).extended_text_message.context_info.clone();
    Some((context.stanza_id.clone()?, context.participant.clone()?))
}

/// The event a client shows a message as an answer to.
fn answered(event: &Value) -> Option<&str> {
    event["source"]["content"]["m.relates_to"]["m.in_reply_to"]["event_id"].as_str()
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_go_both_ways() {
    let world = World::start(Plan::default()).await;
    let mut chat = Chat::open(&world).await;
    let room = chat.room.clone();
    let (hers, theirs) = (chat.contact.user.clone(), chat.contact.jid());

    // Something of each for the other to answer.
    let from_alice = chat.say("from alice").await;
    let at_contact = chat.contact.receives("from alice").await.id;
    chat.contact.say("from nora").await;
    let from_nora = id_of(&chat.hears("from nora").await);
    let at_nora = chat.contact.wrote("from nora").id;

    // Matrix to the gatekeeper: to the other's message, to one's own.
    chat.alice.reply(&room, &from_nora, "to nora").await;
    let answer = chat.contact.receives("to nora").await;
    assert_eq!(quoted(&answer), Some((at_nora.clone(), theirs.clone())));
    assert_eq!(
        answer.quoted_text.as_deref().unwrap_or("from nora"),
        "from nora"
    );
    chat.alice.reply(&room, &from_alice, "to myself").await;
    let answer = chat.contact.receives("to myself").await;
    assert_eq!(quoted(&answer), Some((at_contact.clone(), hers.clone())));

    // A thread is a reply: to what was answered in it, else to what it began with.
    let in_thread = |text: &str, to: &str, is_fallback: bool| {
        json!({"msgtype": "m.text", "body": text, "m.relates_to": {
            "rel_type": "m.thread", "event_id": from_nora, "is_falling_back": is_fallback,
            "m.in_reply_to": {"event_id": to}}})
    };
    chat.send(&in_thread("in the thread", &from_alice, true))
        .await;
    let answer = chat.contact.receives("in the thread").await;
    assert_eq!(quoted(&answer), Some((at_nora.clone(), theirs.clone())));
    chat.send(&in_thread("answered in the thread", &from_alice, false))
        .await;
    let answer = chat.contact.receives("answered in the thread").await;
    assert_eq!(quoted(&answer), Some((at_contact.clone(), hers.clone())));

    // To something the other side never saw: its text goes along.
    let mut bob = world.user("bob").await;
    let invitation = json!({"user_id": bob.mxid});
    let path = format!("v3/rooms/{}/invite", super::client::encode(&room));
    chat.alice.post(&path, &invitation).await;
    bob.join(&room).await;
    let from_bob = bob.say(&room, &format!("bob's {MARKED}")).await;
    chat.is_told("only their messages are carried").await;
    chat.alice.reply(&room, &from_bob, "to bob").await;
    let answer = chat
        .contact
        .gets("the answer to bob", |m| {
            m.text.ends_with("to bob").then(|| m.clone())
        })
        .await;
    assert_eq!(answer.quotes, None);
    assert_eq!(answer.text, format!("> bob: bob's {MARKED}\nto bob"));

    // To something of another room: nothing of it leaks.
    let elsewhere = chat.alice.create_room(json!({})).await;
    let secret = chat.alice.say(&elsewhere, "a secret of another room").await;
    chat.alice.reply(&room, &secret, "to elsewhere").await;
    let answer = chat.contact.receives("to elsewhere").await;
    assert_eq!(answer.quotes, None);
    let bytes = String::from_utf8_lossy(&answer.plaintext).into_owned();
    assert!(!bytes.contains("secret") && !bytes.contains(&secret));

    // A client's fallback says whatever the client likes: the quote is what was carried.
    let forged = json!({"msgtype": "m.text", "body": "> <@x:y> forged\n\nwith a fallback",
        "format": "org.matrix.custom.html",
        "formatted_body": "<mx-reply><blockquote>forged</blockquote></mx-reply>with a fallback",
        "m.relates_to": {"m.in_reply_to": {"event_id": from_nora}}});
    chat.send(&forged).await;
    let answer = chat.contact.receives("with a fallback").await;
    assert_eq!(quoted(&answer), Some((at_nora.clone(), theirs.clone())));
    assert!(!String::from_utf8_lossy(&answer.plaintext).contains("forged"));

    // The gatekeeper to Matrix: to the other's message, to one's own.
    chat.contact.reply("from alice", "nora to alice").await;
    let to_alice = id_of(&chat.hears("nora to alice").await);
    let text = Composed::text("nora to herself").answering(&at_nora, &theirs);
    chat.contact.sends(text).await;
    let to_herself = id_of(&chat.hears("nora to herself").await);

    // To something this side never saw: what it said goes along.
    chat.contact
        .sends_raw(&answering(
            "GONE0",
            &theirs,
            "what was before",
            "nora to the past",
        ))
        .await;
    let to_the_past = chat
        .finds("the answer to the past", |e| {
            let body = e["content"]["body"].as_str();
            body.is_some_and(|body| body.ends_with("nora to the past"))
        })
        .await;

    // To something of another chat: it is not pointed at there.
    let other = Contact::of(&world, &chat.alice, Flavour::WhatsApp).await;
    let whom = format!("whatsapp {}", other.number());
    let other_room = chat.desk.start_chat(&mut chat.alice, &whom).await;
    let text = Composed {
        quotes: Some(MessageRef {
            id: StanzaId::parse(at_contact).expect("an id"),
            sender: Some(RemoteUserId::parse(hers).expect("an address")),
        }),
        ..Composed::text("across chats")
    };
    other.sends(text).await;
    let is_across = |body: &str| body.contains("across chats");
    let other_ghost = super::management::ghost_of(&chat.alice, &other_room).await;
    let across = chat.alice.hear(&other_room, &other_ghost, is_across).await;

    let events = chat.room().await;
    assert_eq!(
        answered(event(&events, &to_alice)),
        Some(from_alice.as_str())
    );
    assert_eq!(
        answered(event(&events, &to_herself)),
        Some(from_nora.as_str())
    );
    let to_the_past = event(&events, &id_of(&to_the_past));
    assert_eq!(answered(to_the_past), None);
    let body = to_the_past["body"].as_str().expect("a text");
    assert!(
        body.starts_with("> ") && body.contains("what was before"),
        "{body}"
    );
    let events = chat.alice.read_room(&other_room).await;
    assert_eq!(answered(event(&events, &id_of(&across))), None);
}

/// A text that answers a message this phone has not.
fn answering(id: &str, author: &str, said: &str, text: &str) -> Vec<u8> {
    let context = ContextInfo {
        stanza_id: Some(id.to_owned()),
        participant: Some(author.to_owned()),
        quoted_message: MessageField::some(Proto {
            conversation: Some(said.to_owned()),
            ..Proto::default()
        }),
        ..ContextInfo::default()
    };
    codec::message_to_vec(&Proto {
        extended_text_message: MessageField::some(ExtendedTextMessage {
            text: Some(text.to_owned()),
            context_info: MessageField::some(context),
            ..ExtendedTextMessage::default()
        }),
        ..Proto::default()
    })
}
