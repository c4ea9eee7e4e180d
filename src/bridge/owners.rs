//! The owner of a portal coming and going, and the bot taking its leave.

use std::sync::Arc;

use ruma::{
    EventId, OwnedRoomId, OwnedUserId, UserId,
    events::{AnyTimelineEvent, room::member::MembershipState},
};

use super::{
    context::{Bridge, BridgeError, lock},
    invites::member_change,
    rooms::{open_room, portal_key},
    routes::{PortalRoute, logins_in, owner_of},
};
use crate::{
    domain::{LoginId, PortalId, RemoteUserId},
    store::{Lane, LoginRow, PortalRow, StoreError, StoreTxn},
    translate::bridge_notice,
};

/// What a login has in Matrix.
#[derive(Debug, Clone, Default)]
pub struct LoginRooms {
    login: Option<(LoginId, OwnedUserId)>,
    portals: Vec<PortalRow>,
}

/// What is kept of somebody who is in the room.
const INSIDE: &str = "no";
/// What stands before the event by which somebody left who was not told yet that something was written since.
const LEFT: &str = "left ";
/// The same once they were told.
const TOLD: &str = "told ";

/// The key under which it is kept that the user of a login has left a portal's room.
pub(super) fn left_key(portal: &PortalRow, login: LoginId) -> String {
    match portal.key.login {
        Some(_) => format!("left/{}", portal.id),
        None => format!("left/{}/{login}", portal.id),
    }
}

/// The key under which it is kept that the user of a login is not in a portal's room.
fn absent_key(portal: &PortalRow, login: LoginId) -> String {
    format!("absent/{}/{login}", portal.id)
}

/// The login that speaks for others in a portal; none while its user is not in the room.
pub(super) async fn relay_inside(
    txn: &mut dyn StoreTxn,
    portal: &PortalRow,
) -> Result<Option<LoginId>, StoreError> {
    let Some(relay) = portal.relay else {
        return Ok(None);
    };
    let absent = txn.value(&absent_key(portal, relay)).await?;
    Ok(absent.is_none().then_some(relay))
}

impl Bridge {
    /// Remembers that the user of a login left a room, or came back: what is left stays left, and they are told of the next message.
    /// A direct chat that was linked to it goes on elsewhere; the portals of which that is so.
    pub(super) async fn note_owners_left(
        &self,
        room_id: &OwnedRoomId,
        portals: &[Arc<PortalRoute>],
        event: &AnyTimelineEvent,
    ) -> Result<Vec<PortalId>, BridgeError> {
        let Some(change) = member_change(event) else {
            return Ok(Vec::new());
        };
        let is_out = matches!(
            change.membership,
            MembershipState::Leave | MembershipState::Ban
        );
        let mut ended = Vec::new();
        for route in portals {
            let Some(login) = route.login_of(&change.of).map(|login| login.id) else {
                continue;
            };
            if is_out && route.portal.linked && !route.is_group() {
                if !self.is_inside(room_id, &change.of).await? {
                    self.end_link(room_id, route, event.event_id()).await?;
                    ended.push(route.portal.id);
                }
                continue;
            }
            let left = is_out.then(|| event.event_id().as_str());
            self.set_left(&route.portal, login, left).await?;
            match change.membership {
                MembershipState::Join => self.keep(&absent_key(&route.portal, login), None).await?,
                _ if is_out => {
                    let since = Some(event.event_id().as_str());
                    self.keep(&absent_key(&route.portal, login), since).await?;
                }
                _ => {}
            }
            self.forget_route(Some(room_id), Some(&(login, route.portal.key.chat.clone())));
        }
        Ok(ended)
    }

    /// Whether somebody is in a room now.
    async fn is_inside(&self, room_id: &OwnedRoomId, user: &UserId) -> Result<bool, BridgeError> {
        let bot = self.bot();
        match bot.state(room_id, "m.room.member", user.as_str()).await {
            Ok(member) => Ok(member.is_some_and(|member| member["membership"] == "join")),
            Err(error) if error.is_transient() => Err(error.into()),
            Err(_) => Ok(false),
        }
    }

