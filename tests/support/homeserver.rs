//! A homeserver in this process, as far as a bridge sees one: it keeps rooms, answers the client-server API for the application
//! service, and delivers events to it in order, with retries, the way Synapse does.
//!
//! It stands at the far end of the real HTTP wire, so that what is measured and killed is the real bridge.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Notify};
use tokio_util::sync::CancellationToken;

/// The name of the server, behind the colon of its ids.
pub(crate) const SERVER: &str = "test.example";

/// A room.
#[derive(Debug, Default)]
pub(crate) struct Room {
    /// Every event, oldest first.
    pub(crate) events: Vec<Value>,
    /// Membership by user.
    pub(crate) members: BTreeMap<String, String>,
    /// Current state by type and key.
    pub(crate) state: HashMap<(String, String), Value>,
}

/// Everything the homeserver knows.
#[derive(Debug, Default)]
pub(crate) struct World {
    /// Rooms by id.
    pub(crate) rooms: BTreeMap<String, Room>,
    /// Aliases to rooms.
    pub(crate) aliases: HashMap<String, String>,
    /// Users the application service registered.
    pub(crate) registered: HashSet<String>,
    /// Display names.
    pub(crate) names: HashMap<String, String>,
    /// Read receipts as (room, user, event).
    pub(crate) receipts: Vec<(String, String, String)>,
    /// Events in the order of the stream: room and index in it.
    pub(crate) stream: Vec<(String, usize)>,
    /// When each event of the stream came.
    pub(crate) times: Vec<std::time::SystemTime>,
    /// How long the application service took to take each transaction.
    pub(crate) taken: Vec<Duration>,
    /// What was answered to a transaction id, by user, device, room, type and id.
    pub(crate) sends: HashMap<String, String>,
    /// Requests counted by what they were.
    pub(crate) requests: BTreeMap<&'static str, usize>,
    pub(crate) serial: u64,
}

/// The homeserver.
#[derive(Clone)]
pub(crate) struct Homeserver {
    pub(crate) world: Arc<Mutex<World>>,
    pub(crate) changed: Arc<Notify>,
    pub(crate) as_url: Arc<Mutex<String>>,
    pub(crate) as_token: String,
    pub(crate) hs_token: String,
    pub(crate) http: reqwest::Client,
    pub(crate) cancel: CancellationToken,
    address: SocketAddr,
}

impl Homeserver {
    /// Starts it on a free port of the loopback interface.
    pub(crate) async fn start(as_token: &str, hs_token: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            world: Arc::default(),
            changed: Arc::default(),
            as_url: Arc::default(),
            as_token: as_token.to_owned(),
            hs_token: hs_token.to_owned(),
            http: reqwest::Client::builder()
                .timeout(Duration::from_secs(20))
                .build()
                .unwrap(),
            cancel: CancellationToken::new(),
            address: listener.local_addr().unwrap(),
        };
        let router = super::homeserver_api::router(server.clone());
        let cancel = server.cancel.clone();
        tokio::spawn(async move {
            axum::serve(listener, router)
                .with_graceful_shutdown(async move { cancel.cancelled().await })
                .await
                .unwrap();
        });
        tokio::spawn(super::homeserver_push::deliver(server.clone()));
        server
    }

    /// Its base URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Tells it where the application service is.
    pub(crate) fn set_appservice(&self, url: &str) {
        let mut known = self.as_url.lock().unwrap_or_else(PoisonError::into_inner);
        url.clone_into(&mut known);
        drop(known);
        self.changed.notify_waiters();
    }

    /// Everything it knows.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops it.
    pub(crate) fn stop(&self) {
        self.cancel.cancel();
    }

    /// A user's room with others invited, as a client would make it.
    pub(crate) fn create_room(&self, creator: &str, invite: &[&str], is_direct: bool) -> String {
        let mut world = self.world();
        let room_id = world.new_room(creator);
        for user in invite {
            world.member(&room_id, creator, user, "invite", is_direct);
        }
        drop(world);
        self.changed.notify_waiters();
        room_id
    }

    /// A user accepts an invitation.
    pub(crate) fn join(&self, room_id: &str, user: &str) {
        self.world().member(room_id, user, user, "join", false);
        self.changed.notify_waiters();
    }

    /// A user sends a text; its event id.
    pub(crate) fn send_text(&self, room_id: &str, user: &str, body: &str) -> String {
        let content = json!({ "msgtype": "m.text", "body": body });
        let id = self
            .world()
            .append(room_id, user, "m.room.message", None, content, None);
        self.changed.notify_waiters();
        id
    }

    /// Waits until `check` finds something; panics after the deadline with what was waited for.
    pub(crate) async fn wait<T>(
        &self,
        what: &str,
        deadline: Duration,
        check: impl Fn(&World) -> Option<T>,
    ) -> T {
        let end = tokio::time::Instant::now() + deadline;
        loop {
            let notified = self.changed.notified();
            if let Some(found) = check(&self.world()) {
                return found;
            }
            assert!(
                tokio::time::Instant::now() < end,
                "waited {deadline:?} in vain for {what}"
            );
            let _ = tokio::time::timeout(Duration::from_millis(100), notified).await;
        }
    }
}

impl World {
    pub(crate) fn new_room(&mut self, creator: &str) -> String {
        self.serial += 1;
        let room_id = format!("!room{}:{SERVER}", self.serial);
        self.rooms.insert(room_id.clone(), Room::default());
        let create = json!({ "creator": creator, "room_version": "10" });
        self.append(&room_id, creator, "m.room.create", Some(""), create, None);
        self.member(&room_id, creator, creator, "join", false);
        room_id
    }

    pub(crate) fn member(
        &mut self,
        room_id: &str,
        by: &str,
        of: &str,
        membership: &str,
        is_direct: bool,
    ) {
        let mut content = json!({ "membership": membership });
        if is_direct {
            content["is_direct"] = json!(true);
        }
        self.append(room_id, by, "m.room.member", Some(of), content, None);
    }

    pub(crate) fn append(
        &mut self,
        room_id: &str,
        sender: &str,
        kind: &str,
        state_key: Option<&str>,
        content: Value,
        ts: Option<u64>,
    ) -> String {
        self.serial += 1;
        let event_id = format!("$event{}", self.serial);
        let mut event = json!({
            "type": kind, "event_id": event_id, "room_id": room_id, "sender": sender,
            "origin_server_ts": ts.unwrap_or(1_700_000_000_000 + self.serial), "content": null, "unsigned": {},
        });
        event["content"] = content;
        let room = self.rooms.get_mut(room_id).expect("the room exists");
        if let Some(key) = state_key {
            event["state_key"] = json!(key);
            room.state
                .insert((kind.to_owned(), key.to_owned()), event["content"].clone());
            if kind == "m.room.member" {
                let membership = event["content"]["membership"].as_str().unwrap_or_default();
                room.members.insert(key.to_owned(), membership.to_owned());
            }
        }
        room.events.push(event);
        let index = room.events.len() - 1;
        self.stream.push((room_id.to_owned(), index));
        self.times.push(std::time::SystemTime::now());
        event_id
    }

    /// The texts of a room's messages by somebody, in order, the sender's id with them.
    pub(crate) fn messages(&self, room_id: &str) -> Vec<(String, Value)> {
        self.rooms
            .get(room_id)
            .into_iter()
            .flat_map(|room| &room.events)
            .filter(|event| event["type"] == "m.room.message")
            .map(|event| {
                (
                    event["sender"].as_str().unwrap_or_default().to_owned(),
                    event["content"].clone(),
                )
            })
            .collect()
    }
}
