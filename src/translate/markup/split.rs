//! Splits texts with marks so that every piece stands by itself.

use std::rc::Rc;

use super::{
    marks::{FENCE, LineMark, line_mark},
    read_marks::{Kind, People, Piece, first_block, scan},
    tree::What,
};
use crate::translate::split_text;

/// Splits a text with marks into pieces for which `fits` holds: between lines where that is possible, else at a blank, else
/// between characters. Marks that are open where a line is cut are closed there and opened again behind.
pub(in super::super) fn split_marks(text: &str, fits: impl Fn(&str) -> bool) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut rest = text.to_owned();
    while !fits(&rest) {
        let Some((piece, behind)) = cut(&rest, &fits).filter(|(_, b)| b.len() < rest.len()) else {
            pieces.extend(split_text(&rest, &fits));
            return pieces;
        };
        if !piece.trim().is_empty() {
            pieces.push(piece);
        }
        rest = behind;
    }
    if !rest.trim().is_empty() || pieces.is_empty() {
        pieces.push(rest);
    }
    pieces
}

/// The first piece of a text that does not fit, and what is left; `None` if there is no good place.
fn cut(text: &str, fits: &dyn Fn(&str) -> bool) -> Option<(String, String)> {
    let units = units(text);
    let fitting = units.partition_point(|unit| fits(&text[..unit.end]));
    if let Some(last) = fitting.checked_sub(1) {
        let end = units[last].end;
        let behind = &text[end..];
        let behind = behind.strip_prefix('\n').unwrap_or(behind);
        return Some((text[..end].to_owned(), behind.to_owned()));
    }
    let first = units.first()?;
    let (piece, left) = if first.is_block {
        cut_block(&text[..first.end], fits)?
    } else {
        cut_line(&text[..first.end], fits)?
    };
    let behind = &text[first.end..];
    let behind = if left.is_empty() {
        behind.strip_prefix('\n').unwrap_or(behind)
    } else {
        behind
    };
    Some((piece, left + behind))
}

/// A line or a code block.
struct Unit {
    /// Where it ends, in bytes.
    end: usize,
    is_block: bool,
}

fn units(text: &str) -> Vec<Unit> {
    let mut units = Vec::new();
    let mut from = 0;
    loop {
        let block = first_block(&text[from..]);
        let lines = block
            .as_ref()
            .map_or(&text[from..], |block| &text[from..from + block.start]);
        let mut end = from;
        for line in lines.split_inclusive('\n') {
            units.push(Unit {
                end: end + line.trim_end_matches('\n').len(),
                is_block: false,
            });
            end += line.len();
        }
        let Some(block) = block else {
            return units;
        };
        from += block.end;
        units.push(Unit {
            end: from,
            is_block: true,
        });
    }
}

fn cut_block(block: &str, fits: &dyn Fn(&str) -> bool) -> Option<(String, String)> {
    let code = block.strip_prefix(FENCE)?.strip_suffix(FENCE)?;
    let code = code.trim_matches('\n');
    let fence = |code: &str| format!("{FENCE}\n{code}\n{FENCE}");
    let ends: Vec<usize> = code
        .char_indices()
        .map(|(at, c)| at + c.len_utf8())
        .collect();
    let fitting = ends.partition_point(|end| fits(&fence(&code[..*end])));
    let hard = ends[fitting.checked_sub(1)?];
    // Code is cut between lines wherever it has several.
    let end = code[..hard]
        .rfind('\n')
        .filter(|at| *at > 0)
        .unwrap_or(hard);
    let left = code[end..].trim_start_matches('\n');
    let left = if left.trim().is_empty() {
        String::new()
    } else {
        fence(left)
    };
    Some((fence(&code[..end]), left))
}

/// A place where a line can be cut.
struct Place {
    /// In characters.
    at: usize,
    /// The marks that are open there, from the outermost.
    open: Rc<str>,
    /// Whether there is a blank.
    is_soft: bool,
}

fn cut_line(line: &str, fits: &dyn Fn(&str) -> bool) -> Option<(String, String)> {
    let (quotes, len) = beginning(line);
    let (begin, text) = line.split_at(len);
    let chars: Vec<char> = text.chars().collect();
    let places = places(&chars);
    let piece = |place: &Place| {
        let text: String = chars[..place.at].iter().collect();
        let close: String = place.open.chars().rev().collect();
        format!("{begin}{}{close}", text.trim_end())
    };
    let fitting = places.partition_point(|place| fits(&piece(place)));
    let hard = fitting.checked_sub(1)?;
    let earliest = places[hard].at - places[hard].at / 4;
    let place = places[..fitting]
        .iter()
        .rev()
        .take_while(|place| place.at >= earliest)
        .find(|place| place.is_soft)
        .unwrap_or(&places[hard]);
    let behind: String = chars[place.at..].iter().collect();
    let behind = behind.trim_start();
    let left = if behind.is_empty() {
        String::new()
    } else {
        format!("{quotes}{}{behind}", place.open)
    };
    Some((piece(place), left))
}

