//! Group commit: steps that wait at the same time share one durable commit.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use futures_util::future::BoxFuture;

use super::{Store, StoreError, StoreTxn};
use crate::domain::LoginId;

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

    /// The lane of a Matrix room, for what touches no login.
    #[must_use]
    pub fn room(room_id: &str) -> Self {
        Self::of(&room_id)
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
    store: Arc<dyn Store>,
}

impl Database {
    /// Puts writers before a store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// Runs a step and makes it durable. Resolves after the commit; steps that wait at the same time share it. A step that
    /// fails is alone in its failure: the others of its batch are run again without it.
    ///
    /// # Errors
    /// The step's own failure, or the commit's.
    pub async fn step<T: Send + 'static>(
        &self,
        lane: Lane,
        step: impl Step<T>,
    ) -> Result<T, StoreError> {
        let _ = lane;
        let mut txn = self.store.begin().await?;
        let value = step(&mut *txn).await?;
        txn.commit().await?;
        Ok(value)
    }

    /// Reads, waiting for no writer.
    ///
    /// # Errors
    /// The read's own failure.
    pub async fn read<T: Send + 'static>(&self, step: impl Step<T>) -> Result<T, StoreError> {
        let mut txn = self.store.begin_read().await?;
        let value = step(&mut *txn).await?;
        txn.rollback().await?;
        Ok(value)
    }

    /// `sqlite` or `postgres`.
    #[must_use]
    pub fn engine(&self) -> &'static str {
        self.store.engine()
    }

    /// Finishes what was given, then closes the store.
    pub async fn close(&self) {
        self.store.close().await;
    }
}
