//! Contact cards: `contactMessage=4{displayName=1, vcard=16, contextInfo=17}`, or several in `contactsArrayMessage=13{displayName=1,
//! contacts=2, contextInfo=17}`.

use waproto::{
    buffa::MessageField,
    whatsapp::{
        ContextInfo, Message,
        message::{ContactMessage, ContactsArrayMessage},
    },
};

use super::{Reading, context, read::unsupported};
use crate::domain::{ContactCard, IncomingContent, IncomingMessage};

pub(super) fn build(cards: &[ContactCard], context: MessageField<ContextInfo>) -> Message {
    let card = |card: &ContactCard| ContactMessage {
        display_name: Some(card.name.clone()),
        vcard: Some(card.vcard.clone()),
        ..ContactMessage::default()
    };
    if let [only] = cards {
        return Message {
            contact_message: MessageField::some(ContactMessage {
                context_info: context,
                ..card(only)
            }),
            ..Message::default()
        };
    }
    Message {
        contacts_array_message: MessageField::some(ContactsArrayMessage {
            display_name: Some(format!("{} contacts", cards.len())),
            contacts: cards.iter().map(card).collect(),
            context_info: context,
        }),
        ..Message::default()
    }
}

pub(super) fn read(message: &mut Message, reading: Reading<'_>) -> Option<IncomingMessage> {
    let (cards, context) = if let Some(mut card) = message.contact_message.take() {
        let context = std::mem::take(&mut card.context_info);
        (vec![card], context)
    } else {
        let array = message.contacts_array_message.take()?;
        (array.contacts, array.context_info)
    };
    if cards.is_empty() {
        return Some(unsupported("contact"));
    }
    let cards = cards.into_iter().map(|card| ContactCard {
        name: card.display_name.unwrap_or_default(),
        vcard: card.vcard.unwrap_or_default(),
    });
    Some(IncomingMessage {
        content: IncomingContent::Contacts(cards.collect()),
        context: context::read(context, reading),
    })
}
