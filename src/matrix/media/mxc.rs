//! The address of a file: `mxc://<server>/<media id>`.
//!
//! <https://spec.matrix.org/v1.16/client-server-api/#matrix-content-mxc-uris>

use ruma::MxcUri;

/// An address, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mxc {
    /// The homeserver that has the file.
    pub(super) server: String,
    /// What it calls the file: letters, digits, `_` and `-`.
    pub(super) id: String,
}

impl Mxc {
    /// `None` if the text is no such address. Both parts are fit to be one segment of a path each.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (server, id) = <&MxcUri>::from(text).parts().ok()?;
        let server = server.as_str();
        // A name of dots alone passes for a host name, and for a step up in a path.
        let is_name = server.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[');
        (is_name && !id.is_empty()).then(|| Self {
            server: server.to_owned(),
            id: id.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Mxc;

    #[test]
    fn addresses_are_taken_apart() {
        for (text, server, id) in [
            ("mxc://example.org/aZ09_-", "example.org", "aZ09_-"),
            ("mxc://example.org:8448/x", "example.org:8448", "x"),
            ("mxc://[2001:db8::1]:8448/x", "[2001:db8::1]:8448", "x"),
        ] {
            let mxc = Mxc::parse(text).unwrap();
            assert_eq!((mxc.server.as_str(), mxc.id.as_str()), (server, id));
        }
    }

    #[test]
    fn what_could_lead_elsewhere_is_no_address() {
        for text in [
            "",
            "mxc://",
            "mxc://example.org",
            "mxc://example.org/",
            "mxc:///x",
            "https://example.org/x",
            "MXC://example.org/x",
            "mxc://example.org/x/y",
            "mxc://example.org/../x",
            "mxc://example.org/..",
            "mxc://../x",
            "mxc://./x",
            "mxc://..:80/x",
            "mxc://-/x",
            "mxc://a/b?c",
            "mxc://a/b#c",
            "mxc://a/b%2f",
            "mxc://a%2f/b",
            "mxc://a\\b/c",
            "mxc://user@a/b",
            "mxc://a/b\n",
            "mxc://a/b ",
            "mxc://ä/b",
            "mxc://a:x/b",
        ] {
            assert_eq!(Mxc::parse(text), None, "{text:?}");
        }
    }
}
