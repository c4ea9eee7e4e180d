//! Files: `imageMessage=3`, `documentMessage=7`, `audioMessage=8`, `videoMessage=9`, `stickerMessage=26`, `ptvMessage=66`.
//!
//! Each has `mimetype`, `fileSha256`, `fileLength`, `mediaKey`, `fileEncSha256`, `directPath` and `mediaKeyTimestamp` under numbers
//! of its own. A GIF is a video with `gifPlayback`, a voice note an audio file with `ptt`. A document with a caption is within
//! `documentWithCaptionMessage=53`, what is to be seen once within `viewOnceMessageV2=55` or, if it is heard, its extension 59.

mod build;
mod read;

use waproto::{codec, whatsapp::Message};
use zeroize::Zeroizing;

pub(super) use build::{build, caption};
pub(super) use read::read;

use super::{Encoding, MAX_LENGTH, wrappers};
use crate::domain::{MediaKey, MediaKind, RemoteMedia};

/// Where a file is, as its message says.
#[derive(Default)]
struct Place {
    path: Option<String>,
    key: Option<Vec<u8>>,
    sha256: Option<Vec<u8>>,
    encrypted_sha256: Option<Vec<u8>>,
    size: Option<u64>,
    /// When the key was made, in seconds.
    stamp: Option<i64>,
}

impl Place {
    fn of(file: &RemoteMedia, how: &Encoding<'_>) -> Self {
        Self {
            path: Some(file.path.clone()),
            key: Some(file.key.0.to_vec()),
            sha256: Some(file.sha256.to_vec()),
            encrypted_sha256: Some(file.encrypted_sha256.to_vec()),
            size: Some(file.size),
            stamp: Some(how.now.seconds()),
        }
    }

    /// The file, if every field is there and has its length. A path that does not begin with a slash would become part of the
    /// host's name.
    fn file(self) -> Option<RemoteMedia> {
        let hash = |bytes: Option<Vec<u8>>| <[u8; 32]>::try_from(bytes?).ok();
        let key = Zeroizing::new(self.key?);
        Some(RemoteMedia {
            path: self.path.filter(|path| is_path(path))?,
            key: media_key_of(&key)?,
            sha256: hash(self.sha256)?,
            encrypted_sha256: hash(self.encrypted_sha256)?,
            size: self.size?,
        })
    }
}

fn is_path(path: &str) -> bool {
    path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic())
}

fn media_key_of(bytes: &[u8]) -> Option<MediaKey> {
    Some(MediaKey(bytes.try_into().ok()?))
}

/// Whether there is a field for a text under such a file.
pub(super) fn has_caption(kind: MediaKind) -> bool {
    match kind {
        MediaKind::Image | MediaKind::Video | MediaKind::Gif | MediaKind::File => true,
        MediaKind::Audio | MediaKind::Voice | MediaKind::Sticker => false,
    }
}

/// The key of the file in a message, if there is one.
pub(in super::super) fn media_key(plaintext: &[u8]) -> Option<MediaKey> {
    let mut message = decoded(plaintext)?;
    let (_, key) = path_and_key(wrappers::open(&mut message)?.message)?;
    media_key_of(&Zeroizing::new(key.take()?))
}

/// A message whose file is to be had by another path; `None` if there is no file in it or that is no path.
pub(in super::super) fn with_path(plaintext: &[u8], path: &str) -> Option<Vec<u8>> {
    if !is_path(path) {
        return None;
    }
    let mut message = decoded(plaintext)?;
    let (old, _) = path_and_key(wrappers::open(&mut message)?.message)?;
    *old = Some(path.to_owned());
    Some(codec::message_to_vec(&message))
}

fn decoded(plaintext: &[u8]) -> Option<Message> {
    if plaintext.len() > MAX_LENGTH {
        return None;
    }
    codec::message_decode(plaintext).ok()
}

/// Where the path and the key of a message's file are.
fn path_and_key(message: &mut Message) -> Option<(&mut Option<String>, &mut Option<Vec<u8>>)> {
    if let Some(file) = message.image_message.as_option_mut() {
        return Some((&mut file.direct_path, &mut file.media_key));
    }
    if let Some(file) = message.video_message.as_option_mut() {
        return Some((&mut file.direct_path, &mut file.media_key));
    }
    if let Some(file) = message.ptv_message.as_option_mut() {
        return Some((&mut file.direct_path, &mut file.media_key));
    }
    if let Some(file) = message.audio_message.as_option_mut() {
        return Some((&mut file.direct_path, &mut file.media_key));
    }
    if let Some(file) = message.document_message.as_option_mut() {
        return Some((&mut file.direct_path, &mut file.media_key));
    }
    let file = message.sticker_message.as_option_mut()?;
    Some((&mut file.direct_path, &mut file.media_key))
}
