//! A contact's own keys and ratchets, as any client of the gatekeeper has them. Nothing here is shared with the bridge.
//!
//! Everything is in memory; what an operation touched is written by [`Keyring::changes`], which the caller commits before what
//! the operation made leaves.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use futures_util::FutureExt;
use libsignal_protocol::protocol::{
    CiphertextMessage, DeviceId, Direction, GenericSignedPreKey, IdentityChange, IdentityKey,
    IdentityKeyPair, IdentityKeyStore, KeyPair, PreKeyBundle, PreKeyId, PreKeyRecord,
    PreKeySignalMessage, PreKeyStore, ProtocolAddress, PublicKey, SessionRecord, SessionStore,
    SignalMessage, SignalProtocolError, SignedPreKeyId, SignedPreKeyRecord, SignedPreKeyStore,
    Timestamp as RecordTime, UsePQRatchet, message_decrypt, message_encrypt, process_prekey_bundle,
};
use rand::RngExt;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::sender_keys::SenderKeys;
use crate::{
    network::interop::wire::Jid,
    sandbox::{
        directory::{DeviceKeys, SignedKey},
        disk::{self, Change, DiskError, Table},
    },
};

type Result<T> = std::result::Result<T, SignalProtocolError>;

/// Which key a ciphertext was made with, and a hash of the ciphertext.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fingerprint {
    /// The sender's ratchet key, which no two sessions share.
    pub(super) ratchet: [u8; 32],
    pub(super) counter: u32,
    pub(super) hash: [u8; 8],
}

/// The keys of a phone that do not change with every message.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct OwnKeys {
    pub(super) noise_private: [u8; 32],
    identity: Vec<u8>,
    registration_id: u32,
    signed: Vec<u8>,
}

impl OwnKeys {
    /// New keys, of a phone that was just installed.
    pub(super) fn generate(now: i64) -> Self {
        let mut rng = rand::rng();
        let identity = IdentityKeyPair::generate(&mut rng);
        let pair = KeyPair::generate(&mut rng);
        let signature = identity
            .private_key()
            .calculate_signature(&pair.public_key.serialize(), &mut rng)
            .expect("a private key signs any message");
        let time = RecordTime::from_epoch_millis(u64::try_from(now).unwrap_or(0));
        let signed = SignedPreKeyRecord::new(SignedPreKeyId::from(1), time, &pair, &signature);
        Self {
            noise_private: rand::random(),
            identity: identity.serialize().into_vec(),
            registration_id: rng.random_range(1..16_380),
            signed: signed
                .serialize()
                .expect("a record made in memory serializes"),
        }
    }
}

#[derive(Default)]
struct Sessions {
    records: HashMap<ProtocolAddress, SessionRecord>,
    touched: HashSet<ProtocolAddress>,
}

struct Identities {
    own: IdentityKeyPair,
    registration_id: u32,
    known: HashMap<ProtocolAddress, IdentityKey>,
    touched: HashSet<ProtocolAddress>,
}

#[derive(Default)]
struct Prekeys(HashMap<PreKeyId, PreKeyRecord>);

struct Signed(SignedPreKeyRecord);

/// The ratchets.
pub(super) struct Keyring {
    owner: Jid,
    sessions: Sessions,
    identities: Identities,
    prekeys: Prekeys,
    signed: Signed,
    next_prekey: u32,
    changes: Vec<Change>,
    /// The keys of groups.
    pub(super) groups: SenderKeys,
}

/// A decrypted message.
pub(super) struct Opened {
    pub(super) plaintext: Vec<u8>,
    pub(super) identity_changed: bool,
}

