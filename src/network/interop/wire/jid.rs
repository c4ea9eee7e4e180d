//! Addresses: `user@server`, `user:device@server`, and the interop form `integrator-user@interop`.

use std::{fmt, str::FromStr};

/// The server of Partner users.
pub(super) const INTEROP: &str = "interop";
/// The server of Messenger users, whose addresses have a byte form of their own.
pub(super) const MESSENGER: &str = "msgr";

/// The servers whose addresses with a device have the short byte form, with the byte that stands for them.
const DOMAINS: [(&str, u8); 4] = [
    ("s.whatsapp.net", 0),
    ("lid", 1),
    ("hosted", 128),
    ("hosted.lid", 129),
];

/// The byte that stands for a server in an address with a device.
pub(super) fn domain_of(server: &str) -> Option<u8> {
    DOMAINS.iter().find(|(s, _)| *s == server).map(|(_, d)| *d)
}

/// The server a domain byte stands for.
pub(super) fn domain_server(domain: u8) -> Option<&'static str> {
    DOMAINS.iter().find(|(_, d)| *d == domain).map(|(s, _)| *s)
}

/// A user's address from its parts as they came over the wire, under the same rules as text.
pub(super) fn of_user(user: &str, server: &str, device: u16) -> Result<Jid, JidError> {
    format!("{user}:{device}@{server}").parse()
}

/// A server's address from the wire.
pub(super) fn of_server(server: &str) -> Result<Jid, JidError> {
    match server.parse()? {
        jid @ Jid::Server(_) => Ok(jid),
        _ => Err(JidError(server.to_owned(), "it is to be a server alone")),
    }
}

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a JID: {1}")]
pub struct JidError(pub String, pub &'static str);

/// An address on the chat channel.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Jid {
    /// A server alone: `s.whatsapp.net`.
    Server(String),
    /// A user of a server: `4915155550001@s.whatsapp.net`, with a device above 0 `4915155550001:2@s.whatsapp.net`.
    User {
        /// The part before the `@` without the device.
        user: String,
        /// The server.
        server: String,
        /// The device; 0 is the phone.
        device: u16,
    },
    /// A Partner's user: `1-10853634039893@interop`.
    Interop {
        /// The Partner, 1 to 999.
        integrator: u16,
        /// The user, up to 15 digits.
        user: u64,
        /// The device; only 0 is used.
        device: u16,
    },
}

impl Jid {
    /// A user's address without device.
    #[must_use]
    pub fn user(user: impl Into<String>, server: impl Into<String>) -> Self {
        Self::User {
            user: user.into(),
            server: server.into(),
            device: 0,
        }
    }

    /// A Partner user's address.
    #[must_use]
    pub fn interop(integrator: u16, user: u64) -> Self {
        Self::Interop {
            integrator,
            user,
            device: 0,
        }
    }

    /// A server's address.
    #[must_use]
    pub fn server(server: impl Into<String>) -> Self {
        Self::Server(server.into())
    }

    /// The same address with device 0.
    #[must_use]
    pub fn bare(&self) -> Self {
        match self.clone() {
            Self::Server(server) => Self::Server(server),
            Self::User { user, server, .. } => Self::User {
                user,
                server,
                device: 0,
            },
            Self::Interop {
                integrator, user, ..
            } => Self::Interop {
                integrator,
                user,
                device: 0,
            },
        }
    }

    /// The server's name; `interop` for a Partner's user.
    #[must_use]
    pub fn server_name(&self) -> &str {
        match self {
            Self::Server(server) | Self::User { server, .. } => server,
            Self::Interop { .. } => INTEROP,
        }
    }

    /// The device.
    #[must_use]
    pub fn device(&self) -> u16 {
        match self {
            Self::Server(_) => 0,
            Self::User { device, .. } | Self::Interop { device, .. } => *device,
        }
    }
}

impl fmt::Display for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(server) => f.write_str(server),
            Self::User {
                user,
                server,
                device: 0,
            } => write!(f, "{user}@{server}"),
            Self::User {
                user,
                server,
                device,
            } => write!(f, "{user}:{device}@{server}"),
            Self::Interop {
                integrator,
                user,
                device: 0,
            } => write!(f, "{integrator}-{user}@interop"),
            Self::Interop {
                integrator,
                user,
                device,
            } => write!(f, "{integrator}-{user}:{device}@interop"),
        }
    }
}

impl FromStr for Jid {
    type Err = JidError;

    fn from_str(text: &str) -> Result<Self, JidError> {
        let bad = |why| JidError(text.to_owned(), why);
        if text.is_empty() || text.len() > 255 || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(bad(
                "empty, too long, or a character outside printable ASCII",
            ));
        }
        let Some((left, server)) = text.split_once('@') else {
            return Ok(Self::Server(text.to_owned()));
        };
        if left.is_empty() || server.is_empty() || server.contains('@') {
            return Err(bad("it needs a user, one @ and a server"));
        }
        let (user, device) = match left.rsplit_once(':') {
            Some((user, device)) if device.bytes().all(|b| b.is_ascii_digit()) => (
                user,
                device
                    .parse()
                    .map_err(|_| bad("the device is not a number up to 65535"))?,
            ),
            Some(_) => return Err(bad("the device is not a number up to 65535")),
            None => (left, 0),
        };
        if server != INTEROP {
            if user.is_empty() || user.contains(':') {
                return Err(bad("it has no user, or two devices"));
            }
            return Ok(Self::User {
                user: user.to_owned(),
                server: server.to_owned(),
                device,
            });
        }
        let (integrator, user) = user
            .split_once('-')
            .ok_or_else(|| bad("an interop address is integrator-user@interop"))?;
        let digits = |s: &str, most: usize| {
            (1..=most).contains(&s.len())
                && s.bytes().all(|b| b.is_ascii_digit())
                && !s.starts_with('0')
        };
        if !digits(integrator, 3) || !digits(user, 15) || device != 0 {
            return Err(bad(
                "an interop address has an integrator of 1 to 3 digits, a user of 1 to 15, no leading zeros, and device 0",
            ));
        }
        Ok(Self::Interop {
            integrator: integrator.parse().map_err(|_| bad("bad integrator"))?,
            user: user.parse().map_err(|_| bad("bad user"))?,
            device: 0,
        })
    }
}

impl serde::Serialize for Jid {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Jid {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}
