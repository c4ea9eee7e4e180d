//! Rooms that mirror several chats: in which order, who speaks for others, and what goes with a portal.

use drawbridge::{
    domain::{ChatId, GatekeeperId, LoginId, PortalId, PortalKey},
    store::{
        ExpiryRow, MessageLink, NewOutboxRow, NewRemoteMessage, NoticeRow, PollRow, PortalRow,
        ReactionRow, StoreError, StoreTxn,
    },
};

use crate::{
    place::{
        LOGIN, NOW, PORTAL, Place, chat, gatekeeper, incoming, login, outgoing, stanza, step, user,
    },
    reactions::{poll, reaction},
};

const ROOM: &str = "!r:example.org";
/// A smaller number than [`PORTAL`]: numbers are drawn at random and say nothing about age.
const OTHER: PortalId = PortalId(5);

fn direct(number: u32, login: LoginId) -> PortalKey {
    PortalKey {
        gatekeeper: gatekeeper(),
        chat: chat(number),
        login: Some(login),
    }
}

fn group() -> PortalKey {
    PortalKey {
        gatekeeper: gatekeeper(),
        chat: ChatId::parse("5@g.us").unwrap(),
        login: None,
    }
}

pub(crate) async fn a_room_mirrors_several_chats_in_order(place: Place) {
    let db = place.open().await;
    step!(db, txn => {
        for (id, key) in [(PORTAL, direct(1, LOGIN)), (OTHER, group()), (PortalId(60), direct(2, LOGIN))] {
            txn.ensure_portal(&key, id).await?;
            txn.set_portal_room(id, Some(ROOM)).await?;
        }
        // Said again it stays where it is.
        txn.set_portal_room(PORTAL, Some(ROOM)).await?;
        txn.ensure_portal(&direct(3, LOGIN), PortalId(61)).await?;
        txn.set_portal_room(PortalId(61), Some("!other:example.org")).await
    });
    let ids = |rows: Vec<PortalRow>| -> Vec<i64> { rows.into_iter().map(|row| row.id.0).collect() };
    assert_eq!(
        ids(step!(db, txn => txn.portals_in(ROOM).await)),
        [70, 5, 60]
    );
    assert_eq!(step!(db, txn => txn.portal_rooms().await).len(), 2);
    assert_eq!(step!(db, txn => txn.portals().await).len(), 4);
    // One that left and came back is the last.
    step!(db, txn => {
        txn.set_portal_room(PORTAL, None).await?;
        txn.set_portal_room(PORTAL, Some(ROOM)).await
    });
    assert_eq!(
        ids(step!(db, txn => txn.portals_in(ROOM).await)),
        [5, 60, 70]
    );
    db.close().await;
}

pub(crate) async fn knows_who_speaks_and_whose_room_it_is(place: Place) {
    let db = place.open().await;
    step!(db, txn => txn.ensure_portal(&group(), PORTAL).await);
    step!(db, txn => txn.ensure_portal(&direct(1, LOGIN), OTHER).await);
    step!(db, txn => txn.set_portal_relay(PORTAL, Some(LOGIN)).await);
    step!(db, txn => txn.set_portal_linked(PORTAL, true).await);
    let found = step!(db, txn => txn.portal_by_id(PORTAL).await).unwrap();
    assert_eq!((found.relay, found.linked), (Some(LOGIN), true));
    let other = step!(db, txn => txn.portal_by_id(OTHER).await).unwrap();
    assert_eq!((other.relay, other.linked), (None, false));
    step!(db, txn => txn.set_portal_relay(PORTAL, None).await);
    step!(db, txn => txn.set_portal_linked(PORTAL, false).await);
    let found = step!(db, txn => txn.portal_by_id(PORTAL).await).unwrap();
    assert_eq!((found.relay, found.linked), (None, false));
    db.close().await;
}

/// Puts one of everything that belongs to a portal.
async fn furnish(txn: &mut dyn StoreTxn, portal: PortalId) -> Result<(), StoreError> {
    txn.put_link(&MessageLink {
        portal,
        event_id: "$l".to_owned(),
        stanza_id: stanza("l"),
        sender: Some(user(1)),
        part: 0,
        sent_at: NOW,
    })
    .await?;
    txn.put_reaction(&ReactionRow {
        portal,
        ..reaction("m", "$r", "👍")
    })
    .await?;
    txn.put_poll(&PollRow {
        portal,
        ..poll("p")
    })
    .await?;
    txn.put_expiry(&ExpiryRow {
        portal,
        event_id: "$e".to_owned(),
        at: NOW,
    })
    .await?;
    let notice = NoticeRow {
        event_id: "$n".to_owned(),
        text: "a notice".to_owned(),
    };
    txn.put_notice(portal, "about", &notice).await
}

