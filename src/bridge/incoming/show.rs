//! One message of the gatekeeper's as what it is in the room: events, redactions, receipts, notices.

use ruma::OwnedEventId;

use super::{
    BATCH, Copy, Place, Send, Shown,
    about::{About, Form},
    is_about_people,
};
use crate::{
    bridge::{
        changes::{Change, reaction_in},
        context::{Bridge, BridgeError},
    },
    domain::{
        IncomingContent, IncomingMessage, LoginId, MessageContext, MessageRef, StanzaId, Timestamp,
        Unbridgeable,
    },
    matrix::Intent,
    store::{
        ExpiryRow, Lane, MessageLink, PollOption, PollRow, ReactionRow, RemoteMessageRow,
        RemoteNotice,
    },
    translate::{MatrixEvent, edited_notice, to_matrix},
};

/// The type of a poll's event.
const POLL_START: &str = "org.matrix.msc3381.poll.start";
/// The parts of a message from this one on are its edits.
pub(in crate::bridge) const EDITS: i64 = 1000;

/// How an event is about another one.
fn relation(event: &MatrixEvent) -> Option<&str> {
    event.content["m.relates_to"]["rel_type"].as_str()
}

/// That an event shows a part of a message.
fn link_to(
    place: &Place<'_>,
    row: &RemoteMessageRow,
    event_id: &OwnedEventId,
    part: usize,
) -> MessageLink {
    let message = &row.message;
    MessageLink {
        portal: place.route.portal.id,
        event_id: event_id.to_string(),
        stanza_id: message.stanza_id.clone(),
        sender: Some(message.sender.clone()),
        part: i64::try_from(part).unwrap_or(i64::MAX),
        sent_at: message.sent_at,
    }
}

fn bare(content: IncomingContent) -> IncomingMessage {
    IncomingMessage {
        content,
        context: MessageContext::default(),
    }
}

impl Bridge {
    /// Shows one message, as it was read if it could be; what is to be stored with its end.
    pub(super) async fn show(
        &self,
        place: &Place<'_>,
        row: &RemoteMessageRow,
        (incoming, copy): (Option<IncomingMessage>, Copy),
        batch: &[Shown],
    ) -> Result<Shown, BridgeError> {
        let mut shown = Shown::nothing(row);
        let message = &row.message;
        let read = self.take_notice(place, row, incoming, batch, &mut shown);
        let Some(incoming) = read.await? else {
            return Ok(shown);
        };
        if let IncomingContent::Text { body, .. } = &incoming.content
            && !place.route.is_group()
            && self
                .take_claim(message.login, &message.sender, body)
                .await?
        {
            return Ok(shown);
        }
        let ghost = self
            .speaker(
                place.route,
                place.room_id,
                &message.sender,
                message.display_name.as_deref(),
            )
            .await?;
        if let IncomingContent::Revoke { target } = &incoming.content {
            self.show_revoke(place, &ghost, row, target, batch, &mut shown)
                .await?;
            self.remove_placeholder(place, &ghost, row, batch).await?;
            return Ok(shown);
        }
        if let IncomingContent::Reaction { target, emoji } = &incoming.content
            && !self
                .makes_way(place, &ghost, row, (target, emoji), batch, &mut shown)
                .await?
        {
            self.remove_placeholder(place, &ghost, row, batch).await?;
            return Ok(shown);
        }
        let mut about = self.about(place, row, (&incoming, copy), batch).await?;
        let form = about.form();
        if about.context.replaces.is_none()
            && let Some(earlier) = self.earlier_form(place, row, form)
        {
            let changes = &mut about.changes;
            changes.push(Change::Link(link_to(place, row, &earlier, 0)));
            about.context.replaces = Some(earlier);
        }
        self.show_events(place, &ghost, row, &incoming, (about, form), &mut shown)
            .await?;
        if shown.replaces_nothing {
            self.remove_placeholder(place, &ghost, row, batch).await?;
        }
        if let IncomingContent::Timer { seconds } = &incoming.content {
            let timer = (*seconds > 0).then_some(*seconds);
            shown
                .changes
                .push(Change::Timer(place.route.portal.id, timer));
        }
        Ok(shown)
    }

