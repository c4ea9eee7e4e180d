//! How the bridge and its connections are.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Extension, Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    ProvisioningState,
    caller::Caller,
    error::{ApiError, Refusal},
};
use crate::{bridge::Bridge, config::Level, network::ConnectionState, store::LoginRow};

/// The most events in quarantine that are counted.
const COUNTED: i64 = 1000;

/// How a login's connection is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Connection {
    /// How it is.
    state: ConnectionIs,
    /// Why it does not work, if it does not.
    reason: Option<String>,
    /// When it is tried again, in milliseconds since the Unix epoch.
    next_try: Option<i64>,
}

/// How a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ConnectionIs {
    /// None is wanted now.
    Idle,
    /// It is being made.
    Connecting,
    /// It works.
    Connected,
    /// It failed for a reason that may pass.
    Waiting,
    /// It will not work without somebody's doing.
    Failed,
}

impl Connection {
    pub(super) fn of(bridge: &Bridge, row: &LoginRow) -> Self {
        let state = bridge
            .network(&row.gatekeeper)
            .map_or(ConnectionState::Idle, |network| network.connection(row.id));
        let (state, reason, next_try) = match state {
            ConnectionState::Idle => (ConnectionIs::Idle, None, None),
            ConnectionState::Connecting => (ConnectionIs::Connecting, None, None),
            ConnectionState::Connected => (ConnectionIs::Connected, None, None),
            ConnectionState::Waiting { reason, until } => {
                (ConnectionIs::Waiting, Some(reason), Some(until.0))
            }
            ConnectionState::Failed { reason } => (ConnectionIs::Failed, Some(reason), None),
        };
        Self {
            state,
            reason,
            next_try,
        }
    }
}

/// How the bridge is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Status {
    /// Its version.
    version: String,
    /// How many portals there are.
    portals: usize,
    /// How many rooms have events waiting for the gatekeepers.
    rooms_waiting: usize,
    /// How many chats have messages waiting for the homeserver.
    chats_waiting: usize,
    /// How many stanzas wait for the gatekeepers.
    stanzas_waiting: i64,
    /// How many events are in quarantine, 1,000 at most.
    quarantined: usize,
    /// How many logins there are, by how their connections are.
    connections: BTreeMap<ConnectionIs, usize>,
}

/// How the bridge is; for admins.
#[utoipa::path(get, path = "/_drawbridge/v1/status", params(super::caller::UserId), responses(
    (status = 200, body = Status), (status = 400, body = Refusal), (status = 401, body = Refusal), (status = 403, body = Refusal),
    (status = 502, body = Refusal),
))]
pub(super) async fn status(
    State(state): State<ProvisioningState>,
    Extension(caller): Extension<Arc<Caller>>,
) -> Result<Json<Status>, ApiError> {
    if caller.level < Level::Admin {
        return Err(ApiError::forbidden("only admins of the bridge are told"));
    }
    let bridge = state.bridge()?;
    let (logins, mut status) = bridge
        .database()
        .read(|txn| {
            Box::pin(async move {
                let logins = txn.logins().await?;
                let mut stanzas_waiting = 0;
                for login in &logins {
                    stanzas_waiting += txn.queue_length(login.id).await?;
                }
                let status = Status {
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                    portals: txn.portals().await?.len(),
                    rooms_waiting: txn.waiting_rooms().await?.len(),
                    chats_waiting: txn.waiting_chats().await?.len(),
                    stanzas_waiting,
                    quarantined: txn.quarantined_events(COUNTED).await?.len(),
                    connections: BTreeMap::new(),
                };
                Ok((logins, status))
            })
        })
        .await?;
    for login in &logins {
        let connection = Connection::of(&bridge, login);
        *status.connections.entry(connection.state).or_default() += 1;
    }
    Ok(Json(status))
}
