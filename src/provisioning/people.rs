//! Whom a login knows, finds, blocks, and asks to be reachable.

use axum::{Json, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    asker::ActiveLogin,
    error::{ApiError, Refusal},
    extract::{ActsFor, Body, LONGEST, LoginPath, Path, Query, UserPath, bounded},
};
use crate::{bridge, domain::Reachability};

/// The most contacts that are given at a time.
const MOST: i64 = 500;
/// The longest text that is searched for.
const LONGEST_SEARCH: usize = 100;

/// Somebody on the gatekeeper's side.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Contact {
    /// Their address at the gatekeeper.
    #[schema(example = "447700900001@s.whatsapp.net")]
    user: String,
    /// What they are called.
    #[schema(example = "Lena")]
    name: String,
    /// Their ghost's Matrix id.
    #[schema(example = "@_drawbridge_whatsapp_447700900001=40s.whatsapp.net:example.org")]
    mxid: String,
    /// The address of their picture at the homeserver.
    #[schema(example = "mxc://example.org/aBcDeF")]
    avatar: Option<String>,
    /// Their phone number in international form, if their address is one.
    #[schema(example = "+447700900001")]
    phone: Option<String>,
    /// The room of the login's chat with them, if there is one.
    #[schema(example = "!lena:example.org")]
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
    /// A text in their name or address; everybody without it.
    #[param(max_length = 100, pattern = "^[^\\x00-\\x1f\\x7f]*$", example = "len")]
    search: Option<String>,
    /// How many at most; 500 without it.
    #[param(minimum = 1, maximum = 500, example = 50)]
    limit: Option<i64>,
}

/// Who is meant.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Whom {
    /// A phone number in international form, or an address of the gatekeeper.
    #[param(
        min_length = 1,
        max_length = 255,
        pattern = "^[^\\x00-\\x1f\\x7f]+$",
        example = "+447700900001"
    )]
    identifier: String,
}

/// Whom to ask.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Ask {
    /// A phone number in international form, or an address of the gatekeeper.
    #[schema(
        min_length = 1,
        max_length = 255,
        pattern = "^[^\\x00-\\x1f\\x7f]+$",
        example = "+447700900001"
    )]
    identifier: String,
}

/// What came of it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Asked {
    /// The address of who was asked.
    #[schema(example = "447700900001@s.whatsapp.net")]
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
#[utoipa::path(
    get,
    path = "/_drawbridge/v1/logins/{login}/contacts",
    tag = "people",
    params(LoginPath, Search, ActsFor),
    responses(
        (status = 200, description = "By name.", body = [Contact]),
        (status = 404, description = "The user has no such login.", body = Refusal),
        (status = 409, description = "The login is being ended, or the gatekeeper refuses.", body = Refusal),
    )
)]
pub(super) async fn contacts(
    ActiveLogin { asker, row }: ActiveLogin,
    Query(search): Query<Search>,
) -> Result<Json<Vec<Contact>>, ApiError> {
    let limit = search.limit.unwrap_or(MOST);
    if !(1..=MOST).contains(&limit) {
        return Err(ApiError::bad(format!("`limit` is 1 to {MOST}")));
    }
    let text = search.search.filter(|text| !text.is_empty());
    if let Some(text) = &text {
        bounded("search", text, LONGEST_SEARCH)?;
    }
    let found = asker
        .bridge
        .contacts(row.id, text.as_deref(), limit)
        .await?;
    Ok(Json(found.into_iter().map(Contact::from).collect()))
}

