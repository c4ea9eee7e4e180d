//! No endpoint answers without the token, in whichever form it may come.

use super::bridge::{Bridge, TOKEN, answer};

/// Every endpoint, and paths and methods that are none.
const PATHS: &[(&str, &str)] = &[
    ("PUT", "/_matrix/app/v1/transactions/1"),
    ("PUT", "/transactions/1"),
    ("GET", "/_matrix/app/v1/users/@a:example.org"),
    ("GET", "/users/@a:example.org"),
    ("GET", "/_matrix/app/v1/rooms/%23a:example.org"),
    ("GET", "/rooms/%23a:example.org"),
    ("POST", "/_matrix/app/v1/ping"),
    ("POST", "/_matrix/app/unstable/fi.mau.msc2659/ping"),
    ("GET", "/_matrix/app/v1/thirdparty/protocol/whatsapp"),
    (
        "GET",
        "/_matrix/app/v1/thirdparty/user/whatsapp?address=a@b",
    ),
    (
        "GET",
        "/_matrix/app/v1/thirdparty/user?userid=@a:example.org",
    ),
    ("GET", "/_matrix/app/v1/thirdparty/location/whatsapp"),
    (
        "GET",
        "/_matrix/app/v1/thirdparty/location?alias=%23a:example.org",
    ),
    ("GET", "/_matrix/app/unstable/thirdparty/user/whatsapp"),
    ("GET", "/"),
    ("GET", "/metrics"),
    ("POST", "/_matrix/app/v1/transactions/1"),
    ("DELETE", "/_matrix/app/v1/ping"),
];

#[tokio::test]
async fn nothing_answers_without_a_token() {
    let bridge = Bridge::start().await;
    for (method, path) in PATHS {
        let (status, body) = answer(bridge.bare(method, path).body("{}")).await;
        assert_eq!(status, 401, "{method} {path}");
        assert_eq!(body["errcode"], "M_UNAUTHORIZED", "{method} {path}");
    }
}

#[tokio::test]
async fn nothing_answers_to_another_token() {
    let bridge = Bridge::start().await;
    let longer = format!("{TOKEN}x");
    for (method, path) in PATHS {
        for wrong in ["wrong", &TOKEN[..TOKEN.len() - 1], &longer] {
            let (status, body) = answer(bridge.bare(method, path).bearer_auth(wrong)).await;
            assert_eq!(status, 403, "{method} {path}");
            assert_eq!(body["errcode"], "M_FORBIDDEN");
            let sign = if path.contains('?') { '&' } else { '?' };
            let in_query = format!("{path}{sign}access_token={wrong}");
            let (status, _) = answer(bridge.bare(method, &in_query)).await;
            assert_eq!(status, 403, "{method} {in_query}");
        }
        // The header counts: a right token in the query does not help a wrong one there.
        let sign = if path.contains('?') { '&' } else { '?' };
        let both = format!("{path}{sign}access_token={TOKEN}");
        let (status, _) = answer(bridge.bare(method, &both).bearer_auth("wrong")).await;
        assert_eq!(status, 403, "{method} {path}");
        let basic = bridge.bare(method, path).basic_auth("hs", Some(TOKEN));
        assert_eq!(answer(basic).await.0, 401, "{method} {path}");
    }
}

#[tokio::test]
async fn the_token_is_taken_from_the_header_and_from_the_query() {
    let bridge = Bridge::start().await;
    for (method, path) in PATHS {
        let in_header = bridge.bare(method, path).bearer_auth(TOKEN).body("{}");
        let sign = if path.contains('?') { '&' } else { '?' };
        let in_query = bridge
            .bare(method, &format!("{path}{sign}access_token={TOKEN}"))
            .body("{}");
        for request in [in_header, in_query] {
            let (status, _) = answer(request).await;
            assert!(
                !matches!(status, 401 | 403 | 500..),
                "{method} {path}: {status}"
            );
        }
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_named_as_such() {
    let bridge = Bridge::start().await;
    for (method, path, expected) in [
        ("GET", "/", 404),
        ("GET", "/_matrix/app/v2/ping", 404),
        ("POST", "/_matrix/app/v1/transactions/1", 405),
        ("DELETE", "/_matrix/app/v1/ping", 405),
    ] {
        let (status, body) = bridge.call(method, path, &serde_json::json!({})).await;
        assert_eq!(status, expected, "{method} {path}");
        assert_eq!(body["errcode"], "M_UNRECOGNIZED", "{method} {path}");
    }
}
