//! Letting rooms go: those that were linked, and those the bridge made.

use std::collections::HashSet;

use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId};

use super::{Leaving, LinkError, check_user, room_of};
use crate::{
    bridge::context::{Bridge, BridgeError, lock},
    config::Level,
    domain::{ChatId, LoginId, PortalId},
    store::{Lane, PortalRow},
};

/// What the bot says in a room the bridge made when it is closed.
const LAST_WORD: &str = "This room is not connected to the chat any more.";

impl Bridge {
    /// Lets a room go from a chat, or (`None`) from all its chats. How many links that ended.
    ///
    /// # Errors
    /// Why not, as a sentence.
    pub async fn unlink_room(
        &self,
        by: &UserId,
        room_id: &RoomId,
        chat: Option<&ChatId>,
    ) -> Result<usize, LinkError> {
        self.check_level(by)?;
        // An earlier try may have come this far.
        self.carry_out_leaving(room_id).await?;
        let mut portals = self.portals_in(room_id).await?;
        portals.retain(|portal| chat.is_none_or(|chat| portal.key.chat == *chat));
        if portals.is_empty() {
            return Err(LinkError::NotLinked);
        }
        let mut theirs = true;
        for portal in &portals {
            let logins = self.logins_of_portal(portal).await?;
            theirs &= logins.iter().all(|login| login.mxid == by.as_str());
        }
        if !theirs && self.level(by) < Level::Admin {
            check_user(&self.power_in(room_id).await?, by)?;
        }
        for portal in &portals {
            self.let_go_of(portal).await?;
        }
        Ok(portals.len())
    }

    /// Forgets a portal: the bridge's accounts leave its room, as far as no other chat of that room needs them.
    ///
    /// # Errors
    /// The store's or the homeserver's.
    pub async fn delete_portal(&self, portal: PortalId) -> Result<(), BridgeError> {
        let row = self
            .db
            .read(move |txn| Box::pin(async move { txn.portal_by_id(portal).await }))
            .await?;
        match row {
            Some(row) => self.let_go_of(&row).await,
            None => Ok(()),
        }
    }

    /// Forgets the portals of a login: of its direct chats, and of groups no other login is in. How many.
    ///
    /// # Errors
    /// The store's or the homeserver's; those that were not forgotten are there still.
    pub async fn delete_portals_of(&self, login: LoginId) -> Result<usize, BridgeError> {
        let all = self
            .db
            .read(|txn| Box::pin(async move { txn.portals().await }))
            .await?;
        let mut count = 0;
        for portal in all {
            let is_its = if let Some(of) = portal.key.login {
                of == login
            } else {
                let logins = self.logins_of_portal(&portal).await?;
                matches!(logins.as_slice(), [only] if only.id == login)
            };
            if is_its {
                self.let_go_of(&portal).await?;
                count += 1;
            }
        }
        Ok(count)
    }

    async fn let_go_of(&self, portal: &PortalRow) -> Result<(), BridgeError> {
        lock(&self.groups.unfinished).remove(&portal.id);
        let room_id = room_of(portal);
        let leaving = match &room_id {
            Some(room_id) => {
                self.clear_info(portal, room_id).await?;
                Some((room_id.clone(), self.leaving_from(portal, room_id).await?))
            }
            None => None,
        };
        let logins = self.logins_of_portal(portal).await?;
        let gone = portal.clone();
        self.db
            .step(Lane::room(&portal.id.to_string()), move |txn| {
                let (gone, leaving) = (gone.clone(), leaving.clone());
                Box::pin(async move {
                    if let Some((room_id, leaving)) = &leaving {
                        leaving.note(txn, room_id).await?;
                    }
                    if gone.key.chat.is_group() {
                        txn.forget_shown(&gone.key.gatekeeper, &gone.key.chat)
                            .await?;
                    }
                    txn.delete_portal(gone.id).await
                })
            })
            .await?;
        fail::fail_point!("linking.after_unlink");
        self.forget_route(room_id.as_ref(), None);
        for login in logins {
            let chat = (login.id, portal.key.chat.clone());
            self.forget_route(None, Some(&chat));
        }
        match &room_id {
            Some(room_id) => self.carry_out_leaving(room_id).await,
            None => Ok(()),
        }
    }

    /// Who leaves a room with a portal: its ghosts, and from a room the bridge made that shows no other chat the bot too.
    async fn leaving_from(
        &self,
        portal: &PortalRow,
        room_id: &OwnedRoomId,
    ) -> Result<Leaving, BridgeError> {
        let contact = portal.key.chat.direct_user();
        let contact = contact.map(|user| self.naming.mxid(&portal.key.gatekeeper, &user));
        let witnesses: Vec<_> = contact.iter().cloned().collect();
        let ours = self.ours_in(room_id, &witnesses).await?;
        let others = self.others_in_room(portal, room_id).await?;
        let needed = self.needed_by(&others).await?;
        let is_closed = !portal.linked && others.is_empty();
        let accounts = ours.into_iter().filter(|user| {
            let ghost = self.ghost_identity(user);
            match ghost {
                None => is_closed,
                Some(_) if needed.contains(user) => false,
                // A direct chat has one ghost; of a group, whoever is there of its gatekeeper.
                Some((gatekeeper, _)) => match &contact {
                    Some(contact) => contact == user,
                    None => gatekeeper == portal.key.gatekeeper,
                },
            }
        });
        Ok(Leaving {
            accounts: accounts.collect(),
            word: is_closed.then(|| LAST_WORD.to_owned()),
            aliases: vec![self.alias_of(portal)],
            goes_on_in: None,
        })
    }

    /// The portals of the other chats of a room.
    pub(in crate::bridge) async fn others_in_room(
        &self,
        portal: &PortalRow,
        room_id: &RoomId,
    ) -> Result<Vec<PortalRow>, BridgeError> {
        let mut others = self.portals_in(room_id).await?;
        others.retain(|other| other.id != portal.id);
        Ok(others)
    }

    /// The ghosts that some portals have in their room.
    pub(in crate::bridge) async fn needed_by(
        &self,
        portals: &[PortalRow],
    ) -> Result<HashSet<OwnedUserId>, BridgeError> {
        let mut needed = HashSet::new();
        for portal in portals {
            let gatekeeper = &portal.key.gatekeeper;
            if let Some(contact) = portal.key.chat.direct_user() {
                needed.insert(self.naming.mxid(gatekeeper, &contact));
                continue;
            }
            let key = portal.key.clone();
            let members = self
                .db
                .read(move |txn| {
                    let key = key.clone();
                    Box::pin(async move { txn.group_members(&key.gatekeeper, &key.chat).await })
                })
                .await?;
            let users = members.iter().filter(|member| member.role.is_some());
            needed.extend(users.map(|member| self.naming.mxid(gatekeeper, &member.user)));
        }
        Ok(needed)
    }
}
