//! Opening and migrating.

use drawbridge::store::{self, StoreError};

use crate::place::{LOGIN, Place, login, step};

pub(crate) async fn what_is_written_is_there_after_opening_again(place: Place) {
    let db = place.open().await;
    step!(db, txn => txn.insert_login(&login(LOGIN, "alice")).await);
    db.close().await;
    let db = place.open().await;
    let found = step!(db, txn => txn.login(LOGIN).await).unwrap();
    assert_eq!(found.secrets.registration_id, 99);
    db.close().await;
}

pub(crate) async fn a_database_of_a_newer_program_is_refused(place: Place) {
    place.open().await.close().await;
    place
        .sql(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             SELECT 9000, 'of tomorrow', success, checksum, execution_time FROM _sqlx_migrations WHERE version = 1",
        )
        .await;
    match place.try_open().await.err() {
        Some(StoreError::TooNew { found, known }) => {
            assert_eq!(found, 9000);
            assert!((1..9000).contains(&known));
        }
        other => panic!("not refused as too new: {other:?}"),
    }
}

pub(crate) async fn migrating_does_not_take_over(place: Place) {
    store::migrate(&place.uri, &place.key).await.unwrap();
    let db = place.open().await;
    store::migrate(&place.uri, &place.key).await.unwrap();
    step!(db, txn => txn.set_value("k", "v").await);
    db.close().await;
}
