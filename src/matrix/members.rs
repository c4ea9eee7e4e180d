//! Who is in a room and what they are called there, and in which rooms an account is.

use ruma::{
    OwnedRoomId, OwnedUserId, RoomId,
    api::client::membership::{get_member_events, joined_members, joined_rooms},
    events::room::member::{MembershipState, RoomMemberEvent},
    serde::Raw,
};
use serde_json::Value;

use super::{Intent, MatrixError};

impl Intent {
    /// Who is in a room (`true`) or invited to it (`false`).
    ///
    /// # Errors
    /// What the homeserver said.
    pub async fn present(&self, room: &RoomId) -> Result<Vec<(OwnedUserId, bool)>, MatrixError> {
        let mut request = get_member_events::v3::Request::new(room.to_owned());
        request.not_membership = Some(MembershipState::Leave);
        let members = self.call(request).await?.chunk;
        let present = |event: &Raw<RoomMemberEvent>| {
            let event: Value = event.deserialize_as_unchecked().ok()?;
            let joined = match event["content"]["membership"].as_str()? {
                "join" => true,
                "invite" => false,
                _ => return None,
            };
            Some((
                OwnedUserId::try_from(event["state_key"].as_str()?).ok()?,
                joined,
            ))
        };
        Ok(members.iter().filter_map(present).collect())
    }

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
