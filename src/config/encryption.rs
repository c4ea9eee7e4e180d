//! `encryption`: end-to-bridge encryption, by which encrypted rooms can be bridged.

use secrecy::SecretString;
use serde::Deserialize;

use super::{
    ConfigError,
    keys::{Content, Key, Section, Unset},
};

pub(super) const SECTION: Section = Section {
    name: "encryption",
    doc: "Encrypted rooms. Between users and the bridge their messages are encrypted for the bridge's bot, which opens them to encrypt them\nanew for the other side: whoever runs the bridge can read them.",
    content: Content::Keys(&[
        Key::new(
            "allow",
            Unset::Default("true"),
            "Whether the bridge reads and writes in encrypted rooms.",
        ),
        Key::new(
            "default",
            Unset::Default("false"),
            "Whether the rooms the bridge makes are encrypted from the beginning.",
        ),
        Key::new(
            "require",
            Unset::Default("false"),
            "Whether what users say unencrypted is not carried; they are told. Rooms the bridge makes are then encrypted, too.",
        ),
        Key::new(
            "delivery",
            Unset::Default("auto"),
            "How keys come from the homeserver: `transactions` (MSC2409 and MSC3202, which have to be switched on in Synapse), `sync` (the\n\
             bridge asks for them), or `auto` (`sync` until a transaction brings them).",
        ),
        Key::new(
            "receive_from",
            Unset::Default("any"),
            "Whose messages are carried: those of `any` device, or of `cross_signed` ones alone.",
        ),
        Key::new(
            "send_to",
            Unset::Default("any"),
            "Which devices of a room's members can read what the bridge sends: `any`, or `cross_signed` ones alone.",
        ),
        Key::new(
            "share_keys",
            Unset::Default("true"),
            "Whether a device that lost a key of a message it could read is given it again when it asks.",
        ),
        Key::new(
            "rotate_after_messages",
            Unset::Default("100"),
            "After how many messages the bridge changes the key of a room (1 to 10000); a room's own setting counts if it is less.",
        ),
        Key::new(
            "rotate_after_hours",
            Unset::Default("168"),
            "After how many hours it does (1 to 8760).",
        ),
        Key::new(
            "delete_keys_after_days",
            Unset::Optional("30"),
            "After how many days the bridge forgets the keys of what was said: an answer to something older is carried without a quote.\n\
             Without it they are kept.",
        ),
        Key::secret(
            "recovery_key",
            Unset::Optional("recovery_key"),
            "The recovery key of the bot's identity, to be named after the database was lost; `drawbridge recovery-key` tells it\n\
             beforehand.",
        ),
    ]),
};

/// How keys come from the homeserver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyDelivery {
    /// By `/sync` until a transaction brings them.
    Auto,
    /// In the transactions to the application service.
    Transactions,
    /// By `/sync` of the bot's device.
    Sync,
}

/// Which devices are trusted with something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceTrust {
    /// Every device.
    Any,
    /// Those their owner has signed.
    CrossSigned,
}

/// The section's values.
#[derive(Debug, Clone, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the configuration"
)]
pub struct EncryptionConfig {
    /// Whether the bridge takes part in encrypted rooms.
    pub allow: bool,
    /// Whether rooms the bridge makes are encrypted.
    #[serde(rename = "default")]
    pub by_default: bool,
    /// Whether unencrypted messages are refused.
    pub require: bool,
    /// How keys come.
    pub delivery: KeyDelivery,
    /// Whose messages are carried.
    pub receive_from: DeviceTrust,
    /// Who can read what is sent.
    pub send_to: DeviceTrust,
    /// Whether lost keys are given again.
    pub share_keys: bool,
    /// Messages under one key.
    pub rotate_after_messages: u64,
    /// Hours under one key.
    pub rotate_after_hours: u64,
    /// Days for which keys are kept; for ever if `None`.
    #[serde(default)]
    pub delete_keys_after_days: Option<u32>,
    /// The recovery key of the bot's identity.
    #[serde(default)]
    pub recovery_key: Option<SecretString>,
}

impl EncryptionConfig {
    /// Whether a room the bridge makes is encrypted.
    #[must_use]
    pub fn encrypts_new_rooms(&self) -> bool {
        self.allow && (self.by_default || self.require)
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let ranges = [
            ("rotate_after_messages", self.rotate_after_messages, 10_000),
            ("rotate_after_hours", self.rotate_after_hours, 8_760),
        ];
        for (key, value, most) in ranges {
            if !(1..=most).contains(&value) {
                return Err(ConfigError::invalid(
                    format!("encryption.{key}"),
                    format!("has to be from 1 to {most}"),
                ));
            }
        }
        if self.delete_keys_after_days == Some(0) {
            return Err(ConfigError::invalid(
                "encryption.delete_keys_after_days",
                "has to be at least 1; leave it out to keep keys",
            ));
        }
        if (self.require || self.by_default) && !self.allow {
            return Err(ConfigError::invalid(
                "encryption.allow",
                "has to be true if `default` or `require` is",
            ));
        }
        Ok(())
    }
}
