//! `drawbridge config check|dump|example`.

use std::path::Path;

use clap::Subcommand;

use super::{Failure, print};
use crate::config::Config;

#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// Say whether the configuration can be used.
    Check,
    /// Show what is in force: defaults, file and environment together, secrets hidden.
    Dump,
    /// Print an example with every key and its meaning.
    Example,
}

pub(super) fn execute(path: &Path, action: &Action) -> Result<(), Failure> {
    match action {
        Action::Check => {
            let config = Config::load(path)?;
            for entry in &config.gatekeepers {
                crate::app::check_profile(entry).map_err(|error| {
                    Failure::hinted(
                        error,
                        "README.md, \"Going live\", says what a profile needs",
                    )
                })?;
            }
            print(&format!("{} can be used\n", path.display()))
        }
        Action::Dump => print(&Config::dump(path)?),
        Action::Example => print(&Config::example()),
    }
}
