//! Making a portal's room: one request makes it with its state and its invitations, then those who have to be in it join.

use std::time::Duration;

use ruma::{OwnedRoomId, OwnedUserId};
use serde_json::{Map, Value, json};

use crate::{
    bridge::{
        context::{Bridge, BridgeError},
        groups::{ADMIN, AT_ONCE, GroupView, new_levels},
        rooms::open_room,
        routes::{PortalRoute, owner_of},
    },
    matrix::NewRoom,
    store::{GroupShown, Lane, LoginRow, PortalRow},
};

/// How long a new room waits for its picture; later it is set like a changed one.
const PICTURE_WAIT: Duration = Duration::from_secs(5);

/// What the user of a direct chat may change in its room: they can have it encrypted.
fn direct_levels() -> Map<String, Value> {
    let events = json!({
        "m.room.encryption": ADMIN,
        "m.room.power_levels": 100, "m.room.tombstone": 100, "m.room.server_acl": 100, "m.room.history_visibility": 100,
    });
    Map::from_iter([("events".to_owned(), events)])
}

impl Bridge {
    /// Makes the room; one that was begun and cannot be finished is given up, once, for a new one.
    pub(super) async fn make_or_give_up(
        &self,
        portal: PortalRow,
        login: &LoginRow,
    ) -> Result<PortalRow, BridgeError> {
        let begun = portal.room_id.is_some();
        match self.make_room(portal.clone(), login).await {
            Err(error) if begun && !error.is_transient() => {
                self.abandon_room(&self.route_of(portal.clone(), login).await?)
                    .await?;
                let portal = PortalRow {
                    room_id: None,
                    linked: false,
                    ..portal
                };
                tracing::warn!(portal = %portal.id, %error, "a room could not be finished, another is made");
                self.make_room(portal, login).await
            }
            made => made,
        }
    }

    async fn make_room(
        &self,
        mut portal: PortalRow,
        login: &LoginRow,
    ) -> Result<PortalRow, BridgeError> {
        let mut group = if portal.key.chat.is_group() {
            Some(self.view_group(portal.id).await?)
        } else {
            None
        };
        let made_before = portal.room_id.as_deref().map(OwnedRoomId::try_from);
        let made_before = made_before.transpose().map_err(|error| {
            BridgeError::Inconsistent(format!("portal {} has a bad room id: {error}", portal.id))
        })?;
        let is_new = made_before.is_none();
        let room_id = match (made_before, &mut group) {
            (Some(room_id), _) => room_id,
            (None, Some(group)) => self.create_group(&portal, login, group).await?,
            (None, None) => self.create_direct(&portal, login).await?,
        };
        fail::fail_point!("portal.after_create");
        if is_new {
            let (id, room) = (portal.id, room_id.to_string());
            let taken = self
                .db
                .step(Lane::login(login.id), move |txn| {
                    let room = room.clone();
                    Box::pin(async move {
                        let other = txn.portal_by_id(id).await?;
                        if let Some(linked) = other.filter(|row| row.room_id.is_some()) {
                            return Ok(Some(linked));
                        }
                        txn.set_portal_room(id, Some(&room)).await?;
                        Ok(None)
                    })
                })
                .await?;
            if let Some(linked) = taken {
                // Somebody linked a room of theirs meanwhile: the chat is there.
                self.take_leave(&room_id, "The chat goes on in another room.")
                    .await?;
                return Ok(linked);
            }
            portal.room_id = Some(room_id.to_string());
        }
        fail::fail_point!("portal.after_room_saved");
        match group {
            Some(group) => {
                self.populate_group(&portal, &group, &room_id, is_new)
                    .await?;
            }
            None => {
                self.populate_direct(&portal, login, &room_id, false)
                    .await?;
            }
        }
        self.set_ready(&portal).await?;
        portal.ready = true;
        self.forget_route(Some(&room_id), None);
        Ok(portal)
    }

    async fn create_direct(
        &self,
        portal: &PortalRow,
        login: &LoginRow,
    ) -> Result<OwnedRoomId, BridgeError> {
        let gatekeeper = &portal.key.gatekeeper;
        let mut invite: Vec<OwnedUserId> = vec![owner_of(login)?];
        if let Some(other) = portal.key.chat.direct_user() {
            self.ghost(gatekeeper, &other, None).await?;
            invite.push(self.naming.mxid(gatekeeper, &other));
        }
        let mut state = self.bridge_state(portal, None, None).to_vec();
        state.push(self.functional_members());
        state.extend(self.room_encryption());
        let room = NewRoom {
            alias_localpart: Some(self.alias_localpart(portal.id)),
            topic: Some(format!("A chat on {}", self.gatekeeper_name(gatekeeper))),
            invite,
            is_direct: true,
            initial_state: state,
            power_users: vec![
                (self.client.bot_id().to_owned(), 100),
                (owner_of(login)?, ADMIN),
            ],
            power: direct_levels(),
            room_version: self.settings.room_version.clone(),
            ..NewRoom::default()
        };
        Ok(self.bot().create_room(room).await?)
    }

