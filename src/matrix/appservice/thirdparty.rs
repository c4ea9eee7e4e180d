//! `GET /_matrix/app/v1/thirdparty/…`: looking up the gatekeepers, their users and linked rooms in a client's directory.
//!
//! <https://spec.matrix.org/v1.16/application-service-api/#third-party-networks>
//!
//! A user is found by a phone number as people write it, or by the address on the wire. That follows from the number or address alone:
//! the homeserver does not say who asks, so nobody is asked, and an answer does not tell whether there is such a user.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Path, Query, State, rejection::PathRejection},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use ruma::{
    RoomAliasId, UserId,
    api::error::ErrorKind,
    thirdparty::{
        FieldType, FieldTypeInit, Location, Protocol, ProtocolInit, ProtocolInstance,
        ProtocolInstanceInit, User,
    },
};

use super::{AppserviceState, Directory, answer};
use crate::domain::{ChatId, GatekeeperId, RemoteUserId};

/// The field of a user's phone number.
const PHONE: &str = "phone";
/// The field of a user's address.
const ADDRESS: &str = "address";
/// The field of a group's address.
const CHAT: &str = "chat";

type Fields = Query<BTreeMap<String, String>>;

pub(super) async fn protocol(
    State(state): State<AppserviceState>,
    path: Result<Path<String>, PathRejection>,
) -> Response {
    let found = named(&state, path).map(|(id, name, _)| {
        let field = |regexp: &str, placeholder: &str| {
            FieldType::from(FieldTypeInit {
                regexp: regexp.to_owned(),
                placeholder: placeholder.to_owned(),
            })
        };
        let icon = state.0.sink.icon();
        let mut instance = ProtocolInstance::from(ProtocolInstanceInit {
            desc: name.to_owned(),
            fields: BTreeMap::new(),
            network_id: id.to_string(),
        });
        instance.icon.clone_from(&icon);
        let protocol: Protocol = Protocol::from(ProtocolInit {
            user_fields: vec![PHONE.to_owned(), ADDRESS.to_owned()],
            location_fields: vec![CHAT.to_owned()],
            icon: icon.unwrap_or_default(),
            field_types: BTreeMap::from([
                (
                    PHONE.to_owned(),
                    field("\\+?[0-9][0-9 ()./-]{5,24}", "+49 151 55550001"),
                ),
                (
                    ADDRESS.to_owned(),
                    field("[!-~]+@[!-~]+", "4915155550001@s.whatsapp.net"),
                ),
                (
                    CHAT.to_owned(),
                    field("[!-~]+@[!-~]+", "120363041234567890@g.us"),
                ),
            ]),
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
        let address = fields
            .get(ADDRESS)
            .map(|address| RemoteUserId::parse(address.as_str()).ok());
        let phone = fields
            .get(PHONE)
            .map(|phone| state.0.sink.number_means(&id, phone));
        let remote = match (address, phone) {
            (Some(address), None) => address?,
            (None, Some(phone)) => phone?,
            // Both have to be the same user's.
            (Some(address), Some(phone)) => {
                address.filter(|address| Some(address) == phone.as_ref())?
            }
            (None, None) => return None,
        };
        Some(users(&state, directory, &id, &remote))
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
        Some(users(&state, directory, &id, &remote))
    };
    found().unwrap_or_else(nothing)
}

pub(super) async fn location_by_fields(
    State(state): State<AppserviceState>,
    path: Result<Path<String>, PathRejection>,
    Query(fields): Fields,
) -> Response {
    let asked = named(&state, path).and_then(|(id, ..)| {
        let chat = ChatId::parse(fields.get(CHAT)?.as_str()).ok()?;
        Some((id, chat))
    });
    let Some((id, chat)) = asked else {
        return nothing();
    };
    match state.0.sink.alias_of(&id, &chat).await {
        Some(alias) => Json([location(&alias, &id, &chat)]).into_response(),
        None => nothing(),
    }
}

pub(super) async fn location_by_alias(
    State(state): State<AppserviceState>,
    Query(query): Fields,
) -> Response {
    let alias = query
        .get("alias")
        .and_then(|alias| RoomAliasId::parse(alias.as_str()).ok());
    let Some(alias) = alias.filter(|_| state.0.directory.is_some()) else {
        return nothing();
    };
    let groups = state.0.sink.groups_behind(&alias).await;
    if groups.is_empty() {
        return nothing();
    }
    let found: Vec<Location> = groups
        .iter()
        .map(|(id, chat)| location(&alias, id, chat))
        .collect();
    Json(found).into_response()
}

fn location(alias: &RoomAliasId, id: &GatekeeperId, chat: &ChatId) -> Location {
    let fields = BTreeMap::from([(CHAT.to_owned(), chat.to_string())]);
    Location::new(alias.to_owned(), id.to_string(), fields)
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

fn users(
    state: &AppserviceState,
    directory: &Directory,
    id: &GatekeeperId,
    remote: &RemoteUserId,
) -> Response {
    let mut fields = BTreeMap::from([(ADDRESS.to_owned(), remote.to_string())]);
    if let Some(phone) = state.0.sink.number_of(id, remote) {
        fields.insert(PHONE.to_owned(), phone);
    }
    let user = User::new(directory.naming.mxid(id, remote), id.to_string(), fields);
    Json([user]).into_response()
}

fn nothing() -> Response {
    answer::error(
        StatusCode::NOT_FOUND,
        ErrorKind::NotFound,
        "nothing was found",
    )
}
