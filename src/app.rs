//! The composition root: everything is made here, from a configuration, and run until it is told to stop.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    bridge::{
        Bridge, BridgeError, BridgeParts, Conversation, EncryptionChoice, PeopleSettings, Relay,
        RoomSettings, Settings,
    },
    clock::Clock,
    commands::ManagementCommands,
    config::{Config, GatekeeperConfig},
    domain::{GatekeeperId, Timestamp},
    encryption::{Encryption, EncryptionError, EncryptionParts},
    matrix::{
        Client, GhostNaming, MatrixError, Order,
        appservice::{self, AppserviceState},
        repair::Syncer,
    },
    network::{
        Network,
        interop::{
            Gatekeeper, GatekeeperOptions,
            partner::{self, HostedMedia, PartnerState, SigningKey},
            profile::{Profile, ProfileError},
        },
    },
    provisioning::{self, ProvisioningState},
    sandbox::{Flavour, Integrator, Sandbox, SandboxError, SandboxOptions},
    signal,
    store::{self, Database, Lane, StoreError},
};

/// Why the bridge could not be started.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The keys of encrypted rooms could not be opened.
    #[error("the keys of encrypted rooms cannot be opened: {0}")]
    Encryption(#[from] EncryptionError),
    /// The store could not be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The bridge could not be started.
    #[error(transparent)]
    Bridge(#[from] BridgeError),
    /// A gatekeeper's profile is wrong or incomplete.
    #[error("gatekeeper {id}: {source}")]
    Profile {
        /// The gatekeeper's entry.
        id: GatekeeperId,
        /// What is wrong.
        source: ProfileError,
    },
    /// The sandbox gatekeeper could not be started.
    #[error("the sandbox gatekeeper could not be started: {0}")]
    Sandbox(#[from] SandboxError),
    /// The Partner's signing key could not be read or made.
    #[error("partner.signing_key_file: {0}")]
    SigningKey(String),
    /// An address could not be listened on.
    #[error("{key}: cannot listen on {address}: {source}")]
    Listen {
        /// The key of the configuration.
        key: &'static str,
        /// The address.
        address: String,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The homeserver's address or the HTTP client is unusable.
    #[error("{0}")]
    Client(String),
    /// Another process opened the same database.
    #[error("another drawbridge has taken over this database, this one stops: run only one")]
    TakenOver,
    /// The homeserver refuses the bridge for a reason that will not pass.
    #[error("the homeserver refuses the bridge: {0}")]
    Homeserver(MatrixError),
}

/// The description of the provisioning API, as `openapi.json` has it.
///
/// # Errors
/// That it cannot be written as JSON.
pub fn api_description() -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string_pretty(&provisioning::description())?;
    text.push('\n');
    Ok(text)
}

/// How long to wait between two tries to reach a homeserver that is not there at the start.
const HOMESERVER_RETRY: Duration = Duration::from_secs(2);

/// The whole bridge, listening but not yet running.
pub struct App {
    bridge: Arc<Bridge>,
    db: Database,
    client: Client,
    encryption: Option<Encryption>,
    syncer: Syncer,
    appservice: Door,
    partner: Door,
    provisioning: Option<Door>,
    sandbox: Option<Sandbox>,
    hosted: Arc<HostedMedia>,
    clock: Arc<dyn Clock>,
    cancel: CancellationToken,
}

impl App {
    /// Opens the store, starts the sandbox if a gatekeeper is it, and listens. Nothing is sent anywhere yet.
    ///
    /// # Errors
    /// What of the configuration or the surroundings does not work.
    pub async fn build(config: Config, clock: Arc<dyn Clock>) -> Result<Self, AppError> {
        // Another part of the process may have installed it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let now = Timestamp(clock.now_ms());
        let (db, report) = store::open(
            config.database.uri.as_str(),
            &config.database.sealing_key,
            config.database.guard_file.as_deref(),
            now,
        )
        .await?;
        if report.renewal.is_some() {
            start_new_sessions(&db).await?;
        }
        let http = http_client()?;
        let signing_key = SigningKey::open(&config.partner.signing_key_file, now)
            .map_err(|error| AppError::SigningKey(error.to_string()))?;
        let signing_key = Arc::new(signing_key);
        let partner_listener = listen("partner.listen", &config.partner.listen).await?;
        let appservice_listener = listen("appservice.listen", &config.appservice.listen).await?;
        let sandbox = if config.sandbox.enabled && config.gatekeepers.iter().any(is_sandbox) {
            Some(start_sandbox(&config, clock.clone()).await?)
        } else {
            None
        };

        let naming = GhostNaming::new(&config.appservice.ghost_prefix, &config.homeserver.domain);
        let client = Client::new(&config.homeserver, &config.appservice, http.clone())
            .map_err(|error| AppError::Client(error.to_string()))?;
        let encryption =
            encryption(&config, &db, &client, report.renewal.is_some(), &clock).await?;
        let cancel = CancellationToken::new();
        let bridge = Bridge::new(BridgeParts {
            db: db.clone(),
            client: client.clone(),
            naming: naming.clone(),
            settings: settings(&config),
            clock: clock.clone(),
            cancel: cancel.clone(),
        });
        let hosted = Arc::new(HostedMedia::new(config.partner.media_dir.clone()));
        let mut gatekeepers = BTreeMap::new();
        for entry in &config.gatekeepers {
            let profile = Arc::new(profile(entry, sandbox.as_ref())?);
            let media = (hosted.clone(), &config.media);
            let gatekeeper = Gatekeeper::new(
                GatekeeperOptions::new(entry, profile, media, clock.clone()),
                db.clone(),
                signing_key.clone(),
                http.clone(),
                bridge.clone(),
            );
            gatekeepers.insert(entry.id.clone(), gatekeeper);
        }
        let networks = gatekeepers
            .values()
            .map(|gatekeeper| gatekeeper.clone() as Arc<dyn Network>);
        bridge.attach(networks, Arc::new(ManagementCommands::new(&bridge)));

        let order = Arc::new(Order::new(clock.clone()));
        let (appservice_router, provisioning) = doors(
            &config,
            &bridge,
            &client,
            naming,
            order.clone(),
            clock.clone(),
        )
        .await?;
        let partner_state = PartnerState::new(
            signing_key,
            gatekeepers.into_values().collect(),
            hosted.clone(),
            &config.partner,
            &http,
            clock.clone(),
        );
        let partner_router = partner::router(partner_state);
        let syncer = Syncer::new(
            client.clone(),
            db.clone(),
            bridge.clone(),
            config.homeserver.ephemeral,
            clock.clone(),
        )
        .in_order(order);
        Ok(Self {
            bridge,
            db,
            client,
            encryption,
            syncer,
            appservice: (appservice_listener, appservice_router),
            partner: (partner_listener, partner_router),
            provisioning,
            sandbox,
            hosted,
            clock,
            cancel,
        })
    }

    /// The sandbox gatekeeper, if this process carries it.
    #[must_use]
    pub fn sandbox(&self) -> Option<&Sandbox> {
        self.sandbox.as_ref()
    }

    /// Runs until `shutdown`, then ends what is in hand and closes the store.
    ///
    /// # Errors
    /// Why it could not go on.
    pub async fn run_until(self, shutdown: CancellationToken) -> Result<(), AppError> {
        let tasks = TaskTracker::new();
        let served = [self.appservice, self.partner].into_iter();
        for (listener, router) in served.chain(self.provisioning) {
            let cancel = self.cancel.clone();
            tasks.spawn(async move {
                let stop = cancel.clone();
                let served = axum::serve(listener, router)
                    .with_graceful_shutdown(async move { stop.cancelled().await })
                    .await;
                if let Err(error) = served {
                    tracing::error!(%error, "a listener ended");
                    cancel.cancel();
                }
            });
        }
        self.bridge.start().await?;
        let pruner = self.bridge.clone();
        tasks.spawn(async move { pruner.prune().await });
        let expirer = self.bridge.clone();
        tasks.spawn(async move { expirer.expire().await });
        let typist = self.bridge.clone();
        tasks.spawn(async move { typist.keep_typing().await });
        let watcher = self.bridge.clone();
        tasks.spawn(async move { watcher.watch_waiting().await });
        let keeper = self.bridge.clone();
        tasks.spawn(async move { keeper.watch_locked().await });
        let warden = self.bridge.clone();
        tasks.spawn(async move { warden.watch_ignored().await });
        tasks.spawn(sweep(self.hosted, self.clock, self.cancel.clone()));
        let homeserver = tasks.spawn(meet_homeserver(
            self.bridge.clone(),
            self.client.clone(),
            self.syncer,
            self.encryption,
            self.cancel.clone(),
        ));

        let refused = tokio::select! {
            biased;
            () = self.db.fenced() => Some(AppError::TakenOver),
            () = shutdown.cancelled() => None,
            () = self.cancel.cancelled() => None,
            refused = homeserver => refused.ok().and_then(Result::err),
        };
        tracing::info!("stopping");
        self.cancel.cancel();
        self.bridge.stopped().await;
        tasks.close();
        tasks.wait().await;
        self.db.close().await;
        if let Some(sandbox) = self.sandbox {
            sandbox.shutdown().await;
        }
        refused.map_or(Ok(()), Err)
    }
}

/// A listener and what answers there.
type Door = (TcpListener, axum::Router);

/// What answers the homeserver, with the provisioning API beside it, and that API's own door if it has one.
async fn doors(
    config: &Config,
    bridge: &Arc<Bridge>,
    client: &Client,
    naming: GhostNaming,
    order: Arc<Order>,
    clock: Arc<dyn Clock>,
) -> Result<(axum::Router, Option<Door>), AppError> {
    let names = bridge.settings().gatekeeper_names.clone();
    let state = AppserviceState::new(
        bridge.database().clone(),
        &config.appservice.hs_token,
        bridge.clone(),
        clock,
    );
    let state = state
        .with_directory(naming, names)
        .with_cipher(client)
        .in_order(order);
    let appservice = appservice::router(state);
    let settings = &config.provisioning;
    if !settings.enabled {
        return Ok((appservice, None));
    }
    let state = ProvisioningState::new(bridge, client.clone(), settings);
    match settings.listen.as_deref() {
        None => {
            let beside = provisioning::router(state).fallback_service(appservice);
            Ok((beside, None))
        }
        Some(address) => {
            let listener = listen("provisioning.listen", address).await?;
            let alone = provisioning::router_alone(state);
            Ok((appservice, Some((listener, alone))))
        }
    }
}

/// Makes the bot known as soon as the homeserver is there, asks for what it could not deliver, and keeps repairing gaps.
async fn meet_homeserver(
    bridge: Arc<Bridge>,
    client: Client,
    syncer: Syncer,
    encryption: Option<Encryption>,
    cancel: CancellationToken,
) -> Result<(), AppError> {
    loop {
        let introduced = tokio::select! {
            introduced = bridge.introduce_bot() => introduced,
            () = cancel.cancelled() => return Ok(()),
        };
        match introduced {
            Ok(()) => break,
            Err(BridgeError::Matrix(error)) if !error.is_transient() => {
                return Err(AppError::Homeserver(error));
            }
            Err(error) => tracing::warn!(%error, "the homeserver is not there yet, trying again"),
        }
        tokio::select! {
            () = tokio::time::sleep(HOMESERVER_RETRY) => {}
            () = cancel.cancelled() => return Ok(()),
        }
    }
    // Wakes a homeserver that backs off after it could not deliver.
    if let Err(error) = client.ping().await {
        tracing::warn!(%error, "the homeserver cannot reach the bridge: is appservice.address right? `drawbridge doctor` tells more");
    }
    tracing::info!("ready");
    match encryption {
        Some(encryption) => {
            let working = encryption.run(bridge, cancel.clone());
            tokio::join!(syncer.run(cancel), working);
        }
        None => syncer.run(cancel).await,
    }
    Ok(())
}

/// What encrypts and decrypts, if the configuration wants it; the client has it from then on.
async fn encryption(
    config: &Config,
    db: &Database,
    client: &Client,
    renewed: bool,
    clock: &Arc<dyn Clock>,
) -> Result<Option<Encryption>, AppError> {
    if !config.encryption.allow {
        return Ok(None);
    }
    let encryption = Encryption::open(EncryptionParts {
        db: db.clone(),
        client: client.clone(),
        naming: GhostNaming::new(&config.appservice.ghost_prefix, &config.homeserver.domain),
        config: config.encryption.clone(),
        namespace: config.bridge.namespace.clone(),
        renewed,
        clock: clock.clone(),
    })
    .await?;
    client.set_cipher(Arc::new(encryption.clone()));
    Ok(Some(encryption))
}

/// Deletes hosted media that has expired, every hour.
async fn sweep(hosted: Arc<HostedMedia>, clock: Arc<dyn Clock>, cancel: CancellationToken) {
    while !cancel.is_cancelled() {
        if let Err(error) = hosted.sweep(Timestamp(clock.now_ms())).await {
            tracing::warn!(%error, "expired media could not be deleted");
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_hours(1)) => {}
            () = cancel.cancelled() => {}
        }
    }
}

fn http_client() -> Result<reqwest::Client, AppError> {
    reqwest::Client::builder()
        .user_agent(concat!("drawbridge/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(10))
        // Neither side of the bridge redirects; following one could lead a token elsewhere.
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| AppError::Client(format!("the HTTP client cannot be made: {error}")))
}

async fn listen(key: &'static str, address: &str) -> Result<TcpListener, AppError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| AppError::Listen {
            key,
            address: address.to_owned(),
            source,
        })
}

