//! The page's API, which scripts use too.
//!
//! `GET /api/info` · `GET /api/contacts` · `GET /api/contacts/{id}/chats` · `GET /api/contacts/{id}/chats/{jid}/messages` ·
//! `POST /api/contacts/{id}/chats/{jid}/messages {"text"}` · `POST …/read` · `POST …/typing {"composing"}` ·
//! `POST /api/contacts/{id}/online {"online"}` · `GET /api/contacts/{id}/events` (server-sent: something changed)

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Extension, Json, Router,
    extract::Path,
    http::StatusCode,
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
    routing::{get, post},
};
use futures_util::Stream;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Cast;
use crate::{
    network::interop::wire::Jid,
    sandbox::{
        contacts::{ContactHandle, Message},
        error::SandboxError,
        office::Office,
    },
};

/// The longest text that is sent, in characters.
const MAX_TEXT: usize = 65_536;

pub(super) fn router(cast: Cast) -> Router<Arc<Office>> {
    Router::new()
        .route("/info", get(info))
        .route("/contacts", get(contacts))
        .route("/contacts/{id}/chats", get(chats))
        .route(
            "/contacts/{id}/chats/{jid}/messages",
            get(messages).post(write),
        )
        .route("/contacts/{id}/chats/{jid}/read", post(read))
        .route("/contacts/{id}/chats/{jid}/typing", post(typing))
        .route("/contacts/{id}/online", post(online))
        .route("/contacts/{id}/events", get(events))
        .layer(Extension(cast))
}

/// Why the API refuses something.
enum ApiError {
    NotFound,
    Text,
    Sandbox(SandboxError),
}

impl From<SandboxError> for ApiError {
    fn from(error: SandboxError) -> Self {
        Self::Sandbox(error)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, text) = match self {
            Self::NotFound => (StatusCode::NOT_FOUND, "no such contact or chat".to_owned()),
            Self::Text => (
                StatusCode::BAD_REQUEST,
                format!("a text of 1 to {MAX_TEXT} characters is needed"),
            ),
            Self::Sandbox(error @ SandboxError::Recipient(_)) => {
                (StatusCode::BAD_REQUEST, error.to_string())
            }
            Self::Sandbox(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
        };
        (status, Json(json!({"error": text}))).into_response()
    }
}

async fn info(Extension(info): Extension<Arc<Value>>) -> Json<Value> {
    Json((*info).clone())
}

fn contact(cast: &Cast, id: &str) -> Result<ContactHandle, ApiError> {
    let jid: Jid = id.parse().map_err(|_| ApiError::NotFound)?;
    cast.get()
        .and_then(|contacts| contacts.get(&jid))
        .ok_or(ApiError::NotFound)
}

async fn contacts(Extension(cast): Extension<Cast>) -> Json<Value> {
    let all = cast
        .get()
        .map(|contacts| contacts.all())
        .unwrap_or_default();
    let list: Vec<Value> = all
        .iter()
        .map(|contact| {
            json!({
                "id": contact.jid(),
                "jid": contact.jid(),
                "name": contact.name(),
                "phone": contact.phone(),
                "gatekeeper": contact.flavour(),
                "script": contact.script(),
                "connected": contact.is_connected(),
                "counters": contact.counters(),
            })
        })
        .collect();
    Json(Value::Array(list))
}

fn shown(message: &Message) -> Value {
    json!({
        "id": message.id,
        "outgoing": message.outgoing,
        "notice": message.notice,
        "text": message.text,
        "at": message.at,
        "status": message.status,
    })
}

async fn chats(
    Extension(cast): Extension<Cast>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let contact = contact(&cast, &id)?;
    let mut list: Vec<(i64, Value)> = contact
        .chats()
        .iter()
        .map(|chat| {
            let messages = contact.messages(chat);
            let unread = messages
                .iter()
                .filter(|m| {
                    !m.outgoing && !m.notice && m.status < crate::sandbox::contacts::Status::Read
                })
                .count();
            let last = messages.last();
            let value = json!({
                "jid": chat,
                "name": contact.name_of(chat),
                "typing": contact.sees_typing(chat),
                "unread": unread,
                "last": last.map(shown),
            });
            (last.map_or(0, |message| message.at), value)
        })
        .collect();
    list.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    Ok(Json(list.into_iter().map(|(_, chat)| chat).collect()))
}

async fn messages(
    Extension(cast): Extension<Cast>,
    Path((id, chat)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    let contact = contact(&cast, &id)?;
    let chat: Jid = chat.parse().map_err(|_| ApiError::NotFound)?;
    Ok(Json(contact.messages(&chat).iter().map(shown).collect()))
}

#[derive(Deserialize)]
struct Text {
    text: String,
}

async fn write(
    Extension(cast): Extension<Cast>,
    Path((id, chat)): Path<(String, String)>,
    Json(Text { text }): Json<Text>,
) -> Result<Json<Value>, ApiError> {
    if text.is_empty() || text.chars().count() > MAX_TEXT {
        return Err(ApiError::Text);
    }
    let id = contact(&cast, &id)?.send_text(&chat, &text).await?;
    Ok(Json(json!({"id": id})))
}

async fn read(
    Extension(cast): Extension<Cast>,
    Path((id, chat)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    contact(&cast, &id)?.mark_read(&chat)?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct Typing {
    composing: bool,
}

async fn typing(
    Extension(cast): Extension<Cast>,
    Path((id, chat)): Path<(String, String)>,
    Json(Typing { composing }): Json<Typing>,
) -> Result<StatusCode, ApiError> {
    let state = if composing {
        crate::domain::Typing::Composing
    } else {
        crate::domain::Typing::Paused
    };
    contact(&cast, &id)?.typing(&chat, state)?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct Online {
    online: bool,
}

async fn online(
    Extension(cast): Extension<Cast>,
    Path(id): Path<String>,
    Json(Online { online }): Json<Online>,
) -> Result<StatusCode, ApiError> {
    contact(&cast, &id)?.set_online(online)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn events(
    Extension(cast): Extension<Cast>,
    axum::extract::State(office): axum::extract::State<Arc<Office>>,
    Path(id): Path<String>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let mut versions = contact(&cast, &id)?.changes();
    versions.mark_changed();
    let end = office.cancel.clone();
    let stream = futures_util::stream::unfold((versions, end), |(mut versions, end)| async {
        let changed = tokio::select! {
            changed = versions.changed() => changed.is_ok(),
            () = end.cancelled() => false,
        };
        let version = *versions.borrow_and_update();
        changed.then(|| {
            let event = Event::default().data(version.to_string());
            (Ok(event), (versions, end))
        })
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(Duration::from_secs(20))))
}
