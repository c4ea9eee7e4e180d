//! What goes through a session and what makes one, between our types and the library's.

use libsignal_protocol::protocol::{
    CiphertextMessage, DeviceId, IdentityKey, PreKeyBundle, PreKeySignalMessage, PublicKey,
    SignalMessage, SignalProtocolError,
};

use super::{PublicPreKey, PublicSignedPreKey, SignalError};

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

pub(super) fn parse(kind: CiphertextKind, bytes: &[u8]) -> Result<CiphertextMessage, SignalError> {
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

pub(super) fn ciphertext(message: &CiphertextMessage) -> Result<Ciphertext, SignalError> {
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

pub(super) fn library_bundle(
    bundle: &Bundle,
    device: DeviceId,
) -> Result<PreKeyBundle, SignalProtocolError> {
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
