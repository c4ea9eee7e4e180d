//! The commands over a real bridge and store: conversations, confirmations, who may do what, and what happens after a crash.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use drawbridge::{
    app,
    bridge::{Bridge, BridgeParts, CommandContext, Commands as _},
    clock::ManualClock,
    commands::ManagementCommands,
    config::Config,
    domain::{ChatId, GatekeeperId, LoginId, PortalId, PortalKey, RemoteUserId, Timestamp},
    matrix::GhostNaming,
    network::Network,
    store::{self, Database, GhostRow, Lane, MatrixEventRow, NameSource},
};
use ruma::{OwnedRoomId, UserId};
use serde_json::json;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::script::{AS_TOKEN, Homeserver};
use crate::gatekeeper::Gatekeeper;

const ALICE: &str = "@alice:example.org";
const ADMIN: &str = "@admin:example.org";

struct Office {
    bridge: Arc<Bridge>,
    commands: ManagementCommands,
    gatekeepers: Vec<Arc<Gatekeeper>>,
    homeserver: Homeserver,
    db: Database,
    events: AtomicUsize,
    _folder: TempDir,
}

impl Office {
    async fn open(gatekeepers: &[&str]) -> Self {
        let homeserver = Homeserver::start(|asked| {
            let by = asked.query.get("user_id").map_or("", String::as_str);
            let answer = match by.contains("_busy") {
                _ if !asked.what.ends_with("/joined_rooms") => {
                    json!({ "event_id": "$redaction", "user_id": "@drawbridgebot:example.org" })
                }
                true => json!({ "joined_rooms": ["!r:example.org"] }),
                false => json!({ "joined_rooms": [] }),
            };
            (200, answer)
        })
        .await;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("config.yaml");
        let config = json!({
            "homeserver": { "address": homeserver.url, "domain": "example.org" },
            "appservice": {
                "as_token": AS_TOKEN,
                "hs_token": "hs-0123456789abcdef0123456789abcdef",
            },
            "database": { "sealing_key": "c2VhbGluZy1rZXktb2YtdGhlLXRlc3RzLTMyLWJ5dGU=" },
            "bridge": { "permissions": { "*": "relay", "example.org": "user", ADMIN: "admin" } },
        });
        std::fs::write(&path, config.to_string()).expect("a file");
        let config = Config::load(&path).expect("a configuration");
        let uri = format!("sqlite:{}", folder.path().join("bridge.db").display());
        let (db, _) = store::open(&uri, &[7; 32], None, Timestamp(1))
            .await
            .expect("a database");
        let bridge = Bridge::new(BridgeParts {
            db: db.clone(),
            client: homeserver.client(),
            naming: GhostNaming::new("_drawbridge_", "example.org"),
            settings: app::settings(&config),
            clock: Arc::new(ManualClock::new(1_000)),
            cancel: CancellationToken::new(),
        });
        let gatekeepers: Vec<Arc<Gatekeeper>> = gatekeepers
            .iter()
            .map(|id| Arc::new(Gatekeeper::new(id, &db)))
            .collect();
        let networks = gatekeepers
            .iter()
            .map(|gatekeeper| gatekeeper.clone() as Arc<dyn Network>);
        bridge.attach(networks, Arc::new(ManagementCommands::new(&bridge)));
        let commands = ManagementCommands::new(&bridge);
        Self {
            bridge,
            commands,
            gatekeepers,
            homeserver,
            db,
            events: AtomicUsize::new(0),
            _folder: folder,
        }
    }

    /// Somebody writes to the bot in their management room.
    async fn says(&self, who: &str, text: &str) -> String {
        let event = self.events.fetch_add(1, Ordering::SeqCst);
        self.says_in(who, text, &format!("${event}"), true).await
    }

