//! What the gatekeepers reach the bridge by: its public keys, the announcements of waiting messages, and hosted media.
//!
//! ```text
//! GET  /.well-known/oauth/openid/jwks   {"keys":[{kid, kty, alg, use, n, e}]}
//! POST /push                            {"to":"<user-visible id>"}, Authorization: Bearer <JWT>; 200 and nothing
//! GET  /{storage reference}             ciphertext
//! ```
//! Invariants: a push is answered with 200 only after its sink took it; nothing is read from disk but files named by a
//! 128-bit reference; no body, token or user-visible id is logged.

mod hosted;
mod jwks;
mod media;
mod push;
mod signing;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    http::header::CACHE_CONTROL,
    response::IntoResponse,
    routing::{get, post},
};

use self::push::Source;
pub use self::{
    hosted::{HostedMedia, Hosting, StorageReference},
    push::PushSink,
    signing::{KeyError, Rotation, SigningKey, TokenError},
};
use crate::{clock::Clock, config::PartnerConfig, domain::Timestamp};

/// Pushes have some 50 bytes.
const MAX_BODY: usize = 4096;

/// What the endpoints need.
#[derive(Clone)]
pub struct PartnerState {
    signing: Arc<SigningKey>,
    sources: Arc<[Source]>,
    media: Arc<HostedMedia>,
    clock: Arc<dyn Clock>,
}

impl PartnerState {
    /// The endpoints of a bridge that is the Partner of the gatekeepers behind `sinks` and hosts `media` for them.
    #[must_use]
    pub fn new<S: PushSink>(
        signing: Arc<SigningKey>,
        sinks: Vec<Arc<S>>,
        media: Arc<HostedMedia>,
        config: &PartnerConfig,
        http: &reqwest::Client,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let origin = config.address.origin().ascii_serialization();
        Self {
            signing,
            sources: sinks
                .into_iter()
                .map(|sink| Source::new(sink, &origin, http.clone()))
                .collect(),
            media,
            clock,
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp(self.clock.now_ms())
    }
}

/// The endpoints.
pub fn router(state: PartnerState) -> Router {
    Router::new()
        .route("/.well-known/oauth/openid/jwks", get(public_keys))
        .route("/push", post(push::handle))
        .route("/{storage_reference}", get(media::handle))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(state)
}

async fn public_keys(State(state): State<PartnerState>) -> impl IntoResponse {
    (
        [(CACHE_CONTROL, "public, max-age=3600")],
        Json(state.signing.public_keys()),
    )
}
