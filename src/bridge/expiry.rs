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
        for row in due {
            self.take_out(row).await?;
        }
        Ok(more)
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
            self.redact_as_bot(&room_id, &row.event_id, "its time is over")
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
}
