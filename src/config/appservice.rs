//! `appservice`: what the homeserver knows the bridge by.

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use url::Url;

use super::{
    ConfigError, check,
    keys::{Content, Key, Section, Unset},
};

pub(super) const SECTION: Section = Section {
    name: "appservice",
    doc: "The bridge as an application service. After a change here, write the registration again, give it to the homeserver and\nrestart that.",
    content: Content::Keys(&[
        Key::new(
            "id",
            Unset::Default("drawbridge"),
            "The name of the registration; unique in the homeserver, never to be changed.",
        ),
        Key::new(
            "address",
            Unset::Default("\"http://localhost:29331\""),
            "Where the homeserver reaches the bridge.",
        ),
        Key::new(
            "listen",
            Unset::Default("\"127.0.0.1:29331\""),
            "Where the bridge listens for the homeserver.",
        ),
        Key::new(
            "bot_localpart",
            Unset::Default("drawbridgebot"),
            "The bot's user name, without @ and server.",
        ),
        Key::new(
            "bot_displayname",
            Unset::Default("drawbridge"),
            "The bot's display name.",
        ),
        Key::new(
            "bot_avatar",
            Unset::Optional("\"mxc://example.org/abcdef\""),
            "The bot's picture, and that of the gatekeepers in a client's directory: the address of one that was uploaded.",
        ),
        Key::new(
            "sender_localpart",
            Unset::Default("drawbridge-sender"),
            "A user name the interface demands; nothing is ever sent as it. Not the bot's.",
        ),
        Key::new(
            "ghost_prefix",
            Unset::Default("_drawbridge_"),
            "What the user names of the gatekeepers' users begin with.",
        ),
        Key::new(
            "alias_prefix",
            Unset::Default("_drawbridge_"),
            "What the room aliases of the bridge begin with.",
        ),
        Key::secret(
            "as_token",
            Unset::File("as_token"),
            "The token the bridge shows the homeserver. `drawbridge registration` makes it.",
        ),
        Key::secret(
            "hs_token",
            Unset::File("hs_token"),
            "The token the homeserver shows the bridge. `drawbridge registration` makes it.",
        ),
    ]),
};

/// The token of the bridge in the sample registration; never accepted.
pub const PLACEHOLDER_AS_TOKEN: &str = "this-is-a-sample-run-drawbridge-registration-as";
/// The token of the homeserver in the sample registration; never accepted.
pub const PLACEHOLDER_HS_TOKEN: &str = "this-is-a-sample-run-drawbridge-registration-hs";

const SHORTEST_TOKEN: usize = 16;

/// The section's values.
#[derive(Debug, Clone, Deserialize)]
pub struct AppserviceConfig {
    /// The registration's id.
    pub id: String,
    /// Base URL at which the homeserver reaches the bridge.
    pub address: Url,
    /// `host:port` to listen on.
    pub listen: String,
    /// The bot's localpart.
    pub bot_localpart: String,
    /// The bot's display name.
    pub bot_displayname: String,
    /// The address of the bot's picture at the homeserver.
    #[serde(default)]
    pub bot_avatar: Option<String>,
    /// The registration's `sender_localpart`.
    pub sender_localpart: String,
    /// What ghosts' localparts begin with.
    pub ghost_prefix: String,
    /// What aliases' localparts begin with.
    pub alias_prefix: String,
    /// The token of the bridge.
    pub as_token: SecretString,
    /// The token of the homeserver.
    pub hs_token: SecretString,
}

impl AppserviceConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let named = |key: &str| {
            let key = format!("appservice.{key}");
            move |reason| ConfigError::Invalid { key, reason }
        };
        if self.id.is_empty() {
            return Err(ConfigError::invalid("appservice.id", "may not be empty"));
        }
        check::base_url(&self.address).map_err(named("address"))?;
        check::listen(&self.listen).map_err(named("listen"))?;
        for (key, value) in [
            ("bot_localpart", &self.bot_localpart),
            ("sender_localpart", &self.sender_localpart),
            ("ghost_prefix", &self.ghost_prefix),
            ("alias_prefix", &self.alias_prefix),
        ] {
            check::localpart(value).map_err(named(key))?;
        }
        if self.bot_localpart == self.sender_localpart {
            return Err(ConfigError::invalid(
                "appservice.sender_localpart",
                "has to differ from bot_localpart: homeservers treat the sender's account differently",
            ));
        }
        for (key, value) in [
            ("bot_localpart", &self.bot_localpart),
            ("sender_localpart", &self.sender_localpart),
        ] {
            if value.starts_with(&self.ghost_prefix) {
                return Err(ConfigError::invalid(
                    format!("appservice.{key}"),
                    "may not begin with ghost_prefix: it would be taken for a gatekeeper's user",
                ));
            }
        }
        if let Some(avatar) = &self.bot_avatar
            && !<&ruma::MxcUri>::from(avatar.as_str()).is_valid()
        {
            return Err(ConfigError::invalid(
                "appservice.bot_avatar",
                "has to be the address of an uploaded picture, like mxc://example.org/abcdef",
            ));
        }
        let (ours, theirs) = (self.as_token.expose_secret(), self.hs_token.expose_secret());
        token("appservice.as_token", ours)?;
        token("appservice.hs_token", theirs)?;
        if ours == theirs {
            return Err(ConfigError::invalid(
                "appservice.hs_token",
                "has to differ from as_token",
            ));
        }
        Ok(())
    }
}

pub(super) fn token(key: &str, token: &str) -> Result<(), ConfigError> {
    let reason = if [PLACEHOLDER_AS_TOKEN, PLACEHOLDER_HS_TOKEN].contains(&token) {
        "is the sample's placeholder, which everybody knows: make your own with `drawbridge registration`"
    } else if token.len() < SHORTEST_TOKEN {
        "is too short to be a secret: make one with `drawbridge registration`"
    } else if !token.chars().all(|c| c.is_ascii_graphic()) {
        "may only have printable ASCII characters"
    } else {
        return Ok(());
    };
    Err(ConfigError::invalid(key, reason))
}
