//! What the other side tells besides messages: calls, new phones, what could not be read at once, and the gatekeeper itself.

use drawbridge::sandbox::Fault;
use serde_json::Value;

use super::{
    chat::{Chat, event, id_of},
    world::{MARKED, Plan, World},
};

/// Whether an event is a notice that says something.
fn says(event: &Value, what: &str) -> bool {
    let body = event["content"]["body"].as_str();
    event["content"]["msgtype"] == "m.notice"
        && body.is_some_and(|body| body.to_lowercase().contains(what))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_on_the_other_side_is_told() {
    let world = World::start(Plan::default()).await;
    let mut chat = Chat::open(&world).await;
    chat.say("hello").await;
    chat.contact.receives("hello").await;
    chat.contact.say("hello back").await;
    chat.hears("hello back").await;

    // A call that comes, and one that nobody took.
    let phone = chat.contact.phone.clone();
    let call = phone.call(&chat.contact.user, true).await;
    let call = call.expect("the sandbox runs");
    let calls = chat.finds("a call", |e| says(e, "video call")).await;
    phone
        .hang_up(&chat.contact.user, &call)
        .expect("the sandbox runs");
    let missed = chat
        .finds("a missed call", |e| says(e, "tried to reach you"))
        .await;
    assert_ne!(id_of(&calls), id_of(&missed));

    // What cannot be read at once: a notice in its place, which it takes when it comes.
    let faults = world.sandbox.faults();
    faults.inject(Fault::CorruptCiphertext, Some("message"), 1);
    let late = format!("late {MARKED}");
    chat.contact.say(&late).await;
    let placeholder = id_of(&chat.finds("a placeholder", |e| says(e, "decrypt")).await);
    chat.shows(&placeholder, &late).await;
    chat.contact.say("after it").await;
    chat.hears("after it").await;

    // It is what is answered and deleted.
    let answer = chat
        .alice
        .reply(&chat.room, &placeholder, "to the late one")
        .await;
    let answered = chat.contact.receives("to the late one").await;
    let quoted = answered.quotes.expect("it quotes").id;
    assert_eq!(quoted.as_str(), chat.contact.wrote(&late).id);

    // A new phone: what that means is told, and messages go on.
    chat.contact.reinstall().await;
    chat.contact.say("from a new phone").await;
    chat.finds("the changed identity", |e| says(e, "security code"))
        .await;
    chat.hears("from a new phone").await;
    chat.say("to the new phone").await;
    chat.contact.receives("to the new phone").await;

    // The gatekeeper has something to say: to the user, where the bot is.
    let text = format!("Terms about {MARKED} change");
    world
        .sandbox
        .notify(&chat.contact.user, &text)
        .await
        .expect("the user is known");
    let desk = chat.desk.room.clone();
    let said = chat
        .alice
        .hear(&desk, super::world::BOT, |body| body.contains(&text))
        .await;
    assert!(
        said["content"]["body"]
            .as_str()
            .is_some_and(|body| body.contains("WhatsApp"))
    );

    let events = chat.room().await;
    assert_eq!(event(&events, &answer)["class"], "RoomMessageText");
    for notice in [&calls, &missed] {
        assert_eq!(event(&events, &id_of(notice))["class"], "RoomMessageNotice");
    }
    let shown = |text: &str| {
        let with_text = events.iter().filter(|e| e["body"] == text);
        with_text.count()
    };
    assert_eq!(shown("after it"), 1);
    assert_eq!(shown(&late), 0, "it is in its place alone");
}
