//! Read receipts, both ways.

use std::sync::Weak;

use ruma::{OwnedEventId, OwnedRoomId, OwnedUserId};
use serde_json::Value;
use tokio::sync::mpsc::Receiver;

use super::{
    context::{Bridge, BridgeError, event_id},
    incoming::EDITS,
    routes::{PortalRoute, Route},
};
use crate::{
    domain::{StanzaId, Timestamp},
    store::{Lane, MessageLink, RemoteMessageRow},
};

/// How many messages one receipt is for.
const MOST_IDS: usize = 256;

/// A Matrix user read a room up to an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReadUpTo {
    room_id: OwnedRoomId,
    user: OwnedUserId,
    event_id: OwnedEventId,
}

/// The public read receipts in an `m.receipt` event (Matrix specification, "Receipts"): `content` is event id, `m.read`, user.
pub(super) fn reads_in(event: &Value) -> Vec<ReadUpTo> {
    let Some(room_id) = event["room_id"]
        .as_str()
        .and_then(|room| OwnedRoomId::try_from(room).ok())
    else {
        return Vec::new();
    };
    if event["type"] != "m.receipt" {
        return Vec::new();
    }
    let by_event = event["content"].as_object().into_iter().flatten();
    by_event
        .flat_map(|(event, kinds)| {
            let readers = kinds["m.read"].as_object().into_iter().flatten();
            readers.map(move |(user, _)| (event, user))
        })
        .filter_map(|(event, user)| {
            Some(ReadUpTo {
                room_id: room_id.clone(),
                user: OwnedUserId::try_from(user.as_str()).ok()?,
                event_id: event_id(event)?,
            })
        })
        .collect()
}

/// Reports what Matrix users read, one after the other, until the bridge is gone.
pub(super) async fn report_reads(bridge: Weak<Bridge>, mut reads: Receiver<ReadUpTo>) {
    while let Some(read) = reads.recv().await {
        let Some(bridge) = bridge.upgrade() else {
            return;
        };
        if let Err(error) = bridge.report_read(&read).await {
            tracing::warn!(room = %read.room_id, %error, "a read receipt was not passed on");
        }
    }
}

impl Bridge {
    async fn report_read(&self, read: &ReadUpTo) -> Result<(), BridgeError> {
        let Route::Portals(routes) = self.route(&read.room_id).await? else {
            return Ok(());
        };
        for route in routes.iter() {
            let login = route.login_of(&read.user);
            if let Some(route) = login.and_then(|login| route.seen_by(login.id)) {
                // One chat that cannot be told holds back no other.
                if let Err(error) = self.report_read_in(&route, read).await {
                    tracing::warn!(portal = %route.portal.id, %error, "a read receipt was not passed on");
                }
            }
        }
        Ok(())
    }

    /// Reports to the senders of a chat's messages how far one of its logins' users has read.
    async fn report_read_in(
        &self,
        route: &PortalRoute,
        read: &ReadUpTo,
    ) -> Result<(), BridgeError> {
        let network = self.network(&route.portal.key.gatekeeper)?.clone();
        // What was read while receipts were off is not told when they are on again.
        let is_told = network.capabilities().receipts && self.settings.passes_receipts(route);
        let Some(event) = self.read_up_to(route, read).await? else {
            return Ok(());
        };
        let (portal, login) = (route.portal.id, route.login);
        let chat = route.portal.key.chat.clone();
        let now = self.now();
        let sender = network.clone();
        self.db
            .step(Lane::login(login), move |txn| {
                let (event, chat, network) = (event.clone(), chat.clone(), sender.clone());
                Box::pin(async move {
                    let mut unread = txn.unread_up_to(portal, login, &event).await?;
                    // An edit is read with its message.
                    unread.retain(|link| is_told && link.part < EDITS);
                    for (sender, ids) in by_sender(&unread) {
                        for ids in ids.chunks(MOST_IDS) {
                            network
                                .enqueue_read(txn, login, &chat, &sender, ids, now)
                                .await?;
                        }
                    }
                    txn.set_read_up_to(portal, login, &event).await
                })
            })
            .await?;
        network.flush(login);
        Ok(())
    }

