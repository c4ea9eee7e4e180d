//! Messages and their padding.

use drawbridge::{
    domain::{
        IncomingContent, IncomingMessage, MessageContext, MessageRef, Quote, RemoteUserId, StanzaId,
    },
    network::interop::wire::message,
};
use waproto::{
    buffa::{Message as _, MessageField},
    whatsapp::{
        Message,
        message::{FutureProofMessage, ImageMessage},
    },
};

const OWN: &str = "1-10853634039893@interop";

fn text(body: &str, quote: Option<MessageRef>) -> IncomingMessage {
    IncomingMessage {
        content: IncomingContent::Text {
            body: body.to_owned(),
            preview: None,
        },
        context: MessageContext {
            quote: quote.map(|message| Quote {
                message,
                text: None,
            }),
            ..MessageContext::default()
        },
    }
}

fn unsupported(kind: &str) -> IncomingMessage {
    IncomingMessage {
        content: IncomingContent::Unsupported {
            kind: kind.to_owned(),
        },
        context: MessageContext::default(),
    }
}

fn read(bytes: &[u8]) -> IncomingMessage {
    let sender = RemoteUserId::parse("4915155550009@s.whatsapp.net").unwrap();
    message::read(bytes, &sender)
}

fn quote(sender: Option<&str>) -> MessageRef {
    MessageRef {
        id: StanzaId::parse("3EB0").unwrap(),
        sender: sender.map(|s| RemoteUserId::parse(s).unwrap()),
    }
}

#[test]
fn a_plain_text_is_one_field() {
    assert_eq!(message::text("hi", None, Some(OWN)), b"\x0a\x02hi");
    assert_eq!(read(b"\x0a\x02hi"), text("hi", None));
}

#[test]
fn a_quote_names_its_message_and_author() {
    for quote in [quote(Some("4915155550001@s.whatsapp.net")), quote(None)] {
        let bytes = message::text("yes", Some(&quote), Some(OWN));
        assert_eq!(read(&bytes), text("yes", Some(quote)));
    }
}

#[test]
fn a_quoted_author_is_read_without_its_device() {
    let with_device = quote(Some("4915155550001:7@s.whatsapp.net"));
    let bytes = message::text("yes", Some(&with_device), None);
    assert_eq!(
        read(&bytes),
        text("yes", Some(quote(Some("4915155550001@s.whatsapp.net"))))
    );
}

#[test]
fn a_quote_without_an_author_or_with_a_bad_id_is_left_out() {
    let bytes = message::text("yes", Some(&quote(None)), None);
    assert_eq!(read(&bytes), text("yes", None));
}

fn wrapped(inner: Message, times: usize) -> Message {
    (0..times).fold(inner, |inner, _| Message {
        ephemeral_message: MessageField::some(FutureProofMessage {
            message: MessageField::some(inner),
        }),
        ..Message::default()
    })
}

#[test]
fn a_text_in_wrappers_is_found() {
    let inner = Message {
        conversation: Some("hi".to_owned()),
        ..Message::default()
    };
    let bytes = wrapped(inner.clone(), 2).encode_to_vec();
    assert_eq!(read(&bytes), text("hi", None));
    let bytes = wrapped(inner, 6).encode_to_vec();
    assert_eq!(read(&bytes), unsupported("nested"));
}

#[test]
fn other_kinds_are_named() {
    let image = Message {
        image_message: MessageField::some(ImageMessage::default()),
        ..Message::default()
    };
    assert_eq!(read(&image.encode_to_vec()), unsupported("image"));
    assert_eq!(read(b""), unsupported("unknown"));
    assert_eq!(read(b"\x0a\xff"), unsupported("malformed"));
    // A field of a schema to come.
    assert_eq!(read(b"\xfa\x7f\x01x"), unsupported("unknown"));
    // protocolMessage of type REVOKE and MESSAGE_EDIT.
    assert_eq!(read(b"\x62\x02\x10\x00"), unsupported("revoke"));
    assert_eq!(read(b"\x62\x02\x10\x0e"), unsupported("edit"));
}

#[test]
fn a_message_nested_as_deep_as_bytes_go_is_survived() {
    // ephemeralMessage{message{ephemeralMessage{…}}}: on a stack as small as a worker thread's.
    let mut bytes = Vec::new();
    for _ in 0..5_000 {
        for tag in [&[0x0a][..], &[0xc2, 0x02]] {
            let mut outer = tag.to_vec();
            let mut length = bytes.len();
            while length > 0x7f {
                outer.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
                length >>= 7;
            }
            outer.push(u8::try_from(length).unwrap());
            outer.append(&mut bytes);
            bytes = outer;
        }
    }
    let content = std::thread::Builder::new()
        .stack_size(2 << 20)
        .spawn(move || read(&bytes))
        .unwrap()
        .join()
        .unwrap();
    assert_eq!(content, unsupported("malformed"));
}

#[test]
fn padding_comes_off_as_it_went_on() {
    for n in 1..=16 {
        for length in [0, 1, 15, 16, 200] {
            let plain = vec![n; length];
            let padded = message::pad(plain.clone(), n);
            assert_eq!(padded.len(), length + usize::from(n));
            assert_eq!(message::unpad(&padded).unwrap(), plain);
        }
    }
}

#[test]
fn bad_padding_is_refused() {
    for bad in [
        &b""[..],
        b"abc\x00",
        b"abc\x11",
        b"\x02",
        b"ab\x01\x03\x03",
        &[17; 40],
    ] {
        assert!(message::unpad(bad).is_err(), "{bad:?}");
    }
}
