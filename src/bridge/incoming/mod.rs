//! Gatekeeper to Matrix: one run takes a chat's waiting messages in order, shows them as the ghost, and commits links and the
//! messages' end together.

mod about;
mod files;
mod shared;
mod show;
mod uploads;

use std::{collections::HashMap, sync::Arc};

use ruma::{OwnedEventId, OwnedRoomId};
use serde_json::json;

use self::shared::{Copy, as_ours};
pub(super) use self::{show::EDITS, uploads::ToUpload};
use super::{
    changes::Change,
    context::{Bridge, BridgeError, RoomLock, event_id, lock},
    rooms::open_room,
    routes::PortalRoute,
    workers::Outcome,
};
use crate::{
    domain::{ChatId, IncomingContent, IncomingMessage, LoginId, RemoteUserId},
    matrix::{Intent, MatrixError},
    network::Network,
    store::{Lane, RemoteMessageRow, RemoteNotice},
    translate::{MatrixEvent, bridge_notice, spoken_for},
};

/// How many messages one run takes; also how many sends can have an unknown outcome after a crash.
pub(super) const BATCH: i64 = 64;
/// How far back a room is searched for sends of unknown outcome.
const SEARCH: u32 = 300;

/// One message shown in Matrix.
#[derive(Clone)]
struct Shown {
    seq: i64,
    revision: i64,
    /// Whether its plaintext is needed once more.
    keep: bool,
    /// Whether there is a placeholder that nothing came in the place of.
    replaces_nothing: bool,
    changes: Vec<Change>,
}

/// Where a batch is shown.
struct Place<'a> {
    route: &'a PortalRoute,
    room_id: &'a OwnedRoomId,
    network: &'a Arc<dyn Network>,
    /// What may have been sent before: transaction id to event.
    sent_before: &'a HashMap<String, OwnedEventId>,
}

/// One event as it is to be sent.
struct Send<'a> {
    txn_id: String,
    event: MatrixEvent,
    row: &'a RemoteMessageRow,
    route: &'a PortalRoute,
}

