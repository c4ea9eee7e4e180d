//! What the translation of a Matrix event needs to know, from our own tables and, for the text of a message only this room knows,
//! from the room itself.

use ruma::{OwnedEventId, OwnedRoomId, UserId};
use serde_json::Value;

use super::super::{
    context::{Bridge, BridgeError},
    routes::PortalRoute,
};
use super::voices::reactor;
use crate::{
    domain::{GroupRole, LoginId, MessageRef, RemoteUserId},
    matrix::MatrixError,
    translate::{KnownPoll, Reply, RoomEvent, Target, targets},
};

/// What was looked up for one event.
pub(super) struct Known {
    pub(super) reply: Reply,
    pub(super) target: Target,
    pub(super) poll: Option<KnownPoll>,
    /// What the login is in the group, if that decides what it may delete.
    pub(super) role: Option<GroupRole>,
}

/// The most parts of an event that are looked for while they have no links yet.
const MOST_PARTS: usize = 64;

impl Bridge {
    /// Looks up the events an event is about. Each is looked for in this portal alone, so nothing of another room can get in.
    pub(super) async fn look_up(
        &self,
        route: &PortalRoute,
        room_id: &OwnedRoomId,
        event: &RoomEvent,
    ) -> Result<Known, BridgeError> {
        let about = targets(event);
        let reply = match about.reply {
            None => Reply::None,
            Some(event_id) => match self.parts_of(route, room_id, &event_id).await? {
                Target::Message { mut parts, .. } if !parts.is_empty() => {
                    Reply::Known(parts.swap_remove(0))
                }
                _ => self.foreign(room_id, &event_id).await?,
            },
        };
        let Some(subject) = about.subject else {
            return Ok(Known {
                reply,
                target: Target::Unknown,
                poll: None,
                role: None,
            });
        };
        let role = match &route.own {
            Some(own) if event.is_redaction() => self.role_in(route, own).await?,
            _ => None,
        };
        Ok(Known {
            reply,
            target: self.target(route, room_id, &subject).await?,
            poll: self.poll_at(route, &subject).await?,
            role,
        })
    }

    async fn target(
        &self,
        route: &PortalRoute,
        room_id: &OwnedRoomId,
        event_id: &OwnedEventId,
    ) -> Result<Target, BridgeError> {
        let (portal, event) = (route.portal.id, event_id.to_string());
        let reaction = self
            .db
            .read(move |txn| {
                let event = event.clone();
                Box::pin(async move { txn.reaction_by_event(portal, &event).await })
            })
            .await?;
        match reaction {
            Some(reaction) if reaction.by == reactor(route) => {
                let message = self.as_seen_by(route, reaction.message).await?;
                Ok(Target::Reaction(message))
            }
            // Somebody else's reaction: nothing of the user's.
            Some(_) => Ok(Target::Unknown),
            None => self.parts_of(route, room_id, event_id).await,
        }
    }

    /// The messages an event is on the other side. Those of one's own have no links before the gatekeeper acknowledged them.
    async fn parts_of(
        &self,
        route: &PortalRoute,
        room_id: &OwnedRoomId,
        event_id: &OwnedEventId,
    ) -> Result<Target, BridgeError> {
        let portal = route.portal.id;
        let logins: Vec<LoginId> = route.logins.iter().map(|login| login.id).collect();
        let chat = route.portal.key.chat.clone();
        let candidates: Vec<_> = (0..MOST_PARTS)
            .map(|part| self.stanza_id(portal, event_id.as_str(), part))
            .collect();
        let (event, now) = (event_id.to_string(), self.now());
        let (target, is_arriving) = self
            .db
            .read(move |txn| {
                let (event, chat, candidates, logins) = (
                    event.clone(),
                    chat.clone(),
                    candidates.clone(),
                    logins.clone(),
                );
                Box::pin(async move {
                    // Before the links, which are stored with the end of what waits.
                    let mut is_arriving = false;
                    for login in logins {
                        is_arriving |= !txn.waiting_messages(login, &chat, 1).await?.is_empty();
                    }
                    let links = txn.links_by_event(portal, &event).await?;
                    let sent_at = links.first().map_or(now, |first| first.sent_at);
                    let mut parts: Vec<MessageRef> = Vec::with_capacity(links.len());
                    let of_links = links.into_iter().map(|link| MessageRef {
                        id: link.stanza_id,
                        sender: link.sender,
                    });
                    for part in of_links {
                        if !parts.contains(&part) {
                            parts.push(part);
                        }
                    }
                    for id in candidates {
                        let part = MessageRef { id, sender: None };
                        if parts.contains(&part) {
                            continue;
                        }
                        if txn.author(portal, &part.id).await?.is_none() {
                            break;
                        }
                        parts.push(part);
                    }
                    if parts.is_empty() {
                        return Ok((Target::Unknown, is_arriving));
                    }
                    Ok((Target::Message { parts, sent_at }, false))
                })
            })
            .await?;
        let target = match target {
            Target::Message { parts, sent_at } => {
                let mut seen = Vec::with_capacity(parts.len());
                for part in parts {
                    seen.push(self.as_seen_by(route, part).await?);
                }
                Target::Message {
                    parts: seen,
                    sent_at,
                }
            }
            other => other,
        };
        if is_arriving && self.shows_a_message(room_id, event_id).await? {
            return Err(BridgeError::NotStoredYet(event_id.clone()));
        }
        Ok(target)
    }

