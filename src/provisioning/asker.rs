//! What nearly every endpoint begins with: who asks, the bridge that is asked, and the login or room of the path.

use std::sync::Arc;

use axum::{extract::FromRequestParts, http::request::Parts};
use ruma::OwnedRoomId;

use super::{
    ProvisioningState,
    caller::Caller,
    error::ApiError,
    extract::{LoginPath, Path, RoomPath, room_id},
};
use crate::{
    bridge::Bridge,
    domain::LoginId,
    store::{LoginRow, LoginState},
};

/// Who asks, and the bridge that is asked.
pub(super) struct Asker {
    pub(super) bridge: Arc<Bridge>,
    pub(super) caller: Arc<Caller>,
}

/// Who asks, and their login in the path, which is not being ended.
pub(super) struct ActiveLogin {
    pub(super) asker: Asker,
    pub(super) row: LoginRow,
}

/// Who asks, and the room in the path, whether it has to do with them or not.
pub(super) struct InRoom {
    pub(super) asker: Asker,
    pub(super) room: OwnedRoomId,
}

impl Asker {
    /// A login of theirs.
    pub(super) async fn login(&self, login: i64) -> Result<LoginRow, ApiError> {
        let row = self
            .bridge
            .database()
            .read(move |txn| Box::pin(async move { txn.login(LoginId(login)).await }))
            .await?;
        let user = &self.caller.user;
        row.filter(|row| row.mxid == user.as_str())
            .ok_or_else(|| ApiError::not_found(format!("{user} has no login {login}")))
    }

    /// A login of theirs that is not being ended.
    pub(super) async fn active_login(&self, login: i64) -> Result<LoginRow, ApiError> {
        let row = self.login(login).await?;
        match row.state {
            LoginState::LoggedOut => Err(ApiError::conflict(
                "this login is being ended: delete it again to finish that",
            )),
            _ => Ok(row),
        }
    }
}

impl FromRequestParts<ProvisioningState> for Asker {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &ProvisioningState,
    ) -> Result<Self, ApiError> {
        let caller = parts.extensions.get().cloned();
        Ok(Self {
            bridge: state.bridge()?,
            caller: caller.ok_or_else(|| ApiError::anonymous("nobody known calls"))?,
        })
    }
}

impl FromRequestParts<ProvisioningState> for ActiveLogin {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &ProvisioningState,
    ) -> Result<Self, ApiError> {
        let Path(LoginPath { login }) = Path::from_request_parts(parts, state).await?;
        let asker = Asker::from_request_parts(parts, state).await?;
        let row = asker.active_login(login).await?;
        Ok(Self { asker, row })
    }
}

impl FromRequestParts<ProvisioningState> for InRoom {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &ProvisioningState,
    ) -> Result<Self, ApiError> {
        let Path(RoomPath { room_id: id }) = Path::from_request_parts(parts, state).await?;
        Ok(Self {
            asker: Asker::from_request_parts(parts, state).await?,
            room: room_id(&id)?,
        })
    }
}