    /// What a row says that is shown as a message. What is none, such as that something was read, is dealt with here.
    async fn take_notice(
        &self,
        place: &Place<'_>,
        row: &RemoteMessageRow,
        incoming: Option<IncomingMessage>,
        batch: &[Shown],
        shown: &mut Shown,
    ) -> Result<Option<IncomingMessage>, BridgeError> {
        let message = &row.message;
        Ok(Some(match (&message.notice, incoming) {
            (Some(RemoteNotice::Read { ids }), _) => {
                self.show_read(place.route, place.room_id, row, ids).await?;
                return Ok(None);
            }
            (Some(RemoteNotice::SendFailed { event_id, reason }), _) => {
                let why = Unbridgeable {
                    reason: "refused",
                    notice: Some(format!("Not sent: {reason}.")),
                };
                self.refuse(place.room_id, event_id, &why).await?;
                return Ok(None);
            }
            (Some(RemoteNotice::MediaGone { id }), _) => {
                self.show_media_gone(place, row, id, batch).await?;
                shown.changes.push(Change::Forget(
                    message.login,
                    message.chat.clone(),
                    message.sender.clone(),
                    id.clone(),
                ));
                return Ok(None);
            }
            (
                Some(
                    change @ (RemoteNotice::Group(_)
                    | RemoteNotice::Joined
                    | RemoteNotice::GroupPicture),
                ),
                _,
            ) => {
                self.take_group_notice(place.route, place.room_id, row, change)
                    .await?;
                return Ok(None);
            }
            (
                Some(
                    notice @ (RemoteNotice::Profile { .. }
                    | RemoteNotice::Reachability { .. }
                    | RemoteNotice::Blocked { .. }),
                ),
                _,
            ) => {
                self.take_people_notice(message.login, row, notice).await?;
                return Ok(None);
            }
            (Some(RemoteNotice::IdentityChanged), _) => bare(IncomingContent::IdentityChanged),
            (Some(RemoteNotice::Call { video, missed }), _) => bare(IncomingContent::Call {
                video: *video,
                missed: *missed,
            }),
            (Some(RemoteNotice::Gatekeeper { text }), _) => {
                bare(IncomingContent::GatekeeperNotice { text: text.clone() })
            }
            (None, Some(incoming)) => incoming,
            (None, None) => bare(IncomingContent::Undecryptable),
        }))
    }

    /// Sends the events that show a message, and notes what is true then.
    async fn show_events(
        &self,
        place: &Place<'_>,
        ghost: &Intent,
        row: &RemoteMessageRow,
        incoming: &IncomingMessage,
        (about, form): (About, Form),
        shown: &mut Shown,
    ) -> Result<(), BridgeError> {
        let message = &row.message;
        let events = to_matrix(incoming, &about.context);
        let About {
            context,
            changes,
            keep,
        } = about;
        shown.keep = keep;
        shown.changes.extend(changes);
        if let (IncomingContent::Edit { target, .. }, Some(_)) =
            (&incoming.content, &context.target)
        {
            // What a long text had before in events behind the first comes anew.
            let links = self.shown_events(place.route, target, &[]).await?;
            let rest = links.iter().filter(|link| (1..EDITS).contains(&link.part));
            let portal = place.route.portal.id;
            for link in rest {
                self.redact_as(place.room_id, (portal, ghost), &link.event_id, "edited")
                    .await?;
            }
        }
        let mut replaced = false;
        for (part, event) in events.into_iter().enumerate() {
            let related = relation(&event).map(str::to_owned);
            let subject = event.content["m.relates_to"]["event_id"].as_str();
            let edits_placeholder = subject.is_some_and(|subject| {
                let placeholder = context.replaces.as_ref();
                placeholder.is_some_and(|placeholder| placeholder.as_str() == subject)
            });
            replaced |= edits_placeholder;
            let starts_poll = event.kind == POLL_START;
            let part_id = self.part_id(place, row, (part, row.revision, form));
            let Some(event_id) = self.send_part(place, ghost, row, part_id, event).await? else {
                continue;
            };
            let place_of = i64::try_from(part).unwrap_or(i64::MAX);
            let link = match (&incoming.content, related.as_deref()) {
                // What the bridge says by itself is no message of the other side's.
                _ if message.notice.is_some() => None,
                // Deleted with its message, and read with it.
                _ if edits_placeholder => Some((message.stanza_id.clone(), EDITS + place_of)),
                // The rest of a long edited text.
                (IncomingContent::Edit { target, .. }, None) if context.target.is_some() => {
                    Some((target.id.clone(), place_of))
                }
                (_, None) => Some((message.stanza_id.clone(), place_of)),
                (IncomingContent::Edit { target, .. }, Some("m.replace")) => {
                    Some((target.id.clone(), EDITS + place_of))
                }
                _ => None,
            };
            if let Some((stanza_id, part)) = link {
                shown.changes.push(Change::Link(MessageLink {
                    portal: place.route.portal.id,
                    event_id: event_id.to_string(),
                    stanza_id,
                    sender: Some(message.sender.clone()),
                    part,
                    sent_at: message.sent_at,
                }));
            }
            self.note_shown(place, row, incoming, (&event_id, starts_poll), shown);
        }
        shown.replaces_nothing = context.replaces.is_some() && !replaced;
        Ok(())
    }

