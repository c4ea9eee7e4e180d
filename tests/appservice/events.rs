//! Redactions, events, names, presence, typing and receipts, against the homeserver of the crash test.

use std::{sync::Arc, time::Duration};

use drawbridge::{
    clock::ManualClock,
    config::EphemeralMode,
    matrix::{Client, repair::Syncer},
};
use ruma::{OwnedEventId, OwnedRoomId, event_id, room_id, user_id};
use serde_json::{Value, json};

use super::{
    bridge::{Bridge, TOKEN},
    script::{self, Homeserver as Script, refusal},
};
use crate::homeserver::Homeserver;

const ALICE: &str = "@alice:test.example";
const BOT: &str = "@drawbridgebot:example.org";

/// A homeserver, the bridge's client, and a room of Alice's with the bot in it.
async fn scene() -> (Homeserver, Client, OwnedRoomId) {
    let server = Homeserver::start(script::AS_TOKEN, "hs").await;
    let client = script::client(&server.url());
    let room = server.create_room(ALICE, &[BOT], true);
    server.join(&room, BOT);
    let room = OwnedRoomId::try_from(room).expect("a room id");
    (server, client, room)
}

fn id(event: &str) -> OwnedEventId {
    OwnedEventId::try_from(event).expect("an event id")
}

#[tokio::test]
async fn a_redaction_is_done_once_and_shows_in_the_room() {
    let (server, client, room) = scene().await;
    let bot = client.bot();
    let content = json!({ "msgtype": "m.text", "body": "oops" });
    let sent = bot
        .send(&room, "m.room.message", "a", &content, None)
        .await
        .unwrap();
    let first = bot
        .redact(&room, &sent, "b", &json!({ "reason": "asked to" }))
        .await
        .unwrap();
    let again = bot.redact(&room, &sent, "b", &json!({})).await;
    assert_eq!(again.unwrap(), first);
    assert_eq!(
        server.world().redactions_of(room.as_str(), BOT),
        [sent.as_str()]
    );
    let recent = bot.recent(&room, 2).await.unwrap();
    assert_eq!(recent[0]["type"], "m.room.redaction");
    assert_eq!(recent[0]["redacts"], sent.as_str());
    assert_eq!(recent[0]["content"]["reason"], "asked to");
    assert_eq!(recent[1]["content"], json!({}));
    let event = bot.event(&room, &sent).await.unwrap().unwrap();
    assert_eq!(
        event["unsigned"]["redacted_because"]["event_id"],
        first.as_str()
    );
}

#[tokio::test]
async fn what_others_said_is_not_the_bridges_to_delete() {
    let (server, client, room) = scene().await;
    let sent = id(&server.send_text(room.as_str(), ALICE, "mine"));
    let error = client
        .bot()
        .redact(&room, &sent, "a", &json!({}))
        .await
        .unwrap_err();
    assert_eq!(error.errcode(), Some("M_FORBIDDEN"));
    server.redact(room.as_str(), ALICE, sent.as_str());
    let event = client.bot().event(&room, &sent).await.unwrap().unwrap();
    assert_eq!(event["content"], json!({}));
}

#[tokio::test]
async fn an_event_is_shown_or_there_is_none() {
    let (server, client, room) = scene().await;
    let sent = id(&server.send_text(room.as_str(), ALICE, "hello"));
    let bot = client.bot();
    let event = bot.event(&room, &sent).await.unwrap().unwrap();
    assert_eq!(event["content"]["body"], "hello");
    assert_eq!(event["sender"], ALICE);
    assert_eq!(bot.event(&room, event_id!("$none")).await.unwrap(), None);
    // Somebody outside sees nothing of the room.
    let ghost = client.ghost(user_id!("@ghost:example.org"));
    assert_eq!(ghost.event(&room, &sent).await.unwrap(), None);
    let broken = Script::start(|_| refusal(500, "M_UNKNOWN")).await;
    let bot = broken.client().bot();
    let error = bot.event(&room, &sent).await.unwrap_err();
    assert!(error.is_transient());
}

#[tokio::test]
async fn a_name_is_the_rooms_or_else_the_profiles() {
    let (server, client, room) = scene().await;
    let bot = client.bot();
    let alice = user_id!("@alice:test.example");
    assert_eq!(bot.display_name_of(alice).await.unwrap(), None);
    assert_eq!(bot.display_name_in(&room, alice).await.unwrap(), None);
    server.set_name(ALICE, "Alice");
    assert_eq!(bot.display_name_of(alice).await.unwrap().unwrap(), "Alice");
    let in_room = bot.display_name_in(&room, alice).await.unwrap();
    assert_eq!(in_room.unwrap(), "Alice");
    server.join(room.as_str(), ALICE);
    server.set_name(ALICE, "Somebody else");
    let in_room = bot.display_name_in(&room, alice).await.unwrap();
    assert_eq!(in_room.unwrap(), "Alice");
}

