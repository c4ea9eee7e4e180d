//! How a phone writes its messages: as `Message` protobufs, and with the attributes of the stanza around them.
//!
//! The forms are those of the gatekeeper's own clients: text is `conversation`, or `extendedTextMessage` where something goes
//! with it; what is seen once, files with captions and edits are messages inside a message.

use waproto::{
    buffa::MessageField,
    codec,
    whatsapp::{
        ContextInfo, Message as Proto, MessageContextInfo, MessageKey,
        message::{
            ContactMessage, ContactsArrayMessage, DocumentMessage, EventMessage,
            ExtendedTextMessage, FutureProofMessage, ImageMessage, LiveLocationMessage,
            LocationMessage, PollCreationMessage, PollEncValue, PollUpdateMessage, ProtocolMessage,
            ReactionMessage, VideoMessage, poll_creation_message, protocol_message::Type,
        },
    },
};

use super::{
    attachment,
    content::{Card, Composed, Content, Location, Poll, Preview, Target},
    crypt::SealedVote,
};
use crate::{
    domain::MediaKind,
    network::interop::wire::{Jid, Node},
};

/// What goes into a message besides what was composed.
pub(super) struct Around<'a> {
    /// Who writes.
    pub(super) own: &'a Jid,
    /// With whom the chat is.
    pub(super) chat: &'a Jid,
    /// The message that is quoted, as it was.
    pub(super) quoted: Option<Proto>,
    /// The vote, for a vote.
    pub(super) vote: Option<SealedVote>,
    /// In a group, who wrote the message of somebody else that this one is about.
    pub(super) author: Option<String>,
    /// Milliseconds since the Unix epoch.
    pub(super) now: i64,
}

/// The attributes of `<message>` and `<enc>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Attributes {
    /// `type` of the message.
    pub(super) kind: &'static str,
    /// `edit` of the message: 1 for an edit, 7 for what its author takes back.
    pub(super) edit: Option<&'static str>,
    /// `mediatype` of the ciphertext.
    pub(super) media_type: Option<&'static str>,
    /// Whether the ciphertext says `decrypt-fail="hide"`: nobody misses it if it cannot be read.
    pub(super) hide: bool,
}

impl Attributes {
    /// Those of a message.
    pub(super) fn of(content: &Content, text: &str) -> Self {
        let mut attributes = Self {
            kind: "text",
            ..Self::default()
        };
        match content {
            Content::File(file) => {
                attributes.kind = "media";
                attributes.media_type = Some(match file.kind {
                    MediaKind::Image => "image",
                    MediaKind::Video => "video",
                    MediaKind::Gif => "gif",
                    MediaKind::Audio => "audio",
                    MediaKind::Voice => "ptt",
                    MediaKind::File => "document",
                    MediaKind::Sticker => "sticker",
                });
            }
            Content::Location(location) => {
                attributes.kind = "media";
                let kind = if location.live {
                    "livelocation"
                } else {
                    "location"
                };
                attributes.media_type = Some(kind);
            }
            Content::Contacts { cards } => {
                attributes.kind = "media";
                let several = cards.len() > 1;
                attributes.media_type = Some(if several { "contact_array" } else { "vcard" });
            }
            Content::Text { preview: Some(_) } => attributes.media_type = Some("url"),
            Content::Poll(_) => attributes.kind = "poll",
            Content::Vote { .. } => {
                attributes.kind = "poll";
                attributes.hide = true;
            }
            Content::Reaction { .. } => {
                attributes.kind = "reaction";
                attributes.hide = true;
                attributes.edit = text.is_empty().then_some("7");
            }
            Content::Edit { .. } => {
                attributes.edit = Some("1");
                attributes.hide = true;
            }
            // 8: an admin takes back what somebody else wrote.
            Content::Revoke { of } => attributes.edit = Some(if of.own { "7" } else { "8" }),
            Content::Event => attributes.kind = "event",
            Content::Text { preview: None }
            | Content::Timer { .. }
            | Content::Call { .. }
            | Content::Group { .. }
            | Content::Other { .. } => {}
        }
        attributes
    }

    /// `<enc>` without its content.
    pub(super) fn of_enc(&self, kind: &'static str, count: Option<u64>) -> Node {
        Node::new("enc")
            .with("v", "2")
            .with("type", kind)
            .with_opt("mediatype", self.media_type)
            .with_opt("count", count)
            .with_opt("decrypt-fail", self.hide.then_some("hide"))
    }
}

/// The protobuf of a message, without padding.
pub(super) fn encode(message: &Composed, around: Around<'_>) -> Vec<u8> {
    codec::message_to_vec(&proto(message, around))
}

