//! What is forgotten, and what stays.

use std::sync::Arc;

use drawbridge::{
    clock::{Clock as _, ManualClock},
    domain::Timestamp,
    encryption::MachineStore,
    store::{Database, MachineId, MachineRecord, RecordKind},
};
use matrix_sdk_crypto::{
    olm::{Account, InboundGroupSession, OlmMessageHash},
    store::{CryptoStore as _, types::Changes},
};
use ruma_crypto::{RoomId, room_id};

use crate::{
    place::Place,
    town::{Scene, alice, bob, clock, machine, read, receive, room, say, store_of},
};

fn store_at(db: &Database, clock: &ManualClock) -> MachineStore {
    let (user, device) = alice();
    let account = (user.to_owned(), device.to_owned());
    MachineStore::new(db.clone(), account, Arc::new(clock.clone()))
}

async fn key(account: &Account, room: &RoomId) -> InboundGroupSession {
    account
        .create_group_session_pair_with_defaults(room)
        .await
        .1
}

async fn put(store: &MachineStore, key: &InboundGroupSession) {
    let saved = store.save_inbound_group_sessions(vec![key.clone()], None);
    saved.await.unwrap();
}

/// Two keys that came at one time, the second of another room, and one of the first room that came a second later.
async fn aged(store: &MachineStore, clock: &ManualClock) -> [InboundGroupSession; 3] {
    let account = Account::with_device_id(alice().0, alice().1);
    let old = key(&account, room()).await;
    let elsewhere = key(&account, room_id!("!other:example.org")).await;
    put(store, &old).await;
    put(store, &elsewhere).await;
    clock.advance(1000);
    let new = key(&account, room()).await;
    put(store, &new).await;
    [old, elsewhere, new]
}

async fn left(store: &MachineStore) -> Vec<String> {
    let keys = store.get_inbound_group_sessions().await.unwrap();
    let mut ids: Vec<_> = keys.iter().map(|key| key.session_id().to_owned()).collect();
    ids.sort();
    ids
}

fn ids(keys: &[&InboundGroupSession]) -> Vec<String> {
    let mut ids: Vec<_> = keys.iter().map(|key| key.session_id().to_owned()).collect();
    ids.sort();
    ids
}

pub(crate) async fn forgets_a_rooms_old_keys(place: Place) {
    let db = place.open().await;
    let clock = clock();
    let store = store_at(&db, &clock);
    let [old, elsewhere, new] = aged(&store, &clock).await;
    // A key that is stored again is as old as it was.
    put(&store, &old).await;
    let before = Timestamp(clock.now_ms());
    assert_eq!(store.delete_room_keys(room(), before).await.unwrap(), 1);
    assert_eq!(left(&store).await, ids(&[&new, &elsewhere]));
    assert_eq!(store.delete_room_keys(room(), before).await.unwrap(), 0);
    db.close().await;
}

pub(crate) async fn forgets_all_old_keys_but_those_in_use(place: Place) {
    let db = place.open().await;
    let clock = clock();
    let store = store_at(&db, &clock);
    let [_, elsewhere, new] = aged(&store, &clock).await;
    let before = Timestamp(clock.now_ms() + 1);
    assert_eq!(store.delete_all_room_keys(before, true).await.unwrap(), 1);
    assert_eq!(left(&store).await, ids(&[&new, &elsewhere]));
    let before = Timestamp(clock.now_ms());
    assert_eq!(store.delete_all_room_keys(before, false).await.unwrap(), 1);
    assert_eq!(left(&store).await, ids(&[&new]));
    db.close().await;
}

pub(crate) async fn keeps_the_newest_key_of_each_device(place: Place) {
    let db = place.open().await;
    let clock = clock();
    let store = store_at(&db, &clock);
    let (hers, his) = (
        Account::with_device_id(alice().0, alice().1),
        Account::with_device_id(bob().0, bob().1),
    );
    let his_only = key(&his, room()).await;
    put(&store, &his_only).await;
    let elsewhere = key(&hers, room_id!("!other:example.org")).await;
    put(&store, &elsewhere).await;
    let mut newest = key(&hers, room()).await;
    for _ in 0..3 {
        clock.advance(1000);
        newest = key(&hers, room()).await;
        put(&store, &newest).await;
    }
    assert_eq!(store.delete_outdated_room_keys(room()).await.unwrap(), 2);
    assert_eq!(left(&store).await, ids(&[&his_only, &elsewhere, &newest]));
    db.close().await;
}

