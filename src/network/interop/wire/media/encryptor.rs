//! A file to what is hosted for the gatekeeper.

use cbc::cipher::{Array, BlockModeEncrypt};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use super::{BLOCK, Keys, MAC};
use crate::domain::{MediaKey, MediaKind};

/// What a message says about a file that was encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sealed {
    /// SHA-256 of the file.
    pub sha256: [u8; 32],
    /// SHA-256 of the ciphertext with its MAC.
    pub encrypted_sha256: [u8; 32],
    /// The size of the file in bytes.
    pub size: u64,
}

/// Encrypts a file as it comes.
pub struct Encryptor {
    cipher: cbc::Encryptor<aes::Aes256>,
    mac: Hmac<Sha256>,
    file: Sha256,
    encrypted: Sha256,
    size: u64,
    /// The file's bytes behind the last whole block.
    rest: Vec<u8>,
}

impl Encryptor {
    /// At the beginning of a file.
    #[must_use]
    pub fn new(key: &MediaKey, kind: MediaKind) -> Self {
        let keys = Keys::new(key, kind);
        Self {
            cipher: keys.cipher(),
            mac: keys.mac(),
            file: Sha256::new(),
            encrypted: Sha256::new(),
            size: 0,
            rest: Vec::with_capacity(BLOCK),
        }
    }

    /// Takes the next bytes of the file; gives the next of the ciphertext, up to 15 more or fewer.
    pub fn update(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.file.update(bytes);
        self.size += bytes.len() as u64;
        let mut out = Vec::with_capacity(self.rest.len() + bytes.len());
        out.append(&mut self.rest);
        out.extend_from_slice(bytes);
        let whole = out.len() - out.len() % BLOCK;
        self.rest.extend_from_slice(&out[whole..]);
        out.truncate(whole);
        self.seal(&mut out);
        out
    }

    /// The end of the ciphertext with the MAC, and what the message says about the file.
    ///
    /// # Panics
    /// Never: less than a block is left.
    #[must_use]
    pub fn finish(mut self) -> (Vec<u8>, Sealed) {
        let mut out = std::mem::take(&mut self.rest);
        let padding = BLOCK - out.len();
        out.resize(BLOCK, u8::try_from(padding).expect("a block has 16 bytes"));
        self.seal(&mut out);
        let mac = self.mac.finalize().into_bytes();
        self.encrypted.update(&mac[..MAC]);
        out.extend_from_slice(&mac[..MAC]);
        let sealed = Sealed {
            sha256: self.file.finalize().into(),
            encrypted_sha256: self.encrypted.finalize().into(),
            size: self.size,
        };
        (out, sealed)
    }

    /// Encrypts whole blocks in their place.
    fn seal(&mut self, blocks: &mut [u8]) {
        self.cipher
            .encrypt_blocks(Array::slice_as_chunks_mut(blocks).0);
        self.mac.update(blocks);
        self.encrypted.update(blocks);
    }
}
