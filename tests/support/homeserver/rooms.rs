//! What happens in rooms: making and joining them, events, state, receipts, typing.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{
    SERVER,
    api::{Answer, count, refuse},
    world::{Room, World},
};

pub(super) fn create_room(world: &mut World, user: &str, body: &Value) -> Answer {
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
    // The creator's power is in the override, as this room version needs it.
    let mut levels = body["power_level_content_override"].clone();
    if levels.is_null() {
        levels = json!({ "users": { user: 100 } });
    }
    world.append(
        &room_id,
        user,
        "m.room.power_levels",
        Some(""),
        levels,
        None,
    );
    for (field, kind) in [("name", "m.room.name"), ("topic", "m.room.topic")] {
        if body[field].is_string() {
            let content = json!({ field: body[field] });
            world.append(&room_id, user, kind, Some(""), content, None);
        }
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

pub(super) fn join(world: &mut World, user: &str, room: &str) -> Answer {
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
        Some("ban") => return refuse(403, "M_FORBIDDEN", "banned"),
        _ if is_public(&world.rooms[&room_id]) => {
            world.member(&room_id, user, user, "join", false);
        }
        _ => return refuse(403, "M_FORBIDDEN", "not invited"),
    }
    Ok(json!({ "room_id": room_id }))
}

pub(super) fn in_room(
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
    if let Some(needed) = needed_power(room, method, rest)
        && power(world, room_id, user) < needed
    {
        return refuse(403, "M_FORBIDDEN", format!("{user} has no power for this"));
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
            count(world, "state");
            let key = key.first().copied().unwrap_or_default();
            let event_id = world.append(room_id, user, kind, Some(key), body.clone(), None);
            Ok(json!({ "event_id": event_id }))
        }
        ("GET", ["state"]) => Ok(json!(room.whole_state())),
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
        ("POST", ["invite" | "kick" | "unban" | "leave"]) => {
            membership(world, user, room_id, rest[0], body)
        }
        ("PUT", ["redact", event_id, txn_id]) => {
            count(world, "redact");
            let device = query.get("device_id").map_or("", String::as_str);
            redact(world, (user, device), room_id, event_id, txn_id, body)
        }
        ("GET", ["event", event_id]) => match world.event(room_id, event_id) {
            Some(event) => Ok(with_latest_edit(event, room)),
            None => refuse(404, "M_NOT_FOUND", "no such event"),
        },
        ("PUT", ["typing", of]) if *of == user => {
            let writes = body["typing"] == true;
            let typed = (room_id.to_owned(), user.to_owned(), writes);
            world.typed.push(typed);
            world.type_in(room_id, user, writes);
            Ok(json!({}))
        }
        ("POST", ["receipt", "m.read", event_id]) => {
            let receipt = (room_id.to_owned(), user.to_owned(), (*event_id).to_owned());
            world.receipts.push(receipt);
            world.show_receipt(room_id, user, event_id);
            Ok(json!({}))
        }
        ("POST", ["receipt", ..] | ["read_markers"]) => Ok(json!({})),
        ("GET", ["messages"]) => Ok(messages(world, room_id, query)),
        ("GET", ["members"]) => {
            let left = query.get("not_membership").map(String::as_str);
            let members = room.whole_state().into_iter().filter(|event| {
                event["type"] == "m.room.member" && event["content"]["membership"].as_str() != left
            });
            Ok(json!({ "chunk": members.collect::<Vec<_>>() }))
        }
        ("GET", ["joined_members"]) => {
            let joined: serde_json::Map<String, Value> = room
                .members
                .iter()
                .filter(|(_, membership)| *membership == "join")
                .map(|(user, _)| {
                    let name = world.names.get(user);
                    (user.clone(), json!({ "display_name": name }))
                })
                .collect();
            Ok(json!({ "joined": joined }))
        }
        _ => refuse(404, "M_UNRECOGNIZED", format!("{method} {rest:?}")),
    }
}

