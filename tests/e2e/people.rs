//! How people look to each other: names and pictures, in both directions.

use std::time::Duration;

use drawbridge::sandbox::Flavour;
use serde_json::{Value, json};

use super::{
    client::{PATIENCE, User, http},
    contact::Contact,
    management::{Desk, ghost_of},
    pictures,
    wait::until,
    world::{Plan, World},
};

impl Contact {
    /// Takes another name.
    async fn takes_name(&self, name: &str) {
        self.phone.set_name(name).expect("the sandbox runs");
        self.settles().await;
    }

    /// Shows another picture, or none.
    async fn takes_picture(&self, jpeg: Option<&[u8]>) {
        self.phone.set_picture(jpeg).expect("a picture");
        self.settles().await;
    }

    async fn settles(&self) {
        let settled = self.phone.settle(Duration::from_secs(20)).await;
        settled.expect("the gatekeeper takes it");
    }

    /// Waits until the user is called so on the phone.
    async fn sees_name(&self, name: &str) {
        let user = self.user.parse().expect("an address");
        until(&format!("the user to be {name:?}"), PATIENCE, async || {
            (self.phone.name_of(&user).as_deref() == Some(name)).then_some(())
        })
        .await;
    }

    /// Waits until the phone has a picture of the user that is another one than `before`; its address.
    async fn sees_picture(&self, before: Option<&str>) -> String {
        let user = self.user.parse().expect("an address");
        until("the user's picture", PATIENCE, async || {
            let url = self.phone.picture_of(&user)?.url;
            (before != Some(url.as_str())).then_some(url)
        })
        .await
    }
}

impl User {
    /// Waits until somebody has a picture other than `before`; its URI.
    async fn sees_picture(&self, of: &str, before: &str) -> String {
        let what = format!("a picture other than {before:?}");
        self.sees_profile(of, &what, |profile| {
            let uri = profile["avatar_url"].as_str().filter(|uri| *uri != before);
            uri.map(str::to_owned)
        })
        .await
    }

