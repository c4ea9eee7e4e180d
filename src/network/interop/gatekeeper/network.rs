//! The gatekeeper as the bridge uses it.

use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use futures_util::future::{BoxFuture, join_all};

use super::Gatekeeper;
use crate::{
    domain::{
        Capabilities, ChatId, EncryptedVote, GatekeeperId, Group, GroupChange, IncomingMessage,
        LoginId, MediaKey, MediaKind, MessageRef, Outgoing, Picture, Poll, Reachability,
        RemoteMedia, RemoteUserId, StanzaId, Timestamp, Typing,
    },
    network::{
        ByteStream, ConnectionState, Enqueued, FetchedFile, MediaError, Network, NetworkError,
        Origin,
        interop::{
            connection::Connection,
            media, outbound,
            wire::{self, Jid},
        },
    },
    store::{LoginState, StoreError, StoreTxn},
};

#[async_trait]
impl Network for Gatekeeper {
    fn id(&self) -> &GatekeeperId {
        &self.context.gatekeeper
    }

    fn capabilities(&self) -> &Capabilities {
        &self.context.profile.features
    }

    async fn start(&self) -> Result<(), NetworkError> {
        if let Err(error) = self.context.media.work.empty().await {
            tracing::warn!(%error, "what an earlier process left of fetched files could not be deleted");
        }
        let rows = self
            .context
            .db
            .read(|txn| Box::pin(async move { txn.logins().await }))
            .await?;
        for row in rows {
            if row.gatekeeper == self.context.gatekeeper && row.state != LoginState::LoggedOut {
                self.connect(row.id);
            }
        }
        Ok(())
    }

    fn visible_id(&self, mxid: &str) -> Result<String, NetworkError> {
        self.identifier_of(mxid)
    }

    async fn log_in(&self, mxid: &str) -> Result<LoginId, NetworkError> {
        self.make_login(mxid).await
    }

    async fn log_out(&self, login: LoginId) -> Result<(), NetworkError> {
        self.end_login(login).await
    }

    fn address(&self, input: &str) -> Result<RemoteUserId, NetworkError> {
        self.address_of(input)
    }

    async fn groups(&self, login: LoginId) -> Result<Vec<(ChatId, Group)>, NetworkError> {
        self.groups_of(login).await
    }

    async fn group(&self, login: LoginId, chat: &ChatId) -> Result<Group, NetworkError> {
        self.one_group(login, chat).await
    }

    async fn create_group(
        &self,
        login: LoginId,
        key: &str,
        subject: &str,
        members: &[RemoteUserId],
    ) -> Result<(ChatId, Group), NetworkError> {
        self.make_group(login, key, subject, members).await
    }

    async fn change_group(
        &self,
        login: LoginId,
        chat: &ChatId,
        change: &GroupChange,
    ) -> Result<Vec<(RemoteUserId, String)>, NetworkError> {
        self.ask_group_change(login, chat, change).await
    }

    async fn picture(
        &self,
        login: LoginId,
        of: &ChatId,
        known: Option<&str>,
    ) -> Result<Picture, NetworkError> {
        self.picture_of(login, of, known).await
    }

    async fn set_picture(
        &self,
        login: LoginId,
        of: Option<&ChatId>,
        jpeg: Option<Vec<u8>>,
    ) -> Result<Option<String>, NetworkError> {
        self.change_picture(login, of, jpeg).await
    }

    fn set_name(&self, login: LoginId, name: &str) {
        self.tell_name(login, name);
    }

    async fn block(
        &self,
        login: LoginId,
        user: &RemoteUserId,
        block: bool,
    ) -> Result<(), NetworkError> {
        self.change_block(login, user, block).await
    }

    async fn blocked(&self, login: LoginId) -> Result<Vec<RemoteUserId>, NetworkError> {
        self.blocklist(login).await
    }

    async fn ask_reachability(
        &self,
        login: LoginId,
        user: &RemoteUserId,
    ) -> Result<Reachability, NetworkError> {
        self.request_reachability(login, user).await
    }

