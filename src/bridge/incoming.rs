//! Gatekeeper to Matrix: one run takes a chat's waiting messages in order, shows them as the ghost, and commits links and the
//! messages' end together.

use std::{collections::HashMap, sync::Arc};

use ruma::{OwnedEventId, OwnedRoomId};
use serde_json::{Value, json};

use super::{
    context::{Bridge, BridgeError, PortalRoute, event_id, lock},
    rooms::open_room,
    workers::Outcome,
};
use crate::{
    domain::{ChatId, IncomingContent, IncomingMessage, LoginId, MessageContext, MessageRef},
    matrix::{Intent, MatrixError},
    network::Network,
    store::{Lane, MessageLink, RemoteMessageRow, RemoteNotice},
    translate::{MatrixContext, bridge_notice, to_matrix},
};

/// How many messages one run takes; also how many sends can have an unknown outcome after a crash.
const BATCH: i64 = 64;
/// How far back a room is searched for sends of unknown outcome.
const SEARCH: u32 = 300;

/// One message shown in Matrix.
#[derive(Clone)]
struct Shown {
    seq: i64,
    revision: i64,
    links: Vec<MessageLink>,
}

/// One message as it is to be sent.
struct Send<'a> {
    room_id: &'a OwnedRoomId,
    txn_id: String,
    content: Value,
    row: &'a RemoteMessageRow,
}

impl Bridge {
    /// Carries what waits in a chat.
    pub(super) async fn carry_in(&self, login: LoginId, chat: &ChatId) -> Outcome {
        if !self.is_introduced() {
            return Outcome::Retry;
        }
        match self.carry_in_batch(login, chat).await {
            Ok(more) => {
                if more {
                    self.chats.wake((login, chat.clone()));
                }
                Outcome::Done
            }
            Err(error) => {
                tracing::warn!(%login, %error, "messages of a chat have to wait");
                Outcome::Retry
            }
        }
    }

