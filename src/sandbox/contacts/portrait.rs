//! Pictures the contacts of the cast show of themselves: a face in front of a colour.

use image::{Rgb, RgbImage, codecs::jpeg::JpegEncoder};

const SIZE: u32 = 96;
const QUALITY: u8 = 80;
const FACE: [u8; 3] = [244, 214, 180];

/// A JPEG with a colour behind the face.
pub(super) fn portrait(behind: [u8; 3]) -> Vec<u8> {
    let within = |x: u32, y: u32, centre: (u32, u32), radius: u32| {
        let (dx, dy) = (x.abs_diff(centre.0), y.abs_diff(centre.1));
        dx * dx + dy * dy < radius * radius
    };
    let picture = RgbImage::from_fn(SIZE, SIZE, |x, y| {
        let body = within(x, y, (48, 104), 40) || within(x, y, (48, 40), 22);
        Rgb(if body { FACE } else { behind })
    });
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, QUALITY)
        .encode_image(&picture)
        .expect("a small picture is encoded into memory");
    jpeg
}
