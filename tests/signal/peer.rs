//! The other side: an ordinary client of the Signal library with everything in memory, none of it shared with ours.

use std::collections::HashMap;

use async_trait::async_trait;
use drawbridge::{
    network::interop::wire::Jid,
    signal::{Bundle, CiphertextKind, PublicPreKey, PublicSignedPreKey},
};
use futures_util::FutureExt;
use libsignal_protocol::protocol::{
    CiphertextMessage, DeviceId, Direction, GenericSignedPreKey, IdentityChange, IdentityKey,
    IdentityKeyPair, IdentityKeyStore, KeyPair, PreKeyBundle, PreKeyId, PreKeyRecord,
    PreKeySignalMessage, PreKeyStore, ProtocolAddress, PublicKey, SenderKeyDistributionMessage,
    SenderKeyMessage, SenderKeyName, SenderKeyRecord, SenderKeyStore, SessionRecord, SessionStore,
    SignalMessage, SignalProtocolError, SignedPreKeyId, SignedPreKeyRecord, SignedPreKeyStore,
    Timestamp, UsePQRatchet, create_sender_key_distribution_message, group_decrypt, group_encrypt,
    message_decrypt, message_encrypt, process_prekey_bundle,
    process_sender_key_distribution_message,
};
use rand::RngExt;

type Result<T> = std::result::Result<T, SignalProtocolError>;

struct Identity {
    own: IdentityKeyPair,
    registration_id: u32,
    known: HashMap<ProtocolAddress, IdentityKey>,
}

#[derive(Default, Clone)]
pub(crate) struct Sessions(HashMap<ProtocolAddress, SessionRecord>);

#[derive(Default)]
struct PreKeys(HashMap<PreKeyId, PreKeyRecord>);

#[derive(Default)]
struct SignedPreKeys(HashMap<SignedPreKeyId, SignedPreKeyRecord>);

#[async_trait]
impl IdentityKeyStore for Identity {
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
        let before = self.known.insert(address.clone(), *identity);
        Ok(IdentityChange::from_changed(
            before.is_some_and(|before| before != *identity),
        ))
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
impl SessionStore for Sessions {
    async fn load_session(&self, address: &ProtocolAddress) -> Result<Option<SessionRecord>> {
        Ok(self.0.get(address).cloned())
    }
    async fn has_session(&self, address: &ProtocolAddress) -> Result<bool> {
        Ok(self.0.contains_key(address))
    }
    async fn store_session(
        &mut self,
        address: &ProtocolAddress,
        record: SessionRecord,
    ) -> Result<()> {
        self.0.insert(address.clone(), record);
        Ok(())
    }
}

#[async_trait]
impl PreKeyStore for PreKeys {
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
impl SignedPreKeyStore for SignedPreKeys {
    async fn get_signed_pre_key(&self, id: SignedPreKeyId) -> Result<SignedPreKeyRecord> {
        self.0
            .get(&id)
            .cloned()
            .ok_or(SignalProtocolError::InvalidSignedPreKeyId)
    }
    async fn save_signed_pre_key(
        &mut self,
        id: SignedPreKeyId,
        record: &SignedPreKeyRecord,
    ) -> Result<()> {
        self.0.insert(id, record.clone());
        Ok(())
    }
}

#[derive(Default)]
struct SenderKeys(HashMap<SenderKeyName, SenderKeyRecord>);

#[async_trait]
impl SenderKeyStore for SenderKeys {
    async fn store_sender_key(
        &mut self,
        name: &SenderKeyName,
        record: SenderKeyRecord,
    ) -> Result<()> {
        self.0.insert(name.clone(), record);
        Ok(())
    }
    async fn load_sender_key(&self, name: &SenderKeyName) -> Result<Option<SenderKeyRecord>> {
        Ok(self.0.get(name).cloned())
    }
}

/// A phone with its own ratchets.
pub(crate) struct Peer {
    pub(crate) jid: Jid,
    /// Public, so that a test can let it talk with several.
    pub(crate) us: ProtocolAddress,
    identity: Identity,
    /// Public, so that a test can put an old state back.
    pub(crate) sessions: Sessions,
    prekeys: PreKeys,
    signed_prekeys: SignedPreKeys,
    sender_keys: SenderKeys,
    next_prekey: u32,
}

impl Peer {
    /// A freshly installed phone of `jid` that will talk with the bridge's login `us`.
    pub(crate) fn new(jid: &Jid, us: &Jid) -> Self {
        let mut rng = rand::rng();
        Self {
            jid: jid.clone(),
            us: ProtocolAddress::new(&us.to_string(), DeviceId::new(0)),
            identity: Identity {
                own: IdentityKeyPair::generate(&mut rng),
                registration_id: rng.random_range(1..=0x3FFF),
                known: HashMap::new(),
            },
            sessions: Sessions::default(),
            prekeys: PreKeys::default(),
            signed_prekeys: SignedPreKeys::default(),
            sender_keys: SenderKeys::default(),
            next_prekey: 1,
        }
    }

