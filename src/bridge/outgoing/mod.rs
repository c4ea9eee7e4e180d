//! Matrix to gatekeeper: one run takes a room's waiting events in order, translates them, and commits ratchet steps, outbox
//! rows and the events' end together.

mod commit;
mod deliveries;
mod effects;
mod hosting;
mod items;
mod lookup;
mod opening;
mod voices;

use std::{borrow::Cow, sync::Arc};

use ruma::{OwnedEventId, OwnedRoomId, events::AnyTimelineEvent};

use self::hosting::ToHost;
pub(super) use self::hosting::{Trouble, blocking, trouble_of};
use self::items::{End, Item, Speaker};
use self::voices::{Source, Voice};
use super::{
    changes::Change,
    context::{Bridge, BridgeError, lock},
    routes::{PortalRoute, Route},
    workers::Outcome,
};
use crate::{
    domain::{ChatId, LoginId, Outgoing, OutgoingContent, Unbridgeable},
    network::Origin,
    store::{ExpiryRow, InboxEvent, Lane},
    translate::{
        NetworkContext, Part, PartContent, Relayed, Reply, RoomEvent, Target, relay, targets,
        to_network, without_fallback,
    },
};

/// How many events one run takes.
const BATCH: i64 = 64;

/// An event that was taken out of the inbox, as it came and as it was read.
struct Taken<'a> {
    event: &'a InboxEvent,
    parsed: &'a AnyTimelineEvent,
    said: &'a RoomEvent,
    end: End,
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
        // One moment for all of them: they came together, and so will their keys.
        let deadline = tokio::time::Instant::now() + opening::MOMENT;
        for event in events {
            let opened = self.opened(room_id, event, deadline, &mut batch);
            let Some(event) = opened.await? else {
                continue;
            };
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
            let read = RoomEvent::from_json(&event.json);
            let Ok(said) = read else {
                self.quarantine(&event, "not readable as an event of a room")
                    .await?;
                continue;
            };
            match self.route(room_id).await? {
                Route::Portals(portals) => {
                    let taken = Taken {
                        event: &event,
                        parsed: &parsed,
                        said: &said,
                        end: End::Event(event.seq),
                    };
                    let done = self.take_room_event(room_id, &portals, &taken, &mut batch);
                    if let Err(error) = done.await {
                        // What came before it need not wait for it.
                        self.commit_items(room_id, batch).await?;
                        return Err(error);
                    }
                }
                _ if self.is_ours(parsed.sender()) => self.finish(&event).await?,
                Route::Management(owner) => {
                    self.note_own_profile(&parsed);
                    self.take_command(room_id, &owner, &parsed).await?;
                    self.finish(&event).await?;
                }
                Route::Unknown | Route::Closed
                    if self.finish_opening(room_id, parsed.sender()).await? =>
                {
                    // The room turned out to be a portal whose creation was interrupted: the event is taken again as its.
                    return Ok(true);
                }
                Route::Unknown | Route::Closed if self.take_prefixed(room_id, &parsed).await? => {
                    self.finish(&event).await?;
                }
                Route::Closed => {
                    self.refuse_in_closed(room_id, &event, &said).await?;
                    self.finish(&event).await?;
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

    /// Carries an event to every chat of its room but the one it comes from.
    async fn take_room_event(
        &self,
        room_id: &OwnedRoomId,
        portals: &[Arc<PortalRoute>],
        taken: &Taken<'_>,
        batch: &mut Vec<Item>,
    ) -> Result<(), BridgeError> {
        self.note_member(room_id, taken.parsed);
        self.note_own_profile(taken.parsed);
        let source = self.source_of(portals, taken);
        let mut portals = Cow::Borrowed(portals);
        if source == Source::Room {
            if self.take_prefixed(room_id, taken.parsed).await? {
                batch.push(Item::nothing(taken));
                return Ok(());
            }
            let ended = self
                .note_owners_left(room_id, &portals, taken.parsed)
                .await?;
            if !ended.is_empty() {
                let portals = portals.to_mut();
                portals.retain(|route| !ended.contains(&route.portal.id));
            }
        }
        let one = match &*portals {
            [one] if !self.is_delivering(one.portal.id, batch) => one,
            _ => {
                return self
                    .share_out(room_id, &portals, taken, source, batch)
                    .await;
            }
        };
        let is_done = match source {
            Source::Room => {
                self.take_room_change(room_id, &portals, taken.event, taken.parsed)
                    .await?
            }
            Source::Chat(from) => from == one.portal.id,
            Source::Bridge => true,
        };
        if is_done {
            batch.push(Item::nothing(taken));
            return Ok(());
        }
        self.take_portal_event(room_id, one, taken, source, batch)
            .await
    }

    async fn take_portal_event(
        &self,
        room_id: &OwnedRoomId,
        portal: &Arc<PortalRoute>,
        taken: &Taken<'_>,
        source: Source,
        batch: &mut Vec<Item>,
    ) -> Result<(), BridgeError> {
        if self.is_removed(portal) {
            let gatekeeper = self.gatekeeper_name(&portal.portal.key.gatekeeper);
            let why = format!("this bridge is not connected to {gatekeeper} any more");
            return self
                .pass_by(room_id, taken, source, ("no_gatekeeper", &why), batch)
                .await;
        }
        let about = targets(taken.said);
        let is_about = |item: &Item| {
            [&about.reply, &about.subject]
                .into_iter()
                .flatten()
                .any(|event_id| item.event_id == event_id.as_str())
        };
        // Whether taking back a reaction changes anything depends on what was put in its place since.
        let reacts = |item: &Item| item.changes.iter().any(|c| matches!(c, Change::React(_)));
        if batch.iter().any(is_about) || about.subject.is_some() && batch.iter().any(reacts) {
            // What it is about has to be in the store to be found there.
            self.commit_items(room_id, std::mem::take(batch)).await?;
        }
        let translated = self.translate_out(room_id, portal, taken, source).await?;
        let refusal = match translated {
            Ok((speaking, parts)) => {
                if parts
                    .iter()
                    .any(|part| matches!(part.content, PartContent::Media { .. }))
                {
                    // A file takes its time: what came before it goes first.
                    self.commit_items(room_id, std::mem::take(batch)).await?;
                }
                match self.item(room_id, &speaking, taken, parts, batch).await? {
                    Ok(item) => {
                        let resets = item.resets_route();
                        batch.push(item);
                        if resets {
                            self.commit_items(room_id, std::mem::take(batch)).await?;
                            self.forget_route(Some(room_id), Some(&speaking.chat()));
                        }
                        return Ok(());
                    }
                    Err(refusal) => refusal,
                }
            }
            Err(refusal) => refusal,
        };
        // What came before it in the room goes first.
        self.commit_items(room_id, std::mem::take(batch)).await?;
        self.refuse(room_id, &taken.event.event_id, &refusal)
            .await?;
        self.end(room_id, &taken.end).await
    }

    /// The parts an event is sent as, and the portal as the login that sends them sees it.
    async fn translate_out(
        &self,
        room_id: &OwnedRoomId,
        portal: &Arc<PortalRoute>,
        taken: &Taken<'_>,
        source: Source,
    ) -> Result<Result<(PortalRoute, Vec<Part>), Unbridgeable>, BridgeError> {
        let gatekeeper = &portal.portal.key.gatekeeper;
        let network = self.network(gatekeeper)?;
        let mut context = NetworkContext {
            capabilities: network.capabilities(),
            gatekeeper: self.gatekeeper_name(gatekeeper),
            reply: Reply::None,
            target: Target::Unknown,
            poll: None,
            role: None,
            people: &|user| self.remote_of(portal, user),
            random: rand::random(),
        };
        let (mut speaking, name) = match self.voice(room_id, portal, taken, source).await? {
            Voice::Own(speaking) => (speaking, None),
            Voice::Relay(speaking, name) => (speaking, Some(name)),
            Voice::Silent => return Ok(Ok((PortalRoute::clone(portal), Vec::new()))),
            Voice::Nobody => {
                let parts = self.refuse_somebody_else(portal, taken, &context);
                return Ok(parts.map(|parts| (PortalRoute::clone(portal), parts)));
            }
        };
        if let Some((subject, how)) = changed(taken.said) {
            let several =
                name.is_some() || portal.portal.relay.is_some() || portal.logins.len() > 1;
            if several && how == How::Edit && !self.is_by_the_same(room_id, &subject, taken).await?
            {
                return Ok(Ok((speaking, Vec::new())));
            }
            // What somebody wrote through a login is changed and taken back through it.
            if let Some(author) = self.author_of(portal.portal.id, &subject).await?
                && let Some(theirs) = portal.seen_by(author)
            {
                speaking = theirs;
            }
        }
        let known = self.look_up(&speaking, room_id, taken.said).await?;
        // What was deleted before it was carried is not told of by its edits.
        if let Some((subject, How::Edit)) = changed(taken.said)
            && known.target == Target::Unknown
            && self.is_deleted(room_id, &subject).await?
        {
            return Ok(Ok((speaking, Vec::new())));
        }
        context.reply = known.reply;
        context.target = known.target;
        context.poll = known.poll;
        context.role = known.role;
        // Whoever speaks for others says their names anyway.
        let said = match &name {
            Some(_) => without_fallback(taken.said),
            None => Cow::Borrowed(taken.said),
        };
        let parts = to_network(&*said, &context).and_then(|parts| match &name {
            None => Ok(parts),
            Some(name) => {
                let by = Relayed {
                    name: name.clone(),
                    templates: &self.settings.relay.templates,
                };
                let is_emote = taken.said.content()["msgtype"] == "m.emote";
                relay(parts, &by, is_emote, &context)
            }
        });
        Ok(parts.map(|parts| (speaking, parts)))
    }

    /// What an event is sent as, its files hosted, with what it changes here.
    async fn item(
        &self,
        room_id: &OwnedRoomId,
        portal: &PortalRoute,
        taken: &Taken<'_>,
        parts: Vec<Part>,
        batch: &[Item],
    ) -> Result<Result<Item, Unbridgeable>, BridgeError> {
        let event = taken.event;
        let mut item = Item::nothing(taken);
        item.speaker = (!parts.is_empty()).then(|| Speaker::of(portal));
        let network = self.network(&portal.portal.key.gatekeeper)?;
        let gatekeeper = self.gatekeeper_name(&portal.portal.key.gatekeeper);
        for (part, of) in parts.into_iter().enumerate() {
            let content = match of.content {
                PartContent::Ready(content) => content,
                PartContent::Media {
                    details,
                    source,
                    thumbnail,
                    caption,
                    limit,
                } => {
                    let file = ToHost {
                        details,
                        source,
                        thumbnail,
                        caption,
                        limit,
                        event_id: event.event_id.clone(),
                    };
                    // A file that cannot be sent for now is not hosted again at every try.
                    let chat = &portal.portal.key.chat;
                    if let Err(error) = network.prepare(portal.login, chat).await {
                        if error.is_transient() {
                            return Err(error.into());
                        }
                        return Ok(Err(Unbridgeable {
                            reason: "no_session",
                            notice: Some(format!("Not sent to {gatekeeper}: {error}.")),
                        }));
                    }
                    match self.host(&**network, gatekeeper, file).await? {
                        Ok(content) => content,
                        Err(refusal) => return Ok(Err(refusal)),
                    }
                }
            };
            let id = self.stanza_id(portal.portal.id, &event.event_id, part);
            let pending = batch.iter().flat_map(|item| &item.changes);
            let pending: Vec<Change> = pending.chain(&item.changes).cloned().collect();
            let changes = self.changes_of(room_id, portal, taken, &content, &id, &pending);
            item.changes.extend(changes.await?);
            let place = i64::try_from(part).unwrap_or(i64::MAX);
            let is_message = is_message(&content);
            let mut context = of.context;
            // An edit repeats the text, so it goes too.
            let shows_text = is_message || matches!(content, OutgoingContent::Edit { .. });
            if shows_text && let Some(seconds) = portal.portal.settings.expires_after {
                context.expires_after = Some(seconds);
                item.changes.push(Change::Expire(ExpiryRow {
                    portal: portal.portal.id,
                    event_id: event.event_id.clone(),
                    at: self.now().plus_millis(i64::from(seconds) * 1000),
                }));
            }
            let message = Outgoing {
                chat: portal.portal.key.chat.clone(),
                id,
                content,
                context,
            };
            let origin = Origin {
                portal: portal.portal.id,
                event_id: event.event_id.clone(),
                part: if is_message { place } else { -1 - place },
            };
            item.messages.push((message, origin));
        }
        Ok(Ok(item))
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

    /// Is done with an event, or with a part of its way.
    async fn end(&self, room_id: &OwnedRoomId, end: &End) -> Result<(), BridgeError> {
        let end = end.clone();
        self.db
            .step(Lane::room(room_id.as_str()), move |txn| {
                let end = end.clone();
                Box::pin(async move { end.apply(txn).await })
            })
            .await?;
        Ok(())
    }

    /// Marks a chat whose sends have an unknown outcome.
    pub(super) fn mark_uncertain(&self, chat: (LoginId, ChatId)) {
        lock(&self.uncertain).insert(chat);
    }
}

/// How an event changes an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Edit,
    Redaction,
}

/// The event that another one changes.
fn changed(said: &RoomEvent) -> Option<(OwnedEventId, How)> {
    let subject = targets(said).subject?;
    if said.is_redaction() {
        return Some((subject, How::Redaction));
    }
    let is_edit = said.content()["m.relates_to"]["rel_type"] == "m.replace";
    is_edit.then_some((subject, How::Edit))
}

/// Whether it is something in the chat that can be answered and deleted, and not something about a message.
fn is_message(content: &OutgoingContent) -> bool {
    match content {
        OutgoingContent::Text { .. }
        | OutgoingContent::Media { .. }
        | OutgoingContent::Location(_)
        | OutgoingContent::Contacts(_)
        | OutgoingContent::Poll(_) => true,
        OutgoingContent::Reaction { .. }
        | OutgoingContent::Edit { .. }
        | OutgoingContent::Revoke { .. }
        | OutgoingContent::PollVote { .. }
        | OutgoingContent::Timer { .. } => false,
    }
}
