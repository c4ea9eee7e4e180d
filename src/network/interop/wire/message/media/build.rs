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
    let fields = Fields {
        details: Some(details.clone()),
        place: Place::of(file, how),
        caption: caption.map(str::to_owned),
        context_info: context,
    };
    let message = bare(details.kind, fields);
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
    let fields = Fields {
        details: None,
        place: Place::default(),
        caption: Some(caption.to_owned()),
        context_info: context,
    };
    bare(kind, fields)
}

/// What fields of one kind of file or another are filled with.
struct Fields {
    details: Option<MediaDetails>,
    place: Place,
    caption: Option<String>,
    context_info: MessageField<ContextInfo>,
}

impl Fields {
    fn mimetype(&self) -> Option<String> {
        Some(self.details.as_ref()?.mime_type.clone())
    }

    fn width(&self) -> Option<u32> {
        self.details.as_ref()?.width
    }

    fn height(&self) -> Option<u32> {
        self.details.as_ref()?.height
    }

    fn seconds(&self) -> Option<u32> {
        self.details.as_ref()?.duration_ms.map(seconds)
    }

    fn thumbnail(&self) -> Option<Vec<u8>> {
        self.details.as_ref()?.preview.clone()
    }

    fn view_once(&self) -> Option<bool> {
        self.details.as_ref()?.view_once.then_some(true)
    }
}

fn bare(kind: MediaKind, fields: Fields) -> Message {
    let mut message = Message::default();
    match kind {
        MediaKind::Image => message.image_message = MessageField::some(image(fields)),
        MediaKind::Video => message.video_message = MessageField::some(video(fields, None)),
        MediaKind::Gif => message.video_message = MessageField::some(video(fields, Some(true))),
        MediaKind::Audio => message.audio_message = MessageField::some(audio(fields, false)),
        MediaKind::Voice => message.audio_message = MessageField::some(audio(fields, true)),
        MediaKind::Sticker => message.sticker_message = MessageField::some(sticker(fields)),
        MediaKind::File => {
            let has_caption = fields.caption.is_some();
            message.document_message = MessageField::some(document(fields));
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

fn image(fields: Fields) -> ImageMessage {
    ImageMessage {
        mimetype: fields.mimetype(),
        height: fields.height(),
        width: fields.width(),
        jpeg_thumbnail: fields.thumbnail(),
        view_once: fields.view_once(),
        caption: fields.caption,
        file_sha256: fields.place.sha256,
        file_length: fields.place.size,
        media_key: fields.place.key,
        file_enc_sha256: fields.place.encrypted_sha256,
        direct_path: fields.place.path,
        media_key_timestamp: fields.place.stamp,
        context_info: fields.context_info,
        ..ImageMessage::default()
    }
}

fn video(fields: Fields, gif_playback: Option<bool>) -> VideoMessage {
    VideoMessage {
        mimetype: fields.mimetype(),
        seconds: fields.seconds(),
        height: fields.height(),
        width: fields.width(),
        jpeg_thumbnail: fields.thumbnail(),
        view_once: fields.view_once(),
        gif_playback,
        caption: fields.caption,
        file_sha256: fields.place.sha256,
        file_length: fields.place.size,
        media_key: fields.place.key,
        file_enc_sha256: fields.place.encrypted_sha256,
        direct_path: fields.place.path,
        media_key_timestamp: fields.place.stamp,
        context_info: fields.context_info,
        ..VideoMessage::default()
    }
}

fn audio(fields: Fields, is_voice: bool) -> AudioMessage {
    AudioMessage {
        mimetype: fields.mimetype(),
        seconds: fields.seconds(),
        view_once: fields.view_once(),
        ptt: Some(is_voice),
        waveform: fields.details.and_then(|details| details.waveform),
        file_sha256: fields.place.sha256,
        file_length: fields.place.size,
        media_key: fields.place.key,
        file_enc_sha256: fields.place.encrypted_sha256,
        direct_path: fields.place.path,
        media_key_timestamp: fields.place.stamp,
        context_info: fields.context_info,
        ..AudioMessage::default()
    }
}

fn sticker(fields: Fields) -> StickerMessage {
    StickerMessage {
        mimetype: fields.mimetype(),
        height: fields.height(),
        width: fields.width(),
        file_sha256: fields.place.sha256,
        file_enc_sha256: fields.place.encrypted_sha256,
        media_key: fields.place.key,
        direct_path: fields.place.path,
        file_length: fields.place.size,
        media_key_timestamp: fields.place.stamp,
        context_info: fields.context_info,
        ..StickerMessage::default()
    }
}

fn document(fields: Fields) -> DocumentMessage {
    let mimetype = fields.mimetype();
    let jpeg_thumbnail = fields.thumbnail();
    let name = fields.details.and_then(|details| details.file_name);
    DocumentMessage {
        mimetype,
        jpeg_thumbnail,
        title: name.clone(),
        file_name: name,
        caption: fields.caption,
        file_sha256: fields.place.sha256,
        file_length: fields.place.size,
        media_key: fields.place.key,
        file_enc_sha256: fields.place.encrypted_sha256,
        direct_path: fields.place.path,
        media_key_timestamp: fields.place.stamp,
        context_info: fields.context_info,
        ..DocumentMessage::default()
    }
}

/// Milliseconds as whole seconds, but never as none.
fn seconds(milliseconds: u64) -> u32 {
    let seconds = milliseconds.saturating_add(500) / 1000;
    let least = u64::from(milliseconds > 0);
    u32::try_from(seconds.max(least)).unwrap_or(u32::MAX)
}
