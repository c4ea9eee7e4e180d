//! One gatekeeper as the bridge sees it: its logins, their connections, and the questions asked over them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use futures_util::future::{BoxFuture, join_all};

use super::{
    address_book,
    connection::{AskError, Connection, Purpose},
    context::{ConnectionPolicy, Context},
    deletion, enlisting, keys, outbound,
    partner::{PushSink, SigningKey},
    profile::Profile,
    wire::{self, Jid},
};
use crate::{
    clock::Clock,
    config::{ConnectionMode, GatekeeperConfig},
    domain::{
        Capabilities, ChatId, EncryptedVote, GatekeeperId, IncomingMessage, LoginId, MediaKey,
        MediaKind, MessageRef, Outgoing, Poll, RemoteMedia, RemoteUserId, StanzaId, Timestamp,
        Typing,
    },
    network::{
        ByteStream, ConnectionState, Enqueued, FetchedFile, MediaError, Network, NetworkError,
        NetworkSink, Origin,
    },
    store::{Database, Lane, LoginRow, LoginState, StoreError, StoreTxn},
};

/// What makes one gatekeeper this one.
pub struct GatekeeperOptions {
    /// Its entry in the configuration.
    pub id: GatekeeperId,
    /// Its name as users read it.
    pub name: String,
    /// All that is particular to it.
    pub profile: Arc<Profile>,
    /// When its logins are connected.
    pub connection: ConnectionPolicy,
    /// The user-visible identifier of a Matrix user: `{mxid}`, `{localpart}` and `{server}` are replaced.
    pub visible_id: String,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

impl GatekeeperOptions {
    /// As an entry of the configuration says. The user-visible identifier is the Matrix id.
    #[must_use]
    pub fn new(entry: &GatekeeperConfig, profile: Arc<Profile>, clock: Arc<dyn Clock>) -> Self {
        Self {
            id: entry.id.clone(),
            name: entry.name.clone(),
            profile,
            connection: match entry.connection {
                ConnectionMode::Always => ConnectionPolicy::Always,
                ConnectionMode::OnDemand => ConnectionPolicy::OnDemand {
                    idle_ms: entry.idle_seconds.saturating_mul(1000),
                },
            },
            visible_id: "{mxid}".to_owned(),
            clock,
        }
    }
}

/// One gatekeeper.
pub struct Gatekeeper {
    context: Arc<Context>,
    name: String,
    visible_id: String,
    connections: Mutex<HashMap<LoginId, Arc<Connection>>>,
    /// Held while a login is made or ended, so that a user who asks twice gets one.
    changing: tokio::sync::Mutex<()>,
}

impl Gatekeeper {
    /// A gatekeeper without connections; [`Network::start`] makes them.
    #[must_use]
    pub fn new(
        options: GatekeeperOptions,
        db: Database,
        signing: Arc<SigningKey>,
        http: reqwest::Client,
        sink: Arc<dyn NetworkSink>,
    ) -> Arc<Self> {
        let context = Context {
            gatekeeper: options.id,
            profile: options.profile,
            policy: options.connection,
            db,
            clock: options.clock,
            sink,
            signing,
            http,
        };
        Arc::new(Self {
            context: Arc::new(context),
            name: options.name,
            visible_id: options.visible_id,
            connections: Mutex::default(),
            changing: tokio::sync::Mutex::default(),
        })
    }

    /// The running connection of a login.
    fn connected(&self, login: LoginId) -> Option<Arc<Connection>> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&login)
            .cloned()
    }

    /// The connection of a login, started if there is none.
    fn connect(&self, login: LoginId) -> Arc<Connection> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(login)
            .or_insert_with(|| {
                Arc::new(Connection::start(
                    self.context.clone(),
                    login,
                    Purpose::Bridging,
                ))
            })
            .clone()
    }

    /// Ends the connection of a login.
    async fn disconnect(&self, login: LoginId) {
        let connection = self
            .connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&login);
        if let Some(connection) = connection {
            connection.stop().await;
        }
    }

    async fn row(&self, login: LoginId) -> Result<LoginRow, NetworkError> {
        self.context
            .db
            .read(move |txn| Box::pin(async move { txn.login(login).await }))
            .await?
            .filter(|row| row.gatekeeper == self.context.gatekeeper)
            .ok_or(NetworkError::NoSuchLogin)
    }

    /// The login a user has here already, if any.
    async fn login_of(&self, mxid: &str) -> Result<Option<LoginRow>, StoreError> {
        let mxid = mxid.to_owned();
        let rows = self
            .context
            .db
            .read(move |txn| {
                let mxid = mxid.clone();
                Box::pin(async move { txn.logins_of(&mxid).await })
            })
            .await?;
        Ok(rows
            .into_iter()
            .find(|row| row.gatekeeper == self.context.gatekeeper))
    }

    fn visible_id(&self, mxid: &str) -> String {
        let (localpart, server) = mxid
            .strip_prefix('@')
            .and_then(|rest| rest.split_once(':'))
            .unwrap_or((mxid, ""));
        self.visible_id
            .replace("{mxid}", mxid)
            .replace("{localpart}", localpart)
            .replace("{server}", server)
    }

    /// Makes sure there is a session with a user.
    async fn establish(&self, login: LoginId, user: &Jid) -> Result<(), NetworkError> {
        let with = user.clone();
        let has = self
            .context
            .db
            .read(move |txn| {
                let with = with.clone();
                Box::pin(async move { outbound::has_session(txn, login, &with).await })
            })
            .await?;
        if has {
            return Ok(());
        }
        if self.row(login).await?.state == LoginState::LoggedOut {
            return Err(NetworkError::NoSuchLogin);
        }
        let connection = self.connect(login);
        let answer = connection
            .ask(keys::fetch(&self.context, user, false))
            .await?;
        keys::establish(&self.context, login, user, &answer).await?
    }

    async fn set_state(&self, login: LoginId, state: LoginState) -> Result<(), StoreError> {
        self.context
            .db
            .step(Lane::login(login), move |txn| {
                Box::pin(async move { txn.set_login_state(login, state, None).await })
            })
            .await
    }
}

