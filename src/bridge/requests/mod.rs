//! From rooms to groups: what Matrix users do in a portal besides writing is asked of the gatekeeper, as their login.
//!
//! Invariants: the store's truth decides whether there is anything to ask, so an event may be taken any number of times; what is
//! refused is taken back in the room and explained once, by a notice that belongs to the event; what the bridge takes back is its
//! own event, and those are never asked. A gatekeeper that cannot be reached holds a room back for a few minutes, not for ever.

mod facts;
mod levels;
mod members;

use std::sync::Arc;

use ruma::{OwnedRoomId, UserId, events::AnyTimelineEvent};
use serde_json::Value;

use super::{
    context::{Bridge, BridgeError},
    invites::member_change,
    routes::PortalRoute,
};
use crate::{
    config::Level,
    domain::{ChatId, GroupChange, LoginId, PortalId, RemoteUserId, Unbridgeable},
    store::{GroupMemberRow, GroupRow, InboxEvent, Lane},
};

/// What somebody changed in a room, if it is something a group has too.
#[derive(Debug, PartialEq)]
enum RoomChange {
    /// Who is in it.
    Member,
    /// Who may do what.
    Levels(Value),
    /// Its name.
    Name(String),
    /// Its topic.
    Topic(String),
    /// The address of its picture.
    Avatar(Option<String>),
    /// It goes on in another room.
    Tombstone,
}

impl RoomChange {
    /// Reads an event.
    fn read(event: &Value) -> Option<Self> {
        let content = &event["content"];
        let text = |key: &str| content[key].as_str().unwrap_or_default().trim().to_owned();
        let kind = event["type"].as_str()?;
        let key = event["state_key"].as_str()?;
        if kind == "m.room.member" {
            return Some(Self::Member);
        }
        if !key.is_empty() || event["unsigned"]["redacted_because"].is_object() {
            return None;
        }
        Some(match kind {
            "m.room.power_levels" => Self::Levels(content.clone()),
            "m.room.name" => Self::Name(text("name")),
            "m.room.topic" => Self::Topic(text("topic")),
            "m.room.avatar" => Self::Avatar(Some(text("url")).filter(|url| !url.is_empty())),
            "m.room.tombstone" => Self::Tombstone,
            _ => return None,
        })
    }
}

/// When a change of a room that mirrors several chats is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// In that of each group, for that group.
    Each,
    /// In that of the first group, for all of the room: it may be any of its chats that is meant.
    Once,
    /// Before anything else of the room.
    AtOnce,
}

impl Turn {
    /// Reads an event, as JSON; `None` if it is no change.
    pub(super) fn of(event: &str) -> Option<Self> {
        let event: Value = serde_json::from_str(event).ok()?;
        Some(match RoomChange::read(&event)? {
            RoomChange::Member => Self::Once,
            RoomChange::Tombstone => Self::AtOnce,
            _ => Self::Each,
        })
    }

    /// The portals in whose turn it is.
    pub(super) fn concerns(self, portals: &[Arc<PortalRoute>]) -> Vec<PortalId> {
        let groups = portals.iter().filter(|route| route.is_group());
        let ids = groups.map(|route| route.portal.id);
        match self {
            Self::Each => ids.collect(),
            Self::Once => ids.take(1).collect(),
            Self::AtOnce => Vec::new(),
        }
    }
}

/// What somebody did in a room, to be done in a group too.
struct Wish<'a> {
    room_id: &'a OwnedRoomId,
    route: &'a PortalRoute,
    event_id: &'a str,
    by: &'a UserId,
}

/// The truth about a group.
struct Truth {
    group: Option<GroupRow>,
    members: Vec<GroupMemberRow>,
}

impl Truth {
    fn member(&self, user: &RemoteUserId) -> Option<&GroupMemberRow> {
        self.members.iter().find(|member| member.user == *user)
    }

    /// Whether somebody is in the group.
    fn has(&self, user: &RemoteUserId) -> bool {
        self.member(user)
            .is_some_and(|member| member.role.is_some())
    }
}

impl Bridge {
    /// Takes what somebody changed in a portal's room: members, power, name, topic, picture, another room. Whether it was such a
    /// change; it is dealt with then.
    pub(super) async fn take_room_change(
        &self,
        room_id: &OwnedRoomId,
        portals: &[Arc<PortalRoute>],
        event: &InboxEvent,
        parsed: &AnyTimelineEvent,
    ) -> Result<bool, BridgeError> {
        let Ok(json) = serde_json::from_str::<Value>(&event.json) else {
            return Ok(false);
        };
        let Some(change) = RoomChange::read(&json) else {
            return Ok(false);
        };
        match self
            .take_change(room_id, portals, event, parsed, &change)
            .await
        {
            Err(error) if error.is_transient() => Err(error),
            Err(error) => {
                // Trying again would change nothing, and what comes behind it would wait for ever.
                tracing::warn!(room = %room_id, event = event.event_id, %error, "a change of a room came to nothing");
                Ok(true)
            }
            Ok(()) => Ok(true),
        }
    }

