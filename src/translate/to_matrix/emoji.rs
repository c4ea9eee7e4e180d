//! Emoji in the form Matrix clients write reactions in.

/// Asks for the picture of a character that is also a text symbol.
const AS_PICTURE: char = '\u{fe0f}';
/// Asks for its text form.
const AS_TEXT: char = '\u{fe0e}';
/// The last character of a keycap.
const KEYCAP: char = '\u{20e3}';

/// Emoji that are shown as text unless a picture is asked for: those of Unicode 15 (`emoji-data.txt`) with `Emoji` and without
/// `Emoji_Presentation`, from the first to the last of each range; the ASCII ones are emoji only in keycaps.
#[rustfmt::skip]
const TEXT_BY_DEFAULT: &[(u32, u32)] = &[
    (0x00a9, 0x00a9), (0x00ae, 0x00ae), (0x203c, 0x203c), (0x2049, 0x2049), (0x2122, 0x2122), (0x2139, 0x2139),
    (0x2194, 0x2199), (0x21a9, 0x21aa), (0x2328, 0x2328), (0x23cf, 0x23cf), (0x23ed, 0x23ef), (0x23f1, 0x23f2),
    (0x23f8, 0x23fa), (0x24c2, 0x24c2), (0x25aa, 0x25ab), (0x25b6, 0x25b6), (0x25c0, 0x25c0), (0x25fb, 0x25fc),
    (0x2600, 0x2604), (0x260e, 0x260e), (0x2611, 0x2611), (0x2618, 0x2618), (0x261d, 0x261d), (0x2620, 0x2620),
    (0x2622, 0x2623), (0x2626, 0x2626), (0x262a, 0x262a), (0x262e, 0x262f), (0x2638, 0x263a), (0x2640, 0x2640),
    (0x2642, 0x2642), (0x265f, 0x2660), (0x2663, 0x2663), (0x2665, 0x2666), (0x2668, 0x2668), (0x267b, 0x267b),
    (0x267e, 0x267e), (0x2692, 0x2692), (0x2694, 0x2697), (0x2699, 0x2699), (0x269b, 0x269c), (0x26a0, 0x26a0),
    (0x26a7, 0x26a7), (0x26b0, 0x26b1), (0x26c8, 0x26c8), (0x26cf, 0x26cf), (0x26d1, 0x26d1), (0x26d3, 0x26d3),
    (0x26e9, 0x26e9), (0x26f0, 0x26f1), (0x26f4, 0x26f4), (0x26f7, 0x26f9), (0x2702, 0x2702), (0x2708, 0x2709),
    (0x270c, 0x270d), (0x270f, 0x270f), (0x2712, 0x2712), (0x2714, 0x2714), (0x2716, 0x2716), (0x271d, 0x271d),
    (0x2721, 0x2721), (0x2733, 0x2734), (0x2744, 0x2744), (0x2747, 0x2747), (0x2763, 0x2764), (0x27a1, 0x27a1),
    (0x2934, 0x2935), (0x2b05, 0x2b07), (0x3030, 0x3030), (0x303d, 0x303d), (0x3297, 0x3297), (0x3299, 0x3299),
    (0x1f170, 0x1f171), (0x1f17e, 0x1f17f), (0x1f202, 0x1f202), (0x1f237, 0x1f237), (0x1f321, 0x1f321), (0x1f324, 0x1f32c),
    (0x1f336, 0x1f336), (0x1f37d, 0x1f37d), (0x1f396, 0x1f397), (0x1f399, 0x1f39b), (0x1f39e, 0x1f39f), (0x1f3cb, 0x1f3ce),
    (0x1f3d4, 0x1f3df), (0x1f3f3, 0x1f3f3), (0x1f3f5, 0x1f3f5), (0x1f3f7, 0x1f3f7), (0x1f43f, 0x1f43f), (0x1f441, 0x1f441),
    (0x1f4fd, 0x1f4fd), (0x1f549, 0x1f54a), (0x1f56f, 0x1f570), (0x1f573, 0x1f579), (0x1f587, 0x1f587), (0x1f58a, 0x1f58d),
    (0x1f590, 0x1f590), (0x1f5a5, 0x1f5a5), (0x1f5a8, 0x1f5a8), (0x1f5b1, 0x1f5b2), (0x1f5bc, 0x1f5bc), (0x1f5c2, 0x1f5c4),
    (0x1f5d1, 0x1f5d3), (0x1f5dc, 0x1f5de), (0x1f5e1, 0x1f5e1), (0x1f5e3, 0x1f5e3), (0x1f5e8, 0x1f5e8), (0x1f5ef, 0x1f5ef),
    (0x1f5f3, 0x1f5f3), (0x1f5fa, 0x1f5fa), (0x1f6cb, 0x1f6cb), (0x1f6cd, 0x1f6cf), (0x1f6e0, 0x1f6e5), (0x1f6e9, 0x1f6e9),
    (0x1f6f0, 0x1f6f0), (0x1f6f3, 0x1f6f3),
];

fn is_text_by_default(c: char) -> bool {
    let code = u32::from(c);
    TEXT_BY_DEFAULT
        .binary_search_by(|(first, last)| {
            if *last < code {
                std::cmp::Ordering::Less
            } else if *first > code {
                std::cmp::Ordering::Greater
            } else {
                std::cmp::Ordering::Equal
            }
        })
        .is_ok()
}

/// An emoji with the variation selectors it needs to be shown as a picture, which is how clients write reactions; so the same
/// reaction from both sides is counted as one. Other texts stay as they are.
pub(super) fn fully_qualified(text: &str) -> String {
    if text
        .chars()
        .any(|c| c.is_alphabetic() && !is_text_by_default(c))
    {
        return text.to_owned();
    }
    let mut qualified = String::with_capacity(text.len() + 3);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        qualified.push(c);
        let next = chars.peek().copied();
        let is_settled = next.is_some_and(|next| {
            next == AS_PICTURE || next == AS_TEXT || ('\u{1f3fb}'..='\u{1f3ff}').contains(&next)
        });
        let is_keycap = next == Some(KEYCAP) && (c.is_ascii_digit() || c == '#' || c == '*');
        if is_keycap || (is_text_by_default(c) && !is_settled) {
            qualified.push(AS_PICTURE);
        }
    }
    qualified
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_added_where_they_are_missing() {
        for (bare, qualified) in [
            ("❤", "❤\u{fe0f}"),
            ("❤\u{fe0f}", "❤\u{fe0f}"),
            ("❤\u{200d}🔥", "❤\u{fe0f}\u{200d}🔥"),
            ("☝🏽", "☝🏽"),
            ("1\u{20e3}", "1\u{fe0f}\u{20e3}"),
            ("👍", "👍"),
            ("👍🏿", "👍🏿"),
            ("🏳\u{200d}🌈", "🏳\u{fe0f}\u{200d}🌈"),
            ("ℹ", "ℹ\u{fe0f}"),
            ("♥\u{fe0e}", "♥\u{fe0e}"),
        ] {
            assert_eq!(fully_qualified(bare), qualified, "{bare}");
        }
    }

    #[test]
    fn words_and_numbers_stay() {
        for text in ["ok", "+1", "100", "™ of x", ""] {
            assert_eq!(fully_qualified(text), text);
        }
    }
}
