//! What a portal's room says of itself: which chat it mirrors (MSC2346), and that the bot does not count as a member (MSC4171).

use serde_json::{Value, json};

use crate::{bridge::context::Bridge, domain::PortalId, store::PortalRow};

/// A state event: type, key, content.
pub(in crate::bridge) type StateEvent = (String, String, Value);

impl Bridge {
    /// Which chat a portal's room mirrors, in the stable and the unstable event.
    pub(in crate::bridge) fn bridge_state(
        &self,
        portal: &PortalRow,
        name: Option<&str>,
        avatar: Option<&str>,
    ) -> [StateEvent; 2] {
        let gatekeeper = &portal.key.gatekeeper;
        let bot = self.client.bot_id();
        let mut channel = json!({ "id": portal.key.chat });
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            channel["displayname"] = json!(name);
        }
        if let Some(avatar) = avatar {
            channel["avatar_url"] = json!(avatar);
        }
        let mut info = json!({
            "bridgebot": bot,
            "creator": bot,
            "protocol": { "id": gatekeeper, "displayname": self.gatekeeper_name(gatekeeper) },
            "channel": channel,
        });
        if portal.key.login.is_some() {
            info["com.beeper.room_type"] = json!("dm");
        }
        let key = format!("{}://{}/{}", self.settings.namespace, gatekeeper, portal.id);
        [
            ("m.bridge".to_owned(), key.clone(), info.clone()),
            ("uk.half-shot.bridge".to_owned(), key, info),
        ]
    }

    /// That the bot does not count as a member.
    pub(super) fn functional_members(&self) -> StateEvent {
        (
            "io.element.functional_members".to_owned(),
            String::new(),
            json!({ "service_members": [self.client.bot_id()] }),
        )
    }

    /// That a room is encrypted, if new ones are.
    pub(super) fn room_encryption(&self) -> Option<StateEvent> {
        self.settings.encryption.new_rooms.then(|| {
            (
                "m.room.encryption".to_owned(),
                String::new(),
                json!({ "algorithm": "m.megolm.v1.aes-sha2" }),
            )
        })
    }

    pub(super) fn alias_localpart(&self, portal: PortalId) -> String {
        format!("{}portal_{portal}", self.settings.alias_prefix)
    }

    pub(super) fn portal_alias(&self, portal: PortalId) -> String {
        format!(
            "#{}:{}",
            self.alias_localpart(portal),
            self.settings.server_name
        )
    }
}
