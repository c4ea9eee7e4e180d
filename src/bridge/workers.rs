//! One worker a key, made when there is work and gone when there is none: what keeps order within a room and keeps rooms out of
//! each other's way.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How a worker's run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing is left to do.
    Done,
    /// Something failed that may pass: run again after a while that grows with every failure in a row.
    Retry,
}

/// What a worker does for its key.
pub type Job<K> = Arc<dyn Fn(K) -> BoxFuture<'static, Outcome> + Send + Sync>;

/// The longest wait between two tries.
const LONGEST_WAIT: Duration = Duration::from_mins(1);
/// The wait after the first failure.
const FIRST_WAIT: Duration = Duration::from_millis(500);

struct Slot {
    again: bool,
    hurry: Arc<Notify>,
}

/// The workers of one kind.
pub struct Workers<K> {
    slots: Arc<Mutex<HashMap<K, Slot>>>,
    job: Job<K>,
    tracker: TaskTracker,
    cancel: CancellationToken,
}

impl<K: Clone + Eq + Hash + Send + 'static> Workers<K> {
    /// Workers that do `job`, until `cancel`.
    pub fn new(job: Job<K>, cancel: CancellationToken) -> Self {
        Self {
            slots: Arc::default(),
            job,
            tracker: TaskTracker::new(),
            cancel,
        }
    }

    /// Makes sure the key's job runs at least once more from its beginning.
    pub fn wake(&self, key: K) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get_mut(&key) {
            slot.again = true;
            return;
        }
        if self.cancel.is_cancelled() {
            return;
        }
        let hurry = Arc::new(Notify::new());
        slots.insert(
            key.clone(),
            Slot {
                again: false,
                hurry: hurry.clone(),
            },
        );
        drop(slots);
        self.tracker.spawn(run(
            key,
            hurry,
            self.slots.clone(),
            self.job.clone(),
            self.cancel.clone(),
        ));
    }

    /// Ends the waiting of a key after a failure, if it waits.
    pub fn hurry_one(&self, key: &K) {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(key) {
            slot.hurry.notify_one();
        }
    }

    /// Ends every waiting after a failure: what failed is tried again at once.
    pub fn hurry(&self) {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        for slot in slots.values() {
            slot.hurry.notify_one();
        }
    }

    /// Waits until every worker has ended; they end after `cancel`.
    pub async fn stopped(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}

async fn run<K: Clone + Eq + Hash>(
    key: K,
    hurry: Arc<Notify>,
    slots: Arc<Mutex<HashMap<K, Slot>>>,
    job: Job<K>,
    cancel: CancellationToken,
) {
    let mut wait = FIRST_WAIT;
    while !cancel.is_cancelled() {
        let outcome = job(key.clone()).await;
        if outcome == Outcome::Retry {
            tokio::select! {
                () = tokio::time::sleep(jittered(wait)) => wait = (wait * 2).min(LONGEST_WAIT),
                () = hurry.notified() => wait = FIRST_WAIT,
                () = cancel.cancelled() => break,
            }
            continue;
        }
        wait = FIRST_WAIT;
        let mut slots = slots.lock().unwrap_or_else(PoisonError::into_inner);
        match slots.get_mut(&key) {
            Some(slot) if slot.again => slot.again = false,
            _ => {
                slots.remove(&key);
                return;
            }
        }
    }
    slots
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .remove(&key);
}

/// Between three quarters and five quarters of a wait, so that what failed together is not tried together.
fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(0.75 + rand::random::<f64>() / 2.0)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_wake_during_a_run_causes_another_and_runs_never_overlap() {
        let runs = Arc::new(AtomicUsize::new(0));
        let active = Arc::new(AtomicUsize::new(0));
        let (started, mut starts) = tokio::sync::mpsc::unbounded_channel();
        let gate = Arc::new(Notify::new());
        let job: Job<&'static str> = {
            let (runs, active, gate) = (runs.clone(), active.clone(), gate.clone());
            Arc::new(move |_| {
                let (runs, active, gate, started) =
                    (runs.clone(), active.clone(), gate.clone(), started.clone());
                Box::pin(async move {
                    assert_eq!(active.fetch_add(1, Ordering::SeqCst), 0);
                    runs.fetch_add(1, Ordering::SeqCst);
                    started.send(()).unwrap();
                    gate.notified().await;
                    active.fetch_sub(1, Ordering::SeqCst);
                    Outcome::Done
                })
            })
        };
        let workers = Workers::new(job, CancellationToken::new());
        workers.wake("room");
        starts.recv().await.unwrap();
        workers.wake("room");
        workers.wake("room");
        gate.notify_one();
        starts.recv().await.unwrap();
        gate.notify_one();
        workers.stopped().await;
        assert_eq!(runs.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_failing_key_holds_back_no_other() {
        let done = Arc::new(Notify::new());
        let cancel = CancellationToken::new();
        let job: Job<bool> = {
            let done = done.clone();
            Arc::new(move |fails| {
                let done = done.clone();
                Box::pin(async move {
                    if fails {
                        return Outcome::Retry;
                    }
                    done.notify_one();
                    Outcome::Done
                })
            })
        };
        let workers = Workers::new(job, cancel.clone());
        workers.wake(true);
        workers.wake(false);
        done.notified().await;
        cancel.cancel();
        workers.stopped().await;
    }
}
