//! Encrypted events whose key comes late, or never.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use drawbridge::{
    matrix::{CipherError, Intent, MatrixError, RoomCipher, appservice::AppserviceSink as _},
    store::{Lane, MatrixEventRow},
};
use ruma::RoomId;
use serde_json::{Value, json};

use super::town::{ALICE, BOB, BOT, Town, group_id, group_of, person, rooms};

const DEADLINE: Duration = Duration::from_secs(20);

/// A cipher whose keys are names, and whose ciphertext is the content.
#[derive(Default)]
struct Keys {
    there: Mutex<HashSet<String>>,
    withheld: Mutex<HashMap<String, String>>,
    asked: Mutex<Vec<String>>,
}

#[async_trait]
impl RoomCipher for Keys {
    async fn is_encrypted(&self, _by: &Intent, _room: &RoomId) -> Result<bool, MatrixError> {
        Ok(false)
    }
    async fn seal(
        &self,
        _by: &Intent,
        _room: &RoomId,
        _kind: &str,
        _content: &Value,
    ) -> Result<Option<Value>, MatrixError> {
        Ok(None)
    }
    async fn open(&self, _room: &RoomId, event: &str) -> Result<String, CipherError> {
        let mut event: Value = serde_json::from_str(event)
            .map_err(|error| CipherError::Unreadable(error.to_string()))?;
        let Some(session) = event["content"]["session_id"].as_str().map(str::to_owned) else {
            return Err(CipherError::Unreadable("it is empty".to_owned()));
        };
        if !self.there.lock().expect("no panic").contains(&session) {
            let withheld = self
                .withheld
                .lock()
                .expect("no panic")
                .get(&session)
                .cloned();
            return Err(CipherError::MissingKey { session, withheld });
        }
        event["type"] = json!("m.room.message");
        event["content"] = event["content"]["inside"].take();
        Ok(event.to_string())
    }
    async fn ask_for_key(&self, _room: &RoomId, event: &str) -> Result<(), MatrixError> {
        let event: Value = serde_json::from_str(event).expect("JSON");
        let session = event["content"]["session_id"].as_str().unwrap_or_default();
        self.asked
            .lock()
            .expect("no panic")
            .push(session.to_owned());
        Ok(())
    }
    fn saw_state(&self, _room: &str, _kind: &str) {}
    fn traffic_waiting(&self, _by_transaction: bool) {}
    fn needs_sync(&self) -> bool {
        false
    }
}

/// A town with a group's room, and keys.
struct Place {
    town: Town,
    keys: Arc<Keys>,
    room: String,
}

impl Place {
    async fn new() -> Self {
        let mut town = Town::new(rooms()).await;
        let keys = Arc::new(Keys::default());
        town.set_cipher(keys.clone());
        town.set_group(group_of(&[ALICE.2, BOB.2], 2));
        town.write(ALICE.1, &group_id(), person(1), "hello").await;
        let room = town.shown("hello").await;
        town.all_taken(ALICE.1, &group_id()).await;
        town.homeserver.join(&room, ALICE.0);
        Self { town, keys, room }
    }

    /// Alice says something with a key; the event's id.
    async fn say(&self, room: &str, key: Option<&str>, text: &str) -> String {
        let inside = json!({ "msgtype": "m.text", "body": text });
        let id = match key {
            Some(key) => {
                let content = json!({ "algorithm": "m.megolm.v1.aes-sha2", "session_id": key, "inside": inside });
                self.town
                    .homeserver
                    .send_event(room, ALICE.0, "m.room.encrypted", content)
            }
            None => self.town.homeserver.send_text(room, ALICE.0, text),
        };
        let event = {
            let world = self.town.homeserver.world();
            world.event(room, &id).expect("it was sent").clone()
        };
        let row = MatrixEventRow {
            event_id: id.clone(),
            room_id: room.to_owned(),
            json: event.to_string(),
            quarantine: None,
        };
        let now = self.town.bridge.now();
        self.town
            .db
            .step(Lane::room(room), move |txn| {
                let row = row.clone();
                Box::pin(async move {
                    let id = row.event_id.clone();
                    txn.accept_transaction(&id, b"hash", &[row], now).await
                })
            })
            .await
            .expect("it is taken");
        self.town.bridge.rooms_waiting(&[room.to_owned()]);
        id
    }

    /// A key comes.
    fn give(&self, key: &str) {
        self.keys
            .there
            .lock()
            .expect("no panic")
            .insert(key.to_owned());
        self.town.bridge.key_came(&self.room, key);
    }

