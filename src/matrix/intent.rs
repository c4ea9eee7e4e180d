//! What one of the bridge's accounts does in rooms.

use std::time::Duration;

use bytes::Bytes;
use ruma::{
    EventId, MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedUserId, RoomId, UInt, UserId,
    api::client::{
        alias::delete_alias,
        filter::FilterDefinition,
        membership::{
            invite_user::{self, v3::InviteUserId},
            join_room_by_id, joined_members, kick_user, leave_room,
        },
        message::{get_message_events, send_message_event},
        receipt::create_receipt::{self, v3::ReceiptType},
        state::{get_state_event_for_key, send_state_event},
        sync::sync_events,
        typing::create_typing_event::{
            self,
            v3::{Typing, TypingInfo},
        },
    },
    events::{MessageLikeEventType, StateEventType},
    serde::Raw,
};
use serde_json::{Value, value::to_raw_value};

use super::{
    Client, MatrixError,
    cipher::ENCRYPTED,
    request::{Endpoint, Identity, Tries},
};
use crate::domain::Timestamp;

/// How much longer than the homeserver was asked to wait an answer to `/sync` may take.
const SYNC_GRACE: Duration = Duration::from_mins(1);

/// One account the bridge acts as: the bot, a ghost, or a user who lets it. Every call may be repeated.
#[derive(Clone)]
pub struct Intent {
    pub(super) client: Client,
    pub(super) user: OwnedUserId,
}

impl Intent {
    pub(super) fn new(client: Client, user: OwnedUserId) -> Self {
        Self { client, user }
    }

    /// Whose account it is.
    #[must_use]
    pub fn user_id(&self) -> &UserId {
        &self.user
    }

    pub(super) async fn call<R: Endpoint>(
        &self,
        request: R,
    ) -> Result<R::IncomingResponse, MatrixError> {
        self.client
            .call(request, Identity::Device(&self.user), Tries::Few)
            .await
    }

    /// Makes a request that was put together elsewhere as this account's device; its address and token do not count.
    ///
    /// # Errors
    /// What the homeserver said.
    pub async fn carry(
        &self,
        request: http::Request<Vec<u8>>,
    ) -> Result<http::Response<Bytes>, MatrixError> {
        let identity = Identity::Device(&self.user);
        self.client.carry(request, identity).await
    }

    /// Joins a room; being in it already is success.
    ///
    /// # Errors
    /// What the homeserver said.
    pub async fn join(&self, room: &RoomId) -> Result<(), MatrixError> {
        let request = join_room_by_id::v3::Request::new(room.to_owned());
        self.call(request).await.map(drop)
    }

    /// Leaves a room, or declines its invitation.
    ///
    /// # Errors
    /// What the homeserver said.
    pub async fn leave(&self, room: &RoomId) -> Result<(), MatrixError> {
        let request = leave_room::v3::Request::new(room.to_owned());
        self.call(request).await.map(drop)
    }

    /// Invites somebody; that they are in the room or invited already is success.
    ///
    /// # Errors
    /// What the homeserver said.
    pub async fn invite(&self, room: &RoomId, user: &UserId) -> Result<(), MatrixError> {
        let recipient = InviteUserId::new(user.to_owned()).into();
        let request = invite_user::v3::Request::new(room.to_owned(), recipient);
        let Err(error) = self.call(request).await else {
            return Ok(());
        };
        // "Already in the room" is M_FORBIDDEN like every other refusal, so the room is asked.
        if error.errcode() == Some("M_FORBIDDEN") {
            let member = self.state(room, "m.room.member", user.as_str()).await;
            if let Ok(Some(content)) = member
                && matches!(content["membership"].as_str(), Some("join" | "invite"))
            {
                return Ok(());
            }
        }
        Err(error)
    }

    /// Removes somebody from a room, or takes back their invitation.
    ///
    /// # Errors
    /// What the homeserver said.
    pub async fn kick(
        &self,
        room: &RoomId,
        user: &UserId,
        reason: Option<&str>,
    ) -> Result<(), MatrixError> {
        let mut request = kick_user::v3::Request::new(room.to_owned(), user.to_owned());
        request.reason = reason.map(str::to_owned);
        self.call(request).await.map(drop)
    }

    /// How somebody stands to a room (`join`, `invite`, `leave`, `ban`, `knock`); `None` if they never had to do with it.
    ///
    /// # Errors
    /// What the homeserver said.
    pub async fn membership(
        &self,
        room: &RoomId,
        user: &UserId,
    ) -> Result<Option<String>, MatrixError> {
        let member = self.state(room, "m.room.member", user.as_str()).await?;
        Ok(member.and_then(|content| content["membership"].as_str().map(str::to_owned)))
    }

    /// Sends an event, once for each transaction id of this account, however often it is called. `ts` is shown as its time.
    ///
    /// # Errors
    /// What the homeserver said; after an error that may pass, whether the event was sent is unknown.
    pub async fn send(
        &self,
        room: &RoomId,
        event_type: &str,
        txn_id: &str,
        content: &Value,
        ts: Option<Timestamp>,
    ) -> Result<OwnedEventId, MatrixError> {
        let content = self.marked(content);
        let sealed = self.sealed(room, event_type, &content).await?;
        let (event_type, content) = match &sealed {
            Some(sealed) => (ENCRYPTED, sealed),
            None => (event_type, &*content),
        };
        if sealed.is_some() {
            fail::fail_point!("sealed.before_send");
        }
        let mut request = send_message_event::v3::Request::new_raw(
            room.to_owned(),
            txn_id.into(),
            MessageLikeEventType::from(event_type),
            raw(content)?,
        );
        request.timestamp = ts.and_then(|ts| {
            let millis = UInt::try_from(ts.0).ok()?;
            Some(MilliSecondsSinceUnixEpoch(millis))
        });
        Ok(self.call(request).await?.event_id)
    }

