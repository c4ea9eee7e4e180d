//! Whom a login knows, finds, blocks, and asks to be reachable.

use std::sync::Arc;

use axum::{Extension, Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    ProvisioningState,
    caller::Caller,
    error::{ApiError, Refusal},
    extract::{Body, Path, Query},
};
use crate::{
    bridge,
    domain::{Reachability, RemoteUserId},
};

/// The most contacts that are given at a time.
const MOST: i64 = 500;

/// Somebody on the gatekeeper's side.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Contact {
    /// Their address.
    user: String,
    /// What they are called.
    name: String,
    /// Their ghost's Matrix id.
    mxid: String,
    /// The address of their picture, `mxc://…`.
    avatar: Option<String>,
    /// Their phone number.
    phone: Option<String>,
    /// The room of the chat with them.
    room_id: Option<String>,
}

impl From<bridge::Contact> for Contact {
    fn from(contact: bridge::Contact) -> Self {
        Self {
            user: contact.user.to_string(),
            name: contact.name,
            mxid: contact.mxid.to_string(),
            avatar: contact.avatar,
            phone: contact.phone,
            room_id: contact.room_id.map(|room| room.to_string()),
        }
    }
}

/// Which contacts.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Search {
    /// A text in their name or address.
    search: Option<String>,
    /// How many at most.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<i64>,
}

/// Who is meant.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Whom {
    /// A phone number or id.
    identifier: String,
}

/// Whom to ask.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Ask {
    /// A phone number or id.
    identifier: String,
}

/// What came of it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Asked {
    /// Who was asked.
    user: String,
    /// What they said.
    answer: Answer,
}

/// What somebody said.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    /// Nothing yet.
    Asked,
    /// They take messages of other apps.
    Accepted,
    /// They do not want to.
    Declined,
}

/// Whom a login has chats or groups with.
#[utoipa::path(get, path = "/_drawbridge/v1/logins/{login}/contacts", params(("login" = i64, Path), Search, super::caller::UserId), responses(
    (status = 200, body = [Contact]), (status = 400, body = Refusal), (status = 401, body = Refusal), (status = 403, body = Refusal),
    (status = 404, body = Refusal), (status = 409, body = Refusal), (status = 502, body = Refusal),
))]
pub(super) async fn contacts(
    State(state): State<ProvisioningState>,
    Extension(caller): Extension<Arc<Caller>>,
    Path(login): Path<i64>,
    Query(search): Query<Search>,
) -> Result<Json<Vec<Contact>>, ApiError> {
    let row = state.active_login(&caller, login).await?;
    let limit = search.limit.unwrap_or(MOST).clamp(1, MOST);
    let found = state
        .bridge()?
        .contacts(row.id, search.search.as_deref(), limit)
        .await?;
    Ok(Json(found.into_iter().map(Contact::from).collect()))
}

/// Who is meant by a phone number or id, if they can be written to.
#[utoipa::path(get, path = "/_drawbridge/v1/logins/{login}/resolve", params(("login" = i64, Path), Whom, super::caller::UserId), responses(
    (status = 200, body = Contact), (status = 400, body = Refusal), (status = 401, body = Refusal), (status = 403, body = Refusal),
    (status = 404, body = Refusal), (status = 409, body = Refusal, description = "They take no messages of other apps."),
    (status = 502, body = Refusal),
))]
pub(super) async fn resolve(
    State(state): State<ProvisioningState>,
    Extension(caller): Extension<Arc<Caller>>,
    Path(login): Path<i64>,
    Query(whom): Query<Whom>,
) -> Result<Json<Contact>, ApiError> {
    let row = state.active_login(&caller, login).await?;
    let contact = state.bridge()?.contact(row.id, &whom.identifier).await?;
    Ok(Json(contact.into()))
}

