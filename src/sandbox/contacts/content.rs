//! What messages say, as a contact's phone keeps it: neither the bridge's values nor the protobuf.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::groups::GroupChange;
use crate::{
    domain::{MediaKind, MessageRef, RemoteUserId, StanzaId},
    network::interop::wire::Jid,
};

/// What a message says besides its text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Content {
    /// Text alone.
    Text {
        /// What a link in it leads to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        preview: Option<Preview>,
    },
    /// A file; the text is its caption.
    File(File),
    /// A place; no text.
    Location(Location),
    /// Contact cards; no text.
    Contacts {
        /// One or more.
        cards: Vec<Card>,
    },
    /// A poll; the text is its question.
    Poll(Poll),
    /// A vote, in the place of the voter's earlier one; no text.
    Vote {
        /// The poll.
        poll: Target,
        /// The chosen options; none takes the vote back. `None` if it could not be decrypted.
        choices: Option<Vec<String>>,
    },
    /// A reaction, in the place of the author's earlier one to the message; the text is the emoji, empty to take it back.
    Reaction {
        /// To what.
        to: Target,
    },
    /// A message has another text from now on, which is this one's text.
    Edit {
        /// The id of the message, which is the author's own.
        of: String,
        /// What kind of file the text is the caption of, if it is one's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        caption_of: Option<MediaKind>,
    },
    /// A message is deleted for everybody; no text.
    Revoke {
        /// Which.
        of: Target,
    },
    /// From now on messages disappear; no text.
    Timer {
        /// After how many seconds, 0 for never.
        seconds: u32,
    },
    /// Somebody called; no text. It does not travel as a message.
    Call {
        /// Whether with a picture.
        video: bool,
        /// Whether it ended without an answer.
        missed: bool,
    },
    /// Something changed in a group; the text says it as a sentence. It does not travel as a message.
    Group {
        /// Who changed it.
        by: Jid,
        /// What.
        change: GroupChange,
    },
    /// An invitation to an event, which few programs know; the text is its name.
    Event,
    /// A kind this phone has no name for.
    Other {
        /// What it is, as far as can be told.
        name: String,
    },
}

impl Default for Content {
    fn default() -> Self {
        Self::Text { preview: None }
    }
}

impl Content {
    /// Whether it is shown as a message of its own, and does not change another.
    #[must_use]
    pub fn is_shown(&self) -> bool {
        !matches!(
            self,
            Self::Vote { .. } | Self::Reaction { .. } | Self::Edit { .. } | Self::Revoke { .. }
        )
    }

    /// The file, if it is one.
    #[must_use]
    pub fn file(&self) -> Option<&File> {
        match self {
            Self::File(file) => Some(file),
            _ => None,
        }
    }

    /// The poll, if it is one.
    #[must_use]
    pub fn poll(&self) -> Option<&Poll> {
        match self {
            Self::Poll(poll) => Some(poll),
            _ => None,
        }
    }
}

/// A message of a chat, seen from the phone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Its id.
    pub id: String,
    /// Whether the phone's owner wrote it.
    pub own: bool,
}

/// What a link leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    /// The link as it is in the text.
    pub url: String,
    /// The page's title.
    pub title: String,
    /// A sentence about it, or empty.
    #[serde(default)]
    pub description: String,
    /// A small JPEG, or empty.
    #[serde(default, with = "base64_text", skip_serializing_if = "Vec::is_empty")]
    pub thumbnail: Vec<u8>,
}

/// A file of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// How it is shown.
    pub kind: MediaKind,
    /// Its MIME type, as its sender says.
    pub mime_type: String,
    /// Its name, as its sender says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its size in bytes, as its sender says.
    pub size: u64,
    /// Its width in pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Its height in pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// How long it plays, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u32>,
    /// The loudness over time of a voice note, values of 0 to 100, or empty.
    #[serde(default, with = "base64_text", skip_serializing_if = "Vec::is_empty")]
    pub waveform: Vec<u8>,
    /// A small JPEG, or empty.
    #[serde(default, with = "base64_text", skip_serializing_if = "Vec::is_empty")]
    pub thumbnail: Vec<u8>,
    /// Whether it is to be seen once.
    #[serde(default)]
    pub view_once: bool,
    /// Where it is; `None` if the message does not say so in full.
    pub remote: Option<Remote>,
}

/// A file's ciphertext at the media server, and how to decrypt it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remote {
    /// Its path there.
    pub path: String,
    /// The media key.
    #[serde(with = "base64_text")]
    pub key: [u8; 32],
    /// SHA-256 of the file.
    #[serde(with = "base64_text")]
    pub sha256: [u8; 32],
    /// SHA-256 of the ciphertext with its MAC.
    #[serde(with = "base64_text")]
    pub encrypted_sha256: [u8; 32],
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// A place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Location {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// How exact that is, in metres.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<u32>,
    /// What is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its postal address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Whether it is the first of a position that keeps being told.
    #[serde(default)]
    pub live: bool,
}

impl Location {
    /// A point on the map.
    #[must_use]
    pub fn at(latitude: f64, longitude: f64) -> Self {
        Self {
            latitude,
            longitude,
            accuracy: None,
            name: None,
            address: None,
            live: false,
        }
    }
}

/// A contact card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// Whose.
    pub name: String,
    /// The card as a vCard.
    pub vcard: String,
}

/// A poll.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Poll {
    /// The options, in order.
    pub options: Vec<String>,
    /// How many one may choose, 0 for any number.
    pub selectable: u32,
    /// What votes are encrypted with, 32 bytes; empty if the message did not say.
    #[serde(default, with = "base64_text")]
    pub secret: Vec<u8>,
}

/// A message as it is written.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Composed {
    /// Its text; see [`Content`] for what that is.
    pub text: String,
    /// What else it says.
    pub content: Content,
    /// The message it answers. Without a sender, the one who writes.
    pub quotes: Option<MessageRef>,
    /// The addresses it mentions. The text names each as `@` and the part before the server.
    pub mentions: Vec<String>,
    /// Whether it mentions everybody.
    pub mentions_everybody: bool,
    /// After how many seconds it disappears; `None` takes the chat's timer.
    pub expires_after: Option<u32>,
}

impl Composed {
    /// A text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    /// Something else, without text.
    #[must_use]
    pub fn of(content: Content) -> Self {
        Self {
            content,
            ..Self::default()
        }
    }

    /// The same as an answer to a message of an address. Nothing happens if the id or the address cannot be one.
    #[must_use]
    pub fn answering(mut self, id: &str, author: &str) -> Self {
        if let (Ok(id), Ok(author)) = (StanzaId::parse(id), RemoteUserId::parse(author)) {
            self.quotes = Some(MessageRef {
                id,
                sender: Some(author),
            });
        }
        self
    }

    /// The same with a user mentioned.
    #[must_use]
    pub fn mentioning(mut self, address: impl Into<String>) -> Self {
        self.mentions.push(address.into());
        self
    }
}

/// Bytes as text in base64.
pub(super) mod base64_text {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(in crate::sandbox::contacts) fn serialize<B: AsRef<[u8]>, S: Serializer>(
        bytes: &B,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(in crate::sandbox::contacts) fn deserialize<
        'de,
        B: TryFrom<Vec<u8>>,
        D: Deserializer<'de>,
    >(
        deserializer: D,
    ) -> Result<B, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD.decode(text).map_err(D::Error::custom)?;
        B::try_from(bytes).map_err(|_| D::Error::custom("not as many bytes as there should be"))
    }
}
