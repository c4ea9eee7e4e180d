//! What other parts of the bridge bring, until they are here.

use ruma::{OwnedRoomId, RoomId, UserId};
use serde::{Deserialize, Serialize};

use super::context::{Bridge, BridgeError};
use crate::{
    domain::{ChatId, GatekeeperId, LoginId, PortalId, Reachability, RemoteUserId},
    store::PortalRow,
};

/// Why a room could not be linked, unlinked or changed, in a sentence for people.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct LinkError(String);

/// Why a Matrix account could not be acted as.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct PuppetError(String);

/// Somebody on the gatekeeper's side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// Where they are.
    pub gatekeeper: GatekeeperId,
    /// Who.
    pub user: RemoteUserId,
    /// What they are called.
    pub name: String,
    /// Their ghost.
    pub mxid: String,
    /// Their picture at the homeserver.
    pub avatar: Option<String>,
    /// Their phone number.
    pub phone: Option<String>,
    /// The room of the chat with them.
    pub room_id: Option<OwnedRoomId>,
}

async fn missing<T>() -> Result<T, BridgeError> {
    std::future::ready(()).await;
    Err(BridgeError::Inconsistent("not there yet".to_owned()))
}

async fn unlinkable<T>() -> Result<T, LinkError> {
    std::future::ready(()).await;
    Err(LinkError("not there yet".to_owned()))
}

impl Bridge {
    /// Brings every group of a login up to date.
    ///
    /// # Errors
    /// What could not be done; so for the following ones.
    pub async fn sync_groups(&self, _login: LoginId) -> Result<(), BridgeError> {
        missing().await
    }

    /// Brings one portal up to date.
    ///
    /// # Errors
    /// As [`sync_groups`](Self::sync_groups).
    pub async fn sync_portal(&self, _portal: PortalId) -> Result<(), BridgeError> {
        missing().await
    }

    /// The room of a chat, made if need be.
    ///
    /// # Errors
    /// As [`sync_groups`](Self::sync_groups).
    pub async fn open_chat(
        &self,
        login: LoginId,
        chat: &ChatId,
    ) -> Result<OwnedRoomId, BridgeError> {
        match chat.direct_user() {
            Some(user) => self.start_chat(login, &user).await,
            None => missing().await,
        }
    }

    /// Links a room to a chat.
    ///
    /// # Errors
    /// As [`sync_groups`](Self::sync_groups).
    pub async fn link_room(
        &self,
        _by: &UserId,
        _login: LoginId,
        _chat: &ChatId,
        _room_id: &RoomId,
    ) -> Result<PortalRow, LinkError> {
        unlinkable().await
    }

    /// Ends the link of a room.
    ///
    /// # Errors
    /// As [`sync_groups`](Self::sync_groups).
    pub async fn unlink_room(
        &self,
        _by: &UserId,
        _room_id: &RoomId,
        _chat: Option<&ChatId>,
    ) -> Result<usize, LinkError> {
        unlinkable().await
    }

    /// Lets a login speak for others in a room, or nobody.
    ///
    /// # Errors
    /// As [`sync_groups`](Self::sync_groups).
    pub async fn set_relay(
        &self,
        _by: &UserId,
        _room_id: &RoomId,
        _login: Option<LoginId>,
    ) -> Result<(), LinkError> {
        unlinkable().await
    }

    /// Forgets a portal and leaves its room.
    ///
    /// # Errors
    /// As [`sync_groups`](Self::sync_groups).
    pub async fn delete_portal(&self, _portal: PortalId) -> Result<(), BridgeError> {
        missing().await
    }

    /// Forgets every portal of a login. How many.
    ///
    /// # Errors
    /// As [`sync_groups`](Self::sync_groups).
    pub async fn delete_portals_of(&self, _login: LoginId) -> Result<usize, BridgeError> {
        missing().await
    }

    /// The portals of a room.
    ///
    /// # Errors
    /// As [`sync_groups`](Self::sync_groups).
    pub async fn portals_in(&self, room_id: &RoomId) -> Result<Vec<PortalRow>, BridgeError> {
        let room = room_id.to_string();
        Ok(self
            .db
            .read(move |txn| {
                let room = room.clone();
                Box::pin(async move { txn.portals_in(&room).await })
            })
            .await?)
    }

    /// Makes a group out of a room or for a new one.
    ///
    /// # Errors
    /// As [`sync_groups`](Self::sync_groups).
    pub async fn group_from(
        &self,
        _by: &UserId,
        _login: LoginId,
        _subject: &str,
        _members: &[RemoteUserId],
        _room_id: Option<&RoomId>,
    ) -> Result<OwnedRoomId, LinkError> {
        unlinkable().await
    }

    /// Whom a login knows.
    ///
    /// # Errors
    /// As [`sync_groups`](Self::sync_groups).
    pub async fn contacts(
        &self,
        _login: LoginId,
        _text: Option<&str>,
        _limit: i64,
    ) -> Result<Vec<Contact>, BridgeError> {
        missing().await
    }

    /// Who is meant.
    ///
    /// # Errors
    /// As [`sync_groups`](Self::sync_groups).
    pub async fn contact(&self, _login: LoginId, _input: &str) -> Result<Contact, BridgeError> {
        missing().await
    }

    /// Blocks somebody, or does so no more.
    ///
    /// # Errors
    /// As [`sync_groups`](Self::sync_groups).
    pub async fn block(
        &self,
        _login: LoginId,
        _user: &RemoteUserId,
        _block: bool,
    ) -> Result<(), BridgeError> {
        missing().await
    }

    /// Whom a login has blocked.
    ///
    /// # Errors
    /// As [`sync_groups`](Self::sync_groups).
    pub async fn blocked(&self, _login: LoginId) -> Result<Vec<RemoteUserId>, BridgeError> {
        missing().await
    }

    /// Asks somebody to take messages of other apps.
    ///
    /// # Errors
    /// As [`sync_groups`](Self::sync_groups).
    pub async fn ask_reachability(
        &self,
        _login: LoginId,
        _user: &RemoteUserId,
    ) -> Result<Reachability, BridgeError> {
        missing().await
    }

    /// Lets the bridge act as a Matrix user.
    ///
    /// # Errors
    /// As [`sync_groups`](Self::sync_groups).
    pub async fn log_in_puppet(&self, _user: &UserId, _token: &str) -> Result<(), PuppetError> {
        std::future::ready(()).await;
        Err(PuppetError("not there yet".to_owned()))
    }

    /// Lets the bridge act as a Matrix user no more.
    ///
    /// # Errors
    /// As [`sync_groups`](Self::sync_groups).
    pub async fn log_out_puppet(&self, _user: &UserId) -> Result<(), BridgeError> {
        missing().await
    }

    /// By what the bridge acts as a Matrix user, if it does.
    ///
    /// # Errors
    /// As [`sync_groups`](Self::sync_groups).
    pub async fn puppet_kind(&self, _user: &UserId) -> Result<Option<&'static str>, BridgeError> {
        missing().await
    }

    /// The code that proves whose an account is.
    ///
    /// # Errors
    /// As [`sync_groups`](Self::sync_groups).
    pub async fn claim_account(
        &self,
        _user: &UserId,
        _gatekeeper: &GatekeeperId,
        _remote: &RemoteUserId,
    ) -> Result<String, BridgeError> {
        missing().await
    }
}
