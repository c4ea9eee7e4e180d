//! Frames: a 3-byte big-endian length, then so many bytes.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::DecodeError;

/// What the client writes before its first frame: `WA`, protocol 6, dictionary 3. Also the Noise prologue.
pub const WA_HEADER: [u8; 4] = [0x57, 0x41, 0x06, 0x03];

/// The longest frame the length field can express.
pub const MAX_FRAME: usize = 0xff_ffff;

/// Appends a frame.
///
/// # Errors
/// [`DecodeError::FrameTooLong`] if the length field cannot express the length; nothing is written then.
pub fn put_frame(out: &mut BytesMut, frame: &[u8]) -> Result<(), DecodeError> {
    if frame.len() > MAX_FRAME {
        return Err(DecodeError::FrameTooLong(frame.len()));
    }
    out.reserve(3 + frame.len());
    out.put_uint(frame.len() as u64, 3);
    out.put_slice(frame);
    Ok(())
}

/// Takes a frame off the front, if a whole one is there.
pub fn take_frame(buffer: &mut BytesMut) -> Option<Bytes> {
    let length = match buffer[..] {
        [a, b, c, ..] => usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c),
        _ => return None,
    };
    if buffer.len() - 3 < length {
        return None;
    }
    buffer.advance(3);
    Some(buffer.split_to(length).freeze())
}
