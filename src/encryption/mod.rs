//! Encrypted rooms, end to bridge: the bot's device has the keys, for the bot, the ghosts and the puppets alike.
//!
//! The cryptography is a library's ([`matrix_sdk_crypto`]). Here is what it needs around it: its state in the bridge's database
//! ([`MachineStore`]), what homeservers send to the device taken out of the store in order ([`intake`]), who is in which room
//! ([`rooms`]), the device itself ([`machine`], [`device`], [`way`]), and the identity that signs it ([`identity`], [`secrets`]). The rest of the bridge sees [`RoomCipher`](crate::matrix::RoomCipher)
//! alone.
//!
//! A ghost has no device: what it says is encrypted with the bot's keys and sent as the ghost, as bridges do. Clients can show that the
//! device and the sender differ.

mod asking;
mod check;
mod cipher;
mod device;
mod identity;
mod intake;
mod machine;
mod rooms;
mod secrets;
mod store;
mod upkeep;
mod way;

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use matrix_sdk_crypto::{CollectStrategy, DecryptionSettings, TrustRequirement};
use ruma_crypto::{OwnedDeviceId, OwnedUserId};
use tokio::sync::{Mutex, Notify, RwLock, watch};
use tokio_util::sync::CancellationToken;

pub use check::{check, device_id};
pub use identity::recovery_key;
pub use machine::EncryptionError;
pub use store::{MachineStore, MachineStoreError};

use self::{machine::Machine, rooms::Rooms};
use crate::{
    clock::Clock,
    config::{DeviceTrust, EncryptionConfig, KeyDelivery},
    matrix::{Client, GhostNaming, MatrixError, appservice::AppserviceSink},
    store::Database,
};

/// How often the machine is asked what it wants sent, without a reason.
const LOOK_EVERY: Duration = Duration::from_mins(5);
/// The pause after a failure, doubled up to the second.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));
/// How long what is to be encrypted waits for the device's keys to be at the homeserver.
const PATIENCE: Duration = Duration::from_secs(10);
/// Whether transactions bring what is for the device, once one did.
const CARRIED: &str = "encryption.transactions_carry";

/// Where the device stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceState {
    /// Its keys were not offered to the homeserver yet.
    Starting,
    /// Its keys are at the homeserver: it can be written to.
    Ready,
    /// The homeserver does not take them: why.
    Refused(String),
}

