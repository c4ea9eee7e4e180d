//! What every part of the bridge shares: the store, the homeserver, the gatekeepers, and small caches of what the store says.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::future::BoxFuture;
use ruma::{OwnedEventId, OwnedRoomId, OwnedUserId, UserId};
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    connections::Link,
    groups::Groups,
    people::People,
    refusals::LastRefusal,
    routes::{PortalRoute, Route},
    settings::Settings,
    signals::Signals,
    workers::{Job, Outcome, Workers},
};
use crate::{
    clock::Clock,
    config::Level,
    domain::{ChatId, GatekeeperId, LoginId, PortalId, StanzaId, Timestamp},
    matrix::{Client, GhostNaming, Intent, MatrixError},
    network::{Network, NetworkError},
    store::{Database, StoreError},
};

/// What a bridge is made of.
pub struct BridgeParts {
    /// The store.
    pub db: Database,
    /// The homeserver.
    pub client: Client,
    /// How ghosts are named.
    pub naming: GhostNaming,
    /// The configuration's part.
    pub settings: Settings,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Ends every worker.
    pub cancel: CancellationToken,
}

/// A failure of one run of a worker.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The homeserver failed or refused.
    #[error(transparent)]
    Matrix(#[from] MatrixError),
    /// The gatekeeper failed or refused.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The portal's room lets its ghost in no more.
    #[error("the portal's room cannot be used any more: {0}")]
    RoomLost(MatrixError),
    /// A file cannot be carried now.
    #[error("a file cannot be carried now: {0}")]
    Media(String),
    /// What an event is about is in the room, but not in the store yet.
    #[error("the message that event {0} shows is not stored yet")]
    NotStoredYet(OwnedEventId),
    /// The process before began to link the chat, and the command that did may be carried out again.
    #[error("the link of portal {0} was begun and may be finished")]
    LinkBegun(PortalId),
    /// Something in the configuration or the store does not fit together.
    #[error("{0}")]
    Inconsistent(String),
}

impl BridgeError {
    /// Whether the same call may work later without anybody's doing.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(_) | Self::Media(_) | Self::NotStoredYet(_) | Self::LinkBegun(_) => true,
            Self::Matrix(error) => error.is_transient(),
            Self::Network(error) => error.is_transient(),
            Self::RoomLost(_) | Self::Inconsistent(_) => false,
        }
    }
}

/// Somebody wrote to the bot.
#[derive(Debug, Clone)]
pub struct CommandContext {
    /// Who.
    pub sender: OwnedUserId,
    /// Where.
    pub room_id: OwnedRoomId,
    /// Whether that is their management room, which nobody else reads.
    pub is_private: bool,
    /// In which event: what the command does outside has ids that follow from it.
    pub event_id: String,
    /// What: the whole text without what calls the bot; only its first line is a command.
    pub body: String,
}

/// What answers to those who write to the bot.
#[async_trait]
pub trait Commands: Send + Sync + 'static {
    /// The answer, in Markdown. It may be called again with the same message after a crash.
    async fn answer(&self, context: CommandContext) -> String;
}

/// Held while a portal's room is made, taken or changed.
pub(super) type RoomLock = Arc<tokio::sync::Mutex<()>>;

