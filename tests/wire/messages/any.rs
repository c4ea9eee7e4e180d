//! What holds for every message: the other side reads what was meant, and no bytes make anything panic or grow.

use drawbridge::{
    domain::{
        ContactCard, EncryptedVote, IncomingContent, IncomingMessage, LinkPreview, Location,
        MediaDetails, MediaKey, MediaKind, MessageContext, MessageRef, OutgoingContent, Poll,
        Quote, RemoteMedia, StanzaId,
    },
    network::interop::wire::{
        Content, Node, media_retry,
        message::{self, Envelope},
        poll,
    },
};
use proptest::{collection::vec, option, prelude::*};

use super::{CONTACT, GROUP, LOGIN, OTHER, encode_as, read_there, user};

const SECRET: [u8; 32] = [7; 32];

fn stanza_id() -> impl Strategy<Value = StanzaId> {
    "[!-~]{1,40}".prop_map(|id| StanzaId::parse(id).unwrap())
}

fn a_text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[\r\n\0\u{2028}\u{202e}<>&\"*_~`@]{0,12}"]
}

fn some_text() -> impl Strategy<Value = String> {
    a_text().prop_filter("a text", |text| !text.is_empty())
}

fn some_bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 1..200)
}

fn a_message() -> impl Strategy<Value = MessageRef> {
    let sender = option::of(prop_oneof![Just(CONTACT), Just(OTHER)].prop_map(user));
    (stanza_id(), sender).prop_map(|(id, sender)| MessageRef { id, sender })
}

fn kind() -> impl Strategy<Value = MediaKind> {
    prop::sample::select(MediaKind::ALL.to_vec())
}

fn context() -> impl Strategy<Value = MessageContext> {
    let quote =
        (a_message(), option::of(some_text())).prop_map(|(message, text)| Quote { message, text });
    let mentions = vec(prop_oneof![Just(CONTACT), Just(OTHER)].prop_map(user), 0..3);
    (
        option::of(quote),
        mentions,
        any::<bool>(),
        option::of(1..u32::MAX),
    )
        .prop_map(
            |(quote, mentions, mentions_room, expires_after)| MessageContext {
                quote,
                mentions,
                mentions_login: false,
                mentions_room,
                expires_after,
            },
        )
}

fn preview() -> impl Strategy<Value = LinkPreview> {
    (
        some_text(),
        option::of(some_text()),
        option::of(some_text()),
        option::of(some_bytes()),
    )
        .prop_map(|(url, title, description, thumbnail)| LinkPreview {
            url,
            title,
            description,
            thumbnail,
        })
}

/// Details of which each kind has those there are fields for.
fn details() -> impl Strategy<Value = MediaDetails> {
    let number = || option::of(1..u32::MAX);
    (
        kind(),
        some_text(),
        option::of(some_text()),
        (number(), number(), number()),
        option::of(some_bytes()),
        option::of(some_bytes()),
        any::<bool>(),
    )
        .prop_map(
            |(kind, mime_type, name, (width, height, seconds), waveform, preview, view_once)| {
                use MediaKind::{Audio, File, Gif, Image, Sticker, Video, Voice};
                let is = |kinds: &[MediaKind]| kinds.contains(&kind);
                let is_seen = is(&[Image, Video, Gif, Sticker]);
                let seconds = seconds.filter(|_| is(&[Video, Gif, Audio, Voice]));
                MediaDetails {
                    kind,
                    mime_type,
                    file_name: name.filter(|_| kind == File),
                    width: width.filter(|_| is_seen),
                    height: height.filter(|_| is_seen),
                    duration_ms: seconds.map(|seconds| u64::from(seconds) * 1000),
                    waveform: waveform.filter(|_| is(&[Audio, Voice])),
                    preview: preview.filter(|_| is(&[Image, Video, Gif, File])),
                    view_once,
                }
            },
        )
}

fn file() -> impl Strategy<Value = RemoteMedia> {
    (
        "/[!-~]{0,40}",
        any::<[u8; 32]>(),
        any::<[u8; 32]>(),
        any::<[u8; 32]>(),
        any::<u64>(),
    )
        .prop_map(|(path, key, sha256, encrypted_sha256, size)| RemoteMedia {
            path,
            key: MediaKey(key),
            sha256,
            encrypted_sha256,
            size,
        })
}

fn location() -> impl Strategy<Value = Location> {
    (
        -90.0..=90.0_f64,
        -180.0..=180.0_f64,
        any::<Option<u32>>(),
        option::of(some_text()),
        option::of(some_text()),
        any::<bool>(),
    )
        .prop_map(
            |(latitude, longitude, accuracy, name, address, live)| Location {
                latitude,
                longitude,
                accuracy,
                name,
                address: address.filter(|_| !live),
                live,
            },
        )
}

