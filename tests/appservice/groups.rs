//! Groups of the gatekeeper as rooms, and what that costs the homeserver.

use drawbridge::{
    bridge::RoomSettings,
    config::ChatRooms,
    domain::{ChatId, GroupChange, GroupRole, RemoteUserId},
    store::RemoteNotice,
};
use serde_json::json;

use super::town::{
    ALICE, BOB, BOT, Town, ghost, group_id, group_of, member, person, rooms, whatsapp,
};
use crate::homeserver::World;

fn own(name: &str) -> RemoteUserId {
    RemoteUserId::parse(name).expect("an address")
}

#[tokio::test]
async fn a_group_becomes_a_room_that_shows_all_of_it() {
    let town = Town::new(rooms()).await;
    let mut group = group_of(&[ALICE.2, BOB.2], 3);
    group.facts.description = Some("Tools and times".to_owned());
    group.facts.picture = Some("p1".to_owned());
    group.facts.announce = true;
    group.facts.locked = true;
    let picture = ("p1".to_owned(), b"jpeg".to_vec());
    town.gatekeeper.known().album.extend([picture]);
    town.set_group(group);
    let before = town.requests();
    town.write(ALICE.1, &group_id(), person(1), "hello").await;
    let room = town.shown("hello").await;
    town.all_taken(ALICE.1, &group_id()).await;

    assert_eq!(
        town.state(&room, "m.room.name").0,
        json!({ "name": "Garden" })
    );
    let topic = town.state(&room, "m.room.topic").0;
    assert_eq!(topic["topic"], "Tools and times");
    let avatar = town.state(&room, "m.room.avatar").0;
    let avatar = avatar["url"].as_str().expect("a picture").to_owned();
    assert_eq!(
        town.homeserver.media(&avatar).as_deref(),
        Some(&b"jpeg"[..])
    );
    let levels = town.state(&room, "m.room.power_levels").0;
    let users = json!({ (BOT): 100, (ghost(0)): 50, (ghost(1)): 50 });
    // Who wrote while only admins may, wrote before that: the ghost is let.
    assert_eq!(levels["users"], users);
    assert_eq!(
        (&levels["events_default"], &levels["events"]["m.room.name"]),
        (&json!(50), &json!(50))
    );
    for kind in ["m.bridge", "uk.half-shot.bridge"] {
        let channel = town.state(&room, kind).0["channel"].clone();
        let expected = json!({ "id": group_id(), "displayname": "Garden", "avatar_url": avatar });
        assert_eq!(channel, expected, "{kind}");
    }
    for (user, stands) in [
        (ALICE.0, "invite"),
        (BOB.0, "invite"),
        (&ghost(0), "join"),
        (&ghost(2), "join"),
    ] {
        assert_eq!(town.membership(&room, user), stands, "{user}");
    }
    let spent = |what: &str| {
        town.requests().get(what).copied().unwrap_or(0) - before.get(what).copied().unwrap_or(0)
    };
    assert_eq!(
        (spent("createRoom"), spent("join"), spent("upload")),
        (1, 4, 1)
    );
}

#[tokio::test]
async fn a_group_and_its_messages_cost_the_homeserver_no_more_than_they_must() {
    let town = Town::new(rooms()).await;
    town.set_group(group_of(&[ALICE.2, BOB.2], 3));
    let all = || town.requests()["all"];
    let before = all();
    town.write(ALICE.1, &group_id(), person(1), "first").await;
    town.shown("first").await;
    town.all_taken(ALICE.1, &group_id()).await;
    // A room, the message; a ghost is registered, gets its device, its name and what says whose it is, and joins; the levels are
    // read once for the admins.
    let made = all() - before;
    assert!(
        made <= 2 + 3 * 5 + 1,
        "making the room took {made} requests"
    );

    let before = all();
    for text in ["second", "third"] {
        town.write(ALICE.1, &group_id(), person(2), text).await;
        town.shown(text).await;
    }
    assert_eq!(all() - before, 2, "a message is one request");

    // The other login of the room finds everything there.
    let before = all();
    town.bridge.sync_groups(BOB.1).await.unwrap();
    town.write(BOB.1, &group_id(), person(2), "fourth").await;
    town.shown("fourth").await;
    assert_eq!(all() - before, 1);
    assert_eq!(town.requests()["createRoom"], 1);
}

