//! The media repository: addresses, uploads, and downloads that demand the token, as in Synapse.

use std::collections::HashMap;

use axum::{
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Path, Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::{get, post, put},
};
use serde_json::json;

use super::{
    Homeserver, SERVER,
    api::{Answer, account, count, is_authorized, refuse, respond},
    world::{File, World},
};

type Fields = Query<HashMap<String, String>>;

pub(super) fn router() -> axum::Router<Homeserver> {
    axum::Router::new()
        .route("/_matrix/media/v1/create", post(create))
        .route("/_matrix/media/v3/upload", post(upload))
        .route("/_matrix/media/v3/upload/{server}/{id}", put(upload_to))
        .route("/_matrix/client/v1/media/config", get(config))
        .route(
            "/_matrix/client/v1/media/download/{server}/{id}",
            get(download),
        )
        .layer(DefaultBodyLimit::disable())
}

async fn create(
    State(server): State<Homeserver>,
    Query(query): Fields,
    headers: HeaderMap,
) -> Response {
    respond(authorized(&server, &headers, |world| {
        count(world, "create media");
        Ok(json!({ "content_uri": world.create_media(&account(&query)) }))
    }))
}

async fn upload(
    State(server): State<Homeserver>,
    Query(query): Fields,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    respond(authorized(&server, &headers, |world| {
        let user = account(&query);
        let uri = world.create_media(&user);
        take(world, &uri, &user, &query, &headers, body)?;
        Ok(json!({ "content_uri": uri }))
    }))
}

async fn upload_to(
    State(server): State<Homeserver>,
    Path((name, id)): Path<(String, String)>,
    Query(query): Fields,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let uri = format!("mxc://{name}/{id}");
    respond(authorized(&server, &headers, |world| {
        take(world, &uri, &account(&query), &query, &headers, body)
    }))
}

fn take(
    world: &mut World,
    uri: &str,
    user: &str,
    query: &HashMap<String, String>,
    headers: &HeaderMap,
    bytes: Bytes,
) -> Answer {
    count(world, "upload");
    let too_large = world.max_upload.is_some_and(|max| bytes.len() as u64 > max);
    let Some(media) = world.media.get_mut(uri) else {
        return refuse(404, "M_NOT_FOUND", "no such address");
    };
    if media.owner != user {
        return refuse(403, "M_FORBIDDEN", "the address was made by somebody else");
    }
    if media.file.is_some() {
        return refuse(409, "M_CANNOT_OVERWRITE_MEDIA", "it was uploaded already");
    }
    if too_large {
        return refuse(413, "M_TOO_LARGE", "the file is too large");
    }
    let mime_type = headers.get(header::CONTENT_TYPE);
    let mime_type = mime_type.and_then(|value| value.to_str().ok());
    media.file = Some(File {
        mime_type: mime_type.unwrap_or("application/octet-stream").to_owned(),
        name: query.get("filename").cloned(),
        bytes,
    });
    Ok(json!({}))
}

async fn config(State(server): State<Homeserver>, headers: HeaderMap) -> Response {
    respond(authorized(&server, &headers, |world| {
        Ok(match world.max_upload {
            Some(max) => json!({ "m.upload.size": max }),
            None => json!({}),
        })
    }))
}

async fn download(
    State(server): State<Homeserver>,
    Path((name, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let mut found = None;
    let answer = authorized(&server, &headers, |world| {
        count(world, "download");
        let Some(media) = world.media.get(&format!("mxc://{name}/{id}")) else {
            return refuse(404, "M_NOT_FOUND", format!("no such file at {SERVER}"));
        };
        let Some(file) = &media.file else {
            return refuse(504, "M_NOT_YET_UPLOADED", "it has not been uploaded yet");
        };
        found = Some((file.mime_type.clone(), file.bytes.clone()));
        Ok(json!({}))
    });
    match found {
        Some((mime_type, bytes)) => Response::builder()
            .status(StatusCode::OK)
            .header(header::CONTENT_TYPE, mime_type)
            .header(header::CONTENT_LENGTH, bytes.len())
            .body(Body::from(bytes))
            .unwrap()
            .into_response(),
        None => respond(answer),
    }
}

fn authorized(
    server: &Homeserver,
    headers: &HeaderMap,
    handle: impl FnOnce(&mut World) -> Answer,
) -> Answer {
    if !is_authorized(server, headers) {
        return refuse(401, "M_MISSING_TOKEN", "files are not for everybody");
    }
    let answer = handle(&mut server.world());
    server.changed.notify_waiters();
    answer
}
