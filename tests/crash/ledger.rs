//! What was written in each chat, and so what both sides have to show in the end.

use std::collections::BTreeMap;

use drawbridge::domain::MediaKind;

/// Which way a message goes, and so whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Way {
    /// From the Matrix user to the contact.
    Out,
    /// From the contact to the Matrix user.
    In,
}

impl Way {
    /// Both.
    pub(crate) const BOTH: [Self; 2] = [Self::Out, Self::In];

    /// As messages name it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Out => "out",
            Self::In => "in",
        }
    }
}

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A text.
    Text,
    /// A file, with a text under it where its kind has one.
    File(MediaKind),
    /// A place.
    Location,
    /// A contact card.
    Contact,
    /// A poll.
    Poll,
}

/// Whether files of a kind have a text under them.
pub(crate) fn has_caption(kind: MediaKind) -> bool {
    matches!(kind, MediaKind::Image | MediaKind::File)
}

/// A message of a chat by its way and number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) way: Way,
    pub(crate) number: usize,
}

/// A message as both sides have to show it.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub(crate) kind: Kind,
    /// Its id on the side where it was written.
    pub(crate) id: String,
    /// What it says now; nothing if it is a file without a text.
    pub(crate) text: String,
    /// How often it was changed.
    pub(crate) edits: usize,
    pub(crate) is_deleted: bool,
    /// Whether its file has to be asked for again.
    pub(crate) is_vanishing: bool,
    /// What it answers.
    pub(crate) answers: Option<Place>,
    /// SHA-256 of its file.
    pub(crate) file: Option<[u8; 32]>,
    /// What its writer's client said of it first, for what repeats it.
    pub(crate) content: serde_json::Value,
    pub(crate) reactions: BTreeMap<Way, Reaction>,
    /// What was voted for in it, if it is a poll.
    pub(crate) votes: BTreeMap<Way, &'static str>,
}

/// Somebody's reaction.
#[derive(Debug, Clone)]
pub(crate) struct Reaction {
    pub(crate) emoji: &'static str,
    /// The Matrix user's events for it: more than one while the bridge is to take back the older ones.
    pub(crate) events: Vec<String>,
}

impl Written {
    pub(crate) fn new(kind: Kind, text: String) -> Self {
        Self {
            kind,
            id: String::new(),
            text,
            edits: 0,
            is_deleted: false,
            is_vanishing: false,
            answers: None,
            file: None,
            content: serde_json::Value::Null,
            reactions: BTreeMap::new(),
            votes: BTreeMap::new(),
        }
    }

    /// Whether a text goes with it that can be changed. (What is changed while its file is asked for again comes as a message of
    /// its own.)
    pub(crate) fn is_editable(&self) -> bool {
        match self.kind {
            Kind::Text => true,
            Kind::File(kind) => has_caption(kind) && !self.is_vanishing,
            Kind::Location | Kind::Contact | Kind::Poll => false,
        }
    }
}

/// What was written in a chat.
#[derive(Debug, Default)]
pub(crate) struct ChatLedger {
    out: Vec<Written>,
    back: Vec<Written>,
    /// How often the contact called, and gave a call up.
    pub(crate) calls: usize,
    pub(crate) missed: usize,
    /// How often the contact changed after how many seconds messages disappear.
    pub(crate) timers: usize,
    /// After how many seconds they do.
    pub(crate) timer: u32,
}

impl ChatLedger {
    /// What went one way.
    pub(crate) fn written(&self, way: Way) -> &[Written] {
        match way {
            Way::Out => &self.out,
            Way::In => &self.back,
        }
    }

    /// What went one way, to add to.
    pub(crate) fn written_mut(&mut self, way: Way) -> &mut Vec<Written> {
        match way {
            Way::Out => &mut self.out,
            Way::In => &mut self.back,
        }
    }

    pub(crate) fn at(&self, place: Place) -> &Written {
        &self.written(place.way)[place.number]
    }

    pub(crate) fn at_mut(&mut self, place: Place) -> &mut Written {
        &mut self.written_mut(place.way)[place.number]
    }

    /// How many messages there are that were not deleted.
    pub(crate) fn standing(&self) -> usize {
        let all = self.out.iter().chain(&self.back);
        all.filter(|written| !written.is_deleted).count()
    }
}

/// What the messages of a chat and way begin with, before their number.
pub(crate) fn prefix(way: Way, chat: usize) -> String {
    format!("{} {chat} ", way.word())
}

/// The number in a text that begins with a prefix.
pub(crate) fn number_in(text: &str, prefix: &str) -> Option<usize> {
    let rest = text.strip_prefix(prefix)?;
    rest.split_whitespace().next()?.parse().ok()
}
