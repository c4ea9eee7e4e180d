//! Files from the page and for it.
//!
//! `POST …/files?kind=image|video|gif|audio|voice|file|sticker` takes the file as its body, piece by piece onto the disk. More in the
//! query: `name`, `caption`, `width`, `height`, `seconds`, `view_once=true`, `waveform` and `thumbnail` in base64 (URL alphabet,
//! without padding), and `side` with `quotes` for the message it answers.

use std::{io::SeekFrom, path::Path as FilePath};

use axum::{
    Extension, Json,
    body::Body,
    extract::{Path, Query},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{
            ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE,
            CONTENT_SECURITY_POLICY, CONTENT_TYPE, RANGE, X_CONTENT_TYPE_OPTIONS,
        },
    },
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::TryStreamExt as _;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{
    fs,
    io::{AsyncReadExt as _, AsyncSeekExt as _},
};
use tokio_util::codec::{BytesCodec, FramedRead};

use super::{ApiError, MessagePath, Reference, Side, contact, write::answering};
use crate::{
    domain::MediaKind,
    sandbox::{
        contacts::{MediaToSend, TakeError, content::Composed},
        http::Cast,
    },
};

/// The largest file the page may send, in bytes.
pub(super) const MAX_FILE: u64 = 100 * 1024 * 1024;
/// The longest name, caption and type, in characters.
const MAX_NAME: usize = 255;
const MAX_CAPTION: usize = 4096;
/// The largest small picture and the longest waveform, in bytes.
const MAX_EXTRA: usize = 24 * 1024;

/// What browsers show themselves and that can run nothing.
const SHOWN: [&str; 16] = [
    "image/jpeg",
    "image/png",
    "image/webp",
    "image/gif",
    "image/avif",
    "video/mp4",
    "video/webm",
    "video/ogg",
    "video/3gpp",
    "audio/ogg",
    "audio/mpeg",
    "audio/mp4",
    "audio/aac",
    "audio/webm",
    "audio/wav",
    "audio/amr",
];

/// What is said of a file in the query.
#[derive(Deserialize)]
pub(super) struct Details {
    kind: MediaKind,
    #[serde(default)]
    name: String,
    #[serde(default)]
    caption: String,
    width: Option<u32>,
    height: Option<u32>,
    seconds: Option<u32>,
    #[serde(default)]
    view_once: bool,
    #[serde(default)]
    waveform: String,
    #[serde(default)]
    thumbnail: String,
    side: Option<Side>,
    quotes: Option<String>,
}

/// A name without a folder and without what no name has.
fn plain_name(name: &str) -> Option<String> {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain: String = last
        .chars()
        .filter(|c| !c.is_control())
        .take(MAX_NAME)
        .collect();
    let plain = plain.trim().to_owned();
    (!plain.is_empty() && plain != "." && plain != "..").then_some(plain)
}

fn mime_type(headers: &HeaderMap) -> String {
    let said = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .map(str::trim)
        .filter(|text| text.len() <= MAX_NAME && text.contains('/'));
    said.unwrap_or("application/octet-stream").to_owned()
}

fn extra(text: &str) -> Result<Vec<u8>, ApiError> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok();
    bytes
        .filter(|bytes| bytes.len() <= MAX_EXTRA)
        .ok_or_else(|| ApiError::bad("the small picture or the waveform is not usable"))
}

/// `POST …/files`.
pub(super) async fn take(
    Extension(cast): Extension<Cast>,
    Path((id, chat)): Path<(String, String)>,
    Query(details): Query<Details>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, ApiError> {
    let contact = contact(&cast, &id)?;
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > MAX_FILE) {
        return Err(ApiError::TooLarge);
    }
    if details.caption.chars().count() > MAX_CAPTION {
        return Err(ApiError::bad("the caption is too long"));
    }
    let (waveform, thumbnail) = (extra(&details.waveform)?, extra(&details.thumbnail)?);
    let chunks = body.into_data_stream().map_err(std::io::Error::other);
    let taken = contact
        .take_file(chunks, MAX_FILE)
        .await
        .map_err(|error| match error {
            TakeError::TooLarge => ApiError::TooLarge,
            TakeError::Io(error) => ApiError::Bad(format!("the file did not come: {error}")),
        })?;
    let quotes = details.side.zip(details.quotes);
    let quotes = quotes.map(|(side, id)| Reference { side, id });
    let answer = answering(&contact, &chat, quotes.as_ref(), Composed::default());
    let media = MediaToSend {
        file_name: plain_name(&details.name),
        caption: details.caption,
        width: details.width,
        height: details.height,
        seconds: details.seconds,
        waveform,
        thumbnail,
        view_once: details.view_once,
        quotes: answer.quotes,
        ..MediaToSend::path(details.kind, mime_type(&headers), taken.path())
    };
    let id = contact.send_media(&chat, media).await?;
    Ok(Json(json!({"id": id})))
}

