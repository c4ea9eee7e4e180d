//! A Partner's tokens: RS256, by a key of the Partner's key set, about one user.
//!
//! `{"iss": <the Partner's name>, "aud": "WHATSAPP"|"MESSENGER", "sub": <the user-visible identifier>, "iat", "exp"}`

use std::{
    collections::HashMap,
    sync::Mutex,
    time::{Duration, Instant},
};

use jsonwebtoken::{Algorithm, DecodingKey, Validation, jwk::JwkSet};
use serde::Deserialize;

use super::flavour::{Flavour, Integrator};
use crate::domain::Timestamp;

/// How long a key set is used without asking again.
const KEPT: Duration = Duration::from_mins(10);
/// How often a key set is asked for again because of an unknown key.
const ASKED_AGAIN: Duration = Duration::from_secs(1);
/// How far the clocks of the Partner and of the gatekeeper may be apart, in seconds.
const LEEWAY: i64 = 60;
/// The longest key set that is read, in bytes.
const MAX_KEY_SET: usize = 64 * 1024;

/// Why a token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum TokenError {
    #[error("the token is malformed")]
    Malformed,
    #[error("the token is not of a Partner that is known")]
    Issuer,
    #[error("the Partner's key set could not be fetched")]
    KeySet,
    #[error("the token is signed with a key that is not in the Partner's key set")]
    UnknownKey,
    #[error("the token's signature is wrong")]
    Signature,
    #[error("the token is for somebody else")]
    Audience,
    #[error("the token has expired or is not valid yet")]
    Stale,
    #[error("the token names no user")]
    Identifier,
}

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Subject {
    /// The Partner's number.
    pub(super) integrator: u16,
    /// The user's identifier that people see.
    pub(super) visible_id: String,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: Option<String>,
    iat: i64,
    exp: i64,
}

struct Cached {
    keys: JwkSet,
    at: Instant,
}

/// Verifies tokens against the Partners' key sets.
pub(super) struct Verifier {
    integrators: Vec<Integrator>,
    http: reqwest::Client,
    cache: Mutex<HashMap<u16, Cached>>,
}

impl Verifier {
    pub(super) fn new(integrators: Vec<Integrator>, http: reqwest::Client) -> Self {
        Self {
            integrators,
            http,
            cache: Mutex::default(),
        }
    }

    /// The Partners that are known.
    pub(super) fn integrators(&self) -> &[Integrator] {
        &self.integrators
    }

    /// Verifies a token presented to a gatekeeper.
    pub(super) async fn verify(
        &self,
        token: &str,
        flavour: Flavour,
        now: Timestamp,
    ) -> Result<Subject, TokenError> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Malformed)?;
        if header.alg != Algorithm::RS256 {
            return Err(TokenError::Malformed);
        }
        let kid = header.kid.ok_or(TokenError::UnknownKey)?;
        let claimed: Claims = jsonwebtoken::dangerous::insecure_decode(token)
            .map_err(|_| TokenError::Malformed)?
            .claims;
        let integrator = self
            .integrators
            .iter()
            .find(|integrator| integrator.name == claimed.iss)
            .ok_or(TokenError::Issuer)?;
        let key = self.key(integrator, &kid).await?;
        let mut validation = Validation::new(Algorithm::RS256);
        // The times are checked below, by the sandbox's clock.
        validation.validate_exp = false;
        validation.required_spec_claims.clear();
        validation.set_issuer(&[&integrator.name]);
        validation.set_audience(&[flavour.issuer()]);
        let claims = jsonwebtoken::decode::<Claims>(token, &key, &validation)
            .map_err(|error| match error.kind() {
                jsonwebtoken::errors::ErrorKind::InvalidAudience => TokenError::Audience,
                jsonwebtoken::errors::ErrorKind::InvalidIssuer => TokenError::Issuer,
                _ => TokenError::Signature,
            })?
            .claims;
        if claims.aud != flavour.issuer() {
            return Err(TokenError::Audience);
        }
        let now = now.seconds();
        if claims.exp <= now - LEEWAY || claims.iat > now + LEEWAY || claims.exp <= claims.iat {
            return Err(TokenError::Stale);
        }
        let visible_id = claims.sub.filter(|sub| !sub.is_empty() && sub.len() <= 255);
        Ok(Subject {
            integrator: integrator.id,
            visible_id: visible_id.ok_or(TokenError::Identifier)?,
        })
    }

    async fn key(&self, integrator: &Integrator, kid: &str) -> Result<DecodingKey, TokenError> {
        let cached = {
            let cache = self.cache.lock().map_err(|_| TokenError::KeySet)?;
            cache.get(&integrator.id).map(|cached| {
                let found = cached
                    .keys
                    .find(kid)
                    .and_then(|key| DecodingKey::from_jwk(key).ok());
                (found, cached.at.elapsed())
            })
        };
        match cached {
            Some((Some(key), age)) if age < KEPT => return Ok(key),
            Some((None, age)) if age < ASKED_AGAIN => return Err(TokenError::UnknownKey),
            _ => {}
        }
        let keys = self.fetch(integrator).await.ok_or(TokenError::KeySet)?;
        let found = keys
            .find(kid)
            .and_then(|key| DecodingKey::from_jwk(key).ok());
        if let Ok(mut cache) = self.cache.lock() {
            let at = Instant::now();
            cache.insert(integrator.id, Cached { keys, at });
        }
        found.ok_or(TokenError::UnknownKey)
    }

    async fn fetch(&self, integrator: &Integrator) -> Option<JwkSet> {
        let url = format!("{}/.well-known/oauth/openid/jwks", integrator.origin());
        let mut response = self
            .http
            .get(url)
            .send()
            .await
            .ok()?
            .error_for_status()
            .ok()?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.ok()? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_KEY_SET {
                return None;
            }
        }
        serde_json::from_slice(&body).ok()
    }
}
