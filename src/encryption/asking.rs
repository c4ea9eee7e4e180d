//! Keys that are missing: whoever sent what they open is asked for them, and what they answer is taken in.
//!
//! The library asks the bot's own devices alone, and drops what others forward to it. Here only the sender of an event is asked, and
//! only the device that made the key is believed: what it says of its own key is worth as much as when it gave the key the first
//! time. The answer is read ahead of the library, with copies of the ratchets that nothing is stored of.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::Ordering,
};

use futures_util::future::BoxFuture;
use matrix_sdk_crypto::{
    olm::ExportedRoomKey,
    store::CryptoStore as _,
    types::{EventEncryptionAlgorithm, SigningKey, SigningKeys},
    vodozemac::{
        Curve25519PublicKey, Ed25519PublicKey, base64_decode,
        megolm::{ExportedSessionKey, InboundGroupSession, SessionConfig},
        olm::{Account, OlmMessage, Session, SessionConfig as OlmConfig},
    },
};
use ruma::RoomId;
use ruma_crypto::{
    DeviceKeyAlgorithm, OwnedRoomId, OwnedUserId, TransactionId,
    api::client::to_device::send_event_to_device,
    events::{AnyToDeviceEvent, AnyToDeviceEventContent},
    serde::Raw,
    to_device::DeviceIdOrAllDevices,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Encryption, Inner,
    machine::{EncryptionError, call},
};
use crate::{
    domain::Timestamp,
    matrix::MatrixError,
    store::{AskedKey, Lane, StoreError},
};

const MEGOLM: &str = "m.megolm.v1.aes-sha2";
const REQUEST: &str = "m.room_key_request";
/// How long an answer is waited for, a little longer than events wait.
const ASKED_FOR_MS: i64 = 8 * 24 * 60 * 60 * 1000;

/// Of an encrypted event, which key it needs.
#[derive(Deserialize)]
struct Outside {
    sender: String,
    content: OutsideContent,
}

#[derive(Deserialize)]
struct OutsideContent {
    session_id: String,
    #[serde(default)]
    sender_key: Option<String>,
}

/// A message between devices, encrypted.
#[derive(Deserialize)]
struct Sealed {
    #[serde(rename = "type")]
    kind: String,
    sender: OwnedUserId,
    content: Value,
}

/// What is in one that forwards a key.
#[derive(Deserialize)]
struct Unsealed {
    #[serde(rename = "type")]
    kind: String,
    sender: OwnedUserId,
    recipient: OwnedUserId,
    recipient_keys: Ed25519Key,
    keys: Ed25519Key,
    content: Value,
}

#[derive(Deserialize)]
struct Ed25519Key {
    ed25519: String,
}

#[derive(Deserialize)]
struct Forwarded {
    algorithm: String,
    room_id: OwnedRoomId,
    session_id: String,
    sender_key: String,
    sender_claimed_ed25519_key: String,
    session_key: ExportedSessionKey,
}

impl Inner {
    /// Asks the devices of an event's sender for its key. Asking once more is harmless.
    pub(super) async fn ask_for_key(
        &self,
        room: &RoomId,
        event: &str,
    ) -> Result<(), EncryptionError> {
        let outside: Outside =
            serde_json::from_str(event).map_err(|error| MatrixError::Request(error.to_string()))?;
        let asked = AskedKey {
            room_id: room.to_string(),
            key_id: outside.content.session_id,
            sender: outside.sender,
            asked_at: Timestamp(self.clock.now_ms()),
            came: false,
        };
        // First, so that an answer is known to be one.
        let row = asked.clone();
        self.db
            .step(Lane::room(room.as_str()), move |txn| {
                let row = row.clone();
                Box::pin(async move { txn.put_asked_key(&row).await })
            })
            .await?;
        self.asked.store(true, Ordering::Release);
        // Whose answer it is can be told only if their devices are known.
        let user = OwnedUserId::try_from(asked.sender.as_str())
            .map_err(|error| MatrixError::Request(error.to_string()))?;
        let machine = self.machine.read().await;
        machine.olm.update_tracked_users(vec![&*user]).await?;
        drop(machine);
        let asking: BoxFuture<'_, Result<(), EncryptionError>> = Box::pin(self.send_requests());
        asking.await?;
        let mut body = json!({
            "algorithm": MEGOLM, "room_id": asked.room_id, "session_id": asked.key_id,
        });
        if let Some(key) = outside.content.sender_key {
            body["sender_key"] = json!(key);
        }
        self.send_key_request(&asked, "request", Some(body)).await
    }

