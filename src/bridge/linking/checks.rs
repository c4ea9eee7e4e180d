//! What a room is like before it is linked: who is in it, who may do what, and which other bridges are there.

use ruma::{OwnedUserId, UserId};
use serde_json::Value;

use super::{LINK_STATE, LinkError, check_user, info::KINDS, lacks};
use crate::{domain::GatekeeperId, matrix::Power};

/// Names under which other bridges know a gatekeeper's service besides its own.
const OTHER_NAMES: [(&str, &[&str]); 1] = [("messenger", &["facebook", "meta"])];

/// A bridge that says it is in a room.
#[derive(Debug, PartialEq, Eq)]
struct OtherBridge {
    bot: Option<String>,
    protocol: String,
    name: String,
}

/// A room as its state tells of it.
pub(super) struct RoomFacts {
    power: Power,
    public: bool,
    joined: Vec<OwnedUserId>,
    bridges: Vec<OtherBridge>,
}

impl RoomFacts {
    /// Reads the whole state of a room.
    pub(super) fn read(state: &[Value]) -> Self {
        let of = |kind: &str| {
            let mut events = state.iter();
            events.find(|event| event["type"] == kind && event["state_key"] == "")
        };
        let create = of("m.room.create").cloned().unwrap_or_default();
        let levels = of("m.room.power_levels").map(|event| event["content"].clone());
        let joined = state
            .iter()
            .filter(|event| {
                event["type"] == "m.room.member" && event["content"]["membership"] == "join"
            })
            .filter_map(|event| OwnedUserId::try_from(event["state_key"].as_str()?).ok())
            .collect();
        Self {
            power: Power::read(&create, levels),
            public: of("m.room.join_rules")
                .is_some_and(|event| event["content"]["join_rule"] == "public"),
            joined,
            bridges: state.iter().filter_map(OtherBridge::read).collect(),
        }
    }

    /// Who is in the room.
    pub(super) fn joined(&self) -> &[OwnedUserId] {
        &self.joined
    }

    /// Whether somebody may link the room.
    pub(super) fn check_user(&self, user: &UserId) -> Result<(), LinkError> {
        check_user(&self.power, user)
    }

    /// Whether another bridge to the same service is in the room. What one left that is not in it any more counts for nothing.
    pub(super) fn check_bridges(
        &self,
        bot: &UserId,
        gatekeeper: &GatekeeperId,
        name: &str,
    ) -> Result<(), LinkError> {
        let is_there = |other: &&OtherBridge| match &other.bot {
            Some(its) => its != bot.as_str() && self.joined.iter().any(|user| user == its),
            None => true,
        };
        let mut others = self.bridges.iter().filter(is_there);
        match others.find(|other| other.is_to(gatekeeper, name)) {
            Some(other) => Err(LinkError::OtherBridge(other.name.clone())),
            None => Ok(()),
        }
    }

    /// Whether the bot can bring others in.
    pub(super) fn check_bot(&self, bot: &UserId) -> Result<(), LinkError> {
        if self.public {
            return Ok(());
        }
        let needed = self.power.to_invite();
        lacks(
            &self.power,
            bot,
            "the bot needs",
            needed,
            "to invite people",
        )?;
        if self.power.of(bot) < self.power.to_set(LINK_STATE) {
            tracing::debug!("a room is linked in which the bot cannot say so");
        }
        Ok(())
    }
}

impl OtherBridge {
    fn read(event: &Value) -> Option<Self> {
        if !KINDS.contains(&event["type"].as_str()?) {
            return None;
        }
        let content = &event["content"];
        let protocol = content["protocol"]["id"].as_str()?.to_owned();
        let name = content["protocol"]["displayname"].as_str();
        Some(Self {
            bot: content["bridgebot"].as_str().map(str::to_owned),
            name: name.unwrap_or(&protocol).to_owned(),
            protocol,
        })
    }

