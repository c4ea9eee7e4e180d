//! What senders are told of their messages.

use drawbridge::{
    domain::LoginId,
    store::{Database, NewOutboxRow, OutboxKind, SendStage, StatusReport},
};

use crate::place::{LOGIN, NOW, PORTAL, Place, chat, outgoing, stanza, step};

async fn queue(
    db: &Database,
    row: impl Fn() -> NewOutboxRow + Copy + Send + Sync + 'static,
) -> i64 {
    step!(db, txn => {
        let row = row();
        txn.queue(&row).await?;
        let queued = txn.queued(row.login, 0, 99).await?;
        Ok(queued.iter().find(|one| one.row.stanza_id == row.stanza_id).map_or(0, |one| one.seq))
    })
}

async fn send(db: &Database, id: &'static str) -> i64 {
    let seq = queue(db, move || outgoing(id)).await;
    step!(db, txn => txn.acknowledged(LOGIN, &stanza(id), seq, NOW).await);
    seq
}

async fn unreported(db: &Database) -> Vec<(i64, SendStage)> {
    step!(db, txn => txn.unreported(LOGIN, &chat(1), 99).await)
        .into_iter()
        .map(|report| (report.seq, report.stage))
        .collect()
}

pub(crate) async fn every_stage_is_to_be_reported_once(place: Place) {
    let db = place.open().await;
    let seq = queue(&db, || NewOutboxRow {
        part: 1,
        ..outgoing("a")
    })
    .await;
    assert!(unreported(&db).await.is_empty());
    assert!(step!(db, txn => txn.unreported_chats().await).is_empty());
    step!(db, txn => txn.acknowledged(LOGIN, &stanza("a"), seq, NOW.plus_millis(5)).await);
    let found = step!(db, txn => txn.unreported(LOGIN, &chat(1), 99).await);
    let report = StatusReport {
        seq,
        portal: PORTAL,
        event_id: "$event-a".to_owned(),
        part: 1,
        stage: SendStage::Sent,
        created_at: NOW,
    };
    assert_eq!(found, [report]);
    assert_eq!(
        step!(db, txn => txn.unreported_chats().await),
        [(LOGIN, chat(1))]
    );
    step!(db, txn => txn.set_reported(&[(seq, SendStage::Sent)]).await);
    assert!(unreported(&db).await.is_empty());
    assert!(step!(db, txn => txn.unreported_chats().await).is_empty());
    step!(db, txn => txn.delivered(LOGIN, &stanza("a")).await);
    assert_eq!(unreported(&db).await, [(seq, SendStage::Delivered)]);
    step!(db, txn => txn.set_reported(&[(seq, SendStage::Delivered)]).await);
    assert!(unreported(&db).await.is_empty());
    db.close().await;
}

pub(crate) async fn a_later_stage_is_not_swallowed(place: Place) {
    let db = place.open().await;
    let seq = send(&db, "a").await;
    assert_eq!(unreported(&db).await, [(seq, SendStage::Sent)]);
    // It is delivered while its sender is told that it was sent.
    step!(db, txn => txn.delivered(LOGIN, &stanza("a")).await);
    step!(db, txn => txn.set_reported(&[(seq, SendStage::Sent)]).await);
    assert_eq!(unreported(&db).await, [(seq, SendStage::Delivered)]);
    step!(db, txn => txn.set_reported(&[(seq, SendStage::Delivered)]).await);
    // Nor does a late word of an earlier stage bring it back.
    step!(db, txn => txn.set_reported(&[(seq, SendStage::Sent)]).await);
    assert!(unreported(&db).await.is_empty());
    db.close().await;
}

pub(crate) async fn a_refusal_is_reported_with_its_reason(place: Place) {
    let db = place.open().await;
    let refused = || SendStage::Refused {
        reason: "no such user".to_owned(),
    };
    let seq = queue(&db, || outgoing("a")).await;
    step!(db, txn => txn.refused(LOGIN, &stanza("a"), seq, "no such user").await);
    assert_eq!(unreported(&db).await, [(seq, refused())]);
    step!(db, txn => txn.set_reported(&[(seq, refused())]).await);
    assert!(unreported(&db).await.is_empty());
    db.close().await;
}

