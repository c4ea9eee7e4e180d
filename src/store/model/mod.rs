//! The rows as values: what each table means, in the bridge's own types.

mod conversation;
mod encryption;
mod people;

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::domain::{
    ChatId, GatekeeperId, GroupChange, LoginId, PortalId, PortalKey, RemoteUserId, StanzaId,
    Timestamp,
};

pub use conversation::{
    ExpiryRow, NoticeRow, PollOption, PollRow, PortalSettings, ReactionRow, SendStage,
    StatusReport, UploadRow,
};
pub use encryption::{KeyRequestRow, MachineId, MachineRecord, RecordKind, RoomKeyRow};
pub use people::{
    GroupMemberRow, GroupRow, GroupShown, NameSource, PuppetRow, ReachabilityRow, ReceiptStage,
};

/// One event of a homeserver transaction, its envelope parsed and its JSON kept as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatrixEventRow {
    /// The event id, unique in the homeserver; for what had none, a hash of its JSON.
    pub event_id: String,
    /// The room it is in; empty for what had none (then `quarantine` says so).
    pub room_id: String,
    /// The whole event as JSON text.
    pub json: String,
    /// Why it cannot be handled, when its envelope could not be parsed.
    pub quarantine: Option<String>,
}

/// What taking a transaction changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accepted {
    /// The rooms in which events of the transaction wait, new or known, each once: whoever took them before may not have got round
    /// to announcing them.
    pub rooms: Vec<String>,
    /// How many events were new.
    pub new_events: usize,
}

/// A waiting Matrix event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxEvent {
    /// Its place in the order of arrival.
    pub seq: i64,
    /// The event id.
    pub event_id: String,
    /// The room.
    pub room_id: String,
    /// The whole event as JSON text.
    pub json: String,
    /// When it arrived here.
    pub received_at: Timestamp,
    /// Whether it waited for its key before.
    pub was_locked: bool,
    /// The encrypted form it came in, once `json` is what was in that; what is kept is this one.
    pub sealed: Option<String>,
}

/// A Matrix event on its way to one chat of its room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRow {
    /// The event.
    pub event: InboxEvent,
    /// The portal of the chat it goes to.
    pub portal: PortalId,
    /// The portal of the chat it shows; `None` for what somebody wrote in the room.
    pub source: Option<PortalId>,
}

/// A Matrix event whose key is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedEvent {
    /// Its place in the order of arrival.
    pub seq: i64,
    /// The event id.
    pub event_id: String,
    /// The room.
    pub room_id: String,
    /// The whole event as JSON text, encrypted.
    pub json: String,
    /// The id of the key's session.
    pub key_id: String,
    /// Since when it waits for it.
    pub locked_at: Timestamp,
    /// How much of that its room was told.
    pub told: i64,
}

/// A key that its owner was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedKey {
    /// The room it is for.
    pub room_id: String,
    /// The id of its session.
    pub key_id: String,
    /// Who was asked: the sender of what was encrypted with it.
    pub sender: String,
    /// When that was.
    pub asked_at: Timestamp,
    /// Whether it came since.
    pub came: bool,
}

/// The notice of a room whose events wait for a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyNotice {
    /// The room.
    pub room_id: String,
    /// The id of the key's session.
    pub key_id: String,
    /// The event of the notice; empty if the room was not told in words.
    pub event_id: String,
    /// What it says.
    pub text: String,
}

/// A Matrix event set aside because it cannot be handled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantinedEvent {
    /// Its place in the order of arrival.
    pub seq: i64,
    /// The event id.
    pub event_id: String,
    /// The room, empty if it had none.
    pub room_id: String,
    /// Why.
    pub reason: String,
    /// When it arrived here.
    pub received_at: Timestamp,
}

/// How far a login is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoginState {
    /// Its keys exist, the gatekeeper does not know it yet.
    Enlisting,
    /// The gatekeeper knows it.
    Active,
    /// The gatekeeper forgot it (30 days without a connection); it is enlisted again at the next connect.
    Unenlisted,
    /// Its user logged out; it is kept until the gatekeeper confirmed the deletion.
    LoggedOut,
}

