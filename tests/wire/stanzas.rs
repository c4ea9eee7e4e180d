//! Stanzas and addresses against the bytes the gatekeeper's documents print.

use std::io::Write as _;

use drawbridge::network::interop::wire::{
    self, Content, DecodeError, Dialect, Jid, Node, Value, frame,
};
use flate2::{Compression, write::ZlibEncoder};

use super::hex;

const TRAILING: Dialect = Dialect {
    interop_trailing_server: true,
};

fn published() -> Vec<u8> {
    let mut bytes =
        hex("f8 0c 13 11 fa ff 86 14 15 55 51 00 1f 03 06 fa ff 86 14 15 55 51 00 0f 03 08 fc 06");
    bytes.extend(b"123456");
    bytes.extend(hex("04 38 18 fc 03"));
    bytes.extend(b"joe");
    bytes.extend(hex("f8 01 f8 02 ed 75 fc 15"));
    bytes.extend(b"Body text of message.");
    bytes
}

fn message() -> Node {
    Node::new("message")
        .with("to", Jid::user("14155551001", "s.whatsapp.net"))
        .with("from", Jid::user("14155551000", "s.whatsapp.net"))
        .with("id", "123456")
        .with("type", "text")
        .with("notify", "joe")
        .child(Node::new("body").bytes(*b"Body text of message."))
}

#[test]
fn the_published_stanza_is_read() {
    assert_eq!(wire::decode(&published()).unwrap(), message());
    let mut plain = vec![0];
    plain.extend(published());
    assert_eq!(wire::unpack(&plain).unwrap(), message());
}

#[test]
fn the_published_stanza_is_written_but_for_the_id_which_is_packed() {
    let raw = b"\xfc\x06123456";
    let packed = hex("ff 03 12 34 56");
    let published = published();
    let at = published.windows(raw.len()).position(|w| w == raw).unwrap();
    let mut expected = published[..at].to_vec();
    expected.extend(packed);
    expected.extend(&published[at + raw.len()..]);
    assert_eq!(wire::encode(&message()), expected);
}

#[test]
fn a_compressed_stanza_is_read() {
    let mut zlib = ZlibEncoder::new(vec![2], Compression::default());
    zlib.write_all(&published()).unwrap();
    assert_eq!(wire::unpack(&zlib.finish().unwrap()).unwrap(), message());
}

#[test]
fn what_inflates_too_much_is_refused() {
    let mut zlib = ZlibEncoder::new(vec![2], Compression::best());
    let zeros = vec![0; 1 << 20];
    for _ in 0..9 {
        zlib.write_all(&zeros).unwrap();
    }
    let bomb = zlib.finish().unwrap();
    assert!(bomb.len() < 1 << 14);
    assert_eq!(wire::unpack(&bomb), Err(DecodeError::TooLarge));
}

#[test]
fn the_published_interop_address() {
    let jid: Jid = "1-10853634039893@interop".parse().unwrap();
    assert_eq!(jid, Jid::interop(1, 10_853_634_039_893));
    let expected = hex("f5 ff 07 10 85 36 34 03 98 93 00 00 00 01");
    let node = Node::new("user").with("jid", &jid);
    let bytes = wire::encode(&node);
    assert!(bytes.ends_with(&expected), "{bytes:02x?}");
    assert_eq!(wire::decode(&bytes).unwrap(), node);
}

#[test]
fn interop_addresses_are_read_in_both_forms() {
    let jid = Jid::interop(1, 10_853_634_039_893);
    let ack = Node::new("ack")
        .with("from", &jid)
        .with("id", "1")
        .with("participant", &jid);
    let receipt = Node::new("receipt")
        .with("from", &jid)
        .child(Node::new("list").child(Node::new("item").with("jid", &jid)))
        .child(Node::new("user").with("jid", Jid::interop(999, 1)));
    for (node, addresses) in [(ack, 2), (receipt, 3)] {
        let (short, long) = (wire::encode(&node), wire::encode_as(&node, TRAILING));
        assert_eq!(long.len() - short.len(), addresses * 9);
        assert_eq!(wire::decode(&short).unwrap(), node);
        assert_eq!(wire::decode(&long).unwrap(), node);
    }
}

