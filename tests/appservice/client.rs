//! What is asked of the homeserver, and what is made of its answers.

use drawbridge::{
    domain::Timestamp,
    matrix::{MatrixError, NewRoom},
};
use ruma::{room_id, user_id};
use serde_json::json;

use super::script::{Homeserver, refusal};

#[tokio::test]
async fn every_request_names_the_account_and_its_device() {
    let server = Homeserver::start(|_| (200, json!({ "event_id": "$sent" }))).await;
    let ghost = user_id!("@_drawbridge_whatsapp_1:example.org");
    let sent = server
        .client()
        .ghost(ghost)
        .send(
            room_id!("!r:example.org"),
            "m.room.message",
            "txn",
            &json!({ "body": "x" }),
            Some(Timestamp(5)),
        )
        .await
        .unwrap();
    assert_eq!(sent, "$sent");
    let asked = &server.asked()[0];
    assert_eq!(asked.query["user_id"], ghost.as_str());
    assert_eq!(asked.query["device_id"], "DRAWBRIDGE");
    assert_eq!(asked.query["ts"], "5");
    assert_eq!(asked.body, json!({ "body": "x" }));
    assert!(asked.what.ends_with("/send/m.room.message/txn"));
}

#[tokio::test]
async fn what_may_pass_is_tried_again_and_what_will_not_is_not() {
    for (first, tries) in [
        (refusal(429, "M_LIMIT_EXCEEDED"), 2),
        (refusal(502, ""), 2),
        (refusal(500, "M_UNKNOWN"), 2),
        (refusal(403, "M_FORBIDDEN"), 1),
        (refusal(413, "M_TOO_LARGE"), 1),
    ] {
        let given = first.clone();
        let server = Homeserver::start(move |asked| match asked.before {
            0 => given.clone(),
            _ => (200, json!({ "room_id": "!r:example.org" })),
        })
        .await;
        let joined = server.client().bot().join(room_id!("!r:example.org")).await;
        assert_eq!(server.asked().len(), tries, "{first:?}");
        assert_eq!(joined.is_ok(), tries == 2, "{first:?}");
        if let Err(error) = joined {
            assert!(!error.is_transient());
            assert_eq!(error.errcode(), first.1["errcode"].as_str());
        }
    }
}

