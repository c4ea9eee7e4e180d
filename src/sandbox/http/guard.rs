//! Who may call: this machine, by a name of this machine, and no other site's page in a browser.
//!
//! Other sites can make a browser send requests to the loopback interface, and by rebinding a name they control can even read
//! the answers. The `Host` header tells the latter, `Origin` and `Sec-Fetch-Site` the former.

use axum::{
    extract::Request,
    http::{HeaderMap, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

/// Refuses what comes by another name, and what another site's page sends to change something.
pub(super) async fn check(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let Some(host) = host(&request).filter(|host| is_loopback(host)) else {
        return (
            StatusCode::MISDIRECTED_REQUEST,
            "open this page by a loopback address, such as http://127.0.0.1\n",
        )
            .into_response();
    };
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD)
        || headers.contains_key(header::UPGRADE);
    if changes && !is_same_origin(headers, &host) {
        return (StatusCode::FORBIDDEN, "another site may not do this\n").into_response();
    }
    next.run(request).await
}

/// The authority a request is for: the `Host` header, or the request's own in HTTP/2.
fn host(request: &Request) -> Option<String> {
    let named = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    named
        .map(str::to_owned)
        .or_else(|| request.uri().authority().map(ToString::to_string))
}

fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    matches!(name, "localhost" | "[::1]")
        || name
            .parse::<std::net::Ipv4Addr>()
            .is_ok_and(|address| address.is_loopback())
}

fn is_same_origin(headers: &HeaderMap, host: &str) -> bool {
    let text = |name| {
        headers
            .get(name)
            .map(|value: &header::HeaderValue| value.to_str().unwrap_or(""))
    };
    let origin = text(header::ORIGIN).is_none_or(|origin| origin == format!("http://{host}"));
    let site = headers
        .get("sec-fetch-site")
        .map(|value| value.to_str().unwrap_or(""));
    origin && site.is_none_or(|site| matches!(site, "same-origin" | "none"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_pass() {
        for host in [
            "127.0.0.1",
            "127.0.0.1:29342",
            "localhost:1",
            "[::1]:80",
            "127.0.0.9:1",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "evil.example",
            "127.0.0.1.evil.example:80",
            "localhost.evil.example",
            "10.0.0.1",
            "",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn another_sites_page_is_told_by_its_origin_or_by_the_browser() {
        let headers = |pairs: &[(&'static str, &'static str)]| {
            pairs
                .iter()
                .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                .collect::<HeaderMap>()
        };
        let host = "127.0.0.1:29342";
        assert!(is_same_origin(&headers(&[]), host));
        assert!(is_same_origin(
            &headers(&[("origin", "http://127.0.0.1:29342")]),
            host
        ));
        assert!(!is_same_origin(
            &headers(&[("origin", "http://evil.example")]),
            host
        ));
        assert!(!is_same_origin(&headers(&[("origin", "null")]), host));
        assert!(!is_same_origin(
            &headers(&[("sec-fetch-site", "cross-site")]),
            host
        ));
        assert!(is_same_origin(
            &headers(&[("sec-fetch-site", "same-origin")]),
            host
        ));
    }
}
