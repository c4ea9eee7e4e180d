//! The `Message` protobuf inside the end-to-end encryption, and its padding.
//!
//! Text is `conversation=1`, or `extendedTextMessage=6{text=1, contextInfo=17{stanzaId=1, participant=2,
//! quotedMessage=3}}` when it quotes. Padding is n bytes of value n, 1 to 16.

use waproto::{
    buffa::MessageField,
    codec,
    whatsapp::{
        ContextInfo, Message,
        message::{ExtendedTextMessage, FutureProofMessage, protocol_message},
    },
};

use super::Jid;
use crate::domain::{
    ChatId, IncomingContent, IncomingMessage, MessageContext, MessageRef, OutgoingContent, Quote,
    RemoteUserId, StanzaId, Timestamp,
};

/// Messages in messages (disappearing, view once, …) that are looked into.
const MAX_WRAPPERS: usize = 4;

/// A decrypted message that is not padded as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the decrypted message is not padded as it should be")]
pub struct PaddingError;

/// What an outgoing message says besides its content: to whom, as whom, when, and a nonce for what is encrypted inside it.
#[derive(Debug, Clone, Copy)]
pub struct Encoding<'a> {
    /// The chat.
    pub chat: &'a ChatId,
    /// The login's own address at the gatekeeper.
    pub own: &'a str,
    /// The present.
    pub now: Timestamp,
    /// A nonce that is used once.
    pub nonce: [u8; 12],
}

/// The `Message` of an outgoing message.
#[must_use]
pub fn encode(content: &OutgoingContent, context: &MessageContext, how: &Encoding<'_>) -> Vec<u8> {
    match content {
        OutgoingContent::Text { body, .. } => {
            let quote = context.quote.as_ref().map(|quote| &quote.message);
            text(body, quote, Some(how.own))
        }
        _ => Vec::new(),
    }
}

/// A text message. `own` is the login's own address, which a quote of its own message names.
#[must_use]
pub fn text(body: &str, quote: Option<&MessageRef>, own: Option<&str>) -> Vec<u8> {
    let Some(quote) = quote else {
        return codec::message_to_vec(&Message {
            conversation: Some(body.to_owned()),
            ..Message::default()
        });
    };
    let participant = quote.sender.as_ref().map(RemoteUserId::as_str).or(own);
    // The quoted text is not repeated: the recipient has the message itself.
    let quoted = Message {
        conversation: Some(String::new()),
        ..Message::default()
    };
    let context = ContextInfo {
        stanza_id: Some(quote.id.as_str().to_owned()),
        participant: participant.map(str::to_owned),
        quoted_message: MessageField::some(quoted),
        ..ContextInfo::default()
    };
    codec::message_to_vec(&Message {
        extended_text_message: MessageField::some(ExtendedTextMessage {
            text: Some(body.to_owned()),
            context_info: MessageField::some(context),
            ..ExtendedTextMessage::default()
        }),
        ..Message::default()
    })
}

/// What a message says. Every kind but text is [`IncomingContent::Unsupported`], as are bytes that are no message.
#[must_use]
pub fn read(plaintext: &[u8], _sender: &RemoteUserId) -> IncomingMessage {
    match codec::message_decode(plaintext) {
        Ok(message) => content(message, 0),
        Err(_) => unsupported("malformed"),
    }
}

/// Pads a message with `n` bytes, brought into 1 to 16.
#[must_use]
pub fn pad(mut plaintext: Vec<u8>, n: u8) -> Vec<u8> {
    let n = n.clamp(1, 16);
    plaintext.resize(plaintext.len() + usize::from(n), n);
    plaintext
}

