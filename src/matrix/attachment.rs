//! Files that a client encrypted: AES-256-CTR under a key that travels in the event, with the hash of the ciphertext.
//!
//! <https://spec.matrix.org/v1.16/client-server-api/#sending-encrypted-attachments>

use std::io;

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
use crate::domain::AttachmentKey;

/// Decrypts a file as it comes. The stream fails at its end (with [`DownloadError::Corrupt`] inside) if what came is not what was
/// encrypted: until it has ended well, nothing that came out of it is to be believed.
#[must_use]
pub fn decrypt(stream: ByteStream, key: &AttachmentKey) -> ByteStream {
    let state = State {
        stream,
        cipher: Ctr128BE::<Aes256>::new(&key.key.into(), &key.iv.into()),
        hash: Sha256::new(),
        expected: key.sha256,
    };
    stream::try_unfold(state, |mut state| async move {
        let Some(part) = state.stream.next().await else {
            return state.judge().map(|()| None);
        };
        let plaintext = state.decrypt(part?)?;
        Ok(Some((plaintext, state)))
    })
    .boxed()
}

struct State {
    stream: ByteStream,
    cipher: Ctr128BE<Aes256>,
    hash: Sha256,
    expected: [u8; 32],
}

impl State {
    fn decrypt(&mut self, ciphertext: Bytes) -> io::Result<Bytes> {
        self.hash.update(&ciphertext);
        let mut bytes = ciphertext
            .try_into_mut()
            .unwrap_or_else(|shared| BytesMut::from(&*shared));
        self.cipher
            .try_apply_keystream(&mut bytes)
            .map_err(|_| DownloadError::Corrupt("it is longer than its key reaches"))?;
        Ok(bytes.freeze())
    }

    fn judge(self) -> io::Result<()> {
        let hash: [u8; 32] = self.hash.finalize().into();
        if bool::from(hash.ct_eq(&self.expected)) {
            Ok(())
        } else {
            Err(DownloadError::Corrupt("its hash is wrong").into())
        }
    }
}
