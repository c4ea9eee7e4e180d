//! What the Matrix user sees of how far their messages are: status events, the bot's receipt, notices that do not become many.

use std::time::Duration;

use drawbridge::sandbox::{Fault, Flavour};
use serde_json::{Value, json};

use super::{
    chat::Chat,
    client::Seen,
    wait::until,
    world::{BOT, MARKED, Plan, World},
};

/// Who tells how far messages are, for clients that show it.
const STATUS: &str = "com.beeper.message_send_status";

/// The states told of a message, in order.
fn states(seen: &Seen, room: &str, about: &str) -> Vec<Value> {
    seen.timeline(room)
        .iter()
        .filter(|e| e["type"] == STATUS && e["sender"] == BOT)
        .filter(|e| e["content"]["m.relates_to"]["event_id"] == about)
        .map(|e| e["content"].clone())
        .collect()
}

/// The bot's notices in a room that are no edits, by their events.
fn notices(seen: &Seen, room: &str) -> Vec<Value> {
    seen.timeline(room)
        .iter()
        .filter(|e| e["type"] == "m.room.message" && e["sender"] == BOT)
        .filter(|e| e["content"]["m.relates_to"]["rel_type"] != "m.replace")
        .cloned()
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_sees_how_far_messages_are() {
    let world = World::start(Plan {
        config: json!({"bridge": {"message_status_events": true}}),
        ..Plan::default()
    })
    .await;
    let mut chat = Chat::open(&world).await;
    sent_and_delivered_are_told_apart(&mut chat).await;
    ten_failures_make_one_notice(&mut chat).await;
    the_next_failure_has_a_notice_of_its_own(&mut chat).await;
    a_refusal_of_the_gatekeeper_is_told(&mut chat).await;

    // An ordinary client reads the notices.
    let events = chat.room().await;
    let of_bot = events.iter().filter(|e| e["source"]["sender"] == BOT);
    let read = of_bot.filter(|e| e["class"] == "RoomMessageNotice").count();
    assert!(read >= 3, "{read} notices");
}

/// The gatekeeper has it, then the contact has it; the bot's receipt says the former.
async fn sent_and_delivered_are_told_apart(chat: &mut Chat) {
    let (room, ghost) = (chat.room.clone(), chat.ghost.clone());
    chat.contact.set_online(false);
    let sent = chat.say("how far").await;
    chat.alice
        .watch("that the gatekeeper has it", |seen| {
            let state = states(seen, &room, &sent).pop()?;
            (state["status"] == "SUCCESS" && seen.has_read(&room, &sent, BOT)).then_some(())
        })
        .await;
    let delivered = |state: &Value| state["delivered_to_users"] == json!([ghost]);
    let told = states(&chat.alice.seen, &room, &sent);
    assert!(!told.iter().any(delivered), "{told:?}");
    chat.contact.set_online(true);
    chat.alice
        .watch("that the contact has it", |seen| {
            let mut told = states(seen, &room, &sent).into_iter();
            told.any(|state| delivered(&state)).then_some(())
        })
        .await;
}

async fn ten_failures_make_one_notice(chat: &mut Chat) {
    let room = chat.room.clone();
    let mut failed = Vec::new();
    for n in 0..10 {
        let odd = json!({"msgtype": "org.example.odd", "body": format!("{MARKED} {n}")});
        failed.push(chat.send(&odd).await);
    }
    chat.alice
        .watch("a notice that counts to ten", |seen| {
            let notices = notices(seen, &room);
            let [notice] = &notices[..] else { return None };
            let shown = seen.shown(&room, notice["event_id"].as_str()?)?;
            let says = shown["body"].as_str()?;
            says.contains("10 messages").then_some(())
        })
        .await;
    for event in &failed {
        let states = states(&chat.alice.seen, &room, event);
        assert_eq!(states.len(), 1, "{states:?}");
        assert_eq!(states[0]["status"], "FAIL_PERMANENT");
        let why = states[0]["message"].as_str().expect("a sentence");
        assert!(why.contains("Not sent to WhatsApp"), "{why}");
        assert!(states[0]["reason"].is_string());
    }
}

/// What is said in between ends the count.
async fn the_next_failure_has_a_notice_of_its_own(chat: &mut Chat) {
    let room = chat.room.clone();
    chat.say("in between").await;
    chat.contact.receives("in between").await;
    chat.contact.say("in between as well").await;
    chat.hears("in between as well").await;
    let before = notices(&chat.alice.seen, &room).len();
    let odd = json!({"msgtype": "org.example.odd", "body": MARKED});
    chat.send(&odd).await;
    chat.alice
        .watch("another notice", |seen| {
            (notices(seen, &room).len() == before + 1).then_some(())
        })
        .await;
}

async fn a_refusal_of_the_gatekeeper_is_told(chat: &mut Chat) {
    let room = chat.room.clone();
    let blocked = chat.contact.phone.block(&chat.contact.user, true);
    blocked.expect("the sandbox runs");
    // The block takes its time.
    let what = "a refusal by the gatekeeper";
    let (event, state) = until(what, Duration::from_mins(1), async || {
        let event = chat.say("to one who blocks").await;
        let outcome = |seen: &Seen| states(seen, &room, &event).pop();
        let state = chat.alice.watch("the outcome", outcome).await;
        (state["status"] == "FAIL_PERMANENT").then_some((event, state))
    })
    .await;
    let why = state["message"].as_str().expect("a sentence");
    assert!(why.starts_with("Not sent"), "{why}");
    chat.alice
        .watch("a notice about it", |seen| {
            let answers = |e: &&Value| {
                e["content"]["m.relates_to"]["m.in_reply_to"]["event_id"] == event.as_str()
            };
            notices(seen, &room).iter().find(answers).map(|_| ())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_is_told_once_that_its_messages_wait() {
    let world = World::start(Plan::default()).await;
    let mut chat = Chat::open(&world).await;
    let room = chat.room.clone();
    chat.say("before").await;
    chat.contact.receives("before").await;

    // The gatekeeper breaks every connection.
    let faults = world.sandbox.faults();
    faults.inject(Fault::Disconnect, Some("success"), 1_000_000);
    let login = world
        .sandbox
        .partner_login(Flavour::WhatsApp, &chat.alice.mxid)
        .expect("she is logged in");
    world.sandbox.cut(&login);
    for n in 0..3 {
        chat.say(&format!("waits {n}")).await;
    }
    let notice = until(
        "the notice that they wait",
        Duration::from_mins(3),
        async || {
            let told = chat.alice.bodies(&room, BOT).await;
            assert!(told.len() <= 1, "{told:?}");
            told.into_iter().next()
        },
    )
    .await;
    assert!(
        notice.contains("wait") && notice.contains("WhatsApp"),
        "{notice}"
    );

    // It does not any more.
    faults.clear();
    chat.contact
        .receives_exactly(&["before", "waits 0", "waits 1", "waits 2"])
        .await;
    chat.alice
        .watch("the notice to say that it is over", |seen| {
            let notices = notices(seen, &room);
            let [notice] = &notices[..] else { return None };
            let shown = seen.shown(&room, notice["event_id"].as_str()?)?;
            shown["body"]
                .as_str()?
                .contains("being sent now")
                .then_some(())
        })
        .await;
}
