//! Invitations: of the bot, which makes a management room, and of a ghost, which starts a chat.

use ruma::{
    OwnedRoomId, OwnedUserId, RoomId, UserId,
    events::{AnyStateEvent, AnyTimelineEvent, StateEvent, room::member::MembershipState},
};

use super::context::{Bridge, BridgeError};
use crate::{
    config::Level,
    domain::{ChatId, GatekeeperId, LoginId, RemoteUserId},
    matrix::Intent,
    store::{Lane, LoginState},
};

/// What the bot says in a room that is no direct chat, to those who begin commands with this prefix.
fn welcome(prefix: &str) -> String {
    format!(
        "I can connect this room to a chat: write `{prefix} bridge` and a phone number or a group, or `{prefix} create-group` and a name to make \
         it a group. That needs the power to set `m.bridge` here, and I need the power to invite. In a direct chat with me, `help` explains everything."
    )
}

/// Among how many waiting events of a room others are looked for who are invited with somebody.
const CALLED_TOGETHER: i64 = 64;

/// A change of somebody's membership.
pub(super) struct MemberChange {
    pub(super) of: OwnedUserId,
    pub(super) by: OwnedUserId,
    pub(super) membership: MembershipState,
    /// What it was before, if the homeserver tells.
    pub(super) before: Option<MembershipState>,
    is_direct: bool,
}

/// The key under which it is kept who was invited into a room that mirrors nothing.
pub(super) fn called_key(room_id: &RoomId) -> String {
    format!("called/{room_id}")
}

impl Bridge {
    /// Answers an invitation in a room that is neither a portal nor a management room; anything else is passed over.
    pub(super) async fn take_invite(
        &self,
        room_id: &OwnedRoomId,
        event: &AnyTimelineEvent,
    ) -> Result<(), BridgeError> {
        let Some(change) = member_change(event) else {
            return Ok(());
        };
        if change.membership != MembershipState::Invite {
            return Ok(());
        }
        if change.of == self.client.bot_id() {
            return self.bot_invited(room_id, &change).await;
        }
        match self.ghost_identity(&change.of) {
            Some((gatekeeper, remote)) => {
                self.ghost_invited(room_id, &change, &gatekeeper, &remote)
                    .await
            }
            None => Ok(()),
        }
    }

    async fn bot_invited(
        &self,
        room_id: &OwnedRoomId,
        change: &MemberChange,
    ) -> Result<(), BridgeError> {
        if self.take_up_upgrade(room_id).await? {
            return Ok(());
        }
        if self.level(&change.by) < Level::User {
            tracing::info!(room = %room_id, user = %change.by, "an invitation by somebody without permission is declined");
            return self.decline(room_id, self.client.bot_id()).await;
        }
        self.bot().join(room_id).await?;
        if !change.is_direct {
            return self
                .say(
                    room_id,
                    &self.effect_id(&["welcome", room_id.as_str()]),
                    &welcome(&self.settings.command_prefix),
                )
                .await;
        }
        let (mxid, room) = (change.by.to_string(), room_id.to_string());
        self.db
            .step(Lane::room(room_id.as_str()), move |txn| {
                let (mxid, room) = (mxid.clone(), room.clone());
                Box::pin(async move { txn.set_management_room(&mxid, Some(&room)).await })
            })
            .await?;
        self.forget_management(&change.by);
        self.say(
            room_id,
            &self.effect_id(&["welcome", room_id.as_str()]),
            "This is now your management room. Write `login` to connect, or `help` for everything I understand.",
        )
        .await
    }

    async fn ghost_invited(
        &self,
        room_id: &OwnedRoomId,
        change: &MemberChange,
        gatekeeper: &GatekeeperId,
        remote: &RemoteUserId,
    ) -> Result<(), BridgeError> {
        if self.network(gatekeeper).is_err() {
            return Ok(());
        }
        let ghost = self.ghost(gatekeeper, remote, None).await?;
        let login = self.login_for(&change.by, gatekeeper).await?;
        let refusal = match login {
            _ if self.level(&change.by) < Level::User => {
                return self.decline(room_id, ghost.user_id()).await;
            }
            None => Some(format!(
                "You are not logged in at {}. Start a direct chat with {} and write `login`.",
                self.gatekeeper_name(gatekeeper),
                self.client.bot_id()
            )),
            Some(_) if !change.is_direct || self.others_are_called(room_id, change).await? => {
                return self.hint_at_group(room_id, change, gatekeeper).await;
            }
            Some(login) => {
                ghost.join(room_id).await?;
                self.adopt_room(login, &ChatId::direct(remote), room_id)
                    .await?
                    .map(|its| {
                        format!("There is a room for this chat already: https://matrix.to/#/{its}")
                    })
            }
        };
        let Some(refusal) = refusal else {
            return Ok(());
        };
        self.say_and_leave(room_id, &ghost, &refusal).await
    }

