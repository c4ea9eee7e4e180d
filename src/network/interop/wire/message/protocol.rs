//! What changes earlier messages or the chat: `protocolMessage=12{key=1, type=2, ephemeralExpiration=4,
//! ephemeralSettingTimestamp=5, editedMessage=14, timestampMs=15}`, an edit within `editedMessage=58{message=1}`.
//!
//! Most other types are talk between a user's own devices.

use waproto::{
    buffa::MessageField,
    whatsapp::{
        ContextInfo, Message,
        message::{FutureProofMessage, ProtocolMessage, protocol_message::Type},
    },
};

use super::{
    Encoding, Reading, key, media,
    read::{self, nothing, unsupported},
    text,
};
use crate::domain::{
    IncomingContent, IncomingMessage, MediaKind, MessageContext, MessageRef, StanzaId,
};

pub(super) fn revoke(target: &MessageRef, how: &Encoding<'_>) -> Message {
    protocol(ProtocolMessage {
        key: MessageField::some(key::build(&target.id, target.sender.as_ref(), how)),
        r#type: Some(Type::REVOKE),
        ..ProtocolMessage::default()
    })
}

pub(super) fn edit(
    target: &StanzaId,
    body: &str,
    caption_of: Option<MediaKind>,
    context: MessageField<ContextInfo>,
    how: &Encoding<'_>,
) -> Message {
    let edited = match caption_of.filter(|kind| media::has_caption(*kind)) {
        Some(kind) => media::caption(kind, body, context),
        None => text::build(body, None, context),
    };
    let edit = protocol(ProtocolMessage {
        key: MessageField::some(key::build(target, None, how)),
        r#type: Some(Type::MESSAGE_EDIT),
        edited_message: MessageField::some(edited),
        timestamp_ms: Some(how.now.0),
        ..ProtocolMessage::default()
    });
    Message {
        edited_message: MessageField::some(FutureProofMessage {
            message: MessageField::some(edit),
        }),
        ..Message::default()
    }
}

pub(super) fn timer(seconds: u32, how: &Encoding<'_>) -> Message {
    protocol(ProtocolMessage {
        r#type: Some(Type::EPHEMERAL_SETTING),
        ephemeral_expiration: Some(seconds),
        ephemeral_setting_timestamp: Some(how.now.seconds()),
        ..ProtocolMessage::default()
    })
}

fn protocol(message: ProtocolMessage) -> Message {
    Message {
        protocol_message: MessageField::some(message),
        ..Message::default()
    }
}

pub(super) fn read(message: &mut Message, reading: Reading<'_>) -> Option<IncomingMessage> {
    let protocol = message.protocol_message.take()?;
    let target = key::read(protocol.key.as_option(), reading);
    let plain = |content| IncomingMessage {
        content,
        context: MessageContext::default(),
    };
    Some(match protocol.r#type {
        Some(Type::REVOKE) => match target {
            Some(target) => plain(IncomingContent::Revoke { target }),
            None => unsupported("revoke"),
        },
        Some(Type::MESSAGE_EDIT) => {
            let new = protocol
                .edited_message
                .into_option()
                .and_then(|edited| new_text(edited, reading));
            // Nobody edits what somebody else wrote.
            let target = target.filter(|target| target.sender.as_ref() == Some(reading.sender));
            match (target, new) {
                (Some(target), Some(new)) => IncomingMessage {
                    content: IncomingContent::Edit {
                        target,
                        content: Box::new(new.content),
                    },
                    context: new.context,
                },
                _ => unsupported("edit"),
            }
        }
        Some(Type::EPHEMERAL_SETTING) => plain(IncomingContent::Timer {
            seconds: protocol.ephemeral_expiration.unwrap_or(0),
        }),
        Some(Type::SHARE_PHONE_NUMBER) => unsupported("phone_number"),
        Some(Type::REMINDER_MESSAGE) => unsupported("reminder"),
        Some(Type::STATUS_MENTION_MESSAGE) => unsupported("status"),
        Some(Type::LIMIT_SHARING) => unsupported("limit_sharing"),
        // A type of a schema to come may be meant for a person.
        None => unsupported("protocol"),
        Some(_) => nothing(),
    })
}

/// What an edited message says from now on, if that is a text or a file's caption.
fn new_text(mut edited: Message, reading: Reading<'_>) -> Option<IncomingMessage> {
    read::shown(&mut edited, reading).filter(|new| {
        matches!(
            new.content,
            IncomingContent::Text { .. } | IncomingContent::Media { .. }
        )
    })
}
