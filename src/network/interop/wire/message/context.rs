//! `ContextInfo{stanzaId=1, participant=2, quotedMessage=3, mentionedJid=15, expiration=25, nonJidMentions=70}`: what a message
//! says besides its content.

use waproto::{
    buffa::MessageField,
    whatsapp::{ContextInfo, Message},
};

use super::{
    Encoding, Reading,
    key::{Party, party},
    read::shown,
};
use crate::domain::{IncomingContent, MessageContext, MessageRef, Quote, RemoteUserId, StanzaId};

/// The context of an outgoing message; unset if there is none.
pub(super) fn build(context: &MessageContext, how: &Encoding<'_>) -> MessageField<ContextInfo> {
    let mut info = match &context.quote {
        Some(quote) => quoting(&quote.message, quote.text.as_deref(), Some(how.own)),
        None => ContextInfo::default(),
    };
    info.mentioned_jid = context
        .mentions
        .iter()
        .map(|user| user.as_str().to_owned())
        .collect();
    info.non_jid_mentions = context.mentions_room.then_some(1);
    info.expiration = context.expires_after.filter(|seconds| *seconds > 0);
    if info == ContextInfo::default() {
        MessageField::none()
    } else {
        MessageField::some(info)
    }
}

/// The context that quotes a message. `own` is the sender's own address, which a quote of an own message names.
pub(super) fn quoting(message: &MessageRef, text: Option<&str>, own: Option<&str>) -> ContextInfo {
    let participant = message.sender.as_ref().map(RemoteUserId::as_str).or(own);
    // Without the text the recipient still has the message itself.
    let quoted = Message {
        conversation: Some(text.unwrap_or_default().to_owned()),
        ..Message::default()
    };
    ContextInfo {
        stanza_id: Some(message.id.as_str().to_owned()),
        participant: participant.map(str::to_owned),
        quoted_message: MessageField::some(quoted),
        ..ContextInfo::default()
    }
}

/// What a context says.
pub(super) fn read(context: MessageField<ContextInfo>, reading: Reading<'_>) -> MessageContext {
    let Some(info) = context.into_option() else {
        return MessageContext::default();
    };
    let mut context = MessageContext {
        mentions_room: info.non_jid_mentions.is_some_and(|groups| groups > 0),
        expires_after: info.expiration.filter(|seconds| *seconds > 0),
        ..MessageContext::default()
    };
    for address in &info.mentioned_jid {
        match party(address, reading) {
            Some(Party::Login) => context.mentions_login = true,
            Some(Party::User(user)) => context.mentions.push(user),
            None => {}
        }
    }
    context.quote = quote(info, reading);
    context
}

fn quote(info: ContextInfo, reading: Reading<'_>) -> Option<Quote> {
    let id = StanzaId::parse(info.stanza_id?).ok()?;
    let author = match party(&info.participant?, reading)? {
        Party::Login => None,
        Party::User(user) => Some(user),
    };
    Some(Quote {
        message: MessageRef { id, sender: author },
        text: info
            .quoted_message
            .into_option()
            .and_then(|quoted| words(quoted, reading)),
    })
}

/// A quoted message in words.
fn words(mut message: Message, reading: Reading<'_>) -> Option<String> {
    let words = match shown(&mut message, reading)?.content {
        IncomingContent::Text { body, .. } => body,
        IncomingContent::Media {
            details, caption, ..
        } => caption.unwrap_or_else(|| details.kind.noun().to_owned()),
        IncomingContent::Location(location) => location.name.unwrap_or_else(|| {
            let words = if location.live {
                "a live location"
            } else {
                "a location"
            };
            words.to_owned()
        }),
        IncomingContent::Contacts(cards) => match &cards[..] {
            [_] => "a contact card".to_owned(),
            _ => "contact cards".to_owned(),
        },
        IncomingContent::Poll(poll) => poll.question,
        _ => return None,
    };
    (!words.is_empty()).then_some(words)
}
