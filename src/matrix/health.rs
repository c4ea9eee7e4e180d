//! Whether the homeserver knows the bridge and reaches it.

use super::Client;
use crate::domain::Finding;

impl Client {
    /// Whether there is a homeserver that takes the bridge's token and knows its bot. What was found; whether it makes sense to go
    /// on to [`check_ping`](Self::check_ping).
    pub async fn check(&self) -> (Vec<Finding>, bool) {
        let mut found = Vec::new();
        let address = &self.0.base;
        match self.versions().await {
            Ok(versions) => {
                let newest = versions.last().map_or("?", String::as_str);
                let software = self.software().await;
                let software = software.as_deref().unwrap_or("a homeserver");
                found.push(Finding::Good(format!(
                    "{software} at {address}, Matrix {newest}"
                )));
            }
            Err(error) => {
                found.push(Finding::bad(
                    format!("no homeserver at {address}: {error}"),
                    "is it running, and is homeserver.address its client API?",
                ));
                return (found, false);
            }
        }
        let bot = self.bot();
        if let Err(error) = bot.ensure_registered().await {
            found.push(Finding::bad(
                format!("the homeserver does not accept the bridge's token: {error}"),
                "give it the registration that `drawbridge registration` wrote for this configuration, and restart it",
            ));
            return (found, false);
        }
        found.push(match bot.whoami().await {
            Ok(who) if who == *self.bot_id() => {
                Finding::Good(format!("the homeserver knows the bot {who}"))
            }
            Ok(who) => Finding::bad(
                format!("the homeserver takes the bot for {who}"),
                "homeserver.domain has to be the homeserver's server_name",
            ),
            Err(error) => Finding::bad(
                format!("whoami: {error}"),
                "is the registration the one in use?",
            ),
        });
        (found, true)
    }

    /// Whether the homeserver reaches the bridge.
    pub async fn check_ping(&self) -> Finding {
        match self.ping().await {
            Ok(took) => Finding::Good(format!(
                "the homeserver reaches the bridge in {} ms",
                took.as_millis()
            )),
            Err(error) => Finding::bad(
                format!("the homeserver cannot reach the bridge: {error}"),
                "appservice.address has to lead from the homeserver's machine or container to appservice.listen here; after a change write the registration again and restart the homeserver",
            ),
        }
    }
}
