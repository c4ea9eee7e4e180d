//! The identifier by which a gatekeeper's users see a Matrix user: made of the Matrix id by a template.
//!
//! `{mxid}`, `{localpart}` and `{server}` are filled in. What is filled in is written so that a gatekeeper takes it and that it means
//! one Matrix id alone: whatever is not printable ASCII, `%` itself, and what the profile's `visible_id_escapes` lists becomes `%`
//! and two hex digits a byte. A Matrix id as the specification has them today needs none of it.

use std::fmt::Write as _;

/// The longest identifier, in bytes; with a longer one the token has no room for what else is in it.
const LONGEST: usize = 255;

/// Why a Matrix user has no identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum VisibleIdError {
    /// It is too long.
    #[error(
        "the name the gatekeeper's users would see has {0} bytes, and it may have {LONGEST}: shorten visible_id of the gatekeeper in the configuration"
    )]
    TooLong(usize),
    /// Nothing is left.
    #[error(
        "the name the gatekeeper's users would see is empty: visible_id of the gatekeeper in the configuration has to name the user"
    )]
    Empty,
}

/// The identifier of a Matrix user.
pub(super) fn visible_id(
    template: &str,
    mxid: &str,
    escapes: &str,
) -> Result<String, VisibleIdError> {
    let (localpart, server) = mxid
        .strip_prefix('@')
        .and_then(|rest| rest.split_once(':'))
        .unwrap_or((mxid, ""));
    let values = [
        ("{mxid}", mxid),
        ("{localpart}", localpart),
        ("{server}", server),
    ];
    let mut made = String::new();
    let mut rest = template;
    // In one pass, so that braces in a Matrix id mean nothing.
    while let Some(next) = rest.chars().next() {
        if let Some((name, value)) = values.iter().find(|(name, _)| rest.starts_with(name)) {
            escape(&mut made, value, escapes);
            rest = &rest[name.len()..];
        } else {
            made.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    match made.len() {
        0 => Err(VisibleIdError::Empty),
        length if length > LONGEST => Err(VisibleIdError::TooLong(length)),
        _ => Ok(made),
    }
}

fn escape(made: &mut String, value: &str, escapes: &str) {
    for c in value.chars() {
        if c.is_ascii_graphic() && c != '%' && !escapes.contains(c) {
            made.push(c);
        } else {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                let _ = write!(made, "%{byte:02X}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_id_of_today_stays_as_it_is() {
        let mxid = "@a.b_c=d-e/f+g:example.org:8448";
        assert_eq!(visible_id("{mxid}", mxid, "").unwrap(), mxid);
        assert_eq!(
            visible_id("{localpart}.{server}", "@ada:example.org", "").unwrap(),
            "ada.example.org"
        );
    }

    #[test]
    fn what_the_gatekeeper_does_not_take_is_written_otherwise_and_apart() {
        let made: Vec<String> = [
            "@ä:x",
            "@%C3%A4:x",
            "@a b:x",
            "@a%20b:x",
            "@{server}:x",
            "@x:x",
        ]
        .into_iter()
        .map(|mxid| visible_id("{mxid}", mxid, "").unwrap())
        .collect();
        assert_eq!(made[0], "@%C3%A4:x");
        assert_eq!(made[1], "@%25C3%25A4:x");
        assert_eq!(made[4], "@{server}:x");
        for (n, one) in made.iter().enumerate() {
            assert!(one.bytes().all(|byte| byte.is_ascii_graphic()));
            assert!(!made[..n].contains(one), "{one}");
        }
        assert_eq!(
            visible_id("{localpart}@{server}", "@a@b:x", "@:").unwrap(),
            "a%40b@x"
        );
    }

    #[test]
    fn says_what_is_wrong_with_the_template() {
        assert_eq!(visible_id("", "@a:x", ""), Err(VisibleIdError::Empty));
        let long = format!("@{}:x", "ä".repeat(60));
        assert!(matches!(
            visible_id("{mxid}", &long, ""),
            Err(VisibleIdError::TooLong(363))
        ));
    }
}