    /// Whether it is a bridge to the service of a gatekeeper, by any of its names.
    fn is_to(&self, gatekeeper: &GatekeeperId, name: &str) -> bool {
        let ours = [gatekeeper.as_str().to_lowercase(), name.to_lowercase()];
        let theirs = [self.protocol.to_lowercase(), self.name.to_lowercase()];
        let more = OTHER_NAMES
            .iter()
            .filter(|(of, _)| ours.iter().any(|our| our.contains(of)))
            .flat_map(|(_, names)| names.iter().copied());
        let mut names = ours.iter().map(String::as_str).chain(more);
        names.any(|name| theirs.iter().any(|their| their.contains(name)))
    }
}

#[cfg(test)]
mod tests {
    use ruma::user_id;
    use serde_json::json;

    use super::*;

    const BOT: &str = "@drawbridgebot:x";

    fn state(kind: &str, key: &str, content: &Value) -> Value {
        json!({ "type": kind, "state_key": key, "sender": "@maker:x", "content": content })
    }

    fn room(more: Vec<Value>) -> RoomFacts {
        let mut all = vec![
            state("m.room.create", "", &json!({ "room_version": "10" })),
            state(
                "m.room.power_levels",
                "",
                &json!({ "users": { "@maker:x": 100 }, "invite": 50 }),
            ),
            state("m.room.member", BOT, &json!({ "membership": "join" })),
            state(
                "m.room.member",
                "@gone:x",
                &json!({ "membership": "leave" }),
            ),
            state(
                "m.room.member",
                "@other:x",
                &json!({ "membership": "join" }),
            ),
        ];
        all.extend(more);
        RoomFacts::read(&all)
    }

    fn bridge(bot: &str, protocol: &str, name: &str) -> Value {
        let content = json!({
            "bridgebot": bot,
            "protocol": { "id": protocol, "displayname": name },
            "channel": { "id": "1" },
        });
        state("uk.half-shot.bridge", "key", &content)
    }

    fn conflict(more: Vec<Value>, gatekeeper: &str, name: &str) -> Option<String> {
        let gatekeeper = GatekeeperId::parse(gatekeeper).unwrap();
        let bot = user_id!("@drawbridgebot:x");
        room(more)
            .check_bridges(bot, &gatekeeper, name)
            .err()
            .map(|error| error.to_string())
    }

    #[test]
    fn another_bridge_to_the_same_service_is_a_conflict() {
        let other = || bridge("@other:x", "whatsapp", "WhatsApp Go");
        let error = conflict(vec![other()], "whatsapp", "WhatsApp").unwrap();
        assert!(error.contains("to WhatsApp Go already"), "{error}");
        // To another service it may stay.
        assert_eq!(conflict(vec![other()], "messenger", "Messenger"), None);
        let facebook = bridge("@other:x", "facebook", "Facebook");
        assert!(conflict(vec![facebook], "messenger", "Messenger").is_some());
    }

    #[test]
    fn what_a_bridge_left_behind_is_no_conflict() {
        let gone = bridge("@gone:x", "whatsapp", "WhatsApp");
        assert_eq!(conflict(vec![gone], "whatsapp", "WhatsApp"), None);
        let ours = bridge(BOT, "whatsapp", "WhatsApp");
        assert_eq!(conflict(vec![ours], "whatsapp", "WhatsApp"), None);
        let emptied = state("m.bridge", "key", &json!({}));
        assert_eq!(conflict(vec![emptied], "whatsapp", "WhatsApp"), None);
    }

    #[test]
    fn the_bot_needs_the_power_to_invite_unless_the_room_is_public() {
        let bot = user_id!("@drawbridgebot:x");
        let error = room(Vec::new()).check_bot(bot).unwrap_err().to_string();
        assert!(
            error.starts_with("the bot needs the power 50 in that room to invite people"),
            "{error}"
        );
        assert!(error.contains("ask @maker:x"), "{error}");
        let public = state("m.room.join_rules", "", &json!({ "join_rule": "public" }));
        assert!(room(vec![public]).check_bot(bot).is_ok());
    }

    #[test]
    fn who_is_in_the_room_is_known() {
        assert_eq!(room(Vec::new()).joined(), [BOT, "@other:x"]);
    }
}
