//! What the translation of a Matrix event needs to know, from our own tables and, for the text of a message only this room knows,
//! from the room itself.

use ruma::{OwnedEventId, OwnedRoomId, UserId};
use serde_json::Value;

use super::super::{
    context::{Bridge, BridgeError},
    routes::PortalRoute,
};
use crate::{
    domain::{MessageRef, RemoteUserId},
    matrix::MatrixError,
    translate::{KnownPoll, Reply, RoomEvent, Target, targets},
};

/// What was looked up for one event.
pub(super) struct Known {
    pub(super) reply: Reply,
    pub(super) target: Target,
    pub(super) poll: Option<KnownPoll>,
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
            });
        };
        Ok(Known {
            reply,
            target: self.target(route, room_id, &subject).await?,
            poll: self.poll_at(route, &subject).await?,
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
            Some(reaction) if reaction.by.is_none() => Ok(Target::Reaction(reaction.message)),
            // A contact's reaction: nothing of the user's.
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
        let (portal, login) = (route.portal.id, route.login);
        let chat = route.portal.key.chat.clone();
        let candidates: Vec<_> = (0..MOST_PARTS)
            .map(|part| self.stanza_id(event_id.as_str(), part))
            .collect();
        let (event, now) = (event_id.to_string(), self.now());
        let (target, is_arriving) = self
            .db
            .read(move |txn| {
                let (event, chat, candidates) = (event.clone(), chat.clone(), candidates.clone());
                Box::pin(async move {
                    // Before the links, which are stored with the end of what waits.
                    let is_arriving = !txn.waiting_messages(login, &chat, 1).await?.is_empty();
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
                        if !txn.is_sent_message(login, &part.id).await? {
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
        if is_arriving && self.shows_a_message(room_id, event_id).await? {
            return Err(BridgeError::NotStoredYet(event_id.clone()));
        }
        Ok(target)
    }

    /// Whether an event is one of a ghost's that shows a message: people see it, and answer it, before its link is stored.
    async fn shows_a_message(
        &self,
        room_id: &OwnedRoomId,
        event_id: &OwnedEventId,
    ) -> Result<bool, BridgeError> {
        let event = match self.bot().event(room_id, event_id).await {
            Ok(Some(event)) => event,
            Ok(None) => return Ok(false),
            Err(error) => return passing(error).map(|()| false),
        };
        let content = &event["content"];
        let source = format!("{}.source", self.settings.namespace);
        Ok(content[source].is_object() && !content["m.relates_to"]["rel_type"].is_string())
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
        Ok(row.map(|row| KnownPoll {
            message: row.message,
            secret: row.secret,
            options: row
                .options
                .into_iter()
                .map(|option| (option.id, option.text))
                .collect(),
        }))
    }

    /// A message that only this room knows. The room is asked as the bot, which sees no other one under that id.
    async fn foreign(
        &self,
        room_id: &OwnedRoomId,
        event_id: &OwnedEventId,
    ) -> Result<Reply, BridgeError> {
        let event = match self.bot().event(room_id, event_id).await {
            Ok(Some(event)) => event,
            Ok(None) => return Ok(Reply::None),
            Err(error) => return passing(error).map(|()| Reply::None),
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
