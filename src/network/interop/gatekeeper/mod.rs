//! One gatekeeper as the bridge sees it: its logins, their connections, and the questions asked over them.

mod groups;
mod logins;
mod network;
mod options;
mod people;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;

pub use self::options::GatekeeperOptions;
use super::{
    connection::{Connection, Purpose},
    context::Context,
    media::{MediaPlaces, WorkDir},
    outbound::Keyless,
    partner::{PushSink, SigningKey},
    profile::Profile,
};
use crate::{
    domain::{GatekeeperId, LoginId},
    network::NetworkSink,
    store::{Database, LoginState, StoreError},
};

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
    /// A gatekeeper without connections; [`Network::start`](crate::network::Network::start) makes them. `http` must not follow
    /// redirects: a token, or a request in this machine's network, would go elsewhere.
    #[must_use]
    pub fn new(
        options: GatekeeperOptions,
        db: Database,
        signing: Arc<SigningKey>,
        http: reqwest::Client,
        sink: Arc<dyn NetworkSink>,
    ) -> Arc<Self> {
        let id = options.id.as_str().to_owned();
        let context = Context {
            gatekeeper: options.id,
            profile: options.profile,
            policy: options.connection,
            db,
            clock: options.clock,
            sink,
            signing,
            http,
            media: MediaPlaces {
                hosted: options.hosted,
                work: WorkDir::new(options.work_dir.join(id)),
                patience: options.patience,
            },
            keyless: Keyless::default(),
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
