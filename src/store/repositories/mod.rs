//! What can be asked of the store: one trait a concern, all over one transaction.
//!
//! Nothing found is `Ok(None)` or an empty list. Writes that may be repeated after a crash are idempotent and say whether
//! they changed anything.

mod conversation;
mod deliveries;
mod encryption;
mod locked;
mod people;

use async_trait::async_trait;

use super::{
    Accepted, GhostRow, InboxEvent, Instance, LoginRow, LoginState, MatrixEventRow, MessageLink,
    NewOutboxRow, NewRemoteMessage, OutboxRow, PortalRow, PortalSettings, PreKeyRow,
    QuarantinedEvent, RemoteMessageRow, Renewal, SendStage, SessionRow, SignedPreKeyRow,
    StatusReport, StoreError,
};
use crate::domain::{
    ChatId, GatekeeperId, LoginId, PortalId, PortalKey, RemoteUserId, StanzaId, Timestamp,
};

pub use conversation::{
    ExpiryRepository, NoticeRepository, PollRepository, ReactionRepository, UploadRepository,
};
pub use deliveries::DeliveryRepository;
pub use encryption::EncryptionRepository;
pub use locked::{DeviceTrafficRepository, LockedEventRepository, MissingKeyRepository};
pub use people::{GroupRepository, PeopleRepository, SenderKeyRepository};

type Result<T> = std::result::Result<T, StoreError>;

/// A database of either engine.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Begins a transaction that writes (`BEGIN IMMEDIATE` on SQLite).
    async fn begin(&self) -> Result<Box<dyn StoreTxn>>;
    /// Begins a transaction that only reads and waits for no writer.
    async fn begin_read(&self) -> Result<Box<dyn StoreTxn>>;
    /// `sqlite` or `postgres`.
    fn engine(&self) -> &'static str;
    /// How many transactions can usefully write side by side.
    fn lanes(&self) -> usize;
    /// Closes every connection.
    async fn close(&self);
}

/// One transaction; dropped without commit it changes nothing.
#[async_trait]
pub trait StoreTxn:
    MatrixInboxRepository
    + DeliveryRepository
    + DeviceTrafficRepository
    + LockedEventRepository
    + MissingKeyRepository
    + LoginRepository
    + SignalRepository
    + OutboxRepository
    + RemoteInboxRepository
    + PortalRepository
    + GhostRepository
    + LinkRepository
    + ReactionRepository
    + PollRepository
    + UploadRepository
    + NoticeRepository
    + ExpiryRepository
    + GroupRepository
    + SenderKeyRepository
    + PeopleRepository
    + EncryptionRepository
    + UserRepository
    + KeyValueRepository
    + FenceRepository
    + Send
{
    /// Makes everything written durable.
    async fn commit(self: Box<Self>) -> Result<()>;
    /// Forgets everything written.
    async fn rollback(self: Box<Self>) -> Result<()>;
}

/// The durable inbox of Matrix events.
#[async_trait]
pub trait MatrixInboxRepository {
    /// Takes a transaction: nothing if the pair of id and content hash is known (ids alone are reused by homeservers), else
    /// every event whose id is new. Events with `quarantine` set go to the quarantine. Known or not, the rooms of those of its
    /// events that still wait are returned.
    async fn accept_transaction(
        &mut self,
        txn_id: &str,
        content_hash: &[u8],
        events: &[MatrixEventRow],
        now: Timestamp,
    ) -> Result<Accepted>;
    /// The rooms that have events waiting.
    async fn waiting_rooms(&mut self) -> Result<Vec<String>>;
    /// The oldest waiting events of a room, in order of arrival.
    async fn waiting_events(&mut self, room_id: &str, limit: i64) -> Result<Vec<InboxEvent>>;
    /// Marks an event as handled: its JSON is dropped, its id stays known. `false` if it was already.
    async fn finish_event(&mut self, seq: i64) -> Result<bool>;
    /// Sets an event aside, with its JSON, for the operator.
    async fn quarantine_event(&mut self, seq: i64, reason: &str) -> Result<()>;
    /// The quarantine, oldest first.
    async fn quarantined_events(&mut self, limit: i64) -> Result<Vec<QuarantinedEvent>>;
    /// Puts a quarantined event back among the waiting. `None` if there is none of that number, else its room.
    async fn retry_quarantined(&mut self, seq: i64) -> Result<Option<String>>;
    /// Forgets handled events and transactions older than `before`. How many rows went.
    async fn prune_matrix_inbox(&mut self, before: Timestamp) -> Result<u64>;
}

