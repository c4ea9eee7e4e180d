//! Logins that speak for those who have none: whose words they are is always said, and what is not theirs to say stays.

use drawbridge::sandbox::content::Content;
use serde_json::{Value, json};

use super::{
    client::{PATIENCE, User, encode},
    community::{Community, PREFIX, command_in, ghost},
    pictures,
    wait::until,
    world::{BOT, Plan, World},
};

fn plan(relay: &Value) -> Plan {
    Plan {
        config: json!({
            "relay": relay,
            "bridge": {"permissions": {"*": "relay", "@root:drawbridge.test": "admin"}},
        }),
        ..Plan::default()
    }
}

/// Who says things in the first test.
struct Scene {
    community: Community,
    bob: User,
    carol: User,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_says_whose_words_it_carries() {
    let world = World::start(plan(&json!({
        "enabled": true, "admins_only": false, "ignore": ["@irc_*:drawbridge.test"],
        "emote": "<i>{name}</i>",
    })))
    .await;
    let mut community = Community::gather(&world).await;
    let bob = community.member(&world, "bob", "Sam").await;
    let carol = community.member(&world, "carol", "Sam").await;
    community.link_group().await;
    let mut scene = Scene {
        community,
        bob,
        carol,
    };
    names_are_told_apart_and_format_nothing(&mut scene, &world).await;
    answers_and_reactions_say_whose_they_are(&mut scene).await;
    only_its_author_changes_a_message(&mut scene).await;
    files_say_whose_they_are(&mut scene).await;
    a_profile_of_a_message_counts(&mut scene).await;
    what_is_nobodys_words_stays(&mut scene, &world).await;
}

async fn names_are_told_apart_and_format_nothing(scene: &mut Scene, world: &World) {
    let (room, community) = (scene.community.room.clone(), &mut scene.community);
    let (bobs, carols) = (
        "*Sam (@bob:drawbridge.test)*: here is Sam",
        "*Sam (@carol:drawbridge.test)*: no, here",
    );
    community.alice.say(&room, "my own words").await;
    let own = community.livia.gets("my own words").await;
    assert_eq!(own.sender.expect("a sender").to_string(), community.own);
    scene.bob.say(&room, "here is Sam").await;
    let message = community.livia.gets(bobs).await;
    assert_eq!(message.sender.expect("a sender").to_string(), community.own);
    scene.carol.say(&room, "no, here").await;
    community.liam.gets(carols).await;

    // Once she is called otherwise, his name is his alone.
    scene.carol.call_oneself("Carol").await;
    let carol = scene.carol.mxid.clone();
    community
        .alice
        .watch("Carol's new name", |seen| {
            let mut events = seen.timeline(&room).iter();
            events.find(|e| {
                e["state_key"] == carol.as_str() && e["content"]["displayname"] == "Carol"
            })?;
            Some(())
        })
        .await;
    scene.bob.say(&room, "Sam alone").await;
    community.livia.gets("*Sam*: Sam alone").await;

    let mut eve = community.member(world, "eve", "*Eve* <i>_x_</i>").await;
    eve.say(&room, "a *name*").await;
    let wanted = "**Eve* <i>_x_</i>*: a *name*";
    community
        .livia
        .sees("Eve's text", |m| {
            (m.text.replace('\u{200b}', "") == wanted).then_some(())
        })
        .await;
    let emote = json!({"msgtype": "m.emote", "body": "waves"});
    scene.bob.send(&room, "m.room.message", &emote).await;
    community.livia.gets("_Sam_ _waves_").await;
}

async fn answers_and_reactions_say_whose_they_are(scene: &mut Scene) {
    let (room, community) = (scene.community.room.clone(), &mut scene.community);
    let asked = community.livia.says("who comes along?").await;
    let livia = community.livia.ghost();
    let event = community.hears(&livia, "who comes along?").await;
    let event = event["event_id"].as_str().expect("an id").to_owned();
    scene.bob.reply(&room, &event, "I do").await;
    let answer = community.livia.gets("*Sam*: I do").await;
    let quotes = answer.quotes.expect("a quote");
    assert_eq!(quotes.id.as_str(), asked);

    // One login has one reaction, so the others' are texts; taken back, those go.
    let reaction = scene.bob.react(&room, &event, "👍").await;
    let said = community.livia.gets("*Sam* reacted with 👍").await;
    assert_eq!(said.quotes.expect("a quote").id.as_str(), asked);
    community.alice.react(&room, &event, "🎉").await;
    community
        .liam
        .sees("Alice's reaction", |m| {
            let by = community.own.parse().expect("an address");
            (m.id == asked && m.reactions.get(&by).is_some_and(|emoji| emoji == "🎉")).then_some(())
        })
        .await;
    scene.bob.redact(&room, &reaction).await;
    community
        .livia
        .sees("the end of the reaction", |m| {
            (m.id == said.id && m.revoked).then_some(())
        })
        .await;

    // An answer to somebody for whom the login speaks leads to what they said.
    let told = community
        .livia
        .answers(&answer.id, &community.own, "good")
        .await;
    let event = community.hears(&livia, "good").await;
    let subject = &event["content"]["m.relates_to"]["m.in_reply_to"]["event_id"];
    let bob = scene.bob.mxid.clone();
    let history = community.alice.history(&room).await;
    let original = history.iter().find(|e| e["event_id"] == *subject);
    assert_eq!(
        original.expect("an event")["sender"],
        bob.as_str(),
        "{told}"
    );
}

async fn only_its_author_changes_a_message(scene: &mut Scene) {
    let (room, community) = (scene.community.room.clone(), &mut scene.community);
    let event = scene.bob.say(&room, "at nien").await;
    let message = community.livia.gets("*Sam*: at nien").await;
    scene.bob.edit(&room, &event, "at nine").await;
    let is_it = |text: &'static str| {
        let id = message.id.clone();
        move |m: &drawbridge::sandbox::Message| {
            (m.id == id && m.edited && m.text == text).then_some(())
        }
    };
    community
        .livia
        .sees("the edit", is_it("*Sam*: at nine"))
        .await;

