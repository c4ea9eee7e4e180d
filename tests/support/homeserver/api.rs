//! The part of the client-server API that the bridge uses, and the application service ping.

use std::collections::HashMap;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Query, State},
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse as _, Response},
};
use serde_json::{Value, json};

use super::{
    Homeserver, SERVER, devices, media,
    rooms::{create_room, in_room, join},
    sync::sync,
    world::World,
};

pub(super) fn router(server: Homeserver) -> Router {
    media::router().fallback(answer).with_state(server)
}

/// What is answered: JSON, or a status, an error code and its reason.
pub(super) type Answer = Result<Value, (StatusCode, &'static str, String)>;

pub(super) fn refuse(status: u16, code: &'static str, why: impl Into<String>) -> Answer {
    let status = StatusCode::from_u16(status).expect("a status code of this file");
    Err((status, code, why.into()))
}

async fn answer(
    State(server): State<Homeserver>,
    method: Method,
    uri: Uri,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = segments(uri.path());
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    if path.last() == Some(&"ping") {
        return ping(&server, &body).await;
    }
    // The specification asks for no token here.
    let open = matches!(
        path.as_slice(),
        [_, "client", "versions"]
            | [_, "federation", ..]
            | [_, "client", _, "directory", "room", _]
    );
    let answer = if open || is_authorized(&server, &headers) {
        let wait = path.last() == Some(&"sync") && query.contains_key("since");
        if wait {
            let timeout = query
                .get("timeout")
                .and_then(|ms| ms.parse().ok())
                .unwrap_or(0);
            let changed = server.changed.notified();
            let _ = tokio::time::timeout(std::time::Duration::from_millis(timeout), changed).await;
        }
        let is_held = || {
            let joins = path.contains(&"join");
            joins && server.world().held.contains(&account(&query))
        };
        while is_held() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let answer = handle(&mut server.world(), &method, &path, &query, &body);
        server.changed.notify_waiters();
        answer
    } else {
        refuse(
            401,
            "M_UNKNOWN_TOKEN",
            "not the application service's token",
        )
    };
    respond(answer)
}

pub(super) fn respond(answer: Answer) -> Response {
    match answer {
        Ok(value) => Json(value).into_response(),
        Err((status, code, why)) => {
            (status, Json(json!({ "errcode": code, "error": why }))).into_response()
        }
    }
}

/// Whether the application service asks.
pub(super) fn is_authorized(server: &Homeserver, headers: &HeaderMap) -> bool {
    let expected = format!("Bearer {}", server.as_token);
    let shown = headers.get("authorization");
    shown.is_some_and(|value| value.as_bytes() == expected.as_bytes())
}

/// As whom it asks.
pub(super) fn account(query: &HashMap<String, String>) -> String {
    let bot = || format!("@drawbridgebot:{SERVER}");
    query.get("user_id").cloned().unwrap_or_else(bot)
}

pub(super) fn handle(
    world: &mut World,
    method: &Method,
    path: &[&str],
    query: &HashMap<String, String>,
    body: &Value,
) -> Answer {
    let user = account(query);
    count(world, "all");
    if path.last() == Some(&"sync") {
        count(world, "sync");
    }
    let rest = match path {
        ["_matrix", "client", "versions"] => {
            return Ok(
                json!({ "versions": ["v1.1", "v1.11", "v1.13", "v1.17"], "unstable_features": {} }),
            );
        }
        ["_matrix", "federation", "v1", "version"] => {
            return Ok(json!({ "server": { "name": "Synapse", "version": "1.163.0" } }));
        }
        ["_matrix", "federation", "v1", "openid", "userinfo"] => {
            let token = query.get("access_token").map_or("", String::as_str);
            return match world.openid.get(token) {
                Some(holder) => Ok(json!({ "sub": holder })),
                None => refuse(401, "M_UNKNOWN_TOKEN", "nobody's OpenID token"),
            };
        }
        ["_matrix", "client", _, rest @ ..] => rest,
        _ => return refuse(404, "M_UNRECOGNIZED", "no such path"),
    };
    let device = query.get("device_id").cloned().unwrap_or_default();
    let whose = (user.clone(), device);
    if let Some(answer) = devices::of_devices(world, method.as_str(), rest, &whose, body) {
        return answer;
    }
    match (method.as_str(), rest) {
        ("POST", ["register"]) => {
            let name = body["username"].as_str().unwrap_or_default();
            let id = format!("@{name}:{SERVER}");
            count(world, "register");
            if !world.registered.insert(id.clone()) {
                return refuse(400, "M_USER_IN_USE", "taken");
            }
            Ok(json!({ "user_id": id }))
        }
        ("GET", ["account", "whoami"]) => {
            Ok(json!({ "user_id": user, "device_id": query.get("device_id") }))
        }
        (method, ["profile", of, rest @ ..]) => profile(world, method, of, rest, body),
        ("PUT", ["presence", of, "status"]) if *of == user => {
            let state = body["presence"].as_str().unwrap_or_default();
            world.set_presence(&user, state);
            Ok(json!({}))
        }
        ("POST", ["createRoom"]) => create_room(world, &user, body),
        ("GET", ["directory", "room", alias]) => match world.aliases.get(*alias) {
            Some(room_id) => Ok(json!({ "room_id": room_id, "servers": [SERVER] })),
            None => refuse(404, "M_NOT_FOUND", "no such alias"),
        },
        ("PUT", ["directory", "room", alias]) => {
            let room_id = body["room_id"].as_str().unwrap_or_default();
            world
                .aliases
                .insert((*alias).to_owned(), room_id.to_owned());
            Ok(json!({}))
        }
        ("DELETE", ["directory", "room", alias]) => {
            world.aliases.remove(*alias);
            Ok(json!({}))
        }
        ("POST", ["join", room] | ["rooms", room, "join"]) => join(world, &user, room),
        ("GET", ["sync"]) => Ok(sync(world, &user, query)),
        ("POST", ["user", _, "filter"]) => Ok(json!({ "filter_id": "1" })),
        (method, ["rooms", room, rest @ ..]) => {
            in_room(world, method, &user, room, rest, query, body)
        }
        _ => refuse(404, "M_UNRECOGNIZED", format!("{method} {path:?}")),
    }
}

fn profile(world: &mut World, method: &str, of: &str, rest: &[&str], body: &Value) -> Answer {
    match (method, rest) {
        ("PUT", ["displayname"]) => {
            count(world, "profile");
            let name = body["displayname"].as_str().unwrap_or_default();
            world.names.insert(of.to_owned(), name.to_owned());
            Ok(json!({}))
        }
        ("PUT", ["avatar_url"]) => {
            count(world, "profile");
            let uri = body["avatar_url"].as_str().unwrap_or_default();
            world.avatars.insert(of.to_owned(), uri.to_owned());
            Ok(json!({}))
        }
        ("GET", field) => {
            let (name, avatar) = (world.names.get(of), world.avatars.get(of));
            if name.is_none() && avatar.is_none() && !world.registered.contains(of) {
                return refuse(404, "M_NOT_FOUND", "no such profile");
            }
            let whole = json!({ "displayname": name, "avatar_url": avatar });
            match field {
                [] => Ok(whole),
                [field] if !whole[*field].is_null() => Ok(json!({ *field: whole[*field] })),
                _ => refuse(404, "M_NOT_FOUND", "the profile has no such field"),
            }
        }
        _ => refuse(404, "M_UNRECOGNIZED", "no such path"),
    }
}

async fn ping(server: &Homeserver, body: &Value) -> Response {
    let url = server
        .as_url
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .clone();
    let asked = server
        .http
        .post(format!("{url}/_matrix/app/v1/ping"))
        .bearer_auth(&server.hs_token)
        .json(&json!({ "transaction_id": body["transaction_id"] }))
        .send()
        .await;
    match asked {
        Ok(answer) if answer.status().is_success() => {
            Json(json!({ "duration_ms": 1 })).into_response()
        }
        _ => {
            let error = json!({ "errcode": "M_CONNECTION_FAILED", "error": "no answer" });
            (StatusCode::BAD_GATEWAY, Json(error)).into_response()
        }
    }
}

pub(super) fn count(world: &mut World, what: &'static str) {
    *world.requests.entry(what).or_default() += 1;
}

/// The segments of a path.
pub(super) fn segments(path: &str) -> Vec<String> {
    let parts = path.split('/').filter(|part| !part.is_empty());
    parts.map(decode).collect()
}

/// Percent-decoding of one path segment.
fn decode(segment: &str) -> String {
    let bytes = segment.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%')
            .then(|| segment.get(at + 1..at + 3))
            .flatten()
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        if let Some(byte) = hex {
            out.push(byte);
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
