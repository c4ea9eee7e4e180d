//! Plain text made fit for the other side: cleaned of what breaks it, split at what it takes.

/// Text without the control characters that no client shows (NUL, escape and the like); newlines and tabs stay, and so does
/// everything that has a meaning in some script, zero-width joiners and direction marks included.
#[must_use]
pub fn clean_text(text: &str) -> String {
    let unified = text.replace("\r\n", "\n").replace('\r', "\n");
    unified
        .chars()
        .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
        .collect()
}

/// A text cut to so many characters, with an ellipsis where it was cut.
pub(super) fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
    }
}

/// Splits a text into pieces for which `fits` holds, at a line end or a blank where there is one in the last quarter of a
/// piece, else between characters. Nothing is dropped but the one line end or blank it was split at.
#[must_use]
pub fn split_text(text: &str, fits: impl Fn(&str) -> bool) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !fits(rest) {
        let ends: Vec<usize> = rest.char_indices().map(|(i, c)| i + c.len_utf8()).collect();
        let fitting = ends.partition_point(|end| fits(&rest[..*end])).max(1);
        if fitting == ends.len() {
            break;
        }
        let hard = ends[fitting - 1];
        let piece = &rest[..hard];
        let earliest = hard - hard / 4;
        let soft = piece
            .rfind('\n')
            .filter(|at| *at >= earliest)
            .or_else(|| piece.rfind(' ').filter(|at| *at >= earliest));
        let (piece, next) = match soft {
            Some(at) => (&rest[..at], &rest[at + 1..]),
            None => (piece, &rest[hard..]),
        };
        pieces.push(piece.to_owned());
        rest = next;
    }
    if !rest.is_empty() || pieces.is_empty() {
        pieces.push(rest.to_owned());
    }
    pieces
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keeps_scripts_and_drops_controls() {
        assert_eq!(clean_text("a\r\nb\u{0}\u{1b}[1m\tc"), "a\nb[1m\tc");
        assert_eq!(
            clean_text("👨\u{200d}👩\u{200d}👧 שלום"),
            "👨\u{200d}👩\u{200d}👧 שלום"
        );
    }

    proptest! {
        #[test]
        fn splitting_loses_only_the_blank_it_splits_at(text in "(\\PC|[ \n]){0,400}", limit in 1_usize..50) {
            let pieces = split_text(&text, |piece| piece.chars().count() <= limit);
            for piece in &pieces {
                prop_assert!(piece.chars().count() <= limit);
            }
            let kept: String = pieces.concat().chars().filter(|c| !matches!(c, ' ' | '\n')).collect();
            let had: String = text.chars().filter(|c| !matches!(c, ' ' | '\n')).collect();
            prop_assert_eq!(kept, had);
        }
    }
}