/// The bridge between the homeserver and the gatekeepers.
pub struct Bridge {
    pub(super) db: Database,
    pub(super) client: Client,
    pub(super) naming: GhostNaming,
    pub(super) settings: Settings,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) cancel: CancellationToken,
    pub(super) networks: OnceLock<BTreeMap<GatekeeperId, Arc<dyn Network>>>,
    pub(super) commands: OnceLock<Arc<dyn Commands>>,
    pub(super) rooms: Workers<OwnedRoomId>,
    /// What brings events of rooms with several chats to each of them, by portal.
    pub(super) deliveries: Workers<PortalId>,
    /// Portals that may have deliveries waiting, and how often something was handed on to them.
    pub(super) delivering: Mutex<HashMap<PortalId, u64>>,
    pub(super) chats: Workers<(LoginId, ChatId)>,
    /// What tells users how far their messages are; apart from the chats, so that it waits for no file.
    pub(super) statuses: Workers<(LoginId, ChatId)>,
    pub(super) routes: Mutex<HashMap<OwnedRoomId, Route>>,
    /// Rooms that mirror several chats, or may.
    pub(super) shared_rooms: Mutex<HashSet<OwnedRoomId>>,
    /// Counts what was forgotten of rooms and chats: what was looked up before is not remembered after.
    pub(super) forgotten: AtomicU64,
    pub(super) open_portals: Mutex<HashMap<(LoginId, ChatId), Arc<PortalRoute>>>,
    pub(super) ghosts: Mutex<HashMap<OwnedUserId, Option<String>>>,
    /// One lock a portal, held while its room is made or taken.
    pub(super) opening: Mutex<HashMap<PortalId, RoomLock>>,
    /// What works on the rooms of groups, and on the spaces they are in.
    pub(super) groups: Groups,
    /// One lock a group that several logins are in.
    pub(super) turns: Mutex<HashMap<PortalId, RoomLock>>,
    /// Portals that were given a new room since the start: once is enough to get over a room that was lost.
    pub(super) abandoned: Mutex<HashSet<PortalId>>,
    /// Chats whose last sends have an unknown outcome: before the next send their rooms are searched.
    pub(super) uncertain: Mutex<HashSet<(LoginId, ChatId)>>,
    pub(super) receipts: tokio::sync::mpsc::Sender<super::receipts::ReadUpTo>,
    /// Files that cannot be carried for now, by their event or message, and since when.
    pub(super) troubled: Mutex<HashMap<String, i64>>,
    pub(super) signalled: tokio::sync::mpsc::Sender<super::signals::Signal>,
    pub(super) signalled_there: tokio::sync::mpsc::Sender<super::signals::RemoteSignal>,
    /// Who writes and who is there, as passed on last.
    pub(super) signals: Signals,
    /// The last notice of a failure in each room, while it counts further ones.
    /// What the members of rooms are called, for those a login speaks for.
    pub(super) names: Mutex<HashMap<OwnedRoomId, super::names::Names>>,
    pub(super) refusals: Mutex<HashMap<OwnedRoomId, LastRefusal>>,
    pub(super) connection_states: Mutex<HashMap<LoginId, Link>>,
    pub(super) people: People,
    /// Links that the process before began and that nobody has finished or given up yet.
    pub(super) begun_links: Mutex<HashSet<PortalId>>,
    /// Counts the keys of encrypted rooms that came.
    pub(super) keys_came: watch::Sender<u64>,
    /// Whoever tells users about the bot's device.
    pub(super) telling_of_device: tokio::sync::Mutex<()>,
    /// Whether the homeserver knows the bot; nothing is asked of it before.
    pub(super) introduced: AtomicBool,
    pub(super) this: Weak<Self>,
}

impl Bridge {
    /// Puts a bridge together. It does nothing before [`Bridge::start`].
    #[must_use]
    pub fn new(parts: BridgeParts) -> Arc<Self> {
        let (receipts, received) = tokio::sync::mpsc::channel(1024);
        let (signalled, signals) = tokio::sync::mpsc::channel(256);
        let (signalled_there, signals_there) = tokio::sync::mpsc::channel(256);
        let bridge = Arc::new_cyclic(|this: &Weak<Self>| {
            let rooms = {
                let this = this.clone();
                Workers::new(
                    Arc::new(move |room| {
                        let this = this.clone();
                        Box::pin(async move {
                            match this.upgrade() {
                                Some(bridge) => bridge.carry_out(&room).await,
                                None => Outcome::Done,
                            }
                        })
                    }),
                    parts.cancel.clone(),
                )
            };
            let deliveries = {
                let this = this.clone();
                Workers::new(
                    Arc::new(move |portal| {
                        let this = this.clone();
                        Box::pin(async move {
                            match this.upgrade() {
                                Some(bridge) => bridge.carry_deliveries(portal).await,
                                None => Outcome::Done,
                            }
                        })
                    }),
                    parts.cancel.clone(),
                )
            };
            let chats = chat_workers(this, &parts.cancel, |bridge, login, chat| {
                Box::pin(async move { bridge.carry_in(login, &chat).await })
            });
            let statuses = chat_workers(this, &parts.cancel, |bridge, login, chat| {
                Box::pin(async move { bridge.carry_statuses(login, &chat).await })
            });
            let people = People::new(this, &parts.cancel);
            let per_second = parts.settings.rooms.members_per_second;
            Self {
                groups: Groups::new(this, &parts.cancel, per_second),
                db: parts.db,
                client: parts.client,
                naming: parts.naming,
                settings: parts.settings,
                clock: parts.clock,
                cancel: parts.cancel,
                networks: OnceLock::new(),
                commands: OnceLock::new(),
                rooms,
                deliveries,
                delivering: Mutex::default(),
                chats,
                statuses,
                routes: Mutex::default(),
                shared_rooms: Mutex::default(),
                forgotten: AtomicU64::new(0),
                open_portals: Mutex::default(),
                ghosts: Mutex::default(),
                opening: Mutex::default(),
                turns: Mutex::default(),
                abandoned: Mutex::default(),
                uncertain: Mutex::default(),
                receipts,
                signalled,
                signalled_there,
                troubled: Mutex::default(),
                signals: Signals::default(),
                names: Mutex::default(),
                refusals: Mutex::default(),
                connection_states: Mutex::default(),
                people,
                begun_links: Mutex::default(),
                keys_came: watch::Sender::new(0),
                telling_of_device: tokio::sync::Mutex::default(),
                introduced: AtomicBool::new(false),
                this: this.clone(),
            }
        });
        tokio::spawn(super::receipts::report_reads(
            Arc::downgrade(&bridge),
            received,
        ));
        tokio::spawn(super::signals::pass_signals(
            Arc::downgrade(&bridge),
            signals,
        ));
        tokio::spawn(super::signals::show_signals(
            Arc::downgrade(&bridge),
            signals_there,
        ));
        bridge
    }