    /// The same person on a new phone: nothing of the old one is left.
    pub(crate) fn reinstall(&mut self) {
        let us: Jid = self.us.name().parse().unwrap();
        *self = Self::new(&self.jid.clone(), &us);
    }

    pub(crate) fn registration_id(&self) -> u32 {
        self.identity.registration_id
    }

    /// Public keys as the gatekeeper would hand them out.
    pub(crate) fn bundle(&mut self, one_time: bool) -> Bundle {
        let mut rng = rand::rng();
        let signed = KeyPair::generate(&mut rng);
        let signed_id = self.next_prekey;
        self.next_prekey += 1;
        let signature = self
            .identity
            .own
            .private_key()
            .calculate_signature(&signed.public_key.serialize(), &mut rng)
            .unwrap();
        self.signed_prekeys.0.insert(
            signed_id.into(),
            SignedPreKeyRecord::new(
                signed_id.into(),
                Timestamp::from_epoch_millis(0),
                &signed,
                &signature,
            ),
        );
        let prekey = one_time.then(|| {
            let pair = KeyPair::generate(&mut rng);
            let id = self.next_prekey;
            self.next_prekey += 1;
            self.prekeys
                .0
                .insert(id.into(), PreKeyRecord::new(id.into(), &pair));
            PublicPreKey {
                id,
                value: raw(&pair.public_key),
            }
        });
        Bundle {
            registration_id: self.identity.registration_id,
            identity: raw(self.identity.own.public_key()),
            signed_prekey: PublicSignedPreKey {
                id: signed_id,
                value: raw(&signed.public_key),
                signature,
            },
            prekey,
        }
    }

    /// Starts a session with the bridge.
    pub(crate) fn establish(&mut self, bundle: &Bundle) {
        let key = |raw: &[u8; 32]| PublicKey::from_djb_public_key_bytes(raw).unwrap();
        let keys = PreKeyBundle::new(
            bundle.registration_id,
            DeviceId::new(0),
            bundle
                .prekey
                .map(|prekey| (prekey.id.into(), key(&prekey.value))),
            bundle.signed_prekey.id.into(),
            key(&bundle.signed_prekey.value),
            bundle.signed_prekey.signature.to_vec(),
            IdentityKey::new(key(&bundle.identity)),
        )
        .unwrap();
        process_prekey_bundle(
            &self.us,
            &mut self.sessions,
            &mut self.identity,
            &keys,
            &mut rand::rng(),
            UsePQRatchet::No,
        )
        .now_or_never()
        .unwrap()
        .unwrap();
    }

    pub(crate) fn has_session(&self) -> bool {
        self.sessions
            .0
            .get(&self.us)
            .is_some_and(|record| record.session_state().is_some())
    }

    pub(crate) fn encrypt(&mut self, plaintext: &[u8]) -> (CiphertextKind, Vec<u8>) {
        let message = message_encrypt(plaintext, &self.us, &mut self.sessions, &mut self.identity)
            .now_or_never()
            .unwrap()
            .unwrap();
        let kind = match message {
            CiphertextMessage::PreKeySignalMessage(_) => CiphertextKind::PreKey,
            _ => CiphertextKind::Message,
        };
        (kind, message.serialize().to_vec())
    }