    /// What a member was called in a room, one after the other.
    async fn names_in(&self, room: &str, member: &str) -> Vec<String> {
        let history = self.history(room).await;
        let of_member = |event: &&Value| {
            event["type"] == "m.room.member"
                && event["state_key"] == member
                && event["content"]["membership"] == "join"
        };
        let name = |event: &Value| event["content"]["displayname"].as_str().map(str::to_owned);
        let mut names: Vec<String> = history.iter().filter(of_member).filter_map(name).collect();
        names.dedup();
        names
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_looks_as_it_wants_to_and_its_name_stays_until_it_changes() {
    let mut world = World::start(Plan::default()).await;
    let mut alice = world.user("alice").await;
    let mut desk = Desk::open(&mut alice).await;
    desk.log_in(&mut alice, "whatsapp").await;
    let contact = Contact::of(&world, &alice, Flavour::WhatsApp).await;
    let first = pictures::jpeg(96, 96);
    contact.takes_picture(Some(&first)).await;

    // Nothing was heard of them but the number.
    let whom = format!("whatsapp {}", contact.number());
    let room = desk.start_chat(&mut alice, &whom).await;
    let ghost = ghost_of(&alice, &room).await;
    let number = format!("{} (WhatsApp)", contact.number());
    alice.sees_name(&ghost, &number).await;
    let avatar = alice.sees_picture(&ghost, "").await;
    assert_eq!(alice.download(&avatar).await, first);

    // Their own name is better, and cleaned of what would pass for another.
    contact.say("hello").await;
    alice.sees_name(&ghost, "Nora New (WhatsApp)").await;
    contact
        .takes_name("  Nora\u{202e} \u{200b}Newer (WhatsApp)")
        .await;
    alice.sees_name(&ghost, "Nora Newer (WhatsApp)").await;

    // What she calls them is better than what they call themselves, until she takes it back.
    let whom_named = |name: &str| format!("name-contact {whom}: {name}");
    let answer = desk.command(&mut alice, &whom_named("Aunt Nora")).await;
    assert!(answer.contains("Aunt Nora"), "{answer}");
    alice.sees_name(&ghost, "Aunt Nora (WhatsApp)").await;
    contact.takes_name("Nora Newest").await;
    contact.say("I have another name").await;
    let heard = |body: &str| body == "I have another name";
    alice.hear(&room, &ghost, heard).await;
    alice.sees_name(&ghost, "Aunt Nora (WhatsApp)").await;
    desk.command(&mut alice, &whom_named("")).await;
    alice.sees_name(&ghost, "Nora Newest (WhatsApp)").await;

    // Somebody else opens a chat by the number: that is no better name.
    let mut bob = world.user("bob").await;
    let mut his = Desk::open(&mut bob).await;
    his.log_in(&mut bob, "whatsapp").await;
    let to_bob = Contact {
        phone: contact.phone.clone(),
        user: Contact::of(&world, &bob, Flavour::WhatsApp).await.user,
    };
    let other = his.start_chat(&mut bob, &whom).await;
    bob.say(&other, "hello, too").await;
    to_bob.receives("hello, too").await;
    to_bob.say("hello, you two").await;
    bob.hear(&other, &ghost, |body| body == "hello, you two")
        .await;
    bob.sees_name(&ghost, "Nora Newest (WhatsApp)").await;
    let refused = his.command(&mut bob, &whom_named("Mine")).await;
    assert!(refused.contains("ask an admin"), "{refused}");

    // After a restart nobody is renamed either.
    world.bridge.kill().await;
    world.bridge.start().await;
    contact.say("still here").await;
    alice.hear(&room, &ghost, |body| body == "still here").await;
    let names = alice.names_in(&room, &ghost).await;
    let called = ["Nora New", "Nora Newer", "Aunt Nora", "Nora Newest"];
    let called = called.map(|name| format!("{name} (WhatsApp)"));
    assert_eq!(names[0], number);
    assert_eq!(names[1..], called);
    assert_eq!(bob.names_in(&other, &ghost).await, called[3..]);

    // Another picture, the same one for somebody else, then none.
    let second = pictures::jpeg(80, 120);
    contact.takes_picture(Some(&second)).await;
    let changed = alice.sees_picture(&ghost, &avatar).await;
    assert_eq!(alice.download(&changed).await, second);
    let twin = Contact::of(&world, &alice, Flavour::WhatsApp).await;
    twin.takes_picture(Some(&second)).await;
    let whom = format!("whatsapp {}", twin.number());
    let twins = desk.start_chat(&mut alice, &whom).await;
    let twin_ghost = ghost_of(&alice, &twins).await;
    let uri = alice.sees_picture(&twin_ghost, "").await;
    assert_eq!(uri, changed, "the same file is uploaded once");
    contact.takes_picture(None).await;
    alice
        .sees_profile(&ghost, "no picture", |profile| {
            profile["avatar_url"]
                .as_str()
                .is_none_or(str::is_empty)
                .then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn contacts_see_the_users_name_and_picture_and_number_only_if_allowed() {
    let mut world = World::start(Plan {
        config: json!({"bridge": {"phone_in_profile": false}}),
        ..Plan::default()
    })
    .await;
    let mut alice = world.user("alice").await;
    alice.takes_name("Alice A.").await;
    let first = alice.upload("image/png", pictures::png(120, 90)).await;
    alice.takes_picture(&first).await;
    let mut desk = Desk::open(&mut alice).await;
    desk.log_in(&mut alice, "whatsapp").await;
    let contact = Contact::of(&world, &alice, Flavour::WhatsApp).await;
    let whom = format!("whatsapp {}", contact.number());
    let room = desk.start_chat(&mut alice, &whom).await;
    let ghost = ghost_of(&alice, &room).await;
    alice.say(&room, "hello").await;
    contact.receives("hello").await;
    contact.say("hello back").await;
    alice.hear(&room, &ghost, |body| body == "hello back").await;

    contact.sees_name("Alice A.").await;
    let seen = contact.sees_picture(None).await;
    assert_eq!(dimensions_at(&seen).await, (120, 90));
    alice.takes_name("Alice B.").await;
    contact.sees_name("Alice B.").await;
    let second = alice.upload("image/jpeg", pictures::jpeg(60, 100)).await;
    alice.takes_picture(&second).await;
    let changed = contact.sees_picture(Some(&seen)).await;
    assert_eq!(dimensions_at(&changed).await, (60, 100));

    // A name of their choice there is not undone by the next connection.
    let answer = desk
        .command(&mut alice, "set-name whatsapp Alice at WhatsApp")
        .await;
    assert!(answer.contains("new name"), "{answer}");
    contact.sees_name("Alice at WhatsApp").await;
    world.bridge.kill().await;
    world
        .bridge
        .reconfigure("/bridge/phone_in_profile", json!(true));
    let told = alice
        .sees_profile(&ghost, "whom it stands for", |profile| {
            profile["com.beeper.bridge.identifiers"].as_array().cloned()
        })
        .await;
    assert_eq!(told, Vec::<Value>::new(), "the number is nobody's business");
    world.bridge.start().await;
    contact.say("once more").await;
    alice.hear(&room, &ghost, |body| body == "once more").await;
    let number = format!("tel:{}", contact.number());
    alice
        .sees_profile(&ghost, "the number", |profile| {
            (profile["com.beeper.bridge.identifiers"] == json!([number])).then_some(())
        })
        .await;
    contact.sees_name("Alice at WhatsApp").await;
}

async fn dimensions_at(url: &str) -> (u32, u32) {
    let answer = http().get(url).send().await.expect("the media server");
    pictures::dimensions(&answer.bytes().await.expect("the picture"))
}
