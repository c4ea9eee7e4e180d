//! Translation between the two sides, as pure functions: nothing here awaits, reads a clock or draws a random number.
//!
//! What a side cannot take is decided here alone: [`to_network`] gives the parts to send, or an
//! [`Unbridgeable`](crate::domain::Unbridgeable) with the sentence its sender is told.

mod text;
mod to_matrix;
mod to_network;

pub use text::{clean_name, clean_text, split_text};
pub use to_matrix::{MatrixContext, bridge_notice, to_matrix};
pub use to_network::{NetworkContext, reply_target, to_network};
