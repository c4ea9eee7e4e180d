//! The enlistment of a login: the request to the gatekeeper and what its answer means.

use std::{collections::BTreeMap, time::Duration};

use reqwest::{StatusCode, header::CONTENT_TYPE};

pub use super::wire::enlistment::EnlistmentKeys;
use super::{
    profile::Profile,
    wire::{
        Jid,
        enlistment::{self, Enlistment, EnlistmentAnswer, MAX_TOKEN},
    },
};

/// How long the gatekeeper may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The longest answer that is read; real ones have less than 100 bytes.
const MAX_ANSWER: usize = 16 * 1024;

/// Why a login could not be enlisted.
#[derive(Debug, thiserror::Error)]
pub enum EnlistError {
    /// The gatekeeper could not be asked.
    #[error("the gatekeeper's enlistment could not be reached: {0}")]
    Unreachable(reqwest::Error),
    /// It answered with a status of its own trouble or of too many requests.
    #[error("the gatekeeper's enlistment answered {0}: it is tried again")]
    Busy(StatusCode),
    /// It answered with another status than 200.
    #[error("the gatekeeper's enlistment answered {0}: is enlist_url right?")]
    Status(StatusCode),
    /// It refused the login.
    #[error("the gatekeeper refused the enlistment: {0}")]
    Refused(String),
    /// Its answer is not what is agreed.
    #[error("the gatekeeper's answer to the enlistment cannot be understood")]
    Malformed,
    /// The token is longer than the gatekeeper takes.
    #[error(
        "the token has {0} bytes, the gatekeeper takes {MAX_TOKEN}: shorten token.claims in the profile"
    )]
    TokenTooLong(usize),
}

impl EnlistError {
    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Busy(_))
    }
}

/// Enlists a login and returns the identifier it is known by on the wire, `1-10853634039893@interop`. The same keys may be
/// enlisted again.
///
/// # Errors
/// Says why not, and whether it may work later.
pub async fn enlist(
    http: &reqwest::Client,
    profile: &Profile,
    keys: &EnlistmentKeys,
    token: &str,
) -> Result<String, EnlistError> {
    if token.len() > MAX_TOKEN {
        return Err(EnlistError::TokenTooLong(token.len()));
    }
    let extra: BTreeMap<_, _> = profile
        .enlist_fields
        .iter()
        .map(|(name, value)| (name.clone(), profile.fill(value, "")))
        .collect();
    let body = enlistment::encode(&Enlistment {
        keys: keys.clone(),
        token: token.to_owned(),
        extra,
    });
    let unreachable = |error: reqwest::Error| EnlistError::Unreachable(error.without_url());
    let mut response = http
        .post(profile.enlist_url.clone())
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .timeout(TIMEOUT)
        .body(body)
        .send()
        .await
        .map_err(unreachable)?;
    match response.status() {
        StatusCode::OK => {}
        status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            return Err(EnlistError::Busy(status));
        }
        status => return Err(EnlistError::Status(status)),
    }
    let mut answer = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        answer.extend_from_slice(&chunk);
        if answer.len() > MAX_ANSWER {
            return Err(EnlistError::Malformed);
        }
    }
    match serde_json::from_slice(&answer).map_err(|_| EnlistError::Malformed)? {
        EnlistmentAnswer::Ok {
            login: login @ Jid::Interop { .. },
        } => Ok(login.to_string()),
        EnlistmentAnswer::Ok { .. } => Err(EnlistError::Malformed),
        EnlistmentAnswer::Fail { reason } => Err(EnlistError::Refused(named(&reason))),
    }
}

/// The gatekeeper's word for a reason, as far as it is one.
fn named(reason: &str) -> String {
    let word: String = reason
        .chars()
        .filter(char::is_ascii_graphic)
        .take(64)
        .collect();
    if word.is_empty() {
        "no reason given".to_owned()
    } else {
        word
    }
}