    async fn take_change(
        &self,
        room_id: &OwnedRoomId,
        portals: &[Arc<PortalRoute>],
        event: &InboxEvent,
        parsed: &AnyTimelineEvent,
        change: &RoomChange,
    ) -> Result<(), BridgeError> {
        if *change == RoomChange::Tombstone {
            return self.take_tombstone(room_id, parsed).await.map(drop);
        }
        if *change == RoomChange::Member {
            let Some(member) = member_change(parsed) else {
                return Ok(());
            };
            let event_id = event.event_id.as_str();
            return self
                .take_membership(room_id, portals, event_id, &member)
                .await;
        }
        for route in portals {
            // What a room that somebody linked is called is its own business, and so is what a direct chat's room is called.
            if !route.is_group() || route.portal.linked {
                continue;
            }
            let wish = Wish {
                room_id,
                route,
                event_id: &event.event_id,
                by: parsed.sender(),
            };
            // What the room shows stays as it is until it is noted what it shows.
            let alone = self.groups.alone(route.portal.id);
            let _alone = alone.lock().await;
            match change {
                RoomChange::Levels(levels) => self.take_levels(&wish, levels).await?,
                RoomChange::Name(name) => self.take_name(&wish, name).await?,
                RoomChange::Topic(topic) => self.take_topic(&wish, topic).await?,
                RoomChange::Avatar(uri) => self.take_avatar(&wish, uri.as_deref()).await?,
                RoomChange::Member | RoomChange::Tombstone => {}
            }
        }
        Ok(())
    }

    /// As which login a wish is asked; why as none. One that speaks for others does so only for invitations and, in rooms that somebody
    /// linked, for removals.
    fn asking_as(&self, wish: &Wish<'_>, for_others: bool) -> Result<LoginId, String> {
        if let Some(login) = wish.route.login_of(wish.by) {
            return Ok(login.id);
        }
        let relay = wish.route.portal.relay.filter(|relay| {
            let mut logins = wish.route.logins.iter();
            logins.any(|login| login.id == *relay)
        });
        let rules = &self.settings.relay.rules;
        let is_allowed = rules.enabled
            && self.level(wish.by) >= Level::Relay
            && !rules.ignores(wish.by.as_str());
        if let Some(relay) = relay.filter(|_| for_others && is_allowed) {
            return Ok(relay);
        }
        Err(format!(
            "{} has no login that is in this group. Ask somebody who has one",
            wish.by
        ))
    }

    /// Asks the gatekeeper for a change. Whom of those named it refuses, or why it refuses all of it.
    async fn ask(
        &self,
        wish: &Wish<'_>,
        login: LoginId,
        change: &GroupChange,
    ) -> Result<Result<Vec<(RemoteUserId, String)>, String>, BridgeError> {
        let key = &wish.route.portal.key;
        let asked = self
            .network(&key.gatekeeper)?
            .change_group(login, &key.chat, change)
            .await;
        fail::fail_point!("group.after_ask");
        match asked {
            Ok(refused) => {
                self.end_trouble(wish.event_id);
                Ok(Ok(refused))
            }
            Err(error) if error.is_transient() && self.is_worth_waiting(wish.event_id) => {
                Err(error.into())
            }
            Err(error) => {
                self.end_trouble(wish.event_id);
                let hint = if error.is_transient() {
                    "; try again later"
                } else {
                    ""
                };
                Ok(Err(format!("{error}{hint}")))
            }
        }
    }

    /// What is known of a group.
    async fn truth(&self, route: &PortalRoute) -> Result<Truth, BridgeError> {
        let key = route.portal.key.clone();
        let (group, members) = self
            .db
            .read(move |txn| {
                let key = key.clone();
                Box::pin(async move {
                    let group = txn.group(&key.gatekeeper, &key.chat).await?;
                    let members = txn.group_members(&key.gatekeeper, &key.chat).await?;
                    Ok((group, members))
                })
            })
            .await?;
        Ok(Truth { group, members })
    }

    /// The same, fetched anew if the gatekeeper gives it: it refused something, so it may know better.
    async fn fresh_truth(&self, route: &PortalRoute, login: LoginId) -> Result<Truth, BridgeError> {
        let key = &route.portal.key;
        if let Err(error) = self.fetch_group(login, key).await {
            tracing::debug!(%login, %error, "a group could not be asked for anew");
        }
        self.truth(route).await
    }

