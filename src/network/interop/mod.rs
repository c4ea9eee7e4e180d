//! The gatekeeper's interoperability interface, as its Partner.
//!
//! [`Gatekeeper`] is the way in: it makes and ends logins and keeps one connection a login. Below it, [`session`] says what is
//! said on the chat channel and [`wire`] how it is written; [`inbound`], [`outbound`] and [`prekeys`] join both to the store.
//! Files go beside that channel, over HTTP: `media` carries them, [`partner`] serves those that are hosted here. What one
//! gatekeeper has of its own is in its [`profile`].

mod address_book;
mod bundle;
mod connection;
mod context;
mod deletion;
mod enlisting;
pub mod enlistment;
mod gatekeeper;
pub mod inbound;
mod keys;
mod media;
mod notices;
pub mod outbound;
pub mod partner;
mod pictures;
pub mod prekeys;
pub mod profile;
pub mod session;
mod transport;
mod visible_id;
pub mod wire;

pub use context::ConnectionPolicy;
pub use gatekeeper::{Gatekeeper, GatekeeperOptions};
