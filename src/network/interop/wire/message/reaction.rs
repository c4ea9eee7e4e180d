//! Reactions: `reactionMessage=46{key=1, text=2, senderTimestampMs=4}`; an empty text takes back.

use waproto::{
    buffa::MessageField,
    whatsapp::{Message, message::ReactionMessage},
};

use super::{Encoding, Reading, key, read::unsupported};
use crate::domain::{IncomingContent, IncomingMessage, MessageContext, MessageRef};

pub(super) fn build(target: &MessageRef, emoji: &str, how: &Encoding<'_>) -> Message {
    Message {
        reaction_message: MessageField::some(ReactionMessage {
            key: MessageField::some(key::build(&target.id, target.sender.as_ref(), how)),
            text: Some(emoji.to_owned()),
            sender_timestamp_ms: Some(how.now.0),
            ..ReactionMessage::default()
        }),
        ..Message::default()
    }
}

pub(super) fn read(message: &mut Message, reading: Reading<'_>) -> Option<IncomingMessage> {
    let reaction = message.reaction_message.take()?;
    let Some(target) = key::read(reaction.key.as_option(), reading) else {
        return Some(unsupported("reaction"));
    };
    Some(IncomingMessage {
        content: IncomingContent::Reaction {
            target,
            emoji: reaction.text.unwrap_or_default(),
        },
        context: MessageContext::default(),
    })
}