#[tokio::test]
async fn the_homeserver_says_when_to_come_again() {
    let server = Homeserver::start(|asked| match asked.before {
        0 => (
            429,
            json!({ "errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 1 }),
        ),
        1 => (
            429,
            json!({ "errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 3_600_000 }),
        ),
        _ => (200, json!({ "room_id": "!r:example.org" })),
    })
    .await;
    // An hour is too long to wait here; the caller is told.
    let error = server
        .client()
        .bot()
        .join(room_id!("!r:example.org"))
        .await
        .unwrap_err();
    assert!(error.is_transient());
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn an_error_does_not_tell_whose_request_it_was() {
    let server = Homeserver::start(|_| (200, json!({}))).await;
    let nobody = server.url.clone();
    let client = server.client();
    drop(server);
    let unreadable = client.ghost(user_id!("@_drawbridge_whatsapp_49151:example.org"));
    let error = unreadable
        .send(room_id!("!r:example.org"), "t", "x", &json!({}), None)
        .await
        .unwrap_err();
    assert!(matches!(error, MatrixError::Unreadable(_)), "{error}");
    assert!(!error.to_string().contains("49151") && !error.to_string().contains(&nobody));
}

#[tokio::test]
async fn an_account_is_registered_once_and_its_device_made_by_name() {
    let server = Homeserver::start(|asked| {
        if asked.what.ends_with("/register") {
            refusal(400, "M_USER_IN_USE")
        } else {
            (200, json!({}))
        }
    })
    .await;
    server.client().bot().ensure_registered().await.unwrap();
    assert_eq!(
        server.asked_for(),
        ["POST register", "PUT devices/DRAWBRIDGE"]
    );
    let asked = server.asked();
    assert_eq!(asked[0].body["inhibit_login"], true);
    assert_eq!(asked[0].body["type"], "m.login.application_service");
    assert_eq!(asked[0].body["username"], "drawbridgebot");
    assert_eq!(asked[1].query["user_id"], "@drawbridgebot:example.org");
    // The device need not exist yet.
    assert!(!asked[1].query.contains_key("device_id"));
}

#[tokio::test]
async fn where_devices_cannot_be_made_by_name_a_login_makes_them() {
    let server = Homeserver::start(|asked| {
        let last = asked.what.rsplit('/').next().unwrap_or_default();
        match last {
            "register" => (200, json!({ "user_id": "@drawbridgebot:example.org" })),
            "login" => (
                200,
                json!({ "user_id": "@drawbridgebot:example.org", "access_token": "t", "device_id": "DRAWBRIDGE" }),
            ),
            _ => refusal(404, "M_NOT_FOUND"),
        }
    })
    .await;
    server.client().bot().ensure_registered().await.unwrap();
    let asked = server.asked();
    assert_eq!(asked[2].body["type"], "m.login.application_service");
    assert_eq!(asked[2].body["device_id"], "DRAWBRIDGE");
}

fn portal() -> NewRoom {
    NewRoom {
        alias_localpart: Some("_drawbridge_portal_1".to_owned()),
        invite: vec![user_id!("@alice:example.org").to_owned()],
        initial_state: vec![
            (
                "m.bridge".to_owned(),
                "a".to_owned(),
                json!({ "there": true }),
            ),
            (
                "m.bridge".to_owned(),
                "b".to_owned(),
                json!({ "there": false }),
            ),
        ],
        power_users: vec![
            (user_id!("@drawbridgebot:example.org").to_owned(), 100),
            (user_id!("@alice:example.org").to_owned(), 50),
        ],
        ..NewRoom::default()
    }
}

#[tokio::test]
async fn creators_are_listed_only_where_they_may_be() {
    for (version, users) in [
        (
            "10",
            json!({ "@drawbridgebot:example.org": 100, "@alice:example.org": 50 }),
        ),
        (
            "11",
            json!({ "@drawbridgebot:example.org": 100, "@alice:example.org": 50 }),
        ),
        ("12", json!({ "@alice:example.org": 50 })),
    ] {
        for explicit in [true, false] {
            let server = Homeserver::start(move |asked| {
                if asked.what.ends_with("/capabilities") {
                    let versions = json!({ "default": version, "available": {} });
                    (
                        200,
                        json!({ "capabilities": { "m.room_versions": versions } }),
                    )
                } else {
                    (200, json!({ "room_id": "!r:example.org" }))
                }
            })
            .await;
            let mut room = portal();
            room.room_version = explicit.then(|| version.to_owned());
            server.client().bot().create_room(room).await.unwrap();
            let asked = server.asked().pop().unwrap();
            assert_eq!(
                asked.body["power_level_content_override"]["users"], users,
                "{version}"
            );
            assert_eq!(asked.body.get("room_version").is_some(), explicit);
        }
    }
}

#[tokio::test]
async fn a_room_that_was_made_before_is_completed_instead_of_made_again() {
    let server = Homeserver::start(|asked| {
        let what = asked.what.replace("/_matrix/client/v3/", "");
        match what.as_str() {
            "POST createRoom" => refusal(400, "M_ROOM_IN_USE"),
            what if what.starts_with("GET directory") => {
                (200, json!({ "room_id": "!old:example.org", "servers": [] }))
            }
            what if what.starts_with("GET") && !what.ends_with("/m.bridge/a") => {
                refusal(404, "M_NOT_FOUND")
            }
            _ => (
                200,
                json!({ "room_id": "!old:example.org", "event_id": "$x" }),
            ),
        }
    })
    .await;
    let mut room = portal();
    room.room_version = Some("11".to_owned());
    let made = server.client().bot().create_room(room).await.unwrap();
    assert_eq!(made, "!old:example.org");
    let changes: Vec<String> = server
        .asked_for()
        .into_iter()
        .filter(|what| !what.starts_with("GET"))
        .collect();
    assert_eq!(
        changes,
        [
            "POST createRoom",
            "POST rooms/!old:example.org/join",
            "PUT rooms/!old:example.org/state/m.bridge/b",
            "POST rooms/!old:example.org/invite",
        ]
    );
}

#[tokio::test]
async fn an_alias_that_leads_nowhere_does_not_block_the_portal() {
    let server = Homeserver::start(|asked| {
        let what = asked.what.replace("/_matrix/client/v3/", "");
        match what.as_str() {
            "POST createRoom" if asked.before == 0 => refusal(400, "M_ROOM_IN_USE"),
            "POST createRoom" => (200, json!({ "room_id": "!new:example.org" })),
            what if what.starts_with("GET directory") => (
                200,
                json!({ "room_id": "!dead:example.org", "servers": [] }),
            ),
            what if what.ends_with("/join") => refusal(403, "M_FORBIDDEN"),
            what if what.contains("/state/") => refusal(403, "M_FORBIDDEN"),
            _ => (200, json!({})),
        }
    })
    .await;
    let mut room = portal();
    room.room_version = Some("11".to_owned());
    let made = server.client().bot().create_room(room).await.unwrap();
    assert_eq!(made, "!new:example.org");
    assert!(
        server
            .asked_for()
            .iter()
            .any(|what| what.starts_with("DELETE directory/room/"))
    );
}

#[tokio::test]
async fn a_room_that_is_being_made_keeps_its_alias() {
    for (join, readable) in [("M_UNKNOWN", false), ("M_FORBIDDEN", true)] {
        let server = Homeserver::start(move |asked| {
            let what = asked.what.replace("/_matrix/client/v3/", "");
            match what.as_str() {
                "POST createRoom" => refusal(400, "M_ROOM_IN_USE"),
                what if what.starts_with("GET directory") => (
                    200,
                    json!({ "room_id": "!young:example.org", "servers": [] }),
                ),
                what if what.ends_with("/join") => refusal(403, join),
                what if what.contains("/state/") && !readable => refusal(403, "M_FORBIDDEN"),
                _ => (200, json!({})),
            }
        })
        .await;
        let mut room = portal();
        room.room_version = Some("11".to_owned());
        let error = server.client().bot().create_room(room).await.unwrap_err();
        assert_eq!(error.errcode(), Some(join));
        let asked = server.asked_for();
        assert!(!asked.iter().any(|what| what.starts_with("DELETE")));
    }
}

#[tokio::test]
async fn an_invitation_of_somebody_inside_is_success() {
    for (membership, welcome) in [("join", true), ("invite", true), ("ban", false)] {
        let server = Homeserver::start(move |asked| {
            if asked.what.ends_with("/invite") {
                refusal(403, "M_FORBIDDEN")
            } else {
                (200, json!({ "membership": membership }))
            }
        })
        .await;
        let invited = server
            .client()
            .bot()
            .invite(room_id!("!r:example.org"), user_id!("@alice:example.org"))
            .await;
        assert_eq!(invited.is_ok(), welcome, "{membership}");
    }
}

#[tokio::test]
async fn synapse_is_recognised_with_and_without_its_federation_port() {
    let open = Homeserver::start(|_| (200, json!({ "server": { "name": "Synapse" } }))).await;
    assert_eq!(open.client().software().await.as_deref(), Some("Synapse"));
    let closed = Homeserver::start(|asked| {
        if asked.what.ends_with("/client/versions") {
            let features = json!({ "io.element.e2ee_forced.public": false });
            (
                200,
                json!({ "versions": ["v1.11"], "unstable_features": features }),
            )
        } else {
            refusal(404, "M_UNRECOGNIZED")
        }
    })
    .await;
    assert_eq!(closed.client().software().await.as_deref(), Some("Synapse"));
    let other = Homeserver::start(|_| (200, json!({ "versions": ["v1.11"] }))).await;
    assert_eq!(other.client().software().await, None);
}