    async fn resolve(&self, login: LoginId, input: &str) -> Result<RemoteUserId, NetworkError> {
        self.find(login, input).await
    }

    async fn prepare(&self, login: LoginId, chat: &ChatId) -> Result<(), NetworkError> {
        if chat.is_group() {
            return self.prepare_group(login, chat).await;
        }
        let user: Jid = chat.as_str().parse().map_err(|_| {
            NetworkError::Unsendable("this chat has no address that can be written to".to_owned())
        })?;
        self.establish(login, &user).await
    }

    fn enqueue<'t>(
        &'t self,
        txn: &'t mut dyn StoreTxn,
        login: LoginId,
        message: &'t Outgoing,
        origin: &'t Origin,
        now: Timestamp,
    ) -> BoxFuture<'t, Result<Result<Enqueued, NetworkError>, StoreError>> {
        let groups = self.context.group_rules();
        Box::pin(outbound::enqueue(txn, login, message, origin, groups, now))
    }

    fn enqueue_read<'t>(
        &'t self,
        txn: &'t mut dyn StoreTxn,
        login: LoginId,
        chat: &'t ChatId,
        sender: &'t RemoteUserId,
        ids: &'t [StanzaId],
        now: Timestamp,
    ) -> BoxFuture<'t, Result<(), StoreError>> {
        Box::pin(outbound::enqueue_read(txn, login, chat, sender, ids, now))
    }

    fn flush(&self, login: LoginId) {
        if let Some(connection) = self.connected(login) {
            connection.flush();
        }
    }

    fn connection(&self, login: LoginId) -> ConnectionState {
        match self.connected(login) {
            Some(connection) => connection.state(),
            None => ConnectionState::Idle,
        }
    }

    fn enqueue_media_request<'t>(
        &'t self,
        txn: &'t mut dyn StoreTxn,
        login: LoginId,
        chat: &'t ChatId,
        message: &'t MessageRef,
        key: &'t MediaKey,
        now: Timestamp,
    ) -> BoxFuture<'t, Result<(), StoreError>> {
        let profile = &self.context.profile;
        Box::pin(outbound::enqueue_media_request(
            txn, login, profile, chat, message, key, now,
        ))
    }

    fn media_request_id(&self, message: &StanzaId) -> Option<StanzaId> {
        outbound::media_request_id(message)
    }

    fn read_message(&self, plaintext: &[u8], sender: &RemoteUserId, own: &str) -> IncomingMessage {
        wire::message::read(plaintext, sender, own)
    }

    fn read_vote(
        &self,
        own: &str,
        poll: (&MessageRef, &Poll),
        voter: &RemoteUserId,
        vote: &EncryptedVote,
    ) -> Option<Vec<usize>> {
        wire::poll::open(own, poll, voter, vote)
    }

    async fn host(
        &self,
        kind: MediaKind,
        file: ByteStream,
        limit: u64,
    ) -> Result<RemoteMedia, MediaError> {
        media::host(&self.context, kind, file, limit).await
    }

    async fn fetch(
        &self,
        kind: MediaKind,
        file: &RemoteMedia,
        limit: u64,
    ) -> Result<FetchedFile, MediaError> {
        media::fetch(&self.context, kind, file, limit).await
    }

    fn typing(&self, login: LoginId, chat: &ChatId, state: Typing) {
        if self.capabilities().typing
            && let Some(connection) = self.connected(login)
            && let Ok(chat) = chat.as_str().parse()
        {
            connection.typing(chat, state);
        }
    }

    fn presence(&self, login: LoginId, available: bool) {
        if self.capabilities().presence
            && let Some(connection) = self.connected(login)
        {
            connection.presence(available);
        }
    }

    async fn stop(&self) {
        let connections: Vec<Arc<Connection>> = self
            .connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .drain()
            .map(|(_, connection)| connection)
            .collect();
        join_all(connections.iter().map(|connection| connection.stop())).await;
    }
}
