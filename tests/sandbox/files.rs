//! A Partner's own way to encrypt files, votes and requests, each in one piece, by the letter of the interface's description.

use aes_gcm::{
    Aes256Gcm, KeyInit,
    aead::{Aead, Payload},
};
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit, block_padding::Pkcs7};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use waproto::{buffa::Message as _, whatsapp::message::PollVoteMessage};

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

fn derive(secret: &[u8], info: &str, length: usize) -> Vec<u8> {
    let mut out = vec![0; length];
    hkdf::Hkdf::<Sha256>::new(Some(&[0; 32]), secret)
        .expand(info.as_bytes(), &mut out)
        .unwrap();
    out
}

fn code(keys: &[u8], ciphertext: &[u8]) -> [u8; 10] {
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&keys[48..80]).unwrap();
    mac.update(&keys[..16]);
    mac.update(ciphertext);
    mac.finalize().into_bytes()[..10].try_into().unwrap()
}

/// A file's ciphertext with its code; `what` is `Image`, `Video`, `Audio` or `Document`.
pub(crate) fn seal(what: &str, key: &[u8; 32], plain: &[u8]) -> Vec<u8> {
    let keys = derive(key, &format!("WhatsApp {what} Keys"), 112);
    let cipher = cbc::Encryptor::<aes::Aes256>::new_from_slices(&keys[16..48], &keys[..16]);
    let mut sealed = plain.to_vec();
    sealed.resize((plain.len() / 16 + 1) * 16, 0);
    cipher
        .unwrap()
        .encrypt_padded::<Pkcs7>(&mut sealed, plain.len())
        .unwrap();
    let code = code(&keys, &sealed);
    sealed.extend(code);
    sealed
}

/// A file from its ciphertext.
pub(crate) fn open(what: &str, key: &[u8; 32], sealed: &[u8]) -> Vec<u8> {
    let keys = derive(key, &format!("WhatsApp {what} Keys"), 112);
    let (ciphertext, end) = sealed.split_at(sealed.len() - 10);
    assert_eq!(end, code(&keys, ciphertext));
    let cipher = cbc::Decryptor::<aes::Aes256>::new_from_slices(&keys[16..48], &keys[..16]);
    let mut buffer = ciphertext.to_vec();
    let plain = cipher.unwrap().decrypt_padded::<Pkcs7>(&mut buffer);
    plain.unwrap().to_vec()
}

fn gcm(secret: &[u8], info: &str) -> Aes256Gcm {
    Aes256Gcm::new_from_slice(&derive(secret, info, 32)).unwrap()
}

fn ballot(poll: &str, author: &str, voter: &str, secret: &[u8]) -> (Aes256Gcm, String) {
    let cipher = gcm(secret, &format!("{poll}{author}{voter}Poll Vote"));
    (cipher, format!("{poll}\0{voter}"))
}

/// A vote: ciphertext and nonce.
pub(crate) fn seal_vote(
    poll: &str,
    author: &str,
    voter: &str,
    secret: &[u8],
    choices: &[&str],
) -> (Vec<u8>, Vec<u8>) {
    let (cipher, bound) = ballot(poll, author, voter, secret);
    let hashes = choices
        .iter()
        .map(|choice| sha256(choice.as_bytes()).to_vec());
    let vote = PollVoteMessage {
        selected_options: hashes.collect(),
    }
    .encode_to_vec();
    let payload = Payload {
        msg: &vote,
        aad: bound.as_bytes(),
    };
    let sealed = cipher.encrypt(&[6; 12].into(), payload).unwrap();
    (sealed, vec![6; 12])
}

/// The hashes of the options a vote is for.
pub(crate) fn open_vote(
    poll: &str,
    author: &str,
    voter: &str,
    secret: &[u8],
    sealed: &[u8],
    iv: &[u8],
) -> Vec<Vec<u8>> {
    let (cipher, bound) = ballot(poll, author, voter, secret);
    let payload = Payload {
        msg: sealed,
        aad: bound.as_bytes(),
    };
    let iv: [u8; 12] = iv.try_into().unwrap();
    let vote = cipher.decrypt(&iv.into(), payload).unwrap();
    PollVoteMessage::decode_from_slice(&vote)
        .unwrap()
        .selected_options
}

/// What is said about a message's file: ciphertext, under a nonce of sixes.
pub(crate) fn seal_retry(key: &[u8], message: &str, said: &[u8]) -> Vec<u8> {
    let payload = Payload {
        msg: said,
        aad: message.as_bytes(),
    };
    gcm(key, "WhatsApp Media Retry Notification")
        .encrypt(&[6; 12].into(), payload)
        .unwrap()
}

/// What is said about a message's file.
pub(crate) fn open_retry(key: &[u8], message: &str, iv: &[u8], sealed: &[u8]) -> Vec<u8> {
    let iv: [u8; 12] = iv.try_into().unwrap();
    let payload = Payload {
        msg: sealed,
        aad: message.as_bytes(),
    };
    gcm(key, "WhatsApp Media Retry Notification")
        .decrypt(&iv.into(), payload)
        .unwrap()
}
