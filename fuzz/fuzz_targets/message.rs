//! Bytes as a decrypted message, padded or not; what is read in full is written and read again.
#![no_main]

use std::sync::LazyLock;

use drawbridge_fuzz::{
    again,
    domain::{
        ChatId, EncryptedVote, IncomingContent, MediaKey, MessageRef, Poll, RemoteUserId, StanzaId,
        Timestamp,
    },
    wire::{
        self,
        media::{Checker, Decryptor},
        media_retry,
        message::{self, Encoding, Envelope},
        poll,
    },
};
use libfuzzer_sys::fuzz_target;

static LOGIN: LazyLock<RemoteUserId> = LazyLock::new(|| user("1-10853634039893@interop"));
static SENDER: LazyLock<RemoteUserId> = LazyLock::new(|| user("4915155550009@s.whatsapp.net"));
/// In a group a message is named with its author, so nothing is lost when it is written again.
static CHAT: LazyLock<ChatId> = LazyLock::new(|| ChatId::parse("1-2@g.us").expect("an id"));

fuzz_target!(|bytes: &[u8]| {
    message(message::unpad(bytes).unwrap_or(bytes));
    stanza(bytes);
    vote(bytes);
    file(bytes);
});

fn user(address: &str) -> RemoteUserId {
    RemoteUserId::parse(address).expect("an id")
}

fn message(plaintext: &[u8]) {
    let read = message::read(plaintext, &SENDER);
    let envelope = Envelope::of_plaintext(plaintext);
    if let Some(moved) = media_retry::with_path(plaintext, "/v/moved") {
        let key = media_retry::media_key(plaintext);
        assert_eq!(media_retry::media_key(&moved), key);
        if let IncomingContent::Media {
            file: Some(file), ..
        } = message::read(&moved, &SENDER).content
        {
            assert_eq!(file.path, "/v/moved");
        }
    }
    if let IncomingContent::PollVote { poll, vote } = &read.content {
        opened(poll, vote);
    }
    let Some((content, context)) = again::to_send(&read, &SENDER, &LOGIN) else {
        return;
    };
    assert_eq!(Envelope::of(&content), envelope);
    let how = Encoding {
        chat: &CHAT,
        own: SENDER.as_str(),
        now: Timestamp(1_767_225_600_000),
        nonce: [0; 12],
    };
    let written = message::encode(&content, &context, &how);
    assert_eq!(message::read(&written, &SENDER), read);
}

fn stanza(bytes: &[u8]) {
    if let Ok(node) = wire::decode(bytes) {
        let key = MediaKey([1; 32]);
        assert_eq!(media_retry::read_request(&node, &key), None);
        let _ = media_retry::read_answer(&node, &key);
    }
}

fn vote(bytes: &[u8]) {
    let (iv, payload) = bytes.split_at(bytes.len().min(12));
    let poll = MessageRef {
        id: StanzaId::parse("3EB0").expect("an id"),
        sender: None,
    };
    let vote = EncryptedVote {
        payload: payload.to_vec(),
        iv: iv.to_vec(),
    };
    opened(&poll, &vote);
}

fn opened(poll: &MessageRef, vote: &EncryptedVote) {
    let known = Poll {
        question: String::new(),
        options: vec!["a".to_owned(), "b".to_owned()],
        selectable: 0,
        secret: Some([7; 32]),
    };
    let chosen = poll::open(LOGIN.as_str(), (poll, &known), &SENDER, vote);
    assert!(chosen.is_none_or(|places| places.len() <= 2));
}

fn file(bytes: &[u8]) {
    use drawbridge_fuzz::domain::MediaKind;
    let key = MediaKey([1; 32]);
    let mut checker = Checker::new(&key, MediaKind::Image);
    let mut decryptor = Decryptor::new(&key, MediaKind::Image);
    for chunk in bytes.chunks(7) {
        checker.update(chunk);
        let _ = decryptor.update(chunk);
    }
    assert!(checker.finish(&[0; 32]).is_err());
    assert!(decryptor.finish(&[0; 32]).is_err());
}
