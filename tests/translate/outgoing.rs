//! Everything else of Matrix users: places, polls, timers, and what is refused.

use drawbridge::translate::{KnownPoll, PartContent, Reply, RoomEvent, poll_options};
use serde_json::{Value, json};

use super::world::{There, event, message, own, text, theirs, there};

fn state(kind: &str, content: &Value) -> RoomEvent {
    let json = json!({ "type": kind, "state_key": "", "origin_server_ts": 1, "content": content });
    RoomEvent::from_json(&json.to_string()).unwrap()
}

#[test]
fn places() {
    let place = |more: Value| {
        let mut content =
            json!({ "msgtype": "m.location", "body": "Location geo:51.5,-0.12;u=35 at noon" });
        content
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        message(&content)
    };
    let named = json!({
        "geo_uri": "geo:0,0",
        "org.matrix.msc3488.location": { "uri": "geo:51.5008,-0.1247;u=35", "description": "Big\nBen" },
        "org.matrix.msc3488.asset": { "type": "m.pin" },
    });
    let cases = json!({
        "place": there().shows(&place(json!({ "geo_uri": "geo:51.5008,-0.1247;u=35" }))),
        "named": there().shows(&place(named.clone())),
        "named by its body": there().shows(&place(json!({ "body": "Big Ben", "geo_uri": "geo:51.5,-0.1" }))),
        "where there are none: a map": There::with(|t| t.capabilities.locations = false).shows(&place(named)),
        "outside of the world": there().shows(&place(json!({ "geo_uri": "geo:91,0" }))),
        "nowhere": there().shows(&place(json!({}))),
        "live": there().shows(&state("org.matrix.msc3672.beacon_info", &json!({ "live": true, "timeout": 1 }))),
        "no longer live": there().shows(&state("m.beacon_info", &json!({ "live": false }))),
    });
    insta::assert_json_snapshot!(cases);
}

/// A poll in the form clients send, with as many options as are asked for.
fn poll(options: usize, most: u64) -> RoomEvent {
    let answers: Vec<Value> = (0..options)
        .map(
            |n| json!({ "id": format!("id{n}"), "org.matrix.msc1767.text": format!("Option {n}") }),
        )
        .collect();
    event(
        "org.matrix.msc3381.poll.start",
        &json!({
            "org.matrix.msc1767.text": "Lunch?\n1. …",
            "org.matrix.msc3381.poll.start": {
                "question": { "org.matrix.msc1767.text": "Lunch?", "body": "Lunch?", "msgtype": "m.text" },
                "kind": "org.matrix.msc3381.poll.disclosed",
                "max_selections": most,
                "answers": answers,
            },
        }),
    )
}

fn stable_poll(answers: &Value) -> RoomEvent {
    event(
        "m.poll.start",
        &json!({
            "m.text": [{ "body": "fallback" }],
            "m.poll": {
                "question": { "m.text": [{ "mimetype": "text/html", "body": "<b>Lunch?</b>" }, { "body": "Lunch?" }] },
                "kind": "m.undisclosed",
                "max_selections": 2,
                "answers": answers,
            },
        }),
    )
}

#[test]
fn polls() {
    let twins = stable_poll(&json!([
        { "m.id": "a", "m.text": [{ "body": "Pizza" }] },
        { "m.id": "b", "m.text": [{ "body": " Pizza\n" }] },
        { "m.id": "c", "m.text": [{ "body": "*Soup*" }] },
    ]));
    assert_eq!(
        poll_options(&twins).unwrap(),
        [("a", "Pizza"), ("b", "Pizza (2)"), ("c", "*Soup*")]
            .map(|(id, text)| (id.to_owned(), text.to_owned()))
    );
    assert_eq!(poll_options(&text("no poll")), None);
    let answered = There::with(|t| t.reply = Reply::Known(theirs("3EB0AA")));
    let foreign = There::with(|t| {
        t.reply = Reply::Foreign {
            name: "Dan".to_owned(),
            body: "hungry".to_owned(),
        };
    });
    let cases = json!({
        "one choice": there().shows(&poll(3, 1)),
        "as many choices as there are": there().shows(&poll(3, 3)),
        "two of three": there().shows(&poll(3, 2)),
        "stable form, equal options": there().shows(&twins),
        "as an answer": answered.shows(&poll(2, 1)),
        "as an answer to what the other side never saw": foreign.shows(&poll(2, 1)),
        "too many options: a text": there().shows(&poll(13, 1)),
        "one option: a text": there().shows(&poll(1, 1)),
        "where there are none: a text": There::with(|t| t.capabilities.poll_options = 0).shows(&poll(2, 1)),
        "no options": there().shows(&poll(0, 1)),
        "no question": there().shows(&event("m.poll.start", &json!({ "m.poll": { "answers": [] } }))),
    });
    insta::assert_json_snapshot!(cases);
}

