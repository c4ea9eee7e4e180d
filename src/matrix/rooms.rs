//! Rooms made under an alias, so that a creation that was interrupted is taken up again instead of done twice.

use ruma::{
    OwnedRoomId, OwnedUserId, RoomAliasId, RoomVersionId,
    api::client::{
        alias::get_alias,
        room::create_room::{self, v3::RoomPreset},
    },
};
use serde_json::{Map, Value, json};

use super::{Intent, MatrixError, intent::raw};

/// A room to be made.
#[derive(Debug, Clone, Default)]
pub struct NewRoom {
    /// The local part of its alias, by which a second try finds the room of the first.
    pub alias_localpart: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its topic.
    pub topic: Option<String>,
    /// Who is invited.
    pub invite: Vec<OwnedUserId>,
    /// Whether clients show it as a direct chat.
    pub is_direct: bool,
    /// State it begins with: type, key, content.
    pub initial_state: Vec<(String, String, Value)>,
    /// Power levels of users. The creator's is left out where the room version gives creators all power, and added where it does not.
    pub power_users: Vec<(OwnedUserId, i64)>,
    /// The rest of its power levels; the homeserver's own where nothing is said.
    pub power: Map<String, Value>,
    /// Whether it is a space.
    pub is_space: bool,
    /// Its version; the homeserver's default if `None`.
    pub room_version: Option<String>,
}

impl Intent {
    /// Makes a room. If its alias is taken, the room behind that is completed and taken: an earlier try made it.
    ///
    /// # Errors
    /// What the homeserver said.
    pub async fn create_room(&self, room: NewRoom) -> Result<OwnedRoomId, MatrixError> {
        match self.create(&room).await {
            Err(error) if error.errcode() == Some("M_ROOM_IN_USE") => self.adopt(&room).await,
            other => other,
        }
    }

    async fn create(&self, room: &NewRoom) -> Result<OwnedRoomId, MatrixError> {
        let version = match &room.room_version {
            Some(version) => RoomVersionId::try_from(version.as_str())
                .map_err(|error| MatrixError::Request(error.to_string()))?,
            None => self.client.default_room_version().await?,
        };
        let mut request = create_room::v3::Request::new();
        request.preset = Some(RoomPreset::PrivateChat);
        request.room_alias_name.clone_from(&room.alias_localpart);
        request.name.clone_from(&room.name);
        request.topic.clone_from(&room.topic);
        request.invite.clone_from(&room.invite);
        request.is_direct = room.is_direct;
        let mut power = room.power.clone();
        let users = self.power_levels(room, &version);
        power.insert("users".to_owned(), users.into());
        request.power_level_content_override = Some(raw(&power.into())?);
        if room.is_space {
            request.creation_content = Some(raw(&json!({ "type": "m.space" }))?);
        }
        request.room_version = room.room_version.is_some().then_some(version);
        for (kind, key, content) in &room.initial_state {
            let event = json!({ "type": kind, "state_key": key, "content": content });
            request.initial_state.push(raw(&event)?);
        }
        Ok(self.call(request).await?.room_id)
    }

    fn power_levels(&self, room: &NewRoom, version: &RoomVersionId) -> Map<String, Value> {
        let mut users: Map<String, Value> = room
            .power_users
            .iter()
            .map(|(user, level)| (user.to_string(), Value::from(*level)))
            .collect();
        // A version ruma does not know is newer than version 12.
        let creator_is_above = version
            .rules()
            .is_none_or(|rules| rules.authorization.explicitly_privilege_room_creators);
        if creator_is_above {
            users.remove(self.user.as_str());
        } else {
            users.entry(self.user.to_string()).or_insert(100.into());
        }
        users
    }

    async fn adopt(&self, room: &NewRoom) -> Result<OwnedRoomId, MatrixError> {
        let name = room.alias_localpart.as_deref().unwrap_or_default();
        let alias = RoomAliasId::parse(format!("#{name}:{}", self.client.server_name()))
            .map_err(|error| MatrixError::Request(error.to_string()))?;
        let request = get_alias::v3::Request::new(alias.clone());
        let found = self.call(request).await?.room_id;
        match self.join(&found).await {
            Ok(()) => self.complete(&found, room).await.map(|()| found),
            Err(error) if error.is_closed() && !self.can_read(&found).await? => {
                // The alias leads to a room that never came into being, or that is closed to its maker.
                self.delete_alias(alias.as_str()).await?;
                self.create(room).await
            }
            // Another request may be making it just now; a later try finds it whole.
            Err(error) => Err(error),
        }
    }

    /// Whether a room has a beginning that is shown to this account.
    async fn can_read(&self, room: &OwnedRoomId) -> Result<bool, MatrixError> {
        match self.state(room, "m.room.create", "").await {
            Ok(create) => Ok(create.is_some()),
            Err(error) if error.is_closed() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Adds what a creation that was interrupted has not done.
    async fn complete(&self, found: &OwnedRoomId, room: &NewRoom) -> Result<(), MatrixError> {
        let mut state = room.initial_state.clone();
        if let Some(name) = &room.name {
            state.push(("m.room.name".into(), String::new(), json!({ "name": name })));
        }
        if let Some(topic) = &room.topic {
            state.push((
                "m.room.topic".into(),
                String::new(),
                json!({ "topic": topic }),
            ));
        }
        for (kind, key, content) in &state {
            if self.state(found, kind, key).await?.is_none() {
                self.send_state(found, kind, key, content).await?;
            }
        }
        for user in &room.invite {
            let member = self.state(found, "m.room.member", user.as_str()).await?;
            // Somebody who left since then is not called back.
            if member.is_none() {
                self.invite(found, user).await?;
            }
        }
        Ok(())
    }
}
