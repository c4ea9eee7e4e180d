//! How the connection of each login is, and what its user is told of that: one message, edited as it goes.
//!
//! What passes by itself is held back for a while. What needs the user's doing is told at once. The message is kept in the store, so
//! that a bridge that was started again goes on with it; each login has a worker of its own for it, so nobody waits for another's room.

use ruma::{OwnedEventId, OwnedRoomId, UserId, events::room::message::RoomMessageEventContent};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    context::{Bridge, BridgeError, event_id, lock},
    workers::Outcome,
};
use crate::{
    domain::{LoginId, Timestamp, duration},
    network::ConnectionState,
    store::LoginRow,
};

/// For how long after it worked again the same message tells of a further failure that passes, in milliseconds.
const SAME_MESSAGE: i64 = 60 * 60 * 1000;

/// How a connection is, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LoginCondition {
    /// No connection is wanted now.
    Idle,
    /// One is being made.
    Connecting,
    /// It works.
    Connected,
    /// It failed and is tried again.
    Waiting,
    /// It will not work without somebody's doing.
    Failed,
}

/// How the connection of a login is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LoginStatus {
    /// In a word.
    pub state: LoginCondition,
    /// Why it does not work, if it does not.
    pub reason: Option<String>,
    /// Since when, in milliseconds.
    pub since: Timestamp,
    /// When the next try is made, if one is.
    pub next_try: Option<Timestamp>,
}

/// What is remembered of a login's connection.
#[derive(Debug, Clone)]
pub(super) struct Link {
    status: LoginStatus,
    /// Since when it does not work.
    broken: Option<Timestamp>,
    /// Whether that has been so for longer than is held back.
    is_long: bool,
    /// Why it failed last.
    reason: Option<String>,
}

/// What a change of a connection begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Begun {
    connected: bool,
    broken: bool,
}

impl Link {
    fn new(now: Timestamp) -> Self {
        Self {
            status: LoginStatus {
                state: LoginCondition::Idle,
                reason: None,
                since: now,
                next_try: None,
            },
            broken: None,
            is_long: false,
            reason: None,
        }
    }

    fn take(&mut self, state: ConnectionState, now: Timestamp) -> Begun {
        let was = (self.status.state, self.broken);
        let (word, reason, next_try) = match state {
            ConnectionState::Idle => (LoginCondition::Idle, None, None),
            ConnectionState::Connecting => (LoginCondition::Connecting, None, None),
            ConnectionState::Connected => (LoginCondition::Connected, None, None),
            ConnectionState::Waiting { reason, until } => {
                (LoginCondition::Waiting, Some(reason), Some(until))
            }
            ConnectionState::Failed { reason } => (LoginCondition::Failed, Some(reason), None),
        };
        if matches!(word, LoginCondition::Idle | LoginCondition::Connected) {
            self.broken = None;
            self.is_long = false;
            self.reason = None;
        } else {
            self.broken = self.broken.or(Some(now));
            self.reason = reason.clone().or_else(|| self.reason.take());
        }
        let since = if word == was.0 {
            self.status.since
        } else {
            now
        };
        self.status = LoginStatus {
            state: word,
            reason,
            since,
            next_try,
        };
        Begun {
            connected: word == LoginCondition::Connected && was.0 != LoginCondition::Connected,
            broken: self.broken.is_some() && was.1.is_none(),
        }
    }

    fn is_failed(&self) -> bool {
        self.status.state == LoginCondition::Failed
    }

    /// What its user is to know, if anything is wrong for them.
    fn trouble(&self) -> Option<String> {
        let reason = self
            .reason
            .as_deref()
            .unwrap_or("the gatekeeper does not answer");
        let reason = reason.trim_end_matches('.');
        if self.is_failed() {
            return Some(format!("The connection does not work: {reason}."));
        }
        (self.broken.is_some() && self.is_long).then(|| {
            format!(
                "The connection does not work for now: {reason}. It is tried again and again; nothing is lost meanwhile."
            )
        })
    }
}

