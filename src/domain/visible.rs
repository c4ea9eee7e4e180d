//! How a Matrix user is identified to the users of a gatekeeper.

/// A user-visible identifier: a template in which `{mxid}`, `{localpart}` and `{server}` are replaced.
#[must_use]
pub fn visible_id(template: &str, mxid: &str) -> String {
    let (localpart, server) = mxid
        .strip_prefix('@')
        .and_then(|rest| rest.split_once(':'))
        .unwrap_or((mxid, ""));
    template
        .replace("{mxid}", mxid)
        .replace("{localpart}", localpart)
        .replace("{server}", server)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_user_id_are_filled_in() {
        assert_eq!(visible_id("{mxid}", "@a:b.org"), "@a:b.org");
        assert_eq!(
            visible_id("{localpart}.{server}", "@a:b.org:81"),
            "a.b.org:81"
        );
    }
}