/// What encryption needs of the rest.
pub struct EncryptionParts {
    /// The database.
    pub db: Database,
    /// The homeserver.
    pub client: Client,
    /// Who is a ghost.
    pub naming: GhostNaming,
    /// The section `encryption` of the configuration.
    pub config: EncryptionConfig,
    /// What the keys of the bridge's own marks begin with (`bridge.namespace`).
    pub namespace: String,
    /// Whether an old copy of the database was put back, so that none of its ratchets may be used again.
    pub renewed: bool,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// The bot's device and all it knows; cheap to clone.
#[derive(Clone)]
pub struct Encryption(Arc<Inner>);

struct Inner {
    db: Database,
    client: Client,
    naming: GhostNaming,
    config: EncryptionConfig,
    /// What marks of the bridge begin with, up to their dot.
    marks: String,
    clock: Arc<dyn Clock>,
    who: (OwnedUserId, OwnedDeviceId),
    /// Used by many at a time, and by nobody else while it takes what came for the device.
    machine: RwLock<Machine>,
    rooms: Rooms,
    /// Whoever asks the homeserver whose devices there are, and for keys of theirs.
    asking: Mutex<()>,
    /// Whoever takes what came for the device.
    taking: Mutex<()>,
    /// Whether something that came waits in the store.
    waiting: AtomicBool,
    /// Counts the changes of anybody's devices.
    devices: AtomicU64,
    carried: AtomicBool,
    /// Whether it is known as which device requests are made.
    found_way: AtomicBool,
    /// Whether the device is signed, or cannot be until the next start.
    signed: AtomicBool,
    /// Whether somebody may have been asked for a key.
    asked: AtomicBool,
    state: watch::Sender<DeviceState>,
    wake: Notify,
    sink: OnceLock<Arc<dyn AppserviceSink>>,
}

impl Encryption {
    /// The device of the client's bot, made if there is none. Nothing is sent. The client uses that device from then on.
    ///
    /// # Errors
    /// Why its keys cannot be read or made.
    pub async fn open(parts: EncryptionParts) -> Result<Self, EncryptionError> {
        let EncryptionParts {
            db,
            client,
            naming,
            config,
            namespace,
            renewed,
            clock,
        } = parts;
        let user = OwnedUserId::try_from(client.bot_id().as_str())
            .map_err(|error| EncryptionError::Crypto(error.to_string()))?;
        let (device, before) = device::id(&db, renewed).await?;
        client.set_bot_device(device.as_str());
        let share = config.share_keys;
        let who = (user, device);
        let machine = Machine::open(&db, who.clone(), clock.clone(), share).await?;
        if !before.is_empty() {
            for id in before {
                let old = (who.0.clone(), id);
                let old = Machine::open(&db, old, clock.clone(), share).await?;
                device::inherit(&machine, old).await?;
            }
            device::handed_on(&db).await?;
        }
        let carried = db
            .read(|txn| Box::pin(async move { txn.value(CARRIED).await }))
            .await?
            .is_some();
        Ok(Self(Arc::new(Inner {
            db,
            client,
            naming,
            config,
            marks: format!("{namespace}."),
            clock,
            who,
            machine: RwLock::new(machine),
            rooms: Rooms::default(),
            asking: Mutex::default(),
            taking: Mutex::default(),
            waiting: AtomicBool::new(true),
            devices: AtomicU64::new(0),
            carried: AtomicBool::new(carried),
            found_way: AtomicBool::new(false),
            signed: AtomicBool::new(false),
            asked: AtomicBool::new(true),
            state: watch::Sender::new(DeviceState::Starting),
            wake: Notify::new(),
            sink: OnceLock::new(),
        })))
    }

    /// Where the device stands.
    #[must_use]
    pub fn state(&self) -> DeviceState {
        self.0.state.borrow().clone()
    }

    /// Waits until the device's state is another one than `known`; what it is then.
    pub async fn state_after(&self, known: &DeviceState) -> DeviceState {
        let mut states = self.0.state.subscribe();
        // The sender lives in `self`.
        match states.wait_for(|state| state != known).await {
            Ok(state) => state.clone(),
            Err(_) => known.clone(),
        }
    }

    /// The device's id.
    #[must_use]
    pub fn device_id(&self) -> &str {
        self.0.who.1.as_str()
    }

    /// Offers the device's keys, takes what comes for it, and tells `sink` of keys that came, until it is cancelled. The bot has to be
    /// registered.
    pub async fn run(&self, sink: Arc<dyn AppserviceSink>, cancel: CancellationToken) {
        // Only the first counts, and it is the only one.
        let _ = self.0.sink.set(sink);
        let working = Box::pin(async { tokio::join!(self.keep_working(), self.keep_forgetting()) });
        cancel.run_until_cancelled(working).await;
    }

    async fn keep_working(&self) {
        let inner = &self.0;
        let mut pause = PAUSES.0;
        let mut is_tidy = false;
        loop {
            let woken = inner.wake.notified();
            let worked = self.work().await;
            let done = match worked {
                Ok(()) => {
                    let signed = inner.try_to_sign().await;
                    self.become_state(DeviceState::Ready);
                    signed
                }
                Err(error) => Err(error),
            };
            match done {
                Ok(()) => {
                    pause = PAUSES.0;
                    if !is_tidy {
                        is_tidy = true;
                        inner.delete_outdated_devices().await;
                    }
                    let _ = tokio::time::timeout(LOOK_EVERY, woken).await;
                }
                Err(error) => {
                    if let Some(reason) = error.refusal() {
                        self.become_state(DeviceState::Refused(reason));
                    }
                    tracing::debug!(%error, "the bot's device could not do what is to be done");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSES.1);
                }
            }
        }
    }

