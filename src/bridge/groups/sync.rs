//! Bringing the room of a group to what the store says.

use ruma::OwnedRoomId;
use serde_json::Value;

use super::{AT_ONCE, GroupView, view::is_admin};
use crate::{
    bridge::{
        context::{Bridge, BridgeError},
        routes::PortalRoute,
    },
    domain::{GroupChange, PortalId, RemoteUserId},
    matrix::Intent,
    store::{GroupShown, RemoteMessageRow, RemoteNotice},
};

/// What of a group is brought to its room.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scope<'a> {
    /// Everything.
    All,
    /// What it is and who may do what.
    Facts,
    /// How these stand to it.
    Users(&'a [RemoteUserId]),
}

impl Scope<'_> {
    fn has_facts(self) -> bool {
        !matches!(self, Self::Users(_))
    }

    fn has(self, user: &RemoteUserId) -> bool {
        match self {
            Self::All => true,
            Self::Facts => false,
            Self::Users(users) => users.contains(user),
        }
    }
}

/// A room on its way to what is true.
pub(super) struct Sync {
    pub(super) room_id: OwnedRoomId,
    pub(super) group: GroupView,
    /// Who changed the group, if that is known.
    pub(super) actor: Option<RemoteUserId>,
    /// The account as which their changes are shown.
    pub(super) hands: Option<Intent>,
    /// What is stored of what the room shows of the group.
    pub(super) stored: Option<GroupShown>,
}

impl Bridge {
    /// Brings a group's room to what the store says: what it is and the first members at once, the rest of them by a worker. What
    /// changes is shown as done by `actor` where the room lets them, else by the bot.
    pub(in crate::bridge) async fn sync_group(
        &self,
        route: &PortalRoute,
        actor: Option<&RemoteUserId>,
    ) -> Result<(), BridgeError> {
        self.bring_now(route.portal.id, actor, Scope::All).await
    }

    /// Shows a change of a group in its room, as done by whoever did it.
    pub(in crate::bridge) async fn take_group_notice(
        &self,
        route: &PortalRoute,
        room_id: &OwnedRoomId,
        row: &RemoteMessageRow,
        change: &RemoteNotice,
    ) -> Result<(), BridgeError> {
        let actor = &row.message.sender;
        let id = route.portal.id;
        tracing::debug!(room = %room_id, portal = %id, "a group changed");
        let scope = match change {
            RemoteNotice::Group(
                GroupChange::Add(users)
                | GroupChange::Remove(users)
                | GroupChange::Promote(users)
                | GroupChange::Demote(users),
            ) => Scope::Users(users),
            RemoteNotice::Group(GroupChange::Leave) => Scope::Users(std::slice::from_ref(actor)),
            RemoteNotice::Group(_) => Scope::Facts,
            RemoteNotice::GroupPicture => {
                self.check_picture(route).await?;
                Scope::Facts
            }
            RemoteNotice::Joined => return self.sync_group(route, Some(actor)).await,
            _ => return Ok(()),
        };
        self.bring_now(id, Some(actor), scope).await
    }

    /// Brings what can be brought now; for the rest, the portal's worker is woken.
    async fn bring_now(
        &self,
        id: PortalId,
        actor: Option<&RemoteUserId>,
        scope: Scope<'_>,
    ) -> Result<(), BridgeError> {
        if self.bring(id, actor, scope).await? {
            self.groups.members.wake(id);
        }
        Ok(())
    }

    /// Brings a room nearer to what is true; whether something is left to be done.
    pub(super) async fn bring(
        &self,
        id: PortalId,
        actor: Option<&RemoteUserId>,
        scope: Scope<'_>,
    ) -> Result<bool, BridgeError> {
        let alone = self.groups.alone(id);
        let _alone = alone.lock().await;
        let group = self.view_group(id).await?;
        let room_id = group.portal.room_id.as_deref();
        let Some(room_id) = room_id.and_then(|room| OwnedRoomId::try_from(room).ok()) else {
            return Ok(false);
        };
        // Of a group nobody told anything about there is nothing to show.
        if group.row.is_none() {
            return Ok(false);
        }
        let hands = self.hands(&group, actor).await?;
        let stored = group.row.as_ref().map(|row| row.shown.clone());
        let mut sync = Sync {
            stored,
            room_id,
            group,
            actor: actor.cloned(),
            hands,
        };
        if sync.group.login.is_none() {
            return self.close_group(&sync).await;
        }
        self.reopen_group(&mut sync).await?;
        self.show_levels(&mut sync).await?;
        let mut left = false;
        if scope.has_facts() {
            left = self.show_facts(&mut sync).await?;
        }
        let unshown = sync.group.unshown();
        let total = unshown.len();
        let concerned = unshown.into_iter().filter(|(one, _)| scope.has(&one.user));
        // A room that has its first members gets the others in their turns, so that whoever has something to say goes before them.
        let at_once = match scope {
            Scope::All => AT_ONCE.saturating_sub(sync.group.inside()),
            Scope::Facts | Scope::Users(_) => AT_ONCE,
        };
        let mut brought = 0;
        for (member, own) in concerned.take(AT_ONCE) {
            // Logins and admins are before all others.
            if brought >= at_once && own.is_none() && !is_admin(member.role) {
                break;
            }
            self.show_member(&sync, member, own, None).await?;
            brought += 1;
        }
        // What was not asked for now has its own notice on the way, or is behind the first ones.
        let overfull = brought == AT_ONCE && total > brought;
        Ok(left || overfull || matches!(scope, Scope::All) && total > brought)
    }

    /// The account as which somebody's changes are shown: the ghost, if it is in the room, or the login's user through their double
    /// puppet.
    async fn hands(
        &self,
        group: &GroupView,
        actor: Option<&RemoteUserId>,
    ) -> Result<Option<Intent>, BridgeError> {
        let Some(actor) = actor else {
            return Ok(None);
        };
        if let Some(own) = group.own.get(actor) {
            return self.puppet_of(&own.owner).await;
        }
        let mut inside = group.members.iter().filter(|one| one.shown.is_some());
        Ok(inside.any(|one| one.user == *actor).then(|| {
            let gatekeeper = &group.portal.key.gatekeeper;
            self.client.ghost(&self.naming.mxid(gatekeeper, actor))
        }))
    }

    /// Sends a state event as the actor, if they may, else as the bot; that neither may is no reason to stop.
    pub(super) async fn state_by(
        &self,
        sync: &Sync,
        by_actor: bool,
        kind: &str,
        key: &str,
        content: &Value,
    ) -> Result<(), BridgeError> {
        let room = &sync.room_id;
        if let Some(actor) = sync.hands.as_ref().filter(|_| by_actor) {
            match actor.send_state(room, kind, key, content).await {
                Err(error) if error.is_transient() => return Err(error.into()),
                Err(error) => {
                    tracing::debug!(%room, kind, %error, "a change is shown as the bot's");
                }
                Ok(()) => return Ok(()),
            }
        }
        match self.bot().send_state(room, kind, key, content).await {
            Err(error) if error.is_transient() => Err(error.into()),
            Err(error) => {
                tracing::warn!(%room, kind, %error, "a change of a group cannot be shown");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }
}
