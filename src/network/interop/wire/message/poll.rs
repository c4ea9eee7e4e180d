//! Polls: `pollCreationMessage=49` (`60` in announcement groups, `64` with one choice){name=2, options=3{optionName=1},
//! selectableOptionsCount=4, contextInfo=5} with the secret in `messageContextInfo=35{messageSecret=3}`, and votes:
//! `pollUpdateMessage=50{pollCreationMessageKey=1, vote=2{encPayload=1, encIv=2}, senderTimestampMs=4}`.

use std::collections::HashSet;

use waproto::{
    buffa::MessageField,
    whatsapp::{
        ContextInfo, Message, MessageContextInfo,
        message::{
            PollCreationMessage, PollEncValue, PollUpdateMessage,
            poll_creation_message::Option as PollOption,
        },
    },
};

use super::{Encoding, Reading, context, key, read::unsupported};
use crate::{
    domain::{
        EncryptedVote, IncomingContent, IncomingMessage, MessageContext, MessageRef, Poll,
        RemoteUserId,
    },
    network::interop::wire,
};

pub(super) fn build(poll: &Poll, context: MessageField<ContextInfo>) -> Message {
    let creation = MessageField::some(PollCreationMessage {
        name: Some(poll.question.clone()),
        options: poll
            .options
            .iter()
            .map(|option| PollOption {
                option_name: Some(option.clone()),
                ..PollOption::default()
            })
            .collect(),
        selectable_options_count: Some(poll.selectable),
        context_info: context,
        ..PollCreationMessage::default()
    });
    let mut message = Message {
        message_context_info: poll
            .secret
            .map(|secret| MessageContextInfo {
                message_secret: Some(secret.to_vec()),
                ..MessageContextInfo::default()
            })
            .into(),
        ..Message::default()
    };
    if poll.selectable == 1 {
        message.poll_creation_message_v3 = creation;
    } else {
        message.poll_creation_message = creation;
    }
    message
}

pub(super) fn vote(
    poll: &MessageRef,
    secret: &[u8; 32],
    choices: &[String],
    how: &Encoding<'_>,
) -> Message {
    let author = poll.sender.as_ref().map_or(how.own, RemoteUserId::as_str);
    let vote = wire::poll::seal(secret, (&poll.id, author), how.own, choices, how.nonce);
    Message {
        poll_update_message: MessageField::some(PollUpdateMessage {
            poll_creation_message_key: MessageField::some(key::build(
                &poll.id,
                poll.sender.as_ref(),
                how,
            )),
            vote: MessageField::some(PollEncValue {
                enc_payload: Some(vote.payload),
                enc_iv: Some(vote.iv),
            }),
            sender_timestamp_ms: Some(how.now.0),
            ..PollUpdateMessage::default()
        }),
        ..Message::default()
    }
}

/// A poll. `secret` is what the message says elsewhere.
pub(super) fn read(
    message: &mut Message,
    secret: Option<[u8; 32]>,
    reading: Reading<'_>,
) -> Option<IncomingMessage> {
    let creation = [
        &mut message.poll_creation_message,
        &mut message.poll_creation_message_v2,
        &mut message.poll_creation_message_v3,
        &mut message.poll_creation_message_v5,
        &mut message.poll_creation_message_v6,
    ]
    .into_iter()
    .find_map(MessageField::take)?;
    let mut seen = HashSet::new();
    let mut options: Vec<String> = creation
        .options
        .into_iter()
        .filter_map(|option| option.option_name)
        .collect();
    // Votes name an option by its text, so the same text twice is one option.
    options.retain(|option| seen.insert(option.clone()));
    if options.is_empty() {
        return Some(unsupported("poll"));
    }
    Some(IncomingMessage {
        content: IncomingContent::Poll(Poll {
            question: creation.name.unwrap_or_default(),
            options,
            selectable: creation.selectable_options_count.unwrap_or(0),
            secret,
        }),
        context: context::read(creation.context_info, reading),
    })
}

pub(super) fn read_vote(message: &mut Message, reading: Reading<'_>) -> Option<IncomingMessage> {
    let update = message.poll_update_message.take()?;
    let poll = key::read(update.poll_creation_message_key.as_option(), reading);
    let vote = update.vote.into_option();
    let vote = vote.and_then(|vote| Some((vote.enc_payload?, vote.enc_iv?)));
    let (Some(poll), Some((payload, iv))) = (poll, vote) else {
        return Some(unsupported("poll_vote"));
    };
    Some(IncomingMessage {
        content: IncomingContent::PollVote {
            poll,
            vote: EncryptedVote { payload, iv },
        },
        context: MessageContext::default(),
    })
}
