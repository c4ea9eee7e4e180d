//! What users do in the room of a group, asked of the gatekeeper and taken back where that refuses.

use drawbridge::domain::GroupChange;
use serde_json::{Value, json};

use super::scene::{ALICE, BOB, BOT, LOGIN, Scene, ghost, membership, notice, user};
use crate::homeserver::World;

fn asked(scene: &Scene) -> Vec<GroupChange> {
    let known = scene.gatekeeper.known();
    let changes = known.asked.iter().map(|(login, change)| {
        assert_eq!(*login, LOGIN);
        change.clone()
    });
    changes.collect()
}

fn state(world: &World, room: &str, kind: &str) -> Value {
    let key = (kind.to_owned(), String::new());
    world.rooms[room]
        .state
        .get(&key)
        .cloned()
        .unwrap_or_default()
}

fn refuse(scene: &Scene) {
    scene.gatekeeper.known().refuses = Some("only admins may do that".to_owned());
}

fn is_joined(room: &str, number: u32) -> impl Fn(&World) -> Option<()> {
    let (room, ghost) = (room.to_owned(), ghost(number));
    move |world| (membership(world, &room, &ghost).as_deref() == Some("join")).then_some(())
}

/// Waits until the bridge has taken everything Alice did in a room: a name comes behind it.
async fn taken(scene: &Scene, room: &str) {
    scene.gatekeeper.known().refuses = None;
    let name = json!({ "name": "The last thing" });
    scene
        .homeserver
        .set_state(room, ALICE, "m.room.name", "", name);
    let last = GroupChange::Subject("The last thing".to_owned());
    scene
        .wait("the last thing", |_| {
            asked(scene).contains(&last).then_some(())
        })
        .await;
}

#[tokio::test]
async fn a_ghost_that_is_invited_is_added_and_comes() {
    let scene = Scene::start().await;
    let room = scene.group_room().await;
    scene
        .homeserver
        .set_member(&room, ALICE, &ghost(3), "invite");
    scene.wait("the ghost", is_joined(&room, 3)).await;
    assert_eq!(asked(&scene), [GroupChange::Add(vec![user(3)])]);
    assert!(scene.is_member(3).await);
    // Who is a member already is not added again.
    scene
        .homeserver
        .set_member(&room, ALICE, &ghost(3), "invite");
    scene.wait("the ghost", is_joined(&room, 3)).await;
    assert_eq!(asked(&scene).len(), 1);
}

#[tokio::test]
async fn an_invitation_that_is_refused_is_declined_with_the_reason() {
    let scene = Scene::start().await;
    let room = scene.group_room().await;
    refuse(&scene);
    scene
        .homeserver
        .set_member(&room, ALICE, &ghost(3), "invite");
    let said = scene.said(&room, "Not done at WhatsApp").await;
    assert!(said.contains("only admins may do that"), "{said}");
    let is = membership(&scene.homeserver.world(), &room, &ghost(3));
    assert_eq!(is.as_deref(), Some("leave"));
    assert!(!scene.is_member(3).await);
}

#[tokio::test]
async fn a_kick_removes_and_a_refused_ban_is_lifted() {
    let scene = Scene::start().await;
    let room = scene.group_room().await;
    scene
        .homeserver
        .set_member(&room, ALICE, &ghost(1), "leave");
    taken(&scene, &room).await;
    assert_eq!(asked(&scene)[0], GroupChange::Remove(vec![user(1)]));
    assert!(!scene.is_member(1).await);
    refuse(&scene);
    scene.homeserver.set_member(&room, ALICE, &ghost(2), "ban");
    let said = scene.said(&room, "Not done at WhatsApp").await;
    assert!(said.contains("as the group is again"), "{said}");
    scene.wait("the ghost", is_joined(&room, 2)).await;
    assert!(scene.is_member(2).await);
    assert!(!scene.is_member(1).await);
}

