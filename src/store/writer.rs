//! The writer of a lane: takes the steps that wait, runs them in one transaction, commits once, answers all.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::{FutureExt as _, future::BoxFuture};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{Step, Store, StoreError, StoreTxn, guard::Guard};

/// How many steps share a commit at most.
const BATCH: usize = 64;
/// How often a step alone is tried when the database says that it may pass.
const TRIES: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(5);

/// A step with the one who waits for it, whatever its value's type.
pub(super) trait Job: Send {
    /// Runs the step in a transaction and keeps its value.
    fn run<'t>(&'t mut self, txn: &'t mut dyn StoreTxn) -> BoxFuture<'t, Result<(), StoreError>>;
    /// Tells the outcome: of the last run, if its commit succeeded.
    fn answer(self: Box<Self>, outcome: Result<(), StoreError>);
}

/// The one [`Job`] there is.
pub(super) struct StepJob<T, S> {
    step: S,
    value: Option<T>,
    answer: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, S> StepJob<T, S> {
    pub(super) fn new(step: S, answer: oneshot::Sender<Result<T, StoreError>>) -> Self {
        Self {
            step,
            value: None,
            answer,
        }
    }
}

impl<T: Send + 'static, S: Step<T>> Job for StepJob<T, S> {
    fn run<'t>(&'t mut self, txn: &'t mut dyn StoreTxn) -> BoxFuture<'t, Result<(), StoreError>> {
        Box::pin(async move {
            self.value = Some((self.step)(txn).await?);
            Ok(())
        })
    }

    fn answer(self: Box<Self>, outcome: Result<(), StoreError>) {
        let Self { value, answer, .. } = *self;
        let outcome = outcome.and_then(|()| value.ok_or(StoreError::Panicked));
        // Whoever asked may have gone away; what is stored stays stored.
        let _ = answer.send(outcome);
    }
}

/// Writes what one lane is given.
pub(super) struct Writer {
    store: Arc<dyn Store>,
    lane: usize,
    epoch: i64,
    guard: Option<Arc<Guard>>,
}

/// A transaction that was committed.
struct Committed {
    /// Whether the guard file knows of it; if not, its effects may not leave.
    guarded: Result<(), StoreError>,
}

impl Writer {
    pub(super) fn new(
        store: Arc<dyn Store>,
        lane: usize,
        epoch: i64,
        guard: Option<Arc<Guard>>,
    ) -> Self {
        Self {
            store,
            lane,
            epoch,
            guard,
        }
    }

    /// Works until told to close, and then until nothing waits.
    pub(super) async fn run(
        self,
        mut jobs: mpsc::Receiver<Box<dyn Job>>,
        closing: CancellationToken,
    ) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let taken = tokio::select! {
                biased;
                () = closing.cancelled(), if !jobs.is_closed() => {
                    jobs.close();
                    continue;
                }
                taken = jobs.recv_many(&mut batch, BATCH) => taken,
            };
            if taken == 0 {
                return;
            }
            self.write(&mut batch).await;
        }
    }

    /// Commits a batch together, or each step alone if that fails.
    async fn write(&self, batch: &mut Vec<Box<dyn Job>>) {
        if batch.len() > 1 {
            match self.attempt(batch).await {
                Ok(committed) => {
                    for job in batch.drain(..) {
                        job.answer(copy(&committed.guarded));
                    }
                    return;
                }
                Err(error) => {
                    tracing::debug!(%error, steps = batch.len(), "a batch failed, each step is tried alone");
                }
            }
        }
        for job in batch.drain(..) {
            self.write_alone(job).await;
        }
    }

    async fn write_alone(&self, mut job: Box<dyn Job>) {
        let mut pause = FIRST_PAUSE;
        let mut tries = 1;
        let outcome = loop {
            match self.attempt(std::slice::from_mut(&mut job)).await {
                Ok(committed) => break committed.guarded,
                Err(error) if error.is_passing() && tries < TRIES => {
                    tracing::debug!(%error, tries, "a step is tried again");
                    tokio::time::sleep(pause).await;
                    pause *= 3;
                    tries += 1;
                }
                Err(error) => break Err(error),
            }
        };
        job.answer(outcome);
    }

    async fn attempt(&self, jobs: &mut [Box<dyn Job>]) -> Result<Committed, StoreError> {
        let mut txn = self.store.begin().await?;
        match self.run_steps(&mut *txn, jobs).await {
            Ok(ratchet_commits) => {
                txn.commit().await?;
                let guarded = match (&self.guard, ratchet_commits) {
                    (Some(guard), Some(commits)) => guard.record(self.lane, commits),
                    _ => Ok(()),
                };
                Ok(Committed { guarded })
            }
            Err(error) => {
                if let Err(error) = txn.rollback().await {
                    tracing::debug!(%error, "a rollback failed; the connection is given up");
                }
                Err(error)
            }
        }
    }

    /// Runs the steps; the new number of commits with ratchet steps, if this is to be one.
    async fn run_steps(
        &self,
        txn: &mut dyn StoreTxn,
        jobs: &mut [Box<dyn Job>],
    ) -> Result<Option<i64>, StoreError> {
        for job in jobs {
            AssertUnwindSafe(job.run(txn))
                .catch_unwind()
                .await
                .map_err(|_| StoreError::Panicked)??;
        }
        let commits = if txn.touched_ratchets() {
            Some(txn.count_ratchet_commit(self.lane).await?)
        } else {
            None
        };
        // Last, for a second reason: had a step swallowed an error, Postgres would answer the COMMIT with a silent rollback; this
        // query fails first.
        let current = txn.epoch().await?;
        if current != self.epoch {
            return Err(StoreError::Fenced {
                current,
                ours: self.epoch,
            });
        }
        Ok(commits)
    }
}

/// The outcome once more, for the next of a batch.
fn copy(outcome: &Result<(), StoreError>) -> Result<(), StoreError> {
    match outcome {
        Err(StoreError::Guard { path, source }) => Err(StoreError::Guard {
            path: path.clone(),
            source: source.kind().into(),
        }),
        _ => Ok(()),
    }
}
