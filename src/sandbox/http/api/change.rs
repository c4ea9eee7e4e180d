//! What the page does to messages that are there.

use axum::{Extension, Json, extract::Path, http::StatusCode};
use serde::Deserialize;

use super::{ApiError, MessagePath, contact, sendable};
use crate::sandbox::{
    contacts::{ContactHandle, Message},
    directory::Role,
    http::Cast,
};

/// The longest reaction, in characters: emoji are made of several.
const MAX_REACTION: usize = 32;

type Changed = Result<StatusCode, ApiError>;

/// The contact of a path and the message in it.
fn find(cast: &Cast, path: &MessagePath) -> Result<(ContactHandle, Message), ApiError> {
    let contact = contact(cast, &path.id)?;
    let chat = path.jid.parse().map_err(|_| ApiError::NotFound)?;
    let message = contact.message_of(&chat, path.side.is_mine(), &path.message);
    let message = message.filter(|message| !message.notice && message.is_shown());
    Ok((contact, message.ok_or(ApiError::NotFound)?))
}

fn own(message: &Message) -> Result<(), ApiError> {
    if message.outgoing {
        Ok(())
    } else {
        Err(ApiError::bad("only one's own messages can be changed"))
    }
}

#[derive(Deserialize)]
pub(super) struct Text {
    text: String,
}

pub(super) async fn edit(
    Extension(cast): Extension<Cast>,
    Path(path): Path<MessagePath>,
    Json(Text { text }): Json<Text>,
) -> Changed {
    let (contact, message) = find(&cast, &path)?;
    own(&message)?;
    contact
        .edit(&path.jid, &message.id, sendable(&text)?)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn revoke(
    Extension(cast): Extension<Cast>,
    Path(path): Path<MessagePath>,
) -> Changed {
    let (contact, message) = find(&cast, &path)?;
    let group = contact.group(&path.jid);
    let role = group.and_then(|group| group.members.get(contact.jid()).copied());
    if !message.outgoing && role.is_some_and(Role::is_admin) {
        contact.revoke_of_another(&path.jid, &message.id).await?;
        return Ok(StatusCode::NO_CONTENT);
    }
    own(&message)?;
    contact.revoke(&path.jid, &message.id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
pub(super) struct Reaction {
    emoji: String,
}

pub(super) async fn react(
    Extension(cast): Extension<Cast>,
    Path(path): Path<MessagePath>,
    Json(Reaction { emoji }): Json<Reaction>,
) -> Changed {
    let (contact, message) = find(&cast, &path)?;
    if emoji.chars().count() > MAX_REACTION || emoji.chars().any(char::is_control) {
        return Err(ApiError::bad("a reaction is an emoji"));
    }
    contact
        .react(&path.jid, &message.id, message.outgoing, &emoji)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
pub(super) struct Vote {
    options: Vec<String>,
}

pub(super) async fn vote(
    Extension(cast): Extension<Cast>,
    Path(path): Path<MessagePath>,
    Json(Vote { options }): Json<Vote>,
) -> Changed {
    let (contact, message) = find(&cast, &path)?;
    let poll = message.content.poll().ok_or(ApiError::NotFound)?;
    let most = match poll.selectable {
        0 => poll.options.len(),
        some => usize::try_from(some).unwrap_or(usize::MAX),
    };
    if options.len() > most || options.iter().any(|option| !poll.options.contains(option)) {
        return Err(ApiError::bad("these are not options that may be chosen"));
    }
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    contact
        .vote(&path.jid, &message.id, message.outgoing, &options)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn played(
    Extension(cast): Extension<Cast>,
    Path(path): Path<MessagePath>,
) -> Changed {
    let (contact, message) = find(&cast, &path)?;
    contact.mark_played(&path.jid, &message.id)?;
    Ok(StatusCode::NO_CONTENT)
}