#[tokio::test]
async fn somebody_without_a_login_changes_nothing() {
    let scene = Scene::start().await;
    let room = scene.group_room().await;
    scene.homeserver.set_member(&room, BOT, BOB, "join");
    let original = json!({ "name": "Hike" });
    scene
        .homeserver
        .set_state(&room, BOT, "m.room.name", "", original.clone());
    let name = json!({ "name": "Bob's room" });
    scene
        .homeserver
        .set_state(&room, BOB, "m.room.name", "", name);
    let said = scene.said(&room, "has no login").await;
    assert!(said.contains(BOB), "{said}");
    assert_eq!(
        state(&scene.homeserver.world(), &room, "m.room.name"),
        original
    );
    scene.homeserver.set_member(&room, BOB, &ghost(1), "leave");
    scene.wait("the ghost", is_joined(&room, 1)).await;
    assert!(asked(&scene).is_empty());
}

#[tokio::test]
async fn names_topics_and_who_may_write_are_asked_and_given_back() {
    let scene = Scene::start().await;
    let room = scene.group_room().await;
    let set = |kind: &str, content: Value| {
        scene.homeserver.set_state(&room, ALICE, kind, "", content);
    };
    set("m.room.topic", json!({ "topic": "On Sunday" }));
    let mut levels = json!({ "users": { BOT: 100, ALICE: 50 }, "events_default": 50 });
    levels["users"][ghost(1)] = json!(50);
    set("m.room.power_levels", levels.clone());
    taken(&scene, &room).await;
    let expected = [
        GroupChange::Description(Some("On Sunday".to_owned())),
        GroupChange::Promote(vec![user(1)]),
        GroupChange::Announce(true),
        GroupChange::Subject("The last thing".to_owned()),
    ];
    assert_eq!(asked(&scene), expected);
    refuse(&scene);
    set("m.room.name", json!({ "name": "Refused" }));
    scene.said(&room, "Not done at WhatsApp").await;
    let again = json!({ "name": "The last thing" });
    assert_eq!(
        state(&scene.homeserver.world(), &room, "m.room.name"),
        again
    );
    let mut changed = levels.clone();
    changed["users"][ghost(1)] = json!(0);
    changed["users"][ghost(2)] = json!(60);
    set("m.room.power_levels", changed);
    let restored = |world: &World| {
        let now = state(world, &room, "m.room.power_levels");
        (now["users"][ghost(1)] == 50 && now["users"][ghost(2)] == 0).then_some(())
    };
    scene.wait("the levels", restored).await;
}

#[tokio::test]
async fn a_picture_becomes_a_jpeg() {
    let scene = Scene::start().await;
    let room = scene.group_room().await;
    let mut png = std::io::Cursor::new(Vec::new());
    image::RgbImage::from_pixel(900, 300, image::Rgb([10, 20, 30]))
        .write_to(&mut png, image::ImageFormat::Png)
        .unwrap();
    let uri = scene.homeserver.upload(png.into_inner());
    let set = |url: &str| {
        let content = json!({ "url": url });
        scene
            .homeserver
            .set_state(&room, ALICE, "m.room.avatar", "", content);
    };
    set(&uri);
    let given = |_: &World| scene.gatekeeper.known().pictures.first().cloned();
    let jpeg = scene.wait("the picture", given).await.unwrap();
    let picture = image::load_from_memory(&jpeg).unwrap();
    assert_eq!(jpeg[..2], [0xff, 0xd8]);
    assert!(picture.width() <= 640);
    // What is no picture is taken back to the one before.
    taken(&scene, &room).await;
    set(&scene.homeserver.upload("no picture"));
    scene.said(&room, "could not be carried").await;
    let shown = state(&scene.homeserver.world(), &room, "m.room.avatar");
    assert_eq!(shown["url"], uri.as_str());
}

