//! Rooms that go on in another one, and those that only claim to.

use drawbridge::domain::ChatId;
use serde_json::{Value, json};

use super::scene::{ALICE, BOB, BOT, LOGIN, Scene, ghost, membership, room, user};

/// A chat with its room, Alice in it with power.
async fn chat(scene: &Scene) -> String {
    let room = scene
        .bridge
        .open_chat(LOGIN, &ChatId::direct(&user(1)))
        .await
        .expect("a room");
    scene.homeserver.join(room.as_str(), ALICE);
    let levels = json!({ "users": { BOT: 100, ALICE: 100 } });
    scene
        .homeserver
        .set_state(room.as_str(), BOT, "m.room.power_levels", "", levels);
    room.to_string()
}

/// A new room that says this in its creation; everybody may enter if it is open.
fn successor(scene: &Scene, create: Value, open: bool) -> String {
    let room = scene.homeserver.create_room(ALICE, &[], false);
    let mut content = json!({ "creator": ALICE, "room_version": "10" });
    if let (Some(content), Value::Object(more)) = (content.as_object_mut(), create) {
        content.extend(more);
    }
    scene
        .homeserver
        .set_state(&room, ALICE, "m.room.create", "", content);
    if open {
        let rules = json!({ "join_rule": "public" });
        scene
            .homeserver
            .set_state(&room, ALICE, "m.room.join_rules", "", rules);
    }
    room
}

fn bury(scene: &Scene, old: &str, by: &str, new: &str) -> String {
    let content = json!({ "body": "moved", "replacement_room": new });
    scene
        .homeserver
        .set_state(old, by, "m.room.tombstone", "", content)
}

/// The id that the next event of the homeserver will not have: a creation cannot know the tombstone's, so it is changed afterwards.
fn follow(scene: &Scene, new: &str, old: &str, event: &str) {
    let content = json!({
        "creator": ALICE, "room_version": "10",
        "predecessor": { "room_id": old, "event_id": event },
    });
    scene
        .homeserver
        .set_state(new, ALICE, "m.room.create", "", content);
}

async fn is_moved(scene: &Scene, old: &str, new: &str) {
    let joined = |world: &_| {
        let there = membership(world, new, &ghost(1)).as_deref() == Some("join");
        let left = membership(world, old, BOT).as_deref() == Some("leave");
        (there && left).then_some(())
    };
    scene.wait("the chat to move", joined).await;
    let portals = scene.portals(new).await;
    assert_eq!(portals.len(), 1);
    assert!(scene.portals(old).await.is_empty());
    let alias = {
        let world = scene.homeserver.world();
        assert_eq!(membership(&world, old, &ghost(1)).as_deref(), Some("leave"));
        world.aliases.values().cloned().collect::<Vec<_>>()
    };
    assert_eq!(alias, [new]);
}

#[tokio::test]
async fn a_room_is_followed_when_both_say_so() {
    let scene = Scene::start().await;
    let old = chat(&scene).await;
    // From version 12 on the creation names the old room alone.
    let create = json!({ "room_version": "12", "predecessor": { "room_id": old } });
    let new = successor(&scene, create, true);
    bury(&scene, &old, ALICE, &new);
    is_moved(&scene, &old, &new).await;
}

#[tokio::test]
async fn a_closed_room_is_followed_when_the_bot_is_let_in() {
    let scene = Scene::start().await;
    let old = chat(&scene).await;
    let new = successor(&scene, json!({}), false);
    let event = bury(&scene, &old, ALICE, &new);
    follow(&scene, &new, &old, &event);
    let said = scene.said(&old, "Invite").await;
    assert!(said.contains(&new) && said.contains(BOT), "{said}");
    assert_eq!(scene.portals(&old).await.len(), 1);
    scene.homeserver.set_member(&new, ALICE, BOT, "invite");
    is_moved(&scene, &old, &new).await;
}

