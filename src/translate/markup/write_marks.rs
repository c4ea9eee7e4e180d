//! Writes marks, only where they take effect.

use ruma::UserId;

use super::{
    Marked, NEUTRALISER,
    glyphs::{Glyph, write_glyphs},
    marks::{CODE, FENCE, address_len, is_edge},
    tree::{Content, Formatted, Line, Run, Style, What, Within},
};
use crate::domain::RemoteUserId;

/// Writes a text with marks.
pub(super) fn write(
    formatted: &Formatted,
    people: &dyn Fn(&UserId) -> Option<RemoteUserId>,
) -> Marked {
    let mut writer = Writer {
        people,
        marked: Marked::default(),
        before: &[],
        code: None,
    };
    for (at, line) in formatted.lines.iter().enumerate() {
        writer.line(line, at == 0);
        writer.before = &line.within;
    }
    writer.end_block();
    writer.marked
}

struct Writer<'a> {
    people: &'a dyn Fn(&UserId) -> Option<RemoteUserId>,
    marked: Marked,
    /// What the line before was in.
    before: &'a [Within],
    /// The code block that is being written, and its text so far.
    code: Option<(u32, String)>,
}

impl Writer<'_> {
    fn line(&mut self, line: &Line, is_first: bool) {
        if let Content::Code { block, text } = &line.content
            && let Some((open, code)) = &mut self.code
            && open == block
        {
            code.push('\n');
            code.push_str(text);
            return;
        }
        self.end_block();
        if !is_first {
            self.marked.text.push('\n');
        }
        match &line.content {
            Content::Code { block, text } if line.within.is_empty() => {
                self.code = Some((*block, text.clone()));
            }
            // A block cannot be in a quote or an item: its lines can.
            Content::Code { text, .. } => {
                let code = Run {
                    style: Style::PLAIN,
                    what: What::Code(text.clone()),
                };
                self.text(line, &[code]);
            }
            Content::Text(runs) => self.text(line, runs),
        }
    }

    /// Writes the code block that has been gathered.
    fn end_block(&mut self) {
        let Some((_, code)) = self.code.take() else {
            return;
        };
        if code.trim().is_empty() {
            return;
        }
        let code = code.replace(FENCE, &format!("``{NEUTRALISER}`"));
        let stands_apart = |c: char| c == CODE || c == '\n';
        let out = &mut self.marked.text;
        if code.starts_with(stands_apart) || code.ends_with(stands_apart) {
            out.extend([FENCE, "\n", &code, "\n", FENCE]);
        } else {
            out.extend([FENCE, &code, FENCE]);
        }
    }

    fn text(&mut self, line: &Line, runs: &[Run]) {
        let out = &mut self.marked.text;
        for (depth, within) in line.within.iter().enumerate() {
            let is_new = self.before.get(depth) != Some(within);
            let has_item_within = line.within[depth + 1..]
                .iter()
                .any(|inner| matches!(inner, Within::Item { .. }));
            match within {
                Within::Quote(_) => out.push_str("> "),
                Within::Item { number, .. } if is_new && !has_item_within => match number {
                    Some(number) => out.extend([&number.to_string(), ". "]),
                    None => out.push_str("- "),
                },
                Within::Item { .. } => out.push_str("  "),
            }
        }
        let glyphs = self.glyphs(runs);
        write_glyphs(&glyphs, &mut self.marked.text);
    }

    fn glyphs(&mut self, runs: &[Run]) -> Vec<Glyph> {
        let mut glyphs = Vec::new();
        for (at, run) in runs.iter().enumerate() {
            let style = run.style;
            match &run.what {
                What::Text(text) => literal(text, style, &mut glyphs),
                What::Url(url) => push(url.chars(), style, false, &mut glyphs),
                What::Code(code) => {
                    let next = runs.get(at + 1).and_then(|run| run.words().chars().next());
                    let before = glyphs.last().map(|glyph| glyph.c);
                    inline_code(code, style, before, next, &mut glyphs);
                }
                What::Mention(who) => match (self.people)(&who.mxid) {
                    Some(user) => {
                        let address = user.as_str();
                        let name = address.split_once('@').map_or(address, |(name, _)| name);
                        push("@".chars().chain(name.chars()), style, false, &mut glyphs);
                        if !self.marked.mentions.contains(&user) {
                            self.marked.mentions.push(user);
                        }
                    }
                    None => literal(&who.name, style, &mut glyphs),
                },
            }
        }
        glyphs
    }
}

fn push(chars: impl Iterator<Item = char>, style: Style, literal: bool, glyphs: &mut Vec<Glyph>) {
    glyphs.extend(chars.map(|c| Glyph { c, style, literal }));
}

/// Text, with the addresses in it.
fn literal(text: &str, style: Style, glyphs: &mut Vec<Glyph>) {
    let chars: Vec<char> = text.chars().collect();
    let mut at = 0;
    while at < chars.len() {
        let before = glyphs.last().map(|glyph| glyph.c);
        let address = is_edge(before)
            .then(|| address_len(&chars[at..]))
            .flatten()
            .unwrap_or(0);
        let len = address.max(1);
        let taken = chars[at..at + len].iter().copied();
        push(taken, style, address == 0, glyphs);
        at += len;
    }
}

/// Code in a line; as text where it would not take effect.
fn inline_code(
    code: &str,
    style: Style,
    before: Option<char>,
    next: Option<char>,
    glyphs: &mut Vec<Glyph>,
) {
    let inner = code.trim();
    let leads = code.starts_with(char::is_whitespace);
    let trails = code.ends_with(char::is_whitespace);
    if inner.is_empty() || !(leads || is_edge(before)) || !(trails || is_edge(next)) {
        push(code.chars(), style, true, glyphs);
        return;
    }
    let written = if !inner.contains(CODE) {
        format!("{CODE}{inner}{CODE}")
    } else if inner.contains(FENCE) || inner.ends_with(CODE) {
        let guarded = inner.replace(CODE, &format!("{NEUTRALISER}{CODE}"));
        format!("{CODE}{guarded}{CODE}")
    } else {
        format!("{FENCE}{inner}{FENCE}")
    };
    if leads {
        push(" ".chars(), style, true, glyphs);
    }
    push(written.chars(), style, false, glyphs);
    if trails {
        push(" ".chars(), style, true, glyphs);
    }
}
