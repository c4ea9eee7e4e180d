//! The gatekeepers' side: [`Network`] is what the bridge sees of it, [`interop`] how it is done.
//!
//! What comes from a gatekeeper reaches the bridge through the store (committed before it is acknowledged) and a wake-up
//! through [`NetworkSink`]; what goes there is written by [`Network::enqueue`] inside the caller's own transaction.

mod error;
pub mod interop;
mod media;

use async_trait::async_trait;
use futures_util::future::BoxFuture;

pub use error::NetworkError;
pub use media::{ByteStream, FetchedFile, MediaError};

use crate::{
    domain::{
        Capabilities, ChatId, EncryptedVote, GatekeeperId, Group, GroupChange, IncomingMessage,
        LoginId, MediaKey, MediaKind, MessageRef, Outgoing, Picture, Poll, PortalId, Reachability,
        RemoteMedia, RemoteUserId, StanzaId, Timestamp, Typing,
    },
    store::{StoreError, StoreTxn},
};

/// Where an outgoing message comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The portal.
    pub portal: PortalId,
    /// The Matrix event.
    pub event_id: String,
    /// Which part of that event, from 0; negative for what is no message of its own, such as a reaction or a deletion.
    pub part: i64,
}

/// What became of a message that was to be queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enqueued {
    /// The ratchet stepped and the ciphertext is in the outbox (both in the caller's transaction).
    Queued,
    /// The id was queued before; nothing was written.
    Known,
    /// There is no session with the recipient: call [`Network::prepare`] and try again. Nothing was written.
    NoSession,
}

/// Whether a login's connection works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectionState {
    /// No connection is wanted now (`on_demand`, nothing to do).
    Idle,
    /// A connection is being made.
    Connecting,
    /// Logged in; the offline mailbox may still be coming.
    Connected,
    /// The connection failed for a reason that may pass; it is tried again at the time given.
    Waiting {
        /// Why, in a sentence.
        reason: String,
        /// When the next try is made.
        until: Timestamp,
    },
    /// It will not work without somebody's doing.
    Failed {
        /// Why and what to do, in a sentence.
        reason: String,
    },
}

/// What the network tells the bridge. Calls do not block and may be repeated; what they announce is in the store.
pub trait NetworkSink: Send + Sync + 'static {
    /// Messages of a chat wait in the store.
    fn waiting(&self, login: LoginId, chat: &ChatId);
    /// A login's connection changed.
    fn connection(&self, login: LoginId, state: ConnectionState);
    /// Somebody in a chat writes, or stopped; forgotten if nobody listens.
    fn typing(&self, login: LoginId, chat: &ChatId, who: &RemoteUserId, state: Typing);
    /// Somebody is there, or went away; forgotten if nobody listens.
    fn presence(&self, login: LoginId, who: &RemoteUserId, available: bool);
}

