//! Frames after the handshake: AES-256-GCM with a counter each way, no associated data.

use wacore_noise::NoiseCipher;

use super::NoiseError;

/// The bytes a sealed frame has more than its plaintext.
const TAG: usize = 16;

/// The half that seals.
pub struct Sealer {
    cipher: NoiseCipher,
    counter: Option<u32>,
}

/// The half that opens.
pub struct Opener {
    cipher: NoiseCipher,
    counter: Option<u32>,
}

/// Both halves of an established channel.
pub struct Transport {
    sealer: Sealer,
    opener: Opener,
}

impl Transport {
    pub(super) fn new(write: NoiseCipher, read: NoiseCipher) -> Self {
        Self {
            sealer: Sealer {
                cipher: write,
                counter: Some(0),
            },
            opener: Opener {
                cipher: read,
                counter: Some(0),
            },
        }
    }

    /// The halves, for two tasks.
    #[must_use]
    pub fn split(self) -> (Sealer, Opener) {
        (self.sealer, self.opener)
    }

    /// Seals the next frame.
    ///
    /// # Panics
    /// As [`Sealer::seal`].
    #[must_use]
    pub fn seal(&mut self, plaintext: &[u8]) -> Vec<u8> {
        self.sealer.seal(plaintext)
    }

    /// Opens the next frame.
    ///
    /// # Errors
    /// As [`Opener::open`].
    pub fn open(&mut self, sealed: &[u8]) -> Result<Vec<u8>, NoiseError> {
        self.opener.open(sealed)
    }
}

impl Sealer {
    /// Seals the next frame.
    ///
    /// # Panics
    /// At the 2^32nd frame of a connection, rather than use a nonce twice.
    #[must_use]
    pub fn seal(&mut self, plaintext: &[u8]) -> Vec<u8> {
        let counter = self.counter.expect("a connection ends before 2^32 frames");
        self.counter = counter.checked_add(1);
        self.cipher
            .encrypt_with_counter(counter, plaintext)
            .expect("AES-GCM seals anything shorter than a frame")
    }
}

impl Opener {
    /// Opens the next frame. After an error the channel is of no use: what follows does not open either.
    ///
    /// # Errors
    /// [`NoiseError::Sealed`] if the bytes are not the next the peer sealed.
    pub fn open(&mut self, sealed: &[u8]) -> Result<Vec<u8>, NoiseError> {
        if sealed.len() < TAG {
            return Err(NoiseError::Sealed);
        }
        let counter = self.counter.ok_or(NoiseError::Exhausted)?;
        let mut buffer = sealed.to_vec();
        self.cipher
            .decrypt_in_place_with_counter(counter, &mut buffer)
            .map_err(|_| NoiseError::Sealed)?;
        self.counter = counter.checked_add(1);
        Ok(buffer)
    }
}
