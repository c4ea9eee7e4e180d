//! `bridge`: how portals and ghosts look, what is passed on, and who may use the bridge.

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
            "receipts",
            Unset::Default("true"),
            "Whether read receipts are passed on, both ways. A room can decide otherwise, as for the next two.",
        ),
        Key::new(
            "typing",
            Unset::Default("true"),
            "Whether it is passed on that somebody is writing, both ways.",
        ),
        Key::new(
            "presence",
            Unset::Default("false"),
            "Whether it is passed on that somebody is online, both ways.",
        ),
        Key::new(
            "delivery_receipts",
            Unset::Default("true"),
            "Whether the bot marks a message as read once the gatekeeper has it.",
        ),
        Key::new(
            "message_status_events",
            Unset::Default("false"),
            "Whether the bot tells how far a message is by `com.beeper.message_send_status`, for clients that show it.",
        ),
        Key::new(
            "error_notices",
            Unset::Default("true"),
            "Whether the bot says in the room why a message was not sent.",
        ),
        Key::new(
            "view_once",
            Unset::Default("show"),
            "Pictures, videos and voice messages that are to be seen only once: `show` them as any other, or `hide` them and say\n\
             that there was one.",
        ),
        Key::new(
            "link_previews",
            Unset::Default("true"),
            "Whether previews of links that the sender's side made are passed on. The bridge itself never asks a page for one.",
        ),
        Key::new(
            "permissions",
            Unset::Required("{\"*\": relay, \"example.org\": user, \"@admin:example.org\": admin}"),
            "Who may do what, by user id, server name, or \"*\"; the most specific one counts. `block`: nothing. `relay`: be carried\n\
             by somebody else's login, where there is one for it. `user`: log in. `admin`: look after the bridge.",
        ),
    ]),
};

/// What becomes of files that are to be seen only once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ViewOnce {
    /// They are shown as any other.
    Show,
    /// It is said that there was one.
    Hide,
}

/// The section's values.
#[derive(Debug, Clone, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the configuration, and independent of the others"
)]
pub struct BridgeConfig {
    /// The prefix of the bridge's own keys in events.
    pub namespace: String,
    /// The display names of ghosts, with `{name}` and `{gatekeeper}`.
    pub displayname_template: String,
    /// The version of new rooms.
    #[serde(default, deserialize_with = "text_or_number")]
    pub room_version: Option<String>,
    /// Whether read receipts are passed on, where a room does not decide otherwise.
    pub receipts: bool,
    /// Whether typing is passed on, where a room does not decide otherwise.
    pub typing: bool,
    /// Whether presence is passed on, where a room does not decide otherwise.
    pub presence: bool,
    /// Whether the bot marks messages as read once the gatekeeper has them.
    pub delivery_receipts: bool,
    /// Whether the bot sends `com.beeper.message_send_status` events.
    pub message_status_events: bool,
    /// Whether the bot says in the room why a message was not sent.
    pub error_notices: bool,
    /// What becomes of files that are to be seen only once.
    pub view_once: ViewOnce,
    /// Whether previews of links are passed on.
    pub link_previews: bool,
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
