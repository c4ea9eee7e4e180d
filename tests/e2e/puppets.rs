//! Double puppets: what a user does on their own phone is theirs in Matrix, and whom they block they ignore.

use drawbridge::sandbox::Flavour;

use super::{
    client::User,
    contact::Contact,
    management::{Desk, ghost_of, room_in},
    world::{BOT, Plan, World},
};

/// Has a user show that a phone is their own; the phone with which that is done.
async fn claim(world: &World, user: &mut User, desk: &mut Desk) -> Contact {
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

/// What everybody in a room wrote, as sender and text.
async fn written(user: &User, room: &str) -> Vec<(String, String)> {
    let history = user.history(room).await;
    let text = |event: &serde_json::Value| {
        let is_it = event["type"] == "m.room.message" && event["sender"] != BOT;
        let sender = event["sender"].as_str().filter(|_| is_it)?;
        Some((
            sender.to_owned(),
            event["content"]["body"].as_str()?.to_owned(),
        ))
    };
    history.iter().filter_map(text).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_users_do_on_their_own_phone_is_theirs_and_comes_once() {
    let world = World::start(Plan {
        double_puppets: true,
        ..Plan::default()
    })
    .await;
    let mut alice = world.user("alice").await;
    let mut desk = Desk::open(&mut alice).await;
    desk.log_in(&mut alice, "whatsapp").await;
    let mut bob = world.user("bob").await;
    let mut his = Desk::open(&mut bob).await;
    his.log_in(&mut bob, "whatsapp").await;

    // Rooms are entered by themselves, and are direct chats to her clients.
    let nora = Contact::of(&world, &alice, Flavour::WhatsApp).await;
    let whom = format!("start-chat whatsapp {}", nora.number());
    let room = room_in(&desk.command(&mut alice, &whom).await);
    alice.sees_member(&room, &alice.mxid, "join").await;
    let ghost = ghost_of(&alice, &room).await;
    super::wait::until("m.direct", super::client::PATIENCE, async || {
        let direct = alice.account_data("m.direct").await;
        let rooms = direct[&ghost].as_array()?.clone();
        rooms.contains(&room.clone().into()).then_some(())
    })
    .await;

    // Her own phone, with friends in a group; both of them have the group's room.
    let own = claim(&world, &mut alice, &mut desk).await;
    let his_login = world.sandbox.partner_login(Flavour::WhatsApp, &bob.mxid);
    let members = [nora.jid(), nora.user.clone(), his_login.expect("his login")];
    let members = members.map(|member| member.parse().expect("an address"));
    let group = own.phone.create_group("Gardeners", &members).await;
    let group = group.expect("a group").to_string();
    let say = async |contact: &Contact, text: &str| {
        let sent = contact.phone.send_text(&group, text).await;
        sent.expect("a member can write")
    };
    let first = say(&own, "from my phone").await;
    let shared = bob
        .watch("the group's message", |seen| {
            seen.room_with("from my phone")
        })
        .await;
    let mine = |event: &serde_json::Value| event["content"]["body"] == "from my phone";
    let event = bob.history(&shared).await.into_iter().find(mine);
    assert_eq!(event.expect("it is there")["sender"], alice.mxid.as_str());
    alice.say(&shared, "from Matrix").await;
    nora.receives("from Matrix").await;
    own.receives("from Matrix").await;
    bob.say(&shared, "from Bob").await;
    own.receives("from Bob").await;
    say(&nora, "from Nora").await;
    alice
        .hear(&shared, &ghost, |body| body == "from Nora")
        .await;

    // What she does to messages there is hers, too.
    let sent = own.phone.edit(&group, &first, "from my own phone").await;
    sent.expect("its own message");
    let target = own.phone.log().into_iter().find(|m| m.text == "from Nora");
    let target = target.expect("it came").id;
    own.phone
        .react(&group, &target, false, "👍")
        .await
        .expect("a member can react");
    let (me, place) = (alice.mxid.clone(), shared.clone());
    bob.watch("her reaction and edit", |seen| {
        let of_hers = |kind: &str, part: &str| {
            seen.timeline(&place).iter().any(|event| {
                event["sender"] == me.as_str()
                    && event["type"] == kind
                    && event["content"].to_string().contains(part)
            })
        };
        (of_hers("m.reaction", "👍") && of_hers("m.room.message", "from my own phone"))
            .then_some(())
    })
    .await;

    // Everything once on both sides: what is shown as hers is not sent for her.
    alice.say(&shared, "the end").await;
    for contact in [&nora, &own] {
        contact.receives("the end").await;
    }
    let texts = |contact: &Contact| -> Vec<String> {
        let all = contact.phone.received().into_iter().map(|m| m.text);
        all.filter(|text| text.starts_with("from") || text == "the end")
            .collect()
    };
    assert_eq!(
        texts(&own),
        ["from Matrix", "from Bob", "from Nora", "the end"]
    );
    let shown = written(&bob, &shared).await;
    for (sender, text) in [
        (&alice.mxid, "from my phone"),
        (&alice.mxid, "from Matrix"),
        (&bob.mxid, "from Bob"),
        (&ghost, "from Nora"),
        (&alice.mxid, "the end"),
    ] {
        let times = shown.iter().filter(|(_, shown)| shown == text).count();
        assert_eq!(times, 1, "{text:?} in {shown:?}");
        assert!(
            shown.contains(&(sender.clone(), text.to_owned())),
            "{shown:?}"
        );
    }

    // Taken back: the phone is somebody else again.
    let answer = desk.command(&mut alice, "unclaim-account").await;
    assert!(answer.contains("somebody else"), "{answer}");
    say(&own, "not me").await;
    bob.watch("a message of a ghost", |seen| {
        let mut events = seen.timeline(&shared).iter();
        events
            .any(|e| e["content"]["body"] == "not me" && e["sender"] != alice.mxid.as_str())
            .then_some(())
    })
    .await;
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
    let ignored = serde_json::json!({"ignored_users": {stranger: {}}});
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

    // In her account: at the gatekeeper with the next connection.
    alice
        .set_account_data("m.ignored_user_list", &ignored)
        .await;
    world.sandbox.cut(&contact.user);
    super::wait::until("it to be unblocked", super::client::PATIENCE, async || {
        let sent = contact.phone.send_text(&contact.user, "again").await;
        sent.ok()?;
        let heard = alice.bodies(&room, &ghost).await;
        heard.iter().any(|body| body == "again").then_some(())
    })
    .await;
    let listed = desk.command(&mut alice, "list-blocked").await;
    assert!(listed.contains("blocked nobody"), "{listed}");
}