#[test]
fn a_text_interop_behind_an_address_stays_a_text() {
    let jid = Jid::interop(7, 42);
    let key = Node::new("users").with("jid", &jid).with("interop", "x");
    let content = Node::new("user").with("jid", &jid).bytes(*b"interop");
    for node in [key, content] {
        assert_eq!(wire::decode(&wire::encode(&node)).unwrap(), node);
    }
}

#[test]
fn each_kind_of_address_has_its_bytes() {
    let cases = [
        (
            "4915155550001@s.whatsapp.net",
            "fa ff 87 49 15 15 55 50 00 1f 03",
        ),
        (
            "4915155550001:2@s.whatsapp.net",
            "f7 00 02 ff 87 49 15 15 55 50 00 1f",
        ),
        ("1234:3@lid", "f7 01 03 ff 02 12 34"),
        ("1212:99@hosted", "f7 80 63 ff 02 12 12"),
        ("1212:99@hosted.lid", "f7 81 63 ff 02 12 12"),
        ("10077:7@msgr", "f6 ff 83 10 07 7f 00 07 cc"),
        ("10077@msgr", "f6 ff 83 10 07 7f 00 00 cc"),
        ("s.whatsapp.net", "fa 00 03"),
        ("12:300@s.whatsapp.net", "fa fc 06 31 32 3a 33 30 30 03"),
    ];
    for (text, bytes) in cases {
        let jid: Jid = text.parse().unwrap();
        let node = Node::new("user").with("jid", &jid);
        let encoded = wire::encode(&node);
        assert!(encoded.ends_with(&hex(bytes)), "{text}: {encoded:02x?}");
        assert_eq!(wire::decode(&encoded).unwrap(), node, "{text}");
    }
}

#[test]
fn addresses_outside_the_grammar_are_refused() {
    for text in [
        "",
        "@interop",
        "1@interop",
        "0-1@interop",
        "1-0@interop",
        "01-5@interop",
        "1000-5@interop",
        "1-1234567890123456@interop",
        "1-5:1@interop",
        "1-5:@interop",
        "a@b@c",
        "a:1:2@b",
        "a:+1@b",
        "a:65536@b",
        "a b@c",
        "a\n@c",
        "ä@c",
    ] {
        assert!(text.parse::<Jid>().is_err(), "{text:?}");
    }
    assert_eq!("1-5:0@interop".parse(), Ok(Jid::interop(1, 5)));
}

#[test]
fn an_address_from_the_wire_obeys_the_same_grammar() {
    // A pair whose user holds a line break, an interop address of device 1, one of integrator 0, one with a letter.
    for jid in [
        "fa fc 03 61 0a 62 03",
        "f5 ff 01 12 00 01 00 01",
        "f5 ff 01 12 00 00 00 00",
        "f5 fb 01 1a 00 00 00 01",
    ] {
        let mut bytes = hex("f8 03 13 06");
        bytes.extend(hex(jid));
        let error = wire::decode(&bytes).unwrap_err();
        assert!(matches!(error, DecodeError::Jid(_)), "{jid}: {error}");
    }
}

#[test]
fn a_refused_address_is_not_in_the_error() {
    let error = wire::decode(&hex("f8 03 13 06 fa fc 05 34 39 31 35 20 03")).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("4915"));
}

#[test]
fn long_lists_and_contents_have_their_longer_lengths() {
    let keys = (0..300)
        .map(|_| Node::new("key"))
        .fold(Node::new("list"), Node::child);
    assert!(wire::encode(&keys).starts_with(&hex("f8 02")));
    for (length, start) in [
        (0xff, "fc ff"),
        (0x100, "fd 00 01 00"),
        (0x10_0000, "fe 00 10 00 00"),
    ] {
        let node = Node::new("enc").bytes(vec![7; length]);
        let bytes = wire::encode(&node);
        let content = &bytes[bytes.len() - length - hex(start).len()..];
        assert!(content.starts_with(&hex(start)));
        assert_eq!(wire::decode(&bytes).unwrap(), node);
    }
    assert_eq!(wire::decode(&wire::encode(&keys)).unwrap(), keys);
}