#[tokio::test]
async fn changes_are_shown_as_done_by_whoever_did_them() {
    let town = Town::new(rooms()).await;
    let mut group = group_of(&[ALICE.2, BOB.2], 4);
    town.set_group(group.clone());
    town.write(ALICE.1, &group_id(), person(1), "hello").await;
    let room = town.shown("hello").await;
    town.all_taken(ALICE.1, &group_id()).await;

    group.facts.subject = "Orchard".to_owned();
    let renamed = RemoteNotice::Group(GroupChange::Subject("Orchard".to_owned()));
    town.change(ALICE.1, person(2), renamed.clone(), group.clone())
        .await;
    town.all_taken(ALICE.1, &group_id()).await;
    let name = town.state(&room, "m.room.name");
    assert_eq!(name, (json!({ "name": "Orchard" }), ghost(2)));
    assert_eq!(
        town.state(&room, "m.bridge").0["channel"]["displayname"],
        "Orchard"
    );

    // The other login is told the same.
    let before = town.requests()["all"];
    town.change(BOB.1, person(2), renamed, group.clone()).await;
    town.all_taken(BOB.1, &group_id()).await;
    assert_eq!(town.requests()["all"], before);

    group.members.retain(|one| one.user != person(3));
    let removed = RemoteNotice::Group(GroupChange::Remove(vec![person(3)]));
    town.change(ALICE.1, person(0), removed, group.clone())
        .await;
    town.all_taken(ALICE.1, &group_id()).await;
    assert_eq!(town.membership(&room, &ghost(3)), "leave");
    assert_eq!(town.state(&room, "m.room.member").1, ghost(0));

    group.members.retain(|one| one.user != person(2));
    let left = RemoteNotice::Group(GroupChange::Leave);
    town.change(ALICE.1, person(2), left, group.clone()).await;
    town.all_taken(ALICE.1, &group_id()).await;
    assert_eq!(town.membership(&room, &ghost(2)), "leave");
    assert_eq!(town.state(&room, "m.room.member").1, ghost(2));

    group.members.push(member(person(7), GroupRole::Member));
    let added = RemoteNotice::Group(GroupChange::Add(vec![person(7)]));
    town.change(ALICE.1, person(0), added, group.clone()).await;
    town.all_taken(ALICE.1, &group_id()).await;
    assert_eq!(town.membership(&room, &ghost(7)), "join");

    let states = town.requests()["state"];
    for one in &mut group.members {
        if one.user == person(7) || one.user == own(ALICE.2) {
            one.role = GroupRole::Admin;
        }
    }
    let promoted = RemoteNotice::Group(GroupChange::Promote(vec![person(7), own(ALICE.2)]));
    town.change(ALICE.1, person(0), promoted, group.clone())
        .await;
    town.all_taken(ALICE.1, &group_id()).await;
    let (levels, by) = town.state(&room, "m.room.power_levels");
    // A user has more than a ghost, so no ghost can give it.
    let users = json!({ (BOT): 100, (ghost(0)): 50, (ghost(7)): 50, (ALICE.0): 75 });
    assert_eq!((levels["users"].clone(), by), (users, BOT.to_owned()));
    assert_eq!(
        town.requests()["state"] - states,
        1,
        "one event for all roles"
    );
}

