//! Groups in encrypted rooms: who is in them has their keys, from when they come until they go.

use super::{
    client::User,
    encrypted::{device, is_closed, is_reached, plan},
    encrypting::{EncryptingClient, Library},
    group::{CAN, Group, WHATSAPP, change, logged_in},
    world::{MARKED, World},
};

/// Everything in a group with these users' devices.
struct Scene {
    world: World,
    group: Group,
    alice: (User, EncryptingClient),
    bob: (User, EncryptingClient),
}

impl Scene {
    /// A group with two users, each with a device of another library.
    async fn open() -> Self {
        let world = World::start(plan()).await;
        let (mut alice, _desk) = logged_in(&world, "alice", WHATSAPP).await;
        let (mut bob, _bobs) = logged_in(&world, "bob", WHATSAPP).await;
        let nio = device(&world, &alice, Library::Nio).await;
        let js = device(&world, &bob, Library::Js).await;
        let users = [&mut alice, &mut bob];
        let mut group = Group::make(&world, WHATSAPP, "Hiking", &users).await;
        for user in users {
            group.room = user.joins_room_called("Hiking").await;
        }
        for client in [&nio, &js] {
            let (contact, ghost) = (&group.ann.contact, &group.ann.ghost);
            is_reached(client, contact, &group.room, ghost).await;
        }
        Self {
            world,
            group,
            alice: (alice, nio),
            bob: (bob, js),
        }
    }

    /// A contact writes, and these devices read it; the key it was encrypted with.
    async fn ben_says(&self, text: &str, readers: &[&EncryptingClient]) -> String {
        let (ben, room) = (&self.group.ben, &self.group.room);
        ben.contact.says(text).await;
        let mut key = String::new();
        for client in readers {
            let heard = client.hear(room, &ben.ghost, text).await;
            assert!(heard.encrypted && heard.error.is_none());
            key = heard.session.expect("an encrypted event has one");
        }
        key
    }
}

/// A device says something, which every contact gets as its user's, and the other user's device reads.
async fn says(scene: &mut Scene, is_alice: bool, text: &str) {
    let ((speaker, from), (_, to)) = if is_alice {
        (&mut scene.alice, &scene.bob)
    } else {
        (&mut scene.bob, &scene.alice)
    };
    from.say(&scene.group.room, text).await;
    let login = WHATSAPP.login_of(&scene.world, speaker);
    for member in scene.group.contacts() {
        member.gets(&login, text).await;
    }
    to.hear(&scene.group.room, &speaker.mxid, text).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_a_group_are_for_who_is_in_it() {
    let mut scene = Scene::open().await;
    says(&mut scene, true, &format!("{MARKED} of alice")).await;
    says(&mut scene, false, &format!("{MARKED} of bob")).await;
    let before = format!("{MARKED} before");
    let first = scene
        .ben_says(&before, &[&scene.alice.1, &scene.bob.1])
        .await;

    // Who has no devices changes nothing.
    let cleo = WHATSAPP.person(&scene.world, "Cleo").await;
    change(&scene.group.ann, "add", &cleo.jid().to_string()).await;
    let ghost = WHATSAPP.ghost(&cleo.jid().to_string());
    let room = scene.group.room.clone();
    scene.alice.0.sees_membership(&room, &ghost, "join").await;
    let text = format!("{MARKED} with cleo");
    let same = scene.ben_says(&text, &[&scene.alice.1, &scene.bob.1]).await;
    assert_eq!(same, first, "a ghost comes, and the key stays");

    // Who comes reads what is said from then on.
    let (mut dora, _desk) = logged_in(&scene.world, "dora", WHATSAPP).await;
    let doras = device(&scene.world, &dora, Library::Js).await;
    let login = WHATSAPP.login_of(&scene.world, &dora);
    change(&scene.group.ann, "add", &login).await;
    assert_eq!(dora.joins_room_called("Hiking").await, room);
    let (contact, ghost) = (&scene.group.ben.contact, &scene.group.ben.ghost);
    is_reached(&doras, contact, &room, ghost).await;
    cannot_read(doras, &room, ghost, &[&before, &text]).await;

    // Who goes does not.
    let login = WHATSAPP.login_of(&scene.world, &scene.bob.0);
    let with_bob = scene
        .ben_says(
            &format!("{MARKED} with bob"),
            &[&scene.alice.1, &scene.bob.1],
        )
        .await;
    change(&scene.group.ann, "remove", &login).await;
    let bob = scene.bob.0.mxid.clone();
    scene.alice.0.sees_membership(&room, &bob, "leave").await;
    // What the bridge carries after that it carries to who is left.
    let leaving = format!("{MARKED} bob has left");
    scene.alice.1.say(&room, &leaving).await;
    scene.group.ben.contact.receives(&leaving).await;
    let without = scene
        .ben_says(&format!("{MARKED} without bob"), &[&scene.alice.1])
        .await;
    assert_ne!(without, with_bob, "who left has the old key");
    let ends = scene
        .bob
        .1
        .ask("timeline", serde_json::json!({"room": room}))
        .await;
    let seen = ends.map(|answer| answer.to_string()).unwrap_or_default();
    assert!(!seen.contains("without bob"), "{seen}");

    is_closed(&scene.alice.0.history(&room).await);
    for member in scene.group.contacts() {
        assert_eq!(member.contact.phone.counters().undecryptable, 0, "{CAN}");
    }
}

/// A device shows what was said before it came, and cannot open it.
async fn cannot_read(mut client: EncryptingClient, room: &str, ghost: &str, texts: &[&str]) {
    let events = client.timeline(room).await;
    let unread = events
        .iter()
        .filter(|shown| shown.sender == ghost && shown.error.is_some());
    assert!(unread.count() >= texts.len());
    for text in texts {
        assert!(events.iter().all(|shown| shown.body() != *text), "{text}");
    }
}
