//! `GET /_matrix/app/v1/thirdparty/…`: looking up the gatekeepers and their users in a client's directory.
//!
//! <https://spec.matrix.org/v1.16/application-service-api/#third-party-networks>
//!
//! A user is found by the address it has on the wire. Rooms have no address there: portals belong to one user each.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Path, Query, State, rejection::PathRejection},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use ruma::{
    UserId,
    api::error::ErrorKind,
    thirdparty::{
        FieldType, FieldTypeInit, Protocol, ProtocolInit, ProtocolInstance, ProtocolInstanceInit,
        User,
    },
};

use super::{AppserviceState, Directory, answer};
use crate::domain::{GatekeeperId, RemoteUserId};

/// The one field users are known by.
const ADDRESS: &str = "address";

type Fields = Query<BTreeMap<String, String>>;

pub(super) async fn protocol(
    State(state): State<AppserviceState>,
    path: Result<Path<String>, PathRejection>,
) -> Response {
    let found = named(&state, path).map(|(id, name, _)| {
        let field = FieldType::from(FieldTypeInit {
            regexp: "[!-~]+@[!-~]+".to_owned(),
            placeholder: "4915155550001@s.whatsapp.net".to_owned(),
        });
        let instance = ProtocolInstance::from(ProtocolInstanceInit {
            desc: name.to_owned(),
            fields: BTreeMap::new(),
            network_id: id.to_string(),
        });
        let protocol: Protocol = Protocol::from(ProtocolInit {
            user_fields: vec![ADDRESS.to_owned()],
            location_fields: Vec::new(),
            icon: String::new(),
            field_types: BTreeMap::from([(ADDRESS.to_owned(), field)]),
            instances: vec![instance],
        });
        Json(protocol).into_response()
    });
    found.unwrap_or_else(nothing)
}

pub(super) async fn user_by_fields(
    State(state): State<AppserviceState>,
    path: Result<Path<String>, PathRejection>,
    Query(fields): Fields,
) -> Response {
    let found = named(&state, path).and_then(|(id, _, directory)| {
        let remote = RemoteUserId::parse(fields.get(ADDRESS)?.as_str()).ok()?;
        Some(users(directory, &id, &remote))
    });
    found.unwrap_or_else(nothing)
}

pub(super) async fn user_by_id(
    State(state): State<AppserviceState>,
    Query(query): Fields,
) -> Response {
    let found = || {
        let directory = state.0.directory.as_ref()?;
        let user = UserId::parse(query.get("userid")?.as_str()).ok()?;
        let (id, remote) = directory.naming.parse(&user)?;
        directory.gatekeepers.get(&id)?;
        Some(users(directory, &id, &remote))
    };
    found().unwrap_or_else(nothing)
}

pub(super) async fn location_by_fields() -> Response {
    nothing()
}

pub(super) async fn location_by_alias() -> Response {
    nothing()
}

fn named(
    state: &AppserviceState,
    path: Result<Path<String>, PathRejection>,
) -> Option<(GatekeeperId, &str, &Directory)> {
    let directory = state.0.directory.as_ref()?;
    let id = GatekeeperId::parse(path.ok()?.0).ok()?;
    let name = directory.gatekeepers.get(&id)?;
    Some((id, name, directory))
}

fn users(directory: &Directory, id: &GatekeeperId, remote: &RemoteUserId) -> Response {
    let user = User::new(
        directory.naming.mxid(id, remote),
        id.to_string(),
        BTreeMap::from([(ADDRESS.to_owned(), remote.to_string())]),
    );
    Json([user]).into_response()
}

fn nothing() -> Response {
    answer::error(
        StatusCode::NOT_FOUND,
        ErrorKind::NotFound,
        "nothing was found",
    )
}
