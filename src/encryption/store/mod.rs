//! The crypto machine's memory, in the bridge's own database.
//!
//! Whatever the machine gives to be stored at once is one commit. What it gives in several parts while it takes in to-device events
//! is not: a new session is stored, its first message already used up, before the key that came in that message and before the
//! message's hash. A crash between the two would lose the key, and taking the events in once more would not bring it back.
//! [`MachineStore::in_one_step`] therefore holds back all that is written meanwhile, and commits it together with whatever else has
//! to be true with it, such as that the events are taken.

mod changes;
mod crypto_store;
mod error;
mod hold;
mod records;
mod write;

use std::{
    fmt,
    ops::Deref,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::future::BoxFuture;
use matrix_sdk_crypto::olm::StaticAccountData;
use ruma_crypto::{OwnedDeviceId, OwnedRoomId, OwnedUserId, RoomId};

use crate::{
    clock::Clock,
    domain::Timestamp,
    store::{Database, Lane, MachineId, RecordKind, StoreError, StoreTxn},
};
use write::Write;

pub use error::MachineStoreError;

type Result<T> = std::result::Result<T, MachineStoreError>;

/// What is asked of the database: a function of a transaction, the machine and what it is asked with.
type Ask<G, T> = for<'t> fn(
    &'t mut dyn StoreTxn,
    MachineId,
    G,
) -> BoxFuture<'t, std::result::Result<T, StoreError>>;

/// What one crypto machine remembers. Several can share a database; none sees what another remembers. A clone is the same store: the
/// machine has one, and whoever works with the machine another.
#[derive(Clone)]
pub struct MachineStore(Arc<Kept>);

/// What the clones of a store share.
pub struct Kept {
    db: Database,
    machine: MachineId,
    user_id: OwnedUserId,
    device_id: OwnedDeviceId,
    clock: Arc<dyn Clock>,
    /// What never changes of the account, once it was seen.
    own: Mutex<Option<StaticAccountData>>,
    /// Held from the reading of a ratchet until its write has its place in the lane, so that no older state is written later.
    order: tokio::sync::Mutex<()>,
    /// What is written while something is done in one step.
    held: Mutex<Option<Vec<Write>>>,
    /// Whose turn it is to do something in one step.
    turn: tokio::sync::Mutex<()>,
    /// Whether the machine has gone further than the store.
    stale: AtomicBool,
    open: tokio::sync::RwLock<bool>,
}

impl Deref for MachineStore {
    type Target = Kept;
    fn deref(&self) -> &Kept {
        &self.0
    }
}

impl fmt::Debug for MachineStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MachineStore")
            .field("machine", &self.machine)
            .finish_non_exhaustive()
    }
}

impl MachineStore {
    /// The store of the machine of a user's device. Nothing is read yet.
    #[must_use]
    pub fn new(
        db: Database,
        (user_id, device_id): (OwnedUserId, OwnedDeviceId),
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self(Arc::new(Kept {
            db,
            machine: MachineId::new(user_id.as_str(), device_id.as_str()),
            user_id,
            device_id,
            clock,
            own: Mutex::default(),
            order: tokio::sync::Mutex::default(),
            held: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            stale: AtomicBool::new(false),
            open: tokio::sync::RwLock::new(true),
        }))
    }

    /// The machine whose store this is.
    #[must_use]
    pub fn machine(&self) -> &MachineId {
        &self.machine
    }

    /// The lane in which this machine's state is written.
    #[must_use]
    pub fn lane(&self) -> Lane {
        Lane::machine(&self.machine)
    }

    /// What never changes of the account, if it was loaded or stored by this value.
    #[must_use]
    pub fn get_static_account(&self) -> Option<StaticAccountData> {
        self.own().clone()
    }

    /// The rooms that are known to be encrypted.
    ///
    /// # Errors
    /// The database's.
    pub async fn encrypted_rooms(&self) -> Result<Vec<OwnedRoomId>> {
        let records = self.list(RecordKind::RoomSettings, None).await?;
        let ids = records.into_iter().map(|record| record.scope);
        Ok(ids
            .filter_map(|id| OwnedRoomId::try_from(id).ok())
            .collect())
    }

