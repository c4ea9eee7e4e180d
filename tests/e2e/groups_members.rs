//! Who is in a group and what they may do there, changed on both sides, and what the group refuses.

use drawbridge::sandbox::Role;
use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{
    client::{PATIENCE, User, encode},
    contact::Contact,
    group::{CAN, Group, Member, WHATSAPP, change, logged_in},
    wait::until,
    world::{BOT, Plan, World},
};

impl Member {
    /// What the member got in the group so far.
    fn heard(&self) -> Vec<String> {
        let received = self.contact.phone.received().into_iter();
        let here = received.filter(|message| message.chat.to_string() == self.contact.user);
        here.map(|message| message.text).collect()
    }
}

/// Who caused the membership somebody has.
async fn caused_by(user: &User, room: &str, of: &str) -> String {
    let state = user.history(room).await;
    let last = state
        .iter()
        .rfind(|event| event["type"] == "m.room.member" && event["state_key"] == of);
    let sender = last.and_then(|event| event["sender"].as_str());
    sender.expect("a membership").to_owned()
}

/// How often the bot said something in a room.
async fn told(user: &User, room: &str, what: &str) -> usize {
    let notices = user.bodies(room, BOT).await;
    notices.iter().filter(|body| body.contains(what)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn members_come_and_go_on_both_sides() {
    let world = World::start(Plan::default()).await;
    let (mut alice, _desk) = logged_in(&world, "alice", WHATSAPP).await;
    let group = Group::found(&world, WHATSAPP, "Hiking", &mut [&mut alice]).await;
    let cid = WHATSAPP.person(&world, "Cid").await;
    let cid = Member::of(WHATSAPP, cid, &group.address);
    contacts_change_who_is_in_it(&world, &group, &cid, &mut alice).await;
    a_user_changes_who_is_in_it(&world, &group, &cid, &mut alice).await;
    what_the_group_refuses_is_taken_back(&world, &group, &mut alice).await;
    for member in [&group.ann, &group.ben, &cid] {
        assert_eq!(member.contact.undecryptable(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_deletes_what_a_member_wrote() {
    let world = World::start(Plan::default()).await;
    let (mut alice, _desk) = logged_in(&world, "alice", WHATSAPP).await;
    let group = Group::found(&world, WHATSAPP, "Hiking", &mut [&mut alice]).await;
    let (room, own) = (&group.room, WHATSAPP.login_of(&world, &alice));
    let (ann, ben) = (&group.ann, &group.ben);
    change(ann, "promote", &own).await;
    let user = alice.mxid.clone();
    alice.sees_power(room, &user, 75).await;
    ben.contact.says("rude").await;
    let event = alice.hears(room, &ben.ghost, "rude").await;
    ann.contact.receives("rude").await;
    alice.redact(room, &event).await;
    for member in group.contacts() {
        until("the deletion", PATIENCE, async || {
            let mut shown = member.contact.shown().into_iter();
            shown.find(|message| message.revoked)
        })
        .await;
    }
}

async fn contacts_change_who_is_in_it(
    world: &World,
    group: &Group,
    cid: &Member,
    alice: &mut User,
) {
    let (room, own) = (&group.room, WHATSAPP.login_of(world, alice));
    let (ann, ben) = (&group.ann, &group.ben);
    group.says(world, alice, "for two").await;
    change(ann, "add", &cid.contact.jid()).await;
    alice.sees_membership(room, &cid.ghost, "join").await;
    cid.contact.says("hello from cid").await;
    alice.hears(room, &cid.ghost, "hello from cid").await;
    group.says(world, alice, "for three").await;
    cid.gets(&own, "for three").await;

    // Who is removed reads nothing more, and who comes back reads what is said from then on.
    change(ann, "remove", &cid.contact.jid()).await;
    alice.sees_membership(room, &cid.ghost, "leave").await;
    assert_eq!(caused_by(alice, room, &cid.ghost).await, ann.ghost);
    group.says(world, alice, "without cid").await;
    change(ann, "add", &cid.contact.jid()).await;
    alice.sees_membership(room, &cid.ghost, "join").await;
    group.says(world, alice, "with cid").await;
    cid.gets(&own, "with cid").await;
    assert_eq!(cid.heard(), ["for three", "with cid"]);

    // One's own going is one's own.
    let phone = &ben.contact.phone;
    phone.leave_group(&group.address).await.expect(CAN);
    alice.sees_membership(room, &ben.ghost, "leave").await;
    assert_eq!(caused_by(alice, room, &ben.ghost).await, ben.ghost);
}

async fn a_user_changes_who_is_in_it(world: &World, group: &Group, cid: &Member, alice: &mut User) {
    let (room, own) = (&group.room, WHATSAPP.login_of(world, alice));
    let (ann, ben) = (&group.ann, &group.ben);
    // Who is no admin there has no power here.
    let path = format!("v3/rooms/{}/invite", encode(room));
    let body = json!({ "user_id": ben.ghost });
    let (status, _) = alice.ask(Method::POST, &path, Some(&body)).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let user = alice.mxid.clone();
    change(ann, "promote", &own).await;
    alice.sees_power(room, &user, 75).await;

    alice.does(room, "invite", &ben.ghost).await;
    ann.finds_role(&ben.contact.jid(), Some(Role::Member)).await;
    alice.sees_membership(room, &ben.ghost, "join").await;
    group.says(world, alice, "ben is back").await;
    alice.does(room, "kick", &cid.ghost).await;
    ann.finds_role(&cid.contact.jid(), None).await;
    group.says(world, alice, "cid is gone").await;
    assert!(!cid.heard().contains(&"cid is gone".to_owned()));
    alice.sees_membership(room, &cid.ghost, "leave").await;

    // Power and roles.
    alice.gives_power(room, &ben.ghost, 50).await;
    ann.finds_role(&ben.contact.jid(), Some(Role::Admin)).await;
    alice.gives_power(room, &ben.ghost, 0).await;
    ann.finds_role(&ben.contact.jid(), Some(Role::Member)).await;
    change(ann, "promote", &ben.contact.jid()).await;
    alice.sees_power(room, &ben.ghost, 50).await;
    change(ann, "demote", &ben.contact.jid()).await;
    alice.sees_power(room, &ben.ghost, 0).await;
}

async fn what_the_group_refuses_is_taken_back(world: &World, group: &Group, alice: &mut User) {
    let (room, own) = (&group.room, WHATSAPP.login_of(world, alice));
    let ann = &group.ann;
    // Nobody removes or demotes who made the group.
    let refused = "Not done at WhatsApp";
    alice.does(room, "kick", &ann.ghost).await;
    alice.hear(room, BOT, |body| body.contains(refused)).await;
    alice.sees_membership(room, &ann.ghost, "join").await;
    alice.gives_power(room, &ann.ghost, 0).await;
    alice.sees_power(room, &ann.ghost, 50).await;
    ann.finds_role(&ann.contact.jid(), Some(Role::Creator))
        .await;
    // Nor adds somebody who blocked them.
    let dan = WHATSAPP.person(world, "Dan").await;
    dan.block(&own, true).expect(CAN);
    dan.settle(PATIENCE).await.expect(CAN);
    let ghost = WHATSAPP.ghost(&dan.jid().to_string());
    alice.does(room, "invite", &ghost).await;
    alice
        .hear(room, BOT, |body| body.contains("They are not in the group"))
        .await;
    alice.sees_membership(room, &ghost, "leave").await;
    // Each was explained once.
    let notices = told(alice, room, refused).await;
    assert_eq!(notices, 3, "{:?}", alice.bodies(room, BOT).await);
    group.says(world, alice, "all as it was").await;

    let user = alice.mxid.clone();
    change(ann, "demote", &own).await;
    alice.sees_power(room, &user, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_left_stays_left_and_one_who_is_removed_can_come_back() {
    let world = World::start(Plan::default()).await;
    let (mut alice, desk) = logged_in(&world, "alice", WHATSAPP).await;
    let group = Group::found(&world, WHATSAPP, "Hiking", &mut [&mut alice]).await;
    let (room, own) = (group.room.clone(), WHATSAPP.login_of(&world, &alice));

    // Removed: the room says so, nothing is carried; added again: it goes on there.
    change(&group.ann, "remove", &own).await;
    alice
        .hear(&room, BOT, |body| {
            body.contains("Nobody here is in this group")
        })
        .await;
    alice
        .sees_membership(&room, &group.ben.ghost, "leave")
        .await;
    change(&group.ann, "add", &own).await;
    alice.sees_membership(&room, &group.ben.ghost, "join").await;
    group.ann.contact.says("welcome back").await;
    alice.hears(&room, &group.ann.ghost, "welcome back").await;
    group.says(&world, &mut alice, "thank you").await;

    // Left: it stays left, and that something was said is told once.
    let path = format!("v3/rooms/{}/leave", encode(&room));
    alice.post(&path, &json!({})).await;
    alice
        .hear(&desk.room, BOT, |body| {
            body.contains("You left the room of")
        })
        .await;
    let (ann, ben) = (&group.ann.contact, &group.ben.contact);
    ann.says("are you there?").await;
    alice
        .hear(&desk.room, BOT, |body| body.contains("create-portal"))
        .await;
    ben.says("they are not").await;
    has_delivered(ben, "they are not", &own).await;
    let notices = told(&alice, &desk.room, "Something new was written").await;
    assert_eq!(notices, 1);
    let invited = |seen: &super::client::Seen| seen.invitation_to("Hiking", BOT);
    assert_eq!(invited(&alice.seen), None);

    // Until it is asked for.
    alice
        .say(
            &desk.room,
            &format!("create-portal whatsapp {}", group.address),
        )
        .await;
    alice.joins_room_called("Hiking").await;
    for (ghost, text) in [
        (&group.ann.ghost, "are you there?"),
        (&group.ben.ghost, "they are not"),
    ] {
        alice.hears(&room, ghost, text).await;
    }
    group.says(&world, &mut alice, "here I am").await;
}

/// Waits until a user's side has a message.
async fn has_delivered(by: &Contact, text: &str, to: &str) {
    let to = to.parse().expect("an address");
    by.sees("the message to be delivered", |message| {
        (message.text == text && message.receipts.contains_key(&to)).then_some(())
    })
    .await;
}

/// The first members come at once, the others at a pace, and who writes before their turn comes with what they write.
#[tokio::test(flavor = "multi_thread")]
async fn everybody_of_a_large_group_comes() {
    let world = World::start(Plan::default()).await;
    let (mut alice, _desk) = logged_in(&world, "alice", WHATSAPP).await;
    let mut phones = Vec::new();
    for n in 0..34 {
        phones.push(WHATSAPP.person(&world, &format!("Phone {n}")).await);
    }
    let own = WHATSAPP.login_of(&world, &alice);
    let mut members: Vec<_> = phones.iter().skip(1).map(|one| one.jid().clone()).collect();
    members.push(own.parse().expect("an address"));
    let made = phones[0].create_group("Crowd", &members).await.expect(CAN);
    let group = made.to_string();
    let mut crowd = phones.into_iter();
    let founder = Member::of(WHATSAPP, crowd.next().expect("a phone"), &group);
    let last = Member::of(WHATSAPP, crowd.next_back().expect("a phone"), &group);
    founder.contact.says("hello all").await;
    last.contact.says("hello from the last row").await;
    let room = alice.joins_room_called("Crowd").await;
    alice
        .hears(&room, &last.ghost, "hello from the last row")
        .await;
    alice.say(&room, "so many!").await;
    let crowd = crowd.map(|phone| Member::of(WHATSAPP, phone, &group));
    for member in crowd.chain([founder, last]) {
        member.gets(&own, "so many!").await;
        alice.sees_membership(&room, &member.ghost, "join").await;
    }
    assert_eq!(alice.members(&room).await.len(), 36);
}
