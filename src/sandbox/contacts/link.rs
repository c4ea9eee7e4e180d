//! A phone's connection to the chat server: TCP, the Noise handshake as the client, stanzas.

use std::{net::SocketAddr, time::Duration};

use tokio::net::TcpStream;

use crate::{
    domain::Timestamp,
    network::interop::wire::{
        self, Node,
        noise::{Initiator, Opener, Sealer},
    },
    sandbox::{
        error::LineError,
        line::{self, FrameReader, FrameWriter},
    },
};

/// How long the server may be silent; it answers a ping every 25 seconds.
const PATIENCE: Duration = Duration::from_secs(90);

/// A connection after the handshake.
pub(super) struct Link {
    reader: FrameReader,
    writer: FrameWriter,
    sealer: Sealer,
    opener: Opener,
}

impl Link {
    /// Connects. Whether the server lets the client in is in the first stanza.
    pub(super) async fn dial(
        address: SocketAddr,
        noise_private: [u8; 32],
        root_key: &[u8; 32],
        payload: &[u8],
        now: Timestamp,
    ) -> Result<Self, LineError> {
        let stream = TcpStream::connect(address).await?;
        let (mut reader, mut writer) = line::tcp(stream, PATIENCE);
        let (initiator, hello) = Initiator::new(noise_private, rand::random());
        writer.put_intro();
        writer.put(&hello)?;
        writer.flush().await?;
        let answer = reader.frame().await?;
        let (finish, transport) = initiator.read_server_hello(&answer, root_key, now, payload)?;
        writer.put(&finish)?;
        writer.flush().await?;
        let (sealer, opener) = transport.split();
        Ok(Self {
            reader,
            writer,
            sealer,
            opener,
        })
    }

    /// The next stanza; `None` for one that cannot be read. Dropping the future loses nothing.
    pub(super) async fn stanza(&mut self) -> Result<Option<Node>, LineError> {
        let frame = self.reader.frame().await?;
        self.open(&frame)
    }

    /// A stanza that has come already; those that cannot be read are passed over.
    pub(super) fn ready(&mut self) -> Result<Option<Node>, LineError> {
        while let Some(frame) = self.reader.ready() {
            if let Some(node) = self.open(&frame)? {
                return Ok(Some(node));
            }
        }
        Ok(None)
    }

    fn open(&mut self, frame: &[u8]) -> Result<Option<Node>, LineError> {
        let plaintext = self.opener.open(frame)?;
        Ok(wire::unpack(&plaintext).ok())
    }

    /// Writes stanzas.
    pub(super) async fn send(&mut self, nodes: &[Node]) -> Result<(), LineError> {
        for node in nodes {
            self.writer.put(&self.sealer.seal(&wire::pack(node)))?;
        }
        self.writer.flush().await
    }

    /// Closes the connection.
    pub(super) async fn close(&mut self) {
        self.writer.close().await;
    }
}
