//! The ratchet steps: encrypt, decrypt, establish, archive, each inside the caller's transaction.

use std::collections::{HashMap, HashSet};

use futures_util::FutureExt;
use libsignal_protocol::protocol::{
    CiphertextMessage, DeviceId, GenericSignedPreKey, IdentityChange, IdentityKey, PreKeyBundle,
    PreKeyId, PreKeyRecord, PreKeySignalMessage, ProtocolAddress, PublicKey, SessionRecord,
    SignalMessage, SignalProtocolError, SignedPreKeyRecord, UsePQRatchet, message_decrypt,
    message_encrypt, process_prekey_bundle,
};

use super::{
    Address, Device, PublicPreKey, PublicSignedPreKey, SignalError, key_id_after_many, record,
    snapshot::{Identities, PreKeys, Sessions, SignedPreKeys},
};
use crate::{
    domain::LoginId,
    store::{StoreError, StoreTxn},
};

/// How far a restored backup moves the ids of one-time prekeys, so that no id handed out after the backup was made means a
/// second key.
const IDS_SKIPPED_BY_RESTORE: u32 = 1 << 16;

/// Which of the two forms a ciphertext has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CiphertextKind {
    /// `pkmsg`: carries what the other side needs to make the session.
    PreKey,
    /// `msg`: of a session both sides have.
    Message,
}

impl CiphertextKind {
    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PreKey => "pkmsg",
            Self::Message => "msg",
        }
    }

    /// The kind of a name on the wire.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "pkmsg" => Some(Self::PreKey),
            "msg" => Some(Self::Message),
            _ => None,
        }
    }
}

/// An encrypted message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ciphertext {
    /// Its form.
    pub kind: CiphertextKind,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// A decrypted message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decrypted {
    /// The plaintext, still padded.
    pub plaintext: Vec<u8>,
    /// Whether the sender's identity key is not the one that was known. The new one is accepted; the room has to be told.
    pub identity_changed: bool,
}

/// The public keys of another device, as fetched from the gatekeeper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bundle {
    /// Its registration id.
    pub registration_id: u32,
    /// Its identity key without the type byte.
    pub identity: [u8; 32],
    /// Its signed prekey.
    pub signed_prekey: PublicSignedPreKey,
    /// One of its one-time prekeys, if it has any left.
    pub prekey: Option<PublicPreKey>,
}

