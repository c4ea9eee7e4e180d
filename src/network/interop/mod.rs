//! The gatekeeper's interoperability interface, as its Partner.

pub mod session;
pub mod wire;
