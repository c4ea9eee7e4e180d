//! Encrypted events, opened before anything is done with them.
//!
//! One whose key is missing waits by itself: a moment in its place, since keys often come right behind what they open, then set aside,
//! and the room goes on without it until the key comes.

use std::time::Duration;

use ruma::{OwnedEventId, OwnedRoomId};
use serde::Deserialize;
use tokio::time::Instant;

use super::{Bridge, BridgeError, Item};
use crate::{
    domain::Unbridgeable,
    matrix::{CipherError, MatrixError},
    store::{InboxEvent, Lane},
};

/// How long an event waits in its place for its key.
pub(super) const MOMENT: Duration = Duration::from_secs(3);

/// Of an event, what tells whether it is encrypted.
#[derive(Deserialize)]
struct Outside {
    #[serde(rename = "type")]
    kind: String,
    sender: String,
    #[serde(default)]
    state_key: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    content: serde_json::Map<String, serde_json::Value>,
}

impl Bridge {
    /// An event as it was said; `None` if there is nothing more to do with it now. What came before it is committed before it is
    /// waited for, until `deadline`.
    pub(super) async fn opened(
        &self,
        room_id: &OwnedRoomId,
        event: InboxEvent,
        deadline: Instant,
        batch: &mut Vec<Item>,
    ) -> Result<Option<InboxEvent>, BridgeError> {
        let Ok(outside) = serde_json::from_str::<Outside>(&event.json) else {
            // It goes to the quarantine with the others that cannot be read.
            return Ok(Some(event));
        };
        let is_own = self.is_own(&outside);
        if outside.kind != "m.room.encrypted" || outside.state_key.is_some() {
            let is_plain = outside.state_key.is_none() && is_said(&outside.kind);
            if is_plain && !is_own && self.settings.encryption.require {
                let why = Unbridgeable {
                    reason: "not_encrypted",
                    notice: Some(
                        "Not sent: this bridge carries encrypted messages only. Switch encryption on in this room's settings."
                            .to_owned(),
                    ),
                };
                return self.end_closed(room_id, &event, batch, &why).await;
            }
            return Ok(Some(event));
        }
        // It was deleted before it was read, so there is nothing to carry and nothing to tell.
        if outside.content.is_empty() {
            self.finish(&event).await?;
            return Ok(None);
        }
        let Some(cipher) = self.client.cipher().cloned() else {
            let why = Unbridgeable {
                reason: "encrypted",
                notice: Some(
                    "Not read: this bridge does not take part in encrypted rooms (`encryption.allow` in its configuration). Use a room without encryption."
                        .to_owned(),
                ),
            };
            return self.end_closed(room_id, &event, batch, &why).await;
        };
        let mut keys = self.keys_came.subscribe();
        loop {
            let closed = match cipher.open(room_id, &event.json).await {
                // What was deleted meanwhile would be sent after its deletion.
                Ok(_) if event.was_locked && self.is_taken_back(room_id, &event).await? => {
                    self.finish(&event).await?;
                    return Ok(None);
                }
                Ok(json) => return Ok(Some(unsealed(event, json))),
                Err(closed) => closed,
            };
            let why = match closed {
                CipherError::Failed(error) => {
                    return Err(MatrixError::Encryption(error).into());
                }
                // What the bridge itself said before its keys were lost is for nobody.
                CipherError::MissingKey { .. } if is_own => {
                    self.finish(&event).await?;
                    return Ok(None);
                }
                CipherError::MissingKey { session, .. } => {
                    if !batch.is_empty() {
                        self.commit_items(room_id, std::mem::take(batch)).await?;
                    }
                    // One that waited before has had its moment.
                    let moment = tokio::time::timeout_at(deadline, keys.changed());
                    if !event.was_locked && moment.await.is_ok() {
                        continue;
                    }
                    return self.lock(room_id, &event, session).await;
                }
                CipherError::Untrusted(how) => Unbridgeable {
                    reason: "untrusted_device",
                    notice: Some(format!(
                        "Not sent: this bridge carries messages of verified devices only, and the device of this one is not ({how}). Verify it in your app's settings."
                    )),
                },
                CipherError::Unreadable(_) => Unbridgeable {
                    reason: "undecryptable",
                    notice: Some(
                        "Not sent: this message cannot be decrypted. Send it again, please."
                            .to_owned(),
                    ),
                },
            };
            return self.end_closed(room_id, &event, batch, &why).await;
        }
    }

