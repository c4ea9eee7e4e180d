//! What one of the bridge's accounts does about events that are in a room already.

use reqwest::Method;
use ruma::{EventId, OwnedEventId, RoomId, api::client::room::get_room_event};
use serde_json::Value;

use super::{
    Intent, MatrixError,
    request::{Identity, Tries},
};

impl Intent {
    /// Deletes what an event says, once for each transaction id of this account; the id of the redaction. Its content, beside a
    /// `reason`, has what is the bridge's own: the body of the specification's request has no place for that, but homeservers keep it.
    ///
    /// # Errors
    /// What the homeserver said; after an error that may pass, whether it was done is unknown.
    pub async fn redact(
        &self,
        room: &RoomId,
        event: &EventId,
        txn_id: &str,
        content: &Value,
    ) -> Result<OwnedEventId, MatrixError> {
        let path = [
            "_matrix",
            "client",
            "v3",
            "rooms",
            room.as_str(),
            "redact",
            event.as_str(),
            txn_id,
        ];
        let identity = Identity::Device(&self.user);
        let request = self.client.request(Method::PUT, &path, identity)?;
        let request = request.json(&*self.marked(content)).build()?;
        let answer = self.client.answer(request, Tries::Few).await?;
        let answer: Value = serde_json::from_slice(answer.body())
            .map_err(|error| MatrixError::Unreadable(error.to_string()))?;
        answer["event_id"]
            .as_str()
            .and_then(|id| OwnedEventId::try_from(id).ok())
            .ok_or_else(|| MatrixError::Unreadable("it names no event".to_owned()))
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
            Ok(answer) => {
                let event = serde_json::from_str(answer.event.json().get())
                    .map_err(|error| MatrixError::Unreadable(error.to_string()))?;
                Ok(Some(self.opened(room, event).await))
            }
            Err(error) if error.is_closed() => Ok(None),
            Err(error) => Err(error),
        }
    }
}
