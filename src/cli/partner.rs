//! `drawbridge partner rotate-key`: the key that signs the Partner's tokens, changed without an interruption.

use clap::Subcommand;

use super::Failure;
use crate::{
    clock::{Clock as _, SystemClock},
    config::Config,
    domain::Timestamp,
    network::interop::partner::{Rotation, SigningKey},
};

#[derive(Debug, Clone, Copy, Subcommand)]
pub(super) enum Action {
    /// Go one step of a change of the signing key: first a new key is published, then it signs.
    RotateKey,
}

pub(super) fn execute(config: &Config, action: Action) -> Result<(), Failure> {
    let Action::RotateKey = action;
    let now = Timestamp(SystemClock.now_ms());
    let rotation = SigningKey::rotate(&config.partner.signing_key_file, now).map_err(|error| {
        Failure::hinted(
            anyhow::anyhow!("partner.signing_key_file: {error}"),
            "has the bridge run before, and may this user write there?",
        )
    })?;
    match rotation {
        Rotation::Prepared => println!(
            "A new key is made. Restart the bridge, which publishes it; when the gatekeepers have fetched it (give them a day), run this again."
        ),
        Rotation::Switched => println!(
            "The new key signs from the next start on, and the old one stays published for a while. Restart the bridge."
        ),
    }
    Ok(())
}
