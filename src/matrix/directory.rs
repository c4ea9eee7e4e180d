//! Aliases of rooms.

use ruma::{OwnedRoomId, RoomAliasId, RoomId};
use serde_json::json;

use super::{Intent, MatrixError, request::Identity};

impl Intent {
    /// The room an alias leads to; `None` if it leads nowhere.
    ///
    /// # Errors
    /// What the homeserver said.
    pub async fn resolve_alias(
        &self,
        alias: &RoomAliasId,
    ) -> Result<Option<OwnedRoomId>, MatrixError> {
        let path = alias_path(alias);
        match self.client.json(&path, Identity::Device(&self.user)).await {
            Ok(found) => Ok(found["room_id"]
                .as_str()
                .and_then(|room| OwnedRoomId::try_from(room).ok())),
            Err(error) if error.errcode() == Some("M_NOT_FOUND") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Has an alias lead to a room; that it leads somewhere already is success.
    ///
    /// # Errors
    /// What the homeserver said.
    pub async fn create_alias(
        &self,
        alias: &RoomAliasId,
        room: &RoomId,
    ) -> Result<(), MatrixError> {
        let (path, body) = (alias_path(alias), json!({ "room_id": room }));
        let identity = Identity::Device(&self.user);
        match self.client.put_json(&path, identity, &body).await {
            Err(error) if error.status() != Some(409) => Err(error),
            _ => Ok(()),
        }
    }
}

fn alias_path(alias: &RoomAliasId) -> [&str; 6] {
    [
        "_matrix",
        "client",
        "v3",
        "directory",
        "room",
        alias.as_str(),
    ]
}
