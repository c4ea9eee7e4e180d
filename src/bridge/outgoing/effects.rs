//! What sending something changes on this side: which reaction is the user's, which polls there are, how long messages stay.

use ruma::OwnedRoomId;

use super::{
    super::{
        changes::Change,
        context::{Bridge, BridgeError},
        rooms::open_room,
        routes::PortalRoute,
    },
    End, Item, Speaker, Taken,
    voices::reactor,
};
use crate::{
    domain::{
        ChatId, LoginId, MessageContext, MessageRef, Outgoing, OutgoingContent, StanzaId, duration,
    },
    network::Origin,
    store::{PollOption, PollRow, ReactionRow},
    translate::{bridge_notice, poll_options},
};

impl Bridge {
    /// What a message that is about to be sent changes here; `pending` are changes before it that are not committed yet.
    pub(super) async fn changes_of(
        &self,
        room_id: &OwnedRoomId,
        portal: &PortalRoute,
        taken: &Taken<'_>,
        content: &OutgoingContent,
        id: &StanzaId,
        pending: &[Change],
    ) -> Result<Vec<Change>, BridgeError> {
        let (number, event) = (portal.portal.id, taken.event);
        let by = reactor(portal);
        Ok(match content {
            OutgoingContent::Reaction { target, emoji } if emoji.is_empty() => {
                vec![Change::Unreact(number, target.clone(), by)]
            }
            OutgoingContent::Reaction { target, emoji } => {
                let earlier = self
                    .reaction_of(pending, number, target, by.as_ref())
                    .await?;
                if let Some(earlier) = earlier.filter(|row| row.event_id != event.event_id) {
                    // The other side has one a person, so the room shows one.
                    self.redact_as_bot(
                        room_id,
                        None,
                        &earlier.event_id,
                        "replaced by a newer reaction",
                    )
                    .await?;
                }
                vec![Change::React(ReactionRow {
                    portal: number,
                    message: target.clone(),
                    by,
                    event_id: event.event_id.clone(),
                    emoji: emoji.clone(),
                })]
            }
            OutgoingContent::Poll(poll) => {
                let options = poll_options(taken.said).unwrap_or_default();
                let options = options.into_iter();
                vec![Change::Poll(PollRow {
                    portal: number,
                    message: MessageRef {
                        id: id.clone(),
                        sender: None,
                    },
                    event_id: event.event_id.clone(),
                    secret: poll.secret,
                    question: poll.question.clone(),
                    options: options.map(|(id, text)| PollOption { id, text }).collect(),
                    selectable: poll.selectable,
                    author: portal.own.clone(),
                })]
            }
            OutgoingContent::Timer { seconds } => {
                vec![Change::Timer(number, (*seconds > 0).then_some(*seconds))]
            }
            _ => Vec::new(),
        })
    }

    /// Has messages of a chat disappear after so many seconds on both sides from now on, or not any more (0), because of an event.
    /// The room is told once it is certain; whether it could be said to the other side.
    ///
    /// # Errors
    /// Why it could not be done now.
    pub async fn set_timer(
        &self,
        login: LoginId,
        chat: &ChatId,
        seconds: u32,
        cause: &str,
    ) -> Result<bool, BridgeError> {
        let route = self.open_portal(login, chat).await?;
        let room_id = open_room(&route)?;
        let id = self.stanza_id(route.portal.id, cause, 0);
        let message = Outgoing {
            chat: chat.clone(),
            id: id.clone(),
            content: OutgoingContent::Timer { seconds },
            context: MessageContext::default(),
        };
        let origin = Origin {
            portal: route.portal.id,
            event_id: cause.to_owned(),
            part: -1,
        };
        let timer = (seconds > 0).then_some(seconds);
        let item = Item {
            event_id: cause.to_owned(),
            speaker: Some(Speaker::of(&route)),
            end: End::Nothing,
            messages: vec![(message, origin)],
            changes: vec![Change::Timer(route.portal.id, timer)],
        };
        self.commit_items(&room_id, vec![item]).await?;
        self.forget_route(Some(&room_id), Some(&(login, chat.clone())));
        let queued = self
            .db
            .read(move |txn| {
                let id = id.clone();
                Box::pin(async move { txn.outbox_knows(login, &id).await })
            })
            .await?;
        if !queued {
            return Ok(false);
        }
        let text = match seconds {
            0 => "New messages of this chat stay, on both sides.".to_owned(),
            _ => format!(
                "New messages of this chat disappear after {}, on both sides.",
                duration(seconds)
            ),
        };
        let txn_id = self.effect_id(&["timer", cause]);
        self.notify(&room_id, &txn_id, &bridge_notice(&text, None))
            .await?;
        Ok(true)
    }
}
