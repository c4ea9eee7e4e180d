//! Events of rooms that mirror several chats, on their way to each of them.

use async_trait::async_trait;

use super::Result;
use crate::{
    domain::PortalId,
    store::{DeliveryRow, InboxEvent},
};

/// Events that were handed on to the chats of their room. Each chat takes its own in order, whatever becomes of the others'.
#[async_trait]
pub trait DeliveryRepository {
    /// Hands an event on to chats and marks it as handled. `source` is the portal of the chat it shows, if it shows one.
    async fn hand_on(
        &mut self,
        event: &InboxEvent,
        to: &[PortalId],
        source: Option<PortalId>,
    ) -> Result<()>;
    /// The portals that have deliveries waiting.
    async fn portals_waiting(&mut self) -> Result<Vec<PortalId>>;
    /// The oldest waiting deliveries of a portal, in order.
    async fn deliveries(&mut self, portal: PortalId, limit: i64) -> Result<Vec<DeliveryRow>>;
    /// Forgets a delivery that was made, or given up.
    async fn finish_delivery(&mut self, portal: PortalId, seq: i64) -> Result<()>;
}