/// The message that tells of a connection; stored as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Message {
    room: OwnedRoomId,
    /// The event, once it is sent.
    event: Option<String>,
    /// Since when it did not work.
    since: Timestamp,
    text: String,
    edits: u32,
    /// When it worked again.
    over: Option<Timestamp>,
}

impl Message {
    /// Whether it goes on telling, in the room where its user is told now.
    fn goes_on(&self, room: &OwnedRoomId, link: &Link, now: Timestamp) -> bool {
        let is_open = match self.over {
            None => true,
            // What needs somebody's doing is not to be overlooked.
            Some(over) => !link.is_failed() && now.0 - over.0 < SAME_MESSAGE,
        };
        self.room == *room && is_open
    }
}

fn message_key(login: LoginId) -> String {
    format!("connection/{login}")
}

/// A length of time in words that need not be exact.
fn about(millis: i64) -> String {
    let seconds = u32::try_from(millis / 1000).unwrap_or_default();
    let rounded = match seconds {
        0..=90 => seconds.max(1),
        91..=5400 => seconds / 60 * 60,
        5401..=172_800 => seconds / 3600 * 3600,
        _ => seconds / 86_400 * 86_400,
    };
    duration(rounded)
}

impl Bridge {
    /// Takes a change of a login's connection; what follows from it is done elsewhere.
    pub(super) fn note_connection(&self, login: LoginId, state: ConnectionState) {
        tracing::info!(%login, ?state, "connection");
        let now = self.now();
        let begun = lock(&self.connection_states)
            .entry(login)
            .or_insert_with(|| Link::new(now))
            .take(state, now);
        if begun.broken {
            self.wait_for_it_to_pass(login, now);
        }
        if begun.connected {
            self.people.greetings.wake(login);
        }
        self.people.notices.wake(login);
    }

