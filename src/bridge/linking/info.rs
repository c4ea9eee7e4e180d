//! Which chat a room shows, as state for clients and other bridges (MSC2346), under its stable and its older name.

use ruma::RoomId;
use serde_json::{Value, json};

use crate::{
    bridge::context::{Bridge, BridgeError},
    store::PortalRow,
};

/// The types of the state.
pub(super) const KINDS: [&str; 2] = ["m.bridge", "uk.half-shot.bridge"];

impl Bridge {
    /// Says which chat a room shows. A room that does not take it works without.
    pub(in crate::bridge) async fn show_info(
        &self,
        portal: &PortalRow,
        room_id: &RoomId,
    ) -> Result<(), BridgeError> {
        let gatekeeper = &portal.key.gatekeeper;
        let bot = self.client.bot_id();
        let content = json!({
            "bridgebot": bot,
            "creator": bot,
            "protocol": { "id": gatekeeper, "displayname": self.gatekeeper_name(gatekeeper) },
            "channel": { "id": portal.key.chat },
        });
        self.set_info(portal, room_id, &content).await
    }

    /// Says that a room does not show a chat any more.
    pub(super) async fn clear_info(
        &self,
        portal: &PortalRow,
        room_id: &RoomId,
    ) -> Result<(), BridgeError> {
        self.set_info(portal, room_id, &json!({})).await
    }

    async fn set_info(
        &self,
        portal: &PortalRow,
        room_id: &RoomId,
        content: &Value,
    ) -> Result<(), BridgeError> {
        let namespace = &self.settings.namespace;
        let key = format!("{namespace}://{}/{}", portal.key.gatekeeper, portal.id);
        for kind in KINDS {
            match self.bot().send_state(room_id, kind, &key, content).await {
                Err(error) if error.is_transient() => return Err(error.into()),
                Err(error) => {
                    tracing::debug!(room = %room_id, portal = %portal.id, %error, "the bridge's state was refused");
                    return Ok(());
                }
                Ok(()) => {}
            }
        }
        Ok(())
    }
}
