//! Chats, groups, and the rooms that mirror them.

use std::sync::Arc;

use axum::{Extension, Json, extract::State, http::StatusCode};
use ruma::{OwnedRoomId, RoomId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    ProvisioningState,
    caller::Caller,
    error::{ApiError, Refusal},
    extract::{Body, Path},
};
use crate::{
    bridge::Bridge,
    config::Level,
    domain::ChatId,
    store::{LoginRow, PortalRow},
};

/// The most members of a new group.
const MOST_MEMBERS: usize = 256;

/// A chat to open.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OpenChat {
    /// A phone number or id, or a group's address.
    identifier: String,
}

/// A group to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewGroup {
    /// Its name.
    #[schema(min_length = 1, max_length = 100)]
    subject: String,
    /// Phone numbers or ids.
    members: Vec<String>,
    /// The room that is to mirror it; a new one if none.
    #[serde(default)]
    room_id: Option<String>,
}

/// A chat to link.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewLink {
    /// The login that is in the chat.
    login: i64,
    /// A phone number or id, or a group's address.
    identifier: String,
}

/// The login that is to speak for others.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRelay {
    /// Its number.
    login: i64,
}

/// A room.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Room {
    /// Its id.
    room_id: String,
    /// The chats it mirrors.
    links: Vec<Link>,
}

/// A chat a room mirrors.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Link {
    /// The gatekeeper.
    gatekeeper: String,
    /// The chat's address.
    chat: String,
    /// Whether the room is somebody's own, which was linked.
    linked: bool,
    /// The login that speaks for those who have none.
    relay: Option<i64>,
}

fn room_id(text: &str) -> Result<OwnedRoomId, ApiError> {
    RoomId::parse(text).map_err(|error| ApiError::bad(format!("this is no room id: {error}")))
}

/// The chat that is meant, and may be written to.
async fn chat(bridge: &Bridge, row: &LoginRow, identifier: &str) -> Result<ChatId, ApiError> {
    let identifier = identifier.trim();
    if let Ok(chat) = ChatId::parse(identifier)
        && chat.is_group()
    {
        return Ok(chat);
    }
    let contact = bridge.contact(row.id, identifier).await?;
    Ok(ChatId::direct(&contact.user))
}

async fn links(bridge: &Bridge, room: &RoomId) -> Result<Vec<PortalRow>, ApiError> {
    Ok(bridge.portals_in(room).await?)
}

/// Whether somebody has something to do with a portal.
async fn takes_part(
    bridge: &Bridge,
    caller: &Caller,
    portal: &PortalRow,
) -> Result<bool, ApiError> {
    if caller.level >= Level::Admin {
        return Ok(true);
    }
    let (mxid, of) = (caller.user.to_string(), portal.clone());
    Ok(bridge
        .database()
        .read(move |txn| {
            let (mxid, of) = (mxid.clone(), of.clone());
            Box::pin(async move {
                let logins = match of.key.login {
                    Some(login) => txn.login(login).await?.into_iter().collect(),
                    None => txn.group_logins(&of.key.gatekeeper, &of.key.chat).await?,
                };
                Ok(logins.iter().any(|login| login.mxid == mxid))
            })
        })
        .await?)
}

async fn show(bridge: &Bridge, caller: &Caller, room: &RoomId) -> Result<Room, ApiError> {
    let mut shown = Vec::new();
    for portal in links(bridge, room).await? {
        if takes_part(bridge, caller, &portal).await? {
            shown.push(Link {
                gatekeeper: portal.key.gatekeeper.to_string(),
                chat: portal.key.chat.to_string(),
                linked: portal.linked,
                relay: portal.relay.map(|login| login.0),
            });
        }
    }
    if shown.is_empty() {
        return Err(ApiError::not_found(format!(
            "{room} mirrors no chat of yours"
        )));
    }
    Ok(Room {
        room_id: room.to_string(),
        links: shown,
    })
}

/// The room of a chat, made if there is none.
#[utoipa::path(post, path = "/_drawbridge/v1/logins/{login}/chats", params(("login" = i64, Path), super::caller::UserId), request_body = OpenChat, responses(
    (status = 200, body = Room), (status = 400, body = Refusal), (status = 401, body = Refusal), (status = 403, body = Refusal),
    (status = 404, body = Refusal), (status = 409, body = Refusal), (status = 413, body = Refusal), (status = 415, body = Refusal),
    (status = 502, body = Refusal),
))]
pub(super) async fn open_chat(
    State(state): State<ProvisioningState>,
    Extension(caller): Extension<Arc<Caller>>,
    Path(login): Path<i64>,
    Body(wanted): Body<OpenChat>,
) -> Result<Json<Room>, ApiError> {
    let row = state.active_login(&caller, login).await?;
    let bridge = state.bridge()?;
    let chat = chat(&bridge, &row, &wanted.identifier).await?;
    let room = bridge.open_chat(row.id, &chat).await?;
    Ok(Json(show(&bridge, &caller, &room).await?))
}

