//! Rooms of people's own, linked to chats and let go: by whom the room lets, and where nothing is in the way.

use drawbridge::sandbox::Flavour;
use reqwest::Method;
use serde_json::json;

use super::{
    client::{User, encode},
    community::{Community, PREFIX, command_in, ghost, public_room, room_with_bot},
    contact::Contact,
    management::{Desk, join_new_room},
    world::{BOT, Plan, World},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_room_is_linked_by_whom_it_lets() {
    let world = World::start(Plan {
        // In rooms before version 12 their makers have no more power than is written.
        room_version: "10",
        ..Plan::default()
    })
    .await;
    let mut community = Community::gather(&world).await;
    let room = community.room.clone();
    let group = community.group.clone();
    let mut bob = community.member(&world, "bob", "Bob").await;
    let mut desk = Desk::open(&mut bob).await;
    let link = format!("bridge whatsapp {group}");
    let stranger = command_in(&mut bob, &room, &link).await;
    assert!(stranger.contains("login whatsapp"), "{stranger}");
    desk.log_in(&mut bob, "whatsapp").await;

    // The power that is needed is named, and who has it.
    let weak = command_in(&mut bob, &room, &link).await;
    let words = ["you need the power 50", "only 0", "@alice:drawbridge.test"];
    assert!(words.iter().all(|word| weak.contains(word)), "{weak}");
    let weak = desk
        .command(&mut bob, &format!("bridge {room} whatsapp {group}"))
        .await;
    assert!(weak.contains("you need the power 50"), "{weak}");
    community
        .alice
        .give_power(&room, &json!({(bob.mxid.clone()): 50}))
        .await;
    let outsider = command_in(&mut bob, &room, &link).await;
    assert!(outsider.contains("no such chat"), "{outsider}");

    // The bot has to bring others in, where not everybody may enter.
    let closed = json!({"preset": "private_chat",
        "power_level_content_override": {"invite": 50}});
    let closed = room_with_bot(&mut community.alice, closed).await;
    let powerless = command_in(&mut community.alice, &closed, &link).await;
    let words = ["the bot needs the power 50", "to invite people"];
    assert!(
        words.iter().all(|word| powerless.contains(word)),
        "{powerless}"
    );
    let levels = json!({BOT: 50});
    community.alice.give_power(&closed, &levels).await;
    let linked = command_in(&mut community.alice, &closed, &link).await;
    assert!(linked.contains("is linked to WhatsApp"), "{linked}");
    assert!(!linked.contains("set-relay"), "{linked}");
    community
        .alice
        .sees_member(&closed, &community.livia.ghost(), "join")
        .await;

    // Relays are off unless somebody switches them on.
    let off = command_in(&mut community.alice, &closed, "set-relay whatsapp").await;
    assert!(off.contains("relays are off"), "{off}");

    let there = bob_takes_the_room_over(&mut community, &mut bob, (&closed, &room)).await;
    nobody_else_is_answered(&mut community, &world, &there).await;
}

/// The link moves from one room to another, by whom each lets.
async fn bob_takes_the_room_over(
    community: &mut Community,
    bob: &mut User,
    (closed, room): (&str, &str),
) -> String {
    let link = format!("bridge whatsapp {}", community.group);
    let again = command_in(&mut community.alice, closed, &link).await;
    assert!(again.contains("linked to that chat already"), "{again}");
    let elsewhere = command_in(&mut community.alice, room, &link).await;
    assert!(elsewhere.contains(closed), "{elsewhere}");
    let management = format!(
        "bridge {} whatsapp {}",
        community.desk.room, community.group
    );
    let management = community
        .desk
        .command(&mut community.alice, &management)
        .await;
    assert!(management.contains("management room"), "{management}");

    // Another bridge to the same service would repeat everything without end.
    let other = json!({"bridgebot": bob.mxid, "protocol": {"id": "whatsapp", "displayname": "Another"},
        "channel": {"id": "1"}});
    bob.set_state(room, "uk.half-shot.bridge", "other", &other)
        .await;
    let unlinked = command_in(&mut community.alice, closed, "unbridge").await;
    assert!(unlinked.contains("is ended"), "{unlinked}");
    let conflict = command_in(&mut community.alice, room, &link).await;
    assert!(
        conflict.contains("another bridge") && conflict.contains("Another"),
        "{conflict}"
    );
    bob.set_state(room, "uk.half-shot.bridge", "other", &json!({}))
        .await;
    let linked = command_in(&mut community.alice, room, &link).await;
    assert!(linked.contains("is linked to WhatsApp"), "{linked}");

    // What was there stays as it is but for the ghosts, and goes on in the other room.
    let livia = community.livia.ghost();
    community.alice.sees_member(closed, &livia, "leave").await;
    community.alice.sees_member(room, &livia, "join").await;
    community.livia.says("in the new room").await;
    community.hears(&livia, "in the new room").await;
    community.alice.say(closed, "in the old room").await;
    community.alice.say(room, "and back").await;
    community.livia.gets("and back").await;
    assert_eq!(community.livia.texts(), ["and back"]);
    let name = community.alice.state(room, "m.room.name", "").await;
    assert_eq!(
        name, None,
        "a linked room is called what its people call it"
    );
    let path = format!("v3/rooms/{}/state", encode(room));
    let state = community.alice.demand(Method::GET, &path, None).await;
    let mut state = state.as_array().expect("state").iter();
    let shown = state.find(|e| e["type"] == "m.bridge" && e["sender"] == BOT);
    let shown = shown.map(|e| e["content"]["channel"]["id"].clone());
    assert_eq!(shown, None, "the bot has no power to say so");
    room.to_owned()
}

async fn nobody_else_is_answered(community: &mut Community, world: &World, room: &str) {
    let mut mallory = community.member(world, "mallory", "Mallory").await;
    let asked = mallory.say(room, &format!("{PREFIX} unbridge")).await;
    let mut carol = community.member(world, "carol", "Carol").await;
    let weak = command_in(&mut carol, room, "unbridge").await;
    assert!(weak.contains("you need the power 50"), "{weak}");
    let history = community.alice.history(room).await;
    let is_answer =
        |e: &serde_json::Value| e["content"]["m.relates_to"]["m.in_reply_to"]["event_id"] == asked;
    assert!(!history.iter().any(is_answer));
    community.alice.say(room, "still linked").await;
    community.livia.gets("still linked").await;
    assert_eq!(
        community.livia.texts().last().map(String::as_str),
        Some("still linked")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_room_gives_way_and_a_link_can_be_ended() {
    let world = World::start(Plan::default()).await;
    let mut alice = world.user("alice").await;
    let mut desk = Desk::open(&mut alice).await;
    desk.log_in(&mut alice, "whatsapp").await;
    let contact = Contact::of(&world, &alice, Flavour::WhatsApp).await;
    let whom = format!("whatsapp {}", contact.number());
    let private = desk.start_chat(&mut alice, &whom).await;
    let ghost = ghost("whatsapp", &contact.jid());
    alice.say(&private, "in private").await;
    contact.receives("in private").await;

    // Somebody else is in it, so it is theirs, too.
    let carol = world.user("carol").await;
    let invite = format!("v3/rooms/{}/invite", encode(&private));
    alice.post(&invite, &json!({"user_id": carol.mxid})).await;
    carol.join(&private).await;
    let room = public_room(&mut alice).await;
    let link = format!("bridge {whom}");
    let shared = command_in(&mut alice, &room, &link).await;
    assert!(shared.contains(&private), "{shared}");
    let leave = format!("v3/rooms/{}/leave", encode(&private));
    carol.post(&leave, &json!({})).await;

    let linked = command_in(&mut alice, &room, &link).await;
    assert!(linked.contains("is linked to WhatsApp"), "{linked}");
    alice
        .hear(&private, BOT, |body| {
            body.contains("goes on in another room")
        })
        .await;
    alice.sees_member(&private, &ghost, "leave").await;
    alice.sees_member(&room, &ghost, "join").await;
    contact.say("hello all").await;
    alice.hear(&room, &ghost, |body| body == "hello all").await;
    alice.say(&room, "hello you").await;
    contact.receives("hello you").await;

    // Let go, it is an ordinary room, and the chat is as it was before: it gets a room when there is something to show.
    let ended = command_in(&mut alice, &room, "unbridge").await;
    assert!(ended.contains("is ended"), "{ended}");
    alice.sees_member(&room, &ghost, "leave").await;
    alice.say(&room, "among ourselves").await;
    contact.say("where are you?").await;
    let new = join_new_room(&mut alice).await;
    alice
        .hear(&new, &ghost, |body| body == "where are you?")
        .await;
    assert_ne!(new, room);
    alice.say(&new, "here").await;
    contact
        .receives_exactly(&["in private", "hello you", "here"])
        .await;
    let nothing = command_in(&mut alice, &room, "unbridge").await;
    assert!(nothing.contains("not linked"), "{nothing}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_several_chats_is_let_go_and_the_others_stay() {
    let world = World::start(Plan {
        config: json!({"relay": {"enabled": true, "admins_only": false}}),
        ..Plan::default()
    })
    .await;
    let mut community = Community::gather(&world).await;
    community.link_group().await;
    let contact = community.link_contact(&world).await;
    let (room, livia) = (community.room.clone(), community.livia.ghost());
    let theirs = ghost("messenger", &contact.jid());
    community.alice.say(&room, "to all").await;
    contact.receives("to all").await;
    community.livia.gets("to all").await;

    let unlink = format!("unbridge {}", contact.jid());
    let ended = command_in(&mut community.alice, &room, &unlink).await;
    assert!(ended.contains("is ended"), "{ended}");
    community.alice.sees_member(&room, &theirs, "leave").await;
    community.alice.say(&room, "to the group").await;
    community.livia.gets("to the group").await;
    community.livia.says("still here").await;
    community.hears(&livia, "still here").await;
    let there = community.alice.members(&room).await;
    assert_eq!(there.get(&livia).map(String::as_str), Some("join"));
    assert_eq!(there.get(BOT).map(String::as_str), Some("join"));

    // The other chat goes on in a room of its own, and hears nothing more of this one.
    contact.say("where are you?").await;
    let new = join_new_room(&mut community.alice).await;
    community
        .alice
        .hear(&new, &theirs, |body| body == "where are you?")
        .await;
    community.alice.say(&new, "here").await;
    contact.receives_exactly(&["to all", "here"]).await;
}
