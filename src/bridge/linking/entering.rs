//! Ghosts entering rooms the bridge did not make: public ones by themselves, others by the bot's invitation, whose server is the
//! room's or not.

use ruma::RoomId;

use crate::{
    bridge::context::{Bridge, BridgeError},
    domain::{GroupRole, PortalKey, RemoteUserId},
    matrix::{Intent, MatrixError},
};

/// How many members of a group come before the room is used.
const FIRST: usize = 20;

impl Bridge {
    /// Brings one of the bridge's accounts into a room.
    pub(in crate::bridge) async fn bring_in(
        &self,
        room_id: &RoomId,
        who: &Intent,
    ) -> Result<(), MatrixError> {
        match who.join(room_id).await {
            Err(error) if !error.is_transient() => {
                self.bot().invite(room_id, who.user_id()).await?;
                who.join(room_id).await
            }
            joined => joined,
        }
    }

    /// Brings the contact of a chat into a room, or the first members of a group: who of these came.
    pub(in crate::bridge) async fn bring_first(
        &self,
        key: &PortalKey,
        room_id: &RoomId,
    ) -> Result<Vec<(RemoteUserId, GroupRole)>, BridgeError> {
        if let Some(contact) = key.chat.direct_user() {
            let ghost = self.ghost(&key.gatekeeper, &contact, None).await?;
            self.bring_in(room_id, &ghost).await?;
            return Ok(Vec::new());
        }
        let mut came = Vec::new();
        for (user, role) in self.others_in(key).await?.into_iter().take(FIRST) {
            let ghost = self.ghost(&key.gatekeeper, &user, None).await?;
            self.bring_in(room_id, &ghost).await?;
            came.push((user, role));
        }
        Ok(came)
    }

    /// The members of a group that are not logins of ours.
    async fn others_in(
        &self,
        key: &PortalKey,
    ) -> Result<Vec<(RemoteUserId, GroupRole)>, BridgeError> {
        let key = key.clone();
        let (members, logins) = self
            .db
            .read(move |txn| {
                let key = key.clone();
                Box::pin(async move {
                    let members = txn.group_members(&key.gatekeeper, &key.chat).await?;
                    let logins = txn.group_logins(&key.gatekeeper, &key.chat).await?;
                    Ok((members, logins))
                })
            })
            .await?;
        let is_ours = |user: &RemoteUserId| {
            let mut logins = logins.iter();
            logins.any(|login| login.remote_login.as_deref() == Some(user.as_str()))
        };
        Ok(members
            .into_iter()
            .filter(|member| !is_ours(&member.user))
            .filter_map(|member| Some((member.user, member.role?)))
            .collect())
    }
}
