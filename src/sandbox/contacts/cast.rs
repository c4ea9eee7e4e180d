//! The contacts the sandbox starts with, and what each of them does by itself.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    content::{Composed, Content, File, Target},
    message::Message,
    people::Deed,
    portrait::portrait,
};
use crate::{
    network::interop::wire::Jid,
    sandbox::{directory::NewGroup, disk::DiskError, flavour::Flavour, office::Office},
};

/// What a contact does by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Script {
    /// Nothing: a person at the page or a test speaks for it.
    Live,
    /// Answers each message with the same: a text, a file, a place. "react" gets a reaction as well, a poll a vote.
    Echo,
    /// Writes now and then once it was written to, and at once when asked to `say N`. Told "add me to the group", it puts the
    /// writer into the group of the cast.
    Chatty,
    /// Answers after a delay.
    Late,
    /// Is not connected until somebody switches it on.
    Offline,
    /// Has not opted in, and accepts a request after a moment; then it is an echo.
    Willing,
    /// Has not opted in, and declines requests after a moment.
    Unwilling,
    /// Has a picture, and changes what it shows when told to: `name …`, `picture`, `no picture`.
    Changing,
}

/// The first number of contacts that are added; Ofcom keeps +44 7700 900000 to 900999 for fiction.
const FIRST_PHONE: u64 = 447_700_900_100;
const LAST_PHONE: u64 = 447_700_900_999;
/// The first id of Messenger contacts that are added.
const FIRST_MESSENGER: u64 = 100_000_000_001_000;
const LAST_MESSENGER: u64 = 100_000_000_999_999;

/// Who is there from the start.
pub(super) const CAST: [(Flavour, u64, &str, Script); 15] = [
    (
        Flavour::WhatsApp,
        447_700_900_001,
        "Edda Echo",
        Script::Echo,
    ),
    (
        Flavour::WhatsApp,
        447_700_900_002,
        "Charlie Chatty",
        Script::Chatty,
    ),
    (
        Flavour::WhatsApp,
        447_700_900_003,
        "Lena Late",
        Script::Late,
    ),
    (
        Flavour::WhatsApp,
        447_700_900_004,
        "Otis Offline",
        Script::Offline,
    ),
    (
        Flavour::WhatsApp,
        447_700_900_005,
        "Livia Live",
        Script::Live,
    ),
    (
        Flavour::WhatsApp,
        447_700_900_006,
        "Liam Live",
        Script::Live,
    ),
    (
        Flavour::WhatsApp,
        447_700_900_007,
        "Willa Willing",
        Script::Willing,
    ),
    (
        Flavour::WhatsApp,
        447_700_900_008,
        "Ugo Unwilling",
        Script::Unwilling,
    ),
    (
        Flavour::WhatsApp,
        447_700_900_009,
        "Chloe Changing",
        Script::Changing,
    ),
    (
        Flavour::Messenger,
        100_000_000_000_001,
        "Emil Echo",
        Script::Echo,
    ),
    (
        Flavour::Messenger,
        100_000_000_000_002,
        "Cora Chatty",
        Script::Chatty,
    ),
    (
        Flavour::Messenger,
        100_000_000_000_003,
        "Lotte Live",
        Script::Live,
    ),
    (
        Flavour::Messenger,
        100_000_000_000_004,
        "Willem Willing",
        Script::Willing,
    ),
    (
        Flavour::Messenger,
        100_000_000_000_005,
        "Ursula Unwilling",
        Script::Unwilling,
    ),
    (
        Flavour::Messenger,
        100_000_000_000_006,
        "Chris Changing",
        Script::Changing,
    ),
];

/// The users of the Partner the sandbox plays.
pub(super) const OTHERS: [(Flavour, &str, &str, Script); 3] = [
    (
        Flavour::WhatsApp,
        "@ivy:other.example",
        "Ivy Other",
        Script::Live,
    ),
    (
        Flavour::WhatsApp,
        "@oscar:other.example",
        "Oscar Other",
        Script::Live,
    ),
    (
        Flavour::Messenger,
        "@ivy:other.example",
        "Ivy Other",
        Script::Live,
    ),
];

