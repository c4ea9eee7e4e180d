//! Opening and migrating.

use std::path::Path;

use drawbridge::{
    domain::{LoginId, PortalId, PortalKey},
    store::{self, MessageLink, NameSource, PortalSettings, SendStage, StoreError},
};
use sqlx::{Connection as _, PgConnection, SqliteConnection, migrate::Migrator};

use crate::place::{LOGIN, NOW, PORTAL, Place, chat, gatekeeper, incoming, login, stanza, step};

/// What a database of the first version may hold that needs no key to write.
const FIRST_ROWS: &str = "
    INSERT INTO portals (id, gatekeeper, chat, login, room_id, ready)
        VALUES (70, 'whatsapp', '1@s.whatsapp.net', 7, '!r:example.org', TRUE);
    INSERT INTO links (portal, event_id, part, stanza_id, sender, sent_at, read_sent)
        VALUES (70, '$event-sent', 0, 'sent', '', 1700000000000, FALSE);
    INSERT INTO outbox (login, stanza_id, chat, kind, payload, portal, event_id, part, created_at, state, retries, reason)
        VALUES (7, 'sent', '1@s.whatsapp.net', 'message', '', 70, '$event-sent', 0, 1700000000000, 1, 0, NULL),
        (7, 'refused', '1@s.whatsapp.net', 'message', '', 70, '$event-refused', 0, 1700000000000, 2, 0, 'gone'),
        (7, 'delivered', '1@s.whatsapp.net', 'message', '', 70, '$event-delivered', 0, 1700000000000, 3, 0, NULL),
        (7, 'waits', '1@s.whatsapp.net', 'message', 'ready', 70, '$event-waits', 0, 1700000000000, 0, 0, NULL);
    INSERT INTO remote_messages (login, chat, sender, stanza_id, ciphertext_hash, decrypted, sent_at, received_at, revision, retries, state)
        VALUES (7, '1@s.whatsapp.net', '1@s.whatsapp.net', 'm', '', FALSE, 1700000000000, 1700000000000, 0, 1, 1);";

/// What a database of the second version may hold besides.
const SECOND_ROWS: &str = "
    INSERT INTO portals (id, gatekeeper, chat, login, room_id, ready, settings)
        VALUES (71, 'whatsapp', '2@s.whatsapp.net', 7, NULL, FALSE, '{}'),
        (72, 'whatsapp', '3@s.whatsapp.net', 7, '!s:example.org', TRUE, '{\"receipts\":false}');
    INSERT INTO ghosts (gatekeeper, remote_id, mxid, registered, name)
        VALUES ('whatsapp', '1@s.whatsapp.net', '@w_1:example.org', TRUE, 'Bob');
    INSERT INTO notices (portal, about, event_id, text) VALUES (70, 'about', '$n', 'a notice');";

/// Makes the database as an earlier version of the program made it.
async fn make(place: &Place, migrations: &[&str], rows: &str) {
    let engine = if place.is_sqlite() {
        "sqlite"
    } else {
        "postgres"
    };
    let all = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("migrations")
        .join(engine);
    let first = tempfile::tempdir().unwrap();
    for name in migrations {
        std::fs::copy(all.join(name), first.path().join(name)).unwrap();
    }
    let migrator = Migrator::new(first.path()).await.unwrap();
    if place.is_sqlite() {
        let uri = format!("{}?mode=rwc", place.uri);
        let mut connection = SqliteConnection::connect(&uri).await.unwrap();
        migrator.run(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    } else {
        let mut connection = PgConnection::connect(&place.uri).await.unwrap();
        migrator.run(&mut connection).await.unwrap();
    }
    place.sql(rows).await;
}

pub(crate) async fn what_is_written_is_there_after_opening_again(place: Place) {
    let db = place.open().await;
    step!(db, txn => txn.insert_login(&login(LOGIN, "alice")).await);
    db.close().await;
    let db = place.open().await;
    let found = step!(db, txn => txn.login(LOGIN).await).unwrap();
    assert_eq!(found.secrets.registration_id, 99);
    db.close().await;
}

pub(crate) async fn a_database_of_a_newer_program_is_refused(place: Place) {
    place.open().await.close().await;
    place
        .sql(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             SELECT 9000, 'of tomorrow', success, checksum, execution_time FROM _sqlx_migrations WHERE version = 1",
        )
        .await;
    match place.try_open().await.err() {
        Some(StoreError::TooNew { found, known }) => {
            assert_eq!(found, 9000);
            assert!((1..9000).contains(&known));
        }
        other => panic!("not refused as too new: {other:?}"),
    }
}

pub(crate) async fn migrating_does_not_take_over(place: Place) {
    store::migrate(&place.uri, &place.key).await.unwrap();
    let db = place.open().await;
    store::migrate(&place.uri, &place.key).await.unwrap();
    step!(db, txn => txn.set_value("k", "v").await);
    db.close().await;
}

pub(crate) async fn a_database_of_the_first_version_is_taken_along(place: Place) {
    make(&place, &["0001_initial.sql"], FIRST_ROWS).await;
    let db = place.open().await;
    let portal = step!(db, txn => txn.portals_in("!r:example.org").await).remove(0);
    assert_eq!((portal.id, portal.ready), (PORTAL, true));
    assert_eq!(portal.settings, PortalSettings::default());
    let links = step!(db, txn => txn.links_by_event(PORTAL, "$event-sent").await);
    let expected = MessageLink {
        portal: PORTAL,
        event_id: "$event-sent".to_owned(),
        stanza_id: stanza("sent"),
        sender: None,
        part: 0,
        sent_at: NOW,
    };
    assert_eq!(links, [expected]);
    // Nobody is told of what was over before, but of how it goes on.
    assert!(step!(db, txn => txn.unreported_chats().await).is_empty());
    let waiting = step!(db, txn => txn.queued(LOGIN, 0, 9).await);
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0].row.payload, b"ready");
    let seq = waiting[0].seq;
    step!(db, txn => {
        txn.delivered(LOGIN, &stanza("sent")).await?;
        txn.acknowledged(LOGIN, &stanza("waits"), seq, NOW).await
    });
    let reports: Vec<_> = step!(db, txn => txn.unreported(LOGIN, &chat(1), 9).await)
        .into_iter()
        .map(|report| (report.event_id, report.stage))
        .collect();
    assert_eq!(
        reports,
        [
            ("$event-sent".to_owned(), SendStage::Delivered),
            ("$event-waits".to_owned(), SendStage::Sent)
        ]
    );
    // A message that could not be read then takes its placeholder's place.
    assert!(step!(db, txn => txn.put_remote_message(&incoming("m")).await));
    let message = step!(db, txn => txn.waiting_messages(LOGIN, &chat(1), 9).await);
    assert_eq!((message.len(), message[0].revision), (1, 1));
    db.close().await;
}