    /// Stores a group as the gatekeeper gave it.
    pub(super) async fn keep_group(
        &self,
        login: LoginId,
        gatekeeper: crate::domain::GatekeeperId,
        chat: &ChatId,
        group: crate::domain::Group,
    ) -> Result<(), BridgeError> {
        let chat = chat.clone();
        self.db
            .step(Lane::login(login), move |txn| {
                let (gatekeeper, chat) = (gatekeeper.clone(), chat.clone());
                let group = group.clone();
                Box::pin(async move {
                    let known = txn.group(&gatekeeper, &chat).await?;
                    let row = GroupRow {
                        gatekeeper: gatekeeper.clone(),
                        chat: chat.clone(),
                        facts: group.facts,
                        shown: known.map(|known| known.shown).unwrap_or_default(),
                    };
                    txn.put_group(&row).await?;
                    txn.set_group_members(&gatekeeper, &chat, &group.members)
                        .await
                })
            })
            .await?;
        Ok(())
    }

    /// A state as the room has it now: what an event said may be over, since the bridge showed what others did meanwhile.
    async fn state_now(
        &self,
        room_id: &OwnedRoomId,
        kind: &str,
        key: &str,
    ) -> Result<Option<Value>, BridgeError> {
        match self.bot().state(room_id, kind, key).await {
            Ok(content) => Ok(content),
            Err(error) if error.is_transient() => Err(error.into()),
            Err(error) => {
                tracing::debug!(room = %room_id, kind, %error, "a state of a room cannot be read");
                Ok(None)
            }
        }
    }

    /// Whether a room shows something else by now than an event said.
    async fn is_over(
        &self,
        wish: &Wish<'_>,
        kind: &str,
        field: &str,
        said: &str,
    ) -> Result<bool, BridgeError> {
        let now = self.state_now(wish.room_id, kind, "").await?;
        Ok(now.is_some_and(|now| now[field].as_str().unwrap_or_default().trim() != said))
    }

    /// Says in the room why something was not done, and what became of it.
    async fn explain(&self, wish: &Wish<'_>, why: &str, then: &str) -> Result<(), BridgeError> {
        let gatekeeper = self.gatekeeper_name(&wish.route.portal.key.gatekeeper);
        let why = why.trim_end_matches('.');
        let refusal = Unbridgeable {
            reason: "not_allowed",
            notice: Some(format!("Not done at {gatekeeper}: {why}. {then}")),
        };
        self.refuse(wish.room_id, wish.event_id, &refusal).await
    }

    /// Puts a state of the room back, with the power the bot has. Whether that could be done.
    async fn put_back(
        &self,
        room_id: &OwnedRoomId,
        kind: &str,
        content: &Value,
    ) -> Result<bool, BridgeError> {
        match self.bot().send_state(room_id, kind, "", content).await {
            Ok(()) => Ok(true),
            Err(error) if error.is_transient() => Err(error.into()),
            Err(error) => {
                tracing::warn!(room = %room_id, kind, %error, "a change could not be taken back");
                Ok(false)
            }
        }
    }
}

/// What became of the room after something was refused.
fn taken_back(done: bool) -> &'static str {
    if done {
        "The room is as the group is again."
    } else {
        "The room could not be changed back: give the bot more power there, or do it yourself."
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_a_group_has_too_is_a_change() {
        let read = |kind: &str, key: &str, content: Value| {
            RoomChange::read(&json!({ "type": kind, "state_key": key, "content": content }))
        };
        let name = json!({ "name": " Hike " });
        assert_eq!(
            read("m.room.name", "", name.clone()),
            Some(RoomChange::Name("Hike".to_owned()))
        );
        assert_eq!(read("m.room.name", "other", name.clone()), None);
        assert_eq!(
            read("m.room.avatar", "", json!({})),
            Some(RoomChange::Avatar(None))
        );
        assert_eq!(
            read("m.room.member", "@a:x", json!({})),
            Some(RoomChange::Member)
        );
        assert_eq!(read("m.room.encryption", "", json!({})), None);
        // A message is none, whatever its type says.
        let message = json!({ "type": "m.room.name", "content": name });
        assert_eq!(RoomChange::read(&message), None);
        // What was deleted before it came says nothing.
        let deleted = json!({
            "type": "m.room.name", "state_key": "", "content": {},
            "unsigned": { "redacted_because": {} },
        });
        assert_eq!(RoomChange::read(&deleted), None);
    }
}
