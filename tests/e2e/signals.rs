//! What is no message: receipts, typing, presence, both ways, and the settings that keep them back.

use drawbridge::{domain::Typing, sandbox::Status};
use serde_json::{Value, json};

use super::{
    chat::{Chat, id_of},
    client::encode,
    world::{BOT, Plan, World},
};

#[tokio::test(flavor = "multi_thread")]
async fn receipts_go_both_ways_and_can_be_kept_back() {
    let world = World::start(Plan::default()).await;
    let mut chat = Chat::open(&world).await;
    let (room, ghost) = (chat.room.clone(), chat.ghost.clone());
    let texts = ["one", "two", "three"];

    // Delivered, both ways: the bot's receipt, the contact's ticks.
    let mut sent = Vec::new();
    for text in texts {
        sent.push(chat.say(text).await);
        chat.contact.receives(text).await;
    }
    chat.alice
        .watch("the bot's receipt", |seen| {
            seen.has_read(&room, &sent[2], BOT).then_some(())
        })
        .await;
    let mut theirs = Vec::new();
    for text in texts {
        chat.contact.say(text).await;
        theirs.push(id_of(&chat.hears(text).await));
    }
    for text in texts {
        chat.contact.has_status(text, Status::Delivered).await;
    }

    // Read up to a message, the gatekeeper to Matrix, also as one receipt gathered by message.
    chat.contact.read();
    chat.alice
        .watch("the contact's receipt", |seen| {
            seen.has_read(&room, &sent[2], &ghost).then_some(())
        })
        .await;
    let last = [chat.say("four").await, chat.say("five").await];
    chat.contact.receives("five").await;
    chat.contact.reads_aggregated();
    chat.alice
        .watch("the gathered receipt", |seen| {
            seen.has_read(&room, &last[1], &ghost).then_some(())
        })
        .await;

    // Matrix to the gatekeeper: up to the second message, not the third; a private receipt tells nothing.
    chat.alice.read(&room, &theirs[1]).await;
    chat.contact.has_status("two", Status::Read).await;
    chat.contact.has_status("one", Status::Read).await;
    let private = format!(
        "v3/rooms/{}/receipt/m.read.private/{}",
        encode(&room),
        encode(&theirs[2])
    );
    chat.alice.post(&private, &json!({})).await;
    chat.say("after the private receipt").await;
    chat.contact.receives("after the private receipt").await;
    assert_eq!(chat.contact.wrote("three").status, Status::Delivered);
    chat.alice.read(&room, &theirs[2]).await;
    chat.contact.has_status("three", Status::Read).await;

    // Off for this chat, both ways.
    let whom = chat.contact.number();
    let off = format!("chat-settings {whom} receipts off");
    let answer = chat.desk.command(&mut chat.alice, &off).await;
    assert!(answer.contains("receipts: off"), "{answer}");
    chat.contact.say("not told").await;
    let not_told = id_of(&chat.hears("not told").await);
    chat.alice.read(&room, &not_told).await;
    let unseen = chat.say("unseen").await;
    chat.contact.receives("unseen").await;
    chat.contact.read();
    // Later signals of both ways have passed by then.
    chat.contact.say("later").await;
    chat.hears("later").await;
    chat.say("later").await;
    chat.contact.receives("later").await;
    assert_eq!(chat.contact.wrote("not told").status, Status::Delivered);
    let seen = &chat.alice.seen;
    assert!(!seen.has_read(&room, &unseen, &ghost));

    // And on again.
    let on = format!("chat-settings {whom} receipts default");
    chat.desk.command(&mut chat.alice, &on).await;
    let later = id_of(&chat.hears("later").await);
    chat.alice.read(&room, &later).await;
    chat.contact.has_status("later", Status::Read).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn typing_and_presence_go_both_ways() {
    let world = World::start(Plan {
        presence: true,
        config: json!({"bridge": {"presence": true}}),
        ..Plan::default()
    })
    .await;
    let mut chat = Chat::open(&world).await;
    chat.say("hello").await;
    chat.contact.receives("hello").await;
    chat.contact.say("hello back").await;
    chat.hears("hello back").await;

    // Matrix to the gatekeeper: writes, stops; is there, is away.
    chat.alice_types(true).await;
    chat.contact.sees_typing(Typing::Composing).await;
    chat.alice_types(false).await;
    chat.contact.sees_typing(Typing::Paused).await;
    // Who says nothing more has stopped.
    chat.alice_types_for(1_000).await;
    chat.contact.sees_typing(Typing::Composing).await;
    chat.contact.sees_typing(Typing::Paused).await;
    chat.alice_is("online").await;
    chat.contact.sees_present(true).await;
    chat.alice_is("unavailable").await;
    chat.contact.sees_present(false).await;

    // The gatekeeper to Matrix: writes, stops; records, and sends, which ends it.
    for state in [Typing::Composing, Typing::Recording] {
        chat.contact.is_typing(state);
        chat.shows_typing(true).await;
        chat.contact.is_typing(Typing::Paused);
        chat.shows_typing(false).await;
    }
    for present in [true, false] {
        chat.contact
            .phone
            .presence(present)
            .expect("the sandbox runs");
        let ghost = chat.ghost.clone();
        let what = format!("the contact's presence to be {present}");
        chat.alice
            .watch(&what, |seen| {
                let online = seen.presence(&ghost)? == "online";
                (online == present).then_some(())
            })
            .await;
    }

    // Off for this chat, both ways.
    let whom = chat.contact.number();
    let off = format!("chat-settings {whom} typing off");
    let answer = chat.desk.command(&mut chat.alice, &off).await;
    assert!(answer.contains("typing: off"), "{answer}");
    chat.alice_types(true).await;
    chat.contact.is_typing(Typing::Composing);
    // What comes after it on the same ways has passed.
    chat.alice_is("online").await;
    chat.contact.sees_present(true).await;
    chat.contact.say("typed").await;
    chat.hears("typed").await;
    let user = chat.contact.user.parse().expect("an address");
    assert_eq!(chat.contact.phone.typing_of(&user), Typing::Paused);
    assert!(!chat.alice.seen.is_writing(&chat.room, &chat.ghost));
}

impl Chat {
    async fn alice_types(&self, typing: bool) {
        self.alice_types_for(if typing { 30_000 } else { 0 }).await;
    }

    /// The user writes, and says so for as many milliseconds; none to have stopped.
    async fn alice_types_for(&self, timeout: u32) {
        let (room, user) = (encode(&self.room), encode(&self.alice.mxid));
        let path = format!("v3/rooms/{room}/typing/{user}");
        let content = json!({"typing": timeout > 0, "timeout": timeout});
        self.alice
            .demand(reqwest::Method::PUT, &path, Some(&content))
            .await;
    }

    async fn alice_is(&self, presence: &str) {
        let path = format!("v3/presence/{}/status", encode(&self.alice.mxid));
        let content: Value = json!({"presence": presence});
        self.alice
            .demand(reqwest::Method::PUT, &path, Some(&content))
            .await;
    }

    /// Waits until the contact is shown as somebody who writes, or not any more.
    async fn shows_typing(&mut self, typing: bool) {
        let (room, ghost) = (&self.room, &self.ghost);
        self.alice
            .watch(&format!("the contact's typing to be {typing}"), |seen| {
                (seen.is_writing(room, ghost) == typing).then_some(())
            })
            .await;
    }
}