    /// Forgets the ratchets by which messages are sent and received, after an old copy of the database was put back: with them keys
    /// would be used twice. What rooms were read with stays. To be done before a machine is made.
    ///
    /// # Errors
    /// The database's.
    pub async fn forget_ratchets(&self) -> Result<()> {
        self.change((), |txn, machine, ()| {
            Box::pin(async move {
                for kind in [RecordKind::Session, RecordKind::OutboundSession] {
                    txn.delete_machine_records(&machine, kind, None).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Forgets everything, the account with it. To be done when no machine uses it.
    ///
    /// # Errors
    /// The database's.
    pub async fn forget(&self) -> Result<()> {
        *self.own() = None;
        self.change((), |txn, machine, ()| {
            Box::pin(async move { txn.delete_machine(&machine).await })
        })
        .await
    }

    /// Forgets the keys of a room that came before `before`. How many went.
    ///
    /// # Errors
    /// The database's.
    pub async fn delete_room_keys(&self, room_id: &RoomId, before: Timestamp) -> Result<u64> {
        self.change(
            (room_id.to_string(), before),
            |txn, machine, (room, before)| {
                Box::pin(async move { txn.delete_room_keys(&machine, &room, before).await })
            },
        )
        .await
    }

    /// Forgets the keys of all rooms that came before `before`, but for the newest of each device and room if `spares_newest`: it may
    /// still be in use. How many went.
    ///
    /// # Errors
    /// The database's.
    pub async fn delete_all_room_keys(
        &self,
        before: Timestamp,
        spares_newest: bool,
    ) -> Result<u64> {
        self.change((before, spares_newest), |txn, machine, (before, spares)| {
            Box::pin(async move { txn.delete_all_room_keys(&machine, before, spares).await })
        })
        .await
    }

    /// Forgets the keys of a room but for the newest of each device that writes there. How many went.
    ///
    /// # Errors
    /// The database's.
    pub async fn delete_outdated_room_keys(&self, room_id: &RoomId) -> Result<u64> {
        self.change(room_id.to_string(), |txn, machine, room| {
            Box::pin(async move { txn.delete_outdated_room_keys(&machine, &room).await })
        })
        .await
    }

    /// Forgets which messages were decrypted before `before`: nobody brings those again. How many went.
    ///
    /// # Errors
    /// The database's.
    pub async fn forget_message_hashes(&self, before: Timestamp) -> Result<u64> {
        self.change(before, |txn, machine, before| {
            Box::pin(async move {
                txn.prune_machine_records(&machine, RecordKind::MessageHash, before)
                    .await
            })
        })
        .await
    }

    /// Whether the store may be used; it is not closed while the guard lives.
    async fn opened(&self) -> Result<tokio::sync::RwLockReadGuard<'_, bool>> {
        let open = self.open.read().await;
        if !*open {
            return Err(MachineStoreError::Closed);
        }
        if self.stale.load(Ordering::Acquire) {
            return Err(MachineStoreError::Stale);
        }
        Ok(open)
    }

    fn own(&self) -> MutexGuard<'_, Option<StaticAccountData>> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        Timestamp(self.clock.now_ms())
    }

    /// Reads what is committed.
    async fn read<G, T>(&self, given: G, ask: Ask<G, T>) -> Result<T>
    where
        G: Clone + Send + Sync + 'static,
        T: Send + 'static,
    {
        let _open = self.opened().await?;
        let machine = self.machine.clone();
        let read = self
            .db
            .read(move |txn| ask(txn, machine.clone(), given.clone()));
        Ok(read.await?)
    }

    /// Changes something at once, whatever is held back.
    async fn change<G, T>(&self, given: G, ask: Ask<G, T>) -> Result<T>
    where
        G: Clone + Send + Sync + 'static,
        T: Send + 'static,
    {
        let _open = self.opened().await?;
        let machine = self.machine.clone();
        let step = self.db.step(self.lane(), move |txn| {
            ask(txn, machine.clone(), given.clone())
        });
        Ok(step.await?)
    }
}
