//! What the page sees: contacts, chats, messages, and that something changed.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Extension, Json,
    extract::{Path, State},
    response::sse::{Event, KeepAlive, Sse},
};
use futures_util::Stream;
use serde_json::{Value, json};

use super::{
    ApiError, contact, groups,
    people::{blocks, picture_path},
};
use crate::{
    domain::{RemoteUserId, Typing},
    network::interop::wire::Jid,
    sandbox::{
        contacts::{ContactHandle, Message, Status, content::Content},
        directory::is_group,
        http::Cast,
        office::Office,
    },
};

pub(super) async fn info(Extension(info): Extension<Arc<Value>>) -> Json<Value> {
    Json((*info).clone())
}

pub(super) async fn contacts(Extension(cast): Extension<Cast>) -> Json<Value> {
    let mut all = Vec::new();
    if let Some(contacts) = cast.get() {
        all.extend(contacts.all());
        all.extend(contacts.partners());
    }
    let list: Vec<Value> = all
        .iter()
        .map(|contact| {
            json!({
                "id": contact.jid(),
                "jid": contact.jid(),
                "name": contact.name(),
                "phone": contact.phone(),
                "gatekeeper": contact.flavour(),
                "script": contact.script(),
                "visible_id": contact.visible_id(),
                "picture": contact.picture().map(|id| picture_path(contact.flavour(), &id)),
                "opted_in": contact.opted_in(),
                "requests": contact.requests(),
                "connected": contact.is_connected(),
                "counters": contact.counters(),
            })
        })
        .collect();
    Json(Value::Array(list))
}

/// Who writes in a group, by name.
fn writing(contact: &ContactHandle, group: &Jid) -> Vec<String> {
    let who = contact.typing_in(group).into_iter();
    who.map(|jid| groups::name(contact, &jid).unwrap_or_else(|| jid.to_string()))
        .collect()
}

fn typing(contact: &ContactHandle, chat: &Jid) -> &'static str {
    match contact.typing_of(chat) {
        Typing::Composing => "composing",
        Typing::Recording => "recording",
        Typing::Paused => "paused",
    }
}

pub(super) async fn chats(
    Extension(cast): Extension<Cast>,
    State(office): State<Arc<Office>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let contact = contact(&cast, &id)?;
    let now = office.now().0;
    let blocked = contact.blocked();
    let mut list: Vec<(i64, Value)> = contact
        .chats()
        .iter()
        .map(|chat| {
            let messages = contact.messages(chat);
            let unread = messages
                .iter()
                .filter(|m| !m.outgoing && !m.notice && m.status < Status::Read)
                .count();
            let last = messages.iter().rev().find(|m| !m.has_expired(now));
            let group = contact.group(&chat.to_string());
            let picture = match &group {
                Some(group) => group.picture.clone(),
                None => contact.picture_of(chat).map(|picture| picture.id),
            };
            let subject = group.as_ref().map(|group| group.subject.clone());
            let value = json!({
                "jid": chat,
                "name": subject.or_else(|| contact.name_of(chat)),
                "group": group.map(|group| groups::shown(&contact, &group)),
                "writing": writing(&contact, chat),
                "typing": typing(&contact, chat),
                "present": contact.sees_present(chat),
                "picture": picture.map(|id| picture_path(contact.flavour(), &id)),
                "blocked": blocked.contains(chat),
                "blocks_me": blocks(&office, chat, contact.jid()),
                "timer": contact.timer(&chat.to_string()),
                "unread": unread,
                "last": last.map(|message| shown(&contact, message)),
            });
            (last.map_or(0, |message| message.at), value)
        })
        .collect();
    list.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    Ok(Json(list.into_iter().map(|(_, chat)| chat).collect()))
}

pub(super) async fn messages(
    Extension(cast): Extension<Cast>,
    State(office): State<Arc<Office>>,
    Path((id, chat)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    let contact = contact(&cast, &id)?;
    let chat: Jid = chat.parse().map_err(|_| ApiError::NotFound)?;
    let now = office.now().0;
    let messages = contact.messages(&chat);
    let kept = messages.iter().filter(|message| !message.has_expired(now));
    Ok(Json(kept.map(|message| shown(&contact, message)).collect()))
}

/// A message as the page gets it: without keys and paths, and with names.
fn shown(contact: &ContactHandle, message: &Message) -> Value {
    let is_me = |jid: &Jid| jid == contact.jid();
    let in_group = is_group(&message.chat);
    let reactions: Vec<Value> = message
        .reactions
        .iter()
        .map(|(by, emoji)| {
            let mut reaction = json!({"mine": is_me(by), "emoji": emoji});
            if in_group {
                reaction["by"] = json!(groups::name(contact, by));
            }
            reaction
        })
        .collect();
    let quotes = message.quotes.as_ref().map(|quote| {
        let author = quote.sender.as_ref().map(RemoteUserId::as_str);
        let mut quoted = json!({
            "id": quote.id,
            "mine": author.is_none_or(|author| author == contact.jid().to_string()),
            "text": message.quoted_text,
        });
        if let Some(author) = author.filter(|_| in_group) {
            quoted["by"] = json!(name(contact, author));
        }
        quoted
    });
    let mentions: Vec<Value> = message
        .mentions
        .iter()
        .map(|address| json!({"address": address, "name": name(contact, address)}))
        .collect();
    json!({
        "id": message.id,
        "outgoing": message.outgoing,
        "sender": message.sender,
        "sender_name": message.sender.as_ref().and_then(|who| groups::name(contact, who)),
        "notice": message.notice,
        "text": message.text,
        "content": content(contact, message),
        "quotes": quotes,
        "mentions": mentions,
        "everybody": message.mentions_everybody,
        "expires_after": message.expires_after,
        "edited": message.edited,
        "revoked": message.revoked,
        "played": message.played,
        "reactions": reactions,
        "at": message.at,
        "status": message.status,
    })
}

/// What somebody who is mentioned is called.
fn name(contact: &ContactHandle, address: &str) -> Option<String> {
    groups::name(contact, &address.parse().ok()?)
}

fn content(contact: &ContactHandle, message: &Message) -> Value {
    let mut value = serde_json::to_value(&message.content).expect("a content is JSON");
    if let Some(fields) = value.as_object_mut() {
        fields.remove("remote");
        fields.remove("secret");
    }
    match &message.content {
        Content::File(file) => {
            value["waveform"] = json!(file.waveform);
            value["there"] = json!(file.remote.is_some());
        }
        Content::Poll(poll) => {
            let votes_for = |option: &String| {
                let voters = message
                    .votes
                    .iter()
                    .filter(|(_, choices)| choices.contains(option));
                let voters: Vec<&Jid> = voters.map(|(voter, _)| voter).collect();
                let mine = voters.contains(&contact.jid());
                json!({"text": option, "votes": voters.len(), "mine": mine})
            };
            value["options"] = poll.options.iter().map(votes_for).collect();
        }
        _ => {}
    }
    value
}

pub(super) async fn events(
    Extension(cast): Extension<Cast>,
    State(office): State<Arc<Office>>,
    Path(id): Path<String>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let mut versions = contact(&cast, &id)?.changes();
    versions.mark_changed();
    let end = office.cancel.clone();
    let stream = futures_util::stream::unfold((versions, end), |(mut versions, end)| async {
        let changed = tokio::select! {
            changed = versions.changed() => changed.is_ok(),
            () = end.cancelled() => false,
        };
        let version = *versions.borrow_and_update();
        changed.then(|| {
            let event = Event::default().data(version.to_string());
            (Ok(event), (versions, end))
        })
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(Duration::from_secs(20))))
}
