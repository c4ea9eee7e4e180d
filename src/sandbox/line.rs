//! Frames over TCP or in the binary messages of a WebSocket, for the server and for its contacts' phones.

use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use bytes::{Buf, Bytes, BytesMut};
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

use super::error::LineError;
use crate::network::interop::wire::frame::{WA_HEADER, put_frame, take_frame};

const CHUNK: usize = 64 * 1024;

enum Source {
    Tcp(OwnedReadHalf),
    WebSocket(Box<SplitStream<WebSocket>>),
}

enum Target {
    Tcp(OwnedWriteHalf),
    WebSocket(Box<SplitSink<WebSocket, Message>>),
}

/// The half that reads frames.
pub(super) struct FrameReader {
    source: Source,
    buffer: BytesMut,
    patience: Duration,
}

/// The half that writes frames.
pub(super) struct FrameWriter {
    target: Target,
    buffer: BytesMut,
}

/// The halves of a TCP connection.
pub(super) fn tcp(stream: TcpStream, patience: Duration) -> (FrameReader, FrameWriter) {
    // What is written is gathered already. A socket without this option is slower, not wrong.
    let _ = stream.set_nodelay(true);
    let (read, write) = stream.into_split();
    halves(Source::Tcp(read), Target::Tcp(write), patience)
}

/// The halves of a WebSocket.
pub(super) fn web_socket(socket: WebSocket, patience: Duration) -> (FrameReader, FrameWriter) {
    let (write, read) = socket.split();
    halves(
        Source::WebSocket(Box::new(read)),
        Target::WebSocket(Box::new(write)),
        patience,
    )
}

fn halves(source: Source, target: Target, patience: Duration) -> (FrameReader, FrameWriter) {
    let reader = FrameReader {
        source,
        buffer: BytesMut::with_capacity(CHUNK),
        patience,
    };
    let writer = FrameWriter {
        target,
        buffer: BytesMut::new(),
    };
    (reader, writer)
}

impl FrameReader {
    /// Reads the four bytes a client begins with.
    pub(super) async fn intro(&mut self) -> Result<(), LineError> {
        while self.buffer.len() < WA_HEADER.len() {
            self.fill().await?;
        }
        if self.buffer[..WA_HEADER.len()] != WA_HEADER {
            return Err(LineError::Protocol(
                "the client does not begin as a client does",
            ));
        }
        self.buffer.advance(WA_HEADER.len());
        Ok(())
    }

    /// The next frame. Dropping the future loses nothing.
    pub(super) async fn frame(&mut self) -> Result<Bytes, LineError> {
        loop {
            if let Some(frame) = self.ready() {
                return Ok(frame);
            }
            self.fill().await?;
        }
    }

    /// A frame that has come already.
    pub(super) fn ready(&mut self) -> Option<Bytes> {
        take_frame(&mut self.buffer)
    }

    async fn fill(&mut self) -> Result<(), LineError> {
        let read = async {
            match &mut self.source {
                Source::Tcp(half) => match half.read_buf(&mut self.buffer).await? {
                    0 => Err(LineError::Closed),
                    _ => Ok(()),
                },
                Source::WebSocket(half) => match half.next().await {
                    Some(Ok(Message::Binary(bytes))) => {
                        self.buffer.extend_from_slice(&bytes);
                        Ok(())
                    }
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(()),
                    Some(Ok(Message::Text(_))) => {
                        Err(LineError::Protocol("text on the chat channel"))
                    }
                    Some(Ok(Message::Close(_)) | Err(_)) | None => Err(LineError::Closed),
                },
            }
        };
        tokio::time::timeout(self.patience, read)
            .await
            .map_err(|_| LineError::Silent)?
    }
}

impl FrameWriter {
    /// Puts the client's intro before its first frame.
    pub(super) fn put_intro(&mut self) {
        self.buffer.extend_from_slice(&WA_HEADER);
    }

    /// Queues a frame for the next [`flush`](Self::flush).
    pub(super) fn put(&mut self, frame: &[u8]) -> Result<(), LineError> {
        put_frame(&mut self.buffer, frame)
            .map_err(|_| LineError::Protocol("a stanza is too long for a frame"))
    }

    /// How many bytes wait.
    pub(super) fn waiting(&self) -> usize {
        self.buffer.len()
    }

    /// Writes what is queued.
    pub(super) async fn flush(&mut self) -> Result<(), LineError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let bytes = self.buffer.split().freeze();
        match &mut self.target {
            Target::Tcp(half) => half.write_all(&bytes).await?,
            Target::WebSocket(half) => {
                half.send(Message::Binary(bytes))
                    .await
                    .map_err(|_| LineError::Closed)?;
            }
        }
        Ok(())
    }

    /// Closes the connection.
    pub(super) async fn close(&mut self) {
        match &mut self.target {
            Target::Tcp(half) => {
                let _ = half.shutdown().await;
            }
            Target::WebSocket(half) => {
                let _ = half.close().await;
            }
        }
    }
}