#[tokio::test]
async fn the_rest_of_a_large_group_comes_after_its_messages_and_survives_a_restart() {
    let mut slow = rooms();
    slow.members_per_second = 20;
    let mut town = Town::new(slow).await;
    town.set_group(group_of(&[ALICE.2], 60));
    town.write(ALICE.1, &group_id(), person(59), "from the last one")
        .await;
    let room = town.shown("from the last one").await;
    let inside = |world: &crate::homeserver::World| {
        let members = world.rooms[&room].members.iter();
        members
            .filter(|(who, is)| who.contains("whatsapp") && *is == "join")
            .count()
    };
    let first = inside(&town.homeserver.world());
    assert!(
        (19..60).contains(&first),
        "{first} ghosts were there with the message"
    );
    town.restart().await;
    let all = |world: &crate::homeserver::World| (inside(world) == 60).then_some(());
    town.wait("sixty ghosts in the room", all).await;
    town.write(ALICE.1, &group_id(), person(58), "all here")
        .await;
    assert_eq!(town.shown("all here").await, room);
    assert_eq!(town.requests()["createRoom"], 1);
}

#[tokio::test]
async fn a_group_nobody_is_in_is_closed_and_opened_again() {
    let town = Town::new(rooms()).await;
    let group = group_of(&[ALICE.2, BOB.2], 2);
    town.set_group(group.clone());
    town.write(ALICE.1, &group_id(), person(1), "hello").await;
    let room = town.shown("hello").await;
    for user in [ALICE.0, BOB.0] {
        town.homeserver.join(&room, user);
    }

    let mut without = group.clone();
    without.members.retain(|one| one.user != own(ALICE.2));
    let removed = RemoteNotice::Group(GroupChange::Remove(vec![own(ALICE.2)]));
    town.change(ALICE.1, person(0), removed, without.clone())
        .await;
    town.all_taken(ALICE.1, &group_id()).await;
    assert_eq!(town.membership(&room, ALICE.0), "leave");
    assert_eq!(town.membership(&room, &ghost(1)), "join");

    without.members.retain(|one| one.user != own(BOB.2));
    let left = RemoteNotice::Group(GroupChange::Leave);
    town.change(BOB.1, own(BOB.2), left, without).await;
    town.all_taken(BOB.1, &group_id()).await;
    assert_eq!(
        town.membership(&room, BOB.0),
        "join",
        "the last one keeps the room"
    );
    for number in 0..2 {
        assert_eq!(town.membership(&room, &ghost(number)), "leave");
    }
    let notices = town.homeserver.world().messages(&room);
    let (by, said) = notices.last().unwrap();
    assert_eq!((by.as_str(), &said["msgtype"]), (BOT, &json!("m.notice")));

    town.change(ALICE.1, person(0), RemoteNotice::Joined, group)
        .await;
    town.all_taken(ALICE.1, &group_id()).await;
    assert_eq!(town.membership(&room, ALICE.0), "invite");
    town.write(ALICE.1, &group_id(), person(1), "welcome back")
        .await;
    assert_eq!(town.shown("welcome back").await, room);
}

#[tokio::test]
async fn a_room_that_was_changed_by_hand_is_set_right() {
    let town = Town::new(rooms()).await;
    town.set_group(group_of(&[ALICE.2], 3));
    town.write(ALICE.1, &group_id(), person(1), "hello").await;
    let room = town.shown("hello").await;
    town.all_taken(ALICE.1, &group_id()).await;
    let name = json!({ "name": "Mine" });
    town.homeserver
        .set_state(&room, ALICE.0, "m.room.name", "", name);
    town.homeserver
        .set_member(&room, ALICE.0, &ghost(2), "leave");
    let portal = town.portal().await.expect("a portal");
    town.bridge.sync_portal(portal).await.unwrap();
    assert_eq!(town.state(&room, "m.room.name").0["name"], "Garden");
    assert_eq!(town.membership(&room, &ghost(2)), "join");
}

#[tokio::test]
async fn what_is_written_in_a_chat_without_a_room_waits_for_it() {
    let mut asked_for = rooms();
    asked_for.groups = ChatRooms::Never;
    asked_for.direct_chats = ChatRooms::Never;
    let town = Town::new(asked_for).await;
    let group = group_of(&[ALICE.2], 2);
    let direct = ChatId::direct(&person(5));
    let renamed = RemoteNotice::Group(GroupChange::Subject("Garden".to_owned()));
    town.change(ALICE.1, person(0), renamed, group).await;
    town.all_taken(ALICE.1, &group_id()).await;
    town.write(ALICE.1, &group_id(), person(1), "in the group")
        .await;
    town.write(ALICE.1, &direct, person(5), "to alice").await;
    town.bridge.sync_groups(ALICE.1).await.unwrap();
    assert!(town.homeserver.world().rooms.is_empty());

    for (chat, text) in [(&group_id(), "in the group"), (&direct, "to alice")] {
        let opened = town.bridge.open_chat(ALICE.1, chat).await.unwrap();
        assert_eq!(town.shown(text).await, opened.as_str());
    }
}