impl Shown {
    /// A message that the room shows already, or that is none.
    fn nothing(row: &RemoteMessageRow) -> Self {
        Self {
            seq: row.seq,
            revision: row.revision,
            keep: false,
            replaces_nothing: false,
            changes: Vec::new(),
        }
    }
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
        // What is told of people needs no room.
        if !chat.as_str().contains('@') || rows.iter().all(is_about_people) {
            return self.tell_gatekeeper_notices(login, &rows).await;
        }
        let count = rows.len();
        let Some(route) = self.portal_to_show(login, chat, &rows).await? else {
            return Ok(false);
        };
        let _busy = self.groups.pace.messages();
        let room_id = open_room(&route)?;
        let network = self.network(&route.portal.key.gatekeeper)?.clone();
        let key = (login, chat.clone());
        // One login's messages after the other's: what the other has shown is in the store then.
        let turn = self.turn(&route);
        let _alone = match &turn {
            Some(turn) => Some(turn.lock().await),
            None => None,
        };
        let sent_before = if lock(&self.uncertain).contains(&key) {
            self.search(&route, &room_id).await?
        } else {
            HashMap::new()
        };
        lock(&self.uncertain).remove(&key);
        let place = Place {
            route: &route,
            room_id: &room_id,
            network: &network,
            sent_before: &sent_before,
        };
        let mut shown: Vec<Shown> = Vec::with_capacity(count);
        let mut failure = None;
        for row in &rows {
            let copy = match self.copy_of(&route, row).await {
                Ok(copy) => copy,
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            };
            if copy == Copy::Known {
                shown.push(Shown::nothing(row));
                continue;
            }
            let incoming = reading(row, &route, &network).map(|incoming| as_ours(incoming, &route));
            let is_file = matches!(
                incoming.as_ref().map(|message| &message.content),
                Some(IncomingContent::Media { .. })
            );
            if is_file && !shown.is_empty() {
                // A file takes its time: what is in the room already can be answered meanwhile.
                let stored = self.store_shown(&place, std::mem::take(&mut shown)).await;
                if let Err(error) = stored {
                    self.mark_uncertain(key);
                    return Err(error);
                }
            }
            match self.show(&place, row, (incoming, copy), &shown).await {
                Ok(one) => shown.push(one),
                Err(BridgeError::Matrix(error)) if !error.is_transient() => {
                    shown.push(self.give_up_showing(&place, row, &error).await?);
                }
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        if rows.iter().any(|row| row.message.notice.is_none()) {
            self.end_counting(&room_id);
        }
        let stored = self.store_shown(&place, shown).await;
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

    async fn send_as(
        &self,
        ghost: &Intent,
        room_id: &OwnedRoomId,
        mut send: Send<'_>,
    ) -> Result<Option<OwnedEventId>, BridgeError> {
        let MatrixEvent { kind, mut content } = std::mem::take(&mut send.event);
        content[format!("{}.source", self.settings.namespace)] =
            json!({ "id": send.txn_id, "portal": send.route.portal.id });
        fail::fail_point!("matrix_send.before");
        let at = Some(send.row.message.sent_at).filter(|at| at.0 > 0);
        let sent = ghost.send(room_id, kind, &send.txn_id, &content, at).await;
        let sent = match sent {
            Err(error) if is_kept_out(&error) => {
                if send.route.portal.linked && self.is_banned(room_id, ghost).await? {
                    tracing::info!(room = %room_id, message = %send.row.message.stanza_id, "what somebody wrote whom the room bans is not shown");
                    return Ok(None);
                }
                // Somebody removed the ghost, or the homeserver forgot it: it is brought back, and not taken out again before it has
                // spoken.
                let alone = self.groups.alone(send.route.portal.id);
                let _alone = alone.lock().await;
                let again = match self.bring_back(ghost, room_id, send.route).await {
                    Ok(()) => Ok(ghost.send(room_id, kind, &send.txn_id, &content, at).await),
                    Err(error) => Err(error),
                };
                let is_out = match &again {
                    Ok(sent) => sent.as_ref().is_err_and(is_kept_out),
                    Err(error) => matches!(error, BridgeError::RoomLost(_)),
                };
                // Whoever is kept out of a room of many does not close it for the others.
                if is_out && (send.route.portal.linked || send.route.is_group()) {
                    let event = MatrixEvent { kind, content };
                    return self.send_for(room_id, &send, event).await;
                }
                again?
            }
            other => other,
        };
        fail::fail_point!("matrix_send.after");
        let refusal = match sent {
            Ok(event_id) => return Ok(Some(event_id)),
            Err(error) if error.is_transient() => return Err(error.into()),
            Err(error) => error,
        };
        tracing::warn!(room = %room_id, message = %send.row.message.stanza_id, error = %refusal, "the homeserver refuses a message");
        let notice = bridge_notice(
            "A message arrived that this homeserver refuses to take. Open the app on the other side to see it.",
            None,
        );
        let txn_id = self.effect_id(&["refused", &send.txn_id]);
        match ghost
            .send(room_id, "m.room.message", &txn_id, &notice, at)
            .await
        {
            Ok(event_id) => Ok(Some(event_id)),
            Err(error) if error.is_transient() => Err(error.into()),
            Err(error) => {
                tracing::error!(room = %room_id, message = %send.row.message.stanza_id, %error, "the homeserver refuses even the notice of a message");
                Ok(None)
            }
        }
    }

    /// Whether a room keeps a ghost out for good.
    async fn is_banned(&self, room_id: &OwnedRoomId, ghost: &Intent) -> Result<bool, BridgeError> {
        match self.bot().membership(room_id, ghost.user_id()).await {
            Ok(stands) => Ok(stands.as_deref() == Some("ban")),
            Err(error) if error.is_transient() => Err(error.into()),
            Err(_) => Ok(false),
        }
    }

    /// Sends what somebody says as the bot, with their name: somebody else's room may let in the bot and not them.
    async fn send_for(
        &self,
        room_id: &OwnedRoomId,
        send: &Send<'_>,
        event: MatrixEvent,
    ) -> Result<Option<OwnedEventId>, BridgeError> {
        let sender = &send.row.message.sender;
        let name = self.ghost_name(send.route, sender);
        let event = spoken_for(event, sender.as_str(), &name, None);
        let at = Some(send.row.message.sent_at).filter(|at| at.0 > 0);
        let sent = self
            .bot()
            .send(room_id, event.kind, &send.txn_id, &event.content, at)
            .await;
        match sent {
            Ok(event_id) => Ok(Some(event_id)),
            Err(error) if error.is_transient() => Err(error.into()),
            Err(error) if is_kept_out(&error) => Err(BridgeError::RoomLost(error)),
            Err(error) => {
                tracing::warn!(room = %room_id, message = %send.row.message.stanza_id, %error, "a message could not be shown as the bot");
                Ok(None)
            }
        }
    }

    async fn bring_back(
        &self,
        ghost: &Intent,
        room_id: &OwnedRoomId,
        route: &PortalRoute,
    ) -> Result<(), BridgeError> {
        ghost.ensure_registered().await?;
        self.note_guest(route, ghost.user_id()).await?;
        if let Err(error) = self.bot().invite(room_id, ghost.user_id()).await
            && error.is_transient()
        {
            return Err(error.into());
        }
        match ghost.join(room_id).await {
            Err(error) if error.is_transient() => Err(error.into()),
            Err(error) => Err(BridgeError::RoomLost(error)),
            Ok(()) => self.let_write(room_id, ghost.user_id()).await,
        }
    }

    /// The lock that a group's logins take turns with; none where there is one login.
    fn turn(&self, route: &PortalRoute) -> Option<RoomLock> {
        let shared = route.logins.len() > 1;
        shared.then(|| {
            lock(&self.turns)
                .entry(route.portal.id)
                .or_default()
                .clone()
        })
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

    /// A message that cannot be shown, whatever is tried: the room is told that one came.
    async fn give_up_showing(
        &self,
        place: &Place<'_>,
        row: &RemoteMessageRow,
        error: &MatrixError,
    ) -> Result<Shown, BridgeError> {
        let message = &row.message.stanza_id;
        tracing::error!(room = %place.room_id, %message, %error, "a message cannot be shown");
        let notice = bridge_notice(
            "A message arrived that this homeserver does not let the bridge show. Open the app on the other side to see it.",
            None,
        );
        let words = ["unshown", place.room_id.as_str(), message.as_str()];
        let txn_id = self.effect_id(&words);
        self.notify(place.room_id, &txn_id, &notice).await?;
        Ok(Shown::nothing(row))
    }

    async fn store_shown(&self, place: &Place<'_>, shown: Vec<Shown>) -> Result<(), BridgeError> {
        if shown.is_empty() {
            return Ok(());
        }
        let (login, network) = (place.route.login, place.network);
        let resets = |one: &Shown| {
            let mut changes = one.changes.iter();
            changes.any(|change| matches!(change, Change::Timer(..)))
        };
        let resets_route = shown.iter().any(resets);
        let now = self.now();
        let asks = |change: &Change| matches!(change, Change::AskForMedia { .. });
        let queued = shown.iter().any(|one| one.changes.iter().any(asks));
        let (shown, of): (Arc<[Shown]>, _) = (shown.into(), network.clone());
        self.db
            .step(Lane::login(login), move |txn| {
                let (shown, network) = (shown.clone(), of.clone());
                Box::pin(async move {
                    for one in shown.iter() {
                        for change in &one.changes {
                            change.apply(txn, &*network, now).await?;
                        }
                        txn.finish_message(one.seq, one.revision, one.keep).await?;
                    }
                    fail::fail_point!("link.before_commit");
                    Ok(())
                })
            })
            .await?;
        fail::fail_point!("link.after_commit");
        if queued {
            fail::fail_point!("ask.after_commit");
            network.flush(login);
        }
        if resets_route {
            // Others may have looked at the old settings since they were changed.
            let chat = (login, place.route.portal.key.chat.clone());
            self.forget_route(Some(place.room_id), Some(&chat));
        }
        // Somebody may already have answered what only now is stored.
        self.rooms.hurry_one(place.room_id);
        self.deliveries.hurry_one(&place.route.portal.id);
        Ok(())
    }
}

/// What a message says, if it is one that could be decrypted.
fn reading(
    row: &RemoteMessageRow,
    route: &PortalRoute,
    network: &Arc<dyn Network>,
) -> Option<IncomingMessage> {
    let message = &row.message;
    let plaintext = message.plaintext.as_ref()?;
    let says = message.notice.is_none();
    let own = route.own.as_ref().map_or("", RemoteUserId::as_str);
    says.then(|| network.read_message(plaintext, &message.sender, own))
}

/// Whether a row tells of somebody and is no message.
pub(super) fn is_about_people(row: &RemoteMessageRow) -> bool {
    matches!(
        row.message.notice,
        Some(
            RemoteNotice::Profile { .. }
                | RemoteNotice::Reachability { .. }
                | RemoteNotice::Blocked { .. }
        )
    )
}

/// Whether the sender may not be in the room, as far as the code tells.
fn is_kept_out(error: &MatrixError) -> bool {
    matches!(error.errcode(), Some("M_FORBIDDEN" | "M_NOT_FOUND"))
}