/// The records of a login that a transaction has touched.
///
/// Dropped without [`save`](Self::save) it changes nothing.
pub struct Ratchets {
    login: LoginId,
    sessions: Sessions,
    identities: Identities,
    prekeys: PreKeys,
    signed_prekeys: SignedPreKeys,
    changed_sessions: HashSet<ProtocolAddress>,
    consumed_prekeys: HashSet<PreKeyId>,
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
        Ok(())
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

/// Encrypts one padded plaintext and writes the step into the transaction.
///
/// # Errors
/// As [`Ratchets::encrypt`].
pub async fn encrypt(
    txn: &mut dyn StoreTxn,
    device: &Device,
    to: &Address,
    plaintext: &[u8],
) -> Result<Result<Ciphertext, SignalError>, StoreError> {
    let mut ratchets = Ratchets::new(device);
    let result = ratchets.encrypt(txn, to, plaintext).await?;
    if result.is_ok() {
        ratchets.save(txn).await?;
    }
    Ok(result)
}

/// Decrypts one message and writes the step into the transaction.
///
/// # Errors
/// As [`Ratchets::decrypt`].
pub async fn decrypt(
    txn: &mut dyn StoreTxn,
    device: &Device,
    from: &Address,
    kind: CiphertextKind,
    bytes: &[u8],
) -> Result<Result<Decrypted, SignalError>, StoreError> {
    let mut ratchets = Ratchets::new(device);
    let result = ratchets.decrypt(txn, from, kind, bytes).await?;
    if result.is_ok() {
        ratchets.save(txn).await?;
    }
    Ok(result)
}

/// Makes one session and writes it into the transaction.
///
/// # Errors
/// As [`Ratchets::establish`].
pub async fn establish(
    txn: &mut dyn StoreTxn,
    device: &Device,
    with: &Address,
    bundle: &Bundle,
) -> Result<Result<bool, SignalError>, StoreError> {
    let mut ratchets = Ratchets::new(device);
    let result = ratchets.establish(txn, with, bundle).await?;
    if result.is_ok() {
        ratchets.save(txn).await?;
    }
    Ok(result)
}

/// Archives one session.
///
/// # Errors
/// The store's.
pub async fn archive_session(
    txn: &mut dyn StoreTxn,
    device: &Device,
    with: &Address,
) -> Result<(), StoreError> {
    let mut ratchets = Ratchets::new(device);
    ratchets.archive(txn, with).await?;
    ratchets.save(txn).await
}

/// After a backup was restored: closes every session of a login for sending and skips prekey ids, because what was sent and
/// handed out since the backup is unknown. What arrives late can still be read.
///
/// # Errors
/// The store's.
pub async fn archive_all_sessions(
    txn: &mut dyn StoreTxn,
    login: LoginId,
) -> Result<(), StoreError> {
    for row in txn.sessions(login).await? {
        let Ok(mut session) = record::read(&row.record) else {
            continue;
        };
        record::close_for_sending(&mut session).map_err(|error| corrupt(&error))?;
        let bytes = record::write(&mut session).map_err(|error| corrupt(&error))?;
        txn.put_session(login, &row.address, &bytes).await?;
    }
    if let Some(row) = txn.login(login).await? {
        let next = key_id_after_many(row.next_prekey_id, IDS_SKIPPED_BY_RESTORE);
        txn.insert_prekeys(login, &[], next).await?;
    }
    Ok(())
}

/// Runs a library call to its end. Its only waiting points are the stores, and [`super::snapshot`] answers at once.
fn in_place<T>(step: impl Future<Output = T>) -> T {
    step.now_or_never()
        .expect("stores in memory never make the library wait")
}

fn parse(kind: CiphertextKind, bytes: &[u8]) -> Result<CiphertextMessage, SignalError> {
    let parsed = match kind {
        CiphertextKind::PreKey => {
            PreKeySignalMessage::try_from(bytes).map(CiphertextMessage::PreKeySignalMessage)
        }
        CiphertextKind::Message => {
            SignalMessage::try_from(bytes).map(CiphertextMessage::SignalMessage)
        }
    };
    parsed.map_err(|error| SignalError::of(&error))
}

fn ciphertext(message: &CiphertextMessage) -> Result<Ciphertext, SignalError> {
    let kind = match message {
        CiphertextMessage::PreKeySignalMessage(_) => CiphertextKind::PreKey,
        CiphertextMessage::SignalMessage(_) => CiphertextKind::Message,
        _ => return Err(SignalError::Malformed("not a message of a session")),
    };
    Ok(Ciphertext {
        kind,
        bytes: message.serialize().to_vec(),
    })
}

fn library_bundle(bundle: &Bundle, device: DeviceId) -> Result<PreKeyBundle, SignalProtocolError> {
    let prekey = bundle
        .prekey
        .map(|key| {
            PublicKey::from_djb_public_key_bytes(&key.value).map(|value| (key.id.into(), value))
        })
        .transpose()?;
    PreKeyBundle::new(
        bundle.registration_id,
        device,
        prekey,
        bundle.signed_prekey.id.into(),
        PublicKey::from_djb_public_key_bytes(&bundle.signed_prekey.value)?,
        bundle.signed_prekey.signature.to_vec(),
        IdentityKey::new(PublicKey::from_djb_public_key_bytes(&bundle.identity)?),
    )
}

fn corrupt(error: &SignalProtocolError) -> StoreError {
    StoreError::Corrupt {
        table: "session",
        reason: SignalError::of(error).to_string(),
    }
}