    fn wait_for_it_to_pass(&self, login: LoginId, since: Timestamp) {
        let grace = self.settings.people.connection_grace;
        let (this, cancel) = (self.this.clone(), self.cancel.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(grace) => {}
                () = cancel.cancelled() => return,
            }
            let Some(bridge) = this.upgrade() else {
                return;
            };
            if let Some(link) = lock(&bridge.connection_states).get_mut(&login)
                && link.broken == Some(since)
            {
                link.is_long = true;
            }
            bridge.people.notices.wake(login);
        });
    }

    /// How the connection of a login is.
    #[must_use]
    pub fn login_status(&self, login: LoginId) -> LoginStatus {
        let known = lock(&self.connection_states)
            .get(&login)
            .map(|link| link.status.clone());
        known.unwrap_or_else(|| Link::new(Timestamp(0)).status)
    }

    /// Does what is to be done after a new connection.
    pub(super) async fn greet(&self, login: LoginId) -> Outcome {
        if !self.is_introduced() {
            return Outcome::Retry;
        }
        let is_connected = self.login_status(login).state == LoginCondition::Connected;
        match self.connected(login).await {
            Ok(()) => Outcome::Done,
            // The next connection is greeted, too.
            Err(error) if error.is_transient() && is_connected => {
                tracing::debug!(%login, %error, "what follows a connection is tried again");
                Outcome::Retry
            }
            Err(error) => {
                tracing::warn!(%login, %error, "what follows a connection could not be done");
                Outcome::Done
            }
        }
    }

    /// What is done after each new connection. One part that fails keeps no other from being done.
    pub(super) async fn connected(&self, login: LoginId) -> Result<(), BridgeError> {
        let row = self.login_row(login).await?;
        let parts = [
            self.login_profile(&row).await,
            self.compare_blocked(&row).await,
            self.sync_groups(login).await,
        ];
        let mut failures = parts.into_iter().filter_map(Result::err);
        let first = failures.next();
        let passing = failures.find(BridgeError::is_transient);
        passing.or(first).map_or(Ok(()), Err)
    }

    /// Tells a login's user how its connection is.
    pub(super) async fn carry_connection(&self, login: LoginId) -> Outcome {
        if !self.is_introduced() {
            return Outcome::Retry;
        }
        match self.tell_connection(login).await {
            Ok(()) => Outcome::Done,
            Err(error) if error.is_transient() => Outcome::Retry,
            Err(error) => {
                tracing::warn!(%login, %error, "the user could not be told about the connection");
                Outcome::Done
            }
        }
    }

    async fn tell_connection(&self, login: LoginId) -> Result<(), BridgeError> {
        let Some(link) = lock(&self.connection_states).get(&login).cloned() else {
            return Ok(());
        };
        let key = message_key(login);
        let Some((row, room)) = self.owner_room(login).await? else {
            return Ok(());
        };
        let kept = self.kept(&key).await?;
        let message: Option<Message> = kept.and_then(|text| serde_json::from_str(&text).ok());
        let now = self.now();
        match (link.trouble(), message) {
            (Some(text), message) => {
                let message = message.filter(|message| message.goes_on(&room, &link, now));
                let mut message = message.unwrap_or_else(|| Message {
                    room,
                    event: None,
                    since: link.broken.unwrap_or(now),
                    text: String::new(),
                    edits: 0,
                    over: None,
                });
                if message.over.take().is_some() {
                    message.since = link.broken.unwrap_or(now);
                } else if message.event.is_some() && message.text == text {
                    return Ok(());
                }
                self.show_message(&row, message, text).await
            }
            (None, Some(mut message))
                if message.over.is_none() && message.event.is_some() && link.broken.is_none() =>
            {
                let away = about(now.0 - message.since.0);
                message.over = Some(now);
                let text = format!("The connection works again; it was away for {away}.");
                self.show_message(&row, message, text).await
            }
            (None, _) => Ok(()),
        }
    }

    /// Sends the message, or gives it its new text, and stores it. The store knows of it before it is sent, so that a try that was
    /// cut short is gone on with.
    async fn show_message(
        &self,
        row: &LoginRow,
        mut message: Message,
        text: String,
    ) -> Result<(), BridgeError> {
        let key = message_key(row.id);
        if message.event.is_none() {
            self.keep_message(&key, &message).await?;
        } else {
            message.edits += 1;
        }
        let name = self.gatekeeper_name(&row.gatekeeper);
        let said = RoomMessageEventContent::notice_markdown(format!("**{name}**: {text}"));
        let said = serde_json::to_value(&said).map_err(|error| {
            BridgeError::Inconsistent(format!("a notice cannot be written as JSON: {error}"))
        })?;
        let before = message.event.as_deref().and_then(event_id);
        let content = match &before {
            Some(event) => edited(said, event),
            None => said,
        };
        let (login, since) = (row.id.to_string(), message.since.0.to_string());
        let words = ["connection", &login, &since, &message.edits.to_string()];
        let txn_id = self.effect_id(&words);
        let sent = self.notify(&message.room, &txn_id, &content).await?;
        message.event = message
            .event
            .or_else(|| sent.map(|event| event.to_string()));
        message.text = text;
        self.keep_message(&key, &message).await
    }

    async fn keep_message(&self, key: &str, message: &Message) -> Result<(), BridgeError> {
        let text = serde_json::to_string(message).map_err(|error| {
            BridgeError::Inconsistent(format!("a notice cannot be written as JSON: {error}"))
        })?;
        self.keep(key, Some(&text)).await
    }

    /// A login and its user's management room, if there are both.
    async fn owner_room(
        &self,
        login: LoginId,
    ) -> Result<Option<(LoginRow, OwnedRoomId)>, BridgeError> {
        let found = self
            .db
            .read(move |txn| {
                Box::pin(async move {
                    let Some(row) = txn.login(login).await? else {
                        return Ok(None);
                    };
                    let room = txn.management_room(&row.mxid).await?;
                    Ok(room.map(|room| (row, room)))
                })
            })
            .await?;
        Ok(found.and_then(|(row, room)| Some((row, OwnedRoomId::try_from(room).ok()?))))
    }

    /// Tells a login's user something in the management room; once for the same words.
    pub(super) async fn tell_owner_once(
        &self,
        login: LoginId,
        words: &[&str],
        text: &str,
    ) -> Result<(), BridgeError> {
        let Some((row, room_id)) = self.owner_room(login).await? else {
            return Ok(());
        };
        let login = login.to_string();
        let words: Vec<&str> = std::iter::once(login.as_str())
            .chain(words.iter().copied())
            .collect();
        let txn_id = self.effect_id(&words);
        let name = self.gatekeeper_name(&row.gatekeeper);
        self.say(&room_id, &txn_id, &format!("**{name}**: {text}"))
            .await
    }

    /// Tells a user something in their management room; once for the same words.
    pub(super) async fn tell_user(
        &self,
        user: &UserId,
        words: &[&str],
        text: &str,
    ) -> Result<(), BridgeError> {
        let mxid = user.to_string();
        let room = self
            .db
            .read(move |txn| {
                let mxid = mxid.clone();
                Box::pin(async move { txn.management_room(&mxid).await })
            })
            .await?;
        let Some(room_id) = room.and_then(|room| OwnedRoomId::try_from(room).ok()) else {
            return Ok(());
        };
        let words: Vec<&str> = std::iter::once(user.as_str())
            .chain(words.iter().copied())
            .collect();
        let txn_id = self.effect_id(&words);
        self.say(&room_id, &txn_id, text).await
    }
}

