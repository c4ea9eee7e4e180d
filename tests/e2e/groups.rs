//! Groups as their members see them: the room and what it says of the group, and what is said in it, both ways.

use drawbridge::{
    domain::{MediaKind, Typing},
    sandbox::{
        MediaToSend, Message, Status,
        content::{Composed, Content},
    },
};
use serde_json::{Value, json};

use super::{
    chat::id_of,
    client::User,
    group::{CAN, Group, Member, WHATSAPP, change, logged_in},
    pictures,
    world::{BOT, MARKED, Plan, World},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_group_a_contact_made_is_there_in_full() {
    let world = World::start(Plan {
        config: json!({"bridge": {"groups": "at_once"}}),
        ..Plan::default()
    })
    .await;
    let (mut alice, _desk) = logged_in(&world, "alice", WHATSAPP).await;
    let ann = WHATSAPP.person(&world, "Ann").await;
    let ben = WHATSAPP.person(&world, "Ben").await;
    let group = ann
        .create_group("Hiking", std::slice::from_ref(ben.jid()))
        .await
        .expect(CAN)
        .to_string();
    let picture = pictures::jpeg(96, 64);
    ann.set_description(&group, "Every *other* Sunday")
        .await
        .expect(CAN);
    ann.set_group_picture(&group, Some(picture.clone()))
        .await
        .expect(CAN);
    let ann = Member::of(WHATSAPP, ann, &group);
    let ben = Member::of(WHATSAPP, ben, &group);
    let own = WHATSAPP.login_of(&world, &alice);
    let login = own.parse().expect("an address");
    let added = ann.contact.phone.add_members(&group, &[login]).await;
    assert!(added.expect(CAN).values().all(Result::is_ok));

    // Nobody has written anything: the room is there all the same.
    let room = alice.joins_room_called("Hiking").await;
    for ghost in [&ann.ghost, &ben.ghost] {
        alice.sees_membership(&room, ghost, "join").await;
    }
    let about = "Every *other* Sunday";
    alice
        .sees_state(&room, "m.room.topic", "the topic", |topic| {
            topic["topic"] == about
        })
        .await;
    let avatar = alice
        .sees_state(&room, "m.room.avatar", "the picture", |avatar| {
            avatar["url"].is_string()
        })
        .await;
    let uri = avatar["url"].as_str().expect("an address");
    assert!(alice.download(uri).await == picture, "another picture");
    let state = alice.whole_state(&room).await;
    for kind in ["m.bridge", "uk.half-shot.bridge"] {
        let info = state.iter().find(|event| event["type"] == kind);
        let info = &info.unwrap_or_else(|| panic!("no {kind}"))["content"];
        assert_eq!(info["bridgebot"], BOT);
        assert_eq!(info["protocol"]["id"], "whatsapp");
        assert_eq!(info["channel"]["id"], group.as_str());
        assert_eq!(info["channel"]["displayname"], "Hiking");
    }
    let functional = alice.state(&room, "io.element.functional_members", "");
    let functional = functional.await.expect("functional members");
    assert_eq!(functional["service_members"], json!([BOT]));
    assert_eq!(alice.power_of(&room, &ann.ghost).await, 50, "she made it");
    assert_eq!(alice.power_of(&room, &ben.ghost).await, 0);
    assert_eq!(alice.power_of(&room, &alice.mxid).await, 0);
    let names = alice.members(&room).await;
    assert_eq!(names.len(), 4, "{names:?}");

    // The room is in the user's space.
    let space = alice
        .watch("an invitation to the space", |seen| {
            seen.invitation_to_space()
        })
        .await;
    alice.join(&space).await;
    let created = alice.state(&space, "m.room.create", "").await;
    assert_eq!(created.expect("a creation event")["type"], "m.space");
    let rooms = alice.whole_state(&space).await;
    let child = |event: &&Value| event["type"] == "m.space.child" && event["state_key"] == room;
    assert!(
        rooms
            .iter()
            .find(child)
            .is_some_and(|c| c["content"]["via"].is_array())
    );

    // And what is written comes.
    ann.contact.says("there you are").await;
    alice.hears(&room, &ann.ghost, "there you are").await;
    alice.say(&room, "here I am").await;
    for member in [&ann, &ben] {
        member.gets(&own, "here I am").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_in_a_group_reaches_everybody_in_it() {
    let world = World::start(Plan::default()).await;
    let (mut alice, _desk) = logged_in(&world, "alice", WHATSAPP).await;
    let group = Group::found(&world, WHATSAPP, "Hiking", &mut [&mut alice]).await;
    texts_and_answers(&world, &group, &mut alice).await;
    reactions_edits_and_deletions(&world, &group, &mut alice).await;
    files_and_mentions(&world, &group, &mut alice).await;
    typing_and_receipts(&world, &group, &mut alice).await;
    polls(&world, &group, &mut alice).await;
    somebody_of_another_app(&world, &group, &mut alice).await;
    for member in group.contacts() {
        let counters = member.contact.phone.counters();
        assert_eq!(counters.undecryptable, 0);
        assert_eq!(counters.key_reuse, 0);
    }
}

/// The event a message is an answer to.
fn answers(event: &Value) -> Option<&str> {
    event["content"]["m.relates_to"]["m.in_reply_to"]["event_id"].as_str()
}

async fn texts_and_answers(world: &World, group: &Group, alice: &mut User) {
    let (room, own) = (&group.room, WHATSAPP.login_of(world, alice));
    let (from_alice, from_alice_id) = group.says(world, alice, "who comes along?").await;
    let mut theirs = Vec::new();
    for (member, text) in group.contacts().into_iter().zip(["I do", "me too"]) {
        let id = member.contact.says(text).await;
        let event = alice.hears(room, &member.ghost, text).await;
        theirs.push((id, event));
    }
    group.ann.gets(&group.ben.contact.jid(), "me too").await;

    // Answers, to the user, to another contact, and to each of them by the user.
    let answer = Composed::text("to alice").answering(&from_alice_id, &own);
    group.ben.contact.sends(answer).await;
    let to_alice = alice.hear(room, &group.ben.ghost, |body| body == "to alice");
    assert_eq!(answers(&to_alice.await), Some(from_alice.as_str()));
    let ann = group.ann.contact.jid();
    let answer = Composed::text("to ann").answering(&theirs[0].0, &ann);
    group.ben.contact.sends(answer).await;
    let to_ann = alice.hear(room, &group.ben.ghost, |body| body == "to ann");
    assert_eq!(answers(&to_ann.await), Some(theirs[0].1.as_str()));
    alice.reply(room, &theirs[1].1, "to ben").await;
    for member in group.contacts() {
        let quoted = member.contact.receives("to ben").await.quotes;
        let quoted = quoted.expect("an answer");
        assert_eq!(quoted.id.as_str(), theirs[1].0);
        let author = quoted.sender.map(|sender| sender.to_string());
        assert_eq!(author, Some(group.ben.contact.jid()));
    }
}

async fn reactions_edits_and_deletions(world: &World, group: &Group, alice: &mut User) {
    let (room, own) = (&group.room, WHATSAPP.login_of(world, alice));
    let own = own.parse().expect("an address");
    let (hers, hers_id) = group.says(world, alice, "at noom").await;
    let theirs_id = group.ben.contact.says("at won").await;
    let theirs = alice.hears(room, &group.ben.ghost, "at won").await;
    group.ann.gets(&group.ben.contact.jid(), "at won").await;

    // Reactions, seen by everybody.
    group.ben.contact.reacts(&hers_id, false, "😮").await;
    alice
        .finds_reaction(room, &group.ben.ghost, &hers, "😮")
        .await;
    let relation = json!({"rel_type": "m.annotation", "event_id": theirs, "key": "🎉"});
    let reaction = json!({ "m.relates_to": relation });
    let event = alice.send(room, "m.reaction", &reaction).await;
    for member in group.contacts() {
        let of_alice = |m: &Message| m.reactions.get(&own).cloned();
        let contact = &member.contact;
        contact.has_reaction(&theirs_id, of_alice, Some("🎉")).await;
    }
    alice.redact(room, &event).await;
    for member in group.contacts() {
        let of_alice = |m: &Message| m.reactions.get(&own).cloned();
        member
            .contact
            .has_reaction(&theirs_id, of_alice, None)
            .await;
    }

    // Edits.
    let edit = json!({"msgtype": "m.text", "body": "* at noon",
        "m.new_content": {"msgtype": "m.text", "body": "at noon"},
        "m.relates_to": {"rel_type": "m.replace", "event_id": hers}});
    alice.send(room, "m.room.message", &edit).await;
    for member in group.contacts() {
        let edited = |m: &Message| (m.id == hers_id && m.text == "at noon").then_some(());
        member.contact.sees("the edit", edited).await;
    }
    group.ben.contact.edits(&theirs_id, "at one").await;
    alice
        .watch("the edit", |seen| {
            (seen.shown(room, &theirs)?["body"] == "at one").then_some(())
        })
        .await;

    // Deletions: one's own, and an admin's of another's.
    alice.redact(room, &hers).await;
    for member in group.contacts() {
        let is_gone = |m: &Message| (m.id == hers_id && m.revoked).then_some(());
        member.contact.sees("the deletion", is_gone).await;
    }
    let (more, more_id) = group.says(world, alice, "off topic").await;
    let phone = &group.ann.contact.phone;
    let revoked = phone.revoke_of_another(&group.address, &theirs_id).await;
    revoked.expect(CAN);
    let revoked = phone.revoke_of_another(&group.address, &more_id).await;
    revoked.expect(CAN);
    for event in [&theirs, &more] {
        alice
            .watch("the admin's deletion", |seen| {
                seen.is_redacted(room, event).then_some(())
            })
            .await;
    }
}

async fn files_and_mentions(world: &World, group: &Group, alice: &mut User) {
    let room = &group.room;
    let picture = pictures::jpeg(64, 48);
    let uri = alice.upload("image/jpeg", picture.clone()).await;
    let caption = format!("the {MARKED} hut");
    let image = json!({"msgtype": "m.image", "body": caption, "filename": "hut.jpg", "url": uri,
        "info": {"mimetype": "image/jpeg", "size": picture.len(), "w": 64, "h": 48}});
    alice.send(room, "m.room.message", &image).await;
    for member in group.contacts() {
        let (id, _) = member.contact.gets_file(MediaKind::Image, &caption).await;
        assert!(member.contact.opens(&id).await == picture, "other bytes");
    }
    let other = pictures::jpeg(80, 40);
    let mut sent = MediaToSend::bytes(MediaKind::Image, "image/jpeg", other.clone());
    sent.caption = format!("my {MARKED}");
    group.ben.contact.sends_file(sent).await;
    let came = |event: &Value| event["content"]["msgtype"] == "m.image";
    let came = alice
        .finds(room, &group.ben.ghost, "the picture", came)
        .await;
    let uri = came["content"]["url"].as_str().expect("an address");
    assert!(alice.download(uri).await == other, "other bytes");

    // Somebody is mentioned: the contact's phone rings, and the user's client does.
    let pill = format!(
        r#"<a href="https://matrix.to/#/{}">Ben</a>"#,
        group.ben.ghost
    );
    let call = json!({"msgtype": "m.text", "body": "Ben: wait", "format": "org.matrix.custom.html",
        "formatted_body": format!("{pill}: wait"), "m.mentions": {"user_ids": [group.ben.ghost]}});
    alice.send(room, "m.room.message", &call).await;
    for member in group.contacts() {
        let mentions = |text: &str| text.contains(": wait");
        member
            .contact
            .gets("the mention", |m| {
                let ben = group.ben.contact.jid();
                (mentions(&m.text) && m.mentions == [ben]).then_some(())
            })
            .await;
    }
    let own = WHATSAPP.login_of(world, alice);
    let named = own.split_once('@').map_or(own.as_str(), |(name, _)| name);
    let call = Composed::text(format!("@{named} hurry")).mentioning(own.as_str());
    group.ann.contact.sends(call).await;
    let mxid = alice.mxid.clone();
    let rings = |event: &Value| event["content"]["m.mentions"]["user_ids"] == json!([mxid]);
    let rings = alice
        .finds(room, &group.ann.ghost, "the mention", rings)
        .await;
    let body = rings["content"]["body"].as_str().expect("a body");
    assert!(body.contains("alice") && !body.contains(named), "{body}");
}

async fn typing_and_receipts(world: &World, group: &Group, alice: &mut User) {
    let (room, own) = (&group.room, WHATSAPP.login_of(world, alice));
    let jid = group.address.parse().expect("an address");
    let login = own.parse().expect("an address");
    alice.types(room, true).await;
    for member in group.contacts() {
        let phone = &member.contact.phone;
        super::wait::until("the user to write", super::client::PATIENCE, async || {
            phone.typing_in(&jid).contains(&login).then_some(())
        })
        .await;
    }
    alice.types(room, false).await;
    group.ben.contact.is_typing(Typing::Composing);
    let ghost = &group.ben.ghost;
    alice
        .watch("the contact to write", |seen| {
            seen.is_writing(room, ghost).then_some(())
        })
        .await;

    // Delivered to the user's side, then read by the user.
    let id = group.ann.contact.says("all read this").await;
    let event = alice.hears(room, &group.ann.ghost, "all read this").await;
    let status = |of: Status| {
        let what = format!("the user's side to have it {of:?}");
        let (ann, login, id) = (&group.ann, &login, &id);
        async move {
            let so =
                |m: &Message| (m.id == *id && m.receipts.get(login) >= Some(&of)).then_some(());
            ann.contact.sees(&what, so).await;
        }
    };
    status(Status::Delivered).await;
    alice.read(room, &event).await;
    status(Status::Read).await;

    // And the contacts read, each as themselves.
    let (event, _) = group.says(world, alice, "read me").await;
    for member in group.contacts() {
        member.contact.read();
        alice
            .watch("the contact's receipt", |seen| {
                seen.has_read(room, &event, &member.ghost).then_some(())
            })
            .await;
    }
    let revoked = |m: &Message| matches!(m.content, Content::Revoke { .. });
    assert!(!group.ben.contact.shown().iter().any(revoked));
}

/// A poll of each side, in which everybody votes.
async fn polls(world: &World, group: &Group, alice: &mut User) {
    let (room, own) = (&group.room, WHATSAPP.login_of(world, alice));
    let start = "org.matrix.msc3381.poll.start";
    let poll = group.ann.contact.asks("When?", &["nine", "ten"], 1).await;
    let is_poll = |event: &Value| event["type"] == start;
    let asked = alice.finds(room, &group.ann.ghost, "a poll", is_poll).await;
    let answers = asked["content"][start]["answers"].as_array();
    let answers = answers.expect("answers");
    let ten = answers[1]["id"].as_str().expect("an id").to_owned();
    let is_there = |m: &Message| (m.id == poll).then_some(());
    group.ben.contact.sees("the poll", is_there).await;
    group.ben.contact.votes(&poll, false, &["ten"]).await;
    alice.votes(room, &id_of(&asked), &ten).await;
    everybody_chose(group, &poll, "ten", &[&group.ben.contact.jid(), &own]).await;
    alice
        .sees_vote(room, &group.ben.ghost, &id_of(&asked), &ten)
        .await;

    let answer = |id: &str| json!({"id": id, "org.matrix.msc1767.text": id});
    let question = json!({"org.matrix.msc1767.text": "Where?"});
    let content = json!({start: {"question": question, "max_selections": 1,
            "kind": "org.matrix.msc3381.poll.disclosed", "answers": [answer("hut"), answer("lake")]},
        "org.matrix.msc1767.text": "Where?"});
    let asked = alice.send(room, start, &content).await;
    let is_it = |m: &Message| (m.text == "Where?").then(|| m.id.clone());
    let mut poll = String::new();
    for member in group.contacts() {
        poll = member.contact.sees("the user's poll", is_it).await;
        member.contact.votes(&poll, false, &["lake"]).await;
        alice.sees_vote(room, &member.ghost, &asked, "lake").await;
    }
    alice.votes(room, &asked, "lake").await;
    let voters = [&group.ann.contact.jid(), &group.ben.contact.jid(), &own];
    everybody_chose(group, &poll, "lake", &voters).await;
}

/// Waits until every contact counts these votes for an option.
async fn everybody_chose(group: &Group, poll: &str, option: &str, voters: &[&String]) {
    for member in group.contacts() {
        let chose = |m: &Message| {
            let voted = |one: &&String| {
                let votes = one.parse().ok().and_then(|one| m.votes.get(&one));
                votes.is_some_and(|chosen| chosen == &[option])
            };
            (m.id == poll && voters.iter().all(voted)).then_some(())
        };
        member.contact.sees("the votes", chose).await;
    }
}

/// A user of another bridge than this one is a member as any other.
async fn somebody_of_another_app(world: &World, group: &Group, alice: &mut User) {
    let mut people = world.sandbox.partner_users().into_iter();
    let ivy = people.find(|one| {
        one.flavour() == WHATSAPP.flavour && one.visible_id() == Some("@ivy:other.example")
    });
    let ivy = Member::of(WHATSAPP, ivy.expect("somebody else"), &group.address);
    change(&group.ann, "add", &ivy.contact.jid()).await;
    alice.sees_membership(&group.room, &ivy.ghost, "join").await;
    ivy.contact.says("from another app").await;
    alice
        .hears(&group.room, &ivy.ghost, "from another app")
        .await;
    let name = alice.display_name(&ivy.ghost).await;
    assert!(
        name.as_ref().is_some_and(|name| name.contains("Ivy")),
        "{name:?}"
    );
    group.says(world, alice, "to all apps").await;
    ivy.gets(&WHATSAPP.login_of(world, alice), "to all apps")
        .await;
}

impl User {
    async fn votes(&mut self, room: &str, poll: &str, answer: &str) {
        let response = "org.matrix.msc3381.poll.response";
        let content = json!({"m.relates_to": {"rel_type": "m.reference", "event_id": poll},
            response: {"answers": [answer]}});
        self.send(room, response, &content).await;
    }

    async fn sees_vote(&mut self, room: &str, of: &str, poll: &str, answer: &str) {
        let response = "org.matrix.msc3381.poll.response";
        let is_it = |event: &Value| {
            event["type"] == response
                && event["content"]["m.relates_to"]["event_id"] == poll
                && event["content"][response]["answers"] == json!([answer])
        };
        self.finds(room, of, "a vote", is_it).await;
    }

    async fn finds_reaction(&mut self, room: &str, of: &str, to: &str, key: &str) -> String {
        let is_it = |event: &Value| {
            let relation = &event["content"]["m.relates_to"];
            event["type"] == "m.reaction" && relation["event_id"] == to && relation["key"] == key
        };
        id_of(
            &self
                .finds(room, of, &format!("the reaction {key}"), is_it)
                .await,
        )
    }

    async fn types(&self, room: &str, typing: bool) {
        let path = format!(
            "v3/rooms/{}/typing/{}",
            super::client::encode(room),
            super::client::encode(&self.mxid)
        );
        let body = json!({"typing": typing, "timeout": 30_000});
        self.demand(reqwest::Method::PUT, &path, Some(&body)).await;
    }
}
