//! `POST /_matrix/app/v1/ping`: the homeserver shows that it reaches the bridge.
//!
//! <https://spec.matrix.org/v1.16/application-service-api/#post_matrixappv1ping>

use axum::{body::Body, extract::State, http::StatusCode, response::Response};
use ruma::api::error::ErrorKind;
use serde_json::Value;

use super::{AppserviceState, answer};

const LIMIT: usize = 64 * 1024;

pub(super) async fn answer(State(state): State<AppserviceState>, body: Body) -> Response {
    match read(body).await {
        Ok(ping) => {
            state.0.sink.ping_received(ping["transaction_id"].as_str());
            answer::done()
        }
        Err(refusal) => refusal,
    }
}

/// The same without a bridge behind it.
pub(super) async fn answer_alone(body: Body) -> Response {
    match read(body).await {
        Ok(_) => answer::done(),
        Err(refusal) => refusal,
    }
}

async fn read(body: Body) -> Result<Value, Response> {
    let body = answer::whole_body(body, LIMIT).await?;
    let refused = |kind, message| answer::error(StatusCode::BAD_REQUEST, kind, message);
    let value: Value = serde_json::from_slice(&body)
        .map_err(|_| refused(ErrorKind::NotJson, "the body is not JSON"))?;
    if value.is_object() {
        Ok(value)
    } else {
        Err(refused(ErrorKind::BadJson, "the body is no object"))
    }
}
