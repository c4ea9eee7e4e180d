//! `relay`: a login that speaks for Matrix users who have none.

use serde::Deserialize;

use super::{
    ConfigError,
    keys::{Content, Key, Section, Unset},
};

pub(super) const SECTION: Section = Section {
    name: "relay",
    doc: "Relays: in a room where somebody says `set-relay`, a login speaks for the members who have none.",
    content: Content::Keys(&[
        Key::new(
            "enabled",
            Unset::Default("false"),
            "Whether there can be relays. Whoever may be relayed has at least the level `relay` in `bridge.permissions`.",
        ),
        Key::new(
            "admins_only",
            Unset::Default("true"),
            "Whether only admins of the bridge may say `set-relay`; otherwise anybody with a login may, for their own login.",
        ),
        Key::new(
            "ignore",
            Unset::Default("[]"),
            "Whose messages are never relayed: user ids, in which `*` stands for anything, such as the bots of other bridges.",
        ),
        Key::new(
            "text",
            Unset::Default("\"<b>{name}</b>:\""),
            "What stands before a relayed text, in HTML; {name} is who wrote it, told apart from others of that name.",
        ),
        Key::new(
            "emote",
            Unset::Default("\"* <b>{name}</b>\""),
            "What stands before what somebody does (`/me`).",
        ),
        Key::new(
            "thing",
            Unset::Default("\"<b>{name}</b> sent {what}:\""),
            "What is said before something no text can be under; {what} is what follows, such as \"a sticker\".",
        ),
        Key::new(
            "reaction",
            Unset::Default("\"<b>{name}</b> reacted with {emoji}\""),
            "What is said for a reaction, in answer to the message.",
        ),
        Key::new(
            "vote",
            Unset::Default("\"<b>{name}</b> votes for {choices}\""),
            "What is said for a vote, in answer to the poll.",
        ),
    ]),
};

/// The section's values.
#[derive(Debug, Clone, Deserialize)]
pub struct RelayConfig {
    /// Whether there can be relays.
    pub enabled: bool,
    /// Whether only admins may set one.
    pub admins_only: bool,
    /// Users who are never relayed; `*` stands for anything.
    pub ignore: Vec<String>,
    /// Before a text.
    pub text: String,
    /// Before what somebody does.
    pub emote: String,
    /// Before what no text can be under.
    pub thing: String,
    /// For a reaction.
    pub reaction: String,
    /// For a vote.
    pub vote: String,
}

impl RelayConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        for (key, template, needed) in [
            ("relay.text", &self.text, "{name}"),
            ("relay.emote", &self.emote, "{name}"),
            ("relay.thing", &self.thing, "{name}"),
            ("relay.reaction", &self.reaction, "{emoji}"),
            ("relay.vote", &self.vote, "{choices}"),
        ] {
            if !template.contains("{name}") || !template.contains(needed) {
                return Err(ConfigError::invalid(
                    key,
                    format!("has to contain {{name}} and {needed}, or nobody knows who speaks"),
                ));
            }
        }
        Ok(())
    }

    /// Whether somebody is never relayed.
    #[must_use]
    pub fn ignores(&self, user: &str) -> bool {
        self.ignore.iter().any(|pattern| fits(pattern, user))
    }
}

/// Whether a text fits a pattern in which `*` stands for anything.
fn fits(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let pieces: Vec<&str> = pieces.collect();
    let Some((last, middle)) = pieces.split_last() else {
        return rest.is_empty();
    };
    for piece in middle {
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn a_star_stands_for_anything() {
        assert!(fits("@_irc_*:example.org", "@_irc_bob:example.org"));
        assert!(fits("@a:b", "@a:b"));
        assert!(!fits("@a:b", "@a:bc"));
        assert!(!fits("@_irc_*:example.org", "@bob:example.org"));
        assert!(fits("*bot*", "@the.bot.of:x"));
        assert!(!fits("ab*b", "ab"));
    }
}
