//! `drawbridge recovery-key`.

use super::{Failure, print};
use crate::{config::Config, encryption, store};

/// What it is for; with the key itself alone on standard output.
const PURPOSE: &str = "\
This is the recovery key of the bot's identity in encrypted rooms. Keep it where you keep passwords, apart from the database.
If the database is lost, set encryption.recovery_key to it before the first start with a new one: the bot then keeps its identity,
and nobody who has verified it is warned. Whoever has the key and access to the bot's account can pretend to be the bot's device.";

pub(super) async fn execute(config: Config) -> Result<(), Failure> {
    let settings = &config.database;
    let database = store::inspect(settings.uri.as_str(), &settings.sealing_key)
        .await
        .map_err(|error| {
            Failure::hinted(error, "is database.uri right, and the server running?")
        })?;
    let none = || {
        Failure::hinted(
            anyhow::anyhow!("the bot has no identity in encrypted rooms yet"),
            "the first run with `encryption.allow: true` makes it, as soon as the homeserver is reached",
        )
    };
    let database = database.ok_or_else(none)?;
    let bot = format!(
        "@{}:{}",
        config.appservice.bot_localpart, config.homeserver.domain
    );
    let key = encryption::recovery_key(&database, &bot).await;
    database.close().await;
    let key = key.map_err(anyhow::Error::from)?.ok_or_else(none)?;
    eprintln!("{PURPOSE}");
    print(&format!("{key}\n"))
}
