//! Texts of few distinct characters, two to a byte.
//!
//! `ff` (digits, `-`, `.`) or `fb` (upper-case hex), then the number of bytes with the high bit set if the last half
//! byte is only filling, then the bytes: `14155551001` = `ff 86 14 15 55 51 00 1f`.

use wacore_binary::token;

/// The most characters the peers pack; longer texts go raw.
const LONGEST: usize = 127;

/// The half byte that fills an odd text up.
const FILLING: u8 = 15;

/// Appends the packed form of a text if it has one.
pub(super) fn put(out: &mut Vec<u8>, text: &str) -> bool {
    if text.is_empty() || text.len() > LONGEST {
        return false;
    }
    let (kind, half): (u8, fn(u8) -> Option<u8>) = if text.bytes().all(|c| nibble(c).is_some()) {
        (token::NIBBLE_8, nibble)
    } else if text.bytes().all(|c| hex(c).is_some()) {
        (token::HEX_8, hex)
    } else {
        return false;
    };
    let odd = text.len() % 2 == 1;
    let length = u8::try_from(text.len().div_ceil(2)).expect("at most 64 bytes");
    out.extend([kind, length | if odd { 0x80 } else { 0 }]);
    for pair in text.as_bytes().chunks(2) {
        let low = pair.get(1).map_or(Some(FILLING), |c| half(*c));
        let high = half(pair[0]);
        out.push(high.unwrap_or(FILLING) << 4 | low.unwrap_or(FILLING));
    }
    true
}

/// The text of packed bytes, given the byte that says which kind they are; `None` if a half byte means nothing.
pub(super) fn take(kind: u8, odd: bool, bytes: &[u8]) -> Option<String> {
    let character = if kind == token::NIBBLE_8 {
        nibble_character
    } else {
        hex_character
    };
    let mut halves = bytes.len() * 2;
    if odd {
        halves = halves.checked_sub(1)?;
    }
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .take(halves)
        .map(character)
        .collect()
}

fn nibble(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'-' => Some(10),
        b'.' => Some(11),
        _ => None,
    }
}

fn nibble_character(half: u8) -> Option<char> {
    match half {
        0..=9 => Some(char::from(b'0' + half)),
        10 => Some('-'),
        11 => Some('.'),
        _ => None,
    }
}

fn hex(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'A'..=b'F' => Some(character - b'A' + 10),
        _ => None,
    }
}

fn hex_character(half: u8) -> Option<char> {
    char::from_digit(u32::from(half), 16).map(|c| c.to_ascii_uppercase())
}
