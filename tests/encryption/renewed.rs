//! After an old copy of the database was put back: another device, which knows what the one before knew of rooms.

use std::sync::Arc;

use drawbridge::{
    clock::ManualClock,
    config::Config,
    encryption::{Encryption, EncryptionParts, MachineStore},
    matrix::{Client, GhostNaming},
    store::Database,
};
use matrix_sdk_crypto::store::{
    CryptoStore as _,
    types::{Changes, RoomSettings},
};
use ruma_crypto::{OwnedUserId, room_id};
use serde_json::json;

use crate::place::Place;

/// The bot's device, made or opened, and what it remembers.
async fn device(place: &Place, db: &Database, renewed: bool) -> (String, MachineStore) {
    // Another test of this process may have installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let path = place.folder.path().join("config.yaml");
    let token = |what: &str| format!("{what}-0123456789abcdef0123456789abcdef");
    let config = json!({
        "homeserver": { "address": "http://localhost:1", "domain": "example.org" },
        "appservice": { "as_token": token("as"), "hs_token": token("hs") },
        "database": { "sealing_key": "c2VhbGluZy1rZXktb2YtdGhlLXRlc3RzLTMyLWJ5dGU=" },
        "bridge": { "permissions": { "example.org": "user" } },
    });
    std::fs::write(&path, config.to_string()).unwrap();
    let config = Config::load(&path).unwrap();
    let http = reqwest::Client::new();
    let client = Client::new(&config.homeserver, &config.appservice, http).unwrap();
    let bot = OwnedUserId::try_from(client.bot_id().as_str()).unwrap();
    let clock = Arc::new(ManualClock::new(1_000));
    let encryption = Encryption::open(EncryptionParts {
        db: db.clone(),
        client,
        naming: GhostNaming::new("_drawbridge_", "example.org"),
        config: config.encryption,
        namespace: config.bridge.namespace,
        renewed,
        clock: clock.clone(),
    })
    .await
    .unwrap();
    let id = encryption.device_id().to_owned();
    let store = MachineStore::new(db.clone(), (bot, id.as_str().into()), clock);
    (id, store)
}

pub(crate) async fn another_device_knows_which_rooms_are_encrypted(place: Place) {
    let db = place.open().await;
    let (first, store) = device(&place, &db, false).await;
    let room = room_id!("!room:example.org");
    let settings = RoomSettings {
        session_rotation_period_messages: Some(7),
        ..RoomSettings::default()
    };
    let mut changes = Changes::default();
    changes
        .room_settings
        .insert(room.to_owned(), settings.clone());
    store.save_changes(changes).await.unwrap();
    assert_eq!(store.encrypted_rooms().await.unwrap(), [room]);

    let (same, _) = device(&place, &db, false).await;
    assert_eq!(same, first);
    let (other, renewed) = device(&place, &db, true).await;
    assert_ne!(other, first);
    let kept = renewed.get_room_settings(room).await.unwrap();
    assert_eq!(kept, Some(settings));
    assert!(store.encrypted_rooms().await.unwrap().is_empty());
    db.close().await;
}
