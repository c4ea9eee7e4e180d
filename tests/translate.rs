//! Translation as snapshots: one case a row, each direction.

use drawbridge::{
    domain::{
        Capabilities, IncomingContent, IncomingMessage, MessageContext, MessageRef,
        OutgoingContent, RemoteUserId, StanzaId,
    },
    translate::{
        MatrixContext, NetworkContext, PartContent, Reply, Target, targets, to_matrix, to_network,
    },
};
use proptest::prelude::*;
use ruma::{OwnedEventId, events::AnyTimelineEvent};
use serde_json::{Value, json};

fn message(content: Value) -> AnyTimelineEvent {
    event("m.room.message", content)
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "called with what `json!` makes"
)]
fn event(kind: &str, content: Value) -> AnyTimelineEvent {
    serde_json::from_value(json!({
        "type": kind,
        "event_id": "$event",
        "room_id": "!room:example.org",
        "sender": "@ada:example.org",
        "origin_server_ts": 1_700_000_000_000_u64,
        "content": content,
    }))
    .expect("a well-formed event")
}

fn out(event: &AnyTimelineEvent, quote: Option<MessageRef>) -> Value {
    let capabilities = Capabilities {
        max_text_chars: 40,
        ..Capabilities::default()
    };
    let context = NetworkContext {
        capabilities: &capabilities,
        gatekeeper: "WhatsApp",
        reply: quote.map_or(Reply::None, Reply::Known),
        target: Target::Unknown,
        poll: None,
        people: &|_| None,
        random: [7; 32],
    };
    match to_network(event, &context) {
        Ok(parts) => parts
            .into_iter()
            .map(|part| match part.content {
                PartContent::Ready(OutgoingContent::Text { body, .. }) => {
                    json!({ "body": body, "quote": part.context.quote.map(|quote| quote.message) })
                }
                other => json!(format!("{other:?}")),
            })
            .collect(),
        Err(why) => json!({ "reason": why.reason, "notice": why.notice }),
    }
}

fn into(content: IncomingContent, about: &MatrixContext) -> Value {
    let message = IncomingMessage {
        content,
        context: MessageContext::default(),
    };
    to_matrix(&message, about)
        .into_iter()
        .map(|event| event.content)
        .collect()
}

fn quote() -> MessageRef {
    MessageRef {
        id: StanzaId::parse("3EB0AA").expect("an id"),
        sender: Some(RemoteUserId::parse("4915555550001@s.whatsapp.net").expect("an id")),
    }
}

#[test]
fn matrix_to_network() {
    let text = |body: &str| message(json!({ "msgtype": "m.text", "body": body }));
    let reply = message(json!({
        "msgtype": "m.text",
        "body": "> <@eve:example.org> stolen words\n\nyes",
        "m.relates_to": { "m.in_reply_to": { "event_id": "$earlier" } },
    }));
    let edit = message(json!({
        "msgtype": "m.text",
        "body": "* fixed",
        "m.new_content": { "msgtype": "m.text", "body": "fixed" },
        "m.relates_to": { "rel_type": "m.replace", "event_id": "$earlier" },
    }));
    let cases = json!({
        "plain": out(&text("hello"), None),
        "newlines, right to left, emoji": out(&text("שלום\r\nעולם 👩‍🚀"), None),
        "control characters go": out(&text("a\u{0}b\u{7}c\u{1b}"), None),
        "too long is split at a blank": out(&text("one two three four five six seven eight nine ten eleven"), None),
        "only blanks": out(&text("  \n "), None),
        "emote": out(&message(json!({ "msgtype": "m.emote", "body": "waves" })), None),
        "notice": out(&message(json!({ "msgtype": "m.notice", "body": "beep" })), None),
        "reply with a quote, its fallback dropped": out(&reply, Some(quote())),
        "reply to what the other side never saw": out(&reply, None),
        "edit": out(&edit, None),
        "picture": out(&message(json!({ "msgtype": "m.image", "body": "a.png", "url": "mxc://example.org/a" })), None),
        "unknown message type": out(&message(json!({ "msgtype": "org.example.new", "body": "?" })), None),
        "encrypted": out(&event("m.room.encrypted", json!({ "algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "x", "session_id": "s" })), None),
        "reaction": out(&event("m.reaction", json!({ "m.relates_to": { "rel_type": "m.annotation", "event_id": "$e", "key": "👍" } })), None),
        "an event the bridge has no name for": out(&event("org.example.thing", json!({})), None),
    });
    insta::assert_json_snapshot!("matrix_to_network", cases);
}

#[test]
fn network_to_matrix() {
    let text = |body: &str| IncomingContent::Text {
        body: body.to_owned(),
        preview: None,
    };
    let plain = MatrixContext::default();
    let reply = MatrixContext {
        reply_to: Some(OwnedEventId::try_from("$earlier").unwrap()),
        ..MatrixContext::default()
    };
    let replaced = MatrixContext {
        replaces: Some(OwnedEventId::try_from("$placeholder").unwrap()),
        ..MatrixContext::default()
    };
    let cases = json!({
        "plain": into(text("hello"), &plain),
        "markup is text, not HTML": into(text("<b>*x*</b>\u{0}"), &plain),
        "reply": into(text("yes"), &reply),
        "undecryptable": into(IncomingContent::Undecryptable, &plain),
        "placeholder replaced": into(text("at last"), &replaced),
        "identity changed": into(IncomingContent::IdentityChanged, &plain),
        "unsupported": into(IncomingContent::Unsupported { kind: "pollCreationMessage".to_owned() }, &plain),
    });
    insta::assert_json_snapshot!("network_to_matrix", cases);
}

#[test]
fn a_thread_becomes_a_reply() {
    let threaded = message(json!({
        "msgtype": "m.text",
        "body": "x",
        "m.relates_to": { "rel_type": "m.thread", "event_id": "$root", "is_falling_back": true, "m.in_reply_to": { "event_id": "$last" } },
    }));
    assert_eq!(targets(&threaded).reply.unwrap().as_str(), "$root");
}

proptest! {
    #[test]
    fn whatever_the_text_every_event_is_small_enough_and_nothing_is_lost(body in "(\\PC|[\n\"\\\\]){0,30000}") {
        let incoming = IncomingContent::Text { body: body.clone(), preview: None };
        let events = into(incoming, &MatrixContext::default());
        let mut text = String::new();
        for event in events.as_array().unwrap() {
            prop_assert!(serde_json::to_vec(event).unwrap().len() < 60_000);
            text.push_str(event["body"].as_str().unwrap());
        }
        let letters = |s: &str| s.chars().filter(|c| !c.is_whitespace()).count();
        prop_assert_eq!(letters(&text), letters(&body));
    }
}
