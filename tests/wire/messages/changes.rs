//! What is about earlier messages or the chat: reactions, edits, revokes, timers.

use drawbridge::{
    domain::{
        IncomingContent, MediaDetails, MediaKind, MessageContext, MessageRef, OutgoingContent,
    },
    network::interop::wire::message::Envelope,
};

use super::{
    CONTACT, GROUP, LOGIN, NOW, OTHER, a_message, encode_as, id, read_here, read_there,
    schema::{bytes, fields, number},
    sent, text, unsupported, user, without_context,
};

fn millis() -> u64 {
    u64::try_from(NOW.0).unwrap()
}

fn reaction(target: MessageRef, emoji: &str) -> OutgoingContent {
    OutgoingContent::Reaction {
        target,
        emoji: emoji.to_owned(),
    }
}

fn reacted(target: MessageRef, emoji: &str) -> IncomingContent {
    IncomingContent::Reaction {
        target,
        emoji: emoji.to_owned(),
    }
}

#[test]
fn a_reaction_names_its_message_as_its_sender_sees_it() {
    let theirs = a_message("3EB0", Some(CONTACT));
    let encoded = sent(&reaction(theirs, "\u{1f44d}"));
    let key = fields![bytes(1, CONTACT), number(2, 0), bytes(3, "3EB0")];
    let expected = bytes(
        46,
        fields![bytes(1, key), bytes(2, "\u{1f44d}"), number(4, millis())],
    );
    assert_eq!(encoded, expected);
    // To the contact it is one of the contact's own.
    let own = reacted(a_message("3EB0", None), "\u{1f44d}");
    assert_eq!(read_there(&encoded), without_context(own));
}

#[test]
fn a_reaction_to_an_own_message_is_to_the_senders() {
    let encoded = encode_as(
        CONTACT,
        LOGIN,
        &reaction(a_message("3EB0", None), ""),
        &MessageContext::default(),
    );
    let key = fields![bytes(1, LOGIN), number(2, 1), bytes(3, "3EB0")];
    let expected = bytes(
        46,
        fields![bytes(1, key), bytes(2, ""), number(4, millis())],
    );
    assert_eq!(encoded, expected);
    let theirs = reacted(a_message("3EB0", Some(CONTACT)), "");
    assert_eq!(read_here(&encoded), without_context(theirs));
}

#[test]
fn in_a_group_a_message_is_named_with_its_author() {
    let content = reaction(a_message("3EB0", Some(OTHER)), "x");
    let encoded = encode_as(CONTACT, GROUP, &content, &MessageContext::default());
    assert_eq!(
        read_here(&encoded),
        without_context(reacted(a_message("3EB0", Some(OTHER)), "x"))
    );
    let content = reaction(a_message("3EB0", Some(LOGIN)), "x");
    let encoded = encode_as(CONTACT, GROUP, &content, &MessageContext::default());
    assert_eq!(
        read_here(&encoded),
        without_context(reacted(a_message("3EB0", None), "x"))
    );
}

#[test]
fn an_author_is_read_without_a_device_and_a_bad_key_names_nothing() {
    let key = |id: &str, author: &str| {
        let key = fields![bytes(1, GROUP), bytes(3, id), bytes(4, author)];
        bytes(46, fields![bytes(1, key), bytes(2, "x")])
    };
    assert_eq!(
        read_here(&key("3EB0", "4915155550001:12@s.whatsapp.net")),
        without_context(reacted(a_message("3EB0", Some(OTHER)), "x"))
    );
    for bad in [key("", OTHER), key("a\nb", OTHER), key("3EB0", "g.us")] {
        assert_eq!(read_here(&bad), unsupported("reaction"));
    }
    assert_eq!(
        read_here(&bytes(46, bytes(2, "x"))),
        unsupported("reaction")
    );
}

#[test]
fn a_revoke_names_an_own_message() {
    let encoded = sent(&OutgoingContent::Revoke {
        target: a_message("3EB0", None),
    });
    let key = fields![bytes(1, CONTACT), number(2, 1), bytes(3, "3EB0")];
    assert_eq!(encoded, bytes(12, fields![bytes(1, key), number(2, 0)]));
    let target = a_message("3EB0", Some(LOGIN));
    assert_eq!(
        read_there(&encoded),
        without_context(IncomingContent::Revoke { target })
    );
}

#[test]
fn an_admin_of_a_group_revokes_what_somebody_else_wrote() {
    let content = OutgoingContent::Revoke {
        target: a_message("3EB0", Some(OTHER)),
    };
    let encoded = encode_as(LOGIN, GROUP, &content, &MessageContext::default());
    let key = fields![
        bytes(1, GROUP),
        number(2, 0),
        bytes(3, "3EB0"),
        bytes(4, OTHER)
    ];
    assert_eq!(encoded, bytes(12, fields![bytes(1, key), number(2, 0)]));
    // A copy that is sent again has the same envelope.
    assert_eq!(Envelope::of_plaintext(&encoded), Envelope::of(&content));
}

