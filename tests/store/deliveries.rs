//! Events on their way to the chats of their room, and what their neighbours need: values that several change, notices.

use drawbridge::{
    domain::PortalId,
    store::{DeliveryRow, MatrixEventRow, NewRemoteMessage, RemoteNotice},
};

use crate::place::{LOGIN, NOW, PORTAL, Place, chat, incoming, step};

const OTHER: PortalId = PortalId(71);

fn ids(rows: Vec<DeliveryRow>) -> Vec<String> {
    rows.into_iter().map(|row| row.event.event_id).collect()
}

fn event(id: &str) -> MatrixEventRow {
    MatrixEventRow {
        event_id: id.to_owned(),
        room_id: "!a".to_owned(),
        json: format!("{{\"event_id\":\"{id}\"}}"),
        quarantine: None,
    }
}

pub(crate) async fn an_event_goes_to_each_portal_by_itself(place: Place) {
    let db = place.open().await;
    let waiting = step!(db, txn => {
        let events = [event("$1"), event("$2")];
        txn.accept_transaction("t", b"hash", &events, NOW).await?;
        txn.waiting_events("!a", 9).await
    });
    step!(db, txn => {
        let waiting = txn.waiting_events("!a", 9).await?;
        txn.hand_on(&waiting[0], &[PORTAL, OTHER], None).await?;
        txn.hand_on(&waiting[1], &[PORTAL], Some(OTHER)).await
    });
    assert!(step!(db, txn => txn.waiting_rooms().await).is_empty());
    let mut portals = step!(db, txn => txn.portals_waiting().await);
    portals.sort_unstable();
    assert_eq!(portals, [PORTAL, OTHER]);
    let rows = step!(db, txn => txn.deliveries(PORTAL, 9).await);
    assert_eq!(rows[0].event, waiting[0]);
    assert_eq!((rows[0].source, rows[1].source), (None, Some(OTHER)));
    assert_eq!(ids(rows), ["$1", "$2"]);
    let seq = waiting[0].seq;
    step!(db, txn => txn.finish_delivery(OTHER, seq).await);
    // What one chat has is what the others wait for still.
    assert_eq!(step!(db, txn => txn.portals_waiting().await), [PORTAL]);
    assert_eq!(step!(db, txn => txn.deliveries(PORTAL, 1).await).len(), 1);
    db.close().await;
}

pub(crate) async fn an_event_that_is_handled_is_not_handed_on_again(place: Place) {
    let db = place.open().await;
    step!(db, txn => {
        txn.accept_transaction("t", b"hash", &[event("$1")], NOW).await?;
        let waiting = txn.waiting_events("!a", 9).await?;
        txn.hand_on(&waiting[0], &[PORTAL], None).await?;
        txn.finish_delivery(PORTAL, waiting[0].seq).await?;
        txn.hand_on(&waiting[0], &[PORTAL], None).await
    });
    assert!(step!(db, txn => txn.portals_waiting().await).is_empty());
    db.close().await;
}

pub(crate) async fn a_value_is_replaced_only_if_nobody_else_did(place: Place) {
    let db = place.open().await;
    let cases = [
        (None, Some("a"), true, Some("a")),
        (None, Some("b"), false, Some("a")),
        (Some("b"), Some("c"), false, Some("a")),
        (Some("a"), Some("c"), true, Some("c")),
        (Some("a"), None, false, Some("c")),
        (Some("c"), None, true, None),
    ];
    for (before, after, replaced, left) in cases {
        let done = step!(db, txn => txn.replace_value("key", before, after).await);
        assert_eq!(done, replaced, "{before:?} {after:?}");
        let value = step!(db, txn => txn.value("key").await);
        assert_eq!(value.as_deref(), left);
    }
    db.close().await;
}

pub(crate) async fn notices_are_found_behind_messages(place: Place) {
    let db = place.open().await;
    step!(db, txn => {
        txn.put_remote_message(&incoming("said")).await?;
        let notice = Some(RemoteNotice::Reachability { accepted: true });
        txn.put_remote_message(&NewRemoteMessage { plaintext: None, notice, ..incoming("told") }).await
    });
    let notices = step!(db, txn => txn.waiting_notices(LOGIN, &chat(1), 9).await);
    assert_eq!(notices.len(), 1);
    assert_eq!(notices[0].message.stanza_id.as_str(), "told");
    let (seq, revision) = (notices[0].seq, notices[0].revision);
    assert!(step!(db, txn => txn.finish_message(seq, revision, false).await));
    assert!(step!(db, txn => txn.waiting_notices(LOGIN, &chat(1), 9).await).is_empty());
    assert_eq!(
        step!(db, txn => txn.waiting_messages(LOGIN, &chat(1), 9).await).len(),
        1
    );
    db.close().await;
}
