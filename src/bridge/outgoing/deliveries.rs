//! Rooms that mirror several chats: each event is handed on to every chat it goes to, and each chat takes its own in order, so that
//! one that is held up holds back no other.

use std::sync::Arc;

use ruma::{OwnedRoomId, events::AnyTimelineEvent};

use super::{
    super::{
        context::{Bridge, BridgeError, lock},
        linking::room_of,
        requests::Turn,
        routes::{PortalRoute, Route},
        workers::Outcome,
    },
    BATCH, End, Item, Taken,
    voices::{Source, says_something},
};
use crate::{
    domain::{PortalId, Unbridgeable},
    store::{DeliveryRow, Lane},
    translate::RoomEvent,
};

impl Bridge {
    /// Whether something may wait that was handed on to a portal.
    pub(super) fn is_delivering(&self, portal: PortalId, batch: &[Item]) -> bool {
        let is_handed_on =
            |item: &Item| matches!(&item.end, End::HandOn(_, to, _) if to.contains(&portal));
        lock(&self.delivering).contains_key(&portal) || batch.iter().any(is_handed_on)
    }

    /// An event that is to be handed on to some portals.
    fn handing_on(taken: &Taken<'_>, to: Vec<PortalId>, source: Source) -> Item {
        let source = match source {
            Source::Chat(from) => Some(from),
            Source::Room | Source::Bridge => None,
        };
        Item {
            end: End::HandOn(Arc::new(taken.event.clone()), to, source),
            ..Item::nothing(taken)
        }
    }

    /// Hands an event on to the chats it goes to.
    pub(super) async fn share_out(
        &self,
        room_id: &OwnedRoomId,
        portals: &[Arc<PortalRoute>],
        taken: &Taken<'_>,
        source: Source,
        batch: &mut Vec<Item>,
    ) -> Result<(), BridgeError> {
        let turn = match source {
            Source::Room => Turn::of(&taken.event.json),
            _ => None,
        };
        let to = if let Some(turn) = turn {
            turn.concerns(portals)
        } else {
            let is_target = |route: &&Arc<PortalRoute>| match source {
                Source::Room => true,
                Source::Chat(from) => from != route.portal.id,
                Source::Bridge => false,
            };
            let targets = portals.iter().filter(is_target);
            targets.map(|route| route.portal.id).collect()
        };
        if to.is_empty() && turn.is_some() {
            self.take_room_change(room_id, portals, taken.event, taken.parsed)
                .await?;
        }
        batch.push(if to.is_empty() {
            Item::nothing(taken)
        } else {
            Self::handing_on(taken, to, source)
        });
        Ok(())
    }

    /// Hands events on to the portals they go to.
    pub(super) async fn hand_on_all(
        &self,
        room_id: &OwnedRoomId,
        items: &[Arc<Item>],
    ) -> Result<(), BridgeError> {
        let mut to: Vec<PortalId> = Vec::new();
        for item in items {
            if let End::HandOn(_, portals, _) = &item.end {
                to.extend(portals);
            }
        }
        to.sort_unstable();
        to.dedup();
        self.count_deliveries(&to);
        let items: Arc<[Arc<Item>]> = items.into();
        self.db
            .step(Lane::room(room_id.as_str()), move |txn| {
                let items = items.clone();
                Box::pin(async move {
                    for item in items.iter() {
                        item.end.apply(txn).await?;
                    }
                    fail::fail_point!("hand_on.before_commit");
                    Ok(())
                })
            })
            .await?;
        fail::fail_point!("hand_on.after_commit");
        // Whoever looked before the commit found nothing, and may have said that nothing waits.
        self.count_deliveries(&to);
        for portal in to {
            self.deliveries.wake(portal);
        }
        Ok(())
    }

    fn count_deliveries(&self, to: &[PortalId]) {
        let mut delivering = lock(&self.delivering);
        for portal in to {
            *delivering.entry(*portal).or_default() += 1;
        }
    }

    /// Carries what was handed on to a portal.
    pub(in crate::bridge) async fn carry_deliveries(&self, portal: PortalId) -> Outcome {
        if !self.is_introduced() {
            return Outcome::Retry;
        }
        match self.carry_deliveries_batch(portal).await {
            Ok(more) => {
                if more {
                    self.deliveries.wake(portal);
                }
                Outcome::Done
            }
            Err(error) => {
                tracing::warn!(%portal, %error, "events on their way to a chat have to wait");
                Outcome::Retry
            }
        }
    }

