//! `/sync`: the timelines since a token, and what is kept nowhere.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::world::World;

/// A token is the place in the stream and the place among what is kept nowhere.
fn place(token: &str) -> Option<(usize, usize)> {
    let (events, ephemeral) = token.strip_prefix('s')?.split_once('_')?;
    Some((events.parse().ok()?, ephemeral.parse().ok()?))
}

pub(super) fn sync(world: &World, user: &str, query: &HashMap<String, String>) -> Value {
    let now = (world.stream.len(), world.ephemeral.len());
    let since = query.get("since").and_then(|since| place(since));
    let (events, ephemeral) = since.unwrap_or(now);
    let mut join: Map<String, Value> = Map::new();
    for (room, index) in world.stream.iter().skip(events) {
        if is_joined(world, room, user) {
            let event = world.rooms[room].events[*index].clone();
            push(&mut join, room, "timeline", event);
        }
    }
    let mut presence = Vec::new();
    for event in world.ephemeral.iter().skip(ephemeral) {
        match event["room_id"].as_str() {
            Some(room) if is_joined(world, room, user) => {
                push(&mut join, room, "ephemeral", event.clone());
            }
            Some(_) => {}
            None => presence.push(event),
        }
    }
    json!({
        "next_batch": format!("s{}_{}", now.0, now.1),
        "rooms": { "join": join },
        "presence": { "events": presence },
    })
}

fn is_joined(world: &World, room: &str, user: &str) -> bool {
    let members = &world.rooms[room].members;
    members.get(user).is_some_and(|is| is == "join")
}

fn push(join: &mut Map<String, Value>, room: &str, part: &str, mut event: Value) {
    if let Some(event) = event.as_object_mut() {
        event.remove("room_id");
    }
    let room = join.entry(room.to_owned()).or_insert_with(|| {
        let timeline = json!({ "events": [], "limited": false });
        json!({ "timeline": timeline, "ephemeral": { "events": [] } })
    });
    if let Some(events) = room[part]["events"].as_array_mut() {
        events.push(event);
    }
}
