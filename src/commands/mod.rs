//! Commands: the first line of a message, its first word the command; in the management room, and elsewhere behind a prefix.
//!
//! Every command is an entry of the [`registry`]; its arguments are checked before anything is done. Answers are Markdown, begin
//! with what became of it, and say what to do next. A command may be carried out again after a crash, so each is one that can be.

mod admin;
mod arguments;
mod call;
mod chats;
mod conversation;
mod deleting;
mod dialogue;
mod help;
mod linking;
mod logins;
mod logout;
mod people;
mod puppets;
mod registry;
mod settings;
mod whom;

use std::sync::{Arc, Weak};

use async_trait::async_trait;
use futures_util::future::BoxFuture;

use self::{
    call::{Call, Said},
    registry::{Entry, Place, Verb},
};
use crate::{
    bridge::{Bridge, CommandContext, Commands},
    config::Level,
    store::StoreError,
};

/// What somebody is answered: what was done, or why not.
type Reply = Result<String, String>;

/// The commands of the bridge.
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

#[async_trait]
impl Commands for ManagementCommands {
    async fn answer(&self, context: CommandContext) -> String {
        let Some(bridge) = self.bridge.upgrade() else {
            return "The bridge is stopping; try again in a minute.".to_owned();
        };
        if bridge.level(&context.sender) < Level::User {
            return "You may not use this bridge. Ask whoever runs it to add you to `bridge.permissions`."
                .to_owned();
        }
        let said = Said {
            sender: context.sender,
            here: (!context.is_private).then(|| context.room_id.clone()),
            answered_in: context.room_id,
            is_private: context.is_private,
            event_id: context.event_id,
        };
        dialogue::answer(&bridge, &said, &context.body)
            .await
            .unwrap_or_else(|refusal| refusal)
    }
}

