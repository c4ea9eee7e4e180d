//! The part of the client-server API that the bridge uses, and the application service ping.

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Query, State},
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use std::collections::HashMap;

use super::homeserver::{Homeserver, SERVER, World};

pub(crate) fn router(server: Homeserver) -> Router {
    Router::new().fallback(answer).with_state(server)
}

type Answer = Result<Value, (StatusCode, &'static str, String)>;

fn refuse(status: u16, code: &'static str, why: impl Into<String>) -> Answer {
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
    let path: Vec<String> = uri
        .path()
        .split('/')
        .filter(|part| !part.is_empty())
        .map(decode)
        .collect();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    if path.last() == Some(&"ping") {
        return ping(&server, &body).await;
    }
    let authorized = headers
        .get("authorization")
        .is_some_and(|value| value.as_bytes() == format!("Bearer {}", server.as_token).as_bytes());
    // The specification asks for no token here.
    let open = matches!(
        path.as_slice(),
        [_, "client", "versions"]
            | [_, "federation", ..]
            | [_, "client", _, "directory", "room", _]
    );
    let answer = if authorized || open {
        let wait = path.last() == Some(&"sync") && query.contains_key("since");
        if wait {
            let timeout = query
                .get("timeout")
                .and_then(|ms| ms.parse().ok())
                .unwrap_or(0);
            let changed = server.changed.notified();
            let _ = tokio::time::timeout(std::time::Duration::from_millis(timeout), changed).await;
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
    match answer {
        Ok(value) => Json(value).into_response(),
        Err((status, code, why)) => {
            (status, Json(json!({ "errcode": code, "error": why }))).into_response()
        }
    }
}

fn handle(
    world: &mut World,
    method: &Method,
    path: &[&str],
    query: &HashMap<String, String>,
    body: &Value,
) -> Answer {
    let bot = format!("@drawbridgebot:{SERVER}");
    let user = query.get("user_id").cloned().unwrap_or(bot);
    let rest = match path {
        ["_matrix", "client", "versions"] => {
            return Ok(
                json!({ "versions": ["v1.1", "v1.11", "v1.13", "v1.17"], "unstable_features": {} }),
            );
        }
        ["_matrix", "federation", "v1", "version"] => {
            return Ok(json!({ "server": { "name": "Synapse", "version": "1.163.0" } }));
        }
        ["_matrix", "client", _, rest @ ..] => rest,
        _ => return refuse(404, "M_UNRECOGNIZED", "no such path"),
    };
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
        ("GET", ["account", "whoami"]) => Ok(json!({ "user_id": user })),
        ("PUT", ["devices", _]) => Ok(json!({})),
        ("PUT", ["profile", of, "displayname"]) => {
            count(world, "profile");
            let name = body["displayname"].as_str().unwrap_or_default();
            world.names.insert((*of).to_owned(), name.to_owned());
            Ok(json!({}))
        }
        ("GET", ["profile", of, ..]) => Ok(json!({ "displayname": world.names.get(*of) })),
        ("POST", ["createRoom"]) => create_room(world, &user, body),
        ("GET", ["directory", "room", alias]) => match world.aliases.get(*alias) {
            Some(room_id) => Ok(json!({ "room_id": room_id, "servers": [SERVER] })),
            None => refuse(404, "M_NOT_FOUND", "no such alias"),
        },
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

fn create_room(world: &mut World, user: &str, body: &Value) -> Answer {
    count(world, "createRoom");
    let alias = body["room_alias_name"]
        .as_str()
        .map(|name| format!("#{name}:{SERVER}"));
    if let Some(alias) = &alias
        && world.aliases.contains_key(alias)
    {
        return refuse(400, "M_ROOM_IN_USE", "the alias is taken");
    }
    let room_id = world.new_room(user);
    if let Some(alias) = alias {
        world.aliases.insert(alias, room_id.clone());
    }
    for event in body["initial_state"].as_array().into_iter().flatten() {
        let kind = event["type"].as_str().unwrap_or_default();
        let key = event["state_key"].as_str().unwrap_or_default();
        world.append(
            &room_id,
            user,
            kind,
            Some(key),
            event["content"].clone(),
            None,
        );
    }
    let is_direct = body["is_direct"] == true;
    for invited in body["invite"].as_array().into_iter().flatten() {
        let invited = invited.as_str().unwrap_or_default();
        world.member(&room_id, user, invited, "invite", is_direct);
    }
    Ok(json!({ "room_id": room_id }))
}

fn join(world: &mut World, user: &str, room: &str) -> Answer {
    count(world, "join");
    let room_id = world
        .aliases
        .get(room)
        .cloned()
        .unwrap_or_else(|| room.to_owned());
    let Some(membership) = world
        .rooms
        .get(&room_id)
        .map(|room| room.members.get(user).cloned())
    else {
        return refuse(404, "M_NOT_FOUND", "no such room");
    };
    match membership.as_deref() {
        Some("join") => {}
        Some("invite") => world.member(&room_id, user, user, "join", false),
        _ => return refuse(403, "M_FORBIDDEN", "not invited"),
    }
    Ok(json!({ "room_id": room_id }))
}

fn in_room(
    world: &mut World,
    method: &str,
    user: &str,
    room_id: &str,
    rest: &[&str],
    query: &HashMap<String, String>,
    body: &Value,
) -> Answer {
    let Some(room) = world.rooms.get(room_id) else {
        return refuse(404, "M_NOT_FOUND", "no such room");
    };
    if room
        .members
        .get(user)
        .is_none_or(|membership| membership != "join")
        && rest != ["leave"]
    {
        return refuse(403, "M_FORBIDDEN", format!("{user} is not in the room"));
    }
    match (method, rest) {
        ("PUT", ["send", kind, txn_id]) => {
            count(world, "send");
            let device = query.get("device_id").map_or("", String::as_str);
            let key = format!("{user}|{device}|{kind}|{txn_id}");
            if let Some(event_id) = world.sends.get(&key) {
                return Ok(json!({ "event_id": event_id }));
            }
            let ts = query.get("ts").and_then(|ts| ts.parse().ok());
            let event_id = world.append(room_id, user, kind, None, body.clone(), ts);
            world.sends.insert(key, event_id.clone());
            Ok(json!({ "event_id": event_id }))
        }
        ("PUT", ["state", kind, key @ ..]) => {
            let key = key.first().copied().unwrap_or_default();
            let event_id = world.append(room_id, user, kind, Some(key), body.clone(), None);
            Ok(json!({ "event_id": event_id }))
        }
        ("GET", ["state", kind, key @ ..]) => {
            let key = (
                (*kind).to_owned(),
                key.first().copied().unwrap_or_default().to_owned(),
            );
            match room.state.get(&key) {
                Some(content) => Ok(content.clone()),
                None => refuse(404, "M_NOT_FOUND", "no such state"),
            }
        }
        ("POST", ["invite"]) => {
            count(world, "invite");
            let invited = body["user_id"].as_str().unwrap_or_default();
            if world.rooms[room_id]
                .members
                .get(invited)
                .is_some_and(|is| is == "join")
            {
                return refuse(403, "M_FORBIDDEN", "already in the room");
            }
            world.member(room_id, user, invited, "invite", false);
            Ok(json!({}))
        }
        ("POST", ["leave"]) => {
            world.member(room_id, user, user, "leave", false);
            Ok(json!({}))
        }
        ("POST", ["receipt", _, event_id]) => {
            let receipt = (room_id.to_owned(), user.to_owned(), (*event_id).to_owned());
            world.receipts.push(receipt);
            Ok(json!({}))
        }
        ("GET", ["messages"]) => Ok(messages(world, room_id, query)),
        ("GET", ["joined_members"]) => {
            let joined: serde_json::Map<String, Value> = room
                .members
                .iter()
                .filter(|(_, membership)| *membership == "join")
                .map(|(user, _)| (user.clone(), json!({})))
                .collect();
            Ok(json!({ "joined": joined }))
        }
        _ => refuse(404, "M_UNRECOGNIZED", format!("{method} {rest:?}")),
    }
}

fn messages(world: &World, room_id: &str, query: &HashMap<String, String>) -> Value {
    let events = &world.rooms[room_id].events;
    let limit: usize = query
        .get("limit")
        .and_then(|l| l.parse().ok())
        .unwrap_or(10);
    let end: usize = query
        .get("from")
        .and_then(|from| from.strip_prefix('t'))
        .and_then(|from| from.parse().ok())
        .unwrap_or(events.len());
    let start = end.saturating_sub(limit);
    let chunk: Vec<&Value> = events[start..end].iter().rev().collect();
    let mut answer = json!({ "chunk": chunk, "start": format!("t{end}") });
    if start > 0 {
        answer["end"] = json!(format!("t{start}"));
    }
    answer
}

fn sync(world: &World, user: &str, query: &HashMap<String, String>) -> Value {
    let since: usize = query
        .get("since")
        .and_then(|since| since.strip_prefix('s'))
        .and_then(|since| since.parse().ok())
        .unwrap_or(world.stream.len());
    let mut join: serde_json::Map<String, Value> = serde_json::Map::new();
    for (room, index) in world.stream.iter().skip(since) {
        if world.rooms[room]
            .members
            .get(user)
            .is_some_and(|is| is == "join")
        {
            let entry = join
                .entry(room.clone())
                .or_insert_with(|| json!({ "timeline": { "events": [], "limited": false }, "ephemeral": { "events": [] } }));
            if let Some(events) = entry["timeline"]["events"].as_array_mut() {
                events.push(world.rooms[room].events[*index].clone());
            }
        }
    }
    json!({ "next_batch": format!("s{}", world.stream.len()), "rooms": { "join": join } })
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

fn count(world: &mut World, what: &'static str) {
    *world.requests.entry(what).or_default() += 1;
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
