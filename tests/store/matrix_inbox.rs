//! The inbox of Matrix events, and single values.

use drawbridge::{domain::Timestamp, store::MatrixEventRow};

use crate::place::{NOW, Place, step};

fn event(id: &str, room: &str) -> MatrixEventRow {
    MatrixEventRow {
        event_id: id.to_owned(),
        room_id: room.to_owned(),
        json: format!("{{\"event_id\":\"{id}\"}}"),
        quarantine: None,
    }
}

pub(crate) async fn takes_a_transaction_once(place: Place) {
    let db = place.open().await;
    let events = || [event("$1", "!a"), event("$2", "!b"), event("$3", "!a")];
    let first = step!(db, txn => txn.accept_transaction("t", b"hash", &events(), NOW).await);
    assert_eq!(first.new_events, 3);
    assert_eq!(first.rooms, ["!a", "!b"]);
    let again = step!(db, txn => txn.accept_transaction("t", b"hash", &events(), NOW).await);
    // Nothing is new, but whoever took them may not have announced them.
    assert_eq!((again.new_events, again.rooms), (0, first.rooms));
    let mut rooms = step!(db, txn => txn.waiting_rooms().await);
    rooms.sort();
    assert_eq!(rooms, ["!a", "!b"]);
    for event in step!(db, txn => txn.waiting_events("!a", 9).await) {
        assert!(step!(db, txn => txn.finish_event(event.seq).await));
    }
    let last = step!(db, txn => txn.accept_transaction("t", b"hash", &events(), NOW).await);
    assert_eq!(last.rooms, ["!b"]);
    db.close().await;
}

pub(crate) async fn takes_an_event_once_whatever_its_transaction(place: Place) {
    let db = place.open().await;
    step!(db, txn => txn.accept_transaction("t1", b"h1", &[event("$1", "!a")], NOW).await);
    let seq = step!(db, txn => txn.waiting_events("!a", 9).await)[0].seq;
    assert!(step!(db, txn => txn.finish_event(seq).await));
    let second = step!(db, txn =>
        txn.accept_transaction("t2", b"h2", &[event("$1", "!a"), event("$2", "!a")], NOW).await);
    assert_eq!(second.new_events, 1);
    let waiting = step!(db, txn => txn.waiting_events("!a", 9).await);
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0].event_id, "$2");
    assert!(!step!(db, txn => txn.finish_event(seq).await));
    db.close().await;
}

pub(crate) async fn the_same_id_with_other_content_is_another_transaction(place: Place) {
    let db = place.open().await;
    step!(db, txn => txn.accept_transaction("1", b"h1", &[event("$1", "!a")], NOW).await);
    let other =
        step!(db, txn => txn.accept_transaction("1", b"h2", &[event("$2", "!a")], NOW).await);
    assert_eq!(other.new_events, 1);
    db.close().await;
}

pub(crate) async fn keeps_the_order_of_arrival_a_room(place: Place) {
    let db = place.open().await;
    for batch in 0..5 {
        step!(db, txn => {
            let events: Vec<_> = (0..10)
                .map(|n| event(&format!("${batch}-{n}"), if n % 2 == 0 { "!a" } else { "!b" }))
                .collect();
            txn.accept_transaction(&format!("t{batch}"), b"h", &events, NOW).await
        });
    }
    let waiting = step!(db, txn => txn.waiting_events("!a", 7).await);
    let ids: Vec<_> = waiting
        .iter()
        .map(|event| event.event_id.as_str())
        .collect();
    assert_eq!(
        ids,
        ["$0-0", "$0-2", "$0-4", "$0-6", "$0-8", "$1-0", "$1-2"]
    );
    assert!(
        waiting
            .iter()
            .all(|event| event.received_at == NOW && event.room_id == "!a")
    );
    assert_eq!(waiting[0].json, "{\"event_id\":\"$0-0\"}");
    db.close().await;
}

pub(crate) async fn sets_aside_and_brings_back(place: Place) {
    let db = place.open().await;
    let accepted = step!(db, txn => {
        let mut bad = event("$bad", "!a");
        bad.quarantine = Some("no sender".to_owned());
        txn.accept_transaction("t", b"h", &[bad, event("$ok", "!a")], NOW).await
    });
    assert_eq!(accepted.new_events, 2);
    let ok = step!(db, txn => txn.waiting_events("!a", 9).await);
    assert_eq!(ok.len(), 1);
    let seq = ok[0].seq;
    step!(db, txn => txn.quarantine_event(seq, "it broke").await);
    let aside = step!(db, txn => txn.quarantined_events(9).await);
    let reasons: Vec<_> = aside.iter().map(|event| event.reason.as_str()).collect();
    assert_eq!(reasons, ["no sender", "it broke"]);
    assert!(step!(db, txn => txn.waiting_rooms().await).is_empty());
    let room = step!(db, txn => txn.retry_quarantined(seq).await);
    assert_eq!(room.as_deref(), Some("!a"));
    assert_eq!(step!(db, txn => txn.retry_quarantined(seq).await), None);
    let back = step!(db, txn => txn.waiting_events("!a", 9).await);
    assert_eq!(back[0].json, ok[0].json);
    db.close().await;
}

pub(crate) async fn forgets_what_is_handled_and_old(place: Place) {
    let db = place.open().await;
    step!(db, txn => txn
        .accept_transaction("t", b"h", &[event("$1", "!a"), event("$2", "!a")], NOW)
        .await);
    let seq = step!(db, txn => txn.waiting_events("!a", 1).await)[0].seq;
    step!(db, txn => txn.finish_event(seq).await);
    assert_eq!(step!(db, txn => txn.prune_matrix_inbox(NOW).await), 0);
    let later = Timestamp(NOW.0 + 1);
    assert_eq!(step!(db, txn => txn.prune_matrix_inbox(later).await), 2);
    let left = step!(db, txn => txn.waiting_events("!a", 9).await);
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].event_id, "$2");
    db.close().await;
}

pub(crate) async fn keeps_single_values(place: Place) {
    let db = place.open().await;
    assert_eq!(step!(db, txn => txn.value("sync").await), None);
    step!(db, txn => txn.set_value("sync", "s1").await);
    step!(db, txn => txn.set_value("sync", "s2").await);
    assert_eq!(
        step!(db, txn => txn.value("sync").await).as_deref(),
        Some("s2")
    );
    db.close().await;
}

pub(crate) async fn finds_values_by_how_their_keys_begin(place: Place) {
    let db = place.open().await;
    step!(db, txn => {
        for key in ["a/2", "a/1", "a_1", "ab", "A/3", "b/1"] {
            txn.set_value(key, &format!("of {key}")).await?;
        }
        Ok(())
    });
    let found = step!(db, txn => txn.values("a/").await);
    let expected = [("a/1", "of a/1"), ("a/2", "of a/2")];
    assert_eq!(found, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
    assert!(step!(db, txn => txn.values("%").await).is_empty());
    step!(db, txn => txn.delete_value("a/1").await);
    step!(db, txn => txn.delete_value("a/1").await);
    assert_eq!(step!(db, txn => txn.values("a/").await).len(), 1);
    assert_eq!(step!(db, txn => txn.value("a/1").await), None);
    db.close().await;
}
