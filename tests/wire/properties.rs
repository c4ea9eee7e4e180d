//! What holds for every stanza, every address and every heap of bytes.

use drawbridge::{
    domain::Timestamp,
    network::interop::wire::{
        self, Content, Dialect, Jid, Node, Value, certificate, enlistment, frame, message,
        noise::{Initiator, Responder},
        payload::ClientPayload,
    },
};
use proptest::prelude::*;

fn jid() -> impl Strategy<Value = Jid> {
    let server = prop_oneof![
        Just("s.whatsapp.net".to_owned()),
        Just("lid".to_owned()),
        Just("g.us".to_owned()),
        Just("msgr".to_owned()),
        Just("hosted".to_owned()),
        Just("hosted.lid".to_owned()),
        "[a-z.]{1,12}".prop_filter("has a form of its own", |s| s != "interop"),
    ];
    prop_oneof![
        server.clone().prop_map(Jid::Server),
        (1..=999u16, 1..=999_999_999_999_999u64).prop_map(|(i, u)| Jid::interop(i, u)),
        ("[0-9A-Za-z._-]{1,20}", server, any::<u16>()).prop_map(|(user, server, device)| {
            Jid::User {
                user,
                server,
                device,
            }
        }),
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[0-9.-]{0,140}",
        "[0-9A-F]{1,140}",
        "(message|from|to|interop|w:interop|blocklist|w:g2|msgr|)",
        "[\r\n\0\u{2028}<>\"'&;]{1,8}",
    ]
}

fn element() -> impl Strategy<Value = Node> {
    let name = || text().prop_filter("an element has a name", |t| !t.is_empty());
    let value = prop_oneof![text().prop_map(Value::Text), jid().prop_map(Value::Jid)];
    let attrs = prop::collection::vec((name(), value), 0..6);
    (name(), attrs).prop_map(|(tag, attrs)| {
        attrs
            .into_iter()
            .fold(Node::new(tag), |node, (key, value)| node.with(key, value))
    })
}

fn node() -> impl Strategy<Value = Node> {
    let bytes = prop::collection::vec(any::<u8>(), 0..300).prop_map(Content::Bytes);
    let leaf = (element(), prop_oneof![Just(Content::Empty), bytes]);
    leaf.prop_map(|(node, content)| Node { content, ..node })
        .prop_recursive(4, 40, 5, |inner| {
            (element(), prop::collection::vec(inner, 0..5)).prop_map(|(node, children)| Node {
                content: Content::Nodes(children),
                ..node
            })
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_stanza_is_read_as_it_was_written(node in node()) {
        prop_assert_eq!(&wire::decode(&wire::encode(&node)).unwrap(), &node);
        prop_assert_eq!(&wire::unpack(&wire::pack(&node)).unwrap(), &node);
    }

    #[test]
    fn every_address_is_read_as_it_was_written(jid in jid()) {
        prop_assert_eq!(jid.to_string().parse(), Ok(jid.clone()));
        for interop_trailing_server in [false, true] {
            let node = Node::new("user").with("jid", &jid).with("type", "x");
            let bytes = wire::encode_as(&node, Dialect { interop_trailing_server });
            prop_assert_eq!(wire::decode(&bytes).unwrap(), node);
        }
    }

    #[test]
    fn whatever_a_text_holds_there_is_one_stanza(
        before in any::<String>(),
        evil in "[\r\n\0\u{2028}\u{85}<>\"]{1,4}",
        after in any::<String>(),
    ) {
        let value = format!("{before}{evil}{after}");
        let node = Node::new("message")
            .with("notify", value.as_str())
            .child(Node::new("body").bytes(value.as_bytes()));
        let mut stream = bytes::BytesMut::new();
        frame::put_frame(&mut stream, &wire::pack(&node)).unwrap();
        let frame = frame::take_frame(&mut stream).unwrap();
        prop_assert!(stream.is_empty());
        prop_assert_eq!(wire::unpack(&frame).unwrap(), node);
    }

    #[test]
    fn garbage_is_refused_or_read_but_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = wire::decode(&bytes);
        let _ = wire::unpack(&bytes);
        let sender = drawbridge::domain::RemoteUserId::parse("nobody").unwrap();
        let _ = message::read(&bytes, &sender, "");
        let _ = message::unpad(&bytes);
        let _ = enlistment::parse(&bytes);
        let _ = ClientPayload::parse(&bytes);
        let _ = certificate::verify_chain(&bytes, &[1; 32], &[2; 32], Timestamp(0));
        let _ = Responder::read_client_hello(&bytes, &[1; 32], [2; 32], &bytes);
        let (initiator, _) = Initiator::new([1; 32], [2; 32]);
        let _ = initiator.read_server_hello(&bytes, &[1; 32], Timestamp(0), b"");
        let _ = String::from_utf8_lossy(&bytes).parse::<Jid>();
    }

    #[test]
    fn a_damaged_stanza_never_panics(node in node(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = wire::encode(&node);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        // What is still a stanza can be written again.
        if let Ok(node) = wire::decode(&bytes) {
            prop_assert_eq!(wire::decode(&wire::encode(&node)).unwrap(), node);
        }
    }

    #[test]
    fn whatever_is_padded_comes_out_again(plain in prop::collection::vec(any::<u8>(), 0..100), n in any::<u8>()) {
        let padded = message::pad(plain.clone(), n);
        prop_assert_eq!(message::unpad(&padded).unwrap(), plain);
    }
}
