//! The space of each login, with the rooms of its chats in it; and the direct chats a user's clients know of.

use std::collections::{BTreeMap, HashMap};

use ruma::OwnedRoomId;
use serde_json::{Value, json};

use super::{
    context::{Bridge, BridgeError},
    owners::group_portals,
    routes::owner_of,
    workers::Outcome,
};
use crate::{
    domain::LoginId,
    matrix::NewRoom,
    store::{Lane, LoginRow, LoginState, PortalRow},
};

/// The account data by which clients know direct chats.
const DIRECT: &str = "m.direct";

/// The key under which the room of a login's space is kept.
fn space_key(login: LoginId) -> String {
    format!("space/{login}")
}

/// What the keys of the rooms begin with that are in a login's space.
fn child_prefix(login: LoginId) -> String {
    format!("space_child/{login}/")
}

/// The key under which the room is kept that a user's clients know as a direct chat; without a portal, what those of a login
/// begin with.
fn direct_key(login: LoginId, portal: Option<&PortalRow>) -> String {
    match portal {
        Some(portal) => format!("direct/{login}/{}", portal.id),
        None => format!("direct/{login}/"),
    }
}

/// What is true of a login's rooms, and what was done of that.
struct Wanted {
    login: LoginRow,
    space: Option<String>,
    /// Rooms in the space, by their keys.
    inside: BTreeMap<String, String>,
    /// The ready portals.
    portals: Vec<PortalRow>,
    /// Direct chats the user's clients were not told of.
    untold: Vec<PortalRow>,
}

impl Bridge {
    /// Makes a login's space if there is none, and puts its rooms in it; those that are not its any more are taken out.
    ///
    /// # Errors
    /// What the homeserver or the store said.
    pub async fn ensure_space(&self, login: LoginId) -> Result<(), BridgeError> {
        let Some(wanted) = self.wanted_in_space(login).await? else {
            return Ok(());
        };
        self.tell_direct(&wanted).await?;
        // Without anything to put in it, a space is not needed.
        if !self.settings.rooms.personal_spaces
            || wanted.portals.is_empty() && wanted.space.is_none()
        {
            return Ok(());
        }
        let space = match wanted.space.as_deref().map(OwnedRoomId::try_from) {
            Some(Ok(space)) => space,
            _ => self.make_space(&wanted.login).await?,
        };
        let prefix = child_prefix(login);
        let rooms = wanted.portals.iter();
        let rooms: Vec<&str> = rooms.filter_map(|one| one.room_id.as_deref()).collect();
        for room in &rooms {
            let key = format!("{prefix}{room}");
            if !wanted.inside.contains_key(&key) {
                let content = json!({ "via": [self.settings.server_name] });
                self.put_child(login, &space, room, Some(&content)).await?;
            }
        }
        for key in wanted.inside.keys() {
            let room = key.strip_prefix(&prefix).unwrap_or_default();
            if !rooms.contains(&room) {
                self.put_child(login, &space, room, None).await?;
            }
        }
        Ok(())
    }

    /// Keeps a login's space.
    pub(super) async fn carry_space(&self, login: LoginId) -> Outcome {
        if !self.is_introduced() {
            return Outcome::Retry;
        }
        match self.ensure_space(login).await {
            Ok(()) => Outcome::Done,
            Err(error) if error.is_transient() => {
                tracing::debug!(%login, %error, "a space is kept later");
                Outcome::Retry
            }
            Err(error) => {
                tracing::warn!(%login, %error, "a space cannot be kept");
                Outcome::Done
            }
        }
    }

    async fn wanted_in_space(&self, login: LoginId) -> Result<Option<Wanted>, BridgeError> {
        Ok(self
            .db
            .read(move |txn| {
                Box::pin(async move {
                    let row = txn.login(login).await?;
                    let Some(row) = row.filter(|row| row.state != LoginState::LoggedOut) else {
                        return Ok(None);
                    };
                    let mut portals = txn.portals_of(login).await?;
                    portals.extend(group_portals(txn, &row).await?);
                    portals.retain(|portal| portal.ready && portal.room_id.is_some());
                    let told = txn.values(&direct_key(login, None)).await?;
                    let told: HashMap<String, String> = told.into_iter().collect();
                    let is_untold = |portal: &&PortalRow| {
                        portal.key.login.is_some()
                            && told.get(&direct_key(login, Some(*portal)))
                                != portal.room_id.as_ref()
                    };
                    let untold = portals.iter().filter(is_untold).cloned().collect();
                    let space = txn.value(&space_key(login)).await?;
                    let inside = txn.values(&child_prefix(login)).await?;
                    Ok(Some(Wanted {
                        login: row,
                        space,
                        inside: inside.into_iter().collect(),
                        portals,
                        untold,
                    }))
                })
            })
            .await?)
    }