pub(crate) async fn a_portal_goes_with_its_messages_and_nothing_else(place: Place) {
    let db = place.open().await;
    step!(db, txn => {
        txn.insert_login(&login(LOGIN, "alice")).await?;
        for (id, key) in [(PORTAL, direct(1, LOGIN)), (OTHER, group())] {
            txn.ensure_portal(&key, id).await?;
            txn.set_portal_room(id, Some(ROOM)).await?;
            furnish(txn, id).await?;
        }
        txn.put_session(LOGIN, "a.0", b"record").await?;
        txn.queue(&outgoing("waits")).await?;
        txn.put_remote_message(&incoming("in")).await?;
        txn.delete_portal(PORTAL).await
    });
    for (portal, kept) in [(PORTAL, false), (OTHER, true)] {
        let found = step!(db, txn => Ok([
            txn.portal_by_id(portal).await?.is_some(),
            !txn.links_by_event(portal, "$l").await?.is_empty(),
            txn.reaction_by_event(portal, "$r").await?.is_some(),
            txn.poll_by_event(portal, "$poll-p").await?.is_some(),
            txn.notice(portal, "about").await?.is_some(),
            txn.expired(NOW, 9).await?.iter().any(|row| row.portal == portal),
        ]));
        assert_eq!(found, [kept; 6]);
    }
    assert_eq!(step!(db, txn => txn.portals_in(ROOM).await).len(), 1);
    assert!(step!(db, txn => txn.login(LOGIN).await).is_some());
    assert!(step!(db, txn => txn.session(LOGIN, "a.0").await).is_some());
    assert_eq!(step!(db, txn => txn.queue_length(LOGIN).await), 1);
    assert_eq!(step!(db, txn => txn.waiting_chats().await).len(), 1);
    db.close().await;
}

pub(crate) async fn tells_which_login_wrote_a_message(place: Place) {
    let db = place.open().await;
    step!(db, txn => {
        txn.insert_login(&login(LOGIN, "alice")).await?;
        txn.queue(&outgoing("sent")).await?;
        txn.queue(&outgoing("waits")).await?;
        txn.queue(&NewOutboxRow { part: -1, ..outgoing("reaction") }).await?;
        txn.queue(&outgoing("refused")).await?;
        let rows = txn.queued(LOGIN, 0, 9).await?;
        txn.acknowledged(LOGIN, &stanza("sent"), rows[0].seq, NOW).await?;
        txn.refused(LOGIN, &stanza("refused"), rows[3].seq, "no").await?;
        txn.put_link(&MessageLink {
            portal: PORTAL,
            event_id: "$theirs".to_owned(),
            stanza_id: stanza("theirs"),
            sender: Some(user(1)),
            part: 0,
            sent_at: NOW,
        }).await
    });
    for (id, author) in [
        ("sent", Some(LOGIN)),
        ("waits", Some(LOGIN)),
        ("reaction", None),
        ("refused", None),
        ("theirs", None),
        ("unknown", None),
    ] {
        let found = step!(db, txn => txn.author(PORTAL, &stanza(id)).await);
        assert_eq!(found, author, "{id}");
    }
    assert_eq!(
        step!(db, txn => txn.author(OTHER, &stanza("sent")).await),
        None
    );
    // From its link alone, once the outbox has forgotten it.
    step!(db, txn => txn.prune_outbox(NOW.plus_millis(1)).await);
    assert_eq!(
        step!(db, txn => txn.author(PORTAL, &stanza("sent")).await),
        Some(LOGIN)
    );
    // A login that is gone wrote nothing; that it was one of ours stays known.
    step!(db, txn => txn.delete_login(LOGIN).await);
    assert_eq!(
        step!(db, txn => txn.author(PORTAL, &stanza("sent")).await),
        None
    );
    let links = step!(db, txn => txn.links_by_stanza(PORTAL, None, &stanza("sent")).await);
    assert_eq!(links.len(), 1);
    db.close().await;
}

fn in_group(login: LoginId, id: &str) -> NewRemoteMessage {
    NewRemoteMessage {
        login,
        chat: group().chat,
        ..incoming(id)
    }
}

pub(crate) async fn a_message_of_a_group_is_known_from_another_login(place: Place) {
    let db = place.open().await;
    let chat: fn() -> ChatId = || group().chat;
    let elsewhere = LoginId(9);
    step!(db, txn => {
        txn.insert_login(&login(LOGIN, "alice")).await?;
        txn.insert_login(&login(LoginId(8), "bob")).await?;
        let mut other = login(elsewhere, "carol");
        other.gatekeeper = GatekeeperId::parse("messenger").unwrap();
        txn.insert_login(&other).await
    });
    let asked = |login, id: &'static str| {
        let db = &db;
        async move {
            step!(db, txn => txn.handled_by_another(login, &chat(), &user(1), &stanza(id)).await)
        }
    };
    step!(db, txn => {
        txn.put_remote_message(&in_group(LoginId(8), "m")).await?;
        txn.put_remote_message(&NewRemoteMessage { plaintext: None, ..in_group(LoginId(8), "u") }).await?;
        txn.put_remote_message(&in_group(elsewhere, "f")).await
    });
    assert_eq!(asked(LOGIN, "m").await, None);
    step!(db, txn => {
        for login in [LoginId(8), elsewhere] {
            for row in txn.waiting_messages(login, &chat(), 9).await? {
                txn.finish_message(row.seq, row.revision, false).await?;
            }
        }
        Ok(())
    });
    assert_eq!(asked(LOGIN, "m").await, Some(true));
    assert_eq!(asked(LOGIN, "u").await, Some(false));
    assert_eq!(asked(LOGIN, "f").await, None);
    assert_eq!(asked(LoginId(8), "m").await, None);
    db.close().await;
}
