//! Which event is which message.

use drawbridge::{
    domain::{ChatId, LoginId, PortalId, PortalKey, Timestamp},
    store::{MessageLink, NewRemoteMessage},
};

use crate::place::{LOGIN, NOW, PORTAL, Place, gatekeeper, incoming, stanza, step, user};

fn link(event: &str, id: &str, part: i64, sent_at: i64) -> MessageLink {
    MessageLink {
        portal: PORTAL,
        event_id: event.to_owned(),
        stanza_id: stanza(id),
        sender: Some(user(1)),
        part,
        sent_at: Timestamp(NOW.0 + sent_at),
    }
}

pub(crate) async fn finds_both_ways_in_order_of_part(place: Place) {
    let db = place.open().await;
    step!(db, txn => {
        // One message that became two events, and one event that became two messages.
        txn.put_link(&link("$e2", "m", 1, 0)).await?;
        txn.put_link(&link("$e1", "m", 0, 0)).await?;
        txn.put_link(&MessageLink { sender: None, ..link("$long", "b", 1, 0) }).await?;
        txn.put_link(&MessageLink { sender: None, ..link("$long", "a", 0, 0) }).await
    });
    let events = step!(db, txn => txn.links_by_stanza(PORTAL, Some(&user(1)), &stanza("m")).await);
    let events: Vec<_> = events.iter().map(|link| link.event_id.as_str()).collect();
    assert_eq!(events, ["$e1", "$e2"]);
    let messages = step!(db, txn => txn.links_by_event(PORTAL, "$long").await);
    let messages: Vec<_> = messages
        .iter()
        .map(|link| link.stanza_id.as_str())
        .collect();
    assert_eq!(messages, ["a", "b"]);
    let own = step!(db, txn => txn.links_by_stanza(PORTAL, None, &stanza("m")).await);
    assert!(own.is_empty());
    db.close().await;
}

pub(crate) async fn a_link_stays_as_it_is(place: Place) {
    let db = place.open().await;
    step!(db, txn => txn.put_link(&link("$e", "first", 0, 0)).await);
    step!(db, txn => txn.put_link(&link("$e", "second", 0, 5)).await);
    let links = step!(db, txn => txn.links_by_event(PORTAL, "$e").await);
    assert_eq!(links, [link("$e", "first", 0, 0)]);
    db.close().await;
}

pub(crate) async fn reads_up_to_an_event_once(place: Place) {
    let db = place.open().await;
    step!(db, txn => {
        for n in 1..=4 {
            if n == 3 {
                txn.put_link(&MessageLink { sender: None, ..link("$own", "own", 0, 0) }).await?;
            }
            txn.put_link(&link(&format!("$e{n}"), &format!("m{n}"), 0, 0)).await?;
        }
        Ok(())
    });
    let unread = step!(db, txn => txn.unread_up_to(PORTAL, LOGIN, "$own").await);
    let ids: Vec<_> = unread.iter().map(|link| link.stanza_id.as_str()).collect();
    assert_eq!(ids, ["m1", "m2"]);
    step!(db, txn => txn.set_read_up_to(PORTAL, LOGIN, "$own").await);
    assert!(step!(db, txn => txn.unread_up_to(PORTAL, LOGIN, "$own").await).is_empty());
    let rest = step!(db, txn => txn.unread_up_to(PORTAL, LOGIN, "$e4").await);
    assert_eq!(rest.len(), 2);
    assert!(step!(db, txn => txn.unread_up_to(PORTAL, LOGIN, "$unknown").await).is_empty());
    db.close().await;
}

pub(crate) async fn a_late_message_of_the_same_second_is_still_unread(place: Place) {
    let db = place.open().await;
    step!(db, txn => txn.put_link(&link("$1", "m1", 0, 0)).await);
    step!(db, txn => txn.set_read_up_to(PORTAL, LOGIN, "$1").await);
    step!(db, txn => txn.put_link(&link("$2", "m2", 0, 0)).await);
    let unread = step!(db, txn => txn.unread_up_to(PORTAL, LOGIN, "$2").await);
    assert_eq!(unread.len(), 1);
    assert_eq!(unread[0].stanza_id, stanza("m2"));
    db.close().await;
}

