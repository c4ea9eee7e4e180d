//! Asking for a file to be put on the server again, and the answer.

use aes_gcm::{
    Aes256Gcm, Key, KeyInit, Nonce,
    aead::{Aead, Payload},
};
use drawbridge::{
    domain::{MediaKey, MessageRef, RemoteUserId, StanzaId},
    network::interop::wire::{self, Jid, Node, media_retry},
};
use hmac::{Hmac, Mac};

const NONCE: [u8; 12] = [4; 12];

fn key() -> MediaKey {
    MediaKey([1; 32])
}

fn id() -> StanzaId {
    StanzaId::parse("3EB0").unwrap()
}

fn message(sender: Option<&str>) -> MessageRef {
    MessageRef {
        id: id(),
        sender: sender.map(|sender| RemoteUserId::parse(sender).unwrap()),
    }
}

fn chat(address: &str) -> Jid {
    address.parse().unwrap()
}

/// A stanza after a trip over the wire.
fn carried(node: &Node) -> Node {
    wire::decode(&wire::encode(node)).unwrap()
}

#[test]
fn a_request_names_the_message_and_is_read_by_who_has_the_key() {
    let contact = "4915155550009@s.whatsapp.net";
    let request = media_retry::request(&key(), &message(Some(contact)), &chat(contact), NONCE);
    assert_eq!(request.tag, "receipt");
    assert_eq!(request.attr("type").as_deref(), Some("server-error"));
    assert_eq!(request.attr("id").as_deref(), Some("3EB0"));
    assert_eq!(request.jid("to"), Some(chat(contact)));
    let rmr = request.find("rmr").unwrap();
    assert_eq!(rmr.jid("jid"), Some(chat(contact)));
    assert_eq!(rmr.attr("from_me").as_deref(), Some("false"));
    assert_eq!(rmr.attr("participant"), None);
    let request = carried(&request);
    assert_eq!(media_retry::read_request(&request, &key()), Some(id()));
    assert_eq!(
        media_retry::read_request(&request, &MediaKey([2; 32])),
        None
    );
}

#[test]
fn a_request_in_a_group_names_the_author() {
    let author = "4915155550009@s.whatsapp.net";
    let group = chat("123456-789@g.us");
    let request = media_retry::request(&key(), &message(Some(author)), &group, NONCE);
    let rmr = request.find("rmr").unwrap();
    assert_eq!(rmr.jid("participant"), Some(chat(author)));
    let own = media_retry::request(&key(), &message(None), &group, NONCE);
    let rmr = own.find("rmr").unwrap();
    assert_eq!(rmr.attr("from_me").as_deref(), Some("true"));
    assert_eq!(rmr.attr("participant"), None);
}

#[test]
fn an_answer_says_the_new_path_or_that_there_is_none() {
    let found = media_retry::answer(&key(), &id(), Some("/v/new"), NONCE);
    assert_eq!(found.tag, "notification");
    assert_eq!(found.attr("type").as_deref(), Some("mediaretry"));
    assert!(found.find("rmr").is_some());
    assert_eq!(
        media_retry::read_answer(&carried(&found), &key()),
        Some(Some("/v/new".to_owned()))
    );
    let gone = media_retry::answer(&key(), &id(), None, NONCE);
    assert_eq!(
        media_retry::read_answer(&carried(&gone), &key()),
        Some(None)
    );
    let error = Node::new("notification")
        .with("type", "mediaretry")
        .with("id", "3EB0")
        .child(Node::new("error").with("code", "2"));
    assert_eq!(media_retry::read_answer(&error, &key()), Some(None));
}

#[test]
fn an_answer_by_somebody_without_the_key_or_about_another_message_is_none() {
    let found = media_retry::answer(&key(), &id(), Some("/v/new"), NONCE);
    assert_eq!(media_retry::read_answer(&found, &MediaKey([2; 32])), None);
    let renamed = found.clone().with("id", "3EB1");
    assert_eq!(media_retry::read_answer(&renamed, &key()), None);
    // An answer is no request, and the other way about.
    assert_eq!(media_retry::read_request(&found, &key()), None);
    let contact = "4915155550009@s.whatsapp.net";
    let request = media_retry::request(&key(), &message(Some(contact)), &chat(contact), NONCE);
    assert_eq!(media_retry::read_answer(&request, &key()), None);
    for kind in ["read", "server-error"] {
        let other = found.clone().with("type", kind);
        assert_eq!(media_retry::read_answer(&other, &key()), None);
    }
}

/// What the scheme makes of a plaintext for message `3EB0`, HKDF as two steps of HMAC.
fn encrypted(plaintext: &[u8]) -> Vec<u8> {
    let hmac = |key: &[u8], message: &[u8]| {
        let mac = <Hmac<sha2::Sha256> as Mac>::new_from_slice(key).unwrap();
        mac.chain_update(message).finalize().into_bytes()
    };
    let extracted = hmac(&[0; 32], &key().0);
    let derived = hmac(&extracted, b"WhatsApp Media Retry Notification\x01");
    let payload = Payload {
        msg: plaintext,
        aad: b"3EB0",
    };
    Aes256Gcm::new(Key::<Aes256Gcm>::from_slice(&derived))
        .encrypt(Nonce::from_slice(&NONCE), payload)
        .unwrap()
}

#[test]
fn the_stanzas_are_encrypted_as_the_scheme_says() {
    let contact = "4915155550009@s.whatsapp.net";
    let request = media_retry::request(&key(), &message(Some(contact)), &chat(contact), NONCE);
    let part = |node: &Node, tag| {
        let part = node.find("encrypt").unwrap().find(tag).unwrap();
        part.content_bytes().unwrap().to_vec()
    };
    assert_eq!(part(&request, "enc_p"), encrypted(b"\x0a\x043EB0"));
    assert_eq!(part(&request, "enc_iv"), NONCE);
    let answer = media_retry::answer(&key(), &id(), Some("/v"), NONCE);
    let expected = encrypted(b"\x0a\x043EB0\x12\x02/v\x18\x01");
    assert_eq!(part(&answer, "enc_p"), expected);
}

#[test]
fn what_is_inside_must_be_about_the_same_message() {
    let stanza = |tag: &'static str, kind: &str, plaintext: &[u8]| {
        let encrypt = Node::new("encrypt")
            .child(Node::new("enc_p").bytes(encrypted(plaintext)))
            .child(Node::new("enc_iv").bytes(NONCE));
        Node::new(tag)
            .with("type", kind)
            .with("id", "3EB0")
            .child(encrypt)
    };
    let request = |inside: &[u8]| {
        media_retry::read_request(&stanza("receipt", "server-error", inside), &key())
    };
    assert_eq!(request(b"\x0a\x043EB0"), Some(id()));
    assert_eq!(request(b"\x0a\x043EB1"), None);
    assert_eq!(request(b""), None);
    let answer = |inside: &[u8]| {
        media_retry::read_answer(&stanza("notification", "mediaretry", inside), &key())
    };
    let path = Some(Some("/v".to_owned()));
    assert_eq!(answer(b"\x0a\x043EB0\x12\x02/v\x18\x01"), path);
    assert_eq!(answer(b"\x0a\x043EB1\x12\x02/v\x18\x01"), None);
    // A path counts only with a success, and a success only with a path.
    assert_eq!(answer(b"\x0a\x043EB0\x12\x02/v\x18\x00"), Some(None));
    assert_eq!(answer(b"\x0a\x043EB0\x18\x01"), Some(None));
}