#[tokio::test]
async fn what_is_told_of_people_does_not_wait_behind_what_they_wrote() {
    let mut asked_for = rooms();
    asked_for.direct_chats = ChatRooms::Never;
    let town = Town::new(asked_for).await;
    let management = town.management_room().await;
    let direct = ChatId::direct(&person(5));
    for number in 0..70 {
        let text = format!("message {number}");
        town.write(ALICE.1, &direct, person(5), &text).await;
    }
    let accepted = RemoteNotice::Reachability { accepted: true };
    town.tell(ALICE.1, person(5), accepted).await;
    town.wait("the answer to be told", |world| {
        let mut said = world.messages(&management).into_iter();
        said.any(|(_, content)| {
            let body = content["body"].as_str().unwrap_or_default();
            body.contains("takes messages of other apps now")
        })
        .then_some(())
    })
    .await;
    let known = town
        .db
        .read(|txn| Box::pin(async move { txn.reachabilities(ALICE.1).await }));
    assert_eq!(known.await.unwrap().len(), 1);
    // What they wrote waits for a room still.
    assert!(town.portal().await.is_none());
}

#[tokio::test]
async fn all_groups_get_rooms_at_once_if_that_is_wanted() {
    let mut at_once = rooms();
    at_once.groups = ChatRooms::AtOnce;
    let town = Town::new(at_once).await;
    town.set_group(group_of(&[ALICE.2], 2));
    town.bridge.sync_groups(ALICE.1).await.unwrap();
    let found = |world: &crate::homeserver::World| {
        let mut rooms = world.rooms.iter();
        rooms
            .find(|(_, room)| room.members.get(&ghost(1)).is_some_and(|is| is == "join"))
            .map(|_| ())
    };
    town.wait("the room of the group", found).await;
}

#[tokio::test]
async fn a_login_has_a_space_with_its_rooms() {
    let mut spaces = rooms();
    spaces.personal_spaces = true;
    let town = Town::new(spaces).await;
    town.set_group(group_of(&[ALICE.2], 1));
    let direct = ChatId::direct(&person(5));
    town.write(ALICE.1, &group_id(), person(0), "in the group")
        .await;
    let group_room = town.shown("in the group").await;
    town.write(ALICE.1, &direct, person(5), "to alice").await;
    let direct_room = town.shown("to alice").await;
    let children = |world: &crate::homeserver::World| {
        let mut rooms = world.rooms.values();
        rooms
            .any(|room| {
                let child = |of: &str| {
                    let key = ("m.space.child".to_owned(), of.to_owned());
                    room.state
                        .get(&key)
                        .is_some_and(|child| child["via"][0] == "test.example")
                };
                let is_alices = room.members.get(ALICE.0).is_some_and(|is| is == "invite");
                is_alices && child(&group_room) && child(&direct_room)
            })
            .then_some(())
    };
    town.wait("a space with both rooms", children).await;
}

