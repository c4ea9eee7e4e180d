//! Ciphertext that was checked to the file it is.

use cbc::cipher::{Array, BlockModeDecrypt};
use sha2::{Digest, Sha256};

use super::{BLOCK, Keys, MediaFault};
use crate::domain::{MediaKey, MediaKind};

/// Decrypts a file as it is read. It takes the ciphertext without the MAC, which [`Checker`](super::Checker) has checked.
pub struct Decryptor {
    cipher: cbc::Decryptor<aes::Aes256>,
    file: Sha256,
    /// The last block and what is behind it: it may be the one with the padding.
    rest: Vec<u8>,
}

impl Decryptor {
    /// At the beginning of a ciphertext.
    #[must_use]
    pub fn new(key: &MediaKey, kind: MediaKind) -> Self {
        Self {
            cipher: Keys::new(key, kind).cipher(),
            file: Sha256::new(),
            rest: Vec::with_capacity(BLOCK),
        }
    }

    /// Takes the next bytes of the ciphertext; gives the next of the file, up to 16 fewer or 15 more.
    pub fn update(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.rest.len() + bytes.len());
        out.append(&mut self.rest);
        out.extend_from_slice(bytes);
        let ready = out.len().saturating_sub(1);
        let ready = ready - ready % BLOCK;
        self.rest.extend_from_slice(&out[ready..]);
        out.truncate(ready);
        self.open(&mut out);
        self.file.update(&out);
        out
    }

    /// The end of the file.
    ///
    /// # Errors
    /// Why the whole is not the file with that hash.
    pub fn finish(mut self, sha256: &[u8; 32]) -> Result<Vec<u8>, MediaFault> {
        let mut out = std::mem::take(&mut self.rest);
        if out.len() != BLOCK {
            return Err(MediaFault::Truncated);
        }
        self.open(&mut out);
        let padding = out.last().copied().unwrap_or(0);
        let length = BLOCK
            .checked_sub(usize::from(padding))
            .filter(|length| *length < BLOCK)
            .ok_or(MediaFault::Padding)?;
        if out[length..].iter().any(|byte| *byte != padding) {
            return Err(MediaFault::Padding);
        }
        out.truncate(length);
        self.file.update(&out);
        if self.file.finalize()[..] == sha256[..] {
            Ok(out)
        } else {
            Err(MediaFault::Hash)
        }
    }

    /// Decrypts whole blocks in their place.
    fn open(&mut self, blocks: &mut [u8]) {
        self.cipher
            .decrypt_blocks(Array::slice_as_chunks_mut(blocks).0);
    }
}
