//! Two processes, old copies, and the guard file.

use drawbridge::store::{self, Lane, Renewal, StoreError};

use crate::place::{LOGIN, NOW, Place, step};

pub(crate) async fn a_second_opener_stops_the_first(place: Place) {
    let (first, report) = place.try_open().await.unwrap();
    step!(first, txn => txn.set_value("k", "1").await);
    let (second, later) = place.try_open().await.unwrap();
    assert_eq!(later.epoch, report.epoch + 1);
    let refused = first
        .step(Lane::login(LOGIN), |txn| {
            Box::pin(async move { txn.set_value("k", "from the first").await })
        })
        .await;
    match refused {
        Err(StoreError::Fenced { current, ours }) => {
            assert_eq!((current, ours), (later.epoch, report.epoch));
        }
        other => panic!("not fenced: {other:?}"),
    }
    assert_eq!(
        step!(second, txn => txn.value("k").await).as_deref(),
        Some("1")
    );
    step!(second, txn => txn.set_value("k", "2").await);
    first.close().await;
    second.close().await;
}

pub(crate) async fn an_old_copy_is_noticed_until_its_sessions_are_renewed(mut place: Place) {
    let db = place.open().await;
    step!(db, txn => txn.put_session(LOGIN, "a.0", b"old").await);
    db.close().await;
    let copy = place.copy().await;
    let (db, report) = place.try_open().await.unwrap();
    assert_eq!(report.renewal, None);
    step!(db, txn => txn.put_session(LOGIN, "a.0", b"new").await);
    db.close().await;
    // The old copy is put back.
    place.uri = copy;
    let (db, report) = place.try_open().await.unwrap();
    assert_eq!(report.renewal, Some(Renewal::Restored));
    // It is killed before it has done anything about it.
    drop(db);
    let (db, report) = place.try_open().await.unwrap();
    assert_eq!(report.renewal, Some(Renewal::Restored));
    db.sessions_renewed().await.unwrap();
    db.close().await;
    let (db, report) = place.try_open().await.unwrap();
    assert_eq!(report.renewal, None);
    db.close().await;
}

pub(crate) async fn a_missing_guard_is_noticed(place: Place) {
    let db = place.open().await;
    step!(db, txn => txn.put_session(LOGIN, "a.0", b"record").await);
    db.close().await;
    std::fs::remove_file(place.guard()).unwrap();
    let (db, report) = place.try_open().await.unwrap();
    assert_eq!(report.renewal, Some(Renewal::GuardMissing));
    db.sessions_renewed().await.unwrap();
    db.close().await;
    assert_eq!(place.try_open().await.unwrap().1.renewal, None);
}

pub(crate) async fn another_databases_guard_is_no_guard(place: Place) {
    let other = Place::sqlite();
    let db = other.open().await;
    step!(db, txn => txn.put_session(LOGIN, "a.0", b"record").await);
    db.close().await;
    let db = place.open().await;
    step!(db, txn => txn.put_session(LOGIN, "a.0", b"record").await);
    db.close().await;
    std::fs::copy(other.guard(), place.guard()).unwrap();
    let (db, report) = place.try_open().await.unwrap();
    assert_eq!(report.renewal, Some(Renewal::GuardMissing));
    db.close().await;
}

pub(crate) async fn a_new_or_unchanged_database_is_not_suspected(place: Place) {
    let (db, report) = place.try_open().await.unwrap();
    assert_eq!(report.renewal, None);
    step!(db, txn => txn.set_value("k", "v").await);
    db.close().await;
    // Nothing touched a ratchet yet, so even without its guard there is nothing to use twice.
    std::fs::remove_file(place.guard()).unwrap();
    let (db, report) = place.try_open().await.unwrap();
    assert_eq!(report.renewal, None);
    step!(db, txn => txn.put_session(LOGIN, "a.0", b"record").await);
    db.close().await;
    let (db, report) = place.try_open().await.unwrap();
    assert_eq!(report.renewal, None);
    db.close().await;
    let (db, report) = store::open(&place.uri, &place.key, None, NOW)
        .await
        .unwrap();
    assert_eq!(report.renewal, None);
    db.close().await;
}