/// The quote marks a line begins with, and how many bytes everything takes that it begins with.
fn beginning(line: &str) -> (&str, usize) {
    let mut quotes = 0;
    while let Some((LineMark::Quote, len)) = line_mark(&line[quotes..]) {
        quotes += len;
    }
    let text = line[quotes..].trim_start_matches(' ');
    let item = line_mark(text).map_or(0, |(_, len)| len);
    (&line[..quotes], line.len() - text.len() + item)
}

fn places(chars: &[char]) -> Vec<Place> {
    let mut places = Vec::new();
    let mut open = String::new();
    let mut shared: Rc<str> = Rc::from("");
    let mut after_opening = true;
    for piece in scan(chars, &People::default()) {
        let closes = match piece.kind {
            Kind::Mark(c) if open.ends_with(c) => {
                open.pop();
                true
            }
            Kind::Mark(c) => {
                open.push(c);
                false
            }
            _ => false,
        };
        if !after_opening && !closes {
            places.push(Place {
                at: piece.start,
                open: shared.clone(),
                is_soft: chars[piece.start].is_whitespace(),
            });
        }
        if let Kind::Atom(What::Code(_)) = piece.kind {
            within_code(chars, &piece, &shared, &mut places);
        }
        after_opening = matches!(piece.kind, Kind::Mark(_)) && !closes;
        if *open != *shared {
            shared = Rc::from(open.as_str());
        }
    }
    places
}

/// The places within a piece of code that can become two.
fn within_code(chars: &[char], piece: &Piece, open: &Rc<str>, places: &mut Vec<Place>) {
    let source = &chars[piece.start..piece.end];
    let ticks = if source.starts_with(&['`'; 3]) { 3 } else { 1 };
    let open: Rc<str> = Rc::from(format!("{open}{}", &FENCE[..ticks]));
    let inner = piece.start + ticks + 1..piece.end.saturating_sub(ticks);
    places.extend(inner.map(|at| Place {
        at,
        open: open.clone(),
        is_soft: chars[at].is_whitespace(),
    }));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(text: &str, limit: usize) -> Vec<String> {
        split_marks(text, |piece| piece.chars().count() <= limit)
    }

    #[test]
    fn a_mark_is_closed_and_opened_again() {
        assert_eq!(
            split("*one two _three four_ five*", 20),
            ["*one two _three_*", "*_four_ five*"]
        );
        // There is no blank near the end of the first piece.
        assert_eq!(
            split("*one two _three four_ five*", 16),
            ["*one two _thre_*", "*_e four_ five*"]
        );
        assert_eq!(split("> *aaaa bbbb*", 10), ["> *aaaa*", "> *bbbb*"]);
        assert_eq!(split("`aaaa bbbb`", 7), ["`aaaa`", "`bbbb`"]);
    }

    #[test]
    fn a_code_block_becomes_two() {
        assert_eq!(
            split("```one\ntwo\nthree```", 16),
            ["```\none\ntwo\n```", "```\nthree\n```"]
        );
    }

    #[test]
    fn lines_stay_whole_where_they_can() {
        assert_eq!(
            split("- one\n- two\n- three", 13),
            ["- one\n- two", "- three"]
        );
    }

    #[test]
    fn what_cannot_be_cut_well_is_cut_all_the_same() {
        assert_eq!(split("abcdef", 4), ["abcd", "ef"]);
        for piece in split("*a*_b_~c~`d`", 1) {
            assert_eq!(piece.chars().count(), 1);
        }
    }

    proptest! {
        #[test]
        fn pieces_fit_and_keep_the_letters(
            text in "([a-z*_~` \n>.1-]|``` ?|https://e.org/_x_|é){0,120}",
            limit in 8_usize..60,
        ) {
            let pieces = split(&text, limit);
            for piece in &pieces {
                prop_assert!(piece.chars().count() <= limit, "{:?}", piece);
            }
            let letters = |text: &str| -> String { text.chars().filter(|c| c.is_alphabetic()).collect() };
            prop_assert_eq!(letters(&pieces.concat()), letters(&text));
        }
    }
}