    /// Carries the oldest that wait; whether it found any, so that there may be more.
    async fn carry_deliveries_batch(&self, portal: PortalId) -> Result<bool, BridgeError> {
        let counted = lock(&self.delivering).get(&portal).copied();
        let rows = self
            .db
            .read(move |txn| Box::pin(async move { txn.deliveries(portal, BATCH).await }))
            .await?;
        if rows.is_empty() {
            let mut delivering = lock(&self.delivering);
            if delivering.get(&portal).copied() == counted {
                delivering.remove(&portal);
            }
            return Ok(false);
        }
        // After an upgrade the events of a chat are of two rooms.
        for rows in rows.chunk_by(|one, next| one.event.room_id == next.event.room_id) {
            let room_id = OwnedRoomId::try_from(rows[0].event.room_id.as_str());
            let room_id = room_id.map_err(|error| {
                BridgeError::Inconsistent(format!("a delivery has a bad room id: {error}"))
            })?;
            let mut batch = Vec::new();
            for row in rows {
                if let Err(error) = self.take_delivery(&room_id, row, &mut batch).await {
                    // What came before it need not wait for it.
                    self.commit_items(&room_id, batch).await?;
                    return Err(error);
                }
            }
            self.commit_items(&room_id, batch).await?;
        }
        Ok(true)
    }

    async fn take_delivery(
        &self,
        room_id: &OwnedRoomId,
        row: &DeliveryRow,
        batch: &mut Vec<Item>,
    ) -> Result<(), BridgeError> {
        let Some(event) = self.opened_again(room_id, &row.event).await? else {
            let why = Unbridgeable {
                reason: "undecryptable",
                notice: Some("Not sent to every chat: its key is gone meanwhile.".to_owned()),
            };
            self.commit_items(room_id, std::mem::take(batch)).await?;
            self.refuse(room_id, &row.event.event_id, &why).await?;
            batch.push(Item::ended(
                &row.event,
                End::Delivery(row.portal, row.event.seq),
            ));
            return Ok(());
        };
        let json = &event.json;
        let parsed: Option<AnyTimelineEvent> = serde_json::from_str(json).ok();
        let said = RoomEvent::from_json(json).ok();
        let (Some(parsed), Some(said)) = (parsed, said) else {
            // It was read when it was handed on.
            return Err(BridgeError::Inconsistent(format!(
                "event {} cannot be read any more",
                row.event.event_id
            )));
        };
        let taken = Taken {
            event: &event,
            parsed: &parsed,
            said: &said,
            end: End::Delivery(row.portal, row.event.seq),
        };
        let source = row.source.map_or(Source::Room, Source::Chat);
        let here: Arc<[Arc<PortalRoute>]> = match self.route(room_id).await? {
            Route::Portals(portals) => portals,
            _ => Arc::new([]),
        };
        let turn = (source == Source::Room).then(|| Turn::of(json)).flatten();
        let is_it = |route: &&Arc<PortalRoute>| route.portal.id == row.portal;
        let route = here.iter().find(is_it);
        match (turn, route) {
            (Some(turn), Some(route)) => {
                let one = [route.clone()];
                let concerned = match turn {
                    Turn::Each => &one[..],
                    Turn::Once | Turn::AtOnce => &here[..],
                };
                self.take_room_change(room_id, concerned, &event, &parsed)
                    .await?;
                batch.push(Item::nothing(&taken));
                Ok(())
            }
            // What a room shows that the chat has left is not asked for.
            (Some(_), None) => {
                batch.push(Item::nothing(&taken));
                Ok(())
            }
            (None, Some(route)) => {
                self.take_portal_event(room_id, route, &taken, source, batch)
                    .await
            }
            (None, None) => {
                if let Some(route) = self.elsewhere(row.portal).await? {
                    self.take_portal_event(room_id, &route, &taken, source, batch)
                        .await
                } else {
                    let why = "this room is not connected to the chat any more";
                    self.pass_by(room_id, &taken, source, ("closed", why), batch)
                        .await
                }
            }
        }
    }

    /// A portal that has another room than the one in which something was written, as after an upgrade.
    pub(super) async fn elsewhere(
        &self,
        portal: PortalId,
    ) -> Result<Option<Arc<PortalRoute>>, BridgeError> {
        let row = self
            .db
            .read(move |txn| Box::pin(async move { txn.portal_by_id(portal).await }))
            .await?;
        let Some(room_id) = row.as_ref().and_then(room_of) else {
            return Ok(None);
        };
        Ok(match self.route(&room_id).await? {
            Route::Portals(portals) => {
                let mut portals = portals.iter();
                portals.find(|route| route.portal.id == portal).cloned()
            }
            _ => None,
        })
    }

    /// Whether the configuration has a portal's gatekeeper no more.
    pub(super) fn is_removed(&self, route: &PortalRoute) -> bool {
        let networks = self.networks.get();
        networks.is_some_and(|networks| !networks.contains_key(&route.portal.key.gatekeeper))
    }

    /// Is done with an event that a chat does not get; who said something is told why.
    pub(super) async fn pass_by(
        &self,
        room_id: &OwnedRoomId,
        taken: &Taken<'_>,
        source: Source,
        (reason, why): (&'static str, &str),
        batch: &mut Vec<Item>,
    ) -> Result<(), BridgeError> {
        if source == Source::Room && says_something(taken.parsed) {
            // What came before it in the room goes first.
            self.commit_items(room_id, std::mem::take(batch)).await?;
            let refusal = Unbridgeable {
                reason,
                notice: Some(format!("Not sent: {why}.")),
            };
            self.refuse(room_id, &taken.event.event_id, &refusal)
                .await?;
        }
        batch.push(Item::nothing(taken));
        Ok(())
    }
}
