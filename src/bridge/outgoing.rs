//! Matrix to gatekeeper: one run takes a room's waiting events in order, translates them, and commits ratchet steps, outbox
//! rows and the events' end together.

use std::sync::Arc;

use ruma::{OwnedRoomId, events::AnyTimelineEvent};

use super::{
    context::{Bridge, BridgeError, PortalRoute, Route, lock},
    workers::Outcome,
};
use crate::{
    domain::{ChatId, LoginId, MessageRef, Outgoing, Unbridgeable},
    network::{Enqueued, Network, Origin},
    store::{InboxEvent, Lane, StoreError},
    translate::{NetworkContext, Part, PartContent, Reply, Target, targets, to_network},
};

/// How many events one run takes.
const BATCH: i64 = 64;

/// One event on its way: what is to be sent for it.
struct Item {
    seq: i64,
    event_id: String,
    messages: Vec<(Outgoing, Origin)>,
}

/// Where a step had to stop.
enum Stopped {
    /// Everything was queued.
    Nowhere,
    /// At this item, because there is no session with the chat.
    NoSession(usize),
    /// At this item, because it can never be sent.
    Unsendable(usize, String),
}

impl Bridge {
    /// Carries what waits in a room.
    pub(super) async fn carry_out(&self, room_id: &OwnedRoomId) -> Outcome {
        if !self.is_introduced() {
            return Outcome::Retry;
        }
        match self.carry_out_batch(room_id).await {
            Ok(more) => {
                if more {
                    self.rooms.wake(room_id.clone());
                }
                Outcome::Done
            }
            Err(error) => {
                tracing::warn!(room = %room_id, %error, "events of a room have to wait");
                Outcome::Retry
            }
        }
    }

    /// Carries the oldest that wait; whether there may be more, which nobody would wake for.
    async fn carry_out_batch(&self, room_id: &OwnedRoomId) -> Result<bool, BridgeError> {
        let room = room_id.to_string();
        let events = self
            .db
            .read(move |txn| {
                let room = room.clone();
                Box::pin(async move { txn.waiting_events(&room, BATCH).await })
            })
            .await?;
        let count = events.len();
        let mut batch = Vec::new();
        for event in events {
            let parsed: AnyTimelineEvent = match serde_json::from_str(&event.json) {
                Ok(parsed) => parsed,
                Err(error) => {
                    // The library's own words quote the event.
                    let reason = format!(
                        "not readable as an event: {:?} error at line {} column {}",
                        error.classify(),
                        error.line(),
                        error.column()
                    );
                    self.quarantine(&event, &reason).await?;
                    continue;
                }
            };
            if self.is_ours(parsed.sender()) {
                batch.push(Item::nothing(&event));
                continue;
            }
            match self.route(room_id).await? {
                Route::Portal(portal) => {
                    self.take_portal_event(&portal, &event, &parsed, &mut batch)
                        .await?;
                }
                Route::Management(owner) => {
                    self.take_command(room_id, &owner, &parsed).await?;
                    self.finish(&event).await?;
                }
                Route::Unknown if self.finish_opening(room_id, parsed.sender()).await? => {
                    // The room turned out to be a portal whose creation was interrupted: the event is taken again as its.
                    return Ok(true);
                }
                Route::Unknown => {
                    match self.take_invite(room_id, &parsed).await {
                        Err(error) if error.is_transient() => return Err(error),
                        // An invitation that was withdrawn, a room that lets nobody in: trying again would change nothing.
                        Err(error) => {
                            tracing::info!(room = %room_id, %error, "an invitation came to nothing");
                        }
                        Ok(()) => {}
                    }
                    self.finish(&event).await?;
                }
            }
        }
        if !batch.is_empty() {
            self.commit_items(room_id, batch).await?;
        }
        Ok(i64::try_from(count).is_ok_and(|count| count == BATCH))
    }

