//! What a group is and who may change it, on both sides: name, topic, picture, announcements only, locked.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{
    client::{User, encode},
    group::{CAN, Group, WHATSAPP, logged_in},
    pictures,
    world::{BOT, Plan, World},
};

#[tokio::test(flavor = "multi_thread")]
async fn name_topic_picture_and_permissions_follow_on_both_sides() {
    let mut world = World::start(Plan::default()).await;
    let (mut alice, _desk) = logged_in(&world, "alice", WHATSAPP).await;
    let group = Group::found(&world, WHATSAPP, "Hiking", &mut [&mut alice]).await;
    a_contact_changes_it(&group, &alice).await;
    a_user_changes_it(&group, &mut alice).await;
    only_admins_write(&world, &group, &mut alice).await;
    what_is_not_allowed_any_more_is_taken_back(&mut world, &group, &mut alice).await;
}

/// The newest event of a room that is a piece of state.
async fn newest(user: &User, room: &str, kind: &str) -> Value {
    let mut events = user.history(room).await;
    events.retain(|event| event["type"] == kind);
    events.pop().expect("a state event")
}

/// Waits until a room's picture is there or is not; its address.
async fn sees_picture(user: &User, room: &str, but: Option<&str>) -> String {
    let avatar = user
        .sees_state(room, "m.room.avatar", "another picture", |avatar| {
            avatar["url"].as_str() != but && avatar["url"].is_string()
        })
        .await;
    avatar["url"].as_str().expect("an address").to_owned()
}

async fn a_contact_changes_it(group: &Group, alice: &User) {
    let (room, phone) = (&group.room, &group.ann.contact.phone);
    let address = group.address.as_str();
    phone
        .set_subject(address, "Hiking & more")
        .await
        .expect(CAN);
    alice
        .sees_state(room, "m.room.name", "the name", |name| {
            name["name"] == "Hiking & more"
        })
        .await;
    let event = newest(alice, room, "m.room.name").await;
    assert_eq!(event["sender"], group.ann.ghost.as_str());
    let text = "Sundays\nat nine";
    phone.set_description(address, text).await.expect(CAN);
    alice
        .sees_state(room, "m.room.topic", "the topic", |topic| {
            topic["topic"] == text
        })
        .await;
    phone.set_description(address, "").await.expect(CAN);
    alice
        .sees_state(room, "m.room.topic", "no topic", |topic| {
            topic["topic"].as_str().is_none_or(str::is_empty)
        })
        .await;
    let first = pictures::jpeg(64, 64);
    phone
        .set_group_picture(address, Some(first.clone()))
        .await
        .expect(CAN);
    let uri = sees_picture(alice, room, None).await;
    assert!(alice.download(&uri).await == first, "another picture");
    phone.set_group_picture(address, None).await.expect(CAN);
    alice
        .sees_state(room, "m.room.avatar", "no picture", |avatar| {
            avatar["url"].as_str().is_none_or(str::is_empty)
        })
        .await;
    let bridge = newest(alice, room, "m.bridge").await;
    assert_eq!(bridge["content"]["channel"]["displayname"], "Hiking & more");
}

async fn a_user_changes_it(group: &Group, alice: &mut User) {
    let room = &group.room;
    let name = alice
        .sets(room, "m.room.name", &json!({"name": "Walking"}))
        .await;
    alice
        .sets(room, "m.room.topic", &json!({"topic": "Every day"}))
        .await;
    for member in group.contacts() {
        let so = |group: &drawbridge::sandbox::GroupInfo| {
            group.subject == "Walking" && group.description == "Every day"
        };
        member.finds("the user's words", so).await;
    }
    let picture = pictures::png(120, 80);
    let uri = alice.upload("image/png", picture).await;
    alice
        .sets(room, "m.room.avatar", &json!({ "url": uri }))
        .await;
    group
        .ann
        .finds("the user's picture", |group| group.picture.is_some())
        .await;
    let phone = &group.ann.contact.phone;
    let at = phone.group_picture(&group.address).await.expect(CAN);
    let http = super::client::http();
    let answer = http.get(at.expect("a picture")).send().await;
    let bytes = answer.expect("an answer").bytes().await.expect("bytes");
    assert_eq!(pictures::dimensions(&bytes), (120, 80));
    // What the user wrote is not written again.
    let event = newest(alice, room, "m.room.name").await;
    assert_eq!(event["event_id"], name.as_str());
    // A group has to have a name.
    alice.sets(room, "m.room.name", &json!({"name": ""})).await;
    alice
        .hear(room, BOT, |body| body.contains("without a name"))
        .await;
    alice
        .sees_state(room, "m.room.name", "the name again", |name| {
            name["name"] == "Walking"
        })
        .await;
}