/// After an old copy of the database was put back: its ratchets may have been used since, so none is used again.
async fn start_new_sessions(db: &Database) -> Result<(), AppError> {
    tracing::warn!(
        "the database is an older copy than the one last used: every session is made anew, so that no key is used twice"
    );
    let logins = db
        .read(|txn| Box::pin(async move { txn.logins().await }))
        .await?;
    for login in logins {
        db.step(Lane::login(login.id), move |txn| {
            Box::pin(async move { signal::archive_all_sessions(txn, login.id).await })
        })
        .await?;
    }
    Ok(db.sessions_renewed().await?)
}

/// Starts the sandbox gatekeeper as the configuration says.
///
/// # Errors
/// Why it cannot be started.
pub async fn start_sandbox(
    config: &Config,
    clock: Arc<dyn Clock>,
) -> Result<Sandbox, SandboxError> {
    Sandbox::start(
        SandboxOptions {
            data_dir: config.sandbox.data_dir.clone(),
            chat_listen: config.sandbox.chat_listen.clone(),
            http_listen: config.sandbox.http_listen.clone(),
            integrators: vec![Integrator {
                id: 1,
                name: "drawbridge".to_owned(),
                base_url: config.partner.address.to_string(),
            }],
            ..SandboxOptions::default()
        },
        clock,
    )
    .await
}