pub(crate) async fn a_retry_is_not_reported_as_sent_again_but_its_refusal_is(place: Place) {
    let db = place.open().await;
    for (id, told) in [("told", true), ("untold", false)] {
        let seq = send(&db, id).await;
        if told {
            step!(db, txn => txn.set_reported(&[(seq, SendStage::Sent)]).await);
        }
        step!(db, txn => txn.requeue(LOGIN, &stanza(id), b"again").await);
        assert!(unreported(&db).await.is_empty());
        let again = step!(db, txn => txn.queued(LOGIN, 0, 9).await)[0].seq;
        step!(db, txn => txn.acknowledged(LOGIN, &stanza(id), again, NOW).await);
        let expected = (!told).then_some((again, SendStage::Sent));
        assert_eq!(unreported(&db).await, Vec::from_iter(expected));
        step!(db, txn => txn.set_reported(&[(again, SendStage::Sent)]).await);
    }
    step!(db, txn => txn.requeue(LOGIN, &stanza("told"), b"once more").await);
    let seq = step!(db, txn => txn.queued(LOGIN, 0, 9).await)[0].seq;
    step!(db, txn => txn.refused(LOGIN, &stanza("told"), seq, "gone").await);
    let reason = "gone".to_owned();
    assert_eq!(
        unreported(&db).await,
        [(seq, SendStage::Refused { reason })]
    );
    db.close().await;
}

pub(crate) async fn reports_are_of_one_chat_in_order_and_only_of_events(place: Place) {
    let db = place.open().await;
    let first = send(&db, "1").await;
    let second = send(&db, "2").await;
    let third = send(&db, "3").await;
    for row in [
        || NewOutboxRow {
            kind: OutboxKind::Receipt,
            portal: None,
            event_id: None,
            ..outgoing("receipt")
        },
        || NewOutboxRow {
            chat: chat(2),
            ..outgoing("elsewhere")
        },
        || NewOutboxRow {
            login: LoginId(8),
            ..outgoing("others")
        },
    ] {
        let seq = queue(&db, row).await;
        step!(db, txn => {
            let row = row();
            txn.acknowledged(row.login, &row.stanza_id, seq, NOW).await
        });
    }
    let seqs: Vec<_> = unreported(&db).await.into_iter().map(|one| one.0).collect();
    assert_eq!(seqs, [first, second, third]);
    let two = step!(db, txn => txn.unreported(LOGIN, &chat(1), 2).await);
    assert_eq!(two.len(), 2);
    assert_eq!(
        step!(db, txn => txn.unreported_chats().await),
        [(LOGIN, chat(1)), (LOGIN, chat(2)), (LoginId(8), chat(1))]
    );
    step!(db, txn => {
        txn.set_reported(&[(first, SendStage::Sent), (third, SendStage::Sent)]).await
    });
    assert_eq!(unreported(&db).await, [(second, SendStage::Sent)]);
    db.close().await;
}

pub(crate) async fn tells_since_when_messages_wait(place: Place) {
    let db = place.open().await;
    let at = |id: &'static str, kind, millis| {
        move || NewOutboxRow {
            kind,
            created_at: NOW.plus_millis(millis),
            ..outgoing(id)
        }
    };
    assert_eq!(step!(db, txn => txn.oldest_queued(LOGIN).await), None);
    queue(&db, at("receipt", OutboxKind::Receipt, 1)).await;
    queue(&db, at("media", OutboxKind::MediaRequest, 2)).await;
    assert_eq!(step!(db, txn => txn.oldest_queued(LOGIN).await), None);
    let first = queue(&db, at("a", OutboxKind::Message, 3)).await;
    queue(&db, at("b", OutboxKind::Message, 4)).await;
    assert_eq!(
        step!(db, txn => txn.oldest_queued(LOGIN).await),
        Some(NOW.plus_millis(3))
    );
    assert_eq!(step!(db, txn => txn.oldest_queued(LoginId(8)).await), None);
    step!(db, txn => txn.acknowledged(LOGIN, &stanza("a"), first, NOW).await);
    assert_eq!(
        step!(db, txn => txn.oldest_queued(LOGIN).await),
        Some(NOW.plus_millis(4))
    );
    let kinds: Vec<_> = step!(db, txn => txn.queued(LOGIN, 0, 9).await)
        .iter()
        .map(|row| row.row.kind)
        .collect();
    assert_eq!(
        kinds,
        [
            OutboxKind::Receipt,
            OutboxKind::MediaRequest,
            OutboxKind::Message
        ]
    );
    db.close().await;
}