/// The first line's first word in lower case, and what follows it.
fn words(body: &str) -> (String, &str) {
    let line = body.lines().next().unwrap_or_default().trim();
    let line = line.strip_prefix('!').unwrap_or(line);
    let (command, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    (command.to_lowercase(), rest.trim())
}

/// Carries out a command once its arguments are read.
fn carry_out<'a>(call: &'a Call<'a>) -> BoxFuture<'a, Reply> {
    Box::pin(async move {
        match call.entry.verb {
            Verb::Help => help::show(call),
            Verb::Version => Ok(help::version()),
            Verb::Encrypted => Ok("I cannot read encrypted rooms yet. Start a chat with me in which encryption is off.".to_owned()),
            Verb::Cancel => Err("There is nothing to cancel.".to_owned()),
            Verb::Accept | Verb::Confirm => {
                Err("I have not asked you anything. Write `help` for what I understand.".to_owned())
            }
            Verb::SetManagementRoom => logins::set_management_room(call).await,
            Verb::Ping => logins::ping(call).await,
            Verb::Login => logins::log_in(call).await,
            Verb::Logout => logout::log_out(call).await,
            Verb::Relogin => logins::log_in_again(call).await,
            Verb::ListLogins => logins::list(call).await,
            Verb::SetPreferredLogin => logins::prefer(call).await,
            Verb::SetName => logins::set_name(call).await,
            Verb::StartChat => chats::start(call).await,
            Verb::CreateGroup => chats::create_group(call).await,
            Verb::CreatePortal => chats::create_portal(call).await,
            Verb::ChatSettings => settings::change(call).await,
            Verb::Id => chats::show_id(call).await,
            Verb::DiscardKeys => chats::discard_keys(call).await,
            Verb::SyncPortal => chats::sync_portal(call).await,
            Verb::SyncGroups => chats::sync_groups(call).await,
            Verb::DeleteChat => deleting::delete_chat(call).await,
            Verb::DeletePortal => deleting::delete_portal(call).await,
            Verb::DeleteAllPortals => deleting::delete_all(call).await,
            Verb::ResolveIdentifier => people::resolve(call).await,
            Verb::Contacts | Verb::Search => people::contacts(call).await,
            Verb::NameContact => people::name(call).await,
            Verb::Block => people::block(call, true).await,
            Verb::Unblock => people::block(call, false).await,
            Verb::ListBlocked => people::list_blocked(call).await,
            Verb::RequestReachability => people::request(call).await,
            Verb::ListRequests => people::list_requests(call).await,
            Verb::Link => linking::link(call).await,
            Verb::Unlink => linking::unlink(call).await,
            Verb::SetRelay => linking::set_relay(call).await,
            Verb::UnsetRelay => linking::unset_relay(call).await,
            Verb::LoginMatrix => puppets::log_in(call).await,
            Verb::LogoutMatrix => puppets::log_out(call).await,
            Verb::PingMatrix => puppets::ping(call).await,
            Verb::ClaimAccount => puppets::claim(call).await,
            Verb::UnclaimAccount => puppets::unclaim(call).await,
            Verb::Status => admin::status(call).await,
            Verb::ListUsers => admin::list_users(call).await,
            Verb::ListAllLogins => admin::list_logins(call).await,
            Verb::LogoutUser => logout::log_out_user(call).await,
            Verb::CleanUp => admin::clean_up(call).await,
            Verb::Quarantine => admin::quarantine(call).await,
            Verb::Doctor => admin::doctor(call).await,
            Verb::Sudo => admin::sudo(call).await,
            Verb::Doin => admin::doin(call).await,
        }
    })
}

/// Carries out what is written in a line, if it is a command that this user may use here.
async fn run(bridge: &Bridge, said: &Said, line: &str) -> Reply {
    let (name, rest) = words(line);
    let level = bridge.level(&said.sender);
    let Some(entry) = registry::find(&name).filter(|entry| entry.is_for(level)) else {
        return Err(help::unknown(&name, level));
    };
    if let Some(refusal) = refused_here(bridge, said, entry, rest).await? {
        return Err(refusal);
    }
    let gatekeepers = gatekeepers(bridge);
    let arguments = arguments::read(entry, rest, &gatekeepers)?;
    carry_out(&Call {
        bridge,
        said,
        entry,
        level,
        gatekeepers,
        arguments,
    })
    .await
}

/// Why a command is not answered where it was written.
async fn refused_here(
    bridge: &Bridge,
    said: &Said,
    entry: &Entry,
    rest: &str,
) -> Result<Option<String>, String> {
    if said.is_private || entry.place == Place::Anywhere {
        return Ok(None);
    }
    if entry.is_secret && !rest.is_empty() {
        let hidden = bridge
            .hide_message(&said.answered_in, &said.event_id)
            .await
            .map_err(|error| format!("{error}."))?;
        let also = if hidden { "" } else { " Delete your message." };
        return Ok(Some(format!(
            "Others may have read that here, so it was not used.{also} Log that session out in your client, and write to {} directly.",
            bridge.bot().user_id()
        )));
    }
    Ok(Some(format!(
        "`{}` is private: write it in a direct chat with {}.",
        entry.name,
        bridge.bot().user_id()
    )))
}

/// The gatekeepers, with their names for people.
fn gatekeepers(bridge: &Bridge) -> Vec<arguments::Named> {
    bridge
        .networks()
        .map(|network| {
            let id = network.id();
            (id.clone(), bridge.gatekeeper_name(id).to_owned())
        })
        .collect()
}

/// What is said when the store fails.
fn say_store(error: &StoreError) -> String {
    format!(
        "The bridge's database failed ({error}). Try again, and tell whoever runs the bridge if it stays."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_line_is_a_command() {
        assert_eq!(
            words("  Start-Chat  +49 1555 5550001 \nlogout"),
            ("start-chat".to_owned(), "+49 1555 5550001")
        );
        assert_eq!(words("!help").0, "help");
        assert_eq!(words("\nlogout").0, "");
        assert_eq!(words("").0, "");
    }
}
