//! What users are told when the homeserver does not take the bot's device: one message a management room, edited when it does.

use ruma::{OwnedRoomId, events::room::message::RoomMessageEventContent};
use serde::{Deserialize, Serialize};

use super::{
    connections::edited,
    context::{Bridge, BridgeError, event_id},
};

/// What the keys begin with under which the messages are kept.
const TOLD: &str = "encryption_told/";

/// The message of a room; stored as JSON.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    /// The event, once it is sent.
    event: Option<String>,
    /// What it says.
    text: String,
    /// How often something was told.
    count: u32,
    /// Whether it tells of trouble.
    is_open: bool,
}

impl Bridge {
    /// Tells everybody with a management room that encrypted rooms cannot be bridged and why, or that they can again.
    pub(super) fn tell_of_device(&self, refusal: Option<&str>) {
        let Some(bridge) = self.this.upgrade() else {
            return;
        };
        let refusal = refusal.map(str::to_owned);
        tokio::spawn(async move {
            if let Err(error) = bridge.tell_rooms_of_device(refusal).await {
                tracing::warn!(%error, "users could not be told about encrypted rooms");
            }
        });
    }

    async fn tell_rooms_of_device(&self, refusal: Option<String>) -> Result<(), BridgeError> {
        // One at a time: the device may change again meanwhile.
        let _one = self.telling_of_device.lock().await;
        let rooms = self
            .db
            .read(|txn| Box::pin(async move { txn.management_rooms().await }))
            .await?;
        for room in rooms {
            if let Ok(room) = OwnedRoomId::try_from(room)
                && let Err(error) = self.tell_room_of_device(&room, refusal.as_deref()).await
            {
                tracing::debug!(%room, %error, "a room is not told about encrypted rooms");
            }
        }
        Ok(())
    }

    async fn tell_room_of_device(
        &self,
        room: &OwnedRoomId,
        refusal: Option<&str>,
    ) -> Result<(), BridgeError> {
        let key = format!("{TOLD}{room}");
        let kept = self.kept(&key).await?;
        let kept: Option<Told> = kept.and_then(|json| serde_json::from_str(&json).ok());
        let (mut told, text) = match (refusal, kept) {
            (None, None) => return Ok(()),
            (None, Some(told)) if !told.is_open => return Ok(()),
            (None, Some(told)) => (told, "Encrypted rooms work again.".to_owned()),
            (Some(reason), kept) => {
                let reason = reason.trim_end_matches('.');
                let text = format!(
                    "Encrypted rooms cannot be bridged for now: {reason}. Rooms without encryption work; whoever runs the bridge can find out more with `drawbridge doctor`."
                );
                let count = kept.as_ref().map_or(0, |told| told.count);
                let fresh = Told {
                    event: None,
                    text: String::new(),
                    count,
                    is_open: true,
                };
                (kept.filter(|told| told.is_open).unwrap_or(fresh), text)
            }
        };
        if told.event.is_some() && told.text == text {
            return Ok(());
        }
        told.count += 1;
        let said = RoomMessageEventContent::notice_markdown(&text);
        let said = serde_json::to_value(&said).map_err(|error| {
            BridgeError::Inconsistent(format!("a notice cannot be written as JSON: {error}"))
        })?;
        let before = told.event.as_deref().and_then(event_id);
        let content = match &before {
            Some(event) => edited(said, event),
            None => said,
        };
        let txn_id = self.effect_id(&["encryption", room.as_str(), &told.count.to_string()]);
        let sent = self.notify(room, &txn_id, &content).await?;
        told.event = told.event.or_else(|| sent.map(|event| event.to_string()));
        told.text = text;
        told.is_open = refusal.is_some();
        let json = serde_json::to_string(&told).map_err(|error| {
            BridgeError::Inconsistent(format!("a notice cannot be written as JSON: {error}"))
        })?;
        self.keep(&key, Some(&json)).await
    }
}
