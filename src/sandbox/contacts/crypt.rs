//! What phones encrypt besides messages: files as they stream, votes, and what is said about a file that is to be uploaded again.
//!
//! A file is AES-256-CBC under keys derived from its media key, with the first ten bytes of an HMAC at its end. A vote and a
//! request for a file are AES-256-GCM under a key derived from the poll's secret or the media key.

use aes_gcm::{
    Aes256Gcm, KeyInit as _,
    aead::{Aead as _, Payload},
};
use cbc::cipher::{Array, BlockModeDecrypt as _, BlockModeEncrypt as _, KeyIvInit as _};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::{Digest as _, Sha256};
use waproto::{buffa::Message as _, whatsapp::message::PollVoteMessage};

use crate::domain::MediaKind;

const BLOCK: usize = 16;
/// How much of the HMAC is kept.
const CODE: usize = 10;

/// Why a file is not what its message says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CryptError {
    /// It ends too early or in the middle of a block.
    #[error("the ciphertext is cut off")]
    Cut,
    /// The authentication code at its end is wrong.
    #[error("the ciphertext's authentication code is wrong")]
    Mac,
    /// The last block is not padded as it should be.
    #[error("the file is not padded as it should be")]
    Padding,
    /// The ciphertext's hash is another than the message says.
    #[error("the ciphertext's hash is another than the message says")]
    EncryptedHash,
    /// The file's hash is another than the message says.
    #[error("the file's hash is another than the message says")]
    Hash,
}

struct Keys {
    iv: [u8; 16],
    cipher: [u8; 32],
    mac: [u8; 32],
}

fn derive<const N: usize>(secret: &[u8], info: &[u8]) -> [u8; N] {
    let mut derived = [0; N];
    Hkdf::<Sha256>::new(None, secret)
        .expand(info, &mut derived)
        .expect("fewer bytes than the derivation can give");
    derived
}

fn part<const N: usize>(bytes: &[u8], from: usize) -> [u8; N] {
    let mut part = [0; N];
    part.copy_from_slice(&bytes[from..from + N]);
    part
}

impl Keys {
    fn new(media_key: &[u8; 32], kind: MediaKind) -> Self {
        let info: &[u8] = match kind {
            MediaKind::Image | MediaKind::Sticker => b"WhatsApp Image Keys",
            MediaKind::Video | MediaKind::Gif => b"WhatsApp Video Keys",
            MediaKind::Audio | MediaKind::Voice => b"WhatsApp Audio Keys",
            MediaKind::File => b"WhatsApp Document Keys",
        };
        let derived: [u8; 112] = derive(media_key, info);
        Self {
            iv: part(&derived, 0),
            cipher: part(&derived, 16),
            mac: part(&derived, 48),
        }
    }

    fn authentication(&self) -> Hmac<Sha256> {
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&self.mac)
            .expect("an HMAC takes a key of any length");
        mac.update(&self.iv);
        mac
    }
}

/// The hashes of a file that was encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hashes {
    pub(super) sha256: [u8; 32],
    pub(super) encrypted_sha256: [u8; 32],
    pub(super) size: u64,
}

/// Encrypts a file as it comes.
pub(super) struct FileEncryptor {
    cipher: cbc::Encryptor<aes::Aes256>,
    mac: Hmac<Sha256>,
    plain: Sha256,
    encrypted: Sha256,
    size: u64,
    /// Less than a block.
    rest: Vec<u8>,
}

impl FileEncryptor {
    pub(super) fn new(media_key: &[u8; 32], kind: MediaKind) -> Self {
        let keys = Keys::new(media_key, kind);
        Self {
            cipher: cbc::Encryptor::new(&keys.cipher.into(), &keys.iv.into()),
            mac: keys.authentication(),
            plain: Sha256::new(),
            encrypted: Sha256::new(),
            size: 0,
            rest: Vec::new(),
        }
    }

    /// The ciphertext of what is complete.
    pub(super) fn update(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.plain.update(bytes);
        self.size += bytes.len() as u64;
        let mut whole = std::mem::take(&mut self.rest);
        whole.extend_from_slice(bytes);
        self.rest = whole.split_off(whole.len() / BLOCK * BLOCK);
        self.seal(whole)
    }

    /// The last block and the authentication code.
    pub(super) fn finish(mut self) -> (Vec<u8>, Hashes) {
        let mut last = std::mem::take(&mut self.rest);
        let missing = BLOCK - last.len();
        // Between 1 and 16.
        last.resize(BLOCK, u8::try_from(missing).unwrap_or(0));
        let mut end = self.seal(last);
        let code = self.mac.finalize().into_bytes();
        self.encrypted.update(&code[..CODE]);
        end.extend_from_slice(&code[..CODE]);
        let hashes = Hashes {
            sha256: self.plain.finalize().into(),
            encrypted_sha256: self.encrypted.finalize().into(),
            size: self.size,
        };
        (end, hashes)
    }

