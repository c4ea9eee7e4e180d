//! Pictures of people and groups, fetched from where the gatekeeper says they are, if that is one of the profile's hosts.

use std::time::Duration;

use reqwest::StatusCode;
use url::Url;

use super::{context::Context, profile::Profile};
use crate::network::NetworkError;

/// The largest picture that is taken, in bytes; the gatekeeper's own are far smaller.
const LARGEST: usize = 4 * 1024 * 1024;

/// How long one may take to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// Fetches a picture.
pub(super) async fn fetch(context: &Context, url: &str) -> Result<Vec<u8>, NetworkError> {
    let url = allowed(&context.profile, url).ok_or_else(|| {
        NetworkError::Refused(
            "the picture is somewhere else than at the gatekeeper: is picture_hosts of the profile complete?"
                .to_owned(),
        )
    })?;
    match tokio::time::timeout(PATIENCE, receive(context, url)).await {
        Ok(received) => received,
        Err(_) => Err(NetworkError::Unreachable(
            "the picture does not come in time".to_owned(),
        )),
    }
}

async fn receive(context: &Context, url: Url) -> Result<Vec<u8>, NetworkError> {
    let broken = |error: reqwest::Error| {
        NetworkError::Unreachable(format!(
            "the picture does not come: {}",
            error.without_url()
        ))
    };
    let mut response = context.http.get(url.clone()).send().await.map_err(broken)?;
    let status = response.status();
    if *response.url() != url || status.is_redirection() {
        return Err(NetworkError::Refused(
            "the picture's address leads elsewhere".to_owned(),
        ));
    }
    if status != StatusCode::OK {
        let why = format!("the server of the picture answers {status}");
        return Err(
            if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
                NetworkError::Unreachable(why)
            } else {
                NetworkError::Refused(why)
            },
        );
    }
    let too_large = || NetworkError::Refused(format!("the picture has more than {LARGEST} bytes"));
    if response
        .content_length()
        .is_some_and(|length| length > LARGEST as u64)
    {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if bytes.len() + chunk.len() > LARGEST {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// The address, if it is at one of the profile's hosts and, of a live profile, encrypted.
fn allowed(profile: &Profile, url: &str) -> Option<Url> {
    let url = Url::parse(url).ok()?;
    let encrypted = url.scheme() == "https";
    if !encrypted && (profile.live || url.scheme() != "http")
        || !url.username().is_empty()
        || url.password().is_some()
    {
        return None;
    }
    let place = |url: &Url| Some((url.host_str()?.to_owned(), url.port_or_known_default()?));
    let asked = place(&url)?;
    let listed = profile
        .picture_hosts
        .iter()
        .filter_map(|host| Url::parse(&format!("{}://{host}/", url.scheme())).ok());
    std::iter::once(profile.media_url.clone())
        .chain(listed)
        .any(|known| place(&known).as_ref() == Some(&asked))
        .then_some(url)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn profile(live: bool) -> Profile {
        let layer = json!({
            "integrator_id": 1,
            "live": live,
            "media_url": if live { "https://mmg.example.net" } else { "http://127.0.0.1:99/media" },
            "picture_hosts": ["pps.example.net", "pps.example.net:8443"],
        });
        Profile::load(&["whatsapp".to_owned()], Some(&layer)).unwrap()
    }

    #[test]
    fn a_picture_comes_from_the_profiles_hosts_alone() {
        let live = profile(true);
        for good in [
            "https://mmg.example.net/v/t1?oh=1",
            "https://PPS.example.net/x",
            "https://pps.example.net:443/x",
            "https://pps.example.net:8443/x",
        ] {
            assert!(allowed(&live, good).is_some(), "{good}");
        }
        for bad in [
            "http://mmg.example.net/v/t1",
            "https://mmg.example.net:22/x",
            "https://mmg.example.net.evil.example/x",
            "https://evil.example/?https://mmg.example.net",
            "https://user@mmg.example.net/x",
            "https://mmg.example.net@evil.example/x",
            "https://127.0.0.1/x",
            "file:///etc/passwd",
            "//mmg.example.net/x",
            "/v/t1",
            "",
        ] {
            assert_eq!(allowed(&live, bad), None, "{bad}");
        }
        let sandboxed = profile(false);
        assert!(allowed(&sandboxed, "http://127.0.0.1:99/pictures/1").is_some());
        assert!(allowed(&sandboxed, "http://127.0.0.1:98/pictures/1").is_none());
        assert!(allowed(&sandboxed, "ftp://127.0.0.1:99/pictures/1").is_none());
    }
}
