//! The application service's own endpoints: what the homeserver calls.
//!
//! Every path, known or not, demands the homeserver's token. A transaction is answered only after its events are in the
//! store, and with an error only when trying again can help: an answer that is none blocks the homeserver's queue for ever.

mod answer;
mod auth;
mod ping;
mod query;
mod thirdparty;
mod transactions;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use axum::{
    Router,
    http::StatusCode,
    middleware,
    response::Response,
    routing::{get, post, put},
};
use ruma::{OwnedRoomAliasId, RoomAliasId, UserId, api::error::ErrorKind};
use secrecy::SecretString;
use serde_json::Value;

use super::{Client, DeviceTraffic, GhostNaming, Order, RoomCipher};
use crate::{
    clock::Clock,
    domain::{ChatId, GatekeeperId, RemoteUserId},
    store::Database,
};

/// What is told about what the homeserver handed over. What is announced is in the store.
#[async_trait]
pub trait AppserviceSink: Send + Sync + 'static {
    /// Whether an event of a user in a room is the bridge's own coming back, of which it learns nothing: it is not taken.
    fn is_own(&self, user: &str, room_id: &str) -> bool {
        let _ = (user, room_id);
        false
    }
    /// The key of a Megolm session of a room came.
    fn key_came(&self, room_id: &str, key_id: &str) {
        let _ = (room_id, key_id);
    }
    /// The homeserver takes the bridge's device, or does not: why.
    fn device_changed(&self, refusal: Option<&str>) {
        let _ = refusal;
    }
    /// Events of these rooms wait in the store.
    fn rooms_waiting(&self, rooms: &[String]);
    /// Receipts and typing, each with its `room_id`, and presence (`m.presence`), with its `sender` alone; they are not stored.
    fn ephemeral(&self, events: Vec<Value>);
    /// Whether the user exists; it is made if it can be.
    async fn user_exists(&self, user: &UserId) -> bool;
    /// Whether the room exists; it is made if it can be.
    async fn room_alias_exists(&self, alias: &RoomAliasId) -> bool {
        let _ = alias;
        false
    }
    /// The user a phone number means at a gatekeeper, however it is written; nobody is asked.
    fn number_means(&self, gatekeeper: &GatekeeperId, number: &str) -> Option<RemoteUserId> {
        let _ = (gatekeeper, number);
        None
    }
    /// The phone number of a user, if their address is one.
    fn number_of(&self, gatekeeper: &GatekeeperId, user: &RemoteUserId) -> Option<String> {
        let _ = (gatekeeper, user);
        None
    }
    /// The address of a picture that stands for the bridge.
    fn icon(&self) -> Option<String> {
        None
    }
    /// The groups that a room is linked to, by an alias of it; only those anybody may know of.
    async fn groups_behind(&self, alias: &RoomAliasId) -> Vec<(GatekeeperId, ChatId)> {
        let _ = alias;
        Vec::new()
    }
    /// The alias of the room a group is linked to; only if anybody may know it.
    async fn alias_of(&self, gatekeeper: &GatekeeperId, chat: &ChatId) -> Option<OwnedRoomAliasId> {
        let _ = (gatekeeper, chat);
        None
    }
    /// The homeserver reaches the bridge, and has been asked to say so with this transaction id.
    fn ping_received(&self, txn_id: Option<&str>);
}

/// What the endpoints need; cheap to clone.
#[derive(Clone)]
pub struct AppserviceState(Arc<Inner>);

struct Inner {
    db: Database,
    token: auth::Token,
    sink: Arc<dyn AppserviceSink>,
    clock: Arc<dyn Clock>,
    directory: Option<Directory>,
    order: Option<Arc<Order>>,
    devices: Option<Devices>,
}

/// What takes what comes for the bridge's device.
struct Devices {
    /// The bot and its device.
    who: (String, String),
    cipher: Arc<dyn RoomCipher>,
    /// The counts that came last.
    counts: Mutex<Option<DeviceTraffic>>,
}

/// What clients can look up by third-party identifiers.
struct Directory {
    naming: GhostNaming,
    gatekeepers: BTreeMap<GatekeeperId, String>,
}

