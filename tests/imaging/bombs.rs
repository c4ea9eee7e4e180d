//! Files that claim to be large, or become it: refused without the memory they ask for. Each is read in a process of its own, whose
//! peak of resident memory tells.

use std::{fs, process::Command};

use drawbridge::imaging::{look, sticker, thumbnail};
use image::ImageFormat;

use super::samples::{LOSSY, encoded, halves, ihdr, png, sample, vp8x, webp, zeroes};

/// How much more memory a process may have used after a file than before, in kB.
const ALLOWED: u64 = 64 * 1024;
/// Where the process that reads a file is told which.
const FILE: &str = "DRAWBRIDGE_TEST_PICTURE";

fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .expect("Linux tells the peak");
    let number = line.trim().trim_end_matches(" kB");
    number.parse().expect("a number of kB")
}

/// The process of [`read_alone`]; by itself it has nothing to do.
#[test]
fn reads_the_file_it_is_told() {
    let Ok(path) = std::env::var(FILE) else {
        return;
    };
    let bytes = fs::read(path).unwrap();
    let before = peak();
    let seen = look(&bytes).is_some();
    let read = thumbnail(&bytes, 320).is_some();
    assert_eq!(sticker(&bytes).is_some(), read);
    println!("\nresult {} {seen} {read}", peak() - before);
}

/// Reads a file in a process of its own: whether its header and its picture could be read. Panics if that took too much memory.
fn read_alone(name: &str, bytes: &[u8]) -> (bool, bool) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("picture");
    fs::write(&path, bytes).expect("a file");
    let output = Command::new(std::env::current_exe().expect("a program"))
        .args([
            "--exact",
            "imaging::bombs::reads_the_file_it_is_told",
            "--nocapture",
        ])
        .env(FILE, &path)
        .output()
        .expect("the program runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let result = said
        .lines()
        .find_map(|line| line.strip_prefix("result "))
        .unwrap_or_else(|| panic!("{name}: {said}{}", String::from_utf8_lossy(&output.stderr)));
    let words: Vec<&str> = result.split(' ').collect();
    let risen: u64 = words[0].parse().expect("a number of kB");
    assert!(risen < ALLOWED, "{name}: {risen} kB more");
    (words[1] == "true", words[2] == "true")
}

fn gif(screen: (u16, u16), frame: (u16, u16)) -> Vec<u8> {
    let mut bytes = b"GIF89a".to_vec();
    let sides = |(width, height): (u16, u16)| [width.to_le_bytes(), height.to_le_bytes()].concat();
    bytes.extend(sides(screen));
    bytes.extend([0x80, 0, 0, 0, 0, 0, 255, 255, 255]);
    bytes.extend([0x2c, 0, 0, 0, 0]);
    bytes.extend(sides(frame));
    // Codes of one pixel each, and the end.
    bytes.extend([0, 2, 2, 0x44, 0x01, 0, 0x3b]);
    bytes
}

fn jpeg(frame: u8, width: u16, height: u16) -> Vec<u8> {
    let sample = encoded(&halves(16, 16), ImageFormat::Jpeg);
    let at = sample
        .windows(2)
        .position(|pair| pair == [0xff, 0xc0])
        .expect("a frame");
    let mut bytes = sample;
    bytes[at + 1] = frame;
    bytes[at + 5..at + 7].copy_from_slice(&height.to_be_bytes());
    bytes[at + 7..at + 9].copy_from_slice(&width.to_be_bytes());
    bytes
}

fn vp8l(width: u32, height: u32) -> Vec<u8> {
    let mut data = vec![0x2f];
    data.extend(((width - 1) | ((height - 1) << 14)).to_le_bytes());
    data.resize(4_096, 0);
    data
}

/// The lossy bitstream of the sample, with another size in its header.
fn vp8(width: u16, height: u16) -> Vec<u8> {
    let mut data = sample(LOSSY)[20..].to_vec();
    data[6..8].copy_from_slice(&width.to_le_bytes());
    data[8..10].copy_from_slice(&height.to_le_bytes());
    data
}

