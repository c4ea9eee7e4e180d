//! Files to send: pictures that are ones, and bytes that pass for sound and film.

use std::io::Cursor;

use drawbridge::domain::MediaKind;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};

/// A picture with colours that change over it.
fn picture(width: u32, height: u32) -> DynamicImage {
    let shade = |at: u32, of: u32| u8::try_from(at * 255 / of.max(1)).unwrap_or(u8::MAX);
    DynamicImage::ImageRgb8(RgbImage::from_fn(width, height, |x, y| {
        Rgb([shade(x, width), shade(y, height), 90])
    }))
}

fn written(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture(width, height)
        .write_to(&mut bytes, format)
        .expect("memory takes it");
    bytes.into_inner()
}

/// A JPEG.
pub(crate) fn jpeg(width: u32, height: u32) -> Vec<u8> {
    written(width, height, ImageFormat::Jpeg)
}

/// A PNG.
pub(crate) fn png(width: u32, height: u32) -> Vec<u8> {
    written(width, height, ImageFormat::Png)
}

/// A WebP picture.
pub(crate) fn webp(width: u32, height: u32) -> Vec<u8> {
    written(width, height, ImageFormat::WebP)
}

/// The width and height of a picture.
pub(crate) fn dimensions(bytes: &[u8]) -> (u32, u32) {
    let picture = image::load_from_memory(bytes).expect("a picture");
    (picture.width(), picture.height())
}

/// Bytes that nobody looks into, different for each kind of file.
pub(crate) fn noise(kind: MediaKind, len: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_u32 ^ (kind as u32 + 1);
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    })
    .take(len)
    .collect()
}