/// `GET …/file`: decrypted. What is not a picture, a film or a sound is saved and not shown.
pub(super) async fn give(
    Extension(cast): Extension<Cast>,
    Path(path): Path<MessagePath>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let contact = contact(&cast, &path.id)?;
    let chat = path.jid.parse().map_err(|_| ApiError::NotFound)?;
    let message = contact
        .message_of(&chat, path.side.is_mine(), &path.message)
        .ok_or(ApiError::NotFound)?;
    let file = message.content.file().ok_or(ApiError::NotFound)?;
    let on_disk = contact
        .media_file(&path.jid, path.side.is_mine(), &path.message)
        .await?;
    let plain_type = file.mime_type.split(';').next().unwrap_or_default().trim();
    let shown = SHOWN
        .into_iter()
        .find(|shown| shown.eq_ignore_ascii_case(plain_type));
    let mut response = serve(&on_disk, headers.get(RANGE))
        .await
        .map_err(|error| ApiError::Bad(format!("the file cannot be read: {error}")))?;
    let headers = response.headers_mut();
    let fixed = [
        (CONTENT_TYPE, shown.unwrap_or("application/octet-stream")),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
        (CACHE_CONTROL, "private, no-cache"),
        (ACCEPT_RANGES, "bytes"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let way = if shown.is_some() {
        "inline"
    } else {
        "attachment"
    };
    headers.insert(CONTENT_DISPOSITION, disposition(way, file.name.as_deref()));
    Ok(response)
}

/// `inline` or `attachment`, with the name in percent-encoded UTF-8 (RFC 6266).
fn disposition(way: &str, name: Option<&str>) -> HeaderValue {
    let name = name.and_then(plain_name);
    let encoded: String =
        name.iter()
            .flat_map(|name| name.bytes())
            .fold(String::new(), |mut text, byte| {
                if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_') {
                    text.push(char::from(byte));
                } else {
                    use std::fmt::Write;
                    write!(text, "%{byte:02X}").expect("a string takes all that is written");
                }
                text
            });
    let text = if encoded.is_empty() {
        way.to_owned()
    } else {
        format!("{way}; filename*=UTF-8''{encoded}")
    };
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("attachment"))
}

/// One range of a header, as first and last byte; `None` for the whole.
fn range(header: Option<&HeaderValue>, length: u64) -> Option<Result<(u64, u64), ()>> {
    let (first, last) = header?
        .to_str()
        .ok()?
        .strip_prefix("bytes=")?
        .split_once('-')?;
    let range = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => (first, last.min(length.saturating_sub(1))),
        (Ok(first), _) if last.is_empty() => (first, length.saturating_sub(1)),
        (_, Ok(last)) if first.is_empty() => {
            (length.saturating_sub(last), length.saturating_sub(1))
        }
        _ => return None,
    };
    Some(if range.0 < length && range.0 <= range.1 {
        Ok(range)
    } else {
        Err(())
    })
}

async fn serve(path: &FilePath, asked: Option<&HeaderValue>) -> std::io::Result<Response> {
    let mut file = fs::File::open(path).await?;
    let length = file.metadata().await?.len();
    let (status, first, count) = match range(asked, length) {
        None => (StatusCode::OK, 0, length),
        Some(Ok((first, last))) => (StatusCode::PARTIAL_CONTENT, first, last - first + 1),
        Some(Err(())) => {
            let told = [(CONTENT_RANGE, format!("bytes */{length}"))];
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, told).into_response());
        }
    };
    file.seek(SeekFrom::Start(first)).await?;
    let pieces =
        FramedRead::new(file.take(count), BytesCodec::new()).map_ok(bytes::BytesMut::freeze);
    let mut response = (status, Body::from_stream(pieces)).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(count));
    if status == StatusCode::PARTIAL_CONTENT {
        let told = format!("bytes {first}-{}/{length}", first + count - 1);
        if let Ok(told) = HeaderValue::from_str(&told) {
            headers.insert(CONTENT_RANGE, told);
        }
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_no_folder() {
        for (name, plain) in [
            ("a.png", Some("a.png")),
            ("../../etc/passwd", Some("passwd")),
            ("C:\\x\\b.txt", Some("b.txt")),
            ("..", None),
            ("x/", None),
            ("a\r\nb\0", Some("ab")),
            ("  ", None),
        ] {
            assert_eq!(plain_name(name).as_deref(), plain, "{name:?}");
        }
        assert_eq!(plain_name(&"é".repeat(300)).unwrap().chars().count(), 255);
    }

    #[test]
    fn names_in_headers_are_encoded() {
        let value = disposition("attachment", Some("a\"; x=\"b\u{202e}.png"));
        let expected = "attachment; filename*=UTF-8''a%22%3B%20x%3D%22b%E2%80%AE.png";
        assert_eq!(value, expected);
    }

    #[test]
    fn ranges_are_of_the_file() {
        let of = |text: &'static str| range(Some(&HeaderValue::from_static(text)), 100);
        assert_eq!(of("bytes=0-"), Some(Ok((0, 99))));
        assert_eq!(of("bytes=10-19"), Some(Ok((10, 19))));
        assert_eq!(of("bytes=90-500"), Some(Ok((90, 99))));
        assert_eq!(of("bytes=-10"), Some(Ok((90, 99))));
        assert_eq!(of("bytes=100-"), Some(Err(())));
        assert_eq!(of("bytes=-0"), Some(Err(())));
        assert_eq!(of("bytes=5-2"), None);
        assert_eq!(of("lines=1-2"), None);
        assert_eq!(range(None, 100), None);
    }
}
