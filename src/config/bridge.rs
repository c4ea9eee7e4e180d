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
            "phone_in_profile",
            Unset::Default("false"),
            "Whether the profiles of the gatekeepers' users tell their phone numbers; whoever shares a room with them can read that.",
        ),
        Key::new(
            "connection_grace_seconds",
            Unset::Default("30"),
            "For how long a connection may be broken before its user is told. What will not pass by itself is told at once.",
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
            "command_prefix",
            Unset::Default("\"!drawbridge\""),
            "The word that makes a message a command in rooms other than the direct chat with the bot. Such a message is never carried.",
        ),
        Key::new(
            "terms",
            Unset::Optional("\"Ask me before you log in: @admin:example.org\""),
            "What users have to accept before their first login, in Markdown, in place of the bridge's own words; empty if nothing.\n\
             Who has accepted other words is asked again at the next login.",
        ),
        Key::new(
            "direct_chats",
            Unset::Default("on_message"),
            "Which direct chats get a room by themselves: `on_message`, those in which somebody writes, or `never`: only those that are\n\
             asked for (`start-chat`). What is written in a chat without a room waits until it has one.",
        ),
        Key::new(
            "groups",
            Unset::Default("on_message"),
            "Which groups get a room by themselves: `on_message`, `never` (as for direct chats), or `at_once`: all the user is in.",
        ),
        Key::new(
            "invite_back",
            Unset::Default("false"),
            "Whether somebody who left the room of a chat is invited again with the next message. If not, the room stays left: the\n\
             message waits in it, and the user is told once in the management room how to open it again.",
        ),
        Key::new(
            "personal_spaces",
            Unset::Default("true"),
            "Whether each login has a space with the rooms of its chats.",
        ),
        Key::new(
            "members_per_second",
            Unset::Default("5"),
            "How many members of large groups are brought into rooms a second, over all rooms together. The first twenty of a room\n\
             come at once, and who writes comes with what they write.",
        ),
        Key::new(
            "leave_groups",
            Unset::Default("false"),
            "Whether who leaves the room of a group leaves the group too. Otherwise `leave-chat` does that.",
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

/// Which chats get a room by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChatRooms {
    /// Those in which somebody writes.
    OnMessage,
    /// All.
    AtOnce,
    /// None: they are asked for.
    Never,
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
    /// Whether ghosts' profiles tell phone numbers.
    pub phone_in_profile: bool,
    /// For how many seconds a connection may be broken before its user is told.
    pub connection_grace_seconds: u64,
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
    /// The word that makes a message a command outside of management rooms.
    pub command_prefix: String,
    /// What users have to accept before their first login; the bridge's own words if `None`, nothing if empty.
    #[serde(default)]
    pub terms: Option<String>,
    /// Which direct chats get a room by themselves.
    pub direct_chats: ChatRooms,
    /// Which groups get a room by themselves.
    pub groups: ChatRooms,
    /// Whether somebody who left a room is invited again.
    pub invite_back: bool,
    /// Whether each login has a space.
    pub personal_spaces: bool,
    /// How many members of large groups are brought into rooms a second.
    pub members_per_second: u32,
    /// Whether who leaves the room of a group leaves the group.
    pub leave_groups: bool,
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
        let prefix = &self.command_prefix;
        if prefix.is_empty() || prefix.chars().any(char::is_whitespace) {
            return Err(ConfigError::invalid(
                "bridge.command_prefix",
                "has to be one word, such as !drawbridge",
            ));
        }
        if self.direct_chats == ChatRooms::AtOnce {
            return Err(ConfigError::invalid(
                "bridge.direct_chats",
                "has to be on_message or never: nobody knows all the chats there could be",
            ));
        }
        if self.members_per_second == 0 {
            return Err(ConfigError::invalid(
                "bridge.members_per_second",
                "has to be at least 1",
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
