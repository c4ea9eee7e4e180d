//! The provisioning API: what the bot's commands do, for programs. Off by default.
//!
//! Every path under it, known or not, demands a caller: a program with the secret, which names the user it acts for by `user_id`,
//! or a user of the homeserver with an `OpenID` token. Its description (`openapi.json`) is made from the code by [`description`].

mod account;
mod asker;
mod caller;
mod description;
mod error;
mod extract;
mod people;
mod rooms;
mod status;

use std::sync::{Arc, Weak};

use axum::{
    Json, Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{delete, get, post, put},
};

pub use self::description::description;
use self::{caller::Callers, error::ApiError, extract::ActsFor};
use crate::{bridge::Bridge, config::ProvisioningConfig, matrix::Client};

/// The largest body of a request, in bytes.
const MOST_BYTES: usize = 64 * 1024;
/// What every path begins with.
const PREFIX: &str = "/_drawbridge";

/// What the endpoints need; cheap to clone.
#[derive(Clone)]
pub struct ProvisioningState(Arc<Inner>);

struct Inner {
    bridge: Weak<Bridge>,
    callers: Callers,
}

impl ProvisioningState {
    /// Endpoints over a bridge, for those the configuration lets in.
    #[must_use]
    pub fn new(bridge: &Arc<Bridge>, client: Client, config: &ProvisioningConfig) -> Self {
        Self(Arc::new(Inner {
            bridge: Arc::downgrade(bridge),
            callers: Callers::new(config, client),
        }))
    }

    fn bridge(&self) -> Result<Arc<Bridge>, ApiError> {
        self.0.bridge.upgrade().ok_or_else(ApiError::stopping)
    }
}

/// The endpoints, under `/_drawbridge`; every other path is somebody else's.
pub fn router(state: ProvisioningState) -> Router {
    Router::new().nest_service(PREFIX, endpoints(state))
}

/// The endpoints on a listener of their own: every other path demands a caller too.
pub fn router_alone(state: ProvisioningState) -> Router {
    let endpoints = endpoints(state);
    Router::new()
        .nest_service(PREFIX, endpoints.clone())
        .fallback_service(endpoints)
}

fn endpoints(state: ProvisioningState) -> Router {
    let api = Router::new()
        .route("/openapi.json", get(describe))
        .route("/whoami", get(account::whoami))
        .route("/login_flows", get(account::login_flows))
        .route("/logins", get(account::logins).post(account::log_in))
        .route("/logins/{login}", delete(account::log_out))
        .route("/logins/{login}/reconnect", post(account::reconnect))
        .route("/logins/{login}/contacts", get(people::contacts))
        .route("/logins/{login}/resolve", get(people::resolve))
        .route("/logins/{login}/blocked", get(people::blocked))
        .route(
            "/logins/{login}/blocked/{user}",
            put(people::block).delete(people::unblock),
        )
        .route(
            "/logins/{login}/reachability",
            post(people::ask_reachability),
        )
        .route("/logins/{login}/chats", post(rooms::open_chat))
        .route("/logins/{login}/groups", post(rooms::create_group))
        .route("/rooms/{room_id}", get(rooms::room))
        .route("/rooms/{room_id}/sync", post(rooms::sync))
        .route("/rooms/{room_id}/links", post(rooms::link))
        .route("/rooms/{room_id}/links/{chat}", delete(rooms::unlink))
        .route(
            "/rooms/{room_id}/relay",
            put(rooms::set_relay).delete(rooms::unset_relay),
        )
        .route("/status", get(status::status));
    Router::new()
        .nest("/v1", api)
        .fallback(error::unknown_path)
        .method_not_allowed_fallback(error::unknown_method)
        .layer(middleware::from_fn_with_state(
            state.clone(),
            caller::demand,
        ))
        .layer(DefaultBodyLimit::max(MOST_BYTES))
        .with_state(state)
}

/// This description.
#[utoipa::path(
    get,
    path = "/_drawbridge/v1/openapi.json",
    tag = "bridge",
    params(ActsFor),
    responses((status = 200, description = "The description, in OpenAPI 3.1.", body = Object))
)]
async fn describe() -> Json<utoipa::openapi::OpenApi> {
    Json(description())
}
