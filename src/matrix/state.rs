//! What one of the bridge's accounts asks of rooms that are not its own: their state, who may do what, a way in and out.

use ruma::{
    OwnedRoomId, OwnedServerName, RoomAliasId, RoomId, UserId,
    api::client::{
        alias::{create_alias, get_alias},
        membership::{join_room_by_id_or_alias, leave_room, unban_user},
        state::{
            get_state_event_for_key::{self, v3::StateEventFormat},
            get_state_events,
        },
    },
    events::StateEventType,
};
use serde_json::Value;

use super::{Intent, MatrixError, Power};

impl Intent {
    /// Every state event of a room, whole.
    ///
    /// # Errors
    /// What the homeserver said.
    pub async fn whole_state(&self, room: &RoomId) -> Result<Vec<Value>, MatrixError> {
        let request = get_state_events::v3::Request::new(room.to_owned());
        let answer = self.call(request).await?;
        Ok(answer
            .room_state
            .iter()
            .filter_map(|event| event.deserialize_as_unchecked().ok())
            .collect())
    }

    /// The event that began a room; of a homeserver that does not give whole events, its content.
    ///
    /// # Errors
    /// What the homeserver said.
    pub async fn creation(&self, room: &RoomId) -> Result<Value, MatrixError> {
        let mut request = get_state_event_for_key::v3::Request::new(
            room.to_owned(),
            StateEventType::RoomCreate,
            String::new(),
        );
        request.format = StateEventFormat::Event;
        let answer = self.call(request).await?;
        serde_json::from_str(answer.event_or_content.get())
            .map_err(|error| MatrixError::Unreadable(error.to_string()))
    }

    /// Who may do what in a room.
    ///
    /// # Errors
    /// What the homeserver said.
    pub async fn power(&self, room: &RoomId) -> Result<Power, MatrixError> {
        let create = self.creation(room).await?;
        let levels = self.state(room, "m.room.power_levels", "").await?;
        Ok(Power::read(&create, levels))
    }

    /// Joins a room by way of these servers: of a room's id alone nobody can tell where it is.
    ///
    /// # Errors
    /// What the homeserver said.
    pub async fn join_by(&self, room: &RoomId, via: &[OwnedServerName]) -> Result<(), MatrixError> {
        let mut request = join_room_by_id_or_alias::v3::Request::new(room.to_owned().into());
        request.via = via.to_vec();
        self.call(request).await.map(drop)
    }

    /// Leaves a room, or declines its invitation, and says why.
    ///
    /// # Errors
    /// What the homeserver said.
    pub async fn leave_because(&self, room: &RoomId, reason: &str) -> Result<(), MatrixError> {
        let mut request = leave_room::v3::Request::new(room.to_owned());
        request.reason = Some(reason.to_owned());
        self.call(request).await.map(drop)
    }

    /// Lets somebody in again who was banned.
    ///
    /// # Errors
    /// What the homeserver said; that they are not banned is refused, too.
    pub async fn unban(&self, room: &RoomId, user: &UserId) -> Result<(), MatrixError> {
        let request = unban_user::v3::Request::new(room.to_owned(), user.to_owned());
        self.call(request).await.map(drop)
    }

    /// The room an alias (`#name:server`) leads to, if it leads anywhere.
    ///
    /// # Errors
    /// What the homeserver said, or that the text is no alias.
    pub async fn room_of_alias(&self, alias: &str) -> Result<Option<OwnedRoomId>, MatrixError> {
        let request = get_alias::v3::Request::new(parsed(alias)?);
        match self.call(request).await {
            Ok(answer) => Ok(Some(answer.room_id)),
            Err(error) if error.errcode() == Some("M_NOT_FOUND") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Lets an alias (`#name:server`) lead to a room, wherever it led before.
    ///
    /// # Errors
    /// What the homeserver said, or that the text is no alias.
    pub async fn move_alias(&self, alias: &str, room: &RoomId) -> Result<(), MatrixError> {
        match self.room_of_alias(alias).await? {
            Some(leads_to) if leads_to == room => return Ok(()),
            Some(_) => self.delete_alias(alias).await?,
            None => {}
        }
        let request = create_alias::v3::Request::new(parsed(alias)?, room.to_owned());
        self.call(request).await.map(drop)
    }
}

fn parsed(alias: &str) -> Result<ruma::OwnedRoomAliasId, MatrixError> {
    RoomAliasId::parse(alias).map_err(|error| MatrixError::Request(error.to_string()))
}
