//! Connecting a room to a chat.

use std::time::Duration;

use ruma::{OwnedRoomId, RoomId, UserId};

use super::{Leaving, LinkError, checks::RoomFacts, room_of};
use crate::{
    bridge::context::{Bridge, BridgeError, lock},
    domain::{ChatId, GatekeeperId, GroupRole, LoginId, PortalId, PortalKey, RemoteUserId},
    network::NetworkError,
    store::{Lane, LoginRow, PortalRow},
};

/// By when the commands that waited at the start have been carried out, or wait for something else.
const HAVE_HAD_A_TURN: Duration = Duration::from_mins(2);
/// How often that is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// A link that passed every check.
pub(super) struct NewLink {
    pub(super) login: LoginRow,
    pub(super) key: PortalKey,
    pub(super) room_id: OwnedRoomId,
    /// The portal of the chat with the room it is to give up, if there is one.
    pub(super) before: Option<PortalRow>,
}

impl Bridge {
    /// Links a room to a chat of a login.
    ///
    /// # Errors
    /// Why not, as a sentence.
    pub async fn link_room(
        &self,
        by: &UserId,
        login: LoginId,
        chat: &ChatId,
        room_id: &RoomId,
    ) -> Result<PortalRow, LinkError> {
        self.check_level(by)?;
        let room_id = room_id.to_owned();
        let facts = self.look_at(&room_id, by).await?;
        facts.check_user(by)?;
        let login = self.own_login(by, login).await?;
        self.check_chat(&login, chat).await?;
        let key = key_of(&login, chat);
        let before = self.check_free(by, &key, &room_id).await?;
        self.check_room(&facts, &key.gatekeeper)?;
        let link = NewLink {
            login,
            key,
            room_id,
            before,
        };
        self.connect(link).await
    }

    /// What a room is like; the bot enters it for that if it may.
    pub(super) async fn look_at(
        &self,
        room_id: &OwnedRoomId,
        by: &UserId,
    ) -> Result<RoomFacts, LinkError> {
        let bot = self.bot();
        match bot.whole_state(room_id).await {
            Ok(state) => return Ok(RoomFacts::read(&state)),
            Err(error) if error.is_transient() => return Err(error.into()),
            Err(_) => {}
        }
        let mut via = vec![by.server_name().to_owned()];
        via.extend(room_id.server_name().map(ToOwned::to_owned));
        let entered = match bot.join_by(room_id, &via).await {
            Ok(()) => bot.whole_state(room_id).await,
            Err(error) => Err(error),
        };
        match entered {
            Ok(state) => Ok(RoomFacts::read(&state)),
            Err(error) => Err(LinkError::NotInRoom {
                bot: self.client.bot_id().to_string(),
                why: error.to_string(),
            }),
        }
    }

    /// Whether other bridges and the bot's power allow it.
    pub(super) fn check_room(
        &self,
        facts: &RoomFacts,
        gatekeeper: &GatekeeperId,
    ) -> Result<(), LinkError> {
        let bot = self.client.bot_id();
        let name = self.gatekeeper_name(gatekeeper);
        facts.check_bridges(bot, gatekeeper, name)?;
        facts.check_bot(bot)
    }

    /// Whether a login has such a chat.
    async fn check_chat(&self, login: &LoginRow, chat: &ChatId) -> Result<(), LinkError> {
        let network = self.network(&login.gatekeeper)?;
        let missing = |error: NetworkError| match error {
            NetworkError::NoSuchUser(_) | NetworkError::Refused(_) | NetworkError::NotReachable => {
                LinkError::NoSuchChat(error.to_string())
            }
            other => LinkError::Network(other),
        };
        if let Some(contact) = chat.direct_user() {
            let found = network.resolve(login.id, contact.as_str()).await;
            return found.map(drop).map_err(missing);
        }
        let (gatekeeper, of) = (login.gatekeeper.clone(), chat.clone());
        let logins = self
            .db
            .read(move |txn| {
                let (gatekeeper, of) = (gatekeeper.clone(), of.clone());
                Box::pin(async move { txn.group_logins(&gatekeeper, &of).await })
            })
            .await?;
        if logins.iter().any(|row| row.id == login.id) {
            return Ok(());
        }
        let group = network.group(login.id, chat).await.map_err(missing)?;
        self.keep_group(login.id, login.gatekeeper.clone(), chat, group)
            .await?;
        Ok(())
    }