#[tokio::test]
async fn a_name_of_nothing_is_none_and_an_outage_is_no_answer() {
    let server = Script::start(|asked| match asked.before {
        0 => (200, json!({ "displayname": "  " })),
        _ => refusal(502, ""),
    })
    .await;
    let bot = server.client().bot();
    let alice = user_id!("@alice:example.org");
    assert_eq!(bot.display_name_of(alice).await.unwrap(), None);
    let asked = &server.asked()[0];
    assert_eq!(
        asked.what,
        "GET /_matrix/client/v3/profile/@alice:example.org/displayname"
    );
    assert_eq!(asked.query["user_id"], BOT);
    assert_eq!(
        asked.headers["authorization"],
        format!("Bearer {}", script::AS_TOKEN)
    );
    assert!(bot.display_name_of(alice).await.unwrap_err().is_transient());
}

#[tokio::test]
async fn presence_typing_and_receipts_are_shown_as_the_account() {
    let (server, client, room) = scene().await;
    let sent = id(&server.send_text(room.as_str(), ALICE, "hello"));
    let bot = client.bot();
    bot.presence(true).await.unwrap();
    assert_eq!(server.world().presence[BOT], "online");
    bot.presence(false).await.unwrap();
    assert_eq!(server.world().presence[BOT], "offline");
    bot.typing(&room, Some(Duration::from_secs(5)))
        .await
        .unwrap();
    assert!(server.world().is_typing(room.as_str(), BOT));
    bot.typing(&room, None).await.unwrap();
    assert!(!server.world().is_typing(room.as_str(), BOT));
    bot.read_receipt(&room, &sent).await.unwrap();
    assert_eq!(
        server.world().receipts_of(room.as_str(), BOT),
        [sent.as_str()]
    );
    let nowhere = room_id!("!nowhere:example.org");
    assert!(bot.typing(nowhere, None).await.is_err());
}

/// What Alice does in a room that leaves no event there, as the bridge is told.
fn do_and_expect(server: &Homeserver, room: &str, event: &str) -> Vec<Value> {
    server.typing(room, &[ALICE]);
    server.receipt(room, ALICE, event);
    server.presence(ALICE, true);
    server.typing(room, &[]);
    vec![
        json!({ "type": "m.typing", "content": { "user_ids": [ALICE] } }),
        json!({ "type": "m.receipt", "content": event }),
        json!({ "type": "m.presence", "content": "online" }),
        json!({ "type": "m.typing", "content": { "user_ids": [] } }),
    ]
}

/// The same without what is of no interest here.
fn simplified(event: &Value) -> Value {
    let content = match event["type"].as_str() {
        Some("m.receipt") => {
            let content = event["content"].as_object().expect("an object");
            let (event, kinds) = content.iter().next().expect("an event");
            assert!(kinds["m.read"][ALICE]["ts"].is_u64());
            json!(event)
        }
        Some("m.presence") => event["content"]["presence"].clone(),
        _ => event["content"].clone(),
    };
    let placed = event["room_id"].is_string() || event["sender"] == ALICE;
    assert!(placed, "{event}");
    json!({ "type": event["type"], "content": content })
}

#[tokio::test]
async fn what_users_do_comes_with_transactions() {
    let bridge = Bridge::start().await;
    let server = Homeserver::start("as", TOKEN).await;
    let room = server.create_room(ALICE, &[BOT], true);
    let event = server.send_text(&room, ALICE, "hello");
    server.set_appservice(&bridge.url);
    let expected = do_and_expect(&server, &room, &event);
    let deadline = Duration::from_secs(20);
    server
        .wait("what Alice does", deadline, |_| {
            let told = bridge.sink.ephemeral.lock().unwrap();
            (told.len() >= expected.len()).then_some(())
        })
        .await;
    let told = bridge.sink.ephemeral.lock().unwrap();
    let told: Vec<Value> = told.iter().map(simplified).collect();
    assert_eq!(told, expected);
}

#[tokio::test]
async fn what_users_do_comes_by_sync() {
    let bridge = Bridge::start().await;
    let (server, client, room) = scene().await;
    let event = server.send_text(room.as_str(), ALICE, "hello");
    let syncer = Syncer::new(
        client,
        bridge.db.clone(),
        bridge.sink.clone(),
        EphemeralMode::Sync,
        Arc::new(ManualClock::new(1_000)),
    );
    // The first time only says where it begins.
    syncer.repair(Duration::from_millis(1)).await.unwrap();
    let mut expected = do_and_expect(&server, room.as_str(), &event);
    syncer.repair(Duration::from_millis(1)).await.unwrap();
    let told = bridge.sink.ephemeral.lock().unwrap();
    let told: Vec<Value> = told.iter().map(simplified).collect();
    // Presence is of no room and comes before those.
    let presence = expected.remove(2);
    expected.insert(0, presence);
    assert_eq!(told, expected);
}
