//! `bridge`: how portals and ghosts look, and who may use the bridge.

use serde::{Deserialize, Deserializer};

use super::{
    ConfigError, Permissions,
    keys::{Content, Key, Section, Unset},
};

pub(super) const SECTION: Section = Section {
    name: "bridge",
    doc: "The bridge itself.",
    content: Content::Keys(&[
        Key::new(
            "namespace",
            Unset::Default("eu.drawbridge"),
            "What the bridge's own keys in events begin with. Never to be changed: by them it knows what it has sent.",
        ),
        Key::new(
            "displayname_template",
            Unset::Default("\"{name} ({gatekeeper})\""),
            "The display names of the gatekeepers' users.",
        ),
        Key::new(
            "room_version",
            Unset::Optional("\"12\""),
            "The version of new rooms; the homeserver's own choice if not set.",
        ),
        Key::new(
            "permissions",
            Unset::Required("{\"*\": relay, \"example.org\": user, \"@admin:example.org\": admin}"),
            "Who may do what, by user id, server name, or \"*\"; the most specific one counts. `block`: nothing. `relay`: be carried\n\
             by somebody else's login. `user`: log in. `admin`: look after the bridge.",
        ),
    ]),
};

/// The section's values.
#[derive(Debug, Clone, Deserialize)]
pub struct BridgeConfig {
    /// The prefix of the bridge's own keys in events.
    pub namespace: String,
    /// The display names of ghosts, with `{name}` and `{gatekeeper}`.
    pub displayname_template: String,
    /// The version of new rooms.
    #[serde(default, deserialize_with = "text_or_number")]
    pub room_version: Option<String>,
    /// Who may do what.
    pub permissions: Permissions,
}

impl BridgeConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if self.namespace.is_empty() || !self.namespace.chars().all(allowed) {
            return Err(ConfigError::invalid(
                "bridge.namespace",
                "has to be a name like eu.drawbridge",
            ));
        }
        if !self.displayname_template.contains("{name}") {
            return Err(ConfigError::invalid(
                "bridge.displayname_template",
                "has to contain {name}",
            ));
        }
        if let Some(version) = &self.room_version
            && ruma::RoomVersionId::try_from(version.as_str()).is_err()
        {
            return Err(ConfigError::invalid(
                "bridge.room_version",
                format!("{version:?} is not a room version"),
            ));
        }
        self.permissions
            .validate()
            .map_err(|reason| ConfigError::invalid("bridge.permissions", reason))
    }
}

/// Room versions are texts that look like numbers.
fn text_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Text(String),
        Number(u32),
    }
    Ok(
        Option::deserialize(deserializer)?.map(|either| match either {
            Either::Text(text) => text,
            Either::Number(number) => number.to_string(),
        }),
    )
}
