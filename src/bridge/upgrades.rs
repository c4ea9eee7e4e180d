//! Rooms that go on in another room (`m.room.tombstone`): followed only when both rooms say so.
//!
//! Whoever may write a tombstone names the new room, and the new room names the old one as its predecessor. Either alone can be
//! forged. The people enter the new room before the store says that it is the portal's, and who is to leave the old one is written
//! down together with that.

use ruma::{
    OwnedRoomId, OwnedUserId, RoomVersionId,
    events::{AnyStateEvent, AnyTimelineEvent, StateEvent},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    context::{Bridge, BridgeError},
    linking::{Leaving, room_of},
};
use crate::{
    domain::{GroupRole, RemoteUserId},
    matrix::Intent,
    store::{Lane, PortalRow},
    translate::bridge_notice,
};

/// One room going on in another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Upgrade {
    old: OwnedRoomId,
    new: OwnedRoomId,
    /// The tombstone.
    event_id: String,
    by: OwnedUserId,
}

/// What mirrors a chat, or is somebody's, in the old room.
struct Inhabitants {
    portals: Vec<PortalRow>,
    owner: Option<String>,
}

/// The key under which an upgrade waits until the bot is let into the new room.
fn waiting_key(new: &OwnedRoomId) -> String {
    format!("upgrade/{new}")
}

impl Upgrade {
    fn read(old: &OwnedRoomId, event: &AnyTimelineEvent) -> Option<Self> {
        let AnyTimelineEvent::State(AnyStateEvent::RoomTombstone(StateEvent::Original(tombstone))) =
            event
        else {
            return None;
        };
        let new = tombstone.content.replacement_room.clone();
        (new != *old).then(|| Self {
            old: old.clone(),
            new,
            event_id: tombstone.event_id.to_string(),
            by: tombstone.sender.clone(),
        })
    }

    /// Whether a room says in its creation that it follows the old room; why it does not.
    fn is_followed_by(&self, create: &Value) -> Result<(), &'static str> {
        let content = match &create["content"] {
            Value::Object(_) => &create["content"],
            _ => create,
        };
        let predecessor = &content["predecessor"];
        if !predecessor.is_object() {
            return Err("the new room does not say that it follows another");
        }
        if predecessor["room_id"] != self.old.as_str() {
            return Err("the new room follows another room");
        }
        match predecessor["event_id"].as_str() {
            Some(event_id) if event_id == self.event_id => Ok(()),
            Some(_) => Err("the new room follows this one since another event"),
            // From version 12 on a room's id is made of its creation, so that cannot name the event that names the room.
            None if is_named_by_its_creation(content) => Ok(()),
            None => Err("the new room does not say since which event it follows this one"),
        }
    }
}

fn is_named_by_its_creation(create: &Value) -> bool {
    let version = create["room_version"].as_str().unwrap_or("1");
    RoomVersionId::try_from(version)
        .ok()
        .and_then(|version| version.rules())
        .is_none_or(|rules| rules.authorization.room_create_event_id_as_room_id)
}

impl Bridge {
    /// Takes the event that says that a room goes on in another one, if it is one. The same event may be taken again.
    pub(super) async fn take_tombstone(
        &self,
        room_id: &OwnedRoomId,
        event: &AnyTimelineEvent,
    ) -> Result<bool, BridgeError> {
        let Some(upgrade) = Upgrade::read(room_id, event) else {
            return Ok(false);
        };
        match self.may_move(&upgrade).await? {
            Ok(()) => self.follow(&upgrade).await?,
            Err(why) => self.refuse_move(&upgrade, &why).await?,
        }
        Ok(true)
    }

    /// Takes up an upgrade that waited for the bot to be let into the new room; whether there was one.
    pub(super) async fn take_up_upgrade(&self, new: &OwnedRoomId) -> Result<bool, BridgeError> {
        let key = waiting_key(new);
        let waiting = self
            .db
            .read(move |txn| {
                let key = key.clone();
                Box::pin(async move { txn.value(&key).await })
            })
            .await?;
        let Some(upgrade) = waiting.and_then(|json| serde_json::from_str::<Upgrade>(&json).ok())
        else {
            return Ok(false);
        };
        if !self.still_ends(&upgrade).await? {
            self.db
                .step(Lane::room(new.as_str()), {
                    let key = waiting_key(new);
                    move |txn| {
                        let key = key.clone();
                        Box::pin(async move { txn.delete_value(&key).await })
                    }
                })
                .await?;
            return Ok(false);
        }
        self.follow(&upgrade).await?;
        Ok(true)
    }

