//! How groups get their rooms: when asked for, from Matrix, at both gatekeepers, in rooms of every version, and in the room an
//! upgraded room goes on in.

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{
    client::{User, encode},
    group::{CAN, Group, MESSENGER, Member, Place, WHATSAPP, logged_in},
    management::Desk,
    world::{BOT, Plan, World},
};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_in_a_group_without_a_room_waits_for_one() {
    let world = World::start(Plan {
        config: json!({"bridge": {"groups": "never"}}),
        ..Plan::default()
    })
    .await;
    let (mut alice, mut desk) = logged_in(&world, "alice", WHATSAPP).await;
    let ann = WHATSAPP.person(&world, "Ann").await;
    let own = WHATSAPP.login_of(&world, &alice);
    let login = own.parse().expect("an address");
    let made = ann.create_group("Hiking", &[login]).await.expect(CAN);
    let ann = Member::of(WHATSAPP, ann, &made.to_string());
    let texts = ["one", "two", "three"];
    for text in texts {
        ann.contact.says(text).await;
    }
    let to = own.parse().expect("an address");
    ann.contact
        .sees("the last to be delivered", |message| {
            (message.text == "three" && message.receipts.contains_key(&to)).then_some(())
        })
        .await;
    ann.contact
        .phone
        .set_subject(&made.to_string(), "Walking")
        .await
        .expect(CAN);
    desk.command(&mut alice, "version").await;
    assert!(alice.seen.invitations().is_empty(), "no room was asked for");

    let command = format!("create-portal whatsapp {made}");
    let answer = desk.command(&mut alice, &command).await;
    assert!(answer.contains('!'), "{answer}");
    let room = alice.joins_room_called("Walking").await;
    alice.hears(&room, &ann.ghost, "three").await;
    assert_eq!(alice.bodies(&room, &ann.ghost).await, texts);
    alice.say(&room, "there you are").await;
    ann.gets(&own, "there you are").await;
}

