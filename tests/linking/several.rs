//! Rooms of several chats and logins: each chat, and each login, goes by itself.

use drawbridge::{
    domain::{
        ChatId, GatekeeperId, GroupMember, GroupRole, PortalId, PortalKey, StanzaId, Timestamp,
    },
    matrix::appservice::AppserviceSink as _,
    store::{Lane, MessageLink, NewRemoteMessage},
};
use serde_json::json;

use super::scene::{
    ALICE, BOB, BOBS, BOT, LOGIN, Scene, ghost, group_chat, membership, notice, user, whatsapp,
};

fn chat(number: u32) -> ChatId {
    ChatId::direct(&user(number))
}

/// A room of Alice's that is linked to two chats of hers.
async fn room_of_two(scene: &Scene) -> String {
    let levels = json!({ "users": { ALICE: 100, BOT: 50 }, "events_default": 0 });
    let room = scene.room_with_bot(ALICE, levels);
    for number in [1, 2] {
        let linked = scene.link(ALICE, chat(number), &room).await;
        linked.expect("a link");
    }
    room
}

#[tokio::test]
async fn a_stuck_chat_holds_back_no_other_of_its_room() {
    let mut scene = Scene::start().await;
    let room = room_of_two(&scene).await;
    scene.gatekeeper.known().stuck.push(chat(1));
    for text in ["one", "two"] {
        scene.homeserver.send_text(&room, ALICE, text);
    }
    scene.queues(&chat(2), &["one", "two"]).await;
    assert!(scene.queued(&chat(1)).await.is_empty());
    // Neither lost nor doubled by a restart in between.
    scene.restart().await;
    scene.gatekeeper.known().stuck.clear();
    scene.bridge.ping_received(None);
    scene.queues(&chat(1), &["one", "two"]).await;
    assert_eq!(scene.queued(&chat(2)).await, ["one", "two"]);
}

#[tokio::test]
async fn what_waits_for_a_chat_goes_before_what_comes_when_it_is_alone() {
    let scene = Scene::start().await;
    let room = room_of_two(&scene).await;
    scene.gatekeeper.known().stuck.push(chat(1));
    scene.homeserver.send_text(&room, ALICE, "first");
    scene.queues(&chat(2), &["first"]).await;
    let id = super::scene::room(&room);
    let other = chat(2);
    let ended = scene
        .bridge
        .unlink_room(super::scene::alice(), &id, Some(&other));
    assert_eq!(ended.await.unwrap(), 1);
    scene.homeserver.send_text(&room, ALICE, "second");
    scene.gatekeeper.known().stuck.clear();
    scene.bridge.ping_received(None);
    scene.queues(&chat(1), &["first", "second"]).await;
    assert_eq!(scene.queued(&chat(2)).await, ["first"]);
}

#[tokio::test]
async fn a_gatekeeper_that_was_removed_holds_back_no_other() {
    let scene = Scene::start().await;
    let room = room_of_two(&scene).await;
    let messenger = GatekeeperId::parse("messenger").unwrap();
    let of = room.clone();
    scene
        .db
        .step(Lane::login(LOGIN), move |txn| {
            let (gatekeeper, room) = (messenger.clone(), of.clone());
            Box::pin(async move {
                let key = PortalKey {
                    gatekeeper,
                    chat: chat(3),
                    login: Some(LOGIN),
                };
                let portal = txn.ensure_portal(&key, PortalId(99)).await?;
                txn.set_portal_room(portal.id, Some(&room)).await?;
                txn.set_portal_ready(portal.id, true).await
            })
        })
        .await
        .unwrap();
    scene.bridge.forget_login(LOGIN);
    scene.homeserver.send_text(&room, ALICE, "hello");
    scene.queues(&chat(1), &["hello"]).await;
    scene.queues(&chat(2), &["hello"]).await;
    let told = scene.said(&room, "Not sent").await;
    assert!(told.contains("not connected to Messenger"), "{told}");
}