fn is_public(room: &Room) -> bool {
    let rules = ("m.room.join_rules".to_owned(), String::new());
    let rules = room.state.get(&rules);
    rules.is_some_and(|content| content["join_rule"] == "public")
}

/// An event with its latest edit bundled with it, as Synapse gives it.
fn with_latest_edit(event: &Value, room: &Room) -> Value {
    let edits = |other: &&Value| {
        let relation = &other["content"]["m.relates_to"];
        relation["rel_type"] == "m.replace"
            && relation["event_id"] == event["event_id"]
            && other["sender"] == event["sender"]
    };
    let mut event = event.clone();
    if let Some(edit) = room.events.iter().rev().find(edits) {
        event["unsigned"]["m.relations"] = json!({ "m.replace": edit });
    }
    event
}

/// Anybody may delete what they said; what others said, only somebody with power.
fn redact(
    world: &mut World,
    (user, device): (&str, &str),
    room_id: &str,
    event_id: &str,
    txn_id: &str,
    body: &Value,
) -> Answer {
    let key = format!("{user}|{device}|redact|{txn_id}");
    if let Some(known) = world.sends.get(&key) {
        return Ok(json!({ "event_id": known }));
    }
    let is_own = world
        .event(room_id, event_id)
        .is_some_and(|event| event["sender"] == user);
    if !is_own && power(world, room_id, user) < 50 {
        return refuse(403, "M_FORBIDDEN", "no power to redact what others said");
    }
    let reason = body["reason"].as_str();
    let redaction = world.redact(room_id, user, event_id, reason);
    let done = (room_id.to_owned(), user.to_owned(), event_id.to_owned());
    world.redactions.push(done);
    world.sends.insert(key, redaction.clone());
    Ok(json!({ "event_id": redaction }))
}

/// The power a request takes in a room, where the room says so.
fn needed_power(room: &Room, method: &str, rest: &[&str]) -> Option<i64> {
    let levels = room
        .state
        .get(&("m.room.power_levels".to_owned(), String::new()))?;
    let of = |kind: &str, default: &str, otherwise: i64| {
        let own = levels["events"][kind].as_i64();
        own.or(levels[default].as_i64()).unwrap_or(otherwise)
    };
    match (method, rest) {
        ("PUT", ["send", kind, _]) => Some(of(kind, "events_default", 0)),
        ("PUT", ["state", kind, ..]) => Some(of(kind, "state_default", 50)),
        ("POST", [what @ ("invite" | "kick")]) => levels[*what].as_i64(),
        _ => None,
    }
}

fn power(world: &World, room_id: &str, user: &str) -> i64 {
    let state = &world.rooms[room_id].state;
    let levels = state.get(&("m.room.power_levels".to_owned(), String::new()));
    let create = state.get(&("m.room.create".to_owned(), String::new()));
    match levels {
        Some(levels) => levels["users"][user].as_i64().unwrap_or(0),
        None if create.is_some_and(|create| create["creator"] == user) => 100,
        None => 0,
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

/// A change of somebody's membership.
fn membership(world: &mut World, user: &str, room_id: &str, how: &str, body: &Value) -> Answer {
    let of = body["user_id"].as_str().unwrap_or_default();
    let is = world.rooms[room_id].members.get(of).cloned();
    match how {
        "invite" => {
            count(world, "invite");
            if is.as_deref() == Some("join") {
                return refuse(403, "M_FORBIDDEN", "already in the room");
            }
            world.member(room_id, user, of, "invite", false);
        }
        "kick" => {
            count(world, "kick");
            if !matches!(is.as_deref(), Some("join" | "invite")) {
                return refuse(403, "M_FORBIDDEN", "not in the room");
            }
            world.member(room_id, user, of, "leave", false);
        }
        "unban" => world.member(room_id, user, of, "leave", false),
        _ => {
            count(world, "leave");
            world.member(room_id, user, user, "leave", false);
        }
    }
    Ok(json!({}))
}