    /// Makes a group's room with all it shows but the members past the first; what it shows then is noted in `group`.
    async fn create_group(
        &self,
        portal: &PortalRow,
        login: &LoginRow,
        group: &mut GroupView,
    ) -> Result<OwnedRoomId, BridgeError> {
        let mut facts = group.facts();
        let avatar = match &facts.picture {
            Some(id) => {
                let picture = self.group_picture(login.id, &portal.key, id);
                if let Ok(Ok(avatar)) = tokio::time::timeout(PICTURE_WAIT, picture).await {
                    avatar
                } else {
                    facts.picture = None;
                    None
                }
            }
            None => None,
        };
        let name = Some(facts.subject.clone()).filter(|name| !name.is_empty());
        let mut state = self
            .bridge_state(portal, name.as_deref(), avatar.as_deref())
            .to_vec();
        state.push(self.functional_members());
        state.extend(self.room_encryption());
        if let Some(uri) = &avatar {
            state.push((
                "m.room.avatar".to_owned(),
                String::new(),
                json!({ "url": uri }),
            ));
        }
        let mut power_users = vec![(self.client.bot_id().to_owned(), 100)];
        power_users.extend(self.admins(&portal.key.gatekeeper, group));
        let mut invite = Vec::new();
        for (member, own) in group.unshown().into_iter().take(AT_ONCE) {
            match own {
                Some(own) if own.active && !own.left => invite.push(own.owner.clone()),
                Some(_) => {}
                None => invite.push(self.naming.mxid(&portal.key.gatekeeper, &member.user)),
            }
        }
        let owner = owner_of(login)?;
        // Of a group the gatekeeper tells nothing about, the login's user is all that is known.
        if group.row.is_none() && !invite.contains(&owner) {
            invite.push(owner);
        }
        self.make_known(&portal.key.gatekeeper, group).await?;
        let room = NewRoom {
            alias_localpart: Some(self.alias_localpart(portal.id)),
            name,
            topic: facts.description.clone(),
            invite,
            initial_state: state,
            power_users,
            power: new_levels(&facts),
            room_version: self.settings.room_version.clone(),
            ..NewRoom::default()
        };
        let room_id = self.bot().create_room(room).await?;
        if let Some(row) = &mut group.row {
            row.shown = GroupShown {
                facts: Some(facts),
                avatar,
            };
        }
        Ok(room_id)
    }

    pub(super) async fn populate_direct(
        &self,
        portal: &PortalRow,
        login: &LoginRow,
        room_id: &OwnedRoomId,
        adopted: bool,
    ) -> Result<(), BridgeError> {
        let Some(other) = portal.key.chat.direct_user() else {
            return Ok(());
        };
        let ghost = self.ghost(&portal.key.gatekeeper, &other, None).await?;
        ghost.join(room_id).await?;
        if !adopted {
            return self.let_puppet_join(&owner_of(login)?, room_id).await;
        }
        let entered = match ghost.invite(room_id, self.client.bot_id()).await {
            Ok(()) => self.bot().join(room_id).await,
            refused => refused,
        };
        match entered {
            Err(error) if error.is_transient() => return Err(error.into()),
            // The chat works without the bot; only its notices and the repair of gaps do not reach the room.
            Err(error) => {
                tracing::warn!(room = %room_id, %error, "the bot may not enter a room that was made for a chat");
                return Ok(());
            }
            Ok(()) => {}
        }
        let mut state = self.bridge_state(portal, None, None).to_vec();
        state.push(self.functional_members());
        for (kind, key, content) in state {
            // The room's owner may not have given the bot the power; the room works without.
            if let Err(error) = self.bot().send_state(room_id, &kind, &key, &content).await {
                if error.is_transient() {
                    return Err(error.into());
                }
                tracing::debug!(room = %room_id, login = %login.id, %error, "the bridge's state event was refused");
            }
        }
        Ok(())
    }

    /// Brings the contact of a direct chat back into its room, and has the room say again which chat it mirrors.
    pub(in crate::bridge) async fn repair_direct(
        &self,
        route: &PortalRoute,
    ) -> Result<(), BridgeError> {
        let room_id = open_room(route)?;
        let portal = &route.portal;
        if let Some(other) = portal.key.chat.direct_user() {
            let ghost = self.ghost(&portal.key.gatekeeper, &other, None).await?;
            self.let_in(&room_id, &ghost, None, true).await?;
        }
        if portal.linked {
            return Ok(());
        }
        for (kind, key, content) in self.bridge_state(portal, None, None) {
            self.bot()
                .send_state(&room_id, &kind, &key, &content)
                .await?;
        }
        Ok(())
    }

    pub(super) async fn set_ready(&self, portal: &PortalRow) -> Result<(), BridgeError> {
        let id = portal.id;
        self.db
            .step(Lane::room(&id.to_string()), move |txn| {
                Box::pin(async move { txn.set_portal_ready(id, true).await })
            })
            .await?;
        Ok(())
    }
}
