//! Signal state.

use drawbridge::store::{PreKeyRow, SignedPreKeyRow};

use crate::place::{LOGIN, NOW, Place, login, step};

pub(crate) async fn keeps_the_newest_session_record(place: Place) {
    let db = place.open().await;
    assert_eq!(step!(db, txn => txn.session(LOGIN, "a.0").await), None);
    step!(db, txn => txn.put_session(LOGIN, "a.0", b"one").await);
    step!(db, txn => txn.put_session(LOGIN, "a.0", b"two").await);
    step!(db, txn => txn.put_session(LOGIN, "b.1", &vec![9; 200_000]).await);
    let record = step!(db, txn => txn.session(LOGIN, "a.0").await);
    assert_eq!(record.as_deref(), Some(&b"two"[..]));
    let all = step!(db, txn => txn.sessions(LOGIN).await);
    assert_eq!(all.len(), 2);
    assert_eq!(
        (all[0].address.as_str(), all[1].record.len()),
        ("a.0", 200_000)
    );
    db.close().await;
}

pub(crate) async fn keeps_identities_and_when_a_session_was_remade(place: Place) {
    let db = place.open().await;
    step!(db, txn => txn.set_session_remade(LOGIN, "a.0", NOW).await);
    assert_eq!(step!(db, txn => txn.identity(LOGIN, "a.0").await), None);
    step!(db, txn => txn.put_identity(LOGIN, "a.0", &[5; 33]).await);
    step!(db, txn => txn.put_identity(LOGIN, "b.0", &[6; 33]).await);
    let identity = step!(db, txn => txn.identity(LOGIN, "a.0").await);
    assert_eq!(identity, Some(vec![5; 33]));
    assert_eq!(
        step!(db, txn => txn.session_remade_at(LOGIN, "a.0").await),
        Some(NOW)
    );
    assert_eq!(
        step!(db, txn => txn.session_remade_at(LOGIN, "b.0").await),
        None
    );
    db.close().await;
}

pub(crate) async fn uses_up_one_time_prekeys(place: Place) {
    let db = place.open().await;
    step!(db, txn => txn.insert_login(&login(LOGIN, "alice")).await);
    step!(db, txn => {
        let keys: Vec<_> = (1..=5)
            .map(|id| PreKeyRow { id, record: vec![u8::try_from(id).unwrap()], uploaded: false })
            .collect();
        txn.insert_prekeys(LOGIN, &keys, 6).await
    });
    assert_eq!(
        step!(db, txn => txn.login(LOGIN).await)
            .unwrap()
            .next_prekey_id,
        6
    );
    step!(db, txn => txn.confirm_prekeys(LOGIN, &[1, 2, 3]).await);
    let left: Vec<_> = step!(db, txn => txn.unconfirmed_prekeys(LOGIN).await)
        .into_iter()
        .map(|key| (key.id, key.record))
        .collect();
    assert_eq!(left, [(4, vec![4]), (5, vec![5])]);
    let key = step!(db, txn => txn.prekey(LOGIN, 2).await).unwrap();
    assert_eq!((key.record, key.uploaded), (vec![2], true));
    step!(db, txn => txn.delete_prekey(LOGIN, 2).await);
    assert_eq!(step!(db, txn => txn.prekey(LOGIN, 2).await), None);
    db.close().await;
}

pub(crate) async fn keeps_the_newest_signed_prekeys(place: Place) {
    let db = place.open().await;
    step!(db, txn => txn.insert_login(&login(LOGIN, "alice")).await);
    for id in 1..=5 {
        step!(db, txn => {
            let key = SignedPreKeyRow {
                id,
                record: vec![7; 40],
                created_at: NOW.plus_millis(i64::from(id)),
            };
            txn.put_signed_prekey(LOGIN, &key, 3).await
        });
    }
    assert_eq!(
        step!(db, txn => txn.login(LOGIN).await)
            .unwrap()
            .signed_prekey_id,
        5
    );
    for (id, kept) in [(2, false), (3, true), (4, true), (5, true)] {
        let found = step!(db, txn => txn.signed_prekey(LOGIN, id).await);
        assert_eq!(found.is_some(), kept, "{id}");
    }
    let newest = step!(db, txn => txn.signed_prekey(LOGIN, 5).await).unwrap();
    assert_eq!(
        (newest.record, newest.created_at),
        (vec![7; 40], NOW.plus_millis(5))
    );
    db.close().await;
}
