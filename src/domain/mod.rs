//! Plain values of the bridge's own language: ids, chats, events, capabilities.
//!
//! Nothing here does IO, reads a clock or draws a random number.

mod capabilities;
mod event;
mod ids;

pub use capabilities::Capabilities;
pub use event::{
    Incoming, IncomingContent, IncomingReceipt, Outgoing, OutgoingContent, Quote, ReceiptKind,
    Unbridgeable,
};
pub use ids::{
    ChatId, GatekeeperId, IdError, LoginId, PortalId, PortalKey, RemoteUserId, StanzaId, Timestamp,
};
