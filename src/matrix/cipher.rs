//! What seals what the bridge says in encrypted rooms and opens what it reads there. The homeserver's side calls it and knows nothing
//! of how it is done; without one, every room is a plain one.

use std::{borrow::Cow, sync::Arc};

use async_trait::async_trait;
use ruma::RoomId;
use serde::Deserialize;
use serde_json::Value;

use super::{Client, Intent, MatrixError, appservice::AppserviceSink};
use crate::domain::Finding;

/// Why an event stays closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CipherError {
    /// The key it was encrypted with is not there; it may come.
    #[error("the key {session} is missing")]
    MissingKey {
        /// The id of the Megolm session.
        session: String,
        /// Why its owner keeps it back, if they said so (`m.unverified`, `m.no_olm`).
        withheld: Option<String>,
    },
    /// It comes from a device that is not trusted as far as the configuration asks.
    #[error("its device is not trusted: {0}")]
    Untrusted(String),
    /// It is not what it says it is, or of a kind nobody here opens; it never will be.
    #[error("it cannot be decrypted: {0}")]
    Unreadable(String),
    /// What keeps the keys failed; nothing is known of the event.
    #[error("the keys cannot be read: {0}")]
    Failed(String),
}

/// Encrypts and decrypts the events of rooms.
#[async_trait]
pub trait RoomCipher: Send + Sync + 'static {
    /// Whether what is said in a room has to be encrypted; asked as `by` if it is not known.
    ///
    /// # Errors
    /// Why the homeserver could not be asked.
    async fn is_encrypted(&self, by: &Intent, room: &RoomId) -> Result<bool, MatrixError>;

    /// The content of the `m.room.encrypted` event that says the same, for everybody who is in the room; `None` in a plain room. What
    /// it spends is stored before it returns.
    ///
    /// # Errors
    /// Why it could not be encrypted now; nothing may be sent in plain instead.
    async fn seal(
        &self,
        by: &Intent,
        room: &RoomId,
        kind: &str,
        content: &Value,
    ) -> Result<Option<Value>, MatrixError>;

    /// The event inside an `m.room.encrypted` event, as JSON, with id, sender, time and room of the outer one.
    ///
    /// # Errors
    /// Why it stays closed.
    async fn open(&self, room: &RoomId, event: &str) -> Result<String, CipherError>;

    /// Asks whoever sent an event for the key that is missing.
    ///
    /// # Errors
    /// Why they could not be asked.
    async fn ask_for_key(&self, room: &RoomId, event: &str) -> Result<(), MatrixError>;

    /// A state event of a room was delivered: who is in it or how it is encrypted may have changed.
    fn saw_state(&self, room: &str, kind: &str);

    /// Something that came for the bridge's device waits in the store; whether it came in a transaction.
    fn traffic_waiting(&self, by_transaction: bool);

    /// Throws away the key that the next event of a room would be encrypted with; whether there was one.
    ///
    /// # Errors
    /// Why it could not be.
    async fn discard_keys(&self, room: &RoomId) -> Result<bool, MatrixError> {
        let _ = room;
        Ok(false)
    }

    /// Why the homeserver does not take the bridge's device, if it does not: no encrypted room is bridged then.
    fn refusal(&self) -> Option<String> {
        None
    }

    /// What `doctor` finds about encrypted rooms.
    async fn check(&self) -> Vec<Finding> {
        Vec::new()
    }

    /// Whether what is for the bridge's device has to be asked for, because transactions do not bring it.
    fn needs_sync(&self) -> bool;
}

/// The type of an event whose content is encrypted.
pub(super) const ENCRYPTED: &str = "m.room.encrypted";

/// The state event that says who is in a room.
const MEMBER: &str = "m.room.member";
/// The state event that says that a room is encrypted.
const ENCRYPTION: &str = "m.room.encryption";

/// Whether an event of this type is encrypted in encrypted rooms. The others say what the homeserver has to read.
fn is_sealable(kind: &str) -> bool {
    !matches!(
        kind,
        ENCRYPTED | "m.reaction" | "m.room.redaction" | "com.beeper.message_send_status"
    )
}

impl dyn RoomCipher {
    /// Looks at an event that came, before anything is done with it: state may change who gets keys. The bridge's own get none, but
    /// what happened in a room while its bot was not there is not known.
    pub(super) fn note_event(&self, json: &str, sink: &dyn AppserviceSink, bot: &str) {
        #[derive(Deserialize)]
        struct State<'a> {
            #[serde(borrow, rename = "type")]
            kind: Cow<'a, str>,
            #[serde(borrow)]
            room_id: Cow<'a, str>,
            #[serde(borrow, rename = "state_key")]
            key: Cow<'a, str>,
        }
        let Ok(state) = serde_json::from_str::<State<'_>>(json) else {
            return;
        };
        if state.kind != MEMBER || !sink.is_own(&state.key, "") {
            self.saw_state(&state.room_id, &state.kind);
        } else if state.key == bot {
            self.saw_state(&state.room_id, ENCRYPTION);
        }
    }
}

impl Client {
    /// Gives this homeserver's clients, puppets included, what encrypts for them. Only the first counts.
    pub fn set_cipher(&self, cipher: Arc<dyn RoomCipher>) {
        // A second one would have other keys.
        let _ = self.0.cipher.set(cipher);
    }

    /// What encrypts, if anything does.
    #[must_use]
    pub fn cipher(&self) -> Option<&Arc<dyn RoomCipher>> {
        self.0.cipher.get()
    }
}

impl Intent {
    /// What is sent in place of an event: itself, or its encrypted form.
    pub(super) async fn sealed(
        &self,
        room: &RoomId,
        kind: &str,
        content: &Value,
    ) -> Result<Option<Value>, MatrixError> {
        match self.client.cipher() {
            Some(cipher) if is_sealable(kind) => cipher.seal(self, room, kind, content).await,
            _ => Ok(None),
        }
    }

    /// An event of a room as it was said; one that cannot be opened stays as it is.
    pub(super) async fn opened(&self, room: &RoomId, event: Value) -> Value {
        if event["type"] != ENCRYPTED {
            return event;
        }
        let Some(cipher) = self.client.cipher() else {
            return event;
        };
        let opened = cipher.open(room, &event.to_string()).await;
        opened
            .ok()
            .and_then(|json| serde_json::from_str(&json).ok())
            .unwrap_or(event)
    }
}
