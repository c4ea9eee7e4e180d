//! A gatekeeper that knows groups and their pictures, for a bridge that is tested without a connection to one.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

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
    store::{StoreError, StoreTxn},
};
use futures_util::future::BoxFuture;

/// What it knows.
pub(crate) struct Gatekeeper {
    id: GatekeeperId,
    capabilities: Capabilities,
    pub(crate) groups: Mutex<BTreeMap<ChatId, Group>>,
    /// Pictures by their ids.
    pub(crate) pictures: Mutex<HashMap<String, Vec<u8>>>,
    /// How often a group was asked for.
    pub(crate) asked: AtomicUsize,
}

impl Gatekeeper {
    pub(crate) fn new(id: &GatekeeperId) -> Self {
        Self {
            id: id.clone(),
            capabilities: Capabilities::default(),
            groups: Mutex::default(),
            pictures: Mutex::default(),
            asked: AtomicUsize::new(0),
        }
    }
}

fn never<T>() -> Result<T, NetworkError> {
    Err(NetworkError::Refused("nobody asks for this".to_owned()))
}

#[async_trait]
impl Network for Gatekeeper {
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
    async fn log_in(&self, _mxid: &str) -> Result<LoginId, NetworkError> {
        never()
    }
    async fn log_out(&self, _login: LoginId) -> Result<(), NetworkError> {
        never()
    }
    fn address(&self, input: &str) -> Result<RemoteUserId, NetworkError> {
        match input.strip_prefix('+') {
            Some(number) => RemoteUserId::parse(format!("{number}@s.whatsapp.net"))
                .map_err(|error| NetworkError::NoSuchUser(error.to_string())),
            None => never(),
        }
    }
    async fn groups(&self, _login: LoginId) -> Result<Vec<(ChatId, Group)>, NetworkError> {
        let groups = self.groups.lock().expect("no panic");
        Ok(groups
            .iter()
            .map(|(chat, group)| (chat.clone(), group.clone()))
            .collect())
    }
    async fn group(&self, _login: LoginId, chat: &ChatId) -> Result<Group, NetworkError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let groups = self.groups.lock().expect("no panic");
        groups.get(chat).cloned().map_or_else(never, Ok)
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
        of: &ChatId,
        known: Option<&str>,
    ) -> Result<Picture, NetworkError> {
        let groups = self.groups.lock().expect("no panic");
        let id = groups.get(of).and_then(|group| group.facts.picture.clone());
        let Some(id) = id else {
            return Ok(Picture::None);
        };
        if known == Some(id.as_str()) {
            return Ok(Picture::Same);
        }
        let bytes = self.pictures.lock().expect("no panic").get(&id).cloned();
        Ok(bytes.map_or(Picture::None, |bytes| Picture::Jpeg { id, bytes }))
    }
    async fn set_picture(
        &self,
        _login: LoginId,
        _of: Option<&ChatId>,
        _jpeg: Option<Vec<u8>>,
    ) -> Result<Option<String>, NetworkError> {
        never()
    }
    fn set_name(&self, _login: LoginId, _name: &str) {}
    async fn block(
        &self,
        _login: LoginId,
        _user: &RemoteUserId,
        _block: bool,
    ) -> Result<(), NetworkError> {
        never()
    }
    async fn blocked(&self, _login: LoginId) -> Result<Vec<RemoteUserId>, NetworkError> {
        never()
    }
    async fn ask_reachability(
        &self,
        _login: LoginId,
        _user: &RemoteUserId,
    ) -> Result<Reachability, NetworkError> {
        never()
    }
    async fn resolve(&self, _login: LoginId, _input: &str) -> Result<RemoteUserId, NetworkError> {
        never()
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
        plaintext: &[u8],
        _sender: &RemoteUserId,
        _own: &str,
    ) -> IncomingMessage {
        IncomingMessage {
            content: IncomingContent::Text {
                body: String::from_utf8_lossy(plaintext).into_owned(),
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
