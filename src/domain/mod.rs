//! Plain values of the bridge's own language: ids, chats, events, files, capabilities, groups.
//!
//! Nothing here does IO, reads a clock or draws a random number.

mod capabilities;
mod duration;
mod event;
mod finding;
mod group;
mod ids;
mod media;

pub use capabilities::{Capabilities, MediaRule};
pub use duration::duration;
pub use event::{
    ContactCard, EncryptedVote, IncomingContent, IncomingMessage, LinkPreview, Location,
    MessageContext, MessageRef, Outgoing, OutgoingContent, Poll, Quote, Typing, Unbridgeable,
};
pub use finding::Finding;
pub use group::{Group, GroupChange, GroupFacts, GroupMember, GroupRole, Picture, Reachability};
pub use ids::{
    ChatId, GatekeeperId, IdError, LoginId, PortalId, PortalKey, RemoteUserId, StanzaId, Timestamp,
};
pub use media::{
    AttachmentKey, AttachmentSecret, MatrixMedia, MediaDetails, MediaKey, MediaKind, RemoteMedia,
    file_size,
};
