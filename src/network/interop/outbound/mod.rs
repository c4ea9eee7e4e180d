//! What leaves: messages encrypted into the outbox, to one user or a group, read receipts, requests for files, answers to retry
//! receipts, sessions from fetched keys.
//!
//! ```xml
//! <message to="…" id="…" type="text|media|…" [edit="1|7|8"]>
//!   <enc v="2" type="pkmsg|msg" [mediatype="image|…"] [decrypt-fail="hide"] [count="2"]>ciphertext</enc></message>
//! <receipt id="…" to="…" type="read" t="…"><list><item id="…"/>…</list></receipt>
//! <receipt id="…" to="…" type="server-error"><encrypt>…</encrypt><rmr jid="…"/></receipt>
//! ```
//! Each function works in the caller's transaction, in the login's lane, and what it queues is encoded to the last byte: a
//! stanza sent again after a crash or reconnect is the same bytes under the same id.

mod groups;
mod keyless;
mod media_requests;
mod messages;
mod retries;
mod sessions;

pub use groups::{GroupRules, Missing, member_hash, missing_in_group};
pub(in crate::network::interop) use groups::{forget_keys_of, has_share, is_member};
pub use keyless::Keyless;
pub use media_requests::enqueue_media_request;
pub use messages::{enqueue, enqueue_read};
pub use retries::{Retried, answer_retry};
pub use sessions::{establish_from_key_response, has_session};

use rand::RngExt;
use sha2::{Digest, Sha256};

use super::wire::{self, Jid, Node, message::Envelope};
use crate::{
    domain::StanzaId,
    signal::{Address, Ciphertext},
    store::{NewOutboxRow, OutboxKind},
};

/// Set before the id of the message a read receipt is for: the receipt's own id in the outbox.
const READ: &str = "read-";
/// Set before the id of the message a request for its file is for.
const MEDIA_REQUEST: &str = "media-";
/// Set, with which one it is, before the id of a message to a group that one member gets again.
const AGAIN: &str = "again-";

/// The address sessions with a user's device are kept under.
pub(in crate::network::interop) fn address(jid: &Jid) -> Address {
    Address::new(&jid.bare().to_string(), jid.device())
}

/// The id a stanza of the outbox has on the wire, which its acknowledgement repeats. (A read receipt and a request for a file
/// have the id of a message of the other side, which says nothing about our own ids.)
#[must_use]
pub fn wire_id(row: &NewOutboxRow) -> &str {
    let id = row.stanza_id.as_str();
    match row.kind {
        OutboxKind::Message => id
            .strip_prefix(AGAIN)
            .and_then(|rest| rest.splitn(3, '-').nth(2))
            .unwrap_or(id),
        OutboxKind::Receipt => id.strip_prefix(READ).unwrap_or(id),
        OutboxKind::MediaRequest => id.strip_prefix(MEDIA_REQUEST).unwrap_or(id),
    }
}

/// What the request for a message's file is queued as.
#[must_use]
pub fn media_request_id(message: &StanzaId) -> Option<StanzaId> {
    StanzaId::parse(format!("{MEDIA_REQUEST}{message}")).ok()
}

/// Whether an acknowledgement of this class, type and id can be one of a stanza of the outbox.
pub(in crate::network::interop) fn is_acknowledged_so(
    row: &NewOutboxRow,
    class: &str,
    kind: Option<&str>,
    id: &str,
) -> bool {
    let repeated = match row.kind {
        OutboxKind::Message => class == "message",
        OutboxKind::Receipt => class == "receipt" && kind == Some("read"),
        OutboxKind::MediaRequest => class == "receipt" && kind == Some("server-error"),
    };
    repeated && wire_id(row) == id
}

/// What the answer to the `number`th retry of a member for a message to a group is queued as.
fn again_id(message: &StanzaId, member: &Jid, number: i64) -> Option<StanzaId> {
    let hash = Sha256::digest(member.bare().to_string());
    let hash = u64::from_be_bytes(*hash.first_chunk()?);
    StanzaId::parse(format!("{AGAIN}{number}-{hash:016x}-{message}")).ok()
}

/// `<message>` around a ciphertext; `count` is the number of the retry it answers.
fn stanza(
    to: &Jid,
    id: &StanzaId,
    envelope: &Envelope,
    ciphertext: Ciphertext,
    count: Option<u64>,
) -> Node {
    let enc = Node::new("enc")
        .with("v", "2")
        .with("type", ciphertext.kind.as_str())
        .with_opt("mediatype", envelope.mediatype)
        .with_opt("decrypt-fail", envelope.decrypt_fail_hide.then_some("hide"))
        .with_opt("count", count)
        .bytes(ciphertext.bytes);
    Node::new("message")
        .with("to", to)
        .with("id", id.as_str())
        .with("type", envelope.kind)
        .with_opt("edit", envelope.edit)
        .child(enc)
}

/// Pads with a random number of bytes, so that the length tells less.
fn padded(plaintext: &[u8]) -> Vec<u8> {
    let padding = rand::rng().random_range(1..=16);
    wire::message::pad(plaintext.to_vec(), padding)
}
