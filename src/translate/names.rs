//! Names of the other side's users as they are shown: cleaned of what hides, and unable to pass for another's.

/// The most characters of a name.
const LONGEST: usize = 100;
/// The most marks on one letter: some scripts need a few, nobody needs a pile.
const MOST_MARKS: usize = 4;

/// A display name that cannot pass for another one: no control, direction-override or invisible characters but for the joiners
/// that emoji and some scripts are written with, no piles of marks, white space folded, at most 100 characters. Empty if nothing is
/// left.
#[must_use]
pub fn clean_name(name: &str) -> String {
    let characters: Vec<char> = name
        .chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|c| !c.is_control() && (is_joiner(*c) || !is_invisible(*c)))
        .collect();
    let mut kept = String::new();
    let mut marks = 0;
    for (at, &c) in characters.iter().enumerate() {
        if is_joiner(c) {
            let before = characters[..at].iter().rev();
            let before = before.copied().find(|c| !is_attached(*c));
            let after = characters.get(at + 1).copied();
            let joins = before.zip(after);
            if !joins.is_some_and(|(before, after)| is_joined_by(c, before, after)) {
                continue;
            }
        }
        marks = if is_mark(c) { marks + 1 } else { 0 };
        if marks <= MOST_MARKS && kept.chars().count() <= LONGEST * 2 {
            kept.push(c);
        }
    }
    let folded = kept.split(' ').filter(|word| !word.is_empty());
    let joined = folded.collect::<Vec<_>>().join(" ");
    let cut: String = joined.chars().take(LONGEST).collect();
    let end = cut.trim_end_matches(|c: char| is_joiner(c) || c == ' ');
    end.to_owned()
}

/// The display name of somebody at a gatekeeper by the template (with `{name}` and `{gatekeeper}`); `None` if what they call
/// themselves is nothing, or would pass for one of `reserved`. What looks like a gatekeeper's name in brackets at the end of it is
/// taken away, as often as it is there: only the template says where somebody is.
#[must_use]
pub fn display_name(
    template: &str,
    gatekeeper: &str,
    name: &str,
    reserved: &[&str],
) -> Option<String> {
    let mut name = clean_name(name);
    while let Some(shorter) = without_suffix(&name, gatekeeper) {
        name = shorter;
    }
    // What looks like a user id shall not be taken for one.
    let name = name.trim_start_matches(['@', '＠']).trim();
    if skeleton(name).is_empty() && !name.chars().any(is_pictograph) {
        return None;
    }
    let shown = template
        .replace("{gatekeeper}", gatekeeper)
        .replace("{name}", name);
    let seen = skeleton(&shown);
    let passes = reserved
        .iter()
        .any(|reserved| !reserved.is_empty() && skeleton(reserved) == seen);
    (!passes).then_some(shown)
}

/// A name without a last part in brackets that reads like a gatekeeper's name.
fn without_suffix(name: &str, gatekeeper: &str) -> Option<String> {
    let inner = name.strip_suffix(|c| matches!(bracket(c), Some(')')))?;
    let open = inner
        .char_indices()
        .rev()
        .find(|(_, c)| matches!(bracket(*c), Some('(')))?;
    let (before, inside) = inner.split_at(open.0);
    let is_it = skeleton(inside) == skeleton(gatekeeper);
    is_it.then(|| before.trim_end().to_owned())
}

/// Which kind of bracket a character looks like.
fn bracket(c: char) -> Option<char> {
    match c {
        '(' | '[' | '{' | '<' | '（' | '［' | '｛' | '❨' | '❲' | '❪' | '⁽' | '₍' | '﴾' | '⟨'
        | '〈' | '⦅' => Some('('),
        ')' | ']' | '}' | '>' | '）' | '］' | '｝' | '❩' | '❳' | '❫' | '⁾' | '₎' | '﴿' | '⟩'
        | '〉' | '⦆' => Some(')'),
        _ => None,
    }
}

/// A text as it looks at a glance: small letters and digits alone, letters of other scripts that look like Latin ones being these.
fn skeleton(text: &str) -> String {
    text.chars()
        .flat_map(|c| looks_like(c).to_lowercase())
        .map(looks_like)
        .map(|c| match c {
            'l' | '|' | '1' | 'ı' => 'i',
            '0' => 'o',
            other => other,
        })
        .filter(|c| c.is_alphanumeric())
        .collect()
}

