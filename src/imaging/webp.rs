//! What the header of a WebP says (RFC 9649), and what its parts say about themselves.
//!
//! ```text
//! RIFF <size> WEBP  VP8X <10> flags … width-1 height-1   then ALPH? VP8 | VP8L, or ANIM and ANMF…   or VP8 | VP8L alone
//! ANMF <size> x y width-1 height-1 duration flags  ALPH? VP8 | VP8L
//! ```

/// What a WebP is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) animated: bool,
    /// Bytes a pixel that decoding takes besides the picture itself; `None` if a part claims another size than the whole.
    scratch: Option<u64>,
}

impl Shape {
    /// What decoding the first frame takes besides the picture itself, in bytes. `None` if a part of it claims another size than the
    /// whole, which a decoder would believe, or if there is no such part.
    pub(super) fn scratch(&self) -> Option<u64> {
        Some(self.scratch? * u64::from(self.width) * u64::from(self.height))
    }
}

/// Reads the header. A file that is cut short has a shape, but says nothing about memory.
pub(super) fn shape(bytes: &[u8]) -> Option<Shape> {
    let chunks = bytes
        .strip_prefix(b"RIFF")?
        .get(4..)?
        .strip_prefix(b"WEBP")?;
    let first = Chunks(chunks).next()?;
    if first.kind != b"VP8X" {
        let size = first.size()?;
        return Some(Shape {
            width: size.0,
            height: size.1,
            animated: false,
            scratch: picture_scratch(Chunks(chunks), size, false),
        });
    }
    let flags = *first.data.first()?;
    let size = (size24(first.data, 4)?, size24(first.data, 7)?);
    let animated = flags & 0x02 != 0;
    let transparent = flags & 0x10 != 0;
    let scratch = if animated {
        animation_scratch(chunks, size)
    } else {
        picture_scratch(Chunks(chunks), size, transparent)
    };
    Some(Shape {
        width: size.0,
        height: size.1,
        animated,
        scratch,
    })
}

/// The canvas, and what the first frame takes.
fn animation_scratch(chunks: &[u8], canvas: (u32, u32)) -> Option<u64> {
    let frame = Chunks(chunks).find(|chunk| chunk.kind == b"ANMF")?;
    let size = (size24(frame.data, 6)?, size24(frame.data, 9)?);
    let inside = size.0 <= canvas.0 && size.1 <= canvas.1;
    let mut parts = Chunks(frame.data.get(16..)?);
    // A decoder takes what stands behind the transparency of a frame for its colours, whatever it is called.
    if parts.next()?.kind == b"ALPH" && parts.next()?.kind != b"VP8 " {
        return None;
    }
    let parts = Chunks(frame.data.get(16..)?);
    let frame = picture_scratch(parts, size, false).filter(|_| inside)?;
    Some(4 + 4 + frame)
}

/// Bytes a pixel for the parts of a picture of this size, if they are of that size and in their order.
fn picture_scratch(chunks: Chunks<'_>, size: (u32, u32), mut transparent: bool) -> Option<u64> {
    for chunk in chunks {
        match chunk.kind {
            b"ALPH" => transparent = true,
            b"VP8 " => {
                // Transparency is decoded like a lossless picture, then its one channel by itself.
                let alpha = if transparent { 5 } else { 0 };
                return (chunk.size()? == size).then_some(2 + alpha);
            }
            b"VP8L" => return (chunk.size()? == size).then_some(4),
            _ => {}
        }
    }
    None
}

struct Chunk<'a> {
    kind: &'a [u8; 4],
    /// What there is of its content.
    data: &'a [u8],
}

impl Chunk<'_> {
    /// Width and height of a bitstream, by its own header.
    fn size(&self) -> Option<(u32, u32)> {
        match self.kind {
            b"VP8 " => {
                let &[_, _, _, 0x9d, 0x01, 0x2a, w0, w1, h0, h1] = self.data.first_chunk()? else {
                    return None;
                };
                let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
                Some((side(w0, w1), side(h0, h1)))
            }
            b"VP8L" => {
                let &[0x2f, a, b, c, d] = self.data.first_chunk()? else {
                    return None;
                };
                let bits = u32::from_le_bytes([a, b, c, d]);
                Some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1))
            }
            _ => None,
        }
    }
}

/// The chunks of a file or of a frame; the last may be cut short.
struct Chunks<'a>(&'a [u8]);

impl<'a> Iterator for Chunks<'a> {
    type Item = Chunk<'a>;

    fn next(&mut self) -> Option<Chunk<'a>> {
        let (kind, rest) = self.0.split_first_chunk::<4>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let data = &rest[..length.min(rest.len())];
        // They begin at even places.
        self.0 = rest
            .get(length.checked_add(length % 2)?..)
            .unwrap_or_default();
        Some(Chunk { kind, data })
    }
}

/// A side, stored less one in three bytes.
fn size24(data: &[u8], at: usize) -> Option<u32> {
    let &[a, b, c] = data.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes([a, b, c, 0]) + 1)
}
