//! Portals: from a chat to a room, resumable at every point.
//!
//! The room's alias follows from the portal's number, which is committed before the room is asked for. If the process dies
//! after the room was made and before its id was stored, the next try finds the alias taken and adopts that room: no orphan,
//! no second room. A group's portal is shared by all logins that are in the group, and so is the lock under which it is made.

mod adopt;
mod make;
mod state;
mod wanted;

use std::sync::{Arc, atomic::Ordering};

use ruma::{OwnedRoomId, UserId};

use super::{
    context::{Bridge, BridgeError, RoomLock, lock},
    routes::{PortalRoute, logins_in, portal_route},
};
use crate::{
    domain::{ChatId, GatekeeperId, LoginId, PortalId, PortalKey, RemoteUserId},
    store::{Lane, LoginRow, PortalRow},
};

impl Bridge {
    /// The portal of a chat with its room and those in it who have to be, made if need be.
    pub(super) async fn open_portal(
        &self,
        login: LoginId,
        chat: &ChatId,
    ) -> Result<Arc<PortalRoute>, BridgeError> {
        let key = (login, chat.clone());
        if let Some(open) = lock(&self.open_portals).get(&key) {
            return Ok(open.clone());
        }
        let (_alone, forgotten, portal, login_row) = loop {
            let id = self.portal_row(login, chat, None).await?.0.id;
            let alone = self.opening(id).lock_owned().await;
            let forgotten = self.forgotten.load(Ordering::Acquire);
            // Another may have made the room while this one waited for the lock, or given up the portal.
            let (portal, login_row) = self.portal_row(login, chat, None).await?;
            if portal.id == id {
                break (alone, forgotten, portal, login_row);
            }
        };
        if chat.is_group() {
            self.know_group(login, &portal.key).await?;
        }
        let was_ready = portal.ready;
        let portal = if portal.ready {
            portal
        } else {
            lock(&self.groups.unfinished).insert(portal.id, key.clone());
            let made = self.make_or_give_up(portal, &login_row).await?;
            lock(&self.groups.unfinished).remove(&made.id);
            made
        };
        let route = Arc::new(self.route_of(portal, &login_row).await?);
        let mut open = lock(&self.open_portals);
        // Making a room forgets what was known of it before.
        if !was_ready || forgotten == self.forgotten.load(Ordering::Acquire) {
            open.insert(key, route.clone());
        }
        drop(open);
        if !was_ready {
            self.room_made(&route);
        }
        Ok(route)
    }

    /// What follows a new room without being waited for.
    fn room_made(&self, route: &PortalRoute) {
        if route.is_group() {
            self.groups.members.wake(route.portal.id);
        }
        for login in &route.logins {
            self.groups.spaces.wake(login.id);
        }
    }

    /// A portal as a login sees it.
    pub(super) async fn route_of(
        &self,
        portal: PortalRow,
        login: &LoginRow,
    ) -> Result<PortalRoute, BridgeError> {
        let of = portal.clone();
        let logins = self
            .db
            .read(move |txn| {
                let of = of.clone();
                Box::pin(async move { logins_in(txn, &of).await })
            })
            .await?;
        portal_route(portal, login, &logins)
    }

    pub(super) fn opening(&self, portal: PortalId) -> RoomLock {
        lock(&self.opening).entry(portal).or_default().clone()
    }

    /// The room of a chat, made if need be, with the login's user invited. What waited for the room comes into it.
    ///
    /// # Errors
    /// Why the room could not be made.
    pub async fn open_chat(
        &self,
        login: LoginId,
        chat: &ChatId,
    ) -> Result<OwnedRoomId, BridgeError> {
        if chat.is_group() {
            self.must_be_in(login, chat).await?;
        }
        let open = self.open_portal(login, chat).await?;
        let room_id = open_room(&open)?;
        self.set_left(&open.portal, login, None).await?;
        // Somebody who left the room gets a new invitation; who is in it is not disturbed.
        match self.bot().invite(&room_id, &open.owner).await {
            Ok(()) => {}
            Err(error) if error.is_transient() => return Err(error.into()),
            Err(error) => tracing::debug!(room = %room_id, %error, "no invitation was needed"),
        }
        self.let_puppet_join(&open.owner, &room_id).await?;
        self.chats.wake((login, chat.clone()));
        Ok(room_id)
    }

    /// Makes the room of an interrupted creation known, if one of the sender's portals turns out to be this room.
    pub(super) async fn finish_opening(
        &self,
        room_id: &OwnedRoomId,
        sender: &UserId,
    ) -> Result<bool, BridgeError> {
        let unfinished: Vec<_> = lock(&self.groups.unfinished).values().cloned().collect();
        if unfinished.is_empty() {
            return Ok(false);
        }
        let mxid = sender.to_string();
        let own = self
            .db
            .read(move |txn| {
                let mxid = mxid.clone();
                Box::pin(async move { txn.logins_of(&mxid).await })
            })
            .await?;
        for (login, chat) in unfinished {
            let is_own = own.iter().any(|row| row.id == login);
            // A group may be another login's to make, whoever writes in it.
            if !is_own && (!chat.is_group() || own.is_empty()) {
                continue;
            }
            let open = match self.open_portal(login, &chat).await {
                Ok(open) => open,
                Err(error) if error.is_transient() => return Err(error),
                Err(error) => {
                    tracing::warn!(%login, %error, "an unfinished portal stays unfinished");
                    continue;
                }
            };
            if open.portal.room_id.as_deref() == Some(room_id.as_str()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The portal of a chat and the login, the row made if there is none; with a room if it has none and one is given.
    pub(super) async fn portal_row(
        &self,
        login: LoginId,
        chat: &ChatId,
        room_id: Option<&OwnedRoomId>,
    ) -> Result<(PortalRow, LoginRow), BridgeError> {
        let new_id = PortalId(
            i64::from(rand::random::<u32>()) << 21 | i64::from(rand::random::<u32>() >> 11),
        );
        let (chat, room) = (chat.clone(), room_id.map(ToString::to_string));
        let found = self
            .db
            .step(Lane::login(login), move |txn| {
                let (chat, room) = (chat.clone(), room.clone());
                Box::pin(async move {
                    let Some(row) = txn.login(login).await? else {
                        return Ok(None);
                    };
                    let key = portal_key(&row, chat);
                    let mut portal = txn.ensure_portal(&key, new_id).await?;
                    if let (None, Some(room)) = (&portal.room_id, room) {
                        txn.set_portal_room(portal.id, Some(&room)).await?;
                        portal.room_id = Some(room);
                    }
                    Ok(Some((portal, row)))
                })
            })
            .await?;
        found.ok_or_else(|| BridgeError::Inconsistent(format!("login {login} is gone")))
    }

    /// The contact a ghost stands for.
    #[must_use]
    pub fn ghost_identity(&self, user: &UserId) -> Option<(GatekeeperId, RemoteUserId)> {
        self.naming.parse(user)
    }
}

/// What makes the portal of a login's chat one.
pub(super) fn portal_key(login: &LoginRow, chat: ChatId) -> PortalKey {
    PortalKey {
        gatekeeper: login.gatekeeper.clone(),
        login: (!chat.is_group()).then_some(login.id),
        chat,
    }
}

/// The room of an open portal.
pub(super) fn open_room(route: &PortalRoute) -> Result<OwnedRoomId, BridgeError> {
    route
        .portal
        .room_id
        .as_deref()
        .and_then(|room| OwnedRoomId::try_from(room).ok())
        .ok_or_else(|| BridgeError::Inconsistent(format!("portal {} has no room", route.portal.id)))
}
