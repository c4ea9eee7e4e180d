//! Identifiers as newtypes, each with a sentence on what makes it unique.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a text is not a valid identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text is empty.
    #[error("an identifier may not be empty")]
    Empty,
    /// The text is longer than 255 bytes.
    #[error("an identifier may have at most 255 bytes, this one has {0}")]
    TooLong(usize),
    /// A character outside the identifier's alphabet.
    #[error("the character {0:?} is not allowed here")]
    Character(char),
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $allowed:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Parses the identifier.
            ///
            /// # Errors
            /// Says what is wrong with the text.
            pub fn parse(text: impl Into<String>) -> Result<Self, IdError> {
                let text = text.into();
                if text.is_empty() {
                    return Err(IdError::Empty);
                }
                if text.len() > 255 {
                    return Err(IdError::TooLong(text.len()));
                }
                let allowed: fn(char) -> bool = $allowed;
                match text.chars().find(|c| !allowed(*c)) {
                    Some(bad) => Err(IdError::Character(bad)),
                    None => Ok(Self(text)),
                }
            }

            /// The identifier as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::parse(text)
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id!(
    /// A gatekeeper entry of the configuration (`whatsapp`, `messenger`); unique in one configuration.
    GatekeeperId,
    |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'
);
text_id!(
    /// A user on the gatekeeper's side as its bare wire JID (`4915155550001@s.whatsapp.net`); unique in one gatekeeper.
    RemoteUserId,
    |c| c.is_ascii_graphic()
);
text_id!(
    /// A conversation on the gatekeeper's side as its bare wire JID: the other user's for a direct chat, the group's for a
    /// group; unique in one gatekeeper, but a direct chat is only one conversation together with the login that has it.
    ChatId,
    |c| c.is_ascii_graphic()
);
text_id!(
    /// A message's id on the wire; unique together with its chat and sender.
    StanzaId,
    |c| c.is_ascii_graphic()
);

impl ChatId {
    /// The other user, if this is a direct chat.
    #[must_use]
    pub fn direct_user(&self) -> Option<RemoteUserId> {
        (!self.is_group()).then(|| RemoteUserId(self.0.clone()))
    }

    /// Whether this is a group.
    #[must_use]
    pub fn is_group(&self) -> bool {
        self.0.ends_with("@g.us")
    }

    /// The direct chat with a user.
    #[must_use]
    pub fn direct(user: &RemoteUserId) -> Self {
        Self(user.0.clone())
    }
}

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub struct $name(pub i64);
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

number_id!(
    /// One Matrix user's enlistment at one gatekeeper; a random number, unique in the database.
    LoginId
);
number_id!(
    /// A room that mirrors a chat; a random number, unique in the database.
    PortalId
);

/// Milliseconds since the Unix epoch, UTC.
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Debug, Default,
)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Whole seconds since the Unix epoch.
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The time this many milliseconds later.
    #[must_use]
    pub fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }
}

/// What makes a portal one: the gatekeeper, the chat, and for a direct chat the login that has it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct PortalKey {
    /// The gatekeeper the chat is at.
    pub gatekeeper: GatekeeperId,
    /// The chat.
    pub chat: ChatId,
    /// The login a direct chat belongs to; `None` for a group, which several logins share.
    pub login: Option<LoginId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_what_would_break_a_stanza_or_a_localpart() {
        assert_eq!(RemoteUserId::parse(""), Err(IdError::Empty));
        assert_eq!(RemoteUserId::parse("a\nb@x"), Err(IdError::Character('\n')));
        assert_eq!(GatekeeperId::parse("Up"), Err(IdError::Character('U')));
        assert!(StanzaId::parse("x".repeat(256)).is_err());
    }
}
