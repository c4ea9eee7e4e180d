//! The page and its parts, which may load nothing from anywhere else.

use axum::{
    extract::Path,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

/// What the page may load: itself, pictures and films of the sandbox or of its own making.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
    img-src 'self' blob: data:; media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const PAGE: &str = include_str!("page/index.html");
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The parts by their names.
const PARTS: [(&str, &str, &str); 12] = [
    ("page.css", STYLE, include_str!("page/page.css")),
    ("talk.css", STYLE, include_str!("page/talk.css")),
    ("app.js", SCRIPT, include_str!("page/app.js")),
    ("compose.js", SCRIPT, include_str!("page/compose.js")),
    ("content.js", SCRIPT, include_str!("page/content.js")),
    ("dom.js", SCRIPT, include_str!("page/dom.js")),
    ("groups.css", STYLE, include_str!("page/groups.css")),
    ("groups.js", SCRIPT, include_str!("page/groups.js")),
    ("marks.js", SCRIPT, include_str!("page/marks.js")),
    ("media.js", SCRIPT, include_str!("page/media.js")),
    ("people.js", SCRIPT, include_str!("page/people.js")),
    ("talk.js", SCRIPT, include_str!("page/talk.js")),
];

/// `GET /`.
pub(super) async fn page() -> Response {
    served("text/html; charset=utf-8", PAGE)
}

/// `GET /page/{name}`.
pub(super) async fn part(Path(name): Path<String>) -> Response {
    let found = PARTS.iter().find(|(known, ..)| *known == name);
    match found {
        Some((_, kind, text)) => served(kind, text),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn served(kind: &'static str, text: &'static str) -> Response {
    let headers: [(HeaderName, &'static str); 5] = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    let mut response = text.into_response();
    for (name, value) in headers {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}
