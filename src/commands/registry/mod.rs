//! Every command there is: its name, what it takes, who may use it and where, and the words that explain it.

mod admin;
mod chats;
mod general;
mod people;

use std::fmt::Write as _;

use crate::config::Level;

/// A command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Verb {
    Help,
    Version,
    Ping,
    Cancel,
    Accept,
    Confirm,
    SetManagementRoom,
    Encrypted,
    Login,
    Logout,
    Relogin,
    ListLogins,
    SetPreferredLogin,
    SetName,
    StartChat,
    CreateGroup,
    CreatePortal,
    ChatSettings,
    Id,
    SyncPortal,
    SyncGroups,
    DiscardKeys,
    DeleteChat,
    DeletePortal,
    DeleteAllPortals,
    ResolveIdentifier,
    Contacts,
    Search,
    NameContact,
    Block,
    Unblock,
    ListBlocked,
    RequestReachability,
    ListRequests,
    Link,
    Unlink,
    SetRelay,
    UnsetRelay,
    LoginMatrix,
    LogoutMatrix,
    PingMatrix,
    ClaimAccount,
    UnclaimAccount,
    Status,
    ListUsers,
    ListAllLogins,
    LogoutUser,
    CleanUp,
    Quarantine,
    Doctor,
    Sudo,
    Doin,
}

/// What a command is about; the headings of the help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    General,
    Logins,
    Chats,
    People,
    Linking,
    Relay,
    Puppets,
    Administration,
}

impl Group {
    /// In the order of the help.
    pub(super) const ALL: [Self; 8] = [
        Self::General,
        Self::Logins,
        Self::Chats,
        Self::People,
        Self::Linking,
        Self::Relay,
        Self::Puppets,
        Self::Administration,
    ];

    /// The heading.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::General => "General",
            Self::Logins => "Logins",
            Self::Chats => "Chats and groups",
            Self::People => "People",
            Self::Linking => "Linking rooms",
            Self::Relay => "Relay",
            Self::Puppets => "Double puppeting",
            Self::Administration => "Administration",
        }
    }
}

/// What an argument is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The id or name of a gatekeeper.
    Gatekeeper,
    /// The id of a room; without one, the room the command is written in.
    Room,
    /// A Matrix user.
    User,
    /// One of some words.
    Word(&'static [&'static str]),
    /// A number.
    Number,
    /// Everything that is left.
    Text,
    /// Whether the last word is `confirm`.
    Confirm,
}

/// An argument of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Argument {
    pub(super) kind: Kind,
    /// What it is called in the help.
    pub(super) name: &'static str,
    /// Whether it has to be there.
    pub(super) needed: bool,
}

const fn optional(kind: Kind, name: &'static str) -> Argument {
    Argument {
        kind,
        name,
        needed: false,
    }
}

const fn needed(kind: Kind, name: &'static str) -> Argument {
    Argument {
        kind,
        name,
        needed: true,
    }
}

/// A gatekeeper, if it is not the only or the preferred one.
const GATEKEEPER: Argument = optional(Kind::Gatekeeper, "gatekeeper");
/// A room, if it is not the one the command is written in.
const ROOM: Argument = optional(Kind::Room, "room");
/// `confirm`, to be asked nothing.
const CONFIRM: Argument = optional(Kind::Confirm, "confirm");

/// Where a command is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In the management room alone: it shows or takes what is private.
    Management,
    /// There and in every room with the bot.
    Anywhere,
}

/// What there is to know of a command.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) verb: Verb,
    pub(super) name: &'static str,
    pub(super) aliases: &'static [&'static str],
    pub(super) group: Group,
    pub(super) takes: &'static [Argument],
    /// What it does, as it follows a colon.
    pub(super) does: &'static str,
    pub(super) example: &'static str,
    pub(super) place: Place,
    /// Whether only admins may use it.
    pub(super) for_admins: bool,
    /// Whether its arguments are a secret: they are never repeated, and the message is taken out of the room.
    pub(super) is_secret: bool,
    /// Whether it is left out of the help.
    pub(super) is_hidden: bool,
}

impl Entry {
    const fn new(verb: Verb, group: Group, name: &'static str) -> Self {
        Self {
            verb,
            name,
            aliases: &[],
            group,
            takes: &[],
            does: "",
            example: name,
            place: Place::Anywhere,
            for_admins: matches!(group, Group::Administration),
            is_secret: false,
            is_hidden: false,
        }
    }

    const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    const fn takes(mut self, takes: &'static [Argument]) -> Self {
        self.takes = takes;
        self
    }

