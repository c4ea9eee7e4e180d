//! What users have to accept before their first login.

use std::fmt::Write as _;

use ruma::UserId;
use sha2::{Digest, Sha256};

use super::conversation::{set_value, value};
use crate::bridge::Bridge;

/// The bridge's own words.
const TERMS: &str = "\
- **This server is your end of the line.** Messages are encrypted between it and your contacts, and decrypted here. Whoever runs it could read them, and so could your homeserver.
- **You have to be in the European Economic Area.** The law that opens the gatekeepers holds there alone; elsewhere they may end your account.
- **The gatekeeper sees** your identifier, your address on this bridge, and with whom you write and when; not what you write.
- **Your contacts see** your identifier, your name and your picture, that you write by another app, and what you write to them.
- **When you log out**, your account at the gatekeeper and your keys are deleted. What your contacts have received stays with them.";

/// What is to be accepted; `None` if nothing is.
pub(super) fn text(bridge: &Bridge) -> Option<&str> {
    let own = bridge.settings().terms.as_deref();
    Some(own.unwrap_or(TERMS).trim()).filter(|text| !text.is_empty())
}

/// What tells these words from other ones.
pub(super) fn version(text: &str) -> String {
    let mut version = String::new();
    for byte in &Sha256::digest(text)[..8] {
        // Writing to a string cannot fail.
        let _ = write!(version, "{byte:02x}");
    }
    version
}

fn key(user: &UserId) -> String {
    format!("terms/{user}")
}

/// Whether a user has accepted words of this version.
pub(super) async fn is_accepted(
    bridge: &Bridge,
    user: &UserId,
    version: &str,
) -> Result<bool, String> {
    Ok(value(bridge, key(user)).await?.as_deref() == Some(version))
}

/// Remembers that a user has accepted words of this version.
pub(super) async fn accept(bridge: &Bridge, user: &UserId, version: &str) -> Result<(), String> {
    set_value(bridge, key(user), version.to_owned()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_words_are_another_version() {
        assert_eq!(version(TERMS), version(TERMS));
        assert_ne!(version(TERMS), version("No terms."));
        assert_eq!(version("").len(), 16);
    }
}
