//! Files: what they are, where they are, and as which kind the gatekeeper takes them.

use serde_json::Value;

use super::{
    NetworkContext, Part, PartContent,
    text::{foreign_quote, mentions_room, pieces, plain_parts, read, with_foreign_quote},
};
use crate::{
    domain::{
        MatrixMedia, MediaDetails, MediaKind, MediaRule, MessageContext, Unbridgeable, file_size,
    },
    translate::{
        encrypted_file,
        files::{clean_file_name, essence, made_up_name, mime_type_of, well_formed_mime_type},
        markup::Formatted,
    },
};

/// How many values a waveform has on the other side.
const WAVEFORM: usize = 64;

/// The parts of a message that is a file, or of a sticker.
pub(super) fn parts(
    content: &Value,
    context: &NetworkContext<'_>,
) -> Result<Vec<Part>, Unbridgeable> {
    let source = source(content, "").ok_or_else(|| {
        context.not_sent(
            "malformed_file",
            "the message does not say in full where its file is or how to decrypt it. Send it again",
        )
    })?;
    let name = file_name(content);
    let mime_type = mime_type(content, name.as_deref());
    let wanted = wanted(content, &mime_type);
    let (kind, rule) = accepted(&wanted, &mime_type, source.size, context)?;
    let parts = Described {
        details: details(content, kind, mime_type, name),
        source,
        thumbnail: source_of_thumbnail(content),
        rule,
        caption: caption(content),
    };
    Ok(parts.into_parts(content, context))
}

/// A file that is taken.
struct Described<'a> {
    details: MediaDetails,
    source: MatrixMedia,
    thumbnail: Option<MatrixMedia>,
    rule: &'a MediaRule,
    caption: Option<Formatted>,
}

impl Described<'_> {
    /// The file with the text under it, or with a text message behind it where there can be none under it.
    fn into_parts(self, content: &Value, context: &NetworkContext<'_>) -> Vec<Part> {
        let mut before = Vec::new();
        let mut behind = Vec::new();
        let mut under = None;
        if self.rule.captions {
            let text = match self.caption {
                Some(caption) => Some(with_foreign_quote(caption, context)),
                None => foreign_quote(context),
            };
            if let Some(text) = text {
                under = pieces(&text, context).into_iter().next();
                behind.extend(plain_parts(&text, context).into_iter().skip(1));
            }
        } else {
            if let Some(quote) = foreign_quote(context) {
                before = plain_parts(&quote, context);
            }
            if let Some(caption) = &self.caption {
                behind = plain_parts(caption, context);
            }
        }
        let (caption, mentions) = under.map_or((None, Vec::new()), |(text, mentions)| {
            (Some(text), mentions)
        });
        let file = Part {
            content: PartContent::Media {
                details: self.details,
                source: self.source,
                thumbnail: self.thumbnail,
                caption,
                limit: self.rule.max_bytes,
            },
            context: MessageContext {
                quote: context.quote(),
                mentions,
                mentions_room: mentions_room(content),
                ..MessageContext::default()
            },
        };
        before.into_iter().chain([file]).chain(behind).collect()
    }
}

/// The kind a caption's file was sent as, and whether the caption is under it, by what the file is called now.
pub(super) fn kind_of(
    content: &Value,
    context: &NetworkContext<'_>,
) -> Result<(MediaKind, bool), Unbridgeable> {
    let mime_type = mime_type(content, file_name(content).as_deref());
    let size = content["info"]["size"].as_u64();
    let (kind, rule) = accepted(&wanted(content, &mime_type), &mime_type, size, context)?;
    Ok((kind, rule.captions))
}

/// The text under a file: its body, if that is not its name (MSC2530).
pub(super) fn caption(content: &Value) -> Option<Formatted> {
    let body = content["body"].as_str()?;
    let name = content["filename"].as_str()?;
    if name == body || content["msgtype"].as_str().is_none() {
        return None;
    }
    let caption = read(body, content);
    (!caption.is_blank()).then_some(caption)
}

fn file_name(content: &Value) -> Option<String> {
    let name = content["filename"].as_str();
    // A sticker's body describes it.
    let body = content["msgtype"].as_str().and(content["body"].as_str());
    clean_file_name(name.or(body)?)
}

fn mime_type(content: &Value, name: Option<&str>) -> String {
    let given = content["info"]["mimetype"].as_str();
    given
        .and_then(well_formed_mime_type)
        .or_else(|| name.and_then(mime_type_of).map(str::to_owned))
        .unwrap_or_else(|| "application/octet-stream".to_owned())
}

/// As which kinds a file can be sent, the best first.
fn wanted(content: &Value, mime_type: &str) -> Vec<MediaKind> {
    let info = &content["info"];
    let says = |key: &str| info[key].as_bool() == Some(true);
    let kinds: &[MediaKind] = match content["msgtype"].as_str() {
        Some("m.image")
            if essence(mime_type) == "image/gif"
                || says("is_animated")
                || says("org.matrix.msc4230.is_animated") =>
        {
            &[MediaKind::Gif, MediaKind::Image]
        }
        Some("m.image") => &[MediaKind::Image],
        Some("m.video") if says("fi.mau.gif") => &[MediaKind::Gif, MediaKind::Video],
        Some("m.video") => &[MediaKind::Video],
        Some("m.audio")
            if content["org.matrix.msc3245.voice"].is_object()
                || content["org.matrix.msc3245.voice.v2"].is_object()
                || content["m.voice"].is_object() =>
        {
            &[MediaKind::Voice, MediaKind::Audio]
        }
        Some("m.audio") => &[MediaKind::Audio],
        None => &[MediaKind::Sticker, MediaKind::Image],
        Some(_) => &[],
    };
    kinds.iter().copied().chain([MediaKind::File]).collect()
}

