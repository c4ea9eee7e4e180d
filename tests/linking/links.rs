//! Linking a room to a chat and letting it go.

use drawbridge::domain::{ChatId, GroupChange};
use serde_json::json;

use super::scene::{
    ALICE, BOB, BOT, LOGIN, Scene, alice, ghost, membership, mxid, notice, room, user,
};

fn chat(number: u32) -> ChatId {
    ChatId::direct(&user(number))
}

#[tokio::test]
async fn a_room_is_linked_and_let_go() {
    let scene = Scene::start().await;
    let levels = json!({ "users": { ALICE: 100, BOT: 50 }, "invite": 50 });
    let of_alice = scene.room_with_bot(ALICE, levels);
    let id = room(&of_alice);
    let portal = scene.link(ALICE, chat(1), &of_alice).await;
    let portal = portal.unwrap();
    assert!(portal.linked && portal.ready);
    assert_eq!(portal.room_id.as_deref(), Some(of_alice.as_str()));
    {
        let world = scene.homeserver.world();
        let there = membership(&world, &of_alice, &ghost(1));
        assert_eq!(there.as_deref(), Some("join"));
        let mut state = world.rooms[&of_alice].state.iter();
        let info = state.find(|((kind, _), _)| kind == "m.bridge").unwrap();
        assert_eq!(info.1["channel"]["id"], chat(1).as_str());
        // Its name and topic are its own.
        let own = ["m.room.name", "m.room.topic", "m.room.avatar"];
        let mut kinds = world.rooms[&of_alice].state.keys();
        assert!(!kinds.any(|(kind, _)| own.contains(&kind.as_str())));
    }
    let again = scene.link(ALICE, chat(1), &of_alice).await;
    let again = again.unwrap_err().to_string();
    assert!(again.contains("linked to that chat already"), "{again}");

    let ended = scene.bridge.unlink_room(alice(), &id, None).await.unwrap();
    assert_eq!(ended, 1);
    assert!(scene.portals(&of_alice).await.is_empty());
    {
        let world = scene.homeserver.world();
        let gone = membership(&world, &of_alice, &ghost(1));
        assert_eq!(gone.as_deref(), Some("leave"));
        // The bot stays where it was invited.
        let bot = membership(&world, &of_alice, BOT);
        assert_eq!(bot.as_deref(), Some("join"));
        let mut state = world.rooms[&of_alice].state.iter();
        let info = state.find(|((kind, _), _)| kind == "m.bridge").unwrap();
        assert_eq!(*info.1, json!({}));
    }
    let nothing = scene.bridge.unlink_room(alice(), &id, None).await;
    assert!(nothing.unwrap_err().to_string().contains("not linked"));
}

#[tokio::test]
async fn who_may_not_link_is_told_what_is_missing() {
    let scene = Scene::start().await;
    let levels = json!({ "users": { BOB: 100, BOT: 50 } });
    let of_bob = scene.room_with_bot(BOB, levels);
    let error = scene
        .link(ALICE, chat(1), &of_bob)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("you need the power 50") && error.contains(BOB),
        "{error}"
    );
    // A login of somebody else's.
    let levels = json!({ "users": { BOB: 100, BOT: 50 } });
    let another = scene.room_with_bot(BOB, levels);
    let error = scene.link(BOB, chat(1), &another);
    let error = error.await.unwrap_err().to_string();
    assert!(error.contains("no login of yours"), "{error}");
    // Nobody there is nobody to link to.
    let levels = json!({ "users": { ALICE: 100, BOT: 50 } });
    let own = scene.room_with_bot(ALICE, levels);
    let nobody = ChatId::parse("1@s.whatsapp.net").unwrap();
    let error = scene.link(ALICE, nobody, &own);
    let error = error.await.unwrap_err().to_string();
    assert!(error.contains("there is no such chat"), "{error}");
    // Who may not use the bridge.
    let error = scene.link("@eve:elsewhere.example", chat(1), &own);
    let error = error.await.unwrap_err().to_string();
    assert!(error.contains("may not use this bridge"), "{error}");
    assert!(scene.portals(&own).await.is_empty());
}

