//! What the page does about people: the contact's own profile, requests to reach it, blocks, and who is enlisted.

use std::sync::Arc;

use axum::{
    Extension, Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
    routing::{delete, get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ApiError, contact};
use crate::{
    network::interop::wire::Jid,
    sandbox::{directory::Kind, flavour::Flavour, http::Cast, office::Office},
};

/// The longest name, in characters.
const MAX_NAME: usize = 100;

type Changed = Result<StatusCode, ApiError>;

pub(super) fn router() -> Router<Arc<Office>> {
    Router::new()
        .route("/partners", get(partners))
        .route("/partners/{login}", delete(unenlist))
        .route("/contacts/{id}/name", post(name))
        .route("/contacts/{id}/picture", post(picture).delete(no_picture))
        .route("/contacts/{id}/opted_in", post(opt_in))
        .route("/contacts/{id}/requests/{jid}", post(answer))
        .route("/contacts/{id}/chats/{jid}/blocked", post(block))
        .route(
            "/contacts/{id}/chats/{jid}/blocks_me",
            post(block_elsewhere),
        )
}

/// Where the page gets a picture.
pub(super) fn picture_path(flavour: Flavour, id: &str) -> String {
    format!("/{}/media/pictures/{id}.jpg", flavour.path())
}

/// Whether somebody blocked a contact.
pub(super) fn blocks(office: &Office, who: &Jid, contact: &Jid) -> bool {
    let directory = office.directory();
    let account = directory.accounts.get(who);
    account.is_some_and(|account| account.blocked.contains(contact))
}

/// Every Partner's users.
async fn partners(State(office): State<Arc<Office>>) -> Json<Value> {
    let directory = office.directory();
    let mut list: Vec<(String, Value)> = directory
        .accounts
        .values()
        .filter_map(|account| match &account.kind {
            Kind::Partner {
                integrator,
                visible_id,
                ..
            } => {
                let login = account.jid.to_string();
                let value = json!({
                    "login": login,
                    "integrator": integrator,
                    "visible_id": visible_id,
                    "name": account.name,
                    "gatekeeper": account.flavour,
                    "picture": account.people.picture.as_deref().map(|id| picture_path(account.flavour, id)),
                    "connected": directory.lines.contains_key(&account.jid),
                });
                Some((login, value))
            }
            Kind::Phone => None,
        })
        .collect();
    list.sort_by(|(one, _), (other, _)| one.cmp(other));
    Json(list.into_iter().map(|(_, user)| user).collect())
}

async fn unenlist(State(office): State<Arc<Office>>, Path(login): Path<String>) -> Changed {
    let jid: Jid = login.parse().map_err(|_| ApiError::NotFound)?;
    let is_partner = {
        let directory = office.directory();
        let account = directory.accounts.get(&jid);
        account.is_some_and(crate::sandbox::directory::Account::is_partner)
    };
    if !is_partner {
        return Err(ApiError::NotFound);
    }
    office.unenlist(&jid).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

async fn name(
    Extension(cast): Extension<Cast>,
    Path(id): Path<String>,
    Json(Named { name }): Json<Named>,
) -> Changed {
    let name = name.trim();
    let length = name.chars().count();
    if !(1..=MAX_NAME).contains(&length) || name.chars().any(char::is_control) {
        return Err(ApiError::bad("a name has 1 to 100 characters"));
    }
    contact(&cast, &id)?.set_name(name)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn picture(Extension(cast): Extension<Cast>, Path(id): Path<String>, jpeg: Bytes) -> Changed {
    contact(&cast, &id)?.set_picture(Some(&jpeg))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn no_picture(Extension(cast): Extension<Cast>, Path(id): Path<String>) -> Changed {
    contact(&cast, &id)?.set_picture(None)?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct OptedIn {
    opted_in: bool,
}

async fn opt_in(
    Extension(cast): Extension<Cast>,
    Path(id): Path<String>,
    Json(OptedIn { opted_in }): Json<OptedIn>,
) -> Changed {
    contact(&cast, &id)?.opt_in(opted_in)?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct Answer {
    accept: bool,
}

async fn answer(
    Extension(cast): Extension<Cast>,
    Path((id, jid)): Path<(String, String)>,
    Json(Answer { accept }): Json<Answer>,
) -> Changed {
    contact(&cast, &id)?.answer_request(&jid, accept)?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct Blocked {
    blocked: bool,
}

async fn block(
    Extension(cast): Extension<Cast>,
    Path((id, jid)): Path<(String, String)>,
    Json(Blocked { blocked }): Json<Blocked>,
) -> Changed {
    contact(&cast, &id)?.block(&jid, blocked)?;
    Ok(StatusCode::NO_CONTENT)
}

/// The other side blocks the contact, as if in another client of theirs.
async fn block_elsewhere(
    Extension(cast): Extension<Cast>,
    State(office): State<Arc<Office>>,
    Path((id, jid)): Path<(String, String)>,
    Json(Blocked { blocked }): Json<Blocked>,
) -> Changed {
    let contact = contact(&cast, &id)?;
    let by: Jid = jid.parse().map_err(|_| ApiError::NotFound)?;
    office
        .block_elsewhere(&by.bare(), contact.jid(), blocked)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
