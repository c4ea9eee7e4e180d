//! Who speaks in a room and what is said of what is not carried, where that was once wrong.

use drawbridge::{
    domain::{ChatId, GroupRole, LoginId, RemoteUserId},
    store::Lane,
};
use serde_json::json;

use super::scene::{
    ALICE, BOB, BOT, LOGIN, Scene, alice, group_chat, login_of, notice, room, user, whatsapp,
};

/// What the gatekeeper of these tests says to every message.
const REFUSED: &str = "nobody asks for this";

#[tokio::test]
async fn what_is_forwarded_is_carried_and_an_echo_is_not_whoever_the_puppet_belongs_to() {
    let scene = Scene::start().await;
    let of_group = scene.group_room().await;
    scene.gatekeeper.known().refuses_texts = true;
    let portal = scene.portals(&of_group).await[0].id;
    // She has no double puppet any more: what it sent comes back all the same.
    let say = |body: &str, portal: i64| {
        let content = json!({
            "msgtype": "m.text", "body": body, "eu.drawbridge.double_puppet": true,
            "eu.drawbridge.source": { "id": body, "portal": portal },
        });
        scene
            .homeserver
            .send_event(&of_group, ALICE, "m.room.message", content)
    };
    say("an echo", portal.0);
    let forwarded = say("forwarded from another room", portal.0 + 1);
    scene.said(&of_group, REFUSED).await;
    let world = scene.homeserver.world();
    let told: Vec<_> = world
        .messages(&of_group)
        .into_iter()
        .filter(|(sender, _)| sender == BOT)
        .map(|(_, content)| content.to_string())
        .filter(|said| said.contains(REFUSED))
        .collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains(&forwarded), "{told:?}");
}

#[tokio::test]
async fn a_room_of_two_chats_says_of_each_why_a_message_is_not_carried() {
    let scene = Scene::start().await;
    let levels = json!({ "users": { ALICE: 100, BOT: 50 } });
    let of_alice = scene.room_with_bot(ALICE, levels);
    for chat in [scene.group().await, ChatId::direct(&user(1))] {
        let linked = scene.link(ALICE, chat, &of_alice);
        linked.await.unwrap();
    }
    scene.homeserver.set_member(&of_alice, ALICE, BOB, "join");
    scene.homeserver.send_text(&of_alice, BOB, "hello");
    scene.said(&of_alice, "with a login of their own").await;
    scene.said(&of_alice, "this chat belongs to").await;
}

#[tokio::test]
async fn a_group_of_several_users_is_not_unlinked_by_one_of_them_alone() {
    let scene = Scene::start().await;
    let of_group = scene.group_room().await;
    let levels = json!({ "users": { BOT: 100 } });
    scene
        .homeserver
        .set_state(&of_group, BOT, "m.room.power_levels", "", levels);
    let bobs = RemoteUserId::parse("1-1002@interop").unwrap();
    let role = async |role: Option<GroupRole>| {
        let bobs = bobs.clone();
        scene
            .db
            .step(Lane::login(LOGIN), move |txn| {
                let bobs = bobs.clone();
                Box::pin(async move {
                    if txn.login(LoginId(8)).await?.is_none() {
                        let row = login_of(LoginId(8), BOB, &bobs);
                        txn.insert_login(&row).await?;
                    }
                    txn.set_group_role(&whatsapp(), &group_chat(), &bobs, role)
                        .await
                })
            })
            .await
            .unwrap();
    };
    role(Some(GroupRole::Member)).await;
    let id = room(&of_group);
    let alone = scene.bridge.unlink_room(alice(), &id, None).await;
    assert!(alone.unwrap_err().to_string().contains("power"));
    assert_eq!(scene.portals(&of_group).await.len(), 1);
    // Once it is hers alone she may.
    role(None).await;
    let alone = scene.bridge.unlink_room(alice(), &id, None).await;
    assert_eq!(alone.unwrap(), 1);
    let world = scene.homeserver.world();
    assert_eq!(notice(&world, &of_group, REFUSED), None);
}
