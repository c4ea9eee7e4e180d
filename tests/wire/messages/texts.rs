//! Text, and what goes with it: quotes, mentions, previews of links, disappearing.

use drawbridge::{
    domain::{
        IncomingContent, IncomingMessage, LinkPreview, MediaDetails, MediaKind, MessageContext,
        MessageRef, OutgoingContent, Poll, Quote,
    },
    network::interop::wire::message,
};

use super::{
    CONTACT, LOGIN, OTHER, a_file, a_message, encode_as, read_here, read_there,
    schema::{bytes, fields, number},
    sent, text, user, without_context,
};

fn said(body: &str) -> OutgoingContent {
    OutgoingContent::Text {
        body: body.to_owned(),
        preview: None,
    }
}

fn quoting(message: MessageRef, text: Option<&str>) -> MessageContext {
    MessageContext {
        quote: Some(Quote {
            message,
            text: text.map(str::to_owned),
        }),
        ..MessageContext::default()
    }
}

#[test]
fn a_plain_text_is_one_field() {
    assert_eq!(sent(&said("hi")), b"\x0a\x02hi");
    assert_eq!(message::text("hi", None, Some(LOGIN)), b"\x0a\x02hi");
    assert_eq!(read_here(b"\x0a\x02hi"), without_context(text("hi")));
}

#[test]
fn whatever_a_text_holds_arrives_as_it_is() {
    for body in [
        "",
        "\0\r\n\u{2028}\u{202e}\u{200b}",
        "a\u{301}\u{1f468}\u{200d}\u{1f469}",
    ] {
        assert_eq!(read_there(&sent(&said(body))).content, text(body));
    }
}

#[test]
fn a_quote_names_its_message_and_author() {
    let context = quoting(a_message("3EB0", Some(CONTACT)), Some("earlier"));
    let encoded = encode_as(LOGIN, CONTACT, &said("yes"), &context);
    let info = fields![
        bytes(1, "3EB0"),
        bytes(2, CONTACT),
        bytes(3, bytes(1, "earlier")),
    ];
    let expected = bytes(6, fields![bytes(1, "yes"), bytes(17, info)]);
    assert_eq!(encoded, expected);
    let read = read_there(&encoded);
    assert_eq!((read.content, read.context), (text("yes"), context));
}

#[test]
fn an_own_message_is_quoted_by_the_own_address() {
    let context = quoting(a_message("3EB0", None), None);
    let encoded = encode_as(LOGIN, CONTACT, &said("yes"), &context);
    // The contact sees that its author is who sent this one.
    let seen = quoting(a_message("3EB0", Some(LOGIN)), None);
    assert_eq!(read_there(&encoded).context, seen);
    // And the other way about.
    let theirs = encode_as(CONTACT, LOGIN, &said("yes"), &context);
    let seen = quoting(a_message("3EB0", Some(CONTACT)), None);
    assert_eq!(read_here(&theirs).context, seen);
}

#[test]
fn the_login_is_who_a_contact_quotes_by_the_logins_address() {
    let context = quoting(a_message("3EB0", Some(LOGIN)), None);
    let encoded = encode_as(CONTACT, LOGIN, &said("yes"), &context);
    assert_eq!(
        read_here(&encoded).context,
        quoting(a_message("3EB0", None), None)
    );
}

#[test]
fn a_quoted_author_is_read_without_its_device() {
    let with_device = a_message("3EB0", Some("4915155550001:7@s.whatsapp.net"));
    let encoded = message::text("yes", Some(&with_device), None);
    assert_eq!(
        read_here(&encoded).context,
        quoting(a_message("3EB0", Some(OTHER)), None)
    );
}

#[test]
fn a_quote_without_an_author_or_with_a_bad_id_is_left_out() {
    let encoded = message::text("yes", Some(&a_message("3EB0", None)), None);
    assert_eq!(read_here(&encoded), without_context(text("yes")));
    for (id, author) in [("a b", CONTACT), ("3EB0", "s.whatsapp.net"), ("3EB0", "@")] {
        let info = fields![bytes(1, id), bytes(2, author)];
        let encoded = bytes(6, fields![bytes(1, "yes"), bytes(17, info)]);
        assert_eq!(read_here(&encoded), without_context(text("yes")));
    }
}