    async fn make_space(&self, login: &LoginRow) -> Result<OwnedRoomId, BridgeError> {
        let owner = owner_of(login)?;
        let gatekeeper = self.gatekeeper_name(&login.gatekeeper);
        let room = NewRoom {
            alias_localpart: Some(self.space_alias(login.id)),
            name: Some(gatekeeper.to_owned()),
            topic: Some(format!("Your chats on {gatekeeper}")),
            invite: vec![owner.clone()],
            power_users: vec![(self.client.bot_id().to_owned(), 100), (owner.clone(), 50)],
            is_space: true,
            room_version: self.settings.room_version.clone(),
            ..NewRoom::default()
        };
        let space = self.bot().create_room(room).await?;
        self.keep_place(login.id, space_key(login.id), Some(space.to_string()))
            .await?;
        self.let_puppet_join(&owner, &space).await?;
        Ok(space)
    }

    fn space_alias(&self, login: LoginId) -> String {
        format!("{}space_{login}", self.settings.alias_prefix)
    }

    /// Puts a room into a login's space, or (`None`) takes it out.
    async fn put_child(
        &self,
        login: LoginId,
        space: &OwnedRoomId,
        room: &str,
        content: Option<&Value>,
    ) -> Result<(), BridgeError> {
        let (is_in, nothing) = (content.is_some(), json!({}));
        let content = content.unwrap_or(&nothing);
        let put = self
            .bot()
            .send_state(space, "m.space.child", room, content)
            .await;
        match put {
            Err(error) if error.is_transient() => return Err(error.into()),
            // A space its user has changed so that the bot may not: theirs to keep.
            Err(error) => tracing::info!(%login, room, %error, "a space could not be changed"),
            Ok(()) => {}
        }
        let value = is_in.then(|| "in".to_owned());
        let key = format!("{}{room}", child_prefix(login));
        self.keep_place(login, key, value).await
    }

    async fn keep_place(
        &self,
        login: LoginId,
        key: String,
        value: Option<String>,
    ) -> Result<(), BridgeError> {
        self.db
            .step(Lane::login(login), move |txn| {
                let (key, value) = (key.clone(), value.clone());
                Box::pin(async move {
                    match value {
                        Some(value) => txn.set_value(&key, &value).await,
                        None => txn.delete_value(&key).await,
                    }
                })
            })
            .await?;
        Ok(())
    }

    /// Lets the clients of a user with a double puppet know which rooms are direct chats.
    async fn tell_direct(&self, wanted: &Wanted) -> Result<(), BridgeError> {
        if wanted.untold.is_empty() {
            return Ok(());
        }
        let owner = owner_of(&wanted.login)?;
        let Some(puppet) = self.puppet_of(&owner).await? else {
            return Ok(());
        };
        let before = puppet.account_data(DIRECT).await?;
        let mut content = before.clone().filter(Value::is_object).unwrap_or(json!({}));
        for portal in &wanted.untold {
            if let (Some(other), Some(room)) = (portal.key.chat.direct_user(), &portal.room_id) {
                let ghost = self.naming.mxid(&portal.key.gatekeeper, &other);
                add_direct(&mut content, ghost.as_str(), room);
            }
        }
        if before.as_ref() != Some(&content) {
            puppet.set_account_data(DIRECT, &content).await?;
        }
        for portal in &wanted.untold {
            let room = portal.room_id.clone();
            let key = direct_key(wanted.login.id, Some(portal));
            self.keep_place(wanted.login.id, key, room).await?;
        }
        Ok(())
    }

    /// Leaves the space of a login that is gone; its user keeps it.
    pub(super) async fn close_space(&self, login: LoginId) -> Result<(), BridgeError> {
        let (space, inside) = self
            .db
            .read(move |txn| {
                Box::pin(async move {
                    let space = txn.value(&space_key(login)).await?;
                    Ok((space, txn.values(&child_prefix(login)).await?))
                })
            })
            .await?;
        let Some(space) = space.and_then(|space| OwnedRoomId::try_from(space).ok()) else {
            return Ok(());
        };
        let alias = format!("#{}:{}", self.space_alias(login), self.settings.server_name);
        self.bot().delete_alias(&alias).await?;
        match self.bot().leave(&space).await {
            Err(error) if error.is_transient() => return Err(error.into()),
            _ => {}
        }
        for (key, _) in inside {
            self.keep_place(login, key, None).await?;
        }
        self.keep_place(login, space_key(login), None).await
    }
}

/// Adds a room to those that are direct chats with somebody.
fn add_direct(content: &mut Value, with: &str, room: &str) {
    if !content[with].is_array() {
        content[with] = json!([]);
    }
    if let Some(rooms) = content[with].as_array_mut()
        && !rooms.iter().any(|one| one == room)
    {
        rooms.push(json!(room));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_direct_chat_is_added_once_and_others_stay() {
        let mut content = json!({ "@bob:x": ["!1:x"], "@odd:x": "not a list" });
        for room in ["!2:x", "!2:x", "!3:x"] {
            add_direct(&mut content, "@bob:x", room);
        }
        add_direct(&mut content, "@odd:x", "!4:x");
        let expected = json!({ "@bob:x": ["!1:x", "!2:x", "!3:x"], "@odd:x": ["!4:x"] });
        assert_eq!(content, expected);
    }
}
