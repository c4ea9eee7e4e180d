//! What a user is told of a connection that does not work, and whom it concerns.

use std::time::Duration;

use drawbridge::sandbox::{Fault, Flavour};
use serde_json::json;

use super::{
    chat::Chat,
    client::PATIENCE,
    contact::Contact,
    gate::Gate,
    management::{Desk, ghost_of},
    wait::until,
    world::{BOT, Plan, World},
};

const DOWN: &str = "does not work for now";
const UP: &str = "works again";

impl World {
    /// Waits until the bridge noted so many broken connections of a gatekeeper's login.
    async fn has_logged(&self, what: &str, times: usize) {
        until(&format!("{what:?} in the log"), PATIENCE, async || {
            let log = self.bridge.logged();
            (log.matches(what).count() >= times).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gatekeeper_that_is_away_is_told_once_and_holds_up_nobody_else() {
    let gate = Gate::build().await;
    let mut world = World::start(Plan {
        config: json!({"bridge": {"connection_grace_seconds": 4}}),
        profiles: json!({"messenger": gate.profile()}),
        ..Plan::default()
    })
    .await;
    gate.open(world.sandbox.chat_address());
    // Her WhatsApp never breaks, her Messenger does; his WhatsApp is another's.
    let mut chat = Chat::open(&world).await;
    chat.desk.log_in(&mut chat.alice, "messenger").await;
    let other = Contact::of(&world, &chat.alice, Flavour::Messenger).await;
    let whom = format!("messenger {}", other.number());
    let there = chat.desk.start_chat(&mut chat.alice, &whom).await;
    let ghost = ghost_of(&chat.alice, &there).await;
    chat.alice.say(&there, "before").await;
    other.receives("before").await;

    // A short while: nothing is told.
    gate.shut();
    world.has_logged("the connection ended", 1).await;
    gate.open(world.sandbox.chat_address());
    other.say("while it was short").await;
    let heard = |body: &str| body == "while it was short";
    chat.alice.hear(&there, &ghost, heard).await;
    assert_eq!(chat.desk.times_told(&chat.alice, "connection"), 0);

    // A long one: told once, and all the while the rest works.
    gate.shut();
    chat.alice.say(&there, "waits").await;
    other.say("waits, too").await;
    let told = chat
        .alice
        .hear(&chat.desk.room, BOT, |body| body.contains(DOWN))
        .await;
    let told = told["event_id"].as_str().expect("an id").to_owned();
    assert_eq!(chat.desk.times_told(&chat.alice, UP), 0);
    let logins = {
        chat.desk.is_told(&mut chat.alice, DOWN).await;
        chat.desk.command(&mut chat.alice, "list-logins").await
    };
    assert!(logins.contains("WhatsApp: connected"), "{logins}");
    assert!(logins.contains("Messenger: not connected"), "{logins}");
    chat.say("the other way works").await;
    chat.contact.receives("the other way works").await;
    chat.contact.say("and back").await;
    chat.hears("and back").await;
    assert_eq!(other.received_count(), 1);

    // It is back, after a restart of the bridge: the same message says so, and what waited comes.
    world.bridge.kill().await;
    world.bridge.start().await;
    gate.open(world.sandbox.chat_address());
    let room = chat.desk.room.clone();
    chat.alice
        .watch("the message to say that it works again", |seen| {
            let shown = seen.shown(&room, &told)?["body"].as_str()?;
            shown.contains(UP).then_some(())
        })
        .await;
    other.receives_exactly(&["before", "waits"]).await;
    chat.alice
        .hear(&there, &ghost, |body| body == "waits, too")
        .await;
    let notices = chat.alice.history(&room).await;
    let is_notice = |event: &&serde_json::Value| {
        event["content"]["body"]
            .as_str()
            .is_some_and(|body| body.contains("**Messenger**") || body.contains("Messenger: The"))
            && event["content"]["m.relates_to"].is_null()
    };
    let notices: Vec<_> = notices.iter().filter(is_notice).collect();
    assert_eq!(notices.len(), 1, "one message tells it all: {notices:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_users_broken_login_delays_no_other_and_is_brought_back() {
    let world = World::start(Plan::default()).await;
    let mut chat = Chat::open(&world).await;
    let mut bob = world.user("bob").await;
    let mut desk = Desk::open(&mut bob).await;
    desk.log_in(&mut bob, "whatsapp").await;
    let friend = Contact::of(&world, &bob, Flavour::WhatsApp).await;
    let whom = format!("whatsapp {}", friend.number());
    let room = desk.start_chat(&mut bob, &whom).await;
    let ghost = ghost_of(&bob, &room).await;

    // The gatekeeper shuts her out: told at once, with what to do.
    let faults = world.sandbox.faults();
    faults.inject(Fault::RefuseLogin(403), None, 1);
    world.sandbox.cut(&chat.contact.user);
    let told = chat
        .desk
        .is_told(&mut chat.alice, "The connection does not work")
        .await;
    assert!(told.contains("WhatsApp"), "{told}");
    chat.say("not yet").await;

    let before = std::time::Instant::now();
    for n in 0..5 {
        let (there, back) = (format!("there {n}"), format!("back {n}"));
        bob.say(&room, &there).await;
        friend.receives(&there).await;
        friend.say(&back).await;
        bob.hear(&room, &ghost, |body| body == back).await;
    }
    assert!(before.elapsed() < Duration::from_secs(30));
    assert_eq!(chat.contact.received_count(), 0);

    let answer = chat.desk.command(&mut chat.alice, "relogin whatsapp").await;
    assert!(answer.contains("works"), "{answer}");
    chat.contact.receives("not yet").await;
    chat.desk.is_told(&mut chat.alice, UP).await;
    assert_eq!(desk.times_told(&bob, "connection"), 0);
}