    /// Whether room and chat are free for each other. A private room the bridge made for the chat gives way; its portal.
    pub(super) async fn check_free(
        &self,
        by: &UserId,
        key: &PortalKey,
        room_id: &OwnedRoomId,
    ) -> Result<Option<PortalRow>, LinkError> {
        let (of, room) = (key.clone(), room_id.to_string());
        let (portal, here, owner) = self
            .db
            .read(move |txn| {
                let (of, room) = (of.clone(), room.clone());
                Box::pin(async move {
                    let portal = txn.portal(&of).await?;
                    let here = txn.portals_in(&room).await?;
                    let owner = txn.management_room_owner(&room).await?;
                    Ok((portal, here, owner))
                })
            })
            .await?;
        if owner.is_some() {
            return Err(LinkError::Management);
        }
        // Another login's chat with the same person would be the same ghost twice.
        let is_same = |other: &PortalRow| {
            other.key.gatekeeper == key.gatekeeper && other.key.chat == key.chat
        };
        if here.iter().any(is_same) {
            return Err(LinkError::LinkedHere);
        }
        let Some(portal) = portal else {
            return Ok(None);
        };
        if let Some(other) = room_of(&portal)
            && !self.gives_way(by, &portal, &other).await?
        {
            return Err(LinkError::LinkedElsewhere(other.to_string()));
        }
        Ok(Some(portal))
    }

    /// Whether a room is the bridge's own with nobody in it but who asks.
    async fn gives_way(
        &self,
        by: &UserId,
        portal: &PortalRow,
        room_id: &OwnedRoomId,
    ) -> Result<bool, LinkError> {
        if portal.linked {
            return Ok(false);
        }
        match self.bot().members(room_id).await {
            Ok(members) => Ok(members.iter().all(|user| user == by || self.is_ours(user))),
            Err(error) if error.is_transient() => Err(error.into()),
            // The bot is not in it any more, so it is no room of the chat.
            Err(_) => Ok(true),
        }
    }

    /// Makes a link that passed every check: the people first, then the store, then what is said about it.
    pub(super) async fn connect(&self, link: NewLink) -> Result<PortalRow, LinkError> {
        // What a chat's room is locked by is its portal's, so there has to be one.
        let portal = self.ensure_portal(&link).await?;
        let opening = self.opening(portal.id);
        let _alone = opening.lock().await;
        lock(&self.begun_links).remove(&portal.id);
        let made = self.connect_alone(&link).await;
        if made.is_err() {
            self.forget_begun(portal.id).await?;
        }
        made
    }

    async fn connect_alone(&self, link: &NewLink) -> Result<PortalRow, LinkError> {
        let chat = (link.login.id, link.key.chat.clone());
        // Who was to leave has left, so that nobody leaves who comes now.
        self.carry_out_leaving(&link.room_id).await?;
        let came = self.bring_first(&link.key, &link.room_id).await;
        let came = came.map_err(|error| match error {
            error if error.is_transient() => LinkError::Bridge(error),
            error => LinkError::Closed(error.to_string()),
        })?;
        fail::fail_point!("linking.after_entering");
        let old = link.before.as_ref().and_then(room_of);
        let leaving = match (&old, &link.before) {
            (Some(old), Some(portal)) => Some((old.clone(), self.giving_way(portal, link).await?)),
            _ => None,
        };
        let portal = self.store_link(link, came, leaving).await?;
        let portal = portal.ok_or(LinkError::Changed)?;
        fail::fail_point!("linking.after_store");
        if let Some(before) = &link.before {
            self.forget_portal(before).await?;
        }
        self.forget_portal(&portal).await?;
        self.show_info(&portal, &link.room_id).await?;
        if let Some(old) = &old {
            self.carry_out_leaving(old).await?;
        }
        self.groups.members.wake(portal.id);
        self.groups.spaces.wake(link.login.id);
        // What came before there was a room, or to the old one.
        self.chats.wake(chat);
        Ok(portal)
    }

    /// The portal of a chat that is to be linked. A new one is marked as linked before it has a room, so that none is made for it.
    async fn ensure_portal(&self, link: &NewLink) -> Result<PortalRow, BridgeError> {
        let new_id = new_id();
        let key = link.key.clone();
        Ok(self
            .db
            .step(Lane::login(link.login.id), move |txn| {
                let key = key.clone();
                Box::pin(async move {
                    let portal = txn.ensure_portal(&key, new_id).await?;
                    if portal.id == new_id {
                        txn.set_portal_linked(new_id, true).await?;
                    }
                    Ok(portal)
                })
            })
            .await?)
    }

    /// Whether messages of a chat wait for its link, which the process before began.
    pub(in crate::bridge) fn awaits_link(&self, portal: &PortalRow) -> bool {
        lock(&self.begun_links).contains(&portal.id)
    }