    /// Takes back what was asked for and came, and what never will.
    pub(super) async fn take_back_requests(&self) -> Result<(), EncryptionError> {
        if !self.asked.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        let done = self.take_back_done().await;
        if !matches!(done, Ok(false)) {
            self.asked.store(true, Ordering::Release);
        }
        done.map(drop)
    }

    /// Whether there are still some that are waited for.
    async fn take_back_done(&self) -> Result<bool, EncryptionError> {
        let keys = self.asked_keys().await?;
        let old = self.clock.now_ms() - ASKED_FOR_MS;
        let mut waiting = false;
        for key in keys {
            if !key.came && key.asked_at.0 > old {
                waiting = true;
                continue;
            }
            match self
                .send_key_request(&key, "request_cancellation", None)
                .await
            {
                Err(EncryptionError::Matrix(error)) if error.is_transient() => {
                    return Err(error.into());
                }
                Err(error) => tracing::debug!(%error, "a key's request cannot be taken back"),
                Ok(()) => {}
            }
            self.db
                .step(Lane::room(&key.room_id), move |txn| {
                    let key = key.clone();
                    Box::pin(async move { txn.delete_asked_key(&key).await })
                })
                .await?;
        }
        Ok(waiting)
    }

    async fn send_key_request(
        &self,
        key: &AskedKey,
        action: &str,
        body: Option<Value>,
    ) -> Result<(), EncryptionError> {
        let mut content = json!({
            "action": action, "requesting_device_id": self.who.1, "request_id": format!("key.{}", key.key_id),
        });
        if let Some(body) = body {
            content["body"] = body;
        }
        let content: Raw<AnyToDeviceEventContent> = Raw::new(&content)
            .map_err(|error| MatrixError::Request(error.to_string()))?
            .cast_unchecked();
        let user = OwnedUserId::try_from(key.sender.as_str())
            .map_err(|error| MatrixError::Request(error.to_string()))?;
        let everywhere = BTreeMap::from([(DeviceIdOrAllDevices::AllDevices, content)]);
        let request = send_event_to_device::v3::Request::new_raw(
            REQUEST.into(),
            TransactionId::new(),
            BTreeMap::from([(user, everywhere)]),
        );
        call(&self.client, request).await?;
        Ok(())
    }

    async fn asked_keys(&self) -> Result<Vec<AskedKey>, StoreError> {
        self.db
            .read(|txn| Box::pin(async move { txn.asked_keys().await }))
            .await
    }

    /// Notes which keys came, so that their requests are taken back.
    pub(super) async fn note_came(&self, came: &[(String, String)]) -> Result<(), StoreError> {
        if came.is_empty() || !self.asked.load(Ordering::Acquire) {
            return Ok(());
        }
        let came = came.to_vec();
        self.db
            .step(Lane::room("encryption.asked"), move |txn| {
                let came = came.clone();
                Box::pin(async move {
                    for (room, key) in &came {
                        txn.set_key_came(room, key).await?;
                    }
                    Ok(())
                })
            })
            .await
    }
}

impl Encryption {
    /// Takes in the keys that were asked for and are among what came; which, by room. What came is not used up.
    pub(super) async fn take_answers(
        &self,
        came: &[Raw<AnyToDeviceEvent>],
    ) -> Result<Vec<(String, String)>, EncryptionError> {
        let inner = &self.0;
        if came.is_empty() || !inner.asked.load(Ordering::Acquire) {
            return Ok(Vec::new());
        }
        let mut asked = inner.asked_keys().await?;
        asked.retain(|key| !key.came);
        let senders: BTreeSet<&str> = asked.iter().map(|key| key.sender.as_str()).collect();
        let mut keys = Vec::new();
        for event in came {
            let Ok(sealed) = serde_json::from_str::<Sealed>(event.json().get()) else {
                continue;
            };
            if sealed.kind != "m.room.encrypted" || !senders.contains(sealed.sender.as_str()) {
                continue;
            }
            keys.extend(inner.answer(&sealed, &asked).await?);
        }
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let ids = keys.iter();
        let ids = ids.map(|key| (key.room_id.to_string(), key.session_id.clone()));
        let ids: Vec<_> = ids.collect();
        let machine = inner.machine.read().await;
        let store = machine.olm.store();
        store.import_exported_room_keys(keys, |_, _| {}).await?;
        tracing::info!(count = ids.len(), "keys that were missing have come");
        Ok(ids)
    }
}

