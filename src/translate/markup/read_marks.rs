//! Reads text with marks.

use std::collections::HashMap;

use ruma::OwnedUserId;

use super::{
    NEUTRALISER, at_name,
    marks::{
        CODE, FENCE, LineMark, address_len, begins_line_mark, is_edge, is_inside, is_mark,
        line_mark, style_of,
    },
    tree::{Content, Formatted, Line, Run, Style, What, Within, push_text},
};
use crate::translate::Appearance;

/// How deep quotes and items are read; what is deeper is text.
const MAX_DEPTH: usize = 8;

/// The users a text can mention, by what stands behind the `@`.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct People(HashMap<String, Appearance>);

impl People {
    /// Those users.
    pub(in super::super) fn new(people: impl IntoIterator<Item = (String, Appearance)>) -> Self {
        Self(people.into_iter().collect())
    }

    /// Who is named at the beginning of a text, and in how many characters.
    fn named(&self, text: &[char]) -> Option<(&Appearance, usize)> {
        if self.0.is_empty() {
            return None;
        }
        let mut word: String = text
            .iter()
            .take(255)
            .take_while(|c| c.is_alphanumeric() || "-._:+".contains(**c))
            .collect();
        while !word.is_empty() {
            if let Some(who) = self.0.get(&word) {
                return Some((who, word.chars().count()));
            }
            // A full stop behind a name belongs to the sentence.
            let shorter = word.trim_end_matches(|c: char| !c.is_alphanumeric()).len();
            if shorter == word.len() {
                return None;
            }
            word.truncate(shorter);
        }
        None
    }
}

/// What a text with marks says.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) formatted: Formatted,
    /// The text as it was typed, without neutralisers and with names for mentions.
    pub(super) plain: String,
    /// Who is mentioned, each once.
    pub(super) mentions: Vec<OwnedUserId>,
}

/// A part of a line's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    /// Where it begins and ends, in characters.
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) style: Style,
    pub(super) kind: Kind,
}

/// What a part of a line's text is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Char(char),
    /// A mark that takes effect.
    Mark(char),
    Atom(What),
}

/// A code block in a text, in bytes.
pub(super) struct Block {
    /// Where its first fence begins.
    pub(super) start: usize,
    /// Behind its last fence.
    pub(super) end: usize,
}

impl Block {
    /// What is between the fences.
    pub(super) fn inner<'t>(&self, text: &'t str) -> &'t str {
        &text[self.start + FENCE.len()..self.end - FENCE.len()]
    }
}

/// The first code block of a text: between two fences, of several lines or alone on its line.
pub(super) fn first_block(text: &str) -> Option<Block> {
    let mut from = 0;
    loop {
        let start = from + text[from..].find(FENCE)?;
        let inner = start + FENCE.len();
        let inner_end = inner + text[inner..].find(FENCE)?;
        let end = inner_end + FENCE.len();
        let code = &text[inner..inner_end];
        if code.trim().is_empty() {
            from = inner_end;
            continue;
        }
        let before = text[..start].rsplit('\n').next().unwrap_or_default();
        let behind = text[end..].split('\n').next().unwrap_or_default();
        if code.contains('\n') || (before.trim().is_empty() && behind.trim().is_empty()) {
            return Some(Block { start, end });
        }
        from = end;
    }
}

/// Reads a text.
pub(super) fn read(text: &str, people: &People) -> Read {
    let mut reader = Reader {
        people,
        read: Read::default(),
        quotes: Vec::new(),
        items: Vec::new(),
        next: 0,
    };
    let mut rest = text;
    while let Some(block) = first_block(rest) {
        reader.lines_before(&rest[..block.start]);
        reader.block(block.inner(rest));
        rest = &rest[block.end..];
        if let Some(next_line) = rest.strip_prefix('\n') {
            reader.read.plain.push('\n');
            rest = next_line;
            if rest.is_empty() {
                return reader.read;
            }
        }
    }
    if !rest.is_empty() || reader.read.formatted.lines.is_empty() {
        reader.lines(rest);
    }
    reader.read
}

struct Reader<'a> {
    people: &'a People,
    read: Read,
    /// The quotes the line before is in.
    quotes: Vec<u32>,
    /// The items it is in, with their indentation.
    items: Vec<(usize, Within)>,
    next: u32,
}

