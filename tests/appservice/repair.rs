//! Gap repair: what the homeserver did not deliver is fetched, in order, once.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use drawbridge::{
    clock::ManualClock,
    config::EphemeralMode,
    matrix::{CipherError, Intent, MatrixError, Order, RoomCipher, repair::Syncer},
};
use ruma::RoomId;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{
    bridge::{Bridge, message},
    script::{Asked, Homeserver, refusal},
};

const ROOM: &str = "!room:example.org";

/// As `/sync` has it: without the room.
fn bare(id: &str) -> Value {
    let mut event = message(id, ROOM);
    event.as_object_mut().expect("an object").remove("room_id");
    event
}

fn answer(next: &str, timeline: &Value) -> (u16, Value) {
    let room = json!({ ROOM: { "timeline": timeline } });
    (
        200,
        json!({ "next_batch": next, "rooms": { "join": room } }),
    )
}

fn since(asked: &Asked) -> Option<&str> {
    asked.query.get("since").map(String::as_str)
}

async fn repair(bridge: &Bridge, server: &Homeserver, wait: Duration) -> Result<usize, String> {
    let syncer = Syncer::new(
        server.client(),
        bridge.db.clone(),
        bridge.sink.clone(),
        EphemeralMode::Auto,
        Arc::new(ManualClock::new(1_000)),
    );
    syncer.repair(wait).await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn the_first_sync_only_marks_the_place_and_the_next_fetches_what_came_since() {
    let bridge = Bridge::start().await;
    let server = Homeserver::start(|asked| match since(asked) {
        None => answer("s1", &json!({ "events": [bare("$old")] })),
        Some("s1") => answer("s2", &json!({ "events": [bare("$a"), bare("$b")] })),
        _ => (200, json!({ "next_batch": "s2" })),
    })
    .await;
    assert_eq!(repair(&bridge, &server, Duration::ZERO).await, Ok(0));
    assert!(bridge.waiting(ROOM).await.is_empty());
    // One of them was delivered the usual way.
    bridge.hand_over("1", &[message("$a", ROOM)]).await;
    assert_eq!(repair(&bridge, &server, Duration::ZERO).await, Ok(1));
    assert_eq!(repair(&bridge, &server, Duration::ZERO).await, Ok(0));
    assert_eq!(bridge.waiting(ROOM).await, ["$a", "$b"]);
    let asked = server.asked();
    assert_eq!(asked[0].query["user_id"], "@drawbridgebot:example.org");
    assert_eq!(asked[0].query["device_id"], "DRAWBRIDGE");
    assert_eq!(since(&asked[2]), Some("s2"));
}

#[tokio::test]
async fn a_timeline_that_was_cut_short_is_filled_in_order() {
    let bridge = Bridge::start().await;
    let server = Homeserver::start(|asked| {
        if asked.what.ends_with("/messages") {
            assert_eq!(asked.query["to"], "s1");
            return match asked.query["from"].as_str() {
                "p3" => (200, json!({ "start": "p3", "end": "p2", "chunk": [message("$4", ROOM), message("$3", ROOM)] })),
                "p2" => (200, json!({ "start": "p2", "end": "p1", "chunk": [message("$2", ROOM), message("$1", ROOM)] })),
                _ => (200, json!({ "start": "p1", "chunk": [] })),
            };
        }
        match since(asked) {
            None => (200, json!({ "next_batch": "s1" })),
            _ => answer("s2", &json!({ "limited": true, "prev_batch": "p3", "events": [bare("$5"), bare("$6")] })),
        }
    })
    .await;
    repair(&bridge, &server, Duration::ZERO).await.unwrap();
    assert_eq!(repair(&bridge, &server, Duration::ZERO).await, Ok(6));
    assert_eq!(
        bridge.waiting(ROOM).await,
        ["$1", "$2", "$3", "$4", "$5", "$6"]
    );
    assert_eq!(*bridge.sink.rooms.lock().unwrap(), [ROOM]);
}

#[tokio::test]
async fn a_repair_that_fails_begins_again_at_the_same_place() {
    let bridge = Bridge::start().await;
    let broken = Arc::new(AtomicBool::new(false));
    let is_broken = broken.clone();
    let server = Homeserver::start(move |asked| {
        if asked.what.ends_with("/messages") {
            return if is_broken.load(Ordering::SeqCst) {
                refusal(429, "M_LIMIT_EXCEEDED")
            } else {
                (200, json!({ "start": "p", "chunk": [message("$1", ROOM)] }))
            };
        }
        match since(asked) {
            None => (200, json!({ "next_batch": "s1" })),
            _ => answer(
                "s2",
                &json!({ "limited": true, "prev_batch": "p", "events": [bare("$2")] }),
            ),
        }
    })
    .await;
    repair(&bridge, &server, Duration::ZERO).await.unwrap();
    broken.store(true, Ordering::SeqCst);
    repair(&bridge, &server, Duration::ZERO).await.unwrap_err();
    assert!(bridge.waiting(ROOM).await.is_empty());
    broken.store(false, Ordering::SeqCst);
    assert_eq!(repair(&bridge, &server, Duration::ZERO).await, Ok(2));
    assert_eq!(bridge.waiting(ROOM).await, ["$1", "$2"]);
}

#[tokio::test]
async fn a_homeserver_that_was_set_up_anew_is_met_anew() {
    let bridge = Bridge::start().await;
    let server = Homeserver::start(|asked| match (since(asked), asked.before) {
        (None, 0) => (200, json!({ "next_batch": "before" })),
        (None, _) => answer("after", &json!({ "events": [bare("$new")] })),
        (Some("after"), _) => answer("end", &json!({ "events": [bare("$a")] })),
        _ => refusal(400, "M_INVALID_PARAM"),
    })
    .await;
    for expected in [0, 1, 1] {
        assert_eq!(repair(&bridge, &server, Duration::ZERO).await, Ok(expected));
    }
}

#[tokio::test]
async fn an_invitation_of_the_bot_that_was_not_delivered_is_found() {
    let bridge = Bridge::start().await;
    let server = Homeserver::start(|_| {
        let stripped = |of: &str, membership: &str| {
            json!({ "type": "m.room.member", "state_key": of, "sender": "@alice:example.org",
                "content": { "membership": membership, "is_direct": true } })
        };
        let events = [
            json!({ "type": "m.room.name", "state_key": "", "sender": "@alice:example.org", "content": {} }),
            stripped("@alice:example.org", "join"),
            stripped("@drawbridgebot:example.org", "invite"),
        ];
        let invite = json!({ ROOM: { "invite_state": { "events": events } } });
        (200, json!({ "next_batch": "s1", "rooms": { "invite": invite } }))
    })
    .await;
    assert_eq!(repair(&bridge, &server, Duration::ZERO).await, Ok(1));
    let event = bridge
        .db
        .read(|txn| Box::pin(async move { txn.waiting_events(ROOM, 10).await }))
        .await
        .unwrap()
        .remove(0);
    let parsed: ruma::events::AnyTimelineEvent = serde_json::from_str(&event.json).unwrap();
    assert_eq!(parsed.sender(), "@alice:example.org");
}

#[tokio::test]
async fn a_long_poll_brings_receipts_typing_and_presence() {
    let bridge = Bridge::start().await;
    let typing = json!({ "type": "m.typing", "content": { "user_ids": ["@alice:example.org"] } });
    let presence = json!({ "type": "m.presence", "sender": "@alice:example.org", "content": { "presence": "online" } });
    let (event, status) = (typing.clone(), presence.clone());
    let server = Homeserver::start(move |_| {
        let room =
            json!({ ROOM: { "timeline": { "events": [] }, "ephemeral": { "events": [event] } } });
        (
            200,
            json!({ "next_batch": "s1", "rooms": { "join": room }, "presence": { "events": [status] } }),
        )
    })
    .await;
    repair(&bridge, &server, Duration::from_secs(1))
        .await
        .unwrap();
    let mut in_room = typing;
    in_room["room_id"] = json!(ROOM);
    assert_eq!(*bridge.sink.ephemeral.lock().unwrap(), [presence, in_room]);
    let asked = server.asked();
    let asked = asked.iter().find(|asked| asked.what.ends_with("/sync"));
    let asked = asked.expect("a sync");
    assert_eq!(asked.query["timeout"], "1000");
    let filter: Value = serde_json::from_str(&asked.query["filter"]).unwrap();
    assert_eq!(filter["presence"]["types"], json!(["m.presence"]));
    assert_eq!(
        filter["room"]["ephemeral"]["types"],
        json!(["m.receipt", "m.typing"])
    );
}

#[tokio::test]
async fn a_repair_that_does_not_wait_asks_for_events_alone() {
    let bridge = Bridge::start().await;
    let server = Homeserver::start(|_| (200, json!({ "next_batch": "s1" }))).await;
    repair(&bridge, &server, Duration::ZERO).await.unwrap();
    let asked = &server.asked()[0];
    let filter: Value = serde_json::from_str(&asked.query["filter"]).unwrap();
    assert_eq!(filter["presence"]["types"], json!([]));
    assert_eq!(filter["room"]["ephemeral"]["types"], json!([]));
}

/// As Synapse delivers around an outage: the first of two events is kept back and the second comes by itself.
#[tokio::test]
async fn a_transaction_that_overtook_another_waits_for_the_order_of_the_room() {
    let clock = Arc::new(ManualClock::new(1_000));
    let order = Arc::new(Order::new(clock.clone()));
    let bridge = Bridge::start_with(|state| state.in_order(order.clone())).await;
    let server = Homeserver::start(|asked| match since(asked) {
        None => answer("s1", &json!({ "events": [] })),
        Some("s1") => answer("s2", &json!({ "events": [bare("$a"), bare("$b")] })),
        _ => answer("s3", &json!({ "events": [bare("$c"), bare("$d")] })),
    })
    .await;
    assert_eq!(repair(&bridge, &server, Duration::ZERO).await, Ok(0));
    let syncer = Syncer::new(
        server.client(),
        bridge.db.clone(),
        bridge.sink.clone(),
        EphemeralMode::Transactions,
        clock,
    )
    .in_order(order);
    let cancel = CancellationToken::new();
    // The first after the start, which comes before the bridge has asked.
    let overtaking = [message("$b", ROOM)];
    let early = bridge.hand_over("1", &overtaking);
    let asking = tokio::spawn(syncer.run(cancel.clone()));
    early.await;
    assert_eq!(bridge.waiting(ROOM).await, ["$a", "$b"]);
    // One whose number leaves out another's.
    bridge.hand_over("3", &[message("$d", ROOM)]).await;
    assert_eq!(bridge.waiting(ROOM).await, ["$a", "$b", "$c", "$d"]);
    // What was kept back brings nothing new.
    bridge.hand_over("2", &[message("$c", ROOM)]).await;
    assert_eq!(bridge.waiting(ROOM).await, ["$a", "$b", "$c", "$d"]);
    cancel.cancel();
    asking.await.expect("it ends");
}

/// Encrypts nothing, and remembers of which state it was told.
#[derive(Default)]
struct Watching(Mutex<Vec<(String, String)>>);

#[async_trait]
impl RoomCipher for Watching {
    async fn is_encrypted(&self, _: &Intent, _: &RoomId) -> Result<bool, MatrixError> {
        Ok(false)
    }

    async fn seal(
        &self,
        _: &Intent,
        _: &RoomId,
        _: &str,
        _: &Value,
    ) -> Result<Option<Value>, MatrixError> {
        Ok(None)
    }

    async fn open(&self, _: &RoomId, _: &str) -> Result<String, CipherError> {
        Err(CipherError::Unreadable("nothing is encrypted".to_owned()))
    }

    async fn ask_for_key(&self, _: &RoomId, _: &str) -> Result<(), MatrixError> {
        Ok(())
    }

    fn saw_state(&self, room: &str, kind: &str) {
        let mut seen = self.0.lock().expect("nobody panicked");
        seen.push((room.to_owned(), kind.to_owned()));
    }

    fn traffic_waiting(&self, _: bool) {}

    fn needs_sync(&self) -> bool {
        false
    }
}

#[tokio::test]
async fn state_that_was_not_delivered_changes_who_gets_keys() {
    let bridge = Bridge::start().await;
    let state = |id: &str, kind: &str, key: &str| {
        let mut event = bare(id);
        event["type"] = json!(kind);
        event["state_key"] = json!(key);
        event
    };
    let server = Homeserver::start(move |asked| match since(asked) {
        None => (200, json!({ "next_batch": "s1" })),
        _ => answer(
            "s2",
            &json!({ "events": [
                bare("$1"),
                state("$2", "m.room.encryption", ""),
                state("$3", "m.room.member", "@alice:example.org"),
            ] }),
        ),
    })
    .await;
    let client = server.client();
    let watching = Arc::new(Watching::default());
    client.set_cipher(watching.clone());
    let syncer = Syncer::new(
        client,
        bridge.db.clone(),
        bridge.sink.clone(),
        EphemeralMode::Auto,
        Arc::new(ManualClock::new(1_000)),
    );
    for _ in 0..2 {
        syncer.repair(Duration::ZERO).await.unwrap();
    }
    let seen = watching.0.lock().unwrap().clone();
    let expected =
        ["m.room.encryption", "m.room.member"].map(|kind| (ROOM.to_owned(), kind.to_owned()));
    assert_eq!(seen, expected);
}
