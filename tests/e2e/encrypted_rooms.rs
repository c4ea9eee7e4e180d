//! Rooms that are encrypted from their beginning, later, in their next version, or not at all.

use drawbridge::sandbox::Flavour;
use serde_json::{Value, json};

use super::{
    chat::Chat,
    client::{User, encode},
    contact::Contact,
    encrypted::{device, is_closed, is_reached},
    encrypting::{EncryptingClient, Library, Shown},
    group::{Member, WHATSAPP},
    management::{ghost_of, room_in},
    world::{BOT, MARKED, Plan, World},
};

fn plan(encryption: &Value) -> Plan {
    Plan {
        config: json!({ "encryption": encryption }),
        ..Plan::default()
    }
}

/// Waits until the bot says something with a part, encrypted.
async fn is_told(client: &EncryptingClient, room: &str, part: &str) -> Shown {
    let what = format!("the bot to say {part:?}");
    client
        .shown(&what, room, |shown| {
            shown.sender == BOT && shown.encrypted && shown.body().contains(part)
        })
        .await
}

/// A user's management room, made by a client that encrypts, and a chat begun there.
async fn begin_chat(
    world: &World,
    user: &User,
    client: &mut EncryptingClient,
) -> (String, String, Contact) {
    let desk = client.direct_chat(BOT, true).await;
    is_told(client, &desk, "your management room").await;
    client.say(&desk, "help").await;
    is_told(client, &desk, "start-chat").await;
    client.say(&desk, "login").await;
    is_told(client, &desk, "whatsapp").await;
    client.say(&desk, "whatsapp").await;
    let answer = client
        .shown("an answer", &desk, |shown| {
            let body = shown.body();
            shown.sender == BOT && (body.contains("`accept`") || body.contains("now logged in"))
        })
        .await;
    if answer.body().contains("`accept`") {
        client.say(&desk, "accept").await;
    }
    is_told(client, &desk, "now logged in").await;
    let contact = Contact::of(world, user, Flavour::WhatsApp).await;
    let start = format!("start-chat whatsapp {}", contact.number());
    client.say(&desk, &start).await;
    let answer = is_told(client, &desk, "](").await;
    let room = room_in(answer.body());
    client.join(&room).await;
    (desk, room, contact)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_that_requires_encryption_is_used_with_it_and_refuses_what_is_plain() {
    let world = World::start(plan(&json!({"require": true}))).await;
    for (name, library) in [("alice", Library::Nio), ("bob", Library::Js)] {
        let mut user = world.user(name).await;
        let mut client = device(&world, &user, library).await;
        let (desk, room, contact) = begin_chat(&world, &user, &mut client).await;
        let ghost = ghost_of(&user, &room).await;
        is_reached(&client, &contact, &room, &ghost).await;
        let text = format!("{MARKED} of {name}");
        client.say(&room, &text).await;
        contact.receives(&text).await;

        // What is plain is for nobody, and its sender is told.
        let since = user.history(&room).await.len() + 1;
        user.say(&room, "in the open").await;
        is_told(&client, &room, "encrypted messages only").await;
        user.say(&desk, "list-logins").await;
        is_told(&client, &desk, "encrypted messages only").await;
        client.say(&room, "closed again").await;
        contact
            .receives_exactly(&[text, "closed again".to_owned()])
            .await;
        contact.say("and back").await;
        client.hear(&room, &ghost, "and back").await;
        let events = user.history(&room).await;
        is_closed(&events[since..]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rooms_that_are_switched_to_encryption_go_on() {
    let world = World::start(Plan::default()).await;
    let mut chat = Chat::open(&world).await;
    let mut nio = device(&world, &chat.alice, Library::Nio).await;
    let mut js = device(&world, &chat.alice, Library::Js).await;
    let (room, desk) = (chat.room.clone(), chat.desk.room.clone());
    chat.say("in the open").await;
    chat.contact.receives("in the open").await;
    chat.contact.say("openly back").await;
    chat.hears("openly back").await;
    let content = json!({"algorithm": "m.megolm.v1.aes-sha2"});
    for room in [&room, &desk] {
        let set = chat
            .alice
            .set_state(room, "m.room.encryption", "", &content);
        set.await;
        for client in [&nio, &js] {
            let is_it = |shown: &Shown| shown.kind == "m.room.encryption";
            client.shown("encryption", room, is_it).await;
        }
    }
    let since = chat.alice.history(&room).await.len();
    for (client, command, part) in [
        (&mut nio, "list-logins", "WhatsApp"),
        (&mut js, "help", "start-chat"),
    ] {
        let text = format!("{MARKED} of {:?}", client.library);
        client.say(&room, &text).await;
        chat.contact.receives(&text).await;
        is_reached(client, &chat.contact, &room, &chat.ghost).await;
        client.say(&desk, command).await;
        is_told(client, &desk, part).await;
    }
    // An answer to what was said before quotes it as ever.
    let open = chat.alice.history(&room).await;
    let open = open.iter().find(|e| e["content"]["body"] == "openly back");
    let open = open.and_then(|e| e["event_id"].as_str()).expect("an event");
    js.reply(&room, open, "to the past").await;
    let answer = chat.contact.receives("to the past").await;
    let wrote = chat.contact.wrote("openly back").id;
    assert_eq!(answer.quotes.expect("a quote").id.as_str(), wrote);
    let events = chat.alice.history(&room).await;
    is_closed(&events[since..]);
}

/// An encrypted room of a user's own that is made a group.
async fn own_room(world: &World, alice: &User, js: &mut EncryptingClient) -> (String, Member) {
    let ann = WHATSAPP.person(world, "Ann").await;
    let ghost = WHATSAPP.ghost(&ann.jid().to_string());
    let with = json!({"encrypted": true, "name": "Our room", "invite": [BOT, ghost]});
    let answer = js.demand("create", with).await;
    let room = answer["room"].as_str().expect("a room").to_owned();
    alice.sees_membership(&room, BOT, "join").await;
    alice.sees_membership(&room, &ghost, "leave").await;
    alice.gives_power(&room, BOT, 50).await;
    js.say(&room, "!drawbridge create-group Hiking").await;
    is_told(js, &room, "The group is made").await;
    let groups = ann.groups();
    let address = groups.first().expect("the group").jid.to_string();
    alice.sees_membership(&room, &ghost, "join").await;
    (room, Member::of(WHATSAPP, ann, &address))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_room_is_followed_into_an_encrypted_one_alone() {
    let world = World::start(Plan {
        room_version: "10",
        ..Plan::default()
    })
    .await;
    let (alice, _desk) = super::group::logged_in(&world, "alice", WHATSAPP).await;
    let mut js = device(&world, &alice, Library::Js).await;
    let (old, ann) = own_room(&world, &alice, &mut js).await;
    let (contact, ghost) = (&ann.contact, &ann.ghost);
    is_reached(&js, contact, &old, ghost).await;

    let path = format!("v3/rooms/{}/upgrade", encode(&old));
    let answer = alice.post(&path, &json!({"new_version": "12"})).await;
    let new = answer["replacement_room"].as_str().expect("a room");
    is_told(&js, &old, "Invite ").await;
    alice.does(new, "invite", BOT).await;
    alice.sees_membership(new, ghost, "join").await;
    let text = format!("{MARKED} in the next version");
    js.say(new, &text).await;
    contact.receives(&text).await;
    is_reached(&js, contact, new, ghost).await;
    is_closed(&alice.history(new).await);

    // One that says all it has to, but is plain.
    let plain = alice
        .create_room(json!({"preset": "public_chat", "room_version": "12",
            "creation_content": {"predecessor": {"room_id": new}}}))
        .await;
    let forged = json!({"body": "moved", "replacement_room": plain});
    alice.sets(new, "m.room.tombstone", &forged).await;
    is_told(&js, new, "is encrypted and the new one is not").await;
    js.say(new, "still here").await;
    contact.receives("still here").await;
    contact.say("so am I").await;
    js.hear(new, ghost, "so am I").await;
    let members = alice.members(&plain).await;
    assert!(!members.contains_key(ghost), "{members:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_that_allows_no_encryption_says_so_once() {
    let world = World::start(plan(&json!({"allow": false}))).await;
    let mut chat = Chat::open(&world).await;
    let mut nio = device(&world, &chat.alice, Library::Nio).await;
    let content = json!({"algorithm": "m.megolm.v1.aes-sha2"});
    let room = chat.room.clone();
    let set = chat
        .alice
        .set_state(&room, "m.room.encryption", "", &content);
    set.await;
    let is_it = |shown: &Shown| shown.kind == "m.room.encryption";
    nio.shown("encryption", &room, is_it).await;
    let desk = nio.direct_chat(BOT, true).await;
    nio.hear(
        &desk,
        BOT,
        "This is now your management room. Write `login` to connect, or `help` for everything I understand.",
    )
    .await;
    let why = "does not take part in encrypted rooms";
    for room in [&room, &desk] {
        let mut last = String::new();
        for n in 0..3 {
            last = nio.say(room, &format!("{MARKED} {n}")).await;
        }
        nio.shown("all of them to be counted", room, |shown| {
            let new = shown.content["m.new_content"]["body"].as_str();
            new.is_some_and(|new| new.contains(why) && new.contains("(3 messages)"))
        })
        .await;
        let events = chat.alice.history(room).await;
        let notices = events.iter().filter(|event| {
            let body = event["content"]["body"].as_str();
            let is_edit = event["content"]["m.new_content"].is_object();
            !is_edit && body.is_some_and(|body| body.contains(why))
        });
        assert_eq!(notices.count(), 1, "{last}");
    }
    // Other rooms go on.
    let other = Contact::of(&world, &chat.alice, Flavour::WhatsApp).await;
    nio.say(&chat.room, "unheard").await;
    let plain = chat.alice.direct_chat(BOT).await;
    let start = format!("start-chat whatsapp {}", other.number());
    chat.alice.say(&plain, &start).await;
    let answer = chat
        .alice
        .hear(&plain, BOT, |body| body.contains("]("))
        .await;
    let new = room_in(answer["content"]["body"].as_str().expect("a text"));
    chat.alice.join(&new).await;
    chat.alice.say(&new, "in the open").await;
    other.receives("in the open").await;
    assert_eq!(chat.contact.received_count(), 0);
}