#[tokio::test]
async fn a_room_that_was_left_stays_left_and_its_user_is_told_once() {
    let town = Town::new(rooms()).await;
    let management = town.management_room().await;
    let chat = ChatId::direct(&person(5));
    town.write(ALICE.1, &chat, person(5), "hello").await;
    let room = town.shown("hello").await;
    town.homeserver.join(&room, ALICE.0);
    town.leave(&room, ALICE.0).await;

    for text in ["are you there", "still there"] {
        town.write(ALICE.1, &chat, person(5), text).await;
        assert_eq!(town.shown(text).await, room, "what is written is kept");
        town.all_taken(ALICE.1, &chat).await;
    }
    assert_eq!(town.membership(&room, ALICE.0), "leave");
    let told = town.homeserver.world().messages(&management);
    let told: Vec<&str> = told
        .iter()
        .filter_map(|(_, said)| said["body"].as_str())
        .collect();
    assert_eq!(told.len(), 1, "{told:?}");
    let command = format!("start-chat whatsapp {chat}");
    assert!(told[0].contains(&command), "{told:?}");

    let opened = town.bridge.open_chat(ALICE.1, &chat).await.unwrap();
    assert_eq!(opened.as_str(), room);
    assert_eq!(town.membership(&room, ALICE.0), "invite");
}

#[tokio::test]
async fn who_left_is_invited_again_where_that_is_wanted_or_nobody_can_tell_them() {
    for invite_back in [true, false] {
        let mut settings = rooms();
        settings.invite_back = invite_back;
        let town = Town::new(settings).await;
        if invite_back {
            town.management_room().await;
        } else {
            town.forget_management_room().await;
        }
        town.set_group(group_of(&[ALICE.2], 2));
        town.write(ALICE.1, &group_id(), person(1), "hello").await;
        let room = town.shown("hello").await;
        town.homeserver.join(&room, ALICE.0);
        town.leave(&room, ALICE.0).await;
        town.write(ALICE.1, &group_id(), person(1), "come back")
            .await;
        town.shown("come back").await;
        assert_eq!(town.membership(&room, ALICE.0), "invite");
    }
}

#[tokio::test]
async fn in_a_linked_room_only_ghosts_come_and_go() {
    let town = Town::new(rooms()).await;
    let room = town
        .homeserver
        .create_room(BOB.0, &[BOT, &ghost(0), &ghost(1)], false);
    town.homeserver.join(&room, BOT);
    town.link(&room).await;
    let mut group = group_of(&[ALICE.2], 2);
    let renamed = RemoteNotice::Group(GroupChange::Subject("Garden".to_owned()));
    town.change(ALICE.1, person(0), renamed, group.clone())
        .await;
    town.all_taken(ALICE.1, &group_id()).await;
    town.bridge.sync_groups(ALICE.1).await.unwrap();
    let came = |world: &crate::homeserver::World| {
        let members = &world.rooms[&room].members;
        (members[&ghost(0)] == "join" && members[&ghost(1)] == "join").then_some(())
    };
    town.wait("the ghosts in the linked room", came).await;
    group.members.retain(|one| one.user == person(0));
    let removed = RemoteNotice::Group(GroupChange::Remove(vec![own(ALICE.2), person(1)]));
    town.change(ALICE.1, person(0), removed, group).await;
    town.all_taken(ALICE.1, &group_id()).await;
    let gone = |world: &crate::homeserver::World| {
        let members = &world.rooms[&room].members;
        (members[&ghost(0)] == "leave" && members[&ghost(1)] == "leave").then_some(())
    };
    town.wait("the ghosts gone again", gone).await;
    assert_eq!(town.membership(&room, BOB.0), "join");
    for kind in ["m.room.name", "m.room.power_levels", "m.bridge"] {
        assert!(town.state(&room, kind).0.is_null(), "{kind}");
    }
}

#[tokio::test]
async fn what_somebody_writes_whom_a_linked_room_bans_is_not_shown() {
    let town = Town::new(rooms()).await;
    let room = town
        .homeserver
        .create_room(BOB.0, &[BOT, &ghost(0), &ghost(1)], false);
    town.homeserver.join(&room, BOT);
    town.link(&room).await;
    let group = group_of(&[ALICE.2], 2);
    let renamed = RemoteNotice::Group(GroupChange::Subject("Garden".to_owned()));
    town.change(ALICE.1, person(0), renamed, group).await;
    town.write(ALICE.1, &group_id(), person(1), "before").await;
    assert_eq!(town.shown("before").await, room);
    town.homeserver.set_member(&room, BOB.0, &ghost(1), "ban");
    town.write(ALICE.1, &group_id(), person(1), "rude").await;
    town.write(ALICE.1, &group_id(), person(0), "after").await;
    town.shown("after").await;
    let said = |what: &str| {
        let messages = town.homeserver.world().messages(&room);
        let mut bodies = messages.iter().map(|(_, said)| said["body"].to_string());
        bodies.any(|body| body.contains(what))
    };
    assert!(!said("rude"), "neither as themselves nor by the bot");
    assert_eq!(town.membership(&room, &ghost(1)), "ban");
    // Whom the room lets in again speaks again.
    town.homeserver.set_member(&room, BOB.0, &ghost(1), "leave");
    town.write(ALICE.1, &group_id(), person(1), "sorry").await;
    town.shown("sorry").await;
}