/// The secrets of a login; sealed at rest, wiped from memory when dropped.
#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct LoginSecrets {
    /// The Noise static private key, 32 bytes.
    pub noise_private: Vec<u8>,
    /// The Signal identity key pair in the Signal library's serialization.
    pub identity_pair: Vec<u8>,
    /// The Signal registration id.
    pub registration_id: u32,
}

impl std::fmt::Debug for LoginSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LoginSecrets(..)")
    }
}

/// One Matrix user's enlistment at one gatekeeper.
#[derive(Debug, Clone)]
pub struct LoginRow {
    /// Its number here.
    pub id: LoginId,
    /// Where.
    pub gatekeeper: GatekeeperId,
    /// Whose: the Matrix user id.
    pub mxid: String,
    /// The user-visible identifier presented to the gatekeeper; unique in the gatekeeper.
    pub visible_id: String,
    /// The internal identifier the gatekeeper assigned (`1-10853634039893@interop`), once it did.
    pub remote_login: Option<String>,
    /// How far it is.
    pub state: LoginState,
    /// Its keys.
    pub secrets: LoginSecrets,
    /// The next unused one-time prekey id (24 bits).
    pub next_prekey_id: u32,
    /// The current signed prekey id (24 bits).
    pub signed_prekey_id: u32,
}

/// A Signal session record of one address of one login, as serialized by the Signal library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// The address: `user.device` as the Signal library prints it.
    pub address: String,
    /// The record.
    pub record: Vec<u8>,
}

/// A one-time prekey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreKeyRow {
    /// Its 24-bit id.
    pub id: u32,
    /// The record as serialized by the Signal library.
    pub record: Vec<u8>,
    /// Whether the gatekeeper has confirmed that it holds the public half.
    pub uploaded: bool,
}

/// A signed prekey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedPreKeyRow {
    /// Its 24-bit id.
    pub id: u32,
    /// The record as serialized by the Signal library.
    pub record: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What kind of stanza waits in the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutboxKind {
    /// A message, acknowledged by `<ack class="message">`.
    Message,
    /// A read receipt, acknowledged by `<ack class="receipt">`.
    Receipt,
    /// A request to upload a file again, acknowledged by `<ack class="receipt" type="server-error">`.
    MediaRequest,
}

/// A stanza that is to be sent, ready to the last byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOutboxRow {
    /// The login that sends it.
    pub login: LoginId,
    /// The stanza's id; unique in the login.
    pub stanza_id: StanzaId,
    /// The chat it goes to.
    pub chat: ChatId,
    /// What it is.
    pub kind: OutboxKind,
    /// The encoded stanza.
    pub payload: Vec<u8>,
    /// The plaintext, kept (sealed) until delivery so that a retry receipt can be answered; empty for what is not encrypted.
    pub plaintext: Vec<u8>,
    /// The portal it came from.
    pub portal: Option<PortalId>,
    /// The Matrix event it carries.
    pub event_id: Option<String>,
    /// Which part of that event, from 0; negative for what is no message of its own, such as a reaction, and gets no link.
    pub part: i64,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A stanza of the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// Its place in the order of sending.
    pub seq: i64,
    /// The rest of it.
    pub row: NewOutboxRow,
}

/// What waits on its way into Matrix but is no message; stored as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "notice", rename_all = "snake_case")]
pub enum RemoteNotice {
    /// The sender's identity key changed.
    IdentityChanged,
    /// The sender read these messages of the login.
    Read {
        /// The messages.
        ids: Vec<StanzaId>,
    },
    /// The gatekeeper refused a message of the login for good.
    SendFailed {
        /// The Matrix event it carried.
        event_id: String,
        /// Why, and what to do, in a sentence.
        reason: String,
    },
    /// The sender calls, or called in vain.
    Call {
        /// Whether with a picture.
        video: bool,
        /// Whether it is over without having been answered.
        missed: bool,
    },
    /// The gatekeeper itself has something to say.
    Gatekeeper {
        /// What.
        text: String,
    },
    /// The sender changed the group.
    Group(GroupChange),
    /// The login is in a group now that it was not in.
    Joined,
    /// The group's picture is another one.
    GroupPicture,
    /// The sender's name or picture is another one.
    Profile {
        /// The name, if it is that.
        name: Option<String>,
        /// Whether it is the picture.
        picture: bool,
    },
    /// The sender says whether they take messages of other apps.
    Reachability {
        /// Whether they do.
        accepted: bool,
    },
    /// The login's user blocked somebody, or does so no more, in another program.
    Blocked {
        /// Whom.
        user: RemoteUserId,
        /// Whether they are blocked now.
        blocked: bool,
    },
    /// The sender's device does not have the file of a message any more.
    MediaGone {
        /// The message.
        id: StanzaId,
    },
}