fn a_poll() -> impl Strategy<Value = Poll> {
    (
        a_text(),
        prop::collection::btree_set(a_text(), 1..6),
        any::<u32>(),
        any::<Option<[u8; 32]>>(),
    )
        .prop_map(|(question, options, selectable, secret)| Poll {
            question,
            options: options.into_iter().collect(),
            selectable,
            secret,
        })
}

fn content() -> impl Strategy<Value = OutgoingContent> {
    let card = (a_text(), a_text()).prop_map(|(name, vcard)| ContactCard { name, vcard });
    prop_oneof![
        (a_text(), option::of(preview()))
            .prop_map(|(body, preview)| OutgoingContent::Text { body, preview }),
        (details(), file(), option::of(some_text())).prop_map(|(details, file, caption)| {
            OutgoingContent::Media {
                details,
                file,
                caption,
            }
        }),
        (a_message(), a_text())
            .prop_map(|(target, emoji)| OutgoingContent::Reaction { target, emoji }),
        (stanza_id(), some_text(), option::of(kind())).prop_map(|(target, body, caption_of)| {
            OutgoingContent::Edit {
                target,
                body,
                caption_of,
            }
        }),
        stanza_id().prop_map(|id| OutgoingContent::Revoke {
            target: MessageRef { id, sender: None },
        }),
        location().prop_map(OutgoingContent::Location),
        vec(card, 1..4).prop_map(OutgoingContent::Contacts),
        a_poll().prop_map(OutgoingContent::Poll),
        (a_message(), vec(a_text(), 0..4)).prop_map(|(poll, choices)| {
            OutgoingContent::PollVote {
                poll,
                secret: SECRET,
                choices,
            }
        }),
        any::<u32>().prop_map(|seconds| OutgoingContent::Timer { seconds }),
    ]
}

fn has_caption(kind: MediaKind) -> bool {
    use MediaKind::{Audio, Sticker, Voice};
    !matches!(kind, Audio | Voice | Sticker)
}

/// A message that one of the login's names, as it is seen in the chat.
fn seen(target: &MessageRef, chat: &str) -> MessageRef {
    MessageRef {
        id: target.id.clone(),
        sender: match &target.sender {
            None => Some(user(LOGIN)),
            Some(sender) => (chat == GROUP).then(|| sender.clone()),
        },
    }
}

