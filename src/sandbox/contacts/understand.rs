//! How a phone reads the messages that come: from `Message` protobufs, whatever they are wrapped in.

use waproto::{
    buffa::MessageField,
    codec,
    whatsapp::{
        ContextInfo, Message as Proto, MessageKey,
        message::{
            ContactMessage, ExtendedTextMessage, FutureProofMessage, PollCreationMessage,
            ProtocolMessage, protocol_message::Type,
        },
    },
};

use super::{
    attachment,
    content::{Card, Composed, Content, Location, Poll, Preview, Target},
    crypt::SealedVote,
};
use crate::domain::{MessageRef, RemoteUserId, StanzaId};

/// Messages in messages that are looked into.
const MOST_WRAPPERS: usize = 4;

/// What was understood.
#[derive(Debug, Default)]
pub(super) struct Understood {
    pub(super) message: Composed,
    /// What the message that is answered said, as this one says.
    pub(super) quoted_text: Option<String>,
    /// The vote, for a vote.
    pub(super) vote: Option<SealedVote>,
}

/// A message without its padding of n bytes of value n.
pub(super) fn unpad(padded: &[u8]) -> Option<&[u8]> {
    let n = *padded.last()?;
    let at = padded.len().checked_sub(usize::from(n))?;
    let (plaintext, padding) = padded.split_at(at);
    let as_it_should_be = (1..=16).contains(&n) && padding.iter().all(|byte| *byte == n);
    as_it_should_be.then_some(plaintext)
}

/// Reads a message without padding. What is no message is [`Content::Other`].
pub(super) fn decode(plaintext: &[u8]) -> Understood {
    match codec::message_decode(plaintext) {
        Ok(proto) => read(proto, 0),
        Err(_) => other("malformed"),
    }
}

/// Who wrote the message that a message is about, as it says; it is said in groups.
pub(super) fn author_of_target(plaintext: &[u8]) -> Option<String> {
    let mut proto = codec::message_decode(plaintext).ok()?;
    for _ in 0..MOST_WRAPPERS {
        let Some(inner) = unwrapped(&mut proto) else {
            break;
        };
        proto = inner;
    }
    let key = if let Some(reaction) = proto.reaction_message.take() {
        reaction.key
    } else if let Some(update) = proto.poll_update_message.take() {
        update.poll_creation_message_key
    } else {
        proto.protocol_message.take()?.key
    };
    key.into_option()?.participant
}

/// A message to be quoted: as it was, without what it quoted itself.
pub(super) fn quotable(plaintext: &[u8]) -> Option<Proto> {
    let mut proto = codec::message_decode(plaintext).ok()?;
    proto.message_context_info = MessageField::none();
    if let Some(extended) = proto.extended_text_message.as_option_mut() {
        extended.context_info = MessageField::none();
    }
    Some(proto)
}

fn other(name: &str) -> Understood {
    let name = name.to_owned();
    Understood {
        message: Composed {
            text: format!("[{name}]"),
            content: Content::Other { name },
            ..Composed::default()
        },
        ..Understood::default()
    }
}

fn read(mut proto: Proto, wrappers: usize) -> Understood {
    if let Some(inner) = unwrapped(&mut proto) {
        return if wrappers < MOST_WRAPPERS {
            read(inner, wrappers + 1)
        } else {
            other("nested")
        };
    }
    if let Some(text) = proto.conversation.take() {
        return said(Content::default(), text, MessageField::none());
    }
    if let Some(extended) = proto.extended_text_message.take() {
        return written(extended);
    }
    if let Some(protocol) = proto.protocol_message.take() {
        return changed(protocol, wrappers);
    }
    if let Some((file, caption, context)) = attachment::decode(&mut proto) {
        return said(Content::File(file), caption, context);
    }
    if let Some(understood) = place(&mut proto) {
        return understood;
    }
    if let Some(card) = proto.contact_message.take() {
        let context = card.context_info.clone();
        let cards = vec![a_card(card)];
        return said(Content::Contacts { cards }, String::new(), context);
    }
    if let Some(array) = proto.contacts_array_message.take() {
        let cards = array.contacts.into_iter().map(a_card).collect();
        return said(
            Content::Contacts { cards },
            String::new(),
            array.context_info,
        );
    }
    if let Some(reaction) = proto.reaction_message.take() {
        let Some(to) = target(reaction.key) else {
            return other("reaction to nothing");
        };
        return said(
            Content::Reaction { to },
            reaction.text.unwrap_or_default(),
            MessageField::none(),
        );
    }
    if let Some(update) = proto.poll_update_message.take() {
        let Some(poll) = target(update.poll_creation_message_key) else {
            return other("vote in nothing");
        };
        let vote = update.vote.into_option().map(|vote| SealedVote {
            payload: vote.enc_payload.unwrap_or_default(),
            iv: vote.enc_iv.unwrap_or_default(),
        });
        let content = Content::Vote {
            poll,
            choices: None,
        };
        return Understood {
            vote,
            ..said(content, String::new(), MessageField::none())
        };
    }
    if let Some(event) = proto.event_message.take() {
        return said(
            Content::Event,
            event.name.unwrap_or_default(),
            event.context_info,
        );
    }
    let secret = proto
        .message_context_info
        .take()
        .and_then(|info| info.message_secret);
    let creation = [
        proto.poll_creation_message,
        proto.poll_creation_message_v2,
        proto.poll_creation_message_v3,
    ];
    match creation.into_iter().find_map(MessageField::into_option) {
        Some(creation) => poll(creation, secret),
        None => other("unknown"),
    }
}

