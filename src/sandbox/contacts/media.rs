//! A file a contact is to send.

use std::path::PathBuf;

use crate::domain::{MediaKind, MessageRef};

/// Where a file that is sent comes from.
#[derive(Debug, Clone)]
pub enum MediaSource {
    /// A file on the disk, of any size.
    Path(PathBuf),
    /// Bytes in memory.
    Bytes(Vec<u8>),
}

/// A file a contact is to send, and what its message says of it. Only the first three must be; nothing is checked.
#[derive(Debug, Clone)]
pub struct MediaToSend {
    /// How it is shown.
    pub kind: MediaKind,
    /// Its MIME type.
    pub mime_type: String,
    /// Where it comes from.
    pub source: MediaSource,
    /// Its name; only files of the kind [`MediaKind::File`] tell it.
    pub file_name: Option<String>,
    /// The text under it; voice, audio and stickers have none.
    pub caption: String,
    /// Its width in pixels.
    pub width: Option<u32>,
    /// Its height in pixels.
    pub height: Option<u32>,
    /// How long it plays, in seconds.
    pub seconds: Option<u32>,
    /// The loudness of a voice note, values of 0 to 100.
    pub waveform: Vec<u8>,
    /// A small JPEG, or empty.
    pub thumbnail: Vec<u8>,
    /// Whether it is to be seen once.
    pub view_once: bool,
    /// The message it answers.
    pub quotes: Option<MessageRef>,
}

impl MediaToSend {
    /// A file of which only the kind and the type are said.
    #[must_use]
    pub fn new(kind: MediaKind, mime_type: impl Into<String>, source: MediaSource) -> Self {
        Self {
            kind,
            mime_type: mime_type.into(),
            source,
            file_name: None,
            caption: String::new(),
            width: None,
            height: None,
            seconds: None,
            waveform: Vec::new(),
            thumbnail: Vec::new(),
            view_once: false,
            quotes: None,
        }
    }

    /// Bytes in memory.
    #[must_use]
    pub fn bytes(kind: MediaKind, mime_type: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(kind, mime_type, MediaSource::Bytes(bytes.into()))
    }

    /// A file on the disk, which is read in pieces.
    #[must_use]
    pub fn path(kind: MediaKind, mime_type: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self::new(kind, mime_type, MediaSource::Path(path.into()))
    }

    /// The same with a text under it.
    #[must_use]
    pub fn with_caption(mut self, caption: impl Into<String>) -> Self {
        self.caption = caption.into();
        self
    }

    /// The same with a name.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.file_name = Some(name.into());
        self
    }
}
