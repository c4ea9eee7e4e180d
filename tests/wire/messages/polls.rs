//! Polls and the votes in them.

use aes_gcm::{
    Aes256Gcm, Key, KeyInit, Nonce,
    aead::{Aead, Payload},
};
use drawbridge::{
    domain::{EncryptedVote, IncomingContent, MessageContext, MessageRef, OutgoingContent, Poll},
    network::interop::wire::poll,
};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use super::{
    CONTACT, LOGIN, NOW, OTHER, a_message, encode_as, read_here, read_there,
    schema::{bytes, fields, number},
    sent, unsupported, user, without_context,
};

const SECRET: [u8; 32] = [7; 32];

fn drinks(selectable: u32) -> Poll {
    Poll {
        question: "What?".to_owned(),
        options: ["tea", "coffee", "water"].map(str::to_owned).to_vec(),
        selectable,
        secret: Some(SECRET),
    }
}

#[test]
fn a_poll_has_its_options_and_a_secret() {
    for (selectable, field) in [(0, 49), (1, 64), (2, 49)] {
        let encoded = sent(&OutgoingContent::Poll(drinks(selectable)));
        let poll = fields![
            bytes(2, "What?"),
            bytes(3, bytes(1, "tea")),
            bytes(3, bytes(1, "coffee")),
            bytes(3, bytes(1, "water")),
            number(4, u64::from(selectable)),
        ];
        let secret = bytes(35, bytes(3, SECRET));
        assert_eq!(encoded, fields![secret, bytes(field, poll)]);
        assert_eq!(
            read_there(&encoded),
            without_context(IncomingContent::Poll(drinks(selectable)))
        );
    }
}

#[test]
fn a_poll_of_every_version_is_read() {
    let poll = fields![bytes(2, "What?"), bytes(3, bytes(1, "tea"))];
    let expected = |secret| {
        without_context(IncomingContent::Poll(Poll {
            question: "What?".to_owned(),
            options: vec!["tea".to_owned()],
            selectable: 0,
            secret,
        }))
    };
    for field in [49, 60, 64, 111, 119] {
        assert_eq!(read_here(&bytes(field, &poll)), expected(None));
    }
    // The secret may be outside the wrapper, and is none if it has another length.
    let wrapped = bytes(40, bytes(1, bytes(64, &poll)));
    let with = |secret: &[u8]| fields![bytes(35, bytes(3, secret)), wrapped];
    assert_eq!(read_here(&with(&SECRET)), expected(Some(SECRET)));
    assert_eq!(read_here(&with(&SECRET[1..])), expected(None));
}

#[test]
fn the_same_option_twice_is_one() {
    let option = |text: &str| bytes(3, bytes(1, text));
    let poll = fields![option("a"), option("b"), option("a"), bytes(3, [])];
    let IncomingContent::Poll(poll) = read_here(&bytes(49, poll)).content else {
        panic!("no poll");
    };
    assert_eq!(poll.options, ["a", "b"]);
    assert_eq!(
        read_here(&bytes(49, bytes(2, "What?"))),
        unsupported("poll")
    );
}

/// The login's vote in a poll as the contact reads it.
fn vote(poll: MessageRef, choices: &[&str]) -> (MessageRef, EncryptedVote) {
    let encoded = sent(&OutgoingContent::PollVote {
        poll,
        secret: SECRET,
        choices: choices.iter().map(|&choice| choice.to_owned()).collect(),
    });
    match read_there(&encoded).content {
        IncomingContent::PollVote { poll, vote } => (poll, vote),
        other => panic!("{other:?}"),
    }
}

fn open(poll: &MessageRef, voter: &str, vote: &EncryptedVote) -> Option<Vec<usize>> {
    poll::open(CONTACT, (poll, &drinks(0)), &user(voter), vote)
}

#[test]
fn a_vote_is_read_by_who_made_the_poll() {
    for (choices, places) in [
        (&["water", "tea"][..], &[0, 2][..]),
        (&["coffee"], &[1]),
        (&[], &[]),
        (&["milk", "tea"], &[0]),
    ] {
        let (poll, vote) = vote(a_message("3EB0", Some(CONTACT)), choices);
        assert_eq!(poll, a_message("3EB0", None));
        assert_eq!(open(&poll, LOGIN, &vote), Some(places.to_vec()));
    }
}

