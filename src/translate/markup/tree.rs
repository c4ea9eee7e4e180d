//! The tree in the middle: lines, what each is in, and its pieces.

use ruma::OwnedUserId;

use super::super::{Appearance, clean_text};

/// How a piece of text looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in super::super) struct Style(u8);

impl Style {
    pub(super) const PLAIN: Self = Self(0);
    pub(super) const BOLD: Self = Self(1);
    pub(super) const ITALIC: Self = Self(2);
    pub(super) const STRIKE: Self = Self(4);
    /// From the outermost to the innermost where several begin at one place.
    pub(super) const ALL: [Self; 3] = [Self::BOLD, Self::ITALIC, Self::STRIKE];

    pub(super) fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    pub(super) fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What a piece of a line is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    Text(String),
    /// An address: nothing in it is a mark.
    Url(String),
    Code(String),
    Mention(Appearance),
}

/// A piece of a line that looks the same throughout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) style: Style,
    pub(super) what: What,
}

/// What a line is in. Lines in the same quote or item have equal values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Within {
    Quote(u32),
    Item {
        list: u32,
        item: u32,
        /// What the item is numbered as, in an ordered list.
        number: Option<u32>,
    },
}

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    Text(Vec<Run>),
    /// A line of the code block of this number.
    Code {
        block: u32,
        text: String,
    },
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// What it is in, from the outermost.
    pub(super) within: Vec<Within>,
    pub(super) content: Content,
}

impl Line {
    pub(super) fn is_blank(&self) -> bool {
        match &self.content {
            Content::Text(runs) => runs.iter().all(Run::is_blank),
            Content::Code { text, .. } => text.trim().is_empty(),
        }
    }
}

impl Run {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self {
            style: Style::PLAIN,
            what: What::Text(text.into()),
        }
    }

    fn is_blank(&self) -> bool {
        match &self.what {
            What::Text(text) | What::Code(text) | What::Url(text) => text.trim().is_empty(),
            What::Mention(_) => false,
        }
    }

    /// What is read of it, without formatting.
    pub(super) fn words(&self) -> &str {
        match &self.what {
            What::Text(text) | What::Url(text) | What::Code(text) => text,
            What::Mention(who) => &who.name,
        }
    }
}

/// Adds text to the pieces of a line, to the last of them if it looks the same.
pub(super) fn push_text(runs: &mut Vec<Run>, style: Style, text: &str) {
    if let Some(Run {
        style: last,
        what: What::Text(before),
    }) = runs.last_mut()
        && *last == style
    {
        before.push_str(text);
    } else if !text.is_empty() {
        runs.push(Run {
            style,
            what: What::Text(text.to_owned()),
        });
    }
}

/// A formatted text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in super::super) struct Formatted {
    pub(super) lines: Vec<Line>,
}

impl Formatted {
    /// A text without any formatting; the ids of the users given are mentions where they stand in it.
    pub(super) fn plain(text: &str, mentioned: &[OwnedUserId]) -> Self {
        let lines = clean_text(text)
            .split('\n')
            .map(|line| Line {
                within: Vec::new(),
                content: Content::Text(mentions_in(line, mentioned)),
            })
            .collect();
        Self { lines }
    }

    /// Whether there is nothing to read in it.
    pub(in super::super) fn is_blank(&self) -> bool {
        self.lines.iter().all(Line::is_blank)
    }

    /// Whether any of it is more than text.
    pub(super) fn is_formatted(&self) -> bool {
        self.lines.iter().any(|line| {
            !line.within.is_empty()
                || match &line.content {
                    Content::Code { .. } => true,
                    Content::Text(runs) => runs.iter().any(|run| {
                        run.style != Style::PLAIN
                            || matches!(run.what, What::Code(_) | What::Mention(_))
                    }),
                }
        })
    }

    /// The same text with every line in one more quote.
    pub(in super::super) fn quoted(mut self) -> Self {
        for line in &mut self.lines {
            line.within.insert(0, Within::Quote(u32::MAX));
        }
        self
    }

    /// The same text in italics.
    pub(in super::super) fn in_italics(mut self) -> Self {
        for line in &mut self.lines {
            if let Content::Text(runs) = &mut line.content {
                for run in runs {
                    run.style = run.style.with(Style::ITALIC);
                }
            }
        }
        self
    }

    /// The same text with a few words in front of its first line; on a line of their own if that line is not plain text.
    pub(in super::super) fn led_by(mut self, words: &str) -> Self {
        if let Some(Line {
            within,
            content: Content::Text(runs),
        }) = self.lines.first_mut()
            && within.is_empty()
        {
            runs.insert(0, Run::text(words));
            return self;
        }
        let line = Line {
            within: Vec::new(),
            content: Content::Text(vec![Run::text(words.trim_end())]),
        };
        self.lines.insert(0, line);
        self
    }

    /// The same text with another one behind it.
    pub(in super::super) fn followed_by(mut self, other: Self) -> Self {
        self.lines.extend(other.lines);
        self
    }
}

/// A line's text with the ids of users in it as mentions.
fn mentions_in(line: &str, mentioned: &[OwnedUserId]) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut rest = line;
    while let Some(at) = rest.find('@') {
        let (before, from) = rest.split_at(at);
        push_text(&mut runs, Style::PLAIN, before);
        let found = mentioned
            .iter()
            .filter(|user| {
                from.strip_prefix(user.as_str())
                    .is_some_and(|behind| !behind.starts_with(|c: char| c.is_alphanumeric()))
            })
            .max_by_key(|user| user.as_str().len());
        let len = if let Some(user) = found {
            let who = Appearance {
                mxid: user.clone(),
                name: user.to_string(),
            };
            runs.push(Run {
                style: Style::PLAIN,
                what: What::Mention(who),
            });
            user.as_str().len()
        } else {
            push_text(&mut runs, Style::PLAIN, "@");
            1
        };
        rest = &from[len..];
    }
    push_text(&mut runs, Style::PLAIN, rest);
    runs
}