#[tokio::test]
async fn whoever_writes_goes_before_those_who_come_in_their_turns() {
    let town = Town::new(RoomSettings {
        groups: ChatRooms::AtOnce,
        members_per_second: 2,
        ..rooms()
    })
    .await;
    town.set_group(group_of(&[ALICE.2], 70));
    town.bridge.sync_groups(ALICE.1).await.expect("the groups");
    // The room is there, and its first members come.
    town.wait("the room", |world| {
        let mut rooms = world.rooms.values();
        let is_it = |kind: &(String, String)| kind.0 == "m.bridge";
        rooms.any(|room| room.state.keys().any(is_it)).then_some(())
    })
    .await;
    town.write(ALICE.1, &group_id(), person(69), "late").await;
    let room = town.shown("late").await;
    let world = town.homeserver.world();
    let events = world.rooms[&room].events.iter();
    let before = events.take_while(|event| event["content"]["body"] != "late");
    let came = before.filter(|event| {
        let is_ghost = event["state_key"]
            .as_str()
            .is_some_and(|user| user.starts_with("@_"));
        is_ghost && event["content"]["membership"] == "join"
    });
    // The first twenty, the writer, and at two a second hardly anybody else.
    let came = came.count();
    assert!((2..=23).contains(&came), "{came} came before the message");
}

#[tokio::test]
async fn only_a_phone_number_is_shown_as_one() {
    let town = Town::new(rooms()).await;
    let other = own("100001234567890@msgr");
    for (by, text) in [(person(1), "by number"), (other, "by another number")] {
        let chat = ChatId::direct(&by);
        town.write(ALICE.1, &chat, by, text).await;
        town.shown(text).await;
    }
    let world = town.homeserver.world();
    let mut names: Vec<&str> = world.names.values().map(String::as_str).collect();
    names.sort_unstable();
    let names: Vec<&&str> = names
        .iter()
        .filter(|name| name.contains("WhatsApp"))
        .collect();
    assert_eq!(
        names,
        [&"+491550001 (WhatsApp)", &"100001234567890 (WhatsApp)"]
    );
}

#[tokio::test]
async fn a_claim_that_ends_says_so() {
    let town = Town::new(rooms()).await;
    let desk = town.management_room().await;
    let user = ruma::UserId::parse(ALICE.0).expect("a user id");
    let of = whatsapp();
    let claimed = town.bridge.claim_account(&user, &of, &person(5)).await;
    let code = claimed.expect("a code");
    let chat = ChatId::direct(&person(5));
    for number in 0..5 {
        let text = format!("word {number}");
        town.write(ALICE.1, &chat, person(5), &text).await;
        town.shown(&text).await;
    }
    town.all_taken(ALICE.1, &chat).await;
    let told = |world: &World| {
        let said = world.messages(&desk).into_iter();
        let texts =
            said.map(|(_, content)| content["body"].as_str().unwrap_or_default().to_owned());
        texts
            .filter(|text| text.contains("not the code"))
            .collect::<Vec<_>>()
    };
    let said = told(&town.homeserver.world());
    assert!(
        matches!(&said[..], [one] if one.contains("claim-account whatsapp")),
        "{said:?}"
    );
    // The code is good for nothing any more, and a message like any other.
    town.write(ALICE.1, &chat, person(5), &code).await;
    town.shown(&code).await;
}
