//! The symmetric state of a handshake: a hash of all that was said, and the key agreed so far.

use libsignal_protocol::protocol::{PrivateKey, PublicKey};
use wacore_noise::{NoiseCipher, NoiseState};

use super::{NoiseError, Start};

const NAME: &[u8] = b"Noise_XX_25519_AESGCM_SHA256";

pub(super) struct Symmetric(NoiseState);

impl Symmetric {
    /// The state after the first message, which both sides know: the prologue and the client's ephemeral key.
    pub(super) fn begin(start: &Start<'_>, client_ephemeral: &[u8; 32]) -> Self {
        let state = NoiseState::new(NAME, start.prologue)
            .expect("a state is made from any name and prologue");
        let mut symmetric = Self(state);
        symmetric.mix_hash(client_ephemeral);
        if let Some(payload) = start.first_payload {
            symmetric.mix_hash(payload);
        }
        symmetric
    }

    pub(super) fn mix_hash(&mut self, data: &[u8]) {
        self.0.authenticate(data);
    }

    /// Agrees on a secret with the peer's key and mixes it into the key.
    pub(super) fn mix_secret(
        &mut self,
        private: &[u8; 32],
        public: &[u8; 32],
    ) -> Result<(), NoiseError> {
        let secret = PrivateKey::deserialize(private)
            .and_then(|private| {
                private.calculate_agreement(&PublicKey::from_djb_public_key_bytes(public)?)
            })
            .map_err(|_| NoiseError::WeakKey)?;
        // A point of small order gives zero whatever our key is.
        if secret == [0; 32] {
            return Err(NoiseError::WeakKey);
        }
        self.0.mix_key(&secret).map_err(|_| NoiseError::WeakKey)
    }

    pub(super) fn seal(&mut self, plaintext: &[u8]) -> Result<Vec<u8>, NoiseError> {
        self.0.encrypt(plaintext).map_err(|_| NoiseError::Sealed)
    }

    pub(super) fn open(&mut self, sealed: &[u8]) -> Result<Vec<u8>, NoiseError> {
        self.0.decrypt(sealed).map_err(|_| NoiseError::Sealed)
    }

    /// The hash of the whole handshake.
    #[cfg(test)]
    pub(super) fn hash(&self) -> [u8; 32] {
        *self.0.hash()
    }

    /// The client's and the server's sending cipher.
    pub(super) fn split(self) -> Result<(NoiseCipher, NoiseCipher), NoiseError> {
        let keys = self.0.split().map_err(|_| NoiseError::Sealed)?;
        Ok((keys.write, keys.read))
    }
}
