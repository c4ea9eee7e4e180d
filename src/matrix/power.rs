//! Who may do what in a room, out of its creation and its power levels.
//!
//! <https://spec.matrix.org/v1.16/client-server-api/#mroompower_levels>

use ruma::{RoomVersionId, UserId};
use serde_json::Value;

/// The power of somebody who stands above every level.
const ABOVE_ALL: i64 = i64::MAX;

/// Who may do what in a room.
#[derive(Debug, Clone)]
pub struct Power {
    /// Who made the room.
    creators: Vec<String>,
    /// Whether those stand above every level (from version 12 on).
    creators_are_above: bool,
    /// The content of the power levels, if the room has any.
    levels: Option<Value>,
}

impl Power {
    /// Reads it from the room's creation, as an event (or as a content alone, of homeservers that give no events), and from the
    /// content of its power levels.
    #[must_use]
    pub fn read(create: &Value, levels: Option<Value>) -> Self {
        let content = match &create["content"] {
            Value::Object(_) => &create["content"],
            _ => create,
        };
        let version = content["room_version"].as_str().unwrap_or("1");
        // A version ruma does not know is newer than version 12.
        let creators_are_above = RoomVersionId::try_from(version)
            .ok()
            .and_then(|version| version.rules())
            .is_none_or(|rules| rules.authorization.explicitly_privilege_room_creators);
        let more = content["additional_creators"].as_array();
        let creators = [&create["sender"], &content["creator"]]
            .into_iter()
            .chain(more.into_iter().flatten())
            .filter_map(|user| user.as_str().map(str::to_owned))
            .collect();
        Self {
            creators,
            creators_are_above,
            levels,
        }
    }

    /// How much power somebody has.
    #[must_use]
    pub fn of(&self, user: &UserId) -> i64 {
        let made_it = self.creators.iter().any(|creator| creator == user.as_str());
        if made_it && self.creators_are_above {
            return ABOVE_ALL;
        }
        match &self.levels {
            None if made_it => 100,
            None => 0,
            Some(levels) => number(&levels["users"][user.as_str()])
                .or_else(|| number(&levels["users_default"]))
                .unwrap_or(0),
        }
    }

    /// How much is needed to set a state of a type.
    #[must_use]
    pub fn to_set(&self, kind: &str) -> i64 {
        match &self.levels {
            None => 0,
            Some(levels) => number(&levels["events"][kind])
                .or_else(|| number(&levels["state_default"]))
                .unwrap_or(50),
        }
    }

    /// How much is needed to write messages.
    #[must_use]
    pub fn to_write(&self) -> i64 {
        let Some(levels) = &self.levels else {
            return 0;
        };
        number(&levels["events"]["m.room.message"])
            .or_else(|| number(&levels["events_default"]))
            .unwrap_or(0)
    }

    /// How much is needed to invite.
    #[must_use]
    pub fn to_invite(&self) -> i64 {
        let level = self.levels.as_ref().map(|levels| number(&levels["invite"]));
        level.flatten().unwrap_or(0)
    }

    /// Who has at least so much power, by name.
    #[must_use]
    pub fn holders(&self, level: i64) -> Vec<String> {
        let users = self
            .levels
            .as_ref()
            .and_then(|levels| levels["users"].as_object());
        let with_level = users.into_iter().flatten();
        let mut found: Vec<String> = with_level
            .filter(|(_, value)| number(value).is_some_and(|has| has >= level))
            .map(|(user, _)| user.clone())
            .collect();
        if self.creators_are_above || self.levels.is_none() {
            found.extend(self.creators.iter().cloned());
        }
        found.sort();
        found.dedup();
        found
    }
}

/// A level; rooms before version 10 may have it as a text.
fn number(value: &Value) -> Option<i64> {
    value
        .as_i64()
        .or_else(|| value.as_str()?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use ruma::user_id;
    use serde_json::json;

    use super::*;

    fn create(version: &str) -> Value {
        json!({
            "sender": "@maker:x",
            "content": { "room_version": version, "additional_creators": ["@second:x"] },
        })
    }

    #[test]
    fn levels_are_the_users_or_else_the_default() {
        let levels = json!({
            "users": { "@maker:x": 100, "@old:x": "50" },
            "users_default": 5,
            "events": { "m.bridge": 75 },
            "state_default": 60,
            "events_default": 10,
            "invite": 20,
        });
        let power = Power::read(&create("10"), Some(levels));
        assert_eq!(power.of(user_id!("@maker:x")), 100);
        assert_eq!(power.of(user_id!("@old:x")), 50);
        assert_eq!(power.of(user_id!("@anybody:x")), 5);
        assert_eq!(
            (power.to_set("m.bridge"), power.to_set("m.other")),
            (75, 60)
        );
        assert_eq!((power.to_invite(), power.to_write()), (20, 10));
        assert_eq!(power.holders(50), ["@maker:x", "@old:x"]);
    }

    #[test]
    fn creators_stand_above_all_from_version_12_on() {
        let levels = json!({ "users": { "@admin:x": 100 } });
        let power = Power::read(&create("12"), Some(levels.clone()));
        assert_eq!(power.of(user_id!("@maker:x")), i64::MAX);
        assert_eq!(power.of(user_id!("@second:x")), i64::MAX);
        assert_eq!(power.holders(100), ["@admin:x", "@maker:x", "@second:x"]);
        let power = Power::read(&create("11"), Some(levels));
        assert_eq!(power.of(user_id!("@maker:x")), 0);
        assert_eq!(power.holders(100), ["@admin:x"]);
    }

    #[test]
    fn without_levels_who_made_the_room_may_everything() {
        let power = Power::read(&json!({ "creator": "@maker:x" }), None);
        assert_eq!(power.of(user_id!("@maker:x")), 100);
        assert_eq!(power.of(user_id!("@other:x")), 0);
        assert_eq!((power.to_set("m.room.name"), power.to_invite()), (0, 0));
        assert_eq!(power.to_write(), 0);
    }
}
