//! What the page sees of groups and does to them; messages go to a group as to any chat.
//!
//! | path beneath `/api/contacts/{id}/groups` | method and body |
//! |---|---|
//! | | GET; POST `{"subject", "members": [address]}` |
//! | `{group}` | GET |
//! | `{group}/members` | POST `{"what": "add"|"remove"|"promote"|"demote", "members": [address]}`: what became of each |
//! | `{group}/subject` · `description` | POST `{"text"}` |
//! | `{group}/announce` · `locked` | POST `{"on"}` |
//! | `{group}/picture` | POST, a JPEG as the body; DELETE |
//! | `{group}/leave` | POST |

use axum::{
    Extension, Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path},
    http::StatusCode,
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ApiError, contact, people::picture_path};
use crate::{
    network::interop::wire::Jid,
    sandbox::{
        contacts::{ContactHandle, GroupInfo},
        directory::Role,
        error::SandboxError,
        http::Cast,
    },
};

/// How many members one request may name.
const MOST_MEMBERS: usize = 1024;
/// The largest picture, in bytes.
const MAX_PICTURE: usize = 1024 * 1024;

type GroupPath = Path<(String, String)>;
type Answer = Result<Json<Value>, ApiError>;
type Done = Result<StatusCode, ApiError>;

/// The routes beneath a contact's path.
pub(super) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let picture = post(set_picture)
        .delete(remove_picture)
        .layer(DefaultBodyLimit::max(MAX_PICTURE));
    Router::new()
        .route("/", get(all).post(create))
        .route("/{group}", get(one))
        .route("/{group}/members", post(members))
        .route("/{group}/subject", post(subject))
        .route("/{group}/description", post(description))
        .route("/{group}/announce", post(announce))
        .route("/{group}/locked", post(locked))
        .route("/{group}/picture", picture)
        .route("/{group}/leave", post(leave))
}

/// A group as the page gets it, with the names the contact knows.
pub(super) fn shown(contact: &ContactHandle, info: &GroupInfo) -> Value {
    let own = info.members.get(contact.jid());
    let members: Vec<Value> = info
        .members
        .iter()
        .map(|(jid, role)| {
            json!({
                "jid": jid,
                "name": name(contact, jid),
                "role": role,
                "me": jid == contact.jid(),
            })
        })
        .collect();
    let picture = info.picture.as_ref();
    let picture = picture.map(|id| picture_path(contact.flavour(), id));
    json!({
        "jid": info.jid,
        "subject": info.subject,
        "description": info.description,
        "announce": info.announce,
        "locked": info.locked,
        "picture": picture,
        "members": members,
        "member": own.is_some(),
        "admin": own.is_some_and(|role| Role::is_admin(*role)),
    })
}

/// What somebody is called, as far as the contact knows.
pub(super) fn name(contact: &ContactHandle, jid: &Jid) -> Option<String> {
    if jid == contact.jid() {
        return Some(contact.name());
    }
    contact.name_of(jid)
}

fn addresses(members: &[String]) -> Result<Vec<Jid>, ApiError> {
    let parsed: Result<Vec<Jid>, _> = members.iter().map(|member| member.parse()).collect();
    match parsed {
        Ok(members) if members.len() <= MOST_MEMBERS => Ok(members),
        _ => Err(ApiError::bad("some of these are no addresses")),
    }
}

async fn all(Extension(cast): Extension<Cast>, Path(id): Path<String>) -> Answer {
    let contact = contact(&cast, &id)?;
    let groups = contact.groups();
    let shown = groups.iter().map(|info| shown(&contact, info));
    Ok(Json(shown.collect()))
}

async fn one(Extension(cast): Extension<Cast>, Path((id, group)): GroupPath) -> Answer {
    let contact = contact(&cast, &id)?;
    let info = contact.group(&group).ok_or(ApiError::NotFound)?;
    Ok(Json(shown(&contact, &info)))
}

#[derive(Deserialize)]
struct New {
    subject: String,
    #[serde(default)]
    members: Vec<String>,
}

async fn create(
    Extension(cast): Extension<Cast>,
    Path(id): Path<String>,
    Json(new): Json<New>,
) -> Answer {
    let contact = contact(&cast, &id)?;
    let members = addresses(&new.members)?;
    let group = contact.create_group(&new.subject, &members).await?;
    Ok(Json(json!({"jid": group})))
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum What {
    Add,
    Remove,
    Promote,
    Demote,
}

#[derive(Deserialize)]
struct Change {
    what: What,
    members: Vec<String>,
}

async fn members(
    Extension(cast): Extension<Cast>,
    Path((id, group)): GroupPath,
    Json(Change { what, members }): Json<Change>,
) -> Answer {
    let contact = contact(&cast, &id)?;
    let who = addresses(&members)?;
    let outcomes = match what {
        What::Add => contact.add_members(&group, &who).await?,
        What::Remove => contact.remove_members(&group, &who).await?,
        What::Promote => contact.promote(&group, &who).await?,
        What::Demote => contact.demote(&group, &who).await?,
    };
    let outcome =
        |(jid, outcome): (&Jid, &Result<(), u16>)| json!({"jid": jid, "error": outcome.err()});
    Ok(Json(outcomes.iter().map(outcome).collect()))
}

#[derive(Deserialize)]
struct Text {
    text: String,
}

async fn subject(
    Extension(cast): Extension<Cast>,
    Path((id, group)): GroupPath,
    Json(Text { text }): Json<Text>,
) -> Done {
    contact(&cast, &id)?.set_subject(&group, &text).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn description(
    Extension(cast): Extension<Cast>,
    Path((id, group)): GroupPath,
    Json(Text { text }): Json<Text>,
) -> Done {
    contact(&cast, &id)?.set_description(&group, &text).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct Switch {
    on: bool,
}

async fn announce(
    Extension(cast): Extension<Cast>,
    Path((id, group)): GroupPath,
    Json(Switch { on }): Json<Switch>,
) -> Done {
    contact(&cast, &id)?.set_announce(&group, on).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn locked(
    Extension(cast): Extension<Cast>,
    Path((id, group)): GroupPath,
    Json(Switch { on }): Json<Switch>,
) -> Done {
    contact(&cast, &id)?.set_locked(&group, on).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn set_picture(
    Extension(cast): Extension<Cast>,
    Path((id, group)): GroupPath,
    jpeg: Bytes,
) -> Done {
    if !jpeg.starts_with(&[0xff, 0xd8, 0xff]) {
        return Err(SandboxError::Picture.into());
    }
    let contact = contact(&cast, &id)?;
    contact
        .set_group_picture(&group, Some(jpeg.to_vec()))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn remove_picture(Extension(cast): Extension<Cast>, Path((id, group)): GroupPath) -> Done {
    contact(&cast, &id)?.set_group_picture(&group, None).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn leave(Extension(cast): Extension<Cast>, Path((id, group)): GroupPath) -> Done {
    contact(&cast, &id)?.leave_group(&group).await?;
    Ok(StatusCode::NO_CONTENT)
}
