//! Who writes and who is there, both ways. Nothing of it is kept: what cannot be passed on at once is forgotten.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, Weak},
    time::{Duration, Instant},
};

use ruma::{OwnedRoomId, OwnedUserId, UserId};
use serde_json::Value;
use tokio::sync::mpsc::Receiver;

use super::{
    context::{Bridge, lock},
    routes::{PortalRoute, Route, logins_in, portal_route},
};
use crate::{
    domain::{ChatId, LoginId, PortalId, PortalKey, RemoteUserId, Typing},
    store::LoginState,
};

/// For how long a contact is shown as writing if nothing more comes.
const SHOWN_FOR: Duration = Duration::from_secs(20);
/// How often the other side is told again that the user still writes; it forgets sooner than a homeserver does.
const TOLD_EVERY: Duration = Duration::from_secs(8);
/// For how long at most: a homeserver that does not say that somebody stopped must not keep them writing.
const TOLD_FOR: Duration = Duration::from_mins(2);

/// What was passed on last.
#[derive(Debug, Default)]
pub(super) struct Signals {
    /// Logins whose users write in a chat, and since when.
    writing: Mutex<HashMap<(LoginId, ChatId), (OwnedRoomId, Instant)>>,
    /// Contacts shown as writing, and until when.
    shown: Mutex<HashMap<(PortalId, RemoteUserId), Instant>>,
    /// Contacts and users, and whether they were there.
    present: Mutex<HashMap<String, bool>>,
}

/// What a homeserver tells.
#[derive(Debug)]
pub(super) enum Signal {
    /// Who writes in a room.
    Typing(OwnedRoomId, HashSet<OwnedUserId>),
    /// Whether somebody is there.
    Presence(OwnedUserId, bool),
}

/// What a gatekeeper tells.
#[derive(Debug)]
pub(super) enum RemoteSignal {
    /// Whether somebody in a chat writes.
    Typing(LoginId, ChatId, RemoteUserId, Typing),
    /// Whether somebody is there.
    Presence(LoginId, RemoteUserId, bool),
}

/// Shows what the gatekeepers tell, one after the other so that the last one counts, until the bridge is gone.
pub(super) async fn show_signals(bridge: Weak<Bridge>, mut signals: Receiver<RemoteSignal>) {
    while let Some(signal) = signals.recv().await {
        let Some(bridge) = bridge.upgrade() else {
            return;
        };
        match signal {
            RemoteSignal::Typing(login, chat, who, state) => {
                bridge.show_typing(login, chat, who, state).await;
            }
            RemoteSignal::Presence(login, who, available) => {
                bridge.show_presence(login, who, available).await;
            }
        }
    }
}

/// Passes on what the homeserver tells, one after the other so that the last one counts, until the bridge is gone.
pub(super) async fn pass_signals(bridge: Weak<Bridge>, mut signals: Receiver<Signal>) {
    while let Some(signal) = signals.recv().await {
        let Some(bridge) = bridge.upgrade() else {
            return;
        };
        bridge.pass_signal(signal).await;
    }
}

fn signal_in(event: &Value) -> Option<Signal> {
    typing_in(event)
        .map(|(room_id, users)| Signal::Typing(room_id, users))
        .or_else(|| presence_in(event).map(|(user, online)| Signal::Presence(user, online)))
}

/// Who writes in a room, of an `m.typing` event.
fn typing_in(event: &Value) -> Option<(OwnedRoomId, HashSet<OwnedUserId>)> {
    if event["type"] != "m.typing" {
        return None;
    }
    let room_id = OwnedRoomId::try_from(event["room_id"].as_str()?).ok()?;
    let users = event["content"]["user_ids"].as_array()?.iter();
    let users = users.filter_map(|user| OwnedUserId::try_from(user.as_str()?).ok());
    Some((room_id, users.collect()))
}

/// Who is there or not, of an `m.presence` event.
fn presence_in(event: &Value) -> Option<(OwnedUserId, bool)> {
    if event["type"] != "m.presence" {
        return None;
    }
    let user = OwnedUserId::try_from(event["sender"].as_str()?).ok()?;
    Some((user, event["content"]["presence"] == "online"))
}

