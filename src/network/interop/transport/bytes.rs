//! Bytes over TCP or in the binary messages of a WebSocket, which carry the same stream in pieces of any size.

use std::sync::Once;

use bytes::{Bytes, BytesMut};
use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{Message, protocol::WebSocketConfig},
};

use super::{Endpoint, TransportError};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// The half that reads.
pub(super) enum ByteReader {
    Tcp(OwnedReadHalf),
    WebSocket(SplitStream<Socket>),
}

/// The half that writes.
pub(super) enum ByteWriter {
    Tcp(OwnedWriteHalf),
    WebSocket(SplitSink<Socket, Message>),
}

pub(super) async fn connect(
    endpoint: &Endpoint,
) -> Result<(ByteReader, ByteWriter), TransportError> {
    match endpoint {
        Endpoint::Tcp(address) => {
            let stream = TcpStream::connect(address.as_str()).await?;
            // Stanzas are written in batches already.
            stream.set_nodelay(true)?;
            let (reader, writer) = stream.into_split();
            Ok((ByteReader::Tcp(reader), ByteWriter::Tcp(writer)))
        }
        Endpoint::WebSocket(url) => {
            install_crypto();
            let config = WebSocketConfig::default()
                .max_message_size(Some(super::LONGEST_FRAME))
                .max_frame_size(Some(super::LONGEST_FRAME));
            let (socket, _) = connect_async_with_config(url.as_str(), Some(config), true)
                .await
                .map_err(Box::new)?;
            let (writer, reader) = socket.split();
            Ok((ByteReader::WebSocket(reader), ByteWriter::WebSocket(writer)))
        }
    }
}

/// Makes ring the process's TLS provider, unless one was chosen already.
fn install_crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if rustls::crypto::ring::default_provider()
            .install_default()
            .is_err()
        {
            tracing::debug!("a TLS provider was installed already");
        }
    });
}

impl ByteReader {
    /// Appends what is there to the buffer, waiting until there is something. Cancelling loses nothing.
    pub(super) async fn read(&mut self, buffer: &mut BytesMut) -> Result<(), TransportError> {
        match self {
            Self::Tcp(half) => {
                buffer.reserve(16 * 1024);
                match half.read_buf(buffer).await? {
                    0 => Err(TransportError::Closed),
                    _ => Ok(()),
                }
            }
            Self::WebSocket(half) => loop {
                match half.next().await {
                    Some(Ok(Message::Binary(bytes))) => {
                        buffer.extend_from_slice(&bytes);
                        return Ok(());
                    }
                    Some(Ok(Message::Close(_))) | None => return Err(TransportError::Closed),
                    // The library answers pings itself; text means nothing here.
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Err(Box::new(error).into()),
                }
            },
        }
    }
}

impl ByteWriter {
    /// Writes all of it.
    pub(super) async fn write(&mut self, bytes: Bytes) -> Result<(), TransportError> {
        match self {
            Self::Tcp(half) => Ok(half.write_all(&bytes).await?),
            Self::WebSocket(half) => {
                Ok(half.send(Message::Binary(bytes)).await.map_err(Box::new)?)
            }
        }
    }

    /// Says that nothing more comes.
    pub(super) async fn close(&mut self) {
        let closed = match self {
            Self::Tcp(half) => half.shutdown().await.map_err(TransportError::from),
            Self::WebSocket(half) => half.close().await.map_err(|error| Box::new(error).into()),
        };
        if let Err(error) = closed {
            tracing::debug!(%error, "the connection was closed already");
        }
    }
}
