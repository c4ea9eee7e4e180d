//! Portals: from a chat to a room, resumable at every point.
//!
//! The room's alias follows from the portal's number, which is committed before the room is asked for. If the process dies
//! after the room was made and before its id was stored, the next try finds the alias taken and adopts that room: no orphan,
//! no second room.

use std::sync::{Arc, atomic::Ordering};

use ruma::{OwnedRoomId, OwnedUserId, UserId};
use serde_json::json;

use super::{
    context::{Bridge, BridgeError, RoomLock, lock},
    routes::{PortalRoute, owner_of, portal_route},
};
use crate::{
    domain::{ChatId, GatekeeperId, LoginId, PortalId, PortalKey, RemoteUserId},
    matrix::NewRoom,
    store::{Lane, LoginRow, PortalRow},
};

impl Bridge {
    /// The portal of a chat with its room and everybody in it, made if need be.
    pub(super) async fn open_portal(
        &self,
        login: LoginId,
        chat: &ChatId,
    ) -> Result<Arc<PortalRoute>, BridgeError> {
        let key = (login, chat.clone());
        if let Some(open) = lock(&self.open_portals).get(&key) {
            return Ok(open.clone());
        }
        let opening = self.opening(&key);
        let _alone = opening.lock().await;
        let forgotten = self.forgotten.load(Ordering::Acquire);
        let (portal, login_row) = self.portal_row(login, chat, None).await?;
        let was_ready = portal.ready;
        let portal = if portal.ready {
            self.bring_owner_back(&portal, &login_row).await?;
            portal
        } else {
            self.make_or_give_up(portal, &login_row).await?
        };
        let route = Arc::new(portal_route(
            portal,
            &login_row,
            std::slice::from_ref(&login_row),
        )?);
        let mut open = lock(&self.open_portals);
        // Making a room forgets what was known of it before.
        if !was_ready || forgotten == self.forgotten.load(Ordering::Acquire) {
            open.insert(key, route.clone());
        }
        drop(open);
        Ok(route)
    }

    fn opening(&self, chat: &(LoginId, ChatId)) -> RoomLock {
        lock(&self.opening).entry(chat.clone()).or_default().clone()
    }

    /// Makes the room; one that was begun and cannot be finished is given up, once, for a new one.
    async fn make_or_give_up(
        &self,
        portal: PortalRow,
        login: &LoginRow,
    ) -> Result<PortalRow, BridgeError> {
        let begun = portal.room_id.is_some();
        match self.make_room(portal.clone(), login).await {
            Err(error) if begun && !error.is_transient() => {
                self.abandon_room(&portal_route(
                    portal.clone(),
                    login,
                    std::slice::from_ref(login),
                )?)
                .await?;
                let portal = PortalRow {
                    room_id: None,
                    ..portal
                };
                tracing::warn!(portal = %portal.id, %error, "a room could not be finished, another is made");
                self.make_room(portal, login).await
            }
            made => made,
        }
    }

    /// Starts a chat with somebody: the room that mirrors it.
    ///
    /// # Errors
    /// Why the room could not be made.
    pub async fn start_chat(
        &self,
        login: LoginId,
        with: &RemoteUserId,
    ) -> Result<OwnedRoomId, BridgeError> {
        let open = self.open_portal(login, &ChatId::direct(with)).await?;
        let room_id = open_room(&open)?;
        // Somebody who left the room gets a new invitation; who is in it is not disturbed.
        match self.bot().invite(&room_id, &open.owner).await {
            Ok(()) => {}
            Err(error) if error.is_transient() => return Err(error.into()),
            Err(error) => tracing::debug!(room = %room_id, %error, "no invitation was needed"),
        }
        Ok(room_id)
    }