/// A decrypted message, about to be remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRemoteMessage {
    /// The login that received it.
    pub login: LoginId,
    /// The chat it is in.
    pub chat: ChatId,
    /// Who wrote it.
    pub sender: RemoteUserId,
    /// Its id on the wire.
    pub stanza_id: StanzaId,
    /// SHA-256 of the ciphertext it came in; empty for notices the bridge makes itself.
    pub ciphertext_hash: Vec<u8>,
    /// The decrypted `Message` protobuf without padding (sealed at rest); `None` when it could not be decrypted.
    pub plaintext: Option<Vec<u8>>,
    /// What it is instead of a message, if it is none.
    pub notice: Option<RemoteNotice>,
    /// When it was sent, as the gatekeeper says.
    pub sent_at: Timestamp,
    /// The name its sender shows.
    pub display_name: Option<String>,
    /// When it arrived here.
    pub received_at: Timestamp,
}

/// A message waiting for its way into Matrix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteMessageRow {
    /// Its place in the order of arrival.
    pub seq: i64,
    /// 0 for the first form, one more each time another form takes its place.
    pub revision: i64,
    /// The rest of it.
    pub message: NewRemoteMessage,
}

/// A portal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortalRow {
    /// Its number here.
    pub id: PortalId,
    /// What it mirrors.
    pub key: PortalKey,
    /// The Matrix room, once there is one.
    pub room_id: Option<String>,
    /// Whether everything that follows the creation of the room is done (members, state, `m.direct`).
    pub ready: bool,
    /// What is decided for this room alone.
    pub settings: PortalSettings,
    /// The login that speaks for Matrix users who have none.
    pub relay: Option<LoginId>,
    /// Whether somebody linked a room of their own, which the bridge neither names nor empties.
    pub linked: bool,
}

impl PortalRow {
    /// Whether it is of a link that was begun and is not made yet.
    #[must_use]
    pub fn is_begun_link(&self) -> bool {
        self.linked && !self.ready && self.room_id.is_none()
    }
}

/// A ghost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GhostRow {
    /// The gatekeeper it stands in for.
    pub gatekeeper: GatekeeperId,
    /// The user it stands for.
    pub remote_id: RemoteUserId,
    /// Its Matrix user id.
    pub mxid: String,
    /// Whether the homeserver knows it and its device exists.
    pub registered: bool,
    /// The display name last set on the homeserver.
    pub name: Option<String>,
    /// Where that name comes from.
    pub name_source: NameSource,
    /// The id of the picture last set on the homeserver; empty if it is known that there is none.
    pub picture: Option<String>,
    /// That picture's address at the homeserver.
    pub avatar: Option<String>,
}

/// Which Matrix event and which message on the other side are the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageLink {
    /// The portal both are in.
    pub portal: PortalId,
    /// The Matrix event.
    pub event_id: String,
    /// The message's id on the wire.
    pub stanza_id: StanzaId,
    /// Who wrote it on the other side; `None` when the login did.
    pub sender: Option<RemoteUserId>,
    /// Which part of the message, from 0.
    pub part: i64,
    /// When it was sent.
    pub sent_at: Timestamp,
}

/// The database's own row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instance {
    /// A random number given when the database was made.
    pub database_id: [u8; 16],
    /// Counts the processes that opened it; the newest may write.
    pub epoch: i64,
    /// Why every session has to be made anew, if it has.
    pub renewal: Option<Renewal>,
}

/// Why every session has to be made anew: its keys may have been used already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// The database is older than the guard file says: a copy was put back.
    Restored,
    /// The guard file is gone or another database's, so nobody can tell.
    GuardMissing,
}
