//! What the stanza around a message says about its kind, so that a server and a phone can treat it before it is decrypted.

use super::read;
use crate::domain::{IncomingContent, LinkPreview, MediaKind, OutgoingContent, RemoteUserId};

/// The attributes of `<message type= edit=><enc mediatype= decrypt-fail=>`. Which a Partner's messages need is not public; these are
/// the ones of the gatekeeper's own clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Envelope {
    /// `type`: `text`, `media`, `reaction` or `poll`.
    pub kind: &'static str,
    /// `mediatype`, if there is one.
    pub mediatype: Option<&'static str>,
    /// `edit`: `1` for an edit, `7` for what takes back a message or reaction of one's own, `8` for somebody else's message.
    pub edit: Option<&'static str>,
    /// Whether a phone is to say nothing if it cannot decrypt it (`decrypt-fail="hide"`).
    pub decrypt_fail_hide: bool,
}

impl Envelope {
    const TEXT: Self = Self {
        kind: "text",
        mediatype: None,
        edit: None,
        decrypt_fail_hide: false,
    };

    /// The envelope of an outgoing message.
    #[must_use]
    pub fn of(content: &OutgoingContent) -> Self {
        match content {
            OutgoingContent::Text { preview, .. } => Self::of_text(preview.as_ref()),
            OutgoingContent::Media { details, .. } => Self::of_media(details.kind),
            OutgoingContent::Reaction { emoji, .. } => Self::of_reaction(emoji),
            OutgoingContent::Edit { .. } => Self::change("1"),
            OutgoingContent::Revoke { target } => Self::of_revoke(target.sender.is_none()),
            OutgoingContent::Location(location) => Self::of_location(location.live),
            OutgoingContent::Contacts(cards) => Self::of_contacts(cards.len()),
            OutgoingContent::Poll(_) => Self::poll(false),
            OutgoingContent::PollVote { .. } => Self::poll(true),
            OutgoingContent::Timer { .. } => Self::TEXT,
        }
    }

    /// The envelope of a message that was encoded before, for when it is sent again.
    ///
    /// # Panics
    /// Never: the name it reads the message under is one.
    #[must_use]
    pub fn of_plaintext(plaintext: &[u8]) -> Self {
        let sender = RemoteUserId::parse("self").expect("a valid id");
        match &read(plaintext, &sender, "").content {
            IncomingContent::Text { preview, .. } => Self::of_text(preview.as_ref()),
            IncomingContent::Media { details, .. } => Self::of_media(details.kind),
            IncomingContent::Reaction { emoji, .. } => Self::of_reaction(emoji),
            IncomingContent::Edit { .. } => Self::change("1"),
            IncomingContent::Revoke { target } => {
                Self::of_revoke(target.sender.as_ref() == Some(&sender))
            }
            IncomingContent::Location(location) => Self::of_location(location.live),
            IncomingContent::Contacts(cards) => Self::of_contacts(cards.len()),
            IncomingContent::Poll(_) => Self::poll(false),
            IncomingContent::PollVote { .. } => Self::poll(true),
            IncomingContent::Timer { .. }
            | IncomingContent::Undecryptable
            | IncomingContent::IdentityChanged
            | IncomingContent::Call { .. }
            | IncomingContent::GatekeeperNotice { .. }
            | IncomingContent::Nothing
            | IncomingContent::Unsupported { .. } => Self::TEXT,
        }
    }

    fn media(mediatype: &'static str) -> Self {
        Self {
            kind: "media",
            mediatype: Some(mediatype),
            ..Self::TEXT
        }
    }

    fn change(edit: &'static str) -> Self {
        Self {
            edit: Some(edit),
            decrypt_fail_hide: true,
            ..Self::TEXT
        }
    }

    fn of_revoke(own: bool) -> Self {
        Self::change(if own { "7" } else { "8" })
    }

    fn poll(vote: bool) -> Self {
        Self {
            kind: "poll",
            decrypt_fail_hide: vote,
            ..Self::TEXT
        }
    }

    fn of_text(preview: Option<&LinkPreview>) -> Self {
        let title = preview.and_then(|preview| preview.title.as_deref());
        let titled = title.is_some_and(|title| !title.is_empty());
        if titled {
            Self::media("url")
        } else {
            Self::TEXT
        }
    }

    fn of_media(kind: MediaKind) -> Self {
        Self::media(match kind {
            MediaKind::Image => "image",
            MediaKind::Video => "video",
            MediaKind::Gif => "gif",
            MediaKind::Audio => "audio",
            MediaKind::Voice => "ptt",
            MediaKind::File => "document",
            MediaKind::Sticker => "sticker",
        })
    }

    fn of_reaction(emoji: &str) -> Self {
        Self {
            kind: "reaction",
            edit: emoji.is_empty().then_some("7"),
            decrypt_fail_hide: true,
            ..Self::TEXT
        }
    }

    fn of_location(live: bool) -> Self {
        Self::media(if live { "livelocation" } else { "location" })
    }

    fn of_contacts(cards: usize) -> Self {
        Self::media(if cards == 1 { "vcard" } else { "contact_array" })
    }
}