    /// Makes the room of an interrupted creation known, if one of the sender's portals turns out to be this room.
    pub(super) async fn finish_opening(
        &self,
        room_id: &OwnedRoomId,
        sender: &UserId,
    ) -> Result<bool, BridgeError> {
        let mxid = sender.to_string();
        let unfinished = self
            .db
            .read(move |txn| {
                let mxid = mxid.clone();
                Box::pin(async move {
                    let mut unfinished = Vec::new();
                    for login in txn.logins_of(&mxid).await? {
                        for portal in txn.portals_of(login.id).await? {
                            if !portal.ready {
                                unfinished.push((login.id, portal.key.chat));
                            }
                        }
                    }
                    Ok(unfinished)
                })
            })
            .await?;
        for (login, chat) in unfinished {
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

    /// Takes a room somebody made as the room of a chat, if the chat has none. The room it has otherwise.
    pub(super) async fn adopt_room(
        &self,
        login: LoginId,
        chat: &ChatId,
        room_id: &OwnedRoomId,
    ) -> Result<Option<OwnedRoomId>, BridgeError> {
        let opening = self.opening(&(login, chat.clone()));
        let _alone = opening.lock().await;
        let (portal, login_row) = self.portal_row(login, chat, Some(room_id)).await?;
        let its = portal
            .room_id
            .as_deref()
            .and_then(|room| OwnedRoomId::try_from(room).ok());
        if its.as_ref() != Some(room_id) {
            return Ok(its);
        }
        self.populate(&portal, &login_row, room_id, true).await?;
        self.set_ready(&portal).await?;
        self.forget_route(Some(room_id), Some(&(login, chat.clone())));
        Ok(None)
    }

    /// Gives up a room that cannot be used any more: the next message makes a new one.
    pub(super) async fn abandon_room(&self, route: &PortalRoute) -> Result<(), BridgeError> {
        let id = route.portal.id;
        if !lock(&self.abandoned).insert(id) {
            return Err(BridgeError::Inconsistent(format!(
                "portal {id} lost two rooms in a row, no third one is made before the bridge is started again"
            )));
        }
        if let Ok(room_id) = open_room(route) {
            self.take_leave(
                &room_id,
                "This room cannot be used any more. The chat goes on in a new one.",
            )
            .await?;
        }
        let alias = self.portal_alias(id);
        self.bot().delete_alias(&alias).await?;
        self.db
            .step(Lane::login(route.login), move |txn| {
                Box::pin(async move {
                    txn.set_portal_ready(id, false).await?;
                    txn.set_portal_room(id, None).await
                })
            })
            .await?;
        let room = route
            .portal
            .room_id
            .as_deref()
            .and_then(|room| OwnedRoomId::try_from(room).ok());
        self.forget_route(
            room.as_ref(),
            Some(&(route.login, route.portal.key.chat.clone())),
        );
        Ok(())
    }

    async fn portal_row(
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
                    let key = PortalKey {
                        gatekeeper: row.gatekeeper.clone(),
                        login: chat.direct_user().is_some().then_some(login),
                        chat,
                    };
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

    async fn make_room(
        &self,
        mut portal: PortalRow,
        login: &LoginRow,
    ) -> Result<PortalRow, BridgeError> {
        let room_id = match portal.room_id.as_deref() {
            Some(room_id) => OwnedRoomId::try_from(room_id).map_err(|error| {
                BridgeError::Inconsistent(format!(
                    "portal {} has a bad room id: {error}",
                    portal.id
                ))
            })?,
            None => self.create(&portal, login).await?,
        };
        fail::fail_point!("portal.after_create");
        if portal.room_id.is_none() {
            portal.room_id = Some(room_id.to_string());
            let (id, room) = (portal.id, room_id.to_string());
            self.db
                .step(Lane::login(login.id), move |txn| {
                    let room = room.clone();
                    Box::pin(async move { txn.set_portal_room(id, Some(&room)).await })
                })
                .await?;
        }
        fail::fail_point!("portal.after_room_saved");
        self.populate(&portal, login, &room_id, false).await?;
        self.set_ready(&portal).await?;
        portal.ready = true;
        self.forget_route(Some(&room_id), None);
        Ok(portal)
    }

    async fn create(
        &self,
        portal: &PortalRow,
        login: &LoginRow,
    ) -> Result<OwnedRoomId, BridgeError> {
        let gatekeeper = &portal.key.gatekeeper;
        let mut invite: Vec<OwnedUserId> = vec![owner_of(login)?];
        if let Some(other) = portal.key.chat.direct_user() {
            self.ghost(gatekeeper, &other, None).await?;
            invite.push(self.naming.mxid(gatekeeper, &other));
        }
        let state = self.portal_state(portal);
        let room = NewRoom {
            alias_localpart: Some(self.alias_localpart(portal.id)),
            topic: Some(format!("A chat on {}", self.gatekeeper_name(gatekeeper))),
            invite,
            is_direct: portal.key.login.is_some(),
            initial_state: state,
            power_users: vec![
                (self.client.bot_id().to_owned(), 100),
                (owner_of(login)?, 50),
            ],
            room_version: self.settings.room_version.clone(),
            ..NewRoom::default()
        };
        Ok(self.bot().create_room(room).await?)
    }

    /// The bridge's state events: which chat this room mirrors (MSC2346), and that the bot does not count as a member (MSC4171).
    fn portal_state(&self, portal: &PortalRow) -> Vec<(String, String, serde_json::Value)> {
        let gatekeeper = &portal.key.gatekeeper;
        let bot = self.client.bot_id();
        let info = json!({
            "bridgebot": bot,
            "creator": bot,
            "protocol": { "id": gatekeeper, "displayname": self.gatekeeper_name(gatekeeper) },
            "channel": { "id": portal.key.chat },
        });
        let key = format!("{}://{}/{}", self.settings.namespace, gatekeeper, portal.id);
        vec![
            ("m.bridge".to_owned(), key.clone(), info.clone()),
            ("uk.half-shot.bridge".to_owned(), key, info),
            (
                "io.element.functional_members".to_owned(),
                String::new(),
                json!({ "service_members": [bot] }),
            ),
        ]
    }

    async fn populate(
        &self,
        portal: &PortalRow,
        login: &LoginRow,
        room_id: &OwnedRoomId,
        adopted: bool,
    ) -> Result<(), BridgeError> {
        let Some(other) = portal.key.chat.direct_user() else {
            return Ok(());
        };
        let ghost = self.ghost(&portal.key.gatekeeper, &other, None).await?;
        ghost.join(room_id).await?;
        if adopted {
            let entered = match ghost.invite(room_id, self.client.bot_id()).await {
                Ok(()) => self.bot().join(room_id).await,
                refused => refused,
            };
            match entered {
                Err(error) if error.is_transient() => return Err(error.into()),
                // The chat works without the bot; only its notices and the repair of gaps do not reach the room.
                Err(error) => {
                    tracing::warn!(room = %room_id, %error, "the bot may not enter a room that was made for a chat");
                    return Ok(());
                }
                Ok(()) => {}
            }
            for (kind, key, content) in self.portal_state(portal) {
                // The room's owner may not have given the bot the power; the room works without.
                if let Err(error) = self.bot().send_state(room_id, &kind, &key, &content).await {
                    if error.is_transient() {
                        return Err(error.into());
                    }
                    tracing::debug!(room = %room_id, login = %login.id, %error, "the bridge's state event was refused");
                }
            }
        }
        Ok(())
    }

    async fn set_ready(&self, portal: &PortalRow) -> Result<(), BridgeError> {
        let id = portal.id;
        self.db
            .step(Lane::room(&id.to_string()), move |txn| {
                Box::pin(async move { txn.set_portal_ready(id, true).await })
            })
            .await?;
        Ok(())
    }

    fn alias_localpart(&self, portal: PortalId) -> String {
        format!("{}portal_{portal}", self.settings.alias_prefix)
    }

    fn portal_alias(&self, portal: PortalId) -> String {
        format!(
            "#{}:{}",
            self.alias_localpart(portal),
            self.settings.server_name
        )
    }

    /// The contact a ghost stands for.
    #[must_use]
    pub fn ghost_identity(&self, user: &UserId) -> Option<(GatekeeperId, RemoteUserId)> {
        self.naming.parse(user)
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
