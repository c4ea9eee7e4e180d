//! Groups with two Matrix users in them, and groups while the bridge is killed.

use std::collections::BTreeMap;

use drawbridge::sandbox::{GroupInfo, Role, content::Composed};
use serde_json::json;

use super::{
    client::{User, encode},
    group::{CAN, Group, WHATSAPP, change, logged_in},
    world::{BOT, Engine, Plan, World},
};

/// The event a message is an answer to.
fn answers(event: &serde_json::Value) -> Option<&str> {
    event["content"]["m.relates_to"]["m.in_reply_to"]["event_id"].as_str()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_users_share_a_group_and_its_room() {
    let world = World::start(Plan {
        config: json!({"bridge": {"leave_groups": true}}),
        ..Plan::default()
    })
    .await;
    let (mut alice, _desk) = logged_in(&world, "alice", WHATSAPP).await;
    let (mut bob, _bobs_desk) = logged_in(&world, "bob", WHATSAPP).await;
    let group = Group::found(&world, WHATSAPP, "Hiking", &mut [&mut alice, &mut bob]).await;
    let room = group.room.clone();
    let (hers, his) = (
        WHATSAPP.login_of(&world, &alice),
        WHATSAPP.login_of(&world, &bob),
    );
    let members = alice.members(&room).await;
    assert_eq!(members.len(), 5, "the users have no ghosts: {members:?}");

    // Each user's messages are their own, for the other user and for the contacts.
    let (from_alice, from_alice_id) = group.says(&world, &mut alice, "from alice").await;
    bob.hears(&room, &alice.mxid, "from alice").await;
    let (from_bob, from_bob_id) = group.says(&world, &mut bob, "from bob").await;
    alice.hears(&room, &bob.mxid, "from bob").await;
    group.ben.contact.says("from ben").await;
    let from_ben = bob.hears(&room, &group.ben.ghost, "from ben").await;
    alice.hears(&room, &group.ben.ghost, "from ben").await;
    let from_ben_id = group.ben.contact.wrote("from ben").id;

    // Answers, across.
    let ben = group.ben.contact.jid();
    let quoted = [
        (&from_alice, "bob to alice", &from_alice_id, &hers),
        (&from_ben, "bob to ben", &from_ben_id, &ben),
    ];
    for (event, text, id, author) in quoted {
        bob.reply(&room, event, text).await;
        alice.hears(&room, &bob.mxid, text).await;
        for member in group.contacts() {
            let answer = member.contact.receives(text).await;
            assert_eq!(answer.sender.to_string(), his, "{text}");
            let quotes = answer.quotes.expect("an answer");
            assert_eq!(quotes.id.as_str(), id, "{text}");
            let sender = quotes.sender.expect("an author").to_string();
            assert_eq!(&sender, author, "{text}");
        }
    }
    for (id, author, event) in [
        (&from_alice_id, &hers, &from_alice),
        (&from_bob_id, &his, &from_bob),
    ] {
        let text = format!("ben to {author}");
        let answer = Composed::text(&text).answering(id, author);
        group.ben.contact.sends(answer).await;
        for user in [&mut alice, &mut bob] {
            let came = user.hear(&room, &group.ben.ghost, |body| body == text);
            assert_eq!(answers(&came.await), Some(event.as_str()));
        }
    }
    // A reaction of one to the other's.
    let relation = json!({"rel_type": "m.annotation", "event_id": from_alice, "key": "🎉"});
    let reaction = json!({ "m.relates_to": relation });
    bob.send(&room, "m.reaction", &reaction).await;
    let by_bob = his.parse().expect("an address");
    for member in group.contacts() {
        let of_bob = |m: &drawbridge::sandbox::Message| m.reactions.get(&by_bob).cloned();
        let contact = &member.contact;
        contact
            .has_reaction(&from_alice_id, of_bob, Some("🎉"))
            .await;
    }
    everything_is_there_once(&group, &alice).await;

    one_sends_the_other_away(&world, &group, &mut alice, &mut bob).await;
    one_is_removed_and_comes_back(&world, &group, &mut alice, &mut bob).await;

    // One leaves, with the room the group too; the other stays.
    bob.post(&format!("v3/rooms/{}/leave", encode(&room)), &json!({}))
        .await;
    let is_gone = |group: &GroupInfo| !group.members.contains_key(&by_bob);
    group.ann.finds("the user to leave", is_gone).await;
    group.says(&world, &mut alice, "bye bob").await;
    group.ann.contact.says("bye").await;
    alice.hears(&room, &group.ann.ghost, "bye").await;
    let members = alice.members(&room).await;
    assert_eq!(members[&bob.mxid], "leave");
}

async fn one_sends_the_other_away(world: &World, group: &Group, alice: &mut User, bob: &mut User) {
    let (room, ann) = (&group.room, &group.ann);
    let (hers, his) = (
        WHATSAPP.login_of(world, alice),
        WHATSAPP.login_of(world, bob),
    );
    change(ann, "promote", &hers).await;
    let (user, other) = (alice.mxid.clone(), bob.mxid.clone());
    alice.sees_power(room, &user, 75).await;
    alice.does(room, "kick", &other).await;
    ann.finds_role(&his, None).await;
    change(ann, "add", &his).await;
    bob.joins_room_called("Hiking").await;
    group.says(world, bob, "bob again").await;
    alice.gives_power(room, &other, 75).await;
    ann.finds_role(&his, Some(Role::Admin)).await;
    change(ann, "demote", &his).await;
    alice.sees_power(room, &other, 0).await;
}

async fn one_is_removed_and_comes_back(
    world: &World,
    group: &Group,
    alice: &mut User,
    bob: &mut User,
) {
    let (room, ann) = (&group.room, &group.ann);
    let hers = WHATSAPP.login_of(world, alice);
    change(ann, "remove", &hers).await;
    let user = alice.mxid.clone();
    bob.sees_membership(room, &user, "leave").await;
    group.says(world, bob, "without alice").await;
    change(ann, "add", &hers).await;
    alice.joins_room_called("Hiking").await;
    group.says(world, alice, "alice again").await;
    bob.hears(room, &user, "alice again").await;
}

/// Every text in the room, and with each contact, is there once.
async fn everything_is_there_once(group: &Group, user: &User) {
    let history = user.history(&group.room).await;
    let said = history
        .iter()
        .filter(|event| event["type"] == "m.room.message" && event["sender"] != BOT);
    let mut texts: BTreeMap<String, usize> = BTreeMap::new();
    for event in said {
        let body = event["content"]["body"].as_str().expect("a body");
        *texts.entry(body.to_owned()).or_default() += 1;
    }
    assert!(texts.values().all(|count| *count == 1), "{texts:?}");
    for member in group.contacts() {
        let contact = &member.contact;
        let shown = contact.shown().into_iter().filter(|m| !m.notice);
        let mut heard: Vec<String> = shown.map(|m| m.text).collect();
        heard.sort();
        let all: Vec<&String> = texts.keys().collect();
        assert_eq!(heard.iter().collect::<Vec<_>>(), all);
        assert_eq!(contact.undecryptable(), 0);
        assert_eq!(contact.phone.counters().key_reuse, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_bridge_loses_and_doubles_nothing_of_a_group() {
    let mut world = World::start(Plan {
        engine: Engine::Postgres,
        ..Plan::default()
    })
    .await;
    let (mut alice, _desk) = logged_in(&world, "alice", WHATSAPP).await;
    let group = Group::found(&world, WHATSAPP, "Hiking", &mut [&mut alice]).await;
    let room = group.room.clone();
    let cid = WHATSAPP.person(&world, "Cid").await;
    let ghost = WHATSAPP.ghost(&cid.jid().to_string());
    let who = [cid.jid().clone()];
    for round in 0..3 {
        for n in 0..3 {
            alice.say(&room, &format!("alice {round}.{n}")).await;
            group.ann.contact.says(&format!("ann {round}.{n}")).await;
            group.ben.contact.says(&format!("ben {round}.{n}")).await;
        }
        let phone = &group.ann.contact.phone;
        let name = format!("Hiking {round}");
        phone.set_subject(&group.address, &name).await.expect(CAN);
        let changed = if round % 2 == 0 {
            phone.add_members(&group.address, &who).await
        } else {
            phone.remove_members(&group.address, &who).await
        };
        changed.expect(CAN);
        // In the middle of carrying all that.
        world.bridge.kill().await;
        world.bridge.start().await;
    }
    for (member, name) in group.contacts().into_iter().zip(["ann", "ben"]) {
        let last = format!("{name} 2.2");
        alice.hears(&room, &member.ghost, &last).await;
        member.contact.receives("alice 2.2").await;
    }
    alice
        .sees_state(&room, "m.room.name", "the last name", |name| {
            name["name"] == "Hiking 2"
        })
        .await;
    alice.sees_membership(&room, &ghost, "join").await;
    everything_is_there_once(&group, &alice).await;
    let rounds = || (0..3).flat_map(|round| (0..3).map(move |n| format!("{round}.{n}")));
    for (member, name) in group.contacts().into_iter().zip(["ann", "ben"]) {
        let mut bodies = alice.bodies(&room, &member.ghost).await;
        bodies.retain(|body| body != "welcome");
        let expected: Vec<String> = rounds().map(|n| format!("{name} {n}")).collect();
        assert_eq!(bodies, expected, "in order");
        let own = WHATSAPP.login_of(&world, &alice);
        let received = member.contact.phone.received().into_iter();
        let of_alice = received.filter(|message| message.sender.to_string() == own);
        let texts: Vec<String> = of_alice.map(|message| message.text).collect();
        let expected: Vec<String> = rounds().map(|n| format!("alice {n}")).collect();
        assert_eq!(texts, expected, "in order");
    }
}