    // Neither somebody else for whom the login speaks nor the login's own user says it otherwise.
    scene.carol.edit(&room, &event, "never").await;
    community.alice.edit(&room, &event, "never at all").await;
    scene.carol.say(&room, "so?").await;
    community.livia.gets("*Carol*: so?").await;
    community
        .livia
        .sees("the text as it was", is_it("*Sam*: at nine"))
        .await;
    let texts = community.livia.texts();
    assert!(
        texts.iter().all(|text| !text.contains("never")),
        "{texts:?}"
    );

    scene.bob.redact(&room, &event).await;
    community
        .livia
        .sees("the deletion", |m| {
            (m.id == message.id && m.revoked).then_some(())
        })
        .await;
}

async fn files_say_whose_they_are(scene: &mut Scene) {
    let (room, community) = (scene.community.room.clone(), &mut scene.community);
    let bytes = pictures::jpeg(64, 48);
    let uri = scene.bob.upload("image/jpeg", bytes.clone()).await;
    let mut content = json!({"msgtype": "m.image", "url": uri, "body": "the shore", "filename": "a.jpg",
        "info": {"mimetype": "image/jpeg", "size": bytes.len(), "w": 64, "h": 48}});
    scene.bob.send(&room, "m.room.message", &content).await;
    let with_text = community.livia.gets("*Sam*: the shore").await;
    assert!(matches!(with_text.content, Content::File(_)));
    let opened = community
        .livia
        .handle
        .open_media(&community.group, &with_text.id)
        .await;
    assert!(opened.expect("a file") == bytes);
    content["body"] = json!("a.jpg");
    scene.bob.send(&room, "m.room.message", &content).await;
    let alone = community.livia.gets("*Sam*:").await;
    assert!(matches!(alone.content, Content::File(_)));

    let sticker = pictures::webp(64, 64);
    let uri = scene.carol.upload("image/webp", sticker.clone()).await;
    let content = json!({"url": uri, "body": "hooray",
        "info": {"mimetype": "image/webp", "size": sticker.len(), "w": 64, "h": 64}});
    scene.carol.send(&room, "m.sticker", &content).await;
    community
        .livia
        .sees("the sticker behind its name", |m| {
            matches!(&m.content, Content::File(_)).then_some(())?;
            m.text.is_empty().then_some(())
        })
        .await;
    let texts = community.livia.texts();
    let place = texts.iter().position(|t| t == "*Carol* sent a sticker:");
    assert_eq!(place.map(|place| place + 2), Some(texts.len()), "{texts:?}");
}

async fn a_profile_of_a_message_counts(scene: &mut Scene) {
    let (room, community) = (scene.community.room.clone(), &mut scene.community);
    let profile = json!({"id": "zed", "displayname": "Zed", "has_fallback": true});
    let content = json!({"msgtype": "m.text", "body": "Zed: I am many",
        "format": "org.matrix.custom.html",
        "formatted_body": "<strong data-mx-profile-fallback>Zed: </strong>I am <b>many</b>",
        "com.beeper.per_message_profile": profile});
    scene.bob.send(&room, "m.room.message", &content).await;
    community.livia.gets("*Zed (Sam)*: I am *many*").await;
}