    fn seal(&mut self, mut blocks: Vec<u8>) -> Vec<u8> {
        let (whole, _) = Array::slice_as_chunks_mut(&mut blocks);
        self.cipher.encrypt_blocks(whole);
        self.mac.update(&blocks);
        self.encrypted.update(&blocks);
        blocks
    }
}

/// Decrypts a file as it comes. What it gives is only good if [`finish`](Self::finish) says so.
pub(super) struct FileDecryptor {
    cipher: cbc::Decryptor<aes::Aes256>,
    mac: Hmac<Sha256>,
    plain: Sha256,
    encrypted: Sha256,
    /// The last block and the code cannot be told from the rest before the end.
    rest: Vec<u8>,
}

impl FileDecryptor {
    pub(super) fn new(media_key: &[u8; 32], kind: MediaKind) -> Self {
        let keys = Keys::new(media_key, kind);
        Self {
            cipher: cbc::Decryptor::new(&keys.cipher.into(), &keys.iv.into()),
            mac: keys.authentication(),
            plain: Sha256::new(),
            encrypted: Sha256::new(),
            rest: Vec::new(),
        }
    }

    /// The file as far as it is known.
    pub(super) fn update(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.encrypted.update(bytes);
        self.rest.extend_from_slice(bytes);
        let known = self.rest.len().saturating_sub(BLOCK + CODE) / BLOCK * BLOCK;
        let rest = self.rest.split_off(known);
        let blocks = std::mem::replace(&mut self.rest, rest);
        let opened = self.open(blocks);
        self.plain.update(&opened);
        opened
    }

    /// The end of the file, if all of it is what its message says.
    pub(super) fn finish(
        mut self,
        sha256: &[u8; 32],
        encrypted_sha256: &[u8; 32],
    ) -> Result<Vec<u8>, CryptError> {
        if self.rest.len() < BLOCK + CODE || !(self.rest.len() - CODE).is_multiple_of(BLOCK) {
            return Err(CryptError::Cut);
        }
        let code = self.rest.split_off(self.rest.len() - CODE);
        let last = std::mem::take(&mut self.rest);
        let mut last = self.open(last);
        self.mac
            .clone()
            .verify_truncated_left(&code)
            .map_err(|_| CryptError::Mac)?;
        let padding = usize::from(*last.last().ok_or(CryptError::Cut)?);
        if !(1..=BLOCK).contains(&padding)
            || last[last.len() - padding..]
                .iter()
                .any(|byte| usize::from(*byte) != padding)
        {
            return Err(CryptError::Padding);
        }
        last.truncate(last.len() - padding);
        self.plain.update(&last);
        if self.encrypted.finalize()[..] != encrypted_sha256[..] {
            return Err(CryptError::EncryptedHash);
        }
        if self.plain.finalize()[..] != sha256[..] {
            return Err(CryptError::Hash);
        }
        Ok(last)
    }

    fn open(&mut self, mut blocks: Vec<u8>) -> Vec<u8> {
        self.mac.update(&blocks);
        let (whole, _) = Array::slice_as_chunks_mut(&mut blocks);
        self.cipher.decrypt_blocks(whole);
        blocks
    }
}

/// A vote as it travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SealedVote {
    pub(super) payload: Vec<u8>,
    pub(super) iv: Vec<u8>,
}

/// Whose vote in which poll it is, which is part of the key.
pub(super) struct Ballot<'a> {
    pub(super) poll: &'a str,
    pub(super) author: String,
    pub(super) voter: String,
    pub(super) secret: &'a [u8],
}

impl Ballot<'_> {
    fn cipher(&self) -> Aes256Gcm {
        let info = [self.poll, &self.author, &self.voter, "Poll Vote"].concat();
        Aes256Gcm::new(&derive::<32>(self.secret, info.as_bytes()).into())
    }

    fn bound_to(&self) -> Vec<u8> {
        [self.poll, "\0", &self.voter].concat().into_bytes()
    }

    /// Encrypts a vote for some options.
    pub(super) fn seal(&self, choices: &[String]) -> SealedVote {
        let vote = PollVoteMessage {
            selected_options: choices.iter().map(|choice| option_hash(choice)).collect(),
        };
        let iv: [u8; 12] = rand::random();
        SealedVote {
            payload: seal(&self.cipher(), &iv, &vote.encode_to_vec(), &self.bound_to()),
            iv: iv.to_vec(),
        }
    }

    /// The options a vote is for, of those there are.
    pub(super) fn open(&self, vote: &SealedVote, options: &[String]) -> Option<Vec<String>> {
        let plaintext = open(&self.cipher(), &vote.iv, &vote.payload, &self.bound_to())?;
        let vote = PollVoteMessage::decode_from_slice(&plaintext).ok()?;
        let chosen = options
            .iter()
            .filter(|option| vote.selected_options.contains(&option_hash(option)));
        Some(chosen.cloned().collect())
    }
}

