//! Small pictures made of large ones: pure functions over bytes.
//!
//! Invariants: a format is told by its first bytes, never by a name; only JPEG, PNG, WebP and GIF are read; a picture is decoded only
//! when its header says that this fits into a few dozen megabytes, so a small file cannot ask for much memory. Decoding takes up to a
//! second of a processor: callers run it where that blocks nobody, and few at a time.

mod animation;
mod decode;
mod jpeg;
mod webp;

use std::io::Cursor;

use image::{
    DynamicImage, ImageFormat, Rgb, RgbImage, RgbaImage,
    codecs::{jpeg::JpegEncoder, webp::WebPEncoder},
    imageops::{self, FilterType},
};

use decode::Picture;

/// The length of both sides of a sticker, in pixels.
pub const STICKER_SIDE: u32 = 512;
/// The longest side of a preview, in pixels.
pub const PREVIEW_SIDE: u32 = 100;
/// What a preview may weigh, in bytes.
pub const PREVIEW_BYTES: usize = 10_000;

/// How good a thumbnail is, of 100.
const THUMBNAIL_QUALITY: u8 = 80;
/// How good a preview is, of 100; the first that is small enough is taken.
const PREVIEW_QUALITIES: [u8; 4] = [75, 50, 30, 10];
/// A blurhash is of so few points that more pixels would not show in it.
const BLURHASH_SIDE: u32 = 64;

/// What the header of a picture says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Its MIME type.
    pub mime_type: &'static str,
    /// Its width in pixels, as it is shown.
    pub width: u32,
    /// Its height in pixels, as it is shown.
    pub height: u32,
    /// Whether it moves.
    pub animated: bool,
}

/// A small picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Small {
    /// The picture as a JPEG; what was transparent is white.
    pub jpeg: Vec<u8>,
    /// Its width in pixels.
    pub width: u32,
    /// Its height in pixels.
    pub height: u32,
    /// A short text that a blurred form of it can be drawn from.
    pub blurhash: String,
}

/// What a file is, by its header; nothing is decoded. The beginning of a file is enough: at most a megabyte of it is read. `None` if
/// it is no picture of a format that is read here, or claims to be larger than any is.
#[must_use]
pub fn look(bytes: &[u8]) -> Option<Look> {
    let header = decode::header(bytes)?;
    Some(Look {
        mime_type: header.format.to_mime_type(),
        width: header.width,
        height: header.height,
        animated: header.animated,
    })
}

/// The picture with its longer side at most `longest_side` pixels, the way up it is shown, the first frame of an animation. `None` if
/// it cannot be read, or only with more memory than is given.
#[must_use]
pub fn thumbnail(bytes: &[u8], longest_side: u32) -> Option<Small> {
    let picture = decode::decode(bytes)?;
    let small = on_white(&shrunk(picture, longest_side));
    Some(Small {
        jpeg: jpeg(&small, THUMBNAIL_QUALITY)?,
        width: small.width(),
        height: small.height(),
        blurhash: hash(DynamicImage::ImageRgb8(small))?,
    })
}

/// A short text that a blurred form of the picture can be drawn from (<https://blurha.sh>). `None` as for [`thumbnail`].
#[must_use]
pub fn blurhash(bytes: &[u8]) -> Option<String> {
    hash(shrunk(decode::decode(bytes)?, BLURHASH_SIDE))
}

/// The picture as a sticker: a WebP of [`STICKER_SIDE`] in both directions, what it does not fill being transparent. A WebP that moves
/// or has that size already stays as it is. `None` as for [`thumbnail`].
#[must_use]
pub fn sticker(bytes: &[u8]) -> Option<Vec<u8>> {
    let header = decode::header(bytes)?;
    let fits = (header.width, header.height) == (STICKER_SIDE, STICKER_SIDE);
    if header.format == ImageFormat::WebP && (header.animated || fits) {
        // Others will decode it.
        return decode::admit(bytes).map(|_| bytes.to_vec());
    }
    // Scaling well needs memory in proportion to the picture, so a large one is first made smaller the cheap way.
    let picture = shrunk(decode::decode(bytes)?, STICKER_SIDE * 2);
    let scaled = picture.resize(STICKER_SIDE, STICKER_SIDE, FilterType::CatmullRom);
    let scaled = scaled.into_rgba8();
    let mut canvas = RgbaImage::new(STICKER_SIDE, STICKER_SIDE);
    let left = i64::from((STICKER_SIDE - scaled.width()) / 2);
    let top = i64::from((STICKER_SIDE - scaled.height()) / 2);
    imageops::replace(&mut canvas, &scaled, left, top);
    let mut webp = Vec::new();
    canvas
        .write_with_encoder(WebPEncoder::new_lossless(&mut webp))
        .ok()?;
    Some(webp)
}

/// The picture as a JPEG of at most [`PREVIEW_BYTES`] with no side longer than [`PREVIEW_SIDE`], to travel inside a message. `None` as
/// for [`thumbnail`].
#[must_use]
pub fn preview(bytes: &[u8]) -> Option<Vec<u8>> {
    let small = on_white(&shrunk(decode::decode(bytes)?, PREVIEW_SIDE));
    PREVIEW_QUALITIES
        .into_iter()
        .filter_map(|quality| jpeg(&small, quality))
        .find(|jpeg| jpeg.len() <= PREVIEW_BYTES)
}

/// The picture with its longer side at most so many pixels, the way up it is shown.
fn shrunk(picture: Picture, longest_side: u32) -> DynamicImage {
    let Picture {
        mut image,
        orientation,
    } = picture;
    let side = longest_side.max(1);
    if image.width().max(image.height()) > side {
        image = image.thumbnail(side, side);
    }
    // Turning makes a copy, of the small one.
    image.apply_orientation(orientation);
    image
}

fn on_white(image: &DynamicImage) -> RgbImage {
    let pixels = image.to_rgba8();
    let mut flat = RgbImage::new(pixels.width(), pixels.height());
    for (to, from) in flat.pixels_mut().zip(pixels.pixels()) {
        let [r, g, b, alpha] = from.0.map(u16::from);
        let over = |value: u16| {
            let mixed = (value * alpha + 255 * (255 - alpha)) / 255;
            u8::try_from(mixed).unwrap_or(u8::MAX)
        };
        *to = Rgb([over(r), over(g), over(b)]);
    }
    flat
}

fn jpeg(image: &RgbImage, quality: u8) -> Option<Vec<u8>> {
    let mut jpeg = Cursor::new(Vec::new());
    image
        .write_with_encoder(JpegEncoder::new_with_quality(&mut jpeg, quality))
        .ok()?;
    Some(jpeg.into_inner())
}

fn hash(image: DynamicImage) -> Option<String> {
    let side = BLURHASH_SIDE;
    let image = if image.width().max(image.height()) > side {
        image.thumbnail(side, side)
    } else {
        image
    };
    let flat = DynamicImage::ImageRgb8(on_white(&image)).into_rgba8();
    let (x, y) = if flat.width() >= flat.height() {
        (4, 3)
    } else {
        (3, 4)
    };
    ::blurhash::encode(x, y, flat.width(), flat.height(), flat.as_raw()).ok()
}