/// The content of an edit that gives a notice another one.
pub(super) fn edited(content: Value, edits: &OwnedEventId) -> Value {
    let mut around = content.clone();
    for part in ["body", "formatted_body"] {
        if let Some(text) = content[part].as_str() {
            around[part] = json!(format!("* {text}"));
        }
    }
    around["m.new_content"] = content;
    around["m.relates_to"] = json!({ "rel_type": "m.replace", "event_id": edits });
    around
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(reason: &str) -> ConnectionState {
        ConnectionState::Waiting {
            reason: reason.to_owned(),
            until: Timestamp(99),
        }
    }

    #[test]
    fn what_passes_is_told_only_after_a_while() {
        let mut link = Link::new(Timestamp(0));
        link.take(ConnectionState::Connecting, Timestamp(1));
        let begun = link.take(ConnectionState::Connected, Timestamp(2));
        assert!(begun.connected && !begun.broken);
        assert!(link.take(waiting("it hung up"), Timestamp(3)).broken);
        assert_eq!(link.trouble(), None);
        assert_eq!(link.status.next_try, Some(Timestamp(99)));
        // Trying again is part of the same failure, and does not forget why.
        assert!(!link.take(ConnectionState::Connecting, Timestamp(4)).broken);
        assert_eq!(link.broken, Some(Timestamp(3)));
        link.is_long = true;
        let text = link.trouble().expect("it is told now");
        assert!(text.contains("it hung up"), "{text}");
        link.take(ConnectionState::Connected, Timestamp(5));
        assert_eq!((link.trouble(), link.is_long), (None, false));
    }

    #[test]
    fn what_needs_somebody_is_told_at_once() {
        let mut link = Link::new(Timestamp(0));
        let failed = ConnectionState::Failed {
            reason: "log in again.".to_owned(),
        };
        link.take(failed, Timestamp(1));
        let told = "The connection does not work: log in again.";
        assert_eq!(link.trouble().as_deref(), Some(told));
    }

    #[test]
    fn a_message_goes_on_in_its_room_and_for_a_while() {
        let room: OwnedRoomId = "!a:b".try_into().unwrap();
        let mut message = Message {
            room: room.clone(),
            event: None,
            since: Timestamp(0),
            text: String::new(),
            edits: 0,
            over: None,
        };
        let mut link = Link::new(Timestamp(0));
        link.take(waiting("x"), Timestamp(1));
        assert!(message.goes_on(&room, &link, Timestamp(1)));
        assert!(!message.goes_on(&"!b:b".try_into().unwrap(), &link, Timestamp(1)));
        message.over = Some(Timestamp(1));
        assert!(message.goes_on(&room, &link, Timestamp(SAME_MESSAGE)));
        assert!(!message.goes_on(&room, &link, Timestamp(SAME_MESSAGE + 2)));
    }

    #[test]
    fn times_are_told_as_people_do() {
        for (millis, words) in [
            (500, "1 second"),
            (125_000, "2 minutes"),
            (7_300_000, "2 hours"),
            (200_000_000, "2 days"),
        ] {
            assert_eq!(about(millis), words);
        }
    }
}
