//! What is on its way from a room to a chat, and what is done with once it is there.

use std::sync::Arc;

use super::PortalRoute;
use super::{Change, Taken};
use crate::{
    domain::{ChatId, GatekeeperId, LoginId, Outgoing, PortalId},
    network::Origin,
    store::{InboxEvent, StoreError, StoreTxn},
};

/// As which login, and to which chat, something goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Speaker {
    pub(super) gatekeeper: GatekeeperId,
    pub(super) portal: PortalId,
    pub(super) login: LoginId,
    pub(super) chat: ChatId,
}

/// One event on its way to one chat: what is to be sent for it, and what it changes here.
pub(super) struct Item {
    pub(super) event_id: String,
    /// Nobody speaks for what is only passed over.
    pub(super) speaker: Option<Speaker>,
    /// What is done with then.
    pub(super) end: End,
    pub(super) messages: Vec<(Outgoing, Origin)>,
    pub(super) changes: Vec<Change>,
}

/// What is done with once an item is.
#[derive(Debug, Clone)]
pub(super) enum End {
    /// Nothing.
    Nothing,
    /// The event of this number.
    Event(i64),
    /// The event on its way to this portal.
    Delivery(PortalId, i64),
    /// The event, which goes on to these portals, each by itself; the portal whose chat it shows.
    HandOn(Arc<InboxEvent>, Vec<PortalId>, Option<PortalId>),
}

impl Speaker {
    pub(super) fn of(portal: &PortalRoute) -> Self {
        Self {
            gatekeeper: portal.portal.key.gatekeeper.clone(),
            portal: portal.portal.id,
            login: portal.login,
            chat: portal.portal.key.chat.clone(),
        }
    }
}

impl End {
    /// Writes it.
    pub(super) async fn apply(&self, txn: &mut dyn StoreTxn) -> Result<(), StoreError> {
        match self {
            Self::Nothing => Ok(()),
            Self::Event(seq) => txn.finish_event(*seq).await.map(drop),
            Self::Delivery(portal, seq) => txn.finish_delivery(*portal, *seq).await,
            Self::HandOn(event, to, source) => txn.hand_on(event, to, *source).await,
        }
    }
}

impl Item {
    /// Whether what is remembered of the room is another afterwards.
    pub(super) fn resets_route(&self) -> bool {
        self.changes
            .iter()
            .any(|change| matches!(change, Change::Timer(..)))
    }

    /// Whether it is only to be handed on.
    pub(super) fn is_handed_on(&self) -> bool {
        matches!(self.end, End::HandOn(..))
    }

    pub(super) fn nothing(taken: &Taken<'_>) -> Self {
        Self::ended(taken.event, taken.end.clone())
    }

    pub(super) fn ended(event: &InboxEvent, end: End) -> Self {
        Self {
            event_id: event.event_id.clone(),
            speaker: None,
            end,
            messages: Vec::new(),
            changes: Vec::new(),
        }
    }
}
