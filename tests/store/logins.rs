//! Logins and everything that is theirs.

use drawbridge::{
    domain::{GroupFacts, LoginId, PortalId, PortalKey, Reachability},
    store::{
        ExpiryRow, GroupRow, GroupShown, Lane, LoginState, NoticeRow, PollRow, PreKeyRow,
        ReachabilityRow, ReactionRow, ReceiptStage, StoreError,
    },
};

use crate::{
    groups::group,
    place::{
        LOGIN, NOW, PORTAL, Place, chat, gatekeeper, incoming, login, outgoing, stanza, step, user,
    },
    reactions::{poll, reaction},
};

/// The portal of another login.
const OTHER: PortalId = PortalId(71);

pub(crate) async fn finds_a_login_by_everything_it_has(place: Place) {
    let db = place.open().await;
    step!(db, txn => txn.insert_login(&login(LOGIN, "alice")).await);
    step!(db, txn => txn.insert_login(&login(LoginId(8), "alice2")).await);
    let found = step!(db, txn => txn.login(LOGIN).await).unwrap();
    let given = login(LOGIN, "alice");
    assert_eq!(found.visible_id, given.visible_id);
    assert_eq!(found.mxid, given.mxid);
    assert_eq!(found.state, LoginState::Enlisting);
    assert_eq!(found.remote_login, None);
    assert_eq!(found.secrets.noise_private, given.secrets.noise_private);
    assert_eq!(found.secrets.identity_pair, given.secrets.identity_pair);
    assert_eq!(found.secrets.registration_id, 99);
    let pushed = step!(db, txn => txn.login_by_visible_id(&gatekeeper(), "alice2").await);
    assert_eq!(pushed.unwrap().id, LoginId(8));
    assert_eq!(
        step!(db, txn => txn.logins_of("@alice:example.org").await).len(),
        2
    );
    assert_eq!(
        step!(db, txn => txn.logins_of("@bob:example.org").await).len(),
        0
    );
    assert_eq!(step!(db, txn => txn.logins().await).len(), 2);
    assert!(step!(db, txn => txn.login(LoginId(9)).await).is_none());
    db.close().await;
}

pub(crate) async fn refuses_a_second_login_of_the_same_visible_id(place: Place) {
    let db = place.open().await;
    step!(db, txn => txn.insert_login(&login(LOGIN, "alice")).await);
    let second = db
        .step(Lane::login(LOGIN), |txn| {
            Box::pin(async move { txn.insert_login(&login(LoginId(8), "alice")).await })
        })
        .await;
    assert!(matches!(second, Err(StoreError::Database(_))));
    db.close().await;
}

pub(crate) async fn changes_state_and_keeps_the_name_the_gatekeeper_gave(place: Place) {
    let db = place.open().await;
    step!(db, txn => txn.insert_login(&login(LOGIN, "alice")).await);
    step!(db, txn => txn.set_login_state(LOGIN, LoginState::Active, Some("1-2@interop")).await);
    for state in [
        LoginState::Unenlisted,
        LoginState::LoggedOut,
        LoginState::Enlisting,
    ] {
        step!(db, txn => txn.set_login_state(LOGIN, state, None).await);
        let found = step!(db, txn => txn.login(LOGIN).await).unwrap();
        assert_eq!(found.state, state);
        assert_eq!(found.remote_login.as_deref(), Some("1-2@interop"));
    }
    db.close().await;
}