    pub(crate) fn decrypt(&mut self, kind: CiphertextKind, bytes: &[u8]) -> Result<Vec<u8>> {
        let message = parse(kind, bytes);
        let result = message_decrypt(
            &message,
            &self.us,
            &mut self.sessions,
            &mut self.identity,
            &mut self.prekeys,
            &self.signed_prekeys,
            &mut rand::rng(),
            UsePQRatchet::No,
        )
        .now_or_never()
        .unwrap()?;
        if let Some(id) = result.consumed_prekey_id {
            self.prekeys.0.remove(&id);
        }
        Ok(result.plaintext)
    }
}

/// Groups: the peer's own sender key and the bridge's.
impl Peer {
    fn own_name(&self, group: &str) -> SenderKeyName {
        SenderKeyName::new(group.to_owned(), format!("{}.0", self.jid))
    }

    fn our_name(&self, group: &str) -> SenderKeyName {
        SenderKeyName::new(group.to_owned(), self.us.as_str().to_owned())
    }

    /// The start of its own sender key.
    pub(crate) fn distribution(&mut self, group: &str) -> Vec<u8> {
        let name = self.own_name(group);
        let mut rng = rand::rng();
        create_sender_key_distribution_message(&name, &mut self.sender_keys, &mut rng)
            .now_or_never()
            .unwrap()
            .unwrap()
            .serialized()
            .to_vec()
    }

    pub(crate) fn encrypt_to_group(&mut self, group: &str, plaintext: &[u8]) -> Vec<u8> {
        let name = self.own_name(group);
        group_encrypt(&mut self.sender_keys, &name, plaintext, &mut rand::rng())
            .now_or_never()
            .unwrap()
            .unwrap()
            .serialized()
            .to_vec()
    }

    /// Takes the start of the bridge's sender key.
    pub(crate) fn take_distribution(&mut self, group: &str, bytes: &[u8]) {
        let message = SenderKeyDistributionMessage::try_from(bytes).unwrap();
        let name = self.our_name(group);
        process_sender_key_distribution_message(&name, &message, &mut self.sender_keys)
            .now_or_never()
            .unwrap()
            .unwrap();
    }

    pub(crate) fn decrypt_in_group(&mut self, group: &str, bytes: &[u8]) -> Result<Vec<u8>> {
        let name = self.our_name(group);
        group_decrypt(bytes, &mut self.sender_keys, &name)
            .now_or_never()
            .unwrap()
    }

    /// It loses what it has of every group.
    pub(crate) fn lose_sender_keys(&mut self) {
        self.sender_keys = SenderKeys::default();
    }
}

/// What decides the key of a message to a group: the chain and the place in it.
pub(crate) fn group_key_place(bytes: &[u8]) -> (u32, u32) {
    let message = SenderKeyMessage::try_from(bytes).unwrap();
    (message.chain_id(), message.iteration())
}

/// What decides a message's key: the sender's ratchet key and the place in its chain. Two ciphertexts with the same pair are
/// the same key used twice.
pub(crate) fn key_place(kind: CiphertextKind, bytes: &[u8]) -> ([u8; 32], u32) {
    let message = parse(kind, bytes);
    let inner = match &message {
        CiphertextMessage::PreKeySignalMessage(message) => message.message(),
        CiphertextMessage::SignalMessage(message) => message,
        _ => unreachable!("only messages of sessions are parsed"),
    };
    (raw(inner.sender_ratchet_key()), inner.counter())
}

fn parse(kind: CiphertextKind, bytes: &[u8]) -> CiphertextMessage {
    match kind {
        CiphertextKind::PreKey => {
            CiphertextMessage::PreKeySignalMessage(PreKeySignalMessage::try_from(bytes).unwrap())
        }
        CiphertextKind::Message => {
            CiphertextMessage::SignalMessage(SignalMessage::try_from(bytes).unwrap())
        }
    }
}

fn raw(key: &PublicKey) -> [u8; 32] {
    key.public_key_bytes().try_into().unwrap()
}
