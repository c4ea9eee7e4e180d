//! A batch of events into the outbox, in one step; what cannot be sent is explained and costs itself alone.

use std::sync::Arc;

use ruma::OwnedRoomId;

use super::{
    super::context::{Bridge, BridgeError},
    super::routes::Route,
    Item, Stopped,
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
        let mut prepared = false;
        while !rest.is_empty() {
            let Route::Portals(portals) = self.route(room_id).await? else {
                return self.finish_all(room_id, &rest).await;
            };
            let portal = portals[0].clone();
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
                        for change in &item.changes {
                            change.apply(txn, &*network, now).await?;
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
        self.refuse(room_id, &item.event_id, &unsendable(why))
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
            let why = unsendable("this room is not connected to the chat any more");
            self.refuse(room_id, &item.event_id, &why).await?;
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
}

fn unsendable(why: &str) -> Unbridgeable {
    Unbridgeable {
        reason: "cannot_be_sent",
        notice: Some(format!("Not sent: {why}.")),
    }
}
