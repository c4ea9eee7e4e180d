//! Accounts of one's own on either side, blocked users, who was asked to be reachable, contacts.

use drawbridge::{
    domain::{
        GatekeeperId, GroupMember, GroupRole, LoginId, PortalId, PortalKey, Reachability,
        RemoteUserId,
    },
    store::{Database, GhostRow, LoginState, NameSource, PuppetRow, ReachabilityRow, StoreError},
};

use crate::{
    groups::group,
    place::{LOGIN, NOW, PLAINTEXT, Place, chat, gatekeeper, login, step, user},
};

const ALICE: &str = "@alice:example.org";
const BOB: &str = "@bob:example.org";
const OTHER: LoginId = LoginId(8);

fn puppet(mxid: &str, token: &str) -> PuppetRow {
    PuppetRow {
        mxid: mxid.to_owned(),
        token: token.to_owned(),
    }
}

pub(crate) async fn keeps_one_token_a_puppet_sealed(place: Place) {
    let db = place.open().await;
    let secret = str::from_utf8(PLAINTEXT).unwrap();
    step!(db, txn => {
        txn.put_puppet(&puppet(ALICE, "old")).await?;
        txn.put_puppet(&puppet(ALICE, secret)).await?;
        txn.put_puppet(&puppet(BOB, "bob's")).await
    });
    let found = step!(db, txn => txn.puppet(ALICE).await).unwrap();
    assert_eq!((found.mxid.as_str(), found.token.as_str()), (ALICE, secret));
    assert!(!format!("{found:?}").contains(secret));
    assert!(place.contains(ALICE.as_bytes()).await && !place.contains(PLAINTEXT).await);
    step!(db, txn => txn.delete_puppet(ALICE).await);
    assert!(step!(db, txn => txn.puppet(ALICE).await).is_none());
    assert!(step!(db, txn => txn.puppet(BOB).await).is_some());
    db.close().await;
}

pub(crate) async fn one_puppets_token_is_not_anothers(place: Place) {
    let db = place.open().await;
    step!(db, txn => {
        txn.put_puppet(&puppet(ALICE, "alice's")).await?;
        txn.put_puppet(&puppet(BOB, "bob's")).await
    });
    db.close().await;
    place
        .sql("UPDATE puppets SET token = (SELECT token FROM puppets WHERE mxid = '@alice:example.org') WHERE mxid = '@bob:example.org'")
        .await;
    let db = place.open().await;
    let read = db
        .read(|txn| Box::pin(async move { txn.puppet(BOB).await }))
        .await;
    assert!(matches!(
        read,
        Err(StoreError::Unsealable { table: "puppets" })
    ));
    assert!(step!(db, txn => txn.puppet(ALICE).await).is_some());
    db.close().await;
}

pub(crate) async fn an_account_has_one_owner(place: Place) {
    let db = place.open().await;
    let messenger: fn() -> GatekeeperId = || GatekeeperId::parse("messenger").unwrap();
    step!(db, txn => {
        txn.set_account_owner(&gatekeeper(), &user(1), Some(BOB)).await?;
        txn.set_account_owner(&gatekeeper(), &user(1), Some(ALICE)).await?;
        txn.set_account_owner(&messenger(), &user(1), Some(ALICE)).await?;
        txn.set_account_owner(&gatekeeper(), &user(2), Some(BOB)).await
    });
    let owner = |of: fn() -> GatekeeperId, number| {
        let db = &db;
        async move {
            step!(db, txn => {
                let of = of();
                txn.owner_of_account(&of, &user(number)).await
            })
        }
    };
    assert_eq!(owner(gatekeeper, 1).await.as_deref(), Some(ALICE));
    assert_eq!(owner(gatekeeper, 3).await, None);
    assert_eq!(
        step!(db, txn => txn.own_accounts(ALICE).await),
        [(messenger(), user(1)), (gatekeeper(), user(1))]
    );
    step!(db, txn => txn.set_account_owner(&gatekeeper(), &user(1), None).await);
    assert_eq!(owner(gatekeeper, 1).await, None);
    assert_eq!(owner(messenger, 1).await.as_deref(), Some(ALICE));
    assert_eq!(owner(gatekeeper, 2).await.as_deref(), Some(BOB));
    db.close().await;
}

pub(crate) async fn blocks_are_of_one_login(place: Place) {
    let db = place.open().await;
    step!(db, txn => {
        for number in [2, 1, 2] {
            txn.set_blocked(LOGIN, &user(number), true).await?;
        }
        txn.set_blocked(OTHER, &user(1), true).await?;
        txn.set_blocked(LOGIN, &user(3), false).await
    });
    assert_eq!(
        step!(db, txn => txn.blocked(LOGIN).await),
        [user(1), user(2)]
    );
    step!(db, txn => txn.set_blocked(LOGIN, &user(1), false).await);
    assert_eq!(step!(db, txn => txn.blocked(LOGIN).await), [user(2)]);
    assert_eq!(step!(db, txn => txn.blocked(OTHER).await), [user(1)]);
    db.close().await;
}

