//! The homeserver's side: what the bridge asks of it ([`Client`], [`Intent`]), what it hands over ([`appservice`]), and what it
//! failed to hand over ([`repair`]).
//!
//! Invariants: events are acknowledged only after they are in the store's inbox; every request names the account it is made as and
//! that account's one device; nothing here knows what a portal or a gatekeeper's protocol is.

mod account;
pub mod appservice;
mod client;
mod error;
mod ids;
mod inbox;
mod intent;
pub mod registration;
pub mod repair;
mod rooms;

pub use client::Client;
pub use error::MatrixError;
pub use ids::GhostNaming;
pub use intent::Intent;
pub use rooms::NewRoom;