/// The message in a wrapper. The poll's secret is beside a wrapper, so it goes with what is in it.
fn unwrapped(proto: &mut Proto) -> Option<Proto> {
    let wrapper = [
        &mut proto.ephemeral_message,
        &mut proto.view_once_message,
        &mut proto.view_once_message_v2,
        &mut proto.view_once_message_v2_extension,
        &mut proto.document_with_caption_message,
        &mut proto.edited_message,
    ]
    .into_iter()
    .find_map(MessageField::<FutureProofMessage>::take)?;
    let mut inner = wrapper.message.into_option()?;
    if inner.message_context_info.is_unset() {
        inner.message_context_info = std::mem::take(&mut proto.message_context_info);
    }
    Some(inner)
}

/// What was said, with what its context says.
fn said(content: Content, text: String, context: MessageField<ContextInfo>) -> Understood {
    let context = context.into_option().unwrap_or_default();
    let quoted_text = context.quoted_message.into_option().and_then(|quoted| {
        let text = read(quoted, MOST_WRAPPERS).message.text;
        (!text.is_empty()).then_some(text)
    });
    let quotes = context.stanza_id.and_then(|id| {
        Some(MessageRef {
            id: StanzaId::parse(id).ok()?,
            sender: context
                .participant
                .and_then(|author| RemoteUserId::parse(author).ok()),
        })
    });
    Understood {
        quoted_text: quoted_text.filter(|_| quotes.is_some()),
        message: Composed {
            text,
            content,
            quotes,
            mentions: context.mentioned_jid,
            mentions_everybody: context.non_jid_mentions.is_some_and(|some| some > 0),
            expires_after: context.expiration.filter(|seconds| *seconds > 0),
        },
        vote: None,
    }
}

fn written(extended: ExtendedTextMessage) -> Understood {
    let preview = extended.matched_text.map(|url| Preview {
        url,
        title: extended.title.unwrap_or_default(),
        description: extended.description.unwrap_or_default(),
        thumbnail: extended.jpeg_thumbnail.unwrap_or_default(),
    });
    said(
        Content::Text { preview },
        extended.text.unwrap_or_default(),
        extended.context_info,
    )
}

fn changed(protocol: ProtocolMessage, wrappers: usize) -> Understood {
    match protocol.r#type {
        Some(Type::REVOKE) => match target(protocol.key) {
            Some(of) => said(Content::Revoke { of }, String::new(), MessageField::none()),
            None => other("deletion of nothing"),
        },
        Some(Type::MESSAGE_EDIT) => {
            let (Some(of), Some(edited)) =
                (target(protocol.key), protocol.edited_message.into_option())
            else {
                return other("edit of nothing");
            };
            if wrappers >= MOST_WRAPPERS {
                return other("nested");
            }
            let mut understood = read(edited, wrappers + 1);
            let caption_of = understood.message.content.file().map(|file| file.kind);
            understood.message.content = Content::Edit {
                of: of.id,
                caption_of,
            };
            understood
        }
        Some(Type::EPHEMERAL_SETTING) => {
            let seconds = protocol.ephemeral_expiration.unwrap_or(0);
            said(
                Content::Timer { seconds },
                String::new(),
                MessageField::none(),
            )
        }
        _ => other("protocol"),
    }
}

/// The message a key names. A key's `from_me` is seen from who wrote it: what they wrote is not this phone's.
fn target(key: MessageField<MessageKey>) -> Option<Target> {
    let key = key.into_option()?;
    Some(Target {
        id: key.id.filter(|id| !id.is_empty())?,
        own: !key.from_me.unwrap_or(false),
    })
}

fn a_card(card: ContactMessage) -> Card {
    Card {
        name: card.display_name.unwrap_or_default(),
        vcard: card.vcard.unwrap_or_default(),
    }
}

fn poll(creation: PollCreationMessage, secret: Option<Vec<u8>>) -> Understood {
    let options = creation.options.into_iter();
    let content = Content::Poll(Poll {
        options: options.filter_map(|option| option.option_name).collect(),
        selectable: creation.selectable_options_count.unwrap_or(0),
        secret: secret.or(creation.enc_key).unwrap_or_default(),
    });
    said(
        content,
        creation.name.unwrap_or_default(),
        creation.context_info,
    )
}

