//! How far the user's messages are: told once the gatekeeper has them, once they are delivered, and while they wait for long.

use std::{collections::BTreeMap, time::Duration};

use ruma::OwnedRoomId;

use super::{
    context::{Bridge, BridgeError, event_id},
    routes::PortalRoute,
    workers::Outcome,
};
use crate::{
    domain::{ChatId, GatekeeperId, LoginId, PortalId, Timestamp},
    network::ConnectionState,
    store::{Lane, NoticeRow, SendStage, StatusReport},
    translate::{MessageStatus, bridge_notice, edited_notice},
};

/// How many messages are reported at a time.
const BATCH: i64 = 200;
/// How long a message waits for a connection before its room is told.
const PATIENCE_MS: i64 = 20_000;
/// How often that is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// What the notice of waiting messages is kept under.
const WAITING: &str = "waiting";

impl Bridge {
    /// Tells how far messages of a chat are.
    pub(super) async fn carry_statuses(&self, login: LoginId, chat: &ChatId) -> Outcome {
        if !self.is_introduced() {
            return Outcome::Retry;
        }
        match self.report_statuses(login, chat).await {
            Ok(more) => {
                if more {
                    self.statuses.wake((login, chat.clone()));
                }
                Outcome::Done
            }
            Err(error) => {
                tracing::debug!(%login, %error, "how far messages are is told later");
                Outcome::Retry
            }
        }
    }

    /// Reports how far messages of a chat have come since the last time; whether there may be more.
    async fn report_statuses(&self, login: LoginId, chat: &ChatId) -> Result<bool, BridgeError> {
        let of = chat.clone();
        let reports = self
            .db
            .read(move |txn| {
                let of = of.clone();
                Box::pin(async move { txn.unreported(login, &of, BATCH).await })
            })
            .await?;
        if reports.is_empty() {
            return Ok(false);
        }
        let more = i64::try_from(reports.len()).is_ok_and(|count| count == BATCH);
        let route = self.open_portal(login, chat).await?;
        let room_id = super::rooms::open_room(&route)?;
        self.show_statuses(&route, &room_id, &reports).await?;
        let done: Vec<(i64, SendStage)> = reports
            .into_iter()
            .map(|report| (report.seq, report.stage))
            .collect();
        self.db
            .step(Lane::login(login), move |txn| {
                let done = done.clone();
                Box::pin(async move { txn.set_reported(&done).await })
            })
            .await?;
        Ok(more)
    }

    async fn show_statuses(
        &self,
        route: &PortalRoute,
        room_id: &OwnedRoomId,
        reports: &[StatusReport],
    ) -> Result<(), BridgeError> {
        if self.settings.conversation.message_status_events {
            let other = route.portal.key.chat.direct_user();
            let ghost = other.map(|user| self.naming.mxid(&route.portal.key.gatekeeper, &user));
            for report in reports {
                let status = match &report.stage {
                    SendStage::Sent => MessageStatus::Sent,
                    SendStage::Delivered => {
                        MessageStatus::Delivered(ghost.clone().into_iter().collect())
                    }
                    // The refusal has a row of its own, with its reason.
                    SendStage::Refused { .. } => continue,
                };
                self.tell_status(room_id, &report.event_id, &status).await?;
            }
        }
        let taken = |report: &&StatusReport| !matches!(report.stage, SendStage::Refused { .. });
        let newest = reports.iter().rev().filter(taken).find(|r| r.part >= 0);
        if let Some(event_id) = newest.and_then(|report| event_id(&report.event_id)) {
            if self.settings.conversation.delivery_receipts
                && let Err(error) = self.bot().read_receipt(room_id, &event_id).await
            {
                if error.is_transient() {
                    return Err(error.into());
                }
                tracing::debug!(room = %room_id, %error, "a delivery receipt could not be shown");
            }
            self.end_counting(room_id);
        }
        self.end_waiting(route.portal.id, room_id).await
    }

