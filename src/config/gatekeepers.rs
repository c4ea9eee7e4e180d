//! `gatekeepers`: the services the bridge is a partner of.

use std::{collections::BTreeSet, path::Path};

use serde::Deserialize;

use super::{
    ConfigError,
    keys::{Content, Key, Section, Unset},
};
use crate::domain::GatekeeperId;

pub(super) const SECTION: Section = Section {
    name: "gatekeepers",
    doc: "The gatekeepers, each with the profile that describes it.",
    content: Content::List(
        &[
            Key::new(
                "id",
                Unset::Required("whatsapp"),
                "Its name here, part of its users' Matrix ids. Never to be changed: a-z, 0-9 and - only.",
            ),
            Key::new("name", Unset::Required("WhatsApp"), "Its name for people."),
            Key::new(
                "profiles",
                Unset::Required("[whatsapp, sandbox]"),
                "The layers of its profile, the later one wins: built-in ones (`whatsapp`, `messenger`, `sandbox`) and files. To go live,\n\
                 put a file with what the gatekeeper gave you in the place of `sandbox`.",
            ),
            Key::new(
                "visible_id",
                Unset::Default("\"{mxid}\""),
                "What its users see in the place of a Matrix id: `{mxid}`, `{localpart}` and `{server}` are filled in. It has to tell users\n\
                 apart. Whoever is logged in keeps what they have.",
            ),
            Key::new(
                "connection",
                Unset::Default("always"),
                "`always` connected, or `on_demand`: connected for outgoing messages and when the gatekeeper announces incoming ones.",
            ),
            Key::new(
                "idle_seconds",
                Unset::Default("60"),
                "On demand: after how long without work the connection is closed.",
            ),
        ],
        &[
            &[
                ("id", "whatsapp"),
                ("name", "WhatsApp"),
                ("profiles", "[whatsapp, sandbox]"),
            ],
            &[
                ("id", "messenger"),
                ("name", "Messenger"),
                ("profiles", "[messenger, sandbox]"),
            ],
        ],
    ),
};

/// The profiles that are part of the program.
const BUILT_IN: [&str; 3] = ["whatsapp", "messenger", "sandbox"];

/// When a login is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionMode {
    /// All the time.
    Always,
    /// While there is work, and when the gatekeeper announces some.
    OnDemand,
}

/// One gatekeeper.
#[derive(Debug, Clone, Deserialize)]
pub struct GatekeeperConfig {
    /// Its id in this configuration.
    pub id: GatekeeperId,
    /// Its name for people.
    pub name: String,
    /// The layers of its profile: built-in names and paths.
    pub profiles: Vec<String>,
    /// What its users see in the place of a Matrix id: `{mxid}`, `{localpart}` and `{server}` are filled in.
    pub visible_id: String,
    /// When its logins are connected.
    pub connection: ConnectionMode,
    /// After how many seconds without work an on-demand connection is closed.
    pub idle_seconds: u64,
}

impl GatekeeperConfig {
    /// Takes the paths of profiles from `folder`.
    pub(super) fn resolve(&mut self, folder: &Path) {
        for layer in &mut self.profiles {
            if !BUILT_IN.contains(&layer.as_str()) {
                *layer = folder.join(&*layer).to_string_lossy().into_owned();
            }
        }
    }
}

pub(super) fn validate(entries: &[GatekeeperConfig]) -> Result<(), ConfigError> {
    if entries.is_empty() {
        return Err(ConfigError::invalid(
            "gatekeepers",
            "is empty: name at least one gatekeeper",
        ));
    }
    let mut ids = BTreeSet::new();
    for (index, entry) in entries.iter().enumerate() {
        let named = |key: &str| format!("gatekeepers[{index}].{key}");
        if !ids.insert(&entry.id) {
            return Err(ConfigError::invalid(
                named("id"),
                format!("{} is there twice", entry.id),
            ));
        }
        if !["{mxid}", "{localpart}"]
            .iter()
            .any(|name| entry.visible_id.contains(name))
        {
            return Err(ConfigError::invalid(
                named("visible_id"),
                "names nobody: it needs {mxid}, or {localpart} and {server}",
            ));
        }
        if entry.profiles.is_empty() {
            return Err(ConfigError::invalid(
                named("profiles"),
                "is empty: name at least one profile",
            ));
        }
        for layer in &entry.profiles {
            if !BUILT_IN.contains(&layer.as_str()) && !Path::new(layer).is_file() {
                return Err(ConfigError::invalid(
                    named("profiles"),
                    format!(
                        "{layer} is neither a built-in profile ({}) nor a file",
                        BUILT_IN.join(", ")
                    ),
                ));
            }
        }
    }
    Ok(())
}
