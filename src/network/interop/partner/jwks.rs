//! A gatekeeper's public keys, fetched when they are needed and kept for a while.
//!
//! One fetch at a time. Besides the fetch when they have grown old there is one for a key id they lack, at most once a
//! minute, so that nobody can make the bridge fetch by inventing ids.

use std::{collections::HashMap, time::Duration};

use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use tokio::sync::Mutex;
use url::Url;

use crate::domain::Timestamp;

/// How long keys are good without asking again, in milliseconds.
const FRESH: i64 = 60 * 60 * 1000;
/// How long they are used when asking again fails.
const STALE: i64 = 24 * 60 * 60 * 1000;
/// The shortest time between two fetches.
const PAUSE: i64 = 60 * 1000;
/// How long one fetch may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest answer that is read.
const MAX_ANSWER: usize = 256 * 1024;

/// Why a key is not to be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum JwksError {
    /// The gatekeeper has no such key.
    #[error("the gatekeeper has no key with this id")]
    Unknown,
    /// The keys could not be fetched.
    #[error("the gatekeeper's keys cannot be fetched")]
    Unavailable,
}

#[derive(Deserialize)]
struct Answer {
    keys: Vec<Key>,
}

/// A key; those of other kinds are in the set too, so everything is optional.
#[derive(Deserialize)]
struct Key {
    kid: Option<String>,
    kty: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

#[derive(Default)]
struct Kept {
    keys: HashMap<String, DecodingKey>,
    fetched_at: Option<Timestamp>,
    tried_at: Option<Timestamp>,
}

/// The public keys of one gatekeeper.
pub(super) struct GatekeeperKeys {
    url: Url,
    http: reqwest::Client,
    kept: Mutex<Kept>,
}

impl GatekeeperKeys {
    pub(super) fn new(url: Url, http: reqwest::Client) -> Self {
        Self {
            url,
            http,
            kept: Mutex::default(),
        }
    }

    /// The key of an id.
    pub(super) async fn get(&self, kid: &str, now: Timestamp) -> Result<DecodingKey, JwksError> {
        // Held over the fetch: who comes meanwhile waits for its outcome instead of fetching too.
        let mut kept = self.kept.lock().await;
        let age = |at: Option<Timestamp>| at.map_or(i64::MAX, |at| now.0.saturating_sub(at.0));
        let wanted = age(kept.fetched_at) > FRESH || !kept.keys.contains_key(kid);
        if wanted && age(kept.tried_at) >= PAUSE {
            kept.tried_at = Some(now);
            match self.fetch().await {
                Ok(keys) => {
                    kept.keys = keys;
                    kept.fetched_at = Some(now);
                }
                Err(error) => {
                    tracing::warn!(%error, "the gatekeeper's public keys cannot be fetched");
                }
            }
        }
        if age(kept.fetched_at) > STALE {
            return Err(JwksError::Unavailable);
        }
        kept.keys.get(kid).cloned().ok_or(JwksError::Unknown)
    }

    async fn fetch(&self) -> Result<HashMap<String, DecodingKey>, FetchError> {
        let mut response = self
            .http
            .get(self.url.clone())
            .timeout(TIMEOUT)
            .send()
            .await?
            .error_for_status()?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ANSWER {
                return Err(FetchError::TooLong);
            }
        }
        let answer: Answer = serde_json::from_slice(&body)?;
        Ok(answer.keys.into_iter().filter_map(usable).collect())
    }
}

#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error(transparent)]
    Http(#[from] reqwest::Error),
    #[error("they are no key set: {0}")]
    Json(#[from] serde_json::Error),
    #[error("they have more than {MAX_ANSWER} bytes")]
    TooLong,
}

/// A key that may verify RS256 signatures.
fn usable(key: Key) -> Option<(String, DecodingKey)> {
    let for_signatures = key.usage.is_none_or(|usage| usage == "sig");
    let for_rs256 = key.alg.is_none_or(|alg| alg == "RS256");
    if key.kty.as_deref() != Some("RSA") || !for_signatures || !for_rs256 {
        return None;
    }
    let decoding = DecodingKey::from_rsa_components(&key.n?, &key.e?).ok()?;
    Some((key.kid?, decoding))
}
