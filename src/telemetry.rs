//! Logs: to standard error, for people or one JSON object a line.

use std::io::IsTerminal as _;

use tracing_subscriber::{EnvFilter, fmt, prelude::*};

use crate::config::{LogFormat, LoggingConfig};

/// The Signal library names addresses, which contain phone numbers, in its own records.
const SILENT: &str = "wacore_libsignal=off";
/// The crypto library warns of what peers do, and names users, devices and sessions; what matters of it the bridge tells itself.
const CRYPTO: &str = "matrix_sdk_crypto";

/// Begins to log. A second call changes nothing.
pub fn start(config: &LoggingConfig) {
    let filter =
        EnvFilter::try_new(directives(&config.level)).unwrap_or_else(|_| EnvFilter::new("info"));
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

/// The operator's directives with those for libraries; what they say of the crypto library counts.
fn directives(level: &str) -> String {
    if level.contains(CRYPTO) {
        format!("{level},{SILENT}")
    } else {
        format!("{CRYPTO}=error,{level},{SILENT}")
    }
}

#[cfg(test)]
mod tests {
    use super::directives;

    #[test]
    fn what_the_operator_says_of_the_crypto_library_counts() {
        assert!(directives("info").starts_with("matrix_sdk_crypto=error,info,"));
        let own = directives("info,matrix_sdk_crypto=debug");
        assert!(!own.contains("=error"), "{own}");
    }
}
