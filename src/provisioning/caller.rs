//! Who calls: a program with the secret, for the user it names, or a user of the homeserver.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, header},
    middleware::Next,
    response::Response,
};
use ruma::{OwnedUserId, UserId};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use url::form_urlencoded;

use super::{
    ProvisioningState,
    error::ApiError,
    extract::{LONGEST, bounded},
};
use crate::{
    config::{Level, ProvisioningConfig},
    matrix::Client,
};

/// For how long it is remembered whose a token is.
const REMEMBERED: Duration = Duration::from_mins(5);
/// Of how many tokens.
const MOST: usize = 1000;
/// The longest token that is shown to the homeserver, in bytes.
const LONGEST_TOKEN: usize = 1024;

/// Who may call.
pub(super) struct Callers {
    secret: Option<[u8; 32]>,
    openid: bool,
    client: Client,
    /// Whose tokens are, by their hashes.
    known: Mutex<HashMap<[u8; 32], (OwnedUserId, Instant)>>,
}

/// Who calls.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// The user it is done for.
    pub(super) user: OwnedUserId,
    /// What they may do.
    pub(super) level: Level,
}

impl Callers {
    pub(super) fn new(config: &ProvisioningConfig, client: Client) -> Self {
        let hash = |secret: &SecretString| Sha256::digest(secret.expose_secret()).into();
        Self {
            secret: config.secret.as_ref().map(hash),
            openid: config.openid,
            client,
            known: Mutex::default(),
        }
    }

    async fn user(&self, headers: &HeaderMap, query: &str) -> Result<OwnedUserId, ApiError> {
        let shown = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .ok_or_else(|| {
                ApiError::anonymous(
                    "this needs `Authorization: Bearer …`, with the secret of the configuration or `openid:` and an OpenID token",
                )
            })?;
        if let Some(token) = shown.strip_prefix("openid:") {
            let holder = self.holder(token).await?;
            return match named(query)? {
                Some(other) if other != holder => Err(ApiError::forbidden(
                    "`user_id` names somebody else than the holder of this OpenID token",
                )),
                _ => Ok(holder),
            };
        }
        let hash: [u8; 32] = Sha256::digest(shown).into();
        let is_secret = self
            .secret
            .is_some_and(|secret| bool::from(secret.ct_eq(&hash)));
        if !is_secret {
            return Err(ApiError::unauthorized("this is not the secret"));
        }
        named(query)?
            .ok_or_else(|| ApiError::missing("`user_id` says for whom this is, and it is missing"))
    }

    async fn holder(&self, token: &str) -> Result<OwnedUserId, ApiError> {
        if !self.openid {
            return Err(ApiError::unauthorized(
                "OpenID tokens are not taken here: provisioning.openid is off",
            ));
        }
        if token.is_empty() || token.len() > LONGEST_TOKEN {
            return Err(ApiError::unauthorized("this is no OpenID token"));
        }
        let hash: [u8; 32] = Sha256::digest(token).into();
        let known = self
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&hash)
            .filter(|(_, since)| since.elapsed() < REMEMBERED)
            .map(|(user, _)| user.clone());
        if let Some(user) = known {
            return Ok(user);
        }
        let user = self
            .client
            .openid_user(token)
            .await
            .map_err(|error| ApiError::unreachable(error.to_string()))?
            .ok_or_else(|| {
                ApiError::unauthorized("the homeserver does not know this OpenID token")
            })?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.retain(|_, (_, since)| since.elapsed() < REMEMBERED);
        }
        if known.len() < MOST {
            known.insert(hash, (user.clone(), Instant::now()));
        }
        Ok(user)
    }
}

/// The user a request names, if it names one.
fn named(query: &str) -> Result<Option<OwnedUserId>, ApiError> {
    let mut all = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "user_id");
    let Some((_, text)) = all.next() else {
        return Ok(None);
    };
    if all.next().is_some() {
        return Err(ApiError::bad("`user_id` is there more than once"));
    }
    let text = bounded("user_id", &text, LONGEST)?;
    // Nothing but what Matrix ever allowed: it goes into the store and to the gatekeeper.
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(ApiError::bad(
            "`user_id` is no user id: it has other letters",
        ));
    }
    let user = UserId::parse(text)
        .map_err(|error| ApiError::bad(format!("`user_id` is no user id: {error}")))?;
    if user.localpart().is_empty() {
        return Err(ApiError::bad("`user_id` is no user id: it has no name"));
    }
    Ok(Some(user))
}

/// Lets a request pass if somebody makes it who may.
pub(super) async fn demand(
    State(state): State<ProvisioningState>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let user = state.0.callers.user(request.headers(), &query).await?;
    let bridge = state.bridge()?;
    let level = bridge.level(&user);
    if level < Level::User || bridge.is_ours(&user) {
        return Err(ApiError::forbidden(format!(
            "{user} may not use this bridge; `bridge.permissions` says who may"
        )));
    }
    request
        .extensions_mut()
        .insert(Arc::new(Caller { user, level }));
    Ok(next.run(request).await)
}
