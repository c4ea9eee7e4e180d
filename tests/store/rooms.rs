//! What a room remembers: its settings, uploads, notices, and what disappears from it.

use drawbridge::{
    domain::{AttachmentSecret, PortalId, PortalKey},
    store::{ExpiryRow, NoticeRow, PortalSettings, StoreError, UploadRow},
};

use crate::place::{LOGIN, NOW, PORTAL, Place, chat, gatekeeper, step};

fn expiry(portal: PortalId, event: &str, after: i64) -> ExpiryRow {
    ExpiryRow {
        portal,
        event_id: event.to_owned(),
        at: NOW.plus_millis(after),
    }
}

fn notice(event: &str, text: &str) -> NoticeRow {
    NoticeRow {
        event_id: event.to_owned(),
        text: text.to_owned(),
    }
}

fn upload(uri: &str, done: bool) -> UploadRow {
    UploadRow {
        uri: uri.to_owned(),
        done,
        secret: None,
        sha256: None,
    }
}

pub(crate) async fn keeps_what_is_decided_for_a_room(place: Place) {
    let db = place.open().await;
    let key = || PortalKey {
        gatekeeper: gatekeeper(),
        chat: chat(1),
        login: Some(LOGIN),
    };
    let made = step!(db, txn => txn.ensure_portal(&key(), PORTAL).await);
    assert_eq!(made.settings, PortalSettings::default());
    let settings = PortalSettings {
        receipts: Some(false),
        presence: Some(true),
        expires_after: Some(604_800),
        ..PortalSettings::default()
    };
    step!(db, txn => txn.set_portal_settings(PORTAL, &settings).await);
    let found = step!(db, txn => txn.portal(&key()).await).unwrap();
    assert_eq!(found.settings, settings);
    assert_eq!((found.id, found.ready), (made.id, made.ready));
    step!(db, txn => txn.set_portal_settings(PORTAL, &PortalSettings::default()).await);
    assert_eq!(step!(db, txn => txn.portal_by_id(PORTAL).await), Some(made));
    db.close().await;
}

pub(crate) async fn settings_of_another_version_are_read(place: Place) {
    let db = place.open().await;
    step!(db, txn => {
        let key = PortalKey { gatekeeper: gatekeeper(), chat: chat(1), login: Some(LOGIN) };
        txn.ensure_portal(&key, PORTAL).await
    });
    place
        .sql("UPDATE portals SET settings = '{\"typing\": false, \"of_tomorrow\": [1]}'")
        .await;
    let found = step!(db, txn => txn.portal_by_id(PORTAL).await).unwrap();
    assert_eq!(
        found.settings,
        PortalSettings {
            typing: Some(false),
            ..PortalSettings::default()
        }
    );
    db.close().await;
}

pub(crate) async fn a_file_keeps_the_address_it_came_to_be_at(place: Place) {
    let db = place.open().await;
    assert_eq!(step!(db, txn => txn.upload("k").await), None);
    step!(db, txn => txn.put_upload("k", "mxc://x/1", None, NOW).await);
    // The homeserver gave up the first address before anything was there.
    step!(db, txn => txn.put_upload("k", "mxc://x/2", None, NOW).await);
    assert_eq!(
        step!(db, txn => txn.upload("k").await),
        Some(upload("mxc://x/2", false))
    );
    step!(db, txn => txn.finish_upload("k", None).await);
    // What is there stays what it is.
    step!(db, txn => txn.put_upload("k", "mxc://x/3", None, NOW).await);
    assert_eq!(
        step!(db, txn => txn.upload("k").await),
        Some(upload("mxc://x/2", true))
    );
    assert_eq!(step!(db, txn => txn.upload("other").await), None);
    db.close().await;
}