#[test]
fn a_vote_in_an_own_poll_is_read_too() {
    let (poll, vote) = vote(a_message("3EB0", None), &["tea"]);
    assert_eq!(poll, a_message("3EB0", Some(LOGIN)));
    assert_eq!(open(&poll, LOGIN, &vote), Some(vec![0]));
    // From the contact, as the login sees it.
    let content = OutgoingContent::PollVote {
        poll: a_message("3EB0", Some(LOGIN)),
        secret: SECRET,
        choices: vec!["tea".to_owned()],
    };
    let encoded = encode_as(CONTACT, LOGIN, &content, &MessageContext::default());
    let IncomingContent::PollVote { poll, vote } = read_here(&encoded).content else {
        panic!("no vote");
    };
    assert_eq!(poll, a_message("3EB0", None));
    let voter = user(CONTACT);
    let chosen = |own| poll::open(own, (&poll, &drinks(0)), &voter, &vote);
    assert_eq!(chosen(LOGIN), Some(vec![0]));
    assert_eq!(chosen(OTHER), None);
}

#[test]
fn a_vote_under_another_name_or_in_another_poll_is_refused() {
    let (poll, vote) = vote(a_message("3EB0", Some(CONTACT)), &["tea"]);
    assert_eq!(open(&poll, OTHER, &vote), None);
    assert_eq!(open(&a_message("3EB1", None), LOGIN, &vote), None);
    assert_eq!(open(&a_message("3EB0", Some(OTHER)), LOGIN, &vote), None);
    let voter = user(LOGIN);
    let with = |secret| {
        let other = Poll {
            secret,
            ..drinks(0)
        };
        poll::open(CONTACT, (&poll, &other), &voter, &vote)
    };
    assert_eq!(with(Some(SECRET)), Some(vec![0]));
    assert_eq!(with(Some([8; 32])), None);
    assert_eq!(with(None), None);
}

#[test]
fn a_damaged_vote_is_refused() {
    let (poll, vote) = vote(a_message("3EB0", Some(CONTACT)), &["tea"]);
    for place in 0..vote.payload.len() {
        let mut bad = vote.clone();
        bad.payload[place] ^= 1;
        assert_eq!(open(&poll, LOGIN, &bad), None);
    }
    for iv in [&vote.iv[..11], &[&vote.iv[..], &[0]].concat(), &[]] {
        let bad = EncryptedVote {
            iv: iv.to_vec(),
            ..vote.clone()
        };
        assert_eq!(open(&poll, LOGIN, &bad), None);
    }
}

fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mac = <Hmac<Sha256> as Mac>::new_from_slice(key).unwrap();
    mac.chain_update(message).finalize().into_bytes().to_vec()
}

#[test]
fn the_vote_is_what_the_scheme_says() {
    let encoded = sent(&OutgoingContent::PollVote {
        poll: a_message("3EB0", Some(CONTACT)),
        secret: SECRET,
        choices: vec!["tea".to_owned()],
    });
    // HKDF as two steps of HMAC.
    let info = format!("3EB0{CONTACT}{LOGIN}Poll Vote\u{1}");
    let key = hmac(&hmac(&[0; 32], &SECRET), info.as_bytes());
    let ciphertext = Aes256Gcm::new(Key::<Aes256Gcm>::from_slice(&key))
        .encrypt(
            Nonce::from_slice(&[9; 12]),
            Payload {
                msg: &bytes(1, Sha256::digest("tea")),
                aad: format!("3EB0\0{LOGIN}").as_bytes(),
            },
        )
        .unwrap();
    let key = fields![bytes(1, CONTACT), number(2, 0), bytes(3, "3EB0")];
    let expected = fields![
        bytes(1, key),
        bytes(2, fields![bytes(1, ciphertext), bytes(2, [9; 12])]),
        number(4, u64::try_from(NOW.0).unwrap()),
    ];
    assert_eq!(encoded, bytes(50, expected));
}

#[test]
fn a_vote_that_says_too_little_is_named() {
    let key = bytes(1, bytes(3, "3EB0"));
    let whole = bytes(2, fields![bytes(1, [0; 16]), bytes(2, [0; 12])]);
    assert!(matches!(
        read_here(&bytes(50, fields![key, whole])).content,
        IncomingContent::PollVote { .. }
    ));
    for vote in [
        key.clone(),
        whole.clone(),
        fields![key, bytes(2, bytes(1, [0; 16]))],
    ] {
        assert_eq!(read_here(&bytes(50, vote)), unsupported("poll_vote"));
    }
}