impl Bridge {
    /// Takes typing and presence that the homeserver tells.
    pub(super) fn take_signals(&self, events: &[Value]) {
        for signal in events.iter().filter_map(signal_in) {
            // There will be newer ones.
            let _ = self.signalled.try_send(signal);
        }
    }

    async fn pass_signal(&self, signal: Signal) {
        match signal {
            Signal::Typing(room_id, users) => self.pass_typing(room_id, &users).await,
            Signal::Presence(user, online) => {
                if self.settings.conversation.presence && !self.is_ours(&user) {
                    self.pass_presence(&user, online).await;
                }
            }
        }
    }

    /// The portals of a room, each as every login in its chat sees it.
    async fn views_of(&self, room_id: &OwnedRoomId) -> Vec<PortalRoute> {
        let Ok(Route::Portals(portals)) = self.route(room_id).await else {
            return Vec::new();
        };
        let views = |portal: &Arc<PortalRoute>| {
            let logins = portal.logins.iter();
            logins
                .filter_map(|login| portal.seen_by(login.id))
                .collect::<Vec<_>>()
        };
        portals.iter().flat_map(views).collect()
    }

    async fn pass_typing(&self, room_id: OwnedRoomId, users: &HashSet<OwnedUserId>) {
        for portal in self.views_of(&room_id).await {
            let writes =
                users.contains(&portal.owner) && !self.is_puppet_typing(&room_id, &portal.owner);
            let changed = {
                let mut writing = lock(&self.signals.writing);
                if writes {
                    let since = (room_id.clone(), Instant::now());
                    writing.insert(portal.chat(), since).is_none()
                } else {
                    writing.remove(&portal.chat()).is_some()
                }
            };
            if changed {
                self.tell_typing(&portal, writes);
            }
        }
    }

    fn tell_typing(&self, portal: &PortalRoute, writes: bool) {
        let Ok(network) = self.network(&portal.portal.key.gatekeeper) else {
            return;
        };
        if !network.capabilities().typing || !self.settings.passes_typing(portal) {
            return;
        }
        let state = if writes {
            Typing::Composing
        } else {
            Typing::Paused
        };
        network.typing(portal.login, &portal.portal.key.chat, state);
    }