    /// Takes what came and sends what the machine wants sent.
    async fn work(&self) -> Result<(), EncryptionError> {
        self.0.find_way().await?;
        self.take_traffic().await?;
        self.0.send_requests().await?;
        self.0.take_back_requests().await
    }
}

impl Encryption {
    /// Keeps in which state the device is, and tells of it when that is news.
    fn become_state(&self, state: DeviceState) {
        let refusal = match &state {
            DeviceState::Refused(reason) => Some(reason.clone()),
            _ => None,
        };
        if self.0.become_state(state)
            && let Some(sink) = self.0.sink.get()
        {
            sink.device_changed(refusal.as_deref());
        }
    }
}

impl Inner {
    /// Signs the device. What does not pass by itself is told once, and tried again after the next start: an unsigned device works.
    async fn try_to_sign(&self) -> Result<(), EncryptionError> {
        match self.sign().await {
            Err(error) if !error.is_transient() => {
                tracing::error!(%error, "the bot's device is not cross-signed: clients that exclude such devices give it no keys, so what they say cannot be carried");
                self.signed.store(true, Ordering::Release);
                Ok(())
            }
            other => other,
        }
    }

    /// Whether that is news.
    fn become_state(&self, state: DeviceState) -> bool {
        self.state.send_if_modified(|current| {
            if *current == state {
                return false;
            }
            match &state {
                DeviceState::Refused(reason) => tracing::error!(
                    reason,
                    "encrypted rooms cannot be bridged: the homeserver does not take the keys of the bot's device; `drawbridge doctor` tells what it needs"
                ),
                DeviceState::Ready => {
                    tracing::info!(device = %self.who.1, "the bot's device can be written to");
                }
                DeviceState::Starting => {}
            }
            *current = state;
            true
        })
    }

    /// Sends what the machine wants sent, until it wants nothing more.
    async fn send_requests(&self) -> Result<(), EncryptionError> {
        let _one = self.asking.lock().await;
        for _ in 0..16 {
            let machine = self.machine.read().await;
            let requests = machine.olm.outgoing_requests().await?;
            // Sessions that broke, found out when something could not be decrypted.
            let broken = machine
                .olm
                .get_missing_sessions(std::iter::empty::<&'static ruma_crypto::UserId>())
                .await?;
            drop(machine);
            if requests.is_empty() && broken.is_none() {
                return Ok(());
            }
            for request in &requests {
                self.send(request).await?;
            }
            if let Some((id, claim)) = broken {
                self.claim(&id, &claim).await?;
            }
        }
        Ok(())
    }

    /// How far a device has to be trusted for its messages to be read.
    fn decryption(&self) -> DecryptionSettings {
        DecryptionSettings {
            sender_device_trust_requirement: match self.config.receive_from {
                DeviceTrust::Any => TrustRequirement::Untrusted,
                DeviceTrust::CrossSigned => TrustRequirement::CrossSigned,
            },
        }
    }

    fn strategy(&self) -> CollectStrategy {
        match self.config.send_to {
            DeviceTrust::Any => CollectStrategy::AllDevices,
            DeviceTrust::CrossSigned => CollectStrategy::IdentityBasedStrategy,
        }
    }

    /// Waits a little until the device's keys are at the homeserver: what is encrypted before comes from nobody.
    async fn ready(&self) -> Result<(), MatrixError> {
        let mut states = self.state.subscribe();
        let settled = states.wait_for(|state| *state != DeviceState::Starting);
        match tokio::time::timeout(PATIENCE, settled).await {
            Ok(Ok(state)) => match &*state {
                DeviceState::Refused(reason) => Err(MatrixError::Encryption(reason.clone())),
                DeviceState::Ready | DeviceState::Starting => Ok(()),
            },
            _ => Err(MatrixError::Encryption(
                "the keys of the bot's device are not at the homeserver yet".to_owned(),
            )),
        }
    }

    /// Whether what is for the device has to be asked for.
    fn needs_sync(&self) -> bool {
        match self.config.delivery {
            KeyDelivery::Sync => true,
            KeyDelivery::Transactions => false,
            KeyDelivery::Auto => !self.carried.load(Ordering::Relaxed),
        }
    }
}