    async fn take_portal_event(
        &self,
        portal: &Arc<PortalRoute>,
        event: &InboxEvent,
        parsed: &AnyTimelineEvent,
        batch: &mut Vec<Item>,
    ) -> Result<(), BridgeError> {
        let gatekeeper = &portal.portal.key.gatekeeper;
        let network = self.network(gatekeeper)?;
        self.note_owner_left(portal, parsed).await?;
        let context = NetworkContext {
            capabilities: network.capabilities(),
            gatekeeper: self.gatekeeper_name(gatekeeper),
            reply: self
                .quote(portal, parsed)
                .await?
                .map_or(Reply::None, Reply::Known),
            target: Target::Unknown,
            poll: None,
            people: &|_| None,
            random: rand::random(),
        };
        let translated = if parsed.sender() == portal.owner {
            to_network(parsed, &context)
        } else {
            self.refuse_somebody_else(portal, parsed, &context)
        };
        match translated {
            Ok(parts) => {
                batch.push(self.item(portal, event, parts));
                Ok(())
            }
            Err(unbridgeable) => {
                // What came before it in the room goes first.
                let room_id = OwnedRoomId::try_from(event.room_id.as_str()).map_err(|error| {
                    BridgeError::Inconsistent(format!("a waiting event has a bad room id: {error}"))
                })?;
                self.commit_items(&room_id, std::mem::take(batch)).await?;
                tracing::info!(event = %event.event_id, reason = unbridgeable.reason, "an event is not carried");
                if let Some(notice) = &unbridgeable.notice {
                    self.explain(&room_id, &event.event_id, notice).await?;
                }
                self.finish(event).await
            }
        }
    }

    /// Messages of members who have no login here are not carried; they are told so once.
    fn refuse_somebody_else(
        &self,
        portal: &PortalRoute,
        parsed: &AnyTimelineEvent,
        context: &NetworkContext<'_>,
    ) -> Result<Vec<Part>, Unbridgeable> {
        if to_network(parsed, context).is_ok_and(|parts| parts.is_empty()) {
            return Ok(Vec::new());
        }
        Err(Unbridgeable {
            reason: "not_logged_in",
            notice: Some(format!(
                "Not sent to {}: this chat belongs to {}, and only their messages are carried.",
                self.gatekeeper_name(&portal.portal.key.gatekeeper),
                portal.owner
            )),
        })
    }

    fn item(&self, portal: &PortalRoute, event: &InboxEvent, parts: Vec<Part>) -> Item {
        let messages = parts
            .into_iter()
            .enumerate()
            .filter_map(|(part, of)| {
                let PartContent::Ready(content) = of.content else {
                    return None;
                };
                let message = Outgoing {
                    chat: portal.portal.key.chat.clone(),
                    id: self.stanza_id(&event.event_id, part),
                    content,
                    context: of.context,
                };
                let origin = Origin {
                    portal: portal.portal.id,
                    event_id: event.event_id.clone(),
                    part: i64::try_from(part).unwrap_or(i64::MAX),
                };
                Some((message, origin))
            })
            .collect();
        Item {
            seq: event.seq,
            event_id: event.event_id.clone(),
            messages,
        }
    }

    /// The message an event answers, looked up in our own table, in this portal alone.
    async fn quote(
        &self,
        route: &PortalRoute,
        parsed: &AnyTimelineEvent,
    ) -> Result<Option<MessageRef>, BridgeError> {
        let Some(target) = targets(parsed).reply else {
            return Ok(None);
        };
        let (portal, login) = (route.portal.id, route.login);
        let own = self.stanza_id(target.as_str(), 0);
        let found = self
            .db
            .read(move |txn| {
                let (target, own) = (target.clone(), own.clone());
                Box::pin(async move {
                    let link = txn
                        .links_by_event(portal, target.as_str())
                        .await?
                        .into_iter()
                        .next();
                    if let Some(link) = link {
                        return Ok(Some(MessageRef {
                            id: link.stanza_id,
                            sender: link.sender,
                        }));
                    }
                    // A message of one's own has no link before the gatekeeper acknowledged it.
                    let waiting = txn.outbox_knows(login, &own).await?;
                    Ok(waiting.then_some(MessageRef {
                        id: own,
                        sender: None,
                    }))
                })
            })
            .await?;
        Ok(found)
    }

