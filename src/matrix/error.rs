//! What can go wrong with the homeserver.

use std::{error::Error as _, fmt::Write as _, time::Duration};

use serde::Deserialize;

/// A failed request to the homeserver.
#[derive(Debug, thiserror::Error)]
pub enum MatrixError {
    /// It could not be reached, or it did not answer in time.
    #[error("the homeserver cannot be reached: {0}")]
    Unreachable(String),
    /// It answered with an error.
    #[error("the homeserver refused ({status} {errcode}): {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The Matrix error code; empty if the answer had none.
        errcode: String,
        /// The homeserver's own words, without user ids.
        message: String,
        /// When to try again, if it said so.
        retry_after: Option<Duration>,
    },
    /// Its answer cannot be read.
    #[error("the homeserver's answer cannot be read: {0}")]
    Unreadable(String),
    /// The request cannot be made from what was given.
    #[error("a request to the homeserver cannot be made: {0}")]
    Request(String),
    /// What was to be sent could not be encrypted; it is not sent in plain instead.
    #[error("it cannot be encrypted now: {0}")]
    Encryption(String),
}

/// The fields of an error's body that are of interest.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Body {
    errcode: String,
    error: String,
    retry_after_ms: Option<u64>,
}

impl MatrixError {
    /// Whether the same request may work later without anybody's doing.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Encryption(_) => true,
            Self::Refused { status, .. } => *status == 429 || *status >= 500,
            Self::Unreadable(_) | Self::Request(_) => false,
        }
    }

    /// The Matrix error code, if the homeserver gave one.
    #[must_use]
    pub fn errcode(&self) -> Option<&str> {
        match self {
            Self::Refused { errcode, .. } if !errcode.is_empty() => Some(errcode),
            _ => None,
        }
    }

    /// The HTTP status, if the homeserver answered.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether it looks as if the homeserver is down. What stands before it answers for it without a Matrix error code; with
    /// one it is alive, even if it says 502 because it cannot reach us.
    pub(super) fn is_outage(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Refused {
                status, errcode, ..
            } => matches!(status, 502..=504) && errcode.is_empty(),
            Self::Unreadable(_) | Self::Request(_) | Self::Encryption(_) => false,
        }
    }

    /// Whether something is refused to an account for good, or is not there.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self.errcode(), Some("M_FORBIDDEN" | "M_NOT_FOUND"))
    }

    /// Whether the homeserver has no such endpoint.
    pub(super) fn is_unknown_endpoint(&self) -> bool {
        match self {
            Self::Refused {
                status, errcode, ..
            } => errcode == "M_UNRECOGNIZED" || (matches!(status, 404 | 405) && errcode.is_empty()),
            _ => false,
        }
    }

    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// An answer with a status from 400 on.
    pub(super) fn from_answer(answer: &http::Response<impl AsRef<[u8]>>) -> Self {
        let body: Body = serde_json::from_slice(answer.body().as_ref()).unwrap_or_default();
        let header = answer
            .headers()
            .get(http::header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .map(Duration::from_secs);
        Self::Refused {
            status: answer.status().as_u16(),
            errcode: body.errcode,
            message: without_user_ids(&body.error),
            retry_after: body.retry_after_ms.map(Duration::from_millis).or(header),
        }
    }
}

/// A text with `@…` for every user id: those of ghosts hold phone numbers, and errors are logged.
fn without_user_ids(text: &str) -> String {
    let ends = |c: char| c.is_whitespace() || "()<>{}\"'`,;".contains(c);
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('@') {
        let (before, id) = rest.split_at(at);
        let (id, after) = id.split_at(id.find(ends).unwrap_or(id.len()));
        out.push_str(before);
        out.push_str(if id.contains(':') { "@…" } else { id });
        rest = after;
    }
    out + rest
}

impl From<reqwest::Error> for MatrixError {
    fn from(error: reqwest::Error) -> Self {
        // The address holds user ids, and those hold phone numbers.
        let error = error.without_url();
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            // Writing to a string cannot fail.
            let _ = write!(text, ": {cause}");
            source = cause.source();
        }
        Self::Unreachable(text)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::MatrixError;

    #[test]
    fn user_ids_are_left_out_of_the_homeservers_words() {
        for (said, kept) in [
            (
                "Application service has not registered this user (@_drawbridge_whatsapp_4915155550001=40s.whatsapp.net:example.org)",
                "Application service has not registered this user (@…)",
            ),
            (
                "@a_49151:example.org, '@b_49152:[::1]:8448' and @c:d",
                "@…, '@…' and @…",
            ),
            ("no id: a@b, @ and @x", "no id: a@b, @ and @x"),
        ] {
            let body = json!({ "errcode": "M_FORBIDDEN", "error": said }).to_string();
            let mut answer = http::Response::new(body);
            *answer.status_mut() = http::StatusCode::FORBIDDEN;
            assert_eq!(
                MatrixError::from_answer(&answer).to_string(),
                format!("the homeserver refused (403 M_FORBIDDEN): {kept}")
            );
        }
    }
}
