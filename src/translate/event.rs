//! An event of a room as the translation reads it.

use std::borrow::Cow;

use ruma::{
    OwnedEventId,
    events::{AnyMessageLikeEvent, AnyTimelineEvent, room::redaction::RoomRedactionEvent},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::domain::Timestamp;

/// An event of a room. Its content is kept as it came: what is missing in it or of a wrong type is as if it was not there, so
/// that a malformed field costs no more than itself, and fields that no specification knows can be read.
#[derive(Debug, Clone, PartialEq)]
pub struct RoomEvent {
    pub(super) kind: String,
    pub(super) sent_at: Timestamp,
    pub(super) is_state: bool,
    pub(super) is_redacted: bool,
    pub(super) redacts: Option<OwnedEventId>,
    pub(super) content: Value,
}

/// What every event has.
#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    origin_server_ts: Value,
    #[serde(default)]
    state_key: Option<Value>,
    #[serde(default)]
    unsigned: Value,
    #[serde(default)]
    redacts: Value,
    #[serde(default)]
    content: Value,
}

impl RoomEvent {
    /// Whether it takes another one out of the room.
    #[must_use]
    pub fn is_redaction(&self) -> bool {
        self.kind == "m.room.redaction"
    }

    /// Its content, as it came.
    #[must_use]
    pub fn content(&self) -> &Value {
        &self.content
    }

    /// Reads an event.
    ///
    /// # Errors
    /// That it is no JSON, or has no type.
    pub fn from_json(json: &str) -> Result<Self, serde_json::Error> {
        let envelope: Envelope = serde_json::from_str(json)?;
        let redacts = [&envelope.redacts, &envelope.content["redacts"]]
            .into_iter()
            .find_map(event_id);
        Ok(Self {
            sent_at: Timestamp(envelope.origin_server_ts.as_i64().unwrap_or_default()),
            is_state: envelope.state_key.is_some(),
            is_redacted: !envelope.unsigned["redacted_because"].is_null(),
            redacts,
            kind: envelope.kind,
            content: envelope.content,
        })
    }
}

/// What can be read as an event of a room.
pub trait AsRoomEvent {
    /// The event.
    fn as_room_event(&self) -> Cow<'_, RoomEvent>;
}

impl AsRoomEvent for RoomEvent {
    fn as_room_event(&self) -> Cow<'_, RoomEvent> {
        Cow::Borrowed(self)
    }
}

/// What the library does not know of an event is lost on this way.
impl AsRoomEvent for AnyTimelineEvent {
    fn as_room_event(&self) -> Cow<'_, RoomEvent> {
        let (content, redacts) = match self {
            Self::MessageLike(event) => {
                let redacts = match event {
                    AnyMessageLikeEvent::RoomRedaction(RoomRedactionEvent::Original(event)) => {
                        event
                            .redacts
                            .clone()
                            .or_else(|| event.content.redacts.clone())
                    }
                    _ => None,
                };
                let content = event.original_content().map(serde_json::to_value);
                (content, redacts)
            }
            Self::State(event) => (event.original_content().map(serde_json::to_value), None),
        };
        Cow::Owned(RoomEvent {
            kind: self.event_type().to_string(),
            sent_at: Timestamp(self.origin_server_ts().get().into()),
            is_state: matches!(self, Self::State(_)),
            is_redacted: content.is_none(),
            redacts,
            content: content.and_then(Result::ok).unwrap_or_else(|| json!({})),
        })
    }
}

/// An event id in an event's content.
pub(super) fn event_id(value: &Value) -> Option<OwnedEventId> {
    OwnedEventId::try_from(value.as_str()?).ok()
}

/// The text of an extensible event's field: a string, or the plain one of several forms.
pub(super) fn extensible_text(of: &Value) -> Option<&str> {
    if let Some(text) = of["org.matrix.msc1767.text"].as_str() {
        return Some(text);
    }
    let forms = of["m.text"]
        .as_array()
        .or_else(|| of["org.matrix.msc1767.text"].as_array())?;
    forms
        .iter()
        .find(|form| matches!(form["mimetype"].as_str(), None | Some("text/plain")))
        .and_then(|form| form["body"].as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_read_an_event_agree() {
        let json = json!({
            "type": "m.room.redaction",
            "event_id": "$event",
            "room_id": "!room:example.org",
            "sender": "@ada:example.org",
            "origin_server_ts": 1_700_000_000_000_u64,
            "redacts": "$gone",
            "content": { "reason": "typo" },
        })
        .to_string();
        let read = RoomEvent::from_json(&json).unwrap();
        let typed: AnyTimelineEvent = serde_json::from_str(&json).unwrap();
        assert_eq!(*typed.as_room_event(), read);
        assert_eq!(read.redacts.unwrap().as_str(), "$gone");
    }

    #[test]
    fn what_is_of_a_wrong_type_is_not_there() {
        let event = RoomEvent::from_json(r#"{"type":"m.room.message","redacts":7}"#).unwrap();
        assert_eq!(event.redacts, None);
        assert_eq!(event.content["body"].as_str(), None);
        assert!(RoomEvent::from_json(r#"{"content":{}}"#).is_err());
    }
}
