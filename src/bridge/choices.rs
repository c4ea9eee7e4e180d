//! What a user decides for one of their chats alone.

use std::sync::Arc;

use ruma::{RoomId, UserId};

use super::{
    context::{Bridge, BridgeError},
    routes::logins_in,
};
use crate::{
    domain::{ChatId, LoginId},
    store::{Lane, PortalRow, PortalSettings},
};

impl Bridge {
    /// The chat of a user's that a room mirrors.
    ///
    /// # Errors
    /// The store's.
    pub async fn chat_in(
        &self,
        user: &UserId,
        room_id: &RoomId,
    ) -> Result<Option<(LoginId, PortalRow)>, BridgeError> {
        let (mxid, room) = (user.to_string(), room_id.to_string());
        Ok(self
            .db
            .read(move |txn| {
                let (mxid, room) = (mxid.clone(), room.clone());
                Box::pin(async move {
                    for portal in txn.portals_in(&room).await? {
                        let logins = logins_in(txn, &portal).await?;
                        if let Some(its) = logins.iter().find(|login| login.mxid == mxid) {
                            return Ok(Some((its.id, portal)));
                        }
                    }
                    Ok(None)
                })
            })
            .await?)
    }

    /// The portal of a chat, if there is one.
    ///
    /// # Errors
    /// The store's.
    pub async fn portal_of_chat(
        &self,
        login: LoginId,
        chat: &ChatId,
    ) -> Result<Option<PortalRow>, BridgeError> {
        let chat = chat.clone();
        Ok(self
            .db
            .read(move |txn| {
                let chat = chat.clone();
                Box::pin(async move {
                    let portals = txn.portals_of(login).await?;
                    Ok(portals.into_iter().find(|portal| portal.key.chat == chat))
                })
            })
            .await?)
    }

    /// Changes what is decided for a chat; what it is then.
    ///
    /// # Errors
    /// The store's.
    pub async fn decide(
        &self,
        login: LoginId,
        portal: &PortalRow,
        change: impl Fn(&mut PortalSettings) + Send + Sync + 'static,
    ) -> Result<PortalSettings, BridgeError> {
        let (id, change) = (portal.id, Arc::new(change));
        let decided = self
            .db
            .step(Lane::login(login), move |txn| {
                let change = change.clone();
                Box::pin(async move {
                    let row = txn.portal_by_id(id).await?;
                    let mut settings = row.map(|row| row.settings).unwrap_or_default();
                    change(&mut settings);
                    txn.set_portal_settings(id, &settings).await?;
                    Ok(settings)
                })
            })
            .await?;
        let room = portal
            .room_id
            .as_deref()
            .and_then(|room| ruma::OwnedRoomId::try_from(room).ok());
        self.forget_route(room.as_ref(), Some(&(login, portal.key.chat.clone())));
        Ok(decided)
    }
}
