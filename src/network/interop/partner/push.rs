//! `POST /push`: a gatekeeper holds something for a user who is not connected.
//!
//! ```text
//! Authorization: Bearer <RS256 JWT: iss, aud = our origin, iat, exp = iat + 3600>
//! {"to":"<user-visible id>"}
//! ```
//! 200 with an empty body once the sink took it; 401 for a token that proves nothing, 404 for a user who is not here, 503
//! when it is to be tried again.

use std::sync::Arc;

use async_trait::async_trait;
use axum::{
    body::Bytes,
    extract::State,
    http::{
        HeaderMap, StatusCode,
        header::{AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE},
    },
    response::{IntoResponse, Response},
};
use jsonwebtoken::{Algorithm, Validation};
use serde::Deserialize;

use super::{
    PartnerState,
    jwks::{GatekeeperKeys, JwksError},
};
use crate::{
    domain::{GatekeeperId, Timestamp},
    network::interop::profile::Profile,
    store::StoreError,
};

/// How long a token may be valid.
const LONGEST_LIFETIME: i64 = 3600;
/// By how much the clocks may differ.
const LEEWAY: i64 = 60;

/// Who is told of pushes: a gatekeeper's connections.
#[async_trait]
pub trait PushSink: Send + Sync + 'static {
    /// Which gatekeeper.
    fn gatekeeper(&self) -> &GatekeeperId;
    /// Its profile.
    fn profile(&self) -> &Profile;
    /// Something waits for the user with this user-visible identifier. When it returns, the push has been taken and will
    /// have its effect even if the program stops now; `false` if there is no such user.
    ///
    /// # Errors
    /// The store's; the gatekeeper is then asked to push again.
    async fn pushed(&self, visible_id: &str) -> Result<bool, StoreError>;
}

/// A gatekeeper that may push.
pub(super) struct Source {
    sink: Arc<dyn PushSink>,
    issuer: String,
    audience: String,
    keys: GatekeeperKeys,
}

impl Source {
    pub(super) fn new(sink: Arc<dyn PushSink>, origin: &str, http: reqwest::Client) -> Self {
        let profile = sink.profile();
        Self {
            issuer: profile.push.issuer.clone(),
            audience: profile
                .push
                .audience
                .clone()
                .unwrap_or_else(|| origin.to_owned()),
            keys: GatekeeperKeys::new(profile.jwks_url.clone(), http),
            sink,
        }
    }

    /// Whether the token is this gatekeeper's and for us, and in its time.
    async fn verify(&self, token: &str, now: Timestamp) -> Result<(), PushError> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| PushError::Token)?;
        // Never the algorithm the token would like.
        if header.alg != Algorithm::RS256 {
            return Err(PushError::Token);
        }
        let kid = header.kid.ok_or(PushError::Token)?;
        let key = self.keys.get(&kid, now).await?;
        let mut validation = Validation::new(Algorithm::RS256);
        // The library would read the clock of the machine; the claims are checked below, with ours.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let claims = jsonwebtoken::decode::<Claims>(token, &key, &validation)
            .map_err(|_| PushError::Token)?
            .claims;
        let now = now.seconds();
        let in_time = claims.exp.saturating_add(LEEWAY) > now
            && claims.iat.saturating_sub(LEEWAY) <= now
            && claims
                .nbf
                .is_none_or(|nbf| nbf.saturating_sub(LEEWAY) <= now)
            && (0..=LONGEST_LIFETIME).contains(&claims.exp.saturating_sub(claims.iat));
        if in_time && claims.iss == self.issuer && claims.aud.names(&self.audience) {
            Ok(())
        } else {
            Err(PushError::Token)
        }
    }
}

/// What a token must say; a time that is no number, or a claim that is missing, makes it unreadable.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: Audience,
    iat: i64,
    exp: i64,
    nbf: Option<i64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    fn names(&self, wanted: &str) -> bool {
        match self {
            Self::One(one) => one == wanted,
            Self::Several(several) => several.iter().any(|one| one == wanted),
        }
    }
}

#[derive(Deserialize)]
struct Push {
    to: String,
}

/// Why a push is not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum PushError {
    #[error("the token proves nothing")]
    Token,
    #[error(transparent)]
    Keys(#[from] JwksError),
    #[error("the body is not a push")]
    Body,
    #[error("there is no such user")]
    NoUser,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl IntoResponse for PushError {
    fn into_response(self) -> Response {
        match self {
            Self::Token | Self::Keys(JwksError::Unknown) => {
                (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Bearer")]).into_response()
            }
            Self::Body => StatusCode::BAD_REQUEST.into_response(),
            Self::NoUser => StatusCode::NOT_FOUND.into_response(),
            Self::Keys(JwksError::Unavailable) | Self::Store(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "30")]).into_response()
            }
        }
    }
}

pub(super) async fn handle(
    State(state): State<PartnerState>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, PushError> {
    let token = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .ok_or(PushError::Token)?;
    let now = state.now();
    // The issuer is in the token, but what it claims is only believed after the keys of a gatekeeper agree.
    let mut outcome = PushError::Token;
    let mut verified = Vec::new();
    for source in state.sources.iter() {
        match source.verify(token, now).await {
            Ok(()) => verified.push(source),
            Err(error @ PushError::Keys(JwksError::Unavailable)) => outcome = error,
            Err(_) => {}
        }
    }
    if verified.is_empty() {
        return Err(outcome);
    }
    let push: Push = serde_json::from_slice(&body).map_err(|_| PushError::Body)?;
    for source in verified {
        if source.sink.pushed(&push.to).await? {
            tracing::debug!(gatekeeper = %source.sink.gatekeeper(), "a push was taken");
            return Ok(StatusCode::OK);
        }
    }
    Err(PushError::NoUser)
}
