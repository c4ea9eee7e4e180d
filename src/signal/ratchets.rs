//! The ratchet steps over what a transaction has loaded: encrypt, decrypt, establish, archive.

use std::collections::{HashMap, HashSet};

use futures_util::FutureExt;
use libsignal_protocol::protocol::{
    CiphertextMessage, GenericSignedPreKey, IdentityChange, IdentityKey, PreKeyId, PreKeyRecord,
    PreKeySignalMessage, ProtocolAddress, SessionRecord, SignalProtocolError, SignedPreKeyRecord,
    UsePQRatchet, message_decrypt, message_encrypt, process_prekey_bundle,
};

use super::{
    Address, Bundle, Ciphertext, CiphertextKind, Decrypted, Device, SignalError,
    message::{ciphertext, library_bundle, parse},
    record,
    snapshot::{Identities, PreKeys, SenderKeys, Sessions, SignedPreKeys},
};
use crate::{
    domain::{ChatId, LoginId},
    store::{StoreError, StoreTxn},
};

/// The records of a login that a transaction has touched.
///
/// Dropped without [`save`](Self::save) it changes nothing.
pub struct Ratchets {
    pub(super) login: LoginId,
    sessions: Sessions,
    identities: Identities,
    prekeys: PreKeys,
    signed_prekeys: SignedPreKeys,
    changed_sessions: HashSet<ProtocolAddress>,
    consumed_prekeys: HashSet<PreKeyId>,
    pub(super) sender_keys: SenderKeys,
    /// The groups whose own sender key is a new one, which nobody has.
    pub(super) unshared: HashSet<ChatId>,
}

impl Ratchets {
    /// Nothing loaded yet.
    #[must_use]
    pub fn new(device: &Device) -> Self {
        Self {
            login: device.login,
            sessions: Sessions::default(),
            identities: Identities {
                own: device.identity.clone(),
                registration_id: device.registration_id,
                known: HashMap::new(),
                replacement: None,
                changed: HashSet::new(),
            },
            prekeys: PreKeys::default(),
            signed_prekeys: SignedPreKeys::default(),
            changed_sessions: HashSet::new(),
            consumed_prekeys: HashSet::new(),
            sender_keys: SenderKeys::default(),
            unshared: HashSet::new(),
        }
    }

    /// Encrypts a padded plaintext. The ciphertext may leave only after [`save`](Self::save) and the commit.
    ///
    /// # Errors
    /// Outside the store's; inside [`SignalError::NoSession`] if keys have to be fetched first, also when the session there is
    /// with an identity key that is not the known one any more.
    pub async fn encrypt(
        &mut self,
        txn: &mut dyn StoreTxn,
        to: &Address,
        plaintext: &[u8],
    ) -> Result<Result<Ciphertext, SignalError>, StoreError> {
        self.load(txn, to).await?;
        if !self.can_send(to) {
            return Ok(Err(SignalError::NoSession));
        }
        let step = message_encrypt(
            plaintext,
            to.protocol(),
            &mut self.sessions,
            &mut self.identities,
        );
        Ok(match in_place(step) {
            Ok(message) => {
                self.changed_sessions.insert(to.protocol().clone());
                ciphertext(&message)
            }
            Err(error) => Err(SignalError::of(&error)),
        })
    }

    /// Whether there is a session with an address that may be sent over.
    ///
    /// # Errors
    /// The store's.
    pub async fn has_session(
        &mut self,
        txn: &mut dyn StoreTxn,
        with: &Address,
    ) -> Result<bool, StoreError> {
        self.load(txn, with).await?;
        Ok(self.can_send(with))
    }

    /// The registration id the other side had when the current session was made.
    ///
    /// # Errors
    /// The store's.
    pub async fn remote_registration_id(
        &mut self,
        txn: &mut dyn StoreTxn,
        with: &Address,
    ) -> Result<Option<u32>, StoreError> {
        self.load(txn, with).await?;
        Ok(self
            .session(with)
            .and_then(|record| record.remote_registration_id().ok()))
    }