async fn what_is_nobodys_words_stays(scene: &mut Scene, world: &World) {
    let (room, community) = (scene.community.room.clone(), &mut scene.community);
    let mut mallory = community.member(world, "mallory", "Mallory").await;
    let mut irc = community.member(world, "irc_dan", "Dan").await;
    let before = community.livia.texts().len();
    let notice = json!({"msgtype": "m.notice", "body": "a program's words"});
    scene.bob.send(&room, "m.room.message", &notice).await;
    irc.say(&room, "from another bridge").await;
    mallory.say(&room, "of no permission").await;
    let unanswered = mallory.say(&room, &format!("{PREFIX} help")).await;
    // Who may use the bridge is answered; neither goes anywhere.
    let help = command_in(&mut scene.bob, &room, "help").await;
    assert!(help.contains("set-relay"), "{help}");
    scene.bob.say(&room, "the last").await;
    community.livia.gets("*Sam*: the last").await;
    let texts = community.livia.texts();
    assert_eq!(texts[before..], ["*Sam*: the last"]);
    let answers = |e: &Value| {
        e["sender"] == BOT
            && e["content"]["m.relates_to"]["m.in_reply_to"]["event_id"] == unanswered
    };
    assert!(!community.alice.history(&room).await.iter().any(answers));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_chats_of_a_room_hear_each_other_and_who_is_banned_does_not_pass() {
    let mut world = World::start(plan(&json!({"enabled": true, "admins_only": false}))).await;
    let mut community = Community::gather(&world).await;
    let mut bob = community.member(&world, "bob", "Bob").await;
    community.link_group().await;
    let lotte = community.link_contact(&world).await;
    let room = community.room.clone();
    let (livias, lottes) = (community.livia.ghost(), ghost("messenger", &lotte.jid()));

    // Each once everywhere, with its author's name.
    bob.say(&room, "from Matrix").await;
    community.livia.gets("*Bob*: from Matrix").await;
    lotte.receives("*Bob*: from Matrix").await;
    let id = community.livia.says("from WhatsApp").await;
    community.hears(&livias, "from WhatsApp").await;
    let there = lotte
        .receives("*Livia Lake (WhatsApp)*: from WhatsApp")
        .await;
    lotte.say("from Messenger").await;
    community.hears(&lottes, "from Messenger").await;
    community
        .liam
        .gets("*Nora New (Messenger)*: from Messenger")
        .await;

    // What is changed, reacted to and deleted in one is in the other.
    let edited = community
        .livia
        .handle
        .edit(&community.group, &id, "from the lake");
    edited.await.expect("an edit");
    lotte
        .sees("the edit", |m| {
            let text = "*Livia Lake (WhatsApp)*: from the lake";
            (m.id == there.id && m.text == text).then_some(())
        })
        .await;
    let reacted = lotte.phone.react(&lotte.user, &there.id, false, "🎣");
    reacted.await.expect("a reaction");
    let reaction = community
        .livia
        .gets("*Nora New (Messenger)* reacted with 🎣")
        .await;
    assert_eq!(reaction.quotes.expect("a quote").id.as_str(), id);
    let undone = lotte.phone.react(&lotte.user, &there.id, false, "");
    undone.await.expect("no reaction");
    community
        .livia
        .sees("the end of the reaction", |m| {
            (m.id == reaction.id && m.revoked).then_some(())
        })
        .await;
    let revoked = community.livia.handle.revoke(&community.group, &id);
    revoked.await.expect("a deletion");
    lotte
        .sees("the deletion", |m| {
            (m.id == there.id && m.revoked).then_some(())
        })
        .await;

    // Whose ghost the room does not want is not shown there, nor heard in the other chat.
    community.alice.ban(&room, &livias).await;
    let told = |body: &str| body.contains("banned in this room alone");
    community.alice.hear(&room, BOT, told).await;
    community.livia.says("let me in").await;

    // Who was banned before it was their turn is not carried any more.
    world.bridge.kill().await;
    bob.say(&room, "the last of Bob").await;
    community.alice.ban(&room, &bob.mxid).await;
    community.alice.say(&room, "and no more").await;
    world.bridge.start().await;
    community.livia.gets("and no more").await;
    lotte.receives("and no more").await;

    let expected = [
        "*Bob*: from Matrix",
        "*Nora New (Messenger)*: from Messenger",
        "",
        "and no more",
    ];
    assert_eq!(community.livia.texts(), expected);
    let received: Vec<String> = lotte.phone.received().into_iter().map(|m| m.text).collect();
    let count = |text: &str| received.iter().filter(|one| one.contains(text)).count();
    for text in ["from Matrix", "from the lake", "and no more"] {
        assert_eq!(count(text), 1, "{text}: {received:?}");
    }
    assert_eq!(count("from Messenger") + count("the last of Bob"), 0);
    assert_eq!(count("let me in"), 0);
    let history = community.alice.history(&room).await;
    let bodies: Vec<&str> = history
        .iter()
        .filter_map(|e| e["content"]["body"].as_str())
        .collect();
    assert!(!bodies.iter().any(|body| body.contains("let me in")));
    for text in ["from Messenger", "from Matrix"] {
        assert_eq!(bodies.iter().filter(|body| body.contains(text)).count(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_admins_set_a_relay_unless_others_may() {
    let world = World::start(plan(&json!({"enabled": true}))).await;
    let mut community = Community::gather(&world).await;
    let room = community.room.clone();
    let mut bob = community.member(&world, "bob", "Bob").await;
    let link = format!("bridge whatsapp {}", community.group);
    command_in(&mut community.alice, &room, &link).await;
    let refused = command_in(&mut community.alice, &room, "set-relay whatsapp").await;
    assert!(refused.contains("only admins of this bridge"), "{refused}");

    // Without one, who has no login is told that nothing was carried.
    bob.say(&room, "does it go?").await;
    community
        .alice
        .hear(&room, BOT, |body| {
            body.contains("Not sent to WhatsApp") && body.contains("set-relay")
        })
        .await;

    // An admin who is in the group lets their own login speak; whose login it is ends it.
    let mut root = community.member(&world, "root", "Root").await;
    let mut desk = super::management::Desk::open(&mut root).await;
    desk.log_in(&mut root, "whatsapp").await;
    let roots = world
        .sandbox
        .partner_login(drawbridge::sandbox::Flavour::WhatsApp, &root.mxid);
    let roots = roots.expect("a login").parse().expect("an address");
    let early = command_in(&mut root, &room, "set-relay whatsapp").await;
    assert!(early.contains("in none of the chats"), "{early}");
    let added = community
        .livia
        .handle
        .add_members(&community.group, &[roots])
        .await;
    added.expect("one more member");
    until("the relay to be set", PATIENCE, async || {
        let answer = command_in(&mut root, &room, "set-relay whatsapp").await;
        answer.contains("speaks in").then_some(())
    })
    .await;
    bob.say(&room, "now it does").await;
    let said = community.livia.gets("*Bob*: now it does").await;
    assert_ne!(said.sender.expect("a sender").to_string(), community.own);
    let ended = command_in(&mut root, &room, "unset-relay").await;
    assert!(ended.contains("Nobody speaks for others"), "{ended}");
    bob.say(&room, "not any more").await;
    community.alice.say(&room, "the end").await;
    community.livia.gets("the end").await;
    let texts = community.livia.texts();
    assert!(
        !texts.iter().any(|text| text.contains("not any more")),
        "{texts:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn members_of_other_homeservers_are_carried_as_the_bridge_lets_them() {
    let permissions = json!({"*": "block", "drawbridge.test": "user", "elsewhere.test": "relay",
        "@zack:elsewhere.test": "block"});
    let world = World::start(Plan {
        config: json!({"relay": {"enabled": true, "admins_only": false},
            "bridge": {"permissions": permissions}}),
        federated: true,
        ..Plan::default()
    })
    .await;
    let mut community = Community::gather(&world).await;
    let mut zoe = world.stranger("zoe").await;
    zoe.call_oneself("Zoe").await;
    let mut zack = world.stranger("zack").await;

    // The room is of the other homeserver; Alice is in it and may link it, and the bot enters by itself.
    let room = zoe.create_room(json!({"preset": "public_chat"})).await;
    zack.join(&room).await;
    let join = format!("v3/join/{}?server_name=elsewhere.test", encode(&room));
    community.alice.post(&join, &json!({})).await;
    let alice = community.alice.mxid.clone();
    zoe.give_power(&room, &json!({ alice: 50 })).await;
    let link = format!("bridge {room} whatsapp {}", community.group);
    until("Alice to have the power", PATIENCE, async || {
        let answer = community.desk.command(&mut community.alice, &link).await;
        answer.contains("is linked to WhatsApp").then_some(())
    })
    .await;
    let relay = format!("set-relay {room} whatsapp");
    let answer = community.desk.command(&mut community.alice, &relay).await;
    assert!(answer.contains("speaks in"), "{answer}");

    let livia = community.livia.ghost();
    community.livia.says("who is there?").await;
    zoe.hear(&room, &livia, |body| body == "who is there?")
        .await;
    zack.say(&room, "not me").await;
    let asked = zack.say(&room, &format!("{PREFIX} help")).await;
    zoe.say(&room, "I am, from far away").await;
    community.livia.gets("*Zoe*: I am, from far away").await;
    community.alice.say(&room, "and I").await;
    community.livia.gets("and I").await;
    assert_eq!(
        community.livia.texts(),
        ["*Zoe*: I am, from far away", "and I"]
    );
    let history = zoe.history(&room).await;
    let is_answer = |e: &Value| e["content"]["m.relates_to"]["m.in_reply_to"]["event_id"] == asked;
    assert!(!history.iter().any(is_answer));
}
