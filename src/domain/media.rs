//! Files that travel with messages: what they are, and where each side keeps them.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// How a file is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaKind {
    /// A picture.
    Image,
    /// A film.
    Video,
    /// A short film without sound that repeats by itself.
    Gif,
    /// Music and other sound.
    Audio,
    /// A voice note.
    Voice,
    /// Anything else, shown by its name.
    File,
    /// A sticker.
    Sticker,
}

impl MediaKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Image,
        Self::Video,
        Self::Gif,
        Self::Audio,
        Self::Voice,
        Self::File,
        Self::Sticker,
    ];

    /// What a person calls it, with its article.
    #[must_use]
    pub fn noun(self) -> &'static str {
        match self {
            Self::Image => "a picture",
            Self::Video => "a video",
            Self::Gif => "a GIF",
            Self::Audio => "an audio file",
            Self::Voice => "a voice message",
            Self::File => "a file",
            Self::Sticker => "a sticker",
        }
    }
}

/// A size of a file as people say it: whole megabytes, or kilobytes where it is less than one.
#[must_use]
pub fn file_size(bytes: u64) -> String {
    const MB: u64 = 1024 * 1024;
    if bytes < MB {
        format!("{} kB", bytes / 1024)
    } else {
        format!("{} MB", bytes / MB)
    }
}

/// What a message says about its file; everything but the kind and the type may be missing, and nothing of it is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaDetails {
    /// How it is shown.
    pub kind: MediaKind,
    /// Its MIME type, such as `image/jpeg`; with parameters as the other side wrote them (`audio/ogg; codecs=opus`).
    pub mime_type: String,
    /// Its name.
    pub file_name: Option<String>,
    /// Its width in pixels.
    pub width: Option<u32>,
    /// Its height in pixels.
    pub height: Option<u32>,
    /// How long it plays, in milliseconds.
    pub duration_ms: Option<u64>,
    /// The loudness over time of a voice note: some 64 values of 0 to 100.
    pub waveform: Option<Vec<u8>>,
    /// A small JPEG of it, some kilobytes, that travels inside the message.
    pub preview: Option<Vec<u8>>,
    /// Whether its sender wants it to be seen once only.
    pub view_once: bool,
}

impl MediaDetails {
    /// A file of a kind and type of which nothing else is known.
    #[must_use]
    pub fn new(kind: MediaKind, mime_type: impl Into<String>) -> Self {
        Self {
            kind,
            mime_type: mime_type.into(),
            file_name: None,
            width: None,
            height: None,
            duration_ms: None,
            waveform: None,
            preview: None,
            view_once: false,
        }
    }
}

/// The key a file at the gatekeeper is encrypted with; 32 bytes.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct MediaKey(pub [u8; 32]);

impl fmt::Debug for MediaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MediaKey(..)")
    }
}

/// A file at the gatekeeper, or hosted for it: ciphertext and its key (interop reference, section 5, "Media crypto").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteMedia {
    /// The path the gatekeeper fetches it by, as the message names it.
    pub path: String,
    /// The key.
    pub key: MediaKey,
    /// SHA-256 of the file.
    pub sha256: [u8; 32],
    /// SHA-256 of the ciphertext with its MAC.
    pub encrypted_sha256: [u8; 32],
    /// The size of the file in bytes, as its sender says.
    pub size: u64,
}

/// What a file is encrypted with for an encrypted room, chosen before any of it is; good for one file only.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct AttachmentSecret {
    /// The AES-256-CTR key.
    pub key: [u8; 32],
    /// The initial counter block.
    pub iv: [u8; 16],
}

impl AttachmentSecret {
    /// The key to a file that was encrypted with this, by the SHA-256 of its ciphertext.
    #[must_use]
    pub fn into_key(self, sha256: [u8; 32]) -> AttachmentKey {
        AttachmentKey {
            key: self.key,
            iv: self.iv,
            sha256,
        }
    }
}

impl fmt::Debug for AttachmentSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AttachmentSecret(..)")
    }
}

/// The key of an encrypted file at the homeserver (Matrix specification, "Sending encrypted attachments", v2).
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct AttachmentKey {
    /// The AES-256-CTR key.
    pub key: [u8; 32],
    /// The initial counter block.
    pub iv: [u8; 16],
    /// SHA-256 of the ciphertext.
    pub sha256: [u8; 32],
}

impl fmt::Debug for AttachmentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AttachmentKey(..)")
    }
}

/// A file at the homeserver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatrixMedia {
    /// Its `mxc://` URI.
    pub uri: String,
    /// Its size in bytes, as its sender says.
    pub size: Option<u64>,
    /// How to decrypt it, if it is encrypted.
    pub encryption: Option<AttachmentKey>,
}