#[test]
fn depth_attributes_and_size_are_capped() {
    let deep = (0..40).fold(Node::new("a"), |inner, _| Node::new("a").child(inner));
    assert_eq!(
        wire::decode(&wire::encode(&deep)),
        Err(DecodeError::TooMany("levels"))
    );
    let wide = (0..200).fold(Node::new("a"), |n, i| n.with(format!("key{i}"), "x"));
    assert_eq!(
        wire::decode(&wire::encode(&wide)),
        Err(DecodeError::TooMany("attributes"))
    );
    let rows = Node {
        content: Content::Nodes(vec![Node::new("a"); 60_000]),
        ..Node::new("b")
    };
    let many = Node::new("list").child(rows.clone()).child(rows);
    assert_eq!(
        wire::decode(&wire::encode(&many)),
        Err(DecodeError::TooMany("parts"))
    );
}

#[test]
fn an_attribute_twice_or_bytes_behind_the_stanza_are_refused() {
    let mut twice = Node::new("ack");
    twice.attrs = vec![("id".into(), "1".into()), ("id".into(), "2".into())];
    assert_eq!(
        wire::decode(&wire::encode(&twice)),
        Err(DecodeError::AttributeKey)
    );
    let mut bytes = published();
    bytes.push(0);
    assert_eq!(wire::decode(&bytes), Err(DecodeError::Trailing(1)));
}

#[test]
fn every_prefix_of_a_stanza_is_refused() {
    let bytes = published();
    for length in 0..bytes.len() {
        assert!(wire::decode(&bytes[..length]).is_err());
    }
}

#[test]
fn packed_texts() {
    for (text, bytes) in [
        ("1234", "ff 02 12 34"),
        ("-.9", "ff 82 ab 9f"),
        ("3EB0", "fb 02 3e b0"),
        ("ABC", "fb 82 ab cf"),
    ] {
        let bytes = [hex("f8 03 13 08"), hex(bytes)].concat();
        let node = Node::new("message").with("id", text);
        assert_eq!(wire::encode(&node), bytes, "{text}");
        assert_eq!(wire::decode(&bytes).unwrap(), node, "{text}");
    }
    // A half byte that means nothing, and a filling without anything before it.
    assert_eq!(
        wire::decode(&hex("f8 03 13 08 ff 01 1c")),
        Err(DecodeError::Packed)
    );
    assert_eq!(
        wire::decode(&hex("f8 03 13 08 ff 80")),
        Err(DecodeError::Packed)
    );
}

#[test]
fn no_character_ends_a_value_early() {
    for evil in [
        "\r\n",
        "\0",
        "\u{2028}",
        "\"/><message to=\"x\">",
        "</body>",
    ] {
        let node = message()
            .with("notify", evil)
            .with("id", format!("a{evil}b"));
        let decoded = wire::decode(&wire::encode(&node)).unwrap();
        assert_eq!(decoded, node);
        assert_eq!(decoded.attrs.len(), 5);
        assert_eq!(decoded.attr("notify").as_deref(), Some(evil));
    }
}

#[test]
fn a_value_that_looks_like_an_address_stays_a_text() {
    let node = Node::new("user").with("jid", "1-5@interop");
    let decoded = wire::decode(&wire::encode(&node)).unwrap();
    assert_eq!(decoded.attrs[0].1, Value::Text("1-5@interop".to_owned()));
    assert_eq!(decoded.jid("jid"), Some(Jid::interop(1, 5)));
}

#[test]
fn frames_come_out_whole_however_they_arrive() {
    let mut stream = bytes::BytesMut::new();
    frame::put_frame(&mut stream, b"one").unwrap();
    frame::put_frame(&mut stream, b"").unwrap();
    frame::put_frame(&mut stream, &vec![9; 70_000]).unwrap();
    assert_eq!(&stream[..6], b"\0\0\x03one");
    let mut buffer = bytes::BytesMut::new();
    let mut frames = Vec::new();
    for byte in stream {
        buffer.extend_from_slice(&[byte]);
        while let Some(frame) = frame::take_frame(&mut buffer) {
            frames.push(frame.len());
        }
    }
    assert_eq!(frames, [3, 0, 70_000]);
    assert!(buffer.is_empty());
    let long = vec![0; frame::MAX_FRAME + 1];
    assert_eq!(
        frame::put_frame(&mut buffer, &long),
        Err(DecodeError::FrameTooLong(0x100_0000))
    );
    assert!(buffer.is_empty());
}
