//! Why a session ends: `<failure reason="401"/>` at the login, `<stream:error code="515"/>` or
//! `<stream:error><conflict type="replaced"/></stream:error>` later.

use std::fmt;

use crate::network::interop::wire::Node;

/// Why the session is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Close {
    /// The gatekeeper does not know the login any more: enlist again.
    Unenlisted {
        /// The code it gave.
        reason: u16,
    },
    /// The protocol version is too old for the gatekeeper (405).
    VersionTooOld,
    /// The gatekeeper refused the login (400 to 418).
    Refused {
        /// The code it gave, 0 for one that is no number.
        reason: u16,
    },
    /// The gatekeeper cannot serve now (500, 501, 503).
    Unavailable {
        /// The code it gave.
        reason: u16,
    },
    /// The gatekeeper asks to connect again at once (515).
    Reconnect,
    /// The same login connected from elsewhere.
    Replaced,
    /// The gatekeeper ended the stream with another error.
    Stream {
        /// The code, 0 if there was none.
        code: u16,
    },
    /// The gatekeeper closed the connection, or it broke.
    Lost,
    /// The gatekeeper did not answer the login in time.
    LoginTimeout,
    /// The gatekeeper stopped answering.
    Dead,
}

impl Close {
    /// Reads `<failure reason/>`; `unenlisted` lists the codes that mean the login is not enlisted any more.
    pub(super) fn from_failure(node: &Node, unenlisted: &[u16]) -> Self {
        let reason = node
            .number("reason")
            .and_then(|code| u16::try_from(code).ok())
            .unwrap_or(0);
        match reason {
            code if unenlisted.contains(&code) => Self::Unenlisted { reason },
            405 => Self::VersionTooOld,
            500..=599 => Self::Unavailable { reason },
            _ => Self::Refused { reason },
        }
    }

    /// Reads `<stream:error>`.
    pub(super) fn from_stream_error(node: &Node) -> Self {
        if node.find("conflict").is_some() {
            return Self::Replaced;
        }
        let code = node
            .number("code")
            .and_then(|code| u16::try_from(code).ok())
            .unwrap_or(0);
        match code {
            515 => Self::Reconnect,
            500 | 501 | 503 => Self::Unavailable { reason: code },
            _ => Self::Stream { code },
        }
    }
}

impl fmt::Display for Close {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unenlisted { reason } => {
                write!(f, "the gatekeeper does not know this login any more ({reason})")
            }
            Self::VersionTooOld => f.write_str(
                "the gatekeeper wants a newer protocol version (405): raise protocol_version in its profile, or update drawbridge",
            ),
            Self::Refused { reason } => write!(
                f,
                "the gatekeeper refused the login ({reason}: {})",
                refusal(*reason)
            ),
            Self::Unavailable { reason } => {
                write!(f, "the gatekeeper cannot serve now ({reason})")
            }
            Self::Reconnect => f.write_str("the gatekeeper asked to connect again"),
            Self::Replaced => f.write_str(
                "the same login connected from elsewhere and took this connection's place: run only one bridge with these keys",
            ),
            Self::Stream { code: 0 } => f.write_str("the gatekeeper ended the stream with an error"),
            Self::Stream { code } => write!(f, "the gatekeeper ended the stream with error {code}"),
            Self::Lost => f.write_str("the connection broke"),
            Self::LoginTimeout => f.write_str("the gatekeeper did not answer the login in time"),
            Self::Dead => f.write_str("the gatekeeper stopped answering"),
        }
    }
}

/// What the codes of a refused login mean, as the open clients of this protocol know them.
fn refusal(reason: u16) -> &'static str {
    match reason {
        401 => "the keys or the token are not accepted; log out and in again",
        402 => "banned for a time",
        403 => "banned",
        404 => "unknown login",
        406 => "banned, the client looks unusual to it",
        408 | 409 | 418 => "the client is not accepted",
        411 | 412 | 414..=416 => "something in the login's payload is wrong",
        413 => "the token is not accepted",
        _ => "it does not say why",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unenlisted_is_what_the_profile_says() {
        let failure = Node::new("failure").with("reason", "404");
        assert_eq!(
            Close::from_failure(&failure, &[404]),
            Close::Unenlisted { reason: 404 }
        );
        assert_eq!(
            Close::from_failure(&failure, &[]),
            Close::Refused { reason: 404 }
        );
    }
}