/// The first kind as which the gatekeeper takes a file.
fn accepted<'a>(
    wanted: &[MediaKind],
    mime_type: &str,
    size: Option<u64>,
    context: &NetworkContext<'a>,
) -> Result<(MediaKind, &'a MediaRule), Unbridgeable> {
    let capabilities: &'a _ = context.capabilities;
    let rules = || {
        wanted.iter().filter_map(|kind| {
            let rule = capabilities.media_rule(*kind, sent_as(*kind, mime_type))?;
            Some((*kind, rule))
        })
    };
    if let Some(taken) = rules().find(|(_, rule)| size.is_none_or(|size| size <= rule.max_bytes)) {
        return Ok(taken);
    }
    match rules().map(|(_, rule)| rule.max_bytes).max() {
        Some(limit) => Err(context.not_sent(
            "too_large",
            &format!(
                "{} of this size is too large, {} are taken at most. Make it smaller, or share a link to it",
                wanted[0].noun(),
                file_size(limit)
            ),
        )),
        None => Err(context.not_sent(
            "unsupported_media",
            &format!(
                "{} of the type {} is not taken there. Share a link to it instead",
                wanted[0].noun(),
                essence(mime_type)
            ),
        )),
    }
}

/// The type a file has by the time it is sent: stickers are made of any still picture.
fn sent_as(kind: MediaKind, mime_type: &str) -> &str {
    match essence(mime_type).as_str() {
        "image/png" | "image/jpeg" | "image/gif" if kind == MediaKind::Sticker => "image/webp",
        _ => mime_type,
    }
}

fn details(
    content: &Value,
    kind: MediaKind,
    mime_type: String,
    name: Option<String>,
) -> MediaDetails {
    let info = &content["info"];
    let audio = &content["org.matrix.msc1767.audio"];
    let pixels = |key: &str| {
        let value = info[key].as_u64()?;
        u32::try_from(value).ok().filter(|pixels| *pixels > 0)
    };
    let is_bare_ogg = mime_type.eq_ignore_ascii_case("audio/ogg");
    let name = name.or_else(|| (kind == MediaKind::File).then(|| made_up_name(kind, &mime_type)));
    MediaDetails {
        file_name: name,
        width: pixels("w"),
        height: pixels("h"),
        duration_ms: info["duration"]
            .as_u64()
            .or_else(|| audio["duration"].as_u64()),
        waveform: (kind == MediaKind::Voice)
            .then(|| waveform(&audio["waveform"]))
            .flatten(),
        // Voice messages of Matrix are Opus (MSC3245), and the other side wants to be told.
        ..MediaDetails::new(
            kind,
            if kind == MediaKind::Voice && is_bare_ogg {
                "audio/ogg; codecs=opus".to_owned()
            } else {
                mime_type
            },
        )
    }
}

/// The loudness over time: any number of values up to 1024 as 64 values up to 100.
fn waveform(values: &Value) -> Option<Vec<u8>> {
    let values: Vec<u64> = values
        .as_array()?
        .iter()
        .map(|value| value.as_u64().unwrap_or_default().min(1024))
        .collect();
    let count = values.len();
    if count == 0 {
        return None;
    }
    let bucket = |at: usize| {
        let from = at * count / WAVEFORM;
        let to = ((at + 1) * count / WAVEFORM).max(from + 1);
        let loudest = values[from..to].iter().max().copied().unwrap_or_default();
        u8::try_from(loudest * 100 / 1024).unwrap_or(100)
    };
    Some((0..WAVEFORM).map(bucket).collect())
}

fn source_of_thumbnail(content: &Value) -> Option<MatrixMedia> {
    source(&content["info"], "thumbnail_")
}

/// Where a file is: an encrypted one wins. `None` if that is not said, or not in full.
fn source(of: &Value, prefix: &str) -> Option<MatrixMedia> {
    let info = if prefix.is_empty() {
        "info"
    } else {
        "thumbnail_info"
    };
    let size = of[info]["size"].as_u64();
    let file = &of[format!("{prefix}file")];
    let (uri, encryption) = if file.is_null() {
        (&of[format!("{prefix}url")], None)
    } else {
        (&file["url"], Some(encrypted_file::read(file)?))
    };
    let uri = uri.as_str()?;
    let (server, media) = uri.strip_prefix("mxc://")?.split_once('/')?;
    let is_plain = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic());
    if !is_plain(server) || !is_plain(media) || media.contains(['/', '?', '#', '\\']) {
        return None;
    }
    Some(MatrixMedia {
        uri: uri.to_owned(),
        size,
        encryption,
    })
}
