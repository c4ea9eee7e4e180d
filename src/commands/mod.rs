//! Commands in the management room: the first line of a message, its first word the command.
//!
//! Answers are Markdown and say what to do next. A command may be carried out again after a crash, so each is one that can be.

mod chats;
mod help;
mod logins;
mod settings;

use std::sync::{Arc, Weak};

use async_trait::async_trait;
use ruma::UserId;

use crate::{
    bridge::{Bridge, CommandContext, Commands},
    config::Level,
    domain::GatekeeperId,
    network::Network,
    store::LoginRow,
};

/// The commands of the management room.
pub struct ManagementCommands {
    bridge: Weak<Bridge>,
}

impl ManagementCommands {
    /// Commands for a bridge.
    #[must_use]
    pub fn new(bridge: &Arc<Bridge>) -> Self {
        Self {
            bridge: Arc::downgrade(bridge),
        }
    }
}

/// One command's words.
struct Words<'a> {
    command: String,
    rest: &'a str,
}

/// The first line's first word in lower case, and what follows it.
fn parse(body: &str) -> Words<'_> {
    let line = body.lines().next().unwrap_or_default().trim();
    let line = line.strip_prefix('!').unwrap_or(line);
    let (command, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    Words {
        command: command.to_lowercase(),
        rest: rest.trim(),
    }
}

#[async_trait]
impl Commands for ManagementCommands {
    async fn answer(&self, context: CommandContext) -> String {
        let Some(bridge) = self.bridge.upgrade() else {
            return "The bridge is stopping; try again in a minute.".to_owned();
        };
        let words = parse(&context.body);
        if bridge.level(&context.sender) < Level::User {
            return "You may not use this bridge. Ask whoever runs it to add you to `bridge.permissions`."
                .to_owned();
        }
        let answer = match words.command.as_str() {
            "help" => Ok(help::all(&bridge, words.rest)),
            "login" => logins::log_in(&bridge, &context.sender, words.rest).await,
            "logout" => logins::log_out(&bridge, &context.sender, words.rest).await,
            "list-logins" => logins::list(&bridge, &context.sender).await,
            "start-chat" => chats::start(&bridge, &context.sender, words.rest).await,
            "chat-settings" => settings::change(&bridge, &context.sender, &context.event_id, words.rest).await,
            "ping" => logins::ping(&bridge, &context.sender).await,
            "version" => Ok(help::version()),
            "encrypted" => Ok("I cannot read encrypted rooms yet. Start a chat with me in which encryption is off.".to_owned()),
            unknown => Ok(help::unknown(unknown)),
        };
        answer.unwrap_or_else(|refusal| refusal)
    }
}

/// A gatekeeper by the name or id a user wrote; the only one if they wrote none.
fn chosen<'a>(bridge: &'a Bridge, name: &str) -> Result<&'a Arc<dyn Network>, String> {
    let mut all = bridge.networks();
    if name.is_empty() {
        return match (all.next(), all.next()) {
            (Some(only), None) => Ok(only),
            (None, _) => Err(
                "No gatekeeper is configured; add one to `gatekeepers` in the configuration."
                    .to_owned(),
            ),
            (Some(_), Some(_)) => Err(format!("Say which: {}.", names(bridge))),
        };
    }
    bridge
        .networks()
        .find(|network| {
            network.id().as_str().eq_ignore_ascii_case(name)
                || bridge
                    .gatekeeper_name(network.id())
                    .eq_ignore_ascii_case(name)
        })
        .ok_or_else(|| {
            format!(
                "There is no gatekeeper of that name. There is: {}.",
                names(bridge)
            )
        })
}

fn names(bridge: &Bridge) -> String {
    let ids: Vec<String> = bridge
        .networks()
        .map(|network| format!("`{}`", network.id()))
        .collect();
    ids.join(", ")
}

/// Everything a user is logged in to.
async fn logins_of(bridge: &Bridge, user: &UserId) -> Result<Vec<LoginRow>, String> {
    let mxid = user.to_string();
    bridge
        .database()
        .read(move |txn| {
            let mxid = mxid.clone();
            Box::pin(async move { txn.logins_of(&mxid).await })
        })
        .await
        .map_err(|error| format!("The bridge's database failed ({error}); nothing was changed. Try again, and tell whoever runs the bridge if it stays."))
}

/// The gatekeeper of an id, if it is configured.
fn network_of<'a>(bridge: &'a Bridge, id: &GatekeeperId) -> Option<&'a Arc<dyn Network>> {
    bridge.networks().find(|network| network.id() == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_line_is_a_command() {
        let words = parse("  Start-Chat  +49 1555 5550001 \nlogout");
        assert_eq!(
            (words.command.as_str(), words.rest),
            ("start-chat", "+49 1555 5550001")
        );
        assert_eq!(parse("!help").command, "help");
        assert_eq!(parse("\nlogout").command, "");
        assert_eq!(parse("").command, "");
    }
}