#[tokio::test]
async fn the_bot_is_invited_or_the_room_is_public() {
    let scene = Scene::start().await;
    let closed = scene.homeserver.create_room(ALICE, &[], false);
    let error = scene.link(ALICE, chat(1), &closed);
    let error = error.await.unwrap_err().to_string();
    assert!(error.contains("invite @drawbridgebot"), "{error}");
    // In a public room everybody enters by themselves, and nobody needs power for that.
    let open = scene.homeserver.create_room(ALICE, &[], false);
    let rules = json!({ "join_rule": "public" });
    scene
        .homeserver
        .set_state(&open, ALICE, "m.room.join_rules", "", rules);
    let levels = json!({ "users": { ALICE: 100 }, "invite": 50 });
    scene
        .homeserver
        .set_state(&open, ALICE, "m.room.power_levels", "", levels);
    let linked = scene.link(ALICE, chat(1), &open);
    linked.await.unwrap();
    let world = scene.homeserver.world();
    let there = membership(&world, &open, &ghost(1));
    assert_eq!(there.as_deref(), Some("join"));
    assert!(!world.requests.contains_key("invite"));
}

#[tokio::test]
async fn a_chat_has_one_room_and_a_private_one_gives_way() {
    let scene = Scene::start().await;
    let private = scene
        .bridge
        .open_chat(LOGIN, &ChatId::direct(&user(1)))
        .await
        .unwrap();
    scene.homeserver.join(private.as_str(), ALICE);
    let levels = || json!({ "users": { ALICE: 100, BOT: 50 } });
    let first = scene.room_with_bot(ALICE, levels());
    let linked = scene.link(ALICE, chat(1), &first);
    linked.await.unwrap();
    {
        let world = scene.homeserver.world();
        assert!(notice(&world, private.as_str(), "goes on in another room").is_some());
        for who in [BOT, &ghost(1)] {
            let gone = membership(&world, private.as_str(), who);
            assert_eq!(gone.as_deref(), Some("leave"), "{who}");
        }
        assert!(world.aliases.is_empty());
    }
    let second = scene.room_with_bot(ALICE, levels());
    let error = scene.link(ALICE, chat(1), &second);
    let error = error.await.unwrap_err().to_string();
    assert!(
        error.contains(&first) && error.contains("unbridge"),
        "{error}"
    );
    // The same room takes another chat.
    let other = scene.link(ALICE, chat(2), &first);
    other.await.unwrap();
    assert_eq!(scene.portals(&first).await.len(), 2);
    let (id, of) = (room(&first), chat(1));
    let one = scene.bridge.unlink_room(alice(), &id, Some(&of));
    assert_eq!(one.await.unwrap(), 1);
    let world = scene.homeserver.world();
    let there = membership(&world, &first, &ghost(2));
    assert_eq!(there.as_deref(), Some("join"));
}

#[tokio::test]
async fn a_group_is_linked_with_its_people_and_its_ghosts_are_counted_once() {
    let scene = Scene::start().await;
    let chat_of_group = scene.group().await;
    let levels = json!({ "users": { ALICE: 100, BOT: 50 } });
    let of_alice = scene.room_with_bot(ALICE, levels);
    let id = room(&of_alice);
    for chat in [chat_of_group.clone(), chat(1)] {
        let linked = scene.link(ALICE, chat, &of_alice);
        linked.await.unwrap();
    }
    let joined = |number| {
        let world = scene.homeserver.world();
        membership(&world, &of_alice, &ghost(number)).as_deref() == Some("join")
    };
    assert!(joined(1) && joined(2));
    // The first is still needed by the direct chat.
    let ended = scene.bridge.unlink_room(alice(), &id, Some(&chat_of_group));
    ended.await.unwrap();
    assert!(joined(1) && !joined(2));
}

