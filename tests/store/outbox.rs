//! Stanzas on their way to the gatekeeper.

use drawbridge::store::OutboxKind;

use crate::place::{LOGIN, NOW, PLAINTEXT, PORTAL, Place, outgoing, stanza, step};

pub(crate) async fn queues_a_stanza_once_in_order(place: Place) {
    let db = place.open().await;
    for id in ["a", "b", "c"] {
        assert!(step!(db, txn => txn.queue(&outgoing(id)).await));
    }
    assert!(!step!(db, txn => txn.queue(&outgoing("a")).await));
    assert!(step!(db, txn => txn.outbox_knows(LOGIN, &stanza("a")).await));
    assert!(!step!(db, txn => txn.outbox_knows(LOGIN, &stanza("z")).await));
    assert_eq!(step!(db, txn => txn.queue_length(LOGIN).await), 3);
    let first = step!(db, txn => txn.queued(LOGIN, 0, 2).await);
    assert_eq!(first.len(), 2);
    assert_eq!(first[0].row.payload, b"payload of a");
    assert_eq!(first[0].row.event_id.as_deref(), Some("$event-a"));
    let after = first[1].seq;
    let rest = step!(db, txn => txn.queued(LOGIN, after, 9).await);
    assert_eq!(rest.len(), 1);
    assert_eq!(rest[0].row.stanza_id, stanza("c"));
    db.close().await;
}

pub(crate) async fn an_acknowledged_message_is_linked_and_can_be_retried(place: Place) {
    let db = place.open().await;
    step!(db, txn => txn.queue(&outgoing("a")).await);
    let seq = step!(db, txn => txn.queued(LOGIN, 0, 9).await)[0].seq;
    let row = step!(db, txn => txn.acknowledged(LOGIN, &stanza("a"), seq, NOW).await).unwrap();
    assert_eq!(row.row.event_id.as_deref(), Some("$event-a"));
    assert!(step!(db, txn => txn.acknowledged(LOGIN, &stanza("a"), seq, NOW).await).is_none());
    assert!(step!(db, txn => txn.queued(LOGIN, 0, 9).await).is_empty());
    assert!(!step!(db, txn => txn.queue(&outgoing("a")).await));
    let links = step!(db, txn => txn.links_by_event(PORTAL, "$event-a").await);
    assert_eq!(links.len(), 1);
    assert_eq!(
        (links[0].stanza_id.clone(), links[0].sender.clone()),
        (stanza("a"), None)
    );
    let (kept, answered) = step!(db, txn => txn.retryable(LOGIN, &stanza("a")).await).unwrap();
    assert_eq!((kept.row.plaintext.as_slice(), answered), (PLAINTEXT, 0));
    step!(db, txn => txn.delivered(LOGIN, &stanza("a")).await);
    assert!(step!(db, txn => txn.retryable(LOGIN, &stanza("a")).await).is_none());
    assert!(step!(db, txn => txn.outbox_knows(LOGIN, &stanza("a")).await));
    db.close().await;
}

pub(crate) async fn a_retry_goes_behind_what_was_sent(place: Place) {
    let db = place.open().await;
    step!(db, txn => txn.queue(&outgoing("a")).await);
    let seq = step!(db, txn => txn.queued(LOGIN, 0, 9).await)[0].seq;
    step!(db, txn => txn.acknowledged(LOGIN, &stanza("a"), seq, NOW).await);
    step!(db, txn => txn.queue(&outgoing("b")).await);
    let sent = step!(db, txn => txn.queued(LOGIN, 0, 9).await)[0].seq;
    step!(db, txn => txn.requeue(LOGIN, &stanza("a"), b"again").await);
    let next = step!(db, txn => txn.queued(LOGIN, sent, 9).await);
    assert_eq!(next.len(), 1);
    assert_eq!(
        (
            next[0].row.stanza_id.clone(),
            next[0].row.payload.as_slice()
        ),
        (stanza("a"), &b"again"[..])
    );
    let (kept, answered) = step!(db, txn => txn.retryable(LOGIN, &stanza("a")).await).unwrap();
    assert_eq!((kept.row.plaintext.as_slice(), answered), (PLAINTEXT, 1));
    let seq = next[0].seq;
    step!(db, txn => txn.acknowledged(LOGIN, &stanza("a"), seq, NOW).await);
    assert_eq!(
        step!(db, txn => txn.links_by_event(PORTAL, "$event-a").await).len(),
        1
    );
    db.close().await;
}

