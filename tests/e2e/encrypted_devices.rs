//! Keys that change, devices that come, and a bridge that is killed or given an old database, in encrypted rooms.

use std::{collections::HashMap, fs};

use serde_json::json;

use super::{
    chat::Chat,
    client::PATIENCE,
    encrypted::{device, is_closed, is_reached, plan},
    encrypting::{EncryptingClient, Library, Shown},
    wait::until,
    world::{BOT, Engine, MARKED, Plan, World, merge},
};

/// A world whose rooms change their keys with every other message.
fn rotating(engine: Engine) -> Plan {
    let mut plan = Plan { engine, ..plan() };
    merge(
        &mut plan.config,
        &json!({"encryption": {"rotate_after_messages": 2}}),
    );
    plan
}

/// What a contact says and what a user does, each once and in order.
#[derive(Default)]
struct Log {
    there: Vec<String>,
    back: Vec<String>,
}

impl Log {
    /// One text of each.
    async fn exchange(&mut self, chat: &Chat, client: &mut EncryptingClient, name: &str) {
        let there = format!("{MARKED} there {name}");
        client.say(&chat.room, &there).await;
        self.there.push(there);
        let back = format!("{MARKED} back {name}");
        chat.contact.say(&back).await;
        self.back.push(back);
    }

    /// Both have all of it.
    async fn is_complete(&self, chat: &Chat, clients: &mut [&mut EncryptingClient]) {
        chat.contact.receives_exactly(&self.there).await;
        let last = self.back.last().expect("a text");
        for client in clients {
            client.hear(&chat.room, &chat.ghost, last).await;
            let events = client.timeline(&chat.room).await;
            let of_ghost = |shown: &&Shown| shown.sender == chat.ghost && shown.encrypted;
            let heard: Vec<&str> = events
                .iter()
                .filter(of_ghost)
                .map(Shown::body)
                .filter(|body| body.contains(MARKED))
                .collect();
            assert_eq!(heard, self.back, "{:?}", client.library);
        }
    }
}

async fn keys_change_devices_come_and_the_bridge_is_killed(engine: Engine) {
    let mut world = World::start(rotating(engine)).await;
    let chat = Chat::open(&world).await;
    let mut log = Log::default();
    let mut nio = device(&world, &chat.alice, Library::Nio).await;
    is_reached(&nio, &chat.contact, &chat.room, &chat.ghost).await;

    // No key is used for more than its messages.
    for n in 0..5 {
        log.exchange(&chat, &mut nio, &format!("{n}")).await;
    }
    let mut sessions: HashMap<String, usize> = HashMap::new();
    for text in &log.back {
        let heard = nio.hear(&chat.room, &chat.ghost, text).await;
        *sessions.entry(heard.session.expect("a key")).or_default() += 1;
    }
    assert!(sessions.values().all(|count| *count <= 2), "{sessions:?}");
    log.is_complete(&chat, &mut [&mut nio]).await;

    // A new device reads what comes from now on, and nothing of what was.
    let past = nio.hear(&chat.room, &chat.ghost, &log.back[0]).await;
    let mut js = device(&world, &chat.alice, Library::Js).await;
    is_reached(&js, &chat.contact, &chat.room, &chat.ghost).await;
    let timeline = js.timeline(&chat.room).await;
    let unread = timeline.iter().find(|e| e.event_id == past.event_id);
    assert!(unread.expect("it is there").error.is_some());
    log.back.clear();
    log.exchange(&chat, &mut js, "of the new device").await;
    log.exchange(&chat, &mut nio, "of the old device").await;

    // Killed in the middle of carrying them.
    for round in 0..3 {
        for n in 0..3 {
            let client = if n == 1 { &mut js } else { &mut nio };
            log.exchange(&chat, client, &format!("{round}.{n}")).await;
        }
        world.bridge.kill().await;
        if round == 1 {
            log.exchange(&chat, &mut js, "while it is down").await;
        }
        world.bridge.start().await;
    }
    for text in &log.back {
        nio.hear(&chat.room, &chat.ghost, text).await;
    }
    chat.contact.receives_exactly(&log.there).await;
    log.is_complete(&chat, &mut [&mut js]).await;
    let events = chat.alice.history(&chat.room).await;
    is_closed(&events);
    assert_eq!(chat.contact.undecryptable(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_change_devices_come_and_the_bridge_is_killed_with_sqlite() {
    keys_change_devices_come_and_the_bridge_is_killed(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_change_devices_come_and_the_bridge_is_killed_with_postgres() {
    keys_change_devices_come_and_the_bridge_is_killed(Engine::Postgres).await;
}

/// The files of a database, of which some may not be there.
const FILES: [&str; 3] = ["bridge.db", "bridge.db-wal", "bridge.db-shm"];

/// Puts one folder's database into the place of another's.
fn copy_database(from: &std::path::Path, to: &std::path::Path) {
    for name in FILES {
        let target = to.join(name);
        if target.exists() {
            fs::remove_file(&target).expect("an old file goes");
        }
        if from.join(name).exists() {
            fs::copy(from.join(name), target).expect("a copy");
        }
    }
}

/// The devices of the bot, as a client knows them.
async fn bots(client: &mut EncryptingClient) -> Vec<String> {
    let devices = client.devices(BOT).await.into_iter();
    devices.map(|known| known.id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_database_is_another_device_that_reads_what_was() {
    let mut world = World::start(plan()).await;
    let chat = Chat::open(&world).await;
    let mut nio = device(&world, &chat.alice, Library::Nio).await;
    let mut js = device(&world, &chat.alice, Library::Js).await;
    for client in [&nio, &js] {
        is_reached(client, &chat.contact, &chat.room, &chat.ghost).await;
    }
    let (room, contact) = (chat.room.as_str(), &chat.contact);
    // Something the contact never saw: an answer quotes it.
    let quoted = format!("!drawbridge {MARKED}");
    let old = nio.say(room, &quoted).await;
    nio.shown("the bot's answer", room, |shown| {
        shown.sender == BOT && shown.encrypted && shown.error.is_none()
    })
    .await;
    let before = bots(&mut nio).await;

    world.bridge.kill().await;
    let copy = world.folder().join("copy");
    fs::create_dir_all(&copy).expect("a folder");
    copy_database(world.bridge.folder(), &copy);
    world.bridge.start().await;
    for client in [&mut nio, &mut js] {
        let there = format!("{MARKED} after the copy {:?}", client.library);
        client.say(room, &there).await;
        contact.receives(&there).await;
        let back = format!("{there} too");
        contact.say(&back).await;
        client.hear(room, &chat.ghost, &back).await;
    }
    world.bridge.kill().await;
    copy_database(&copy, world.bridge.folder());
    world.bridge.start().await;

    for client in [&mut nio, &mut js] {
        until("the bot's new device", PATIENCE, async || {
            let now = bots(client).await;
            now.iter().any(|id| !before.contains(id)).then_some(())
        })
        .await;
        is_reached(client, contact, room, &chat.ghost).await;
        let there = format!("{MARKED} with the old database {:?}", client.library);
        client.say(room, &there).await;
        contact.receives(&there).await;
        let back = format!("{there} too");
        contact.say(&back).await;
        client.hear(room, &chat.ghost, &back).await;
    }

    // What was said before the copy can still be read.
    js.reply(room, &old, "so I asked").await;
    let answer = contact
        .gets("an answer", |m| {
            m.text.contains("so I asked").then(|| m.text.clone())
        })
        .await;
    assert!(answer.contains(&quoted), "{answer}");
}