impl Keyring {
    /// A keyring from a phone's own keys, without sessions.
    pub(super) fn new(owner: Jid, keys: &OwnKeys) -> std::result::Result<Self, DiskError> {
        let corrupt = |error: SignalProtocolError| DiskError::Corrupt {
            table: "contacts",
            reason: error.to_string(),
        };
        let own = IdentityKeyPair::try_from(keys.identity.as_slice()).map_err(corrupt)?;
        let signed = SignedPreKeyRecord::deserialize(&keys.signed).map_err(corrupt)?;
        Ok(Self {
            groups: SenderKeys::new(owner.clone()),
            owner,
            sessions: Sessions::default(),
            identities: Identities {
                own,
                registration_id: keys.registration_id,
                known: HashMap::new(),
                touched: HashSet::new(),
            },
            prekeys: Prekeys::default(),
            signed: Signed(signed),
            next_prekey: 1,
            changes: Vec::new(),
        })
    }

    /// Adds a stored row of one of its tables; a row that cannot be read is left out, which costs a session.
    pub(super) fn restore(&mut self, table: Table, rest: &[u8], value: &[u8]) {
        let name = || std::str::from_utf8(rest.strip_suffix(&[0])?).ok();
        match table {
            Table::ContactPrekeys => {
                if let Ok(record) = PreKeyRecord::deserialize(value)
                    && let Ok(id) = record.id()
                {
                    self.next_prekey = self.next_prekey.max(u32::from(id) + 1);
                    self.prekeys.0.insert(id, record);
                }
            }
            Table::ContactSessions => {
                if let (Some(name), Ok(mut record)) = (name(), SessionRecord::deserialize(value)) {
                    // Each step is committed before its ciphertext leaves.
                    record.waive_counter_lease();
                    self.sessions.records.insert(address_named(name), record);
                }
            }
            Table::ContactIdentities => {
                if let (Some(name), Ok(key)) = (name(), IdentityKey::decode(value)) {
                    self.identities.known.insert(address_named(name), key);
                }
            }
            Table::ContactSenderKeys => self.groups.restore(rest, value),
            _ => {}
        }
    }

    /// What the directory is to know of this phone.
    pub(super) fn device_keys(&self) -> DeviceKeys {
        let signed = &self.signed.0;
        let value = signed.public_key().expect("a stored record has its key");
        DeviceKeys {
            registration_id: self.identities.registration_id,
            identity: raw(self.identities.own.public_key()),
            signed: SignedKey {
                id: signed.id().expect("a stored record has its id").into(),
                value: raw(&value),
                signature: signed
                    .signature()
                    .expect("a stored record has its signature"),
            },
        }
    }

    /// Makes one-time prekeys: their ids and public keys.
    pub(super) fn make_prekeys(&mut self, count: usize) -> Vec<(u32, [u8; 32])> {
        let mut rng = rand::rng();
        let mut made = Vec::with_capacity(count);
        for _ in 0..count {
            let id = self.next_prekey;
            self.next_prekey += 1;
            let pair = KeyPair::generate(&mut rng);
            let record = PreKeyRecord::new(id.into(), &pair);
            let bytes = record
                .serialize()
                .expect("a record made in memory serializes");
            self.changes.push(Change::Put(
                Table::ContactPrekeys,
                self.prekey_key(id),
                bytes,
            ));
            made.push((id, raw(&pair.public_key)));
            self.prekeys.0.insert(id.into(), record);
        }
        made
    }

    /// Whether there is a session to send over.
    pub(super) fn has_session(&self, with: &Jid) -> bool {
        self.sessions
            .records
            .get(&address(with))
            .and_then(SessionRecord::session_state)
            .is_some_and(|state| state.has_usable_sender_chain().unwrap_or(false))
    }

    /// Puts the session aside: the next message needs a new one.
    pub(super) fn archive(&mut self, with: &Jid) {
        let address = address(with);
        if let Some(record) = self.sessions.records.get_mut(&address)
            && record.archive_current_state().is_ok()
        {
            self.sessions.touched.insert(address);
        }
    }

