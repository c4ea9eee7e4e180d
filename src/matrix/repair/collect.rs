//! What an answer to `/sync` brings: the events of every timeline, the gaps before them filled, and the bot's invitations.

use ruma::{
    OneTimeKeyAlgorithm, OwnedRoomId, OwnedUserId, RoomId, UInt, UserId,
    api::client::sync::sync_events::v3::{JoinedRoom, Response, Timeline},
    serde::Raw,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::matrix::{DeviceTraffic, Intent, MatrixError, inbox};

/// Events in one request for the history of a room.
const PAGE: u32 = 100;
/// Requests for the history of one room; what lies further back is given up.
const PAGES: usize = 100;

/// The JSON of every event, each room's in order. The first time nothing is missing yet, so only invitations are taken. Without a
/// `since` gaps before the timelines have no end, so they are not filled.
pub(super) async fn events(
    bot: &Intent,
    answer: &Response,
    since: Option<&str>,
    first: bool,
) -> Result<Vec<String>, MatrixError> {
    let mut found = Vec::new();
    let rooms = &answer.rooms;
    if !first {
        let left = rooms.leave.iter().map(|(id, room)| (id, &room.timeline));
        let joined = rooms.join.iter().map(|(id, room)| (id, &room.timeline));
        for (room, timeline) in joined.chain(left) {
            if let Some(since) = since {
                found.extend(missed(bot, room, timeline, since).await?);
            }
            found.extend(timeline.events.iter().map(|event| in_room(event, room)));
        }
    }
    for (room, invited) in &rooms.invite {
        for event in &invited.invite_state.events {
            found.extend(invitation(event, room, bot.user_id(), since));
        }
    }
    Ok(found)
}

/// Typing, receipts and presence, in the form in which they come in transactions.
pub(super) fn ephemeral(answer: &Response) -> Vec<Value> {
    let of_room = |(room, content): (&OwnedRoomId, &JoinedRoom)| {
        let events = content.ephemeral.events.iter();
        events
            .filter_map(|event| serde_json::from_str(&in_room(event, room)).ok())
            .collect::<Vec<Value>>()
    };
    let presence = answer.presence.events.iter();
    presence
        .filter_map(|event| serde_json::from_str(event.json().get()).ok())
        .chain(answer.rooms.join.iter().flat_map(of_room))
        .collect()
}

/// What came for the device that asked.
pub(super) fn traffic(answer: &Response) -> DeviceTraffic {
    let counts = &answer.device_one_time_keys_count;
    let count = |(algorithm, count): (&OneTimeKeyAlgorithm, &UInt)| {
        (algorithm.to_string(), u64::from(*count))
    };
    let fallback = answer.device_unused_fallback_key_types.as_ref();
    let ids = |users: &[OwnedUserId]| users.iter().map(ToString::to_string).collect();
    DeviceTraffic {
        to_device: answer
            .to_device
            .events
            .iter()
            .map(|event| event.json().to_owned())
            .collect(),
        changed: ids(&answer.device_lists.changed),
        left: ids(&answer.device_lists.left),
        one_time_keys: (!counts.is_empty()).then(|| counts.iter().map(count).collect()),
        fallback_keys: fallback.map(|types| types.iter().map(ToString::to_string).collect()),
    }
}

/// What lies between the last sync and the beginning of a timeline that was cut short, oldest first.
async fn missed(
    bot: &Intent,
    room: &RoomId,
    timeline: &Timeline,
    since: &str,
) -> Result<Vec<String>, MatrixError> {
    let mut found = Vec::new();
    let mut from = timeline.prev_batch.clone().filter(|_| timeline.limited);
    let mut pages = 0;
    while let Some(token) = from {
        if pages == PAGES {
            tracing::warn!(room = %room, "more is missing in a room than is asked for at once, the oldest is given up");
            break;
        }
        pages += 1;
        let page = match bot.before(room, &token, Some(since), PAGE).await {
            Ok(page) => page,
            Err(error) if matches!(error.errcode(), Some("M_FORBIDDEN" | "M_NOT_FOUND")) => {
                tracing::warn!(room = %room, %error, "what a room is missing is not shown");
                break;
            }
            Err(error) => return Err(error),
        };
        found.extend(page.chunk.iter().map(|event| in_room(event, room)));
        from = page.end.filter(|_| !page.chunk.is_empty());
    }
    found.reverse();
    Ok(found)
}

/// An event with the room id that `/sync` leaves out. What is no object stays as it is, for the quarantine.
fn in_room<T>(event: &Raw<T>, room: &RoomId) -> String {
    let text = event.json().get();
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(mut object)) => {
            object.insert("room_id".to_owned(), json!(room));
            Value::Object(object).to_string()
        }
        _ => text.to_owned(),
    }
}

/// The bot's invitation out of a room's stripped state, as an event. It has no id there, so it gets one of its own: the
/// same for the same invitation at the same place of the sync.
fn invitation<T>(
    event: &Raw<T>,
    room: &RoomId,
    bot: &UserId,
    since: Option<&str>,
) -> Option<String> {
    let mut event: Value = serde_json::from_str(event.json().get()).ok()?;
    if event["type"] != "m.room.member" || event["state_key"] != bot.as_str() {
        return None;
    }
    if event["content"]["membership"] != "invite" {
        return None;
    }
    let object = event.as_object_mut()?;
    object.insert("room_id".to_owned(), json!(room));
    if !object.contains_key("event_id") {
        let mut hash = Sha256::new();
        hash.update(Value::Object(object.clone()).to_string());
        hash.update(since.unwrap_or_default());
        let id = format!("$invitation-{}", inbox::hex(&hash.finalize()));
        object.insert("event_id".to_owned(), id.into());
    }
    object
        .entry("origin_server_ts")
        .or_insert_with(|| Value::from(0));
    Some(event.to_string())
}