    /// What an event that is in the room now makes true.
    fn note_shown(
        &self,
        place: &Place<'_>,
        row: &RemoteMessageRow,
        incoming: &IncomingMessage,
        (event_id, starts_poll): (&OwnedEventId, bool),
        shown: &mut Shown,
    ) {
        let portal = place.route.portal.id;
        match &incoming.content {
            IncomingContent::Reaction { target, emoji } => {
                shown.changes.push(Change::React(ReactionRow {
                    portal,
                    message: target.clone(),
                    by: Some(row.message.sender.clone()),
                    event_id: event_id.to_string(),
                    emoji: emoji.clone(),
                }));
            }
            IncomingContent::Poll(poll) if starts_poll => {
                let options = poll.options.iter().enumerate();
                let options = options.map(|(place, text)| PollOption {
                    id: place.to_string(),
                    text: text.clone(),
                });
                shown.changes.push(Change::Poll(PollRow {
                    portal,
                    message: MessageRef {
                        id: row.message.stanza_id.clone(),
                        sender: Some(row.message.sender.clone()),
                    },
                    event_id: event_id.to_string(),
                    secret: poll.secret,
                    question: poll.question.clone(),
                    options: options.collect(),
                    selectable: poll.selectable,
                    author: None,
                }));
            }
            _ => {}
        }
        if let Some(seconds) = incoming
            .context
            .expires_after
            .filter(|seconds| *seconds > 0)
        {
            shown.changes.push(Change::Expire(ExpiryRow {
                portal,
                event_id: event_id.to_string(),
                at: self.sent_at(row).plus_millis(i64::from(seconds) * 1000),
            }));
        }
    }

    /// The transaction id of one event of a message, in one of its revisions.
    fn part_id(
        &self,
        place: &Place<'_>,
        row: &RemoteMessageRow,
        (part, revision, form): (usize, i64, Form),
    ) -> String {
        let message = &row.message;
        let (part, revision) = (part.to_string(), revision.to_string());
        let mut words = vec![
            place.room_id.as_str(),
            message.sender.as_str(),
            message.stanza_id.as_str(),
            &part,
            &revision,
        ];
        if form == Form::Placeholder {
            words.push("placeholder");
        }
        self.effect_id(&words)
    }

    /// What may have been shown in the place of a message by a process that did not live to store it, and is another now: the
    /// file is there after all, or the message could be decrypted.
    fn earlier_form(
        &self,
        place: &Place<'_>,
        row: &RemoteMessageRow,
        form: Form,
    ) -> Option<OwnedEventId> {
        let forms = |revision| [(0, revision, Form::Whole), (0, revision, Form::Placeholder)];
        let mut earlier: Vec<_> = (0..row.revision).flat_map(forms).collect();
        if form == Form::Whole {
            earlier.push((0, row.revision, Form::Placeholder));
        }
        let ids = earlier.into_iter();
        let mut ids = ids.map(|earlier| self.part_id(place, row, earlier));
        ids.find_map(|id| place.sent_before.get(&id).cloned())
    }

    /// When a message was sent: what waited in the mailbox does not stay the longer for it.
    fn sent_at(&self, row: &RemoteMessageRow) -> Timestamp {
        let now = self.now();
        Some(row.message.sent_at)
            .filter(|at| at.0 > 0 && *at < now)
            .unwrap_or(now)
    }

    /// Takes out the placeholder of a message that turned out to be none that takes its place.
    async fn remove_placeholder(
        &self,
        place: &Place<'_>,
        ghost: &Intent,
        row: &RemoteMessageRow,
        batch: &[Shown],
    ) -> Result<(), BridgeError> {
        if row.revision == 0 {
            return Ok(());
        }
        let own = MessageRef {
            id: row.message.stanza_id.clone(),
            sender: Some(row.message.sender.clone()),
        };
        if let Some(placeholder) = self.shown_event(place.route, &own, batch).await? {
            self.redact_as(
                place.room_id,
                (place.route.portal.id, ghost),
                placeholder.as_str(),
                "it was no message",
            )
            .await?;
        }
        Ok(())
    }

    /// Sends one event of a message, unless it is there already.
    async fn send_part(
        &self,
        place: &Place<'_>,
        ghost: &Intent,
        row: &RemoteMessageRow,
        txn_id: String,
        event: MatrixEvent,
    ) -> Result<Option<OwnedEventId>, BridgeError> {
        if let Some(event_id) = place.sent_before.get(&txn_id) {
            return Ok(Some(event_id.clone()));
        }
        let send = Send {
            txn_id,
            event,
            row,
            route: place.route,
        };
        self.send_as(ghost, place.room_id, send).await
    }

