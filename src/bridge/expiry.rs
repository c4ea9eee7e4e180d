//! Messages that disappear: taken out of their rooms when their time has come.

use std::time::Duration;

use ruma::OwnedRoomId;

use super::context::{Bridge, BridgeError};
use crate::store::{ExpiryRow, Lane};

/// How many are taken out at a time.
const BATCH: i64 = 64;
/// How long is waited at most: a message with a shorter time may have come meanwhile.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

impl Bridge {
    /// Takes out what has expired, until the bridge is stopped.
    pub async fn expire(&self) {
        loop {
            let wait = match self.expire_due().await {
                Ok(more) if more => Duration::ZERO,
                Ok(_) => LONGEST_WAIT,
                Err(error) => {
                    tracing::warn!(%error, "messages that have to disappear stay for now");
                    LONGEST_WAIT * 6
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.cancel.cancelled() => return,
            }
        }
    }

    async fn expire_due(&self) -> Result<bool, BridgeError> {
        if !self.is_introduced() {
            return Ok(false);
        }
        let now = self.now();
        let due = self
            .db
            .read(move |txn| Box::pin(async move { txn.expired(now, BATCH).await }))
            .await?;
        let more = i64::try_from(due.len()).is_ok_and(|count| count == BATCH);
        let mut failed = false;
        for row in due {
            // One room that cannot be changed now keeps nothing in the others.
            if let Err(error) = self.take_out(row).await {
                tracing::warn!(%error, "a message that has to disappear stays for now");
                failed = true;
            }
        }
        Ok(more && !failed)
    }

    async fn take_out(&self, row: ExpiryRow) -> Result<(), BridgeError> {
        let portal = row.portal;
        let room = self
            .db
            .read(move |txn| Box::pin(async move { txn.portal_by_id(portal).await }))
            .await?
            .and_then(|portal| portal.room_id)
            .and_then(|room| OwnedRoomId::try_from(room).ok());
        if let Some(room_id) = room {
            self.redact_shown(&room_id, &row, "its time is over")
                .await?;
        }
        let event = row.event_id;
        self.db
            .step(Lane::room(&portal.to_string()), move |txn| {
                let event = event.clone();
                Box::pin(async move { txn.delete_expiry(portal, &event).await })
            })
            .await?;
        Ok(())
    }

    /// Redacts an event as the ghost that sent it, as the bot if it is nobody's or the ghost may not.
    async fn redact_shown(
        &self,
        room_id: &OwnedRoomId,
        row: &ExpiryRow,
        reason: &str,
    ) -> Result<(), BridgeError> {
        let (portal, event) = (row.portal, row.event_id.clone());
        let (links, portal) = self
            .db
            .read(move |txn| {
                let event = event.clone();
                Box::pin(async move {
                    let links = txn.links_by_event(portal, &event).await?;
                    Ok((links, txn.portal_by_id(portal).await?))
                })
            })
            .await?;
        let sender = links.into_iter().find_map(|link| link.sender);
        if let (Some(sender), Some(portal)) = (sender, portal) {
            let mxid = self.naming.mxid(&portal.key.gatekeeper, &sender);
            let ghost = self.client.ghost(&mxid);
            return self
                .redact_as(room_id, (row.portal, &ghost), &row.event_id, reason)
                .await;
        }
        self.redact_as_bot(room_id, Some(row.portal), &row.event_id, reason)
            .await
    }
}