/// One gatekeeper.
#[async_trait]
pub trait Network: Send + Sync + 'static {
    /// Its entry in the configuration.
    fn id(&self) -> &GatekeeperId;
    /// What it can carry.
    fn capabilities(&self) -> &Capabilities;
    /// Starts a connection task for every login in the store.
    ///
    /// # Errors
    /// The store's.
    async fn start(&self) -> Result<(), NetworkError>;
    /// What its users will see as the identifier of a Matrix user who logs in now.
    ///
    /// # Errors
    /// That the configuration makes none of this user.
    fn visible_id(&self, mxid: &str) -> Result<String, NetworkError>;
    /// Makes a login for a Matrix user: keys, enlistment, first connection. Resumes one that was interrupted.
    ///
    /// # Errors
    /// What the gatekeeper said, or why it could not be asked.
    async fn log_in(&self, mxid: &str) -> Result<LoginId, NetworkError>;
    /// Asks the gatekeeper to delete the enlistment, then deletes the login here.
    ///
    /// # Errors
    /// What the gatekeeper said; the login is kept and stays logged out, so that it can be tried again.
    async fn log_out(&self, login: LoginId) -> Result<(), NetworkError>;
    /// The address a phone number, user name or id means; nobody is asked.
    ///
    /// # Errors
    /// That it means none.
    fn address(&self, input: &str) -> Result<RemoteUserId, NetworkError>;
    /// Every group a login is in.
    ///
    /// # Errors
    /// What the gatekeeper said, or why it could not be asked; so for the following ones.
    async fn groups(&self, login: LoginId) -> Result<Vec<(ChatId, Group)>, NetworkError>;
    /// A group a login is in.
    ///
    /// # Errors
    /// As [`groups`](Self::groups).
    async fn group(&self, login: LoginId, chat: &ChatId) -> Result<Group, NetworkError>;
    /// Makes a group of the login and others; the same group for the same `key`.
    ///
    /// # Errors
    /// As [`groups`](Self::groups).
    async fn create_group(
        &self,
        login: LoginId,
        key: &str,
        subject: &str,
        members: &[RemoteUserId],
    ) -> Result<(ChatId, Group), NetworkError>;
    /// Changes a group. Those of the named users that the gatekeeper refuses come back, each with why.
    ///
    /// # Errors
    /// As [`groups`](Self::groups).
    async fn change_group(
        &self,
        login: LoginId,
        chat: &ChatId,
        change: &GroupChange,
    ) -> Result<Vec<(RemoteUserId, String)>, NetworkError>;
    /// The picture of a user or group (`of` is a user's or group's address), unless it is the known one.
    ///
    /// # Errors
    /// As [`groups`](Self::groups).
    async fn picture(
        &self,
        login: LoginId,
        of: &ChatId,
        known: Option<&str>,
    ) -> Result<Picture, NetworkError>;
    /// Sets the picture of a group, or (`None`) of the login itself; no JPEG removes it. Its id.
    ///
    /// # Errors
    /// As [`groups`](Self::groups).
    async fn set_picture(
        &self,
        login: LoginId,
        of: Option<&ChatId>,
        jpeg: Option<Vec<u8>>,
    ) -> Result<Option<String>, NetworkError>;
    /// Tells the gatekeeper what the login's user is called: now, and at each new connection.
    fn set_name(&self, login: LoginId, name: &str);
    /// Blocks a user, or does so no more.
    ///
    /// # Errors
    /// As [`groups`](Self::groups).
    async fn block(
        &self,
        login: LoginId,
        user: &RemoteUserId,
        block: bool,
    ) -> Result<(), NetworkError>;
    /// The users a login has blocked, as the gatekeeper knows them.
    ///
    /// # Errors
    /// As [`groups`](Self::groups).
    async fn blocked(&self, login: LoginId) -> Result<Vec<RemoteUserId>, NetworkError>;
    /// Asks somebody to take messages of other apps. The answer may come later ([`NetworkSink::waiting`] tells).
    ///
    /// # Errors
    /// As [`groups`](Self::groups).
    async fn ask_reachability(
        &self,
        login: LoginId,
        user: &RemoteUserId,
    ) -> Result<Reachability, NetworkError>;
    /// The user a phone number, user name or id means, if the gatekeeper has such a user and it can be written to.
    ///
    /// # Errors
    /// That there is none, that they take no messages of other apps ([`NetworkError::NotReachable`]), or why it could not be asked.
    async fn resolve(&self, login: LoginId, input: &str) -> Result<RemoteUserId, NetworkError>;
    /// Makes sure there is a session with everybody in a chat, fetching keys where there is none. Members of a group for whom there are
    /// no keys are left out; they ask for what they cannot read.
    ///
    /// # Errors
    /// That there are no keys for somebody, or why they could not be fetched.
    async fn prepare(&self, login: LoginId, chat: &ChatId) -> Result<(), NetworkError>;
    /// Encrypts a message and puts its stanza in the outbox, in the caller's transaction (in the login's lane). The outer error
    /// is the store's; the inner one means this message can never be sent and nothing was written.
    fn enqueue<'t>(
        &'t self,
        txn: &'t mut dyn StoreTxn,
        login: LoginId,
        message: &'t Outgoing,
        origin: &'t Origin,
        now: Timestamp,
    ) -> BoxFuture<'t, Result<Result<Enqueued, NetworkError>, StoreError>>;
    /// Queues a read receipt, in the caller's transaction.
    fn enqueue_read<'t>(
        &'t self,
        txn: &'t mut dyn StoreTxn,
        login: LoginId,
        chat: &'t ChatId,
        sender: &'t RemoteUserId,
        ids: &'t [StanzaId],
        now: Timestamp,
    ) -> BoxFuture<'t, Result<(), StoreError>>;
    /// Queues the request to put a received file on the server again, in the caller's transaction. The answer comes as a new form
    /// of the message ([`NetworkSink::waiting`] tells) or as a notice that the file cannot be had.
    fn enqueue_media_request<'t>(
        &'t self,
        txn: &'t mut dyn StoreTxn,
        login: LoginId,
        chat: &'t ChatId,
        message: &'t MessageRef,
        key: &'t MediaKey,
        now: Timestamp,
    ) -> BoxFuture<'t, Result<(), StoreError>>;
    /// What the request for a message's file is queued as; `None` for an id that none can be made of.
    fn media_request_id(&self, message: &StanzaId) -> Option<StanzaId>;
    /// Tells the login's connection that its outbox has new rows. Call after the commit.
    fn flush(&self, login: LoginId);
    /// How the login's connection is.
    fn connection(&self, login: LoginId) -> ConnectionState;
    /// What a `Message` protobuf (as in the remote inbox) of a sender says to the login, for `translate`. `own` is what the gatekeeper
    /// calls the login: whatever names it so means the login itself.
    fn read_message(&self, plaintext: &[u8], sender: &RemoteUserId, own: &str) -> IncomingMessage;
    /// Which options of a poll (its secret and options given) a vote chooses, by their places; `None` if it cannot be decrypted.
    /// `own` is what the gatekeeper calls the login.
    fn read_vote(
        &self,
        own: &str,
        poll: (&MessageRef, &Poll),
        voter: &RemoteUserId,
        vote: &EncryptedVote,
    ) -> Option<Vec<usize>>;
    /// Encrypts a file as it comes and hosts it for the gatekeeper; at most `limit` bytes.
    ///
    /// # Errors
    /// Why not; nothing stays behind then.
    async fn host(
        &self,
        kind: MediaKind,
        file: ByteStream,
        limit: u64,
    ) -> Result<RemoteMedia, MediaError>;
    /// Fetches the ciphertext of a received file onto the disk and checks it; at most `limit` bytes.
    ///
    /// # Errors
    /// Why it cannot be had; nothing stays behind then.
    async fn fetch(
        &self,
        kind: MediaKind,
        file: &RemoteMedia,
        limit: u64,
    ) -> Result<FetchedFile, MediaError>;
    /// Tells a chat that the login's user writes, or stopped; forgotten while there is no connection.
    fn typing(&self, login: LoginId, chat: &ChatId, state: Typing);
    /// Tells the gatekeeper whether the login's user is there; that they are is told each new connection again.
    fn presence(&self, login: LoginId, available: bool);
    /// Closes every connection after what is in hand is committed.
    async fn stop(&self);
}