    /// Ends the link of a direct chat whose user is not in the room any more: nobody speaks there as them, or reads what is theirs.
    async fn end_link(
        &self,
        room_id: &OwnedRoomId,
        route: &PortalRoute,
        because: &EventId,
    ) -> Result<(), BridgeError> {
        let Some(contact) = route.portal.key.chat.direct_user() else {
            return Ok(());
        };
        let name = self.ghost_name(route, &contact);
        let portal = route.portal.id.to_string();
        let text = format!(
            "{} is not in this room any more, so their chat with {name} is not connected to it any more.",
            route.owner
        );
        let txn_id = self.effect_id(&["absent", &portal, because.as_str()]);
        self.notify(room_id, &txn_id, &bridge_notice(&text, None))
            .await?;
        let text = format!(
            "You are not in the room {room_id} any more, so your chat with {name} is not connected to it any more. It goes on in a room of its own."
        );
        let words = ["absent", portal.as_str(), because.as_str()];
        self.tell_owner_once(route.login, &words, &text).await?;
        self.delete_portal(route.portal.id).await
    }

    /// Before a message is shown in a room its user has left: invites them, or tells them once in the management room.
    pub(super) async fn look_after_owner(&self, route: &PortalRoute) -> Result<(), BridgeError> {
        let chat = route.chat();
        if lock(&self.groups.looked_after).contains(&chat) {
            return Ok(());
        }
        let (key, login) = (left_key(&route.portal, route.login), route.login);
        let owner = route.owner.to_string();
        let (left, management) = self
            .db
            .read(move |txn| {
                let (key, owner) = (key.clone(), owner.clone());
                Box::pin(
                    async move { Ok((txn.value(&key).await?, txn.management_room(&owner).await?)) },
                )
            })
            .await?;
        let left = left.filter(|left| left != INSIDE && !left.starts_with(TOLD));
        if let Some(left) = left {
            // Who cannot be told would never know.
            if self.settings.rooms.invite_back || management.is_none() {
                self.invite_back(route).await?;
            } else {
                let left = left.strip_prefix(LEFT).unwrap_or(&left);
                let words = ["left", route.portal.key.chat.as_str(), left];
                self.tell_owner_once(login, &words, &self.way_back(route))
                    .await?;
                self.keep_left(&route.portal, login, format!("{TOLD}{left}"))
                    .await?;
            }
        }
        lock(&self.groups.looked_after).insert(chat);
        Ok(())
    }

    async fn invite_back(&self, route: &PortalRoute) -> Result<(), BridgeError> {
        let room_id = open_room(route)?;
        match self.bot().invite(&room_id, &route.owner).await {
            Err(error) if error.is_transient() => return Err(error.into()),
            Err(error) => {
                tracing::warn!(room = %room_id, %error, "the user of a portal could not be invited again");
            }
            Ok(()) => {}
        }
        self.let_puppet_join(&route.owner, &room_id).await?;
        self.keep_left(&route.portal, route.login, INSIDE.to_owned())
            .await
    }

    /// Keeps by which event the user of a login left a room, or that they are (to be) in it.
    pub(super) async fn set_left(
        &self,
        portal: &PortalRow,
        login: LoginId,
        by: Option<&str>,
    ) -> Result<(), BridgeError> {
        let value = by.map_or_else(|| INSIDE.to_owned(), |event| format!("{LEFT}{event}"));
        self.keep_left(portal, login, value).await?;
        let chat = (login, portal.key.chat.clone());
        lock(&self.groups.looked_after).remove(&chat);
        Ok(())
    }

    async fn keep_left(
        &self,
        portal: &PortalRow,
        login: LoginId,
        value: String,
    ) -> Result<(), BridgeError> {
        let key = left_key(portal, login);
        self.db
            .step(Lane::login(login), move |txn| {
                let (key, value) = (key.clone(), value.clone());
                Box::pin(async move { txn.set_value(&key, &value).await })
            })
            .await?;
        Ok(())
    }

