//! Reactions and polls.

use drawbridge::{
    domain::{MessageRef, PortalId},
    store::{Database, PollOption, PollRow, ReactionRow},
};

use crate::place::{PORTAL, Place, stanza, step, user};

pub(crate) fn message(id: &str) -> MessageRef {
    MessageRef {
        id: stanza(id),
        sender: Some(user(1)),
    }
}

pub(crate) fn reaction(id: &str, event: &str, emoji: &str) -> ReactionRow {
    ReactionRow {
        portal: PORTAL,
        message: message(id),
        by: Some(user(2)),
        event_id: event.to_owned(),
        emoji: emoji.to_owned(),
    }
}

pub(crate) fn poll(id: &str) -> PollRow {
    let option = |id: &str, text: &str| PollOption {
        id: id.to_owned(),
        text: text.to_owned(),
    };
    PollRow {
        portal: PORTAL,
        message: message(id),
        event_id: format!("$poll-{id}"),
        secret: Some([9; 32]),
        question: "Where to?".to_owned(),
        options: vec![option("a", "To the sea"), option("b", "To \"the\" hills")],
        selectable: 1,
        author: Some(user(3)),
    }
}

pub(crate) async fn a_person_has_one_reaction_to_a_message(place: Place) {
    let db = place.open().await;
    step!(db, txn => txn.put_reaction(&reaction("m", "$1", "👍")).await);
    step!(db, txn => txn.put_reaction(&reaction("m", "$2", "❤️")).await);
    let found = step!(db, txn => txn.reaction(PORTAL, &message("m"), Some(&user(2))).await);
    assert_eq!(found, Some(reaction("m", "$2", "❤️")));
    // By its event, and not by the one it took the place of.
    let by_event = step!(db, txn => txn.reaction_by_event(PORTAL, "$2").await);
    assert_eq!(by_event, found);
    for (portal, event) in [(PORTAL, "$1"), (PortalId(71), "$2")] {
        let none = step!(db, txn => txn.reaction_by_event(portal, event).await);
        assert_eq!(none, None);
    }
    db.close().await;
}

/// Reactions that differ in one thing each.
fn different() -> [ReactionRow; 5] {
    let to_own = MessageRef {
        sender: None,
        ..message("m")
    };
    [
        reaction("m", "$1", "1"),
        ReactionRow {
            by: None,
            ..reaction("m", "$2", "2")
        },
        ReactionRow {
            message: to_own.clone(),
            ..reaction("m", "$3", "3")
        },
        ReactionRow {
            message: to_own,
            by: None,
            ..reaction("m", "$4", "4")
        },
        ReactionRow {
            portal: PortalId(71),
            ..reaction("m", "$5", "5")
        },
    ]
}

async fn find(db: &Database, row: &ReactionRow) -> Option<ReactionRow> {
    let row = row.clone();
    db.read(move |txn| {
        let row = row.clone();
        Box::pin(async move {
            txn.reaction(row.portal, &row.message, row.by.as_ref())
                .await
        })
    })
    .await
    .unwrap()
}

pub(crate) async fn reactions_of_others_and_to_others_are_apart(place: Place) {
    let db = place.open().await;
    step!(db, txn => {
        for row in different() {
            txn.put_reaction(&row).await?;
        }
        Ok(())
    });
    for row in different() {
        assert_eq!(find(&db, &row).await, Some(row));
    }
    assert!(step!(db, txn => txn.delete_reaction(PORTAL, &message("m"), None).await));
    assert!(!step!(db, txn => txn.delete_reaction(PORTAL, &message("m"), None).await));
    for row in different() {
        let expected = (row.event_id != "$2").then(|| row.clone());
        assert_eq!(find(&db, &row).await, expected);
    }
    db.close().await;
}

pub(crate) async fn a_poll_is_found_both_ways_and_stays_as_it_is(place: Place) {
    let db = place.open().await;
    step!(db, txn => txn.put_poll(&poll("p")).await);
    step!(db, txn => {
        let other = PollRow { secret: Some([1; 32]), event_id: "$again".to_owned(), ..poll("p") };
        txn.put_poll(&other).await
    });
    let found = step!(db, txn => txn.poll(PORTAL, &message("p")).await);
    assert_eq!(found, Some(poll("p")));
    assert_eq!(
        step!(db, txn => txn.poll_by_event(PORTAL, "$poll-p").await),
        found
    );
    assert_eq!(
        step!(db, txn => txn.poll_by_event(PORTAL, "$again").await),
        None
    );
    let own = step!(db, txn => {
        txn.poll(PORTAL, &MessageRef { sender: None, ..message("p") }).await
    });
    assert_eq!(own, None);
    db.close().await;
}

pub(crate) async fn a_poll_of_the_login_without_a_secret_is_kept(place: Place) {
    let db = place.open().await;
    let given = || PollRow {
        message: MessageRef {
            sender: None,
            ..message("p")
        },
        secret: None,
        options: Vec::new(),
        selectable: u32::MAX,
        ..poll("p")
    };
    step!(db, txn => txn.put_poll(&given()).await);
    let found = step!(db, txn => txn.poll(PORTAL, &given().message).await);
    assert_eq!(found, Some(given()));
    db.close().await;
}