    const fn does(mut self, does: &'static str) -> Self {
        self.does = does;
        self
    }

    const fn example(mut self, example: &'static str) -> Self {
        self.example = example;
        self
    }

    const fn private(mut self) -> Self {
        self.place = Place::Management;
        self
    }

    const fn secret(mut self) -> Self {
        self.is_secret = true;
        self
    }

    const fn hidden(mut self) -> Self {
        self.is_hidden = true;
        self
    }

    /// Whether somebody may use it.
    pub(super) fn is_for(&self, level: Level) -> bool {
        level
            >= if self.for_admins {
                Level::Admin
            } else {
                Level::User
            }
    }

    /// The name with the arguments: `<needed>`, `[may be left out]`.
    pub(super) fn usage(&self) -> String {
        let mut text = self.name.to_owned();
        for argument in self.takes {
            let name = match argument.kind {
                Kind::Word(words) => words.join("|"),
                _ => argument.name.to_owned(),
            };
            // Writing to a string cannot fail.
            let _ = if argument.needed {
                write!(text, " <{name}>")
            } else {
                write!(text, " [{name}]")
            };
        }
        text
    }
}

/// Every command, in the order of the help.
pub(super) fn entries() -> impl Iterator<Item = &'static Entry> {
    [
        general::ENTRIES,
        chats::ENTRIES,
        people::ENTRIES,
        admin::ENTRIES,
    ]
    .into_iter()
    .flatten()
}

/// The command of a name or alias, in lower case.
pub(super) fn find(name: &str) -> Option<&'static Entry> {
    entries().find(|entry| entry.name == name || entry.aliases.contains(&name))
}

/// The command that a misspelt name is nearest to, among those somebody may use.
pub(super) fn nearest(word: &str, level: Level) -> Option<&'static str> {
    let (far, name) = entries()
        .filter(|entry| entry.is_for(level) && !entry.is_hidden)
        .flat_map(|entry| {
            std::iter::once(entry.name)
                .chain(entry.aliases.iter().copied())
                .map(|name| (distance(word, name), entry.name))
        })
        .min()?;
    // In a short word two letters are most of it.
    let bound = if word.chars().count() < 5 { 1 } else { 2 };
    (far <= bound).then_some(name)
}

/// Levenshtein's edit distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().take(40).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_commands_share_a_name() {
        let mut seen = BTreeSet::new();
        for entry in entries() {
            for name in std::iter::once(&entry.name).chain(entry.aliases) {
                assert!(seen.insert(*name), "`{name}` is there twice");
                assert_eq!(find(name).map(|found| found.verb), Some(entry.verb));
                assert_eq!(*name, name.to_lowercase());
            }
        }
    }

    #[test]
    fn every_command_is_explained() {
        let mut verbs = Vec::new();
        for entry in entries() {
            assert!(
                !verbs.contains(&entry.verb),
                "{} is there twice",
                entry.name
            );
            verbs.push(entry.verb);
            assert!(!entry.does.is_empty(), "{} says nothing", entry.name);
            assert!(!entry.does.ends_with('.'), "{}: {}", entry.name, entry.does);
            let first = entry.example.split(' ').next();
            assert_eq!(first, Some(entry.name), "{}", entry.example);
        }
    }

    #[test]
    fn what_takes_everything_that_is_left_comes_last() {
        for entry in entries() {
            let texts = entry.takes.iter().filter(|a| a.kind == Kind::Text);
            assert!(texts.count() <= 1, "{}", entry.name);
            let mut kinds = entry.takes.iter().map(|a| a.kind);
            kinds.by_ref().find(|kind| *kind == Kind::Text);
            assert!(
                kinds.all(|kind| kind == Kind::Confirm),
                "{} takes something after its text",
                entry.name
            );
        }
    }

    #[test]
    fn a_near_miss_suggests_and_a_far_one_does_not_guess() {
        for (typed, meant) in [
            ("startchat", "start-chat"),
            ("strat-chat", "start-chat"),
            ("lgoin", "login"),
            ("hlp", "help"),
            ("set-rely", "set-relay"),
        ] {
            assert_eq!(nearest(typed, Level::User), Some(meant), "{typed}");
        }
        for typed in ["hi", "there", "thanks", "a", ""] {
            assert_eq!(nearest(typed, Level::Admin), None, "{typed}");
        }
    }

    #[test]
    fn what_only_admins_may_use_is_suggested_to_them_alone() {
        assert_eq!(nearest("list-user", Level::Admin), Some("list-users"));
        assert_eq!(nearest("list-user", Level::User), None);
    }
}
