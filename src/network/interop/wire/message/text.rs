//! Text: `conversation=1`, or `extendedTextMessage=6{text=1, matchedText=2, description=5, title=6, jpegThumbnail=16,
//! contextInfo=17}` when there is more to say.

use waproto::{
    buffa::MessageField,
    codec,
    whatsapp::{
        ContextInfo, Message,
        message::{ExtendedTextMessage, extended_text_message::PreviewType},
    },
};

use super::{Reading, context};
use crate::domain::{IncomingContent, IncomingMessage, LinkPreview, MessageContext, MessageRef};

/// A text message. `own` is the sender's own address, which a quote of its own message names.
#[must_use]
pub fn text(body: &str, quote: Option<&MessageRef>, own: Option<&str>) -> Vec<u8> {
    let context = quote.map(|quote| context::quoting(quote, None, own));
    codec::message_to_vec(&build(body, None, context.into()))
}

pub(super) fn build(
    body: &str,
    preview: Option<&LinkPreview>,
    context: MessageField<ContextInfo>,
) -> Message {
    if preview.is_none() && context.is_unset() {
        return Message {
            conversation: Some(body.to_owned()),
            ..Message::default()
        };
    }
    let mut text = ExtendedTextMessage {
        text: Some(body.to_owned()),
        context_info: context,
        ..ExtendedTextMessage::default()
    };
    if let Some(preview) = preview {
        text.matched_text = Some(preview.url.clone());
        text.title.clone_from(&preview.title);
        text.description.clone_from(&preview.description);
        text.jpeg_thumbnail.clone_from(&preview.thumbnail);
        text.preview_type = Some(PreviewType::NONE);
    }
    Message {
        extended_text_message: MessageField::some(text),
        ..Message::default()
    }
}

pub(super) fn read(message: &mut Message, reading: Reading<'_>) -> Option<IncomingMessage> {
    if let Some(body) = message.conversation.take() {
        return Some(IncomingMessage {
            content: IncomingContent::Text {
                body,
                preview: None,
            },
            context: MessageContext::default(),
        });
    }
    let text = message.extended_text_message.take()?;
    let preview = text
        .matched_text
        .filter(|url| !url.is_empty())
        .map(|url| LinkPreview {
            url,
            title: text.title.filter(|title| !title.is_empty()),
            description: text.description.filter(|text| !text.is_empty()),
            thumbnail: text.jpeg_thumbnail.filter(|jpeg| !jpeg.is_empty()),
        });
    Some(IncomingMessage {
        content: IncomingContent::Text {
            body: text.text.unwrap_or_default(),
            preview,
        },
        context: context::read(text.context_info, reading),
    })
}
