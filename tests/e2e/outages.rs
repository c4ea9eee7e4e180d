//! What fails, comes back, and must have lost nothing: the homeserver, the bridge, the other side.

use std::time::Instant;

use drawbridge::sandbox::Flavour;

use super::{
    chat::Chat,
    client::PATIENCE,
    contact::Contact,
    world::{Plan, World},
};

impl Chat {
    /// Waits until the login's connection is closed for want of work.
    async fn is_idle(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let logins = self.desk.command(&mut self.alice, "list-logins").await;
            if logins.contains("connects when there is something to do") {
                return;
            }
            assert!(Instant::now() < deadline, "still not idle: {logins}");
        }
    }

    /// Every text of the contact is in the room once and in order.
    async fn has_heard(&mut self, texts: &[String]) {
        let last = texts.last().expect("a text");
        self.alice
            .hear(&self.room, &self.ghost, |body| body == last)
            .await;
        assert_eq!(self.alice.bodies(&self.room, &self.ghost).await, texts);
    }
}

fn numbered(what: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{what} {n}")).collect()
}

/// Synapse moves its position before it delivers: what it has in hand when it is killed it never delivers. The bridge fetches it.
#[tokio::test(flavor = "multi_thread")]
async fn a_homeserver_killed_with_events_queued_loses_none() {
    let mut world = World::start(Plan::default()).await;
    let mut chat = Chat::open(&world).await;
    chat.alice.say(&chat.room, "before").await;
    chat.contact.receives("before").await;

    // The bridge does not answer, so the homeserver queues.
    world.bridge.kill().await;
    let texts = numbered("queued", 30);
    for text in &texts {
        chat.alice.say(&chat.room, text).await;
    }
    world.homeserver.kill().await;
    world.homeserver.restart().await;
    world.bridge.start().await;

    let mut expected = vec!["before".to_owned()];
    expected.extend(texts);
    chat.contact.receives_exactly(&expected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_homeserver_away_while_messages_arrive_gets_them_later() {
    let mut world = World::start(Plan::default()).await;
    let mut chat = Chat::open(&world).await;
    world.homeserver.kill().await;
    let texts = numbered("while away", 10);
    for text in &texts {
        chat.contact.say(text).await;
    }
    world.homeserver.restart().await;
    chat.has_heard(&texts).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_bridge_loses_and_doubles_nothing() {
    let mut world = World::start(Plan::default()).await;
    let mut chat = Chat::open(&world).await;
    let (mut there, mut back) = (Vec::new(), Vec::new());
    for round in 0..4 {
        for n in 0..5 {
            let text = format!("there {round}.{n}");
            chat.alice.say(&chat.room, &text).await;
            there.push(text);
            let text = format!("back {round}.{n}");
            chat.contact.say(&text).await;
            back.push(text);
        }
        // In the middle of carrying them.
        world.bridge.kill().await;
        world.bridge.start().await;
    }
    chat.contact.receives_exactly(&there).await;
    chat.has_heard(&back).await;
    assert_eq!(chat.contact.undecryptable(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_that_was_away_gets_its_messages_when_it_is_back() {
    let mut world = World::start(Plan::default()).await;
    let mut chat = Chat::open(&world).await;
    chat.contact.set_online(false);
    let texts = numbered("while you were away", 5);
    for text in &texts {
        chat.alice.say(&chat.room, text).await;
    }
    // A login's messages leave in order: when a later one is there, these are in the gatekeeper's mailbox.
    let witness = Contact::of(&world, &chat.alice, Flavour::WhatsApp).await;
    let whom = format!("whatsapp {}", witness.number());
    let other = chat.desk.start_chat(&mut chat.alice, &whom).await;
    chat.alice.say(&other, "after them").await;
    witness.receives("after them").await;
    assert_eq!(chat.contact.received_count(), 0);

    world.bridge.kill().await;
    chat.contact.set_online(true);
    chat.contact.receives_exactly(&texts).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_demand_a_push_brings_what_waits() {
    let world = World::start(Plan {
        connection: "on_demand",
        ..Plan::default()
    })
    .await;
    let mut chat = Chat::open(&world).await;
    chat.alice.say(&chat.room, "hello").await;
    chat.contact.receives("hello").await;
    chat.is_idle().await;
    chat.contact.say("wake up").await;
    chat.has_heard(&["wake up".to_owned()]).await;
    chat.is_idle().await;
    chat.alice.say(&chat.room, "awake").await;
    chat.contact.receives("awake").await;
}
