//! Acting as a user: as whom and with which token it is asked, and what marks what is sent.

use drawbridge::matrix::Intent;
use ruma::{event_id, room_id, user_id};
use serde_json::{Value, json};

use super::script::{AS_TOKEN, Asked, Homeserver, refusal};

const MARK: &str = "eu.drawbridge.double_puppet";
const COMMON: &str = "double-0123456789abcdef0123456789abcdef";
const OWN: &str = "syt_own_token";

async fn server() -> Homeserver {
    Homeserver::start(|asked| {
        if asked.what.ends_with("/whoami") {
            return (200, json!({ "user_id": "@alice:example.org" }));
        }
        if asked.what.starts_with("GET ") && asked.what.contains("/account_data/m.none") {
            return refusal(404, "M_NOT_FOUND");
        }
        if asked.what.contains("/profile/") && asked.what.contains("/org.unknown") {
            return refusal(404, "M_UNRECOGNIZED");
        }
        (200, json!({ "event_id": "$sent" }))
    })
    .await
}

fn by_everybodys_token(server: &Homeserver) -> Intent {
    let user = user_id!("@alice:example.org");
    let puppet = server.client().puppet(user, COMMON.into(), MARK);
    puppet.expect("an address")
}

fn by_own_token(server: &Homeserver) -> Intent {
    let user = user_id!("@alice:example.org");
    let puppet = server.client().logged_in(user, OWN.into(), MARK, None);
    puppet.expect("an address")
}

fn token(asked: &Asked) -> &str {
    let shown = asked.headers["authorization"].to_str().expect("text");
    shown.strip_prefix("Bearer ").expect("a bearer token")
}

async fn say(intent: &Intent) {
    let room = room_id!("!r:example.org");
    let content = json!({ "body": "x" });
    intent
        .send(room, "m.room.message", "txn", &content, None)
        .await
        .expect("it is sent");
}

#[tokio::test]
async fn everybodys_token_names_the_user_and_no_device() {
    let server = server().await;
    let puppet = by_everybodys_token(&server);
    assert!(puppet.is_puppet());
    say(&puppet).await;
    puppet
        .set_account_data("m.direct", &json!({}))
        .await
        .expect("it is kept");
    for asked in server.asked() {
        assert_eq!(token(&asked), COMMON, "{}", asked.what);
        assert_eq!(asked.query["user_id"], "@alice:example.org");
        assert_eq!(asked.query.get("device_id"), None, "hers are her own");
    }
}

#[tokio::test]
async fn a_token_of_ones_own_names_nobody() {
    let server = server().await;
    let puppet = by_own_token(&server);
    say(&puppet).await;
    assert_eq!(puppet.whoami().await.unwrap(), "@alice:example.org");
    // Somebody else made the account.
    puppet.ensure_registered().await.unwrap();
    assert_eq!(server.asked().len(), 2);
    for asked in server.asked() {
        assert_eq!(token(&asked), OWN, "{}", asked.what);
        assert_eq!(asked.query.get("user_id"), None, "{}", asked.what);
        assert_eq!(asked.query.get("device_id"), None, "{}", asked.what);
    }
}

#[tokio::test]
async fn what_a_puppet_does_is_marked_and_what_a_ghost_does_is_not() {
    let server = server().await;
    let room = room_id!("!r:example.org");
    let ghost = server
        .client()
        .ghost(user_id!("@_drawbridge_x_1:example.org"));
    for intent in [by_everybodys_token(&server), by_own_token(&server), ghost] {
        say(&intent).await;
        let event = event_id!("$a");
        let redaction = intent
            .redact(room, event, "t", &json!({ "reason": "deleted" }))
            .await;
        assert_eq!(redaction.unwrap(), "$sent");
    }
    let bodies: Vec<Value> = server.asked().into_iter().map(|asked| asked.body).collect();
    for puppet in bodies.chunks(2).take(2) {
        assert_eq!(puppet[0], json!({ "body": "x", MARK: true }));
        assert_eq!(puppet[1], json!({ "reason": "deleted", MARK: true }));
    }
    assert_eq!(bodies[4], json!({ "body": "x" }));
    assert_eq!(bodies[5], json!({ "reason": "deleted" }));
    assert_eq!(token(&server.asked()[4]), AS_TOKEN);
}

#[tokio::test]
async fn what_is_not_kept_is_none() {
    let server = server().await;
    let puppet = by_own_token(&server);
    assert_eq!(puppet.account_data("m.none").await.unwrap(), None);
}

#[tokio::test]
async fn pictures_and_fields_of_profiles() {
    let server = server().await;
    let ghost = server
        .client()
        .ghost(user_id!("@_drawbridge_x_1:example.org"));
    ghost.set_avatar(Some("mxc://example.org/a")).await.unwrap();
    ghost.set_avatar(None).await.unwrap();
    let phone = json!("1");
    let told = ghost.set_profile_field("com.example.phone", &phone);
    assert!(told.await.unwrap());
    let untold = ghost.set_profile_field("org.unknown", &phone);
    assert!(!untold.await.unwrap());
    let bodies: Vec<Value> = server.asked().into_iter().map(|asked| asked.body).collect();
    assert_eq!(bodies[0], json!({ "avatar_url": "mxc://example.org/a" }));
    assert_eq!(bodies[1], json!({ "avatar_url": "" }));
    assert_eq!(bodies[2], json!({ "com.example.phone": "1" }));
}
