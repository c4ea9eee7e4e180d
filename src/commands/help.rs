//! `help`, `version`, and what is said to a word that is no command.

use std::fmt::Write as _;

use super::names;
use crate::bridge::Bridge;

/// A command's name, its arguments, what it does, and an example.
struct Entry(&'static str, &'static str, &'static str, &'static str);

const ENTRIES: &[Entry] = &[
    Entry(
        "login",
        "[gatekeeper]",
        "connect your Matrix account to a gatekeeper",
        "login whatsapp",
    ),
    Entry(
        "logout",
        "[gatekeeper]",
        "delete your account there and everything the bridge keeps for it",
        "logout whatsapp",
    ),
    Entry(
        "list-logins",
        "",
        "show what you are logged in to and whether the connection works",
        "list-logins",
    ),
    Entry(
        "start-chat",
        "[gatekeeper] <phone or id>",
        "open a room for a chat with somebody",
        "start-chat +49 155 5550001",
    ),
    Entry(
        "chat-settings",
        "<phone, id or room id> [receipts|typing|presence|timer] [on|off|default|7d]",
        "show or change what is passed on in one chat, and after what time its messages disappear",
        "chat-settings +49 155 5550001 receipts off",
    ),
    Entry(
        "ping",
        "",
        "check the way to each of your gatekeepers",
        "ping",
    ),
    Entry("version", "", "show the version of the bridge", "version"),
    Entry(
        "help",
        "[command]",
        "show this, or one command with an example",
        "help start-chat",
    ),
];

/// Every command, or one.
pub(super) fn all(bridge: &Bridge, about: &str) -> String {
    if let Some(Entry(name, arguments, does, example)) =
        ENTRIES.iter().find(|entry| entry.0 == about.to_lowercase())
    {
        return format!("`{name} {arguments}`: {does}.\n\nExample: `{example}`");
    }
    let mut text = String::from("Write one of these:\n\n");
    for Entry(name, arguments, does, _) in ENTRIES {
        let usage = format!("{name} {arguments}");
        let _ = writeln!(text, "- `{}`: {does}", usage.trim_end());
    }
    let _ = write!(text, "\nGatekeepers: {}.", names(bridge));
    text
}

/// The version.
pub(super) fn version() -> String {
    format!("drawbridge {}", env!("CARGO_PKG_VERSION"))
}

/// An answer to a word that is no command, with the nearest that is one.
pub(super) fn unknown(word: &str) -> String {
    let nearest = ENTRIES
        .iter()
        .map(|entry| (distance(word, entry.0), entry.0))
        .min();
    match nearest {
        Some((far, name)) if far <= 2 => {
            format!("There is no such command. Did you mean `{name}`?")
        }
        _ => "There is no such command. Write `help` for those there are.".to_owned(),
    }
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
    use super::*;

    #[test]
    fn a_near_miss_suggests_and_a_far_one_does_not_guess() {
        assert!(unknown("startchat").contains("`start-chat`"));
        assert!(unknown("lgoin").contains("`login`"));
        assert!(!unknown("hello there").contains("Did you mean"));
    }
}