#[tokio::test]
async fn every_login_of_a_group_tells_what_its_user_read() {
    let scene = Scene::start().await;
    let room = scene.group_room().await;
    let own = scene.log_bob_in().await;
    let written = scene
        .homeserver
        .send_text(&room, &ghost(1), "from the group");
    let event = written.clone();
    scene
        .db
        .step(Lane::login(LOGIN), move |txn| {
            let (own, event) = (own.clone(), event.clone());
            Box::pin(async move {
                let mut members = vec![GroupMember {
                    user: own,
                    role: GroupRole::Member,
                }];
                let known = txn.group_members(&whatsapp(), &group_chat()).await?;
                members.extend(known.into_iter().filter_map(|one| {
                    Some(GroupMember {
                        user: one.user,
                        role: one.role?,
                    })
                }));
                txn.set_group_members(&whatsapp(), &group_chat(), &members)
                    .await?;
                let stanza_id = StanzaId::parse("M1").unwrap();
                txn.put_link(&MessageLink {
                    portal: PortalId(5),
                    event_id: event,
                    stanza_id: stanza_id.clone(),
                    sender: Some(user(1)),
                    part: 0,
                    sent_at: Timestamp(1),
                })
                .await?;
                for login in [LOGIN, BOBS] {
                    txn.put_remote_message(&NewRemoteMessage {
                        login,
                        chat: group_chat(),
                        sender: user(1),
                        stanza_id: stanza_id.clone(),
                        ciphertext_hash: vec![1; 32],
                        plaintext: Some(b"from the group".to_vec()),
                        notice: None,
                        sent_at: Timestamp(1),
                        display_name: None,
                        received_at: Timestamp(1),
                    })
                    .await?;
                }
                Ok(())
            })
        })
        .await
        .unwrap();
    scene.bridge.forget_login(LOGIN);
    scene.homeserver.join(&room, BOB);
    for (reader, login) in [(ALICE, LOGIN), (BOB, BOBS)] {
        scene.homeserver.receipt(&room, reader, &written);
        scene
            .wait("a receipt of each login", |_| {
                let known = scene.gatekeeper.known();
                let mut told = known.read.iter();
                told.any(|(by, to, _)| *by == login && *to == user(1))
                    .then_some(())
            })
            .await;
    }
    assert_eq!(scene.gatekeeper.known().read.len(), 2);
}

#[tokio::test]
async fn a_direct_chat_is_not_shown_where_its_user_was_banned() {
    let scene = Scene::start().await;
    let room = room_of_two(&scene).await;
    scene.homeserver.set_member(&room, BOB, ALICE, "ban");
    scene.said(&room, "is not in this room any more").await;
    let gone = |world: &crate::homeserver::World| {
        let is_out = |number| membership(world, &room, &ghost(number)).as_deref() == Some("leave");
        (is_out(1) && is_out(2)).then_some(())
    };
    scene.wait("the ghosts to leave", gone).await;
    assert!(scene.portals(&room).await.is_empty());
    // The bot stays where it was invited.
    let bot = membership(&scene.homeserver.world(), &room, BOT);
    assert_eq!(bot.as_deref(), Some("join"));
}

#[tokio::test]
async fn a_relay_is_silent_while_its_user_is_not_in_the_room() {
    let scene = Scene::start().await;
    let group = scene.group().await;
    let levels = json!({ "users": { ALICE: 100, BOT: 50 } });
    let room = scene.room_with_bot(ALICE, levels);
    scene.homeserver.join(&room, BOB);
    scene.link(ALICE, group.clone(), &room).await.unwrap();
    let id = super::scene::room(&room);
    let by = super::scene::alice();
    scene.bridge.set_relay(by, &id, Some(LOGIN)).await.unwrap();
    scene.homeserver.send_text(&room, BOB, "heard");
    let heard = scene.queues_some(&group, 1).await;
    assert!(heard[0].contains("bob") && heard[0].ends_with("heard"));
    scene.homeserver.set_member(&room, ALICE, ALICE, "leave");
    scene.homeserver.send_text(&room, BOB, "unheard");
    scene.said(&room, "Not sent").await;
    assert_eq!(scene.queued(&group).await, heard);
    scene.homeserver.join(&room, ALICE);
    scene.homeserver.send_text(&room, BOB, "again");
    let both = scene.queues_some(&group, 2).await;
    assert!(both[1].ends_with("again"), "{both:?}");
}

