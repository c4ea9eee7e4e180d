//! Pictures to be looked at: drawn here, or made by another encoder where none is at hand.

use std::io::{Cursor, Write as _};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use flate2::{Compression, Crc, write::ZlibEncoder};
use image::{DynamicImage, ImageFormat, Rgba, RgbaImage};

/// A lossy WebP of 24 by 16.
pub(crate) const LOSSY: &str = "UklGRmIAAABXRUJQVlA4IFYAAACQAwCdASoYABAAPxF6tFAsKCUisAgBgCIJbACdMoRwACm73xYgAP7pPEEkkwuuG1D3gwJNLLIFzZkxrIbvP7D+O5lyVlApKJdNpKq3YUELa8eK00AAAA==";
/// The same, half transparent.
pub(crate) const LOSSY_ALPHA: &str = "UklGRoIAAABXRUJQVlA4WAoAAAAQAAAAFwAADwAAQUxQSAUAAAABKGBEBABWUDggVgAAAJADAJ0BKhgAEAA/EXq0UCwoJSKwCAGAIglsAJ0yhHAAKbvfFiAA/uk8QSSTC64bUPeDAk0ssgXNmTGshu8/sP47mXJWUCkol02kqrdhQQtrx4rTQAAA";
/// Two frames of 24 by 16, red and blue.
pub(crate) const ANIMATED: &str = "UklGRs4AAABXRUJQVlA4WAoAAAACAAAAFwAADwAAQU5JTQYAAAAAAAAAAABBTk1GTgAAAAAAAAAAABcAAA8AAGQAAAJWUDggNgAAANACAJ0BKhgAEAA/caLHWTSsKCOwCAKQLglAF2AFtiAA/uC5euFssyf/4IL8QfqDWl/WK2AAAEFOTUZMAAAAAAAAAAAAFwAADwAAZAAAAFZQOCA0AAAAdAIAnQEqGAAQAD9xosdZAwCAAALglAFp0FtiAAD+645f/ggvxB+oNaTk/NL+gdHc7AAAAA==";
/// A progressive JPEG of 24 by 16.
pub(crate) const PROGRESSIVE: &str = "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDACgcHiMeGSgjISMtKygwPGRBPDc3PHtYXUlkkYCZlo+AjIqgtObDoKrarYqMyP/L2u71////m8H////6/+b9//j/2wBDASstLTw1PHZBQXb4pYyl+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj/wgARCAAQABgDASIAAhEBAxEB/8QAFgABAQEAAAAAAAAAAAAAAAAAAwAC/8QAFgEBAQEAAAAAAAAAAAAAAAAAAgED/9oADAMBAAIQAxAAAAENLqkp47f/xAAVEAEBAAAAAAAAAAAAAAAAAAAAEf/aAAgBAQABBQKIiIj/xAAWEQEBAQAAAAAAAAAAAAAAAAACAAH/2gAIAQMBAT8BKsV//8QAFREBAQAAAAAAAAAAAAAAAAAAABL/2gAIAQIBAT8BpT//xAAUEAEAAAAAAAAAAAAAAAAAAAAg/9oACAEBAAY/Al//xAAVEAEBAAAAAAAAAAAAAAAAAAAAAf/aAAgBAQABPyGEIQhD/9oADAMBAAIAAwAAABAL3//EABURAQEAAAAAAAAAAAAAAAAAAAAh/9oACAEDAQE/EDF//8QAFREBAQAAAAAAAAAAAAAAAAAAAAH/2gAIAQIBAT8QpT//xAAWEAEBAQAAAAAAAAAAAAAAAABhABD/2gAIAQEAAT8QxRhhx//Z";

pub(crate) fn sample(text: &str) -> Vec<u8> {
    STANDARD.decode(text).expect("base64")
}

