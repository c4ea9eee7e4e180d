//! Whom a session is with: a user and one of the user's devices.

use std::fmt;

use libsignal_protocol::protocol::{DeviceId, ProtocolAddress};

/// One device of one user, written `{user}.{device}` (`4915155550001@s.whatsapp.net.0`); unique in one gatekeeper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(ProtocolAddress);

impl Address {
    /// The device `device` of the user with the bare address `user`.
    #[must_use]
    pub fn new(user: &str, device: u16) -> Self {
        Self(ProtocolAddress::new(user, DeviceId::new(device.into())))
    }

    /// The text form, as the store keys its records by.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The library's form.
    pub(super) fn protocol(&self) -> &ProtocolAddress {
        &self.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