    /// The messages of a room go on: the notice that they wait says so.
    async fn end_waiting(
        &self,
        portal: PortalId,
        room_id: &OwnedRoomId,
    ) -> Result<(), BridgeError> {
        let notice = self
            .db
            .read(move |txn| Box::pin(async move { txn.notice(portal, WAITING).await }))
            .await?;
        let Some(notice) = notice else { return Ok(()) };
        if let Some(about) = event_id(&notice.event_id) {
            let content = edited_notice("What waited here is being sent now.", &about);
            let txn_id = self.effect_id(&["waited", &notice.event_id]);
            self.notify(room_id, &txn_id, &content).await?;
        }
        self.db
            .step(Lane::room(room_id.as_str()), move |txn| {
                Box::pin(async move { txn.delete_notice(portal, WAITING).await })
            })
            .await?;
        Ok(())
    }

    /// Tells rooms whose messages wait for a connection, once, until the bridge is stopped.
    pub async fn watch_waiting(&self) {
        while self.comes_round(LOOK_EVERY).await {
            if let Err(error) = self.tell_waiting().await {
                tracing::debug!(%error, "rooms could not be told that messages wait");
            }
        }
    }

    /// Tells every room whose messages have waited for long.
    ///
    /// # Errors
    /// The store's or the homeserver's.
    pub async fn tell_waiting(&self) -> Result<(), BridgeError> {
        let logins = self
            .db
            .read(|txn| Box::pin(async move { txn.logins().await }))
            .await?;
        for login in logins {
            let Ok(network) = self.network(&login.gatekeeper) else {
                continue;
            };
            let (ConnectionState::Waiting { reason, .. } | ConnectionState::Failed { reason }) =
                network.connection(login.id)
            else {
                continue;
            };
            for (portal, since) in self.waiting_portals(login.id).await? {
                // One room that cannot be told now keeps no other from being told.
                let told = self.tell_one_waiting(portal, since, &login.gatekeeper, &reason);
                if let Err(error) = told.await {
                    tracing::debug!(%portal, %error, "a room could not be told that messages wait");
                }
            }
        }
        Ok(())
    }

    /// The portals of a login with messages that have waited for long.
    async fn waiting_portals(
        &self,
        login: LoginId,
    ) -> Result<Vec<(PortalId, Timestamp)>, BridgeError> {
        let rows = self
            .db
            .read(move |txn| Box::pin(async move { txn.queued(login, 0, BATCH).await }))
            .await?;
        let before = self.now().0 - PATIENCE_MS;
        let mut portals = BTreeMap::new();
        for row in rows.into_iter().filter(|row| row.row.created_at.0 < before) {
            if let Some(portal) = row.row.portal.filter(|_| row.row.part >= 0) {
                portals
                    .entry(portal.0)
                    .or_insert((portal, row.row.created_at));
            }
        }
        Ok(portals.into_values().collect())
    }

    async fn tell_one_waiting(
        &self,
        id: PortalId,
        since: Timestamp,
        gatekeeper: &GatekeeperId,
        reason: &str,
    ) -> Result<(), BridgeError> {
        let (portal, notice) = self
            .db
            .read(move |txn| {
                Box::pin(async move {
                    Ok((txn.portal_by_id(id).await?, txn.notice(id, WAITING).await?))
                })
            })
            .await?;
        let room_id = portal
            .and_then(|portal| portal.room_id)
            .and_then(|room| OwnedRoomId::try_from(room).ok());
        let (Some(room_id), None) = (room_id, notice) else {
            return Ok(());
        };
        let text = format!(
            "Messages of this room wait: {} cannot be reached now ({reason}). They are kept and will be sent when it works again.",
            self.gatekeeper_name(gatekeeper)
        );
        // The same after a crash: by the message that has waited for the longest.
        let txn_id = self.effect_id(&["waiting", room_id.as_str(), &since.0.to_string()]);
        let content = bridge_notice(&text, None);
        let event_id = self.notify(&room_id, &txn_id, &content).await?;
        // A room that does not take the notice is not asked again.
        let row = NoticeRow {
            event_id: event_id.map(|event| event.to_string()).unwrap_or_default(),
            text,
        };
        self.db
            .step(Lane::room(room_id.as_str()), move |txn| {
                let row = row.clone();
                Box::pin(async move { txn.put_notice(id, WAITING, &row).await })
            })
            .await?;
        Ok(())
    }
}