#[tokio::test]
async fn a_tombstone_that_was_taken_back_moves_nobody() {
    let scene = Scene::start().await;
    let old = chat(&scene).await;
    let new = successor(&scene, json!({}), false);
    let event = bury(&scene, &old, ALICE, &new);
    follow(&scene, &new, &old, &event);
    scene.said(&old, "Invite").await;
    let nowhere = json!({});
    scene
        .homeserver
        .set_state(&old, ALICE, "m.room.tombstone", "", nowhere);
    scene.homeserver.set_member(&new, ALICE, BOT, "invite");
    let answered = |world: &_| (membership(world, &new, BOT)? != "invite").then_some(());
    scene.wait("the invitation to be answered", answered).await;
    scene.gatekeeper.known().refuses_texts = true;
    scene.homeserver.send_text(&old, ALICE, "still here");
    scene.said(&old, "nobody asks for this").await;
    assert_eq!(scene.portals(&old).await.len(), 1);
    assert!(scene.portals(&new).await.is_empty());
}

#[tokio::test]
async fn a_room_that_names_another_event_is_not_followed() {
    let scene = Scene::start().await;
    let old = chat(&scene).await;
    let create = json!({ "predecessor": { "room_id": old, "event_id": "$forged" } });
    let new = successor(&scene, create, true);
    bury(&scene, &old, ALICE, &new);
    let said = scene.said(&old, "does not follow").await;
    assert!(said.contains("another event"), "{said}");
    assert_eq!(scene.portals(&old).await.len(), 1);
    let world = scene.homeserver.world();
    assert_eq!(membership(&world, &new, BOT).as_deref(), Some("leave"));
    assert_eq!(membership(&world, &new, &ghost(1)), None);
}

#[tokio::test]
async fn a_room_that_follows_nothing_is_not_followed() {
    let scene = Scene::start().await;
    let old = chat(&scene).await;
    let new = successor(&scene, json!({}), true);
    bury(&scene, &old, ALICE, &new);
    scene.said(&old, "does not say that it follows").await;
    let other = successor(
        &scene,
        json!({ "predecessor": { "room_id": "!other:test.example", "event_id": "$x" } }),
        true,
    );
    bury(&scene, &old, ALICE, &other);
    scene.said(&old, "follows another room").await;
    assert_eq!(scene.portals(&old).await.len(), 1);
}

#[tokio::test]
async fn who_has_no_power_moves_nobody() {
    let scene = Scene::start().await;
    let old = chat(&scene).await;
    scene.homeserver.set_member(&old, BOT, BOB, "join");
    let create = json!({ "room_version": "12", "predecessor": { "room_id": old } });
    let new = successor(&scene, create, true);
    bury(&scene, &old, BOB, &new);
    let said = scene.said(&old, "does not follow").await;
    assert!(said.contains("power 0, and 50 is needed"), "{said}");
    // Nor does who is not there.
    let eve = "@eve:test.example";
    bury(&scene, &old, eve, &new);
    scene.said(&old, "is not in the room").await;
    assert_eq!(scene.portals(&old).await.len(), 1);
    let world = scene.homeserver.world();
    assert_eq!(membership(&world, &new, BOT), None);
}

#[tokio::test]
async fn a_management_room_is_followed_too() {
    let scene = Scene::start().await;
    let old = scene.homeserver.create_room(ALICE, &[BOT], true);
    scene.said(&old, "your management room").await;
    let create = json!({ "room_version": "12", "predecessor": { "room_id": old } });
    let new = successor(&scene, create, true);
    bury(&scene, &old, ALICE, &new);
    let left = |world: &_| (membership(world, &old, BOT).as_deref() == Some("leave")).then_some(());
    scene.wait("the bot to leave the old room", left).await;
    let owner = scene
        .db
        .read(|txn| Box::pin(async move { txn.management_room(ALICE).await }))
        .await
        .unwrap();
    assert_eq!(owner.as_deref(), Some(new.as_str()));
    assert!(scene.portals(room(&new).as_str()).await.is_empty());
}
