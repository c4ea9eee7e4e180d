//! The gatekeepers' side: [`Network`] is what the bridge sees of it, [`interop`] how it is done.
//!
//! What comes from a gatekeeper reaches the bridge through the store (committed before it is acknowledged) and a wake-up
//! through [`NetworkSink`]; what goes there is written by [`Network::enqueue`] inside the caller's own transaction.

mod error;
pub mod interop;

use async_trait::async_trait;
use futures_util::future::BoxFuture;

pub use error::NetworkError;

use crate::{
    domain::{
        Capabilities, ChatId, GatekeeperId, LoginId, Outgoing, PortalId, RemoteUserId, StanzaId,
        Timestamp,
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
    /// Which part of that event, from 0.
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
    /// The user a phone number, user name or id means, if the gatekeeper has such a user and it can be written to.
    ///
    /// # Errors
    /// That there is none, or why it could not be asked.
    async fn resolve(&self, login: LoginId, input: &str) -> Result<RemoteUserId, NetworkError>;
    /// Makes sure there is a session with everybody in a chat, fetching keys where there is none.
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
    /// Tells the login's connection that its outbox has new rows. Call after the commit.
    fn flush(&self, login: LoginId);
    /// How the login's connection is.
    fn connection(&self, login: LoginId) -> ConnectionState;
    /// What a `Message` protobuf (as in the remote inbox) says, for `translate`.
    fn read_message(&self, plaintext: &[u8]) -> crate::domain::IncomingContent;
    /// Closes every connection after what is in hand is committed.
    async fn stop(&self);
}
