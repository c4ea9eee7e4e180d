//! Answers in the form the specification gives them.

use axum::{
    Json,
    body::Body,
    extract::rejection::PathRejection,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use ruma::api::error::{ErrorKind, StandardErrorBody};
use serde_json::json;

/// `{}`: an empty body would count as a failure.
pub(super) fn done() -> Response {
    Json(json!({})).into_response()
}

/// An error with its Matrix error code.
pub(super) fn error(status: StatusCode, kind: ErrorKind, message: &str) -> Response {
    let body = StandardErrorBody::new(kind, message.to_owned());
    (status, Json(body)).into_response()
}

/// That a part of the path cannot be read.
pub(super) fn bad_path(rejection: &PathRejection) -> Response {
    let message = format!("the path cannot be read: {rejection}");
    error(StatusCode::BAD_REQUEST, ErrorKind::InvalidParam, &message)
}

/// The whole body, up to a limit in bytes.
pub(super) async fn whole_body(body: Body, limit: usize) -> Result<Bytes, Response> {
    let mut stream = body.into_data_stream();
    let mut whole = BytesMut::new();
    while let Some(part) = stream.next().await {
        let Ok(part) = part else {
            return Err(error(
                StatusCode::BAD_REQUEST,
                ErrorKind::NotJson,
                "the body did not arrive whole",
            ));
        };
        if whole.len() + part.len() > limit {
            let message = format!("the body has more than {limit} bytes");
            return Err(error(
                StatusCode::PAYLOAD_TOO_LARGE,
                ErrorKind::TooLarge,
                &message,
            ));
        }
        whole.extend_from_slice(&part);
    }
    Ok(whole.freeze())
}
