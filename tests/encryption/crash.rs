//! What a crash leaves, and what a machine knows after a restart.

use std::{future::poll_fn, pin::pin, task::Poll};

use drawbridge::{
    encryption::MachineStoreError,
    store::{Database, MachineId, RecordKind},
};
use matrix_sdk_crypto::{OlmError, store::CryptoStore as _};

use crate::{
    place::Place,
    town::{Scene, alice, bob, machine, read, receive, room, say, store_of},
};

const TAKEN: &str = "taken";

#[derive(Debug)]
enum Failure {
    Machine,
    Store,
}

impl From<OlmError> for Failure {
    fn from(_: OlmError) -> Self {
        Self::Machine
    }
}

impl From<MachineStoreError> for Failure {
    fn from(_: MachineStoreError) -> Self {
        Self::Store
    }
}

pub(crate) async fn a_conversation_goes_on_after_a_restart(place: Place) {
    let db = place.open().await;
    let mut scene = Scene::set(&db).await;
    let bobs = machine(&store_of(&db, bob()), bob()).await;
    receive(&bobs, scene.mail.clone()).await.unwrap();
    assert_eq!(read(&bobs, &scene.event).await.as_deref(), Some("hello"));
    // And back: Bob answers in the session that Alice began.
    scene.town.share(&bobs, alice().0).await;
    let answer = say(&bobs, "and to you").await;
    let mail = scene.town.mail(alice().0);
    drop((bobs, scene.alice));
    db.close().await;

    let db = place.open().await;
    let alices = machine(&store_of(&db, alice()), alice()).await;
    receive(&alices, mail).await.unwrap();
    assert_eq!(read(&alices, &answer).await.as_deref(), Some("and to you"));
    let bobs = machine(&store_of(&db, bob()), bob()).await;
    assert_eq!(read(&bobs, &scene.event).await.as_deref(), Some("hello"));
    // Both go on in the rooms' sessions they had, and nobody needs a new key.
    for (from, to, text) in [(&alices, &bobs, "again"), (&bobs, &alices, "still here")] {
        scene.town.share(from, to.user_id()).await;
        assert!(scene.town.mail(to.user_id()).is_empty());
        let event = say(from, text).await;
        assert_eq!(read(to, &event).await.as_deref(), Some(text));
    }
    db.close().await;
}

pub(crate) async fn events_given_twice_change_nothing(place: Place) {
    let db = place.open().await;
    let scene = Scene::set(&db).await;
    let store = store_of(&db, bob());
    let bobs = machine(&store, bob()).await;
    receive(&bobs, scene.mail.clone()).await.unwrap();
    drop((bobs, store));
    let store = store_of(&db, bob());
    let bobs = machine(&store, bob()).await;
    let sender_key = scene.alice.identity_keys().curve25519.to_base64();
    let before = store.get_sessions(&sender_key).await.unwrap().unwrap();
    receive(&bobs, scene.mail.clone()).await.unwrap();
    let after = store.get_sessions(&sender_key).await.unwrap().unwrap();
    assert_eq!(before, after);
    // A session that is taken for broken is made anew: then a key would be claimed.
    let missing = bobs.get_missing_sessions([alice().0].into_iter()).await;
    assert!(missing.unwrap().is_none());
    assert_eq!(read(&bobs, &scene.event).await.as_deref(), Some("hello"));
    db.close().await;
}

async fn has_key(db: &Database) -> bool {
    let store = store_of(db, bob());
    let keys = store.get_inbound_group_sessions_by_room_id(room()).await;
    !keys.unwrap().is_empty()
}

async fn taken(db: &Database) -> bool {
    let value = db.read(|txn| Box::pin(async move { txn.value(TAKEN).await }));
    value.await.unwrap().is_some()
}

/// What has been given to Bob's lane is written after this.
async fn settle(db: &Database) {
    db.step(store_of(db, bob()).lane(), |_| Box::pin(async { Ok(()) }))
        .await
        .unwrap();
}

/// Polls a future so many times at most, what it gave to the store being written each time; `None` if it is not done then.
async fn cut_off<T>(db: &Database, polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    for _ in 0..polls {
        let polled = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
        if let Poll::Ready(value) = polled {
            return Some(value);
        }
        settle(db).await;
    }
    None
}

pub(crate) async fn a_crash_at_any_moment_loses_no_key(place: Place) {
    let db = place.open().await;
    let scene = Scene::set(&db).await;
    let mut polls = 1;
    let mut crashes = 0;
    while !taken(&db).await {
        let store = store_of(&db, bob());
        let bobs = machine(&store, bob()).await;
        let mail = scene.mail.clone();
        let work = async { receive(&bobs, mail).await.map_err(Failure::from) };
        let received = store.in_one_step(work, |txn| {
            Box::pin(async move { txn.set_value(TAKEN, "yes").await })
        });
        match Box::pin(cut_off(&db, polls, received)).await {
            Some(done) => done.unwrap(),
            None => crashes += 1,
        }
        settle(&db).await;
        // All or nothing.
        assert_eq!(has_key(&db).await, taken(&db).await, "after {polls} polls");
        polls += 1 + polls / 8;
    }
    assert!(crashes > 3, "{crashes}");
    let bobs = machine(&store_of(&db, bob()), bob()).await;
    assert_eq!(read(&bobs, &scene.event).await.as_deref(), Some("hello"));
    db.close().await;
}

pub(crate) async fn without_one_step_a_crash_can_lose_a_key(place: Place) {
    let db = place.open().await;
    let scene = Scene::set(&db).await;
    let store = store_of(&db, bob());
    let bobs = machine(&store, bob()).await;
    let (user, device) = bob();
    let id = MachineId::new(user.as_str(), device.as_str());
    {
        let mut received = pin!(receive(&bobs, scene.mail.clone()));
        loop {
            let polled = poll_fn(|cx| Poll::Ready(received.as_mut().poll(cx))).await;
            assert!(polled.is_pending(), "the session is stored before the rest");
            settle(&db).await;
            let id = id.clone();
            let sessions = db.read(move |txn| {
                let id = id.clone();
                Box::pin(async move { txn.machine_records(&id, RecordKind::Session, None).await })
            });
            if !sessions.await.unwrap().is_empty() {
                break;
            }
        }
    }
    drop((bobs, store));
    assert!(!has_key(&db).await);
    let bobs = machine(&store_of(&db, bob()), bob()).await;
    receive(&bobs, scene.mail.clone()).await.unwrap();
    assert_eq!(read(&bobs, &scene.event).await, None);
    db.close().await;
}
