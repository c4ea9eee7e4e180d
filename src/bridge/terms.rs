//! What users have to accept before their first login.

use std::fmt::Write as _;

use ruma::UserId;
use sha2::{Digest, Sha256};

use super::context::{Bridge, BridgeError};
use crate::store::Lane;

/// The bridge's own words.
const TERMS: &str = "\
- **This server is your end of the line.** Messages are encrypted between it and your contacts, and decrypted here. Whoever runs it could read them, and so could your homeserver.
- **You have to be in the European Economic Area.** The law that opens the gatekeepers holds there alone; elsewhere they may end your account.
- **The gatekeeper sees** your identifier, your address on this bridge, and with whom you write and when; not what you write.
- **Your contacts see** your identifier, your name and your picture, that you write by another app, and what you write to them.
- **When you log out**, your account at the gatekeeper and your keys are deleted. What your contacts have received stays with them.";

/// What is to be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// What tells these words from other ones.
    pub version: String,
    /// The words, in Markdown.
    pub text: String,
}

impl Bridge {
    /// What a user has to accept; `None` if nothing is.
    #[must_use]
    pub fn terms(&self) -> Option<Terms> {
        let own = self.settings.terms.as_deref();
        let text = own.unwrap_or(TERMS).trim();
        (!text.is_empty()).then(|| Terms {
            version: version(text),
            text: text.to_owned(),
        })
    }

    /// Whether a user has accepted words of this version.
    ///
    /// # Errors
    /// The store's.
    pub async fn has_accepted(&self, user: &UserId, version: &str) -> Result<bool, BridgeError> {
        let key = key(user);
        let known = self
            .db
            .read(move |txn| {
                let key = key.clone();
                Box::pin(async move { txn.value(&key).await })
            })
            .await?;
        Ok(known.as_deref() == Some(version))
    }

    /// Remembers that a user has accepted words of this version.
    ///
    /// # Errors
    /// The store's.
    pub async fn accept_terms(&self, user: &UserId, version: &str) -> Result<(), BridgeError> {
        let (key, version) = (key(user), version.to_owned());
        self.db
            .step(Lane::room(user.as_str()), move |txn| {
                let (key, version) = (key.clone(), version.clone());
                Box::pin(async move { txn.set_value(&key, &version).await })
            })
            .await?;
        Ok(())
    }
}

fn version(text: &str) -> String {
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