#[async_trait]
impl PushSink for Gatekeeper {
    fn gatekeeper(&self) -> &GatekeeperId {
        &self.context.gatekeeper
    }

    fn profile(&self) -> &Profile {
        &self.context.profile
    }

    /// Makes the user's connection if there is none. There is nothing to store: at the start every login is connected once.
    async fn pushed(&self, visible_id: &str) -> Result<bool, StoreError> {
        let (id, visible_id) = (self.context.gatekeeper.clone(), visible_id.to_owned());
        let row = self
            .context
            .db
            .read(move |txn| {
                let (id, visible_id) = (id.clone(), visible_id.clone());
                Box::pin(async move { txn.login_by_visible_id(&id, &visible_id).await })
            })
            .await?;
        match row {
            Some(row) if row.state != LoginState::LoggedOut => {
                self.connect(row.id).pushed();
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}

#[async_trait]
impl Network for Gatekeeper {
    fn id(&self) -> &GatekeeperId {
        &self.context.gatekeeper
    }

    fn capabilities(&self) -> &Capabilities {
        &self.context.profile.features
    }

    async fn start(&self) -> Result<(), NetworkError> {
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

    async fn log_in(&self, mxid: &str) -> Result<LoginId, NetworkError> {
        let _changing = self.changing.lock().await;
        let row = match self.login_of(mxid).await? {
            Some(row) => row,
            None => enlisting::create(&self.context, mxid, self.visible_id(mxid)).await?,
        };
        let id = row.id;
        if row.state != LoginState::Active {
            // A connection that retries the enlistment by itself would race this one.
            self.disconnect(id).await;
            enlisting::enlist(&self.context, row).await?;
        }
        match self.connect(id).settled().await {
            ConnectionState::Failed { reason } => Err(NetworkError::Refused(reason)),
            _ => Ok(id),
        }
    }

    async fn log_out(&self, login: LoginId) -> Result<(), NetworkError> {
        let _changing = self.changing.lock().await;
        let row = self.row(login).await?;
        self.disconnect(login).await;
        self.set_state(login, LoginState::LoggedOut).await?;
        if row.remote_login.is_some() {
            let farewell = Connection::start(self.context.clone(), login, Purpose::Farewell);
            let asked = farewell.ask(deletion::request(&self.context)).await;
            farewell.stop().await;
            match asked {
                Ok(_) | Err(AskError::Unenlisted) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.context
            .db
            .step(Lane::login(login), move |txn| {
                Box::pin(async move { txn.delete_login(login).await })
            })
            .await?;
        Ok(())
    }

    async fn resolve(&self, login: LoginId, input: &str) -> Result<RemoteUserId, NetworkError> {
        let profile = &self.context.profile;
        let user = address_book::parse(input, &profile.user_server, profile.user_names)
            .map_err(|error| NetworkError::NoSuchUser(error.to_string()))?;
        let id = RemoteUserId::parse(user.to_string())
            .map_err(|error| NetworkError::NoSuchUser(error.to_string()))?;
        match self.establish(login, &user).await {
            Ok(()) => Ok(id),
            Err(NetworkError::NoSuchUser(_)) => Err(NetworkError::NoSuchUser(format!(
                "{} has no such user, or the user does not take messages from other apps",
                self.name
            ))),
            Err(error) => Err(error),
        }
    }

    async fn prepare(&self, login: LoginId, chat: &ChatId) -> Result<(), NetworkError> {
        let user = chat
            .direct_user()
            .and_then(|user| user.as_str().parse::<Jid>().ok())
            .ok_or_else(|| {
                NetworkError::Unsendable("messages to groups are not supported yet".to_owned())
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
        Box::pin(outbound::enqueue(txn, login, message, origin, now))
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
        _txn: &'t mut dyn StoreTxn,
        _login: LoginId,
        _chat: &'t ChatId,
        _message: &'t MessageRef,
        _key: &'t MediaKey,
        _now: Timestamp,
    ) -> BoxFuture<'t, Result<(), StoreError>> {
        Box::pin(async { Ok(()) })
    }

    fn read_message(&self, plaintext: &[u8], sender: &RemoteUserId) -> IncomingMessage {
        wire::message::read(plaintext, sender)
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
        limit: u64,
    ) -> Result<RemoteMedia, MediaError> {
        Err(MediaError::TooLarge { limit })
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
