//! Votes in polls: `PollVoteMessage{selectedOptions=1: SHA-256 of each chosen option's text}`, encrypted with the poll's secret.
//!
//! The key is HKDF-SHA256 of the secret with the info `poll's id ‖ its author's address ‖ the voter's address ‖ "Poll Vote"`, the
//! cipher AES-256-GCM with `poll's id ‖ 00 ‖ the voter's address` as associated data: nobody can vote as somebody else.

use aes_gcm::{
    Aes256Gcm, Key, KeyInit, Nonce,
    aead::{Aead, Payload},
};
use hkdf::Hkdf;
use sha2::{Digest, Sha256};
use waproto::{buffa::Message as _, whatsapp::message::PollVoteMessage};
use zeroize::Zeroizing;

use crate::domain::{EncryptedVote, MessageRef, Poll, RemoteUserId, StanzaId};

/// Encrypts a vote. `poll` is the poll's id and its author's address, `choices` are the texts of the chosen options; the nonce may
/// be used once.
///
/// # Panics
/// Never: the cipher takes messages of this size.
#[must_use]
pub fn seal(
    secret: &[u8; 32],
    poll: (&StanzaId, &str),
    voter: &str,
    choices: &[String],
    nonce: [u8; 12],
) -> EncryptedVote {
    let vote = PollVoteMessage {
        selected_options: choices.iter().map(|choice| hash(choice).to_vec()).collect(),
    };
    let (id, author) = poll;
    let payload = Payload {
        msg: &vote.encode_to_vec(),
        aad: &associated(id, voter),
    };
    EncryptedVote {
        payload: cipher(secret, id, author, voter)
            .encrypt(Nonce::from_slice(&nonce), payload)
            .expect("the cipher takes gigabytes"),
        iv: nonce.to_vec(),
    }
}

/// Which options of a poll a vote chooses, by their places, in order; what is none of the poll's options is left out. `own` is the
/// login's address, the author of a poll without another one. `None` if the vote cannot be decrypted, is somebody else's, or is for
/// another poll.
#[must_use]
pub fn open(
    own: &str,
    poll: (&MessageRef, &Poll),
    voter: &RemoteUserId,
    vote: &EncryptedVote,
) -> Option<Vec<usize>> {
    let (message, poll) = poll;
    let author = message.sender.as_ref().map_or(own, RemoteUserId::as_str);
    let nonce: [u8; 12] = vote.iv.as_slice().try_into().ok()?;
    let payload = Payload {
        msg: &vote.payload,
        aad: &associated(&message.id, voter.as_str()),
    };
    let plaintext = cipher(poll.secret.as_ref()?, &message.id, author, voter.as_str())
        .decrypt(Nonce::from_slice(&nonce), payload)
        .ok()?;
    let chosen = PollVoteMessage::decode_from_slice(&plaintext)
        .ok()?
        .selected_options;
    let places = poll.options.iter().enumerate().filter(|(_, option)| {
        let hash = hash(option);
        chosen.iter().any(|chosen| chosen[..] == hash)
    });
    Some(places.map(|(place, _)| place).collect())
}

fn hash(option: &str) -> [u8; 32] {
    Sha256::digest(option).into()
}

fn cipher(secret: &[u8; 32], id: &StanzaId, author: &str, voter: &str) -> Aes256Gcm {
    let info = [id.as_str(), author, voter, "Poll Vote"];
    let info: Vec<&[u8]> = info.iter().map(|part| part.as_bytes()).collect();
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(None, secret)
        .expand_multi_info(&info, &mut *key)
        .expect("32 bytes are not too many");
    Aes256Gcm::new(Key::<Aes256Gcm>::from_slice(&*key))
}

fn associated(id: &StanzaId, voter: &str) -> Vec<u8> {
    [id.as_str().as_bytes(), &[0], voter.as_bytes()].concat()
}
