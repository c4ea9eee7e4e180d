//! What is written behind a command, checked before anything is done.

use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId};

use super::registry::{Argument, Entry, Kind};
use crate::domain::GatekeeperId;

/// A gatekeeper that can be named: its id, and its name for people.
pub(super) type Named = (GatekeeperId, String);

/// What is written behind a command.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Arguments {
    pub(super) gatekeeper: Option<GatekeeperId>,
    pub(super) room: Option<OwnedRoomId>,
    pub(super) user: Option<OwnedUserId>,
    pub(super) word: Option<&'static str>,
    pub(super) number: Option<i64>,
    pub(super) text: String,
    pub(super) confirmed: bool,
}

/// Reads what is written behind a command.
///
/// # Errors
/// Which argument is missing or wrong, and how it is written.
pub(super) fn read(entry: &Entry, rest: &str, gatekeepers: &[Named]) -> Result<Arguments, String> {
    let mut read = Arguments::default();
    let mut rest = rest.trim();
    if entry.takes.iter().any(|a| a.kind == Kind::Confirm)
        && let Some(before) = without_last(rest, "confirm")
    {
        read.confirmed = true;
        rest = before;
    }
    for argument in entry.takes {
        let (word, behind) = first(rest);
        let taken = match argument.kind {
            Kind::Confirm => continue,
            Kind::Text => {
                rest.clone_into(&mut read.text);
                rest = "";
                !read.text.is_empty()
            }
            Kind::Gatekeeper => {
                read.gatekeeper = named(word, gatekeepers);
                read.gatekeeper.is_some()
            }
            Kind::Room if word.starts_with('!') => {
                let room = RoomId::parse(word).map_err(|_| wrong(entry, argument, word))?;
                read.room = Some(room);
                true
            }
            Kind::User if word.starts_with('@') => {
                let user = UserId::parse(word).map_err(|_| wrong(entry, argument, word))?;
                read.user = Some(user);
                true
            }
            Kind::Word(words) => {
                let word = word.to_lowercase();
                read.word = words.iter().copied().find(|known| *known == word);
                read.word.is_some()
            }
            Kind::Number => {
                read.number = word.parse().ok();
                read.number.is_some()
            }
            Kind::Room | Kind::User => false,
        };
        if taken && argument.kind != Kind::Text {
            rest = behind;
        }
        if !taken && argument.needed {
            return Err(if word.is_empty() || argument.kind == Kind::Text {
                missing(entry, argument, gatekeepers)
            } else {
                not_one(entry, argument, word, gatekeepers)
            });
        }
    }
    if rest.is_empty() {
        return Ok(read);
    }
    let (word, _) = first(rest);
    // The first argument that could have been meant and was not found.
    let meant = entry.takes.iter().find(|argument| match argument.kind {
        Kind::Gatekeeper => read.gatekeeper.is_none(),
        Kind::Room => read.room.is_none(),
        Kind::User => read.user.is_none(),
        Kind::Word(_) => read.word.is_none(),
        Kind::Number => read.number.is_none(),
        Kind::Text | Kind::Confirm => false,
    });
    Err(match meant {
        Some(argument) => not_one(entry, argument, word, gatekeepers),
        None => explained(entry, &format!("{} is too much.", quoted(entry, word))),
    })
}

/// The first word, and what follows it.
fn first(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim_start())
}

fn without_last<'a>(text: &'a str, last: &str) -> Option<&'a str> {
    let at = text.rfind(char::is_whitespace).map_or(0, |at| at + 1);
    let word = text.get(at..)?;
    word.eq_ignore_ascii_case(last)
        .then(|| text[..at].trim_end())
}

/// The gatekeeper of an id or name.
pub(super) fn named(word: &str, gatekeepers: &[Named]) -> Option<GatekeeperId> {
    gatekeepers
        .iter()
        .find(|(id, name)| {
            id.as_str().eq_ignore_ascii_case(word) || name.eq_ignore_ascii_case(word)
        })
        .map(|(id, _)| id.clone())
}

/// The ids of gatekeepers, for a sentence.
pub(super) fn ids(gatekeepers: &[Named]) -> String {
    let ids: Vec<String> = gatekeepers
        .iter()
        .map(|(id, _)| format!("`{id}`"))
        .collect();
    ids.join(", ")
}

fn explained(entry: &Entry, what: &str) -> String {
    format!(
        "{what}\n\nWrite `{}`, such as `{}`.",
        entry.usage(),
        entry.example
    )
}