    async fn say_and_leave(
        &self,
        room_id: &OwnedRoomId,
        ghost: &Intent,
        word: &str,
    ) -> Result<(), BridgeError> {
        ghost.join(room_id).await?;
        let content = crate::translate::bridge_notice(word, None);
        let ghost_id = ghost.user_id().as_str();
        let txn_id = self.effect_id(&["refusal", room_id.as_str(), ghost_id]);
        ghost
            .send(room_id, "m.room.message", &txn_id, &content, None)
            .await?;
        ghost.leave(room_id).await?;
        Ok(())
    }

    /// Whether others of the bridge's ghosts are invited into the same new room.
    async fn others_are_called(
        &self,
        room_id: &OwnedRoomId,
        change: &MemberChange,
    ) -> Result<bool, BridgeError> {
        if !self.called_into(room_id).await?.is_empty() {
            return Ok(true);
        }
        let room = room_id.to_string();
        let waiting = self
            .db
            .read(move |txn| {
                let room = room.clone();
                Box::pin(async move { txn.waiting_events(&room, CALLED_TOGETHER).await })
            })
            .await?;
        Ok(waiting.iter().any(|event| {
            let parsed = serde_json::from_str(&event.json).ok();
            let other = parsed.as_ref().and_then(member_change);
            other.is_some_and(|other| {
                other.membership == MembershipState::Invite
                    && other.of != change.of
                    && self.ghost_identity(&other.of).is_some()
            })
        }))
    }

    /// Says how a group is made. Whoever was invited is remembered, to be a member of the group that is made of the room.
    async fn hint_at_group(
        &self,
        room_id: &OwnedRoomId,
        change: &MemberChange,
        gatekeeper: &GatekeeperId,
    ) -> Result<(), BridgeError> {
        let mut called = self.called_into(room_id).await?;
        let ghost = self.client.ghost(&change.of);
        let hint = format!(
            "To make a group at {} of this room, invite {} and write `create-group` and a name: who was invited here is in it then.",
            self.gatekeeper_name(gatekeeper),
            self.client.bot_id()
        );
        if called.is_empty() {
            self.say_and_leave(room_id, &ghost, &hint).await?;
        } else {
            // It was said once.
            self.decline(room_id, &change.of).await?;
        }
        if !called.contains(&change.of) {
            called.push(change.of.clone());
            let key = called_key(room_id);
            let users = serde_json::to_string(&called).expect("a list of texts is JSON");
            self.db
                .step(Lane::room(room_id.as_str()), move |txn| {
                    let (key, users) = (key.clone(), users.clone());
                    Box::pin(async move { txn.set_value(&key, &users).await })
                })
                .await?;
        }
        Ok(())
    }

    /// The ghosts that were invited into a room that mirrors nothing.
    pub(super) async fn called_into(
        &self,
        room_id: &RoomId,
    ) -> Result<Vec<OwnedUserId>, BridgeError> {
        let key = called_key(room_id);
        let users = self
            .db
            .read(move |txn| {
                let key = key.clone();
                Box::pin(async move { txn.value(&key).await })
            })
            .await?;
        let users = users.and_then(|users| serde_json::from_str(&users).ok());
        Ok(users.unwrap_or_default())
    }

    /// The login through which a user writes at a gatekeeper.
    ///
    /// # Errors
    /// The store's.
    pub async fn login_for(
        &self,
        user: &UserId,
        gatekeeper: &GatekeeperId,
    ) -> Result<Option<LoginId>, BridgeError> {
        let (mxid, gatekeeper) = (user.to_string(), gatekeeper.clone());
        let logins = self
            .db
            .read(move |txn| {
                let mxid = mxid.clone();
                Box::pin(async move { txn.logins_of(&mxid).await })
            })
            .await?;
        Ok(logins
            .into_iter()
            .find(|login| login.gatekeeper == gatekeeper && login.state != LoginState::LoggedOut)
            .map(|login| login.id))
    }

    pub(super) async fn decline(
        &self,
        room_id: &OwnedRoomId,
        who: &UserId,
    ) -> Result<(), BridgeError> {
        match self.client.ghost(who).leave(room_id).await {
            Err(error) if error.is_transient() => Err(error.into()),
            _ => Ok(()),
        }
    }
}

pub(super) fn member_change(event: &AnyTimelineEvent) -> Option<MemberChange> {
    let AnyTimelineEvent::State(AnyStateEvent::RoomMember(StateEvent::Original(member))) = event
    else {
        return None;
    };
    Some(MemberChange {
        of: member.state_key.clone(),
        by: member.sender.clone(),
        membership: member.content.membership.clone(),
        before: member
            .unsigned
            .prev_content
            .as_ref()
            .map(|before| before.membership.clone()),
        is_direct: member.content.is_direct.unwrap_or(false),
    })
}
