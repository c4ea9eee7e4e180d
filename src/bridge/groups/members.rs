//! Members of a group coming into its room and leaving it: the first at once, the rest by a worker at a pace.

use std::collections::HashSet;

use futures_util::future::try_join_all;
use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId};

use super::{
    AT_ONCE, GroupView,
    sync::{Scope, Sync},
    view::{Own, is_admin},
};
use crate::{
    bridge::{
        context::{Bridge, BridgeError, lock},
        routes::PortalRoute,
        workers::Outcome,
    },
    domain::{ChatId, GatekeeperId, GroupRole, LoginId, PortalId, RemoteUserId},
    matrix::Intent,
    store::{GroupMemberRow, Lane, PortalRow},
};

/// How many accounts are made, or join a new room, at the same time.
const TOGETHER: usize = 4;

impl Bridge {
    /// Makes the ghosts of a group's first members known to the homeserver.
    pub(in crate::bridge) async fn make_known(
        &self,
        gatekeeper: &GatekeeperId,
        group: &GroupView,
    ) -> Result<(), BridgeError> {
        let first = group.unshown().into_iter().take(AT_ONCE);
        let ghosts: Vec<&RemoteUserId> = first
            .filter(|(_, own)| own.is_none())
            .map(|(member, _)| &member.user)
            .collect();
        for some in ghosts.chunks(TOGETHER) {
            try_join_all(some.iter().map(|user| self.ghost(gatekeeper, user, None))).await?;
        }
        Ok(())
    }

    /// Lets those join a new room of a group who were invited with it, and notes what the room shows.
    pub(in crate::bridge) async fn populate_group(
        &self,
        portal: &PortalRow,
        group: &GroupView,
        room_id: &OwnedRoomId,
        is_new: bool,
    ) -> Result<(), BridgeError> {
        let gatekeeper = &portal.key.gatekeeper;
        let first: Vec<_> = group.unshown().into_iter().take(AT_ONCE).collect();
        let mut joined = Vec::new();
        for some in first.chunks(TOGETHER) {
            let joins = some.iter().map(|(member, own)| async move {
                if let Some(own) = own {
                    return self.let_owner_in(room_id, own, is_new).await;
                }
                let ghost = self.ghost(gatekeeper, &member.user, None).await?;
                self.let_in(room_id, &ghost, None, true).await
            });
            try_join_all(joins).await?;
            joined.extend(
                some.iter()
                    .map(|(member, _)| (member.user.clone(), member.role)),
            );
        }
        let shown = group.row.as_ref().filter(|_| is_new);
        let (key, shown) = (portal.key.clone(), shown.map(|row| row.shown.clone()));
        self.db
            .step(Lane::room(&portal.id.to_string()), move |txn| {
                let (key, shown, joined) = (key.clone(), shown.clone(), joined.clone());
                Box::pin(async move {
                    let (gatekeeper, chat) = (&key.gatekeeper, &key.chat);
                    if let Some(shown) = &shown {
                        txn.set_group_shown(gatekeeper, chat, shown).await?;
                    }
                    for (user, role) in &joined {
                        txn.set_member_shown(gatekeeper, chat, user, *role).await?;
                    }
                    Ok(())
                })
            })
            .await?;
        Ok(())
    }

    /// Shows how one member stands to the group; `inside` are those known to be in the room.
    pub(super) async fn show_member(
        &self,
        sync: &Sync,
        member: &GroupMemberRow,
        own: Option<&Own>,
        inside: Option<&HashSet<OwnedUserId>>,
    ) -> Result<(), BridgeError> {
        if member.role.is_none() {
            return self.show_gone(sync, member, own).await;
        }
        if let Some(own) = own {
            self.let_owner_in(&sync.room_id, own, false).await?;
            self.groups.spaces.wake(own.login);
            self.forget_group(sync);
        } else {
            let gatekeeper = &sync.group.portal.key.gatekeeper;
            let ghost = self.ghost(gatekeeper, &member.user, None).await?;
            if !inside.is_some_and(|inside| inside.contains(ghost.user_id())) {
                let by = inviter(sync);
                // A room somebody linked may be open to everybody.
                let joins_first = sync.group.portal.linked;
                self.let_in(&sync.room_id, &ghost, by, joins_first).await?;
            }
        }
        self.keep_shown(sync, vec![(member.user.clone(), member.role)])
            .await
    }

