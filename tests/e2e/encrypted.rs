//! Encrypted rooms: a Matrix client that encrypts, and a contact that notices nothing of it.

use serde_json::json;

use super::{
    chat::Chat,
    client::PASSWORD,
    encrypting::{EncryptingClient, Library},
    world::{Plan, World},
};

/// A world whose new rooms are encrypted.
fn plan() -> Plan {
    Plan {
        config: json!({"encryption": {"default": true}}),
        ..Plan::default()
    }
}

/// A second device of a chat's user, which encrypts.
async fn device(world: &World, chat: &Chat, library: Library) -> EncryptingClient {
    let folder = world.folder().join(format!("{library:?}"));
    let name = chat.alice.mxid.trim_start_matches('@').split(':').next();
    let name = name.expect("a name");
    EncryptingClient::login(library, &folder, &world.homeserver.url(), name, PASSWORD).await
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_go_both_ways_in_an_encrypted_chat() {
    for library in [Library::Nio, Library::Js] {
        let world = World::start(plan()).await;
        let chat = Chat::open(&world).await;
        let mut alice = device(&world, &chat, library).await;
        alice.say(&chat.room, "gooseberry").await;
        chat.contact.receives("gooseberry").await;
        chat.contact.say("elderflower").await;
        let heard = alice.hear(&chat.room, &chat.ghost, "elderflower").await;
        assert!(heard.encrypted);
        alice.say(&chat.room, "once more").await;
        chat.contact
            .receives_exactly(&["gooseberry".to_owned(), "once more".to_owned()])
            .await;
    }
}
