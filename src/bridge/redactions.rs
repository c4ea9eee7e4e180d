//! Events taken out of rooms: as whoever sent them, as the bot where that may not.

use ruma::OwnedRoomId;
use serde_json::{Value, json};

use super::{
    context::{Bridge, BridgeError, event_id},
    routes::PortalRoute,
};
use crate::{
    domain::{GroupRole, PortalId, RemoteUserId},
    matrix::Intent,
};

impl Bridge {
    /// Takes an event of a ghost's out of a room, because of something in the chat of a portal: the room's other chats lose it too.
    pub(super) async fn redact_as(
        &self,
        room_id: &OwnedRoomId,
        (portal, ghost): (PortalId, &Intent),
        event: &str,
        reason: &str,
    ) -> Result<(), BridgeError> {
        let Some(about) = event_id(event) else {
            return Ok(());
        };
        let txn_id = self.effect_id(&["redact", event]);
        let content = self.why_redacted(Some(portal), event, reason);
        let redacted = ghost.redact(room_id, &about, &txn_id, &content).await;
        fail::fail_point!("redact.after_send");
        match redacted {
            Ok(_) => Ok(()),
            Err(error) if error.is_transient() => Err(error.into()),
            Err(error) => {
                tracing::debug!(room = %room_id, event, %error, "a ghost could not take back an event");
                self.redact_as_bot(room_id, Some(portal), event, reason)
                    .await
            }
        }
    }

    /// The content of a redaction, which says from which chat it comes if it comes from one.
    fn why_redacted(&self, portal: Option<PortalId>, event: &str, reason: &str) -> Value {
        let mut content = json!({ "reason": reason });
        if let Some(portal) = portal {
            content[format!("{}.source", self.settings.namespace)] =
                json!({ "id": event, "portal": portal });
        }
        content
    }

    /// Takes an event out of a room as the bot; that it may not is no reason to stop.
    pub(super) async fn redact_as_bot(
        &self,
        room_id: &OwnedRoomId,
        portal: Option<PortalId>,
        event: &str,
        reason: &str,
    ) -> Result<(), BridgeError> {
        let Some(event_id) = event_id(event) else {
            return Ok(());
        };
        let txn_id = self.effect_id(&["redact", event]);
        let content = self.why_redacted(portal, event, reason);
        let bot = self.bot();
        let redacted = bot.redact(room_id, &event_id, &txn_id, &content).await;
        fail::fail_point!("redact.after_send");
        match redacted {
            Ok(_) => Ok(()),
            Err(error) if error.is_transient() => Err(error.into()),
            Err(error) => {
                tracing::debug!(room = %room_id, event, %error, "an event could not be taken out of a room");
                Ok(())
            }
        }
    }

    /// Whether somebody deletes what others wrote: in a group its admins do.
    pub(super) async fn may_delete(
        &self,
        route: &PortalRoute,
        user: &RemoteUserId,
    ) -> Result<bool, BridgeError> {
        Ok(self.role_in(route, user).await? >= Some(GroupRole::Admin))
    }

    /// What somebody is in the group of a portal; `None` if they are not in it or it is no group's.
    pub(super) async fn role_in(
        &self,
        route: &PortalRoute,
        user: &RemoteUserId,
    ) -> Result<Option<GroupRole>, BridgeError> {
        if !route.is_group() {
            return Ok(None);
        }
        let key = route.portal.key.clone();
        let members = self
            .db
            .read(move |txn| {
                let key = key.clone();
                Box::pin(async move { txn.group_members(&key.gatekeeper, &key.chat).await })
            })
            .await?;
        let mut members = members.into_iter();
        Ok(members
            .find(|member| member.user == *user)
            .and_then(|member| member.role))
    }
}
