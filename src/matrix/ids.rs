//! Which Matrix user stands for which user of a gatekeeper.

use std::fmt::Write as _;

use ruma::{OwnedUserId, UserId};

use crate::domain::{GatekeeperId, RemoteUserId};

/// Names ghosts: `@<prefix><gatekeeper>_<remote id, escaped>:<server>`.
///
/// Escaping is injective: two remote users never share a ghost, and a ghost's name says whom it stands for. What cannot stand in a
/// user id, and `=` itself, becomes `=` and two hexadecimal digits, as the specification's appendix on identifiers suggests.
/// A gatekeeper's id has no underscore, so the first one behind the prefix ends it.
#[derive(Debug, Clone)]
pub struct GhostNaming {
    prefix: String,
    server: String,
}

impl GhostNaming {
    /// Names that begin with `prefix` on the server `server`; both are checked by the configuration.
    #[must_use]
    pub fn new(prefix: &str, server: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
            server: server.to_owned(),
        }
    }

    /// The ghost of a remote user.
    ///
    /// # Panics
    /// If prefix or server cannot stand in a user id, which the configuration refuses.
    #[must_use]
    pub fn mxid(&self, gatekeeper: &GatekeeperId, remote: &RemoteUserId) -> OwnedUserId {
        let localpart = format!("{}{gatekeeper}_{}", self.prefix, escape(remote.as_str()));
        OwnedUserId::try_from(format!("@{localpart}:{}", self.server))
            .expect("the configuration checks prefix and server, everything else is escaped")
    }

    /// Whom a ghost stands for; `None` if the user is no ghost.
    #[must_use]
    pub fn parse(&self, user: &UserId) -> Option<(GatekeeperId, RemoteUserId)> {
        if user.server_name() != self.server.as_str() {
            return None;
        }
        let (gatekeeper, escaped) = user
            .localpart()
            .strip_prefix(&self.prefix)?
            .split_once('_')?;
        let gatekeeper = GatekeeperId::parse(gatekeeper).ok()?;
        let remote = unescape(escaped)?;
        // Only the one spelling that escaping gives is a ghost's name.
        if escape(&remote) != escaped {
            return None;
        }
        Some((gatekeeper, RemoteUserId::parse(remote).ok()?))
    }
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 4);
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_' => out.push(char::from(byte)),
            // Writing to a string cannot fail.
            other => {
                let _ = write!(out, "={other:02x}");
            }
        }
    }
    out
}

fn unescape(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'=' {
            let digits = [bytes.next()?, bytes.next()?];
            let digits = std::str::from_utf8(&digits).ok()?;
            out.push(u8::from_str_radix(digits, 16).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ruma::user_id;

    use super::*;

    fn naming() -> GhostNaming {
        GhostNaming::new("_drawbridge_", "example.org")
    }

    #[test]
    fn a_phone_number_stays_readable() {
        let gatekeeper = GatekeeperId::parse("whatsapp").unwrap();
        let remote = RemoteUserId::parse("4915155550001@s.whatsapp.net").unwrap();
        let ghost = naming().mxid(&gatekeeper, &remote);
        assert_eq!(
            ghost,
            "@_drawbridge_whatsapp_4915155550001=40s.whatsapp.net:example.org"
        );
        assert_eq!(naming().parse(&ghost), Some((gatekeeper, remote)));
    }

    #[test]
    fn only_our_own_spelling_is_a_ghost() {
        for other in [
            user_id!("@alice:example.org"),
            user_id!("@_drawbridge_whatsapp:example.org"),
            user_id!("@_drawbridge_whatsapp_:example.org"),
            user_id!("@_drawbridge_whatsapp_a=40b:elsewhere.org"),
            // `a` is never escaped, `=40` never upper case, and a cut escape is none.
            user_id!("@_drawbridge_whatsapp_=61:example.org"),
            user_id!("@_drawbridge_whatsapp_x=4A:example.org"),
            user_id!("@_drawbridge_whatsapp_x=4:example.org"),
            user_id!("@_drawbridge_whatsapp_x=+1:example.org"),
        ] {
            assert_eq!(naming().parse(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn names_are_injective_and_lead_back(
            gatekeeper in "[a-z0-9-]{1,12}",
            a in "[!-~]{1,60}",
            b in "[!-~]{1,60}",
        ) {
            let gatekeeper = GatekeeperId::parse(gatekeeper).unwrap();
            let (a, b) = (RemoteUserId::parse(a).unwrap(), RemoteUserId::parse(b).unwrap());
            let (ghost_a, ghost_b) = (naming().mxid(&gatekeeper, &a), naming().mxid(&gatekeeper, &b));
            prop_assert_eq!(naming().parse(&ghost_a), Some((gatekeeper, a.clone())));
            prop_assert_eq!(ghost_a == ghost_b, a == b);
            let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._=-/+".contains(c);
            let all_allowed = ghost_a.localpart().chars().all(allowed);
            prop_assert!(all_allowed);
        }
    }
}