    /// Whether the old room still says that it goes on in the new one: it may have been taken back since.
    async fn still_ends(&self, upgrade: &Upgrade) -> Result<bool, BridgeError> {
        let Some(witness) = self.witness(upgrade).await? else {
            return Ok(false);
        };
        let tombstone = witness.state(&upgrade.old, "m.room.tombstone", "").await?;
        Ok(tombstone.is_some_and(|content| content["replacement_room"] == upgrade.new.as_str()))
    }

    /// Whether whoever wrote the tombstone is in the room and may write one; why not.
    async fn may_move(&self, upgrade: &Upgrade) -> Result<Result<(), String>, BridgeError> {
        let Some(witness) = self.witness(upgrade).await? else {
            return Ok(Err("the bridge is not in the old room".to_owned()));
        };
        let member = witness.state(&upgrade.old, "m.room.member", upgrade.by.as_str());
        let membership = member.await?.map(|content| content["membership"].clone());
        if membership.is_none_or(|membership| membership != "join") {
            return Ok(Err(format!("{} is not in the room", upgrade.by)));
        }
        let power = witness.power(&upgrade.old).await?;
        let (has, needed) = (power.of(&upgrade.by), power.to_set("m.room.tombstone"));
        if has < needed {
            return Ok(Err(format!(
                "{} has the power {has}, and {needed} is needed",
                upgrade.by
            )));
        }
        let tombstone = witness.state(&upgrade.old, "m.room.tombstone", "").await?;
        let names = tombstone.map(|content| content["replacement_room"].clone());
        if names.is_none_or(|room| room != upgrade.new.as_str()) {
            return Ok(Err("the room does not say so any more".to_owned()));
        }
        Ok(Ok(()))
    }

    /// An account of ours that is in the old room: the bot, or the ghost of a direct chat.
    async fn witness(&self, upgrade: &Upgrade) -> Result<Option<Intent>, BridgeError> {
        let mut candidates = vec![self.bot()];
        for portal in self.inhabitants(&upgrade.old).await?.portals {
            if let Some(contact) = portal.key.chat.direct_user() {
                let ghost = self.naming.mxid(&portal.key.gatekeeper, &contact);
                candidates.push(self.client.ghost(&ghost));
            }
        }
        for candidate in candidates {
            match candidate.creation(&upgrade.old).await {
                Ok(_) => return Ok(Some(candidate)),
                Err(error) if error.is_transient() => return Err(error.into()),
                Err(_) => {}
            }
        }
        Ok(None)
    }

    async fn follow(&self, upgrade: &Upgrade) -> Result<(), BridgeError> {
        let inhabitants = self.inhabitants(&upgrade.old).await?;
        if inhabitants.portals.is_empty() && inhabitants.owner.is_none() {
            return Ok(());
        }
        let mut via = vec![upgrade.by.server_name().to_owned()];
        via.extend(upgrade.old.server_name().map(ToOwned::to_owned));
        via.extend(upgrade.new.server_name().map(ToOwned::to_owned));
        via.dedup();
        match self.bot().join_by(&upgrade.new, &via).await {
            Ok(()) => {}
            Err(error) if error.is_transient() => return Err(error.into()),
            Err(error) => {
                tracing::info!(room = %upgrade.new, %error, "a room's successor cannot be entered yet");
                return self.wait_for_invitation(upgrade).await;
            }
        }
        let create = self.bot().creation(&upgrade.new).await?;
        if let Err(why) = upgrade.is_followed_by(&create) {
            self.decline(&upgrade.new, self.client.bot_id()).await?;
            self.stop_waiting(upgrade).await?;
            return self.refuse_move(upgrade, why).await;
        }
        if self.loses_encryption(upgrade).await? {
            self.decline(&upgrade.new, self.client.bot_id()).await?;
            self.stop_waiting(upgrade).await?;
            let why = "this room is encrypted and the new one is not";
            return self.refuse_move(upgrade, why).await;
        }
        let mut came = Vec::new();
        for portal in &inhabitants.portals {
            match self.bring_first(&portal.key, &upgrade.new).await {
                Ok(users) => came.push(users),
                Err(error) if error.is_transient() => return Err(error),
                Err(error) => {
                    tracing::warn!(room = %upgrade.new, %error, "the people of a chat cannot enter its new room");
                    return self.wait_for_power(upgrade).await;
                }
            }
            self.show_info(portal, &upgrade.new).await?;
        }
        fail::fail_point!("upgrade.after_entering");
        self.move_to(upgrade, &inhabitants, came).await
    }