#[tokio::test]
async fn another_bridge_to_the_same_service_is_in_the_way() {
    let scene = Scene::start().await;
    let levels = json!({ "users": { ALICE: 100, BOT: 50 } });
    let of_alice = scene.room_with_bot(ALICE, levels);
    let other = "@whatsappbot:test.example";
    scene.homeserver.set_member(&of_alice, ALICE, other, "join");
    let info = json!({
        "bridgebot": other, "protocol": { "id": "whatsapp", "displayname": "WhatsApp" },
        "channel": { "id": "1" },
    });
    scene
        .homeserver
        .set_state(&of_alice, other, "uk.half-shot.bridge", "x", info);
    let error = scene.link(ALICE, chat(1), &of_alice);
    let error = error.await.unwrap_err().to_string();
    assert!(error.contains("another bridge"), "{error}");
    scene
        .homeserver
        .set_member(&of_alice, ALICE, other, "leave");
    let linked = scene.link(ALICE, chat(1), &of_alice);
    linked.await.unwrap();
}

#[tokio::test]
async fn a_relay_is_set_by_whom_the_room_lets_and_silenced_by_its_owner() {
    let scene = Scene::start().await;
    let levels = json!({ "users": { ALICE: 100, BOB: 10, BOT: 50 } });
    let of_alice = scene.room_with_bot(ALICE, levels);
    let id = room(&of_alice);
    let early = scene.bridge.set_relay(alice(), &id, Some(LOGIN)).await;
    assert!(early.unwrap_err().to_string().contains("not linked"));
    let linked = scene.link(ALICE, chat(1), &of_alice);
    assert_eq!(linked.await.unwrap().relay, None);
    let bobs = scene.bridge.set_relay(&mxid(BOB), &id, None).await;
    assert!(bobs.unwrap_err().to_string().contains("power"));
    scene
        .bridge
        .set_relay(alice(), &id, Some(LOGIN))
        .await
        .unwrap();
    assert_eq!(scene.portals(&of_alice).await[0].relay, Some(LOGIN));
    // Without any power left, her login is still hers.
    let levels = json!({ "users": { BOB: 100, BOT: 50 } });
    scene
        .homeserver
        .set_state(&of_alice, BOB, "m.room.power_levels", "", levels);
    scene.bridge.set_relay(alice(), &id, None).await.unwrap();
    assert_eq!(scene.portals(&of_alice).await[0].relay, None);
}

#[tokio::test]
async fn a_group_is_made_of_a_room_and_its_ghosts() {
    let scene = Scene::start().await;
    let levels = json!({ "users": { ALICE: 100, BOT: 50 } });
    let of_alice = scene.room_with_bot(ALICE, levels);
    let id = room(&of_alice);
    let others = [user(1), user(2)];
    let made = scene
        .bridge
        .group_from(alice(), LOGIN, "Hike", &others, Some(&id));
    assert_eq!(made.await.unwrap(), id);
    let portals = scene.portals(&of_alice).await;
    assert!(portals[0].linked && portals[0].key.chat.is_group());
    {
        let world = scene.homeserver.world();
        let there = membership(&world, &of_alice, &ghost(2));
        assert_eq!(there.as_deref(), Some("join"));
    }
    assert_eq!(scene.gatekeeper.known().groups.len(), 1);
    // A second one of that name is another one.
    scene.bridge.delete_portals_of(LOGIN).await.unwrap();
    let again = scene
        .bridge
        .group_from(alice(), LOGIN, "Hike", &others, Some(&id));
    again.await.unwrap();
    assert_eq!(scene.gatekeeper.known().groups.len(), 2);
    let empty = scene.bridge.group_from(alice(), LOGIN, " ", &others, None);
    assert!(empty.await.unwrap_err().to_string().contains("name"));
    assert!(scene.gatekeeper.known().asked.is_empty());
    let chat = scene.portals(&of_alice).await[0].key.chat.clone();
    let left = scene.bridge.leave_chat(alice(), LOGIN, &chat);
    left.await.unwrap();
    assert_eq!(
        scene.gatekeeper.known().asked,
        [(LOGIN, GroupChange::Leave)]
    );
}