/// Logins.
#[async_trait]
pub trait LoginRepository {
    /// Stores a new login.
    async fn insert_login(&mut self, login: &LoginRow) -> Result<()>;
    /// A login by its number.
    async fn login(&mut self, id: LoginId) -> Result<Option<LoginRow>>;
    /// Every login.
    async fn logins(&mut self) -> Result<Vec<LoginRow>>;
    /// The logins of a Matrix user.
    async fn logins_of(&mut self, mxid: &str) -> Result<Vec<LoginRow>>;
    /// The login a push is for.
    async fn login_by_visible_id(
        &mut self,
        gatekeeper: &GatekeeperId,
        visible_id: &str,
    ) -> Result<Option<LoginRow>>;
    /// Stores the state and, if given, the internal identifier the gatekeeper assigned.
    async fn set_login_state(
        &mut self,
        id: LoginId,
        state: LoginState,
        remote_login: Option<&str>,
    ) -> Result<()>;
    /// Deletes a login and everything that is only its own: keys, sessions, outbox, inbox, portals and all that is in them, whom it
    /// blocked and asked. It speaks for nobody any more; the groups it was in stay for those who are in them.
    async fn delete_login(&mut self, id: LoginId) -> Result<()>;
}

/// Signal state, as opaque records (sealed at rest).
#[async_trait]
pub trait SignalRepository {
    /// The session with an address.
    async fn session(&mut self, login: LoginId, address: &str) -> Result<Option<Vec<u8>>>;
    /// Stores the session with an address.
    async fn put_session(&mut self, login: LoginId, address: &str, record: &[u8]) -> Result<()>;
    /// Every session of a login.
    async fn sessions(&mut self, login: LoginId) -> Result<Vec<SessionRow>>;
    /// The identity key known for an address, 33 bytes.
    async fn identity(&mut self, login: LoginId, address: &str) -> Result<Option<Vec<u8>>>;
    /// Stores the identity key of an address.
    async fn put_identity(&mut self, login: LoginId, address: &str, key: &[u8]) -> Result<()>;
    /// When the session with an address was last made anew on a retry.
    async fn session_remade_at(
        &mut self,
        login: LoginId,
        address: &str,
    ) -> Result<Option<Timestamp>>;
    /// Remembers that the session with an address was made anew now.
    async fn set_session_remade(
        &mut self,
        login: LoginId,
        address: &str,
        at: Timestamp,
    ) -> Result<()>;
    /// A one-time prekey.
    async fn prekey(&mut self, login: LoginId, id: u32) -> Result<Option<PreKeyRow>>;
    /// Stores new one-time prekeys and moves the login's `next_prekey_id`.
    async fn insert_prekeys(
        &mut self,
        login: LoginId,
        prekeys: &[PreKeyRow],
        next_id: u32,
    ) -> Result<()>;
    /// One-time prekeys the gatekeeper has not confirmed yet, oldest first.
    async fn unconfirmed_prekeys(&mut self, login: LoginId) -> Result<Vec<PreKeyRow>>;
    /// Marks prekeys as confirmed.
    async fn confirm_prekeys(&mut self, login: LoginId, ids: &[u32]) -> Result<()>;
    /// Deletes a used one-time prekey.
    async fn delete_prekey(&mut self, login: LoginId, id: u32) -> Result<()>;
    /// A signed prekey.
    async fn signed_prekey(&mut self, login: LoginId, id: u32) -> Result<Option<SignedPreKeyRow>>;
    /// Stores a signed prekey, makes it the login's current one, and keeps only the newest `keep`.
    async fn put_signed_prekey(
        &mut self,
        login: LoginId,
        key: &SignedPreKeyRow,
        keep: i64,
    ) -> Result<()>;
}