#[test]
fn votes() {
    let known = |secret| {
        There::with(|there| {
            there.poll = Some(KnownPoll {
                message: theirs("3EB0P0"),
                secret,
                options: vec![
                    ("id0".to_owned(), "Pizza".to_owned()),
                    ("id1".to_owned(), "Soup".to_owned()),
                ],
            });
        })
    };
    let relation = json!({ "rel_type": "m.reference", "event_id": "$poll" });
    let vote = |ids: Value| {
        event(
            "org.matrix.msc3381.poll.response",
            &json!({ "m.relates_to": relation, "org.matrix.msc3381.poll.response": { "answers": ids } }),
        )
    };
    let stable = event(
        "m.poll.response",
        &json!({ "m.relates_to": relation, "m.selections": ["id1"] }),
    );
    let end = event(
        "org.matrix.msc3381.poll.end",
        &json!({ "m.relates_to": relation, "org.matrix.msc1767.text": "The poll has ended. Top answer: Soup", "org.matrix.msc3381.poll.end": {} }),
    );
    let bare_end = event(
        "m.poll.end",
        &json!({ "m.relates_to": relation, "m.poll.end": {} }),
    );
    let cases = json!({
        "vote": known(Some([1; 32])).shows(&vote(json!(["id1"]))),
        "vote in the stable form": known(Some([1; 32])).shows(&stable),
        "several, some unknown, some twice": known(Some([1; 32])).shows(&vote(json!(["id1", "id9", "id0", "id1", 7]))),
        "taken back": known(Some([1; 32])).shows(&vote(json!([]))),
        "in a poll that cannot be voted in": known(None).shows(&vote(json!(["id0"]))),
        "in an unknown poll": there().shows(&vote(json!(["id0"]))),
        "end": known(None).shows(&end),
        "end of one's own poll, without a text": There::about(&[own("OWN1")], 60).shows(&bare_end),
        "end of an unknown poll": there().shows(&end),
    });
    insta::assert_json_snapshot!(cases);
    let parts = known(Some([1; 32])).parts(&vote(json!(["id0"]))).unwrap();
    let PartContent::Ready(drawbridge::domain::OutgoingContent::PollVote { secret, .. }) =
        &parts[0].content
    else {
        panic!("a vote was expected");
    };
    assert_eq!(*secret, [1; 32]);
}

#[test]
fn timers() {
    let timer = |milliseconds: u64| {
        state(
            "com.beeper.disappearing_timer",
            &json!({ "type": "after_send", "timer": milliseconds }),
        )
    };
    let lasting = There::with(|t| t.capabilities.timers.clear());
    let cases = json!({
        "a day": there().shows(&timer(86_400_000)),
        "off": there().shows(&timer(0)),
        "off, as it is written too": there().shows(&state("com.beeper.disappearing_timer", &json!({}))),
        "another time": there().shows(&timer(5_400_000)),
        "where nothing disappears": lasting.shows(&timer(86_400_000)),
        "off where nothing disappears": lasting.shows(&timer(0)),
    });
    insta::assert_json_snapshot!(cases);
}

#[test]
fn what_is_refused_or_not_for_the_other_side() {
    let redacted = RoomEvent::from_json(
        r#"{"type":"m.room.message","content":{"msgtype":"m.text","body":"x"},"unsigned":{"redacted_because":{}}}"#,
    );
    let cases = json!({
        "encrypted": there().shows(&event("m.room.encrypted", &json!({ "algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "x" }))),
        "message of an unknown type": there().shows(&message(&json!({ "msgtype": "org.example.new", "body": "?" }))),
        "message without a type": there().shows(&message(&json!({ "body": "?" }))),
        "verification": there().shows(&message(&json!({ "msgtype": "m.key.verification.request", "body": "verify" }))),
        "unknown event with a body": there().shows(&event("org.example.thing\u{202e}", &json!({ "body": "seen" }))),
        "unknown event with a text": there().shows(&event("org.example.thing", &json!({ "m.text": [{ "body": "seen" }] }))),
        "unknown event nobody sees": there().shows(&event("org.example.thing", &json!({ "data": 1 }))),
        "call": there().shows(&event("m.call.invite", &json!({ "call_id": "1", "version": "1" }))),
        "what programs say during a call": there().shows(&event("m.call.candidates", &json!({ "call_id": "1" }))),
        "member": there().shows(&state("m.room.member", &json!({ "membership": "join" }))),
        "topic": there().shows(&state("m.room.topic", &json!({ "topic": "x" }))),
        "deleted before it came": there().shows(&message(&json!({}))),
        "deleted, as its envelope says": there().shows(&redacted.unwrap()),
    });
    insta::assert_json_snapshot!(cases);
}
