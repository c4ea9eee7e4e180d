//! The Noise handshake of the chat channel, both sides, and the transport it ends in.
//!
//! `Noise_XX_25519_AESGCM_SHA256` with the client's intro header as prologue:
//! ```text
//! -> e                     ClientHello{ephemeral}
//! <- e, ee, s, es, chain   ServerHello{ephemeral, static, payload}
//! -> s, se, payload        ClientFinish{static, payload}
//! ```
//! One thing differs from the standard: the empty payload of the first message is not mixed into the hash. [`Start`] says
//! which of the two is meant, so that published vectors run through the same code.

mod symmetric;
mod transport;
#[cfg(test)]
mod vectors;

use libsignal_protocol::protocol::PrivateKey;
use waproto::{
    buffa::{Message as _, MessageField},
    whatsapp::{
        HandshakeMessage,
        handshake_message::{ClientFinish, ClientHello, ServerHello},
    },
};
use zeroize::Zeroizing;

use self::symmetric::Symmetric;
pub use self::transport::{Opener, Sealer, Transport};
use super::{CertificateError, certificate, frame::WA_HEADER};
use crate::domain::Timestamp;

/// Why a handshake failed or a frame does not open.
#[derive(Debug, thiserror::Error)]
pub enum NoiseError {
    /// A message of the handshake is not the protobuf it should be.
    #[error("a message of the handshake is malformed")]
    Malformed,
    /// A message of the handshake lacks a part, or the part has a wrong length.
    #[error("the handshake's {0} is missing or has a wrong length")]
    Part(&'static str),
    /// A public key with which no secret can be agreed.
    #[error("the peer sent a key with which no secret can be agreed")]
    WeakKey,
    /// Bytes that were not sealed with the key both sides agreed on: tampering, loss, or another peer.
    #[error("a message does not open: it was changed on its way or is not from the peer")]
    Sealed,
    /// The server's certificate chain is not vouched for.
    #[error("the server's certificate is refused: {0}")]
    Certificate(#[from] CertificateError),
    /// A connection sent 2^32 frames; more would repeat a nonce.
    #[error("the connection has sent all the frames one key may seal")]
    Exhausted,
}

/// What a handshake starts from.
struct Start<'a> {
    prologue: &'a [u8],
    /// The payload of the first message if it is mixed into the hash, as the standard says. The gatekeeper does not.
    first_payload: Option<&'a [u8]>,
}

const GATEKEEPER: Start<'static> = Start {
    prologue: &WA_HEADER,
    first_payload: None,
};

/// The client between its hello and the server's.
pub struct Initiator {
    symmetric: Symmetric,
    static_private: Zeroizing<[u8; 32]>,
    ephemeral: Zeroizing<[u8; 32]>,
}

impl Initiator {
    /// Begins a handshake with the client's static private key and a fresh random number for the ephemeral one. The second
    /// value is the client hello, the first frame.
    #[must_use]
    pub fn new(static_private: [u8; 32], ephemeral: [u8; 32]) -> (Self, Vec<u8>) {
        let (initiator, public) = Self::begin(&GATEKEEPER, static_private, ephemeral);
        let hello = HandshakeMessage {
            client_hello: MessageField::some(ClientHello {
                ephemeral: Some(public.to_vec()),
                ..ClientHello::default()
            }),
            ..HandshakeMessage::default()
        };
        (initiator, hello.encode_to_vec())
    }

    fn begin(start: &Start<'_>, static_private: [u8; 32], ephemeral: [u8; 32]) -> (Self, [u8; 32]) {
        let public = public_key(&ephemeral);
        let initiator = Self {
            symmetric: Symmetric::begin(start, &public),
            static_private: Zeroizing::new(static_private),
            ephemeral: Zeroizing::new(ephemeral),
        };
        (initiator, public)
    }

