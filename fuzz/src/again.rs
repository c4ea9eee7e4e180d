//! What was read, as it would be written.

use crate::domain::{
    IncomingContent, IncomingMessage, MessageContext, MessageRef, OutgoingContent, Quote,
    RemoteUserId,
};

/// What `sender` would have to send to the login (whose address is `own`) for this to be read of it; `None` for what is not read
/// in full.
pub fn to_send(
    read: &IncomingMessage,
    sender: &RemoteUserId,
    own: &RemoteUserId,
) -> Option<(OutgoingContent, MessageContext)> {
    let swap = |message: &MessageRef| MessageRef {
        id: message.id.clone(),
        sender: match &message.sender {
            None => Some(own.clone()),
            Some(author) => Some(author.clone()).filter(|author| author != sender),
        },
    };
    let mut context = read.context.clone();
    if std::mem::take(&mut context.mentions_login) {
        context.mentions.push(own.clone());
    }
    context.quote = context.quote.map(|quote| Quote {
        message: swap(&quote.message),
        ..quote
    });
    let content = match read.content.clone() {
        IncomingContent::Text { body, preview } => OutgoingContent::Text { body, preview },
        IncomingContent::Media {
            details,
            file,
            caption,
        } => OutgoingContent::Media {
            details,
            file: file?,
            caption,
        },
        IncomingContent::Reaction { target, emoji } => OutgoingContent::Reaction {
            target: swap(&target),
            emoji,
        },
        IncomingContent::Edit { target, content } => match *content {
            IncomingContent::Text {
                body,
                preview: None,
            } => OutgoingContent::Edit {
                target: target.id,
                body,
                caption_of: None,
            },
            _ => return None,
        },
        IncomingContent::Revoke { target } if target.sender.as_ref() == Some(sender) => {
            OutgoingContent::Revoke {
                target: MessageRef {
                    sender: None,
                    ..target
                },
            }
        }
        // The older form of a live location has an address, the one that is written has none.
        IncomingContent::Location(place) if place.live && place.address.is_some() => return None,
        IncomingContent::Location(place) => OutgoingContent::Location(place),
        IncomingContent::Contacts(cards) => OutgoingContent::Contacts(cards),
        IncomingContent::Poll(poll) => OutgoingContent::Poll(poll),
        IncomingContent::Timer { seconds } => OutgoingContent::Timer { seconds },
        IncomingContent::Revoke { .. }
        | IncomingContent::PollVote { .. }
        | IncomingContent::Undecryptable
        | IncomingContent::IdentityChanged
        | IncomingContent::Call { .. }
        | IncomingContent::GatekeeperNotice { .. }
        | IncomingContent::Nothing
        | IncomingContent::Unsupported { .. } => return None,
    };
    Some((content, context))
}