impl Inner {
    /// The key in a message between devices, if it is one that was asked for, from the device that made it.
    async fn answer(
        &self,
        sealed: &Sealed,
        asked: &[AskedKey],
    ) -> Result<Option<ExportedRoomKey>, EncryptionError> {
        let sender_key = sealed.content["sender_key"].as_str().unwrap_or_default();
        let Ok(curve) = Curve25519PublicKey::from_base64(sender_key) else {
            return Ok(None);
        };
        let store = self.machine.read().await.store.clone();
        let devices = store.get_user_devices(&sealed.sender).await?.into_values();
        let device = devices
            .filter(|device| !device.is_deleted())
            .find(|device| device.curve25519_key() == Some(curve));
        let Some(signing) = device.and_then(|device| device.ed25519_key()) else {
            return Ok(None);
        };
        let Some(plaintext) = self.peek(&store, &sealed.content, curve).await? else {
            return Ok(None);
        };
        let Ok(unsealed) = serde_json::from_slice::<Unsealed>(&plaintext) else {
            return Ok(None);
        };
        let own = store.get_static_account();
        let own = own.map(|own| own.identity_keys().ed25519.to_base64());
        let is_to_us = unsealed.recipient == self.who.0
            && Some(&unsealed.recipient_keys.ed25519) == own.as_ref();
        let is_from_them =
            unsealed.sender == sealed.sender && unsealed.keys.ed25519 == signing.to_base64();
        if unsealed.kind != "m.forwarded_room_key" || !is_to_us || !is_from_them {
            return Ok(None);
        }
        let Ok(forwarded) = serde_json::from_value::<Forwarded>(unsealed.content) else {
            return Ok(None);
        };
        let key = accepted(forwarded, (&sealed.sender, curve, signing), asked);
        if key.is_none() {
            tracing::info!(from = %sealed.sender, "a key was forwarded that was not asked for, or not by the device that made it");
        }
        Ok(key)
    }

    /// What is in a message between devices, read with copies: its ratchet stays where it is, for the machine.
    async fn peek(
        &self,
        store: &super::MachineStore,
        content: &Value,
        from: Curve25519PublicKey,
    ) -> Result<Option<Vec<u8>>, EncryptionError> {
        let Some(own) = store.get_static_account() else {
            return Ok(None);
        };
        let ciphertext = &content["ciphertext"][own.identity_keys().curve25519.to_base64()];
        let kind = ciphertext["type"]
            .as_u64()
            .and_then(|kind| usize::try_from(kind).ok());
        let body = ciphertext["body"]
            .as_str()
            .and_then(|body| base64_decode(body).ok());
        let (Some(kind), Some(body)) = (kind, body) else {
            return Ok(None);
        };
        let Ok(message) = OlmMessage::from_parts(kind, &body) else {
            return Ok(None);
        };
        for session in store
            .get_sessions(&from.to_base64())
            .await?
            .unwrap_or_default()
        {
            let mut copy = Session::from_pickle(session.pickle().await.pickle);
            if let Ok(plaintext) = copy.decrypt(&message) {
                return Ok(Some(plaintext));
            }
        }
        let OlmMessage::PreKey(message) = message else {
            return Ok(None);
        };
        let Some(account) = store.load_account().await? else {
            return Ok(None);
        };
        let mut copy = Account::from_pickle(account.pickle().pickle);
        let made = copy.create_inbound_session(OlmConfig::version_1(), from, &message);
        Ok(made.ok().map(|made| made.plaintext))
    }
}

/// A forwarded key, if its maker was asked for it, and nobody else.
fn accepted(
    forwarded: Forwarded,
    (sender, curve, signing): (&OwnedUserId, Curve25519PublicKey, Ed25519PublicKey),
    asked: &[AskedKey],
) -> Option<ExportedRoomKey> {
    let mut of_it = asked.iter().filter(|key| {
        key.room_id == forwarded.room_id.as_str() && key.key_id == forwarded.session_id
    });
    let is_asked = of_it.next()?.sender == sender.as_str() && of_it.next().is_none();
    let is_its_own = forwarded.sender_key == curve.to_base64()
        && forwarded.sender_claimed_ed25519_key == signing.to_base64();
    let inside = InboundGroupSession::import(&forwarded.session_key, SessionConfig::version_1());
    let is_that_key = inside.session_id() == forwarded.session_id;
    if !is_asked || !is_its_own || !is_that_key || forwarded.algorithm != MEGOLM {
        return None;
    }
    let mut keys = SigningKeys::new();
    keys.insert(DeviceKeyAlgorithm::Ed25519, SigningKey::Ed25519(signing));
    Some(ExportedRoomKey {
        algorithm: EventEncryptionAlgorithm::MegolmV1AesSha2,
        room_id: forwarded.room_id,
        sender_key: curve,
        session_id: forwarded.session_id,
        session_key: forwarded.session_key,
        sender_claimed_keys: keys,
        forwarding_curve25519_key_chain: Vec::new(),
        shared_history: false,
    })
}
