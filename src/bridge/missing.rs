//! Events whose key is missing: it is asked for, and the room is told, in one notice a key, that is edited when the key comes after all
//! or nobody hopes for it any more.

use std::time::Duration;

use ruma::OwnedRoomId;
use serde::Deserialize;

use super::{
    context::{Bridge, BridgeError, event_id},
    routes::Route,
};
use crate::{
    domain::{Timestamp, Unbridgeable},
    matrix::{CipherError, MatrixError},
    store::{KeyNotice, Lane, LockedEvent},
    translate::{MessageStatus, bridge_notice, edited_notice},
};

/// How long an event waits before its key is asked for and its room is told.
const PATIENCE_MS: i64 = 20_000;
/// How long a key is hoped for.
const HOPE_MS: i64 = 7 * 24 * 60 * 60 * 1000;
/// How often is looked what waits.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How many events are looked at together.
const BATCH: i64 = 200;
/// How much a room was told: that an event waits, and nothing more to say of it.
const TOLD: i64 = 1;
const ALL_TOLD: i64 = 2;

/// Of an encrypted event, who sent it.
#[derive(Deserialize)]
struct Outside {
    sender: String,
}

/// What a room's events are on their way to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// A chat.
    Chat,
    /// The bot, which does what they say.
    Commands,
    /// Nobody: the room is no business of the bridge.
    Nowhere,
}

impl Bridge {
    /// Looks after the events whose key is missing, until the bridge is stopped.
    pub async fn watch_locked(&self) {
        while self.comes_round(LOOK_EVERY).await {
            if let Err(error) = self.look_after_locked().await {
                tracing::debug!(%error, "what waits for its key could not be looked after");
            }
        }
    }

    /// Asks for the keys that are missing for a while, and tells rooms of them, and what became of those they were told of.
    ///
    /// # Errors
    /// The store's.
    pub async fn look_after_locked(&self) -> Result<(), BridgeError> {
        for events in self.locked(HOPE_MS, ALL_TOLD).await? {
            let one = self.give_up_waiting(&events);
            if let Err(error) = one.await {
                tracing::debug!(room = events[0].room_id, %error, "events without a key are given up later");
            }
        }
        for events in self.locked(PATIENCE_MS, TOLD).await? {
            // One room that cannot be told now keeps no other from being told.
            let one = self.tell_locked(&events);
            if let Err(error) = one.await {
                tracing::debug!(room = events[0].room_id, %error, "a room could not be told that a key is missing");
            }
        }
        let notices = self
            .db
            .read(|txn| Box::pin(async move { txn.key_notices().await }))
            .await?;
        for notice in notices {
            if let Err(error) = self.end_key_notice(&notice).await {
                tracing::debug!(room = notice.room_id, %error, "a room is told later that a key came");
            }
        }
        Ok(())
    }

    /// The events that have waited for so long, of which their rooms were told less than `stage`, by room and key.
    async fn locked(&self, waited: i64, stage: i64) -> Result<Vec<Vec<LockedEvent>>, BridgeError> {
        let since = Timestamp(self.now().0 - waited);
        let rows = self
            .db
            .read(move |txn| Box::pin(async move { txn.locked_events(since, stage, BATCH).await }))
            .await?;
        let mut groups: Vec<Vec<LockedEvent>> = Vec::new();
        for row in rows {
            let is_its = |group: &&mut Vec<LockedEvent>| of(&group[0]) == of(&row);
            match groups.iter_mut().find(is_its) {
                Some(group) => group.push(row),
                None => groups.push(vec![row]),
            }
        }
        Ok(groups)
    }

