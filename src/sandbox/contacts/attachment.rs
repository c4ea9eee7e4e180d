//! A file's own message, written and read: the fields are the same in each kind, under other numbers.

use waproto::{
    buffa::MessageField,
    whatsapp::{
        ContextInfo, Message as Proto,
        message::{AudioMessage, DocumentMessage, ImageMessage, StickerMessage, VideoMessage},
    },
};

use super::{
    compose::{bytes, filled, wrapped},
    content::{File, Remote},
};
use crate::domain::MediaKind;

/// What the messages of all kinds say of a file. The four fields that say where it is are missing if it is nowhere.
struct Fields {
    mime_type: Option<String>,
    size: Option<u64>,
    path: Option<String>,
    key: Option<Vec<u8>>,
    sha256: Option<Vec<u8>>,
    encrypted_sha256: Option<Vec<u8>>,
    caption: Option<String>,
    /// Seconds since the Unix epoch.
    at: Option<i64>,
    once: Option<bool>,
    context: MessageField<ContextInfo>,
}

/// A file's message.
pub(super) fn encode(
    file: &File,
    caption: &str,
    context: MessageField<ContextInfo>,
    now: i64,
) -> Proto {
    let remote = file.remote.as_ref();
    let fields = Fields {
        mime_type: Some(file.mime_type.clone()),
        size: Some(file.size),
        path: remote.map(|remote| remote.path.clone()),
        key: remote.map(|remote| remote.key.to_vec()),
        sha256: remote.map(|remote| remote.sha256.to_vec()),
        encrypted_sha256: remote.map(|remote| remote.encrypted_sha256.to_vec()),
        caption: filled(caption),
        at: Some(now / 1000),
        once: file.view_once.then_some(true),
        context,
    };
    let mut proto = Proto::default();
    match file.kind {
        MediaKind::Image => proto.image_message = MessageField::some(image(file, fields)),
        MediaKind::Video | MediaKind::Gif => {
            proto.video_message = MessageField::some(video(file, fields));
        }
        MediaKind::Audio | MediaKind::Voice => {
            proto.audio_message = MessageField::some(audio(file, fields));
        }
        MediaKind::File => proto.document_message = MessageField::some(document(file, fields)),
        MediaKind::Sticker => proto.sticker_message = MessageField::some(sticker(file, fields)),
    }
    let mut outer = Proto::default();
    match file.kind {
        MediaKind::File if !caption.is_empty() => {
            outer.document_with_caption_message = wrapped(proto);
        }
        MediaKind::Audio | MediaKind::Voice if file.view_once => {
            outer.view_once_message_v2_extension = wrapped(proto);
        }
        MediaKind::Image | MediaKind::Video | MediaKind::Gif if file.view_once => {
            outer.view_once_message_v2 = wrapped(proto);
        }
        _ => return proto,
    }
    outer
}

fn image(file: &File, fields: Fields) -> ImageMessage {
    ImageMessage {
        mimetype: fields.mime_type,
        caption: fields.caption,
        file_sha256: fields.sha256,
        file_length: fields.size,
        height: file.height,
        width: file.width,
        media_key: fields.key,
        file_enc_sha256: fields.encrypted_sha256,
        direct_path: fields.path,
        media_key_timestamp: fields.at,
        jpeg_thumbnail: bytes(&file.thumbnail),
        context_info: fields.context,
        view_once: fields.once,
        ..ImageMessage::default()
    }
}

fn video(file: &File, fields: Fields) -> VideoMessage {
    VideoMessage {
        mimetype: fields.mime_type,
        caption: fields.caption,
        file_sha256: fields.sha256,
        file_length: fields.size,
        seconds: file.seconds,
        gif_playback: (file.kind == MediaKind::Gif).then_some(true),
        height: file.height,
        width: file.width,
        media_key: fields.key,
        file_enc_sha256: fields.encrypted_sha256,
        direct_path: fields.path,
        media_key_timestamp: fields.at,
        jpeg_thumbnail: bytes(&file.thumbnail),
        context_info: fields.context,
        view_once: fields.once,
        ..VideoMessage::default()
    }
}

fn audio(file: &File, fields: Fields) -> AudioMessage {
    AudioMessage {
        mimetype: fields.mime_type,
        file_sha256: fields.sha256,
        file_length: fields.size,
        seconds: file.seconds,
        ptt: Some(file.kind == MediaKind::Voice),
        media_key: fields.key,
        file_enc_sha256: fields.encrypted_sha256,
        direct_path: fields.path,
        media_key_timestamp: fields.at,
        waveform: bytes(&file.waveform),
        context_info: fields.context,
        view_once: fields.once,
        ..AudioMessage::default()
    }
}