/// Makes a group and the room that mirrors it.
#[utoipa::path(post, path = "/_drawbridge/v1/logins/{login}/groups", params(("login" = i64, Path), super::caller::UserId), request_body = NewGroup, responses(
    (status = 200, body = Room), (status = 400, body = Refusal), (status = 401, body = Refusal), (status = 403, body = Refusal),
    (status = 404, body = Refusal), (status = 409, body = Refusal), (status = 413, body = Refusal), (status = 415, body = Refusal),
    (status = 502, body = Refusal),
))]
pub(super) async fn create_group(
    State(state): State<ProvisioningState>,
    Extension(caller): Extension<Arc<Caller>>,
    Path(login): Path<i64>,
    Body(wanted): Body<NewGroup>,
) -> Result<Json<Room>, ApiError> {
    let row = state.active_login(&caller, login).await?;
    let bridge = state.bridge()?;
    let subject = wanted.subject.trim();
    if subject.is_empty() || subject.chars().count() > 100 {
        return Err(ApiError::bad("`subject` needs 1 to 100 characters"));
    }
    if wanted.members.len() > MOST_MEMBERS {
        return Err(ApiError::bad(format!(
            "a new group takes {MOST_MEMBERS} members at most; add the others later"
        )));
    }
    let at = wanted.room_id.as_deref().map(room_id).transpose()?;
    let mut members = Vec::new();
    for member in &wanted.members {
        members.push(bridge.contact(row.id, member).await?.user);
    }
    let room = bridge
        .group_from(&caller.user, row.id, subject, &members, at.as_deref())
        .await?;
    Ok(Json(show(&bridge, &caller, &room).await?))
}

/// The chats a room mirrors.
#[utoipa::path(get, path = "/_drawbridge/v1/rooms/{room_id}", params(("room_id" = String, Path), super::caller::UserId), responses(
    (status = 200, body = Room), (status = 400, body = Refusal), (status = 401, body = Refusal), (status = 403, body = Refusal),
    (status = 404, body = Refusal), (status = 502, body = Refusal),
))]
pub(super) async fn room(
    State(state): State<ProvisioningState>,
    Extension(caller): Extension<Arc<Caller>>,
    Path(room): Path<String>,
) -> Result<Json<Room>, ApiError> {
    let room = room_id(&room)?;
    Ok(Json(show(&*state.bridge()?, &caller, &room).await?))
}

/// Links a room to a chat. The user needs the power to change the room's settings.
#[utoipa::path(post, path = "/_drawbridge/v1/rooms/{room_id}/links", params(("room_id" = String, Path), super::caller::UserId), request_body = NewLink, responses(
    (status = 200, body = Room), (status = 400, body = Refusal), (status = 401, body = Refusal), (status = 403, body = Refusal),
    (status = 404, body = Refusal), (status = 409, body = Refusal, description = "A conflict or a lack of power, which the sentence names."),
    (status = 413, body = Refusal), (status = 415, body = Refusal), (status = 502, body = Refusal),
))]
pub(super) async fn link(
    State(state): State<ProvisioningState>,
    Extension(caller): Extension<Arc<Caller>>,
    Path(room): Path<String>,
    Body(wanted): Body<NewLink>,
) -> Result<Json<Room>, ApiError> {
    let room = room_id(&room)?;
    let row = state.active_login(&caller, wanted.login).await?;
    let bridge = state.bridge()?;
    let chat = chat(&bridge, &row, &wanted.identifier).await?;
    bridge.link_room(&caller.user, row.id, &chat, &room).await?;
    Ok(Json(show(&bridge, &caller, &room).await?))
}

/// Ends the link of a room to a chat.
#[utoipa::path(delete, path = "/_drawbridge/v1/rooms/{room_id}/links/{chat}", params(("room_id" = String, Path), ("chat" = String, Path), super::caller::UserId), responses(
    (status = 204), (status = 400, body = Refusal), (status = 401, body = Refusal), (status = 403, body = Refusal),
    (status = 404, body = Refusal), (status = 409, body = Refusal), (status = 502, body = Refusal),
))]
pub(super) async fn unlink(
    State(state): State<ProvisioningState>,
    Extension(caller): Extension<Arc<Caller>>,
    Path((room, chat)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let room = room_id(&room)?;
    let chat = ChatId::parse(chat)
        .map_err(|error| ApiError::bad(format!("this is no chat's address: {error}")))?;
    let bridge = state.bridge()?;
    show(&bridge, &caller, &room).await?;
    bridge.unlink_room(&caller.user, &room, Some(&chat)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lets a login speak in a room for those who have none.
#[utoipa::path(put, path = "/_drawbridge/v1/rooms/{room_id}/relay", params(("room_id" = String, Path), super::caller::UserId), request_body = NewRelay, responses(
    (status = 204), (status = 400, body = Refusal), (status = 401, body = Refusal), (status = 403, body = Refusal),
    (status = 404, body = Refusal), (status = 409, body = Refusal), (status = 413, body = Refusal), (status = 415, body = Refusal),
    (status = 502, body = Refusal),
))]
pub(super) async fn set_relay(
    State(state): State<ProvisioningState>,
    Extension(caller): Extension<Arc<Caller>>,
    Path(room): Path<String>,
    Body(wanted): Body<NewRelay>,
) -> Result<StatusCode, ApiError> {
    let room = room_id(&room)?;
    let row = state.active_login(&caller, wanted.login).await?;
    let bridge = state.bridge()?;
    show(&bridge, &caller, &room).await?;
    bridge.set_relay(&caller.user, &room, Some(row.id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lets no login speak for others any more.
#[utoipa::path(delete, path = "/_drawbridge/v1/rooms/{room_id}/relay", params(("room_id" = String, Path), super::caller::UserId), responses(
    (status = 204), (status = 400, body = Refusal), (status = 401, body = Refusal), (status = 403, body = Refusal),
    (status = 404, body = Refusal), (status = 409, body = Refusal), (status = 502, body = Refusal),
))]
pub(super) async fn unset_relay(
    State(state): State<ProvisioningState>,
    Extension(caller): Extension<Arc<Caller>>,
    Path(room): Path<String>,
) -> Result<StatusCode, ApiError> {
    let room = room_id(&room)?;
    let bridge = state.bridge()?;
    show(&bridge, &caller, &room).await?;
    bridge.set_relay(&caller.user, &room, None).await?;
    Ok(StatusCode::NO_CONTENT)
}
