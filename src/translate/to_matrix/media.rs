//! Files, and what is shown in the place of one that cannot be had.

use serde_json::{Value, json};

use super::{MatrixContext, MatrixEvent, MediaAtMatrix, Thumbnail, bridge_notice, notices, text};
use crate::{
    domain::{IncomingMessage, MediaDetails, MediaKind},
    translate::{
        encrypted_file,
        files::{clean_file_name, essence, made_up_name, well_formed_mime_type},
        markup::Shown,
    },
};

/// The largest number that canonical JSON takes.
const MAX_NUMBER: u64 = (1 << 53) - 1;
/// The most values of a waveform.
const MAX_WAVEFORM: usize = 256;

/// The events of a message that is a file.
pub(super) fn events(
    incoming: &IncomingMessage,
    details: &MediaDetails,
    caption: Option<&str>,
    about: &MatrixContext,
) -> Vec<MatrixEvent> {
    let said = text::with_quote(caption.unwrap_or_default(), incoming, about);
    let said = said.trim_end();
    let (file, size, thumbnail, blurhash) = match &about.media {
        Some(MediaAtMatrix::Uploaded {
            uri,
            encryption,
            size,
            thumbnail,
            blurhash,
        }) => (
            (uri, encryption.as_ref()),
            *size,
            thumbnail.as_ref(),
            blurhash.as_deref(),
        ),
        missing => {
            let sentence = notices::missing_file(details.kind, missing.as_ref(), about);
            return about.related(without_file(&sentence, said, incoming, about));
        }
    };
    let name = details
        .file_name
        .as_deref()
        .and_then(clean_file_name)
        .unwrap_or_else(|| made_up_name(details.kind, &details.mime_type));
    let mut content = json!({
        "msgtype": msgtype(details),
        "body": name,
        "filename": name,
        "info": info(details, size, thumbnail, blurhash),
        "m.mentions": {},
    });
    let (uri, encryption) = file;
    encrypted_file::tell(&mut content, "", uri, encryption);
    if details.kind == MediaKind::Sticker {
        return sticker(content, said, incoming, about);
    }
    if details.kind == MediaKind::Voice {
        content["org.matrix.msc3245.voice"] = json!({});
    }
    if matches!(details.kind, MediaKind::Voice | MediaKind::Audio)
        && let Some(audio) = audio(details)
    {
        content["org.matrix.msc1767.audio"] = audio;
    }
    let mut contents = vec![content];
    if !said.is_empty() {
        let mut pieces = text::pieces(said, incoming, about).into_iter();
        if let Some(first) = pieces.next() {
            text::say(&mut contents[0], first, incoming.context.mentions_room);
        }
        contents.extend(pieces.map(continued));
    }
    about.related(contents)
}

/// The notice of a file that is not shown, with the text that is under it, so that both are replaced when the file comes.
fn without_file(
    sentence: &str,
    said: &str,
    incoming: &IncomingMessage,
    about: &MatrixContext,
) -> Vec<Value> {
    let mut notice = bridge_notice(sentence, None);
    if said.is_empty() {
        return vec![notice];
    }
    let mut pieces = text::pieces(said, incoming, about).into_iter();
    if let Some(first) = pieces.next() {
        text::say(&mut notice, text::below(sentence, first), false);
    }
    [notice].into_iter().chain(pieces.map(continued)).collect()
}

fn continued(shown: Shown) -> Value {
    let mut content = json!({ "msgtype": "m.text" });
    text::say(&mut content, shown, false);
    content
}

/// A sticker has no text of its own: what there is to say comes in a message behind it.
fn sticker(
    mut content: Value,
    said: &str,
    incoming: &IncomingMessage,
    about: &MatrixContext,
) -> Vec<MatrixEvent> {
    if let Some(fields) = content.as_object_mut() {
        fields.remove("msgtype");
        fields.remove("filename");
    }
    content["body"] = json!("Sticker");
    let mut events = about.related_below(MatrixEvent {
        kind: "m.sticker",
        content,
    });
    if !said.is_empty() {
        let said = text::contents(said, incoming, about);
        events.extend(said.into_iter().map(MatrixEvent::message));
    }
    events
}

fn msgtype(details: &MediaDetails) -> &'static str {
    let is_picture = essence(&details.mime_type).starts_with("image/");
    match details.kind {
        MediaKind::Image | MediaKind::Sticker => "m.image",
        MediaKind::Gif if is_picture => "m.image",
        MediaKind::Video | MediaKind::Gif => "m.video",
        MediaKind::Audio | MediaKind::Voice => "m.audio",
        MediaKind::File => "m.file",
    }
}

fn info(
    details: &MediaDetails,
    size: u64,
    thumbnail: Option<&Thumbnail>,
    blurhash: Option<&str>,
) -> Value {
    let mime_type = well_formed_mime_type(&details.mime_type)
        .unwrap_or_else(|| "application/octet-stream".to_owned());
    let mut info = json!({ "mimetype": mime_type, "size": size.min(MAX_NUMBER) });
    if let (Some(width), Some(height)) = (details.width, details.height) {
        info["w"] = json!(width);
        info["h"] = json!(height);
    }
    if let Some(duration) = details.duration_ms {
        info["duration"] = json!(duration.min(MAX_NUMBER));
    }
    if let Some(thumbnail) = thumbnail {
        let encryption = thumbnail.encryption.as_ref();
        encrypted_file::tell(&mut info, "thumbnail_", &thumbnail.uri, encryption);
        info["thumbnail_info"] = json!({
            "mimetype": thumbnail.mime_type,
            "size": thumbnail.size.min(MAX_NUMBER),
            "w": thumbnail.width,
            "h": thumbnail.height,
        });
    }
    if let Some(blurhash) = blurhash {
        info["xyz.amorgan.blurhash"] = json!(blurhash);
    }
    if details.kind == MediaKind::Gif {
        for flag in ["gif", "loop", "autoplay", "hide_controls", "no_audio"] {
            info[format!("fi.mau.{flag}")] = json!(true);
        }
    }
    info
}

/// What is known of a sound (MSC3246), if anything is; the other side's waveform counts to 100, Matrix's to 1024. Clients read
/// none of it without a duration.
fn audio(details: &MediaDetails) -> Option<Value> {
    let waveform = details.waveform.as_deref().unwrap_or_default();
    let is_drawn = details.kind == MediaKind::Voice && !waveform.is_empty();
    let duration = details.duration_ms.or_else(|| is_drawn.then_some(0))?;
    let mut audio = json!({ "duration": duration.min(MAX_NUMBER) });
    if is_drawn {
        let values = waveform.iter().take(MAX_WAVEFORM);
        let values: Vec<u32> = values
            .map(|value| u32::from(*value).min(100) * 1024 / 100)
            .collect();
        audio["waveform"] = json!(values);
    }
    Some(audio)
}