pub(crate) async fn deletes_a_login_with_all_that_is_its_own(place: Place) {
    let db = place.open().await;
    let key = || PortalKey {
        gatekeeper: gatekeeper(),
        chat: chat(1),
        login: Some(LOGIN),
    };
    step!(db, txn => txn.insert_login(&login(LOGIN, "alice")).await);
    step!(db, txn => txn.insert_login(&login(LoginId(8), "other")).await);
    step!(db, txn => txn.put_session(LoginId(8), "a.0", b"kept").await);
    step!(db, txn => {
        let key = PortalKey { login: Some(LoginId(8)), ..key() };
        txn.ensure_portal(&key, OTHER).await
    });
    step!(db, txn => {
        txn.put_session(LOGIN, "a.0", b"record").await?;
        txn.put_identity(LOGIN, "a.0", &[5; 33]).await?;
        let prekey = PreKeyRow { id: 1, record: vec![1], uploaded: false };
        txn.insert_prekeys(LOGIN, &[prekey], 2).await?;
        txn.ensure_portal(&key(), PORTAL).await?;
        txn.queue(&outgoing("sent")).await?;
        let sent = txn.queued(LOGIN, 0, 1).await?.first().map_or(0, |row| row.seq);
        txn.acknowledged(LOGIN, &stanza("sent"), sent, NOW).await?;
        txn.queue(&outgoing("waits")).await?;
        txn.put_remote_message(&incoming("in")).await?;
        for portal in [PORTAL, OTHER] {
            txn.put_reaction(&ReactionRow { portal, ..reaction("m", "$r", "👍") }).await?;
            txn.put_poll(&PollRow { portal, ..poll("p") }).await?;
            txn.put_expiry(&ExpiryRow { portal, event_id: "$e".to_owned(), at: NOW }).await?;
            let notice = NoticeRow { event_id: "$n".to_owned(), text: "a notice".to_owned() };
            txn.put_notice(portal, "about", &notice).await?;
        }
        Ok(())
    });
    step!(db, txn => txn.delete_login(LOGIN).await);
    assert!(step!(db, txn => txn.login(LOGIN).await).is_none());
    assert!(step!(db, txn => txn.sessions(LOGIN).await).is_empty());
    assert!(step!(db, txn => txn.identity(LOGIN, "a.0").await).is_none());
    assert!(step!(db, txn => txn.prekey(LOGIN, 1).await).is_none());
    assert!(step!(db, txn => txn.portal(&key()).await).is_none());
    assert!(!step!(db, txn => txn.outbox_knows(LOGIN, &stanza("sent")).await));
    assert_eq!(step!(db, txn => txn.queue_length(LOGIN).await), 0);
    assert!(step!(db, txn => txn.waiting_chats().await).is_empty());
    let links = step!(db, txn => txn.links_by_stanza(PORTAL, None, &stanza("sent")).await);
    assert!(links.is_empty());
    let known = step!(db, txn =>
        txn.remote_message_known(LOGIN, &chat(1), &user(1), &stanza("in")).await);
    assert_eq!(known, None);
    for (portal, kept) in [(PORTAL, false), (OTHER, true)] {
        let found = step!(db, txn => Ok([
            txn.reaction_by_event(portal, "$r").await?.is_some(),
            txn.poll_by_event(portal, "$poll-p").await?.is_some(),
            txn.notice(portal, "about").await?.is_some(),
            txn.expired(NOW, 9).await?.iter().any(|row| row.portal == portal),
        ]));
        assert_eq!(found, [kept; 4]);
    }
    assert_eq!(step!(db, txn => txn.sessions(LoginId(8)).await).len(), 1);
    db.close().await;
}

pub(crate) async fn a_deleted_login_is_in_nothing_any_more(place: Place) {
    let db = place.open().await;
    let other = LoginId(8);
    let shared = || PortalKey {
        gatekeeper: gatekeeper(),
        chat: group(1),
        login: None,
    };
    step!(db, txn => {
        txn.insert_login(&login(LOGIN, "alice")).await?;
        txn.insert_login(&login(other, "bob")).await?;
        txn.ensure_portal(&shared(), OTHER).await?;
        txn.set_portal_relay(OTHER, Some(LOGIN)).await?;
        txn.put_group(&GroupRow {
            gatekeeper: gatekeeper(),
            chat: group(1),
            facts: GroupFacts::default(),
            shown: GroupShown::default(),
        }).await?;
        for login in [LOGIN, other] {
            txn.put_sender_key(login, &group(1), "a.0", b"key").await?;
            txn.put_sender_key_share(login, &group(1), "a.0").await?;
            txn.put_group_receipt(login, &stanza("m"), &user(1), ReceiptStage::Read).await?;
            txn.set_blocked(login, &user(1), true).await?;
            let asked = ReachabilityRow { user: user(1), state: Reachability::Asked, asked_at: NOW };
            txn.put_reachability(login, &asked).await?;
        }
        txn.set_account_owner(&gatekeeper(), &user(1), Some("@alice:example.org")).await?;
        txn.delete_login(LOGIN).await
    });
    for (login, kept) in [(LOGIN, false), (other, true)] {
        let found = step!(db, txn => Ok([
            txn.sender_key(login, &group(1), "a.0").await?.is_some(),
            !txn.sender_key_shares(login, &group(1)).await?.is_empty(),
            !txn.group_receivers(login, &stanza("m")).await?.is_empty(),
            !txn.blocked(login).await?.is_empty(),
            !txn.reachabilities(login).await?.is_empty(),
        ]));
        assert_eq!(found, [kept; 5]);
    }
    // The group's room stays for whoever else is in it, and nobody speaks for others there.
    let portal = step!(db, txn => txn.portal_by_id(OTHER).await).unwrap();
    assert_eq!(portal.relay, None);
    assert!(step!(db, txn => txn.group(&gatekeeper(), &group(1)).await).is_some());
    let owner = step!(db, txn => txn.owner_of_account(&gatekeeper(), &user(1)).await);
    assert_eq!(owner.as_deref(), Some("@alice:example.org"));
    db.close().await;
}
