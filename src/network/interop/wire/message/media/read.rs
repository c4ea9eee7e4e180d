//! Messages with files, as they are read.

use waproto::{
    buffa::MessageField,
    whatsapp::{
        ContextInfo, Message,
        message::{AudioMessage, DocumentMessage, ImageMessage, StickerMessage, VideoMessage},
    },
};

use super::Place;
use crate::{
    domain::{IncomingContent, IncomingMessage, MediaDetails, MediaKind},
    network::interop::wire::message::{Reading, context},
};

/// What was read of one file.
struct File {
    details: MediaDetails,
    place: Place,
    caption: Option<String>,
    context: MessageField<ContextInfo>,
}

/// A message with a file. `view_once` is what the wrappers around it say.
pub(in super::super) fn read(
    message: &mut Message,
    view_once: bool,
    reading: Reading<'_>,
) -> Option<IncomingMessage> {
    let mut file = if let Some(image) = message.image_message.take() {
        of_image(image)
    } else if let Some(video) = message.video_message.take() {
        of_video(video)
    } else if let Some(video) = message.ptv_message.take() {
        of_video(video)
    } else if let Some(audio) = message.audio_message.take() {
        of_audio(audio)
    } else if let Some(document) = message.document_message.take() {
        of_document(document)
    } else {
        of_sticker(message.sticker_message.take()?)
    };
    file.details.view_once |= view_once;
    Some(IncomingMessage {
        content: IncomingContent::Media {
            details: file.details,
            file: file.place.file(),
            caption: said(file.caption),
        },
        context: context::read(file.context, reading),
    })
}

fn of_image(image: ImageMessage) -> File {
    File {
        details: MediaDetails {
            width: size(image.width),
            height: size(image.height),
            preview: image.jpeg_thumbnail.filter(|jpeg| !jpeg.is_empty()),
            view_once: image.view_once.unwrap_or(false),
            ..details(MediaKind::Image, image.mimetype)
        },
        place: Place {
            path: image.direct_path,
            key: image.media_key,
            sha256: image.file_sha256,
            encrypted_sha256: image.file_enc_sha256,
            size: image.file_length,
            stamp: image.media_key_timestamp,
        },
        caption: image.caption,
        context: image.context_info,
    }
}

fn of_video(video: VideoMessage) -> File {
    let kind = if video.gif_playback.unwrap_or(false) {
        MediaKind::Gif
    } else {
        MediaKind::Video
    };
    File {
        details: MediaDetails {
            width: size(video.width),
            height: size(video.height),
            duration_ms: video.seconds.map(milliseconds),
            preview: video.jpeg_thumbnail.filter(|jpeg| !jpeg.is_empty()),
            view_once: video.view_once.unwrap_or(false),
            ..details(kind, video.mimetype)
        },
        place: Place {
            path: video.direct_path,
            key: video.media_key,
            sha256: video.file_sha256,
            encrypted_sha256: video.file_enc_sha256,
            size: video.file_length,
            stamp: video.media_key_timestamp,
        },
        caption: video.caption,
        context: video.context_info,
    }
}

fn of_audio(audio: AudioMessage) -> File {
    let kind = if audio.ptt.unwrap_or(false) {
        MediaKind::Voice
    } else {
        MediaKind::Audio
    };
    File {
        details: MediaDetails {
            duration_ms: audio.seconds.map(milliseconds),
            waveform: audio.waveform.filter(|waveform| !waveform.is_empty()),
            view_once: audio.view_once.unwrap_or(false),
            ..details(kind, audio.mimetype)
        },
        place: Place {
            path: audio.direct_path,
            key: audio.media_key,
            sha256: audio.file_sha256,
            encrypted_sha256: audio.file_enc_sha256,
            size: audio.file_length,
            stamp: audio.media_key_timestamp,
        },
        caption: None,
        context: audio.context_info,
    }
}

fn of_document(document: DocumentMessage) -> File {
    File {
        details: MediaDetails {
            file_name: said(document.file_name).or_else(|| said(document.title)),
            preview: document.jpeg_thumbnail.filter(|jpeg| !jpeg.is_empty()),
            ..details(MediaKind::File, document.mimetype)
        },
        place: Place {
            path: document.direct_path,
            key: document.media_key,
            sha256: document.file_sha256,
            encrypted_sha256: document.file_enc_sha256,
            size: document.file_length,
            stamp: document.media_key_timestamp,
        },
        caption: document.caption,
        context: document.context_info,
    }
}

fn of_sticker(sticker: StickerMessage) -> File {
    File {
        details: MediaDetails {
            width: size(sticker.width),
            height: size(sticker.height),
            ..details(MediaKind::Sticker, sticker.mimetype)
        },
        place: Place {
            path: sticker.direct_path,
            key: sticker.media_key,
            sha256: sticker.file_sha256,
            encrypted_sha256: sticker.file_enc_sha256,
            size: sticker.file_length,
            stamp: sticker.media_key_timestamp,
        },
        caption: None,
        context: sticker.context_info,
    }
}

/// A file of a kind, of the type its message names or else the one such files have as a rule.
fn details(kind: MediaKind, mime_type: Option<String>) -> MediaDetails {
    let usual = match kind {
        MediaKind::Image => "image/jpeg",
        MediaKind::Video | MediaKind::Gif => "video/mp4",
        MediaKind::Audio => "audio/mpeg",
        MediaKind::Voice => "audio/ogg; codecs=opus",
        MediaKind::File => "application/octet-stream",
        MediaKind::Sticker => "image/webp",
    };
    MediaDetails::new(kind, said(mime_type).unwrap_or_else(|| usual.to_owned()))
}

fn said(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

fn size(pixels: Option<u32>) -> Option<u32> {
    pixels.filter(|pixels| *pixels > 0)
}

fn milliseconds(seconds: u32) -> u64 {
    u64::from(seconds) * 1000
}
