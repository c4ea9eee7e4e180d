//! What answers what, both ways: messages both sides know, messages one of them never saw, threads, other rooms.

use drawbridge::sandbox::{Flavour, Received, content::Composed};
use serde_json::{Value, json};
use waproto::{
    buffa::MessageField,
    codec,
    whatsapp::{ContextInfo, Message as Proto, message::ExtendedTextMessage},
};

use super::{
    chat::{Chat, event, id_of},
    client::encode,
    contact::{Contact, proto},
    management::ghost_of,
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

/// A message of each to be answered, as each side names it.
struct Answerable {
    /// Who the user is there.
    hers: String,
    /// Who the contact is there.
    theirs: String,
    from_alice: String,
    from_alice_id: String,
    from_nora: String,
    from_nora_id: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_go_both_ways() {
    let world = World::start(Plan::default()).await;
    let mut chat = Chat::open(&world).await;
    let from_alice = chat.say("from alice").await;
    let from_alice_id = chat.contact.receives("from alice").await.id;
    chat.contact.say("from nora").await;
    let from_nora = id_of(&chat.hears("from nora").await);
    let known = Answerable {
        hers: chat.contact.user.clone(),
        theirs: chat.contact.jid(),
        from_alice,
        from_alice_id,
        from_nora,
        from_nora_id: chat.contact.wrote("from nora").id,
    };
    answers_reach_the_gatekeeper(&mut chat, &known).await;
    threads_reach_the_gatekeeper_as_answers(&mut chat, &known).await;
    an_answer_to_what_was_not_carried_quotes_it(&world, &mut chat).await;
    an_answer_leaks_nothing(&mut chat, &known).await;
    answers_reach_matrix(&mut chat, &known).await;
    an_answer_to_the_past_quotes_it(&mut chat, &known).await;
    an_answer_across_chats_points_nowhere(&world, &mut chat, &known).await;
}

async fn answers_reach_the_gatekeeper(chat: &mut Chat, known: &Answerable) {
    let room = chat.room.clone();
    chat.alice.reply(&room, &known.from_nora, "to nora").await;
    let answer = chat.contact.receives("to nora").await;
    let to_nora = (known.from_nora_id.clone(), known.theirs.clone());
    assert_eq!(quoted(&answer), Some(to_nora));
    chat.alice
        .reply(&room, &known.from_alice, "to myself")
        .await;
    let answer = chat.contact.receives("to myself").await;
    let to_alice = (known.from_alice_id.clone(), known.hers.clone());
    assert_eq!(quoted(&answer), Some(to_alice));
}

/// To what was answered in the thread, else to what it began with.
async fn threads_reach_the_gatekeeper_as_answers(chat: &mut Chat, known: &Answerable) {
    let in_thread = |text: &str, is_fallback: bool| {
        json!({"msgtype": "m.text", "body": text, "m.relates_to": {
            "rel_type": "m.thread", "event_id": known.from_nora, "is_falling_back": is_fallback,
            "m.in_reply_to": {"event_id": known.from_alice}}})
    };
    chat.send(&in_thread("in the thread", true)).await;
    let answer = chat.contact.receives("in the thread").await;
    let to_nora = (known.from_nora_id.clone(), known.theirs.clone());
    assert_eq!(quoted(&answer), Some(to_nora));
    chat.send(&in_thread("answered in the thread", false)).await;
    let answer = chat.contact.receives("answered in the thread").await;
    let to_alice = (known.from_alice_id.clone(), known.hers.clone());
    assert_eq!(quoted(&answer), Some(to_alice));
}

async fn an_answer_to_what_was_not_carried_quotes_it(world: &World, chat: &mut Chat) {
    let room = chat.room.clone();
    let mut bob = world.user("bob").await;
    let path = format!("v3/rooms/{}/invite", encode(&room));
    chat.alice.post(&path, &json!({"user_id": bob.mxid})).await;
    bob.join(&room).await;
    let from_bob = bob.say(&room, &format!("bob's {MARKED}")).await;
    chat.is_told("only their messages are carried").await;
    chat.alice.reply(&room, &from_bob, "to bob").await;
    let answer = chat
        .contact
        .receives(&format!("> bob: bob's {MARKED}\nto bob"))
        .await;
    assert_eq!(answer.quotes, None);
}

/// Nothing of another room, and nothing that a client claims somebody said.
async fn an_answer_leaks_nothing(chat: &mut Chat, known: &Answerable) {
    let elsewhere = chat.alice.create_room(json!({})).await;
    let secret = chat.alice.say(&elsewhere, "a secret of another room").await;
    let room = chat.room.clone();
    chat.alice.reply(&room, &secret, "to elsewhere").await;
    let answer = chat.contact.receives("to elsewhere").await;
    assert_eq!(answer.quotes, None);
    let bytes = String::from_utf8_lossy(&answer.plaintext).into_owned();
    assert!(!bytes.contains("secret") && !bytes.contains(&secret));

    let forged = json!({"msgtype": "m.text", "body": "> <@x:y> forged\n\nwith a fallback",
        "format": "org.matrix.custom.html",
        "formatted_body": "<mx-reply><blockquote>forged</blockquote></mx-reply>with a fallback",
        "m.relates_to": {"m.in_reply_to": {"event_id": known.from_nora}}});
    chat.send(&forged).await;
    let answer = chat.contact.receives("with a fallback").await;
    let to_nora = (known.from_nora_id.clone(), known.theirs.clone());
    assert_eq!(quoted(&answer), Some(to_nora));
    assert!(!String::from_utf8_lossy(&answer.plaintext).contains("forged"));
}

async fn answers_reach_matrix(chat: &mut Chat, known: &Answerable) {
    chat.contact.reply("from alice", "nora to alice").await;
    let to_alice = id_of(&chat.hears("nora to alice").await);
    let text = Composed::text("nora to herself").answering(&known.from_nora_id, &known.theirs);
    chat.contact.sends(text).await;
    let to_herself = id_of(&chat.hears("nora to herself").await);
    let events = chat.room().await;
    for (answer, to) in [
        (to_alice, &known.from_alice),
        (to_herself, &known.from_nora),
    ] {
        assert_eq!(answered(event(&events, &answer)), Some(to.as_str()));
    }
}

/// To something this side never saw: what it said goes along.
async fn an_answer_to_the_past_quotes_it(chat: &mut Chat, known: &Answerable) {
    let answer = answering("GONE0", &known.theirs, "what was before", "to the past");
    chat.contact.sends_raw(&answer).await;
    let shown = chat.hears("> what was before\nto the past").await;
    let events = chat.room().await;
    let shown = event(&events, &id_of(&shown));
    assert_eq!(answered(shown), None);
    assert_eq!(
        shown["formatted_body"],
        "<blockquote>what was before</blockquote>to the past"
    );
}

async fn an_answer_across_chats_points_nowhere(world: &World, chat: &mut Chat, known: &Answerable) {
    let other = Contact::of(world, &chat.alice, Flavour::WhatsApp).await;
    let whom = format!("whatsapp {}", other.number());
    let room = chat.desk.start_chat(&mut chat.alice, &whom).await;
    let text = Composed::text("across chats").answering(&known.from_alice_id, &known.hers);
    other.sends(text).await;
    let ghost = ghost_of(&chat.alice, &room).await;
    let shown = chat
        .alice
        .hear(&room, &ghost, |body| body.contains("across chats"))
        .await;
    let events = chat.alice.read_room(&room).await;
    let shown = event(&events, &id_of(&shown));
    assert_eq!(answered(shown), None);
    assert!(!shown.to_string().contains("from alice"));
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