/// Stanzas on their way to the gatekeeper.
#[async_trait]
pub trait OutboxRepository {
    /// Queues a stanza; `false` if its id is already queued, sent or delivered (then nothing changes). Must be called, or
    /// [`outbox_knows`](Self::outbox_knows) asked, before a ratchet step is spent on it.
    async fn queue(&mut self, row: &NewOutboxRow) -> Result<bool>;
    /// Whether a stanza id of a login is known: queued, acknowledged, or delivered.
    async fn outbox_knows(&mut self, login: LoginId, stanza_id: &StanzaId) -> Result<bool>;
    /// Whether a stanza id of a login is a message of its own that was not refused, and not something about a message.
    async fn is_sent_message(&mut self, login: LoginId, stanza_id: &StanzaId) -> Result<bool>;
    /// Queued stanzas after a place in the order, oldest first; without their plaintext.
    async fn queued(&mut self, login: LoginId, after: i64, limit: i64) -> Result<Vec<OutboxRow>>;
    /// The gatekeeper acknowledged a stanza: it leaves the queue. A message with an event gets its [`MessageLink`] in the
    /// same transaction and its plaintext stays for retries (but is not in the answer). `None`, and nothing changes, if it was not
    /// queued or is at another place of the order by now: then it is another copy that was acknowledged.
    async fn acknowledged(
        &mut self,
        login: LoginId,
        stanza_id: &StanzaId,
        seq: i64,
        at: Timestamp,
    ) -> Result<Option<OutboxRow>>;
    /// The gatekeeper refused a stanza for good: it leaves the queue and its plaintext is dropped. `None` as in
    /// [`acknowledged`](Self::acknowledged).
    async fn refused(
        &mut self,
        login: LoginId,
        stanza_id: &StanzaId,
        seq: i64,
        reason: &str,
    ) -> Result<Option<OutboxRow>>;
    /// The message reached the other device, or all devices of a group: its plaintext is dropped, if it went to one alone.
    async fn delivered(&mut self, login: LoginId, stanza_id: &StanzaId) -> Result<()>;
    /// A sent message whose plaintext is still kept, with how many retries were answered.
    async fn retryable(
        &mut self,
        login: LoginId,
        stanza_id: &StanzaId,
    ) -> Result<Option<(OutboxRow, i64)>>;
    /// Puts a message back at the end of the queue with a new payload (the same message encrypted again) and counts the retry.
    /// What its sender was told of it stays known.
    async fn requeue(&mut self, login: LoginId, stanza_id: &StanzaId, payload: &[u8])
    -> Result<()>;
    /// How many stanzas wait for a login.
    async fn queue_length(&mut self, login: LoginId) -> Result<i64>;
    /// When the oldest message that waits for a login was made.
    async fn oldest_queued(&mut self, login: LoginId) -> Result<Option<Timestamp>>;
    /// The messages of a chat that carry an event and are further than their sender was told, in order of sending. Those of an event
    /// of which a part still waits, or was refused, are left out.
    async fn unreported(
        &mut self,
        login: LoginId,
        chat: &ChatId,
        limit: i64,
    ) -> Result<Vec<StatusReport>>;
    /// Remembers what senders were told of messages, each by its place in the order of sending. A message that is further by now
    /// is still to be reported.
    async fn set_reported(&mut self, reports: &[(i64, SendStage)]) -> Result<()>;
    /// The chats that have messages of which their sender is to be told something.
    async fn unreported_chats(&mut self) -> Result<Vec<(LoginId, ChatId)>>;
    /// Forgets sent stanzas older than `before`. How many rows went.
    async fn prune_outbox(&mut self, before: Timestamp) -> Result<u64>;
}

/// Messages from the gatekeeper on their way into Matrix.
#[async_trait]
pub trait RemoteInboxRepository {
    /// Whether a message is known, and how: `None` never seen; `Some(true)` decrypted (or a notice); `Some(false)` seen but not
    /// decrypted yet.
    async fn remote_message_known(
        &mut self,
        login: LoginId,
        chat: &ChatId,
        sender: &RemoteUserId,
        stanza_id: &StanzaId,
    ) -> Result<Option<bool>>;
    /// Remembers a message. If it was seen but not decrypted and now is, the row waits again as its next revision. `false`
    /// if nothing changed.
    async fn put_remote_message(&mut self, message: &NewRemoteMessage) -> Result<bool>;
    /// Counts a retry asked for a message; the new count, 0 if the message is not known.
    async fn count_retry(
        &mut self,
        login: LoginId,
        chat: &ChatId,
        sender: &RemoteUserId,
        stanza_id: &StanzaId,
    ) -> Result<i64>;
    /// Whether another login of the same gatekeeper has handled this message of a group, and how: `Some(true)` decrypted.
    async fn handled_by_another(
        &mut self,
        login: LoginId,
        chat: &ChatId,
        sender: &RemoteUserId,
        stanza_id: &StanzaId,
    ) -> Result<Option<bool>>;
    /// The chats that have messages waiting.
    async fn waiting_chats(&mut self) -> Result<Vec<(LoginId, ChatId)>>;
    /// The oldest waiting messages of a chat, in order of arrival.
    async fn waiting_messages(
        &mut self,
        login: LoginId,
        chat: &ChatId,
        limit: i64,
    ) -> Result<Vec<RemoteMessageRow>>;
    /// The oldest of what waits in a chat and is no message, in order of arrival.
    async fn waiting_notices(
        &mut self,
        login: LoginId,
        chat: &ChatId,
        limit: i64,
    ) -> Result<Vec<RemoteMessageRow>>;
    /// Marks a form of a message as handled: its id stays known, its plaintext is dropped, or with `keep` stays for
    /// [`revise_message`](Self::revise_message). `false` if it was not waiting in that revision.
    async fn finish_message(&mut self, seq: i64, revision: i64, keep: bool) -> Result<bool>;
    /// A handled message whose plaintext was kept.
    async fn kept_message(
        &mut self,
        login: LoginId,
        chat: &ChatId,
        sender: &RemoteUserId,
        stanza_id: &StanzaId,
    ) -> Result<Option<RemoteMessageRow>>;
    /// Forgets the kept plaintext of a handled message: nothing more is to come of it.
    async fn forget_kept(
        &mut self,
        login: LoginId,
        chat: &ChatId,
        sender: &RemoteUserId,
        stanza_id: &StanzaId,
    ) -> Result<()>;
    /// Lets a kept message wait again, as its next revision with a new plaintext. `false` if there is none.
    async fn revise_message(
        &mut self,
        login: LoginId,
        chat: &ChatId,
        sender: &RemoteUserId,
        stanza_id: &StanzaId,
        plaintext: &[u8],
    ) -> Result<bool>;
    /// Forgets handled messages older than `before`. How many rows went.
    async fn prune_remote_inbox(&mut self, before: Timestamp) -> Result<u64>;
}