    /// Waits until the group got these texts, in this order.
    async fn got(&self, texts: &[&str]) {
        let end = Instant::now() + DEADLINE;
        loop {
            let got = self.town.gatekeeper.known().texts.clone();
            if got == texts {
                return;
            }
            assert!(Instant::now() < end, "{got:?} and not {texts:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until so many events wait for their key.
    async fn locked(&self, count: usize) {
        let end = Instant::now() + DEADLINE;
        let late = self.town.bridge.now().plus_millis(1_000_000_000);
        loop {
            let rows = self
                .town
                .db
                .read(move |txn| Box::pin(async move { txn.locked_events(late, 9, 99).await }))
                .await
                .expect("the store");
            if rows.len() == count {
                return;
            }
            assert!(Instant::now() < end, "{} wait", rows.len());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Time passes, and the bridge looks what waits.
    async fn look_after(&self, millis: i64) {
        self.town.clock.advance(millis);
        self.town.bridge.look_after_locked().await.expect("a look");
    }

    /// What the bot said in the room, edits with what they begin with.
    fn notices(&self, room: &str) -> Vec<Value> {
        let world = self.town.homeserver.world();
        let of_bot = world.messages(room).into_iter();
        let of_bot =
            of_bot.filter(|(sender, content)| sender == BOT && content["msgtype"] == "m.notice");
        of_bot.map(|(_, content)| content).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_within_a_moment_keeps_the_order() {
    let place = Place::new().await;
    let room = place.room.clone();
    place.say(&room, None, "one").await;
    place.say(&room, Some("k"), "two").await;
    place.say(&room, None, "three").await;
    place.got(&["one"]).await;
    place.give("k");
    place.got(&["one", "two", "three"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn later_events_and_other_rooms_do_not_wait_for_a_key() {
    let place = Place::new().await;
    let room = place.room.clone();
    let first = place.say(&room, Some("k"), "late one").await;
    place.say(&room, None, "a").await;
    place.say(&room, Some("k"), "late two").await;
    place.say(&room, None, "b").await;
    // Another key, which is as late: what came while the first was waited for shares one moment.
    place.say(&room, Some("l"), "later").await;
    let since = Instant::now();
    place.got(&["a", "b"]).await;
    place.locked(3).await;
    assert!(since.elapsed() < Duration::from_secs(8), "two moments");

    // Nothing is told before its time, then one notice a key, which counts.
    place.look_after(10_000).await;
    assert!(
        place.notices(&room).is_empty() && place.keys.asked.lock().expect("no panic").is_empty()
    );
    place.look_after(15_000).await;
    place.look_after(1).await;
    let notices = place.notices(&room);
    assert_eq!(notices.len(), 2, "{notices:?}");
    let bodies: Vec<_> = notices.iter().map(|notice| &notice["body"]).collect();
    assert!(bodies.iter().any(|body| {
        **body == "2 messages could not be decrypted yet: your app was asked for their key. They are sent when that comes."
    }), "{bodies:?}");
    assert!(
        notices.iter().any(|notice| {
            notice["m.relates_to"]["m.in_reply_to"]["event_id"] == first.as_str()
        })
    );
    let mut asked = place.keys.asked.lock().expect("no panic").clone();
    asked.sort();
    assert_eq!(asked, ["k", "l"]);

    // One more that waits is counted; then the key comes, and they go in their order.
    place.say(&room, Some("k"), "late three").await;
    place.locked(4).await;
    place.look_after(25_000).await;
    let last = place.notices(&room).pop().expect("an edit");
    assert!(
        last["m.new_content"]["body"]
            .as_str()
            .is_some_and(|body| body.starts_with("3 messages")),
        "{last}"
    );
    place.give("k");
    place
        .got(&["a", "b", "late one", "late two", "late three"])
        .await;
    place.locked(1).await;
    let end = Instant::now() + DEADLINE;
    loop {
        place.look_after(1).await;
        let last = place.notices(&room).pop().expect("an edit");
        if last["m.new_content"]["body"] == "The key came: what could not be decrypted was sent." {
            break;
        }
        assert!(Instant::now() < end, "{last}");
    }
    let count = place.notices(&room).len();

    // The other never comes.
    place.look_after(7 * 24 * 60 * 60 * 1000).await;
    let notices = place.notices(&room);
    assert_eq!(notices.len(), count + 1);
    let last = &notices[count]["m.new_content"]["body"];
    assert!(
        last.as_str()
            .is_some_and(|body| body.contains("never came")),
        "{last}"
    );
    place.locked(0).await;
    place.look_after(7 * 24 * 60 * 60 * 1000).await;
    assert_eq!(place.notices(&room).len(), count + 1, "told once");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_key_outlives_a_restart_and_a_deletion() {
    let mut place = Place::new().await;
    let room = place.room.clone();
    let deleted = place.say(&room, Some("k"), "deleted").await;
    place.say(&room, Some("k"), "kept").await;
    place.locked(2).await;
    place.look_after(25_000).await;
    assert_eq!(place.notices(&room).len(), 1);
    place.town.homeserver.redact(&room, ALICE.0, &deleted);

    place.town.restart().await;
    // They had their moment before.
    let since = Instant::now();
    place.say(&room, None, "after").await;
    place.got(&["after"]).await;
    assert!(since.elapsed() < Duration::from_millis(2500));
    place.locked(2).await;
    place.look_after(25_000).await;
    assert_eq!(place.notices(&room).len(), 1, "told once");
    place.give("k");
    place.got(&["after", "kept"]).await;
    place.locked(0).await;
    let end = Instant::now() + DEADLINE;
    while place.notices(&room).len() < 2 {
        place.look_after(1).await;
        assert!(Instant::now() < end, "the notice is not edited");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_without_its_key_is_answered() {
    let place = Place::new().await;
    let room = place.town.management_room().await;
    let withheld = ("k".to_owned(), "m.unverified".to_owned());
    place
        .keys
        .withheld
        .lock()
        .expect("no panic")
        .extend([withheld]);
    place.say(&room, Some("k"), "help").await;
    place.say(&room, Some("l"), "help").await;
    // A room that is no business of the bridge hears nothing.
    let strange = place.town.homeserver.create_room(ALICE.0, &[BOT], false);
    place.say(&strange, Some("m"), "hi").await;
    place.locked(3).await;
    place.look_after(25_000).await;
    let bodies: Vec<String> = place
        .notices(&room)
        .iter()
        .map(|notice| notice["body"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(bodies.len(), 2);
    assert!(bodies[0].contains("verified devices only"), "{bodies:?}");
    assert!(
        bodies[1].contains("It is carried out when that comes"),
        "{bodies:?}"
    );
    assert!(place.notices(&strange).is_empty());
}
