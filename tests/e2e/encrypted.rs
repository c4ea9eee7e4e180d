//! Encrypted rooms: a Matrix client that encrypts, and a contact that notices nothing of it.

use serde_json::json;

use super::{
    chat::Chat,
    client::{PASSWORD, User},
    encrypting::{EncryptingClient, Library},
    world::{Plan, World},
};

/// A world whose new rooms are encrypted.
pub(crate) fn plan() -> Plan {
    Plan {
        config: json!({"encryption": {"default": true}}),
        ..Plan::default()
    }
}

/// A new device of a user, which encrypts.
pub(crate) async fn device(world: &World, user: &User, library: Library) -> EncryptingClient {
    let name = user.mxid.trim_start_matches('@').split(':').next();
    let name = name.expect("a name");
    let folder = tempfile::Builder::new()
        .prefix(&format!("{name} {library:?} "))
        .tempdir_in(world.folder())
        .expect("a folder in the world's")
        .keep();
    EncryptingClient::login(library, &folder, &world.homeserver.url(), name, PASSWORD).await
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_go_both_ways_in_an_encrypted_chat() {
    for library in [Library::Nio, Library::Js] {
        let world = World::start(plan()).await;
        let chat = Chat::open(&world).await;
        let mut alice = device(&world, &chat.alice, library).await;
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
