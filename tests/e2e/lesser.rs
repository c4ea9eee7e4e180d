//! What a gatekeeper does not have: carried as the nearest thing it has, or told to the sender.

use drawbridge::{
    domain::MediaKind,
    sandbox::{
        Flavour, Message, Received,
        content::{Composed, Content, Location},
    },
};
use serde_json::json;

use super::{
    chat::Chat,
    pictures,
    world::{MARKED, Plan, World},
};

#[tokio::test(flavor = "multi_thread")]
async fn what_a_gatekeeper_has_not_is_carried_as_the_nearest_it_has() {
    let world = World::start(Plan::default()).await;
    let mut chat = Chat::open_at(&world, "messenger", Flavour::Messenger).await;
    a_place_and_a_poll_become_texts(&mut chat).await;
    a_caption_follows_its_picture(&mut chat).await;
    there_are_no_timers(&mut chat).await;

    // What its users can do all the same is shown.
    let place = Composed::of(Content::Location(Location::at(3.25, 4.5)));
    chat.contact.sends(place).await;
    chat.finds("a place", |e| e["content"]["geo_uri"] == "geo:3.25,4.5")
        .await;
}

async fn a_place_and_a_poll_become_texts(chat: &mut Chat) {
    let place = json!({"msgtype": "m.location", "body": "the pier", "geo_uri": "geo:1.25,2.5"});
    chat.send(&place).await;
    let is_text = |m: &Received, what: &[&str]| {
        let says_all = what.iter().all(|what| m.text.contains(what));
        (matches!(m.content, Content::Text { .. }) && says_all).then_some(())
    };
    chat.contact
        .gets("a place as text", |m| {
            is_text(m, &["the pier", "1.25", "2.5"])
        })
        .await;
    let answer = |id: &str, text: &str| json!({"id": id, "org.matrix.msc1767.text": text});
    let start = json!({"org.matrix.msc3381.poll.start": {
            "question": {"org.matrix.msc1767.text": "Which jam?"},
            "kind": "org.matrix.msc3381.poll.disclosed", "max_selections": 1,
            "answers": [answer("a", MARKED), answer("b", "quince")]},
        "org.matrix.msc1767.text": "Which jam?"});
    let kind = "org.matrix.msc3381.poll.start";
    chat.alice.send(&chat.room, kind, &start).await;
    chat.contact
        .gets("a poll as text", |m| {
            is_text(m, &["Which jam?", MARKED, "quince"])
        })
        .await;
}

/// There is no text under a file: it is a message behind it, which an edit of the caption changes.
async fn a_caption_follows_its_picture(chat: &mut Chat) {
    let bytes = pictures::jpeg(40, 30);
    let more = json!({"body": "a caption", "filename": "sea.jpg"});
    let event = chat.sends_file("m.image", "image/jpeg", &bytes, more).await;
    let (id, _) = chat.contact.gets_file(MediaKind::Image, "").await;
    assert_eq!(chat.contact.opens(&id).await, bytes);
    let text = chat.contact.receives("a caption").await;
    let places = |of: &str| {
        let mut received = chat.contact.phone.received().into_iter();
        received.position(|message| message.id == of)
    };
    assert!(places(&id) < places(&text.id));
    let content = json!({"msgtype": "m.image", "body": "a better one", "filename": "sea.jpg",
        "url": "mxc://drawbridge.test/unchanged", "info": {"mimetype": "image/jpeg"}});
    chat.edit(&event, &content).await;
    let is_better =
        |m: &Message| (m.id == text.id && m.edited && m.text == "a better one").then_some(());
    chat.contact.sees("the better caption", is_better).await;
}

async fn there_are_no_timers(chat: &mut Chat) {
    let whom = chat.contact.number();
    let set = format!("chat-settings messenger {whom} timer 1d");
    let answer = chat.desk.command(&mut chat.alice, &set).await;
    assert!(
        answer.contains("Messenger has no disappearing messages"),
        "{answer}"
    );
}
