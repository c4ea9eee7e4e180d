//! Groups in their rooms: the gatekeeper's truth about a group lies in the store, and its room is brought to it.
//!
//! What the room shows is stored beside what is true, each thing after it was done. So whatever is interrupted goes on where it
//! stopped, and what is true already costs the homeserver nothing. The first members of a room come at once; the rest is brought by
//! a worker of the portal's own, at a pace all rooms share, and messages go before it.

mod closing;
mod facts;
mod fetch;
mod members;
mod pace;
mod picture;
mod power;
mod repair;
mod sync;
mod view;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, Weak},
};

use tokio_util::sync::CancellationToken;

use super::{
    context::{Bridge, RoomLock, lock},
    workers::{Job, Outcome, Workers},
};
use crate::domain::{ChatId, LoginId, PortalId};

use pace::Pace;
pub(super) use power::{ADMIN, OWN_ADMIN, new_levels};
pub(super) use view::GroupView;

/// How many members come into a room, or leave it, without waiting for their turn.
pub(super) const AT_ONCE: usize = 20;

/// What works on the rooms of groups.
pub(super) struct Groups {
    /// Bring rooms to what the store says, one a portal; and finish those that are not ready.
    pub(super) members: Workers<PortalId>,
    /// Keep the spaces of logins.
    pub(super) spaces: Workers<LoginId>,
    /// Portals whose rooms were begun and are not finished.
    pub(super) unfinished: Mutex<HashMap<PortalId, (LoginId, ChatId)>>,
    /// Chats whose user is known to be in the room, or to have been told about what they left.
    pub(super) looked_after: Mutex<std::collections::HashSet<(LoginId, ChatId)>>,
    pub(super) pace: Pace,
    /// One lock a portal, held while its room is changed.
    alone: Mutex<HashMap<PortalId, RoomLock>>,
}

impl Groups {
    pub(super) fn new(this: &Weak<Bridge>, cancel: &CancellationToken, per_second: u32) -> Self {
        let (for_members, for_spaces) = (this.clone(), this.clone());
        let members: Job<PortalId> = Arc::new(move |portal| match for_members.upgrade() {
            Some(bridge) => Box::pin(async move { bridge.carry_members(portal).await }),
            None => Box::pin(std::future::ready(Outcome::Done)),
        });
        let spaces: Job<LoginId> = Arc::new(move |login| match for_spaces.upgrade() {
            Some(bridge) => Box::pin(async move { bridge.carry_space(login).await }),
            None => Box::pin(std::future::ready(Outcome::Done)),
        });
        Self {
            members: Workers::new(members, cancel.clone()),
            spaces: Workers::new(spaces, cancel.clone()),
            unfinished: Mutex::default(),
            looked_after: Mutex::default(),
            pace: Pace::new(per_second, cancel.clone()),
            alone: Mutex::default(),
        }
    }

    /// Held by whoever changes what a room shows of its group, or reads it to do something about it.
    pub(super) fn alone(&self, portal: PortalId) -> RoomLock {
        lock(&self.alone).entry(portal).or_default().clone()
    }

    /// Ends every waiting after a failure.
    pub(super) fn hurry(&self) {
        self.members.hurry();
        self.spaces.hurry();
    }

    /// Waits until the workers have ended.
    pub(super) async fn stopped(&self) {
        self.members.stopped().await;
        self.spaces.stopped().await;
    }
}
