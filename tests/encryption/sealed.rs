//! Keys at rest.

use drawbridge::{encryption::MachineStoreError, store::StoreError};
use matrix_sdk_crypto::{
    CryptoStoreError,
    olm::PrivateCrossSigningIdentity,
    store::{
        CryptoStore as _,
        types::{BackupDecryptionKey, Changes, SecretsInboxItem},
    },
};
use ruma_crypto::events::secret::request::SecretName;
use serde::Serialize;

use crate::{
    place::{PLAINTEXT, Place},
    town::{Scene, alice, bob, machine, receive, room, store_of},
};

/// The secret parts of what the crypto library writes, as it writes them: what stands between its names.
fn secrets(pickle: &impl Serialize) -> Vec<String> {
    let json = serde_json::to_string(pickle).unwrap();
    let parts = json.split(['{', '}', '"']);
    // Names and numbers are short; keys are 32 bytes at least, as text or as a list of numbers.
    let long = parts.filter(|part| part.len() > 40);
    // An account has a hundred keys, all written alike.
    long.take(8).map(str::to_owned).collect()
}

pub(crate) async fn nothing_secret_can_be_read_at_rest(place: Place) {
    let db = place.open().await;
    let scene = Scene::set(&db).await;
    let store = store_of(&db, bob());
    let bobs = machine(&store, bob()).await;
    receive(&bobs, scene.mail.clone()).await.unwrap();
    let backup_key = BackupDecryptionKey::new();
    let identity = PrivateCrossSigningIdentity::new(bob().0.to_owned());
    let changes = Changes {
        private_identity: Some(identity.clone()),
        backup_decryption_key: Some(backup_key.clone()),
        secrets: vec![SecretsInboxItem {
            secret_name: SecretName::RecoveryKey,
            secret: String::from_utf8(PLAINTEXT.to_vec()).unwrap().into(),
        }],
        ..Changes::default()
    };
    store.save_changes(changes).await.unwrap();
    let own = PLAINTEXT.to_vec();
    store.set_custom_value("custom name", own).await.unwrap();

    let mut needles = vec![String::from_utf8(PLAINTEXT.to_vec()).unwrap()];
    needles.extend(secrets(&backup_key));
    needles.extend(secrets(&identity.pickle().await));
    let account = store.load_account().await.unwrap().unwrap();
    needles.extend(secrets(&account.pickle()));
    let sender_key = scene.alice.identity_keys().curve25519.to_base64();
    for session in store.get_sessions(&sender_key).await.unwrap().unwrap() {
        needles.extend(secrets(&session.pickle().await));
    }
    for key in store.get_inbound_group_sessions().await.unwrap() {
        needles.push(key.export().await.session_key.to_base64());
        needles.extend(secrets(&key.pickle().await));
    }
    let sending = store_of(&db, alice());
    let sending = sending.get_outbound_group_session(room()).await.unwrap();
    needles.extend(secrets(&sending.unwrap().pickle().await));
    // The names of what is written would be there with it.
    needles.extend(["\"pickle\"", "\"sender_key\"", "\"device_keys\""].map(str::to_owned));
    // What a row is looked up by may be there as it is; sessions are looked up by whose they are.
    needles.retain(|needle| needle != &sender_key && !needle.contains(room().as_str()));
    assert!(needles.len() > 10, "{}", needles.len());
    // The search does search.
    assert!(place.contains(room().as_str().as_bytes()).await);
    assert!(place.contains(b"custom name").await && place.contains(sender_key.as_bytes()).await);
    for needle in &needles {
        assert!(!place.contains(needle.as_bytes()).await, "{needle}");
    }
    db.close().await;
    for needle in &needles {
        assert!(!place.contains(needle.as_bytes()).await, "{needle}");
    }
}

pub(crate) async fn another_key_is_refused(mut place: Place) {
    let db = place.open().await;
    let store = store_of(&db, alice());
    let alices = machine(&store, alice()).await;
    let keys = alices.identity_keys();
    drop((alices, store));
    db.close().await;
    place.key = [43; 32];
    let refused = place.try_open().await.err();
    assert!(matches!(refused, Some(StoreError::Unsealable { .. })));
    // Nor does whoever only looks see anything else than why.
    let db = drawbridge::store::inspect(&place.uri, &place.key).await;
    let db = db.unwrap().unwrap();
    let refused = store_of(&db, alice()).load_account().await.err().unwrap();
    let MachineStoreError::Store(StoreError::Unsealable { .. }) = refused else {
        panic!("{refused}");
    };
    let told = CryptoStoreError::from(refused);
    assert!(matches!(told, CryptoStoreError::Backend(_)));
    assert!(told.to_string().contains("sealing key"), "{told}");
    db.close().await;
    place.key = [42; 32];
    let db = place.open().await;
    let store = store_of(&db, alice());
    assert_eq!(machine(&store, alice()).await.identity_keys(), keys);
    db.close().await;
}

pub(crate) async fn a_row_moved_elsewhere_does_not_open(place: Place) {
    let db = place.open().await;
    for who in [alice(), bob()] {
        let store = store_of(&db, who);
        drop(machine(&store, who).await);
        store.set_custom_value("a", vec![1]).await.unwrap();
        store.set_custom_value("b", vec![2]).await.unwrap();
        let account = store.load_account().await.unwrap().unwrap();
        for _ in 0..2 {
            let (_, key) = account
                .create_group_session_pair_with_defaults(room())
                .await;
            let saved = store.save_inbound_group_sessions(vec![key], None).await;
            saved.unwrap();
        }
    }
    db.close().await;
    let alices = "machine LIKE '@alice%'";
    for (table, to, from) in [
        (
            "machine_records",
            "kind = 'custom' AND scope = 'a'",
            "kind = 'custom' AND scope = 'b' AND machine LIKE '@alice%'",
        ),
        (
            "machine_records",
            "kind = 'account'",
            "kind = 'account' AND machine LIKE '@bob%'",
        ),
        (
            "room_keys",
            "session_id = (SELECT MIN(session_id) FROM room_keys WHERE machine LIKE '@alice%')",
            "session_id = (SELECT MAX(session_id) FROM room_keys WHERE machine LIKE '@alice%')",
        ),
    ] {
        place
            .sql(&format!(
                "UPDATE {table} SET record = (SELECT record FROM {table} WHERE {from}) WHERE {alices} AND {to}"
            ))
            .await;
    }
    let db = place.open().await;
    let store = store_of(&db, alice());
    let unsealable = |error: Option<MachineStoreError>| {
        let error = error.unwrap();
        assert!(
            matches!(
                error,
                MachineStoreError::Store(StoreError::Unsealable { .. })
            ),
            "{error}"
        );
    };
    unsealable(store.get_custom_value("a").await.err());
    unsealable(store.load_account().await.err());
    unsealable(store.get_inbound_group_sessions().await.err());
    // The rows that were not touched still open.
    assert_eq!(store.get_custom_value("b").await.unwrap(), Some(vec![2]));
    let store = store_of(&db, bob());
    assert!(store.load_account().await.unwrap().is_some());
    assert_eq!(store.get_inbound_group_sessions().await.unwrap().len(), 2);
    db.close().await;
}