    /// Commits a batch; where a session is missing, keys are fetched and the rest goes again; what can never be sent is
    /// explained and passed over.
    async fn commit_items(
        &self,
        room_id: &OwnedRoomId,
        batch: Vec<Item>,
    ) -> Result<(), BridgeError> {
        let mut rest: Vec<Arc<Item>> = batch.into_iter().map(Arc::new).collect();
        let mut prepared = false;
        while !rest.is_empty() {
            let Route::Portal(portal) = self.route(room_id).await? else {
                return self.finish_all(room_id, &rest).await;
            };
            let network = self.network(&portal.portal.key.gatekeeper)?.clone();
            let stopped = self.queue_items(&network, portal.login, rest.clone()).await;
            // A commit can succeed although its caller sees an error.
            network.flush(portal.login);
            let stopped = stopped?;
            let at = match stopped {
                Stopped::Nowhere => return Ok(()),
                Stopped::NoSession(at) if prepared => {
                    return Err(BridgeError::Inconsistent(format!(
                        "no session could be made for event {}",
                        rest[at].event_id
                    )));
                }
                Stopped::NoSession(at) => {
                    match network.prepare(portal.login, &portal.portal.key.chat).await {
                        Ok(()) => prepared = true,
                        Err(error) if error.is_transient() => return Err(error.into()),
                        Err(error) => {
                            self.give_up(room_id, &rest[at], &error.to_string()).await?;
                            rest.drain(..=at);
                            continue;
                        }
                    }
                    at
                }
                Stopped::Unsendable(at, why) => {
                    self.give_up(room_id, &rest[at], &why).await?;
                    at + 1
                }
            };
            rest.drain(..at);
        }
        Ok(())
    }

    async fn queue_items(
        &self,
        network: &Arc<dyn Network>,
        login: LoginId,
        items: Vec<Arc<Item>>,
    ) -> Result<Stopped, StoreError> {
        let now = self.now();
        let network = network.clone();
        let stopped = self
            .db
            .step(Lane::login(login), move |txn| {
                let (network, items) = (network.clone(), items.clone());
                Box::pin(async move {
                    for (at, item) in items.iter().enumerate() {
                        for (message, origin) in &item.messages {
                            match network.enqueue(txn, login, message, origin, now).await? {
                                Ok(Enqueued::Queued | Enqueued::Known) => {}
                                Ok(Enqueued::NoSession) => return Ok(Stopped::NoSession(at)),
                                Err(error) => {
                                    return Ok(Stopped::Unsendable(at, error.to_string()));
                                }
                            }
                        }
                        txn.finish_event(item.seq).await?;
                    }
                    fail::fail_point!("encrypt.before_commit");
                    Ok(Stopped::Nowhere)
                })
            })
            .await?;
        fail::fail_point!("encrypt.after_commit");
        Ok(stopped)
    }

    async fn give_up(
        &self,
        room_id: &OwnedRoomId,
        item: &Item,
        why: &str,
    ) -> Result<(), BridgeError> {
        self.explain(room_id, &item.event_id, &format!("Not sent: {why}."))
            .await?;
        let seq = item.seq;
        self.db
            .step(Lane::room(room_id.as_str()), move |txn| {
                Box::pin(async move { txn.finish_event(seq).await })
            })
            .await?;
        Ok(())
    }

    /// Ends events of a room that is no portal any more, telling their senders.
    async fn finish_all(
        &self,
        room_id: &OwnedRoomId,
        items: &[Arc<Item>],
    ) -> Result<(), BridgeError> {
        for item in items.iter().filter(|item| !item.messages.is_empty()) {
            let notice = "Not sent: this room is not connected to the chat any more.";
            self.explain(room_id, &item.event_id, notice).await?;
        }
        let seqs: Vec<i64> = items.iter().map(|item| item.seq).collect();
        self.db
            .step(Lane::room(room_id.as_str()), move |txn| {
                let seqs = seqs.clone();
                Box::pin(async move {
                    for seq in seqs {
                        txn.finish_event(seq).await?;
                    }
                    Ok(())
                })
            })
            .await?;
        Ok(())
    }

    async fn finish(&self, event: &InboxEvent) -> Result<(), BridgeError> {
        let seq = event.seq;
        self.db
            .step(Lane::room(&event.room_id), move |txn| {
                Box::pin(async move { txn.finish_event(seq).await })
            })
            .await?;
        Ok(())
    }

    async fn quarantine(&self, event: &InboxEvent, reason: &str) -> Result<(), BridgeError> {
        tracing::warn!(event = %event.event_id, reason, "an event cannot be read and is set aside");
        let (seq, reason) = (event.seq, reason.to_owned());
        self.db
            .step(Lane::room(&event.room_id), move |txn| {
                let reason = reason.clone();
                Box::pin(async move { txn.quarantine_event(seq, &reason).await })
            })
            .await?;
        Ok(())
    }

    /// Marks a chat whose sends have an unknown outcome.
    pub(super) fn mark_uncertain(&self, chat: (LoginId, ChatId)) {
        lock(&self.uncertain).insert(chat);
    }
}

impl Item {
    fn nothing(event: &InboxEvent) -> Self {
        Self {
            seq: event.seq,
            event_id: event.event_id.clone(),
            messages: Vec::new(),
        }
    }
}