#[tokio::test]
async fn links_of_different_chats_do_not_wait_for_each_other() {
    let scene = Scene::start().await;
    let levels = || json!({ "users": { ALICE: 100, BOT: 50 } });
    let (first, second) = (
        scene.room_with_bot(ALICE, levels()),
        scene.room_with_bot(ALICE, levels()),
    );
    let held = ghost(1);
    scene.homeserver.world().held.insert(held.clone());
    let waits = scene.link(ALICE, chat(1), &first);
    let goes = async {
        // The first is under way by now, or will find that it is not alone.
        scene
            .wait("the ghost to be made", |world| {
                world.registered.contains(&held).then_some(())
            })
            .await;
        let linked = scene.link(ALICE, chat(2), &second).await;
        scene.homeserver.world().held.clear();
        linked
    };
    let both = tokio::time::timeout(std::time::Duration::from_secs(10), async {
        tokio::join!(waits, goes)
    });
    let (waited, went) = Box::pin(both).await.unwrap();
    assert!(waited.unwrap().ready && went.unwrap().ready);
}

#[tokio::test]
async fn a_link_that_comes_to_nothing_leaves_no_portal() {
    let scene = Scene::start().await;
    let levels = json!({ "users": { ALICE: 100, BOT: 50 } });
    let room = scene.room_with_bot(ALICE, levels);
    scene.homeserver.world().held.insert(ghost(1));
    let link = scene.link(ALICE, chat(1), &room);
    // The bot is sent away while the link is under way.
    let meanwhile = async {
        scene
            .wait("the ghost to be made", |world| {
                world.registered.contains(&ghost(1)).then_some(())
            })
            .await;
        scene.homeserver.set_member(&room, ALICE, BOT, "leave");
        scene.homeserver.world().held.clear();
    };
    let (linked, ()) = tokio::join!(link, meanwhile);
    linked.unwrap_err();
    let portals = scene
        .db
        .read(|txn| Box::pin(async move { txn.portals().await }))
        .await
        .unwrap();
    assert!(portals.is_empty(), "{portals:?}");
}

#[tokio::test]
async fn a_ghost_stays_while_a_chat_of_the_room_needs_it() {
    let scene = Scene::start().await;
    let room = scene.group_room().await;
    scene.link(ALICE, chat(1), &room).await.unwrap();
    for number in [1, 2] {
        let mut known = scene.gatekeeper.known();
        let group = known.groups.get_mut(&group_chat()).unwrap();
        group.members.retain(|member| member.user != user(number));
    }
    scene.bridge.sync_portal(PortalId(5)).await.unwrap();
    scene
        .wait("the other one to leave", |world| {
            let is = membership(world, &room, &ghost(2));
            (is.as_deref() == Some("leave")).then_some(())
        })
        .await;
    let is_shown = |members: Vec<drawbridge::store::GroupMemberRow>| {
        members
            .iter()
            .any(|one| one.user == user(1) && one.shown.is_some())
    };
    let end = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    loop {
        let members = scene
            .db
            .read(|txn| {
                Box::pin(async move { txn.group_members(&whatsapp(), &group_chat()).await })
            })
            .await
            .unwrap();
        if !is_shown(members) {
            break;
        }
        assert!(tokio::time::Instant::now() < end, "is shown still");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let there = membership(&scene.homeserver.world(), &room, &ghost(1));
    assert_eq!(there.as_deref(), Some("join"));
    assert!(notice(&scene.homeserver.world(), &room, "nothing is carried").is_none());
}
