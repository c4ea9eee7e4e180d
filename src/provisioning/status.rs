//! How the bridge and its connections are.

use std::collections::BTreeMap;

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use super::{asker::Asker, error::ApiError, extract::ActsFor};
use crate::{
    bridge::{Bridge, LoginCondition},
    config::Level,
    store::LoginRow,
};

/// The most events in quarantine that are counted.
const COUNTED: i64 = 1000;

/// How a login's connection is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Connection {
    /// How it is.
    state: ConnectionIs,
    /// Why it does not work, if it does not.
    #[schema(example = "the gatekeeper does not answer")]
    reason: Option<String>,
    /// Since when, in milliseconds since the Unix epoch; nothing if it was the same since the bridge started.
    #[schema(example = 1_767_225_600_000_i64)]
    since: Option<i64>,
    /// When it is tried again, in milliseconds since the Unix epoch, if it is.
    #[schema(example = 1_767_225_660_000_i64)]
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
        let status = bridge.login_status(row.id);
        Self {
            state: match status.state {
                LoginCondition::Idle => ConnectionIs::Idle,
                LoginCondition::Connecting => ConnectionIs::Connecting,
                LoginCondition::Connected => ConnectionIs::Connected,
                LoginCondition::Waiting => ConnectionIs::Waiting,
                LoginCondition::Failed => ConnectionIs::Failed,
            },
            reason: status.reason,
            since: (status.since.0 > 0).then_some(status.since.0),
            next_try: status.next_try.map(|at| at.0),
        }
    }
}

/// Whether encrypted rooms are bridged.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EncryptedRooms {
    /// Whether the configuration allows them.
    allowed: bool,
    /// Why they cannot be bridged now, if they cannot.
    refusal: Option<String>,
}

/// How the bridge is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Status {
    /// Its version.
    #[schema(example = "0.1.0")]
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
    /// Whether encrypted rooms are bridged.
    encryption: EncryptedRooms,
    /// How many logins there are, by how their connections are.
    connections: BTreeMap<ConnectionIs, usize>,
}

/// How the bridge is; for admins.
#[utoipa::path(
    get,
    path = "/_drawbridge/v1/status",
    tag = "bridge",
    params(ActsFor),
    responses(
        (status = 200, description = "How the bridge is.", body = Status),
    )
)]
pub(super) async fn status(Asker { bridge, caller }: Asker) -> Result<Json<Status>, ApiError> {
    if caller.level < Level::Admin {
        return Err(ApiError::forbidden("only admins of the bridge are told"));
    }
    let cipher = bridge.homeserver().cipher().cloned();
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
                    encryption: EncryptedRooms {
                        allowed: false,
                        refusal: None,
                    },
                    connections: BTreeMap::new(),
                };
                Ok((logins, status))
            })
        })
        .await?;
    if let Some(cipher) = cipher {
        status.encryption = EncryptedRooms {
            allowed: true,
            refusal: cipher.refusal(),
        };
    }
    for login in &logins {
        let connection = Connection::of(&bridge, login);
        *status.connections.entry(connection.state).or_default() += 1;
    }
    Ok(Json(status))
}
