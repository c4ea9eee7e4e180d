//! What a gatekeeper can carry, as a value of its profile; `translate` decides by it alone.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::MediaKind;

/// What one gatekeeper takes and gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a key of the profile that is switched by itself"
)]
pub struct Capabilities {
    /// Longest text of one message, in Unicode scalar values; longer texts are split.
    pub max_text_chars: usize,
    /// Whether delivery and read receipts are exchanged.
    pub receipts: bool,
    /// Whether a message can quote an earlier one.
    pub replies: bool,
    /// Whether it is told who is writing.
    pub typing: bool,
    /// Whether it is told who is there.
    pub presence: bool,
    /// Whether there are reactions, one a user and message.
    pub reactions: bool,
    /// How old a message may be that is edited, in seconds; 0 where messages cannot be edited.
    pub edit_seconds: u64,
    /// How old a message may be that is deleted for everybody, in seconds; 0 where messages cannot be deleted.
    pub delete_seconds: u64,
    /// Whether the admins of a group delete what others wrote there.
    pub admin_deletes: bool,
    /// Whether places can be sent.
    pub locations: bool,
    /// Whether contact cards can be sent.
    pub contacts: bool,
    /// The most options of a poll; 0 where there are no polls.
    pub poll_options: usize,
    /// Whether a message can say what a link in it leads to.
    pub link_previews: bool,
    /// The times after which messages of a chat can be made to disappear, in seconds; none where they cannot.
    pub timers: Vec<u32>,
    /// The most members of a group the login can write to; 0 where there are no groups.
    pub group_members: usize,
    /// Whether people and groups have pictures.
    pub pictures: bool,
    /// Whether somebody who takes no messages of other apps can be asked to.
    pub reachability: bool,
    /// The kinds of files that are taken, and which.
    pub media: BTreeMap<MediaKind, MediaRule>,
}

/// Which files of one kind a gatekeeper takes; without more said, none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MediaRule {
    /// The largest, in bytes.
    pub max_bytes: u64,
    /// The MIME types, without parameters; `*/*` for all of them.
    pub mime_types: Vec<String>,
    /// Whether there can be a text under it.
    pub captions: bool,
}

impl Default for Capabilities {
    fn default() -> Self {
        Self {
            max_text_chars: 60_000,
            receipts: true,
            replies: true,
            typing: true,
            presence: true,
            reactions: true,
            edit_seconds: 15 * 60,
            delete_seconds: 2 * 24 * 60 * 60,
            admin_deletes: true,
            locations: true,
            contacts: true,
            poll_options: 12,
            link_previews: true,
            timers: vec![86_400, 604_800, 7_776_000],
            group_members: 1024,
            pictures: true,
            reachability: true,
            media: default_media(),
        }
    }
}

impl Capabilities {
    /// The rule for a kind of file of a MIME type (parameters do not matter); `None` if such a file is not taken as that kind.
    #[must_use]
    pub fn media_rule(&self, kind: MediaKind, mime_type: &str) -> Option<&MediaRule> {
        let plain = mime_type.split(';').next().unwrap_or_default().trim();
        self.media.get(&kind).filter(|rule| {
            rule.mime_types
                .iter()
                .any(|taken| taken == "*/*" || taken.eq_ignore_ascii_case(plain))
        })
    }
}

fn default_media() -> BTreeMap<MediaKind, MediaRule> {
    const MB: u64 = 1024 * 1024;
    let rule = |max_bytes, mime_types: &[&str], captions| MediaRule {
        max_bytes,
        mime_types: mime_types.iter().map(|&taken| taken.to_owned()).collect(),
        captions,
    };
    [
        (
            MediaKind::Image,
            rule(16 * MB, &["image/jpeg", "image/png", "image/webp"], true),
        ),
        (
            MediaKind::Video,
            rule(100 * MB, &["video/mp4", "video/3gpp"], true),
        ),
        (MediaKind::Gif, rule(16 * MB, &["video/mp4"], true)),
        (
            MediaKind::Audio,
            rule(
                100 * MB,
                &[
                    "audio/ogg",
                    "audio/mp4",
                    "audio/mpeg",
                    "audio/aac",
                    "audio/amr",
                ],
                false,
            ),
        ),
        (MediaKind::Voice, rule(16 * MB, &["audio/ogg"], false)),
        (MediaKind::File, rule(100 * MB, &["*/*"], true)),
        (MediaKind::Sticker, rule(MB, &["image/webp"], false)),
    ]
    .into()
}