    /// Brings a login's user into a room, unless they left it by themselves.
    async fn let_owner_in(
        &self,
        room_id: &OwnedRoomId,
        own: &Own,
        invited: bool,
    ) -> Result<(), BridgeError> {
        if own.left || !own.active {
            return Ok(());
        }
        if !invited {
            match self.bot().invite(room_id, &own.owner).await {
                Err(error) if error.is_transient() => return Err(error.into()),
                Err(error) => {
                    tracing::info!(room = %room_id, user = %own.owner, %error, "a user of a group cannot be invited");
                    return Ok(());
                }
                Ok(()) => {}
            }
        }
        self.let_puppet_join(&own.owner, room_id).await
    }

    /// Has a user who has a double puppet join a room they are invited to.
    pub(in crate::bridge) async fn let_puppet_join(
        &self,
        owner: &UserId,
        room_id: &RoomId,
    ) -> Result<(), BridgeError> {
        let Some(puppet) = self.puppet_of(owner).await? else {
            return Ok(());
        };
        if let Err(error) = puppet.join(room_id).await {
            // They can accept the invitation themselves.
            tracing::debug!(room = %room_id, user = %owner, %error, "a double puppet could not join");
        }
        Ok(())
    }

    /// Brings a ghost into a room. One the room does not let in stays out: nothing else would change that.
    pub(in crate::bridge) async fn let_in(
        &self,
        room_id: &RoomId,
        ghost: &Intent,
        by: Option<&Intent>,
        joins_first: bool,
    ) -> Result<(), BridgeError> {
        if joins_first {
            match ghost.join(room_id).await {
                Err(error) if error.is_transient() => return Err(error.into()),
                Err(_) => {}
                Ok(()) => return Ok(()),
            }
        }
        let mut invited = false;
        for inviter in by.cloned().into_iter().chain([self.bot()]) {
            match inviter.invite(room_id, ghost.user_id()).await {
                Err(error) if error.is_transient() => return Err(error.into()),
                Err(error) => {
                    tracing::debug!(room = %room_id, %error, "a ghost was not invited");
                }
                Ok(()) => {
                    invited = true;
                    break;
                }
            }
        }
        if !invited && joins_first {
            tracing::info!(room = %room_id, "a room lets a ghost in neither by itself nor by the bot");
            return Ok(());
        }
        match ghost.join(room_id).await {
            Err(error) if error.is_transient() => Err(error.into()),
            Err(error) => {
                tracing::info!(room = %room_id, %error, "a room does not let a ghost in");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Notes that a ghost comes into a group's room for what its user wrote. Who is not in the group any more by then has to go again.
    pub(in crate::bridge) async fn note_guest(
        &self,
        route: &PortalRoute,
        ghost: &UserId,
    ) -> Result<(), BridgeError> {
        let Some((_, user)) = self.ghost_identity(ghost).filter(|_| route.is_group()) else {
            return Ok(());
        };
        let key = route.portal.key.clone();
        self.db
            .step(Lane::room(&route.portal.id.to_string()), move |txn| {
                let (key, user) = (key.clone(), user.clone());
                Box::pin(async move {
                    let (gatekeeper, chat) = (&key.gatekeeper, &key.chat);
                    let members = txn.group_members(gatekeeper, chat).await?;
                    let mut known = members.iter().filter(|one| one.shown.is_some());
                    if known.any(|one| one.user == user) {
                        return Ok(());
                    }
                    let shown = Some(GroupRole::Member);
                    txn.set_member_shown(gatekeeper, chat, &user, shown).await
                })
            })
            .await?;
        self.groups.members.wake(route.portal.id);
        Ok(())
    }

    /// Takes somebody out of a room: who left by themselves leaves, who was removed is removed by whoever did it.
    pub(super) async fn show_gone(
        &self,
        sync: &Sync,
        member: &GroupMemberRow,
        own: Option<&Own>,
    ) -> Result<(), BridgeError> {
        let removed = sync.actor.as_ref().filter(|actor| **actor != member.user);
        let by = sync.hands.as_ref().filter(|_| removed.is_some());
        match own {
            None => {
                let gatekeeper = &sync.group.portal.key.gatekeeper;
                let ghost = self.naming.mxid(gatekeeper, &member.user);
                if !self.is_needed_otherwise(sync, &ghost).await? {
                    self.let_out(sync, &self.client.ghost(&ghost), by).await?;
                }
            }
            Some(own) => {
                // Who is added again is invited again, also if they had left the room.
                if own.left {
                    self.set_left(&sync.group.portal, own.login, None).await?;
                }
                // The last one keeps the room, and whose room it is stays in it.
                if sync.group.login.is_some() && !sync.group.portal.linked {
                    self.show_out(sync, own, by).await?;
                }
                self.groups.spaces.wake(own.login);
                self.forget_group(sync);
            }
        }
        self.keep_shown(sync, vec![(member.user.clone(), None)])
            .await
    }

    /// Whether another chat of a group's room has a ghost in it.
    async fn is_needed_otherwise(&self, sync: &Sync, ghost: &UserId) -> Result<bool, BridgeError> {
        if !self.is_shared(sync.room_id.as_str()) {
            return Ok(false);
        }
        let portal = &sync.group.portal;
        let others = self.others_in_room(portal, &sync.room_id).await?;
        Ok(self.needed_by(&others).await?.contains(ghost))
    }

    async fn let_out(
        &self,
        sync: &Sync,
        ghost: &Intent,
        by: Option<&Intent>,
    ) -> Result<(), BridgeError> {
        let room = &sync.room_id;
        if let Some(by) = by.filter(|_| !sync.group.portal.linked) {
            match by.kick(room, ghost.user_id(), None).await {
                Err(error) if error.is_transient() => return Err(error.into()),
                Err(error) => tracing::debug!(%room, %error, "a ghost leaves instead"),
                Ok(()) => return Ok(()),
            }
        }
        match ghost.leave(room).await {
            Err(error) if error.is_transient() => Err(error.into()),
            Err(error) => {
                tracing::debug!(%room, %error, "a ghost was not in the room");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Removes the user of a login that is not in the group any more, while others are.
    async fn show_out(
        &self,
        sync: &Sync,
        own: &Own,
        by: Option<&Intent>,
    ) -> Result<(), BridgeError> {
        let gatekeeper = self.gatekeeper_name(&sync.group.portal.key.gatekeeper);
        let reason = format!("not in the group on {gatekeeper} any more");
        for who in by.cloned().into_iter().chain([self.bot()]) {
            match who.kick(&sync.room_id, &own.owner, Some(&reason)).await {
                Err(error) if error.is_transient() => return Err(error.into()),
                Err(error) => {
                    tracing::debug!(room = %sync.room_id, %error, "a user could not be removed");
                }
                Ok(()) => break,
            }
        }
        Ok(())
    }

    /// Forgets what was looked up of a group before who is in it changed.
    pub(super) fn forget_group(&self, sync: &Sync) {
        // Which login is named makes no difference for a group.
        let chat = (LoginId(0), sync.group.portal.key.chat.clone());
        self.forget_route(Some(&sync.room_id), Some(&chat));
    }

    /// Brings a portal's room to what is true, all of it, and finishes one that was begun.
    pub(in crate::bridge) async fn carry_members(&self, portal: PortalId) -> Outcome {
        if !self.is_introduced() {
            return Outcome::Retry;
        }
        match self.bring_rest(portal).await {
            Ok(false) => Outcome::Done,
            Ok(true) => Outcome::Retry,
            Err(error) if error.is_transient() => {
                tracing::debug!(%portal, %error, "a room is brought up to date later");
                Outcome::Retry
            }
            Err(error) => {
                tracing::warn!(%portal, %error, "a room cannot be brought up to date");
                Outcome::Done
            }
        }
    }

    /// The same; whether something has to be tried again later.
    async fn bring_rest(&self, id: PortalId) -> Result<bool, BridgeError> {
        let row = self
            .db
            .read(move |txn| Box::pin(async move { txn.portal_by_id(id).await }))
            .await?;
        let Some(portal) = row else {
            return Ok(false);
        };
        if !portal.ready {
            let Some((login, chat)) = self.opener(&portal).await? else {
                return Ok(false);
            };
            let Some(_turn) = self.groups.pace.turn().await else {
                return Ok(false);
            };
            self.open_portal(login, &chat).await?;
        }
        if !portal.key.chat.is_group() {
            return Ok(false);
        }
        let left = self.bring(id, None, Scope::All).await?;
        self.bring_one_by_one(id).await?;
        let group = self.view_group(id).await?;
        Ok(left && group.facts().picture != group.shown_facts().picture)
    }

    /// The login that makes a portal's room, and the chat.
    async fn opener(&self, portal: &PortalRow) -> Result<Option<(LoginId, ChatId)>, BridgeError> {
        if let Some(known) = lock(&self.groups.unfinished).get(&portal.id).cloned() {
            return Ok(Some(known));
        }
        let login = match portal.key.login {
            Some(login) => Some(login),
            None => self.view_group(portal.id).await?.login,
        };
        Ok(login.map(|login| (login, portal.key.chat.clone())))
    }

    /// Brings the rest of a group's members, each in its turn.
    async fn bring_one_by_one(&self, id: PortalId) -> Result<(), BridgeError> {
        let mut inside = None;
        loop {
            if self.view_next(id).await?.members.is_empty() {
                return Ok(());
            }
            let Some(_turn) = self.groups.pace.turn().await else {
                return Ok(());
            };
            let alone = self.groups.alone(id);
            let held = alone.lock().await;
            let Some((sync, member)) = self.next_member(id).await? else {
                return Ok(());
            };
            let own = sync.group.own.get(&member.user);
            if sync.group.login.is_none() {
                self.show_gone(&sync, &member, own).await?;
                continue;
            }
            if is_admin(member.role) != is_admin(member.shown) {
                // Admins come first and with their power; this one is one since then, or was.
                drop(held);
                let only = [member.user];
                self.bring(id, None, Scope::Users(&only)).await?;
                continue;
            }
            if inside.is_none() {
                // Who wrote meanwhile is there already.
                let members = self.bot().members(&sync.room_id).await?;
                inside = Some(members.into_iter().collect());
            }
            self.show_member(&sync, &member, own, inside.as_ref())
                .await?;
        }
    }

    /// The next member whom the room shows wrong.
    async fn next_member(
        &self,
        id: PortalId,
    ) -> Result<Option<(Sync, GroupMemberRow)>, BridgeError> {
        let mut group = self.view_next(id).await?;
        let room_id = group.portal.room_id.as_deref();
        let room_id = room_id.and_then(|room| OwnedRoomId::try_from(room).ok());
        let (Some(room_id), Some(member)) = (room_id, group.members.pop()) else {
            return Ok(None);
        };
        let sync = Sync {
            room_id,
            stored: group.row.as_ref().map(|row| row.shown.clone()),
            group,
            actor: None,
            hands: None,
        };
        Ok(Some((sync, member)))
    }
}

/// Who invites: the admin who added somebody, if it was one.
fn inviter(sync: &Sync) -> Option<&Intent> {
    let actor = sync.actor.as_ref()?;
    let mut members = sync.group.members.iter();
    let may = members.any(|one| one.user == *actor && is_admin(one.shown));
    sync.hands.as_ref().filter(|_| may)
}