/// Waits until messages need a power.
async fn needs(user: &User, room: &str, power: i64) {
    user.sees_state(room, "m.room.power_levels", "other levels", |levels| {
        levels["events_default"].as_i64().unwrap_or(0) == power
    })
    .await;
}

async fn only_admins_write(world: &World, group: &Group, alice: &mut User) {
    let (room, own) = (&group.room, WHATSAPP.login_of(world, alice));
    let (phone, address) = (&group.ann.contact.phone, group.address.as_str());
    phone.set_announce(address, true).await.expect(CAN);
    needs(alice, room, 50).await;
    let path = format!("v3/rooms/{}/send/m.room.message/no", encode(room));
    let body = json!({"msgtype": "m.text", "body": "let me"});
    let (status, _) = alice.ask(Method::PUT, &path, Some(&body)).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    group.ann.contact.says("listen").await;
    alice.hears(room, &group.ann.ghost, "listen").await;
    phone.set_announce(address, false).await.expect(CAN);
    needs(alice, room, 0).await;
    group.says(world, alice, "at last").await;

    // The other way, as an admin.
    let login = [own.parse().expect("an address")];
    phone.promote(address, &login).await.expect(CAN);
    let user = alice.mxid.clone();
    alice.sees_power(room, &user, 75).await;
    for (power, announce) in [(50, true), (0, false)] {
        let levels = alice.state(room, "m.room.power_levels", "").await;
        let mut levels = levels.expect("power levels");
        levels["events_default"] = json!(power);
        alice.sets(room, "m.room.power_levels", &levels).await;
        group
            .ben
            .finds("who may write", |group| group.announce == announce)
            .await;
    }
    let levels = alice.state(room, "m.room.power_levels", "").await;
    let mut levels = levels.expect("power levels");
    for kind in ["m.room.name", "m.room.topic", "m.room.avatar"] {
        levels["events"][kind] = json!(50);
    }
    alice.sets(room, "m.room.power_levels", &levels).await;
    group.ben.finds("a lock", |group| group.locked).await;
    phone.set_locked(address, false).await.expect(CAN);
    alice
        .sees_state(room, "m.room.power_levels", "no lock", |levels| {
            levels["events"]["m.room.name"] == 0
        })
        .await;
}

/// The group changed while the bridge was away, so the room lets the user do what the group does not.
async fn what_is_not_allowed_any_more_is_taken_back(
    world: &mut World,
    group: &Group,
    alice: &mut User,
) {
    let (room, own) = (&group.room, WHATSAPP.login_of(world, alice));
    let (phone, address) = (&group.ann.contact.phone, group.address.as_str());
    world.bridge.kill().await;
    let login = [own.parse().expect("an address")];
    phone.demote(address, &login).await.expect(CAN);
    phone.set_locked(address, true).await.expect(CAN);
    alice
        .sets(room, "m.room.name", &json!({"name": "Mine"}))
        .await;
    let uri = alice.upload("image/jpeg", pictures::jpeg(32, 32)).await;
    alice
        .sets(room, "m.room.avatar", &json!({ "url": uri }))
        .await;
    alice.does(room, "kick", &group.ben.ghost).await;
    world.bridge.start().await;
    alice
        .sees_state(room, "m.room.name", "the name again", |name| {
            name["name"] == "Walking"
        })
        .await;
    sees_picture(alice, room, Some(&uri)).await;
    alice.sees_membership(room, &group.ben.ghost, "join").await;
    let user = alice.mxid.clone();
    alice.sees_power(room, &user, 0).await;
    group
        .ann
        .finds("the group as it was", |group| group.subject == "Walking")
        .await;
    group.says(world, alice, "never mind").await;
    let said = alice.bodies(room, BOT).await;
    let refusals = said.iter().filter(|body| body.contains("Not done at"));
    // Two sentences that are the same are counted in one notice, which is edited.
    let refusals: Vec<_> = refusals.filter(|body| !body.starts_with("* ")).collect();
    assert!((2..=4).contains(&refusals.len()), "{said:?}");
}
