//! A gatekeeper without a wire, for a bridge in the same process: it keeps logins, has groups with their pictures, refuses what it
//! is told to refuse, and remembers what it was asked. It carries no messages.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard},
};

use async_trait::async_trait;
use drawbridge::{
    domain::{
        Capabilities, ChatId, EncryptedVote, GatekeeperId, Group, GroupChange, GroupFacts,
        GroupMember, GroupRole, IncomingContent, IncomingMessage, LoginId, MediaKey, MediaKind,
        MessageContext, MessageRef, Outgoing, OutgoingContent, Picture, Poll, Reachability,
        RemoteMedia, RemoteUserId, StanzaId, Timestamp, Typing,
    },
    network::{
        ByteStream, ConnectionState, Enqueued, FetchedFile, MediaError, Network, NetworkError,
        Origin,
    },
    store::{
        Database, Lane, LoginRow, LoginSecrets, LoginState, NewOutboxRow, OutboxKind, StoreError,
        StoreTxn,
    },
};
use futures_util::future::BoxFuture;

/// What it knows.
#[derive(Default)]
pub(crate) struct Known {
    pub(crate) groups: BTreeMap<ChatId, Group>,
    /// The texts it was asked to send, all of which it refuses.
    pub(crate) texts: Vec<String>,
    /// What it was asked to change.
    pub(crate) asked: Vec<(LoginId, GroupChange)>,
    /// Why it refuses every change, if it does.
    pub(crate) refuses: Option<String>,
    /// The pictures of groups, by their ids.
    pub(crate) album: HashMap<String, Vec<u8>>,
    /// The pictures it was given.
    pub(crate) pictures: Vec<Option<Vec<u8>>>,
    /// The keys under which groups were made, in order.
    pub(crate) keys: Vec<String>,
    /// What logins did: began, ended, took a name.
    pub(crate) logins: Vec<String>,
    /// Whether it refuses every text.
    pub(crate) refuses_texts: bool,
    /// The chats with which no session can be made now.
    pub(crate) stuck: Vec<ChatId>,
    /// Who was told that their messages were read, and by which login.
    pub(crate) read: Vec<(LoginId, RemoteUserId, Vec<StanzaId>)>,
}

pub(crate) struct Gatekeeper {
    id: GatekeeperId,
    capabilities: Capabilities,
    db: Database,
    known: Mutex<Known>,
}

fn never<T>() -> Result<T, NetworkError> {
    Err(NetworkError::Refused("nobody asks for this".to_owned()))
}

/// What a change makes of a group.
fn apply(group: &mut Group, change: &GroupChange) {
    let has = |users: &[RemoteUserId], member: &GroupMember| users.contains(&member.user);
    match change {
        GroupChange::Subject(subject) => group.facts.subject.clone_from(subject),
        GroupChange::Announce(announce) => group.facts.announce = *announce,
        GroupChange::Add(users) => {
            let role = GroupRole::Member;
            let added = users.iter().cloned();
            let added = added.map(|user| GroupMember { user, role });
            group.members.extend(added);
        }
        GroupChange::Remove(users) => group.members.retain(|member| !has(users, member)),
        GroupChange::Promote(users) => {
            let promoted = group.members.iter_mut().filter(|member| has(users, member));
            promoted.for_each(|member| member.role = GroupRole::Admin);
        }
        _ => {}
    }
}

impl Gatekeeper {
    pub(crate) fn new(id: &str, db: &Database) -> Self {
        Self {
            id: GatekeeperId::parse(id).expect("an id"),
            capabilities: Capabilities::default(),
            db: db.clone(),
            known: Mutex::default(),
        }
    }