    /// Sends a state event.
    ///
    /// # Errors
    /// What the homeserver said.
    pub async fn send_state(
        &self,
        room: &RoomId,
        event_type: &str,
        state_key: &str,
        content: &Value,
    ) -> Result<(), MatrixError> {
        let request = send_state_event::v3::Request::new_raw(
            room.to_owned(),
            StateEventType::from(event_type),
            state_key.to_owned(),
            raw(content)?,
        );
        self.call(request).await.map(drop)
    }

    /// The content of a state event; `None` if the room has none of that type and key.
    ///
    /// # Errors
    /// What the homeserver said.
    pub async fn state(
        &self,
        room: &RoomId,
        event_type: &str,
        state_key: &str,
    ) -> Result<Option<Value>, MatrixError> {
        let request = get_state_event_for_key::v3::Request::new(
            room.to_owned(),
            StateEventType::from(event_type),
            state_key.to_owned(),
        );
        match self.call(request).await {
            Ok(answer) => serde_json::from_str(answer.event_or_content.get())
                .map(Some)
                .map_err(|error| MatrixError::Unreadable(error.to_string())),
            Err(error) if error.errcode() == Some("M_NOT_FOUND") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Shows everybody that this account has read up to an event.
    ///
    /// # Errors
    /// What the homeserver said.
    pub async fn read_receipt(&self, room: &RoomId, event: &EventId) -> Result<(), MatrixError> {
        let request =
            create_receipt::v3::Request::new(room.to_owned(), ReceiptType::Read, event.to_owned());
        self.call(request).await.map(drop)
    }

    /// Shows this account as typing for `time`, or as not typing any more (`None`).
    ///
    /// # Errors
    /// What the homeserver said.
    pub async fn typing(&self, room: &RoomId, time: Option<Duration>) -> Result<(), MatrixError> {
        let state = time.map_or(Typing::No, |time| Typing::Yes(TypingInfo::new(time)));
        let request =
            create_typing_event::v3::Request::new(self.user.clone(), room.to_owned(), state);
        self.call(request).await.map(drop)
    }

    /// The newest events of a room, newest first.
    ///
    /// # Errors
    /// What the homeserver said.
    pub async fn recent(&self, room: &RoomId, limit: u32) -> Result<Vec<Value>, MatrixError> {
        let mut request = get_message_events::v3::Request::backward(room.to_owned());
        request.limit = limit.into();
        let answer = self.call(request).await?;
        let mut events = Vec::with_capacity(answer.chunk.len());
        for event in &answer.chunk {
            if let Ok(event) = event.deserialize_as_unchecked() {
                events.push(self.opened(room, event).await);
            }
        }
        Ok(events)
    }

    /// Who is in a room.
    ///
    /// # Errors
    /// What the homeserver said.
    pub async fn members(&self, room: &RoomId) -> Result<Vec<OwnedUserId>, MatrixError> {
        let request = joined_members::v3::Request::new(room.to_owned());
        Ok(self.call(request).await?.joined.into_keys().collect())
    }

    /// Removes an alias (`#name:server`); that there is none is success.
    ///
    /// # Errors
    /// What the homeserver said, or that the text is no alias.
    pub async fn delete_alias(&self, alias: &str) -> Result<(), MatrixError> {
        let alias = ruma::RoomAliasId::parse(alias)
            .map_err(|error| MatrixError::Request(error.to_string()))?;
        match self.call(delete_alias::v3::Request::new(alias)).await {
            Err(error) if error.errcode() != Some("M_NOT_FOUND") => Err(error),
            _ => Ok(()),
        }
    }

    /// What happened since a `next_batch` token, waiting up to `timeout` for something to happen. Tried once.
    ///
    /// # Errors
    /// What the homeserver said.
    pub async fn sync(
        &self,
        since: Option<&str>,
        timeout: Duration,
        filter: FilterDefinition,
    ) -> Result<sync_events::v3::Response, MatrixError> {
        let mut request = sync_events::v3::Request::new();
        request.since = since.map(str::to_owned);
        request.timeout = Some(timeout);
        request.filter = Some(filter.into());
        request.set_presence = ruma::presence::PresenceState::Offline;
        let time = timeout + SYNC_GRACE;
        self.client
            .call(request, Identity::Device(&self.user), Tries::Once(time))
            .await
    }

    /// A stretch of a room's events before `from`, newest first, ending at `to`; and where the next stretch begins.
    pub(super) async fn before(
        &self,
        room: &RoomId,
        from: &str,
        to: Option<&str>,
        limit: u32,
    ) -> Result<get_message_events::v3::Response, MatrixError> {
        let mut request = get_message_events::v3::Request::backward(room.to_owned());
        request.from = Some(from.to_owned());
        request.to = to.map(str::to_owned);
        request.limit = limit.into();
        self.call(request).await
    }
}

/// A content as the JSON it is.
pub(super) fn raw<T>(content: &Value) -> Result<Raw<T>, MatrixError> {
    to_raw_value(content)
        .map(Raw::from_json)
        .map_err(|error| MatrixError::Request(error.to_string()))
}
