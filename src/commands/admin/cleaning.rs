//! `clean-up`: portals whose room or login is gone, and ghosts that are in no room.

use ruma::{OwnedUserId, RoomId};

use super::super::{
    Reply,
    call::{Call, failed},
    conversation::Question,
    deleting, say_store,
};
use crate::{
    bridge::Bridge,
    domain::PortalId,
    store::{PortalRow, StoreError, StoreTxn},
};

/// What can be forgotten.
#[derive(Default)]
struct Waste {
    no_login: Vec<PortalId>,
    no_room: Vec<PortalId>,
    /// Those in no room.
    ghosts: Vec<OwnedUserId>,
    /// Rooms and ghosts of which the homeserver does not tell now.
    unknown: usize,
}

/// Asks whether portals whose room or login is gone are to be forgotten, and ghosts that are in no room.
pub(in crate::commands) async fn clean_up(call: &Call<'_>) -> Reply {
    let waste = look(call).await?;
    let unknown = match waste.unknown {
        0 => String::new(),
        count => format!(
            " Of {count} rooms or ghosts the homeserver does not tell now; try again later."
        ),
    };
    let mut portals = waste.no_login.clone();
    portals.extend(&waste.no_room);
    if portals.is_empty() && waste.ghosts.is_empty() {
        return Ok(format!("There is nothing to clean up.{unknown}"));
    }
    let lost = format!(
        "{} portals can be forgotten: {} whose login is gone, {} whose room is gone; and {} ghosts that are in no room.{unknown} \
         A chat that is still alive gets a new room with its next message, and whoever is met again their ghost.",
        portals.len(),
        waste.no_login.len(),
        waste.no_room.len(),
        waste.ghosts.len()
    );
    let question = Question::CleanUp {
        portals,
        ghosts: waste.ghosts,
    };
    call.confirm(question, &lost).await
}

/// Forgets portals and ghosts.
pub(in crate::commands) async fn clear(
    bridge: &Bridge,
    portals: &[PortalId],
    ghosts: &[OwnedUserId],
) -> Reply {
    let rooms = if portals.is_empty() {
        String::new()
    } else {
        deleting::delete(bridge, portals, &[]).await? + " "
    };
    let mut forgotten = 0;
    for ghost in ghosts {
        let done = bridge.forget_ghost(ghost).await;
        let done = done.map_err(|error| format!("{rooms}{}", failed(&error)))?;
        forgotten += usize::from(done);
    }
    Ok(match forgotten {
        0 if ghosts.is_empty() => rooms.trim_end().to_owned(),
        1 => format!("{rooms}One ghost is forgotten."),
        count => format!("{rooms}{count} ghosts are forgotten."),
    })
}

async fn look(call: &Call<'_>) -> Result<Waste, String> {
    let portals = call
        .bridge
        .database()
        .read(|txn| {
            Box::pin(async move {
                let mut portals = Vec::new();
                for portal in txn.portals().await? {
                    let has_login = has_login(txn, &portal).await?;
                    portals.push((portal, has_login));
                }
                Ok(portals)
            })
        })
        .await
        .map_err(|error| say_store(&error))?;
    let (ghosts, unknown) = call
        .bridge
        .idle_ghosts()
        .await
        .map_err(|error| failed(&error))?;
    let mut waste = Waste {
        ghosts,
        unknown,
        ..Waste::default()
    };
    for (portal, has_login) in portals {
        if !has_login {
            waste.no_login.push(portal.id);
            continue;
        }
        let room = portal.room_id.as_deref();
        // One that is not made yet is not gone.
        let Some(room) = room.and_then(|room| <&RoomId>::try_from(room).ok()) else {
            continue;
        };
        match call.bridge.is_in(room).await {
            Ok(true) => {}
            Ok(false) => waste.no_room.push(portal.id),
            Err(_) => waste.unknown += 1,
        }
    }
    Ok(waste)
}

async fn has_login(txn: &mut dyn StoreTxn, portal: &PortalRow) -> Result<bool, StoreError> {
    if let Some(login) = portal.key.login {
        return Ok(txn.login(login).await?.is_some());
    }
    let key = &portal.key;
    let logins = txn.group_logins(&key.gatekeeper, &key.chat).await?;
    Ok(!logins.is_empty())
}
