//! `provisioning`: the HTTP API for programs that look after logins and rooms.

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{
    ConfigError, check,
    keys::{Content, Key, Section, Unset},
};

pub(super) const SECTION: Section = Section {
    name: "provisioning",
    doc: "The provisioning API: what the bot's commands do, for programs. Its description is `openapi.json`.",
    content: Content::Keys(&[
        Key::new("enabled", Unset::Default("false"), "Whether there is one."),
        Key::new(
            "listen",
            Unset::Optional("\"127.0.0.1:29333\""),
            "Where it listens; beside the homeserver's endpoints, under /_drawbridge/, if not set.",
        ),
        Key::secret(
            "secret",
            Unset::Optional("made-by-openssl-rand-base64-32"),
            "The secret of programs that act for any user, at least 32 characters; none may if not set. With `secret_file`,\n\
             `drawbridge registration` makes the file.",
        ),
        Key::new(
            "openid",
            Unset::Default("true"),
            "Whether users of this homeserver may use it for themselves, with an OpenID token of the homeserver.",
        ),
    ]),
};

/// The section's values.
#[derive(Debug, Clone, Deserialize)]
pub struct ProvisioningConfig {
    /// Whether there is one.
    pub enabled: bool,
    /// Where it listens; beside the homeserver's endpoints without.
    #[serde(default)]
    pub listen: Option<String>,
    /// The secret of programs that act for any user.
    #[serde(default)]
    pub secret: Option<SecretString>,
    /// Whether users may use it for themselves.
    pub openid: bool,
}

impl ProvisioningConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        if let Some(listen) = &self.listen {
            check::listen(listen)
                .map_err(|reason| ConfigError::invalid("provisioning.listen", reason))?;
        }
        let secret = self.secret.as_ref().map(ExposeSecret::expose_secret);
        if self.enabled && secret.is_none() && !self.openid {
            return Err(ConfigError::invalid(
                "provisioning.secret",
                "is not set and provisioning.openid is off, so nobody could use the API: set one of them",
            ));
        }
        if secret.is_some_and(|secret| secret.len() < 32) {
            return Err(ConfigError::invalid(
                "provisioning.secret",
                "is too short to be a secret: it needs 32 characters. Make one with `drawbridge registration`",
            ));
        }
        Ok(())
    }
}
