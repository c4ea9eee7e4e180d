//! As whom an event goes to a chat: its sender's own login, a login that speaks for them, or nobody.

use std::sync::Arc;

use ruma::{
    OwnedEventId, OwnedRoomId,
    events::{
        AnyMessageLikeEvent, AnyTimelineEvent, MessageLikeEvent, MessageLikeEventType,
        room::message::{MessageType, Relation, RoomMessageEventContent},
    },
};

use super::{
    super::{
        context::{Bridge, BridgeError},
        routes::PortalRoute,
    },
    Taken,
};
use crate::{
    config::Level,
    domain::{LoginId, PortalId, RemoteUserId, Unbridgeable},
    translate::{NetworkContext, Part, to_network},
};

/// Where an event comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// Somebody wrote it here.
    Room,
    /// It shows something of this portal's chat.
    Chat(PortalId),
    /// The bridge says it by itself.
    Bridge,
}

/// As whom an event is sent to a chat.
pub(super) enum Voice {
    /// As the login of its sender.
    Own(PortalRoute),
    /// As a login that speaks for its sender, who is called so.
    Relay(PortalRoute, String),
    /// Not at all, and nobody needs to be told.
    Silent,
    /// Not at all.
    Nobody,
}

impl Bridge {
    /// Where an event comes from. What shows a chat names the chat's portal.
    pub(super) fn source_of(&self, portals: &[Arc<PortalRoute>], taken: &Taken<'_>) -> Source {
        let source = &taken.said.content()[format!("{}.source", self.settings.namespace)];
        let portal = source["portal"].as_i64().map(PortalId);
        // What somebody forwards keeps the mark of the room it comes from.
        let is_of = |portal: Option<PortalId>| {
            let mut portals = portals.iter();
            portals.any(|one| Some(one.portal.id) == portal)
        };
        let sender = taken.parsed.sender();
        let is_echo = is_of(portal) && self.is_puppet_echo(sender, taken.said.content());
        let is_shown_by_us = self.is_ours(sender) || is_echo;
        match portal {
            _ if taken.parsed.sender() == self.client.bot_id() && portal.is_none() => {
                Source::Bridge
            }
            _ if !is_shown_by_us => Source::Room,
            Some(portal) => Source::Chat(portal),
            None => Source::Bridge,
        }
    }

    /// As whom an event is sent to a chat.
    pub(super) async fn voice(
        &self,
        room_id: &OwnedRoomId,
        portal: &Arc<PortalRoute>,
        taken: &Taken<'_>,
        source: Source,
    ) -> Result<Voice, BridgeError> {
        let sender = taken.parsed.sender();
        if source == Source::Room
            && let Some(route) = portal
                .login_of(sender)
                .and_then(|login| portal.seen_by(login.id))
        {
            return Ok(Voice::Own(route));
        }
        let relay = portal.portal.relay.and_then(|relay| portal.seen_by(relay));
        let Some(route) = relay.filter(|_| self.settings.relay.rules.enabled) else {
            return Ok(match source {
                Source::Room => Voice::Nobody,
                _ => Voice::Silent,
            });
        };
        if matches!(taken.parsed, AnyTimelineEvent::State(_)) || is_by_a_program(taken.parsed) {
            return Ok(Voice::Silent);
        }
        // The mark of what the bridge sent as a user is one that user could set, too.
        let may = source != Source::Room && self.is_ours(sender)
            || self.level(sender) >= Level::Relay
                && !self.settings.relay.rules.ignores(sender.as_str());
        if !may {
            return Ok(Voice::Silent);
        }
        let name = self.relayed_name(room_id, sender, taken.said).await?;
        Ok(name.map_or(Voice::Silent, |name| Voice::Relay(route, name)))
    }

