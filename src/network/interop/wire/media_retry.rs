//! Asking for a file that the server has deleted to be put there again, and the answer.
//!
//! `<receipt type="server-error" id to><encrypt><enc_p>…</enc_p><enc_iv>…</enc_iv></encrypt><rmr jid from_me participant?/></receipt>`,
//! `<notification type="mediaretry" id><encrypt>…</encrypt><rmr/></notification>` or, without `<encrypt>`, `<error code="2"/>`.
//! `enc_p` is `ServerErrorReceipt{stanzaId=1}` or `MediaRetryNotification{stanzaId=1, directPath=2, result=3}` under AES-256-GCM
//! with HKDF-SHA256 of the media key (info `WhatsApp Media Retry Notification`) and the message's id as associated data.
//!
//! So it is done between the devices of one user. Whether it works for a Partner's users, and to whom it is to be sent, is not
//! public: unverified.

use aes_gcm::{
    Aes256Gcm, Key, KeyInit, Nonce,
    aead::{Aead, Payload},
};
use hkdf::Hkdf;
use sha2::Sha256;
use waproto::{
    buffa::Message as _,
    whatsapp::{MediaRetryNotification, ServerErrorReceipt, media_retry_notification::ResultType},
};
use zeroize::Zeroizing;

use super::{Jid, Node, message};
use crate::domain::{MediaKey, MessageRef, StanzaId};

/// The server of groups.
const GROUPS: &str = "g.us";

/// The request to put a message's file on the server again, sent to its chat. The nonce may be used once.
#[must_use]
pub fn request(key: &MediaKey, message: &MessageRef, chat: &Jid, nonce: [u8; 12]) -> Node {
    let receipt = ServerErrorReceipt {
        stanza_id: Some(message.id.as_str().to_owned()),
    };
    let author = message
        .sender
        .as_ref()
        .filter(|_| chat.server_name() == GROUPS)
        .and_then(|sender| sender.as_str().parse::<Jid>().ok());
    let from_me = if message.sender.is_none() {
        "true"
    } else {
        "false"
    };
    Node::new("receipt")
        .with("type", "server-error")
        .with("id", message.id.as_str())
        .with("to", chat)
        .child(seal(key, &message.id, &receipt.encode_to_vec(), nonce))
        .child(
            Node::new("rmr")
                .with("jid", chat)
                .with("from_me", from_me)
                .with_opt("participant", author),
        )
}

/// The message whose file a request asks for; `None` if it is no request by somebody who has the key.
#[must_use]
pub fn read_request(node: &Node, key: &MediaKey) -> Option<StanzaId> {
    if node.tag != "receipt" || node.attr("type").as_deref() != Some("server-error") {
        return None;
    }
    let id = StanzaId::parse(node.attr("id")?.into_owned()).ok()?;
    let receipt = ServerErrorReceipt::decode_from_slice(&open(node, key, &id)?).ok()?;
    (receipt.stanza_id.as_deref() == Some(id.as_str())).then_some(id)
}

/// The answer to a request: the path the file is at now, or `None` if it cannot be had any more. Addresses and time are the
/// caller's to add. The nonce may be used once.
#[must_use]
pub fn answer(key: &MediaKey, id: &StanzaId, path: Option<&str>, nonce: [u8; 12]) -> Node {
    let result = match path {
        Some(_) => ResultType::SUCCESS,
        None => ResultType::NOT_FOUND,
    };
    let notification = MediaRetryNotification {
        stanza_id: Some(id.as_str().to_owned()),
        direct_path: path.map(str::to_owned),
        result: Some(result),
        ..MediaRetryNotification::default()
    };
    Node::new("notification")
        .with("type", "mediaretry")
        .with("id", id.as_str())
        .child(seal(key, id, &notification.encode_to_vec(), nonce))
        .child(Node::new("rmr"))
}

/// What an answer says: the path the file is at now, or `Some(None)` if it cannot be had any more. `None` if it is no answer by
/// somebody who has the key.
#[must_use]
pub fn read_answer(node: &Node, key: &MediaKey) -> Option<Option<String>> {
    if node.tag != "notification" || node.attr("type").as_deref() != Some("mediaretry") {
        return None;
    }
    if node.find("encrypt").is_none() && node.find("error").is_some() {
        return Some(None);
    }
    let id = StanzaId::parse(node.attr("id")?.into_owned()).ok()?;
    let answer = MediaRetryNotification::decode_from_slice(&open(node, key, &id)?).ok()?;
    if answer.stanza_id.as_deref() != Some(id.as_str()) {
        return None;
    }
    let found = answer.result == Some(ResultType::SUCCESS);
    Some(answer.direct_path.filter(|path| found && !path.is_empty()))
}

/// A `Message` whose file is to be had by another path; `None` if there is no file in it, or that is no path.
#[must_use]
pub fn with_path(plaintext: &[u8], path: &str) -> Option<Vec<u8>> {
    message::with_path(plaintext, path)
}

/// The key of the file in a `Message`, if there is one.
#[must_use]
pub fn media_key(plaintext: &[u8]) -> Option<MediaKey> {
    message::media_key(plaintext)
}

fn cipher(key: &MediaKey) -> Aes256Gcm {
    let mut derived = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(None, &key.0)
        .expand(b"WhatsApp Media Retry Notification", &mut *derived)
        .expect("32 bytes are not too many");
    Aes256Gcm::new(Key::<Aes256Gcm>::from_slice(&*derived))
}

fn seal(key: &MediaKey, id: &StanzaId, plaintext: &[u8], nonce: [u8; 12]) -> Node {
    let payload = Payload {
        msg: plaintext,
        aad: id.as_str().as_bytes(),
    };
    let ciphertext = cipher(key)
        .encrypt(Nonce::from_slice(&nonce), payload)
        .expect("the cipher takes gigabytes");
    Node::new("encrypt")
        .child(Node::new("enc_p").bytes(ciphertext))
        .child(Node::new("enc_iv").bytes(nonce))
}

fn open(node: &Node, key: &MediaKey, id: &StanzaId) -> Option<Vec<u8>> {
    let encrypt = node.find("encrypt")?;
    let nonce: [u8; 12] = encrypt.find("enc_iv")?.content_bytes()?.try_into().ok()?;
    let payload = Payload {
        msg: encrypt.find("enc_p")?.content_bytes()?,
        aad: id.as_str().as_bytes(),
    };
    cipher(key).decrypt(Nonce::from_slice(&nonce), payload).ok()
}