pub(crate) async fn a_database_of_the_second_version_is_taken_along(place: Place) {
    let rows = format!("{FIRST_ROWS}{SECOND_ROWS}");
    make(
        &place,
        &["0001_initial.sql", "0002_conversation.sql"],
        &rows,
    )
    .await;
    let db = place.open().await;
    let portals = step!(db, txn => txn.portals().await);
    let found: Vec<_> = portals
        .iter()
        .map(|row| (row.id.0, row.room_id.as_deref(), row.ready))
        .collect();
    assert_eq!(
        found,
        [
            (70, Some("!r:example.org"), true),
            (71, None, false),
            (72, Some("!s:example.org"), true)
        ]
    );
    assert!(portals.iter().all(|row| row.relay.is_none() && !row.linked));
    assert!(portals.iter().all(|row| row.key.login == Some(LOGIN)));
    assert_eq!(portals[2].settings.receipts, Some(false));
    assert_eq!(step!(db, txn => txn.portals_of(LOGIN).await).len(), 3);
    // What is in them is still theirs.
    assert_eq!(
        step!(db, txn => txn.links_by_event(PORTAL, "$event-sent").await).len(),
        1
    );
    assert!(step!(db, txn => txn.notice(PORTAL, "about").await).is_some());
    let ghost = step!(db, txn => txn.ghost_by_mxid("@w_1:example.org").await).unwrap();
    assert_eq!(ghost.name.as_deref(), Some("Bob"));
    assert_eq!(ghost.name_source, NameSource::Address);
    assert_eq!((ghost.picture, ghost.avatar), (None, None));
    // A second chat may come into the room now, and is behind the first.
    step!(db, txn => txn.set_portal_room(PortalId(71), Some("!r:example.org")).await);
    let ids: Vec<_> = step!(db, txn => txn.portals_in("!r:example.org").await)
        .into_iter()
        .map(|row| row.id.0)
        .collect();
    assert_eq!(ids, [70, 71]);
    // Each chat has one portal as before.
    let again = step!(db, txn => {
        let key = PortalKey { gatekeeper: gatekeeper(), chat: chat(1), login: Some(LOGIN) };
        txn.ensure_portal(&key, PortalId(99)).await
    });
    assert_eq!(again.id, PORTAL);
    // Nobody knows any more which login wrote what was linked then.
    let author = step!(db, txn => txn.author(PORTAL, &stanza("nobodys")).await);
    assert_eq!(author, None);
    db.close().await;
}

pub(crate) async fn what_was_read_before_stays_read_by_every_login(place: Place) {
    let rows = "
        INSERT INTO portals (id, gatekeeper, chat, login, ready)
            VALUES (70, 'whatsapp', '1@s.whatsapp.net', 7, TRUE), (71, 'whatsapp', '5@g.us', -1, TRUE);
        INSERT INTO logins (id, gatekeeper, mxid, visible_id, remote_login, state, secrets, next_prekey_id, signed_prekey_id)
            VALUES (8, 'whatsapp', '@bob:example.org', 'bob', 'own@interop', 'active', '', 1, 1);
        INSERT INTO group_members (gatekeeper, chat, remote_id, role) VALUES ('whatsapp', '5@g.us', 'own@interop', 'member');
        INSERT INTO links (portal, event_id, part, stanza_id, sender, sent_at, read_sent)
            VALUES (70, '$1', 0, 'a', '1@s.whatsapp.net', 1, TRUE), (70, '$2', 0, 'b', '1@s.whatsapp.net', 2, FALSE),
            (71, '$3', 0, 'c', '1@s.whatsapp.net', 3, TRUE), (71, '$4', 0, 'd', '1@s.whatsapp.net', 4, FALSE);";
    let migrations = [
        "0001_initial.sql",
        "0002_conversation.sql",
        "0003_people.sql",
    ];
    make(&place, &migrations, rows).await;
    let db = place.open().await;
    for (portal, login, until, left) in [
        (PORTAL, LOGIN, "$2", "$2"),
        (PortalId(71), LoginId(8), "$4", "$4"),
    ] {
        let unread = step!(db, txn => txn.unread_up_to(portal, login, until).await);
        let unread: Vec<_> = unread.iter().map(|link| link.event_id.as_str()).collect();
        assert_eq!(unread, [left]);
    }
    db.close().await;
}
