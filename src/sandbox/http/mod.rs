//! The HTTP listener: enlistment, key set, the chat channel by WebSocket, registration of phones, the page and its API.

mod api;
mod guard;
mod other;
mod page;
mod phones;
mod pictures;

use std::sync::Arc;

use axum::{
    Extension, Json, Router,
    extract::{DefaultBodyLimit, Path, State, WebSocketUpgrade},
    http::StatusCode,
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
};

use super::{
    chat,
    contacts::Contacts,
    enlistment::{self, flavour_of},
    line, media,
    office::Office,
};

/// The longest body that is read, in bytes.
const MAX_BODY: usize = 256 * 1024;
/// How long a client on a WebSocket may be silent.
const PATIENCE: std::time::Duration = std::time::Duration::from_mins(2);

/// The contacts, once they have started.
pub(super) type Cast = Arc<tokio::sync::OnceCell<Arc<Contacts>>>;

/// Everything that is served. `info` is the answer to `GET /api/info`.
pub(super) fn router(office: Arc<Office>, cast: Cast, info: serde_json::Value) -> Router {
    Router::new()
        .route("/", get(page::page))
        .route("/page/{name}", get(page::part))
        .route("/chat", get(chat_channel))
        .route("/{gatekeeper}/3p/interop_reg", post(enlistment::enlist))
        .route("/{gatekeeper}/.well-known/jwks", get(key_set))
        .route(
            "/{gatekeeper}/media/upload",
            post(media::upload).layer(DefaultBodyLimit::disable()),
        )
        .route("/{gatekeeper}/media/v/{*rest}", get(media::download))
        .route("/{gatekeeper}/media/pictures/{name}", get(pictures::give))
        .route(
            "/{gatekeeper}/media/interop/{named}/download/{integrator}/{reference}/",
            get(media::hosted),
        )
        .route("/phones/register", post(phones::register))
        .nest("/other", other::router())
        .nest("/api", api::router(cast))
        .layer(Extension(Arc::new(info)))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn(guard::check))
        .with_state(office)
}

async fn key_set(State(office): State<Arc<Office>>, Path(path): Path<String>) -> Response {
    match flavour_of(&path) {
        Some(_) => Json(office.signing.key_set()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn chat_channel(State(office): State<Arc<Office>>, upgrade: WebSocketUpgrade) -> Response {
    upgrade
        .max_message_size(1 << 24)
        .on_upgrade(move |socket| async move {
            let (reader, writer) = line::web_socket(socket, PATIENCE);
            chat::serve(office, reader, writer).await;
        })
}
