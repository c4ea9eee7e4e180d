//! What a room is to the bridge: the chats it mirrors, with the logins that speak in them, or somebody's management room.

use std::{
    collections::HashSet,
    sync::{Arc, atomic::Ordering},
};

use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId};

use super::{
    context::{Bridge, BridgeError, lock},
    owners::relay_inside,
};
use crate::{
    domain::{ChatId, LoginId, RemoteUserId},
    store::{LoginRow, PortalRow, StoreError, StoreTxn},
};

/// What a room is to the bridge.
#[derive(Debug, Clone)]
pub(super) enum Route {
    /// It mirrors these chats, at least one.
    Portals(Arc<[Arc<PortalRoute>]>),
    /// It mirrors chats that no login is in now.
    Closed,
    /// Somebody's management room.
    Management(OwnedUserId),
    /// Neither.
    Unknown,
}

/// A login that is in a chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PortalLogin {
    pub(super) id: LoginId,
    pub(super) owner: OwnedUserId,
    /// What the gatekeeper calls it, once it does.
    pub(super) own: Option<RemoteUserId>,
}

/// A portal as one login sees it, with what sending through it needs.
#[derive(Debug, Clone)]
pub(super) struct PortalRoute {
    pub(super) portal: PortalRow,
    /// The login as which it is seen.
    pub(super) login: LoginId,
    /// Whose that is.
    pub(super) owner: OwnedUserId,
    /// What the gatekeeper calls it, once it does.
    pub(super) own: Option<RemoteUserId>,
    /// Every login that is in the chat: one in a direct chat, at least one in a group.
    pub(super) logins: Vec<PortalLogin>,
}

impl PortalRoute {
    /// What its worker and its caches are known by.
    pub(super) fn chat(&self) -> (LoginId, ChatId) {
        (self.login, self.portal.key.chat.clone())
    }

    /// Whether the chat is a group.
    pub(super) fn is_group(&self) -> bool {
        self.portal.key.chat.is_group()
    }

    /// The login of a Matrix user that is in the chat.
    pub(super) fn login_of(&self, user: &UserId) -> Option<&PortalLogin> {
        self.logins.iter().find(|login| login.owner == user)
    }

    /// The login that the gatekeeper calls so, if it is in the chat.
    pub(super) fn login_called(&self, remote: &RemoteUserId) -> Option<&PortalLogin> {
        let mut logins = self.logins.iter();
        logins.find(|login| login.own.as_ref() == Some(remote))
    }

    /// The same portal as another of its logins sees it; `None` if that is not in the chat.
    pub(super) fn seen_by(&self, login: LoginId) -> Option<Self> {
        let by = self.logins.iter().find(|one| one.id == login)?.clone();
        Some(Self {
            portal: self.portal.clone(),
            login: by.id,
            owner: by.owner,
            own: by.own,
            logins: self.logins.clone(),
        })
    }
}

/// A portal as a login sees it, out of the rows of every login that is in its chat.
pub(super) fn portal_route(
    portal: PortalRow,
    login: &LoginRow,
    all: &[LoginRow],
) -> Result<PortalRoute, BridgeError> {
    let own = portal_login(login)?;
    let mut logins = Vec::with_capacity(all.len().max(1));
    for row in all {
        logins.push(portal_login(row)?);
    }
    if !logins.iter().any(|one| one.id == own.id) {
        logins.push(own.clone());
    }
    Ok(PortalRoute {
        portal,
        login: own.id,
        owner: own.owner,
        own: own.own,
        logins,
    })
}

fn portal_login(login: &LoginRow) -> Result<PortalLogin, BridgeError> {
    Ok(PortalLogin {
        id: login.id,
        owner: owner_of(login)?,
        own: login
            .remote_login
            .as_deref()
            .and_then(|own| RemoteUserId::parse(own).ok()),
    })
}

/// Whose a login is.
pub(super) fn owner_of(login: &LoginRow) -> Result<OwnedUserId, BridgeError> {
    UserId::parse(login.mxid.as_str()).map_err(|error| {
        BridgeError::Inconsistent(format!("login {} has a bad user id: {error}", login.id))
    })
}

/// The logins that are in the chat of a portal: the one of a direct chat, those of a group.
pub(super) async fn logins_in(
    txn: &mut dyn StoreTxn,
    portal: &PortalRow,
) -> Result<Vec<LoginRow>, StoreError> {
    match portal.key.login {
        Some(login) => Ok(txn.login(login).await?.into_iter().collect()),
        None => {
            txn.group_logins(&portal.key.gatekeeper, &portal.key.chat)
                .await
        }
    }
}

