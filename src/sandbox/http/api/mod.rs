//! The page's API, which scripts use too. All of it is about one contact, and most about one of its chats.
//!
//! Beneath `/api/contacts/{id}/chats/{chat}`, both addresses; a message is `mine` or `theirs` and an id:
//!
//! | path | method and body |
//! |---|---|
//! | `messages` | GET; POST `{"text", "quotes"?: {"side", "id"}, "mentions"?: [address], "everybody"?, "preview"?: {"url", "title", "description"?}}` |
//! | `files?kind&name&caption&…` | POST, the file as the body, its type in `Content-Type` ([`files`]) |
//! | `location` · `card` · `poll` | POST `{"latitude", "longitude", "name"?}` · `{"name", "phone"}` · `{"question", "options", "several"}` |
//! | `event` | POST `{"name"}`, a kind the bridge does not carry |
//! | `timer` · `call` · `hang_up` | POST `{"seconds"}` · `{"video"}` · `{"call"}` |
//! | `blocked` · `blocks_me` | POST `{"blocked"}`: the contact blocks · the other side does, as if in another client |
//! | `read` · `typing` | POST · POST `{"state": "composing"|"recording"|"paused"}` |
//! | `messages/{side}/{id}/file` | GET, the file |
//! | `messages/{side}/{id}/reaction` · `vote` | POST `{"emoji"}` · `{"options"}` |
//! | `messages/{side}/{id}/text` · `played` | POST `{"text"}`, of one's own · POST, of the others' |
//! | `messages/{side}/{id}` | DELETE, for everybody; of one's own, and of others' by an admin of a group |
//!
//! `GET /api/info` · `GET /api/contacts` · `GET /api/contacts/{id}/chats` · `POST /api/contacts/{id}/online {"online"}` ·
//! `/api/contacts/{id}/groups` ([`groups`]) · `POST /api/contacts/{id}/present {"present"}` ·
//! `GET /api/contacts/{id}/events` (server-sent: something changed) ·
//! `POST /api/contacts/{id}/name {"name"}` · `POST` (a JPEG) and `DELETE /api/contacts/{id}/picture` ·
//! `POST /api/contacts/{id}/opted_in {"opted_in"}` · `POST /api/contacts/{id}/requests/{address} {"accept"}` ·
//! `GET /api/partners` · `DELETE /api/partners/{login}` (un-enlists)

mod change;
mod files;
mod groups;
mod look;
mod people;
mod write;

use std::sync::Arc;

use axum::{
    Extension, Json, Router,
    extract::DefaultBodyLimit,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use serde::Deserialize;
use serde_json::json;

use super::Cast;
use crate::{
    network::interop::wire::Jid,
    sandbox::{
        contacts::{ContactHandle, FileError},
        error::SandboxError,
        office::Office,
    },
};

/// The longest text that is sent, in characters.
const MAX_TEXT: usize = 65_536;

pub(super) fn router(cast: Cast) -> Router<Arc<Office>> {
    let message = Router::new()
        .route("/", delete(change::revoke))
        .route("/file", get(files::give))
        .route("/text", post(change::edit))
        .route("/reaction", post(change::react))
        .route("/vote", post(change::vote))
        .route("/played", post(change::played));
    let chat = Router::new()
        .route("/messages", get(look::messages).post(write::text))
        .nest("/messages/{side}/{message}", message)
        .route(
            "/files",
            post(files::take).layer(DefaultBodyLimit::disable()),
        )
        .route("/location", post(write::location))
        .route("/card", post(write::card))
        .route("/poll", post(write::poll))
        .route("/event", post(write::event))
        .route("/timer", post(write::timer))
        .route("/call", post(write::call))
        .route("/hang_up", post(write::hang_up))
        .route("/read", post(write::read))
        .route("/typing", post(write::typing));
    Router::new()
        .route("/info", get(look::info))
        .route("/contacts", get(look::contacts))
        .route("/contacts/{id}/chats", get(look::chats))
        .nest("/contacts/{id}/groups", groups::router())
        .nest("/contacts/{id}/chats/{jid}", chat)
        .route("/contacts/{id}/online", post(write::online))
        .route("/contacts/{id}/present", post(write::present))
        .route("/contacts/{id}/events", get(look::events))
        .merge(people::router())
        .layer(Extension(cast))
}

/// Why the API refuses something.
enum ApiError {
    NotFound,
    /// What was sent is not usable.
    Bad(String),
    TooLarge,
    Sandbox(SandboxError),
}

impl ApiError {
    fn bad(why: &str) -> Self {
        Self::Bad(why.to_owned())
    }
}

impl From<SandboxError> for ApiError {
    fn from(error: SandboxError) -> Self {
        Self::Sandbox(error)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, text) = match self {
            Self::NotFound => (
                StatusCode::NOT_FOUND,
                "no such contact, chat or message".to_owned(),
            ),
            Self::Bad(why) => (StatusCode::BAD_REQUEST, why),
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("files may have at most {} MB", files::MAX_FILE >> 20),
            ),
            Self::Sandbox(error) => (status_of(&error), error.to_string()),
        };
        (status, Json(json!({"error": text}))).into_response()
    }
}

fn status_of(error: &SandboxError) -> StatusCode {
    match error {
        SandboxError::Recipient(_) | SandboxError::Picture => StatusCode::BAD_REQUEST,
        SandboxError::Refused(_) | SandboxError::Offline => StatusCode::CONFLICT,
        SandboxError::NoMessage | SandboxError::File(FileError::Missing) => StatusCode::NOT_FOUND,
        SandboxError::File(FileError::Status(_) | FileError::Crypt(_) | FileError::Size { .. }) => {
            StatusCode::BAD_GATEWAY
        }
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// Who wrote a message, in a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Side {
    Mine,
    Theirs,
}

impl Side {
    fn is_mine(self) -> bool {
        self == Self::Mine
    }
}

/// A message, in a path beneath a chat's.
#[derive(Deserialize)]
struct MessagePath {
    id: String,
    jid: String,
    side: Side,
    message: String,
}

/// A message, in a body.
#[derive(Deserialize)]
struct Reference {
    side: Side,
    id: String,
}

fn contact(cast: &Cast, id: &str) -> Result<ContactHandle, ApiError> {
    let jid: Jid = id.parse().map_err(|_| ApiError::NotFound)?;
    cast.get()
        .and_then(|contacts| contacts.get(&jid))
        .ok_or(ApiError::NotFound)
}

/// A text that may be sent.
fn sendable(text: &str) -> Result<&str, ApiError> {
    let length = text.chars().count();
    if (1..=MAX_TEXT).contains(&length) {
        Ok(text)
    } else {
        let why = format!("a text of 1 to {MAX_TEXT} characters is needed");
        Err(ApiError::Bad(why))
    }
}
