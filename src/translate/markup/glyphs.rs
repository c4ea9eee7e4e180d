//! One line as characters with styles: where marks go, and which characters must not pass for marks.

use std::{cmp::Reverse, collections::BTreeSet};

use super::{
    NEUTRALISER,
    marks::{CODE, begins_line_mark, is_edge, is_inside, is_mark, line_mark, mark, style_of},
    tree::Style,
};

/// One character of a line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Glyph {
    pub(super) c: char,
    pub(super) style: Style,
    /// Whether it is text that might format by accident.
    pub(super) literal: bool,
}

/// A part of a line that is in one style, in glyphs. Sorted, outer ones come before those within.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Span {
    start: usize,
    end: Reverse<usize>,
    /// The place of its style in [`Style::ALL`].
    style: usize,
}

impl Span {
    /// The span without the white space at its ends, if something is left.
    fn trimmed(self, glyphs: &[Glyph]) -> Option<Self> {
        let inner = &glyphs[self.start..self.end.0];
        let first = inner.iter().position(|g| !g.c.is_whitespace())?;
        let last = inner.iter().rposition(|g| !g.c.is_whitespace())?;
        Some(Self {
            start: self.start + first,
            end: Reverse(self.start + last + 1),
            style: self.style,
        })
    }

    /// Whether marks take effect there.
    fn holds(&self, glyphs: &[Glyph]) -> bool {
        let before = self.start.checked_sub(1).map(|at| glyphs[at].c);
        let behind = glyphs.get(self.end.0).map(|glyph| glyph.c);
        is_edge(before) && is_edge(behind)
    }
}

/// The spans a line has by its glyphs' styles, without white space at their ends.
fn wanted(glyphs: &[Glyph]) -> BTreeSet<Span> {
    let mut wanted = BTreeSet::new();
    for (style, of) in Style::ALL.into_iter().enumerate() {
        let mut from = 0;
        for same in glyphs.chunk_by(|a, b| a.style.has(of) == b.style.has(of)) {
            let span = Span {
                start: from,
                end: Reverse(from + same.len()),
                style,
            };
            from += same.len();
            if same[0].style.has(of) {
                wanted.extend(span.trimmed(glyphs));
            }
        }
    }
    wanted
}

/// The spans that take effect, outer ones first; of two that would overlap the later is cut in two.
fn spans(glyphs: &[Glyph]) -> Vec<Span> {
    let mut waiting = wanted(glyphs);
    let mut found = Vec::new();
    let mut around: Vec<Span> = Vec::new();
    while let Some(mut span) = waiting.pop_first() {
        while around.pop_if(|outer| outer.end.0 <= span.start).is_some() {}
        if let Some(outer) = around.last()
            && outer.end.0 < span.end.0
        {
            let behind = Span {
                start: outer.end.0,
                ..span
            };
            waiting.extend(behind.trimmed(glyphs));
            span.end = outer.end;
            match span.trimmed(glyphs) {
                Some(within) => span = within,
                None => continue,
            }
        }
        if span.holds(glyphs) {
            found.push(span);
            around.push(span);
        }
    }
    found
}

/// Writes a line with its marks.
pub(super) fn write_glyphs(glyphs: &[Glyph], out: &mut String) {
    let spans = spans(glyphs);
    let mut ends: Vec<Vec<Style>> = vec![Vec::new(); glyphs.len() + 1];
    let mut in_effect = vec![Style::PLAIN; glyphs.len()];
    for span in &spans {
        let style = Style::ALL[span.style];
        ends[span.end.0].push(style);
        for glyph in &mut in_effect[span.start..span.end.0] {
            *glyph = glyph.with(style);
        }
    }
    let later = LastPlaces::of(glyphs, &ends);
    let first = glyphs.iter().position(|glyph| glyph.c != ' ');
    let mut opening = spans.iter().peekable();
    for (at, glyph) in glyphs.iter().enumerate() {
        // What opened last closes first.
        for style in ends[at].iter().rev() {
            out.push(mark(*style));
        }
        let mut after_mark = !ends[at].is_empty();
        while let Some(span) = opening.next_if(|span| span.start == at) {
            out.push(mark(Style::ALL[span.style]));
            after_mark = true;
        }
        let neighbour = Neighbours {
            before: at
                .checked_sub(1)
                .filter(|_| !after_mark)
                .map(|before| glyphs[before].c),
            next: match ends[at + 1].last() {
                Some(style) => Some(mark(*style)),
                None => glyphs.get(at + 1).map(|next| next.c),
            },
        };
        let formats = glyph.literal
            && ((first == Some(at) && !after_mark && looks_like_line_mark(&glyphs[at..]))
                || looks_like_mark(
                    glyph.c,
                    in_effect[at],
                    &neighbour,
                    later.is_behind(glyph.c, at),
                ));
        if formats {
            out.push(NEUTRALISER);
        }
        out.push(glyph.c);
    }
    for style in ends[glyphs.len()].iter().rev() {
        out.push(mark(*style));
    }
}

/// What stands around a character.
struct Neighbours {
    before: Option<char>,
    next: Option<char>,
}

fn looks_like_mark(c: char, around: Style, neighbours: &Neighbours, is_behind: bool) -> bool {
    if !is_mark(c) {
        return false;
    }
    if c == CODE && neighbours.before == Some(CODE) {
        return true;
    }
    if style_of(c).is_some_and(|style| around.has(style)) {
        return true;
    }
    is_behind && is_edge(neighbours.before) && is_inside(neighbours.next)
}

fn looks_like_line_mark(line: &[Glyph]) -> bool {
    let c = line[0].c;
    let beginning: String = line.iter().take(5).map(|glyph| glyph.c).collect();
    (begins_line_mark(c) || c == '*') && line_mark(&beginning).is_some()
}

/// Where each mark character stands last in a line.
#[derive(Default)]
struct LastPlaces([usize; 4]);

impl LastPlaces {
    fn of(glyphs: &[Glyph], ends: &[Vec<Style>]) -> Self {
        let mut places = Self::default();
        for (at, glyph) in glyphs.iter().enumerate() {
            if glyph.literal || glyph.c == CODE {
                places.note(glyph.c, at);
            }
        }
        for (at, styles) in ends.iter().enumerate() {
            for style in styles {
                places.note(mark(*style), at);
            }
        }
        places
    }

    fn index(c: char) -> Option<usize> {
        ['*', '_', '~', CODE].iter().position(|mark| *mark == c)
    }

    fn note(&mut self, c: char, at: usize) {
        if let Some(index) = Self::index(c) {
            self.0[index] = self.0[index].max(at);
        }
    }

    fn is_behind(&self, c: char, at: usize) -> bool {
        Self::index(c).is_some_and(|index| self.0[index] > at)
    }
}