    /// Asks for the key of events and tells their room that they wait for it.
    async fn tell_locked(&self, events: &[LockedEvent]) -> Result<(), BridgeError> {
        let first = &events[0];
        let Ok(room_id) = OwnedRoomId::try_from(first.room_id.as_str()) else {
            return Ok(());
        };
        let Some(cipher) = self.client.cipher() else {
            return Ok(());
        };
        let withheld = match cipher.open(&room_id, &first.json).await {
            Err(CipherError::MissingKey { withheld, .. }) => withheld,
            Err(CipherError::Failed(error)) => {
                return Err(MatrixError::Encryption(error).into());
            }
            // It came, or there is another reason now why the event stays closed.
            Ok(_) | Err(CipherError::Untrusted(_) | CipherError::Unreadable(_)) => {
                return self.unlock(&first.room_id, &first.key_id).await;
            }
        };
        for event in one_a_sender(events) {
            match cipher.ask_for_key(&room_id, &event.json).await {
                Err(error) if error.is_transient() => return Err(error.into()),
                Err(error) => {
                    tracing::info!(event = event.event_id, %error, "the key of an event cannot be asked for");
                }
                Ok(()) => {}
            }
        }
        let way = self.way_from(&room_id).await?;
        let (room, key) = (first.room_id.clone(), first.key_id.clone());
        let (before, notice) = self
            .db
            .read(move |txn| {
                let (room, key) = (room.clone(), key.clone());
                Box::pin(async move {
                    let before = txn.told_waiting(&room, &key).await?;
                    Ok((before, txn.key_notice(&room, &key).await?))
                })
            })
            .await?;
        let count = usize::try_from(before).unwrap_or(0) + events.len();
        let text = waiting_text(withheld.as_deref(), way, count);
        let notice = if way == Way::Nowhere {
            None
        } else {
            let status = MessageStatus::Pending(Some(text.clone()));
            for event in events {
                self.tell_status(&room_id, &event.event_id, &status).await?;
            }
            let told = self.show_key_notice(&room_id, (first, way), text, notice);
            Some(told.await?)
        };
        let told: Vec<i64> = events.iter().map(|event| event.seq).collect();
        self.db
            .step(Lane::room(room_id.as_str()), move |txn| {
                let (notice, told) = (notice.clone(), told.clone());
                Box::pin(async move {
                    if let Some(notice) = notice {
                        txn.put_key_notice(&notice).await?;
                    }
                    for seq in told {
                        txn.set_told(seq, TOLD).await?;
                    }
                    Ok(())
                })
            })
            .await?;
        Ok(())
    }

    /// Shows the notice of a missing key, or changes the one that is shown.
    async fn show_key_notice(
        &self,
        room_id: &OwnedRoomId,
        (first, way): (&LockedEvent, Way),
        text: String,
        shown: Option<KeyNotice>,
    ) -> Result<KeyNotice, BridgeError> {
        let (room, key) = (&first.room_id, &first.key_id);
        let mut event = shown.map(|notice| notice.event_id).unwrap_or_default();
        if let Some(about) = event_id(&event) {
            let content = edited_notice(&text, &about);
            let txn_id = self.effect_id(&["key missing", &event, &first.event_id]);
            self.notify(room_id, &txn_id, &content).await?;
        } else if way == Way::Commands || self.settings.conversation.error_notices {
            let content = bridge_notice(&text, event_id(&first.event_id).as_deref());
            let txn_id = self.effect_id(&["key missing", room, key, &first.event_id]);
            let notice = self.notify(room_id, &txn_id, &content).await?;
            event = notice.map(|event| event.to_string()).unwrap_or_default();
        }
        Ok(KeyNotice {
            room_id: room.clone(),
            key_id: key.clone(),
            event_id: event,
            text,
        })
    }

    /// Says in a notice that nothing waits for its key any more, if that is so.
    async fn end_key_notice(&self, notice: &KeyNotice) -> Result<(), BridgeError> {
        let (room, key) = (notice.room_id.clone(), notice.key_id.clone());
        let waiting = self
            .db
            .read(move |txn| {
                let (room, key) = (room.clone(), key.clone());
                Box::pin(async move { txn.told_waiting(&room, &key).await })
            })
            .await?;
        if waiting > 0 {
            return Ok(());
        }
        let Ok(room_id) = OwnedRoomId::try_from(notice.room_id.as_str()) else {
            return Ok(());
        };
        let end = match self.way_from(&room_id).await? {
            Way::Commands => "The key came: what could not be decrypted was carried out.",
            Way::Chat | Way::Nowhere => "The key came: what could not be decrypted was sent.",
        };
        self.edit_key_notice(&room_id, notice, end).await?;
        let (room, key) = (notice.room_id.clone(), notice.key_id.clone());
        self.db
            .step(Lane::room(&notice.room_id), move |txn| {
                let (room, key) = (room.clone(), key.clone());
                Box::pin(async move { txn.delete_key_notice(&room, &key).await })
            })
            .await?;
        Ok(())
    }

