//! What the crypto machines of encrypted rooms remember.

use std::fmt::{self, Display};

/// A crypto machine: one device of one Matrix user, unique as that pair is in Matrix.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MachineId(String);

impl MachineId {
    /// The machine of a user's device.
    #[must_use]
    pub fn new(user_id: &str, device_id: &str) -> Self {
        // No user id has a blank in it.
        Self(format!("{user_id} {device_id}"))
    }

    /// As it is written in the database.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Display for MachineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a [`MachineRecord`] is. In brackets: its scope, and which of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecordKind {
    /// The device's own keys.
    Account,
    /// The private cross-signing keys.
    PrivateIdentity,
    /// Up to where to-device events were read.
    SyncToken,
    /// The key that opens the backup of room keys.
    BackupKey,
    /// The backup of room keys in use.
    BackupVersion,
    /// The key of the dehydrated device.
    DehydratedKey,
    /// A ratchet with another device (that device's key, session id).
    Session,
    /// The ratchet of what is sent to a room (room).
    OutboundSession,
    /// A message that was decrypted (sender's key, hash).
    MessageHash,
    /// Another device (user, device).
    Device,
    /// A user's cross-signing keys (user).
    Identity,
    /// A user whose devices are followed (user).
    TrackedUser,
    /// Why a room key was not sent (room, session id).
    Withheld,
    /// A room's settings (room).
    RoomSettings,
    /// A secret that another device sent (name of the secret, a random name).
    Secret,
    /// Where a room's earlier keys are (room, user who sent them).
    KeyBundle,
    /// A room whose earlier keys are awaited (room).
    PendingBundle,
    /// A room whose keys have all been taken out of the backup (room).
    KeysDownloaded,
    /// Anything else (name).
    Custom,
}

impl RecordKind {
    /// As it is written in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::PrivateIdentity => "private_identity",
            Self::SyncToken => "sync_token",
            Self::BackupKey => "backup_key",
            Self::BackupVersion => "backup_version",
            Self::DehydratedKey => "dehydrated_key",
            Self::Session => "session",
            Self::OutboundSession => "outbound_session",
            Self::MessageHash => "message_hash",
            Self::Device => "device",
            Self::Identity => "identity",
            Self::TrackedUser => "tracked_user",
            Self::Withheld => "withheld",
            Self::RoomSettings => "room_settings",
            Self::Secret => "secret",
            Self::KeyBundle => "key_bundle",
            Self::PendingBundle => "pending_bundle",
            Self::KeysDownloaded => "keys_downloaded",
            Self::Custom => "custom",
        }
    }

    /// Whether an old copy of such a record would use a message key twice.
    #[must_use]
    pub fn is_ratchet(self) -> bool {
        matches!(self, Self::Session | Self::OutboundSession)
    }
}

/// Something a crypto machine remembers under its place.
#[derive(Clone, PartialEq, Eq)]
pub struct MachineRecord {
    /// What it is.
    pub kind: RecordKind,
    /// What it is about.
    pub scope: String,
    /// Which of it.
    pub name: String,
    /// The thing itself, sealed at rest.
    pub record: Vec<u8>,
}

/// A key with which messages in a room are read.
#[derive(Clone, PartialEq, Eq)]
pub struct RoomKeyRow {
    /// The room.
    pub room_id: String,
    /// The session, unique in its room.
    pub session_id: String,
    /// The identity key of the device whose messages it reads.
    pub sender_key: String,
    /// How much is known of that device, as the crypto library numbers it.
    pub sender_kind: i64,
    /// The version of the backup it is in.
    pub backed_up_in: Option<String>,
    /// The key itself, sealed at rest.
    pub record: Vec<u8>,
}

/// A key or secret that was asked of other devices.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyRequestRow {
    /// The request's id, unique in its machine.
    pub request_id: String,
    /// What was asked for, as a text to look it up by.
    pub info: String,
    /// Whether the request has left.
    pub sent: bool,
    /// The request itself, sealed at rest.
    pub record: Vec<u8>,
}
