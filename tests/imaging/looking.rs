//! What is told from a header alone.

use drawbridge::imaging::{Look, look};
use image::{Frame, ImageFormat, codecs::gif::GifEncoder};
use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};

use super::samples::{
    ANIMATED, LOSSY, LOSSY_ALPHA, PROGRESSIVE, encoded, halves, ihdr, png, sample, turned, vp8x,
    webp, zeroes,
};

fn gif(frames: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    {
        let mut encoder = GifEncoder::new(&mut bytes);
        for _ in 0..frames {
            let frame = Frame::new(halves(30, 20).into_rgba8());
            encoder.encode_frame(frame).expect("memory");
        }
    }
    bytes
}

fn seen(mime_type: &'static str, width: u32, height: u32, animated: bool) -> Look {
    Look {
        mime_type,
        width,
        height,
        animated,
    }
}

#[test]
fn every_format_is_told_by_its_content() {
    let picture = halves(30, 20);
    for (format, mime_type) in [
        (ImageFormat::Jpeg, "image/jpeg"),
        (ImageFormat::Png, "image/png"),
        (ImageFormat::WebP, "image/webp"),
        (ImageFormat::Gif, "image/gif"),
    ] {
        let bytes = encoded(&picture, format);
        assert_eq!(look(&bytes), Some(seen(mime_type, 30, 20, false)));
    }
    assert_eq!(
        look(&sample(LOSSY)),
        Some(seen("image/webp", 24, 16, false))
    );
    assert_eq!(
        look(&sample(LOSSY_ALPHA)),
        Some(seen("image/webp", 24, 16, false))
    );
    assert_eq!(
        look(&sample(PROGRESSIVE)),
        Some(seen("image/jpeg", 24, 16, false))
    );
}

#[test]
fn what_moves_is_told_from_what_does_not() {
    assert_eq!(look(&gif(1)), Some(seen("image/gif", 30, 20, false)));
    assert_eq!(look(&gif(2)), Some(seen("image/gif", 30, 20, true)));
    assert_eq!(
        look(&sample(ANIMATED)),
        Some(seen("image/webp", 24, 16, true))
    );
    let control = (b"acTL", vec![0, 0, 0, 2, 0, 0, 0, 0]);
    let pixels = (b"IDAT", zeroes(20 * 31));
    let end = (b"IEND", Vec::new());
    let moving = png(&[
        ihdr(30, 20, 0),
        control.clone(),
        pixels.clone(),
        end.clone(),
    ]);
    assert_eq!(look(&moving), Some(seen("image/png", 30, 20, true)));
    // Behind the pixels it does not count.
    let still = png(&[ihdr(30, 20, 0), pixels, control, end]);
    assert_eq!(look(&still), Some(seen("image/png", 30, 20, false)));
}

#[test]
fn width_and_height_are_those_that_are_shown() {
    let picture = halves(30, 20);
    for orientation in 1..=8 {
        let sideways = orientation >= 5;
        let (width, height) = if sideways { (20, 30) } else { (30, 20) };
        assert_eq!(
            look(&turned(&picture, orientation)),
            Some(seen("image/jpeg", width, height, false)),
            "{orientation}"
        );
    }
}

#[test]
fn the_beginning_of_a_file_is_enough() {
    let picture = super::samples::noise(300, 200);
    for format in [
        ImageFormat::Jpeg,
        ImageFormat::Png,
        ImageFormat::WebP,
        ImageFormat::Gif,
    ] {
        let bytes = encoded(&picture, format);
        let whole = look(&bytes);
        assert!(whole.is_some(), "{format:?}");
        assert_eq!(look(&bytes[..2_000]), whole, "{format:?}");
    }
    // The extended header of a file whose pictures have not come yet.
    let begun = webp(&[vp8x(0x02, 40, 50)]);
    assert_eq!(look(&begun), Some(seen("image/webp", 40, 50, true)));
}

#[test]
fn what_is_no_picture_of_ours_is_not_looked_at() {
    let bmp = b"BM\x3a\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\x18\0";
    for bytes in [
        &b""[..],
        b"\xff\xd8",
        b"GIF89a",
        b"\x89PNG\r\n\x1a\n",
        b"RIFF\0\0\0\0WEBP",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.7",
        b"II*\0",
        bmp,
    ] {
        assert_eq!(look(bytes), None, "{bytes:?}");
    }
    // No side of nothing, and none that is too long.
    assert_eq!(look(&png(&[ihdr(0, 5, 0), (b"IDAT", zeroes(9))])), None);
    assert_eq!(
        look(&png(&[ihdr(16_385, 1, 0), (b"IDAT", zeroes(9))])),
        None
    );
    assert_eq!(look(&webp(&[vp8x(0, 16_385, 1)])), None);
    let longest = png(&[ihdr(16_384, 1, 0), (b"IDAT", zeroes(9))]);
    assert_eq!(look(&longest), Some(seen("image/png", 16_384, 1, false)));
}

#[test]
fn no_file_however_broken_makes_a_panic() {
    use drawbridge::imaging::{preview, thumbnail};
    let picture = halves(30, 20);
    let mut files = vec![gif(2), turned(&picture, 6)];
    files.extend([LOSSY, LOSSY_ALPHA, ANIMATED, PROGRESSIVE].map(sample));
    for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP] {
        files.push(encoded(&picture, format));
    }
    let mut runner = TestRunner::deterministic();
    let changes = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6);
    let mut read = 0;
    for file in &files {
        for _ in 0..150 {
            let mut bytes = file.clone();
            for (at, value) in changes.new_tree(&mut runner).unwrap().current() {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            let _ = (look(&bytes), preview(&bytes));
            read += usize::from(thumbnail(&bytes, 10).is_some());
        }
        for length in 0..file.len() {
            let _ = (look(&file[..length]), thumbnail(&file[..length], 10));
        }
    }
    // Most changes are to what is decoded, not to what is refused.
    assert!(read > files.len() * 10, "{read}");
}