fn is_sandbox(entry: &GatekeeperConfig) -> bool {
    entry.profiles.iter().any(|layer| layer == "sandbox")
}

/// The profile of an entry, complete if it is for live use.
///
/// # Errors
/// What is wrong or missing.
pub fn check_profile(entry: &GatekeeperConfig) -> Result<Profile, AppError> {
    profile(entry, None)
}

fn profile(entry: &GatekeeperConfig, sandbox: Option<&Sandbox>) -> Result<Profile, AppError> {
    let wrong = |source| AppError::Profile {
        id: entry.id.clone(),
        source,
    };
    let layered = Profile::load(&entry.profiles, None).map_err(wrong)?;
    let profile = match sandbox.filter(|_| is_sandbox(entry)) {
        Some(sandbox) => {
            let flavour = Flavour::of_product(layered.product);
            Profile::load(&entry.profiles, Some(&sandbox.profile_layer(flavour))).map_err(wrong)?
        }
        None => layered,
    };
    profile.check_live().map_err(wrong)?;
    Ok(profile)
}

/// What the bridge is told by a configuration.
#[must_use]
pub fn settings(config: &Config) -> Settings {
    Settings {
        server_name: config.homeserver.domain.clone(),
        namespace: config.bridge.namespace.clone(),
        displayname_template: config.bridge.displayname_template.clone(),
        bot_displayname: config.appservice.bot_displayname.clone(),
        alias_prefix: config.appservice.alias_prefix.clone(),
        room_version: config.bridge.room_version.clone(),
        permissions: config.bridge.permissions.clone(),
        leave_groups: config.bridge.leave_groups,
        gatekeeper_names: config
            .gatekeepers
            .iter()
            .map(|entry| (entry.id.clone(), entry.name.clone()))
            .collect(),
        command_prefix: config.bridge.command_prefix.clone(),
        terms: config.bridge.terms.clone(),
        relay: Relay::new(config.relay.clone()),
        people: PeopleSettings {
            bot_avatar: config.appservice.bot_avatar.clone(),
            phone_in_profile: config.bridge.phone_in_profile,
            connection_grace: Duration::from_secs(config.bridge.connection_grace_seconds),
            double_puppets: config.double_puppets.clone(),
        },
        conversation: Conversation {
            receipts: config.bridge.receipts,
            typing: config.bridge.typing,
            presence: config.bridge.presence,
            delivery_receipts: config.bridge.delivery_receipts,
            message_status_events: config.bridge.message_status_events,
            error_notices: config.bridge.error_notices,
            view_once: config.bridge.view_once,
            link_previews: config.bridge.link_previews,
            max_media_bytes: config.media.max_bytes,
            patience: Duration::from_secs(config.media.patience_seconds),
        },
        encryption: EncryptionChoice {
            new_rooms: config.encryption.encrypts_new_rooms(),
            require: config.encryption.require,
        },
        rooms: RoomSettings {
            direct_chats: config.bridge.direct_chats,
            groups: config.bridge.groups,
            invite_back: config.bridge.invite_back,
            personal_spaces: config.bridge.personal_spaces,
            members_per_second: config.bridge.members_per_second,
        },
    }
}

/// Where this process listens for the homeserver and for the gatekeepers.
impl App {
    /// The addresses of the application service and of the Partner's endpoints.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn addresses(&self) -> std::io::Result<(SocketAddr, SocketAddr)> {
        Ok((
            self.appservice.0.local_addr()?,
            self.partner.0.local_addr()?,
        ))
    }
}