fn document(file: &File, fields: Fields) -> DocumentMessage {
    DocumentMessage {
        mimetype: fields.mime_type,
        caption: fields.caption,
        title: file.name.clone(),
        file_name: file.name.clone(),
        file_sha256: fields.sha256,
        file_length: fields.size,
        media_key: fields.key,
        file_enc_sha256: fields.encrypted_sha256,
        direct_path: fields.path,
        media_key_timestamp: fields.at,
        jpeg_thumbnail: bytes(&file.thumbnail),
        context_info: fields.context,
        ..DocumentMessage::default()
    }
}

fn sticker(file: &File, fields: Fields) -> StickerMessage {
    StickerMessage {
        mimetype: fields.mime_type,
        file_sha256: fields.sha256,
        file_length: fields.size,
        height: file.height,
        width: file.width,
        media_key: fields.key,
        file_enc_sha256: fields.encrypted_sha256,
        direct_path: fields.path,
        media_key_timestamp: fields.at,
        context_info: fields.context,
        ..StickerMessage::default()
    }
}

/// Where a file is, if the message says so in full.
fn remote(
    path: Option<String>,
    key: Option<Vec<u8>>,
    sha256: Option<Vec<u8>>,
    encrypted_sha256: Option<Vec<u8>>,
) -> Option<Remote> {
    Some(Remote {
        path: path.filter(|path| path.starts_with('/'))?,
        key: key?.try_into().ok()?,
        sha256: sha256?.try_into().ok()?,
        encrypted_sha256: encrypted_sha256?.try_into().ok()?,
    })
}

/// A file of which nothing else is known.
pub(super) fn bare(kind: MediaKind, mime_type: Option<String>, size: Option<u64>) -> File {
    File {
        kind,
        mime_type: mime_type.unwrap_or_default(),
        name: None,
        size: size.unwrap_or(0),
        width: None,
        height: None,
        seconds: None,
        waveform: Vec::new(),
        thumbnail: Vec::new(),
        view_once: false,
        remote: None,
    }
}

/// The file of a message, its caption and its context.
pub(super) fn decode(proto: &mut Proto) -> Option<(File, String, MessageField<ContextInfo>)> {
    let (file, caption, context) = if let Some(image) = proto.image_message.take() {
        let file = File {
            width: image.width,
            height: image.height,
            thumbnail: image.jpeg_thumbnail.unwrap_or_default(),
            view_once: image.view_once.unwrap_or(false),
            remote: remote(
                image.direct_path,
                image.media_key,
                image.file_sha256,
                image.file_enc_sha256,
            ),
            ..bare(MediaKind::Image, image.mimetype, image.file_length)
        };
        (file, image.caption, image.context_info)
    } else if let Some(video) = proto.video_message.take() {
        let kind = if video.gif_playback.unwrap_or(false) {
            MediaKind::Gif
        } else {
            MediaKind::Video
        };
        let file = File {
            width: video.width,
            height: video.height,
            seconds: video.seconds,
            thumbnail: video.jpeg_thumbnail.unwrap_or_default(),
            view_once: video.view_once.unwrap_or(false),
            remote: remote(
                video.direct_path,
                video.media_key,
                video.file_sha256,
                video.file_enc_sha256,
            ),
            ..bare(kind, video.mimetype, video.file_length)
        };
        (file, video.caption, video.context_info)
    } else if let Some(audio) = proto.audio_message.take() {
        let kind = if audio.ptt.unwrap_or(false) {
            MediaKind::Voice
        } else {
            MediaKind::Audio
        };
        let file = File {
            seconds: audio.seconds,
            waveform: audio.waveform.unwrap_or_default(),
            view_once: audio.view_once.unwrap_or(false),
            remote: remote(
                audio.direct_path,
                audio.media_key,
                audio.file_sha256,
                audio.file_enc_sha256,
            ),
            ..bare(kind, audio.mimetype, audio.file_length)
        };
        (file, None, audio.context_info)
    } else if let Some(document) = proto.document_message.take() {
        let file = File {
            name: document.file_name.or(document.title),
            thumbnail: document.jpeg_thumbnail.unwrap_or_default(),
            remote: remote(
                document.direct_path,
                document.media_key,
                document.file_sha256,
                document.file_enc_sha256,
            ),
            ..bare(MediaKind::File, document.mimetype, document.file_length)
        };
        (file, document.caption, document.context_info)
    } else {
        let sticker = proto.sticker_message.take()?;
        let file = File {
            width: sticker.width,
            height: sticker.height,
            remote: remote(
                sticker.direct_path,
                sticker.media_key,
                sticker.file_sha256,
                sticker.file_enc_sha256,
            ),
            ..bare(MediaKind::Sticker, sticker.mimetype, sticker.file_length)
        };
        (file, None, sticker.context_info)
    };
    Some((file, caption.unwrap_or_default(), context))
}