#[test]
fn an_edit_says_the_new_text() {
    let encoded = sent(&OutgoingContent::Edit {
        target: id("3EB0"),
        body: "better".to_owned(),
        caption_of: None,
    });
    let key = fields![bytes(1, CONTACT), number(2, 1), bytes(3, "3EB0")];
    let edit = fields![
        bytes(1, key),
        number(2, 14),
        bytes(14, bytes(1, "better")),
        number(15, millis()),
    ];
    assert_eq!(encoded, bytes(58, bytes(1, bytes(12, &edit))));
    let seen = without_context(IncomingContent::Edit {
        target: a_message("3EB0", Some(LOGIN)),
        content: Box::new(text("better")),
    });
    assert_eq!(read_there(&encoded), seen);
    // Some clients do not wrap it.
    assert_eq!(read_there(&bytes(12, edit)), seen);
}

#[test]
fn an_edited_caption_is_that_of_its_kind_of_file() {
    for kind in MediaKind::ALL {
        let encoded = sent(&OutgoingContent::Edit {
            target: id("3EB0"),
            body: "better".to_owned(),
            caption_of: Some(kind),
        });
        let IncomingContent::Edit { content, .. } = read_there(&encoded).content else {
            panic!("{kind:?} is not edited");
        };
        match *content {
            IncomingContent::Media {
                details,
                file: None,
                caption: Some(caption),
            } => assert_eq!((details.kind, caption.as_str()), (kind, "better")),
            content => {
                assert!(matches!(
                    kind,
                    MediaKind::Audio | MediaKind::Voice | MediaKind::Sticker
                ));
                assert_eq!(content, text("better"));
            }
        }
    }
}

#[test]
fn an_edit_can_mention() {
    let context = MessageContext {
        mentions: vec![user(OTHER)],
        ..MessageContext::default()
    };
    let edit = OutgoingContent::Edit {
        target: id("3EB0"),
        body: "@4915155550001".to_owned(),
        caption_of: None,
    };
    let read = read_there(&encode_as(LOGIN, CONTACT, &edit, &context));
    assert!(matches!(read.content, IncomingContent::Edit { .. }));
    assert_eq!(read.context, context);
}

#[test]
fn an_edit_of_somebody_elses_message_or_to_something_else_is_none() {
    let edit = |from_me: u64, new: Vec<u8>| {
        let key = fields![bytes(1, LOGIN), number(2, from_me), bytes(3, "3EB0")];
        let edit = fields![bytes(1, key), number(2, 14), bytes(14, new)];
        bytes(12, edit)
    };
    assert!(matches!(
        read_here(&edit(1, bytes(1, "x"))).content,
        IncomingContent::Edit { .. }
    ));
    assert_eq!(read_here(&edit(0, bytes(1, "x"))), unsupported("edit"));
    // To a poll, to a reaction, to another edit, to nothing.
    for new in [
        bytes(49, bytes(3, bytes(1, "a"))),
        bytes(46, []),
        edit(1, bytes(1, "x")),
        Vec::new(),
    ] {
        assert_eq!(read_here(&edit(1, new)), unsupported("edit"));
    }
    // A wrapper that says edit around something that is none.
    let wrapped = bytes(58, bytes(1, bytes(1, "x")));
    assert_eq!(read_here(&wrapped), unsupported("edit"));
}

#[test]
fn an_edit_with_a_link_says_what_it_leads_to() {
    let new = bytes(6, fields![bytes(1, "u"), bytes(2, "u"), bytes(6, "title")]);
    let key = fields![number(2, 1), bytes(3, "3EB0")];
    let edit = fields![bytes(1, key), number(2, 14), bytes(14, new)];
    let IncomingContent::Edit { content, .. } = read_here(&bytes(12, edit)).content else {
        panic!("no edit");
    };
    assert!(matches!(
        *content,
        IncomingContent::Text {
            preview: Some(_),
            ..
        }
    ));
}

#[test]
fn a_timer_says_how_many_seconds() {
    for seconds in [0, 86_400] {
        let encoded = sent(&OutgoingContent::Timer { seconds });
        let now = u64::try_from(NOW.seconds()).unwrap();
        let expected = fields![number(2, 3), number(4, u64::from(seconds)), number(5, now),];
        assert_eq!(encoded, bytes(12, &expected));
        let seen = without_context(IncomingContent::Timer { seconds });
        assert_eq!(read_there(&encoded), seen);
        // Some clients wrap it as something that disappears itself.
        let wrapped = bytes(40, bytes(1, encoded));
        assert_eq!(read_there(&wrapped), seen);
    }
}

#[test]
fn a_caption_that_is_edited_away_leaves_the_file() {
    let encoded = sent(&OutgoingContent::Edit {
        target: id("3EB0"),
        body: String::new(),
        caption_of: Some(MediaKind::Image),
    });
    let IncomingContent::Edit { content, .. } = read_there(&encoded).content else {
        panic!("no edit");
    };
    let bare = IncomingContent::Media {
        details: MediaDetails::new(MediaKind::Image, "image/jpeg"),
        file: None,
        caption: None,
    };
    assert_eq!(*content, bare);
}
