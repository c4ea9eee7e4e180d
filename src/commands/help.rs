//! `help`, `version`, and what is said to a word that is no command.

use std::fmt::Write as _;

use super::{
    Reply,
    arguments::ids,
    call::Call,
    registry::{self, Entry, Group, Place},
};
use crate::config::Level;

/// Every command, or one.
pub(super) fn show(call: &Call<'_>) -> Reply {
    let about = call.arguments.text.to_lowercase();
    if about.is_empty() {
        let prefix = &call.bridge.settings().command_prefix;
        let mut text = all(call.level, prefix, call.said.is_private);
        let _ = write!(text, "\nGatekeepers: {}.", ids(&call.gatekeepers));
        return Ok(text);
    }
    match registry::find(&about).filter(|entry| entry.is_for(call.level)) {
        Some(entry) => Ok(one(entry)),
        None => Err(unknown(&about, call.level)),
    }
}

/// Every command somebody may use, by group.
fn all(level: Level, prefix: &str, is_private: bool) -> String {
    let mut text = if is_private {
        String::from("Write one of these, or `help` and its name for an example.\n")
    } else {
        format!(
            "Write `{prefix}` and one of these. Those marked * work in a direct chat with me alone.\n"
        )
    };
    for group in Group::ALL {
        let mut entries = registry::entries()
            .filter(|entry| entry.group == group && entry.is_for(level) && !entry.is_hidden)
            .peekable();
        if entries.peek().is_none() {
            continue;
        }
        // Writing to a string cannot fail.
        let _ = write!(text, "\n**{}**\n\n", group.name());
        for entry in entries {
            let mark = match entry.place {
                Place::Management if !is_private => "*",
                _ => "",
            };
            let _ = writeln!(text, "- `{}`{mark}: {}", entry.usage(), entry.does);
        }
        if let Some(more) = more(group, prefix) {
            let _ = writeln!(text, "\n{more}");
        }
    }
    text
}

/// What there is to say of a group besides its commands.
fn more(group: Group, prefix: &str) -> Option<String> {
    Some(match group {
        Group::Chats => {
            "A group is changed in its room as any other room is: invite and remove people, make them moderators, and set name, topic and picture."
                .to_owned()
        }
        Group::Linking => format!(
            "In a room that is not your chat with me, write `{prefix}` before a command, such as `{prefix} bridge +49 155 5550001`."
        ),
        _ => return None,
    })
}

/// One command.
fn one(entry: &Entry) -> String {
    let mut text = format!(
        "`{}`: {}.\n\nExample: `{}`",
        entry.usage(),
        entry.does,
        entry.example
    );
    if !entry.aliases.is_empty() {
        let _ = write!(text, "\n\nAlso: `{}`", entry.aliases.join("`, `"));
    }
    text.push_str(match entry.place {
        Place::Management => "\n\nIt works in a direct chat with me alone.",
        Place::Anywhere => "\n\nIt works in any room in which I am.",
    });
    if entry.for_admins {
        text.push_str(" Only admins of the bridge may use it.");
    }
    text
}

/// The version.
pub(super) fn version() -> String {
    format!("drawbridge {}", env!("CARGO_PKG_VERSION"))
}

/// An answer to a word that is no command, with the nearest that is one.
pub(super) fn unknown(word: &str, level: Level) -> String {
    match registry::nearest(word, level) {
        Some(name) => format!("There is no such command. Did you mean `{name}`?"),
        None => "There is no such command. Write `help` for those there are.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_shows_every_command_that_one_may_use() {
        let (user, admin) = (all(Level::User, "!d", true), all(Level::Admin, "!d", true));
        for entry in registry::entries().filter(|entry| !entry.is_hidden) {
            let line = format!("- `{}`: {}", entry.usage(), entry.does);
            assert!(admin.contains(&line), "{line}");
            assert_eq!(user.contains(&line), !entry.for_admins, "{line}");
        }
        assert!(!user.contains(Group::Administration.name()));
    }

    #[test]
    fn elsewhere_the_help_marks_what_is_private() {
        let text = all(Level::User, "!d", false);
        assert!(text.contains("- `list-logins`*: "), "{text}");
        assert!(text.contains("- `id [room]`: "), "{text}");
    }

    #[test]
    fn the_help_of_a_command_has_an_example() {
        for entry in registry::entries() {
            let text = one(entry);
            assert!(text.contains(&format!("Example: `{}`", entry.example)));
        }
    }

    #[test]
    fn a_word_that_is_no_command_is_not_guessed() {
        assert!(unknown("startchat", Level::User).contains("`start-chat`"));
        assert!(!unknown("hello there", Level::User).contains("Did you mean"));
    }
}
