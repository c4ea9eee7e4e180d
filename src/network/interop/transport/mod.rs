//! The chat channel as halves that read and write stanzas: dialling, the Noise handshake, frames.
//!
//! `57 41 06 03` · frame(client hello) → ← frame(server hello) → frame(client finish), then a frame a stanza, each a
//! 3-byte length and AES-256-GCM of a flag byte and a node.

mod bytes;
mod stanzas;

use std::time::Duration;

use ::bytes::BytesMut;

pub(super) use stanzas::{StanzaReader, StanzaWriter};

use self::bytes::{ByteReader, ByteWriter};
use super::wire::{DecodeError, Dialect, frame, noise};
use crate::domain::Timestamp;

/// The longest frame taken before the server has proved who it is: a hello with a chain of two certificates is some 400 bytes.
const LONGEST_HELLO: usize = 16 * 1024;

/// The longest frame taken afterwards; the wire allows 16 MiB.
const LONGEST_FRAME: usize = 4 * 1024 * 1024;

/// Why the channel could not be made, or broke.
#[derive(Debug, thiserror::Error)]
pub(super) enum TransportError {
    /// The connection could not be made or broke.
    #[error("the connection failed: {0}")]
    Io(#[from] std::io::Error),
    /// The WebSocket could not be made or broke.
    #[error("the WebSocket failed: {0}")]
    WebSocket(#[from] Box<tokio_tungstenite::tungstenite::Error>),
    /// It took too long.
    #[error("the connection took too long")]
    Timeout,
    /// The peer closed the connection.
    #[error("the gatekeeper closed the connection")]
    Closed,
    /// A frame is longer than is taken.
    #[error("the gatekeeper sent a frame of {0} bytes")]
    FrameTooLong(usize),
    /// The handshake failed: the server is not who the profile's root key vouches for, or a frame does not open.
    #[error("the encryption of the connection failed: {0}")]
    Noise(#[from] noise::NoiseError),
    /// A stanza is longer than a frame can be.
    #[error("a stanza is too long for a frame: {0}")]
    Encode(#[from] DecodeError),
}

/// Where the chat server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// `host:port`.
    Tcp(String),
    /// `wss://host/path` or `ws://host:port/path`.
    WebSocket(String),
}

/// What a login proves itself with.
pub(super) struct Credentials<'a> {
    /// The Noise static private key.
    pub(super) noise_private: &'a [u8; 32],
    /// A fresh random number for the ephemeral key.
    pub(super) ephemeral: [u8; 32],
    /// The root key the server's certificate chain must end at.
    pub(super) root_key: &'a [u8; 32],
    /// The encoded `ClientPayload`.
    pub(super) payload: &'a [u8],
    /// How the gatekeeper wants addresses written.
    pub(super) dialect: Dialect,
}

/// Connects, shakes hands and presents the payload, all within `limit`. What the server says to it is the first stanza read.
pub(super) async fn dial(
    endpoint: &Endpoint,
    credentials: &Credentials<'_>,
    limit: Duration,
    now: Timestamp,
) -> Result<(StanzaReader, StanzaWriter), TransportError> {
    tokio::time::timeout(limit, async {
        let (reader, writer) = bytes::connect(endpoint).await?;
        shake_hands(reader, writer, credentials, now).await
    })
    .await
    .map_err(|_| TransportError::Timeout)?
}

async fn shake_hands(
    mut reader: ByteReader,
    mut writer: ByteWriter,
    credentials: &Credentials<'_>,
    now: Timestamp,
) -> Result<(StanzaReader, StanzaWriter), TransportError> {
    let (initiator, hello) =
        noise::Initiator::new(*credentials.noise_private, credentials.ephemeral);
    let mut out = BytesMut::new();
    out.extend_from_slice(&frame::WA_HEADER);
    frame::put_frame(&mut out, &hello)?;
    writer.write(out.split().freeze()).await?;

    let mut buffer = BytesMut::new();
    let server_hello = stanzas::read_frame(&mut reader, &mut buffer, LONGEST_HELLO).await?;
    let (finish, transport) = initiator.read_server_hello(
        &server_hello,
        credentials.root_key,
        now,
        credentials.payload,
    )?;
    frame::put_frame(&mut out, &finish)?;
    writer.write(out.freeze()).await?;

    let (sealer, opener) = transport.split();
    Ok((
        StanzaReader::new(reader, buffer, opener, LONGEST_FRAME),
        StanzaWriter::new(writer, sealer, credentials.dialect),
    ))
}
