//! The gatekeeper's interoperability interface, as its Partner.

mod bundle;
pub mod enlistment;
pub mod inbound;
mod notices;
pub mod outbound;
pub mod partner;
pub mod prekeys;
pub mod profile;
pub mod session;
pub mod wire;
