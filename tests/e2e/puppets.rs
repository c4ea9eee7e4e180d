//! Double puppets: tokens that are taken, forgotten and lost, and whom a user blocks and ignores.

use drawbridge::sandbox::Flavour;
use serde_json::json;

use super::{
    client::{PATIENCE, User},
    contact::Contact,
    management::{Desk, ghost_of, room_in},
    world::{Plan, World},
};

/// Has a user show that a phone is their own; the phone with which that is done.
pub(crate) async fn claim(world: &World, user: &mut User, desk: &mut Desk) -> Contact {
    let own = Contact::of(world, user, Flavour::WhatsApp).await;
    let claim = format!("claim-account whatsapp {}", own.number());
    let answer = desk.command(user, &claim).await;
    let code = answer
        .rsplit('`')
        .nth(1)
        .unwrap_or_else(|| panic!("no code in {answer}"));
    own.say(code).await;
    desk.is_told(user, "is you").await;
    own
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_taken_forgotten_and_told_once_when_it_is_lost() {
    let world = World::start(Plan::default()).await;
    let mut alice = world.user("alice").await;
    let bob = world.user("bob").await;
    let mut desk = Desk::open(&mut alice).await;
    desk.log_in(&mut alice, "whatsapp").await;
    let how = desk.command(&mut alice, "login-matrix").await;
    assert!(how.contains("access token"), "{how}");
    for (token, why) in [
        ("syt_nonsense", "does not know this token"),
        (bob.token.as_str(), "@bob:drawbridge.test"),
    ] {
        let answer = desk
            .command(&mut alice, &format!("login-matrix {token}"))
            .await;
        assert!(answer.contains(why), "{answer}");
    }

    // A token of hers is taken, and taken out of the room.
    let token = alice.another_session().await;
    let command = format!("login-matrix {token}");
    let told = alice.say(&desk.room, &command).await;
    desk.is_told(&mut alice, "appears as you from now on").await;
    let room = desk.room.clone();
    alice
        .watch("the token to be deleted", |seen| {
            seen.is_redacted(&room, &told).then_some(())
        })
        .await;
    let ping = desk.command(&mut alice, "ping-matrix").await;
    assert!(ping.contains("(token)"), "{ping}");

    let own = claim(&world, &mut alice, &mut desk).await;
    own.say("as me").await;
    let chat = alice
        .watch("her own message", |seen| seen.room_with("as me"))
        .await;
    let me = alice.mxid.clone();
    alice.hear(&chat, &me, |body| body == "as me").await;

    // Its session ends: the ghost speaks again, which is told once.
    alice.ends_session(&token).await;
    for text in ["as a ghost", "as a ghost again"] {
        own.say(text).await;
        alice
            .watch("a message of the ghost", |seen| {
                let mut events = seen.timeline(&chat).iter();
                events
                    .any(|e| e["content"]["body"] == text && e["sender"] != me.as_str())
                    .then_some(())
            })
            .await;
    }
    desk.is_told(&mut alice, "not good any more").await;
    let ping = desk.command(&mut alice, "ping-matrix").await;
    assert!(ping.contains("does not appear as you"), "{ping}");
    assert_eq!(desk.times_told(&alice, "not good any more"), 1);

    // A new one works, and is forgotten when it is to be.
    let token = alice.another_session().await;
    let command = format!("login-matrix {token}");
    desk.command(&mut alice, &command).await;
    own.say("as me again").await;
    alice.hear(&chat, &me, |body| body == "as me again").await;
    let out = desk.command(&mut alice, "logout-matrix").await;
    assert!(out.contains("forgotten"), "{out}");
    own.say("a stranger").await;
    alice
        .watch("a message of the ghost", |seen| {
            let mut events = seen.timeline(&chat).iter();
            events
                .any(|e| e["content"]["body"] == "a stranger" && e["sender"] != me.as_str())
                .then_some(())
        })
        .await;
    assert_eq!(own.received_count(), 0, "nothing came back to her phone");
}

/// A user of another homeserver, whose client API the configuration names: the bridge acts as them there, in rooms of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_user_of_another_homeserver_appears_as_themselves() {
    let permissions = json!({"drawbridge.test": "user", "elsewhere.test": "user"});
    let world = World::start(Plan {
        config: json!({"bridge": {"permissions": permissions}}),
        federated: true,
        ..Plan::default()
    })
    .await;
    let mut zoe = world.stranger("zoe").await;
    let mut desk = Desk::open(&mut zoe).await;
    desk.log_in(&mut zoe, "whatsapp").await;
    let token = zoe.another_session().await;
    let command = format!("login-matrix {token}");
    let told = zoe.say(&desk.room, &command).await;
    desk.is_told(&mut zoe, "appears as you from now on").await;
    let room = desk.room.clone();
    zoe.watch("the token to be deleted", |seen| {
        seen.is_redacted(&room, &told).then_some(())
    })
    .await;

    let own = claim(&world, &mut zoe, &mut desk).await;
    own.say("as me").await;
    let chat = zoe
        .watch("her own message", |seen| seen.room_with("as me"))
        .await;
    let created = zoe.state(&chat, "m.room.create", "").await;
    assert_eq!(created.expect("a creation event")["room_version"], "12");
    let me = zoe.mxid.clone();
    zoe.hear(&chat, &me, |body| body == "as me").await;
    let direct = zoe.account_data("m.direct").await;
    assert!(direct.to_string().contains(&chat), "{direct}");

    // What she writes there goes out once, and what the bridge writes as her does not come back.
    zoe.say(&chat, "to my phone").await;
    own.receives_exactly(&["to my phone"]).await;
    own.say("as me again").await;
    zoe.hear(&chat, &me, |body| body == "as me again").await;
    zoe.say(&chat, "once more").await;
    own.receives_exactly(&["to my phone", "once more"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_blocked_is_ignored_and_the_other_way_round() {
    let world = World::start(Plan {
        double_puppets: true,
        ..Plan::default()
    })
    .await;
    let mut alice = world.user("alice").await;
    let mut desk = Desk::open(&mut alice).await;
    desk.log_in(&mut alice, "whatsapp").await;
    let contact = Contact::of(&world, &alice, Flavour::WhatsApp).await;
    let whom = format!("start-chat whatsapp {}", contact.number());
    let room = room_in(&desk.command(&mut alice, &whom).await);
    alice.sees_member(&room, &alice.mxid, "join").await;
    let ghost = ghost_of(&alice, &room).await;
    let stranger = "@troll:elsewhere.example";
    let ignored = json!({"ignored_users": {stranger: {}}});
    alice
        .set_account_data("m.ignored_user_list", &ignored)
        .await;

    // By command: at the gatekeeper, and in her account.
    let block = format!("block whatsapp {}", contact.number());
    let answer = desk.command(&mut alice, &block).await;
    assert!(answer.contains("blocked at WhatsApp"), "{answer}");
    let listed = desk.command(&mut alice, "list-blocked").await;
    assert!(listed.contains(&contact.jid()), "{listed}");
    alice.comes_to_ignore(&ghost, true).await;
    assert!(
        contact
            .phone
            .send_text(&contact.user, "let me in")
            .await
            .is_ok()
    );
    let unblock = format!("unblock whatsapp {}", contact.number());
    desk.command(&mut alice, &unblock).await;
    alice.comes_to_ignore(&ghost, false).await;
    assert!(alice.ignores(stranger).await, "others stay ignored");
    contact.say("thank you").await;
    alice.hear(&room, &ghost, |body| body == "thank you").await;
    let heard = alice.bodies(&room, &ghost).await;
    assert_eq!(heard, ["thank you"], "nothing came through while blocked");

    // On her phone: told, and in her account.
    let jid = contact.jid();
    let elsewhere = world.sandbox.block_elsewhere(&contact.user, &jid, true);
    elsewhere.await.expect("both are known");
    let told = desk.is_told(&mut alice, "blocked now").await;
    assert!(told.contains("another program"), "{told}");
    alice.comes_to_ignore(&ghost, true).await;

    // In her account: at the gatekeeper as soon as she asks, and with the next connection by itself.
    alice
        .set_account_data("m.ignored_user_list", &ignored)
        .await;
    let listed = desk.command(&mut alice, "list-blocked").await;
    assert!(listed.contains("blocked nobody"), "{listed}");
    contact.say("again").await;
    alice.hear(&room, &ghost, |body| body == "again").await;
    let both = json!({"ignored_users": {stranger: {}, ghost.as_str(): {}}});
    alice.set_account_data("m.ignored_user_list", &both).await;
    world.sandbox.cut(&contact.user);
    super::wait::until("the contact to be blocked", PATIENCE, async || {
        let blocked = world.sandbox.is_blocked(&contact.user, &contact.jid());
        blocked.then_some(())
    })
    .await;
    assert!(alice.ignores(stranger).await);
}

/// The mark by which the bridge knows what it sent as a user could be set by that user, too: it opens no door.
#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_be_relayed_is_not_by_passing_for_a_puppet() {
    let world = World::start(Plan {
        double_puppets: true,
        config: json!({"relay": {"enabled": true, "admins_only": false}}),
        ..Plan::default()
    })
    .await;
    let mut alice = world.user("alice").await;
    let mut desk = Desk::open(&mut alice).await;
    desk.log_in(&mut alice, "whatsapp").await;
    let contact = Contact::of(&world, &alice, Flavour::WhatsApp).await;
    let whom = format!("start-chat whatsapp {}", contact.number());
    let room = room_in(&desk.command(&mut alice, &whom).await);
    alice.sees_member(&room, &alice.mxid, "join").await;
    let set = desk.command(&mut alice, &format!("set-relay {room}")).await;
    let (mut mallory, mut dave) = (world.user("mallory").await, world.user("dave").await);
    for guest in [&mallory, &dave] {
        let path = format!("v3/rooms/{}/invite", super::client::encode(&room));
        alice.post(&path, &json!({"user_id": guest.mxid})).await;
        guest.join(&room).await;
    }
    let forged = json!({"msgtype": "m.text", "body": "forged", "eu.drawbridge.double_puppet": true,
        "eu.drawbridge.source": {"portal": 4711}});
    mallory.send(&room, "m.room.message", &forged).await;
    dave.say(&room, "let through").await;
    let arrived = |message: &drawbridge::sandbox::Received| {
        message.text.contains("let through").then_some(())
    };
    contact
        .gets(&format!("Dave's message ({set})"), arrived)
        .await;
    assert_eq!(contact.received_count(), 1);
}
