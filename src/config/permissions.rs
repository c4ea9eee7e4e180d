//! Who may do what.

use std::collections::BTreeMap;

use ruma::UserId;
use serde::Deserialize;

/// What somebody may do; each level includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Nothing: what they write is not carried.
    Block,
    /// Be carried by somebody else's login.
    Relay,
    /// Log in.
    User,
    /// Look after the bridge.
    Admin,
}

/// Levels by user id, server name, or `*` for everybody; the most specific one counts.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct Permissions(BTreeMap<String, Level>);

impl Permissions {
    /// What a user may do; nobody named means nothing.
    #[must_use]
    pub fn level(&self, user: &UserId) -> Level {
        [user.as_str(), user.server_name().as_str(), "*"]
            .into_iter()
            .find_map(|key| self.0.get(key).copied())
            .unwrap_or(Level::Block)
    }

    /// What is wrong with the keys.
    pub(super) fn validate(&self) -> Result<(), String> {
        for key in self.0.keys() {
            let ok = key == "*"
                || UserId::parse(key.as_str()).is_ok()
                || (!key.starts_with('@') && ruma::ServerName::parse(key.as_str()).is_ok());
            if !ok {
                return Err(format!(
                    "{key:?} is neither a user id (@name:server), a server name, nor \"*\""
                ));
            }
        }
        if self.0.values().all(|level| *level < Level::User) {
            return Err(
                "nobody may log in: give at least one user or server the level `user` or `admin`"
                    .to_owned(),
            );
        }
        Ok(())
    }
}