fn option_hash(option: &str) -> Vec<u8> {
    Sha256::digest(option).to_vec()
}

fn seal(cipher: &Aes256Gcm, iv: &[u8; 12], msg: &[u8], aad: &[u8]) -> Vec<u8> {
    cipher
        .encrypt(&(*iv).into(), Payload { msg, aad })
        .expect("a short message can be encrypted")
}

fn open(cipher: &Aes256Gcm, iv: &[u8], msg: &[u8], aad: &[u8]) -> Option<Vec<u8>> {
    let iv: [u8; 12] = iv.try_into().ok()?;
    cipher.decrypt(&iv.into(), Payload { msg, aad }).ok()
}

/// The cipher of what is said about a file that is to be uploaded again.
fn retry_cipher(media_key: &[u8; 32]) -> Aes256Gcm {
    Aes256Gcm::new(&derive::<32>(media_key, b"WhatsApp Media Retry Notification").into())
}

/// Encrypts what is said about a message's file: the ciphertext and its nonce.
pub(super) fn seal_retry(media_key: &[u8; 32], message: &str, said: &[u8]) -> (Vec<u8>, [u8; 12]) {
    let iv = rand::random();
    let sealed = seal(&retry_cipher(media_key), &iv, said, message.as_bytes());
    (sealed, iv)
}

/// Decrypts what is said about a message's file.
pub(super) fn open_retry(
    media_key: &[u8; 32],
    message: &str,
    iv: &[u8],
    sealed: &[u8],
) -> Option<Vec<u8>> {
    open(&retry_cipher(media_key), iv, sealed, message.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encrypt(plain: &[u8], step: usize) -> (Vec<u8>, Hashes) {
        let mut encryptor = FileEncryptor::new(&[7; 32], MediaKind::Voice);
        let mut out = Vec::new();
        for chunk in plain.chunks(step) {
            out.extend(encryptor.update(chunk));
        }
        let (end, hashes) = encryptor.finish();
        out.extend(end);
        (out, hashes)
    }

    fn decrypt(ciphertext: &[u8], step: usize, hashes: &Hashes) -> Result<Vec<u8>, CryptError> {
        let mut decryptor = FileDecryptor::new(&[7; 32], MediaKind::Voice);
        let mut out = Vec::new();
        for chunk in ciphertext.chunks(step) {
            out.extend(decryptor.update(chunk));
        }
        out.extend(decryptor.finish(&hashes.sha256, &hashes.encrypted_sha256)?);
        Ok(out)
    }

    #[test]
    fn a_file_is_the_same_in_whatever_pieces_it_comes() {
        for length in [0, 1, 15, 16, 17, 25, 26, 27, 4096, 5001] {
            let plain: Vec<u8> = (0..length).map(|n: u32| n.to_le_bytes()[0]).collect();
            let (whole, hashes) = encrypt(&plain, 10_000);
            assert_eq!(whole.len(), (plain.len() / 16 + 1) * 16 + 10);
            assert_eq!(hashes.size, u64::from(length));
            for step in [1, 7, 16, 1000] {
                assert_eq!(encrypt(&plain, step), (whole.clone(), hashes));
                assert_eq!(decrypt(&whole, step, &hashes).unwrap(), plain);
            }
        }
    }

    #[test]
    fn a_file_that_was_changed_is_noticed() {
        let (whole, hashes) = encrypt(&[9; 100], 100);
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            assert_eq!(decrypt(&changed, 13, &hashes), Err(CryptError::Mac), "{at}");
        }
        for length in 0..whole.len() {
            assert!(decrypt(&whole[..length], 13, &hashes).is_err());
        }
        let other = Hashes {
            encrypted_sha256: [0; 32],
            ..hashes
        };
        assert_eq!(decrypt(&whole, 13, &other), Err(CryptError::EncryptedHash));
        let other = Hashes {
            sha256: [0; 32],
            ..hashes
        };
        assert_eq!(decrypt(&whole, 13, &other), Err(CryptError::Hash));
    }

    #[test]
    fn a_vote_is_read_by_who_knows_the_poll_and_as_nobody_elses() {
        let ballot = Ballot {
            poll: "P1",
            author: "1@s.whatsapp.net".to_owned(),
            voter: "7-1@interop".to_owned(),
            secret: &[3; 32],
        };
        let options = ["tea".to_owned(), "milk".to_owned()];
        let vote = ballot.seal(&options[1..]);
        assert_eq!(ballot.open(&vote, &options).unwrap(), ["milk"]);
        let other = Ballot {
            voter: "7-2@interop".to_owned(),
            ..ballot
        };
        assert_eq!(other.open(&vote, &options), None);
    }
}
