//! Transactions: taken once, taken whole, never a reason for the homeserver to stop.

use drawbridge::store::Lane;
use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};
use serde_json::{Value, json};

use super::bridge::{Bridge, TOKEN, answer, message};

const ROOM: &str = "!room:example.org";
const STABLE: &str = "/_matrix/app/v1/transactions";

#[tokio::test]
async fn events_are_stored_in_order_and_their_rooms_announced() {
    let bridge = Bridge::start().await;
    let events: Vec<Value> = (0..5).map(|n| message(&format!("${n}"), ROOM)).collect();
    bridge.hand_over("1", &events).await;
    assert_eq!(bridge.waiting(ROOM).await, ["$0", "$1", "$2", "$3", "$4"]);
    assert_eq!(*bridge.sink.rooms.lock().unwrap(), [ROOM]);
}

#[tokio::test]
async fn a_transaction_that_comes_again_changes_nothing() {
    let bridge = Bridge::start().await;
    let (a, b) = ([message("$a", ROOM)], [message("$b", ROOM)]);
    bridge.hand_over("1", &a).await;
    bridge.hand_over("2", &b).await;
    bridge.hand_over("1", &a).await;
    let legacy = json!({ "events": a });
    assert_eq!(bridge.call("PUT", "/transactions/1", &legacy).await.0, 200);
    assert_eq!(bridge.waiting(ROOM).await, ["$a", "$b"]);
}

#[tokio::test]
async fn a_transaction_that_comes_again_wakes_the_rooms_that_still_wait() {
    let bridge = Bridge::start().await;
    let events = [message("$a", ROOM)];
    bridge.hand_over("1", &events).await;
    bridge.hand_over("1", &events).await;
    assert_eq!(*bridge.sink.rooms.lock().unwrap(), [ROOM, ROOM]);
    let finish = bridge.db.step(Lane::room(ROOM), |txn| {
        Box::pin(async move {
            for event in txn.waiting_events(ROOM, 9).await? {
                txn.finish_event(event.seq).await?;
            }
            Ok(())
        })
    });
    finish.await.unwrap();
    bridge.hand_over("1", &events).await;
    assert_eq!(*bridge.sink.rooms.lock().unwrap(), [ROOM, ROOM]);
}

#[tokio::test]
async fn a_known_id_with_other_content_is_not_lost() {
    let bridge = Bridge::start().await;
    bridge.hand_over("1", &[message("$a", ROOM)]).await;
    // Synapse on SQLite counts from 1 again after it was restarted.
    bridge.hand_over("1", &[message("$b", ROOM)]).await;
    assert_eq!(bridge.waiting(ROOM).await, ["$a", "$b"]);
}

#[tokio::test]
async fn an_event_that_comes_in_another_transaction_is_taken_once() {
    let bridge = Bridge::start().await;
    bridge
        .hand_over("1", &[message("$a", ROOM), message("$b", ROOM)])
        .await;
    bridge
        .hand_over("2", &[message("$b", ROOM), message("$c", ROOM)])
        .await;
    assert_eq!(bridge.waiting(ROOM).await, ["$a", "$b", "$c"]);
}

#[tokio::test]
async fn one_event_that_cannot_be_read_costs_itself_alone() {
    let bridge = Bridge::start().await;
    let bad = [
        json!(null),
        json!("text"),
        json!({}),
        json!({ "event_id": 1, "room_id": ROOM, "sender": "@a:b", "type": "t" }),
        json!({ "event_id": "$x\u{0}", "room_id": ROOM, "sender": "@a:b", "type": "t" }),
        json!({ "event_id": "$x", "room_id": "!r\u{0}", "sender": "@a:b", "type": "t" }),
        json!({ "event_id": "no-sigil", "room_id": ROOM, "sender": "@a:b", "type": "t" }),
        json!({ "event_id": "$".to_owned() + &"x".repeat(300), "room_id": ROOM, "sender": "@a:b", "type": "t" }),
        json!({ "event_id": "$x", "room_id": ROOM, "sender": "@a:b" }),
    ];
    let mut events = vec![message("$first", ROOM)];
    events.extend(bad.iter().cloned());
    events.push(message("$last", ROOM));
    bridge.hand_over("1", &events).await;
    assert_eq!(bridge.waiting(ROOM).await, ["$first", "$last"]);
    let set_aside = bridge.quarantine().await;
    assert_eq!(set_aside.len(), bad.len());
    assert!(set_aside.iter().all(|event| !event.reason.is_empty()));
    // It is set aside once, however often it comes.
    bridge.hand_over("2", &events).await;
    assert_eq!(bridge.quarantine().await.len(), bad.len());
}

