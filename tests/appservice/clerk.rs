//! A gatekeeper that keeps logins and nothing else, for the bridge's commands.

use std::sync::Mutex;

use async_trait::async_trait;
use drawbridge::{
    domain::{
        Capabilities, ChatId, EncryptedVote, GatekeeperId, Group, GroupChange, IncomingContent,
        IncomingMessage, LoginId, MediaKey, MediaKind, MessageContext, MessageRef, Outgoing,
        Picture, Poll, Reachability, RemoteMedia, RemoteUserId, StanzaId, Timestamp, Typing,
    },
    network::{
        ByteStream, ConnectionState, Enqueued, FetchedFile, MediaError, Network, NetworkError,
        Origin,
    },
    store::{Database, Lane, LoginRow, LoginSecrets, LoginState, StoreError, StoreTxn},
};
use futures_util::future::BoxFuture;

pub(crate) struct Clerk {
    id: GatekeeperId,
    capabilities: Capabilities,
    db: Database,
    /// What was asked of it, in order.
    pub(crate) asked: Mutex<Vec<String>>,
}

fn never<T>() -> Result<T, NetworkError> {
    Err(NetworkError::Refused("nobody asks for this".to_owned()))
}

impl Clerk {
    pub(crate) fn new(id: &str, db: &Database) -> Self {
        Self {
            id: GatekeeperId::parse(id).expect("an id"),
            capabilities: Capabilities::default(),
            db: db.clone(),
            asked: Mutex::default(),
        }
    }

    fn note(&self, what: &str) {
        self.asked.lock().expect("no panic").push(what.to_owned());
    }

    fn row(&self, mxid: &str) -> LoginRow {
        let mut number = i64::try_from(self.id.as_str().len()).expect("a short name");
        number += mxid.bytes().map(i64::from).sum::<i64>() * 100;
        LoginRow {
            id: LoginId(number),
            gatekeeper: self.id.clone(),
            mxid: mxid.to_owned(),
            visible_id: mxid.to_owned(),
            remote_login: Some(format!("1-{number}@interop")),
            state: LoginState::Active,
            secrets: LoginSecrets {
                noise_private: vec![1; 32],
                identity_pair: vec![2; 69],
                registration_id: 3,
            },
            next_prekey_id: 1,
            signed_prekey_id: 1,
        }
    }
}