pub(crate) async fn knows_the_last_word_of_who_was_asked(place: Place) {
    let db = place.open().await;
    let asked = |number, state, after| ReachabilityRow {
        user: user(number),
        state,
        asked_at: NOW.plus_millis(after),
    };
    step!(db, txn => {
        for row in [
            asked(1, Reachability::Asked, 0), asked(2, Reachability::Accepted, 5),
            asked(3, Reachability::Declined, 3), asked(1, Reachability::Declined, 9),
        ] {
            txn.put_reachability(LOGIN, &row).await?;
        }
        txn.put_reachability(OTHER, &asked(1, Reachability::Asked, 0)).await
    });
    assert_eq!(
        step!(db, txn => txn.reachabilities(LOGIN).await),
        [
            asked(1, Reachability::Declined, 9),
            asked(2, Reachability::Accepted, 5),
            asked(3, Reachability::Declined, 3)
        ]
    );
    assert_eq!(
        step!(db, txn => txn.reachabilities(OTHER).await),
        [asked(1, Reachability::Asked, 0)]
    );
    db.close().await;
}

fn ghost(number: u32, name: Option<&str>) -> GhostRow {
    GhostRow {
        gatekeeper: gatekeeper(),
        remote_id: user(number),
        mxid: format!("@_drawbridge_whatsapp_{number}:example.org"),
        registered: true,
        name: name.map(str::to_owned),
        name_source: NameSource::Contact,
        picture: None,
        avatar: None,
    }
}

/// Two logins, each with a direct chat and a group.
async fn with_contacts(place: &Place) -> Database {
    let db = place.open().await;
    step!(db, txn => {
        for (number, name) in [
            (1, Some("zoe")), (2, Some("Ärger 100%")), (3, None), (4, Some("Bob_x")), (5, Some("Stranger")), (6, Some("Gone")),
        ] {
            txn.put_ghost(&ghost(number, name)).await?;
        }
        for (id, own) in [(LOGIN, "1-7@interop"), (OTHER, "1-8@interop")] {
            txn.insert_login(&login(id, own)).await?;
            txn.set_login_state(id, LoginState::Active, Some(own)).await?;
        }
        for (portal, number, login) in [(1, 1, LOGIN), (2, 2, LOGIN), (3, 5, OTHER)] {
            let key = PortalKey { gatekeeper: gatekeeper(), chat: chat(number), login: Some(login) };
            txn.ensure_portal(&key, PortalId(portal)).await?;
        }
        let member = |user| GroupMember { user, role: GroupRole::Member };
        let own = |own: &str| member(RemoteUserId::parse(own).unwrap());
        let list = [own("1-7@interop"), member(user(1)), member(user(3)), member(user(4)), member(user(6))];
        txn.set_group_members(&gatekeeper(), &group(1), &list).await?;
        txn.set_member_shown(&gatekeeper(), &group(1), &user(6), Some(GroupRole::Member)).await?;
        txn.set_group_role(&gatekeeper(), &group(1), &user(6), None).await?;
        let list = [own("1-8@interop"), member(user(5))];
        txn.set_group_members(&gatekeeper(), &group(2), &list).await
    });
    db
}

async fn found(
    db: &Database,
    login: LoginId,
    text: Option<&'static str>,
    limit: i64,
) -> Vec<String> {
    step!(db, txn => txn.contacts(login, text, limit).await)
        .into_iter()
        .map(|ghost| {
            ghost
                .remote_id
                .as_str()
                .split('@')
                .next()
                .unwrap()
                .to_owned()
        })
        .collect()
}

pub(crate) async fn contacts_are_those_of_chats_and_groups(place: Place) {
    let db = with_contacts(&place).await;
    assert_eq!(found(&db, LOGIN, None, 9).await, ["3", "4", "1", "2"]);
    assert_eq!(found(&db, LOGIN, None, 2).await, ["3", "4"]);
    assert_eq!(found(&db, OTHER, None, 9).await, ["5"]);
    assert!(found(&db, LoginId(99), None, 9).await.is_empty());
    // A login that is not in the group any more has nobody there.
    step!(db, txn => {
        let own = RemoteUserId::parse("1-7@interop").unwrap();
        txn.set_group_role(&gatekeeper(), &group(1), &own, None).await
    });
    assert_eq!(found(&db, LOGIN, None, 9).await, ["1", "2"]);
    db.close().await;
}

pub(crate) async fn contacts_are_found_by_name_and_address(place: Place) {
    let db = with_contacts(&place).await;
    for (text, expected) in [
        ("ZO", vec!["1"]),
        ("ärger", vec!["2"]),
        ("ÄRGER", vec!["2"]),
        ("3@s.whatsapp", vec!["3"]),
        ("+ 3", vec!["3"]),
        ("s.whatsapp.net", vec!["3", "4", "1", "2"]),
        ("stranger", vec![]),
        // What stands for anything in a pattern stands for itself here.
        ("%", vec!["2"]),
        ("_", vec!["4"]),
        ("b_x", vec!["4"]),
        ("\\", vec![]),
        ("'", vec![]),
    ] {
        assert_eq!(found(&db, LOGIN, Some(text), 9).await, expected, "{text}");
    }
    assert_eq!(found(&db, LOGIN, Some("whatsapp"), 1).await, ["3"]);
    db.close().await;
}
