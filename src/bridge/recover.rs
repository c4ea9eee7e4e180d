//! Start and stop: what a crash left unfinished is taken up before anything new.

use std::{sync::atomic::Ordering, time::Duration};

use ruma::OwnedRoomId;

use super::context::{Bridge, BridgeError, lock};
use crate::{
    domain::{LoginId, Timestamp},
    store::{Lane, LoginRow, PortalRow},
};

/// How long the ids of what was handled are remembered: the gatekeeper's mailbox keeps 30 days, and a restored homeserver may
/// bring old events again.
const REMEMBER: Duration = Duration::from_hours(45 * 24);
/// How often old rows are deleted.
const PRUNE_EVERY: Duration = Duration::from_hours(6);

impl Bridge {
    /// Makes the bot known, takes up what waits, and starts the gatekeepers' connections.
    ///
    /// # Errors
    /// The store's. A homeserver that is down is not one: what needs it waits.
    pub async fn start(&self) -> Result<(), BridgeError> {
        self.load_people().await?;
        self.find_shared_rooms().await?;
        // Their keys may have come in the last moments of the process before.
        self.db
            .step(Lane::room("locked events"), |txn| {
                Box::pin(async move { txn.unlock_all_events().await })
            })
            .await?;
        let (rooms, deliveries, chats, unreported, portals, logins) = self
            .db
            .read(|txn| {
                Box::pin(async move {
                    Ok((
                        txn.waiting_rooms().await?,
                        txn.portals_waiting().await?,
                        txn.waiting_chats().await?,
                        txn.unreported_chats().await?,
                        txn.portals().await?,
                        txn.logins().await?,
                    ))
                })
            })
            .await?;
        lock(&self.delivering).extend(deliveries.iter().map(|portal| (*portal, 0)));
        // The process before may have sent any of these without living to see the answer.
        lock(&self.uncertain).extend(chats.iter().cloned());
        for chat in chats {
            self.chats.wake(chat);
        }
        for chat in unreported {
            self.statuses.wake(chat);
        }
        for portal in portals {
            if portal.is_begun_link() {
                lock(&self.begun_links).insert(portal.id);
                continue;
            }
            if !portal.ready {
                // What waits in a room that is not known yet must find that it is a portal's, whoever made it.
                let login = match portal.key.login {
                    Some(login) => Some(login),
                    None => self.login_in(&portal, &logins).await?,
                };
                let unfinished = login.map(|login| (login, portal.key.chat.clone()));
                let of = unfinished.map(|unfinished| (portal.id, unfinished));
                lock(&self.groups.unfinished).extend(of);
            }
            // A group may have been brought to its room in part.
            if !portal.ready || portal.key.login.is_none() {
                self.groups.members.wake(portal.id);
            }
        }
        for login in &logins {
            self.groups.spaces.wake(login.id);
        }
        self.give_up_begun_links(rooms.clone());
        for room in rooms {
            if let Ok(room) = OwnedRoomId::try_from(room) {
                self.rooms.wake(room);
            }
        }
        for portal in deliveries {
            self.deliveries.wake(portal);
        }
        for network in self.networks() {
            network.start().await?;
        }
        Ok(())
    }

    /// A login that is in the group of a portal, or could be: at its gatekeeper.
    async fn login_in(
        &self,
        portal: &PortalRow,
        logins: &[LoginRow],
    ) -> Result<Option<LoginId>, BridgeError> {
        let inside = self.logins_of_portal(portal).await?;
        let there = |login: &&LoginRow| login.gatekeeper == portal.key.gatekeeper;
        let first = inside.first().or_else(|| logins.iter().find(there));
        Ok(first.map(|login| login.id))
    }

    /// Registers the bot and gives it its name; then the workers may begin.
    ///
    /// # Errors
    /// What the homeserver said.
    pub async fn introduce_bot(&self) -> Result<(), BridgeError> {
        let bot = self.bot();
        bot.ensure_registered().await?;
        let (key, name) = ("bot_displayname", self.settings.bot_displayname.clone());
        let known = self
            .db
            .read(move |txn| Box::pin(async move { txn.value(key).await }))
            .await?;
        if known.as_deref() != Some(name.as_str()) {
            bot.set_display_name(&name).await?;
            self.db
                .step(Lane::room(key), move |txn| {
                    let name = name.clone();
                    Box::pin(async move { txn.set_value(key, &name).await })
                })
                .await?;
        }
        let (key, avatar) = ("bot_avatar", self.settings.people.bot_avatar.as_deref());
        if self.kept(key).await?.as_deref() != avatar {
            bot.set_avatar(avatar).await?;
            self.keep(key, avatar).await?;
        }
        self.introduced.store(true, Ordering::Release);
        if let Err(error) = self.carry_out_leavings().await {
            tracing::warn!(%error, "a room that was let go could not be left yet");
        }
        self.rooms.hurry();
        self.deliveries.hurry();
        self.chats.hurry();
        self.statuses.hurry();
        self.people.hurry();
        self.groups.hurry();
        Ok(())
    }

    /// Deletes what need not be remembered any more, now and every few hours, until the bridge is stopped.
    pub async fn prune(&self) {
        while !self.cancel.is_cancelled() {
            let remember = i64::try_from(REMEMBER.as_millis()).unwrap_or(i64::MAX);
            let before = Timestamp(self.now().0.saturating_sub(remember));
            let pruned = self
                .db
                .step(Lane::room("prune"), move |txn| {
                    Box::pin(async move {
                        let events = txn.prune_matrix_inbox(before).await?;
                        let stanzas = txn.prune_outbox(before).await?;
                        let messages = txn.prune_remote_inbox(before).await?;
                        let uploads = txn.prune_uploads(before).await?;
                        Ok(events + stanzas + messages + uploads)
                    })
                })
                .await;
            match pruned {
                Ok(0) => {}
                Ok(rows) => {
                    tracing::info!(rows, "deleted rows that need not be remembered any more");
                }
                Err(error) => tracing::warn!(%error, "old rows could not be deleted"),
            }
            tokio::select! {
                () = tokio::time::sleep(PRUNE_EVERY) => {}
                () = self.cancel.cancelled() => {}
            }
        }
    }

    /// Waits until the workers have ended what they had in hand; they end after the cancellation given at the start.
    pub async fn stopped(&self) {
        self.rooms.stopped().await;
        self.deliveries.stopped().await;
        self.chats.stopped().await;
        self.statuses.stopped().await;
        self.people.stopped().await;
        self.groups.stopped().await;
        for network in self.networks() {
            network.stop().await;
        }
    }
}