#[tokio::test]
async fn who_leaves_a_room_stays_in_the_group_and_is_told_so() {
    let scene = Scene::start().await;
    let management = scene.homeserver.create_room(ALICE, &[BOT], true);
    scene.said(&management, "your management room").await;
    let room = scene.group_room().await;
    scene.homeserver.set_member(&room, ALICE, ALICE, "leave");
    let said = scene.said(&management, "still in the group").await;
    assert!(
        said.contains("Hike") && said.contains("leave-chat"),
        "{said}"
    );
    assert!(asked(&scene).is_empty());
    let world = scene.homeserver.world();
    assert_eq!(notice(&world, &room, "still in the group"), None);
}

#[tokio::test]
async fn who_is_banned_in_a_linked_room_is_removed_if_the_group_lets_the_banner() {
    let scene = Scene::start().await;
    let levels = json!({ "users": { ALICE: 100, BOT: 50 } });
    let room = scene.room_with_bot(ALICE, levels);
    let chat = scene.group().await;
    scene.link(ALICE, chat, &room).await.unwrap();
    scene.homeserver.set_member(&room, ALICE, BOB, "join");
    let ban = |by: &str, number| {
        scene
            .homeserver
            .set_member(&room, by, &ghost(number), "ban");
    };
    let is_banned = |number| {
        let world = scene.homeserver.world();
        membership(&world, &room, &ghost(number)).as_deref() == Some("ban")
    };
    // Nobody speaks for Bob: the room has its way, and the group its own.
    ban(BOB, 1);
    let said = scene.said(&room, "has no login").await;
    assert!(said.contains("banned in this room alone"), "{said}");
    assert!(is_banned(1) && scene.is_member(1).await);
    assert!(asked(&scene).is_empty());
    refuse(&scene);
    ban(ALICE, 2);
    let said = scene.said(&room, "only admins may do that").await;
    assert!(said.contains("banned in this room alone"), "{said}");
    assert!(is_banned(2) && scene.is_member(2).await);
    scene.gatekeeper.known().refuses = None;
    scene.gatekeeper.known().asked.clear();

    let id = super::scene::room(&room);
    let relay = scene
        .bridge
        .set_relay(super::scene::alice(), &id, Some(LOGIN));
    relay.await.unwrap();
    ban(BOB, 1);
    let removed = GroupChange::Remove(vec![user(1)]);
    scene
        .wait("the removal", |_| {
            asked(&scene).contains(&removed).then_some(())
        })
        .await;
    ban(ALICE, 2);
    let removed = GroupChange::Remove(vec![user(2)]);
    scene
        .wait("the removal", |_| {
            asked(&scene).contains(&removed).then_some(())
        })
        .await;
    assert!(is_banned(1) && is_banned(2));
}

#[tokio::test]
async fn the_edit_of_a_message_that_was_deleted_meanwhile_goes_nowhere() {
    let scene = Scene::start().await;
    let room = scene.group_room().await;
    let text = |body: &str| json!({ "msgtype": "m.text", "body": body });
    {
        // All of it comes to the bridge at once, as after it was away.
        let mut world = scene.homeserver.world();
        let mut said = |content| world.append(&room, ALICE, "m.room.message", None, content, None);
        let first = said(text("a slip"));
        let mut edit = text("* the same slip");
        edit["m.new_content"] = text("the same slip");
        edit["m.relates_to"] = json!({ "rel_type": "m.replace", "event_id": first });
        said(edit);
        world.redact(&room, ALICE, &first, None);
    }
    scene.homeserver.send_text(&room, ALICE, "something else");
    scene
        .wait("the last text", |_| {
            let known = scene.gatekeeper.known();
            let mut texts = known.texts.iter();
            texts.any(|text| text == "something else").then_some(())
        })
        .await;
    let known = scene.gatekeeper.known();
    assert!(
        known.texts.iter().all(|text| text == "something else"),
        "{:?}",
        known.texts
    );
}
