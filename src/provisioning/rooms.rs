//! Chats, groups, and the rooms that mirror them.

use axum::{Json, http::StatusCode};
use ruma::RoomId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    asker::{ActiveLogin, Asker, InRoom},
    error::{ApiError, Refusal},
    extract::{
        ActsFor, Body, ChatPath, LONGEST, LoginPath, Path, RoomPath, bounded, room_id, whole,
    },
};
use crate::{
    bridge::Bridge,
    config::Level,
    domain::ChatId,
    store::{LoginRow, PortalRow},
};

/// The most members of a new group.
const MOST_MEMBERS: usize = 256;
/// The longest name of a new group.
const LONGEST_SUBJECT: usize = 100;

/// A chat to open.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OpenChat {
    /// A phone number in international form, an address of the gatekeeper, or a group's address.
    #[schema(
        min_length = 1,
        max_length = 255,
        pattern = "^[^\\x00-\\x1f\\x7f]+$",
        example = "+447700900001"
    )]
    identifier: String,
}

/// A phone number in international form, or an address of the gatekeeper.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(
    min_length = 1,
    max_length = 255,
    pattern = "^[^\\x00-\\x1f\\x7f]+$",
    example = "+447700900001"
)]
pub(super) struct Identifier(String);

/// A group to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewGroup {
    /// Its name.
    #[schema(
        min_length = 1,
        max_length = 100,
        pattern = "^[^\\x00-\\x1f\\x7f]+$",
        example = "Hike"
    )]
    subject: String,
    /// Phone numbers in international form, or addresses of the gatekeeper; those whose ghosts are in the room are members too.
    #[schema(max_items = 256, example = json!(["+447700900001", "+447700900002"]))]
    members: Vec<Identifier>,
    /// The room that is to mirror it; a new one if none.
    #[serde(default)]
    #[schema(
        min_length = 2,
        max_length = 255,
        pattern = "^![!-~]+$",
        example = "!hike:example.org"
    )]
    room_id: Option<String>,
}

/// A chat to link.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewLink {
    /// The login that is in the chat.
    #[schema(
        minimum = 1,
        maximum = 9_007_199_254_740_991_i64,
        example = 4_862_117_003_i64
    )]
    #[serde(deserialize_with = "whole")]
    login: i64,
    /// A phone number in international form, an address of the gatekeeper, or a group's address.
    #[schema(
        min_length = 1,
        max_length = 255,
        pattern = "^[^\\x00-\\x1f\\x7f]+$",
        example = "+447700900001"
    )]
    identifier: String,
}

/// The login that is to speak for others.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRelay {
    /// Its number.
    #[schema(
        minimum = 1,
        maximum = 9_007_199_254_740_991_i64,
        example = 4_862_117_003_i64
    )]
    #[serde(deserialize_with = "whole")]
    login: i64,
}

/// A room.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Room {
    /// Its id.
    #[schema(example = "!trip:example.org")]
    room_id: String,
    /// The chats it mirrors.
    links: Vec<Link>,
}

/// A chat a room mirrors.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Link {
    /// The gatekeeper's id.
    #[schema(example = "whatsapp")]
    gatekeeper: String,
    /// The chat's address.
    #[schema(example = "447700900001@s.whatsapp.net")]
    chat: String,
    /// Whether the room is somebody's own, which was linked.
    linked: bool,
    /// The login that speaks for those who have none.
    relay: Option<i64>,
}

/// The chat that is meant, and may be written to.
async fn chat(bridge: &Bridge, row: &LoginRow, identifier: &str) -> Result<ChatId, ApiError> {
    let identifier = bounded("identifier", identifier, LONGEST)?.trim();
    if let Ok(chat) = ChatId::parse(identifier)
        && chat.is_group()
    {
        return Ok(chat);
    }
    let contact = bridge.contact(row.id, identifier).await?;
    Ok(ChatId::direct(&contact.user))
}