    /// Whether what is encrypted in the old room would be said in plain in the new one.
    async fn loses_encryption(&self, upgrade: &Upgrade) -> Result<bool, BridgeError> {
        let (Some(cipher), Some(witness)) = (self.client.cipher(), self.witness(upgrade).await?)
        else {
            return Ok(false);
        };
        Ok(cipher.is_encrypted(&witness, &upgrade.old).await?
            && !cipher.is_encrypted(&self.bot(), &upgrade.new).await?)
    }

    /// Makes the new room the portal's, and leaves the old one.
    async fn move_to(
        &self,
        upgrade: &Upgrade,
        inhabitants: &Inhabitants,
        came: Vec<Vec<(RemoteUserId, GroupRole)>>,
    ) -> Result<(), BridgeError> {
        let contacts = inhabitants.portals.iter().filter_map(|portal| {
            let contact = portal.key.chat.direct_user()?;
            Some(self.naming.mxid(&portal.key.gatekeeper, &contact))
        });
        let witnesses: Vec<_> = contacts.collect();
        let aliased = inhabitants.portals.iter().filter(|portal| !portal.linked);
        let leaving = Leaving {
            accounts: self.ours_in(&upgrade.old, &witnesses).await?,
            word: None,
            aliases: aliased.map(|portal| self.alias_of(portal)).collect(),
            goes_on_in: Some(upgrade.new.clone()),
        };
        let moved: Vec<_> = inhabitants.portals.iter().cloned().zip(came).collect();
        let (to, owner) = (upgrade.clone(), inhabitants.owner.clone());
        let moving = (moved, leaving);
        self.db
            .step(Lane::room(upgrade.old.as_str()), move |txn| {
                let (to, owner, (moved, leaving)) = (to.clone(), owner.clone(), moving.clone());
                Box::pin(async move {
                    for (portal, came) in &moved {
                        let key = &portal.key;
                        txn.set_portal_room(portal.id, Some(to.new.as_str()))
                            .await?;
                        if key.chat.is_group() {
                            txn.forget_shown(&key.gatekeeper, &key.chat).await?;
                        }
                        for (user, role) in came {
                            txn.set_member_shown(&key.gatekeeper, &key.chat, user, Some(*role))
                                .await?;
                        }
                    }
                    if let Some(owner) = &owner {
                        txn.set_management_room(owner, Some(to.new.as_str()))
                            .await?;
                    }
                    leaving.note(txn, &to.old).await?;
                    txn.delete_value(&waiting_key(&to.new)).await
                })
            })
            .await?;
        fail::fail_point!("upgrade.after_store");
        for portal in &inhabitants.portals {
            self.forget_portal(portal).await?;
        }
        self.forget_route(Some(&upgrade.old), None);
        self.forget_route(Some(&upgrade.new), None);
        tracing::info!(old = %upgrade.old, new = %upgrade.new, "a room goes on in another one");
        self.carry_out_leaving(&upgrade.old).await?;
        for portal in self.inhabitants(&upgrade.new).await?.portals {
            debug_assert_eq!(room_of(&portal).as_ref(), Some(&upgrade.new));
            self.groups.members.wake(portal.id);
            for login in self.logins_of_portal(&portal).await? {
                self.groups.spaces.wake(login.id);
            }
        }
        // What was written there before it was known to be a portal's room waits.
        self.rooms.wake(upgrade.new.clone());
        Ok(())
    }

    async fn inhabitants(&self, room_id: &OwnedRoomId) -> Result<Inhabitants, BridgeError> {
        let room = room_id.to_string();
        let (portals, owner) = self
            .db
            .read(move |txn| {
                let room = room.clone();
                Box::pin(async move {
                    let portals = txn.portals_in(&room).await?;
                    let owner = txn.management_room_owner(&room).await?;
                    Ok((portals, owner))
                })
            })
            .await?;
        Ok(Inhabitants { portals, owner })
    }

    async fn refuse_move(&self, upgrade: &Upgrade, why: &str) -> Result<(), BridgeError> {
        tracing::warn!(room = %upgrade.old, new = %upgrade.new, why, "a room is not followed into another one");
        self.tell_old(
            upgrade,
            "refused",
            &format!("The chat does not follow into the other room: {why}."),
        )
        .await
    }

