//! Files that a client encrypted: AES-256-CTR under a key that travels in the event, with the hash of the ciphertext.
//!
//! <https://spec.matrix.org/v1.16/client-server-api/#sending-encrypted-attachments>

use std::{
    io,
    sync::{Arc, OnceLock},
};

use aes::{
    Aes256,
    cipher::{KeyIvInit as _, StreamCipher as _},
};
use bytes::{Bytes, BytesMut};
use ctr::Ctr128BE;
use futures_util::{StreamExt as _, stream};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{ByteStream, DownloadError};
use crate::domain::{AttachmentKey, AttachmentSecret};

/// A new secret for one file. Half of its counter block is drawn and half counts, so that it reaches further than any file.
#[must_use]
pub fn new_secret() -> AttachmentSecret {
    let mut iv = [0; 16];
    iv[..8].copy_from_slice(&rand::random::<[u8; 8]>());
    AttachmentSecret {
        key: rand::random(),
        iv,
    }
}

/// Encrypts one file, anew for each try to send it, and learns the key it is decrypted with.
pub struct FileCipher {
    secret: AttachmentSecret,
    sha256: Arc<OnceLock<[u8; 32]>>,
}

impl FileCipher {
    /// What encrypts with a secret. Every stream it is given must be of the same bytes, here and for ever.
    #[must_use]
    pub fn new(secret: AttachmentSecret) -> Self {
        Self {
            secret,
            sha256: Arc::default(),
        }
    }

    /// Encrypts the file as it comes; ciphertext is as long as what it is of.
    #[must_use]
    pub fn encrypt(&self, stream: ByteStream) -> ByteStream {
        let state = State::new(stream, &self.secret.key, &self.secret.iv);
        let learnt = self.sha256.clone();
        stream::try_unfold((state, learnt), |(mut state, learnt)| async move {
            let Some(part) = state.stream.next().await else {
                // The same bytes have the same hash.
                let _ = learnt.set(state.hash.finalize().into());
                return Ok(None);
            };
            let ciphertext = state.crypt(part?)?;
            state.hash.update(&ciphertext);
            Ok(Some((ciphertext, (state, learnt))))
        })
        .boxed()
    }

    /// The key to the file, once a stream of it has come to its end.
    #[must_use]
    pub fn key(&self) -> Option<AttachmentKey> {
        let sha256 = self.sha256.get()?;
        Some(self.secret.clone().into_key(*sha256))
    }
}

/// Decrypts a file as it comes. The stream fails at its end (with [`DownloadError::Corrupt`] inside) if what came is not what was
/// encrypted: until it has ended well, nothing that came out of it is to be believed.
#[must_use]
pub fn decrypt(stream: ByteStream, key: &AttachmentKey) -> ByteStream {
    let state = State::new(stream, &key.key, &key.iv);
    stream::try_unfold((state, key.sha256), |(mut state, expected)| async move {
        let Some(part) = state.stream.next().await else {
            return state.judge(expected).map(|()| None);
        };
        let ciphertext = part?;
        state.hash.update(&ciphertext);
        let plaintext = state.crypt(ciphertext)?;
        Ok(Some((plaintext, (state, expected))))
    })
    .boxed()
}

struct State {
    stream: ByteStream,
    cipher: Ctr128BE<Aes256>,
    /// Of the ciphertext.
    hash: Sha256,
}

impl State {
    fn new(stream: ByteStream, key: &[u8; 32], iv: &[u8; 16]) -> Self {
        Self {
            stream,
            cipher: Ctr128BE::<Aes256>::new(key.into(), iv.into()),
            hash: Sha256::new(),
        }
    }

    /// Encrypts or decrypts, which are the same here.
    fn crypt(&mut self, part: Bytes) -> io::Result<Bytes> {
        let mut bytes = part
            .try_into_mut()
            .unwrap_or_else(|shared| BytesMut::from(&*shared));
        self.cipher
            .try_apply_keystream(&mut bytes)
            .map_err(|_| DownloadError::Corrupt("it is longer than its key reaches"))?;
        Ok(bytes.freeze())
    }

    fn judge(self, expected: [u8; 32]) -> io::Result<()> {
        let hash: [u8; 32] = self.hash.finalize().into();
        if bool::from(hash.ct_eq(&expected)) {
            Ok(())
        } else {
            Err(DownloadError::Corrupt("its hash is wrong").into())
        }
    }
}