pub(crate) async fn finds_the_newest_of_messages_of_one_second(place: Place) {
    let db = place.open().await;
    step!(db, txn => {
        for n in 1..=3 {
            txn.put_link(&MessageLink { sender: None, ..link(&format!("$e{n}"), &format!("m{n}"), 0, 0) }).await?;
        }
        txn.put_link(&link("$theirs", "m4", 0, 0)).await
    });
    // In the order a receipt may name them.
    let newest = step!(db, txn => {
        let ids = ["m3", "m1", "m2", "m4", "unknown"].map(stanza);
        txn.newest_own(PORTAL, &ids).await
    });
    assert_eq!(newest.map(|link| link.event_id).as_deref(), Some("$e3"));
    assert!(step!(db, txn => txn.newest_own(PORTAL, &[]).await).is_none());
    db.close().await;
}

pub(crate) async fn the_newest_unread_is_the_last_of_its_room_until_a_time(place: Place) {
    let db = place.open().await;
    let late = Timestamp(NOW.0 + 5000);
    assert_eq!(
        step!(db, txn => txn.newest_unread(PORTAL, LOGIN, late).await),
        None
    );
    step!(db, txn => {
        txn.put_link(&link("$1", "m1", 0, 0)).await?;
        txn.put_link(&MessageLink { sent_at: late, ..link("$2", "m2", 0, 0) }).await?;
        txn.put_link(&MessageLink { sender: None, ..link("$3", "m3", 0, 0) }).await?;
        txn.put_link(&MessageLink { portal: PortalId(71), ..link("$4", "m4", 0, 0) }).await
    });
    let newest = step!(db, txn => txn.newest_unread(PORTAL, LOGIN, late).await);
    assert_eq!(newest.map(|link| link.event_id).as_deref(), Some("$2"));
    let newest = step!(db, txn => txn.newest_unread(PORTAL, LOGIN, NOW).await);
    assert_eq!(newest.map(|link| link.event_id).as_deref(), Some("$1"));
    step!(db, txn => txn.set_read_up_to(PORTAL, LOGIN, "$1").await);
    assert_eq!(
        step!(db, txn => txn.newest_unread(PORTAL, LOGIN, NOW).await),
        None
    );
    db.close().await;
}

pub(crate) async fn forgets_an_event_with_all_its_parts(place: Place) {
    let db = place.open().await;
    step!(db, txn => {
        txn.put_link(&link("$1", "m1", 0, 0)).await?;
        txn.put_link(&link("$2", "m2", 0, 0)).await?;
        txn.put_link(&link("$2", "m3", 1, 0)).await?;
        txn.put_link(&MessageLink { portal: PortalId(71), ..link("$2", "m2", 0, 0) }).await?;
        txn.delete_links(PORTAL, "$2").await
    });
    assert!(step!(db, txn => txn.links_by_event(PORTAL, "$2").await).is_empty());
    let rest = step!(db, txn => txn.links_by_event(PORTAL, "$1").await);
    assert_eq!(rest, [link("$1", "m1", 0, 0)]);
    assert_eq!(
        step!(db, txn => txn.links_by_event(PortalId(71), "$2").await).len(),
        1
    );
    db.close().await;
}

pub(crate) async fn every_login_of_a_group_reads_for_itself(place: Place) {
    let db = place.open().await;
    let second = LoginId(8);
    step!(db, txn => {
        let chat = ChatId::parse("5@g.us").unwrap();
        let key = PortalKey { gatekeeper: gatekeeper(), chat: chat.clone(), login: None };
        txn.ensure_portal(&key, PORTAL).await?;
        for n in 1..=3 {
            txn.put_link(&link(&format!("$e{n}"), &format!("m{n}"), 0, 0)).await?;
            let message = NewRemoteMessage {
                chat: chat.clone(), sender: user(1), ..incoming(&format!("m{n}"))
            };
            txn.put_remote_message(&message).await?;
            // The second login came into the group after the first message.
            if n > 1 {
                txn.put_remote_message(&NewRemoteMessage { login: second, ..message }).await?;
            }
        }
        txn.set_read_up_to(PORTAL, LOGIN, "$e2").await
    });
    let unread = |login| {
        let db = db.clone();
        async move {
            let unread = step!(db, txn => txn.unread_up_to(PORTAL, login, "$e3").await);
            unread
                .into_iter()
                .map(|link| link.event_id)
                .collect::<Vec<_>>()
        }
    };
    assert_eq!(unread(LOGIN).await, ["$e3"]);
    assert_eq!(unread(second).await, ["$e2", "$e3"]);
    step!(db, txn => txn.set_read_up_to(PORTAL, second, "$e3").await);
    // Reading further up changes nothing.
    step!(db, txn => txn.set_read_up_to(PORTAL, second, "$e1").await);
    assert!(unread(second).await.is_empty());
    assert_eq!(unread(LOGIN).await, ["$e3"]);
    db.close().await;
}