#[tokio::test]
async fn a_body_that_is_no_transaction_is_kept_and_does_not_block_the_queue() {
    let bridge = Bridge::start().await;
    let deep = "[".repeat(100_000);
    let bodies: [&[u8]; 9] = [
        b"",
        b"not json",
        b"[]",
        b"{\"events\":",
        b"{\"events\":{}}",
        b"{\"events\":[}",
        b"\xff\xfe\x00",
        b"\x00",
        deep.as_bytes(),
    ];
    for (n, body) in bodies.iter().enumerate() {
        let request = bridge
            .bare("PUT", &format!("{STABLE}/{n}"))
            .bearer_auth(TOKEN)
            .body(body.to_vec());
        assert_eq!(answer(request).await, (200, json!({})), "{n}");
    }
    assert_eq!(bridge.quarantine().await.len(), bodies.len());
    bridge.hand_over("after", &[message("$a", ROOM)]).await;
    assert_eq!(bridge.waiting(ROOM).await, ["$a"]);
}

#[tokio::test]
async fn no_body_is_answered_with_an_error() {
    let bridge = Bridge::start().await;
    let mut runner = TestRunner::deterministic();
    let piece = prop_oneof![
        Just(b"{\"events\":[".to_vec()),
        Just(b"{\"event_id\":\"$a\",\"room_id\":\"!r\",\"sender\":\"@s\",\"type\":\"t\"}".to_vec()),
        Just(b"]}".to_vec()),
        Just(b",".to_vec()),
        Just(b"\"\\ud800\"".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..20),
    ];
    let bodies = proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat());
    for n in 0..200 {
        let body = bodies.new_tree(&mut runner).unwrap().current();
        // Transaction ids may be any text too.
        let path = format!("{STABLE}/{n}%00%0A{}", "x".repeat(n * 2));
        let request = bridge
            .bare("PUT", &path)
            .bearer_auth(TOKEN)
            .body(body.clone());
        let (status, _) = answer(request).await;
        assert_eq!(status, 200, "{:?}", String::from_utf8_lossy(&body));
    }
}

#[tokio::test]
async fn a_large_transaction_is_taken_and_a_monstrous_one_refused() {
    let bridge = Bridge::start().await;
    let large: Vec<Value> = (0..100)
        .map(|n| {
            let mut event = message(&format!("${n}"), ROOM);
            event["content"]["body"] = json!("x".repeat(64 * 1024));
            event
        })
        .collect();
    bridge.hand_over("1", &large).await;
    assert_eq!(bridge.waiting(ROOM).await.len(), 100);

    let body = vec![b' '; 32 * 1024 * 1024 + 1];
    let request = bridge
        .bare("PUT", &format!("{STABLE}/2"))
        .bearer_auth(TOKEN)
        .body(body);
    let (status, body) = answer(request).await;
    assert_eq!((status, &body["errcode"]), (413, &json!("M_TOO_LARGE")));
}

#[tokio::test]
async fn ephemeral_events_come_under_either_key_and_are_taken_once() {
    let bridge = Bridge::start().await;
    let typing = |user: &str| json!({ "type": "m.typing", "room_id": ROOM, "content": { "user_ids": [user] } });
    let both = json!({
        "events": [],
        "ephemeral": [typing("@a:b")],
        "de.sorunome.msc2409.ephemeral": [typing("@a:b")],
    });
    bridge.call("PUT", &format!("{STABLE}/1"), &both).await;
    let old = json!({ "events": [], "de.sorunome.msc2409.ephemeral": [typing("@c:d")] });
    bridge.call("PUT", &format!("{STABLE}/2"), &old).await;
    let broken = json!({ "events": [message("$a", ROOM)], "ephemeral": 5 });
    bridge.call("PUT", &format!("{STABLE}/3"), &broken).await;
    assert_eq!(
        *bridge.sink.ephemeral.lock().unwrap(),
        [typing("@a:b"), typing("@c:d")]
    );
    assert_eq!(bridge.waiting(ROOM).await, ["$a"]);
}

#[tokio::test]
async fn receipts_typing_and_presence_come_with_transactions() {
    let bridge = Bridge::start().await;
    let receipt = json!({ "type": "m.receipt", "room_id": ROOM, "content": { "$a": { "m.read": { "@a:b": { "ts": 1 } } } } });
    let typing = json!({ "type": "m.typing", "room_id": ROOM, "content": { "user_ids": [] } });
    let presence =
        json!({ "type": "m.presence", "sender": "@a:b", "content": { "presence": "online" } });
    let all = [receipt, typing, presence];
    let body = json!({ "events": [], "ephemeral": all });
    bridge.call("PUT", &format!("{STABLE}/1"), &body).await;
    assert_eq!(*bridge.sink.ephemeral.lock().unwrap(), all);
}

#[tokio::test]
async fn what_could_not_be_stored_is_not_acknowledged() {
    let bridge = Bridge::start().await;
    bridge.db.close().await;
    let body = json!({ "events": [message("$a", ROOM)] });
    let (status, answer) = bridge.call("PUT", &format!("{STABLE}/1"), &body).await;
    assert_eq!((status, &answer["errcode"]), (500, &json!("M_UNKNOWN")));
    assert!(bridge.sink.rooms.lock().unwrap().is_empty());
}
