//! `sandbox`: the gatekeeper on the loopback interface.

use std::path::PathBuf;

use serde::Deserialize;

use super::{
    ConfigError, check,
    keys::{Content, Key, Section, Unset},
};

pub(super) const SECTION: Section = Section {
    name: "sandbox",
    doc: "The sandbox: a gatekeeper of your own on this machine, for gatekeepers whose profiles include `sandbox`.",
    content: Content::Keys(&[
        Key::new(
            "enabled",
            Unset::Default("true"),
            "Whether the bridge runs it in its own process when a gatekeeper needs it.",
        ),
        Key::path(
            "data_dir",
            Unset::Default("sandbox"),
            "The folder in which it keeps its contacts and mailboxes.",
        ),
        Key::new(
            "chat_listen",
            Unset::Default("\"127.0.0.1:29341\""),
            "Where its chat server listens.",
        ),
        Key::new(
            "http_listen",
            Unset::Default("\"127.0.0.1:29342\""),
            "Where its web page and its other endpoints are.",
        ),
    ]),
};

/// The section's values.
#[derive(Debug, Clone, Deserialize)]
pub struct SandboxConfig {
    /// Whether it runs in the bridge's process.
    pub enabled: bool,
    /// Its folder.
    pub data_dir: PathBuf,
    /// `host:port` of its chat server.
    pub chat_listen: String,
    /// `host:port` of its HTTP endpoints.
    pub http_listen: String,
}

impl SandboxConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        check::listen(&self.chat_listen)
            .map_err(|reason| ConfigError::invalid("sandbox.chat_listen", reason))?;
        check::listen(&self.http_listen)
            .map_err(|reason| ConfigError::invalid("sandbox.http_listen", reason))
    }
}
