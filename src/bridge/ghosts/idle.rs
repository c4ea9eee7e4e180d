//! Ghosts nobody needs any more: those no chat has a use for and that are in no room are forgotten.
//!
//! Their accounts stay at the homeserver, which has no way to take an account back; whoever is met again has the same one.

use ruma::{OwnedUserId, UserId};

use super::profile_name_key;
use crate::{
    bridge::context::{Bridge, BridgeError, lock},
    store::{GhostRow, Lane},
};

impl Bridge {
    /// The ghosts that no chat has a use for and that are in no room, and of how many the homeserver does not tell now.
    ///
    /// # Errors
    /// The store's.
    pub async fn idle_ghosts(&self) -> Result<(Vec<OwnedUserId>, usize), BridgeError> {
        let rows = self
            .db
            .read(|txn| Box::pin(async move { txn.unused_ghosts().await }))
            .await?;
        let (mut idle, mut unknown) = (Vec::new(), 0);
        for row in rows {
            match self.is_in_no_room(&row).await {
                Ok(true) => idle.push(self.ghost_id(&row.gatekeeper, &row.remote_id)),
                Ok(false) => {}
                Err(error) => {
                    tracing::debug!(ghost = %row.mxid, %error, "it is not known in which rooms a ghost is");
                    unknown += 1;
                }
            }
        }
        Ok((idle, unknown))
    }

    /// Forgets a ghost, unless something needs it again; whether it did.
    ///
    /// # Errors
    /// The store's, or that the homeserver does not tell in which rooms it is.
    pub async fn forget_ghost(&self, ghost: &UserId) -> Result<bool, BridgeError> {
        let Some((gatekeeper, remote)) = self.ghost_identity(ghost) else {
            return Ok(false);
        };
        let naming = self.people.alone_with(&ghost.to_owned());
        let forgotten = {
            let _alone = naming.lock().await;
            let row = self.ghost_row(&gatekeeper, &remote).await?;
            let is_idle = self.is_in_no_room(&row).await?;
            is_idle && self.forget_row(row).await?
        };
        drop(naming);
        self.people.done_with(&ghost.to_owned());
        Ok(forgotten)
    }

    async fn is_in_no_room(&self, row: &GhostRow) -> Result<bool, BridgeError> {
        let ghost = self.ghost_id(&row.gatekeeper, &row.remote_id);
        match self.client.ghost(&ghost).joined_rooms().await {
            Ok(rooms) => Ok(rooms.is_empty()),
            // The homeserver does not know the account, so it is nowhere.
            Err(error) if error.status() == Some(403) || error.status() == Some(404) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Forgets what is stored and remembered of a ghost, if no chat has a use for it.
    async fn forget_row(&self, row: GhostRow) -> Result<bool, BridgeError> {
        let keys = [
            profile_name_key(&row.mxid),
            super::profile::identity_key(&row),
        ];
        let mxid = self.ghost_id(&row.gatekeeper, &row.remote_id);
        let lane = Lane::room(&row.mxid);
        let forgotten = self
            .db
            .step(lane, move |txn| {
                let (row, keys) = (row.clone(), keys.clone());
                Box::pin(async move {
                    let mut unused = txn.unused_ghosts().await?.into_iter();
                    if !unused.any(|one| one.mxid == row.mxid) {
                        return Ok(false);
                    }
                    for key in &keys {
                        txn.delete_value(key).await?;
                    }
                    txn.delete_ghost(&row.gatekeeper, &row.remote_id).await?;
                    Ok(true)
                })
            })
            .await?;
        if forgotten {
            lock(&self.people.seen).remove(&mxid);
            lock(&self.ghosts).remove(&mxid);
        }
        Ok(forgotten)
    }
}
