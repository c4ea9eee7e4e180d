//! What a user types for somebody at the gatekeeper: a phone number, a user name, or an address.

use super::wire::Jid;

/// Why what was typed is nobody's address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum AddressError {
    /// It is empty.
    #[error("say whom: a phone number in international form, such as +49 151 55550001")]
    Empty,
    /// It is a number without its country.
    #[error(
        "a phone number needs its country: write it in international form, such as +49 151 55550001"
    )]
    National,
    /// It is neither.
    #[error("{0:?} is neither a phone number nor an address of this gatekeeper")]
    Unknown(String),
    /// It is an address elsewhere.
    #[error("{0:?} is not at this gatekeeper: its addresses end in @{1}")]
    Elsewhere(String, String),
}

/// The address that is meant, on `server`; only a gatekeeper with `names` has user names.
pub(super) fn parse(typed: &str, server: &str, names: bool) -> Result<Jid, AddressError> {
    let typed = typed.trim();
    if typed.is_empty() {
        return Err(AddressError::Empty);
    }
    let unknown = || AddressError::Unknown(typed.to_owned());
    if typed.contains('@') {
        return match typed.parse() {
            Ok(Jid::User {
                user,
                server: at,
                device: 0,
            }) if at == server => Ok(Jid::user(user, server)),
            Ok(_) => Err(AddressError::Elsewhere(typed.to_owned(), server.to_owned())),
            Err(_) => Err(unknown()),
        };
    }
    let number: String = typed
        .chars()
        .filter(|c| !matches!(c, ' ' | '\u{a0}' | '-' | '(' | ')' | '.' | '/'))
        .collect();
    let (international, digits) = match (number.strip_prefix('+'), number.strip_prefix("00")) {
        (Some(digits), _) | (None, Some(digits)) => (true, digits),
        (None, None) => (false, number.as_str()),
    };
    if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        if digits.starts_with('0') {
            return Err(AddressError::National);
        }
        return match digits.len() {
            // E.164 allows 15 digits; the shortest numbers in use with their country have 7.
            7..=15 => Ok(Jid::user(digits, server)),
            _ if names && !international => Ok(Jid::user(digits, server)),
            _ => Err(unknown()),
        };
    }
    let is_name = names
        && typed.len() <= 64
        && typed
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if is_name {
        return Ok(Jid::user(typed.to_ascii_lowercase(), server));
    }
    Err(unknown())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: &str = "s.whatsapp.net";

    #[test]
    fn a_number_is_taken_however_it_is_written() {
        let expected = Ok(Jid::user("4915155550001", SERVER));
        for typed in [
            "+4915155550001",
            "+49 151 5555-0001",
            "0049 (151) 5555 0001",
            "4915155550001",
            " 4915155550001@s.whatsapp.net ",
        ] {
            assert_eq!(parse(typed, SERVER, false), expected, "{typed}");
        }
    }

    #[test]
    fn says_what_is_wrong_with_the_rest() {
        assert_eq!(parse("", SERVER, false), Err(AddressError::Empty));
        assert_eq!(
            parse("0151 55550001", SERVER, false),
            Err(AddressError::National)
        );
        assert!(matches!(
            parse("joe", SERVER, false),
            Err(AddressError::Unknown(_))
        ));
        assert!(matches!(
            parse("joe@msgr", SERVER, false),
            Err(AddressError::Elsewhere(_, _))
        ));
        assert!(matches!(
            parse("1:2@s.whatsapp.net", SERVER, false),
            Err(AddressError::Elsewhere(_, _))
        ));
        assert!(matches!(
            parse("+49151\n5550001", SERVER, false),
            Err(AddressError::Unknown(_))
        ));
    }

    #[test]
    fn a_gatekeeper_with_user_names_takes_them() {
        assert_eq!(
            parse("Joe.Doe", "msgr", true),
            Ok(Jid::user("joe.doe", "msgr"))
        );
        assert_eq!(parse("1000", "msgr", true), Ok(Jid::user("1000", "msgr")));
    }
}