/// Makes a group by a command; its room and its members.
async fn make(
    world: &World,
    alice: &mut User,
    desk: &mut Desk,
    place: Place,
) -> (String, [Member; 2]) {
    let ann = place.person(world, "Ann").await;
    let ben = place.person(world, "Ben").await;
    let name = format!("Club at {}", place.gatekeeper);
    let command = format!(
        "create-group {} {name}: {}, {}",
        place.gatekeeper,
        ann.phone(),
        ben.phone()
    );
    let answer = desk.command(alice, &command).await;
    assert!(answer.contains("The group is made"), "{answer}");
    let room = alice.joins_room_called(&name).await;
    let groups = ann.groups();
    let group = groups.iter().find(|group| group.subject == name);
    let address = group.expect("the group").jid.to_string();
    let members = [ann, ben].map(|phone| Member::of(place, phone, &address));
    (room, members)
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_are_made_from_matrix_at_both_gatekeepers() {
    let world = World::start(Plan {
        config: json!({"bridge": {"room_version": "10"}}),
        ..Plan::default()
    })
    .await;
    let (mut alice, mut desk) = logged_in(&world, "alice", WHATSAPP).await;
    desk.log_in(&mut alice, MESSENGER.gatekeeper).await;
    let mut made = Vec::new();
    for place in [WHATSAPP, MESSENGER] {
        made.push((place, make(&world, &mut alice, &mut desk, place).await));
    }
    for (place, (room, members)) in &made {
        let own = place.login_of(&world, &alice);
        let created = alice.state(room, "m.room.create", "").await;
        assert_eq!(created.expect("a creation event")["room_version"], "10");
        let user = alice.mxid.clone();
        alice.sees_power(room, &user, 75).await;
        for member in members {
            alice.sees_membership(room, &member.ghost, "join").await;
            assert_eq!(member.knows().members.len(), 3);
        }
        let text = format!("hello {}", place.gatekeeper);
        alice.say(room, &text).await;
        for (member, back) in members.iter().zip(["hello from ann", "hello from ben"]) {
            member.gets(&own, &text).await;
            member.contact.says(back).await;
            alice.hears(room, &member.ghost, back).await;
        }
    }
    // Nothing of one came into the other.
    for (_, (room, members)) in &made {
        for member in members {
            assert_eq!(alice.bodies(room, &member.ghost).await.len(), 1);
            let both = "the user and the other contact";
            assert_eq!(member.contact.received_count(), 2, "{both}");
        }
    }
}

/// A room of the user's own that is made a group, with those who were invited into it.
async fn own_room(world: &World, alice: &mut User) -> Group {
    let ann = WHATSAPP.person(world, "Ann").await;
    let ben = WHATSAPP.person(world, "Ben").await;
    let ghosts = [&ann, &ben].map(|phone| WHATSAPP.ghost(&phone.jid().to_string()));
    let room = alice
        .create_room(
            json!({"preset": "private_chat", "name": "Our room", "room_version": "10",
            "invite": [BOT, ghosts[0], ghosts[1]]}),
        )
        .await;
    alice.sees_membership(&room, BOT, "join").await;
    for ghost in &ghosts {
        alice.sees_membership(&room, ghost, "leave").await;
    }
    alice.gives_power(&room, BOT, 50).await;
    alice.say(&room, "!drawbridge create-group Hiking").await;
    alice
        .hear(&room, BOT, |body| body.contains("The group is made"))
        .await;
    let groups = ann.groups();
    let address = groups.first().expect("the group").jid.to_string();
    let [ann, ben] = [ann, ben].map(|phone| Member::of(WHATSAPP, phone, &address));
    for member in [&ann, &ben] {
        alice.sees_membership(&room, &member.ghost, "join").await;
    }
    Group {
        place: WHATSAPP,
        address,
        room,
        ann,
        ben,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgraded_room_is_followed_and_a_forged_one_is_not() {
    let world = World::start(Plan::default()).await;
    let (mut alice, _desk) = logged_in(&world, "alice", WHATSAPP).await;
    let mut group = own_room(&world, &mut alice).await;
    group.says(&world, &mut alice, "in our room").await;

    // A tombstone that names a room which does not follow this one.
    let other = alice
        .create_room(json!({"preset": "public_chat", "room_version": "10"}))
        .await;
    let forged = json!({"body": "moved", "replacement_room": other});
    alice.sets(&group.room, "m.room.tombstone", &forged).await;
    let room = group.room.clone();
    alice
        .hear(&room, BOT, |body| body.contains("does not follow"))
        .await;
    group.says(&world, &mut alice, "still here").await;
    group.ann.contact.says("so are we").await;
    alice.hears(&room, &group.ann.ghost, "so are we").await;

    for version in ["11", "12"] {
        let old = group.room.clone();
        let path = format!("v3/rooms/{}/upgrade", encode(&old));
        let body = json!({ "new_version": version });
        let answer = alice.post(&path, &body).await;
        let new = answer["replacement_room"].as_str().expect("a room");
        new.clone_into(&mut group.room);
        // The bot cannot enter a closed room uninvited, and says so.
        if !alice.members(new).await.contains_key(BOT) {
            let closed = |body: &str| body.contains("Invite ");
            alice.hear(&old, BOT, closed).await;
            alice.does(new, "invite", BOT).await;
        }
        for member in group.contacts() {
            alice.sees_membership(new, &member.ghost, "join").await;
            alice.sees_membership(&old, &member.ghost, "leave").await;
        }
        let text = format!("in version {version}");
        group.says(&world, &mut alice, &text).await;
        let back = format!("to version {version}");
        group.ben.contact.says(&back).await;
        alice.hears(&group.room, &group.ben.ghost, &back).await;
        let old_bodies = alice.bodies(&old, &group.ben.ghost).await;
        assert!(!old_bodies.contains(&back));
    }
    // Where nobody may forge anything: in the bridge's own rooms no user has that power.
    let mine = Group::found(&world, WHATSAPP, "Walking", &mut [&mut alice]).await;
    let path = format!("v3/rooms/{}/state/m.room.tombstone", encode(&mine.room));
    let (status, _) = alice.ask(Method::PUT, &path, Some(&forged)).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
}