/// What the other side is to read of a message of the login's; for a vote without the vote.
fn expected(content: &OutgoingContent, context: &MessageContext, chat: &str) -> IncomingMessage {
    let mut context = context.clone();
    if let Some(quote) = &mut context.quote {
        let author = quote.message.sender.take();
        quote.message.sender = author.or_else(|| Some(user(LOGIN)));
    }
    let own = |target: &StanzaId| MessageRef {
        id: target.clone(),
        sender: Some(user(LOGIN)),
    };
    let (content, has_context) = match content.clone() {
        OutgoingContent::Text { body, preview } => (IncomingContent::Text { body, preview }, true),
        OutgoingContent::Media {
            details,
            file,
            caption,
        } => {
            let caption = caption.filter(|_| has_caption(details.kind));
            let content = IncomingContent::Media {
                details,
                file: Some(file),
                caption,
            };
            (content, true)
        }
        OutgoingContent::Reaction { target, emoji } => {
            let target = seen(&target, chat);
            (IncomingContent::Reaction { target, emoji }, false)
        }
        OutgoingContent::Edit {
            target,
            body,
            caption_of,
        } => {
            let new = match caption_of.filter(|kind| has_caption(*kind)) {
                None => IncomingContent::Text {
                    body,
                    preview: None,
                },
                Some(kind) => IncomingContent::Media {
                    details: MediaDetails::new(
                        kind,
                        match kind {
                            MediaKind::Image => "image/jpeg",
                            MediaKind::File => "application/octet-stream",
                            _ => "video/mp4",
                        },
                    ),
                    file: None,
                    caption: Some(body),
                },
            };
            let content = IncomingContent::Edit {
                target: own(&target),
                content: Box::new(new),
            };
            (content, true)
        }
        OutgoingContent::Revoke { target } => {
            let target = own(&target.id);
            (IncomingContent::Revoke { target }, false)
        }
        OutgoingContent::Location(location) => (IncomingContent::Location(location), true),
        OutgoingContent::Contacts(cards) => (IncomingContent::Contacts(cards), true),
        OutgoingContent::Poll(poll) => (IncomingContent::Poll(poll), true),
        OutgoingContent::PollVote { poll, .. } => {
            let vote = EncryptedVote {
                payload: Vec::new(),
                iv: Vec::new(),
            };
            let poll = seen(&poll, chat);
            (IncomingContent::PollVote { poll, vote }, false)
        }
        OutgoingContent::Timer { seconds } => (IncomingContent::Timer { seconds }, false),
    };
    IncomingMessage {
        content,
        context: if has_context {
            context
        } else {
            MessageContext::default()
        },
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn the_other_side_reads_what_was_meant(
        content in content(),
        context in context(),
        in_group in any::<bool>(),
    ) {
        let chat = if in_group { GROUP } else { CONTACT };
        let encoded = encode_as(LOGIN, chat, &content, &context);
        let mut read = read_there(&encoded);
        if let (
            OutgoingContent::PollVote { poll, choices, .. },
            IncomingContent::PollVote { poll: seen, vote },
        ) = (&content, &mut read.content)
        {
            let mut options = choices.clone();
            options.sort();
            options.dedup();
            let places: Vec<usize> = (0..options.len()).collect();
            options.push("an option nobody chose, whatever is chosen".to_owned());
            let known = Poll {
                question: String::new(),
                options,
                selectable: 0,
                secret: Some(SECRET),
            };
            // In a direct chat the message that another one's key names is the contact's.
            let author = poll.sender.clone().unwrap_or_else(|| user(LOGIN));
            let poll = MessageRef { sender: Some(author), ..seen.clone() };
            let opened = poll::open(CONTACT, (&poll, &known), &user(LOGIN), vote);
            prop_assert_eq!(opened, Some(places));
            *vote = EncryptedVote { payload: Vec::new(), iv: Vec::new() };
        }
        prop_assert_eq!(read, expected(&content, &context, chat));
        prop_assert_eq!(Envelope::of_plaintext(&encoded), Envelope::of(&content));
    }

    #[test]
    fn damaged_messages_never_panic(
        content in content(),
        context in context(),
        places in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = encode_as(LOGIN, CONTACT, &content, &context);
        for (place, byte) in places {
            if !bytes.is_empty() {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
        }
        read_everything(&bytes);
    }

    #[test]
    fn garbage_never_panics(bytes in vec(any::<u8>(), 0..400)) {
        read_everything(&bytes);
    }

    #[test]
    fn a_file_is_moved_and_nothing_else(
        details in details(),
        file in file(),
        context in context(),
        path in "/[!-~]{0,60}",
    ) {
        let key = file.key.clone();
        let content = OutgoingContent::Media { details, file, caption: None };
        let encoded = encode_as(LOGIN, CONTACT, &content, &context);
        prop_assert_eq!(media_retry::media_key(&encoded), Some(key));
        let moved = media_retry::with_path(&encoded, &path).unwrap();
        let OutgoingContent::Media { details, mut file, caption } = content else {
            unreachable!("it was made above");
        };
        file.path = path;
        let content = OutgoingContent::Media { details, file, caption };
        prop_assert_eq!(moved, encode_as(LOGIN, CONTACT, &content, &context));
    }
}

/// Everything that reads what others wrote, on any bytes.
fn read_everything(bytes: &[u8]) {
    let read = message::read(bytes, &user(CONTACT), LOGIN);
    let _ = message::read(bytes, &user(LOGIN), LOGIN);
    if let IncomingContent::PollVote { poll, vote } = &read.content {
        let known = Poll {
            question: String::new(),
            options: vec!["a".to_owned()],
            selectable: 0,
            secret: Some(SECRET),
        };
        let _ = poll::open(LOGIN, (poll, &known), &user(CONTACT), vote);
    }
    let _ = Envelope::of_plaintext(bytes);
    if let Some(moved) = media_retry::with_path(bytes, "/v/x") {
        assert_eq!(
            media_retry::media_key(&moved),
            media_retry::media_key(bytes)
        );
    }
    let key = MediaKey([1; 32]);
    let parts = ["enc_p", "enc_iv"].map(|tag| Node::new(tag).bytes(bytes));
    for (tag, kind) in [("receipt", "server-error"), ("notification", "mediaretry")] {
        let node = Node {
            content: Content::Nodes(vec![Node {
                content: Content::Nodes(parts.to_vec()),
                ..Node::new("encrypt")
            }]),
            ..Node::new(tag).with("type", kind).with("id", "3EB0")
        };
        assert_eq!(media_retry::read_request(&node, &key), None);
        assert_eq!(media_retry::read_answer(&node, &key), None);
    }
}
