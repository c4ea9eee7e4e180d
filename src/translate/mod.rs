//! Translation between the two sides, as pure functions: nothing here awaits, reads a clock or draws a random number.
//!
//! What a side cannot take is decided here alone: [`to_network`] gives the parts to send, or an
//! [`Unbridgeable`](crate::domain::Unbridgeable) with the sentence its sender is told. What a translation needs to know of the
//! other side is looked up before by what [`targets`] and [`mentioned`] name, and given in a context.

mod encrypted_file;
mod event;
mod files;
mod markup;
mod names;
mod profile;
mod status;
mod text;
mod to_matrix;
mod to_network;

pub use event::{AsRoomEvent, RoomEvent};
pub use names::{clean_name, display_name};
pub use profile::{said_as, spoken_for, without_fallback};
pub use status::{MessageStatus, STATUS_EVENT, status_event};
pub use text::{clean_text, split_text};
pub use to_matrix::{
    Appearance, MatrixContext, MatrixEvent, MediaAtMatrix, Thumbnail, bridge_notice, edited_notice,
    mentioned, to_matrix,
};
pub use to_network::{
    KnownPoll, NetworkContext, Part, PartContent, RelayTemplates, Relayed, Reply, Target, Targets,
    poll_options, relay, targets, to_network,
};