fn missing(entry: &Entry, argument: &Argument, gatekeepers: &[Named]) -> String {
    let what = match argument.kind {
        Kind::Gatekeeper => format!("Say which gatekeeper: {}.", ids(gatekeepers)),
        Kind::Room => "Say which room, by its id, which begins with `!`.".to_owned(),
        Kind::User => "Say whom, by the Matrix id, such as `@alice:example.org`.".to_owned(),
        Kind::Word(words) => format!("Say what: `{}`.", words.join("`, `")),
        Kind::Number => "Say which, by its number.".to_owned(),
        Kind::Text | Kind::Confirm => {
            format!("`{}` needs more: the {}.", entry.name, argument.name)
        }
    };
    explained(entry, &what)
}

fn not_one(entry: &Entry, argument: &Argument, word: &str, gatekeepers: &[Named]) -> String {
    let named = quoted(entry, word);
    let what = match argument.kind {
        Kind::Gatekeeper => format!("{named} is no gatekeeper. There is: {}.", ids(gatekeepers)),
        Kind::Word(words) => format!("{named} is none of `{}`.", words.join("`, `")),
        _ => return wrong(entry, argument, word),
    };
    explained(entry, &what)
}

fn wrong(entry: &Entry, argument: &Argument, word: &str) -> String {
    let how = match argument.kind {
        Kind::Room => "is no room id: those look like `!abc:example.org`.",
        Kind::User => "is no Matrix id: those look like `@alice:example.org`.",
        Kind::Number => "is no number.",
        _ => "is not understood.",
    };
    explained(entry, &format!("{} {how}", quoted(entry, word)))
}

/// A word as it may be repeated.
fn quoted(entry: &Entry, word: &str) -> String {
    if entry.is_secret {
        return "That".to_owned();
    }
    let plain: String = word
        .chars()
        .filter(|c| *c != '`' && !c.is_control())
        .take(80)
        .collect();
    format!("`{plain}`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::registry::{entries, find};

    fn gatekeepers() -> Vec<Named> {
        [("whatsapp", "WhatsApp"), ("messenger", "Messenger")]
            .map(|(id, name)| (GatekeeperId::parse(id).unwrap(), name.to_owned()))
            .into()
    }

    fn reads(line: &str) -> Result<Arguments, String> {
        let (name, rest) = first(line);
        read(find(name).unwrap(), rest, &gatekeepers())
    }

    #[test]
    fn every_example_is_understood() {
        for entry in entries() {
            if let Err(refusal) = reads(entry.example) {
                panic!("{}: {refusal}", entry.example);
            }
        }
    }

    #[test]
    fn what_has_to_be_there_is_missed_by_name() {
        for entry in entries() {
            let needs = entry.takes.iter().any(|argument| argument.needed);
            let read = read(entry, "", &gatekeepers());
            assert_eq!(read.is_err(), needs, "{}", entry.name);
            if let Err(refusal) = read {
                assert!(refusal.contains(entry.example), "{refusal}");
            }
        }
    }

    #[test]
    fn arguments_are_told_apart() {
        let link = reads("bridge !a:example.org WhatsApp +49 155 5550001").unwrap();
        assert_eq!(link.room.unwrap(), "!a:example.org");
        assert_eq!(link.gatekeeper.unwrap().as_str(), "whatsapp");
        assert_eq!(link.text, "+49 155 5550001");
        let here = reads("bridge +49 155 5550001").unwrap();
        assert_eq!((here.room, here.gatekeeper), (None, None));
        assert_eq!(here.text, "+49 155 5550001");
        let out = reads("logout whatsapp confirm").unwrap();
        assert!(out.confirmed && out.gatekeeper.is_some());
        assert!(reads("logout Confirm").unwrap().confirmed);
        let one = reads("quarantine RETRY 17").unwrap();
        assert_eq!((one.word, one.number), (Some("retry"), Some(17)));
    }

    #[test]
    fn a_wrong_argument_is_named() {
        for (line, says) in [
            (
                "login telegram",
                "`telegram` is no gatekeeper. There is: `whatsapp`, `messenger`.",
            ),
            ("login whatsapp please", "`please` is too much."),
            (
                "set-preferred-login",
                "Say which gatekeeper: `whatsapp`, `messenger`.",
            ),
            ("logout-user alice", "`alice` is no Matrix id"),
            ("doin #room:example.org id", "is no room id"),
            (
                "quarantine kill 3",
                "`kill` is none of `list`, `show`, `retry`, `drop`.",
            ),
            ("quarantine retry x", "`x` is no number."),
            ("start-chat whatsapp", "the phone or id."),
        ] {
            let refusal = reads(line).unwrap_err();
            assert!(refusal.contains(says), "{line}: {refusal}");
        }
    }
}