/// Whom a login has blocked.
#[utoipa::path(get, path = "/_drawbridge/v1/logins/{login}/blocked", params(("login" = i64, Path), super::caller::UserId), responses(
    (status = 200, body = [String]), (status = 400, body = Refusal), (status = 401, body = Refusal), (status = 403, body = Refusal),
    (status = 404, body = Refusal), (status = 409, body = Refusal), (status = 502, body = Refusal),
))]
pub(super) async fn blocked(
    State(state): State<ProvisioningState>,
    Extension(caller): Extension<Arc<Caller>>,
    Path(login): Path<i64>,
) -> Result<Json<Vec<String>>, ApiError> {
    let row = state.active_login(&caller, login).await?;
    let blocked = state.bridge()?.blocked(row.id).await?;
    Ok(Json(blocked.iter().map(ToString::to_string).collect()))
}

/// Blocks somebody.
#[utoipa::path(put, path = "/_drawbridge/v1/logins/{login}/blocked/{user}", params(("login" = i64, Path), ("user" = String, Path), super::caller::UserId), responses(
    (status = 204), (status = 400, body = Refusal), (status = 401, body = Refusal), (status = 403, body = Refusal),
    (status = 404, body = Refusal), (status = 409, body = Refusal), (status = 502, body = Refusal),
))]
pub(super) async fn block(
    State(state): State<ProvisioningState>,
    Extension(caller): Extension<Arc<Caller>>,
    Path((login, user)): Path<(i64, String)>,
) -> Result<StatusCode, ApiError> {
    set_blocked(&state, &caller, login, &user, true).await
}

/// Blocks somebody no more.
#[utoipa::path(delete, path = "/_drawbridge/v1/logins/{login}/blocked/{user}", params(("login" = i64, Path), ("user" = String, Path), super::caller::UserId), responses(
    (status = 204), (status = 400, body = Refusal), (status = 401, body = Refusal), (status = 403, body = Refusal),
    (status = 404, body = Refusal), (status = 409, body = Refusal), (status = 502, body = Refusal),
))]
pub(super) async fn unblock(
    State(state): State<ProvisioningState>,
    Extension(caller): Extension<Arc<Caller>>,
    Path((login, user)): Path<(i64, String)>,
) -> Result<StatusCode, ApiError> {
    set_blocked(&state, &caller, login, &user, false).await
}

async fn set_blocked(
    state: &ProvisioningState,
    caller: &Caller,
    login: i64,
    user: &str,
    block: bool,
) -> Result<StatusCode, ApiError> {
    let row = state.active_login(caller, login).await?;
    let bridge = state.bridge()?;
    let user: RemoteUserId = bridge.network(&row.gatekeeper)?.address(user)?;
    bridge.block(row.id, &user, block).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Asks somebody to take messages of other apps.
#[utoipa::path(post, path = "/_drawbridge/v1/logins/{login}/reachability", params(("login" = i64, Path), super::caller::UserId), request_body = Ask, responses(
    (status = 200, body = Asked), (status = 400, body = Refusal), (status = 401, body = Refusal), (status = 403, body = Refusal),
    (status = 404, body = Refusal), (status = 409, body = Refusal), (status = 413, body = Refusal), (status = 415, body = Refusal),
    (status = 502, body = Refusal),
))]
pub(super) async fn ask_reachability(
    State(state): State<ProvisioningState>,
    Extension(caller): Extension<Arc<Caller>>,
    Path(login): Path<i64>,
    Body(ask): Body<Ask>,
) -> Result<Json<Asked>, ApiError> {
    let row = state.active_login(&caller, login).await?;
    let bridge = state.bridge()?;
    let user = bridge.network(&row.gatekeeper)?.address(&ask.identifier)?;
    let answer = match bridge.ask_reachability(row.id, &user).await? {
        Reachability::Asked => Answer::Asked,
        Reachability::Accepted => Answer::Accepted,
        Reachability::Declined => Answer::Declined,
    };
    Ok(Json(Asked {
        user: user.to_string(),
        answer,
    }))
}
