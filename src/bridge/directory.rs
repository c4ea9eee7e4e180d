//! What a client's directory finds: people by what one types for them, and public rooms by the group they are linked to.
//!
//! The homeserver does not say who asks, so nothing is asked of a gatekeeper on anybody's behalf, and whether a ghost exists makes no
//! difference: a well-formed number or address always has its answer. Rooms are found only when anybody may enter them anyway.

use ruma::{OwnedRoomAliasId, OwnedRoomId, RoomAliasId};

use super::context::{Bridge, BridgeError};
use crate::{
    domain::{ChatId, GatekeeperId, PortalId, PortalKey},
    store::PortalRow,
};

impl Bridge {
    /// Whether an alias is of a portal, whose room it then leads to again.
    pub(super) async fn restore_alias(&self, alias: &RoomAliasId) -> Result<bool, BridgeError> {
        if alias.server_name() != self.settings.server_name.as_str() {
            return Ok(false);
        }
        let number = alias
            .alias()
            .strip_prefix(&self.settings.alias_prefix)
            .and_then(|rest| rest.strip_prefix("portal_"))
            .and_then(|number| number.parse().ok());
        let Some(id) = number.map(PortalId) else {
            return Ok(false);
        };
        let portal = self
            .db
            .read(move |txn| Box::pin(async move { txn.portal_by_id(id).await }))
            .await?;
        // A room somebody linked has aliases of its own.
        let portal = portal.filter(|portal| !portal.linked);
        let Some(room) = portal.as_ref().and_then(room_of) else {
            return Ok(false);
        };
        self.bot().create_alias(alias, &room).await?;
        Ok(true)
    }

    /// The groups that a public room is linked to, by an alias of it.
    pub(super) async fn groups_behind(
        &self,
        alias: &RoomAliasId,
    ) -> Result<Vec<(GatekeeperId, ChatId)>, BridgeError> {
        let Some(room) = self.bot().resolve_alias(alias).await? else {
            return Ok(Vec::new());
        };
        let room_id = room.to_string();
        let portals = self
            .db
            .read(move |txn| {
                let room_id = room_id.clone();
                Box::pin(async move { txn.portals_in(&room_id).await })
            })
            .await?;
        let linked: Vec<PortalRow> = portals.into_iter().filter(is_linked_group).collect();
        if linked.is_empty() || !self.is_public(&room).await? {
            return Ok(Vec::new());
        }
        let keys = linked.into_iter().map(|portal| portal.key);
        Ok(keys.map(|key| (key.gatekeeper, key.chat)).collect())
    }

    /// The alias of the public room that a group is linked to.
    pub(super) async fn alias_of_group(
        &self,
        gatekeeper: &GatekeeperId,
        chat: &ChatId,
    ) -> Result<Option<OwnedRoomAliasId>, BridgeError> {
        let key = PortalKey {
            gatekeeper: gatekeeper.clone(),
            chat: chat.clone(),
            login: None,
        };
        let portal = self
            .db
            .read(move |txn| {
                let key = key.clone();
                Box::pin(async move { txn.portal(&key).await })
            })
            .await?;
        let Some(room) = portal.filter(is_linked_group).as_ref().and_then(room_of) else {
            return Ok(None);
        };
        if !self.is_public(&room).await? {
            return Ok(None);
        }
        let canonical = self
            .bot()
            .state(&room, "m.room.canonical_alias", "")
            .await?;
        Ok(canonical.and_then(|content| {
            let alias = content["alias"].as_str()?;
            OwnedRoomAliasId::try_from(alias).ok()
        }))
    }

    async fn is_public(&self, room: &OwnedRoomId) -> Result<bool, BridgeError> {
        let rules = self.bot().state(room, "m.room.join_rules", "").await?;
        Ok(rules.is_some_and(|rules| rules["join_rule"] == "public"))
    }
}

fn is_linked_group(portal: &PortalRow) -> bool {
    portal.linked && portal.key.login.is_none()
}

fn room_of(portal: &PortalRow) -> Option<OwnedRoomId> {
    OwnedRoomId::try_from(portal.room_id.as_deref()?).ok()
}
