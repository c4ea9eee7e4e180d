//! Thumbnails, previews, blurhashes and stickers.

use drawbridge::imaging::{PREVIEW_BYTES, blurhash, look, preview, sticker, thumbnail};
use image::{DynamicImage, ImageFormat, Rgba, RgbaImage};

use super::samples::{
    ANIMATED, LOSSY, LOSSY_ALPHA, PROGRESSIVE, decoded, encoded, halves, noise, sample, turned,
};

/// Whether a pixel is about this colour.
fn is_like(pixel: Rgba<u8>, color: [u8; 4]) -> bool {
    pixel.0.iter().zip(color).all(|(a, b)| a.abs_diff(b) < 40)
}

#[test]
fn a_thumbnail_keeps_shape_and_content() {
    for format in [
        ImageFormat::Jpeg,
        ImageFormat::Png,
        ImageFormat::WebP,
        ImageFormat::Gif,
    ] {
        let small = thumbnail(&encoded(&halves(1_000, 500), format), 320).unwrap();
        assert_eq!((small.width, small.height), (320, 160), "{format:?}");
        let pixels = decoded(&small.jpeg);
        assert_eq!(pixels.dimensions(), (320, 160));
        assert!(is_like(*pixels.get_pixel(40, 80), [255, 0, 0, 255]));
        assert!(is_like(*pixels.get_pixel(280, 80), [0, 0, 255, 255]));
        assert_eq!(look(&small.jpeg).unwrap().mime_type, "image/jpeg");
    }
    for text in [LOSSY, LOSSY_ALPHA, ANIMATED, PROGRESSIVE] {
        let small = thumbnail(&sample(text), 12).unwrap();
        assert_eq!((small.width, small.height), (12, 8));
    }
    let first = decoded(&thumbnail(&sample(ANIMATED), 24).unwrap().jpeg);
    assert!(is_like(*first.get_pixel(12, 8), [255, 0, 0, 255]));
}

#[test]
fn a_small_picture_is_not_made_larger() {
    let small = thumbnail(&encoded(&halves(30, 20), ImageFormat::Png), 320).unwrap();
    assert_eq!((small.width, small.height), (30, 20));
    // A line keeps its length and stays a line.
    let line = thumbnail(&encoded(&halves(4_000, 1), ImageFormat::Png), 100).unwrap();
    assert_eq!((line.width, line.height), (100, 1));
}

#[test]
fn a_picture_is_the_way_up_it_is_shown() {
    let picture = halves(400, 200);
    // Where red comes to lie.
    for (orientation, red) in [
        (1, (20, 50)),
        (2, (180, 50)),
        (3, (180, 50)),
        (4, (20, 50)),
        (5, (50, 20)),
        (6, (50, 20)),
        (7, (50, 180)),
        (8, (50, 180)),
    ] {
        let bytes = turned(&picture, orientation);
        let pixels = decoded(&thumbnail(&bytes, 200).unwrap().jpeg);
        let seen = *pixels.get_pixel(red.0, red.1);
        assert!(is_like(seen, [255, 0, 0, 255]), "{orientation}: {seen:?}");
    }
}

#[test]
fn what_is_transparent_becomes_white() {
    let clear = RgbaImage::from_pixel(40, 40, Rgba([0, 0, 0, 0]));
    let bytes = encoded(&DynamicImage::ImageRgba8(clear), ImageFormat::Png);
    let pixels = decoded(&thumbnail(&bytes, 20).unwrap().jpeg);
    assert!(is_like(*pixels.get_pixel(10, 10), [255; 4]));
}

#[test]
fn a_blurhash_is_of_the_picture() {
    let bytes = encoded(&halves(640, 320), ImageFormat::Png);
    let hash = blurhash(&bytes).unwrap();
    let drawn = ::blurhash::decode(&hash, 40, 20, 1.0).unwrap();
    let pixels = RgbaImage::from_raw(40, 20, drawn).unwrap();
    let (left, right) = (pixels.get_pixel(3, 10), pixels.get_pixel(36, 10));
    assert!(left[0] > left[2] + 80, "{left:?}");
    assert!(right[2] > right[0] + 80, "{right:?}");
    assert_eq!(thumbnail(&bytes, 320).unwrap().blurhash, hash);
}

#[test]
fn a_preview_is_small_whatever_it_shows() {
    for (width, height) in [(1_000, 1_000), (3_000, 40), (99, 100)] {
        let bytes = encoded(&noise(width, height), ImageFormat::Png);
        let jpeg = preview(&bytes).unwrap();
        assert!(jpeg.len() <= PREVIEW_BYTES, "{}", jpeg.len());
        let seen = look(&jpeg).unwrap();
        assert_eq!(seen.width.max(seen.height), 100);
    }
}

#[test]
fn a_sticker_is_a_square_with_a_clear_rest() {
    for (width, height) in [(1_024, 512), (40, 20), (3_000, 1_500)] {
        let webp = sticker(&encoded(&halves(width, height), ImageFormat::Png)).unwrap();
        let seen = look(&webp).unwrap();
        assert_eq!(
            (seen.mime_type, seen.width, seen.height),
            ("image/webp", 512, 512)
        );
        let pixels = decoded(&webp);
        assert_eq!(pixels.get_pixel(256, 10)[3], 0);
        assert_eq!(pixels.get_pixel(256, 500)[3], 0);
        assert!(is_like(*pixels.get_pixel(20, 256), [255, 0, 0, 255]));
        assert!(is_like(*pixels.get_pixel(490, 256), [0, 0, 255, 255]));
    }
}

#[test]
fn a_sticker_that_moves_or_fits_stays_as_it_is() {
    let moving = sample(ANIMATED);
    assert_eq!(sticker(&moving), Some(moving));
    let fitting = encoded(&halves(512, 512), ImageFormat::WebP);
    assert_eq!(sticker(&fitting), Some(fitting));
    assert_eq!(sticker(b"RIFF\0\0\0\0WEBPVP8X"), None);
}
