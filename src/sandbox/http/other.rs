//! What the Partner the sandbox plays serves: its key set, and an endpoint for push calls, which it needs none of.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use serde_json::Value;

use crate::sandbox::office::Office;

pub(super) fn router() -> Router<Arc<Office>> {
    Router::new()
        .route("/.well-known/oauth/openid/jwks", get(key_set))
        // Its users connect by themselves.
        .route("/push", post(|| async { StatusCode::OK }))
}

async fn key_set(State(office): State<Arc<Office>>) -> Json<Value> {
    Json(office.signing.key_set())
}
