//! `clean-up`: portals whose room or login is gone.

use ruma::RoomId;

use super::super::{Reply, call::Call, conversation::Question, say_store};
use crate::{
    domain::PortalId,
    store::{PortalRow, StoreError, StoreTxn},
};

/// What can be forgotten.
#[derive(Default)]
struct Waste {
    no_login: Vec<PortalId>,
    no_room: Vec<PortalId>,
    /// Rooms of which the homeserver does not tell now.
    unknown: usize,
}

/// Asks whether portals whose room or login is gone are to be forgotten.
pub(in crate::commands) async fn clean_up(call: &Call<'_>) -> Reply {
    let waste = look(call).await?;
    let unknown = match waste.unknown {
        0 => String::new(),
        count => format!(" Of {count} rooms the homeserver does not tell now; try again later."),
    };
    let mut portals = waste.no_login.clone();
    portals.extend(&waste.no_room);
    if portals.is_empty() {
        return Ok(format!("There is nothing to clean up.{unknown}"));
    }
    let lost = format!(
        "{} portals can be forgotten: {} whose login is gone, {} whose room is gone.{unknown} A chat that is still alive gets a new room with its next message.",
        portals.len(),
        waste.no_login.len(),
        waste.no_room.len()
    );
    let question = Question::Delete {
        portals,
        leaves: Vec::new(),
    };
    call.confirm(question, &lost).await
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
    let mut waste = Waste::default();
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