    /// Whether an identity key (without its type byte) is another than the known one of an address.
    ///
    /// # Errors
    /// The store's.
    pub async fn differs_from_known(
        &mut self,
        txn: &mut dyn StoreTxn,
        of: &Address,
        identity: &[u8; 32],
    ) -> Result<bool, StoreError> {
        self.load(txn, of).await?;
        let known = self.identities.known.get(of.protocol()).copied().flatten();
        Ok(known.is_some_and(|key| key.public_key().public_key_bytes() != identity))
    }

    /// Decrypts a message. A one-time prekey it consumed is deleted, and a changed identity key accepted, by
    /// [`save`](Self::save). A failure changes nothing.
    ///
    /// # Errors
    /// Outside the store's; inside why the message is not to be had.
    pub async fn decrypt(
        &mut self,
        txn: &mut dyn StoreTxn,
        from: &Address,
        kind: CiphertextKind,
        bytes: &[u8],
    ) -> Result<Result<Decrypted, SignalError>, StoreError> {
        let message = match parse(kind, bytes) {
            Ok(message) => message,
            Err(error) => return Ok(Err(error)),
        };
        self.load(txn, from).await?;
        if let CiphertextMessage::PreKeySignalMessage(message) = &message {
            self.load_prekeys(txn, message).await?;
        }
        self.identities.replacement = None;
        let mut rng = rand::rng();
        let step = message_decrypt(
            &message,
            from.protocol(),
            &mut self.sessions,
            &mut self.identities,
            &mut self.prekeys,
            &self.signed_prekeys,
            &mut rng,
            UsePQRatchet::No,
        );
        let result = match in_place(step) {
            Ok(result) => result,
            Err(error) => return Ok(Err(SignalError::of(&error))),
        };
        let address = from.protocol();
        self.changed_sessions.insert(address.clone());
        if let Some(id) = result.consumed_prekey_id {
            self.prekeys.0.insert(id, None);
            self.consumed_prekeys.insert(id);
        }
        // Only a message that makes a session can bring a new key. Any other comes by a session whose key was accepted when
        // it was made; if that key has been replaced since, this is a late message and no news.
        let fresh = kind == CiphertextKind::PreKey
            && result.identity_change == IdentityChange::ReplacedExisting;
        let identity_changed = self.settle_identity(address, fresh);
        Ok(Ok(Decrypted {
            plaintext: result.plaintext,
            identity_changed,
        }))
    }

    /// Makes a session from another device's public keys (X3DH) and archives the one there is. `true` if the identity key is
    /// not the one that was known; it is accepted, and the room has to be told.
    ///
    /// # Errors
    /// Outside the store's; inside [`SignalError::BadSignature`] or [`SignalError::Malformed`], then nothing changed.
    pub async fn establish(
        &mut self,
        txn: &mut dyn StoreTxn,
        with: &Address,
        bundle: &Bundle,
    ) -> Result<Result<bool, SignalError>, StoreError> {
        let keys = match library_bundle(bundle, with.protocol().device_id()) {
            Ok(keys) => keys,
            Err(error) => return Ok(Err(SignalError::of(&error))),
        };
        self.load(txn, with).await?;
        self.identities.replacement = None;
        let mut rng = rand::rng();
        let step = process_prekey_bundle(
            with.protocol(),
            &mut self.sessions,
            &mut self.identities,
            &keys,
            &mut rng,
            UsePQRatchet::No,
        );
        Ok(match in_place(step) {
            Ok(change) => {
                let address = with.protocol();
                self.changed_sessions.insert(address.clone());
                let fresh = change == IdentityChange::ReplacedExisting;
                Ok(self.settle_identity(address, fresh))
            }
            Err(error) => Err(SignalError::of(&error)),
        })
    }

    /// Archives the session with an address: it can be read with, and the next message to it needs a new one.
    ///
    /// # Errors
    /// The store's.
    pub async fn archive(
        &mut self,
        txn: &mut dyn StoreTxn,
        with: &Address,
    ) -> Result<(), StoreError> {
        self.load(txn, with).await?;
        if let Some(Some(record)) = self.sessions.0.get_mut(with.protocol())
            && record.session_state().is_some()
        {
            record
                .archive_current_state()
                .map_err(|error| corrupt(&error))?;
            self.changed_sessions.insert(with.protocol().clone());
        }
        Ok(())
    }

