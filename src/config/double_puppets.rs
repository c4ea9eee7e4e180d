//! `double_puppets`: acting as Matrix users where they act elsewhere.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use url::Url;

use super::{
    AppserviceConfig, ConfigError, appservice, check,
    keys::{Content, Key, Section, Unset},
};

pub(super) const SECTION: Section = Section {
    name: "double_puppets",
    doc: "Acting as a Matrix user: what they do with their own account at a gatekeeper appears as theirs, they enter their rooms by\nthemselves, and whom they block is ignored.",
    content: Content::Keys(&[
        Key::secret(
            "as_token",
            Unset::Optional("double_puppet_token"),
            "The token of a second registration, which lets the bridge act as everybody of this homeserver. Name the file here, then\n\
             `drawbridge registration --double-puppet` makes it and prints that registration.",
        ),
        Key::new(
            "allow_login",
            Unset::Default("true"),
            "Whether a user may give the bridge an access token of their own, with `login-matrix`.",
        ),
        Key::new(
            "homeservers",
            Unset::Optional("{\"example.net\": \"https://matrix.example.net\"}"),
            "Where the homeservers of other users are, by name, so that these may give their tokens, too.",
        ),
    ]),
};

/// The section's values.
#[derive(Debug, Clone, Deserialize)]
pub struct DoublePuppetsConfig {
    /// The token of an application service whose namespace has everybody of this homeserver.
    #[serde(default)]
    pub as_token: Option<SecretString>,
    /// Whether users may give tokens of their own.
    pub allow_login: bool,
    /// Base URLs of other homeservers, by name.
    #[serde(default)]
    pub homeservers: BTreeMap<String, Url>,
}

impl DoublePuppetsConfig {
    pub(super) fn validate(&self, appservice: &AppserviceConfig) -> Result<(), ConfigError> {
        if let Some(token) = &self.as_token {
            let token = token.expose_secret();
            appservice::token("double_puppets.as_token", token)?;
            let others = [&appservice.as_token, &appservice.hs_token];
            if others.iter().any(|other| other.expose_secret() == token) {
                return Err(ConfigError::invalid(
                    "double_puppets.as_token",
                    "has to differ from the tokens of the bridge itself: it is of a registration of its own",
                ));
            }
        }
        for (name, address) in &self.homeservers {
            check::base_url(address).map_err(|reason| {
                ConfigError::invalid(format!("double_puppets.homeservers.{name}"), reason)
            })?;
        }
        Ok(())
    }
}
