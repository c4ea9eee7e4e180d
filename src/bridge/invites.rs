//! Invitations: of the bot, which makes a management room, and of a ghost, which starts a chat.

use ruma::{
    OwnedRoomId, OwnedUserId, UserId,
    events::{AnyStateEvent, AnyTimelineEvent, StateEvent, room::member::MembershipState},
};

use super::context::{Bridge, BridgeError};
use crate::{
    config::Level,
    domain::{ChatId, GatekeeperId, LoginId, RemoteUserId},
    store::{Lane, LoginState},
};

/// A change of somebody's membership.
pub(super) struct MemberChange {
    pub(super) of: OwnedUserId,
    by: OwnedUserId,
    pub(super) membership: MembershipState,
    is_direct: bool,
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
                    "I answer commands in a direct chat: start one with me and write `help`.",
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
            Some(_) if !change.is_direct => Some(
                "I can only be in a direct chat. Invite me to a new direct chat instead."
                    .to_owned(),
            ),
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
        ghost.join(room_id).await?;
        let content = crate::translate::bridge_notice(&refusal, None);
        let txn_id = self.effect_id(&["refusal", room_id.as_str(), change.of.as_str()]);
        ghost
            .send(room_id, "m.room.message", &txn_id, &content, None)
            .await?;
        ghost.leave(room_id).await?;
        Ok(())
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
        is_direct: member.content.is_direct.unwrap_or(false),
    })
}