    /// Writes every change into the transaction.
    ///
    /// # Errors
    /// The store's.
    pub async fn save(mut self, txn: &mut dyn StoreTxn) -> Result<(), StoreError> {
        for address in self.changed_sessions.drain() {
            if let Some(Some(session)) = self.sessions.0.get_mut(&address) {
                let bytes = record::write(session).map_err(|error| corrupt(&error))?;
                txn.put_session(self.login, address.as_str(), &bytes)
                    .await?;
            }
        }
        for address in std::mem::take(&mut self.identities.changed) {
            if let Some(Some(key)) = self.identities.known.get(&address) {
                txn.put_identity(self.login, address.as_str(), &key.serialize())
                    .await?;
            }
        }
        for id in self.consumed_prekeys.drain() {
            txn.delete_prekey(self.login, id.into()).await?;
        }
        self.save_sender_keys(txn).await
    }

    fn session(&self, address: &Address) -> Option<&SessionRecord> {
        self.sessions.0.get(address.protocol())?.as_ref()
    }

    fn can_send(&self, to: &Address) -> bool {
        let Some(session) = self.session(to).filter(|r| record::open_for_sending(r)) else {
            return false;
        };
        let known = self.identities.known.get(to.protocol()).copied().flatten();
        let of_session = session
            .session_state()
            .and_then(|state| state.remote_identity_key().ok().flatten());
        known.is_some() && known == of_session
    }

    fn settle_identity(&mut self, address: &ProtocolAddress, fresh: bool) -> bool {
        let Some(key) = self.identities.replacement.take() else {
            return false;
        };
        if fresh {
            self.identities.known.insert(address.clone(), Some(key));
            self.identities.changed.insert(address.clone());
        }
        fresh
    }

    async fn load(&mut self, txn: &mut dyn StoreTxn, address: &Address) -> Result<(), StoreError> {
        let key = address.protocol();
        if self.sessions.0.contains_key(key) {
            return Ok(());
        }
        let bytes = txn.session(self.login, address.as_str()).await?;
        let session = bytes.and_then(|bytes| {
            record::read(&bytes)
                .inspect_err(|_| {
                    tracing::error!(login = %self.login, "a stored session is unreadable and is made anew");
                })
                .ok()
        });
        let identity = txn.identity(self.login, address.as_str()).await?;
        let identity = identity.and_then(|bytes| IdentityKey::decode(&bytes).ok());
        self.sessions.0.insert(key.clone(), session);
        self.identities.known.insert(key.clone(), identity);
        Ok(())
    }

    async fn load_prekeys(
        &mut self,
        txn: &mut dyn StoreTxn,
        message: &PreKeySignalMessage,
    ) -> Result<(), StoreError> {
        if let Some(id) = message.pre_key_id()
            && !self.prekeys.0.contains_key(&id)
        {
            let row = txn.prekey(self.login, id.into()).await?;
            let record = row.and_then(|row| PreKeyRecord::deserialize(&row.record).ok());
            self.prekeys.0.insert(id, record);
        }
        let id = message.signed_pre_key_id();
        if !self.signed_prekeys.0.contains_key(&id) {
            let row = txn.signed_prekey(self.login, id.into()).await?;
            let record = row.and_then(|row| SignedPreKeyRecord::deserialize(&row.record).ok());
            self.signed_prekeys.0.insert(id, record);
        }
        Ok(())
    }
}

/// Runs a library call to its end. Its only waiting points are the stores, and [`super::snapshot`] answers at once.
pub(super) fn in_place<T>(step: impl Future<Output = T>) -> T {
    step.now_or_never()
        .expect("stores in memory never make the library wait")
}

pub(super) fn corrupt(error: &SignalProtocolError) -> StoreError {
    StoreError::Corrupt {
        table: "session",
        reason: SignalError::of(error).to_string(),
    }
}
