//! Writing: each time at once, or all that belongs together in one step.

use std::sync::{Arc, MutexGuard, PoisonError, atomic::Ordering};

use super::{
    MachineStore, MachineStoreError, Result,
    write::{self, Write},
};
use crate::store::{Step, StoreError};

tokio::task_local! {
    /// The store in one step of which the current task works.
    static HOLDER: usize;
}

/// What is held back; if it is not committed, the machine is ahead of its store.
struct Hold<'s> {
    store: &'s MachineStore,
    committed: bool,
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        *self.store.held() = None;
        if !self.committed {
            self.store.stale.store(true, Ordering::Release);
        }
    }
}

impl MachineStore {
    /// Does something with the machine and commits all it stores meanwhile in one step, together with what `also` does: either
    /// everything is there afterwards or nothing. Meant for `OlmMachine::receive_sync_changes`, with `also` forgetting the events
    /// it was given.
    ///
    /// The machine may not be used by anybody else until this resolves; what others store meanwhile is refused
    /// ([`MachineStoreError::Held`]), and only what is looked up one by one is seen as it will be, not lists of room keys.
    ///
    /// If it fails, nothing is stored; if its future is dropped, nothing or everything is. But the machine may remember what is not in
    /// the store, so everything asked of this store from then on fails ([`MachineStoreError::Stale`]): drop both, make them anew and
    /// give what events there still are again. Those that were taken after all do no harm: their hashes are known.
    ///
    /// # Errors
    /// What `work` failed with, or the database's.
    pub async fn in_one_step<T, E>(
        &self,
        work: impl Future<Output = std::result::Result<T, E>> + Send,
        also: impl Step<()>,
    ) -> std::result::Result<T, E>
    where
        E: From<MachineStoreError>,
    {
        let _turn = self.turn.lock().await;
        // Not kept: whoever closes the store would wait for this, and what is read within for them.
        drop(self.opened().await?);
        *self.held() = Some(Vec::new());
        let mut hold = Hold {
            store: self,
            committed: false,
        };
        let value = HOLDER.scope(self.address(), work).await?;
        self.commit_held(also).await?;
        hold.committed = true;
        Ok(value)
    }

    async fn commit_held(&self, also: impl Step<()>) -> Result<()> {
        // What others store from here on comes after this.
        let order = self.order.lock().await;
        let writes: Arc<[Write]> = self.held().take().unwrap_or_default().into();
        let (machine, now, also) = (self.machine.clone(), self.now(), Arc::new(also));
        let committed = self
            .db
            .queue(self.lane(), move |txn| {
                let (writes, machine, also) = (writes.clone(), machine.clone(), also.clone());
                Box::pin(async move {
                    write::run(&writes, txn, &machine, now).await?;
                    also(txn).await
                })
            })
            .await?;
        drop(order);
        Ok(committed.await?)
    }

    /// Stores what `writes` comes to.
    pub(super) async fn save(
        &self,
        writes: impl Future<Output = Result<Vec<Write>>> + Send,
    ) -> Result<()> {
        let _open = self.opened().await?;
        let order = self.order.lock().await;
        let writes = writes.await?;
        if let Some(held) = &mut *self.held() {
            if !self.is_held_here() {
                return Err(MachineStoreError::Held);
            }
            held.extend(writes);
            return Ok(());
        }
        if writes.is_empty() {
            return Ok(());
        }
        let (machine, now) = (self.machine.clone(), self.now());
        let writes: Arc<[Write]> = writes.into();
        let committed = self
            .db
            .queue(self.lane(), move |txn| {
                let (writes, machine) = (writes.clone(), machine.clone());
                Box::pin(async move {
                    write::run(&writes, txn, &machine, now).await?;
                    Ok::<_, StoreError>(())
                })
            })
            .await?;
        drop(order);
        Ok(committed.await?)
    }

    /// What is held back, while something is.
    pub(super) fn held(&self) -> MutexGuard<'_, Option<Vec<Write>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is the current task that does something in one step.
    fn is_held_here(&self) -> bool {
        HOLDER
            .try_with(|holder| *holder == self.address())
            .unwrap_or(false)
    }

    fn address(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }
}