    /// Gives the bridge its gatekeepers and its commands; to be called once, before [`Bridge::start`].
    pub fn attach(
        &self,
        networks: impl IntoIterator<Item = Arc<dyn Network>>,
        commands: Arc<dyn Commands>,
    ) {
        let by_id = networks
            .into_iter()
            .map(|network| (network.id().clone(), network))
            .collect();
        // A second call finds the cells full and changes nothing.
        let _ = self.networks.set(by_id);
        let _ = self.commands.set(commands);
    }

    /// The store.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.db
    }

    /// The configuration's part.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The bot's account.
    #[must_use]
    pub fn bot(&self) -> Intent {
        self.client.bot()
    }

    /// Every gatekeeper.
    pub fn networks(&self) -> impl Iterator<Item = &Arc<dyn Network>> {
        self.networks.get().into_iter().flat_map(BTreeMap::values)
    }

    /// A gatekeeper by its id.
    ///
    /// # Errors
    /// That the configuration has none of that id (any more).
    pub fn network(&self, id: &GatekeeperId) -> Result<&Arc<dyn Network>, BridgeError> {
        self.networks
            .get()
            .and_then(|networks| networks.get(id))
            .ok_or_else(|| {
                BridgeError::Inconsistent(format!(
                    "the configuration has no gatekeeper {id} any more"
                ))
            })
    }

    /// A gatekeeper's name for people.
    #[must_use]
    pub fn gatekeeper_name<'a>(&'a self, id: &'a GatekeeperId) -> &'a str {
        self.settings
            .gatekeeper_names
            .get(id)
            .map_or(id.as_str(), String::as_str)
    }

    /// What a Matrix user may do.
    #[must_use]
    pub fn level(&self, user: &UserId) -> Level {
        self.settings.permissions.level(user)
    }

    /// The present.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp(self.clock.now_ms())
    }

    /// Whether the workers may ask the homeserver anything yet.
    pub(super) fn is_introduced(&self) -> bool {
        self.introduced.load(Ordering::Acquire)
    }

    /// Waits for the next round of something that is looked at now and then; `false` once the bridge is stopped. There are none before
    /// the homeserver knows the bot.
    pub(super) async fn comes_round(&self, every: Duration) -> bool {
        loop {
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                () = self.cancel.cancelled() => return false,
            }
            if self.is_introduced() {
                return true;
            }
        }
    }

    /// Whether a user is the bot or a ghost.
    #[must_use]
    pub fn is_ours(&self, user: &UserId) -> bool {
        user == self.client.bot_id() || self.naming.parse(user).is_some()
    }

    /// The transaction id of one effect on the homeserver: unique to its words, the same whenever it is tried.
    pub(super) fn effect_id(&self, words: &[&str]) -> String {
        URL_SAFE_NO_PAD.encode(digest(&self.settings.namespace, words))
    }

    /// The id on the wire of one part of a Matrix event in a chat; the same whenever it is sent.
    pub(super) fn stanza_id(&self, portal: PortalId, event_id: &str, part: usize) -> StanzaId {
        use std::fmt::Write as _;
        let words = [&portal.to_string(), event_id, &part.to_string()];
        let hash = digest(&self.settings.namespace, &words);
        let mut id = String::from("3EB0");
        for byte in &hash[..9] {
            let _ = write!(id, "{byte:02X}");
        }
        StanzaId::parse(id).expect("hexadecimal digits are allowed in a stanza id")
    }
}

/// Workers that do something for a chat while there is a bridge.
fn chat_workers(
    this: &Weak<Bridge>,
    cancel: &CancellationToken,
    job: fn(Arc<Bridge>, LoginId, ChatId) -> BoxFuture<'static, Outcome>,
) -> Workers<(LoginId, ChatId)> {
    let this = this.clone();
    let job: Job<(LoginId, ChatId)> = Arc::new(move |(login, chat)| match this.upgrade() {
        Some(bridge) => job(bridge, login, chat),
        None => Box::pin(std::future::ready(Outcome::Done)),
    });
    Workers::new(job, cancel.clone())
}

/// An event id out of a link.
pub(super) fn event_id(text: &str) -> Option<OwnedEventId> {
    OwnedEventId::try_from(text).ok()
}

/// Locks a cache; a panic elsewhere cannot have left one half-changed, each is changed by single calls.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn digest(namespace: &str, words: &[&str]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(namespace);
    for word in words {
        hasher.update((word.len() as u64).to_be_bytes());
        hasher.update(word);
    }
    hasher.finalize().into()
}