    pub(crate) fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().expect("no panic")
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
    async fn log_in(&self, mxid: &str) -> Result<LoginId, NetworkError> {
        self.known().logins.push("log in".to_owned());
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
        self.known().logins.push("log out".to_owned());
        let row = self
            .db
            .step(Lane::login(login), move |txn| {
                Box::pin(async move {
                    let row = txn.login(login).await?;
                    txn.delete_login(login).await?;
                    Ok(row)
                })
            })
            .await?;
        row.map(|_| ()).ok_or(NetworkError::NoSuchLogin)
    }
    fn address(&self, input: &str) -> Result<RemoteUserId, NetworkError> {
        if !input.contains(|c: char| c.is_ascii_digit()) {
            return never();
        }
        let address = if input.contains('@') {
            input.to_owned()
        } else {
            let number: String = input.chars().filter(char::is_ascii_digit).collect();
            format!("{number}@s.whatsapp.net")
        };
        RemoteUserId::parse(address).map_err(|error| NetworkError::NoSuchUser(error.to_string()))
    }
    async fn groups(&self, _login: LoginId) -> Result<Vec<(ChatId, Group)>, NetworkError> {
        Ok(self.known().groups.clone().into_iter().collect())
    }
    async fn group(&self, _login: LoginId, chat: &ChatId) -> Result<Group, NetworkError> {
        let group = self.known().groups.get(chat).cloned();
        group.ok_or_else(|| NetworkError::Refused("you are not in it".to_owned()))
    }
    async fn create_group(
        &self,
        _login: LoginId,
        key: &str,
        subject: &str,
        members: &[RemoteUserId],
    ) -> Result<(ChatId, Group), NetworkError> {
        let mut known = self.known();
        if !known.keys.iter().any(|its| its == key) {
            known.keys.push(key.to_owned());
        }
        let place = known
            .keys
            .iter()
            .position(|its| its == key)
            .expect("it is there");
        let chat = ChatId::parse(format!("100{place}-1@g.us")).expect("an address");
        let own = RemoteUserId::parse("1-1001@interop").expect("an address");
        let member = |user: &RemoteUserId, role| GroupMember {
            user: user.clone(),
            role,
        };
        let mut all = vec![member(&own, GroupRole::Owner)];
        all.extend(members.iter().map(|user| member(user, GroupRole::Member)));
        let group = Group {
            facts: GroupFacts {
                subject: subject.to_owned(),
                ..GroupFacts::default()
            },
            members: all,
        };
        known.groups.insert(chat.clone(), group.clone());
        Ok((chat, group))
    }
    async fn change_group(
        &self,
        login: LoginId,
        chat: &ChatId,
        change: &GroupChange,
    ) -> Result<Vec<(RemoteUserId, String)>, NetworkError> {
        let mut known = self.known();
        known.asked.push((login, change.clone()));
        if let Some(why) = &known.refuses {
            return Err(NetworkError::Refused(why.clone()));
        }
        if let Some(group) = known.groups.get_mut(chat) {
            apply(group, change);
        }
        Ok(Vec::new())
    }
    async fn picture(
        &self,
        _login: LoginId,
        of: &ChatId,
        known: Option<&str>,
    ) -> Result<Picture, NetworkError> {
        let knows = self.known();
        let group = knows.groups.get(of);
        let Some(id) = group.and_then(|group| group.facts.picture.clone()) else {
            return Ok(Picture::None);
        };
        if known == Some(id.as_str()) {
            return Ok(Picture::Same);
        }
        let bytes = knows.album.get(&id).cloned();
        Ok(bytes.map_or(Picture::None, |bytes| Picture::Jpeg { id, bytes }))
    }
    async fn set_picture(
        &self,
        _login: LoginId,
        _of: Option<&ChatId>,
        jpeg: Option<Vec<u8>>,
    ) -> Result<Option<String>, NetworkError> {
        let mut known = self.known();
        let id = jpeg.as_ref().map(|_| "picture".to_owned());
        known.pictures.push(jpeg);
        Ok(id)
    }
    fn set_name(&self, _login: LoginId, name: &str) {
        self.known().logins.push(format!("name {name}"));
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
    async fn resolve(&self, _login: LoginId, input: &str) -> Result<RemoteUserId, NetworkError> {
        if input.starts_with("4915155550") {
            return self.address(input);
        }
        Err(NetworkError::NotReachable)
    }
    async fn prepare(&self, _login: LoginId, chat: &ChatId) -> Result<(), NetworkError> {
        if self.known().stuck.contains(chat) {
            return Err(NetworkError::Unreachable("for now".to_owned()));
        }
        Ok(())
    }
    fn enqueue<'t>(
        &'t self,
        txn: &'t mut dyn StoreTxn,
        login: LoginId,
        message: &'t Outgoing,
        origin: &'t Origin,
        now: Timestamp,
    ) -> BoxFuture<'t, Result<Result<Enqueued, NetworkError>, StoreError>> {
        Box::pin(async move {
            if self.known().stuck.contains(&message.chat) {
                return Ok(Ok(Enqueued::NoSession));
            }
            let OutgoingContent::Text { body, .. } = &message.content else {
                return Ok(never());
            };
            self.known().texts.push(body.clone());
            if self.known().refuses_texts {
                return Ok(never());
            }
            let row = NewOutboxRow {
                login,
                stanza_id: message.id.clone(),
                chat: message.chat.clone(),
                kind: OutboxKind::Message,
                payload: body.clone().into_bytes(),
                plaintext: Vec::new(),
                portal: Some(origin.portal),
                event_id: Some(origin.event_id.clone()),
                part: origin.part,
                created_at: now,
            };
            let queued = txn.queue(&row).await?;
            Ok(Ok(if queued {
                Enqueued::Queued
            } else {
                Enqueued::Known
            }))
        })
    }
    fn enqueue_read<'t>(
        &'t self,
        _txn: &'t mut dyn StoreTxn,
        login: LoginId,
        _chat: &'t ChatId,
        sender: &'t RemoteUserId,
        ids: &'t [StanzaId],
        _now: Timestamp,
    ) -> BoxFuture<'t, Result<(), StoreError>> {
        let told = (login, sender.clone(), ids.to_vec());
        self.known().read.push(told);
        Box::pin(async { Ok(()) })
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
        Box::pin(async { Ok(()) })
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