    /// Carries the oldest that wait; whether there may be more, which nobody would wake for.
    async fn carry_in_batch(&self, login: LoginId, chat: &ChatId) -> Result<bool, BridgeError> {
        let of = chat.clone();
        let rows = self
            .db
            .read(move |txn| {
                let of = of.clone();
                Box::pin(async move { txn.waiting_messages(login, &of, BATCH).await })
            })
            .await?;
        if rows.is_empty() {
            return Ok(false);
        }
        let count = rows.len();
        let route = self.open_portal(login, chat).await?;
        let room_id = open_room(&route)?;
        let network = self.network(&route.portal.key.gatekeeper)?.clone();
        let key = (login, chat.clone());
        let sent_before = if lock(&self.uncertain).contains(&key) {
            self.search(&route, &room_id).await?
        } else {
            HashMap::new()
        };
        lock(&self.uncertain).remove(&key);
        let mut shown = Vec::with_capacity(count);
        let mut failure = None;
        for row in &rows {
            match self
                .show(&route, &room_id, &network, row, &sent_before, &shown)
                .await
            {
                Ok(links) => shown.push(Shown {
                    seq: row.seq,
                    revision: row.revision,
                    links,
                }),
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        let stored = self.store_shown(login, shown).await;
        match (failure, stored) {
            (None, Ok(())) => Ok(i64::try_from(count).is_ok_and(|count| count == BATCH)),
            (Some(error), stored) => {
                // The failed send may have arrived all the same.
                self.mark_uncertain(key);
                stored?;
                if matches!(error, BridgeError::RoomLost(_)) {
                    tracing::warn!(portal = %route.portal.id, %error, "a new room is made");
                    self.abandon_room(&route).await?;
                }
                Err(error)
            }
            (None, Err(error)) => {
                self.mark_uncertain(key);
                Err(error)
            }
        }
    }

    /// Shows one message; the links of what is now in the room.
    async fn show(
        &self,
        route: &PortalRoute,
        room_id: &OwnedRoomId,
        network: &Arc<dyn Network>,
        row: &RemoteMessageRow,
        sent_before: &HashMap<String, OwnedEventId>,
        batch: &[Shown],
    ) -> Result<Vec<MessageLink>, BridgeError> {
        let message = &row.message;
        let content = match (&message.notice, &message.plaintext) {
            (Some(RemoteNotice::Read { ids }), _) => {
                self.show_read(route, room_id, row, ids).await?;
                return Ok(Vec::new());
            }
            (Some(RemoteNotice::SendFailed { event_id, reason }), _) => {
                self.explain(room_id, event_id, &format!("Not sent: {reason}."))
                    .await?;
                return Ok(Vec::new());
            }
            (Some(RemoteNotice::IdentityChanged), _) => bare(IncomingContent::IdentityChanged),
            (Some(RemoteNotice::Call { video, missed }), _) => bare(IncomingContent::Call {
                video: *video,
                missed: *missed,
            }),
            (Some(RemoteNotice::Gatekeeper { text }), _) => {
                bare(IncomingContent::GatekeeperNotice { text: text.clone() })
            }
            (Some(RemoteNotice::MediaGone { .. }), _) => return Ok(Vec::new()),
            (None, Some(plaintext)) => network.read_message(plaintext, &message.sender),
            (None, None) => bare(IncomingContent::Undecryptable),
        };
        let ghost = self
            .ghost(
                &route.portal.key.gatekeeper,
                &message.sender,
                message.display_name.as_deref(),
            )
            .await?;
        let context = self.matrix_context(route, row, &content, batch).await?;
        let mut links = Vec::new();
        for (part, event) in to_matrix(&content, &context).into_iter().enumerate() {
            let content = event.content;
            let part_text = part.to_string();
            let txn_id = self.effect_id(&[
                room_id.as_str(),
                message.sender.as_str(),
                message.stanza_id.as_str(),
                &part_text,
                &row.revision.to_string(),
            ]);
            let event_id = match sent_before.get(&txn_id) {
                Some(event_id) => Some(event_id.clone()),
                None => {
                    self.send_as(
                        &ghost,
                        Send {
                            room_id,
                            txn_id,
                            content,
                            row,
                        },
                    )
                    .await?
                }
            };
            let Some(event_id) = event_id else { continue };
            // An edit of a placeholder leaves the placeholder's link: replies and receipts go to the event it edits.
            if context.replaces.is_none() || part > 0 {
                links.push(MessageLink {
                    portal: route.portal.id,
                    event_id: event_id.to_string(),
                    stanza_id: message.stanza_id.clone(),
                    sender: Some(message.sender.clone()),
                    part: i64::try_from(part).unwrap_or(i64::MAX),
                    sent_at: message.sent_at,
                });
            }
        }
        Ok(links)
    }

    async fn send_as(
        &self,
        ghost: &Intent,
        send: Send<'_>,
    ) -> Result<Option<OwnedEventId>, BridgeError> {
        let mut content = send.content;
        content[format!("{}.source", self.settings.namespace)] = json!({ "id": send.txn_id });
        fail::fail_point!("matrix_send.before");
        let kind = "m.room.message";
        let at = Some(send.row.message.sent_at).filter(|at| at.0 > 0);
        let sent = ghost
            .send(send.room_id, kind, &send.txn_id, &content, at)
            .await;
        let sent = match sent {
            Err(error) if is_kept_out(&error) => {
                // Somebody removed the ghost, or the homeserver forgot it: it is brought back.
                self.bring_back(ghost, send.room_id).await?;
                ghost
                    .send(send.room_id, kind, &send.txn_id, &content, at)
                    .await
            }
            other => other,
        };
        fail::fail_point!("matrix_send.after");
        let refusal = match sent {
            Ok(event_id) => return Ok(Some(event_id)),
            Err(error) if error.is_transient() => return Err(error.into()),
            Err(error) => error,
        };
        tracing::warn!(room = %send.room_id, message = %send.row.message.stanza_id, error = %refusal, "the homeserver refuses a message");
        let notice = bridge_notice(
            "A message arrived that this homeserver refuses to take. Open the app on the other side to see it.",
            None,
        );
        let txn_id = self.effect_id(&["refused", &send.txn_id]);
        match ghost.send(send.room_id, kind, &txn_id, &notice, at).await {
            Ok(event_id) => Ok(Some(event_id)),
            Err(error) if error.is_transient() => Err(error.into()),
            Err(error) => {
                tracing::error!(room = %send.room_id, message = %send.row.message.stanza_id, %error, "the homeserver refuses even the notice of a message");
                Ok(None)
            }
        }
    }

    async fn bring_back(&self, ghost: &Intent, room_id: &OwnedRoomId) -> Result<(), BridgeError> {
        ghost.ensure_registered().await?;
        if let Err(error) = self.bot().invite(room_id, ghost.user_id()).await
            && error.is_transient()
        {
            return Err(error.into());
        }
        match ghost.join(room_id).await {
            Err(error) if error.is_transient() => Err(error.into()),
            Err(error) => Err(BridgeError::RoomLost(error)),
            Ok(()) => Ok(()),
        }
    }

    /// What the room already shows of what may have been sent: transaction id to event.
    async fn search(
        &self,
        route: &PortalRoute,
        room_id: &OwnedRoomId,
    ) -> Result<HashMap<String, OwnedEventId>, BridgeError> {
        let source = format!("{}.source", self.settings.namespace);
        let recent = match self.bot().recent(room_id, SEARCH).await {
            Ok(recent) => recent,
            Err(error) if error.is_transient() => return Err(error.into()),
            Err(error) => {
                tracing::debug!(portal = %route.portal.id, %error, "the room cannot be searched");
                Vec::new()
            }
        };
        Ok(recent
            .iter()
            .filter_map(|event| {
                let txn_id = event["content"][&source]["id"].as_str()?;
                Some((txn_id.to_owned(), event_id(event["event_id"].as_str()?)?))
            })
            .collect())
    }

    async fn matrix_context(
        &self,
        route: &PortalRoute,
        row: &RemoteMessageRow,
        content: &IncomingMessage,
        batch: &[Shown],
    ) -> Result<MatrixContext, BridgeError> {
        let mut context = MatrixContext::default();
        if row.revision > 0 {
            let own = MessageRef {
                id: row.message.stanza_id.clone(),
                sender: Some(row.message.sender.clone()),
            };
            context.replaces = self.shown_event(route, &own, batch).await?;
        }
        if let Some(quote) = &content.context.quote {
            context.reply_to = self.shown_event(route, &quote.message, batch).await?;
        }
        Ok(context)
    }

    /// The event that shows a message in this portal: of this batch, or of the store.
    async fn shown_event(
        &self,
        route: &PortalRoute,
        quote: &MessageRef,
        batch: &[Shown],
    ) -> Result<Option<OwnedEventId>, BridgeError> {
        let in_batch = batch.iter().flat_map(|shown| &shown.links).find(|link| {
            link.stanza_id == quote.id && link.sender == quote.sender && link.part == 0
        });
        if let Some(link) = in_batch {
            return Ok(event_id(&link.event_id));
        }
        let (portal, quote) = (route.portal.id, quote.clone());
        let links = self
            .db
            .read(move |txn| {
                let quote = quote.clone();
                Box::pin(async move {
                    txn.links_by_stanza(portal, quote.sender.as_ref(), &quote.id)
                        .await
                })
            })
            .await?;
        Ok(links.first().and_then(|link| event_id(&link.event_id)))
    }

    async fn store_shown(&self, login: LoginId, shown: Vec<Shown>) -> Result<(), BridgeError> {
        if shown.is_empty() {
            return Ok(());
        }
        let shown: Arc<[Shown]> = shown.into();
        self.db
            .step(Lane::login(login), move |txn| {
                let shown = shown.clone();
                Box::pin(async move {
                    for one in shown.iter() {
                        for link in &one.links {
                            txn.put_link(link).await?;
                        }
                        txn.finish_message(one.seq, one.revision, false).await?;
                    }
                    fail::fail_point!("link.before_commit");
                    Ok(())
                })
            })
            .await?;
        fail::fail_point!("link.after_commit");
        Ok(())
    }
}

fn bare(content: IncomingContent) -> IncomingMessage {
    IncomingMessage {
        content,
        context: MessageContext::default(),
    }
}

/// Whether the sender may not be in the room, as far as the code tells.
fn is_kept_out(error: &MatrixError) -> bool {
    matches!(error.errcode(), Some("M_FORBIDDEN" | "M_NOT_FOUND"))
}
