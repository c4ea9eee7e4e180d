//! Made-up files, each of them different, whose hash is known.

use std::io::Cursor;

use drawbridge::domain::MediaKind;
use image::{DynamicImage, ImageFormat};
use rand::{RngExt as _, rngs::StdRng};
use sha2::{Digest as _, Sha256};

/// The kinds of files in the traffic.
pub(crate) const KINDS: [MediaKind; 4] = [
    MediaKind::Image,
    MediaKind::File,
    MediaKind::Voice,
    MediaKind::Sticker,
];

/// A file.
pub(crate) struct MadeUp {
    pub(crate) kind: MediaKind,
    pub(crate) bytes: Vec<u8>,
    pub(crate) sha256: [u8; 32],
}

impl MadeUp {
    pub(crate) fn mime_type(&self) -> &'static str {
        match self.kind {
            MediaKind::Image => "image/png",
            MediaKind::Voice => "audio/ogg; codecs=opus",
            MediaKind::Sticker => "image/webp",
            _ => "application/octet-stream",
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self.kind {
            MediaKind::Image => "picture.png",
            MediaKind::Voice => "voice.ogg",
            MediaKind::Sticker => "sticker.webp",
            _ => "data.bin",
        }
    }
}

/// What files begin with, by their kinds.
pub(crate) struct Workshop {
    picture: Vec<u8>,
    sticker: Vec<u8>,
}

impl Workshop {
    pub(crate) fn new() -> Self {
        Self {
            picture: encoded(24, ImageFormat::Png),
            // A sticker of this size is sent on as it is.
            sticker: encoded(512, ImageFormat::WebP),
        }
    }

    /// A file of a kind, of 1 to 60 kB. Behind a picture stands what its readers pass over.
    pub(crate) fn make(&self, kind: MediaKind, rng: &mut StdRng) -> MadeUp {
        let mut bytes = match kind {
            MediaKind::Image => self.picture.clone(),
            MediaKind::Sticker => self.sticker.clone(),
            MediaKind::Voice => b"OggS".to_vec(),
            _ => Vec::new(),
        };
        let mut rest = vec![0; rng.random_range(1_000..60_000)];
        rng.fill(&mut rest[..]);
        bytes.extend(rest);
        MadeUp {
            kind,
            sha256: sha256(&bytes),
            bytes,
        }
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

fn encoded(side: u32, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::new_rgba8(side, side)
        .write_to(&mut bytes, format)
        .expect("a plain picture can be encoded");
    bytes.into_inner()
}