    /// Takes the sender's earlier reaction out of the room; whether there is a new one to be shown.
    async fn makes_way(
        &self,
        place: &Place<'_>,
        ghost: &Intent,
        row: &RemoteMessageRow,
        (target, emoji): (&MessageRef, &str),
        batch: &[Shown],
        shown: &mut Shown,
    ) -> Result<bool, BridgeError> {
        let (portal, by) = (place.route.portal.id, Some(&row.message.sender));
        let pending = batch.iter().flat_map(|shown| &shown.changes);
        let pending = reaction_in(pending, target, by);
        let pending: Vec<Change> = pending.cloned().into_iter().collect();
        let earlier = self.reaction_of(&pending, portal, target, by).await?;
        if let Some(earlier) = earlier {
            if earlier.emoji == emoji {
                return Ok(false);
            }
            self.redact_as(
                place.room_id,
                (portal, ghost),
                &earlier.event_id,
                "replaced",
            )
            .await?;
            shown
                .changes
                .push(Change::Unreact(portal, target.clone(), by.cloned()));
        }
        Ok(!emoji.is_empty())
    }

    /// Deletes what shows a message. Only its writer deletes a message, and the admins of its group.
    async fn show_revoke(
        &self,
        place: &Place<'_>,
        ghost: &Intent,
        row: &RemoteMessageRow,
        target: &MessageRef,
        batch: &[Shown],
        shown: &mut Shown,
    ) -> Result<(), BridgeError> {
        let is_own = target.sender.as_ref() == Some(&row.message.sender);
        if !is_own && !self.may_delete(place.route, &row.message.sender).await? {
            tracing::info!(message = %target.id, "somebody else's message was to be deleted");
            return Ok(());
        }
        let links = self.shown_events(place.route, target, batch).await?;
        let message = &row.message;
        if let Some(writer) = &target.sender {
            shown.changes.extend(place.route.logins.iter().map(|login| {
                let (chat, writer) = (message.chat.clone(), writer.clone());
                Change::Forget(login.id, chat, writer, target.id.clone())
            }));
        }
        let mut events: Vec<&str> = links.iter().map(|link| link.event_id.as_str()).collect();
        events.dedup();
        for event in events {
            let by = (place.route.portal.id, ghost);
            self.redact_as(place.room_id, by, event, "deleted on the other side")
                .await?;
        }
        Ok(())
    }

    /// The placeholder of a file says that there is nothing more to wait for.
    async fn show_media_gone(
        &self,
        place: &Place<'_>,
        row: &RemoteMessageRow,
        id: &StanzaId,
        batch: &[Shown],
    ) -> Result<(), BridgeError> {
        let message = MessageRef {
            id: id.clone(),
            sender: Some(row.message.sender.clone()),
        };
        let Some(event_id) = self.shown_event(place.route, &message, batch).await? else {
            return Ok(());
        };
        let ghost = self
            .speaker(place.route, place.room_id, &row.message.sender, None)
            .await?;
        let event = MatrixEvent {
            kind: "m.room.message",
            content: edited_notice(
                "A file was sent here, but it is not on the server any more and its sender's phone does not have it either. Ask them to send it again.",
                &event_id,
            ),
        };
        let id = self.part_id(place, row, (0, row.revision, Form::Whole));
        self.send_part(place, &ghost, row, id, event).await?;
        Ok(())
    }

    /// What a gatekeeper itself has to say goes to the login's user, into the management room.
    pub(in crate::bridge) async fn tell_gatekeeper_notices(
        &self,
        login: LoginId,
        rows: &[RemoteMessageRow],
    ) -> Result<bool, BridgeError> {
        for row in rows {
            if let Some(RemoteNotice::Gatekeeper { text }) = &row.message.notice {
                let words = ["gatekeeper", row.message.stanza_id.as_str()];
                self.tell_owner_once(
                    login,
                    &words,
                    &format!("says: {}", crate::translate::clean_text(text)),
                )
                .await?;
            }
            if let Some(notice) = row.message.notice.as_ref().filter(|_| is_about_people(row)) {
                self.take_people_notice(login, row, notice).await?;
            }
            let (seq, revision) = (row.seq, row.revision);
            self.db
                .step(Lane::login(login), move |txn| {
                    Box::pin(async move { txn.finish_message(seq, revision, false).await })
                })
                .await?;
        }
        Ok(i64::try_from(rows.len()).is_ok_and(|count| count == BATCH))
    }
}
