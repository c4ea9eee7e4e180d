//! Wrappers, the kinds that are not carried, and hostile bytes.

use drawbridge::domain::IncomingContent;

use super::{
    read_here,
    schema::{bytes, fields, number},
    text, unsupported, without_context,
};

fn wrapped(wrapper: u64, inner: Vec<u8>, times: usize) -> Vec<u8> {
    (0..times).fold(inner, |inner, _| bytes(wrapper, bytes(1, inner)))
}

#[test]
fn a_text_in_wrappers_is_found() {
    let hi = bytes(1, "hi");
    let wrappers = [
        37, 40, 53, 55, 59, 62, 67, 74, 85, 90, 91, 93, 101, 104, 118,
    ];
    for wrapper in wrappers {
        let read = read_here(&wrapped(wrapper, hi.clone(), 1));
        assert_eq!(read, without_context(text("hi")), "{wrapper}");
    }
    assert_eq!(
        read_here(&wrapped(40, hi.clone(), 4)),
        without_context(text("hi"))
    );
    assert_eq!(
        read_here(&wrapped(40, hi.clone(), 5)),
        unsupported("nested")
    );
    let sent_by_own_device = bytes(31, bytes(2, &hi));
    assert_eq!(read_here(&sent_by_own_device), without_context(text("hi")));
    // An empty wrapper wraps nothing.
    assert_eq!(
        read_here(&fields![bytes(40, []), hi]),
        without_context(text("hi"))
    );
}

#[test]
fn other_kinds_are_named() {
    let kinds = [
        (10, "call"),
        (69, "call"),
        (61, "scheduled_call"),
        (75, "event"),
        (76, "event_response"),
        (28, "group_invite"),
        (63, "pin"),
        (51, "keep"),
        (88, "poll_result"),
        (115, "poll_result"),
        (56, "reaction"),
        (38, "order"),
        (41, "invoice"),
        (30, "product"),
        (16, "payment"),
        (22, "payment"),
        (25, "template"),
        (29, "button_reply"),
        (36, "list"),
        (39, "list_reply"),
        (42, "buttons"),
        (45, "interactive"),
        (86, "sticker_pack"),
        (77, "comment"),
        (54, "phone_number"),
        (82, "encrypted"),
        (80, "placeholder"),
        (87, "status"),
        (97, "assistant"),
        (99, "limit_sharing"),
        (49, "poll"),
        (50, "poll_vote"),
        (46, "reaction"),
        (5, "location"),
        (13, "contact"),
    ];
    for (field, kind) in kinds {
        assert_eq!(read_here(&bytes(field, [])), unsupported(kind), "{field}");
    }
    assert_eq!(read_here(b""), unsupported("unknown"));
    // A field of a schema to come.
    assert_eq!(read_here(b"\xfa\x7f\x01x"), unsupported("unknown"));
}

#[test]
fn what_programs_tell_each_other_is_nothing() {
    // Sender keys, the headings of albums, shares of history and keys.
    for field in [2, 15, 47, 83, 70, 102, 123, 127] {
        let read = read_here(&bytes(field, []));
        assert_eq!(read, without_context(IncomingContent::Nothing), "{field}");
    }
    // History, app state, requests to other devices.
    for kind in [4, 5, 6, 7, 8, 9, 10, 16, 17, 22] {
        let read = read_here(&bytes(12, number(2, kind)));
        assert_eq!(read, without_context(IncomingContent::Nothing), "{kind}");
    }
    // Sender keys beside a text leave the text.
    let both = fields![bytes(2, []), bytes(1, "hi")];
    assert_eq!(read_here(&both), without_context(text("hi")));
}

#[test]
fn changes_that_say_too_little_are_named() {
    let kinds = [
        (0, "revoke"),
        (14, "edit"),
        (11, "phone_number"),
        (27, "limit_sharing"),
        // A type of a schema to come.
        (99, "protocol"),
    ];
    for (kind, name) in kinds {
        assert_eq!(read_here(&bytes(12, number(2, kind))), unsupported(name));
    }
}

#[test]
fn a_better_resolution_of_a_picture_that_came_is_nothing() {
    let associated = |kind| {
        let association = bytes(10, number(1, kind));
        let picture = fields![bytes(3, []), bytes(35, association)];
        read_here(&bytes(91, bytes(1, picture))).content
    };
    for kind in [5, 10, 12, 19] {
        assert_eq!(associated(kind), IncomingContent::Nothing, "{kind}");
    }
    // One of an album is a picture of its own.
    assert!(matches!(associated(1), IncomingContent::Media { .. }));
}

#[test]
fn what_is_no_message_is_malformed() {
    assert_eq!(read_here(b"\x0a\xff"), unsupported("malformed"));
    // A text that is not UTF-8.
    assert_eq!(read_here(b"\x0a\x01\xff"), unsupported("malformed"));
}

#[test]
fn what_is_far_too_long_is_not_looked_into() {
    let long = "x".repeat(256 * 1024);
    assert_eq!(read_here(&bytes(1, &long)), without_context(text(&long)));
    let far_too_long = bytes(1, "x".repeat(384 * 1024));
    assert_eq!(read_here(&far_too_long), unsupported("oversized"));
}

#[test]
fn a_message_nested_as_deep_as_bytes_go_is_survived() {
    // ephemeralMessage{message{ephemeralMessage{…}}}: on a stack as small as a worker thread's.
    let ephemeral = wrapped(40, Vec::new(), 5_000);
    // extendedTextMessage{contextInfo{quotedMessage{…}}}, as deep as the decoder follows.
    let quotes = (0..32).fold(bytes(1, "deep"), |inner, _| {
        let info = fields![bytes(1, "3EB0"), bytes(2, "1@lid"), bytes(3, inner)];
        bytes(6, bytes(17, info))
    });
    let read = std::thread::Builder::new()
        .stack_size(2 << 20)
        .spawn(move || (read_here(&ephemeral), read_here(&quotes)))
        .unwrap()
        .join()
        .unwrap();
    assert_eq!(read.0, unsupported("malformed"));
    assert_eq!(read.1.content, text(""));
    assert!(read.1.context.quote.is_some());
}
