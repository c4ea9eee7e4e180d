//! The homeserver's side: what the bridge asks of it ([`Client`], [`Intent`]), files included ([`Download`], [`Upload`],
//! [`attachment`]), what it hands over ([`appservice`]), and what it failed to hand over ([`repair`]) in its order ([`Order`]).
//!
//! Invariants: events are acknowledged only after they are in the store's inbox; every request names the account it is made as and
//! that account's one device; nothing here knows what a portal or a gatekeeper's protocol is.

mod account;
pub mod appservice;
pub mod attachment;
mod cipher;
mod client;
mod directory;
mod error;
mod health;
mod history;
mod ids;
mod inbox;
mod intent;
mod media;
mod members;
mod openid;
mod order;
mod power;
mod puppet;
pub mod registration;
pub mod repair;
mod request;
mod rooms;
mod state;
mod traffic;

pub use cipher::{CipherError, RoomCipher};
pub use client::Client;
pub use error::MatrixError;
pub use ids::GhostNaming;
pub use intent::Intent;
pub use media::{ByteStream, Download, DownloadError, Upload, UploadError};
pub use order::Order;
pub use power::Power;
pub use rooms::NewRoom;
pub use traffic::DeviceTraffic;
