//! Logs: to standard error, for people or one JSON object a line.

use std::io::IsTerminal as _;

use tracing_subscriber::{EnvFilter, fmt, prelude::*};

use crate::config::{LogFormat, LoggingConfig};

/// The Signal library names addresses, which contain phone numbers, in its own records.
const SILENT: &str = "wacore_libsignal=off";

/// Begins to log. A second call changes nothing.
pub fn start(config: &LoggingConfig) {
    let directives = format!("{},{SILENT}", config.level);
    let filter = EnvFilter::try_new(directives).unwrap_or_else(|_| EnvFilter::new("info"));
    let registry = tracing_subscriber::registry().with(filter);
    let lines = fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let started = match config.format {
        LogFormat::Text => registry.with(lines.with_target(false)).try_init(),
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init(),
    };
    // Logging has begun already; the first configuration counts.
    drop(started);
}
