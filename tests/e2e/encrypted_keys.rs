//! Keys of encrypted rooms that come late, or not before they are asked for.

use std::path::Path;

use serde_json::json;
use sqlx::{Connection as _, SqliteConnection};

use super::{
    chat::Chat,
    client::PASSWORD,
    encrypting::{EncryptingClient, Library, Shown},
    wait::until,
    world::{BOT, Plan, World},
};

/// A world whose new rooms are encrypted, a chat in it, and another device of its user, which encrypts.
async fn encrypted(library: Library) -> (World, Chat, EncryptingClient) {
    let world = World::start(Plan {
        config: json!({"encryption": {"default": true}}),
        ..Plan::default()
    })
    .await;
    let chat = Chat::open(&world).await;
    let folder = world.folder().join(format!("{library:?}"));
    let name = chat.alice.mxid.trim_start_matches('@').split(':').next();
    let name = name.expect("a name");
    let url = world.homeserver.url();
    let device = EncryptingClient::login(library, &folder, &url, name, PASSWORD).await;
    (world, chat, device)
}

/// What the bot says in a room, by some of its words.
async fn told(alice: &EncryptingClient, room: &str, words: &str) -> Shown {
    let what = format!("a notice of {words:?}");
    alice
        .shown(&what, room, |shown| {
            shown.sender == BOT && shown.body().contains(words)
        })
        .await
}

/// Waits until the bridge set an event aside.
async fn set_aside(world: &World, event: &str) {
    until(
        "an event without a key",
        std::time::Duration::from_secs(20),
        async || {
            let log = world.bridge.logged();
            let mut lines = log.lines();
            lines
                .any(|line| line.contains("waits by itself") && line.contains(event))
                .then_some(())
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_key_lets_later_messages_pass_and_is_told_of() {
    let (world, mut chat, mut alice) = encrypted(Library::Nio).await;
    alice.say(&chat.room, "before").await;
    chat.contact.receives("before").await;

    alice.rotate(&chat.room).await;
    alice.hold_keys_from(BOT).await;
    let late = alice.say(&chat.room, "late").await;
    alice.say(&chat.room, "late too").await;
    set_aside(&world, &late).await;
    chat.say("passes").await;
    chat.contact.receives("passes").await;

    let notice = told(&alice, &chat.room, "could not be decrypted yet").await;
    let about = &notice.content["m.relates_to"]["m.in_reply_to"]["event_id"];
    assert_eq!(*about, json!(late));

    assert!(alice.release_keys().await > 0);
    chat.contact
        .receives_exactly(&["before", "passes", "late", "late too"])
        .await;
    let edit = told(&alice, &chat.room, "The key came").await;
    assert_eq!(
        edit.content["m.relates_to"]["event_id"],
        json!(notice.event_id)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_the_bridge_lost_is_asked_for_and_comes() {
    let (mut world, chat, mut alice) = encrypted(Library::Js).await;
    alice.say(&chat.room, "before").await;
    chat.contact.receives("before").await;

    world.bridge.kill().await;
    lose_room_keys(&world.bridge.folder().join("bridge.db"), &chat.room).await;
    world.bridge.start().await;
    let lost = alice.say(&chat.room, "with a lost key").await;
    set_aside(&world, &lost).await;
    let notice = told(&alice, &chat.room, "was asked for its key").await;
    chat.contact
        .receives_exactly(&["before", "with a lost key"])
        .await;
    let edit = told(&alice, &chat.room, "The key came").await;
    assert_eq!(
        edit.content["m.relates_to"]["event_id"],
        json!(notice.event_id)
    );
    alice.say(&chat.room, "after").await;
    chat.contact.receives("after").await;
}

/// Takes away the keys a room's messages are read with.
async fn lose_room_keys(database: &Path, room: &str) {
    let uri = format!("sqlite:{}", database.display());
    let mut connection = SqliteConnection::connect(&uri).await.expect("a database");
    let lost = sqlx::query("DELETE FROM room_keys WHERE room_id = $1")
        .bind(room)
        .execute(&mut connection)
        .await
        .expect("the keys are deleted");
    assert!(lost.rows_affected() > 0, "there were keys");
    connection.close().await.expect("the database is closed");
}
