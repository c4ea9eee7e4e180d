//! What can go wrong in a machine's store.

use std::fmt::Display;

use matrix_sdk_crypto::CryptoStoreError;

use crate::store::StoreError;

/// A failure of a machine's store.
#[derive(Debug, thiserror::Error)]
pub enum MachineStoreError {
    /// The database refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A record is not what the crypto library writes.
    #[error("a stored {what} cannot be read: {reason}")]
    Unreadable {
        /// What it should be.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The crypto library made something that cannot be written.
    #[error("a {what} cannot be stored: {reason}")]
    Unwritable {
        /// What it is.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The account asked about was never stored.
    #[error("the device {device_id} of {user_id} has no keys yet")]
    NoAccount {
        /// The user.
        user_id: String,
        /// The device.
        device_id: String,
    },
    /// The account to be stored is not the one this store was made for.
    #[error("the keys of {got} were given to the store of {expected}")]
    OtherAccount {
        /// Whose store it is.
        expected: String,
        /// Whose keys they are.
        got: String,
    },
    /// Something else is being done in one step.
    #[error(
        "the machine was used while what it received was on its way to the store; nothing was stored: wait for that first"
    )]
    Held,
    /// The machine in memory is ahead of the store.
    #[error("what the machine last received was not stored: make the machine and its store anew")]
    Stale,
    /// The store was closed.
    #[error("the machine's store is closed")]
    Closed,
}

impl From<MachineStoreError> for CryptoStoreError {
    fn from(error: MachineStoreError) -> Self {
        Self::backend(error)
    }
}

pub(super) fn unreadable(what: &'static str, reason: &impl Display) -> MachineStoreError {
    MachineStoreError::Unreadable {
        what,
        reason: reason.to_string(),
    }
}

pub(super) fn unwritable(what: &'static str, reason: &impl Display) -> MachineStoreError {
    MachineStoreError::Unwritable {
        what,
        reason: reason.to_string(),
    }
}