/// A message without its padding.
///
/// # Errors
/// If it is not padded as it should be.
pub fn unpad(padded: &[u8]) -> Result<&[u8], PaddingError> {
    let n = *padded.last().ok_or(PaddingError)?;
    if !(1..=16).contains(&n) {
        return Err(PaddingError);
    }
    let at = padded
        .len()
        .checked_sub(usize::from(n))
        .ok_or(PaddingError)?;
    let (plaintext, padding) = padded.split_at(at);
    if padding.iter().any(|byte| *byte != n) {
        return Err(PaddingError);
    }
    Ok(plaintext)
}

fn unsupported(kind: &str) -> IncomingMessage {
    IncomingMessage {
        content: IncomingContent::Unsupported {
            kind: kind.to_owned(),
        },
        context: MessageContext::default(),
    }
}

fn plain(body: String, quote: Option<Quote>) -> IncomingMessage {
    IncomingMessage {
        content: IncomingContent::Text {
            body,
            preview: None,
        },
        context: MessageContext {
            quote,
            ..MessageContext::default()
        },
    }
}

fn content(message: Message, wrappers: usize) -> IncomingMessage {
    if let Some(body) = message.conversation {
        return plain(body, None);
    }
    if let Some(extended) = message.extended_text_message.into_option() {
        return plain(
            extended.text.unwrap_or_default(),
            extended.context_info.into_option().and_then(quote),
        );
    }
    let inner = [
        message.ephemeral_message,
        message.view_once_message,
        message.view_once_message_v2,
        message.document_with_caption_message,
    ]
    .into_iter()
    .find_map(MessageField::<FutureProofMessage>::into_option)
    .and_then(|wrapper| wrapper.message.into_option())
    .or_else(|| {
        message
            .device_sent_message
            .into_option()?
            .message
            .into_option()
    });
    if let Some(inner) = inner {
        return if wrappers < MAX_WRAPPERS {
            content(inner, wrappers + 1)
        } else {
            unsupported("nested")
        };
    }
    if let Some(protocol) = message.protocol_message.as_option() {
        return unsupported(match protocol.r#type {
            Some(protocol_message::Type::REVOKE) => "revoke",
            Some(protocol_message::Type::MESSAGE_EDIT) => "edit",
            _ => "protocol",
        });
    }
    let kinds = [
        (message.image_message.is_set(), "image"),
        (message.video_message.is_set(), "video"),
        (message.ptv_message.is_set(), "video"),
        (message.audio_message.is_set(), "audio"),
        (message.document_message.is_set(), "document"),
        (message.sticker_message.is_set(), "sticker"),
        (message.reaction_message.is_set(), "reaction"),
        (message.enc_reaction_message.is_set(), "reaction"),
        (message.contact_message.is_set(), "contact"),
        (message.contacts_array_message.is_set(), "contact"),
        (message.location_message.is_set(), "location"),
        (message.live_location_message.is_set(), "location"),
        (message.poll_creation_message.is_set(), "poll"),
        (message.poll_creation_message_v2.is_set(), "poll"),
        (message.poll_creation_message_v3.is_set(), "poll"),
        (message.poll_update_message.is_set(), "poll_vote"),
        (message.edited_message.is_set(), "edit"),
        (message.call.is_set(), "call"),
        (message.event_message.is_set(), "event"),
        (message.group_invite_message.is_set(), "group_invite"),
        (message.pin_in_chat_message.is_set(), "pin"),
        (
            message.sender_key_distribution_message.is_set(),
            "sender_key",
        ),
    ];
    let kind = kinds.iter().find(|(set, _)| *set);
    unsupported(kind.map_or("unknown", |(_, kind)| kind))
}

/// The quote a context names. A Partner's user who is quoted in a chat of a Partner's user is the login itself.
fn quote(context: ContextInfo) -> Option<Quote> {
    let id = StanzaId::parse(context.stanza_id?).ok()?;
    let sender = match context.participant?.parse::<Jid>().ok()?.bare() {
        Jid::Interop { .. } => None,
        user => Some(RemoteUserId::parse(user.to_string()).ok()?),
    };
    Some(Quote {
        message: MessageRef { id, sender },
        text: None,
    })
}