impl AppserviceState {
    /// Endpoints that take transactions into `db` from whoever shows `hs_token`.
    #[must_use]
    pub fn new(
        db: Database,
        hs_token: &SecretString,
        sink: Arc<dyn AppserviceSink>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self(Arc::new(Inner {
            db,
            token: auth::Token::new(hs_token),
            sink,
            clock,
            directory: None,
            order: None,
            devices: None,
        }))
    }

    /// Where transactions wait that may have overtaken others.
    #[must_use]
    pub fn in_order(mut self, order: Arc<Order>) -> Self {
        self.change(|inner| inner.order = Some(order));
        self
    }

    /// With third-party lookups: the gatekeepers' names for people by id, and the naming of their users.
    #[must_use]
    pub fn with_directory(
        mut self,
        naming: GhostNaming,
        gatekeepers: BTreeMap<GatekeeperId, String>,
    ) -> Self {
        self.change(|inner| {
            inner.directory = Some(Directory {
                naming,
                gatekeepers,
            });
        });
        self
    }

    /// With what opens encrypted rooms, if the client has it: what comes for the device of its bot is kept for that.
    #[must_use]
    pub fn with_cipher(mut self, client: &Client) -> Self {
        let devices = client.cipher().map(|cipher| Devices {
            who: (client.bot_id().to_string(), client.bot_device().to_string()),
            cipher: cipher.clone(),
            counts: Mutex::default(),
        });
        self.change(|inner| inner.devices = devices);
        self
    }

    fn change(&mut self, change: impl FnOnce(&mut Inner)) {
        let inner = Arc::get_mut(&mut self.0).expect("it is not shared before it is whole");
        change(inner);
    }
}

/// The endpoints, under their stable paths and those of older homeservers.
pub fn router(state: AppserviceState) -> Router {
    let token = state.0.token.clone();
    let mut router = Router::new();
    for base in ["/_matrix/app/v1", ""] {
        router = router
            .route(
                &format!("{base}/transactions/{{txn_id}}"),
                put(transactions::take),
            )
            .route(&format!("{base}/users/{{user}}"), get(query::user))
            .route(&format!("{base}/rooms/{{alias}}"), get(query::room));
    }
    for base in ["/_matrix/app/v1", "/_matrix/app/unstable"] {
        let base = format!("{base}/thirdparty");
        router = router
            .route(
                &format!("{base}/protocol/{{protocol}}"),
                get(thirdparty::protocol),
            )
            .route(
                &format!("{base}/user/{{protocol}}"),
                get(thirdparty::user_by_fields),
            )
            .route(&format!("{base}/user"), get(thirdparty::user_by_id))
            .route(
                &format!("{base}/location/{{protocol}}"),
                get(thirdparty::location_by_fields),
            )
            .route(
                &format!("{base}/location"),
                get(thirdparty::location_by_alias),
            );
    }
    router = router
        .route("/_matrix/app/v1/ping", post(ping::answer))
        .route(
            "/_matrix/app/unstable/fi.mau.msc2659/ping",
            post(ping::answer),
        );
    guarded(router, token).with_state(state)
}

/// Only the ping endpoint: enough to see whether the homeserver reaches this machine while the bridge does not run.
pub fn ping_router(hs_token: &SecretString) -> Router {
    let router = Router::new().route("/_matrix/app/v1/ping", post(ping::answer_alone));
    guarded(router, auth::Token::new(hs_token))
}

/// Puts the token before every path and method, those that do not exist included.
fn guarded<S: Clone + Send + Sync + 'static>(router: Router<S>, token: auth::Token) -> Router<S> {
    router
        .fallback(unknown_path)
        .method_not_allowed_fallback(unknown_method)
        .layer(middleware::from_fn_with_state(token, auth::demand))
}

async fn unknown_path() -> Response {
    answer::error(
        StatusCode::NOT_FOUND,
        ErrorKind::Unrecognized,
        "there is no such endpoint",
    )
}

async fn unknown_method() -> Response {
    answer::error(
        StatusCode::METHOD_NOT_ALLOWED,
        ErrorKind::Unrecognized,
        "this endpoint has no such method",
    )
}
