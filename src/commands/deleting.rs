//! `delete-chat`, `delete-portal`, `delete-all-portals`: rooms given up, groups left.

use super::{
    Reply,
    call::{Call, failed, link},
    chats::logins_in,
    conversation::Question,
    logout::count_rooms,
    whom,
};
use crate::{
    bridge::Bridge,
    config::Level,
    domain::{ChatId, GatekeeperId, GroupChange, LoginId, PortalId},
    store::PortalRow,
};

/// The portals of the room that the user may give up: their own, or any for an admin.
async fn own_portals(call: &Call<'_>) -> Result<Vec<(PortalRow, Vec<LoginId>)>, String> {
    let (room, portals) = call.portals().await?;
    let (mut own, mut others) = (Vec::new(), 0);
    for portal in portals {
        let logins = logins_in(call, &portal).await?;
        let is_mine = logins.iter().any(|login| login.mxid == call.said.sender);
        let is_mine_alone = logins.iter().all(|login| login.mxid == call.said.sender);
        if is_mine && is_mine_alone || call.level == Level::Admin {
            let mine = logins.iter().filter(|login| login.mxid == call.said.sender);
            own.push((portal, mine.map(|login| login.id).collect()));
        } else {
            others += 1;
        }
    }
    if own.is_empty() {
        return Err(format!(
            "{} is not yours alone: {others} of its chats belong to others or are shared with them. An admin of the bridge can give it up.",
            link(&room)
        ));
    }
    Ok(own)
}

/// Asks whether the room of a chat is to be given up.
pub(super) async fn delete_portal(call: &Call<'_>) -> Reply {
    let room = call.room()?;
    let portals = own_portals(call).await?;
    let lost = format!(
        "To give up {} disconnects it for everybody in it: which event is which message is forgotten, so that nothing said so far can be answered, edited or deleted across. The chat stays; its next message makes a new room.",
        link(&room)
    );
    let question = Question::Delete {
        portals: portals.iter().map(|(portal, _)| portal.id).collect(),
        leaves: Vec::new(),
    };
    call.confirm(question, &lost).await
}

/// Asks whether a group is to be left, or a chat forgotten.
pub(super) async fn delete_chat(call: &Call<'_>) -> Reply {
    let (room, portals) = call.portals().await?;
    let (mut delete, mut leaves) = (Vec::new(), Vec::new());
    for portal in portals {
        let logins = logins_in(call, &portal).await?;
        let Some(mine) = logins.iter().find(|one| one.mxid == call.said.sender) else {
            continue;
        };
        if portal.key.chat.is_group() {
            leaves.push((mine.id, portal.key.gatekeeper, portal.key.chat));
        }
        // Others are still in the group, and in its room.
        if logins.len() == 1 {
            delete.push(portal.id);
        }
    }
    if delete.is_empty() && leaves.is_empty() {
        return Err(format!("{} mirrors no chat of yours.", link(&room)));
    }
    let lost = match (leaves.is_empty(), delete.is_empty()) {
        (true, _) => format!(
            "To delete this chat gives up {} and forgets which event is which message. Your contact keeps what was said, and can write to you again; `block` ends that.",
            link(&room)
        ),
        (false, true) => format!(
            "To leave the group of {} ends it for you alone; to come back, somebody has to add you.",
            link(&room)
        ),
        (false, false) => format!(
            "To leave the group of {} gives up the room, too; to come back, somebody has to add you.",
            link(&room)
        ),
    };
    let question = Question::Delete {
        portals: delete,
        leaves,
    };
    call.confirm(question, &lost).await
}

/// Asks whether the rooms of all chats are to be given up.
pub(super) async fn delete_all(call: &Call<'_>) -> Reply {
    let logins = whom::all_logins(call).await?;
    let mut rooms = 0;
    for login in &logins {
        rooms += count_rooms(call.bridge, login).await?;
    }
    let names: Vec<&str> = logins
        .iter()
        .map(|one| call.name(&one.gatekeeper))
        .collect();
    let lost = format!(
        "To give up all your rooms at {} ends {rooms} of them; rooms of groups that others of this bridge share with you stay. Which event is which message is forgotten. You stay logged in; the next message of a chat makes a new room.",
        names.join(" and ")
    );
    let logins = logins.iter().map(|login| login.id).collect();
    call.confirm(Question::DeleteAll { logins }, &lost).await
}

/// Leaves groups and gives up portals.
pub(super) async fn delete(
    bridge: &Bridge,
    portals: &[PortalId],
    leaves: &[(LoginId, GatekeeperId, ChatId)],
) -> Reply {
    for (login, gatekeeper, chat) in leaves {
        leave(bridge, *login, gatekeeper, chat).await?;
    }
    let mut done = 0;
    for portal in portals {
        let portal = *portal;
        let is_there = bridge
            .database()
            .read(move |txn| Box::pin(async move { txn.portal_by_id(portal).await }))
            .await
            .map_err(|error| super::say_store(&error))?;
        // A try before this one gave it up.
        if is_there.is_some() {
            let deleted = bridge.delete_portal(portal).await;
            deleted.map_err(|error| {
                format!(
                    "{} Of {} rooms {done} are given up.",
                    failed(&error),
                    portals.len()
                )
            })?;
        }
        done += 1;
    }
    Ok(match (leaves.len(), done) {
        (0, 1) => "The room is given up.".to_owned(),
        (0, several) => format!("{several} rooms are given up."),
        (_, 0) => "You have left the group.".to_owned(),
        (..) => "You have left the group, and its room is given up.".to_owned(),
    })
}

async fn leave(
    bridge: &Bridge,
    login: LoginId,
    gatekeeper: &GatekeeperId,
    chat: &ChatId,
) -> Result<(), String> {
    let (of, group) = (gatekeeper.clone(), chat.clone());
    let is_in = bridge
        .database()
        .read(move |txn| {
            let (of, group) = (of.clone(), group.clone());
            Box::pin(async move { txn.group_logins(&of, &group).await })
        })
        .await
        .map_err(|error| super::say_store(&error))?;
    // A try before this one left it.
    if !is_in.iter().any(|one| one.id == login) {
        return Ok(());
    }
    let network = bridge.network(gatekeeper).map_err(|error| failed(&error))?;
    let left = network.change_group(login, chat, &GroupChange::Leave).await;
    left.map(drop)
        .map_err(|error| format!("The group was not left: {error}. Try again in a minute."))
}

/// Gives up every portal of logins.
pub(super) async fn delete_all_of(bridge: &Bridge, logins: &[LoginId]) -> Reply {
    let mut done = 0;
    for login in logins {
        let deleted = bridge.delete_portals_of(*login).await;
        done += deleted
            .map_err(|error| format!("{} {done} rooms are given up so far.", failed(&error)))?;
    }
    Ok(format!(
        "{done} rooms are given up. You are still logged in; the next message of a chat makes a new room."
    ))
}