    /// Checks the server's hello, whose chain must end at `root_key` and be valid `now`, and answers with the client's
    /// payload. The first value is the last frame of the handshake.
    ///
    /// # Errors
    /// Says why the server is not trusted.
    pub fn read_server_hello(
        mut self,
        frame: &[u8],
        root_key: &[u8; 32],
        now: Timestamp,
        payload: &[u8],
    ) -> Result<(Vec<u8>, Transport), NoiseError> {
        let hello = message(frame)?
            .server_hello
            .into_option()
            .ok_or(NoiseError::Malformed)?;
        let server_ephemeral = key(hello.ephemeral.as_deref(), "server ephemeral key")?;
        let (server_static, chain) = self.open_server(
            &server_ephemeral,
            part(hello.r#static.as_deref(), "server static key")?,
            part(hello.payload.as_deref(), "server certificate")?,
        )?;
        certificate::verify_chain(&chain, root_key, &server_static, now)?;
        let (sealed_static, sealed_payload, transport) = self.finish(&server_ephemeral, payload)?;
        let finish = HandshakeMessage {
            client_finish: MessageField::some(ClientFinish {
                r#static: Some(sealed_static),
                payload: Some(sealed_payload),
                ..ClientFinish::default()
            }),
            ..HandshakeMessage::default()
        };
        Ok((finish.encode_to_vec(), transport))
    }

    /// Reads `e, ee, s, es` and the payload: the server's static key and its certificate chain.
    fn open_server(
        &mut self,
        server_ephemeral: &[u8; 32],
        sealed_static: &[u8],
        sealed_payload: &[u8],
    ) -> Result<([u8; 32], Vec<u8>), NoiseError> {
        let symmetric = &mut self.symmetric;
        symmetric.mix_hash(server_ephemeral);
        symmetric.mix_secret(&self.ephemeral, server_ephemeral)?;
        let opened = symmetric.open(sealed_static)?;
        let server_static = key(Some(&opened), "server static key")?;
        symmetric.mix_secret(&self.ephemeral, &server_static)?;
        Ok((server_static, symmetric.open(sealed_payload)?))
    }

    /// Writes `s, se` and the payload.
    fn finish(
        mut self,
        server_ephemeral: &[u8; 32],
        payload: &[u8],
    ) -> Result<(Vec<u8>, Vec<u8>, Transport), NoiseError> {
        let symmetric = &mut self.symmetric;
        let sealed_static = symmetric.seal(&public_key(&self.static_private))?;
        symmetric.mix_secret(&self.static_private, server_ephemeral)?;
        let sealed_payload = symmetric.seal(payload)?;
        let (client, server) = self.symmetric.split()?;
        Ok((
            sealed_static,
            sealed_payload,
            Transport::new(client, server),
        ))
    }
}

/// The server between its hello and the client's last message.
pub struct Responder {
    symmetric: Symmetric,
    ephemeral: Zeroizing<[u8; 32]>,
}

impl Responder {
    /// Answers a client hello with the server's static private key, a fresh random number for the ephemeral one, and the
    /// certificate chain that vouches for the static key. The second value is the server hello.
    ///
    /// # Errors
    /// Says what is wrong with the client's hello.
    pub fn read_client_hello(
        frame: &[u8],
        static_private: &[u8; 32],
        ephemeral: [u8; 32],
        chain: &[u8],
    ) -> Result<(Self, Vec<u8>), NoiseError> {
        let hello = message(frame)?
            .client_hello
            .into_option()
            .ok_or(NoiseError::Malformed)?;
        let client_ephemeral = key(hello.ephemeral.as_deref(), "client ephemeral key")?;
        let (responder, [sealed_static, sealed_payload]) = Self::answer(
            &GATEKEEPER,
            &client_ephemeral,
            static_private,
            ephemeral,
            chain,
        )?;
        let hello = HandshakeMessage {
            server_hello: MessageField::some(ServerHello {
                ephemeral: Some(public_key(&ephemeral).to_vec()),
                r#static: Some(sealed_static),
                payload: Some(sealed_payload),
                ..ServerHello::default()
            }),
            ..HandshakeMessage::default()
        };
        Ok((responder, hello.encode_to_vec()))
    }

    /// Writes `e, ee, s, es` and the payload.
    fn answer(
        start: &Start<'_>,
        client_ephemeral: &[u8; 32],
        static_private: &[u8; 32],
        ephemeral: [u8; 32],
        payload: &[u8],
    ) -> Result<(Self, [Vec<u8>; 2]), NoiseError> {
        let mut symmetric = Symmetric::begin(start, client_ephemeral);
        symmetric.mix_hash(&public_key(&ephemeral));
        symmetric.mix_secret(&ephemeral, client_ephemeral)?;
        let sealed_static = symmetric.seal(&public_key(static_private))?;
        symmetric.mix_secret(static_private, client_ephemeral)?;
        let sealed_payload = symmetric.seal(payload)?;
        let responder = Self {
            symmetric,
            ephemeral: Zeroizing::new(ephemeral),
        };
        Ok((responder, [sealed_static, sealed_payload]))
    }

    /// Reads the client's last message: its static public key and the payload it presents.
    ///
    /// # Errors
    /// Says why the message does not open.
    pub fn read_client_finish(
        self,
        frame: &[u8],
    ) -> Result<([u8; 32], Vec<u8>, Transport), NoiseError> {
        let finish = message(frame)?
            .client_finish
            .into_option()
            .ok_or(NoiseError::Malformed)?;
        self.open_client(
            part(finish.r#static.as_deref(), "client static key")?,
            part(finish.payload.as_deref(), "client payload")?,
        )
    }

    /// Reads `s, se` and the payload.
    fn open_client(
        mut self,
        sealed_static: &[u8],
        sealed_payload: &[u8],
    ) -> Result<([u8; 32], Vec<u8>, Transport), NoiseError> {
        let symmetric = &mut self.symmetric;
        let opened = symmetric.open(sealed_static)?;
        let client_static = key(Some(&opened), "client static key")?;
        symmetric.mix_secret(&self.ephemeral, &client_static)?;
        let payload = symmetric.open(sealed_payload)?;
        let (client, server) = self.symmetric.split()?;
        Ok((client_static, payload, Transport::new(server, client)))
    }
}

/// The public key of an X25519 private key.
///
/// # Panics
/// Never: every 32 bytes are a private key.
#[must_use]
pub fn public_key(private: &[u8; 32]) -> [u8; 32] {
    let public = PrivateKey::deserialize(private)
        .and_then(|key| key.public_key())
        .expect("every 32 bytes are a private key");
    let mut raw = [0; 32];
    raw.copy_from_slice(public.public_key_bytes());
    raw
}

fn message(frame: &[u8]) -> Result<HandshakeMessage, NoiseError> {
    HandshakeMessage::decode_from_slice(frame).map_err(|_| NoiseError::Malformed)
}

fn part<'a>(bytes: Option<&'a [u8]>, name: &'static str) -> Result<&'a [u8], NoiseError> {
    bytes.ok_or(NoiseError::Part(name))
}

fn key(bytes: Option<&[u8]>, name: &'static str) -> Result<[u8; 32], NoiseError> {
    part(bytes, name)?
        .try_into()
        .map_err(|_| NoiseError::Part(name))
}