/// Left half red, right half blue.
pub(crate) fn halves(width: u32, height: u32) -> DynamicImage {
    let draw = |x, _| {
        if x < width / 2 {
            Rgba([255, 0, 0, 255])
        } else {
            Rgba([0, 0, 255, 255])
        }
    };
    DynamicImage::ImageRgba8(RgbaImage::from_fn(width, height, draw))
}

/// What compresses worst.
pub(crate) fn noise(width: u32, height: u32) -> DynamicImage {
    let mut state = 1_u32;
    let mut draw = |_, _| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let [a, b, c, _] = (state >> 3).to_be_bytes();
        Rgba([a, b, c, 255])
    };
    let mut image = RgbaImage::new(width, height);
    for (x, y, pixel) in image.enumerate_pixels_mut() {
        *pixel = draw(x, y);
    }
    DynamicImage::ImageRgba8(image)
}

pub(crate) fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    match format {
        ImageFormat::Jpeg => image.to_rgb8().write_to(&mut bytes, format),
        _ => image.write_to(&mut bytes, format),
    }
    .expect("it can be encoded");
    bytes.into_inner()
}

pub(crate) fn decoded(bytes: &[u8]) -> RgbaImage {
    image::load_from_memory(bytes)
        .expect("a picture")
        .into_rgba8()
}

/// A JPEG with an Exif segment that says how it is to be turned (1 to 8).
pub(crate) fn turned(image: &DynamicImage, orientation: u8) -> Vec<u8> {
    let jpeg = encoded(image, ImageFormat::Jpeg);
    let mut exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01".to_vec();
    exif.extend([1, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0, 0, 0, 0, 0]);
    let mut bytes = vec![0xff, 0xd8, 0xff, 0xe1];
    bytes.extend(
        u16::try_from(exif.len() + 2)
            .expect("a short segment")
            .to_be_bytes(),
    );
    bytes.extend(exif);
    bytes.extend(&jpeg[2..]);
    bytes
}

/// A PNG out of its chunks.
pub(crate) fn png(chunks: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, data) in chunks {
        bytes.extend(
            u32::try_from(data.len())
                .expect("a short chunk")
                .to_be_bytes(),
        );
        let mut crc = Crc::new();
        crc.update(*kind);
        crc.update(data);
        bytes.extend(*kind);
        bytes.extend(data);
        bytes.extend(crc.sum().to_be_bytes());
    }
    bytes
}

/// The header chunk of a PNG of eight bits a channel; the colour type as the format numbers them.
pub(crate) fn ihdr(width: u32, height: u32, color: u8) -> (&'static [u8; 4], Vec<u8>) {
    let mut data = [width.to_be_bytes(), height.to_be_bytes()].concat();
    data.extend([8, color, 0, 0, 0]);
    (b"IHDR", data)
}

/// This many zeroes, compressed.
pub(crate) fn zeroes(count: usize) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    let block = vec![0; 1 << 16];
    let mut left = count;
    while left > 0 {
        let now = left.min(block.len());
        encoder.write_all(&block[..now]).expect("memory");
        left -= now;
    }
    encoder.finish().expect("memory")
}

/// A WebP out of its chunks.
pub(crate) fn webp(chunks: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
    let mut body = b"WEBP".to_vec();
    for (kind, data) in chunks {
        body.extend(*kind);
        body.extend(
            u32::try_from(data.len())
                .expect("a short chunk")
                .to_le_bytes(),
        );
        body.extend(data);
        body.resize(body.len().next_multiple_of(2), 0);
    }
    let mut bytes = b"RIFF".to_vec();
    bytes.extend(
        u32::try_from(body.len())
            .expect("a short file")
            .to_le_bytes(),
    );
    bytes.extend(body);
    bytes
}

/// The extended header of a WebP.
pub(crate) fn vp8x(flags: u8, width: u32, height: u32) -> (&'static [u8; 4], Vec<u8>) {
    let mut data = vec![flags, 0, 0, 0];
    data.extend(&(width - 1).to_le_bytes()[..3]);
    data.extend(&(height - 1).to_le_bytes()[..3]);
    (b"VP8X", data)
}