/// Whether somebody has something to do with a portal.
async fn takes_part(asker: &Asker, portal: &PortalRow) -> Result<bool, ApiError> {
    if asker.caller.level >= Level::Admin {
        return Ok(true);
    }
    let (mxid, of) = (asker.caller.user.to_string(), portal.clone());
    Ok(asker
        .bridge
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

async fn show(asker: &Asker, room: &RoomId) -> Result<Room, ApiError> {
    let mut shown = Vec::new();
    for portal in asker.bridge.portals_in(room).await? {
        if takes_part(asker, &portal).await? {
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
#[utoipa::path(
    post,
    path = "/_drawbridge/v1/logins/{login}/chats",
    tag = "rooms",
    params(LoginPath, ActsFor),
    request_body(content = OpenChat, description = "The chat."),
    responses(
        (status = 200, description = "The room of the chat; the user is invited.", body = Room),
        (status = 404, description = "The user has no such login, or there is no such chat.", body = Refusal),
        (status = 409, description = "They take no messages of other apps, the login is being ended, or the gatekeeper or the homeserver refuses.", body = Refusal),
    )
)]
pub(super) async fn open_chat(
    ActiveLogin { asker, row }: ActiveLogin,
    Body(wanted): Body<OpenChat>,
) -> Result<Json<Room>, ApiError> {
    let bridge = &asker.bridge;
    let chat = chat(bridge, &row, &wanted.identifier).await?;
    let room = bridge.open_chat(row.id, &chat).await?;
    Ok(Json(show(&asker, &room).await?))
}

/// Makes a group and the room that mirrors it.
#[utoipa::path(
    post,
    path = "/_drawbridge/v1/logins/{login}/groups",
    tag = "rooms",
    params(LoginPath, ActsFor),
    request_body(content = NewGroup, description = "The group."),
    responses(
        (status = 200, description = "The room of the group.", body = Room),
        (status = 403, description = "The user may not use the bridge, or lacks the power to do this in the room; the sentence names it, and who has it.", body = Refusal),
        (status = 404, description = "The user has no such login, or there is nobody of that identifier.", body = Refusal),
        (status = 409, description = "The room is in use, the login is being ended, or the gatekeeper or the homeserver refuses.", body = Refusal),
    )
)]
pub(super) async fn create_group(
    ActiveLogin { asker, row }: ActiveLogin,
    Body(wanted): Body<NewGroup>,
) -> Result<Json<Room>, ApiError> {
    let bridge = &asker.bridge;
    let subject = bounded("subject", &wanted.subject, LONGEST_SUBJECT)?;
    if wanted.members.len() > MOST_MEMBERS {
        return Err(ApiError::bad(format!(
            "a new group takes {MOST_MEMBERS} members at most; add the others later"
        )));
    }
    let at = wanted.room_id.as_deref().map(room_id).transpose()?;
    let network = bridge.network(&row.gatekeeper)?;
    let mut members = Vec::with_capacity(wanted.members.len());
    for Identifier(member) in &wanted.members {
        members.push(network.address(bounded("members", member, LONGEST)?)?);
    }
    let room = bridge
        .group_from(&asker.caller.user, row.id, subject, &members, at.as_deref())
        .await?;
    Ok(Json(show(&asker, &room).await?))
}

/// The chats a room mirrors.
#[utoipa::path(
    get,
    path = "/_drawbridge/v1/rooms/{room_id}",
    tag = "rooms",
    params(RoomPath, ActsFor),
    responses(
        (status = 200, description = "The room.", body = Room),
        (status = 404, description = "The room mirrors no chat of the user.", body = Refusal),
    )
)]
pub(super) async fn room(InRoom { asker, room }: InRoom) -> Result<Json<Room>, ApiError> {
    Ok(Json(show(&asker, &room).await?))
}

/// Repairs a room: what the gatekeeper says of its chats is shown again.
#[utoipa::path(
    post,
    path = "/_drawbridge/v1/rooms/{room_id}/sync",
    tag = "rooms",
    params(RoomPath, ActsFor),
    responses(
        (status = 200, description = "The room; what it takes long to repair goes on.", body = Room),
        (status = 404, description = "The room mirrors no chat of the user.", body = Refusal),
        (status = 409, description = "The gatekeeper or the homeserver refuses.", body = Refusal),
    )
)]
pub(super) async fn sync(InRoom { asker, room }: InRoom) -> Result<Json<Room>, ApiError> {
    let bridge = &asker.bridge;
    for portal in bridge.portals_in(&room).await? {
        if takes_part(&asker, &portal).await? {
            bridge.sync_portal(portal.id).await?;
        }
    }
    Ok(Json(show(&asker, &room).await?))
}