/// The group of the cast, and who is in it: first who made it.
const GROUP: (&str, [u64; 3]) = (
    "Sandbox neighbours",
    [447_700_900_002, 447_700_900_001, 447_700_900_003],
);

/// Makes the group of the cast, if it is not there.
pub(super) async fn make_group(office: &Arc<Office>) -> Result<(), DiskError> {
    let (subject, members) = GROUP;
    let members = members.map(|number| jid_of(Flavour::WhatsApp, number));
    let now = office.now().0;
    let ((), done) = office.step(|directory, step| {
        let [creator, ..] = &members;
        let key = "cast";
        if directory.accounts.contains_key(creator) && directory.group_made(creator, key).is_none()
        {
            let new = NewGroup {
                creator,
                flavour: Flavour::WhatsApp,
                key,
                subject,
                members: &members,
            };
            directory.create_group(&new, now, step);
        }
    });
    done.await
}

/// The numbers contacts are added with.
pub(super) fn numbers(flavour: Flavour) -> std::ops::RangeInclusive<u64> {
    match flavour {
        Flavour::WhatsApp => FIRST_PHONE..=LAST_PHONE,
        Flavour::Messenger => FIRST_MESSENGER..=LAST_MESSENGER,
    }
}

/// The address of a number.
pub(super) fn jid_of(flavour: Flavour, number: u64) -> Jid {
    Jid::user(number.to_string(), flavour.user_server())
}

/// How long after a message the chatty contact writes again, and how often.
const CHATTY_EVERY: Duration = Duration::from_secs(45);
/// What the chatty contact is told to put the writer into the group.
const ADD_ME: &str = "add me to the group";
/// How long a contact thinks about a request at most.
pub(super) const MOMENT: Duration = Duration::from_secs(2);
/// The most messages one `say N` asks for.
const MOST_ON_REQUEST: u32 = 200;

const SMALL_TALK: [&str; 6] = [
    "By the way, did you see the moon last night?",
    "I have just made tea. Would you like some?",
    "My cat sat on the keyboard again.",
    "Remind me to tell you about the train tomorrow.",
    "It is raining here. It always rains here.",
    "Well, I will let you work.",
];

/// What a contact will say, and when.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    pub(super) after: Duration,
    pub(super) saying: Saying,
}

/// What a contact says by itself.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Saying {
    /// A message.
    Message(Box<Composed>),
    /// Nothing: who wrote is put into a group.
    AddToGroup,
    /// The file of a message that came, with its caption.
    SendBack(Box<File>, String),
    /// Nothing, but it does something to its account.
    Does(Deed),
}

impl Script {
    /// Whether a contact is connected from the start.
    pub(super) fn starts_online(self) -> bool {
        self != Self::Offline
    }

    /// Whether it reads what comes by itself.
    pub(super) fn reads(self) -> bool {
        !matches!(self, Self::Live | Self::Offline)
    }

    /// Whether Partners' users may write to a contact from the start.
    pub(super) fn starts_opted_in(self) -> bool {
        !matches!(self, Self::Willing | Self::Unwilling)
    }

    /// What it answers to a message.
    pub(super) fn answers(self, message: &Message, late_by: Duration) -> Vec<Line> {
        let text = message.text.as_str();
        if !message.is_shown() {
            return Vec::new();
        }
        match self {
            Self::Live | Self::Offline | Self::Unwilling => Vec::new(),
            Self::Echo | Self::Willing => echo(message),
            Self::Changing => change(text),
            Self::Late if text.is_empty() => vec![line(late_by, "Sorry, I only saw this now.")],
            Self::Late => vec![line(
                late_by,
                &format!("Sorry, I only saw this now: {text}"),
            )],
            Self::Chatty => chat(text),
        }
    }
}