    /// Is done with every event of a room that waits for a key that nobody hopes for any more.
    async fn give_up_waiting(&self, events: &[LockedEvent]) -> Result<(), BridgeError> {
        let first = &events[0];
        let (room, key) = (first.room_id.clone(), first.key_id.clone());
        let notice = self
            .db
            .read(move |txn| {
                let (room, key) = (room.clone(), key.clone());
                Box::pin(async move { txn.key_notice(&room, &key).await })
            })
            .await?;
        if let Ok(room_id) = OwnedRoomId::try_from(first.room_id.as_str())
            && self.way_from(&room_id).await? != Way::Nowhere
        {
            let why = Unbridgeable {
                reason: "undecryptable",
                notice: Some(
                    "Not sent: this message could not be decrypted, its key never came. Send it again, please."
                        .to_owned(),
                ),
            };
            match notice.filter(|notice| !notice.event_id.is_empty()) {
                Some(notice) => {
                    let end = "The key never came: what could not be decrypted is not sent. Send it again, please.";
                    self.edit_key_notice(&room_id, &notice, end).await?;
                    let status = MessageStatus::Failed {
                        reason: why.reason,
                        message: end.to_owned(),
                    };
                    for event in events {
                        self.tell_status(&room_id, &event.event_id, &status).await?;
                    }
                }
                None => {
                    for event in events {
                        self.refuse(&room_id, &event.event_id, &why).await?;
                    }
                }
            }
        }
        let (room, key) = (first.room_id.clone(), first.key_id.clone());
        let ended = self
            .db
            .step(Lane::room(&first.room_id), move |txn| {
                let (room, key) = (room.clone(), key.clone());
                Box::pin(async move {
                    txn.delete_key_notice(&room, &key).await?;
                    txn.give_up_events(&room, &key).await
                })
            })
            .await?;
        tracing::info!(
            room = first.room_id,
            ended,
            "a key never came, its events are given up"
        );
        Ok(())
    }

    async fn edit_key_notice(
        &self,
        room_id: &OwnedRoomId,
        notice: &KeyNotice,
        text: &str,
    ) -> Result<(), BridgeError> {
        if let Some(about) = event_id(&notice.event_id) {
            let content = edited_notice(text, &about);
            let txn_id = self.effect_id(&["key", text, &notice.event_id]);
            self.notify(room_id, &txn_id, &content).await?;
        }
        Ok(())
    }

    async fn way_from(&self, room_id: &OwnedRoomId) -> Result<Way, BridgeError> {
        Ok(match self.route(room_id).await? {
            Route::Portals(_) => Way::Chat,
            Route::Management(_) => Way::Commands,
            Route::Closed | Route::Unknown => Way::Nowhere,
        })
    }
}

/// Room and key of an event.
fn of(event: &LockedEvent) -> (&str, &str) {
    (&event.room_id, &event.key_id)
}

/// Of each sender's events, one.
fn one_a_sender(events: &[LockedEvent]) -> Vec<&LockedEvent> {
    let mut senders: Vec<String> = Vec::new();
    let is_new = |event: &&LockedEvent| {
        let Ok(outside) = serde_json::from_str::<Outside>(&event.json) else {
            return false;
        };
        let is_new = !senders.contains(&outside.sender);
        senders.push(outside.sender);
        is_new
    };
    events.iter().filter(is_new).collect()
}

/// What a room is told of events that wait for their key, and why that is kept back, if somebody said so.
fn waiting_text(withheld: Option<&str>, way: Way, count: usize) -> String {
    let done = match way {
        Way::Commands => "carried out",
        Way::Chat | Way::Nowhere => "sent",
    };
    let what = match count {
        0 | 1 => "This message could not be decrypted yet".to_owned(),
        count => format!("{count} messages could not be decrypted yet"),
    };
    let (their, they) = if count > 1 {
        ("their", "They are")
    } else {
        ("its", "It is")
    };
    let why = match withheld {
        Some("m.unverified") => format!(
            "your app gives {their} key to verified devices only, and this bridge's is not verified. Verify the bot, or allow unverified devices in your app's settings, and send again."
        ),
        Some("m.blacklisted") => format!(
            "your app keeps {their} key from this bridge's device. Unblock the bot's device in your app's settings, and send again."
        ),
        Some("m.unauthorised") => {
            format!("your app says that {their} key is not for this bridge. Send again, please.")
        }
        Some("m.no_olm") => format!(
            "your app could not reach this bridge's device to give it {their} key, and was asked for it again. {they} {done} when that comes."
        ),
        _ => format!("your app was asked for {their} key. {they} {done} when that comes."),
    };
    format!("{what}: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_counts_what_waits_and_says_where_it_goes() {
        let one = waiting_text(None, Way::Chat, 1);
        assert_eq!(
            one,
            "This message could not be decrypted yet: your app was asked for its key. It is sent when that comes."
        );
        let several = waiting_text(None, Way::Commands, 3);
        assert_eq!(
            several,
            "3 messages could not be decrypted yet: your app was asked for their key. They are carried out when that comes."
        );
    }

    #[test]
    fn a_key_that_is_kept_back_is_no_promise() {
        for code in ["m.unverified", "m.blacklisted", "m.unauthorised"] {
            let text = waiting_text(Some(code), Way::Chat, 1);
            assert!(
                text.contains("end again") && !text.contains("when that comes"),
                "{text}"
            );
        }
        assert!(
            waiting_text(Some("m.no_olm"), Way::Chat, 1).contains("It is sent when that comes")
        );
    }
}
