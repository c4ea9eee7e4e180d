//! Rooms that were made by somebody else, and rooms that are given up.

use ruma::OwnedRoomId;

use crate::{
    bridge::{
        context::{Bridge, BridgeError, lock},
        rooms::open_room,
        routes::PortalRoute,
    },
    domain::{ChatId, LoginId},
    store::Lane,
};

impl Bridge {
    /// Takes a room somebody made as the room of a direct chat, if the chat has none. The room it has otherwise.
    pub(in crate::bridge) async fn adopt_room(
        &self,
        login: LoginId,
        chat: &ChatId,
        room_id: &OwnedRoomId,
    ) -> Result<Option<OwnedRoomId>, BridgeError> {
        let opening = self.opening(self.portal_row(login, chat, None).await?.0.id);
        let _alone = opening.lock().await;
        let (portal, login_row) = self.portal_row(login, chat, Some(room_id)).await?;
        let its = portal
            .room_id
            .as_deref()
            .and_then(|room| OwnedRoomId::try_from(room).ok());
        if its.as_ref() != Some(room_id) {
            return Ok(its);
        }
        self.populate_direct(&portal, &login_row, room_id, true)
            .await?;
        self.set_ready(&portal).await?;
        self.forget_route(Some(room_id), Some(&(login, chat.clone())));
        self.groups.spaces.wake(login);
        // What was written before there was a room may wait.
        self.chats.wake((login, chat.clone()));
        Ok(None)
    }

    /// Gives up a room that cannot be used any more: the next message makes a new one.
    pub(in crate::bridge) async fn abandon_room(
        &self,
        route: &PortalRoute,
    ) -> Result<(), BridgeError> {
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
        let key = route.portal.key.clone();
        self.db
            .step(Lane::login(route.login), move |txn| {
                let key = key.clone();
                Box::pin(async move {
                    txn.set_portal_ready(id, false).await?;
                    // The new room is the bridge's own.
                    txn.set_portal_linked(id, false).await?;
                    txn.set_portal_room(id, None).await?;
                    if key.login.is_none() {
                        txn.forget_shown(&key.gatekeeper, &key.chat).await?;
                    }
                    Ok(())
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
}