    async fn says_in(&self, who: &str, text: &str, event_id: &str, is_private: bool) -> String {
        let room = if is_private { "!desk" } else { "!public" };
        let context = CommandContext {
            sender: UserId::parse(who).expect("a user id"),
            room_id: OwnedRoomId::try_from(format!("{room}:example.org")).expect("a room id"),
            is_private,
            event_id: event_id.to_owned(),
            body: text.to_owned(),
        };
        self.commands.answer(context).await
    }

    /// An event came that was not understood.
    async fn sets_aside(&self, room: &str, event_id: &str, json: &str) {
        let rows = [MatrixEventRow {
            event_id: event_id.to_owned(),
            room_id: room.to_owned(),
            json: json.to_owned(),
            quarantine: Some("it has no sender".to_owned()),
        }];
        let transaction = event_id.to_owned();
        let stored = self.bridge.database().step(Lane::room(room), move |txn| {
            let (rows, transaction) = (rows.clone(), transaction.clone());
            Box::pin(async move {
                txn.accept_transaction(&transaction, &[1], &rows, Timestamp(1))
                    .await
            })
        });
        stored.await.expect("the store writes");
    }

    /// Which events of a room wait.
    async fn waiting(&self, room: &'static str) -> Vec<String> {
        let read = self
            .bridge
            .database()
            .read(move |txn| Box::pin(async move { txn.waiting_events(room, 10).await }));
        let events = read.await.expect("the store reads").into_iter();
        events.map(|event| event.event_id).collect()
    }

    fn asked(&self) -> Vec<String> {
        let asked = self.gatekeepers.iter();
        asked
            .flat_map(|gatekeeper| gatekeeper.known().logins.clone())
            .collect()
    }
}

#[tokio::test]
async fn a_login_is_a_short_conversation() {
    let office = Office::open(&["whatsapp", "messenger"]).await;
    let place = office.says(ALICE, "login").await;
    assert!(
        place.contains("`whatsapp`") && place.contains("`messenger`"),
        "{place}"
    );
    let odd = office.says(ALICE, "telegram").await;
    assert!(odd.contains("the name of a gatekeeper"), "{odd}");
    let terms = office.says(ALICE, "WhatsApp").await;
    assert!(
        terms.contains(ALICE) && terms.contains("European Economic Area"),
        "{terms}"
    );
    assert_eq!(office.asked(), Vec::<String>::new());
    let done = office.says(ALICE, "accept").await;
    assert!(
        done.starts_with("You are now logged in at WhatsApp"),
        "{done}"
    );

    // The terms are shown once, and the one gatekeeper that is left needs no name.
    let second = office.says(ALICE, "login").await;
    assert!(
        second.starts_with("You are now logged in at Messenger"),
        "{second}"
    );
    let again = office.says(ALICE, "login whatsapp").await;
    assert!(again.contains("logged in at WhatsApp already"), "{again}");
    assert_eq!(office.asked(), ["log in", "log in"]);
}

#[tokio::test]
async fn a_conversation_is_taken_up_after_a_restart() {
    let office = Office::open(&["whatsapp"]).await;
    let asked = office.says_in(ALICE, "login", "$login", true).await;
    // The process dies before the answer is sent: the same event comes again, to another one.
    let restarted = ManagementCommands::new(&office.bridge);
    let office = Office {
        commands: restarted,
        ..office
    };
    assert_eq!(office.says_in(ALICE, "login", "$login", true).await, asked);
    let done = office.says_in(ALICE, "accept", "$accept", true).await;
    assert_eq!(office.says_in(ALICE, "accept", "$accept", true).await, done);
    assert!(done.contains("now logged in"), "{done}");

    let done = office
        .says_in(ALICE, "logout whatsapp confirm", "$out", true)
        .await;
    assert!(done.contains("logged out of WhatsApp"), "{done}");
    let again = office
        .says_in(ALICE, "logout whatsapp confirm", "$out", true)
        .await;
    assert_eq!(again, done);
}