    /// An event that was opened before, as it was said; `None` if its key is gone since.
    pub(super) async fn opened_again(
        &self,
        room_id: &OwnedRoomId,
        event: &InboxEvent,
    ) -> Result<Option<InboxEvent>, BridgeError> {
        let outside = serde_json::from_str::<Outside>(&event.json);
        if outside.is_ok_and(|outside| outside.kind != "m.room.encrypted") {
            return Ok(Some(event.clone()));
        }
        let Some(cipher) = self.client.cipher() else {
            return Ok(None);
        };
        match cipher.open(room_id, &event.json).await {
            Ok(json) => Ok(Some(unsealed(event.clone(), json))),
            Err(CipherError::Failed(error)) => Err(MatrixError::Encryption(error).into()),
            Err(_) => Ok(None),
        }
    }

    /// Tells why an event stays closed, after what came before it, and ends it.
    async fn end_closed(
        &self,
        room_id: &OwnedRoomId,
        event: &InboxEvent,
        batch: &mut Vec<Item>,
        why: &Unbridgeable,
    ) -> Result<Option<InboxEvent>, BridgeError> {
        self.commit_items(room_id, std::mem::take(batch)).await?;
        self.refuse(room_id, &event.event_id, why).await?;
        self.finish(event).await?;
        Ok(None)
    }

    /// Whether an event that waited for its key was deleted in that time.
    async fn is_taken_back(
        &self,
        room_id: &OwnedRoomId,
        event: &InboxEvent,
    ) -> Result<bool, BridgeError> {
        match OwnedEventId::try_from(event.event_id.as_str()) {
            Ok(event_id) => self.is_deleted(room_id, &event_id).await,
            Err(_) => Ok(false),
        }
    }

    /// Sets an event aside that cannot be read, unless it is one of the bridge's own.
    pub(super) async fn quarantine(
        &self,
        event: &InboxEvent,
        reason: &str,
    ) -> Result<(), BridgeError> {
        // The library does not know an `m.space.child` that was taken back.
        let outside = serde_json::from_str::<Outside>(&event.json);
        if outside.is_ok_and(|outside| self.is_own(&outside)) {
            return self.finish(event).await;
        }
        tracing::warn!(event = %event.event_id, reason, "an event cannot be read and is set aside");
        let (seq, reason) = (event.seq, reason.to_owned());
        self.db
            .step(Lane::room(&event.room_id), move |txn| {
                let reason = reason.clone();
                Box::pin(async move { txn.quarantine_event(seq, &reason).await })
            })
            .await?;
        Ok(())
    }

    fn is_own(&self, outside: &Outside) -> bool {
        ruma::UserId::parse(&outside.sender).is_ok_and(|user| self.is_ours(&user))
    }

    /// Sets an event aside until its key comes.
    async fn lock(
        &self,
        room_id: &OwnedRoomId,
        event: &InboxEvent,
        session: String,
    ) -> Result<Option<InboxEvent>, BridgeError> {
        tracing::info!(event = %event.event_id, "the key of an event is missing, it waits by itself");
        let (seq, now, key) = (event.seq, self.now(), session.clone());
        self.db
            .step(Lane::room(&event.room_id), move |txn| {
                let key = key.clone();
                Box::pin(async move { txn.lock_event(seq, &key, now).await })
            })
            .await?;
        // It may have come while nobody waited for it yet.
        if let Some(cipher) = self.client.cipher()
            && cipher.open(room_id, &event.json).await.is_ok()
        {
            self.unlock(room_id.as_str(), &session).await?;
        }
        Ok(None)
    }

    /// Lets the events of a room go on whose key has come.
    pub(in crate::bridge) async fn unlock(
        &self,
        room_id: &str,
        key: &str,
    ) -> Result<(), BridgeError> {
        let (room, key) = (room_id.to_owned(), key.to_owned());
        let unlocked = self
            .db
            .step(Lane::room(room_id), move |txn| {
                let (room, key) = (room.clone(), key.clone());
                Box::pin(async move { txn.unlock_events(&room, &key).await })
            })
            .await?;
        if unlocked > 0
            && let Ok(room) = OwnedRoomId::try_from(room_id)
        {
            self.rooms.wake(room);
        }
        Ok(())
    }
}

/// An event with what was in it.
fn unsealed(event: InboxEvent, json: String) -> InboxEvent {
    InboxEvent {
        sealed: Some(event.json),
        json,
        ..event
    }
}

/// Whether an event of a type says something of which users expect that it is private.
fn is_said(kind: &str) -> bool {
    kind == "m.room.message" || kind == "m.sticker" || kind.contains("poll")
}
