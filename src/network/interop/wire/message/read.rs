//! Bytes that anybody may have written to what they say.

use waproto::{codec, whatsapp::Message};

use super::{
    MAX_LENGTH, Reading, contact, kinds, location, media, poll, protocol, reaction, text, wrappers,
};
use crate::domain::{IncomingContent, IncomingMessage, MessageContext, RemoteUserId};

/// What a message of `sender`'s says to the login that the gatekeeper calls `own`. Bytes that are no message, and kinds that are not
/// carried, are [`IncomingContent::Unsupported`].
#[must_use]
pub fn read(plaintext: &[u8], sender: &RemoteUserId, own: &str) -> IncomingMessage {
    if plaintext.len() > MAX_LENGTH {
        return unsupported("oversized");
    }
    match codec::message_decode(plaintext) {
        Ok(mut message) => of_message(&mut message, Reading { sender, own }),
        Err(_) => unsupported("malformed"),
    }
}

fn of_message(message: &mut Message, reading: Reading<'_>) -> IncomingMessage {
    let Some(opened) = wrappers::open(message) else {
        return unsupported("nested");
    };
    if opened.second_form {
        return nothing();
    }
    let edited = opened.edited;
    let read = of_opened(opened, reading);
    if edited && !matches!(read.content, IncomingContent::Edit { .. }) {
        return unsupported("edit");
    }
    read
}

fn of_opened(opened: wrappers::Opened<'_>, reading: Reading<'_>) -> IncomingMessage {
    let wrappers::Opened {
        message,
        view_once,
        secret,
        ..
    } = opened;
    of_shown(message, view_once, secret, reading)
        .or_else(|| protocol::read(message, reading))
        .or_else(|| reaction::read(message, reading))
        .or_else(|| poll::read_vote(message, reading))
        .unwrap_or_else(|| kinds::other(message))
}

/// What a message shows, if it is of a kind that is shown by itself: what can be quoted.
pub(super) fn shown(message: &mut Message, reading: Reading<'_>) -> Option<IncomingMessage> {
    let opened = wrappers::open(message)?;
    of_shown(opened.message, opened.view_once, opened.secret, reading)
}

fn of_shown(
    message: &mut Message,
    view_once: bool,
    secret: Option<[u8; 32]>,
    reading: Reading<'_>,
) -> Option<IncomingMessage> {
    text::read(message, reading)
        .or_else(|| media::read(message, view_once, reading))
        .or_else(|| location::read(message, reading))
        .or_else(|| contact::read(message, reading))
        .or_else(|| poll::read(message, secret, reading))
}

/// A kind of message that is not carried.
pub(super) fn unsupported(kind: &str) -> IncomingMessage {
    IncomingMessage {
        content: IncomingContent::Unsupported {
            kind: kind.to_owned(),
        },
        context: MessageContext::default(),
    }
}

/// A message no person is to see.
pub(super) fn nothing() -> IncomingMessage {
    IncomingMessage {
        content: IncomingContent::Nothing,
        context: MessageContext::default(),
    }
}