#[tokio::test]
async fn a_conversation_ends_by_cancel_or_by_another_command() {
    let office = Office::open(&["whatsapp"]).await;
    office.says(ALICE, "login").await;
    let cancelled = office.says(ALICE, "cancel").await;
    assert!(cancelled.contains("The login is cancelled"), "{cancelled}");
    let late = office.says(ALICE, "accept").await;
    assert!(late.contains("not asked"), "{late}");

    office.says(ALICE, "login").await;
    let version = office.says(ALICE, "version").await;
    assert!(version.starts_with("drawbridge "), "{version}");
    assert!(
        version.contains("The login that was begun is cancelled"),
        "{version}"
    );
    let late = office.says(ALICE, "accept").await;
    assert!(late.contains("not asked"), "{late}");
    assert_eq!(office.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn what_cannot_be_undone_is_confirmed() {
    let office = Office::open(&["whatsapp"]).await;
    office.says(ALICE, "login").await;
    office.says(ALICE, "accept").await;
    let lost = office.says(ALICE, "logout").await;
    assert!(lost.contains("`confirm`"), "{lost}");
    let still = office.says(ALICE, "list-logins").await;
    assert!(still.contains("WhatsApp: connected"), "{still}");
    office.says(ALICE, "logout").await;
    let done = office.says(ALICE, "confirm").await;
    assert!(done.contains("What is left"), "{done}");
    assert_eq!(office.asked(), ["log in", "log out"]);
}

#[tokio::test]
async fn the_preferred_login_is_meant_where_none_is_named() {
    let office = Office::open(&["whatsapp", "messenger"]).await;
    office.says(ALICE, "login whatsapp").await;
    office.says(ALICE, "accept").await;
    office.says(ALICE, "login messenger").await;
    let which = office.says(ALICE, "set-name Al").await;
    assert!(which.contains("set-preferred-login"), "{which}");
    office.says(ALICE, "set-preferred-login messenger").await;
    office.says(ALICE, "set-name Al").await;
    let asked = office.gatekeepers[1].known().logins.clone();
    assert_eq!(asked, ["log in", "name Al"]);
    let closed = office.says(ALICE, "start-chat whatsapp +49 1").await;
    assert!(
        closed.contains("request-reachability whatsapp +49 1"),
        "{closed}"
    );
}

#[tokio::test]
async fn what_is_private_is_answered_in_the_management_room_alone() {
    let office = Office::open(&["whatsapp"]).await;
    for text in ["list-logins", "contacts", "login whatsapp"] {
        let answer = office.says_in(ALICE, text, "$1", false).await;
        assert!(answer.contains("is private"), "{text}: {answer}");
    }
    let answer = office
        .says_in(ALICE, "login-matrix secret_token", "$2", false)
        .await;
    assert!(!answer.contains("secret_token"), "{answer}");
    let asked = office.homeserver.asked_for();
    assert!(
        asked.iter().any(|what| what.contains("redact/$2")),
        "{asked:?}"
    );
    let version = office.says_in(ALICE, "version", "$3", false).await;
    assert!(version.starts_with("drawbridge "), "{version}");
}

#[tokio::test]
async fn a_token_is_taken_out_of_the_room_and_never_repeated() {
    let office = Office::open(&["whatsapp"]).await;
    for text in [
        "login-matrix secret_token",
        "login-matrix secret_token and more",
    ] {
        let answer = office.says_in(ALICE, text, "$1", true).await;
        assert!(!answer.contains("secret_token"), "{answer}");
    }
    let asked = office.homeserver.asked_for();
    assert_eq!(
        asked
            .iter()
            .filter(|what| what.contains("redact/$1"))
            .count(),
        2
    );
    let how = office.says(ALICE, "login-matrix").await;
    assert!(how.contains("login-matrix <access token>"), "{how}");
}

#[tokio::test]
async fn administration_is_for_admins() {
    let office = Office::open(&["whatsapp"]).await;
    for text in [
        "list-users",
        "status",
        "sudo @bob:example.org ping",
        "quarantine",
    ] {
        let answer = office.says(ALICE, text).await;
        assert!(answer.contains("no such command"), "{text}: {answer}");
    }
    let stranger = office.says("@eve:elsewhere.org", "help").await;
    assert!(stranger.contains("may not use"), "{stranger}");

    let asked = office
        .says(ADMIN, "sudo @alice:example.org login whatsapp")
        .await;
    assert!(asked.contains("`accept`"), "{asked}");
    let done = office.says(ADMIN, "sudo @alice:example.org accept").await;
    assert!(
        done.contains("now logged in at WhatsApp as `@alice:example.org`"),
        "{done}"
    );
    let users = office.says(ADMIN, "list-users").await;
    assert!(users.contains("`@alice:example.org`: WhatsApp"), "{users}");
    let status = office.says(ADMIN, "status").await;
    assert!(
        status.contains("- 1 login, 0 of them not connected"),
        "{status}"
    );
    office.says(ADMIN, "logout-user @alice:example.org").await;
    let done = office.says(ADMIN, "confirm").await;
    assert!(
        done.starts_with("They are logged out of WhatsApp"),
        "{done}"
    );
    let nested = office
        .says(
            ADMIN,
            "sudo @admin:example.org sudo @alice:example.org ping",
        )
        .await;
    assert!(nested.contains("not both"), "{nested}");
}

/// A ghost of somebody, which the homeserver knows.
fn ghost_row(name: &str) -> GhostRow {
    GhostRow {
        gatekeeper: GatekeeperId::parse("whatsapp").expect("an id"),
        remote_id: RemoteUserId::parse(name).expect("an address"),
        mxid: format!("@_drawbridge_whatsapp_{name}:example.org"),
        registered: true,
        name: None,
        name_source: NameSource::Address,
        picture: None,
        avatar: None,
    }
}

#[tokio::test]
async fn ghosts_in_no_room_are_cleaned_up() {
    let office = Office::open(&["whatsapp"]).await;
    let db = office.bridge.database();
    db.step(Lane::room("ghosts"), |txn| {
        Box::pin(async move {
            for name in ["idle", "busy", "met"] {
                txn.put_ghost(&ghost_row(name)).await?;
            }
            Ok(())
        })
    })
    .await
    .expect("the store writes");
    let asked = office.says(ADMIN, "clean-up").await;
    assert!(asked.contains("2 ghosts that are in no room"), "{asked}");

    // One of them is met again before the answer.
    db.step(Lane::room("ghosts"), |txn| {
        Box::pin(async move {
            let key = PortalKey {
                gatekeeper: GatekeeperId::parse("whatsapp").expect("an id"),
                chat: ChatId::parse("met").expect("a chat"),
                login: Some(LoginId(1)),
            };
            txn.ensure_portal(&key, PortalId(1)).await.map(drop)
        })
    })
    .await
    .expect("the store writes");
    let done = office.says(ADMIN, "confirm").await;
    assert_eq!(done, "One ghost is forgotten.");
    let left = db
        .read(|txn| {
            Box::pin(async move {
                let mut left = Vec::new();
                for name in ["idle", "busy", "met"] {
                    let mxid = ghost_row(name).mxid;
                    left.push(txn.ghost_by_mxid(&mxid).await?.is_some());
                }
                Ok(left)
            })
        })
        .await
        .expect("the store reads");
    assert_eq!(left, [false, true, true]);
}

#[tokio::test]
async fn the_quarantine_is_listed_tried_again_and_dropped() {
    let office = Office::open(&["whatsapp"]).await;
    for id in ["$a", "$b"] {
        let odd = r#"{"secret":"marmalade"}"#;
        office.sets_aside("!r:example.org", id, odd).await;
    }
    let list = office.says(ADMIN, "quarantine").await;
    assert!(list.contains("it has no sender"), "{list}");
    let numbers: Vec<&str> = list.split('`').skip(1).step_by(2).take(2).collect();
    let shown = office
        .says(ADMIN, &format!("quarantine show {}", numbers[0]))
        .await;
    assert!(
        shown.contains("`$a`") && !shown.contains("marmalade"),
        "{shown}"
    );
    let again = office
        .says(ADMIN, &format!("quarantine retry {}", numbers[0]))
        .await;
    assert!(again.contains("is tried again"), "{again}");
    let dropped = office
        .says(ADMIN, &format!("quarantine drop {}", numbers[1]))
        .await;
    assert!(dropped.contains("is dropped"), "{dropped}");
    let list = office.says(ADMIN, "quarantine").await;
    assert_eq!(list, "No event is set aside.");
    assert_eq!(office.waiting("!r:example.org").await, ["$a"]);
}

#[tokio::test]
async fn an_event_that_can_be_read_by_now_is_done_when_it_is_tried_again() {
    let office = Office::open(&["whatsapp"]).await;
    office.bridge.introduce_bot().await.expect("a bot");
    let room = "!desk:example.org";
    let kept = office.bridge.database().step(Lane::room(room), move |txn| {
        Box::pin(async move { txn.set_management_room(ALICE, Some(room)).await })
    });
    kept.await.expect("the store writes");
    let event = json!({
        "type": "m.room.message", "event_id": "$late", "room_id": room, "sender": ALICE,
        "origin_server_ts": 1, "content": { "msgtype": "m.text", "body": "version" },
    });
    office.sets_aside(room, "$late", &event.to_string()).await;
    let list = office.says(ADMIN, "quarantine").await;
    let number = list.split('`').nth(1).expect("a number");
    let retry = format!("quarantine retry {number}");
    let again = office.says(ADMIN, &retry).await;
    assert!(again.contains("is tried again"), "{again}");
    let end = Instant::now() + Duration::from_secs(20);
    while !office.waiting(room).await.is_empty() {
        assert!(Instant::now() < end, "it still waits");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let asked = office.homeserver.asked().into_iter();
    let answers: Vec<_> = asked
        .filter(|asked| {
            asked
                .what
                .contains("/rooms/!desk:example.org/send/m.room.message/")
        })
        .map(|asked| asked.body)
        .collect();
    assert_eq!(answers.len(), 1, "{answers:?}");
    let body = answers[0]["body"].as_str().expect("a text");
    assert_eq!(body, concat!("drawbridge ", env!("CARGO_PKG_VERSION")));
    let list = office.says(ADMIN, "quarantine").await;
    assert_eq!(list, "No event is set aside.");
}

#[tokio::test]
async fn nobody_is_told_of_the_chats_of_others_rooms() {
    const BOB: &str = "@bob:example.org";
    let office = Office::open(&["whatsapp"]).await;
    let login = office.gatekeepers[0].log_in(BOB).await.unwrap();
    let portal = office.db.step(Lane::login(login), move |txn| {
        Box::pin(async move {
            let key = PortalKey {
                gatekeeper: GatekeeperId::parse("whatsapp").expect("an id"),
                chat: ChatId::parse("4915155550001@s.whatsapp.net").expect("an address"),
                login: Some(login),
            };
            let portal = txn.ensure_portal(&key, PortalId(5)).await?;
            txn.set_portal_room(portal.id, Some("!bobs:example.org"))
                .await?;
            txn.set_portal_ready(portal.id, true).await
        })
    });
    portal.await.unwrap();
    for what in ["id", "sync-portal"] {
        let command = format!("{what} !bobs:example.org");
        let told = office.says(ALICE, &command).await;
        assert!(told.contains("mirrors no chat"), "{command}: {told}");
        for allowed in [BOB, ADMIN] {
            let told = office.says(allowed, &command).await;
            assert!(!told.contains("mirrors no chat"), "{command}: {told}");
        }
    }
    let told = office.says(BOB, "id !bobs:example.org").await;
    assert!(told.contains("4915155550001"), "{told}");
}