#[test]
fn what_claims_to_be_enormous_is_not_even_looked_at() {
    let idat = (b"IDAT", zeroes(100_000));
    for (name, bytes) in [
        ("PNG", png(&[ihdr(50_000, 50_000, 6), idat])),
        ("GIF", gif((50_000, 50_000), (50_000, 50_000))),
        (
            "WebP",
            webp(&[vp8x(0, 50_000, 50_000), (b"VP8 ", vp8(16_383, 16_383))]),
        ),
        ("animated WebP", webp(&[vp8x(2, 50_000, 50_000)])),
        ("JPEG", jpeg(0xc0, 50_000, 50_000)),
    ] {
        assert_eq!(read_alone(name, &bytes), (false, false), "{name}");
    }
}

#[test]
fn what_inflates_enormously_is_not_decoded() {
    let end = (b"IEND", Vec::new());
    let grey = png(&[
        ihdr(16_000, 16_000, 0),
        (b"IDAT", zeroes(16_000 * 16_001)),
        end.clone(),
    ]);
    assert!(grey.len() < 2_000_000);
    let mut animation = vec![0; 6];
    animation.extend(&(16_383_u32 - 1).to_le_bytes()[..3]);
    animation.extend(&(16_383_u32 - 1).to_le_bytes()[..3]);
    animation.extend([0; 4]);
    let frame = webp(&[(b"VP8 ", vp8(16_383, 16_383))]);
    animation.extend(&frame[12..]);
    for (name, bytes) in [
        ("PNG", grey),
        ("GIF", gif((16_000, 16_000), (16_000, 16_000))),
        ("GIF with a large frame", gif((16, 16), (65_535, 65_535))),
        ("lossless WebP", webp(&[(b"VP8L", vp8l(16_384, 16_384))])),
        ("lossy WebP", webp(&[(b"VP8 ", vp8(16_383, 16_383))])),
        (
            "WebP with a larger picture inside",
            webp(&[vp8x(0, 24, 16), (b"VP8 ", vp8(16_383, 16_383))]),
        ),
        (
            "WebP with a larger frame inside",
            webp(&[vp8x(2, 24, 16), (b"ANIM", vec![0; 6]), (b"ANMF", animation)]),
        ),
        ("JPEG", jpeg(0xc0, 16_000, 16_000)),
        ("progressive JPEG", jpeg(0xc2, 4_500, 4_000)),
    ] {
        assert_eq!(read_alone(name, &bytes), (true, false), "{name}");
    }
}

#[test]
fn what_inflates_beside_the_picture_takes_no_memory_either() {
    let mut profile = b"icc\0\0".to_vec();
    profile.extend(zeroes(100_000_000));
    let mut text = b"Comment\0\0".to_vec();
    text.extend(zeroes(100_000_000));
    let pixels = (b"IDAT", zeroes(20 * 31));
    let end = (b"IEND", Vec::new());
    for (name, chunk) in [("iCCP", (b"iCCP", profile)), ("zTXt", (b"zTXt", text))] {
        // Whether the rest is read all the same does not matter.
        read_alone(
            name,
            &png(&[ihdr(30, 20, 0), chunk, pixels.clone(), end.clone()]),
        );
    }
}

#[test]
fn the_largest_that_is_decoded_stays_within_bounds() {
    let pixels = (b"IDAT", zeroes(3_600 * (4_000 * 4 + 1)));
    let end = (b"IEND", Vec::new());
    for (name, bytes) in [
        ("PNG", png(&[ihdr(4_000, 3_600, 6), pixels, end])),
        ("JPEG", encoded(&halves(5_000, 3_800), ImageFormat::Jpeg)),
        ("WebP", encoded(&halves(2_700, 2_700), ImageFormat::WebP)),
        ("GIF", encoded(&halves(2_700, 2_700), ImageFormat::Gif)),
    ] {
        assert_eq!(read_alone(name, &bytes), (true, true), "{name}");
    }
}
