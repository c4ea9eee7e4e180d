//! Who calls: only the homeserver, by its token.
//!
//! The token is in the `Authorization` header, or in the query where a homeserver still puts it. Nothing here logs either.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::Response,
};
use ruma::api::error::ErrorKind;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use url::form_urlencoded;

use super::answer;

/// The token that is asked for, as its hash: comparing hashes tells neither content nor length by the time it takes.
#[derive(Clone)]
pub(super) struct Token(Arc<[u8; 32]>);

impl Token {
    pub(super) fn new(token: &SecretString) -> Self {
        Self(Arc::new(
            Sha256::digest(token.expose_secret().as_bytes()).into(),
        ))
    }

    fn is(&self, shown: &[u8]) -> bool {
        let shown: [u8; 32] = Sha256::digest(shown).into();
        self.0.ct_eq(&shown).into()
    }
}

/// Lets a request pass if it shows the token.
pub(super) async fn demand(State(token): State<Token>, request: Request, next: Next) -> Response {
    let shown = match request.headers().get(header::AUTHORIZATION) {
        Some(value) => bearer(value).map(<[u8]>::to_vec),
        None => in_query(request.uri().query().unwrap_or_default()),
    };
    match shown {
        None => answer::error(
            StatusCode::UNAUTHORIZED,
            ErrorKind::Unauthorized,
            "this needs the homeserver's token as `Authorization: Bearer …`",
        ),
        Some(shown) if token.is(&shown) => next.run(request).await,
        Some(_) => answer::error(
            StatusCode::FORBIDDEN,
            ErrorKind::Forbidden,
            "this is not the homeserver's token",
        ),
    }
}

fn bearer(value: &HeaderValue) -> Option<&[u8]> {
    let (scheme, token) = value.as_bytes().split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
}

fn in_query(query: &str) -> Option<Vec<u8>> {
    form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == "access_token")
        .map(|(_, token)| token.into_owned().into_bytes())
}
