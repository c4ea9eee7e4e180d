//! How chats begin, and what kinds of rooms and gatekeepers they can be in.

use drawbridge::{domain::RemoteUserId, matrix::GhostNaming, sandbox::Flavour};

use super::{
    contact::Contact,
    homeserver::DOMAIN,
    management::{Desk, ghost_of, join_new_room},
    world::{BOT, Plan, World},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_first_message_from_the_other_side_makes_the_room() {
    let world = World::start(Plan::default()).await;
    let mut alice = world.user("alice").await;
    let mut desk = Desk::open(&mut alice).await;
    desk.log_in(&mut alice, "whatsapp").await;
    let contact = Contact::of(&world, &alice, Flavour::WhatsApp).await;
    for text in ["first", "second", "third"] {
        contact.say(text).await;
    }
    let room = join_new_room(&mut alice).await;
    let ghost = ghost_of(&alice, &room).await;
    alice.hear(&room, &ghost, |body| body == "third").await;
    assert_eq!(
        alice.bodies(&room, &ghost).await,
        ["first", "second", "third"]
    );
    let invitation = alice
        .history(&room)
        .await
        .into_iter()
        .find(|event| event["state_key"] == alice.mxid.as_str())
        .expect("the user's membership");
    assert!(invitation["sender"] == BOT || invitation["content"]["membership"] == "join");
    alice.say(&room, "answer").await;
    contact.receives_exactly(&["answer"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn inviting_a_ghost_starts_a_chat() {
    let world = World::start(Plan::default()).await;
    let mut alice = world.user("alice").await;
    let mut desk = Desk::open(&mut alice).await;
    desk.log_in(&mut alice, "whatsapp").await;
    let contact = Contact::of(&world, &alice, Flavour::WhatsApp).await;
    let naming = GhostNaming::new("_drawbridge_", DOMAIN);
    let remote = RemoteUserId::parse(contact.jid()).expect("a user's id");
    let gatekeeper = "whatsapp".to_owned().try_into().expect("an id");
    let ghost = naming.mxid(&gatekeeper, &remote).to_string();
    let room = alice.direct_chat(&ghost).await;
    alice
        .watch("the ghost to join", |seen| {
            let joined = |event: &serde_json::Value| {
                event["state_key"] == ghost.as_str() && event["content"]["membership"] == "join"
            };
            seen.timeline(&room).iter().any(joined).then_some(())
        })
        .await;
    alice.say(&room, "hello").await;
    contact.receives_exactly(&["hello"]).await;
    contact.say("hello back").await;
    alice.hear(&room, &ghost, |body| body == "hello back").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chats_of_both_gatekeepers_in_rooms_of_version_10() {
    let world = World::start(Plan {
        room_version: "10",
        ..Plan::default()
    })
    .await;
    let mut alice = world.user("alice").await;
    let mut desk = Desk::open(&mut alice).await;
    desk.log_in(&mut alice, "whatsapp").await;
    desk.log_in(&mut alice, "messenger").await;
    let contacts = [
        (
            "whatsapp",
            Contact::of(&world, &alice, Flavour::WhatsApp).await,
        ),
        (
            "messenger",
            Contact::of(&world, &alice, Flavour::Messenger).await,
        ),
    ];
    let mut rooms = Vec::new();
    for (gatekeeper, contact) in &contacts {
        let whom = format!("{gatekeeper} {}", contact.number());
        let room = desk.start_chat(&mut alice, &whom).await;
        let created = alice.state(&room, "m.room.create", "").await;
        assert_eq!(created.expect("a creation event")["room_version"], "10");
        rooms.push(room);
    }
    for ((gatekeeper, contact), room) in contacts.iter().zip(&rooms) {
        let (there, back) = (format!("to {gatekeeper}"), format!("from {gatekeeper}"));
        alice.say(room, &there).await;
        contact.receives_exactly(&[there.as_str()]).await;
        contact.say(&back).await;
        let ghost = ghost_of(&alice, room).await;
        alice.hear(room, &ghost, |body| body == back).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_identity_is_told_and_the_chat_goes_on() {
    let world = World::start(Plan::default()).await;
    let mut alice = world.user("alice").await;
    let mut desk = Desk::open(&mut alice).await;
    desk.log_in(&mut alice, "whatsapp").await;
    let contact = Contact::of(&world, &alice, Flavour::WhatsApp).await;
    let whom = format!("whatsapp {}", contact.number());
    let room = desk.start_chat(&mut alice, &whom).await;
    let ghost = ghost_of(&alice, &room).await;
    alice.say(&room, "before").await;
    contact.receives_exactly(&["before"]).await;
    contact.reinstall().await;
    contact.say("a new phone").await;
    alice
        .hear(&room, &ghost, |body| body == "a new phone")
        .await;
    alice
        .hear(&room, &ghost, |body| {
            body.contains("security code") || body.contains("identity")
        })
        .await;
    alice.say(&room, "after").await;
    contact.receives("after").await;
}
