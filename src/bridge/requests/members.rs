//! Who is in a room: ghosts that are invited, kicked or banned, and users who leave or are sent away.

use std::sync::Arc;

use ruma::{OwnedRoomId, events::room::member::MembershipState};

use super::{Truth, Wish, taken_back};
use crate::{
    bridge::{
        context::{Bridge, BridgeError},
        invites::MemberChange,
        routes::{PortalLogin, PortalRoute},
    },
    domain::{GatekeeperId, GroupChange, GroupRole, LoginId, RemoteUserId},
    store::Lane,
};

/// A ghost that was invited or sent away.
struct Ghost {
    gatekeeper: GatekeeperId,
    remote: RemoteUserId,
}

/// What is said of somebody who is banned in a room and stays in its group.
const BANNED_HERE: &str = "They stay in the group and are banned in this room alone: what they write there is not shown here.";

impl Bridge {
    /// Takes a change of somebody's membership.
    pub(super) async fn take_membership(
        &self,
        room_id: &OwnedRoomId,
        portals: &[Arc<PortalRoute>],
        event_id: &str,
        change: &MemberChange,
    ) -> Result<(), BridgeError> {
        let ghost = self.ghost_identity(&change.of);
        let is_gone = matches!(
            change.membership,
            MembershipState::Leave | MembershipState::Ban
        );
        // What the room shows stays as it is until it is noted what it shows.
        let groups = portals.iter().filter(|route| route.is_group());
        let locks: Vec<_> = groups
            .filter(|_| ghost.is_some() || is_gone)
            .map(|route| self.groups.alone(route.portal.id))
            .collect();
        let mut held = Vec::new();
        for alone in &locks {
            held.push(alone.lock().await);
        }
        match ghost.map(|(gatekeeper, remote)| Ghost { gatekeeper, remote }) {
            Some(ghost) if change.membership == MembershipState::Invite => {
                self.ghost_called(room_id, portals, event_id, change, &ghost)
                    .await
            }
            Some(ghost) if is_gone => {
                self.ghost_sent_away(room_id, portals, event_id, change, &ghost)
                    .await
            }
            None if change.membership == MembershipState::Leave && change.of == change.by => {
                self.user_left(room_id, portals, event_id, change).await
            }
            None if is_gone && change.of != change.by => {
                self.user_sent_away(room_id, portals, event_id, change)
                    .await
            }
            _ => Ok(()),
        }
    }

    async fn ghost_called(
        &self,
        room_id: &OwnedRoomId,
        portals: &[Arc<PortalRoute>],
        event_id: &str,
        change: &MemberChange,
        ghost: &Ghost,
    ) -> Result<(), BridgeError> {
        let of_gatekeeper =
            |route: &&Arc<PortalRoute>| route.portal.key.gatekeeper == ghost.gatekeeper;
        let is_contact = portals
            .iter()
            .filter(of_gatekeeper)
            .any(|route| route.portal.key.chat.direct_user().as_ref() == Some(&ghost.remote));
        let groups = portals.iter().filter(of_gatekeeper);
        let groups: Vec<_> = groups.filter(|route| route.is_group()).collect();
        let mut is_member = is_contact;
        for route in &groups {
            let truth = self.truth(route).await?;
            if truth.has(&ghost.remote) {
                self.take_in(room_id, route, ghost).await?;
                is_member = true;
            }
        }
        if is_member {
            return self.accept(room_id, ghost).await;
        }
        let why = match groups.as_slice() {
            [route] => {
                let wish = Wish {
                    room_id,
                    route,
                    event_id,
                    by: &change.by,
                };
                return self.add(&wish, ghost).await;
            }
            [] => "this room mirrors no group of theirs. To make one, write `create-group`",
            _ => "this room is linked to several groups, and it cannot be told which is meant",
        };
        let Some(route) = portals.first() else {
            return Ok(());
        };
        let wish = Wish {
            room_id,
            route,
            event_id,
            by: &change.by,
        };
        self.decline_for(&wish, ghost, why).await
    }