fn proto(message: &Composed, around: Around<'_>) -> Proto {
    let Around {
        own,
        chat,
        quoted,
        vote,
        author,
        now,
    } = around;
    let context = context(message, own, quoted);
    let text = message.text.as_str();
    match &message.content {
        Content::Text { preview } => written(text, preview.as_ref(), context),
        Content::File(file) => {
            let expires = message.expires_after.is_some_and(|seconds| seconds > 0);
            let proto = attachment::encode(file, text, context, now);
            if expires {
                Proto {
                    ephemeral_message: wrapped(proto),
                    ..Proto::default()
                }
            } else {
                proto
            }
        }
        Content::Location(location) => place(location, context),
        Content::Contacts { cards } => contacts(cards, context),
        Content::Poll(content) => poll(content, text, context),
        Content::Vote { poll, .. } => {
            let vote = vote.map(|vote| PollEncValue {
                enc_payload: Some(vote.payload),
                enc_iv: Some(vote.iv),
            });
            Proto {
                poll_update_message: MessageField::some(PollUpdateMessage {
                    poll_creation_message_key: key(poll, chat, author),
                    vote: vote.into(),
                    sender_timestamp_ms: Some(now),
                    ..PollUpdateMessage::default()
                }),
                ..Proto::default()
            }
        }
        Content::Reaction { to } => Proto {
            reaction_message: MessageField::some(ReactionMessage {
                key: key(to, chat, author),
                text: Some(text.to_owned()),
                sender_timestamp_ms: Some(now),
                ..ReactionMessage::default()
            }),
            ..Proto::default()
        },
        Content::Edit { of, caption_of } => {
            let target = Target {
                id: of.clone(),
                own: true,
            };
            edit(&target, *caption_of, text, context, chat, now)
        }
        Content::Revoke { of } => protocol(ProtocolMessage {
            key: key(of, chat, author),
            r#type: Some(Type::REVOKE),
            ..ProtocolMessage::default()
        }),
        Content::Timer { seconds } => protocol(ProtocolMessage {
            r#type: Some(Type::EPHEMERAL_SETTING),
            ephemeral_expiration: Some(*seconds),
            ephemeral_setting_timestamp: Some(now / 1000),
            ..ProtocolMessage::default()
        }),
        Content::Event => Proto {
            event_message: MessageField::some(EventMessage {
                context_info: context,
                name: Some(text.to_owned()),
                start_time: Some(now / 1000 + 3600),
                ..EventMessage::default()
            }),
            ..Proto::default()
        },
        // None of them is written as a message.
        Content::Call { .. } | Content::Group { .. } | Content::Other { .. } => Proto::default(),
    }
}

fn protocol(message: ProtocolMessage) -> Proto {
    Proto {
        protocol_message: MessageField::some(message),
        ..Proto::default()
    }
}

pub(super) fn wrapped(message: Proto) -> MessageField<FutureProofMessage> {
    MessageField::some(FutureProofMessage {
        message: MessageField::some(message),
    })
}

fn key(target: &Target, chat: &Jid, author: Option<String>) -> MessageField<MessageKey> {
    MessageField::some(MessageKey {
        remote_jid: Some(chat.to_string()),
        from_me: Some(target.own),
        id: Some(target.id.clone()),
        participant: author.filter(|_| !target.own),
    })
}

fn context(message: &Composed, own: &Jid, quoted: Option<Proto>) -> MessageField<ContextInfo> {
    let mut info = ContextInfo::default();
    if let Some(quote) = &message.quotes {
        info.stanza_id = Some(quote.id.as_str().to_owned());
        let author = quote
            .sender
            .as_ref()
            .map(|author| author.as_str().to_owned());
        info.participant = Some(author.unwrap_or_else(|| own.to_string()));
        info.quoted_message = MessageField::some(quoted.unwrap_or_else(|| Proto {
            conversation: Some(String::new()),
            ..Proto::default()
        }));
    }
    info.mentioned_jid.clone_from(&message.mentions);
    info.non_jid_mentions = message.mentions_everybody.then_some(1);
    info.expiration = message.expires_after.filter(|seconds| *seconds > 0);
    if info == ContextInfo::default() {
        MessageField::none()
    } else {
        MessageField::some(info)
    }
}

