//! Checks that several sections share; each gives the sentence that says what is wrong.

use url::Url;

/// An address to listen on: `host:port`.
pub(super) fn listen(text: &str) -> Result<(), String> {
    let port = text.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
    match port {
        Some(Ok(_)) => Ok(()),
        _ => Err(format!(
            "{text:?} is not an address to listen on: it has to be like 127.0.0.1:29331"
        )),
    }
}

/// The base of addresses over HTTP.
pub(super) fn base_url(url: &Url) -> Result<(), String> {
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(format!(
            "{url} is not an address of the web: it has to be like https://example.org"
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!("{url} may have no ? and no #"));
    }
    Ok(())
}

/// The local part of a user id, or the beginning of one.
pub(super) fn localpart(text: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._=-/+".contains(c);
    match text.chars().find(|c| !allowed(*c)) {
        _ if text.is_empty() => Err("may not be empty".to_owned()),
        Some(c) => Err(format!(
            "{c:?} cannot be in a Matrix user id: use a-z, 0-9 and ._=-/+"
        )),
        None => Ok(()),
    }
}
