//! `drawbridge database migrate`.

use clap::Subcommand;

use super::Failure;
use crate::{config::Config, store};

#[derive(Debug, Clone, Copy, Subcommand)]
pub(super) enum Action {
    /// Bring the database to this program's form, as `run` does at its start. The bridge must not be running.
    Migrate,
}

pub(super) async fn execute(config: Config, action: Action) -> Result<(), Failure> {
    let Action::Migrate = action;
    let database = &config.database;
    store::migrate(database.uri.as_str(), &database.sealing_key)
        .await
        .map_err(|error| {
            Failure::hinted(error, "is database.uri right, and the server running?")
        })?;
    println!("the database is up to date");
    Ok(())
}