    /// Says a last word as the bot and leaves a room.
    pub(super) async fn take_leave(
        &self,
        room_id: &OwnedRoomId,
        word: &str,
    ) -> Result<(), BridgeError> {
        let txn_id = self.effect_id(&["leave", room_id.as_str()]);
        let content = bridge_notice(word, None);
        let said = self
            .bot()
            .send(room_id, "m.room.message", &txn_id, &content, None)
            .await;
        let left = match said {
            Err(error) if error.is_transient() => return Err(error.into()),
            _ => self.bot().leave(room_id).await,
        };
        match left {
            Err(error) if error.is_transient() => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// What a login has, to be given up by [`Bridge::close_rooms`] once the login is gone.
    ///
    /// # Errors
    /// The store's.
    pub async fn rooms_of(&self, login: LoginId) -> Result<LoginRooms, BridgeError> {
        let (row, portals) = self
            .db
            .read(move |txn| {
                Box::pin(async move {
                    let Some(row) = txn.login(login).await? else {
                        return Ok((None, Vec::new()));
                    };
                    let mut portals = txn.portals_of(login).await?;
                    portals.extend(group_portals(txn, &row).await?);
                    Ok((Some(row), portals))
                })
            })
            .await?;
        let login = match row {
            Some(row) => Some((row.id, owner_of(&row)?)),
            None => None,
        };
        Ok(LoginRooms { login, portals })
    }

    /// Leaves the rooms of a login that is gone, bot and ghosts, saying so. In a group that others are in, only its user is removed.
    pub async fn close_rooms(&self, rooms: &LoginRooms) {
        for portal in &rooms.portals {
            let Some(room_id) = portal
                .room_id
                .as_deref()
                .and_then(|room| OwnedRoomId::try_from(room).ok())
            else {
                continue;
            };
            let closed = match portal.key.chat.direct_user() {
                Some(other) => self.close_direct(portal, &room_id, &other).await,
                None => self.close_shared(portal, &room_id, rooms).await,
            };
            if let Err(error) = closed {
                tracing::warn!(room = %room_id, %error, "a room of a login that is gone could not be left");
            }
            let login = rooms.login.as_ref().map_or(LoginId(0), |(login, _)| *login);
            self.forget_route(Some(&room_id), Some(&(login, portal.key.chat.clone())));
        }
        if let Some((login, _)) = &rooms.login
            && let Err(error) = self.close_space(*login).await
        {
            tracing::warn!(%login, %error, "the space of a login that is gone could not be left");
        }
    }

    async fn close_direct(
        &self,
        portal: &PortalRow,
        room_id: &OwnedRoomId,
        other: &RemoteUserId,
    ) -> Result<(), BridgeError> {
        let others = self.others_in_room(portal, room_id).await?;
        let ghost = self.naming.mxid(&portal.key.gatekeeper, other);
        if others.is_empty() {
            let word = "You are logged out: this room is not connected to the chat any more.";
            self.take_leave(room_id, word).await?;
        } else if self.needed_by(&others).await?.contains(&ghost) {
            return Ok(());
        }
        if let Err(error) = self.client.ghost(&ghost).leave(room_id).await {
            tracing::debug!(room = %room_id, %error, "a ghost could not leave");
        }
        Ok(())
    }

    async fn close_shared(
        &self,
        portal: &PortalRow,
        room_id: &OwnedRoomId,
        rooms: &LoginRooms,
    ) -> Result<(), BridgeError> {
        let of = portal.clone();
        let rest = self
            .db
            .read(move |txn| {
                let of = of.clone();
                Box::pin(async move { logins_in(txn, &of).await })
            })
            .await?;
        if let (false, false, Some((_, owner))) = (rest.is_empty(), portal.linked, &rooms.login) {
            let why = Some("logged out");
            if let Err(error) = self.bot().kick(room_id, owner, why).await {
                tracing::debug!(room = %room_id, %error, "the user of a login that is gone could not be removed");
            }
        }
        // With nobody left in it, the group's room is closed like one everybody left.
        self.groups.members.wake(portal.id);
        Ok(())
    }

    /// What somebody is told who left a room in which something is written.
    fn way_back(&self, route: &PortalRoute) -> String {
        let portal = &route.portal;
        let (gatekeeper, chat) = (&portal.key.gatekeeper, &portal.key.chat);
        let (whose, command) = match chat.direct_user() {
            Some(other) => {
                let name = self.made_up_name(gatekeeper, &other);
                (format!("your chat with {name}"), "start-chat")
            }
            None => ("a group".to_owned(), "create-portal"),
        };
        let room = portal.room_id.as_deref().unwrap_or_default();
        format!(
            "Something new was written in {whose}, whose room you left. It is kept in [that room](https://matrix.to/#/{room}); \
             write `{command} {gatekeeper} {chat}` to be invited again. You are not told of further messages."
        )
    }
}

/// The portals of the groups a login is in.
pub(super) async fn group_portals(
    txn: &mut dyn StoreTxn,
    login: &LoginRow,
) -> Result<Vec<PortalRow>, StoreError> {
    let own = login.remote_login.as_deref();
    let Some(own) = own.and_then(|own| RemoteUserId::parse(own).ok()) else {
        return Ok(Vec::new());
    };
    let mut portals = Vec::new();
    for chat in txn.groups_with(&login.gatekeeper, &own).await? {
        portals.extend(txn.portal(&portal_key(login, chat)).await?);
    }
    Ok(portals)
}