    /// The login that wrote what an event shows in a portal, if one of ours did.
    pub(super) async fn author_of(
        &self,
        portal: PortalId,
        event_id: &OwnedEventId,
    ) -> Result<Option<LoginId>, BridgeError> {
        let first = self.stanza_id(portal, event_id.as_str(), 0);
        let event = event_id.to_string();
        Ok(self
            .db
            .read(move |txn| {
                let (event, first) = (event.clone(), first.clone());
                Box::pin(async move {
                    let links = txn.links_by_event(portal, &event).await?;
                    let id = match links.into_iter().next() {
                        Some(link) if link.sender.is_some() => return Ok(None),
                        Some(link) => link.stanza_id,
                        None => first,
                    };
                    txn.author(portal, &id).await
                })
            })
            .await?)
    }

    /// Whether the sender of an event wrote the one it is about: nobody edits what others wrote.
    pub(super) async fn is_by_the_same(
        &self,
        room_id: &OwnedRoomId,
        subject: &OwnedEventId,
        taken: &Taken<'_>,
    ) -> Result<bool, BridgeError> {
        match self.bot().event(room_id, subject).await {
            Ok(event) => Ok(event.is_some_and(|event| {
                event["sender"].as_str() == Some(taken.parsed.sender().as_str())
            })),
            Err(error) if error.is_transient() => Err(error.into()),
            Err(_) => Ok(false),
        }
    }

    /// Messages of members for whom no login speaks are not carried, and they are told so. What only adds to messages, such as a
    /// reaction, is passed over.
    pub(super) fn refuse_somebody_else(
        &self,
        portal: &PortalRoute,
        taken: &Taken<'_>,
        context: &NetworkContext<'_>,
    ) -> Result<Vec<Part>, Unbridgeable> {
        if !says_something(taken.parsed)
            || to_network(taken.said, context).is_ok_and(|parts| parts.is_empty())
        {
            return Ok(Vec::new());
        }
        let whose = if portal.is_group() {
            "only members with a login of their own are carried to this group".to_owned()
        } else {
            format!(
                "this chat belongs to {}, and only their messages are carried",
                portal.owner
            )
        };
        let how = if self.settings.relay.rules.enabled {
            ". A login can speak for others: `set-relay`"
        } else {
            ""
        };
        Err(Unbridgeable {
            reason: "not_logged_in",
            notice: Some(format!(
                "Not sent to {}: {whose}{how}.",
                self.gatekeeper_name(&portal.portal.key.gatekeeper),
            )),
        })
    }
}

/// As whom a reaction of a login is kept: in a group several logins react.
pub(super) fn reactor(portal: &PortalRoute) -> Option<RemoteUserId> {
    portal.own.clone().filter(|_| portal.is_group())
}

/// Whether an event says something, and does not only add to what was said, such as a reaction.
pub(super) fn says_something(event: &AnyTimelineEvent) -> bool {
    match event {
        AnyTimelineEvent::MessageLike(AnyMessageLikeEvent::RoomMessage(message)) => {
            is_said(message)
        }
        AnyTimelineEvent::MessageLike(event) => matches!(
            event.event_type(),
            MessageLikeEventType::Sticker
                | MessageLikeEventType::RoomEncrypted
                | MessageLikeEventType::PollStart
                | MessageLikeEventType::UnstablePollStart
        ),
        AnyTimelineEvent::State(_) => false,
    }
}

/// Whether a message is one that a person wrote: programs answer each other's notices without end.
fn is_said(message: &MessageLikeEvent<RoomMessageEventContent>) -> bool {
    message.as_original().is_some_and(|message| {
        !matches!(message.content.msgtype, MessageType::Notice(_))
            && !matches!(message.content.relates_to, Some(Relation::Replacement(_)))
    })
}

/// Whether an event is a notice, which only programs send.
fn is_by_a_program(event: &AnyTimelineEvent) -> bool {
    let AnyTimelineEvent::MessageLike(AnyMessageLikeEvent::RoomMessage(message)) = event else {
        return false;
    };
    message
        .as_original()
        .is_some_and(|message| matches!(message.content.msgtype, MessageType::Notice(_)))
}
