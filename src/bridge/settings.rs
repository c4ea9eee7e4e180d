//! What the bridge is told once by the configuration, and what a room decides for itself.

use std::{collections::BTreeMap, time::Duration};

use super::routes::PortalRoute;
use crate::{
    config::{ChatRooms, DoublePuppetsConfig, Permissions, RelayConfig, ViewOnce},
    domain::GatekeeperId,
    translate::RelayTemplates,
};

/// What the bridge is told once, by the configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The homeserver's name, the part behind the colon of its users' ids.
    pub server_name: String,
    /// The prefix of the bridge's own keys in event contents and state (`eu.drawbridge`).
    pub namespace: String,
    /// Ghosts' names; `{name}` and `{gatekeeper}` are filled in.
    pub displayname_template: String,
    /// The bot's display name.
    pub bot_displayname: String,
    /// The prefix of the localparts of the aliases of portals.
    pub alias_prefix: String,
    /// The room version of new rooms; the homeserver's default if `None`.
    pub room_version: Option<String>,
    /// Who may do what.
    pub permissions: Permissions,
    /// Whether who leaves the room of a group leaves the group.
    pub leave_groups: bool,
    /// The gatekeepers' names for people, by id.
    pub gatekeeper_names: BTreeMap<GatekeeperId, String>,
    /// The word that makes a message a command outside of management rooms.
    pub command_prefix: String,
    /// What is to be accepted before the first login; the bridge's own words if `None`, nothing if empty.
    pub terms: Option<String>,
    /// Logins that speak for others.
    pub relay: Relay,
    /// How people are shown, and as whom the bridge acts.
    pub people: PeopleSettings,
    /// What is carried besides messages, and how.
    pub conversation: Conversation,
    /// Which rooms there are, and who is in them.
    pub rooms: RoomSettings,
    /// Encrypted rooms.
    pub encryption: EncryptionChoice,
}

/// Which rooms are encrypted.
#[derive(Debug, Clone, Copy)]
pub struct EncryptionChoice {
    /// Whether the rooms the bridge makes are.
    pub new_rooms: bool,
    /// Whether what is said unencrypted is not carried.
    pub require: bool,
}

/// Which rooms there are, and who is in them.
#[derive(Debug, Clone)]
pub struct RoomSettings {
    /// Which direct chats get a room by themselves.
    pub direct_chats: ChatRooms,
    /// Which groups get a room by themselves.
    pub groups: ChatRooms,
    /// Whether somebody who left a room is invited again with the next message.
    pub invite_back: bool,
    /// Whether each login has a space with its rooms.
    pub personal_spaces: bool,
    /// How many members of large groups are brought into rooms a second.
    pub members_per_second: u32,
}

/// How people are shown, and as whom the bridge acts.
#[derive(Debug, Clone)]
pub struct PeopleSettings {
    /// The address of the bot's picture at the homeserver.
    pub bot_avatar: Option<String>,
    /// Whether ghosts' profiles tell phone numbers.
    pub phone_in_profile: bool,
    /// For how long a connection may be broken before its user is told.
    pub connection_grace: Duration,
    /// As whom the bridge acts.
    pub double_puppets: DoublePuppetsConfig,
}

/// Logins that speak for others.
#[derive(Debug, Clone)]
pub struct Relay {
    /// Who may set one, and for whom none speaks.
    pub rules: RelayConfig,
    /// How a login says for whom it speaks.
    pub templates: RelayTemplates,
}

impl Relay {
    /// What the configuration says.
    #[must_use]
    pub fn new(rules: RelayConfig) -> Self {
        let templates = RelayTemplates {
            text: rules.text.clone(),
            emote: rules.emote.clone(),
            thing: rules.thing.clone(),
            reaction: rules.reaction.clone(),
            vote: rules.vote.clone(),
        };
        Self { rules, templates }
    }
}

/// What is carried besides messages, and how; the first three can be decided otherwise in a room.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a key of the configuration that is switched by itself"
)]
pub struct Conversation {
    /// Whether read receipts are passed on, both ways.
    pub receipts: bool,
    /// Whether it is passed on who writes, both ways.
    pub typing: bool,
    /// Whether it is passed on who is there, both ways.
    pub presence: bool,
    /// Whether the bot marks messages as read once the gatekeeper has them.
    pub delivery_receipts: bool,
    /// Whether each message's state is told in an event (`com.beeper.message_send_status`).
    pub message_status_events: bool,
    /// Whether a room is told when a message could not be sent.
    pub error_notices: bool,
    /// What becomes of files that are meant to be seen once.
    pub view_once: ViewOnce,
    /// Whether previews of links are passed on.
    pub link_previews: bool,
    /// The largest file, in bytes.
    pub max_media_bytes: u64,
    /// How long the transfer of a file may stand still.
    pub patience: Duration,
}

impl Settings {
    /// Whether read receipts are passed on in a portal.
    pub(super) fn passes_receipts(&self, portal: &PortalRoute) -> bool {
        let here = portal.portal.settings.receipts;
        here.unwrap_or(self.conversation.receipts)
    }

    /// Whether it is passed on in a portal who writes.
    pub(super) fn passes_typing(&self, portal: &PortalRoute) -> bool {
        let here = portal.portal.settings.typing;
        here.unwrap_or(self.conversation.typing)
    }

    /// Whether a portal's contact is shown as being there.
    pub(super) fn passes_presence(&self, portal: &PortalRoute) -> bool {
        let here = portal.portal.settings.presence;
        here.unwrap_or(self.conversation.presence)
    }
}
