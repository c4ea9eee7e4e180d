//! Who is in a room and what they are called there, and in which rooms an account is.

use ruma::{
    OwnedRoomId, OwnedUserId, RoomId,
    api::client::membership::{joined_members, joined_rooms},
};

use super::{Intent, MatrixError};

impl Intent {
    /// The members of a room, each with the display name they have there.
    ///
    /// # Errors
    /// What the homeserver said.
    pub async fn named_members(
        &self,
        room: &RoomId,
    ) -> Result<Vec<(OwnedUserId, Option<String>)>, MatrixError> {
        let request = joined_members::v3::Request::new(room.to_owned());
        let joined = self.call(request).await?.joined;
        Ok(joined
            .into_iter()
            .map(|(user, member)| (user, member.display_name))
            .collect())
    }

    /// The rooms this account is in.
    ///
    /// # Errors
    /// What the homeserver said.
    pub async fn joined_rooms(&self) -> Result<Vec<OwnedRoomId>, MatrixError> {
        let request = joined_rooms::v3::Request::new();
        Ok(self.call(request).await?.joined_rooms)
    }
}