/// Who is meant by a phone number or id, if they can be written to.
#[utoipa::path(
    get,
    path = "/_drawbridge/v1/logins/{login}/resolve",
    tag = "people",
    params(LoginPath, Whom, ActsFor),
    responses(
        (status = 200, description = "Who is meant.", body = Contact),
        (status = 404, description = "The user has no such login, or there is nobody of that identifier.", body = Refusal),
        (status = 409, description = "They take no messages of other apps, the login is being ended, or the gatekeeper refuses.", body = Refusal),
    )
)]
pub(super) async fn resolve(
    ActiveLogin { asker, row }: ActiveLogin,
    Query(whom): Query<Whom>,
) -> Result<Json<Contact>, ApiError> {
    let identifier = bounded("identifier", &whom.identifier, LONGEST)?;
    let contact = asker.bridge.contact(row.id, identifier).await?;
    Ok(Json(contact.into()))
}

/// Whom a login has blocked.
#[utoipa::path(
    get,
    path = "/_drawbridge/v1/logins/{login}/blocked",
    tag = "people",
    params(LoginPath, ActsFor),
    responses(
        (status = 200, description = "Their addresses.", body = [String]),
        (status = 404, description = "The user has no such login.", body = Refusal),
        (status = 409, description = "The login is being ended, or the gatekeeper refuses.", body = Refusal),
    )
)]
pub(super) async fn blocked(
    ActiveLogin { asker, row }: ActiveLogin,
) -> Result<Json<Vec<String>>, ApiError> {
    let blocked = asker.bridge.blocked(row.id).await?;
    Ok(Json(blocked.iter().map(ToString::to_string).collect()))
}

/// Blocks somebody.
#[utoipa::path(
    put,
    path = "/_drawbridge/v1/logins/{login}/blocked/{user}",
    tag = "people",
    params(LoginPath, UserPath, ActsFor),
    responses(
        (status = 204, description = "They are blocked."),
        (status = 404, description = "The user has no such login, or there is nobody of that identifier.", body = Refusal),
        (status = 409, description = "The login is being ended, or the gatekeeper refuses.", body = Refusal),
    )
)]
pub(super) async fn block(
    login: ActiveLogin,
    Path(UserPath { user }): Path<UserPath>,
) -> Result<StatusCode, ApiError> {
    set_blocked(login, &user, true).await
}

/// Blocks somebody no more.
#[utoipa::path(
    delete,
    path = "/_drawbridge/v1/logins/{login}/blocked/{user}",
    tag = "people",
    params(LoginPath, UserPath, ActsFor),
    responses(
        (status = 204, description = "They are not blocked."),
        (status = 404, description = "The user has no such login, or there is nobody of that identifier.", body = Refusal),
        (status = 409, description = "The login is being ended, or the gatekeeper refuses.", body = Refusal),
    )
)]
pub(super) async fn unblock(
    login: ActiveLogin,
    Path(UserPath { user }): Path<UserPath>,
) -> Result<StatusCode, ApiError> {
    set_blocked(login, &user, false).await
}

async fn set_blocked(
    ActiveLogin { asker, row }: ActiveLogin,
    user: &str,
    block: bool,
) -> Result<StatusCode, ApiError> {
    let bridge = &asker.bridge;
    let user = bounded("user", user, LONGEST)?;
    let user = bridge.network(&row.gatekeeper)?.address(user)?;
    bridge.block(row.id, &user, block).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Asks somebody to take messages of other apps.
#[utoipa::path(
    post,
    path = "/_drawbridge/v1/logins/{login}/reachability",
    tag = "people",
    params(LoginPath, ActsFor),
    request_body(content = Ask, description = "Whom to ask."),
    responses(
        (status = 200, description = "They are asked, or had answered.", body = Asked),
        (status = 404, description = "The user has no such login, or there is nobody of that identifier.", body = Refusal),
        (status = 409, description = "The login is being ended, or the gatekeeper refuses.", body = Refusal),
    )
)]
pub(super) async fn ask_reachability(
    ActiveLogin { asker, row }: ActiveLogin,
    Body(ask): Body<Ask>,
) -> Result<Json<Asked>, ApiError> {
    let bridge = &asker.bridge;
    let identifier = bounded("identifier", &ask.identifier, LONGEST)?;
    let user = bridge.network(&row.gatekeeper)?.address(identifier)?;
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