/// The Latin letter a letter of another alphabet looks like; itself if there is none.
fn looks_like(c: char) -> char {
    let code = u32::from(c);
    match c {
        // Full width, and the letters of mathematics in their many styles.
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(code - 0xfee0).unwrap_or(c),
        '\u{1d400}'..='\u{1d6a3}' => letter((code - 0x1d400) % 52),
        '\u{24b6}'..='\u{24cf}' => letter(code - 0x24b6),
        '\u{24d0}'..='\u{24e9}' => letter(code - 0x24d0),
        '\u{1f130}'..='\u{1f149}' => letter(code - 0x1f130),
        '\u{1f150}'..='\u{1f169}' => letter(code - 0x1f150),
        '\u{1f170}'..='\u{1f189}' => letter(code - 0x1f170),
        'а' | 'А' | 'α' | 'Α' | 'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' | 'ɑ' => 'a',
        'В' | 'Β' | 'ß' => 'b',
        'с' | 'С' | 'ϲ' | 'ç' => 'c',
        'ԁ' | 'Ԁ' => 'd',
        'е' | 'Е' | 'Ε' | 'ё' | 'Ё' | 'è' | 'é' | 'ê' | 'ë' => 'e',
        'ɡ' => 'g',
        'һ' | 'Һ' | 'Н' | 'Η' => 'h',
        'і' | 'І' | 'ι' | 'Ι' | 'ї' | 'ì' | 'í' | 'î' | 'ï' | 'Ӏ' => 'i',
        'ј' | 'Ј' => 'j',
        'к' | 'К' | 'κ' | 'Κ' => 'k',
        'м' | 'М' | 'Μ' => 'm',
        'Ν' | 'ñ' => 'n',
        'о' | 'О' | 'ο' | 'Ο' | 'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' | 'օ' => 'o',
        'р' | 'Р' | 'ρ' | 'Ρ' => 'p',
        'ԛ' => 'q',
        'ѕ' | 'Ѕ' => 's',
        'т' | 'Т' | 'τ' | 'Τ' => 't',
        'υ' | 'ù' | 'ú' | 'û' | 'ü' | 'ս' => 'u',
        'ν' | 'ѵ' => 'v',
        'ԝ' | 'ω' => 'w',
        'х' | 'Х' | 'χ' | 'Χ' => 'x',
        'у' | 'У' | 'γ' | 'Υ' | 'ý' | 'ÿ' => 'y',
        'Ζ' => 'z',
        other => other,
    }
}

/// The letter at a place of the alphabet, capital and small ones being one.
fn letter(place: u32) -> char {
    u8::try_from(place % 26).map_or('a', |place| char::from(b'a' + place))
}

/// The two characters that join what stands around them, or keep it apart.
fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

/// What follows the character it belongs to: variation selectors, skin tones, and marks.
fn is_attached(c: char) -> bool {
    matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}') || is_mark(c)
}

/// Whether a joiner has a meaning between two characters.
fn is_joined_by(joiner: char, before: char, after: char) -> bool {
    let emoji = joiner == '\u{200d}' && is_pictograph(before) && is_pictograph(after);
    let script = |c: char| {
        matches!(
            c,
            // Arabic and its like, Syriac; the scripts of India and its neighbours; Khmer, Myanmar, Mongolian.
            '\u{0620}'..='\u{08ff}'
                | '\u{0900}'..='\u{0dff}'
                | '\u{0f00}'..='\u{109f}'
                | '\u{1780}'..='\u{17b3}'
                | '\u{17b6}'..='\u{17dd}'
                | '\u{1820}'..='\u{18aa}'
                | '\u{fb50}'..='\u{fdff}'
                | '\u{fe70}'..='\u{fefc}'
        )
    };
    emoji || script(before) && script(after)
}

