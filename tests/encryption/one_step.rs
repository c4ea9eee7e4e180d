//! What is done in one step.

use drawbridge::{
    encryption::MachineStoreError,
    store::{Database, StoreError},
};
use matrix_sdk_crypto::{
    GossipRequest, SecretInfo, TrackedUser,
    olm::{Account, OlmMessageHash},
    store::{
        CryptoStore as _,
        types::{Changes, PendingChanges},
    },
};
use ruma_crypto::{TransactionId, events::secret::request::SecretName};

use crate::{
    place::Place,
    town::{alice, room, store_of},
};

type Result = std::result::Result<(), MachineStoreError>;

async fn marked(db: &Database) -> bool {
    let value = db.read(|txn| Box::pin(async move { txn.value("mark").await }));
    value.await.unwrap().is_some()
}

fn hash() -> OlmMessageHash {
    OlmMessageHash {
        sender_key: "key".to_owned(),
        hash: "hash".to_owned(),
    }
}

fn account() -> Account {
    Account::with_device_id(alice().0, alice().1)
}

pub(crate) async fn what_is_done_in_one_step_is_seen_within_and_stored_with_the_rest(place: Place) {
    let db = place.open().await;
    let store = store_of(&db, alice());
    let elsewhere = store_of(&db, alice());
    store.set_custom_value("gone", vec![1]).await.unwrap();
    let work = async {
        let changes = Changes {
            message_hashes: vec![hash()],
            ..Changes::default()
        };
        store.save_changes(changes).await?;
        let account = Some(account());
        store
            .save_pending_changes(PendingChanges { account })
            .await?;
        store.save_tracked_users(&[(alice().0, true)]).await?;
        store.save_tracked_users(&[(alice().0, false)]).await?;
        store.remove_custom_value("gone").await?;
        // Seen here, and by nobody else.
        assert!(store.is_message_known(&hash()).await?);
        assert!(store.load_account().await?.is_some());
        let users: Vec<TrackedUser> = store.load_tracked_users().await?;
        assert!(matches!(&users[..], [user] if !user.dirty));
        assert_eq!(store.get_custom_value("gone").await?, None);
        assert!(!elsewhere.is_message_known(&hash()).await?);
        assert!(elsewhere.load_account().await?.is_none());
        assert!(elsewhere.get_custom_value("gone").await?.is_some());
        Ok::<_, MachineStoreError>("done")
    };
    assert_eq!(store.in_one_step(work, mark).await.unwrap(), "done");
    assert!(marked(&db).await);
    for store in [&store, &elsewhere] {
        assert!(store.is_message_known(&hash()).await.unwrap());
        assert!(store.load_account().await.unwrap().is_some());
        assert_eq!(store.load_tracked_users().await.unwrap().len(), 1);
        assert_eq!(store.get_custom_value("gone").await.unwrap(), None);
    }
    // What comes later is stored at once again.
    store.set_custom_value("later", vec![2]).await.unwrap();
    assert!(elsewhere.get_custom_value("later").await.unwrap().is_some());
    db.close().await;
}

fn mark(
    txn: &mut dyn drawbridge::store::StoreTxn,
) -> futures_util::future::BoxFuture<'_, std::result::Result<(), StoreError>> {
    Box::pin(async move { txn.set_value("mark", "here").await })
}

pub(crate) async fn a_failing_step_leaves_nothing_and_a_stale_store(place: Place) {
    let db = place.open().await;
    for fails_within in [true, false] {
        let store = store_of(&db, alice());
        let work = async {
            store.set_custom_value("a", vec![1]).await?;
            if fails_within {
                return Err(MachineStoreError::Closed);
            }
            Ok(())
        };
        let done: Result = store
            .in_one_step(work, move |txn| {
                Box::pin(async move {
                    mark(txn).await?;
                    if fails_within {
                        return Ok(());
                    }
                    Err(StoreError::Address("the disk is full, say".to_owned()))
                })
            })
            .await;
        assert!(done.is_err());
        assert!(!marked(&db).await);
        let stale = store.get_custom_value("a").await;
        assert!(matches!(stale, Err(MachineStoreError::Stale)));
        let stale = store.set_custom_value("a", vec![1]).await;
        assert!(matches!(stale, Err(MachineStoreError::Stale)));
        let anew = store_of(&db, alice());
        assert_eq!(anew.get_custom_value("a").await.unwrap(), None);
    }
    db.close().await;
}

pub(crate) async fn others_are_refused_meanwhile(place: Place) {
    let db = place.open().await;
    let store = store_of(&db, alice());
    let other = store.clone();
    let work = async {
        store.set_custom_value("mine", vec![1]).await?;
        let refused = tokio::spawn(async move { other.set_custom_value("theirs", vec![1]).await });
        let refused = refused.await.unwrap();
        assert!(matches!(refused, Err(MachineStoreError::Held)));
        Ok::<_, MachineStoreError>(())
    };
    store.in_one_step(work, mark).await.unwrap();
    assert!(store.get_custom_value("mine").await.unwrap().is_some());
    assert_eq!(store.get_custom_value("theirs").await.unwrap(), None);
    db.close().await;
}

pub(crate) async fn room_keys_and_requests_are_seen_as_they_will_be(place: Place) {
    let db = place.open().await;
    let store = store_of(&db, alice());
    let request = |id: &str, sent_out| GossipRequest {
        request_recipient: alice().0.to_owned(),
        request_id: id.into(),
        info: SecretInfo::SecretRequest(SecretName::RecoveryKey),
        sent_out,
    };
    let requests = |key_requests| Changes {
        key_requests,
        ..Changes::default()
    };
    let first = requests(vec![request("old", false)]);
    store.save_changes(first).await.unwrap();
    let (_, key) = account()
        .create_group_session_pair_with_defaults(room())
        .await;
    let (info, old) = (request("", true).info, <&TransactionId>::from("old"));
    let work = async {
        let keys = vec![key.clone()];
        store.save_inbound_group_sessions(keys, None).await?;
        let found = store.get_inbound_group_session(room(), key.session_id());
        assert_eq!(found.await?.as_ref(), Some(&key));

        store
            .save_changes(requests(vec![request("old", true)]))
            .await?;
        assert!(store.get_unsent_secret_requests().await?.is_empty());
        assert!(
            store
                .get_outgoing_secret_requests(old)
                .await?
                .unwrap()
                .sent_out
        );
        store.delete_outgoing_secret_requests(old).await?;
        assert!(store.get_outgoing_secret_requests(old).await?.is_none());
        assert!(store.get_secret_request_by_info(&info).await?.is_none());
        store
            .save_changes(requests(vec![request("new", false)]))
            .await?;
        let found = store.get_secret_request_by_info(&info).await?.unwrap();
        assert_eq!(found, request("new", false));
        assert_eq!(store.get_unsent_secret_requests().await?.len(), 1);
        Ok::<_, MachineStoreError>(())
    };
    store.in_one_step(work, mark).await.unwrap();
    let found = store.get_secret_request_by_info(&info).await.unwrap();
    assert_eq!(found, Some(request("new", false)));
    assert!(
        store
            .get_outgoing_secret_requests(old)
            .await
            .unwrap()
            .is_none()
    );
    let found = store.get_inbound_group_session(room(), key.session_id());
    assert_eq!(found.await.unwrap(), Some(key));
    db.close().await;
}
