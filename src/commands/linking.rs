//! `bridge`, `unbridge`, `set-relay`, `unset-relay`: rooms of people's own, and who speaks for whom in them.

use super::{
    Reply,
    call::{Call, link as room_link},
    whom,
};
use crate::domain::ChatId;

/// Links a room to a chat.
pub(super) async fn link(call: &Call<'_>) -> Reply {
    let room = call.room()?;
    let login = whom::login(call).await?;
    let chat = whom::chat(call, &login, &call.arguments.text).await?;
    let name = call.name(&login.gatekeeper);
    let linked = call
        .bridge
        .link_room(&call.said.sender, login.id, &chat, &room)
        .await;
    let settings = call.bridge.settings();
    let prefix = &settings.command_prefix;
    let relay = if settings.relay.rules.enabled {
        format!(
            " `{prefix} set-relay {}` in it lets your login speak for members without one.",
            login.gatekeeper
        )
    } else {
        String::new()
    };
    match linked {
        Ok(_) => Ok(format!(
            "{} is linked to {name} now: what you write in it goes there, and what is written there appears in it.{relay} `{prefix} unbridge` in it ends that.",
            room_link(&room)
        )),
        Err(error) => Err(format!("The room was not linked: {error}.")),
    }
}

/// Ends the link of a room.
pub(super) async fn unlink(call: &Call<'_>) -> Reply {
    let room = call.room()?;
    let chat = match call.arguments.text.as_str() {
        "" => None,
        text => Some(linked_chat(call, text).await?),
    };
    let unlinked = call
        .bridge
        .unlink_room(&call.said.sender, &room, chat.as_ref())
        .await;
    match unlinked {
        Ok(0) => Ok(format!("{} is linked to no such chat.", room_link(&room))),
        Ok(1) => Ok(format!(
            "The link of {} is ended; what was said stays.",
            room_link(&room)
        )),
        Ok(several) => Ok(format!(
            "{several} links of {} are ended; what was said stays.",
            room_link(&room)
        )),
        Err(error) => Err(format!("The link was not ended: {error}.")),
    }
}

/// One of the chats of a room, by its id or its person's phone number.
async fn linked_chat(call: &Call<'_>, text: &str) -> Result<ChatId, String> {
    let (room, portals) = call.portals().await?;
    for portal in &portals {
        let chat = &portal.key.chat;
        let Ok(network) = call.bridge.network(&portal.key.gatekeeper) else {
            continue;
        };
        let is_meant = chat.as_str() == text
            || network
                .address(text)
                .is_ok_and(|person| chat.direct_user() == Some(person));
        if is_meant {
            return Ok(chat.clone());
        }
    }
    Err(format!(
        "{} does not mirror that chat. Write `id` there for those it does.",
        room_link(&room)
    ))
}

/// Lets the user's login speak for others.
pub(super) async fn set_relay(call: &Call<'_>) -> Reply {
    let room = call.room()?;
    let login = whom::login(call).await?;
    let name = call.name(&login.gatekeeper);
    let set = call
        .bridge
        .set_relay(&call.said.sender, &room, Some(login.id))
        .await;
    match set {
        Ok(()) => Ok(format!(
            "Your login at {name} speaks in {} for members without one: their messages go there under your name, with theirs before them. `unset-relay` ends it.",
            room_link(&room)
        )),
        Err(error) => Err(format!("Nothing was changed: {error}.")),
    }
}

/// Lets nobody speak for others.
pub(super) async fn unset_relay(call: &Call<'_>) -> Reply {
    let room = call.room()?;
    let set = call.bridge.set_relay(&call.said.sender, &room, None).await;
    match set {
        Ok(()) => Ok(format!(
            "Nobody speaks for others in {} any more: what members without a login write stays there.",
            room_link(&room)
        )),
        Err(error) => Err(format!("Nothing was changed: {error}.")),
    }
}
