//! What can be asked of what a conversation carries besides its messages.

use async_trait::async_trait;

use super::Result;
use crate::{
    domain::{AttachmentSecret, MessageRef, PortalId, RemoteUserId, Timestamp},
    store::{ExpiryRow, NoticeRow, PollRow, ReactionRow, UploadRow},
};

/// Reactions.
#[async_trait]
pub trait ReactionRepository {
    /// Somebody's reaction to a message; `by` is `None` for the login's user.
    async fn reaction(
        &mut self,
        portal: PortalId,
        message: &MessageRef,
        by: Option<&RemoteUserId>,
    ) -> Result<Option<ReactionRow>>;
    /// The reaction an event is.
    async fn reaction_by_event(
        &mut self,
        portal: PortalId,
        event_id: &str,
    ) -> Result<Option<ReactionRow>>;
    /// Stores a reaction in the place of the same person's earlier one to the same message.
    async fn put_reaction(&mut self, reaction: &ReactionRow) -> Result<()>;
    /// Forgets a reaction. `false` if there was none.
    async fn delete_reaction(
        &mut self,
        portal: PortalId,
        message: &MessageRef,
        by: Option<&RemoteUserId>,
    ) -> Result<bool>;
}

/// Polls.
#[async_trait]
pub trait PollRepository {
    /// Stores a poll; one that is there already stays as it is.
    async fn put_poll(&mut self, poll: &PollRow) -> Result<()>;
    /// The poll a message is.
    async fn poll(&mut self, portal: PortalId, message: &MessageRef) -> Result<Option<PollRow>>;
    /// The poll an event is.
    async fn poll_by_event(&mut self, portal: PortalId, event_id: &str) -> Result<Option<PollRow>>;
}

/// Files on their way to the homeserver, each under a key by which whoever uploads it finds it again.
#[async_trait]
pub trait UploadRepository {
    /// An upload.
    async fn upload(&mut self, key: &str) -> Result<Option<UploadRow>>;
    /// Remembers the address a file is to have and what it is encrypted with, before any of it is there, in the place of one where
    /// nothing came to be; once the file is at its address that stays.
    async fn put_upload(
        &mut self,
        key: &str,
        uri: &str,
        secret: Option<&AttachmentSecret>,
        now: Timestamp,
    ) -> Result<()>;
    /// Remembers that the whole file is at its address, with the SHA-256 of its ciphertext if it is encrypted.
    async fn finish_upload(&mut self, key: &str, sha256: Option<&[u8; 32]>) -> Result<()>;
    /// Forgets uploads begun before `before`, finished or not. How many rows went.
    async fn prune_uploads(&mut self, before: Timestamp) -> Result<u64>;
}

/// Notices of the bridge that are edited when what they are about changes.
#[async_trait]
pub trait NoticeRepository {
    /// The notice about something.
    async fn notice(&mut self, portal: PortalId, about: &str) -> Result<Option<NoticeRow>>;
    /// Stores the notice about something, new or changed.
    async fn put_notice(&mut self, portal: PortalId, about: &str, notice: &NoticeRow)
    -> Result<()>;
    /// Forgets the notice about something.
    async fn delete_notice(&mut self, portal: PortalId, about: &str) -> Result<()>;
}

/// Events that disappear.
#[async_trait]
pub trait ExpiryRepository {
    /// Stores when an event disappears; what is known of it already stays as it is.
    async fn put_expiry(&mut self, expiry: &ExpiryRow) -> Result<()>;
    /// The events whose time has come, oldest first.
    async fn expired(&mut self, now: Timestamp, limit: i64) -> Result<Vec<ExpiryRow>>;
    /// When the next event disappears.
    async fn next_expiry(&mut self) -> Result<Option<Timestamp>>;
    /// Forgets that an event disappears.
    async fn delete_expiry(&mut self, portal: PortalId, event_id: &str) -> Result<()>;
}