/// Links a room to a chat. The user needs the power to change the room's settings.
#[utoipa::path(
    post,
    path = "/_drawbridge/v1/rooms/{room_id}/links",
    tag = "rooms",
    params(RoomPath, ActsFor),
    request_body(content = NewLink, description = "The chat to link."),
    responses(
        (status = 200, description = "The room with the new link.", body = Room),
        (status = 403, description = "The user may not use the bridge, or lacks the power to do this in the room; the sentence names it, and who has it.", body = Refusal),
        (status = 404, description = "The user has no such login, or there is no such chat.", body = Refusal),
        (status = 409, description = "The room or the chat is linked already, another bridge is in the room, or the bot cannot enter it.", body = Refusal),
    )
)]
pub(super) async fn link(
    InRoom { asker, room }: InRoom,
    Body(wanted): Body<NewLink>,
) -> Result<Json<Room>, ApiError> {
    let row = asker.active_login(wanted.login).await?;
    let bridge = &asker.bridge;
    let chat = chat(bridge, &row, &wanted.identifier).await?;
    bridge
        .link_room(&asker.caller.user, row.id, &chat, &room)
        .await?;
    Ok(Json(show(&asker, &room).await?))
}

/// Ends the link of a room to a chat.
#[utoipa::path(
    delete,
    path = "/_drawbridge/v1/rooms/{room_id}/links/{chat}",
    tag = "rooms",
    params(RoomPath, ChatPath, ActsFor),
    responses(
        (status = 204, description = "The link is ended."),
        (status = 403, description = "The user may not use the bridge, or lacks the power to do this in the room; the sentence names it, and who has it.", body = Refusal),
        (status = 404, description = "The room mirrors no chat of the user.", body = Refusal),
        (status = 409, description = "The homeserver refuses.", body = Refusal),
    )
)]
pub(super) async fn unlink(
    InRoom { asker, room }: InRoom,
    Path(ChatPath { chat }): Path<ChatPath>,
) -> Result<StatusCode, ApiError> {
    let chat = ChatId::parse(chat)
        .map_err(|error| ApiError::bad(format!("this is no chat's address: {error}")))?;
    let bridge = &asker.bridge;
    show(&asker, &room).await?;
    bridge
        .unlink_room(&asker.caller.user, &room, Some(&chat))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lets a login speak in a room for those who have none.
#[utoipa::path(
    put,
    path = "/_drawbridge/v1/rooms/{room_id}/relay",
    tag = "rooms",
    params(RoomPath, ActsFor),
    request_body(content = NewRelay, description = "The login that is to speak."),
    responses(
        (status = 204, description = "The login speaks for others."),
        (status = 403, description = "The user may not use the bridge, or lacks the power to do this in the room; the sentence names it, and who has it.", body = Refusal),
        (status = 404, description = "The user has no such login, or the room mirrors no chat of theirs.", body = Refusal),
        (status = 409, description = "The login is in none of the chats of the room, or is being ended.", body = Refusal),
    )
)]
pub(super) async fn set_relay(
    InRoom { asker, room }: InRoom,
    Body(wanted): Body<NewRelay>,
) -> Result<StatusCode, ApiError> {
    let row = asker.active_login(wanted.login).await?;
    let bridge = &asker.bridge;
    show(&asker, &room).await?;
    bridge
        .set_relay(&asker.caller.user, &room, Some(row.id))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lets no login speak for others any more.
#[utoipa::path(
    delete,
    path = "/_drawbridge/v1/rooms/{room_id}/relay",
    tag = "rooms",
    params(RoomPath, ActsFor),
    responses(
        (status = 204, description = "Nobody speaks for others."),
        (status = 403, description = "The user may not use the bridge, or lacks the power to do this in the room; the sentence names it, and who has it.", body = Refusal),
        (status = 404, description = "The room mirrors no chat of the user.", body = Refusal),
        (status = 409, description = "The homeserver refuses.", body = Refusal),
    )
)]
pub(super) async fn unset_relay(InRoom { asker, room }: InRoom) -> Result<StatusCode, ApiError> {
    let bridge = &asker.bridge;
    show(&asker, &room).await?;
    bridge.set_relay(&asker.caller.user, &room, None).await?;
    Ok(StatusCode::NO_CONTENT)
}
