//! Whether what a server gave is what a message announced, before anything of it is decrypted.

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{BLOCK, Keys, MAC, MediaFault};
use crate::domain::{MediaKey, MediaKind};

/// Checks `ciphertext ‖ MAC` as it comes.
pub struct Checker {
    mac: Hmac<Sha256>,
    encrypted: Sha256,
    length: u64,
    /// The last bytes: they may be the MAC.
    tail: Vec<u8>,
}

impl Checker {
    /// At the beginning.
    #[must_use]
    pub fn new(key: &MediaKey, kind: MediaKind) -> Self {
        Self {
            mac: Keys::new(key, kind).mac(),
            encrypted: Sha256::new(),
            length: 0,
            tail: Vec::with_capacity(2 * MAC),
        }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.encrypted.update(bytes);
        self.length += bytes.len() as u64;
        let (body, tail) = bytes.split_at(bytes.len().saturating_sub(MAC));
        // What follows pushes as many bytes out of the tail; with a body it pushes out all of them.
        let surplus = (self.tail.len() + tail.len()).saturating_sub(MAC);
        self.mac.update(&self.tail[..surplus]);
        self.tail.drain(..surplus);
        self.mac.update(body);
        self.tail.extend_from_slice(tail);
    }

    /// The bytes of the ciphertext without the MAC.
    ///
    /// # Errors
    /// Why it is not what the message announced.
    pub fn finish(self, encrypted_sha256: &[u8; 32]) -> Result<u64, MediaFault> {
        let ciphertext = self
            .length
            .checked_sub(MAC as u64)
            .filter(|length| *length > 0 && length % BLOCK as u64 == 0)
            .ok_or(MediaFault::Truncated)?;
        let mac = self.mac.finalize().into_bytes();
        if !bool::from(mac[..MAC].ct_eq(&self.tail)) {
            return Err(MediaFault::Mac);
        }
        if self.encrypted.finalize()[..] != encrypted_sha256[..] {
            return Err(MediaFault::EncryptedHash);
        }
        Ok(ciphertext)
    }
}
