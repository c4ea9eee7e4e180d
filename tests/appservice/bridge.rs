//! The endpoints under test: a router on a free port, a database in a folder, and a sink that remembers.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use drawbridge::{
    clock::ManualClock,
    domain::{ChatId, GatekeeperId, RemoteUserId, Timestamp},
    matrix::{
        GhostNaming,
        appservice::{self, AppserviceSink, AppserviceState},
    },
    store::{self, Database, QuarantinedEvent},
};
use reqwest::{Method, RequestBuilder};
use ruma::{OwnedRoomAliasId, RoomAliasId, UserId};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

pub(crate) const TOKEN: &str = "hs-0123456789abcdef0123456789abcdef";
pub(crate) const GHOST: &str = "@_drawbridge_whatsapp_4915155550001=40s.whatsapp.net:example.org";

/// A group that is linked to a public room.
pub(crate) const GROUP: &str = "120363041234567890@g.us";

/// Remembers what it was told; knows one ghost and one alias.
#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) rooms: Mutex<Vec<String>>,
    pub(crate) ephemeral: Mutex<Vec<Value>>,
    pub(crate) pings: Mutex<Vec<Option<String>>>,
}

#[async_trait]
impl AppserviceSink for Recorder {
    fn rooms_waiting(&self, rooms: &[String]) {
        self.rooms
            .lock()
            .expect("no panic")
            .extend_from_slice(rooms);
    }
    fn ephemeral(&self, events: Vec<Value>) {
        self.ephemeral.lock().expect("no panic").extend(events);
    }
    async fn user_exists(&self, user: &UserId) -> bool {
        user == GHOST
    }
    async fn room_alias_exists(&self, alias: &RoomAliasId) -> bool {
        alias == "#_drawbridge_portal_1:example.org"
    }
    fn number_means(&self, gatekeeper: &GatekeeperId, number: &str) -> Option<RemoteUserId> {
        let digits: String = number.chars().filter(char::is_ascii_digit).collect();
        let address = format!("{digits}@s.whatsapp.net");
        let is_number = gatekeeper.as_str() == "whatsapp" && digits.len() >= 7;
        is_number.then(|| RemoteUserId::parse(address).expect("an address"))
    }
    fn number_of(&self, _gatekeeper: &GatekeeperId, user: &RemoteUserId) -> Option<String> {
        let number = user.as_str().strip_suffix("@s.whatsapp.net")?;
        Some(format!("+{number}"))
    }
    fn icon(&self) -> Option<String> {
        Some("mxc://example.org/icon".to_owned())
    }
    async fn groups_behind(&self, alias: &RoomAliasId) -> Vec<(GatekeeperId, ChatId)> {
        if alias != "#public:example.org" {
            return Vec::new();
        }
        let gatekeeper = GatekeeperId::parse("whatsapp").expect("an id");
        vec![(gatekeeper, ChatId::parse(GROUP).expect("a group"))]
    }
    async fn alias_of(
        &self,
        _gatekeeper: &GatekeeperId,
        chat: &ChatId,
    ) -> Option<OwnedRoomAliasId> {
        let alias = RoomAliasId::parse("#public:example.org").expect("an alias");
        (chat.as_str() == GROUP).then_some(alias)
    }
    fn ping_received(&self, txn_id: Option<&str>) {
        let txn_id = txn_id.map(str::to_owned);
        self.pings.lock().expect("no panic").push(txn_id);
    }
}

pub(crate) struct Bridge {
    pub(crate) url: String,
    http: reqwest::Client,
    pub(crate) db: Database,
    pub(crate) sink: Arc<Recorder>,
    _folder: TempDir,
}

impl Bridge {
    pub(crate) async fn start() -> Self {
        Self::start_with(|state| state).await
    }

    /// With endpoints that `finish` completes.
    pub(crate) async fn start_with(
        finish: impl FnOnce(AppserviceState) -> AppserviceState,
    ) -> Self {
        // Another test of this process may have installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().expect("a folder");
        let uri = format!("sqlite:{}", folder.path().join("bridge.db").display());
        let (db, _) = store::open(&uri, &[7; 32], None, Timestamp(1))
            .await
            .expect("a database");
        let sink = Arc::new(Recorder::default());
        let naming = GhostNaming::new("_drawbridge_", "example.org");
        let whatsapp = GatekeeperId::parse("whatsapp").expect("an id");
        let state = AppserviceState::new(
            db.clone(),
            &TOKEN.into(),
            sink.clone(),
            Arc::new(ManualClock::new(1_000)),
        )
        .with_directory(naming, BTreeMap::from([(whatsapp, "WhatsApp".to_owned())]));
        let state = finish(state);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, appservice::router(state)).await });
        Self {
            url,
            http: reqwest::Client::new(),
            db,
            sink,
            _folder: folder,
        }
    }

    /// A request without a token.
    pub(crate) fn bare(&self, method: &str, path: &str) -> RequestBuilder {
        let method: Method = method.parse().expect("a method");
        self.http.request(method, format!("{}{path}", self.url))
    }

    /// Sends a request with the token; status and body.
    pub(crate) async fn call(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        answer(self.bare(method, path).bearer_auth(TOKEN).json(body)).await
    }

    /// Hands over a transaction of events under the stable path.
    pub(crate) async fn hand_over(&self, txn_id: &str, events: &[Value]) {
        let path = format!("/_matrix/app/v1/transactions/{txn_id}");
        let (status, body) = self.call("PUT", &path, &json!({ "events": events })).await;
        assert_eq!((status, body), (200, json!({})));
    }

    /// The ids of the events waiting in a room, in order.
    pub(crate) async fn waiting(&self, room: &'static str) -> Vec<String> {
        let events = self
            .db
            .read(move |txn| Box::pin(async move { txn.waiting_events(room, 10_000).await }))
            .await
            .expect("the store reads");
        events.into_iter().map(|event| event.event_id).collect()
    }

    pub(crate) async fn quarantine(&self) -> Vec<QuarantinedEvent> {
        self.db
            .read(|txn| Box::pin(async move { txn.quarantined_events(100).await }))
            .await
            .expect("the store reads")
    }
}

/// Status and body of an answer.
pub(crate) async fn answer(request: RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.expect("an answer");
    let status = answer.status().as_u16();
    let body = answer.text().await.expect("a body");
    (status, serde_json::from_str(&body).unwrap_or(Value::Null))
}

/// A text message with an id, in a room.
pub(crate) fn message(id: &str, room: &str) -> Value {
    json!({
        "event_id": id, "room_id": room, "sender": "@alice:example.org", "type": "m.room.message",
        "origin_server_ts": 1, "content": { "msgtype": "m.text", "body": "hello" },
    })
}
