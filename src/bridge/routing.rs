//! Where wake-ups arrive: from the application service's endpoints and from the gatekeepers.

use async_trait::async_trait;
use ruma::{OwnedRoomAliasId, OwnedRoomId, RoomAliasId, UserId};
use serde_json::Value;

use super::{context::Bridge, receipts::reads_in, signals::RemoteSignal};
use crate::{
    domain::{ChatId, GatekeeperId, LoginId, RemoteUserId, Typing},
    matrix::appservice::AppserviceSink,
    network::{ConnectionState, NetworkSink},
};

#[async_trait]
impl AppserviceSink for Bridge {
    fn is_own(&self, user: &str, room_id: &str) -> bool {
        // In a room with several chats what one of them says is for the others.
        UserId::parse(user).is_ok_and(|user| self.is_ours(&user)) && !self.is_shared(room_id)
    }

    fn rooms_waiting(&self, rooms: &[String]) {
        for room in rooms {
            if let Ok(room) = OwnedRoomId::try_from(room.as_str()) {
                self.rooms.wake(room);
            }
        }
    }

    fn key_came(&self, room_id: &str, key_id: &str) {
        self.keys_came.send_modify(|count| *count += 1);
        let Some(bridge) = self.this.upgrade() else {
            return;
        };
        let (room_id, key_id) = (room_id.to_owned(), key_id.to_owned());
        tokio::spawn(async move {
            if let Err(error) = bridge.unlock(&room_id, &key_id).await {
                tracing::warn!(room = %room_id, %error, "events whose key came go on after the next start");
            }
        });
    }

    fn device_changed(&self, refusal: Option<&str>) {
        self.tell_of_device(refusal);
    }

    fn ephemeral(&self, events: Vec<Value>) {
        self.take_signals(&events);
        for read in events.iter().flat_map(reads_in) {
            if self.receipts.try_send(read).is_err() {
                tracing::warn!("too many read receipts wait, one is passed over");
            }
        }
    }

    async fn user_exists(&self, user: &UserId) -> bool {
        if user == self.client.bot_id() {
            return true;
        }
        let Some((gatekeeper, remote)) = self.naming.parse(user) else {
            return false;
        };
        if self.network(&gatekeeper).is_err() {
            return false;
        }
        match self.ghost(&gatekeeper, &remote, None).await {
            Ok(_) => true,
            Err(error) => {
                // A ghost's id holds a phone number.
                tracing::warn!(%gatekeeper, %error, "a ghost that was asked for could not be made");
                false
            }
        }
    }

    async fn room_alias_exists(&self, alias: &RoomAliasId) -> bool {
        self.restore_alias(alias).await.unwrap_or_else(|error| {
            tracing::warn!(%alias, %error, "an alias that was asked for could not be looked up");
            false
        })
    }

    fn number_means(&self, gatekeeper: &GatekeeperId, number: &str) -> Option<RemoteUserId> {
        let address = self.network(gatekeeper).ok()?.address(number).ok()?;
        // What was written may be a name or an address, which is not what was asked for.
        self.number_of(gatekeeper, &address)
            .filter(|_| !number.contains('@'))
            .map(|_| address)
    }

    fn number_of(&self, gatekeeper: &GatekeeperId, user: &RemoteUserId) -> Option<String> {
        self.phone_of(gatekeeper, user)
    }

    fn icon(&self) -> Option<String> {
        self.settings.people.bot_avatar.clone()
    }

    async fn groups_behind(&self, alias: &RoomAliasId) -> Vec<(GatekeeperId, ChatId)> {
        let found = Bridge::groups_behind(self, alias).await;
        found.unwrap_or_else(|error| {
            tracing::debug!(%alias, %error, "an alias could not be looked up");
            Vec::new()
        })
    }

    async fn alias_of(&self, gatekeeper: &GatekeeperId, chat: &ChatId) -> Option<OwnedRoomAliasId> {
        let found = self.alias_of_group(gatekeeper, chat).await;
        found.unwrap_or_else(|error| {
            tracing::debug!(%gatekeeper, %error, "a linked room could not be looked up");
            None
        })
    }

    fn ping_received(&self, _txn_id: Option<&str>) {
        self.rooms.hurry();
        self.deliveries.hurry();
        self.chats.hurry();
        self.statuses.hurry();
        self.people.hurry();
    }
}

impl NetworkSink for Bridge {
    fn waiting(&self, login: LoginId, chat: &ChatId) {
        self.chats.wake((login, chat.clone()));
        self.statuses.wake((login, chat.clone()));
    }

    fn connection(&self, login: LoginId, state: ConnectionState) {
        self.note_connection(login, state);
    }

    fn typing(&self, login: LoginId, chat: &ChatId, who: &RemoteUserId, state: Typing) {
        let signal = RemoteSignal::Typing(login, chat.clone(), who.clone(), state);
        // There will be newer ones.
        let _ = self.signalled_there.try_send(signal);
    }

    fn presence(&self, login: LoginId, who: &RemoteUserId, available: bool) {
        let signal = RemoteSignal::Presence(login, who.clone(), available);
        let _ = self.signalled_there.try_send(signal);
    }
}