/// Portals.
#[async_trait]
pub trait PortalRepository {
    /// The portal of a chat.
    async fn portal(&mut self, key: &PortalKey) -> Result<Option<PortalRow>>;
    /// The portals of a room, in the order in which their chats came into it.
    async fn portals_in(&mut self, room_id: &str) -> Result<Vec<PortalRow>>;
    /// A portal by its number.
    async fn portal_by_id(&mut self, id: PortalId) -> Result<Option<PortalRow>>;
    /// The portals of a login's direct chats.
    async fn portals_of(&mut self, login: LoginId) -> Result<Vec<PortalRow>>;
    /// Every portal there is.
    async fn portals(&mut self) -> Result<Vec<PortalRow>>;
    /// Stores the login that speaks for those who have none.
    async fn set_portal_relay(&mut self, id: PortalId, relay: Option<LoginId>) -> Result<()>;
    /// Stores whether somebody linked a room of their own.
    async fn set_portal_linked(&mut self, id: PortalId, linked: bool) -> Result<()>;
    /// Forgets a portal and everything that is known of its messages.
    async fn delete_portal(&mut self, id: PortalId) -> Result<()>;
    /// The portal of a chat, made with the given number if there is none.
    async fn ensure_portal(&mut self, key: &PortalKey, id: PortalId) -> Result<PortalRow>;
    /// Stores the room of a portal.
    async fn set_portal_room(&mut self, id: PortalId, room_id: Option<&str>) -> Result<()>;
    /// Stores that everything that follows the creation of the room is done.
    async fn set_portal_ready(&mut self, id: PortalId, ready: bool) -> Result<()>;
    /// Stores what is decided for the room of a portal alone.
    async fn set_portal_settings(&mut self, id: PortalId, settings: &PortalSettings) -> Result<()>;
    /// The rooms that have a portal, each once.
    async fn portal_rooms(&mut self) -> Result<Vec<String>>;
}

/// Ghosts.
#[async_trait]
pub trait GhostRepository {
    /// The ghost of a remote user.
    async fn ghost(
        &mut self,
        gatekeeper: &GatekeeperId,
        remote_id: &RemoteUserId,
    ) -> Result<Option<GhostRow>>;
    /// The ghost with a Matrix user id.
    async fn ghost_by_mxid(&mut self, mxid: &str) -> Result<Option<GhostRow>>;
    /// Stores a ghost, new or changed.
    async fn put_ghost(&mut self, ghost: &GhostRow) -> Result<()>;
    /// The registered ghosts who have no portal and are in no group, but for those whom a user gave a name.
    async fn unused_ghosts(&mut self) -> Result<Vec<GhostRow>>;
    /// Forgets a ghost.
    async fn delete_ghost(
        &mut self,
        gatekeeper: &GatekeeperId,
        remote_id: &RemoteUserId,
    ) -> Result<()>;
}

