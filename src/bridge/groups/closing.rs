//! Groups that no login is in any more: the room says so and the ghosts leave. A login that comes back opens it again.

use super::{AT_ONCE, sync::Sync, view::closed_key};
use crate::{
    bridge::context::{Bridge, BridgeError},
    store::Lane,
    translate::bridge_notice,
};

/// What stands behind the time since when a group has been closed, once its room was told.
const TOLD: &str = " told";

impl Bridge {
    /// Closes a room whose group no login is in; whether ghosts are left in it.
    pub(super) async fn close_group(&self, sync: &Sync) -> Result<bool, BridgeError> {
        let id = sync.group.portal.id;
        let since = if let Some(since) = &sync.group.closed {
            since.clone()
        } else {
            let since = self.now().0.to_string();
            self.keep_closed(sync, since.clone()).await?;
            since
        };
        if !since.ends_with(TOLD) {
            let gatekeeper = self.gatekeeper_name(&sync.group.portal.key.gatekeeper);
            let text = format!(
                "Nobody here is in this group on {gatekeeper} any more: nothing is carried. Once one of you is added again, it goes on here."
            );
            let txn_id = self.effect_id(&["closed", sync.room_id.as_str(), &since]);
            self.notify(&sync.room_id, &txn_id, &bridge_notice(&text, None))
                .await?;
            self.keep_closed(sync, format!("{since}{TOLD}")).await?;
            self.forget_group(sync);
        }
        let shown = sync.group.members.iter().filter(|one| one.shown.is_some());
        let mut ghosts = 0;
        for member in shown {
            let own = sync.group.own.get(&member.user);
            if own.is_none() {
                ghosts += 1;
                if ghosts > AT_ONCE {
                    continue;
                }
            }
            self.show_gone(sync, member, own).await?;
        }
        tracing::debug!(portal = %id, ghosts, "a group is closed");
        Ok(ghosts > AT_ONCE)
    }

    /// A login is in the group again.
    pub(super) async fn reopen_group(&self, sync: &mut Sync) -> Result<(), BridgeError> {
        if sync.group.closed.take().is_none() {
            return Ok(());
        }
        let id = sync.group.portal.id;
        self.db
            .step(Lane::room(&id.to_string()), move |txn| {
                Box::pin(async move { txn.delete_value(&closed_key(id)).await })
            })
            .await?;
        self.forget_group(sync);
        Ok(())
    }

    async fn keep_closed(&self, sync: &Sync, since: String) -> Result<(), BridgeError> {
        let id = sync.group.portal.id;
        self.db
            .step(Lane::room(&id.to_string()), move |txn| {
                let since = since.clone();
                Box::pin(async move { txn.set_value(&closed_key(id), &since).await })
            })
            .await?;
        Ok(())
    }
}
