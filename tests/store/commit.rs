//! The group commit.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use drawbridge::{
    domain::LoginId,
    store::{Database, Lane, StoreError},
};

use crate::place::{LOGIN, Place, outgoing, stanza, step};

async fn queue(db: &Database, id: String) -> Result<bool, StoreError> {
    db.step(Lane::login(LOGIN), move |txn| {
        let row = outgoing(&id);
        Box::pin(async move { txn.queue(&row).await })
    })
    .await
}

async fn ratchet_commits(db: &Database) -> i64 {
    db.read(|txn| Box::pin(async move { txn.ratchet_commits().await }))
        .await
        .unwrap()
        .into_iter()
        .map(|(_, commits)| commits)
        .sum()
}

pub(crate) async fn many_steps_share_few_commits_and_keep_their_order(place: Place) {
    let db = place.open().await;
    // So few are polled, and so given, in their order.
    for round in 0..6 {
        let steps: Vec<_> = (0..30)
            .map(|n| queue(&db, format!("{round}-{n:02}")))
            .collect();
        let queued = futures_util::future::join_all(steps).await;
        assert!(queued.into_iter().all(Result::unwrap));
    }
    let rows = step!(db, txn => txn.queued(LOGIN, 0, 999).await);
    let ids: Vec<_> = rows.iter().map(|row| row.row.stanza_id.as_str()).collect();
    assert_eq!(ids.len(), 180);
    assert!(ids.is_sorted());
    let commits = ratchet_commits(&db).await;
    assert!(
        (6..60).contains(&commits),
        "{commits} commits for 180 steps"
    );
    db.close().await;
}

pub(crate) async fn a_failing_step_fails_alone(place: Place) {
    let db = place.open().await;
    let steps = (0..60).map(|n| {
        let db = db.clone();
        async move {
            db.step(Lane::login(LOGIN), move |txn| {
                let row = outgoing(&format!("{n:03}"));
                Box::pin(async move {
                    txn.queue(&row).await?;
                    if n % 7 == 3 {
                        return Err(StoreError::Closed);
                    }
                    Ok(())
                })
            })
            .await
        }
    });
    let outcomes = futures_util::future::join_all(steps).await;
    for (n, outcome) in outcomes.iter().enumerate() {
        assert_eq!(outcome.is_err(), n % 7 == 3, "{n}");
        let id = stanza(&format!("{n:03}"));
        let known = db
            .read(move |txn| {
                let id = id.clone();
                Box::pin(async move { txn.outbox_knows(LOGIN, &id).await })
            })
            .await
            .unwrap();
        assert_eq!(known, n % 7 != 3, "{n}");
    }
    db.close().await;
}

pub(crate) async fn a_panicking_step_fails_alone(place: Place) {
    let db = place.open().await;
    let bad = db.step(Lane::login(LOGIN), |txn| {
        Box::pin(async move {
            txn.queue(&outgoing("bad")).await?;
            assert!(
                !txn.touched_ratchets(),
                "a step that panics, as this test wants"
            );
            Ok(())
        })
    });
    let (first, bad, last) = tokio::join!(
        queue(&db, "first".to_owned()),
        bad,
        queue(&db, "last".to_owned())
    );
    assert!(first.unwrap() && last.unwrap());
    assert!(matches!(bad, Err(StoreError::Panicked)));
    assert!(!step!(db, txn => txn.outbox_knows(LOGIN, &stanza("bad")).await));
    // The writer is still there.
    assert!(queue(&db, "later".to_owned()).await.unwrap());
    db.close().await;
}

pub(crate) async fn a_step_that_swallows_an_error_is_not_called_done(place: Place) {
    let db = place.open().await;
    let outcome = db
        .step(Lane::login(LOGIN), |txn| {
            Box::pin(async move {
                txn.queue(&outgoing("a")).await?;
                // Fails on both engines: the number of the database's row is taken.
                let _ = txn.create_instance(&[0; 16]).await;
                Ok(())
            })
        })
        .await;
    let stored = step!(db, txn => txn.outbox_knows(LOGIN, &stanza("a")).await);
    // SQLite goes on after a failed statement and commits the rest; Postgres cannot. Either way the answer is true.
    assert_eq!(outcome.is_ok(), stored);
    db.close().await;
}

pub(crate) async fn close_finishes_what_was_given(place: Place) {
    let db = place.open().await;
    let ran = Arc::new(AtomicUsize::new(0));
    let mut given = Vec::new();
    for n in 0..300 {
        let (db, ran) = (db.clone(), ran.clone());
        given.push(tokio::spawn(async move {
            let outcome = queue(&db, format!("{n}")).await;
            if outcome.is_ok() {
                ran.fetch_add(1, Ordering::SeqCst);
            }
            outcome.is_ok()
        }));
    }
    tokio::task::yield_now().await;
    db.close().await;
    let mut answered = 0;
    for task in given {
        answered += usize::from(task.await.unwrap());
    }
    assert!(matches!(
        queue(&db, "late".to_owned()).await,
        Err(StoreError::Closed)
    ));
    let db = place.open().await;
    let length = step!(db, txn => txn.queue_length(LOGIN).await);
    assert_eq!(usize::try_from(length).unwrap(), answered);
    db.close().await;
}

pub(crate) async fn reads_see_what_is_committed_and_cannot_write(place: Place) {
    let db = place.open().await;
    step!(db, txn => txn.queue(&outgoing("a")).await);
    let known = db
        .read(|txn| Box::pin(async move { txn.outbox_knows(LOGIN, &stanza("a")).await }))
        .await
        .unwrap();
    assert!(known);
    let written = db
        .read(|txn| Box::pin(async move { txn.set_value("k", "v").await }))
        .await;
    assert!(matches!(written, Err(StoreError::Database(_))));
    // A login that has its own lane is not held back by a step that waits in another.
    let other = db
        .step(Lane::login(LoginId(8)), |txn| {
            Box::pin(async move { txn.value("k").await })
        })
        .await
        .unwrap();
    assert_eq!(other, None);
    db.close().await;
}