pub(crate) async fn an_answer_for_an_earlier_copy_changes_nothing(place: Place) {
    let db = place.open().await;
    step!(db, txn => txn.queue(&outgoing("a")).await);
    let first = step!(db, txn => txn.queued(LOGIN, 0, 9).await)[0].seq;
    let (acknowledged, refused) = step!(db, txn => {
        txn.requeue(LOGIN, &stanza("a"), b"again").await?;
        let acknowledged = txn.acknowledged(LOGIN, &stanza("a"), first, NOW).await?;
        let refused = txn.refused(LOGIN, &stanza("a"), first, "no such user").await?;
        Ok((acknowledged, refused))
    });
    assert!(acknowledged.is_none() && refused.is_none());
    let queued = step!(db, txn => txn.queued(LOGIN, 0, 9).await);
    assert_eq!(queued.len(), 1);
    assert_eq!(queued[0].row.payload, b"again");
    assert!(step!(db, txn => txn.links_by_event(PORTAL, "$event-a").await).is_empty());
    assert!(step!(db, txn => txn.retryable(LOGIN, &stanza("a")).await).is_some());
    let second = queued[0].seq;
    assert_ne!(second, first);
    assert!(step!(db, txn => txn.acknowledged(LOGIN, &stanza("a"), second, NOW).await).is_some());
    db.close().await;
}

pub(crate) async fn a_refused_message_leaves_without_plaintext(place: Place) {
    let db = place.open().await;
    step!(db, txn => txn.queue(&outgoing("a")).await);
    let seq = step!(db, txn => txn.queued(LOGIN, 0, 9).await)[0].seq;
    let row =
        step!(db, txn => txn.refused(LOGIN, &stanza("a"), seq, "no such user").await).unwrap();
    assert_eq!(row.row.event_id.as_deref(), Some("$event-a"));
    assert!(step!(db, txn => txn.refused(LOGIN, &stanza("a"), seq, "again").await).is_none());
    assert!(step!(db, txn => txn.retryable(LOGIN, &stanza("a")).await).is_none());
    assert_eq!(step!(db, txn => txn.queue_length(LOGIN).await), 0);
    assert!(!step!(db, txn => txn.queue(&outgoing("a")).await));
    assert!(step!(db, txn => txn.links_by_event(PORTAL, "$event-a").await).is_empty());
    db.close().await;
}

pub(crate) async fn a_receipt_is_acknowledged_without_a_link(place: Place) {
    let db = place.open().await;
    step!(db, txn => {
        let mut row = outgoing("r");
        row.kind = OutboxKind::Receipt;
        row.plaintext = Vec::new();
        row.portal = None;
        row.event_id = None;
        txn.queue(&row).await
    });
    let queued = step!(db, txn => txn.queued(LOGIN, 0, 9).await);
    assert_eq!(queued[0].row.kind, OutboxKind::Receipt);
    let seq = queued[0].seq;
    let row = step!(db, txn => txn.acknowledged(LOGIN, &stanza("r"), seq, NOW).await).unwrap();
    assert_eq!(row.row.kind, OutboxKind::Receipt);
    assert!(step!(db, txn => txn.retryable(LOGIN, &stanza("r")).await).is_none());
    assert!(step!(db, txn => txn.links_by_stanza(PORTAL, None, &stanza("r")).await).is_empty());
    db.close().await;
}

pub(crate) async fn forgets_what_was_sent_and_is_old(place: Place) {
    let db = place.open().await;
    step!(db, txn => txn.queue(&outgoing("sent")).await);
    step!(db, txn => txn.queue(&outgoing("waits")).await);
    let seq = step!(db, txn => txn.queued(LOGIN, 0, 9).await)[0].seq;
    step!(db, txn => txn.acknowledged(LOGIN, &stanza("sent"), seq, NOW).await);
    assert_eq!(step!(db, txn => txn.prune_outbox(NOW).await), 0);
    assert_eq!(
        step!(db, txn => txn.prune_outbox(NOW.plus_millis(1)).await),
        1
    );
    assert!(!step!(db, txn => txn.outbox_knows(LOGIN, &stanza("sent")).await));
    assert!(step!(db, txn => txn.outbox_knows(LOGIN, &stanza("waits")).await));
    db.close().await;
}
