//! A gatekeeper's profile: all that is particular to one gatekeeper, joined from layers of YAML.
//!
//! The built-in layers in `profiles/` document every key. A profile that loads has everything a connection needs; what is
//! missing is named, all of it at once.

mod keys;
mod parts;

use std::{collections::BTreeMap, path::PathBuf};

use serde_json::Value;
use url::Url;

use self::keys::Keys;
pub use self::parts::{
    Chat, ChatTransport, Deletion, Limits, MediaRetry, MediaRetryTo, Notice, PushRules, Stanzas,
    Timing, TokenTemplate,
};
use super::wire::{
    Dialect,
    payload::{Product, UserAgent, is_platform},
};
use crate::domain::Capabilities;

const BUILT_IN: [(&str, &str); 3] = [
    ("whatsapp", include_str!("../profiles/whatsapp.yaml")),
    ("messenger", include_str!("../profiles/messenger.yaml")),
    ("sandbox", include_str!("../profiles/sandbox.yaml")),
];

/// Why a profile cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// A layer that is neither built in nor a file that can be read.
    #[error("the profile layer {} cannot be read: {source}", path.display())]
    Unreadable {
        /// The layer.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// A layer that is not YAML.
    #[error("the profile layer {layer} is not YAML: {reason}")]
    Yaml {
        /// The layer.
        layer: String,
        /// Where and why.
        reason: String,
    },
    /// A key that no profile has.
    #[error("the profile layer {layer} has the key {key}, which no profile has")]
    UnknownKey {
        /// The layer.
        layer: String,
        /// The key with those above it, joined by dots.
        key: String,
    },
    /// A value that is not what its key needs.
    #[error("the profile layer {layer} has a wrong value: {reason}")]
    Invalid {
        /// The layer, or `the joined profile`.
        layer: String,
        /// Which and why.
        reason: String,
    },
    /// Keys without which there is no connection.
    #[error(transparent)]
    Missing(#[from] MissingKeys),
    /// A live profile with addresses that are not encrypted.
    #[error("a live profile needs https and wss addresses, but these keys have others: {}", .0.join(", "))]
    Insecure(Vec<&'static str>),
}

/// The keys a profile lacks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the profile lacks {}: set them in a layer of your own", .0.join(", "))]
pub struct MissingKeys(pub Vec<&'static str>);

/// All that is particular to one gatekeeper. The keys are explained in the built-in layer `whatsapp`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Whether this is the real gatekeeper.
    pub live: bool,
    /// The integrator's number, 1 to 999.
    pub integrator_id: u16,
    /// What a login is to the gatekeeper.
    pub product: Product,
    /// The interop protocol version.
    pub protocol_version: u32,
    /// The server part of its users' addresses.
    pub user_server: String,
    /// Whether its users have names besides numbers.
    pub user_names: bool,
    /// Where logins are enlisted.
    pub enlist_url: Url,
    /// Form fields of the enlistment besides the documented ones.
    pub enlist_fields: BTreeMap<String, String>,
    /// The public keys that pushes are signed with.
    pub jwks_url: Url,
    /// Where received media are.
    pub media_url: Url,
    /// Where pictures of people may be besides: `host` or `host:port`.
    pub picture_hosts: Vec<String>,
    /// Characters the gatekeeper does not take in the identifier of a user.
    pub visible_id_escapes: String,
    /// What the path of hosted media begins with in a message, filled in.
    pub media_path_prefix: String,
    /// The chat server.
    pub chat: Chat,
    /// The root of the chat server's certificates.
    pub root_key: [u8; 32],
    /// What the token of a push must say.
    pub push: PushRules,
    /// How the token that vouches for a user is made.
    pub token: TokenTemplate,
    /// What a client says about itself.
    pub user_agent: UserAgent,
    /// Limits.
    pub limits: Limits,
    /// Periods.
    pub timing: Timing,
    /// Whether an interop address on the wire ends with its server's name.
    pub interop_jid_trailing_server: bool,
    /// What a chat can carry.
    pub features: Capabilities,
    /// Shapes of stanzas.
    pub stanzas: Stanzas,
}

impl Profile {
    /// Joins layers, the later one winning, and over them `extra`. A layer is a built-in name or the path of a YAML file.
    ///
    /// # Errors
    /// Names the layer and the key that is wrong, or all the keys that are missing.
    pub fn load(layers: &[String], extra: Option<&Value>) -> Result<Self, ProfileError> {
        let mut joined = Value::Object(serde_json::Map::new());
        for layer in layers {
            let value = keys::checked(layer, read(layer)?)?;
            keys::join(&mut joined, value);
        }
        if let Some(extra) = extra {
            keys::join(
                &mut joined,
                keys::checked("(given by the program)", extra.clone())?,
            );
        }
        let invalid = |reason: String| ProfileError::Invalid {
            layer: "(all joined)".to_owned(),
            reason,
        };
        let keys: Keys =
            serde_json::from_value(joined).map_err(|error| invalid(error.to_string()))?;
        let profile = keys.profile()?;
        profile.validate().map_err(invalid)?;
        Ok(profile)
    }

    fn validate(&self) -> Result<(), String> {
        if !(1..=999).contains(&self.integrator_id) {
            return Err("integrator_id is not from 1 to 999".to_owned());
        }
        let platform = self.user_agent.platform.as_deref();
        if platform.is_some_and(|name| !is_platform(name)) {
            return Err("user_agent.platform is no name of the schema".to_owned());
        }
        let names_user = |claim: &Value| claim.as_str().is_some_and(|c| c.contains("{visible_id}"));
        if !self.token.claims.values().any(names_user) {
            return Err("token.claims has no {visible_id}".to_owned());
        }
        if ["iss", "aud", "iat", "exp"]
            .iter()
            .any(|name| self.token.claims.contains_key(*name))
        {
            return Err(
                "token.claims has iss, aud, iat or exp, which have keys of their own".to_owned(),
            );
        }
        if self.token.lifetime_seconds == 0 {
            return Err("token.lifetime_seconds is 0".to_owned());
        }
        if self.timing.ping_seconds == 0 {
            return Err("timing.ping_seconds is 0".to_owned());
        }
        if self.limits.prekeys_first == 0 || self.limits.prekeys_batch == 0 {
            return Err("limits.prekeys_first or limits.prekeys_batch is 0".to_owned());
        }
        if self.limits.hosted_media_days == 0 {
            return Err("limits.hosted_media_days is 0".to_owned());
        }
        let is_host = |host: &&String| {
            let url = url::Url::parse(&format!("https://{host}/"));
            url.is_ok_and(|url| url.has_host() && url.path() == "/" && url.username().is_empty())
        };
        if !self.picture_hosts.iter().all(|host| is_host(&host)) {
            return Err("picture_hosts has what is no host or host:port".to_owned());
        }
        if self.features.max_text_chars == 0 {
            return Err("features.max_text_chars is 0".to_owned());
        }
        Ok(())
    }

    /// Whether a live profile may be used: everything outside the Noise channel must go over TLS. That nothing is missing
    /// is known of every profile that loads. A profile of the sandbox is always right.
    ///
    /// # Errors
    /// Names the keys.
    pub fn check_live(&self) -> Result<(), ProfileError> {
        if !self.live {
            return Ok(());
        }
        let encrypted_chat =
            self.chat.transport == ChatTransport::Tcp || self.chat.address.starts_with("wss://");
        let insecure: Vec<_> = [
            ("enlist_url", self.enlist_url.scheme() == "https"),
            ("jwks_url", self.jwks_url.scheme() == "https"),
            ("media_url", self.media_url.scheme() == "https"),
            ("chat.address", encrypted_chat),
        ]
        .into_iter()
        .filter_map(|(key, secure)| (!secure).then_some(key))
        .collect();
        if insecure.is_empty() {
            Ok(())
        } else {
            Err(ProfileError::Insecure(insecure))
        }
    }

    /// How this gatekeeper wants addresses written.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        Dialect {
            interop_trailing_server: self.interop_jid_trailing_server,
        }
    }

    /// A template with its placeholders filled in.
    pub(super) fn fill(&self, template: &str, visible_id: &str) -> String {
        // The identifier last, so that braces in it mean nothing.
        template
            .replace("{integrator_id}", &self.integrator_id.to_string())
            .replace("{protocol_version}", &self.protocol_version.to_string())
            .replace("{visible_id}", visible_id)
    }
}

/// The text of a layer as a value.
fn read(layer: &str) -> Result<Value, ProfileError> {
    let text = match BUILT_IN.iter().find(|(name, _)| *name == layer) {
        Some((_, text)) => (*text).to_owned(),
        None => std::fs::read_to_string(layer).map_err(|source| ProfileError::Unreadable {
            path: layer.into(),
            source,
        })?,
    };
    serde_yaml_ng::from_str(&text).map_err(|error| ProfileError::Yaml {
        layer: layer.to_owned(),
        reason: error.to_string(),
    })
}