    /// Forgets what is left of the links that the process before began, once what had waited in these rooms has had its turn: the
    /// commands that began them may be among it.
    pub(in crate::bridge) fn give_up_begun_links(&self, waited: Vec<String>) {
        let Some(bridge) = self.this.upgrade() else {
            return;
        };
        if lock(&self.begun_links).is_empty() {
            return;
        }
        tokio::spawn(async move {
            let end = tokio::time::Instant::now() + HAVE_HAD_A_TURN;
            while bridge.comes_round(LOOK_EVERY).await {
                if tokio::time::Instant::now() < end && bridge.any_waits(&waited).await {
                    continue;
                }
                let begun = std::mem::take(&mut *lock(&bridge.begun_links));
                for portal in begun {
                    if let Err(error) = bridge.forget_begun(portal).await {
                        tracing::warn!(%portal, %error, "a link that was begun is forgotten at the next start");
                    }
                }
                bridge.chats.hurry();
                return;
            }
        });
    }

    /// Whether something waits in one of these rooms, or that is not known.
    async fn any_waits(&self, rooms: &[String]) -> bool {
        let waiting = self
            .db
            .read(|txn| Box::pin(async move { txn.waiting_rooms().await }));
        match waiting.await {
            Ok(waiting) => waiting.iter().any(|room| rooms.contains(room)),
            Err(_) => true,
        }
    }

    /// Forgets the portal of a link that came to nothing, unless the chat got a room otherwise.
    pub(in crate::bridge) async fn forget_begun(&self, id: PortalId) -> Result<(), BridgeError> {
        self.db
            .step(Lane::room(&id.to_string()), move |txn| {
                Box::pin(async move {
                    match txn.portal_by_id(id).await? {
                        Some(portal) if portal.is_begun_link() => txn.delete_portal(id).await,
                        _ => Ok(()),
                    }
                })
            })
            .await?;
        Ok(())
    }

    /// Who leaves the room that gives way.
    async fn giving_way(&self, portal: &PortalRow, link: &NewLink) -> Result<Leaving, LinkError> {
        let ghost = portal.key.chat.direct_user();
        let ghost = ghost.map(|user| self.naming.mxid(&portal.key.gatekeeper, &user));
        let witnesses: Vec<_> = ghost.into_iter().collect();
        let mut accounts = Vec::new();
        let mut is_empty = true;
        if let Some(room_id) = room_of(portal) {
            let others = self.others_in_room(portal, &room_id).await?;
            let needed = self.needed_by(&others).await?;
            is_empty = others.is_empty();
            accounts = self.ours_in(&room_id, &witnesses).await?;
            // Another chat may be in that room, too.
            accounts.retain(|user| {
                is_empty || self.ghost_identity(user).is_some() && !needed.contains(user)
            });
        }
        let new = &link.room_id;
        Ok(Leaving {
            accounts,
            word: is_empty
                .then(|| format!("The chat goes on in another room: https://matrix.to/#/{new}")),
            aliases: vec![self.alias_of(portal)],
            goes_on_in: None,
        })
    }

    async fn store_link(
        &self,
        link: &NewLink,
        came: Vec<(RemoteUserId, GroupRole)>,
        leaving: Option<(OwnedRoomId, Leaving)>,
    ) -> Result<Option<PortalRow>, LinkError> {
        let new_id = new_id();
        let (key, room) = (link.key.clone(), link.room_id.to_string());
        let expected = link.before.as_ref().and_then(|row| row.room_id.clone());
        Ok(self
            .db
            .step(Lane::login(link.login.id), move |txn| {
                let (key, room, expected) = (key.clone(), room.clone(), expected.clone());
                let (came, leaving) = (came.clone(), leaving.clone());
                Box::pin(async move {
                    let portal = txn.ensure_portal(&key, new_id).await?;
                    if portal.room_id != expected {
                        return Ok(None);
                    }
                    txn.set_portal_room(portal.id, Some(&room)).await?;
                    txn.set_portal_linked(portal.id, true).await?;
                    txn.set_portal_ready(portal.id, true).await?;
                    if key.chat.is_group() {
                        txn.forget_shown(&key.gatekeeper, &key.chat).await?;
                        for (user, role) in &came {
                            txn.set_member_shown(&key.gatekeeper, &key.chat, user, Some(*role))
                                .await?;
                        }
                    }
                    if let Some((old, leaving)) = &leaving {
                        leaving.note(txn, old).await?;
                    }
                    txn.portal_by_id(portal.id).await
                })
            })
            .await?)
    }

    /// The alias of a room the bridge made for a portal.
    pub(in crate::bridge) fn alias_of(&self, portal: &PortalRow) -> String {
        format!(
            "#{}portal_{}:{}",
            self.settings.alias_prefix, portal.id, self.settings.server_name
        )
    }
}

fn new_id() -> PortalId {
    PortalId(i64::from(rand::random::<u32>()) << 21 | i64::from(rand::random::<u32>() >> 11))
}

/// What makes a chat of a login a portal.
pub(super) fn key_of(login: &LoginRow, chat: &ChatId) -> PortalKey {
    PortalKey {
        gatekeeper: login.gatekeeper.clone(),
        login: (!chat.is_group()).then_some(login.id),
        chat: chat.clone(),
    }
}