    /// Adds a ghost's user to the group; the ghost comes when the gatekeeper took it.
    async fn add(&self, wish: &Wish<'_>, ghost: &Ghost) -> Result<(), BridgeError> {
        let login = match self.asking_as(wish, true) {
            Ok(login) => login,
            Err(why) => return self.decline_for(wish, ghost, &why).await,
        };
        let change = GroupChange::Add(vec![ghost.remote.clone()]);
        let refused = match self.ask(wish, login, &change).await? {
            Ok(refused) => refused.into_iter().next().map(|(_, why)| why),
            Err(why) => Some(why),
        };
        if let Some(why) = refused {
            // An earlier try may have added them.
            let truth = self.fresh_truth(wish.route, login).await?;
            if !truth.has(&ghost.remote) {
                return self.decline_for(wish, ghost, &why).await;
            }
        }
        self.take_in(wish.room_id, wish.route, ghost).await?;
        self.accept(wish.room_id, ghost).await
    }

    /// Lets a ghost follow an invitation, or the bot's if that one is over by now.
    async fn accept(&self, room_id: &OwnedRoomId, ghost: &Ghost) -> Result<(), BridgeError> {
        let intent = self.ghost(&ghost.gatekeeper, &ghost.remote, None).await?;
        match self.bring_in(room_id, &intent).await {
            Err(error) if error.is_transient() => Err(error.into()),
            Err(error) => {
                tracing::info!(room = %room_id, %error, "a ghost could not follow an invitation");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Remembers that somebody is in the group and that the room shows it.
    async fn take_in(
        &self,
        room_id: &OwnedRoomId,
        route: &PortalRoute,
        ghost: &Ghost,
    ) -> Result<(), BridgeError> {
        let (chat, user) = (route.portal.key.chat.clone(), ghost.remote.clone());
        let gatekeeper = ghost.gatekeeper.clone();
        self.db
            .step(Lane::room(room_id.as_str()), move |txn| {
                let (gatekeeper, chat, user) = (gatekeeper.clone(), chat.clone(), user.clone());
                Box::pin(async move {
                    let members = txn.group_members(&gatekeeper, &chat).await?;
                    let known = members.into_iter().find(|member| member.user == user);
                    if known.as_ref().is_none_or(|known| known.role.is_none()) {
                        let role = Some(GroupRole::Member);
                        txn.set_group_role(&gatekeeper, &chat, &user, role).await?;
                    }
                    if known.is_none_or(|known| known.shown.is_none()) {
                        let shown = Some(GroupRole::Member);
                        txn.set_member_shown(&gatekeeper, &chat, &user, shown)
                            .await?;
                    }
                    Ok(())
                })
            })
            .await?;
        Ok(())
    }

    async fn decline_for(
        &self,
        wish: &Wish<'_>,
        ghost: &Ghost,
        why: &str,
    ) -> Result<(), BridgeError> {
        let intent = self.ghost(&ghost.gatekeeper, &ghost.remote, None).await?;
        match intent.leave_because(wish.room_id, why).await {
            Err(error) if error.is_transient() => return Err(error.into()),
            _ => {}
        }
        self.explain(wish, why, "They are not in the group.").await
    }

    async fn ghost_sent_away(
        &self,
        room_id: &OwnedRoomId,
        portals: &[Arc<PortalRoute>],
        event_id: &str,
        change: &MemberChange,
        ghost: &Ghost,
    ) -> Result<(), BridgeError> {
        // Who was banned, and is let in again, was not sent away by that.
        if change.before == Some(MembershipState::Ban) {
            return Ok(());
        }
        let mut shown_in: Vec<(&Arc<PortalRoute>, Truth)> = Vec::new();
        for route in portals {
            if route.portal.key.gatekeeper != ghost.gatekeeper || !route.is_group() {
                continue;
            }
            let truth = self.truth(route).await?;
            let member = truth.member(&ghost.remote);
            if member.is_some_and(|member| member.shown.is_some()) {
                shown_in.push((route, truth));
            }
        }
        let is_one = shown_in.len() == 1;
        for (route, truth) in shown_in {
            let wish = Wish {
                room_id,
                route,
                event_id,
                by: &change.by,
            };
            if !truth.has(&ghost.remote) {
                self.let_go(&wish, ghost).await?;
            } else if is_one {
                self.remove(&wish, ghost, change).await?;
            } else {
                let why = "this room is linked to several groups they are in, and it cannot be told which is meant";
                return self.call_back(&wish, ghost, change, why).await;
            }
        }
        Ok(())
    }

    /// Removes a ghost's user from the group.
    async fn remove(
        &self,
        wish: &Wish<'_>,
        ghost: &Ghost,
        change: &MemberChange,
    ) -> Result<(), BridgeError> {
        // In a room of their own its moderators decide, with the login that speaks for them.
        let login = match self.asking_as(wish, wish.route.portal.linked) {
            Ok(login) => login,
            Err(why) => return self.call_back(wish, ghost, change, &why).await,
        };
        let removal = GroupChange::Remove(vec![ghost.remote.clone()]);
        let refused = match self.ask(wish, login, &removal).await? {
            Ok(refused) => refused.into_iter().next().map(|(_, why)| why),
            Err(why) => Some(why),
        };
        if let Some(why) = refused {
            // An earlier try may have removed them.
            let truth = self.fresh_truth(wish.route, login).await?;
            if truth.has(&ghost.remote) {
                return self.call_back(wish, ghost, change, &why).await;
            }
        }
        self.let_go(wish, ghost).await
    }

    /// Remembers that somebody is neither in the group nor in the room. Who came back into the room meanwhile is taken out again.
    async fn let_go(&self, wish: &Wish<'_>, ghost: &Ghost) -> Result<(), BridgeError> {
        let (chat, user) = (wish.route.portal.key.chat.clone(), ghost.remote.clone());
        let mxid = self.naming.mxid(&ghost.gatekeeper, &ghost.remote);
        let now = self
            .state_now(wish.room_id, "m.room.member", mxid.as_str())
            .await?;
        let is_back = now.is_some_and(|now| {
            let membership = now["membership"].as_str();
            matches!(membership, Some("join" | "invite"))
        });
        let gatekeeper = ghost.gatekeeper.clone();
        self.db
            .step(Lane::room(wish.room_id.as_str()), move |txn| {
                let (gatekeeper, chat, user) = (gatekeeper.clone(), chat.clone(), user.clone());
                Box::pin(async move {
                    let shown = is_back.then_some(GroupRole::Member);
                    txn.set_member_shown(&gatekeeper, &chat, &user, shown)
                        .await?;
                    txn.set_group_role(&gatekeeper, &chat, &user, None).await
                })
            })
            .await?;
        if is_back {
            self.groups.members.wake(wish.route.portal.id);
        }
        Ok(())
    }

    /// Brings back a ghost whose user stays in the group. Whom a room that somebody linked bans stays out of it: that is for the room to
    /// decide.
    async fn call_back(
        &self,
        wish: &Wish<'_>,
        ghost: &Ghost,
        change: &MemberChange,
        why: &str,
    ) -> Result<(), BridgeError> {
        if change.membership == MembershipState::Ban && wish.route.portal.linked {
            return self.explain(wish, why, BANNED_HERE).await;
        }
        let intent = self.ghost(&ghost.gatekeeper, &ghost.remote, None).await?;
        if change.membership == MembershipState::Ban {
            match self.bot().unban(wish.room_id, &change.of).await {
                Err(error) if error.is_transient() => return Err(error.into()),
                _ => {}
            }
        }
        let done = match self.bring_in(wish.room_id, &intent).await {
            Ok(()) => true,
            Err(error) if error.is_transient() => return Err(error.into()),
            Err(error) => {
                tracing::warn!(room = %wish.room_id, %error, "a ghost could not be brought back");
                false
            }
        };
        self.explain(wish, why, taken_back(done)).await
    }

    /// Somebody left the room of a group their login is in.
    async fn user_left(
        &self,
        room_id: &OwnedRoomId,
        portals: &[Arc<PortalRoute>],
        event_id: &str,
        change: &MemberChange,
    ) -> Result<(), BridgeError> {
        for route in portals {
            // Who leaves a room of somebody else's leaves that room and nothing more.
            let is_ours = route.is_group() && !route.portal.linked;
            let Some(left) = route.login_of(&change.of).filter(|_| is_ours) else {
                continue;
            };
            let gatekeeper = self.gatekeeper_name(&route.portal.key.gatekeeper);
            let truth = self.truth(route).await?;
            let name = truth.group.map_or_else(
                || "a group".to_owned(),
                |group| format!("“{}”", group.facts.subject),
            );
            let said = if self.settings.leave_groups {
                let wish = Wish {
                    room_id,
                    route,
                    event_id,
                    by: &change.by,
                };
                match self.ask(&wish, left.id, &GroupChange::Leave).await? {
                    Ok(_) => {
                        self.note_user_gone(&wish, left).await?;
                        continue;
                    }
                    Err(why) => format!(
                        "You left the room of {name}, but not the group at {gatekeeper}: {}.",
                        why.trim_end_matches('.')
                    ),
                }
            } else {
                format!(
                    "You left the room of {name}. You are still in the group at {gatekeeper}; to leave that too, write `leave-chat {room_id}`."
                )
            };
            self.tell_user(&change.of, &["left", event_id], &said)
                .await?;
        }
        Ok(())
    }

    /// Somebody sent a user away whose login is in the group: an admin of the group removes them there too. Who has no login in it
    /// only has a say in the room.
    async fn user_sent_away(
        &self,
        room_id: &OwnedRoomId,
        portals: &[Arc<PortalRoute>],
        event_id: &str,
        change: &MemberChange,
    ) -> Result<(), BridgeError> {
        // Who was banned, and is let in again, was not sent away by that.
        if change.before == Some(MembershipState::Ban) {
            return Ok(());
        }
        for route in portals {
            let is_ours = route.is_group() && !route.portal.linked;
            let sent = route.login_of(&change.of).filter(|_| is_ours);
            let own = sent.and_then(|login| Some((login, login.own.clone()?)));
            let wish = Wish {
                room_id,
                route,
                event_id,
                by: &change.by,
            };
            let (Some((login, own)), Ok(by)) = (own, self.asking_as(&wish, false)) else {
                continue;
            };
            if !self.truth(route).await?.has(&own) {
                continue;
            }
            let removal = GroupChange::Remove(vec![own.clone()]);
            let refused = match self.ask(&wish, by, &removal).await? {
                Ok(refused) => refused.into_iter().next().map(|(_, why)| why),
                Err(why) => Some(why),
            };
            if let Some(why) = refused {
                // An earlier try may have removed them.
                if self.fresh_truth(route, by).await?.has(&own) {
                    self.call_user_back(&wish, change, login.id, &why).await?;
                    continue;
                }
            }
            self.note_user_gone(&wish, login).await?;
        }
        Ok(())
    }

    /// Notes that a user is not in the room any more and left the group with it, so that they are invited when they are added again,
    /// however soon that is.
    async fn note_user_gone(
        &self,
        wish: &Wish<'_>,
        login: &PortalLogin,
    ) -> Result<(), BridgeError> {
        let key = wish.route.portal.key.clone();
        self.set_left(&wish.route.portal, login.id, None).await?;
        self.forget_route(Some(wish.room_id), Some(&(login.id, key.chat.clone())));
        let Some(own) = login.own.clone() else {
            return Ok(());
        };
        self.db
            .step(Lane::room(wish.room_id.as_str()), move |txn| {
                let (key, own) = (key.clone(), own.clone());
                Box::pin(async move {
                    // That they are in it no more is told by the gatekeeper, and so is that they are again.
                    let (gatekeeper, chat) = (&key.gatekeeper, &key.chat);
                    txn.set_member_shown(gatekeeper, chat, &own, None).await
                })
            })
            .await?;
        Ok(())
    }

    /// Invites a user again who stays in the group. A ban stays too: that is for the room to decide.
    async fn call_user_back(
        &self,
        wish: &Wish<'_>,
        change: &MemberChange,
        login: LoginId,
        why: &str,
    ) -> Result<(), BridgeError> {
        if change.membership == MembershipState::Ban {
            return self.explain(wish, why, "They stay banned here.").await;
        }
        self.set_left(&wish.route.portal, login, None).await?;
        let done = match self.bot().invite(wish.room_id, &change.of).await {
            Ok(()) => true,
            Err(error) if error.is_transient() => return Err(error.into()),
            Err(error) => {
                tracing::warn!(room = %wish.room_id, %error, "a user could not be invited again");
                false
            }
        };
        self.let_puppet_join(&change.of, wish.room_id).await?;
        self.explain(wish, why, taken_back(done)).await
    }
}