pub(crate) async fn an_encrypted_file_keeps_its_key_sealed(place: Place) {
    let db = place.open().await;
    let secret = |byte: u8| AttachmentSecret {
        key: [byte; 32],
        iv: [byte + 1; 16],
    };
    step!(db, txn => txn.put_upload("k", "mxc://x/1", None, NOW).await);
    // It was begun in plain, and begins anew.
    step!(db, txn => txn.put_upload("k", "mxc://x/2", Some(&secret(7)), NOW).await);
    let begun = UploadRow {
        secret: Some(secret(7)),
        ..upload("mxc://x/2", false)
    };
    assert_eq!(step!(db, txn => txn.upload("k").await), Some(begun.clone()));
    step!(db, txn => txn.finish_upload("k", Some(&[9; 32])).await);
    step!(db, txn => {
        txn.put_upload("k", "mxc://x/3", Some(&secret(8)), NOW).await?;
        txn.finish_upload("k", Some(&[10; 32])).await
    });
    let done = UploadRow {
        done: true,
        sha256: Some([9; 32]),
        ..begun
    };
    assert_eq!(step!(db, txn => txn.upload("k").await), Some(done));
    // Its secret opens for its own row alone.
    place.sql("UPDATE uploads SET key = 'other'").await;
    let moved = db
        .read(|txn| Box::pin(async move { txn.upload("other").await }))
        .await;
    assert!(
        matches!(moved, Err(StoreError::Unsealable { .. })),
        "{moved:?}"
    );
    db.close().await;
}

pub(crate) async fn forgets_old_uploads(place: Place) {
    let db = place.open().await;
    step!(db, txn => {
        txn.put_upload("old", "mxc://x/1", None, NOW).await?;
        txn.put_upload("new", "mxc://x/2", None, NOW.plus_millis(1)).await?;
        txn.finish_upload("old", None).await
    });
    assert_eq!(step!(db, txn => txn.prune_uploads(NOW).await), 0);
    assert_eq!(
        step!(db, txn => txn.prune_uploads(NOW.plus_millis(1)).await),
        1
    );
    assert_eq!(step!(db, txn => txn.upload("old").await), None);
    assert!(step!(db, txn => txn.upload("new").await).is_some());
    db.close().await;
}

pub(crate) async fn keeps_the_newest_form_of_a_notice(place: Place) {
    let db = place.open().await;
    assert_eq!(step!(db, txn => txn.notice(PORTAL, "queue").await), None);
    step!(db, txn => {
        txn.put_notice(PORTAL, "queue", &notice("$1", "one waits")).await?;
        txn.put_notice(PORTAL, "queue", &notice("$1", "two wait")).await?;
        txn.put_notice(PORTAL, "call", &notice("$2", "a call")).await?;
        txn.put_notice(PortalId(71), "queue", &notice("$3", "elsewhere")).await
    });
    assert_eq!(
        step!(db, txn => txn.notice(PORTAL, "queue").await),
        Some(notice("$1", "two wait"))
    );
    step!(db, txn => txn.delete_notice(PORTAL, "queue").await);
    assert_eq!(step!(db, txn => txn.notice(PORTAL, "queue").await), None);
    assert_eq!(
        step!(db, txn => txn.notice(PORTAL, "call").await),
        Some(notice("$2", "a call"))
    );
    assert_eq!(
        step!(db, txn => txn.notice(PortalId(71), "queue").await),
        Some(notice("$3", "elsewhere"))
    );
    db.close().await;
}

pub(crate) async fn tells_what_disappears_in_its_order(place: Place) {
    let db = place.open().await;
    assert_eq!(step!(db, txn => txn.next_expiry().await), None);
    step!(db, txn => {
        txn.put_expiry(&expiry(PORTAL, "$late", 3000)).await?;
        txn.put_expiry(&expiry(PortalId(71), "$first", 1000)).await?;
        txn.put_expiry(&expiry(PORTAL, "$second", 2000)).await?;
        // The time an event was given first counts.
        txn.put_expiry(&expiry(PORTAL, "$late", 1)).await
    });
    assert_eq!(
        step!(db, txn => txn.next_expiry().await),
        Some(NOW.plus_millis(1000))
    );
    assert!(step!(db, txn => txn.expired(NOW.plus_millis(999), 9).await).is_empty());
    assert_eq!(
        step!(db, txn => txn.expired(NOW.plus_millis(2000), 9).await),
        [
            expiry(PortalId(71), "$first", 1000),
            expiry(PORTAL, "$second", 2000)
        ]
    );
    assert_eq!(
        step!(db, txn => txn.expired(NOW.plus_millis(9000), 1).await),
        [expiry(PortalId(71), "$first", 1000)]
    );
    step!(db, txn => txn.delete_expiry(PORTAL, "$first").await);
    step!(db, txn => txn.delete_expiry(PORTAL, "$second").await);
    assert_eq!(
        step!(db, txn => txn.expired(NOW.plus_millis(9000), 9).await),
        [
            expiry(PortalId(71), "$first", 1000),
            expiry(PORTAL, "$late", 3000)
        ]
    );
    db.close().await;
}