    /// Tells the other side again and again that users still write, until the bridge is stopped.
    pub async fn keep_typing(&self) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(TOLD_EVERY) => {}
                () = self.cancel.cancelled() => return,
            }
            let writing: HashMap<(LoginId, ChatId), OwnedRoomId> = {
                let mut writing = lock(&self.signals.writing);
                writing.retain(|_, (_, since)| since.elapsed() < TOLD_FOR);
                let rooms = writing
                    .iter()
                    .map(|(of, (room, _))| (of.clone(), room.clone()));
                rooms.collect()
            };
            for (of, room_id) in writing {
                let views = self.views_of(&room_id).await;
                if let Some(portal) = views.iter().find(|view| view.chat() == of) {
                    self.tell_typing(portal, true);
                }
            }
        }
    }

    async fn pass_presence(&self, user: &UserId, online: bool) {
        let known = lock(&self.signals.present).insert(user.to_string(), online);
        if known == Some(online) {
            return;
        }
        let mxid = user.to_string();
        let logins = self
            .db
            .read(move |txn| {
                let mxid = mxid.clone();
                Box::pin(async move { txn.logins_of(&mxid).await })
            })
            .await
            .unwrap_or_default();
        for login in logins {
            if let Ok(network) = self.network(&login.gatekeeper)
                && login.state == LoginState::Active
                && network.capabilities().presence
            {
                network.presence(login.id, online);
            }
        }
    }

    /// The portal a contact is shown in, if there is one already: a signal makes no room.
    async fn portal_with(&self, login: LoginId, chat: &ChatId) -> Option<Arc<PortalRoute>> {
        let key = (login, chat.clone());
        if let Some(open) = lock(&self.open_portals).get(&key) {
            return Some(open.clone());
        }
        let of = chat.clone();
        let found = self
            .db
            .read(move |txn| {
                let of = of.clone();
                Box::pin(async move {
                    let Some(row) = txn.login(login).await? else {
                        return Ok(None);
                    };
                    let key = PortalKey {
                        gatekeeper: row.gatekeeper.clone(),
                        login: (!of.is_group()).then_some(login),
                        chat: of,
                    };
                    let Some(portal) = txn.portal(&key).await? else {
                        return Ok(None);
                    };
                    let logins = logins_in(txn, &portal).await?;
                    Ok(Some((portal, row, logins)))
                })
            })
            .await;
        let (portal, row, logins) = found.ok().flatten().filter(|(portal, ..)| portal.ready)?;
        portal_route(portal, &row, &logins).ok().map(Arc::new)
    }

    /// Shows a contact as writing, or as having stopped.
    async fn show_typing(&self, login: LoginId, chat: ChatId, who: RemoteUserId, state: Typing) {
        let Some(portal) = self.portal_with(login, &chat).await else {
            return;
        };
        // Who has a login here is seen to write by themselves.
        if !self.settings.passes_typing(&portal) || portal.login_called(&who).is_some() {
            return;
        }
        let writes = state != Typing::Paused;
        let key = (portal.portal.id, who.clone());
        {
            let now = Instant::now();
            let mut shown = lock(&self.signals.shown);
            shown.retain(|_, until| *until > now);
            let until = shown.get(&key).copied();
            let is_shown = until.is_some_and(|until| until > now + SHOWN_FOR / 2);
            // A homeserver is not asked for what it shows already.
            if writes == is_shown && (writes || until.is_none()) {
                return;
            }
            if writes {
                shown.insert(key, now + SHOWN_FOR);
            } else {
                shown.remove(&key);
            }
        }
        let Ok(room_id) = super::rooms::open_room(&portal) else {
            return;
        };
        let gatekeeper = &portal.portal.key.gatekeeper;
        let time = writes.then_some(SHOWN_FOR);
        let ghost = match self.puppet_at(gatekeeper, &who, &room_id).await {
            Ok(Some(puppet)) => {
                self.note_puppet_typing(&room_id, puppet.user_id(), time);
                puppet
            }
            _ => self.client.ghost(&self.naming.mxid(gatekeeper, &who)),
        };
        if let Err(error) = ghost.typing(&room_id, time).await {
            tracing::debug!(room = %room_id, %error, "it could not be shown who writes");
        }
    }

    /// Shows a contact as being there, or as away.
    async fn show_presence(&self, login: LoginId, who: RemoteUserId, available: bool) {
        let chat = ChatId::direct(&who);
        let Some(portal) = self.portal_with(login, &chat).await else {
            return;
        };
        if !self.settings.passes_presence(&portal) {
            return;
        }
        let mxid = self.naming.mxid(&portal.portal.key.gatekeeper, &who);
        let known = lock(&self.signals.present).insert(mxid.to_string(), available);
        if known == Some(available) {
            return;
        }
        if let Err(error) = self.client.ghost(&mxid).presence(available).await {
            tracing::debug!(%login, %error, "it could not be shown who is there");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_who_writes_and_passes_over_what_is_malformed() {
        let event = json!({
            "type": "m.typing", "room_id": "!r:example.org",
            "content": { "user_ids": ["@a:example.org", 7, "nobody"] }
        });
        let (room, users) = typing_in(&event).unwrap();
        assert_eq!(room.as_str(), "!r:example.org");
        assert_eq!(users.len(), 1);
        assert!(typing_in(&json!({ "type": "m.typing", "room_id": 1 })).is_none());
        assert!(typing_in(&json!({ "type": "m.receipt" })).is_none());
    }

    #[test]
    fn only_who_is_online_is_there() {
        let event = |presence: &str| json!({ "type": "m.presence", "sender": "@a:example.org", "content": { "presence": presence } });
        assert!(presence_in(&event("online")).unwrap().1);
        assert!(!presence_in(&event("unavailable")).unwrap().1);
        assert!(presence_in(&json!({ "type": "m.presence" })).is_none());
    }
}
