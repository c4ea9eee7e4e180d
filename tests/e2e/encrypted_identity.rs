//! The identity of the bot: its device is signed, and after the database was lost the recovery key brings the identity back.

use serde_json::{Value, json};

use super::{
    chat::Chat,
    client::{PASSWORD, User},
    encrypting::{EncryptingClient, Library},
    wait::until,
    world::{BOT, Plan, World},
};

const PATIENCE: std::time::Duration = std::time::Duration::from_secs(40);

fn plan(config: Value) -> Plan {
    Plan {
        config,
        ..Plan::default()
    }
}

/// The bot's keys as a user is told them, once the homeserver has a device that is signed.
async fn signed(user: &User) -> (String, String) {
    until("the bot's device to be signed", PATIENCE, async || {
        let keys = user
            .post("v3/keys/query", &json!({"device_keys": {BOT: []}}))
            .await;
        let master = keys["master_keys"][BOT]["keys"].as_object()?;
        let signing = keys["self_signing_keys"][BOT]["keys"].as_object()?;
        let signing = signing.keys().next()?;
        let devices = keys["device_keys"][BOT].as_object()?;
        let is_signed = |device: &&Value| device["signatures"][BOT].get(signing.as_str()).is_some();
        let all: Vec<&String> = devices.keys().collect();
        let device = devices.iter().find(|(_, device)| is_signed(device))?.0;
        // The one before is deleted, once it is known that nobody needs it.
        (all.len() == 1).then(|| (master.keys().next().expect("a key").clone(), device.clone()))
    })
    .await
}

/// Forgets everything the bridge has stored.
async fn lose_database(world: &mut World) {
    world.bridge.kill().await;
    for entry in std::fs::read_dir(world.bridge.folder()).expect("the bridge's folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str());
        if name.is_some_and(|name| name.starts_with("bridge.db") || name.contains("guard")) {
            std::fs::remove_file(path).expect("a file");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bots_device_is_signed_and_its_identity_outlives_the_database() {
    let config = json!({"encryption": {"default": true, "recovery_key": null}});
    let mut world = World::start(plan(config)).await;
    let chat = Chat::open(&world).await;
    let (master, device) = signed(&chat.alice).await;
    let key = world.bridge.run(&["recovery-key"]).await;
    let key = key.trim().to_owned();
    assert!(key.starts_with("Es"), "no recovery key");

    // A client that writes to none but signed devices. What ghosts say it would not show: their device is the bot's.
    let folder = world.folder().join("strict");
    let name = chat.alice.mxid.trim_start_matches('@').split(':').next();
    let url = world.homeserver.url();
    let name = name.expect("a name");
    let mut alice = EncryptingClient::login(Library::Js, &folder, &url, name, PASSWORD).await;
    alice
        .demand("bootstrap", json!({"password": PASSWORD}))
        .await;
    alice.demand("isolate", json!({"on": true})).await;
    alice.say(&chat.room, "gooseberry").await;
    chat.contact.receives("gooseberry").await;
    alice.demand("isolate", json!({"on": false})).await;
    chat.contact.say("elderflower").await;
    assert!(
        alice
            .hear(&chat.room, &chat.ghost, "elderflower")
            .await
            .encrypted
    );
    let doctor = world.bridge.run(&["doctor"]).await;
    assert!(doctor.contains("is cross-signed"), "{doctor}");
    assert!(
        doctor.contains("msc3202_transaction_extensions"),
        "{doctor}"
    );

    // A restart changes nothing.
    world.bridge.kill().await;
    world.bridge.start().await;
    assert_eq!(signed(&chat.alice).await, (master.clone(), device.clone()));

    // With the recovery key the identity is the same, the device another.
    lose_database(&mut world).await;
    world
        .bridge
        .reconfigure("/encryption/recovery_key", json!(key));
    world.bridge.start().await;
    let (same, other) = until("the new device", PATIENCE, async || {
        let found = signed(&chat.alice).await;
        (found.1 != device).then_some(found)
    })
    .await;
    assert_eq!(same, master);
    assert_eq!(world.bridge.run(&["recovery-key"]).await.trim(), key);

    // A wrong one is one error; the bot goes on without a signature, and its identity stays.
    lose_database(&mut world).await;
    let wrong = "EsTc LW2K PGiF wKEA 3As5 g5c4 BXwk qeeJ ZJV8 Q9fu gUMN UE4d";
    world
        .bridge
        .reconfigure("/encryption/recovery_key", json!(wrong));
    world.bridge.start().await;
    let log = until("the error", PATIENCE, async || {
        let log = world.bridge.logged();
        log.contains("encryption.recovery_key does not restore")
            .then_some(log)
    })
    .await;
    assert_eq!(log.matches("encryption.recovery_key does not").count(), 1);
    assert!(!log.contains(&key), "the log tells the recovery key");

    // Without one, there is a new identity, and a warning.
    lose_database(&mut world).await;
    world
        .bridge
        .reconfigure("/encryption/recovery_key", Value::Null);
    world.bridge.start().await;
    let (anew, _) = until("a new identity", PATIENCE, async || {
        let found = signed(&chat.alice).await;
        (found.1 != other).then_some(found)
    })
    .await;
    assert_ne!(anew, master);
    let log = world.bridge.logged();
    assert!(log.contains("the bot gets a new identity"), "no warning");
}