    /// Makes a session from somebody's public keys; `true` if the identity key is another than the one that was known.
    pub(super) fn establish(
        &mut self,
        with: &Jid,
        keys: &DeviceKeys,
        prekey: Option<(u32, [u8; 32])>,
    ) -> Result<bool> {
        let point = |bytes: &[u8; 32]| PublicKey::from_djb_public_key_bytes(bytes);
        let prekey = prekey
            .map(|(id, value)| Ok::<_, SignalProtocolError>((PreKeyId::from(id), point(&value)?)))
            .transpose()?;
        let bundle = PreKeyBundle::new(
            keys.registration_id,
            DeviceId::new(0),
            prekey,
            keys.signed.id.into(),
            point(&keys.signed.value)?,
            keys.signed.signature.clone(),
            IdentityKey::new(point(&keys.identity)?),
        )?;
        let mut rng = rand::rng();
        let change = in_place(process_prekey_bundle(
            &address(with),
            &mut self.sessions,
            &mut self.identities,
            &bundle,
            &mut rng,
            UsePQRatchet::No,
        ))?;
        Ok(change == IdentityChange::ReplacedExisting)
    }

    /// Encrypts a padded plaintext: the type of `<enc>` and its content.
    pub(super) fn encrypt(&mut self, to: &Jid, padded: &[u8]) -> Result<(&'static str, Vec<u8>)> {
        let message = in_place(message_encrypt(
            padded,
            &address(to),
            &mut self.sessions,
            &mut self.identities,
        ))?;
        let kind = match &message {
            CiphertextMessage::PreKeySignalMessage(_) => "pkmsg",
            _ => "msg",
        };
        Ok((kind, message.serialize().to_vec()))
    }

    /// Decrypts a message.
    pub(super) fn decrypt(&mut self, from: &Jid, message: &CiphertextMessage) -> Result<Opened> {
        let mut rng = rand::rng();
        let result = in_place(message_decrypt(
            message,
            &address(from),
            &mut self.sessions,
            &mut self.identities,
            &mut self.prekeys,
            &self.signed,
            &mut rng,
            UsePQRatchet::No,
        ))?;
        if let Some(id) = result.consumed_prekey_id {
            self.prekeys.0.remove(&id);
            self.changes.push(Change::Delete(
                Table::ContactPrekeys,
                self.prekey_key(id.into()),
            ));
        }
        Ok(Opened {
            plaintext: result.plaintext,
            identity_changed: result.identity_change == IdentityChange::ReplacedExisting,
        })
    }

    /// What the operations since the last call changed.
    pub(super) fn changes(&mut self) -> Vec<Change> {
        let mut changes = std::mem::take(&mut self.changes);
        changes.extend(self.groups.changes());
        for address in self.sessions.touched.drain() {
            if let Some(bytes) = self
                .sessions
                .records
                .get(&address)
                .and_then(|r| r.serialize().ok())
            {
                let key = row_key(&self.owner, &address);
                changes.push(Change::Put(Table::ContactSessions, key, bytes));
            }
        }
        for address in self.identities.touched.drain() {
            if let Some(identity) = self.identities.known.get(&address) {
                let key = row_key(&self.owner, &address);
                changes.push(Change::Put(
                    Table::ContactIdentities,
                    key,
                    identity.serialize().to_vec(),
                ));
            }
        }
        changes
    }

    /// The changes that forget everything, for a phone that is installed anew.
    pub(super) fn forget(&mut self) -> Vec<Change> {
        self.groups.forget();
        let mut changes = self.groups.changes();
        for address in self.sessions.records.keys() {
            changes.push(Change::Delete(
                Table::ContactSessions,
                row_key(&self.owner, address),
            ));
        }
        for id in self.prekeys.0.keys() {
            let key = self.prekey_key(u32::from(*id));
            changes.push(Change::Delete(Table::ContactPrekeys, key));
        }
        changes
    }

    fn prekey_key(&self, id: u32) -> Vec<u8> {
        let mut key = disk::key([self.owner.to_string().as_bytes()]);
        key.extend_from_slice(&id.to_be_bytes());
        key
    }
}