pub(crate) async fn forgets_old_message_hashes(place: Place) {
    let db = place.open().await;
    let clock = clock();
    let store = store_at(&db, &clock);
    let hash = |hash: &str| OlmMessageHash {
        sender_key: "key".to_owned(),
        hash: hash.to_owned(),
    };
    for name in ["old", "new"] {
        clock.advance(1000);
        let changes = Changes {
            message_hashes: vec![hash(name)],
            ..Changes::default()
        };
        store.save_changes(changes).await.unwrap();
    }
    store.set_custom_value("old too", vec![1]).await.unwrap();
    let before = Timestamp(clock.now_ms());
    assert_eq!(store.forget_message_hashes(before).await.unwrap(), 1);
    assert!(!store.is_message_known(&hash("old")).await.unwrap());
    assert!(store.is_message_known(&hash("new")).await.unwrap());
    assert!(store.get_custom_value("old too").await.unwrap().is_some());
    db.close().await;
}

pub(crate) async fn forgets_ratchets_and_nothing_else(place: Place) {
    let db = place.open().await;
    let mut scene = Scene::set(&db).await;
    let store = store_of(&db, bob());
    let bobs = machine(&store, bob()).await;
    receive(&bobs, scene.mail.clone()).await.unwrap();
    scene.town.share(&bobs, alice().0).await;
    say(&bobs, "answer").await;
    let sending = store.get_outbound_group_session(room()).await.unwrap();
    let keys = bobs.identity_keys();
    drop((bobs, store));
    let store = store_of(&db, bob());
    store.forget_ratchets().await.unwrap();
    let sender_key = scene.alice.identity_keys().curve25519.to_base64();
    assert!(store.get_sessions(&sender_key).await.unwrap().is_none());
    let bobs = machine(&store, bob()).await;
    assert_eq!(bobs.identity_keys(), keys);
    assert_eq!(read(&bobs, &scene.event).await.as_deref(), Some("hello"));
    // What is sent from now on is sent with another key, that others are given first.
    scene.town.mail(alice().0);
    scene.town.share(&bobs, alice().0).await;
    let event = say(&bobs, "anew").await;
    let mail = scene.town.mail(alice().0);
    receive(&scene.alice, mail).await.unwrap();
    assert_eq!(read(&scene.alice, &event).await.as_deref(), Some("anew"));
    let anew = store.get_outbound_group_session(room()).await.unwrap();
    assert_ne!(anew.unwrap().session_id(), sending.unwrap().session_id());
    db.close().await;
}

pub(crate) async fn a_step_of_a_session_is_a_ratchet_step(place: Place) {
    let db = place.open().await;
    for (kind, ratchet) in [
        (RecordKind::Session, true),
        (RecordKind::OutboundSession, true),
        (RecordKind::Device, false),
        (RecordKind::Account, false),
    ] {
        let lane = store_of(&db, alice()).lane();
        let touched = db.step(lane, move |txn| {
            Box::pin(async move {
                let record = MachineRecord {
                    kind,
                    scope: "scope".to_owned(),
                    name: "name".to_owned(),
                    record: vec![1],
                };
                let id = MachineId::new("@a:b", "C");
                txn.put_machine_record(&id, &record, crate::place::NOW)
                    .await?;
                Ok(txn.touched_ratchets())
            })
        });
        assert_eq!(touched.await.unwrap(), ratchet, "{kind:?}");
    }
    db.close().await;
}

pub(crate) async fn a_key_stays_in_the_backup_it_is_in(place: Place) {
    let db = place.open().await;
    let store = store_at(&db, &clock());
    let account = Account::with_device_id(alice().0, alice().1);
    let key = key(&account, room()).await;
    key.mark_as_backed_up();
    let keys = vec![key.clone()];
    store
        .save_inbound_group_sessions(keys, Some("1"))
        .await
        .unwrap();
    let waiting = |version| {
        let store = &store;
        async move {
            let keys = store.inbound_group_sessions_for_backup(version, 9).await;
            let counts = store.inbound_group_session_counts(Some(version)).await;
            (keys.unwrap().len(), counts.unwrap().backed_up)
        }
    };
    // Another version of the backup does not have it.
    assert_eq!(waiting("1").await, (0, 1));
    assert_eq!(waiting("0").await, (1, 0));
    assert_eq!(waiting("2").await, (1, 0));
    // Stored again as it is, it is still there; changed so that it has to be backed up again, it is not.
    put(&store, &key).await;
    assert_eq!(waiting("1").await, (0, 1));
    let found = store.get_inbound_group_session(room(), key.session_id());
    assert!(found.await.unwrap().unwrap().backed_up());
    key.reset_backup_state();
    put(&store, &key).await;
    assert_eq!(waiting("1").await, (1, 0));
    let found = store.get_inbound_group_session(room(), key.session_id());
    assert!(!found.await.unwrap().unwrap().backed_up());
    db.close().await;
}
