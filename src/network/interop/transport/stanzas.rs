//! Stanzas over the encrypted frames.

use bytes::{Bytes, BytesMut};

use super::{
    TransportError,
    bytes::{ByteReader, ByteWriter},
};
use crate::network::interop::{
    session::Transmit,
    wire::{self, Dialect, Node, frame, noise},
};

/// The flag byte before a node that is not compressed.
const UNCOMPRESSED: u8 = 0;

/// Waits for a whole frame of at most `longest` bytes. Cancelling loses nothing: what was read stays in the buffer.
pub(super) async fn read_frame(
    reader: &mut ByteReader,
    buffer: &mut BytesMut,
    longest: usize,
) -> Result<Bytes, TransportError> {
    loop {
        if let Some(frame) = take(buffer, longest)? {
            return Ok(frame);
        }
        reader.read(buffer).await?;
    }
}

/// A whole frame out of the buffer, if there is one.
fn take(buffer: &mut BytesMut, longest: usize) -> Result<Option<Bytes>, TransportError> {
    if let [a, b, c, ..] = buffer[..] {
        let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        if length > longest {
            return Err(TransportError::FrameTooLong(length));
        }
    }
    Ok(frame::take_frame(buffer))
}

/// The half that reads stanzas.
pub(in crate::network::interop) struct StanzaReader {
    reader: ByteReader,
    buffer: BytesMut,
    opener: noise::Opener,
    longest: usize,
}

impl StanzaReader {
    pub(super) fn new(
        reader: ByteReader,
        buffer: BytesMut,
        opener: noise::Opener,
        longest: usize,
    ) -> Self {
        Self {
            reader,
            buffer,
            opener,
            longest,
        }
    }

    /// Waits for the next stanza. Cancelling loses nothing.
    pub(in crate::network::interop) async fn next(&mut self) -> Result<Node, TransportError> {
        loop {
            if let Some(node) = self.ready()? {
                return Ok(node);
            }
            self.reader.read(&mut self.buffer).await?;
        }
    }

    /// The next stanza if it has been received already. A frame that is no stanza is left out: it costs only itself.
    pub(in crate::network::interop) fn ready(&mut self) -> Result<Option<Node>, TransportError> {
        while let Some(frame) = take(&mut self.buffer, self.longest)? {
            let plain = self.opener.open(&frame)?;
            match wire::unpack(&plain) {
                Ok(node) => return Ok(Some(node)),
                Err(error) => tracing::warn!(%error, "the gatekeeper sent an unreadable stanza"),
            }
        }
        Ok(None)
    }
}

/// The half that writes stanzas.
pub(in crate::network::interop) struct StanzaWriter {
    writer: ByteWriter,
    sealer: noise::Sealer,
    dialect: Dialect,
}

impl StanzaWriter {
    pub(super) fn new(writer: ByteWriter, sealer: noise::Sealer, dialect: Dialect) -> Self {
        Self {
            writer,
            sealer,
            dialect,
        }
    }

    /// Writes stanzas, all in one write.
    pub(in crate::network::interop) async fn write(
        &mut self,
        stanzas: &[Transmit],
    ) -> Result<(), TransportError> {
        let mut out = BytesMut::new();
        for stanza in stanzas {
            let sealed = match stanza {
                Transmit::Node(node) => self.sealer.seal(&wire::pack_as(node, self.dialect)),
                Transmit::Encoded(node) => {
                    let mut plain = Vec::with_capacity(1 + node.len());
                    plain.push(UNCOMPRESSED);
                    plain.extend_from_slice(node);
                    self.sealer.seal(&plain)
                }
            };
            frame::put_frame(&mut out, &sealed)?;
        }
        self.writer.write(out.freeze()).await
    }

    /// Says that nothing more comes.
    pub(in crate::network::interop) async fn close(&mut self) {
        self.writer.close().await;
    }
}
