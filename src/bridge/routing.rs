//! Where wake-ups arrive: from the application service's endpoints and from the gatekeepers.

use async_trait::async_trait;
use ruma::{OwnedRoomId, UserId};
use serde_json::Value;

use super::{context::Bridge, receipts::reads_in, signals::RemoteSignal};
use crate::{
    domain::{ChatId, LoginId, RemoteUserId, Typing},
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

    fn ping_received(&self, _txn_id: Option<&str>) {
        self.rooms.hurry();
        self.chats.hurry();
        self.statuses.hurry();
    }
}

impl NetworkSink for Bridge {
    fn waiting(&self, login: LoginId, chat: &ChatId) {
        self.chats.wake((login, chat.clone()));
        self.statuses.wake((login, chat.clone()));
    }

    fn connection(&self, login: LoginId, state: ConnectionState) {
        if let Some(bridge) = self.this.upgrade() {
            tokio::spawn(async move { bridge.show_connection(login, state).await });
        }
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