#[async_trait]
impl Network for Clerk {
    fn id(&self) -> &GatekeeperId {
        &self.id
    }
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }
    async fn start(&self) -> Result<(), NetworkError> {
        Ok(())
    }
    fn visible_id(&self, mxid: &str) -> Result<String, NetworkError> {
        Ok(mxid.to_owned())
    }
    async fn log_in(&self, mxid: &str) -> Result<LoginId, NetworkError> {
        self.note("log in");
        let row = self.row(mxid);
        let id = row.id;
        self.db
            .step(Lane::login(id), move |txn| {
                let row = row.clone();
                Box::pin(async move {
                    if txn.login(row.id).await?.is_none() {
                        txn.insert_login(&row).await?;
                    }
                    Ok(())
                })
            })
            .await?;
        Ok(id)
    }
    async fn log_out(&self, login: LoginId) -> Result<(), NetworkError> {
        self.note("log out");
        let is_there = self
            .db
            .step(Lane::login(login), move |txn| {
                Box::pin(async move {
                    let row = txn.login(login).await?;
                    txn.delete_login(login).await?;
                    Ok(row.is_some())
                })
            })
            .await?;
        if is_there {
            Ok(())
        } else {
            Err(NetworkError::NoSuchLogin)
        }
    }
    fn address(&self, input: &str) -> Result<RemoteUserId, NetworkError> {
        let digits: String = input.chars().filter(char::is_ascii_digit).collect();
        RemoteUserId::parse(format!("{digits}@s.whatsapp.net"))
            .map_err(|error| NetworkError::NoSuchUser(error.to_string()))
    }
    async fn groups(&self, _login: LoginId) -> Result<Vec<(ChatId, Group)>, NetworkError> {
        Ok(Vec::new())
    }
    async fn group(&self, _login: LoginId, _chat: &ChatId) -> Result<Group, NetworkError> {
        never()
    }
    async fn create_group(
        &self,
        _login: LoginId,
        _key: &str,
        _subject: &str,
        _members: &[RemoteUserId],
    ) -> Result<(ChatId, Group), NetworkError> {
        never()
    }
    async fn change_group(
        &self,
        _login: LoginId,
        _chat: &ChatId,
        _change: &GroupChange,
    ) -> Result<Vec<(RemoteUserId, String)>, NetworkError> {
        never()
    }
    async fn picture(
        &self,
        _login: LoginId,
        _of: &ChatId,
        _known: Option<&str>,
    ) -> Result<Picture, NetworkError> {
        Ok(Picture::None)
    }
    async fn set_picture(
        &self,
        _login: LoginId,
        _of: Option<&ChatId>,
        _jpeg: Option<Vec<u8>>,
    ) -> Result<Option<String>, NetworkError> {
        Ok(None)
    }
    fn set_name(&self, _login: LoginId, name: &str) {
        self.note(&format!("name {name}"));
    }
    async fn block(
        &self,
        _login: LoginId,
        _user: &RemoteUserId,
        _block: bool,
    ) -> Result<(), NetworkError> {
        Ok(())
    }
    async fn blocked(&self, _login: LoginId) -> Result<Vec<RemoteUserId>, NetworkError> {
        Ok(Vec::new())
    }
    async fn ask_reachability(
        &self,
        _login: LoginId,
        _user: &RemoteUserId,
    ) -> Result<Reachability, NetworkError> {
        Ok(Reachability::Asked)
    }
    async fn resolve(&self, _login: LoginId, _input: &str) -> Result<RemoteUserId, NetworkError> {
        Err(NetworkError::NotReachable)
    }
    async fn prepare(&self, _login: LoginId, _chat: &ChatId) -> Result<(), NetworkError> {
        never()
    }
    fn enqueue<'t>(
        &'t self,
        _txn: &'t mut dyn StoreTxn,
        _login: LoginId,
        _message: &'t Outgoing,
        _origin: &'t Origin,
        _now: Timestamp,
    ) -> BoxFuture<'t, Result<Result<Enqueued, NetworkError>, StoreError>> {
        Box::pin(std::future::ready(Ok(never())))
    }
    fn enqueue_read<'t>(
        &'t self,
        _txn: &'t mut dyn StoreTxn,
        _login: LoginId,
        _chat: &'t ChatId,
        _sender: &'t RemoteUserId,
        _ids: &'t [StanzaId],
        _now: Timestamp,
    ) -> BoxFuture<'t, Result<(), StoreError>> {
        Box::pin(std::future::ready(Ok(())))
    }
    fn enqueue_media_request<'t>(
        &'t self,
        _txn: &'t mut dyn StoreTxn,
        _login: LoginId,
        _chat: &'t ChatId,
        _message: &'t MessageRef,
        _key: &'t MediaKey,
        _now: Timestamp,
    ) -> BoxFuture<'t, Result<(), StoreError>> {
        Box::pin(std::future::ready(Ok(())))
    }
    fn media_request_id(&self, _message: &StanzaId) -> Option<StanzaId> {
        None
    }
    fn flush(&self, _login: LoginId) {}
    fn connection(&self, _login: LoginId) -> ConnectionState {
        ConnectionState::Connected
    }
    fn read_message(
        &self,
        _plaintext: &[u8],
        _sender: &RemoteUserId,
        _own: &str,
    ) -> IncomingMessage {
        IncomingMessage {
            content: IncomingContent::Text {
                body: String::new(),
                preview: None,
            },
            context: MessageContext::default(),
        }
    }
    fn read_vote(
        &self,
        _own: &str,
        _poll: (&MessageRef, &Poll),
        _voter: &RemoteUserId,
        _vote: &EncryptedVote,
    ) -> Option<Vec<usize>> {
        None
    }
    async fn host(
        &self,
        _kind: MediaKind,
        _file: ByteStream,
        _limit: u64,
    ) -> Result<RemoteMedia, MediaError> {
        Err(MediaError::Gone)
    }
    async fn fetch(
        &self,
        _kind: MediaKind,
        _file: &RemoteMedia,
        _limit: u64,
    ) -> Result<FetchedFile, MediaError> {
        Err(MediaError::Gone)
    }
    fn typing(&self, _login: LoginId, _chat: &ChatId, _state: Typing) {}
    fn presence(&self, _login: LoginId, _available: bool) {}
    async fn stop(&self) {}
}
