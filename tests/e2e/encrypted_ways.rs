//! The ways in which keys come: by `/sync`, or with the homeserver's transactions.

use serde_json::json;

use super::{
    chat::Chat,
    client::PASSWORD,
    encrypting::{EncryptingClient, Library},
    world::{Plan, World},
};

const CARRIED: &str = "the homeserver sends keys with its transactions";

/// A text each way, with a client whose key came after the bridge had begun to run.
async fn converse(world: &World, chat: &Chat, library: Library) {
    let folder = world.folder().join(format!("{library:?}"));
    let name = chat.alice.mxid.trim_start_matches('@').split(':').next();
    let name = name.expect("a name");
    let url = world.homeserver.url();
    let mut alice = EncryptingClient::login(library, &folder, &url, name, PASSWORD).await;
    for text in ["gooseberry", "elderflower"] {
        alice.rotate(&chat.room).await;
        let text = format!("{text} {library:?}");
        alice.say(&chat.room, &text).await;
        chat.contact.receives(&text).await;
        let answer = format!("and {text}");
        chat.contact.say(&answer).await;
        alice.hear(&chat.room, &chat.ghost, &answer).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_come_by_sync_where_the_homeserver_keeps_them() {
    let world = World::start(Plan {
        config: json!({"encryption": {"default": true}}),
        ..Plan::default()
    })
    .await;
    let chat = Chat::open(&world).await;
    converse(&world, &chat, Library::Nio).await;
    assert!(!world.bridge.logged().contains(CARRIED));
    let doctor = world.bridge.run(&["doctor"]).await;
    assert!(doctor.contains("keys are asked for with /sync"), "{doctor}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_come_with_transactions_where_the_homeserver_sends_them() {
    let features = json!({"experimental_features": {
        "msc2409_to_device_messages_enabled": true, "msc3202_transaction_extensions": true}});
    let mut world = World::start(Plan {
        config: json!({"encryption": {"default": true}}),
        homeserver: features,
        ..Plan::default()
    })
    .await;
    let chat = Chat::open(&world).await;
    converse(&world, &chat, Library::Nio).await;
    assert!(world.bridge.logged().contains(CARRIED));
    let doctor = world.bridge.run(&["doctor"]).await;
    let expected = "keys come with the homeserver's transactions";
    assert!(doctor.contains(expected), "{doctor}");

    // Nothing is asked for any more, not even by a bridge that begins anew: all comes with transactions.
    world.bridge.kill().await;
    let settings = json!({"default": true, "delivery": "transactions"});
    world.bridge.reconfigure("/encryption", settings);
    world.bridge.start().await;
    converse(&world, &chat, Library::Js).await;
}
