//! What can go wrong with a message; none of it names an address or a key.

use libsignal_protocol::protocol::SignalProtocolError;

/// A failure of one message, one key or one session; the store's own failures are apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignalError {
    /// There is no session to send over, or none to read with.
    #[error("there is no session with that device: its keys have to be fetched first")]
    NoSession,
    /// The sender key a message to a group is encrypted with never came.
    #[error("the sender key of that member never came: the message has to be asked for again")]
    NoSenderKey,
    /// The message was read before.
    #[error("the message was decrypted before")]
    Duplicate,
    /// The message names a prekey that was used or forgotten.
    #[error("the message names a prekey that is not there any more")]
    UnknownPrekey,
    /// No session with the device reads the message.
    #[error("the message cannot be decrypted: {0}")]
    Undecryptable(&'static str),
    /// The bytes are no Signal message, key or signature.
    #[error("malformed: {0}")]
    Malformed(&'static str),
    /// The signed prekey is not signed by the identity key it came with.
    #[error("the signed prekey of the bundle has a bad signature")]
    BadSignature,
}

impl SignalError {
    /// The library's errors without the address some of them carry.
    pub(super) fn of(error: &SignalProtocolError) -> Self {
        use SignalProtocolError as E;
        match error {
            E::SessionNotFound(_) => Self::NoSession,
            E::NoSenderKeyState(_) => Self::NoSenderKey,
            E::DuplicatedMessage(..) => Self::Duplicate,
            E::InvalidPreKeyId | E::InvalidSignedPreKeyId => Self::UnknownPrekey,
            E::SignatureValidationFailed => Self::BadSignature,
            E::BadMac(_) => Self::Undecryptable("its authentication code is wrong"),
            E::InvalidMessage(_, reason) | E::InvalidSessionStructure(reason) => {
                Self::Undecryptable(reason)
            }
            E::InvalidProtobufEncoding
            | E::CiphertextMessageTooShort(_)
            | E::LegacyCiphertextVersion(_)
            | E::UnrecognizedCiphertextVersion(_) => Self::Malformed("not a Signal message"),
            E::UnrecognizedMessageVersion(_) => {
                Self::Undecryptable("it is of another protocol version than the session")
            }
            E::NoKeyTypeIdentifier | E::BadKeyType(_) | E::BadKeyLength(..) => {
                Self::Malformed("not a Curve25519 key")
            }
            _ => Self::Undecryptable("the Signal library refused it"),
        }
    }
}
