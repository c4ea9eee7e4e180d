//! `logging`: what goes to standard error.

use serde::Deserialize;
use tracing_subscriber::EnvFilter;

use super::{
    ConfigError,
    keys::{Content, Key, Section, Unset},
};

pub(super) const SECTION: Section = Section {
    name: "logging",
    doc: "The log, written to standard error. It never contains messages, keys, tokens or phone numbers.",
    content: Content::Keys(&[
        Key::new(
            "level",
            Unset::Default("info"),
            "`error`, `warn`, `info`, `debug` or `trace`; or by part, such as `info,drawbridge::network=debug`.",
        ),
        Key::new(
            "format",
            Unset::Default("text"),
            "`text`, or `json` with one object a line.",
        ),
    ]),
};

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The section's values.
#[derive(Debug, Clone, Deserialize)]
pub struct LoggingConfig {
    /// Directives of `tracing-subscriber`'s filter.
    pub level: String,
    /// The form of a line.
    pub format: LogFormat,
}

impl LoggingConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        match EnvFilter::try_new(&self.level) {
            Ok(_) => Ok(()),
            Err(error) => Err(ConfigError::invalid("logging.level", error.to_string())),
        }
    }
}