fn written(text: &str, preview: Option<&Preview>, context: MessageField<ContextInfo>) -> Proto {
    if preview.is_none() && context.is_unset() {
        return Proto {
            conversation: Some(text.to_owned()),
            ..Proto::default()
        };
    }
    let mut extended = ExtendedTextMessage {
        text: Some(text.to_owned()),
        context_info: context,
        ..ExtendedTextMessage::default()
    };
    if let Some(preview) = preview {
        extended.matched_text = Some(preview.url.clone());
        extended.title = Some(preview.title.clone());
        extended.description = filled(&preview.description);
        extended.jpeg_thumbnail = bytes(&preview.thumbnail);
    }
    Proto {
        extended_text_message: MessageField::some(extended),
        ..Proto::default()
    }
}

pub(super) fn filled(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

pub(super) fn bytes(bytes: &[u8]) -> Option<Vec<u8>> {
    (!bytes.is_empty()).then(|| bytes.to_vec())
}

fn place(location: &Location, context: MessageField<ContextInfo>) -> Proto {
    if location.live {
        return Proto {
            live_location_message: MessageField::some(LiveLocationMessage {
                degrees_latitude: Some(location.latitude),
                degrees_longitude: Some(location.longitude),
                accuracy_in_meters: location.accuracy,
                caption: location.name.clone(),
                sequence_number: Some(1),
                context_info: context,
                ..LiveLocationMessage::default()
            }),
            ..Proto::default()
        };
    }
    Proto {
        location_message: MessageField::some(LocationMessage {
            degrees_latitude: Some(location.latitude),
            degrees_longitude: Some(location.longitude),
            name: location.name.clone(),
            address: location.address.clone(),
            accuracy_in_meters: location.accuracy,
            context_info: context,
            ..LocationMessage::default()
        }),
        ..Proto::default()
    }
}

fn contacts(cards: &[Card], context: MessageField<ContextInfo>) -> Proto {
    let one = |card: &Card| ContactMessage {
        display_name: Some(card.name.clone()),
        vcard: Some(card.vcard.clone()),
        ..ContactMessage::default()
    };
    if let [card] = cards {
        return Proto {
            contact_message: MessageField::some(ContactMessage {
                context_info: context,
                ..one(card)
            }),
            ..Proto::default()
        };
    }
    Proto {
        contacts_array_message: MessageField::some(ContactsArrayMessage {
            display_name: Some(format!("{} contacts", cards.len())),
            contacts: cards.iter().map(one).collect(),
            context_info: context,
        }),
        ..Proto::default()
    }
}

/// A poll in which one option may be chosen has a field of its own.
fn poll(poll: &Poll, question: &str, context: MessageField<ContextInfo>) -> Proto {
    let options = poll
        .options
        .iter()
        .map(|option| poll_creation_message::Option {
            option_name: Some(option.clone()),
            ..poll_creation_message::Option::default()
        });
    let creation = MessageField::some(PollCreationMessage {
        name: Some(question.to_owned()),
        options: options.collect(),
        selectable_options_count: Some(poll.selectable),
        context_info: context,
        ..PollCreationMessage::default()
    });
    let mut proto = Proto {
        message_context_info: MessageField::some(MessageContextInfo {
            message_secret: bytes(&poll.secret),
            ..MessageContextInfo::default()
        }),
        ..Proto::default()
    };
    if poll.selectable == 1 {
        proto.poll_creation_message_v3 = creation;
    } else {
        proto.poll_creation_message = creation;
    }
    proto
}

fn edit(
    target: &Target,
    caption_of: Option<MediaKind>,
    text: &str,
    context: MessageField<ContextInfo>,
    chat: &Jid,
    now: i64,
) -> Proto {
    let caption = Some(text.to_owned());
    let edited = match caption_of {
        Some(MediaKind::Image) => Proto {
            image_message: MessageField::some(ImageMessage {
                caption,
                context_info: context,
                ..ImageMessage::default()
            }),
            ..Proto::default()
        },
        Some(MediaKind::Video | MediaKind::Gif) => Proto {
            video_message: MessageField::some(VideoMessage {
                caption,
                gif_playback: (caption_of == Some(MediaKind::Gif)).then_some(true),
                context_info: context,
                ..VideoMessage::default()
            }),
            ..Proto::default()
        },
        Some(MediaKind::File) => Proto {
            document_with_caption_message: wrapped(Proto {
                document_message: MessageField::some(DocumentMessage {
                    caption,
                    context_info: context,
                    ..DocumentMessage::default()
                }),
                ..Proto::default()
            }),
            ..Proto::default()
        },
        _ => written(text, None, context),
    };
    let change = protocol(ProtocolMessage {
        key: key(target, chat, None),
        r#type: Some(Type::MESSAGE_EDIT),
        edited_message: MessageField::some(edited),
        timestamp_ms: Some(now),
        ..ProtocolMessage::default()
    });
    Proto {
        edited_message: wrapped(change),
        ..Proto::default()
    }
}
