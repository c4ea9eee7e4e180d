//! The owner of a portal coming and going, and the bot taking its leave.

use ruma::{
    OwnedRoomId,
    events::{AnyTimelineEvent, room::member::MembershipState},
};

use super::{
    context::{Bridge, BridgeError},
    invites::member_change,
    rooms::open_room,
    routes::PortalRoute,
};
use crate::{
    domain::{LoginId, PortalId},
    store::{Lane, LoginRow, PortalRow},
    translate::bridge_notice,
};

/// The key under which it is kept that a portal's owner has left its room.
fn left_key(portal: PortalId) -> String {
    format!("left/{portal}")
}

impl Bridge {
    /// Remembers that the owner left a portal: they are invited again with the next message, which they would not see otherwise.
    pub(super) async fn note_owner_left(
        &self,
        route: &PortalRoute,
        event: &AnyTimelineEvent,
    ) -> Result<(), BridgeError> {
        let Some(change) = member_change(event).filter(|change| change.of == route.owner) else {
            return Ok(());
        };
        let left = matches!(
            change.membership,
            MembershipState::Leave | MembershipState::Ban
        );
        self.set_left(route.login, route.portal.id, left).await?;
        self.forget_route(None, Some(&(route.login, route.portal.key.chat.clone())));
        Ok(())
    }

    /// Invites the owner of a portal who has left it.
    pub(super) async fn bring_owner_back(
        &self,
        portal: &PortalRow,
        login: &LoginRow,
    ) -> Result<(), BridgeError> {
        let key = left_key(portal.id);
        let left = self
            .db
            .read(move |txn| {
                let key = key.clone();
                Box::pin(async move { txn.value(&key).await })
            })
            .await?;
        if left.as_deref() != Some("yes") {
            return Ok(());
        }
        let route =
            super::routes::portal_route(portal.clone(), login, std::slice::from_ref(login))?;
        let room_id = open_room(&route)?;
        match self.bot().invite(&room_id, &route.owner).await {
            Err(error) if error.is_transient() => return Err(error.into()),
            Err(error) => {
                tracing::warn!(room = %room_id, %error, "the owner of a portal could not be invited again");
            }
            Ok(()) => {}
        }
        self.set_left(login.id, portal.id, false).await
    }

    async fn set_left(
        &self,
        login: LoginId,
        portal: PortalId,
        left: bool,
    ) -> Result<(), BridgeError> {
        let (key, value) = (left_key(portal), if left { "yes" } else { "no" });
        self.db
            .step(Lane::login(login), move |txn| {
                let key = key.clone();
                Box::pin(async move { txn.set_value(&key, value).await })
            })
            .await?;
        Ok(())
    }

    /// Says a last word as the bot and leaves a room.
    pub(super) async fn take_leave(
        &self,
        room_id: &OwnedRoomId,
        word: &str,
    ) -> Result<(), BridgeError> {
        let txn_id = self.effect_id(&["leave", room_id.as_str()]);
        let content = bridge_notice(word, None);
        let said = self
            .bot()
            .send(room_id, "m.room.message", &txn_id, &content, None)
            .await;
        let left = match said {
            Err(error) if error.is_transient() => return Err(error.into()),
            _ => self.bot().leave(room_id).await,
        };
        match left {
            Err(error) if error.is_transient() => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// The rooms of a login's chats, to be left by [`Bridge::close_rooms`] once the login is gone.
    ///
    /// # Errors
    /// The store's.
    pub async fn rooms_of(&self, login: LoginId) -> Result<Vec<PortalRow>, BridgeError> {
        Ok(self
            .db
            .read(move |txn| Box::pin(async move { txn.portals_of(login).await }))
            .await?)
    }

    /// Leaves the rooms of a login that is gone, bot and ghosts, saying so.
    pub async fn close_rooms(&self, portals: &[PortalRow]) {
        for portal in portals {
            let Some(room_id) = portal
                .room_id
                .as_deref()
                .and_then(|room| OwnedRoomId::try_from(room).ok())
            else {
                continue;
            };
            let word = "You are logged out: this room is not connected to the chat any more.";
            if let Err(error) = self.take_leave(&room_id, word).await {
                tracing::warn!(room = %room_id, %error, "a room of a login that is gone could not be left");
            }
            if let Some(other) = portal.key.chat.direct_user() {
                let ghost = self
                    .client
                    .ghost(&self.naming.mxid(&portal.key.gatekeeper, &other));
                if let Err(error) = ghost.leave(&room_id).await {
                    tracing::debug!(room = %room_id, %error, "a ghost could not leave");
                }
            }
            self.forget_route(Some(&room_id), None);
        }
    }
}