    /// An event as the bot sees it; `None` if it sees none, or is not let.
    async fn event_in(
        &self,
        room_id: &OwnedRoomId,
        event_id: &OwnedEventId,
    ) -> Result<Option<serde_json::Value>, BridgeError> {
        match self.bot().event(room_id, event_id).await {
            Ok(event) => Ok(event),
            Err(error) => passing(error).map(|()| None),
        }
    }

    /// Whether an event is one of a ghost's that shows a message: people see it, and answer it, before its link is stored.
    async fn shows_a_message(
        &self,
        room_id: &OwnedRoomId,
        event_id: &OwnedEventId,
    ) -> Result<bool, BridgeError> {
        let Some(event) = self.event_in(room_id, event_id).await? else {
            return Ok(false);
        };
        let content = &event["content"];
        let source = format!("{}.source", self.settings.namespace);
        Ok(content[source].is_object() && !content["m.relates_to"]["rel_type"].is_string())
    }

    /// Whether a message was deleted in the room.
    pub(super) async fn is_deleted(
        &self,
        room_id: &OwnedRoomId,
        event_id: &OwnedEventId,
    ) -> Result<bool, BridgeError> {
        let Some(event) = self.event_in(room_id, event_id).await? else {
            return Ok(false);
        };
        // Nothing stays of what it said.
        let content = event["content"].as_object();
        Ok(content.is_some_and(serde_json::Map::is_empty))
    }

    async fn poll_at(
        &self,
        route: &PortalRoute,
        event_id: &OwnedEventId,
    ) -> Result<Option<KnownPoll>, BridgeError> {
        let (portal, event) = (route.portal.id, event_id.to_string());
        let row = self
            .db
            .read(move |txn| {
                let event = event.clone();
                Box::pin(async move { txn.poll_by_event(portal, &event).await })
            })
            .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(KnownPoll {
            message: self.as_seen_by(route, row.message.clone()).await?,
            secret: row.secret,
            options: row
                .options
                .into_iter()
                .map(|option| (option.id, option.text))
                .collect(),
        }))
    }

    /// A message as the login that sees a portal names it: what another login of ours wrote is by that one's address.
    async fn as_seen_by(
        &self,
        route: &PortalRoute,
        message: MessageRef,
    ) -> Result<MessageRef, BridgeError> {
        if message.sender.is_some() || route.logins.len() < 2 {
            return Ok(message);
        }
        let (portal, id) = (route.portal.id, message.id.clone());
        let author = self
            .db
            .read(move |txn| {
                let id = id.clone();
                Box::pin(async move { txn.author(portal, &id).await })
            })
            .await?;
        let theirs = author
            .filter(|author| *author != route.login)
            .and_then(|author| route.logins.iter().find(|login| login.id == author));
        Ok(MessageRef {
            sender: theirs.and_then(|login| login.own.clone()),
            ..message
        })
    }

    /// A message that only this room knows. The room is asked as the bot, which sees no other one under that id.
    async fn foreign(
        &self,
        room_id: &OwnedRoomId,
        event_id: &OwnedEventId,
    ) -> Result<Reply, BridgeError> {
        let Some(event) = self.event_in(room_id, event_id).await? else {
            return Ok(Reply::None);
        };
        let (Some(body), Some(sender)) = (
            event["content"]["body"].as_str(),
            event["sender"]
                .as_str()
                .and_then(|sender| UserId::parse(sender).ok()),
        ) else {
            return Ok(Reply::None);
        };
        if event["room_id"]
            .as_str()
            .is_some_and(|its| its != room_id.as_str())
        {
            return Ok(Reply::None);
        }
        let name = self.name_of(&sender).await?;
        let body = said(&event, body);
        Ok(Reply::Foreign { name, body })
    }

    /// What a Matrix user is called: their display name, else their user name.
    pub(in crate::bridge) async fn name_of(&self, user: &UserId) -> Result<String, BridgeError> {
        let name = match self.bot().display_name_of(user).await {
            Ok(name) => name,
            Err(error) => {
                passing(error)?;
                None
            }
        };
        let name = name.map(|name| crate::translate::clean_name(&name));
        Ok(name
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| user.localpart().to_owned()))
    }

    /// Who a Matrix user is at a portal's gatekeeper.
    pub(in crate::bridge) fn remote_of(
        &self,
        route: &PortalRoute,
        user: &UserId,
    ) -> Option<RemoteUserId> {
        if let Some(login) = route.login_of(user).filter(|_| route.is_group()) {
            return login.own.clone();
        }
        let (gatekeeper, remote) = self.naming.parse(user)?;
        (gatekeeper == route.portal.key.gatekeeper).then_some(remote)
    }
}

/// An edit says what the message says now.
fn said(event: &Value, body: &str) -> String {
    event["content"]["m.new_content"]["body"]
        .as_str()
        .unwrap_or(body)
        .to_owned()
}

/// A failure that may pass is one; any other means that there is nothing.
fn passing(error: MatrixError) -> Result<(), BridgeError> {
    if error.is_transient() {
        return Err(error.into());
    }
    Ok(())
}
