//! `homeserver`: where the homeserver is and what it hands over.

use serde::Deserialize;
use url::Url;

use super::{
    ConfigError, check,
    keys::{Content, Key, Section, Unset},
};

pub(super) const SECTION: Section = Section {
    name: "homeserver",
    doc: "The Matrix homeserver.",
    content: Content::Keys(&[
        Key::new(
            "address",
            Unset::Required("http://localhost:8008"),
            "Where the bridge reaches the homeserver's client API.",
        ),
        Key::new(
            "domain",
            Unset::Required("example.org"),
            "The homeserver's name: the part behind the colon of its users' ids.",
        ),
        Key::new(
            "ephemeral",
            Unset::Default("auto"),
            "How read receipts and typing come from the homeserver: `transactions` (Synapse hands them over), `sync` (the bridge asks\n\
             for them, for the Conduit family), or `auto` (whichever the homeserver at hand needs).",
        ),
    ]),
};

/// How ephemeral events come from the homeserver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EphemeralMode {
    /// `transactions` for Synapse, else `sync`.
    Auto,
    /// In the transactions to the application service.
    Transactions,
    /// By `/sync` as the bot.
    Sync,
}

/// The section's values.
#[derive(Debug, Clone, Deserialize)]
pub struct HomeserverConfig {
    /// Base URL of the client-server API.
    pub address: Url,
    /// The server name.
    pub domain: String,
    /// How ephemeral events come.
    pub ephemeral: EphemeralMode,
}

impl HomeserverConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        check::base_url(&self.address)
            .map_err(|reason| ConfigError::invalid("homeserver.address", reason))?;
        ruma::ServerName::parse(&self.domain).map_err(|_| {
            ConfigError::invalid(
                "homeserver.domain",
                format!(
                    "{:?} is not a server name: give the part behind the colon of a user id, such as example.org",
                    self.domain
                ),
            )
        })?;
        Ok(())
    }
}
