//! A homeserver in this process, as far as a bridge sees one: it keeps rooms, answers the client-server API for the application
//! service, and delivers events to it in order, with retries, the way Synapse does.
//!
//! It stands at the far end of the real HTTP wire, so that what is measured and killed is the real bridge.

mod api;
mod devices;
mod media;
mod push;
mod rooms;
mod sync;
mod world;

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::http;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Notify};
use tokio_util::sync::CancellationToken;

pub(crate) use devices::Whose;
pub(crate) use world::World;

/// The name of the server, behind the colon of its ids.
pub(crate) const SERVER: &str = "test.example";

/// A request of the client-server API.
pub(crate) type Request = http::Request<Vec<u8>>;

/// The homeserver.
#[derive(Clone)]
pub(crate) struct Homeserver {
    world: Arc<Mutex<World>>,
    changed: Arc<Notify>,
    as_url: Arc<Mutex<String>>,
    as_token: String,
    hs_token: String,
    http: reqwest::Client,
    cancel: CancellationToken,
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
        let router = api::router(server.clone());
        let cancel = server.cancel.clone();
        tokio::spawn(async move {
            axum::serve(listener, router)
                .with_graceful_shutdown(async move { cancel.cancelled().await })
                .await
                .unwrap();
        });
        tokio::spawn(push::deliver(server.clone()));
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
        self.change(|world| {
            let room_id = world.new_room(creator);
            for user in invite {
                world.member(&room_id, creator, user, "invite", is_direct);
            }
            room_id
        })
    }

    /// A user accepts an invitation.
    pub(crate) fn join(&self, room_id: &str, user: &str) {
        self.change(|world| world.member(room_id, user, user, "join", false));
    }

    /// A user sends a text; its event id.
    pub(crate) fn send_text(&self, room_id: &str, user: &str, body: &str) -> String {
        let content = json!({ "msgtype": "m.text", "body": body });
        self.send_event(room_id, user, "m.room.message", content)
    }

    /// A user sends an event; its id.
    pub(crate) fn send_event(
        &self,
        room_id: &str,
        user: &str,
        kind: &str,
        content: Value,
    ) -> String {
        self.change(|world| world.append(room_id, user, kind, None, content, None))
    }

    /// A user sets a state of a room; the event's id.
    pub(crate) fn set_state(
        &self,
        room_id: &str,
        user: &str,
        kind: &str,
        key: &str,
        content: Value,
    ) -> String {
        self.change(|world| world.append(room_id, user, kind, Some(key), content, None))
    }

    /// A user changes somebody's membership, their own or another's.
    pub(crate) fn set_member(&self, room_id: &str, by: &str, of: &str, membership: &str) {
        self.change(|world| world.member(room_id, by, of, membership, false));
    }

    /// A user deletes an event; the redaction's id.
    pub(crate) fn redact(&self, room_id: &str, user: &str, event_id: &str) -> String {
        self.change(|world| world.redact(room_id, user, event_id, None))
    }

    /// A user uploads a file; its address.
    pub(crate) fn upload(&self, bytes: impl Into<Bytes>) -> String {
        self.change(|world| world.upload(bytes.into()))
    }

    /// A file that was uploaded, by the bridge or by a user.
    pub(crate) fn media(&self, uri: &str) -> Option<Bytes> {
        let world = self.world();
        let file = world.media.get(uri)?.file.as_ref()?;
        Some(file.bytes.clone())
    }

    /// These users, and nobody else, write in a room just now.
    pub(crate) fn typing(&self, room_id: &str, users: &[&str]) {
        self.change(|world| world.set_typing(room_id, users));
    }

    /// A user read a room up to an event.
    pub(crate) fn receipt(&self, room_id: &str, user: &str, event_id: &str) {
        self.change(|world| world.show_receipt(room_id, user, event_id));
    }

    /// A user is there, or went away.
    pub(crate) fn presence(&self, user: &str, online: bool) {
        let state = if online { "online" } else { "offline" };
        self.change(|world| world.set_presence(user, state));
    }

    /// A user is called something from now on.
    pub(crate) fn set_name(&self, user: &str, name: &str) {
        self.change(|world| world.names.insert(user.to_owned(), name.to_owned()));
    }

    /// What a user's device asks, and is answered, as over the wire.
    pub(crate) fn ask(&self, (user, device): &Whose, request: &Request) -> http::Response<Vec<u8>> {
        let path = api::segments(request.uri().path());
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let query = HashMap::from([
            ("user_id".to_owned(), user.clone()),
            ("device_id".to_owned(), device.clone()),
        ]);
        let body = serde_json::from_slice(request.body()).unwrap_or_default();
        let method = request.method();
        let answer = self.change(|world| api::handle(world, method, &path, &query, &body));
        let (status, body) = match answer {
            Ok(body) => (http::StatusCode::OK, body),
            Err((status, code, why)) => (status, json!({ "errcode": code, "error": why })),
        };
        let mut response = http::Response::new(body.to_string().into_bytes());
        *response.status_mut() = status;
        response
    }

    /// Waits until something changes, a moment at most.
    pub(crate) async fn changes(&self) {
        let changed = self.changed.notified();
        let _ = tokio::time::timeout(Duration::from_millis(50), changed).await;
    }

    fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let result = change(&mut self.world());
        self.changed.notify_waiters();
        result
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
