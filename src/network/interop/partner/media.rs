//! `GET /{storage reference}`: the hosted ciphertext, whole or a range of it.

use std::io::{Error, SeekFrom};

use axum::{
    body::Body,
    extract::{Path, State},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{
            ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE,
            CONTENT_TYPE, RANGE, X_CONTENT_TYPE_OPTIONS,
        },
    },
    response::{IntoResponse, Response},
};
use futures_util::TryStreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::codec::{BytesCodec, FramedRead};

use super::{PartnerState, StorageReference, hosted::HEADER};

/// What part of a file is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Whole,
    /// From, up to and including.
    Range(u64, u64),
    Unsatisfiable,
}

impl Part {
    /// Reads a `Range` header (RFC 9110, 14.2). What is malformed or asks for several ranges asks for the whole.
    fn of(header: Option<&HeaderValue>, length: u64) -> Self {
        let asked = header
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("bytes="))
            .and_then(|range| range.trim().split_once('-'));
        let number = |text: &str| {
            let digits = text.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| text.parse::<u64>().ok()).flatten()
        };
        match asked {
            Some(("", last)) => match number(last) {
                Some(0) => Self::Unsatisfiable,
                Some(_) if length == 0 => Self::Unsatisfiable,
                Some(last) => Self::Range(length.saturating_sub(last), length - 1),
                None => Self::Whole,
            },
            Some((from, to)) => match (number(from), to.is_empty(), number(to)) {
                (Some(from), ..) if from >= length => Self::Unsatisfiable,
                (Some(from), true, _) => Self::Range(from, length - 1),
                (Some(from), false, Some(to)) if from <= to => {
                    Self::Range(from, to.min(length - 1))
                }
                _ => Self::Whole,
            },
            None => Self::Whole,
        }
    }
}

pub(super) async fn handle(
    State(state): State<PartnerState>,
    Path(reference): Path<String>,
    headers: HeaderMap,
) -> Result<Response, StatusCode> {
    let reference: StorageReference = reference.parse().map_err(|_| StatusCode::NOT_FOUND)?;
    let failed = |error: Error| {
        tracing::warn!(%error, "hosted media cannot be read");
        StatusCode::INTERNAL_SERVER_ERROR
    };
    let (mut file, length) = state
        .media
        .open(reference, state.now())
        .await
        .map_err(failed)?
        .ok_or(StatusCode::NOT_FOUND)?;
    let (status, from, count) = match Part::of(headers.get(RANGE), length) {
        Part::Whole => (StatusCode::OK, 0, length),
        Part::Range(from, to) => (StatusCode::PARTIAL_CONTENT, from, to - from + 1),
        Part::Unsatisfiable => {
            let range = [(CONTENT_RANGE, format!("bytes */{length}"))];
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, range).into_response());
        }
    };
    file.seek(SeekFrom::Start(HEADER + from))
        .await
        .map_err(failed)?;
    let chunks =
        FramedRead::new(file.take(count), BytesCodec::new()).map_ok(bytes::BytesMut::freeze);
    let mut response = (
        status,
        [
            (CONTENT_TYPE, "application/octet-stream"),
            (CONTENT_DISPOSITION, "attachment"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (CACHE_CONTROL, "private, no-store"),
            (ACCEPT_RANGES, "bytes"),
        ],
        Body::from_stream(chunks),
    )
        .into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(count));
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {from}-{}/{length}", from + count - 1);
        let range = HeaderValue::from_str(&range).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
        headers.insert(CONTENT_RANGE, range);
    }
    Ok(response)
}
