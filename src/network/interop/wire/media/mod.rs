//! Files as they lie at a gatekeeper: `ciphertext ‖ MAC`, made and undone as they stream, in memory that does not grow with them.
//!
//! HKDF-SHA256 of the 32 bytes of the media key with the info `WhatsApp Image Keys` (or `Video`, `Audio`, `Document`) gives 112
//! bytes: IV 16, cipher key 32, MAC key 32, and 32 that are used elsewhere. The ciphertext is AES-256-CBC with PKCS #7 padding, the
//! MAC the first 10 bytes of HMAC-SHA256 over `IV ‖ ciphertext`. The message that carries the file has SHA-256 of the file and of
//! `ciphertext ‖ MAC`.

mod checker;
mod decryptor;
mod encryptor;

use std::fmt;

use cbc::cipher::KeyIvInit;
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

pub use checker::Checker;
pub use decryptor::Decryptor;
pub use encryptor::{Encryptor, Sealed};

use crate::domain::{MediaKey, MediaKind};

/// Bytes of a block of the cipher.
const BLOCK: usize = 16;
/// Bytes of the MAC behind the ciphertext.
const MAC: usize = 10;

/// Why a file is not what its message announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MediaFault {
    /// It ends too early, or not where a block ends.
    Truncated,
    /// Its MAC is another: it is damaged, or encrypted with another key or as another kind of file.
    Mac,
    /// The hash of what the server gave is another.
    EncryptedHash,
    /// What it decrypts to is not padded as it should be.
    Padding,
    /// The hash of the file is another.
    Hash,
}

impl MediaFault {
    /// What is wrong, in a few words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Truncated => "it is incomplete",
            Self::Mac => "its authentication code is wrong",
            Self::EncryptedHash => "the hash of its encrypted form is wrong",
            Self::Padding => "its padding is wrong",
            Self::Hash => "its hash is wrong",
        }
    }
}

impl fmt::Display for MediaFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The keys of one file.
struct Keys(Zeroizing<[u8; 112]>);

impl Keys {
    fn new(key: &MediaKey, kind: MediaKind) -> Self {
        let info = match kind {
            MediaKind::Image | MediaKind::Sticker => "WhatsApp Image Keys",
            MediaKind::Video | MediaKind::Gif => "WhatsApp Video Keys",
            MediaKind::Audio | MediaKind::Voice => "WhatsApp Audio Keys",
            MediaKind::File => "WhatsApp Document Keys",
        };
        let mut keys = Zeroizing::new([0; 112]);
        Hkdf::<Sha256>::new(None, &key.0)
            .expand(info.as_bytes(), &mut *keys)
            .expect("112 bytes are not too many");
        Self(keys)
    }

    /// A cipher at its beginning.
    fn cipher<C: KeyIvInit>(&self) -> C {
        C::new_from_slices(&self.0[16..48], &self.0[..16]).expect("an AES-256 key and its IV")
    }

    /// The MAC with the IV in it.
    fn mac(&self) -> Hmac<Sha256> {
        let mac = <Hmac<Sha256> as Mac>::new_from_slice(&self.0[48..80]);
        mac.expect("a key of any length is taken")
            .chain_update(&self.0[..16])
    }
}
