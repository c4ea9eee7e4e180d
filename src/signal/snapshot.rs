//! The library's stores over records in memory: they answer at once, so the library's futures never wait.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use libsignal_protocol::protocol::{
    Direction, IdentityChange, IdentityKey, IdentityKeyPair, IdentityKeyStore, PreKeyId,
    PreKeyRecord, PreKeyStore, ProtocolAddress, SenderKeyName, SenderKeyRecord, SenderKeyStore,
    SessionRecord, SessionStore, SignalProtocolError, SignedPreKeyId, SignedPreKeyRecord,
    SignedPreKeyStore,
};

use super::sender_record::StoredKey;
use crate::domain::Timestamp;

type Result<T> = std::result::Result<T, SignalProtocolError>;

/// Sessions by address; `None` for an address that has none.
#[derive(Default)]
pub(super) struct Sessions(pub(super) HashMap<ProtocolAddress, Option<SessionRecord>>);

#[async_trait]
impl SessionStore for Sessions {
    async fn load_session(&self, address: &ProtocolAddress) -> Result<Option<SessionRecord>> {
        Ok(self.0.get(address).cloned().flatten())
    }

    async fn has_session(&self, address: &ProtocolAddress) -> Result<bool> {
        Ok(self.0.get(address).is_some_and(Option::is_some))
    }

    async fn store_session(
        &mut self,
        address: &ProtocolAddress,
        mut record: SessionRecord,
    ) -> Result<()> {
        record.waive_counter_lease();
        self.0.insert(address.clone(), Some(record));
        Ok(())
    }
}

/// Identity keys by address, and our own.
pub(super) struct Identities {
    pub(super) own: IdentityKeyPair,
    pub(super) registration_id: u32,
    pub(super) known: HashMap<ProtocolAddress, Option<IdentityKey>>,
    /// A key the last operation saw in place of the known one. The operation decides whether it counts: a late message of an
    /// old session carries the old key.
    pub(super) replacement: Option<IdentityKey>,
    /// The addresses whose key is to be written.
    pub(super) changed: HashSet<ProtocolAddress>,
}

#[async_trait]
impl IdentityKeyStore for Identities {
    async fn get_identity_key_pair(&self) -> Result<IdentityKeyPair> {
        Ok(self.own.clone())
    }

    async fn get_local_registration_id(&self) -> Result<u32> {
        Ok(self.registration_id)
    }

    async fn save_identity(
        &mut self,
        address: &ProtocolAddress,
        identity: &IdentityKey,
    ) -> Result<IdentityChange> {
        let known = self.known.entry(address.clone()).or_default();
        match known {
            None => {
                *known = Some(*identity);
                self.changed.insert(address.clone());
                Ok(IdentityChange::NewOrUnchanged)
            }
            Some(key) if key == identity => Ok(IdentityChange::NewOrUnchanged),
            Some(_) => {
                self.replacement = Some(*identity);
                Ok(IdentityChange::ReplacedExisting)
            }
        }
    }

    /// A changed key is accepted and announced in the room.
    async fn is_trusted_identity(
        &self,
        _address: &ProtocolAddress,
        _identity: &IdentityKey,
        _direction: Direction,
    ) -> Result<bool> {
        Ok(true)
    }

    async fn get_identity(&self, address: &ProtocolAddress) -> Result<Option<IdentityKey>> {
        Ok(self.known.get(address).copied().flatten())
    }
}

/// One-time prekeys by id; `None` for one that is not there.
#[derive(Default)]
pub(super) struct PreKeys(pub(super) HashMap<PreKeyId, Option<PreKeyRecord>>);

#[async_trait]
impl PreKeyStore for PreKeys {
    async fn get_pre_key(&self, id: PreKeyId) -> Result<PreKeyRecord> {
        let found = self.0.get(&id).cloned().flatten();
        found.ok_or(SignalProtocolError::InvalidPreKeyId)
    }

    async fn save_pre_key(&mut self, id: PreKeyId, record: &PreKeyRecord) -> Result<()> {
        self.0.insert(id, Some(record.clone()));
        Ok(())
    }

    async fn remove_pre_key(&mut self, id: PreKeyId) -> Result<()> {
        self.0.insert(id, None);
        Ok(())
    }
}

/// Signed prekeys by id; `None` for one that is not there.
#[derive(Default)]
pub(super) struct SignedPreKeys(pub(super) HashMap<SignedPreKeyId, Option<SignedPreKeyRecord>>);

#[async_trait]
impl SignedPreKeyStore for SignedPreKeys {
    async fn get_signed_pre_key(&self, id: SignedPreKeyId) -> Result<SignedPreKeyRecord> {
        let found = self.0.get(&id).cloned().flatten();
        found.ok_or(SignalProtocolError::InvalidSignedPreKeyId)
    }

    async fn save_signed_pre_key(
        &mut self,
        id: SignedPreKeyId,
        record: &SignedPreKeyRecord,
    ) -> Result<()> {
        self.0.insert(id, Some(record.clone()));
        Ok(())
    }
}

/// Sender keys by group and member; `None` for a member whose key is not there.
#[derive(Default)]
pub(super) struct SenderKeys {
    pub(super) known: HashMap<SenderKeyName, Option<StoredKey>>,
    /// Those that are to be written, or deleted.
    pub(super) changed: HashSet<SenderKeyName>,
    /// When the next new key is made.
    pub(super) now: Timestamp,
}

impl SenderKeys {
    pub(super) fn stored(&self, name: &SenderKeyName) -> Option<&StoredKey> {
        self.known.get(name)?.as_ref()
    }
}

#[async_trait]
impl SenderKeyStore for SenderKeys {
    async fn store_sender_key(
        &mut self,
        name: &SenderKeyName,
        mut record: SenderKeyRecord,
    ) -> Result<()> {
        record.waive_counter_lease()?;
        let made_at = self.stored(name).map_or(self.now, |stored| stored.made_at);
        let stored = StoredKey { made_at, record };
        self.known.insert(name.clone(), Some(stored));
        self.changed.insert(name.clone());
        Ok(())
    }

    async fn load_sender_key(&self, name: &SenderKeyName) -> Result<Option<SenderKeyRecord>> {
        Ok(self.stored(name).map(|stored| stored.record.clone()))
    }
}
