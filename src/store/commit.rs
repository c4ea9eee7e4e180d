//! Group commit: steps that wait at the same time share one durable commit.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    MachineId, Store, StoreError, StoreTxn,
    guard::Guard,
    writer::{Job, StepJob, Writer},
};
use crate::domain::LoginId;

/// How many steps may wait for a writer before those that give more have to wait.
const WAITING: usize = 256;
/// How often a read is tried when its connection breaks.
const READ_TRIES: usize = 3;

/// Which writer takes a step. Steps of one lane happen in the order they were given and never at the same time; a ratchet
/// is only ever touched in its login's lane, which is the lock an address needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lane(u64);

impl Lane {
    /// The lane of a login: its ratchets, outbox and inbox.
    #[must_use]
    pub fn login(login: LoginId) -> Self {
        Self::of(&login)
    }

    /// The lane of a crypto machine: its ratchets, and what is to be true together with them.
    #[must_use]
    pub fn machine(machine: &MachineId) -> Self {
        Self::of(machine)
    }

    /// The lane of a Matrix room, for what touches no login.
    #[must_use]
    pub fn room(room_id: &str) -> Self {
        Self::of(&room_id)
    }

    /// Which of a number of writers that is.
    fn index(self, writers: usize) -> usize {
        usize::try_from(self.0 % writers as u64).expect("less than a usize")
    }

    fn of(key: &impl Hash) -> Self {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        Self(hasher.finish())
    }
}

/// What a step does; it may run more than once (each time in a transaction of its own that forgets the last try), so it owns
/// or clones what it needs.
pub trait Step<T>:
    for<'t> Fn(&'t mut dyn StoreTxn) -> BoxFuture<'t, Result<T, StoreError>> + Send + Sync + 'static
{
}
impl<T, F> Step<T> for F where
    F: for<'t> Fn(&'t mut dyn StoreTxn) -> BoxFuture<'t, Result<T, StoreError>>
        + Send
        + Sync
        + 'static
{
}

/// The store with its writers.
#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn Store>,
    lanes: Vec<mpsc::Sender<Box<dyn Job>>>,
    writers: TaskTracker,
    guard_task: TaskTracker,
    closing: CancellationToken,
    guard_closing: CancellationToken,
    /// Cancelled once another process has taken over.
    fenced: CancellationToken,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.closing.cancel();
        self.guard_closing.cancel();
    }
}

impl Database {
    /// Puts writers before a store.
    pub(super) fn new(store: Arc<dyn Store>, epoch: i64, guard: Option<Guard>) -> Self {
        let (closing, guard_closing) = (CancellationToken::new(), CancellationToken::new());
        let (writers, guard_task) = (TaskTracker::new(), TaskTracker::new());
        let guard = guard.map(Arc::new);
        let lanes = (0..store.lanes())
            .map(|lane| {
                let (sender, jobs) = mpsc::channel(WAITING);
                let writer = Writer::new(store.clone(), lane, epoch, guard.clone());
                writers.spawn(writer.run(jobs, closing.clone()));
                sender
            })
            .collect();
        if let Some(guard) = guard {
            guard_task.spawn(guard.keep_synced(guard_closing.clone()));
        }
        Self {
            inner: Arc::new(Inner {
                store,
                lanes,
                writers,
                guard_task,
                closing,
                guard_closing,
                fenced: CancellationToken::new(),
            }),
        }
    }

    /// Runs a step and makes it durable. Resolves after the commit; steps that wait at the same time share it. A step that
    /// fails is alone in its failure: the others of its batch are run again without it. When many wait, this waits for room.
    ///
    /// # Errors
    /// The step's own failure, or the commit's.
    pub async fn step<T: Send + 'static>(
        &self,
        lane: Lane,
        step: impl Step<T>,
    ) -> Result<T, StoreError> {
        self.queue(lane, step).await?.await
    }

    /// Gives a step its place in the order of its lane; what this resolves to then resolves as [`Database::step`] does. For whoever
    /// must not let another step of the lane go between the making of a step and its place, and need not wait for the commit.
    ///
    /// # Errors
    /// [`StoreError::Closed`]; then the step's own failure, or the commit's.
    pub async fn queue<T: Send + 'static, S: Step<T>>(
        &self,
        lane: Lane,
        step: S,
    ) -> Result<impl Future<Output = Result<T, StoreError>> + Send + use<T, S>, StoreError> {
        let lanes = &self.inner.lanes;
        let lane = lane.index(lanes.len());
        let (answer, answered) = oneshot::channel();
        let job = Box::new(StepJob::new(step, answer));
        lanes[lane]
            .send(job)
            .await
            .map_err(|_| StoreError::Closed)?;
        let fenced = self.inner.fenced.clone();
        Ok(async move {
            let outcome = answered.await.map_err(|_| StoreError::Closed)?;
            if let Err(StoreError::Fenced { .. }) = outcome {
                fenced.cancel();
            }
            outcome
        })
    }

    /// Resolves when a step was refused because another process has taken over the database: that one is the bridge now.
    pub async fn fenced(&self) {
        self.inner.fenced.cancelled().await;
    }

    /// Reads, waiting for no writer.
    ///
    /// # Errors
    /// The read's own failure.
    pub async fn read<T: Send + 'static>(&self, step: impl Step<T>) -> Result<T, StoreError> {
        let mut tries = 1;
        loop {
            match self.read_once(&step).await {
                Err(error) if error.is_passing() && tries < READ_TRIES => tries += 1,
                outcome => return outcome,
            }
        }
    }

    async fn read_once<T>(&self, step: &impl Step<T>) -> Result<T, StoreError> {
        let mut txn = self.inner.store.begin_read().await?;
        let value = step(&mut *txn).await?;
        txn.rollback().await?;
        Ok(value)
    }

    /// Remembers that every session was made anew, as an [`OpenReport`](super::OpenReport) asked for. Until then every start asks.
    ///
    /// # Errors
    /// The commit's failure.
    pub async fn sessions_renewed(&self) -> Result<(), StoreError> {
        self.step(Lane(0), |txn| txn.set_renewal(None)).await
    }

    /// `sqlite` or `postgres`.
    #[must_use]
    pub fn engine(&self) -> &'static str {
        self.inner.store.engine()
    }

    /// Finishes what was given, then closes the store. Later steps fail with [`StoreError::Closed`].
    pub async fn close(&self) {
        let inner = &self.inner;
        inner.closing.cancel();
        inner.writers.close();
        inner.writers.wait().await;
        inner.guard_closing.cancel();
        inner.guard_task.close();
        inner.guard_task.wait().await;
        inner.store.close().await;
    }
}
