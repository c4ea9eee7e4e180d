//! Our side of every session of a login: its identity key pair and registration id.

use libsignal_protocol::protocol::{IdentityKeyPair, PublicKey};

use super::SignalError;
use crate::{
    domain::LoginId,
    store::{LoginRow, StoreError, StoreTxn},
};

/// The one encryption identity of a login.
#[derive(Clone)]
pub struct Device {
    pub(super) login: LoginId,
    pub(super) identity: IdentityKeyPair,
    pub(super) registration_id: u32,
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Device({})", self.login)
    }
}

impl Device {
    /// The device of a login that is already loaded.
    ///
    /// # Errors
    /// [`SignalError::Malformed`] if the stored identity is no key pair.
    pub fn of(row: &LoginRow) -> Result<Self, SignalError> {
        let identity = IdentityKeyPair::try_from(row.secrets.identity_pair.as_slice())
            .map_err(|_| SignalError::Malformed("the login's identity key pair"))?;
        Ok(Self {
            login: row.id,
            identity,
            registration_id: row.secrets.registration_id,
        })
    }

    /// The device of a login, `None` if there is no such login.
    ///
    /// # Errors
    /// The store's, among them [`StoreError::Corrupt`] if the stored identity is no key pair.
    pub async fn load(
        txn: &mut dyn StoreTxn,
        login: LoginId,
    ) -> Result<Option<(LoginRow, Self)>, StoreError> {
        let Some(row) = txn.login(login).await? else {
            return Ok(None);
        };
        let device = Self::of(&row).map_err(|error| StoreError::Corrupt {
            table: "login",
            reason: error.to_string(),
        })?;
        Ok(Some((row, device)))
    }

    /// Whose it is.
    #[must_use]
    pub fn login(&self) -> LoginId {
        self.login
    }

    /// The registration id, 1 to 16,383.
    #[must_use]
    pub fn registration_id(&self) -> u32 {
        self.registration_id
    }

    /// The public identity key, 32 bytes without its type byte.
    #[must_use]
    pub fn identity(&self) -> [u8; 32] {
        raw(self.identity.public_key())
    }
}

/// A public key without its type byte.
pub(super) fn raw(key: &PublicKey) -> [u8; 32] {
    let serialized = key.serialize();
    let mut raw = [0; 32];
    raw.copy_from_slice(&serialized[1..]);
    raw
}