impl Reader<'_> {
    fn number(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    /// The lines in front of a code block.
    fn lines_before(&mut self, text: &str) {
        let whole = text.strip_suffix('\n');
        let lines = whole.unwrap_or(text);
        if !lines.is_empty() || whole.is_some() {
            self.lines(lines);
        }
        if whole.is_some() {
            self.read.plain.push('\n');
        }
        self.quotes.clear();
        self.items.clear();
    }

    fn block(&mut self, code: &str) {
        let plain = &mut self.read.plain;
        plain.push_str(FENCE);
        plain.push_str(&without_neutralisers(code));
        plain.push_str(FENCE);
        let code = code.strip_prefix('\n').unwrap_or(code);
        let code = without_neutralisers(code.strip_suffix('\n').unwrap_or(code));
        let block = self.number();
        for line in code.split('\n') {
            self.read.formatted.lines.push(Line {
                within: Vec::new(),
                content: Content::Code {
                    block,
                    text: line.to_owned(),
                },
            });
        }
    }

    fn lines(&mut self, text: &str) {
        for (at, line) in text.split('\n').enumerate() {
            if at > 0 {
                self.read.plain.push('\n');
            }
            self.line(line);
        }
    }

    fn line(&mut self, line: &str) {
        let mut text = line;
        let mut depth = 0;
        while depth < MAX_DEPTH
            && let Some((LineMark::Quote, len)) = line_mark(text)
        {
            depth += 1;
            text = &text[len..];
        }
        if depth != self.quotes.len() {
            self.items.clear();
            self.quotes.truncate(depth);
            while self.quotes.len() < depth {
                let quote = self.number();
                self.quotes.push(quote);
            }
        }
        let indent = text.len() - text.trim_start_matches(' ').len();
        let mut text = &text[indent..];
        match line_mark(text) {
            Some((LineMark::Bullet, len)) => {
                self.item(indent, None);
                text = &text[len..];
            }
            Some((LineMark::Number(number), len)) => {
                self.item(indent, Some(number));
                text = &text[len..];
            }
            _ if text.is_empty() => self.items.clear(),
            _ => self
                .items
                .retain(|(item_indent, _)| indent >= item_indent + 2),
        }
        self.read.plain.push_str(&line[..line.len() - text.len()]);
        let neutral = text
            .strip_prefix(NEUTRALISER)
            .filter(|rest| rest.starts_with(begins_line_mark));
        let runs = self.runs(neutral.unwrap_or(text));
        let quotes = self.quotes.iter().map(|quote| Within::Quote(*quote));
        let items = self.items.iter().map(|(_, item)| *item);
        self.read.formatted.lines.push(Line {
            within: quotes.chain(items).collect(),
            content: Content::Text(runs),
        });
    }

    /// Begins an item.
    fn item(&mut self, indent: usize, number: Option<u32>) {
        while self.items.last().is_some_and(|(last, _)| *last > indent) {
            self.items.pop();
        }
        if self.items.len() >= MAX_DEPTH {
            self.items.truncate(MAX_DEPTH - 1);
        }
        let item = self.number();
        let before = self.items.pop_if(|(last, _)| *last == indent);
        let list = match before {
            Some((
                _,
                Within::Item {
                    list, number: last, ..
                },
            )) if last.map(|last| last + 1) == number => list,
            _ => self.number(),
        };
        let item = Within::Item { list, item, number };
        self.items.push((indent, item));
    }

    fn runs(&mut self, text: &str) -> Vec<Run> {
        let text: Vec<char> = text.chars().collect();
        let mut runs: Vec<Run> = Vec::new();
        let read = &mut self.read;
        for piece in scan(&text, self.people) {
            let style = piece.style;
            match piece.kind {
                Kind::Char(c) => {
                    read.plain.push(c);
                    push_text(&mut runs, style, c.encode_utf8(&mut [0; 4]));
                }
                Kind::Mark(c) => read.plain.push(c),
                Kind::Atom(what) => {
                    if let What::Mention(who) = &what {
                        read.plain.push_str(&at_name(who));
                        if !read.mentions.contains(&who.mxid) {
                            read.mentions.push(who.mxid.clone());
                        }
                    } else {
                        let typed: String = text[piece.start..piece.end].iter().collect();
                        read.plain.push_str(&without_neutralisers(&typed));
                    }
                    runs.push(Run { style, what });
                }
            }
        }
        runs
    }
}