    async fn wait_for_invitation(&self, upgrade: &Upgrade) -> Result<(), BridgeError> {
        self.wait_for(upgrade).await?;
        let word = format!(
            "The chat is to go on in {}, which I cannot enter. Invite {} there, then it does.",
            upgrade.new,
            self.client.bot_id()
        );
        self.tell_old(upgrade, "closed", &word).await
    }

    /// The bot is in the new room but cannot bring anybody in. It leaves, so that another invitation is another try.
    async fn wait_for_power(&self, upgrade: &Upgrade) -> Result<(), BridgeError> {
        self.wait_for(upgrade).await?;
        let word = format!(
            "The chat is to go on here, but {} may not invite anybody. Give it the power to invite, and invite it again.",
            self.client.bot_id()
        );
        let txn_id = self.effect_id(&["upgrade", upgrade.new.as_str(), "power"]);
        let content = bridge_notice(&word, None);
        self.notify(&upgrade.new, &txn_id, &content).await?;
        self.decline(&upgrade.new, self.client.bot_id()).await
    }

    async fn wait_for(&self, upgrade: &Upgrade) -> Result<(), BridgeError> {
        let key = waiting_key(&upgrade.new);
        let json = serde_json::to_string(upgrade).expect("texts are JSON");
        self.db
            .step(Lane::room(upgrade.old.as_str()), move |txn| {
                let (key, json) = (key.clone(), json.clone());
                Box::pin(async move { txn.set_value(&key, &json).await })
            })
            .await?;
        Ok(())
    }

    async fn stop_waiting(&self, upgrade: &Upgrade) -> Result<(), BridgeError> {
        let key = waiting_key(&upgrade.new);
        self.db
            .step(Lane::room(upgrade.old.as_str()), move |txn| {
                let key = key.clone();
                Box::pin(async move { txn.delete_value(&key).await })
            })
            .await?;
        Ok(())
    }

    async fn tell_old(
        &self,
        upgrade: &Upgrade,
        about: &str,
        word: &str,
    ) -> Result<(), BridgeError> {
        let txn_id = self.effect_id(&["upgrade", &upgrade.event_id, about]);
        let content = bridge_notice(word, None);
        self.notify(&upgrade.old, &txn_id, &content).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ruma::room_id;
    use serde_json::json;

    use super::*;

    fn read(replacement: &str) -> Option<Upgrade> {
        let event = json!({
            "type": "m.room.tombstone", "state_key": "", "event_id": "$end", "sender": "@a:x",
            "room_id": "!old:x", "origin_server_ts": 1,
            "content": { "body": "moved", "replacement_room": replacement },
        });
        let event = serde_json::from_value(event).unwrap();
        Upgrade::read(&room_id!("!old:x").to_owned(), &event)
    }

    fn upgrade() -> Upgrade {
        read("!new:x").unwrap()
    }

    fn create(version: &str, predecessor: &Value) -> Value {
        json!({
            "type": "m.room.create",
            "content": { "room_version": version, "predecessor": predecessor },
        })
    }

    #[test]
    fn both_rooms_have_to_say_so() {
        let whole = json!({ "room_id": "!old:x", "event_id": "$end" });
        assert_eq!(upgrade().is_followed_by(&create("11", &whole)), Ok(()));
        // As a content alone.
        let content = &create("11", &whole)["content"];
        assert_eq!(upgrade().is_followed_by(content), Ok(()));
        for forged in [
            Value::Null,
            json!({ "room_id": "!other:x", "event_id": "$end" }),
            json!({ "room_id": "!old:x", "event_id": "$other" }),
            json!({ "room_id": "!old:x" }),
        ] {
            let verdict = upgrade().is_followed_by(&create("11", &forged));
            assert!(verdict.is_err(), "{forged}");
        }
    }

    #[test]
    fn a_room_named_by_its_creation_cannot_name_the_event() {
        let without = json!({ "room_id": "!old:x" });
        assert_eq!(upgrade().is_followed_by(&create("12", &without)), Ok(()));
        let other = json!({ "room_id": "!old:x", "event_id": "$other" });
        assert!(upgrade().is_followed_by(&create("12", &other)).is_err());
        let elsewhere = json!({ "room_id": "!other:x" });
        assert!(upgrade().is_followed_by(&create("12", &elsewhere)).is_err());
    }

    #[test]
    fn a_room_goes_on_in_another_one_only() {
        assert_eq!(read("!old:x"), None);
        // The id of a room of version 12 has no server.
        let new = read("!31hneApxJ_1o-63DmFrpeqnkFfWppnzWso1JvH3ogLM").unwrap();
        assert_eq!(new.new.server_name(), None);
    }
}
