//! What the sender of something that is not carried is told: an event for clients that show it at the message, and a notice.
//!
//! Many failures for one reason make one notice that counts them: it is edited, until something else happens in the room.

use std::collections::VecDeque;

use ruma::{OwnedEventId, OwnedRoomId};

use super::{
    context::{Bridge, BridgeError, event_id, lock},
    routes::Route,
};
use crate::{
    domain::Unbridgeable,
    translate::{MessageStatus, STATUS_EVENT, bridge_notice, edited_notice, status_event},
};

/// For how long a notice counts further failures of the same kind, in milliseconds.
const COUNTED_FOR: i64 = 10 * 60 * 1000;

/// How many events a notice remembers, so that one that is tried again is not counted again.
const REMEMBERED: usize = 64;

/// The last notice of a room.
#[derive(Debug, Clone)]
pub(super) struct LastRefusal {
    sentence: String,
    notice: OwnedEventId,
    about: VecDeque<String>,
    count: usize,
    at: i64,
}

impl Bridge {
    /// Tells a room why an event is not carried.
    pub(super) async fn refuse(
        &self,
        room_id: &OwnedRoomId,
        event: &str,
        why: &Unbridgeable,
    ) -> Result<(), BridgeError> {
        tracing::info!(%event, reason = why.reason, "an event is not carried");
        let Some(sentence) = &why.notice else {
            return Ok(());
        };
        let status = MessageStatus::Failed {
            reason: why.reason,
            message: sentence.clone(),
        };
        self.tell_status(room_id, event, &status).await?;
        if !self.settings.conversation.error_notices {
            return Ok(());
        }
        self.count_or_explain(room_id, event, sentence).await
    }

    async fn count_or_explain(
        &self,
        room_id: &OwnedRoomId,
        event: &str,
        sentence: &str,
    ) -> Result<(), BridgeError> {
        let now = self.now().0;
        let last = lock(&self.refusals).get(room_id).cloned();
        if let Some(mut last) = last
            && last.sentence == sentence
            && now - last.at < COUNTED_FOR
        {
            if last.about.iter().any(|known| known == event) {
                return Ok(());
            }
            last.about.push_back(event.to_owned());
            if last.about.len() > REMEMBERED {
                last.about.pop_front();
            }
            last.at = now;
            last.count += 1;
            let count = last.count;
            let content = edited_notice(&format!("{sentence} ({count} messages)"), &last.notice);
            let txn_id = self.effect_id(&["explain", event, sentence]);
            self.notify(room_id, &txn_id, &content).await?;
            lock(&self.refusals).insert(room_id.clone(), last);
            return Ok(());
        }
        let content = bridge_notice(sentence, event_id(event).as_deref());
        let txn_id = self.effect_id(&["explain", event, sentence]);
        if let Some(notice) = self.notify(room_id, &txn_id, &content).await? {
            let refusal = LastRefusal {
                sentence: sentence.to_owned(),
                notice,
                about: VecDeque::from([event.to_owned()]),
                count: 1,
                at: now,
            };
            lock(&self.refusals).insert(room_id.clone(), refusal);
        }
        Ok(())
    }

    /// Something else happened in a room: the next failure gets a notice of its own.
    pub(super) fn end_counting(&self, room_id: &OwnedRoomId) {
        lock(&self.refusals).remove(room_id);
    }

    /// Sends a notice as the bot. A room that does not take it is passed over.
    pub(super) async fn notify(
        &self,
        room_id: &OwnedRoomId,
        txn_id: &str,
        content: &serde_json::Value,
    ) -> Result<Option<OwnedEventId>, BridgeError> {
        match self
            .bot()
            .send(room_id, "m.room.message", txn_id, content, None)
            .await
        {
            Ok(event_id) => Ok(Some(event_id)),
            Err(error) if error.is_transient() => Err(error.into()),
            Err(error) => {
                tracing::warn!(room = %room_id, %error, "a notice could not be shown");
                Ok(None)
            }
        }
    }

    /// Tells clients that show it how far a message is.
    pub(super) async fn tell_status(
        &self,
        room_id: &OwnedRoomId,
        event: &str,
        status: &MessageStatus,
    ) -> Result<(), BridgeError> {
        if !self.settings.conversation.message_status_events {
            return Ok(());
        }
        let Some(about) = event_id(event) else {
            return Ok(());
        };
        let Route::Portals(portals) = self.route(room_id).await? else {
            return Ok(());
        };
        let network = portals[0].portal.key.gatekeeper.as_str();
        let content = status_event(network, &about, status);
        // Each state is told once.
        let txn_id = self.effect_id(&["status", event, &content.to_string()]);
        match self
            .bot()
            .send(room_id, STATUS_EVENT, &txn_id, &content, None)
            .await
        {
            Err(error) if error.is_transient() => Err(error.into()),
            Err(error) => {
                tracing::debug!(room = %room_id, event, %error, "the state of a message could not be told");
                Ok(())
            }
            Ok(_) => Ok(()),
        }
    }
}
