//! A message as a phone keeps it, and what a test sees of what came.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    content::{Composed, Content, base64_text},
    keyring::Fingerprint,
};
use crate::{domain::MessageRef, network::interop::wire::Jid};

/// How far a message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It waits for keys or for a connection.
    Queued,
    /// The server has it.
    Sent,
    /// It is on the other side's device.
    Delivered,
    /// The other side read it; of a message that came: the contact read it.
    Read,
    /// The server refused it.
    Failed,
}

/// A message of a contact's chat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own that is stored by its name"
)]
pub struct Message {
    /// The id on the wire.
    pub id: String,
    /// With whom the chat is.
    pub chat: Jid,
    /// Who wrote it, if it came in a group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<Jid>,
    /// Whether the contact wrote it.
    pub outgoing: bool,
    /// Whether it is no message but something the contact is told, such as a changed identity key.
    #[serde(default)]
    pub notice: bool,
    /// The text, decrypted, with the gatekeeper's marks, as it is now: edited or, of a deleted message, empty.
    pub text: String,
    /// What else it says.
    #[serde(default, skip_serializing_if = "is_plain")]
    pub content: Content,
    /// The message it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quotes: Option<MessageRef>,
    /// What that message said, as this one says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quoted_text: Option<String>,
    /// The addresses it mentions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<String>,
    /// Whether it mentions everybody.
    #[serde(default, skip_serializing_if = "is_false")]
    pub mentions_everybody: bool,
    /// After how many seconds it disappears.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_after: Option<u32>,
    /// Whether its author changed it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub edited: bool,
    /// Whether its author deleted it for everybody.
    #[serde(default, skip_serializing_if = "is_false")]
    pub revoked: bool,
    /// Whether the other side listened to it; of a voice note that came: the contact did.
    #[serde(default, skip_serializing_if = "is_false")]
    pub played: bool,
    /// Who reacted, and with what.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reactions: BTreeMap<Jid, String>,
    /// Who voted, if it is a poll, and for what.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub votes: BTreeMap<Jid, Vec<String>>,
    /// In a group, how far it has come with each of the others who said so.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub receipts: BTreeMap<Jid, Status>,
    /// When it was written or came, in milliseconds since the Unix epoch.
    pub at: i64,
    /// How far it has come; in a group, with the last of the others.
    pub status: Status,
    /// The `Message` protobuf it is, without padding. It stays when the message is edited or deleted.
    #[serde(default, with = "base64_text", skip_serializing_if = "Vec::is_empty")]
    pub plaintext: Vec<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) fingerprint: Option<Fingerprint>,
}

fn is_plain(content: &Content) -> bool {
    *content == Content::default()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

impl Message {
    /// A message the contact writes.
    pub(super) fn written(id: String, chat: &Jid, message: Composed, at: i64) -> Self {
        Self {
            id,
            chat: chat.clone(),
            sender: None,
            outgoing: true,
            notice: false,
            text: message.text,
            content: message.content,
            quotes: message.quotes,
            quoted_text: None,
            mentions: message.mentions,
            mentions_everybody: message.mentions_everybody,
            expires_after: message.expires_after,
            edited: false,
            revoked: false,
            played: false,
            reactions: BTreeMap::new(),
            votes: BTreeMap::new(),
            receipts: BTreeMap::new(),
            at,
            status: Status::Queued,
            plaintext: Vec::new(),
            fingerprint: None,
        }
    }

    /// Something the contact is told in a chat.
    pub(super) fn told(id: String, chat: &Jid, message: Composed, at: i64) -> Self {
        Self {
            outgoing: false,
            notice: true,
            status: Status::Read,
            ..Self::written(id, chat, message, at)
        }
    }

    /// Who wrote it, in the chats of `owner`.
    #[must_use]
    pub fn author<'a>(&'a self, owner: &'a Jid) -> &'a Jid {
        if self.outgoing {
            owner
        } else {
            self.sender.as_ref().unwrap_or(&self.chat)
        }
    }

    /// Whether it is shown as a message of its own.
    #[must_use]
    pub fn is_shown(&self) -> bool {
        self.content.is_shown()
    }

    /// Whether its time to disappear has come.
    #[must_use]
    pub fn has_expired(&self, now: i64) -> bool {
        self.expires_after
            .is_some_and(|seconds| now >= self.at.saturating_add(i64::from(seconds) * 1000))
    }

    /// Everything of it goes but that it was there.
    pub(super) fn revoke(&mut self) {
        self.revoked = true;
        self.text.clear();
        self.content = Content::default();
        self.quotes = None;
        self.quoted_text = None;
        self.mentions.clear();
        self.reactions.clear();
        self.votes.clear();
    }
}

/// A message that came to a contact, reactions and the like among them.
#[derive(Debug, Clone, PartialEq)]
pub struct Received {
    /// The id on the wire.
    pub id: String,
    /// The chat it came in: a group, or who wrote it.
    pub chat: Jid,
    /// Who wrote it.
    pub sender: Jid,
    /// The text, decrypted, as [`Message::text`].
    pub text: String,
    /// What else it says.
    pub content: Content,
    /// The message it answers.
    pub quotes: Option<MessageRef>,
    /// What that message said, as this one says.
    pub quoted_text: Option<String>,
    /// The addresses it mentions.
    pub mentions: Vec<String>,
    /// Whether it mentions everybody.
    pub mentions_everybody: bool,
    /// After how many seconds it disappears.
    pub expires_after: Option<u32>,
    /// When it came, in milliseconds since the Unix epoch.
    pub at: i64,
    /// The decrypted `Message` protobuf, without padding.
    pub plaintext: Vec<u8>,
}

impl From<&Message> for Received {
    fn from(message: &Message) -> Self {
        Self {
            id: message.id.clone(),
            chat: message.chat.clone(),
            sender: message.sender.as_ref().unwrap_or(&message.chat).clone(),
            text: message.text.clone(),
            content: message.content.clone(),
            quotes: message.quotes.clone(),
            quoted_text: message.quoted_text.clone(),
            mentions: message.mentions.clone(),
            mentions_everybody: message.mentions_everybody,
            expires_after: message.expires_after,
            at: message.at,
            plaintext: message.plaintext.clone(),
        }
    }
}

/// What went wrong at a contact's end, since the sandbox started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counters {
    /// Messages that came again under a known id.
    pub duplicates: usize,
    /// Messages that could not be decrypted when they came first.
    pub undecryptable: usize,
    /// Message keys that were used for two different ciphertexts.
    pub key_reuse: usize,
    /// Retry receipts the contact sent.
    pub retries_sent: usize,
    /// Retry receipts the contact answered.
    pub retries_answered: usize,
    /// Times the other side's identity key was another than before.
    pub identity_changes: usize,
    /// Requests for a file that the contact answered.
    pub files_asked_again: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_stored_before_there_was_more_than_text_still_loads() {
        let row = r#"{"id":"A","chat":"7-1@interop","outgoing":false,"notice":false,"text":"hi",
            "quotes":{"id":"B","sender":null},"at":5,"status":"read","fingerprint":null}"#;
        let message: Message = serde_json::from_str(row).unwrap();
        assert_eq!(message.content, Content::default());
        assert!(message.quotes.is_some() && !message.revoked && message.plaintext.is_empty());
        let again = serde_json::to_string(&message).unwrap();
        assert_eq!(serde_json::from_str::<Message>(&again).unwrap(), message);
    }
}
