//! Secrets sealed before they reach the database, each to its place, so that a row moved elsewhere does not open.
//!
//! A sealed value is a random 24-byte nonce, the `XChaCha20` ciphertext, and the 16-byte Poly1305 tag. The table, the row's key and
//! the column are authenticated with it. 192 bits of nonce can be drawn at random for ever without a repetition to fear.

use chacha20poly1305::{AeadInPlace as _, KeyInit as _, Tag, XChaCha20Poly1305, XNonce};

use super::StoreError;

const NONCE: usize = 24;
const TAG: usize = 16;

/// Holds the sealing key; it is wiped when dropped.
pub(super) struct Sealer {
    cipher: XChaCha20Poly1305,
}

impl Sealer {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        Self {
            cipher: XChaCha20Poly1305::new(key.into()),
        }
    }

    /// Seals a secret to the column of a row.
    pub(super) fn seal(&self, table: &str, row: &str, column: &str, secret: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE] = rand::random();
        let mut sealed = Vec::with_capacity(NONCE + secret.len() + TAG);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(secret);
        let tag = self
            .cipher
            .encrypt_in_place_detached(
                XNonce::from_slice(&nonce),
                &place(table, row, column),
                &mut sealed[NONCE..],
            )
            .expect("a secret is far shorter than the cipher's limit of 256 GiB");
        sealed.extend_from_slice(&tag);
        sealed
    }

    /// Opens what was sealed to the column of a row.
    ///
    /// # Errors
    /// [`StoreError::Unsealable`] if it was altered, sealed elsewhere, or sealed with another key.
    pub(super) fn open(
        &self,
        table: &'static str,
        row: &str,
        column: &str,
        sealed: &[u8],
    ) -> Result<Vec<u8>, StoreError> {
        let refused = || StoreError::Unsealable { table };
        let (nonce, rest) = sealed.split_at_checked(NONCE).ok_or_else(refused)?;
        let length = rest.len().checked_sub(TAG).ok_or_else(refused)?;
        let (ciphertext, tag) = rest.split_at(length);
        let mut secret = ciphertext.to_vec();
        self.cipher
            .decrypt_in_place_detached(
                XNonce::from_slice(nonce),
                &place(table, row, column),
                &mut secret,
                Tag::from_slice(tag),
            )
            .map_err(|_| refused())?;
        Ok(secret)
    }
}

/// The place as bytes, each part with its length, so that no two places are written alike.
fn place(table: &str, row: &str, column: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(table.len() + row.len() + column.len() + 24);
    for part in [table, row, column] {
        bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_in_its_place_and_with_its_key() {
        let sealer = Sealer::new(&[7; 32]);
        let sealed = sealer.seal("sessions", "1/a", "record", b"secret");
        assert_eq!(
            sealer.open("sessions", "1/a", "record", &sealed).unwrap(),
            b"secret"
        );
        assert!(sealer.open("sessions", "1/b", "record", &sealed).is_err());
        assert!(sealer.open("prekeys", "1/a", "record", &sealed).is_err());
        assert!(sealer.open("sessions", "1/a", "other", &sealed).is_err());
        assert!(
            Sealer::new(&[8; 32])
                .open("sessions", "1/a", "record", &sealed)
                .is_err()
        );
    }

    #[test]
    fn refuses_every_altered_or_shortened_value() {
        let sealer = Sealer::new(&[7; 32]);
        let sealed = sealer.seal("t", "r", "c", b"secret");
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert!(sealer.open("t", "r", "c", &altered).is_err());
            assert!(sealer.open("t", "r", "c", &sealed[..at]).is_err());
        }
    }

    #[test]
    fn a_place_cannot_be_written_as_another() {
        assert_ne!(place("a", "bc", "d"), place("ab", "c", "d"));
    }
}