/// Reads a ciphertext, and which key it was made with.
pub(super) fn parse(kind: &str, bytes: &[u8]) -> Option<(CiphertextMessage, Fingerprint)> {
    let message = match kind {
        "pkmsg" => {
            CiphertextMessage::PreKeySignalMessage(PreKeySignalMessage::try_from(bytes).ok()?)
        }
        "msg" => CiphertextMessage::SignalMessage(SignalMessage::try_from(bytes).ok()?),
        _ => return None,
    };
    let inner = match &message {
        CiphertextMessage::PreKeySignalMessage(message) => message.message(),
        CiphertextMessage::SignalMessage(message) => message,
        _ => return None,
    };
    // The prekeys around the first messages of a session are not part of what the message key seals.
    let digest = Sha256::digest(inner.serialized());
    let mut hash = [0; 8];
    hash.copy_from_slice(&digest[..8]);
    let fingerprint = Fingerprint {
        ratchet: raw(inner.sender_ratchet_key()),
        counter: inner.counter(),
        hash,
    };
    Some((message, fingerprint))
}

fn raw(key: &PublicKey) -> [u8; 32] {
    let mut raw = [0; 32];
    raw.copy_from_slice(key.public_key_bytes());
    raw
}

fn address(jid: &Jid) -> ProtocolAddress {
    address_named(&jid.bare().to_string())
}

fn address_named(name: &str) -> ProtocolAddress {
    ProtocolAddress::new(name, DeviceId::new(0))
}

fn row_key(owner: &Jid, address: &ProtocolAddress) -> Vec<u8> {
    disk::key([owner.to_string().as_bytes(), address.name().as_bytes()])
}

/// Runs a library call to its end; stores in memory never make it wait.
fn in_place<T>(call: impl Future<Output = T>) -> T {
    call.now_or_never()
        .expect("stores in memory never make the library wait")
}

#[async_trait]
impl SessionStore for Sessions {
    async fn load_session(&self, address: &ProtocolAddress) -> Result<Option<SessionRecord>> {
        Ok(self.records.get(address).cloned())
    }

    async fn has_session(&self, address: &ProtocolAddress) -> Result<bool> {
        Ok(self.records.contains_key(address))
    }

    async fn store_session(
        &mut self,
        address: &ProtocolAddress,
        mut record: SessionRecord,
    ) -> Result<()> {
        record.waive_counter_lease();
        self.records.insert(address.clone(), record);
        self.touched.insert(address.clone());
        Ok(())
    }
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
        let old = self.known.insert(address.clone(), *identity);
        if old.as_ref() == Some(identity) {
            return Ok(IdentityChange::NewOrUnchanged);
        }
        self.touched.insert(address.clone());
        Ok(if old.is_some() {
            IdentityChange::ReplacedExisting
        } else {
            IdentityChange::NewOrUnchanged
        })
    }

    async fn is_trusted_identity(
        &self,
        _: &ProtocolAddress,
        _: &IdentityKey,
        _: Direction,
    ) -> Result<bool> {
        Ok(true)
    }

    async fn get_identity(&self, address: &ProtocolAddress) -> Result<Option<IdentityKey>> {
        Ok(self.known.get(address).copied())
    }
}

#[async_trait]
impl PreKeyStore for Prekeys {
    async fn get_pre_key(&self, id: PreKeyId) -> Result<PreKeyRecord> {
        self.0
            .get(&id)
            .cloned()
            .ok_or(SignalProtocolError::InvalidPreKeyId)
    }

    async fn save_pre_key(&mut self, id: PreKeyId, record: &PreKeyRecord) -> Result<()> {
        self.0.insert(id, record.clone());
        Ok(())
    }

    async fn remove_pre_key(&mut self, id: PreKeyId) -> Result<()> {
        self.0.remove(&id);
        Ok(())
    }
}

#[async_trait]
impl SignedPreKeyStore for Signed {
    async fn get_signed_pre_key(&self, id: SignedPreKeyId) -> Result<SignedPreKeyRecord> {
        if self.0.id()? == id {
            Ok(self.0.clone())
        } else {
            Err(SignalProtocolError::InvalidSignedPreKeyId)
        }
    }

    async fn save_signed_pre_key(
        &mut self,
        _: SignedPreKeyId,
        record: &SignedPreKeyRecord,
    ) -> Result<()> {
        self.0 = record.clone();
        Ok(())
    }
}
