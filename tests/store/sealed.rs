//! Secrets at rest.

use drawbridge::store::{Lane, PollRow, PreKeyRow, ReactionRow, SignedPreKeyRow, StoreError};

use crate::{
    place::{
        LOGIN, NOW, PLAINTEXT, PORTAL, Place, chat, incoming, login, outgoing, stanza, step, user,
    },
    reactions::{message, poll, reaction},
};

const SECRET: [u8; 32] = *b"what the votes are sealed with..";

pub(crate) async fn nothing_secret_can_be_read_at_rest(place: Place) {
    let db = place.open().await;
    step!(db, txn => {
        txn.insert_login(&login(LOGIN, "alice-visible")).await?;
        txn.put_session(LOGIN, "a.0", PLAINTEXT).await?;
        let key = PreKeyRow { id: 1, record: PLAINTEXT.to_vec(), uploaded: false };
        txn.insert_prekeys(LOGIN, &[key], 2).await?;
        let key = SignedPreKeyRow { id: 1, record: PLAINTEXT.to_vec(), created_at: NOW };
        txn.put_signed_prekey(LOGIN, &key, 3).await?;
        txn.queue(&outgoing("a")).await?;
        txn.put_remote_message(&incoming("m")).await?;
        let kept = txn.waiting_messages(LOGIN, &chat(1), 1).await?.first().map_or(0, |row| row.seq);
        txn.finish_message(kept, 0, true).await?;
        txn.revise_message(LOGIN, &chat(1), &user(1), &stanza("m"), PLAINTEXT).await?;
        let text = String::from_utf8_lossy(PLAINTEXT);
        txn.put_reaction(&reaction("m", "$reaction", &text)).await?;
        txn.put_poll(&PollRow { question: text.into_owned(), secret: Some(SECRET), ..poll("p") }).await
    });
    // What is not secret is found, so the search does search.
    assert!(place.contains(b"alice-visible").await);
    assert!(place.contains(b"$reaction").await && place.contains(b"$poll-p").await);
    assert!(!place.contains(PLAINTEXT).await);
    assert!(!place.contains(&SECRET).await);
    for option in poll("p").options {
        assert!(!place.contains(option.text.as_bytes()).await);
    }
    // The secrets of a login are stored as JSON, where bytes are written as numbers.
    let numbers: Vec<_> = PLAINTEXT.iter().map(u8::to_string).collect();
    assert!(!place.contains(numbers.join(",").as_bytes()).await);
    assert!(!place.contains(&place.key).await);
    db.close().await;
    assert!(!place.contains(PLAINTEXT).await);
}

pub(crate) async fn a_row_moved_elsewhere_does_not_open(place: Place) {
    let db = place.open().await;
    step!(db, txn => {
        txn.put_session(LOGIN, "a.0", b"for a").await?;
        txn.put_session(LOGIN, "b.0", b"for b").await?;
        txn.queue(&outgoing("x")).await?;
        txn.queue(&outgoing("y")).await?;
        txn.put_remote_message(&incoming("1")).await?;
        txn.put_remote_message(&incoming("2")).await
    });
    db.close().await;
    for (table, column, key) in [
        ("sessions", "record", "address = 'a.0'"),
        ("outbox", "plaintext", "stanza_id = 'x'"),
        ("remote_messages", "plaintext", "stanza_id = '1'"),
    ] {
        place
            .sql(&format!(
                "UPDATE {table} SET {column} = (SELECT {column} FROM {table} WHERE NOT ({key})) WHERE {key}"
            ))
            .await;
    }
    let db = place.open().await;
    let session = db
        .read(|txn| Box::pin(async move { txn.session(LOGIN, "a.0").await }))
        .await;
    assert!(matches!(
        session,
        Err(StoreError::Unsealable { table: "sessions" })
    ));
    let retry = db
        .step(Lane::login(LOGIN), |txn| {
            Box::pin(async move { txn.retryable(LOGIN, &stanza("x")).await })
        })
        .await;
    assert!(matches!(
        retry,
        Err(StoreError::Unsealable { table: "outbox" })
    ));
    let message = db
        .read(|txn| Box::pin(async move { txn.waiting_messages(LOGIN, &chat(1), 9).await }))
        .await;
    assert!(matches!(
        message,
        Err(StoreError::Unsealable {
            table: "remote_messages"
        })
    ));
    // The rows that were not touched still open.
    assert_eq!(
        step!(db, txn => txn.session(LOGIN, "b.0").await),
        Some(b"for b".to_vec())
    );
    db.close().await;
}

pub(crate) async fn a_poll_or_reaction_moved_elsewhere_does_not_open(place: Place) {
    let db = place.open().await;
    step!(db, txn => {
        for id in ["1", "2"] {
            txn.put_poll(&poll(id)).await?;
            txn.put_reaction(&reaction(id, &format!("$to-{id}"), "👍")).await?;
        }
        // The other side's and the login's own of the same message.
        txn.put_reaction(&ReactionRow { by: None, ..reaction("3", "$own", "👍") }).await?;
        txn.put_reaction(&reaction("3", "$theirs", "👍")).await
    });
    db.close().await;
    for (table, column, from, to) in [
        ("polls", "secret", "stanza_id = '2'", "stanza_id = '1'"),
        ("polls", "content", "stanza_id = '1'", "stanza_id = '2'"),
        ("reactions", "emoji", "stanza_id = '2'", "stanza_id = '1'"),
        (
            "reactions",
            "emoji",
            "event_id = '$theirs'",
            "event_id = '$own'",
        ),
    ] {
        place
            .sql(&format!(
                "UPDATE {table} SET {column} = (SELECT {column} FROM {table} WHERE {from}) WHERE {to}"
            ))
            .await;
    }
    let db = place.open().await;
    for id in ["1", "2"] {
        let refused = db
            .read(move |txn| Box::pin(async move { txn.poll(PORTAL, &message(id)).await }))
            .await;
        assert!(matches!(
            refused,
            Err(StoreError::Unsealable { table: "polls" })
        ));
    }
    for event in ["$to-1", "$own"] {
        let refused = db
            .read(move |txn| Box::pin(async move { txn.reaction_by_event(PORTAL, event).await }))
            .await;
        assert!(matches!(
            refused,
            Err(StoreError::Unsealable { table: "reactions" })
        ));
    }
    // The rows that were not touched still open.
    for event in ["$to-2", "$theirs"] {
        assert!(step!(db, txn => txn.reaction_by_event(PORTAL, event).await).is_some());
    }
    db.close().await;
}

pub(crate) async fn another_key_is_refused(mut place: Place) {
    place.open().await.close().await;
    place.key = [43; 32];
    let refused = place.try_open().await.err();
    assert!(
        matches!(refused, Some(StoreError::Unsealable { .. })),
        "{refused:?}"
    );
    // And that changed nothing.
    place.key = [42; 32];
    place.open().await.close().await;
}
