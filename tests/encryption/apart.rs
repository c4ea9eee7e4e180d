//! Several machines in one database.

use drawbridge::encryption::MachineStoreError;
use matrix_sdk_crypto::{
    olm::{Account, OlmMessageHash},
    store::{
        CryptoStore as _,
        types::{Changes, PendingChanges},
    },
};

use crate::{
    place::Place,
    town::{Scene, alice, bob, machine, read, receive, room, store_of},
};

pub(crate) async fn machines_in_one_database_see_nothing_of_each_other(place: Place) {
    let db = place.open().await;
    let scene = Scene::set(&db).await;
    let (alices, bobs) = (store_of(&db, alice()), store_of(&db, bob()));
    let hash = OlmMessageHash {
        sender_key: "key".to_owned(),
        hash: "hash".to_owned(),
    };
    let changes = Changes {
        message_hashes: vec![hash.clone()],
        next_batch_token: Some("token".to_owned()),
        ..Changes::default()
    };
    alices.save_changes(changes).await.unwrap();
    alices.set_custom_value("a", vec![1]).await.unwrap();
    let lease = alices.try_take_leased_lock(1000, "lock", "she").await;
    assert_eq!(lease.unwrap(), Some(1));

    assert!(!bobs.is_message_known(&hash).await.unwrap());
    assert_eq!(bobs.next_batch_token().await.unwrap(), None);
    assert_eq!(bobs.get_custom_value("a").await.unwrap(), None);
    assert!(bobs.get_inbound_group_sessions().await.unwrap().is_empty());
    assert!(
        bobs.get_outbound_group_session(room())
            .await
            .unwrap()
            .is_none()
    );
    let lease = bobs.try_take_leased_lock(1000, "lock", "he").await;
    assert_eq!(lease.unwrap(), Some(1));
    let size = |store: std::sync::Arc<drawbridge::encryption::MachineStore>| async move {
        store.get_size().await.unwrap().unwrap()
    };
    assert!(size(alices.clone()).await > size(bobs.clone()).await);

    // One goes, the other stays.
    let machine_of_bob = machine(&bobs, bob()).await;
    receive(&machine_of_bob, scene.mail.clone()).await.unwrap();
    alices.forget().await.unwrap();
    assert!(alices.load_account().await.unwrap().is_none());
    assert_eq!(size(alices.clone()).await, 0);
    assert!(
        alices
            .get_inbound_group_sessions()
            .await
            .unwrap()
            .is_empty()
    );
    let again = machine(&store_of(&db, bob()), bob()).await;
    assert_eq!(read(&again, &scene.event).await.as_deref(), Some("hello"));
    db.close().await;
}

pub(crate) async fn another_devices_account_is_refused(place: Place) {
    let db = place.open().await;
    let store = store_of(&db, alice());
    let account = Some(Account::with_device_id(bob().0, bob().1));
    let refused = store.save_pending_changes(PendingChanges { account }).await;
    let refused = refused.err().unwrap();
    assert!(
        matches!(refused, MachineStoreError::OtherAccount { .. }),
        "{refused}"
    );
    assert!(store.load_account().await.unwrap().is_none());
    let missing = store.get_own_device().await.err().unwrap();
    assert!(
        matches!(missing, MachineStoreError::NoAccount { .. }),
        "{missing}"
    );
    db.close().await;
}

pub(crate) async fn a_closed_store_answers_after_it_is_opened_again(place: Place) {
    let db = place.open().await;
    let store = store_of(&db, alice());
    store.set_custom_value("a", vec![1]).await.unwrap();
    store.close().await.unwrap();
    let closed = store.get_custom_value("a").await;
    assert!(matches!(closed, Err(MachineStoreError::Closed)));
    let closed = store.set_custom_value("a", vec![2]).await;
    assert!(matches!(closed, Err(MachineStoreError::Closed)));
    store.reopen().await.unwrap();
    assert_eq!(store.get_custom_value("a").await.unwrap(), Some(vec![1]));
    db.close().await;
}
