//! The two gatekeepers the sandbox is, and the Partners it knows.

use serde::{Deserialize, Serialize};

use crate::network::interop::wire::payload::Product;

/// One of the two gatekeepers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Flavour {
    /// `WhatsApp`, whose users have phone numbers.
    WhatsApp,
    /// Messenger, whose users have numbers of its own.
    Messenger,
}

impl Flavour {
    /// Both.
    pub const ALL: [Self; 2] = [Self::WhatsApp, Self::Messenger];

    /// The gatekeeper of a product.
    #[must_use]
    pub fn of_product(product: Product) -> Self {
        match product {
            Product::WhatsApp | Product::Interop => Self::WhatsApp,
            Product::Messenger | Product::InteropMessenger => Self::Messenger,
        }
    }

    /// The server of its own users' addresses.
    #[must_use]
    pub fn user_server(self) -> &'static str {
        match self {
            Self::WhatsApp => "s.whatsapp.net",
            Self::Messenger => "msgr",
        }
    }

    /// The first part of its paths.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::WhatsApp => "whatsapp",
            Self::Messenger => "messenger",
        }
    }

    /// What it calls itself in its tokens, and what the Partner's tokens are for.
    #[must_use]
    pub fn issuer(self) -> &'static str {
        match self {
            Self::WhatsApp => "WHATSAPP",
            Self::Messenger => "MESSENGER",
        }
    }

    /// The product a Partner's user logs in as.
    #[must_use]
    pub fn partner_product(self) -> Product {
        match self {
            Self::WhatsApp => Product::Interop,
            Self::Messenger => Product::InteropMessenger,
        }
    }

    /// The gatekeeper whose users have addresses on a server.
    pub(super) fn of_server(server: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|flavour| flavour.user_server() == server)
    }
}

/// A Partner the sandbox has an agreement with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Integrator {
    /// Its number, 1 to 999.
    pub id: u16,
    /// Its name, which is also the issuer of its tokens.
    pub name: String,
    /// Where its key set and its push endpoint are, an origin such as `https://bridge.example.org`.
    pub base_url: String,
}

impl Integrator {
    /// The number of the Partner the sandbox plays itself.
    pub const OTHER: u16 = 2;

    /// The origin, without a slash at its end.
    pub(super) fn origin(&self) -> &str {
        self.base_url.trim_end_matches('/')
    }
}
