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

/// A file's message. The four fields that say where it is are missing if it is nowhere.
pub(super) fn encode(
    file: &File,
    caption: &str,
    context: MessageField<ContextInfo>,
    now: i64,
) -> Proto {
    let remote = file.remote.as_ref();
    let path = |remote: &Remote| remote.path.clone();
    let key = |remote: &Remote| remote.key.to_vec();
    let sha256 = |remote: &Remote| remote.sha256.to_vec();
    let encrypted = |remote: &Remote| remote.encrypted_sha256.to_vec();
    let mime_type = Some(file.mime_type.clone());
    let at = Some(now / 1000);
    let once = file.view_once.then_some(true);
    let proto = match file.kind {
        MediaKind::Image => Proto {
            image_message: MessageField::some(ImageMessage {
                mimetype: mime_type,
                caption: filled(caption),
                file_sha256: remote.map(sha256),
                file_length: Some(file.size),
                height: file.height,
                width: file.width,
                media_key: remote.map(key),
                file_enc_sha256: remote.map(encrypted),
                direct_path: remote.map(path),
                media_key_timestamp: at,
                jpeg_thumbnail: bytes(&file.thumbnail),
                context_info: context,
                view_once: once,
                ..ImageMessage::default()
            }),
            ..Proto::default()
        },
        MediaKind::Video | MediaKind::Gif => Proto {
            video_message: MessageField::some(VideoMessage {
                mimetype: mime_type,
                caption: filled(caption),
                file_sha256: remote.map(sha256),
                file_length: Some(file.size),
                seconds: file.seconds,
                gif_playback: (file.kind == MediaKind::Gif).then_some(true),
                height: file.height,
                width: file.width,
                media_key: remote.map(key),
                file_enc_sha256: remote.map(encrypted),
                direct_path: remote.map(path),
                media_key_timestamp: at,
                jpeg_thumbnail: bytes(&file.thumbnail),
                context_info: context,
                view_once: once,
                ..VideoMessage::default()
            }),
            ..Proto::default()
        },
        MediaKind::Audio | MediaKind::Voice => Proto {
            audio_message: MessageField::some(AudioMessage {
                mimetype: mime_type,
                file_sha256: remote.map(sha256),
                file_length: Some(file.size),
                seconds: file.seconds,
                ptt: Some(file.kind == MediaKind::Voice),
                media_key: remote.map(key),
                file_enc_sha256: remote.map(encrypted),
                direct_path: remote.map(path),
                media_key_timestamp: at,
                waveform: bytes(&file.waveform),
                context_info: context,
                view_once: once,
                ..AudioMessage::default()
            }),
            ..Proto::default()
        },
        MediaKind::File => Proto {
            document_message: MessageField::some(DocumentMessage {
                mimetype: mime_type,
                caption: filled(caption),
                title: file.name.clone(),
                file_name: file.name.clone(),
                file_sha256: remote.map(sha256),
                file_length: Some(file.size),
                media_key: remote.map(key),
                file_enc_sha256: remote.map(encrypted),
                direct_path: remote.map(path),
                media_key_timestamp: at,
                jpeg_thumbnail: bytes(&file.thumbnail),
                context_info: context,
                ..DocumentMessage::default()
            }),
            ..Proto::default()
        },
        MediaKind::Sticker => Proto {
            sticker_message: MessageField::some(StickerMessage {
                mimetype: mime_type,
                file_sha256: remote.map(sha256),
                file_length: Some(file.size),
                height: file.height,
                width: file.width,
                media_key: remote.map(key),
                file_enc_sha256: remote.map(encrypted),
                direct_path: remote.map(path),
                media_key_timestamp: at,
                context_info: context,
                ..StickerMessage::default()
            }),
            ..Proto::default()
        },
    };
    match file.kind {
        MediaKind::File if !caption.is_empty() => Proto {
            document_with_caption_message: wrapped(proto),
            ..Proto::default()
        },
        MediaKind::Audio | MediaKind::Voice if file.view_once => Proto {
            view_once_message_v2_extension: wrapped(proto),
            ..Proto::default()
        },
        MediaKind::Image | MediaKind::Video | MediaKind::Gif if file.view_once => Proto {
            view_once_message_v2: wrapped(proto),
            ..Proto::default()
        },
        _ => proto,
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