impl Bridge {
    /// What a room is.
    pub(super) async fn route(&self, room_id: &OwnedRoomId) -> Result<Route, BridgeError> {
        if let Some(route) = lock(&self.routes).get(room_id) {
            return Ok(route.clone());
        }
        let forgotten = self.forgotten.load(Ordering::Acquire);
        let room = room_id.to_string();
        let (portals, owner) = self
            .db
            .read(move |txn| {
                let room = room.clone();
                Box::pin(async move {
                    let mut portals = Vec::new();
                    for mut portal in txn.portals_in(&room).await? {
                        portal.relay = relay_inside(txn, &portal).await?;
                        let logins = logins_in(txn, &portal).await?;
                        portals.push((portal, logins));
                    }
                    let owner = txn.management_room_owner(&room).await?;
                    Ok((portals, owner))
                })
            })
            .await?;
        if portals.len() > 1 {
            lock(&self.shared_rooms).insert(room_id.clone());
        } else {
            lock(&self.shared_rooms).remove(room_id);
        }
        let is_closed = !portals.is_empty();
        let mut routes = Vec::new();
        for (portal, logins) in portals {
            // Whoever speaks for others first: what no single login does is done as that one.
            let first = logins.iter().find(|login| portal.relay == Some(login.id));
            if let Some(login) = first.or_else(|| logins.first()) {
                routes.push(Arc::new(portal_route(portal, login, &logins)?));
            }
        }
        let route = match owner.and_then(|owner| UserId::parse(owner).ok()) {
            _ if !routes.is_empty() => Route::Portals(routes.into()),
            Some(owner) => Route::Management(owner),
            None if is_closed => return Ok(Route::Closed),
            None => return Ok(Route::Unknown),
        };
        let mut known = lock(&self.routes);
        if forgotten == self.forgotten.load(Ordering::Acquire) {
            known.insert(room_id.clone(), route.clone());
        }
        drop(known);
        Ok(route)
    }

    /// Forgets what was remembered of a room and of a chat, after either changed.
    pub(super) fn forget_route(
        &self,
        room_id: Option<&OwnedRoomId>,
        chat: Option<&(LoginId, ChatId)>,
    ) {
        self.forgotten.fetch_add(1, Ordering::AcqRel);
        if let Some(room_id) = room_id {
            lock(&self.routes).remove(room_id);
            // Until it is looked at again it may be one of several chats.
            lock(&self.shared_rooms).insert(room_id.clone());
        }
        if let Some((login, chat)) = chat {
            // Others of its logins see a group, too.
            lock(&self.open_portals)
                .retain(|(of, its), _| its != chat || !chat.is_group() && of != login);
        }
    }

    /// Whether a room may mirror several chats.
    pub(super) fn is_shared(&self, room_id: &str) -> bool {
        RoomId::parse(room_id).is_ok_and(|room| lock(&self.shared_rooms).contains(&room))
    }

    /// Looks which rooms mirror several chats.
    pub(super) async fn find_shared_rooms(&self) -> Result<(), BridgeError> {
        let portals = self
            .db
            .read(|txn| Box::pin(async move { txn.portals().await }))
            .await?;
        let mut seen = HashSet::new();
        let rooms = portals.into_iter().filter_map(|portal| portal.room_id);
        let rooms = rooms.filter_map(|room| OwnedRoomId::try_from(room).ok());
        let shared = rooms.filter(|room| !seen.insert(room.clone()));
        lock(&self.shared_rooms).extend(shared.collect::<Vec<_>>());
        Ok(())
    }

    /// Forgets which room was somebody's management room.
    pub(super) fn forget_management(&self, of: &UserId) {
        lock(&self.routes)
            .retain(|_, route| !matches!(route, Route::Management(owner) if owner == of));
    }

    /// Forgets everything remembered of a login.
    pub fn forget_login(&self, login: LoginId) {
        self.forgotten.fetch_add(1, Ordering::AcqRel);
        let is_in = |portal: &Arc<PortalRoute>| portal.logins.iter().any(|one| one.id == login);
        lock(&self.routes).retain(
            |_, route| !matches!(route, Route::Portals(portals) if portals.iter().any(is_in)),
        );
        lock(&self.open_portals).retain(|_, portal| !is_in(portal));
        lock(&self.connection_states).remove(&login);
    }
}