fn line(after: Duration, text: &str) -> Line {
    Line {
        after,
        saying: Saying::Message(Box::new(Composed::text(text))),
    }
}

/// The same back. A message that says "react" gets a reaction as well, and of a poll the first option is chosen.
fn echo(message: &Message) -> Vec<Line> {
    let say = |composed: Composed| Line {
        after: Duration::ZERO,
        saying: Saying::Message(Box::new(composed)),
    };
    let target = Target {
        id: message.id.clone(),
        own: false,
    };
    match &message.content {
        Content::File(file) => vec![Line {
            after: Duration::ZERO,
            saying: Saying::SendBack(Box::new(file.clone()), message.text.clone()),
        }],
        content @ (Content::Location(_) | Content::Contacts { .. }) => {
            vec![say(Composed::of(content.clone()))]
        }
        Content::Poll(poll) => vec![say(Composed::of(Content::Vote {
            poll: target,
            choices: Some(poll.options.iter().take(1).cloned().collect()),
        }))],
        Content::Timer { .. } => Vec::new(),
        _ => {
            let mut lines = vec![line(Duration::ZERO, &message.text)];
            if message.text.trim().eq_ignore_ascii_case("react") {
                let reaction = Composed {
                    text: "👍".to_owned(),
                    ..Composed::of(Content::Reaction { to: target })
                };
                lines.insert(0, say(reaction));
            }
            lines
        }
    }
}

/// What a contact does to its account when it is told to, and that it did.
fn change(text: &str) -> Vec<Line> {
    let text = text.trim();
    let lower = text.to_lowercase();
    let (deed, said) = match lower.as_str() {
        "picture" => {
            let colour: [u8; 3] = rand::random();
            (Deed::Picture(portrait(colour)), "I look different now.")
        }
        "no picture" => (Deed::Picture(Vec::new()), "Nobody sees me now."),
        _ => match text
            .get(..5)
            .filter(|word| word.eq_ignore_ascii_case("name "))
        {
            Some(_) => (
                Deed::Name(text[5..].trim().to_owned()),
                "That is my name now.",
            ),
            None => {
                return vec![line(
                    Duration::ZERO,
                    "Tell me: name …, picture, no picture.",
                )];
            }
        },
    };
    let does = Line {
        after: Duration::ZERO,
        saying: Saying::Does(deed),
    };
    vec![does, line(Duration::ZERO, said)]
}

/// Small talk, or as many messages as were asked for.
fn chat(text: &str) -> Vec<Line> {
    let asked = text
        .trim()
        .strip_prefix("say ")
        .and_then(|n| n.trim().parse::<u32>().ok());
    if let Some(count) = asked {
        let numbered = |n| format!("Message {n} of {count}, as you asked.");
        return (1..=count.min(MOST_ON_REQUEST))
            .map(|n| line(Duration::ZERO, &numbered(n)))
            .collect();
    }
    if text.trim().eq_ignore_ascii_case(ADD_ME) {
        let add = Line {
            after: Duration::ZERO,
            saying: Saying::AddToGroup,
        };
        return vec![add, line(Duration::ZERO, "Done. See you there!")];
    }
    let first = line(Duration::ZERO, "Hello! I was just about to write to you.");
    let talk = SMALL_TALK
        .iter()
        .zip(1..)
        .map(|(text, n)| line(CHATTY_EVERY * n, text));
    std::iter::once(first).chain(talk).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chatty_contact_counts_as_far_as_it_is_asked_to() {
        let said = chat("say 3");
        assert_eq!(said.len(), 3);
        assert!(said.iter().all(|line| line.after == Duration::ZERO));
        assert_eq!(chat("say 999999").len(), 200);
    }

    #[test]
    fn every_number_of_the_start_is_outside_the_numbers_that_are_added() {
        for (flavour, number, _, _) in CAST {
            assert!(!numbers(flavour).contains(&number));
        }
    }
}
