//! Outgoing messages to bytes.

use waproto::{codec, whatsapp::Message};

use super::{Encoding, contact, context, location, media, poll, protocol, reaction, text};
use crate::domain::{MessageContext, OutgoingContent};

/// The `Message` of an outgoing message. What goes with it is left out where there is no field for it: with reactions, revokes,
/// votes and timers, as is a caption of sound or of a sticker.
#[must_use]
pub fn encode(content: &OutgoingContent, context: &MessageContext, how: &Encoding<'_>) -> Vec<u8> {
    codec::message_to_vec(&message(content, context, how))
}

fn message(content: &OutgoingContent, context: &MessageContext, how: &Encoding<'_>) -> Message {
    let context = context::build(context, how);
    match content {
        OutgoingContent::Text { body, preview } => text::build(body, preview.as_ref(), context),
        OutgoingContent::Media {
            details,
            file,
            caption,
        } => media::build(details, file, caption.as_deref(), context, how),
        OutgoingContent::Reaction { target, emoji } => reaction::build(target, emoji, how),
        OutgoingContent::Edit {
            target,
            body,
            caption_of,
        } => protocol::edit(target, body, *caption_of, context, how),
        OutgoingContent::Revoke { target } => protocol::revoke(target, how),
        OutgoingContent::Location(place) => location::build(place, context),
        OutgoingContent::Contacts(cards) => contact::build(cards, context),
        OutgoingContent::Poll(poll) => poll::build(poll, context),
        OutgoingContent::PollVote {
            poll,
            secret,
            choices,
        } => poll::vote(poll, secret, choices, how),
        OutgoingContent::Timer { seconds } => protocol::timer(*seconds, how),
    }
}
