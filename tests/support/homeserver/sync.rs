//! `/sync`: the timelines since a token, and what is kept nowhere.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::world::World;

/// A token is the place in the stream, among what is kept nowhere, among messages to devices and among changes of devices.
fn place(token: &str) -> Option<[usize; 4]> {
    let places = token.strip_prefix('s')?.split('_');
    let places: Vec<usize> = places.filter_map(|place| place.parse().ok()).collect();
    places.try_into().ok()
}

pub(super) fn sync(world: &mut World, user: &str, query: &HashMap<String, String>) -> Value {
    let (messages, changes) = world.devices.place();
    let now = [world.stream.len(), world.ephemeral.len(), messages, changes];
    let since = query.get("since").and_then(|since| place(since));
    let device = query.get("device_id").cloned().unwrap_or_default();
    let whose = (user.to_owned(), device);
    // Whoever asks from a place on has what was sent before.
    let taken = world.devices.taken.entry(whose.clone()).or_default();
    if let Some([_, _, messages, _]) = since {
        *taken = messages.max(*taken);
    }
    let waiting = *taken;
    let [events, ephemeral, _, changes] = since.unwrap_or(now);
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
        "next_batch": format!("s{}_{}_{}_{}", now[0], now[1], now[2], now[3]),
        "to_device": { "events": world.devices.messages_from(waiting, &whose) },
        "device_lists": { "changed": world.devices.changed_from(changes), "left": [] },
        "device_one_time_keys_count": world.devices.counts(&whose),
        "device_unused_fallback_key_types": world.devices.unused_fallback(&whose),
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
