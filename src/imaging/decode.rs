//! Which pictures are decoded at all, and within what bounds.

use std::io::Cursor;

use image::{
    DynamicImage, ImageDecoder, ImageFormat, Limits,
    codecs::{gif::GifDecoder, jpeg::JpegDecoder, png::PngDecoder, webp::WebPDecoder},
    metadata::Orientation,
};

use super::{animation, jpeg, webp};

/// The longest side of a picture, in pixels.
const MAX_SIDE: u32 = 16_384;
/// What decoding may take in all, in bytes: with what is made of the picture it stays below 64 MiB.
const MAX_MEMORY: u64 = 56 * 1024 * 1024;
/// What may be kept of a PNG besides its pixels (a colour profile, texts), in bytes.
const MAX_ANCILLARY: u64 = 4 * 1024 * 1024;
/// The largest file that is decoded, in bytes.
const MAX_FILE: usize = 24 * 1024 * 1024;
/// How much of a file is read for its header, in bytes.
const HEADER: usize = 1024 * 1024;

/// What the beginning of a file says.
pub(super) struct Header {
    pub(super) format: ImageFormat,
    /// Width and height as shown.
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) animated: bool,
}

/// A picture as it is stored, and how it has to be turned.
pub(super) struct Picture {
    pub(super) image: DynamicImage,
    pub(super) orientation: Orientation,
}

/// Reads the header of a file.
pub(super) fn header(bytes: &[u8]) -> Option<Header> {
    let bytes = &bytes[..bytes.len().min(HEADER)];
    let format = format(bytes)?;
    let (mut width, mut height, orientation) = if format == ImageFormat::WebP {
        // Its decoder wants the end of the file too, where an orientation would be.
        let shape = webp::shape(bytes)?;
        let orientation = open(bytes, format).map(|mut decoder| orientation(&mut *decoder));
        (shape.width, shape.height, orientation)
    } else {
        let mut decoder = open(bytes, format)?;
        let (width, height) = decoder.dimensions();
        (width, height, Some(orientation(&mut *decoder)))
    };
    if !is_size(width, height) {
        return None;
    }
    if orientation.is_some_and(is_sideways) {
        std::mem::swap(&mut width, &mut height);
    }
    let animated = match format {
        ImageFormat::Gif => animation::gif(bytes),
        ImageFormat::Png => animation::png(bytes),
        ImageFormat::WebP => webp::shape(bytes)?.animated,
        _ => false,
    };
    Some(Header {
        format,
        width,
        height,
        animated,
    })
}

/// Decodes a file, the first frame of an animation, if that takes no more than is given.
pub(super) fn decode(bytes: &[u8]) -> Option<Picture> {
    let mut decoder = admit(bytes)?;
    let orientation = orientation(&mut *decoder);
    let image = DynamicImage::from_decoder(decoder).ok()?;
    Some(Picture { image, orientation })
}

/// The decoder of a file that may be decoded.
pub(super) fn admit(bytes: &[u8]) -> Option<Box<dyn ImageDecoder + '_>> {
    if bytes.len() > MAX_FILE {
        return None;
    }
    let format = format(bytes)?;
    let decoder = open(bytes, format)?;
    let (width, height) = decoder.dimensions();
    if !is_size(width, height) {
        return None;
    }
    let pixels = u64::from(width) * u64::from(height);
    let scratch = match format {
        // A frame that does not fill the screen is decoded by itself first.
        ImageFormat::Gif => pixels * 4,
        ImageFormat::Jpeg => bytes.len() as u64 + jpeg::coefficients(bytes)?,
        ImageFormat::WebP => webp::shape(bytes)?.scratch()?,
        _ => 0,
    };
    let needed = decoder.total_bytes().checked_add(scratch)?;
    (needed <= MAX_MEMORY).then_some(decoder)
}

fn format(bytes: &[u8]) -> Option<ImageFormat> {
    let format = image::guess_format(bytes).ok()?;
    matches!(
        format,
        ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::WebP | ImageFormat::Gif
    )
    .then_some(format)
}

/// A decoder that has read the header.
fn open<'a>(bytes: &'a [u8], format: ImageFormat) -> Option<Box<dyn ImageDecoder + 'a>> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(match format {
        ImageFormat::Png => MAX_ANCILLARY,
        _ => MAX_MEMORY,
    });
    let reader = Cursor::new(bytes);
    let mut decoder: Box<dyn ImageDecoder> = match format {
        ImageFormat::Jpeg => Box::new(JpegDecoder::new(reader).ok()?),
        ImageFormat::Png => Box::new(PngDecoder::with_limits(reader, limits.clone()).ok()?),
        ImageFormat::WebP => Box::new(WebPDecoder::new(reader).ok()?),
        ImageFormat::Gif => Box::new(GifDecoder::new(reader).ok()?),
        _ => return None,
    };
    decoder.set_limits(limits).ok()?;
    Some(decoder)
}

fn is_size(width: u32, height: u32) -> bool {
    (1..=MAX_SIDE).contains(&width) && (1..=MAX_SIDE).contains(&height)
}

fn orientation(decoder: &mut dyn ImageDecoder) -> Orientation {
    decoder.orientation().unwrap_or(Orientation::NoTransforms)
}

fn is_sideways(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    )
}