/// Whether a character is one that emoji are made of.
fn is_pictograph(c: char) -> bool {
    matches!(
        c,
        '\u{1f000}'..='\u{1faff}' | '\u{2190}'..='\u{21ff}' | '\u{2300}'..='\u{23ff}' | '\u{25a0}'..='\u{27bf}'
            | '\u{2900}'..='\u{297f}' | '\u{2b00}'..='\u{2bff}' | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}'
    )
}

/// Marks that are put on letters of any script (Unicode's blocks of combining marks).
fn is_mark(c: char) -> bool {
    matches!(
        c,
        '\u{0300}'..='\u{036f}' | '\u{0483}'..='\u{0489}' | '\u{0591}'..='\u{05bd}' | '\u{064b}'..='\u{065f}'
            | '\u{0900}'..='\u{0903}' | '\u{093a}'..='\u{094f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
            | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}'
    )
}

/// Zero-width, direction-changing, tag and filler characters (Unicode 16, general category Cf and the blank letters).
pub(super) fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{00ad}'
            | '\u{034f}'
            | '\u{061c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(name: &str) -> Option<String> {
        display_name("{name} ({gatekeeper})", "WhatsApp", name, &["drawbridge"])
    }

    #[test]
    fn a_name_cannot_hide_or_turn_itself() {
        for (name, clean) in [
            ("  Ada\u{202e}\n Lovelace\u{200b} ", "Ada Lovelace"),
            ("\u{3164}\u{2800}", ""),
            ("Al\u{200d}ice", "Alice"),
            ("Alice\u{200c}", "Alice"),
            ("\u{200d}\u{200d}", ""),
            ("👩\u{200d}x", "👩x"),
            (
                "a\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}",
                "a\u{301}\u{301}\u{301}\u{301}",
            ),
        ] {
            assert_eq!(clean_name(name), clean, "{name:?}");
        }
    }

    #[test]
    fn joiners_stay_where_something_is_written_with_them() {
        for name in [
            "👩🏽\u{200d}❤️\u{200d}👨",
            "🏳️\u{200d}🌈 Kim",
            "می\u{200c}خواهم",
            "क्\u{200d}ष",
            "ශ්\u{200d}රී",
        ] {
            assert_eq!(clean_name(name), name);
        }
    }

    #[test]
    fn nobody_says_by_their_name_where_they_are() {
        for name in [
            "Alice (WhatsApp)",
            "Alice (WhatsApp) (WhatsApp)",
            "Alice [ whatsapp ]",
            "Alice （ＷｈａｔｓＡｐｐ）",
            "Alice (Whаtѕ\u{200b}Арр)",
            "Alice (𝐖𝐡𝐚𝐭𝐬𝐀𝐩𝐩)",
            "@Alice",
        ] {
            assert_eq!(shown(name).as_deref(), Some("Alice (WhatsApp)"), "{name}");
        }
        let other = "Alice (work)";
        assert_eq!(shown(other).as_deref(), Some("Alice (work) (WhatsApp)"));
        assert_eq!(shown("(WhatsApp)"), None);
        assert_eq!(shown(" . "), None);
        assert_eq!(shown("🌸").as_deref(), Some("🌸 (WhatsApp)"));
    }

    #[test]
    fn nobody_passes_for_the_bot() {
        let plain = |name| display_name("{name}", "WhatsApp", name, &["drawbridge", "admin"]);
        for name in [
            "drawbridge",
            "Drawbr1dge",
            "ԁrаwbridgе",
            "d.r.a.w.bridge",
            "@admin",
        ] {
            assert_eq!(plain(name), None, "{name}");
        }
        assert_eq!(plain("Alice").as_deref(), Some("Alice"));
        // The template tells them apart.
        let told = shown("drawbridge");
        assert_eq!(told.as_deref(), Some("drawbridge (WhatsApp)"));
    }

    proptest! {
        #[test]
        fn cleaning_is_done_at_once(name in "\\PC{0,60}") {
            let clean = clean_name(&name);
            prop_assert_eq!(clean_name(&clean), clean.clone());
            prop_assert!(clean.chars().count() <= LONGEST);
        }

        #[test]
        fn a_name_given_back_stays_the_same(name in "\\PC{0,60}") {
            if let Some(once) = shown(&name) {
                prop_assert_eq!(shown(&once), Some(once));
            }
        }
    }
}