    /// The message up to which a room was read. What was read last may be none, such as a reaction or a notice of the bridge: then
    /// it is the newest one before that.
    async fn read_up_to(
        &self,
        route: &PortalRoute,
        read: &ReadUpTo,
    ) -> Result<Option<String>, BridgeError> {
        let (portal, login) = (route.portal.id, route.login);
        let event = read.event_id.to_string();
        let looked_for = event.clone();
        let links = self
            .db
            .read(move |txn| {
                let event = looked_for.clone();
                Box::pin(async move { txn.links_by_event(portal, &event).await })
            })
            .await?;
        if !links.is_empty() {
            return Ok(Some(event));
        }
        let event = self.bot().event(&read.room_id, &read.event_id).await?;
        let Some(at) = event.and_then(|event| event["origin_server_ts"].as_i64()) else {
            return Ok(None);
        };
        let newest = self
            .db
            .read(move |txn| {
                Box::pin(async move { txn.newest_unread(portal, login, Timestamp(at)).await })
            })
            .await?;
        Ok(newest.map(|link| link.event_id))
    }

    /// Shows in Matrix that a contact read messages of ours.
    pub(super) async fn show_read(
        &self,
        route: &PortalRoute,
        room_id: &OwnedRoomId,
        row: &RemoteMessageRow,
        ids: &[StanzaId],
    ) -> Result<(), BridgeError> {
        if !self.settings.passes_receipts(route) {
            return Ok(());
        }
        let (portal, ids) = (route.portal.id, ids.to_vec());
        let newest = self
            .db
            .read(move |txn| {
                let ids = ids.clone();
                Box::pin(async move { txn.newest_own(portal, &ids).await })
            })
            .await?;
        let Some(event_id) = newest.and_then(|link| event_id(&link.event_id)) else {
            return Ok(());
        };
        let ghost = self
            .speaker(route, room_id, &row.message.sender, None)
            .await?;
        match ghost.read_receipt(room_id, &event_id).await {
            Err(error) if error.is_transient() => Err(error.into()),
            Err(error) => {
                tracing::debug!(room = %room_id, %error, "a read receipt could not be shown");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }
}

/// Messages by who wrote them, each in order.
fn by_sender(links: &[MessageLink]) -> Vec<(crate::domain::RemoteUserId, Vec<StanzaId>)> {
    let mut groups: Vec<(crate::domain::RemoteUserId, Vec<StanzaId>)> = Vec::new();
    for link in links {
        let Some(sender) = &link.sender else { continue };
        match groups.iter_mut().find(|(of, _)| of == sender) {
            Some((_, ids)) if ids.last() != Some(&link.stanza_id) => {
                ids.push(link.stanza_id.clone());
            }
            Some(_) => {}
            None => groups.push((sender.clone(), vec![link.stanza_id.clone()])),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn takes_public_receipts_only_and_passes_over_what_is_malformed() {
        let event = json!({
            "type": "m.receipt",
            "room_id": "!r:example.org",
            "content": {
                "$e1": { "m.read": { "@a:example.org": { "ts": 1 }, "not a user": {} },
                         "m.read.private": { "@b:example.org": {} } },
                "not an event": { "m.read": { "@a:example.org": {} } },
                "$e2": 7
            }
        });
        let reads = reads_in(&event);
        assert_eq!(reads.len(), 1);
        assert_eq!(reads[0].user.as_str(), "@a:example.org");
        assert_eq!(reads[0].event_id.as_str(), "$e1");
        assert!(reads_in(&json!({ "type": "m.typing", "room_id": "!r:example.org" })).is_empty());
    }
}
