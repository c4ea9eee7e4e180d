//! Messages with files, as they are written.

use waproto::{
    buffa::MessageField,
    whatsapp::{
        ContextInfo, Message,
        message::{
            AudioMessage, DocumentMessage, FutureProofMessage, ImageMessage, StickerMessage,
            VideoMessage,
        },
    },
};

use super::Place;
use crate::{
    domain::{MediaDetails, MediaKind, RemoteMedia},
    network::interop::wire::message::Encoding,
};

/// A message with a file. A caption is left out where there is no field for one.
pub(in super::super) fn build(
    details: &MediaDetails,
    file: &RemoteMedia,
    caption: Option<&str>,
    context: MessageField<ContextInfo>,
    how: &Encoding<'_>,
) -> Message {
    let message = bare(
        details.kind,
        Some(details),
        Place::of(file, how),
        caption,
        context,
    );
    if !details.view_once {
        return message;
    }
    let wrapper = FutureProofMessage {
        message: MessageField::some(message),
    };
    let mut outer = Message::default();
    *match details.kind {
        MediaKind::Audio | MediaKind::Voice => &mut outer.view_once_message_v2_extension,
        _ => &mut outer.view_once_message_v2,
    } = MessageField::some(wrapper);
    outer
}

/// A message with nothing but the caption of a file, as edits have it.
pub(in super::super) fn caption(
    kind: MediaKind,
    caption: &str,
    context: MessageField<ContextInfo>,
) -> Message {
    bare(kind, None, Place::default(), Some(caption), context)
}

fn bare(
    kind: MediaKind,
    details: Option<&MediaDetails>,
    place: Place,
    caption: Option<&str>,
    context_info: MessageField<ContextInfo>,
) -> Message {
    let mimetype = details.map(|details| details.mime_type.clone());
    let width = details.and_then(|details| details.width);
    let height = details.and_then(|details| details.height);
    let seconds = details.and_then(|details| details.duration_ms).map(seconds);
    let jpeg_thumbnail = details.and_then(|details| details.preview.clone());
    let view_once = details.and_then(|details| details.view_once.then_some(true));
    let caption = caption.map(str::to_owned);
    let mut message = Message::default();
    match kind {
        MediaKind::Image => {
            message.image_message = MessageField::some(ImageMessage {
                mimetype,
                caption,
                file_sha256: place.sha256,
                file_length: place.size,
                height,
                width,
                media_key: place.key,
                file_enc_sha256: place.encrypted_sha256,
                direct_path: place.path,
                media_key_timestamp: place.stamp,
                jpeg_thumbnail,
                context_info,
                view_once,
                ..ImageMessage::default()
            });
        }
        MediaKind::Video | MediaKind::Gif => {
            message.video_message = MessageField::some(VideoMessage {
                mimetype,
                file_sha256: place.sha256,
                file_length: place.size,
                seconds,
                media_key: place.key,
                caption,
                gif_playback: (kind == MediaKind::Gif).then_some(true),
                height,
                width,
                file_enc_sha256: place.encrypted_sha256,
                direct_path: place.path,
                media_key_timestamp: place.stamp,
                jpeg_thumbnail,
                context_info,
                view_once,
                ..VideoMessage::default()
            });
        }
        MediaKind::Audio | MediaKind::Voice => {
            message.audio_message = MessageField::some(AudioMessage {
                mimetype,
                file_sha256: place.sha256,
                file_length: place.size,
                seconds,
                ptt: Some(kind == MediaKind::Voice),
                media_key: place.key,
                file_enc_sha256: place.encrypted_sha256,
                direct_path: place.path,
                media_key_timestamp: place.stamp,
                context_info,
                waveform: details.and_then(|details| details.waveform.clone()),
                view_once,
                ..AudioMessage::default()
            });
        }
        MediaKind::Sticker => {
            message.sticker_message = MessageField::some(StickerMessage {
                file_sha256: place.sha256,
                file_enc_sha256: place.encrypted_sha256,
                media_key: place.key,
                mimetype,
                height,
                width,
                direct_path: place.path,
                file_length: place.size,
                media_key_timestamp: place.stamp,
                context_info,
                ..StickerMessage::default()
            });
        }
        MediaKind::File => {
            let name = details.and_then(|details| details.file_name.clone());
            let has_caption = caption.is_some();
            message.document_message = MessageField::some(DocumentMessage {
                mimetype,
                title: name.clone(),
                file_sha256: place.sha256,
                file_length: place.size,
                media_key: place.key,
                file_name: name,
                file_enc_sha256: place.encrypted_sha256,
                direct_path: place.path,
                media_key_timestamp: place.stamp,
                jpeg_thumbnail,
                context_info,
                caption,
                ..DocumentMessage::default()
            });
            if has_caption {
                return Message {
                    document_with_caption_message: MessageField::some(FutureProofMessage {
                        message: MessageField::some(message),
                    }),
                    ..Message::default()
                };
            }
        }
    }
    message
}

/// Milliseconds as whole seconds, but never as none.
fn seconds(milliseconds: u64) -> u32 {
    let seconds = milliseconds.saturating_add(500) / 1000;
    let least = u64::from(milliseconds > 0);
    u32::try_from(seconds.max(least)).unwrap_or(u32::MAX)
}
