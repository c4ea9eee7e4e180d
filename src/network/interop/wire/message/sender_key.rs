//! The start of a sender key: `senderKeyDistributionMessage=2{groupId=1, axolotlSenderKeyDistributionMessage=2}`, by itself or beside
//! what a message says.

use waproto::{
    buffa::MessageField,
    codec,
    whatsapp::{Message, message::SenderKeyDistributionMessage},
};

use super::MAX_LENGTH;
use crate::domain::ChatId;

/// The `Message` that brings the start of a sender key. Put behind another `Message`, it is a part of that.
#[must_use]
pub fn distribution(group: &ChatId, start: Vec<u8>) -> Vec<u8> {
    codec::message_to_vec(&Message {
        sender_key_distribution_message: MessageField::some(SenderKeyDistributionMessage {
            group_id: Some(group.as_str().to_owned()),
            axolotl_sender_key_distribution_message: Some(start),
        }),
        ..Message::default()
    })
}

/// The start of a sender key in a `Message`, if there is one for this group.
#[must_use]
pub fn distribution_in(plaintext: &[u8], group: &ChatId) -> Option<Vec<u8>> {
    if plaintext.len() > MAX_LENGTH {
        return None;
    }
    let message = codec::message_decode(plaintext).ok()?;
    let brought = message.sender_key_distribution_message.into_option()?;
    (brought.group_id.as_deref() == Some(group.as_str()))
        .then_some(brought.axolotl_sender_key_distribution_message)?
}