/// Which event is which message.
#[async_trait]
pub trait LinkRepository {
    /// Stores a link; one that is there already stays as it is.
    async fn put_link(&mut self, link: &MessageLink) -> Result<()>;
    /// The messages of an event in a portal, in order of part.
    async fn links_by_event(
        &mut self,
        portal: PortalId,
        event_id: &str,
    ) -> Result<Vec<MessageLink>>;
    /// The events of a message in a portal, in order of part.
    async fn links_by_stanza(
        &mut self,
        portal: PortalId,
        sender: Option<&RemoteUserId>,
        stanza_id: &StanzaId,
    ) -> Result<Vec<MessageLink>>;
    /// The latest in the room of these messages of the login itself.
    async fn newest_own(
        &mut self,
        portal: PortalId,
        stanza_ids: &[StanzaId],
    ) -> Result<Option<MessageLink>>;
    /// The latest message of the other side that a login's user was not reported to have read, of those sent until a time.
    async fn newest_unread(
        &mut self,
        portal: PortalId,
        login: LoginId,
        until: Timestamp,
    ) -> Result<Option<MessageLink>>;
    /// The login that wrote a message of our own in a portal: known from its link, or from the outbox before it has one.
    async fn author(&mut self, portal: PortalId, stanza_id: &StanzaId) -> Result<Option<LoginId>>;
    /// Forgets which messages an event is.
    async fn delete_links(&mut self, portal: PortalId, event_id: &str) -> Result<()>;
    /// The messages of the other side up to and including an event that a login's user was not reported to have read, oldest first.
    /// Of a group, what was written before the login came into it is none of them.
    async fn unread_up_to(
        &mut self,
        portal: PortalId,
        login: LoginId,
        event_id: &str,
    ) -> Result<Vec<MessageLink>>;
    /// Remembers that a login's user has been reported to have read the messages up to and including an event.
    async fn set_read_up_to(
        &mut self,
        portal: PortalId,
        login: LoginId,
        event_id: &str,
    ) -> Result<()>;
}

/// Matrix users and their management rooms.
#[async_trait]
pub trait UserRepository {
    /// The user whose management room this is.
    async fn management_room_owner(&mut self, room_id: &str) -> Result<Option<String>>;
    /// Every management room.
    async fn management_rooms(&mut self) -> Result<Vec<String>>;
    /// The management room of a user.
    async fn management_room(&mut self, mxid: &str) -> Result<Option<String>>;
    /// Makes a room the management room of a user, or none (`None`).
    async fn set_management_room(&mut self, mxid: &str, room_id: Option<&str>) -> Result<()>;
}

/// Single values: sync tokens, generated ids.
#[async_trait]
pub trait KeyValueRepository {
    /// A value.
    async fn value(&mut self, key: &str) -> Result<Option<String>>;
    /// Stores a value.
    async fn set_value(&mut self, key: &str, value: &str) -> Result<()>;
    /// Forgets a value.
    async fn delete_value(&mut self, key: &str) -> Result<()>;
    /// Puts a value in the place of another one, `None` for none; `false`, and nothing is changed, if another is there by now.
    async fn replace_value(
        &mut self,
        key: &str,
        before: Option<&str>,
        after: Option<&str>,
    ) -> Result<bool>;
    /// The values whose keys begin with `prefix`, by key.
    async fn values(&mut self, prefix: &str) -> Result<Vec<(String, String)>>;
}

/// Who may write, and how often ratchets were written: what keeps two processes, or an old copy of the database, from using a
/// message key twice.
#[async_trait]
pub trait FenceRepository {
    /// The database's own row; `None` in a new database.
    ///
    /// # Errors
    /// [`StoreError::Unsealable`] if the sealing key is not the one the database was made with.
    async fn instance(&mut self) -> Result<Option<Instance>>;
    /// Makes the database's own row.
    async fn create_instance(&mut self, database_id: &[u8; 16]) -> Result<()>;
    /// Begins a new epoch, from which on processes of older ones cannot write. The epoch.
    async fn take_over(&mut self, now: Timestamp) -> Result<i64>;
    /// The current epoch; it cannot change before this transaction ends.
    async fn epoch(&mut self) -> Result<i64>;
    /// Remembers why every session has to be made anew, or that it has been.
    async fn set_renewal(&mut self, renewal: Option<Renewal>) -> Result<()>;
    /// Whether this transaction wrote a ratchet or something encrypted by one.
    fn touched_ratchets(&self) -> bool;
    /// The commits with ratchet steps: lane and number.
    async fn ratchet_commits(&mut self) -> Result<Vec<(usize, i64)>>;
    /// Counts a commit with ratchet steps; the new number.
    async fn count_ratchet_commit(&mut self, lane: usize) -> Result<i64>;
    /// Sets the number of commits with ratchet steps.
    async fn set_ratchet_commits(&mut self, lane: usize, commits: i64) -> Result<()>;
}