#[test]
fn a_quoted_message_is_put_into_words() {
    let image = |caption: Option<&str>| OutgoingContent::Media {
        details: MediaDetails::new(MediaKind::Image, "image/png"),
        file: a_file(),
        caption: caption.map(str::to_owned),
    };
    let poll = OutgoingContent::Poll(Poll {
        question: "Tea?".to_owned(),
        options: vec!["yes".to_owned()],
        selectable: 1,
        secret: None,
    });
    let long = MessageContext {
        mentions_room: true,
        ..MessageContext::default()
    };
    let cases = [
        (sent(&said("earlier")), Some("earlier")),
        (
            encode_as(CONTACT, LOGIN, &said("at length"), &long),
            Some("at length"),
        ),
        (sent(&image(None)), Some("a picture")),
        (sent(&image(Some("the sea"))), Some("the sea")),
        (sent(&poll), Some("Tea?")),
        (sent(&said("")), None),
        (bytes(75, b""), None),
    ];
    for (quoted, words) in cases {
        let info = fields![bytes(1, "3EB0"), bytes(2, OTHER), bytes(3, quoted)];
        let encoded = bytes(6, fields![bytes(1, "yes"), bytes(17, info)]);
        assert_eq!(
            read_here(&encoded).context,
            quoting(a_message("3EB0", Some(OTHER)), words)
        );
    }
}

#[test]
fn mentions_name_users_the_login_and_everybody() {
    let context = MessageContext {
        mentions: vec![user(OTHER), user(LOGIN)],
        mentions_room: true,
        ..MessageContext::default()
    };
    let encoded = encode_as(CONTACT, LOGIN, &said("@all"), &context);
    let info = fields![bytes(15, OTHER), bytes(15, LOGIN), number(70, 1)];
    let expected = bytes(6, fields![bytes(1, "@all"), bytes(17, info)]);
    assert_eq!(encoded, expected);
    assert_eq!(
        read_here(&encoded).context,
        MessageContext {
            mentions: vec![user(OTHER)],
            mentions_login: true,
            mentions_room: true,
            ..MessageContext::default()
        }
    );
}

#[test]
fn what_disappears_says_after_how_many_seconds() {
    let context = MessageContext {
        expires_after: Some(86_400),
        ..MessageContext::default()
    };
    let encoded = encode_as(LOGIN, CONTACT, &said("soon gone"), &context);
    let expected = bytes(
        6,
        fields![bytes(1, "soon gone"), bytes(17, number(25, 86_400))],
    );
    assert_eq!(encoded, expected);
    assert_eq!(read_there(&encoded).context, context);
    // Not at all is said by saying nothing.
    let never = MessageContext {
        expires_after: Some(0),
        ..MessageContext::default()
    };
    assert_eq!(
        encode_as(LOGIN, CONTACT, &said("hi"), &never),
        b"\x0a\x02hi"
    );
}

#[test]
fn a_link_says_what_it_leads_to() {
    let preview = LinkPreview {
        url: "https://example.org/".to_owned(),
        title: Some("Example".to_owned()),
        description: Some("An example.".to_owned()),
        thumbnail: Some(b"jpeg".to_vec()),
    };
    let body = "see https://example.org/".to_owned();
    let encoded = sent(&OutgoingContent::Text {
        body: body.clone(),
        preview: Some(preview.clone()),
    });
    let expected = bytes(
        6,
        fields![
            bytes(1, &body),
            bytes(2, "https://example.org/"),
            bytes(5, "An example."),
            bytes(6, "Example"),
            number(10, 0),
            bytes(16, "jpeg"),
        ],
    );
    assert_eq!(encoded, expected);
    assert_eq!(
        read_there(&encoded),
        IncomingMessage {
            content: IncomingContent::Text {
                body,
                preview: Some(preview),
            },
            context: MessageContext::default(),
        }
    );
}
