//! What one of the bridge's accounts does about events that are in a room already.

use ruma::{
    EventId, OwnedEventId, RoomId,
    api::client::{redact::redact_event, room::get_room_event},
};
use serde_json::Value;

use super::{Intent, MatrixError};

impl Intent {
    /// Deletes what an event says, once for each transaction id of this account; the id of the redaction.
    ///
    /// # Errors
    /// What the homeserver said; after an error that may pass, whether it was done is unknown.
    pub async fn redact(
        &self,
        room: &RoomId,
        event: &EventId,
        txn_id: &str,
        reason: Option<&str>,
    ) -> Result<OwnedEventId, MatrixError> {
        if self.is_puppet() {
            return self.redact_marked(room, event, txn_id, reason).await;
        }
        let mut request =
            redact_event::v3::Request::new(room.to_owned(), event.to_owned(), txn_id.into());
        request.reason = reason.map(str::to_owned);
        Ok(self.call(request).await?.event_id)
    }

    /// An event of a room as the homeserver shows it; `None` if there is none or this account may not see it.
    ///
    /// # Errors
    /// What the homeserver said.
    pub async fn event(
        &self,
        room: &RoomId,
        event: &EventId,
    ) -> Result<Option<Value>, MatrixError> {
        let request = get_room_event::v3::Request::new(room.to_owned(), event.to_owned());
        match self.call(request).await {
            Ok(answer) => serde_json::from_str(answer.event.json().get())
                .map(Some)
                .map_err(|error| MatrixError::Unreadable(error.to_string())),
            Err(error) if error.is_closed() => Ok(None),
            Err(error) => Err(error),
        }
    }
}