/// Code without what keeps its own backticks from ending it.
fn without_neutralisers(code: &str) -> String {
    code.replace("\u{200b}`", "`")
}

/// The parts of a line's text, behind what it begins with as an item or a quote.
pub(super) fn scan(text: &[char], people: &People) -> Vec<Piece> {
    let mut scan = Scan {
        text,
        pieces: Vec::new(),
        open: Vec::new(),
        no_code_end: false,
        no_fence: false,
    };
    let mut at = 0;
    while at < text.len() {
        at = scan.step(at, people);
    }
    scan.pieces
}

struct Scan<'a> {
    text: &'a [char],
    pieces: Vec<Piece>,
    /// The marks that wait for their other one, and the place of their pieces.
    open: Vec<(Style, usize)>,
    /// Searched for in vain: not in the rest of the line either.
    no_code_end: bool,
    no_fence: bool,
}

impl Scan<'_> {
    fn push(&mut self, start: usize, end: usize, kind: Kind) -> usize {
        self.pieces.push(Piece {
            start,
            end,
            style: Style::PLAIN,
            kind,
        });
        end
    }

    /// Takes what is at a place; the place behind it.
    fn step(&mut self, at: usize, people: &People) -> usize {
        let text = self.text;
        let c = text[at];
        let before = at.checked_sub(1).map(|before| text[before]);
        let next = text.get(at + 1).copied();
        if c == NEUTRALISER
            && let Some(next) = next.filter(|next| is_mark(*next))
        {
            return self.push(at, at + 2, Kind::Char(next));
        }
        if c == CODE
            && let Some((end, code)) = self.code(at, before)
        {
            return self.push(at, end, Kind::Atom(What::Code(code)));
        }
        if is_edge(before)
            && let Some(len) = address_len(&text[at..])
        {
            let address = text[at..at + len].iter().collect();
            return self.push(at, at + len, Kind::Atom(What::Url(address)));
        }
        if c == '@'
            && let Some((who, len)) = people.named(&text[at + 1..])
        {
            let who = who.clone();
            return self.push(at, at + 1 + len, Kind::Atom(What::Mention(who)));
        }
        if let Some(style) = style_of(c) {
            return self.mark(at, style, before, next);
        }
        self.push(at, at + 1, Kind::Char(c))
    }

    fn mark(&mut self, at: usize, style: Style, before: Option<char>, next: Option<char>) -> usize {
        let c = self.text[at];
        let opened = self.open.iter().position(|(open, _)| *open == style);
        match opened {
            Some(place) => {
                let opening = self.open[place].1;
                let holds_something = self.pieces.len() > opening + 1;
                if holds_something && is_inside(before) && is_edge(next) {
                    for piece in &mut self.pieces[opening + 1..] {
                        piece.style = piece.style.with(style);
                    }
                    self.pieces[opening].kind = Kind::Mark(c);
                    self.open.truncate(place);
                    return self.push(at, at + 1, Kind::Mark(c));
                }
            }
            None if is_edge(before) && is_inside(next) && next != Some(c) => {
                self.open.push((style, self.pieces.len()));
            }
            None => {}
        }
        self.push(at, at + 1, Kind::Char(c))
    }

    /// The code that begins at a place, and where it ends.
    fn code(&mut self, at: usize, before: Option<char>) -> Option<(usize, String)> {
        let text = self.text;
        if text[at..].starts_with(&[CODE; 3]) && !self.no_fence {
            let inner = at + 3;
            let len = text[inner..].windows(3).position(|w| w == [CODE; 3]);
            match len {
                None => self.no_fence = true,
                Some(len) => {
                    let code: String = text[inner..inner + len].iter().collect();
                    if !code.trim().is_empty() {
                        return Some((inner + len + 3, without_neutralisers(&code)));
                    }
                }
            }
        }
        let next = text.get(at + 1).copied();
        if self.no_code_end || !is_edge(before) || !is_inside(next) || next == Some(CODE) {
            return None;
        }
        let ends = |place: &usize| {
            text[*place] == CODE
                && text[place - 1] != NEUTRALISER
                && is_inside(Some(text[place - 1]))
                && is_edge(text.get(place + 1).copied())
        };
        let Some(end) = (at + 2..text.len()).find(ends) else {
            self.no_code_end = true;
            return None;
        };
        let code: String = text[at + 1..end].iter().collect();
        Some((end + 1, without_neutralisers(&code)))
    }
}
