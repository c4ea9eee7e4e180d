//! What reading and writing marks agree on: which characters are marks, where they take effect, what an address is.

use super::{NEUTRALISER, tree::Style};

/// What a line of code begins and ends with, alone or three times for a block.
pub(super) const CODE: char = '`';
/// What a code block begins and ends with.
pub(super) const FENCE: &str = "```";

/// The mark of a style.
pub(super) fn mark(style: Style) -> char {
    if style == Style::BOLD {
        '*'
    } else if style == Style::ITALIC {
        '_'
    } else {
        '~'
    }
}

/// The style a character is the mark of.
pub(super) fn style_of(c: char) -> Option<Style> {
    match c {
        '*' => Some(Style::BOLD),
        '_' => Some(Style::ITALIC),
        '~' => Some(Style::STRIKE),
        _ => None,
    }
}

/// Whether a character can be a mark anywhere in a line.
pub(super) fn is_mark(c: char) -> bool {
    c == CODE || style_of(c).is_some()
}

/// Whether a mark takes effect next to this neighbour on its outer side.
pub(super) fn is_edge(neighbour: Option<char>) -> bool {
    !neighbour.is_some_and(char::is_alphanumeric)
}

/// Whether a mark takes effect next to this neighbour on its inner side.
pub(super) fn is_inside(neighbour: Option<char>) -> bool {
    neighbour.is_some_and(|c| !c.is_whitespace())
}

/// What a line begins with that makes it an item or a quote.
pub(super) enum LineMark {
    Quote,
    Bullet,
    Number(u32),
}

/// The mark a line begins with, and how many bytes it takes with the blank behind it.
pub(super) fn line_mark(line: &str) -> Option<(LineMark, usize)> {
    if line.starts_with("> ") {
        return Some((LineMark::Quote, 2));
    }
    if line.starts_with("- ") || line.starts_with("* ") {
        return Some((LineMark::Bullet, 2));
    }
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    if !(1..=2).contains(&digits) || !line[digits..].starts_with(". ") {
        return None;
    }
    let number = line[..digits].parse().ok()?;
    Some((LineMark::Number(number), digits + 2))
}

/// Whether a mark that begins a line can begin with this character, which is no mark elsewhere.
pub(super) fn begins_line_mark(c: char) -> bool {
    matches!(c, '-' | '>') || c.is_ascii_digit()
}

/// How long the address is that a text begins with, in characters: one with a scheme, up to white space, without the marks and
/// the punctuation it ends with.
pub(super) fn address_len(text: &[char]) -> Option<usize> {
    const SCHEMES: [&str; 4] = ["https://", "http://", "mailto:", "www."];
    let scheme = SCHEMES.into_iter().find(|scheme| {
        text.len() > scheme.len()
            && scheme
                .chars()
                .zip(text)
                .all(|(a, b)| a == b.to_ascii_lowercase())
    })?;
    let ends = |c: &char| c.is_whitespace() || matches!(c, '<' | '>' | '"' | &NEUTRALISER);
    let whole = text.iter().position(ends).unwrap_or(text.len());
    let trailing = |c: &char| is_mark(*c) || ".,;:!?)]}'".contains(*c);
    let len = text[..whole]
        .iter()
        .rposition(|c| !trailing(c))
        .map_or(0, |last| last + 1);
    (len > scheme.len()).then_some(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<String> {
        let chars: Vec<char> = text.chars().collect();
        address_len(&chars).map(|len| chars[..len].iter().collect())
    }

    #[test]
    fn an_address_ends_before_marks_and_punctuation() {
        assert_eq!(
            address("https://e.org/_a_b* x").as_deref(),
            Some("https://e.org/_a_b")
        );
        assert_eq!(
            address("HTTP://e.org/a(b).").as_deref(),
            Some("HTTP://e.org/a(b")
        );
        assert_eq!(address("https://"), None);
        assert_eq!(address("https://***"), None);
        assert_eq!(address("ftp://x"), None);
    }

    #[test]
    fn a_line_mark_needs_its_blank() {
        for plain in ["-x", "1.x", "100. x", ">x", "- ", "1", ""] {
            let found = line_mark(plain).map(|(_, len)| len);
            assert_eq!(found, (plain == "- ").then_some(2), "{plain:?}");
        }
    }
}
