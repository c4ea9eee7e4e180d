//! A batch of events into the outbox, in one step; what cannot be sent is explained and costs itself alone.

use std::sync::Arc;

use ruma::OwnedRoomId;

use super::{
    super::context::{Bridge, BridgeError, lock},
    super::routes::{PortalRoute, Route},
    End, Item, Speaker, Stopped,
};
use crate::{
    domain::{LoginId, Unbridgeable},
    network::{Enqueued, Network},
    store::{Lane, StoreError},
};

impl Bridge {
    /// Commits a batch; where a session is missing, keys are fetched and the rest goes again; what can never be sent is
    /// explained and passed over.
    pub(super) async fn commit_items(
        &self,
        room_id: &OwnedRoomId,
        batch: Vec<Item>,
    ) -> Result<(), BridgeError> {
        let mut rest: Vec<Arc<Item>> = batch.into_iter().map(Arc::new).collect();
        while !rest.is_empty() {
            let handed_on = rest[0].is_handed_on();
            let alike = |item: &&Arc<Item>| item.is_handed_on() == handed_on;
            let mut run = rest.iter().take_while(alike);
            let speaker = run.find_map(|item| item.speaker.clone());
            let together = |item: &&Arc<Item>| item.speaker.is_none() || item.speaker == speaker;
            let run = rest.iter().take_while(alike);
            let count = run.take_while(together).count();
            let run: Vec<Arc<Item>> = rest.drain(..count).collect();
            match speaker {
                None if handed_on => self.hand_on_all(room_id, &run).await?,
                Some(speaker) => self.commit_run(room_id, &speaker, run).await?,
                None => self.finish_all(room_id, &run).await?,
            }
        }
        Ok(())
    }

    /// Commits items that go to one chat as one login.
    async fn commit_run(
        &self,
        room_id: &OwnedRoomId,
        speaker: &Speaker,
        mut rest: Vec<Arc<Item>>,
    ) -> Result<(), BridgeError> {
        let mut prepared = false;
        while !rest.is_empty() {
            if !self.still_speaks(room_id, speaker).await? {
                return self.finish_all(room_id, &rest).await;
            }
            let network = self.network(&speaker.gatekeeper)?.clone();
            let stopped = self
                .queue_items(&network, speaker.login, rest.clone())
                .await;
            // A commit can succeed although its caller sees an error.
            network.flush(speaker.login);
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
                    match network.prepare(speaker.login, &speaker.chat).await {
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

    /// Whether a room still mirrors a chat that a login is in.
    async fn still_speaks(
        &self,
        room_id: &OwnedRoomId,
        speaker: &Speaker,
    ) -> Result<bool, BridgeError> {
        let is_in = |portal: &Arc<PortalRoute>| {
            portal.portal.id == speaker.portal
                && portal.logins.iter().any(|login| login.id == speaker.login)
        };
        if let Route::Portals(portals) = self.route(room_id).await?
            && portals.iter().any(is_in)
        {
            return Ok(true);
        }
        // What was handed on before an upgrade still goes.
        let is_on_its_way = lock(&self.delivering).contains_key(&speaker.portal);
        Ok(is_on_its_way
            && self
                .elsewhere(speaker.portal)
                .await?
                .as_ref()
                .is_some_and(is_in))
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
                        for change in &item.changes {
                            change.apply(txn, &*network, now).await?;
                        }
                        item.end.apply(txn).await?;
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
        self.refuse(room_id, &item.event_id, &unsendable(why))
            .await?;
        self.end(room_id, &item.end).await
    }

    /// Ends events of a room that is no portal any more, telling their senders.
    async fn finish_all(
        &self,
        room_id: &OwnedRoomId,
        items: &[Arc<Item>],
    ) -> Result<(), BridgeError> {
        for item in items.iter().filter(|item| !item.messages.is_empty()) {
            let why = unsendable("this room is not connected to the chat any more");
            self.refuse(room_id, &item.event_id, &why).await?;
        }
        let ends: Arc<[End]> = items.iter().map(|item| item.end.clone()).collect();
        self.db
            .step(Lane::room(room_id.as_str()), move |txn| {
                let ends = ends.clone();
                Box::pin(async move {
                    for end in ends.iter() {
                        end.apply(txn).await?;
                    }
                    Ok(())
                })
            })
            .await?;
        Ok(())
    }
}

fn unsendable(why: &str) -> Unbridgeable {
    Unbridgeable {
        reason: "cannot_be_sent",
        notice: Some(format!("Not sent: {why}.")),
    }
}