fn place(proto: &mut Proto) -> Option<Understood> {
    if let Some(place) = proto.location_message.take() {
        let location = Location {
            latitude: place.degrees_latitude?,
            longitude: place.degrees_longitude?,
            accuracy: place.accuracy_in_meters,
            name: place.name,
            address: place.address,
            live: place.is_live.unwrap_or(false),
        };
        let content = Content::Location(location);
        return Some(said(content, String::new(), place.context_info));
    }
    let place = proto.live_location_message.take()?;
    let location = Location {
        latitude: place.degrees_latitude?,
        longitude: place.degrees_longitude?,
        accuracy: place.accuracy_in_meters,
        name: place.caption,
        address: None,
        live: true,
    };
    Some(said(
        Content::Location(location),
        String::new(),
        place.context_info,
    ))
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            attachment::bare,
            compose::{self, Around},
            content::Remote,
        },
        *,
    };
    use crate::{domain::MediaKind, network::interop::wire::Jid};

    /// Somebody writes it; the other side reads it.
    fn over(message: &Composed) -> Understood {
        let (own, chat) = (Jid::user("1", "s.whatsapp.net"), Jid::interop(7, 1));
        let around = Around {
            own: &own,
            chat: &chat,
            quoted: Some(Proto {
                conversation: Some("before".to_owned()),
                ..Proto::default()
            }),
            vote: None,
            author: None,
            now: 5000,
        };
        decode(&compose::encode(message, around))
    }

    #[test]
    fn what_one_phone_writes_another_reads() {
        let remote = Remote {
            path: "/v/t62/x".to_owned(),
            key: [1; 32],
            sha256: [2; 32],
            encrypted_sha256: [3; 32],
        };
        let mut contents = vec![
            Content::default(),
            Content::Location(Location::at(1.5, -2.5)),
            Content::Location(Location {
                live: true,
                ..Location::at(0.0, 0.0)
            }),
            Content::Event,
        ];
        for kind in MediaKind::ALL {
            for view_once in [false, true] {
                let once = !matches!(kind, MediaKind::File | MediaKind::Sticker) && view_once;
                contents.push(Content::File(crate::sandbox::contacts::content::File {
                    view_once: once,
                    remote: Some(remote.clone()),
                    ..bare(kind, Some("a/b".to_owned()), Some(9))
                }));
            }
        }
        for count in [1, 2] {
            let cards = (0..count).map(|n| Card {
                name: format!("n{n}"),
                vcard: "BEGIN:VCARD".to_owned(),
            });
            contents.push(Content::Contacts {
                cards: cards.collect(),
            });
            contents.push(Content::Poll(Poll {
                options: vec!["a".to_owned(), "b".to_owned()],
                selectable: count,
                secret: vec![4; 32],
            }));
        }
        for content in contents {
            let text = match &content {
                Content::File(file)
                    if matches!(
                        file.kind,
                        MediaKind::Audio | MediaKind::Voice | MediaKind::Sticker
                    ) =>
                {
                    ""
                }
                Content::Location(_) | Content::Contacts { .. } => "",
                _ => "*hello*",
            };
            let message = Composed {
                text: text.to_owned(),
                content,
                mentions: vec!["7-1@interop".to_owned()],
                expires_after: Some(86_400),
                ..Composed::default()
            }
            .answering("Q1", "7-1@interop");
            let understood = over(&message);
            assert_eq!(understood.message, message);
            assert_eq!(understood.quoted_text.as_deref(), Some("before"));
        }
    }

    #[test]
    fn what_changes_another_message_names_it_from_the_readers_side() {
        let of = |own| Target {
            id: "M1".to_owned(),
            own,
        };
        let read = |message: Composed| over(&message).message;
        let reaction = Composed {
            text: "👍".to_owned(),
            content: Content::Reaction { to: of(false) },
            ..Composed::default()
        };
        let understood = read(reaction);
        assert_eq!(understood.content, Content::Reaction { to: of(true) });
        assert_eq!(understood.text, "👍");
        let revoke = Composed::of(Content::Revoke { of: of(true) });
        assert_eq!(read(revoke).content, Content::Revoke { of: of(false) });
        for caption_of in [None, Some(MediaKind::Image), Some(MediaKind::File)] {
            let edit = Content::Edit {
                of: "M1".to_owned(),
                caption_of,
            };
            let message = Composed {
                text: "new".to_owned(),
                content: edit,
                ..Composed::default()
            };
            assert_eq!(read(message.clone()), message);
        }
        let timer = Composed::of(Content::Timer { seconds: 7 });
        assert_eq!(read(timer.clone()), timer);
    }

    #[test]
    fn what_is_no_message_is_told_apart() {
        assert!(matches!(
            decode(&[0xff]).message.content,
            Content::Other { .. }
        ));
        assert!(matches!(decode(&[]).message.content, Content::Other { .. }));
        assert_eq!(unpad(&[1, 2, 2, 2]), Some(&[1, 2][..]));
        assert_eq!(unpad(&[1, 2, 3]), None);
        assert_eq!(unpad(&[0]), None);
        assert_eq!(unpad(&[17; 17]), None);
    }
}
