//! The gatekeeper's interoperability interface, as its Partner.

mod bundle;
pub mod inbound;
mod notices;
pub mod outbound;
pub mod prekeys;
pub mod session;
pub mod wire;
