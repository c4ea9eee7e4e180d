//! Portals, ghosts, management rooms.

use drawbridge::{
    domain::{ChatId, GroupRole, LoginId, PortalId, PortalKey},
    store::{GhostRow, NameSource},
};

use crate::place::{LOGIN, PORTAL, Place, chat, gatekeeper, step, user};

fn direct(login: LoginId) -> PortalKey {
    PortalKey {
        gatekeeper: gatekeeper(),
        chat: chat(1),
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

pub(crate) async fn a_portal_is_made_once(place: Place) {
    let db = place.open().await;
    assert!(step!(db, txn => txn.portal(&direct(LOGIN)).await).is_none());
    let made = step!(db, txn => txn.ensure_portal(&direct(LOGIN), PORTAL).await);
    assert_eq!(
        (made.id, made.room_id.clone(), made.ready),
        (PORTAL, None, false)
    );
    let again = step!(db, txn => txn.ensure_portal(&direct(LOGIN), PortalId(71)).await);
    assert_eq!(again, made);
    assert_eq!(
        step!(db, txn => txn.portal(&direct(LOGIN)).await),
        Some(made.clone())
    );
    assert_eq!(step!(db, txn => txn.portal_by_id(PORTAL).await), Some(made));
    db.close().await;
}

pub(crate) async fn a_group_is_shared_and_a_direct_chat_is_not(place: Place) {
    let db = place.open().await;
    step!(db, txn => txn.ensure_portal(&direct(LOGIN), PortalId(1)).await);
    let other = step!(db, txn => txn.ensure_portal(&direct(LoginId(8)), PortalId(2)).await);
    assert_eq!(other.id, PortalId(2));
    step!(db, txn => txn.ensure_portal(&group(), PortalId(3)).await);
    let shared = step!(db, txn => txn.ensure_portal(&group(), PortalId(4)).await);
    assert_eq!((shared.id, shared.key), (PortalId(3), group()));
    assert_eq!(step!(db, txn => txn.portals_of(LOGIN).await).len(), 1);
    db.close().await;
}

pub(crate) async fn knows_rooms_and_readiness(place: Place) {
    let db = place.open().await;
    step!(db, txn => txn.ensure_portal(&direct(LOGIN), PORTAL).await);
    step!(db, txn => txn.set_portal_room(PORTAL, Some("!r:example.org")).await);
    step!(db, txn => txn.set_portal_ready(PORTAL, true).await);
    let found = step!(db, txn => txn.portals_in("!r:example.org").await).remove(0);
    assert_eq!((found.id, found.ready), (PORTAL, true));
    assert_eq!(
        step!(db, txn => txn.portal_rooms().await),
        ["!r:example.org"]
    );
    step!(db, txn => txn.set_portal_room(PORTAL, None).await);
    assert!(step!(db, txn => txn.portals_in("!r:example.org").await).is_empty());
    assert!(step!(db, txn => txn.portal_rooms().await).is_empty());
    db.close().await;
}

pub(crate) async fn keeps_ghosts(place: Place) {
    let db = place.open().await;
    let ghost = |name: Option<&str>, registered| GhostRow {
        gatekeeper: gatekeeper(),
        remote_id: user(1),
        mxid: "@_drawbridge_whatsapp_1:example.org".to_owned(),
        registered,
        name: name.map(str::to_owned),
        name_source: NameSource::Profile,
        picture: Some("p1".to_owned()),
        avatar: None,
    };
    assert_eq!(
        step!(db, txn => txn.ghost(&gatekeeper(), &user(1)).await),
        None
    );
    step!(db, txn => txn.put_ghost(&ghost(None, false)).await);
    step!(db, txn => txn.put_ghost(&ghost(Some("Bob"), true)).await);
    let found = step!(db, txn => txn.ghost(&gatekeeper(), &user(1)).await);
    assert_eq!(found, Some(ghost(Some("Bob"), true)));
    let by_id = step!(db, txn => txn.ghost_by_mxid("@_drawbridge_whatsapp_1:example.org").await);
    assert_eq!(by_id, found);
    assert_eq!(
        step!(db, txn => txn.ghost_by_mxid("@x:example.org").await),
        None
    );
    db.close().await;
}

pub(crate) async fn finds_ghosts_nobody_needs(place: Place) {
    let db = place.open().await;
    let ghost = |number, registered, name_source| GhostRow {
        gatekeeper: gatekeeper(),
        remote_id: user(number),
        mxid: format!("@_drawbridge_whatsapp_{number}:example.org"),
        registered,
        name: None,
        name_source,
        picture: None,
        avatar: None,
    };
    // One has a chat, one is in a group, one was given a name, and one is no account yet.
    step!(db, txn => txn.put_ghost(&ghost(1, true, NameSource::Address)).await);
    step!(db, txn => txn.put_ghost(&ghost(2, true, NameSource::Profile)).await);
    step!(db, txn => txn.put_ghost(&ghost(3, true, NameSource::Address)).await);
    step!(db, txn => txn.put_ghost(&ghost(4, true, NameSource::Contact)).await);
    step!(db, txn => txn.put_ghost(&ghost(5, false, NameSource::Address)).await);
    step!(db, txn => txn.ensure_portal(&direct(LOGIN), PORTAL).await);
    let role = Some(GroupRole::Member);
    step!(db, txn => txn.set_group_role(&gatekeeper(), &group().chat, &user(3), role).await);
    let unused = step!(db, txn => txn.unused_ghosts().await);
    assert_eq!(unused, [ghost(2, true, NameSource::Profile)]);
    step!(db, txn => txn.delete_ghost(&gatekeeper(), &user(2)).await);
    assert_eq!(step!(db, txn => txn.unused_ghosts().await), []);
    db.close().await;
}

pub(crate) async fn keeps_one_management_room_a_user(place: Place) {
    let db = place.open().await;
    step!(db, txn => txn.set_management_room("@a:x", Some("!1:x")).await);
    step!(db, txn => txn.set_management_room("@a:x", Some("!2:x")).await);
    assert_eq!(
        step!(db, txn => txn.management_room("@a:x").await).as_deref(),
        Some("!2:x")
    );
    assert_eq!(
        step!(db, txn => txn.management_room_owner("!1:x").await),
        None
    );
    // The room goes to whoever was given it last.
    step!(db, txn => txn.set_management_room("@b:x", Some("!2:x")).await);
    assert_eq!(
        step!(db, txn => txn.management_room_owner("!2:x").await).as_deref(),
        Some("@b:x")
    );
    assert_eq!(step!(db, txn => txn.management_room("@a:x").await), None);
    step!(db, txn => txn.set_management_room("@b:x", None).await);
    assert_eq!(step!(db, txn => txn.management_room("@b:x").await), None);
    db.close().await;
}
