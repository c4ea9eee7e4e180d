//! Messages with files.

use drawbridge::{
    domain::{
        IncomingContent, MediaDetails, MediaKind, MessageContext, OutgoingContent, RemoteMedia,
    },
    network::interop::wire::media_retry,
};

use super::{
    CONTACT, LOGIN, NOW, a_file, encode_as, read_here, read_there,
    schema::{bytes, fields, number},
    sent, without_context,
};

fn details(kind: MediaKind) -> MediaDetails {
    let (mime_type, is_seen, is_heard) = match kind {
        MediaKind::Image => ("image/png", true, false),
        MediaKind::Video | MediaKind::Gif => ("video/3gpp", true, true),
        MediaKind::Audio => ("audio/mp4", false, true),
        MediaKind::Voice => ("audio/ogg; codecs=opus", false, true),
        MediaKind::File => ("application/pdf", false, false),
        MediaKind::Sticker => ("image/webp", true, false),
    };
    let has_preview = !matches!(
        kind,
        MediaKind::Audio | MediaKind::Voice | MediaKind::Sticker
    );
    MediaDetails {
        file_name: (kind == MediaKind::File).then(|| "tides.pdf".to_owned()),
        width: is_seen.then_some(640),
        height: is_seen.then_some(480),
        duration_ms: is_heard.then_some(3_000),
        waveform: (kind == MediaKind::Voice).then(|| vec![0, 50, 100]),
        preview: has_preview.then(|| b"jpeg".to_vec()),
        ..MediaDetails::new(kind, mime_type)
    }
}

fn a_media(details: MediaDetails, caption: Option<&str>) -> OutgoingContent {
    OutgoingContent::Media {
        details,
        file: a_file(),
        caption: caption.map(str::to_owned),
    }
}

fn seen(details: MediaDetails, caption: Option<&str>) -> IncomingContent {
    IncomingContent::Media {
        details,
        file: Some(a_file()),
        caption: caption.map(str::to_owned),
    }
}

#[test]
fn every_kind_of_file_is_a_message_of_its_own() {
    let seconds = u64::try_from(NOW.seconds()).unwrap();
    let file = a_file();
    let (key, sha256, encrypted) = (file.key.0, file.sha256, file.encrypted_sha256);
    let path = file.path;
    let size = file.size;
    let cases = [
        (
            MediaKind::Image,
            3,
            fields![
                bytes(2, "image/png"),
                bytes(4, sha256),
                number(5, size),
                number(6, 480),
                number(7, 640),
                bytes(8, key),
                bytes(9, encrypted),
                bytes(11, &path),
                number(12, seconds),
                bytes(16, "jpeg"),
            ],
        ),
        (
            MediaKind::Gif,
            9,
            fields![
                bytes(2, "video/3gpp"),
                bytes(3, sha256),
                number(4, size),
                number(5, 3),
                bytes(6, key),
                number(8, 1),
                number(9, 480),
                number(10, 640),
                bytes(11, encrypted),
                bytes(13, &path),
                number(14, seconds),
                bytes(16, "jpeg"),
            ],
        ),
        (
            MediaKind::Voice,
            8,
            fields![
                bytes(2, "audio/ogg; codecs=opus"),
                bytes(3, sha256),
                number(4, size),
                number(5, 3),
                number(6, 1),
                bytes(7, key),
                bytes(8, encrypted),
                bytes(9, &path),
                number(10, seconds),
                bytes(19, [0, 50, 100]),
            ],
        ),
        (
            MediaKind::File,
            7,
            fields![
                bytes(2, "application/pdf"),
                bytes(3, "tides.pdf"),
                bytes(4, sha256),
                number(5, size),
                bytes(7, key),
                bytes(8, "tides.pdf"),
                bytes(9, encrypted),
                bytes(10, &path),
                number(11, seconds),
                bytes(16, "jpeg"),
            ],
        ),
        (
            MediaKind::Sticker,
            26,
            fields![
                bytes(2, sha256),
                bytes(3, encrypted),
                bytes(4, key),
                bytes(5, "image/webp"),
                number(6, 480),
                number(7, 640),
                bytes(8, &path),
                number(9, size),
                number(10, seconds),
            ],
        ),
    ];
    for (kind, field, expected) in cases {
        let encoded = sent(&a_media(details(kind), None));
        assert_eq!(encoded, bytes(field, expected), "{kind:?}");
    }
}

#[test]
fn the_other_side_sees_the_file_and_what_is_said_of_it() {
    for kind in MediaKind::ALL {
        for view_once in [false, true] {
            let details = MediaDetails {
                view_once,
                ..details(kind)
            };
            let read = read_there(&sent(&a_media(details.clone(), None)));
            assert_eq!(read, without_context(seen(details, None)));
        }
    }
}

#[test]
fn a_caption_is_carried_where_there_can_be_one() {
    for kind in MediaKind::ALL {
        let possible = !matches!(
            kind,
            MediaKind::Audio | MediaKind::Voice | MediaKind::Sticker
        );
        let read = read_there(&sent(&a_media(details(kind), Some("the sea"))));
        let caption = possible.then_some("the sea");
        assert_eq!(read, without_context(seen(details(kind), caption)));
    }
}

#[test]
fn a_document_with_a_caption_is_wrapped_as_one() {
    let encoded = sent(&a_media(details(MediaKind::File), Some("read this")));
    // documentWithCaptionMessage{message{documentMessage{…}}}
    assert_eq!(encoded[..2], [0xaa, 0x03]);
}

#[test]
fn what_is_to_be_seen_once_says_so_twice() {
    let mut once = details(MediaKind::Image);
    once.view_once = true;
    let encoded = sent(&a_media(once.clone(), None));
    // viewOnceMessageV2{message{imageMessage{…}}}
    assert_eq!(encoded[..2], [0xba, 0x03]);
    assert!(encoded.ends_with(&[0xc8, 0x01, 0x01]));
    // Either is enough.
    let plain = sent(&a_media(details(MediaKind::Image), None));
    for wrapper in [37, 55, 59] {
        let read = read_here(&bytes(wrapper, bytes(1, &plain)));
        assert_eq!(read, without_context(seen(once.clone(), None)));
    }
    let inner = plain[plain.iter().position(|b| *b == 0x12).unwrap()..].to_vec();
    let read = read_here(&bytes(3, fields![inner, number(25, 1)]));
    assert_eq!(read, without_context(seen(once, None)));
}

#[test]
fn a_round_video_is_a_video() {
    let encoded = sent(&a_media(details(MediaKind::Video), None));
    let (_, inner) = encoded.split_at(3);
    let read = read_here(&bytes(66, inner));
    assert_eq!(read, without_context(seen(details(MediaKind::Video), None)));
}

#[test]
fn a_file_that_is_not_described_in_full_is_none() {
    let full = [
        bytes(4, [2; 32]),
        number(5, 1_234_567),
        bytes(8, [1; 32]),
        bytes(9, [3; 32]),
        bytes(11, a_file().path),
    ];
    let file_of = |fields: &[Vec<u8>]| match read_here(&bytes(3, fields.concat())).content {
        IncomingContent::Media { details, file, .. } => {
            assert_eq!(details.mime_type, "image/jpeg");
            file
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(file_of(&full), Some(a_file()));
    for missing in 0..full.len() {
        let mut fields = full.to_vec();
        fields.remove(missing);
        assert_eq!(file_of(&fields), None, "without field {missing}");
    }
    let wrong = [
        (0, bytes(4, [2; 31])),
        (2, bytes(8, [1; 33])),
        (3, bytes(9, [])),
        (4, bytes(11, "")),
        (4, bytes(11, ".example.org/x")),
        (4, bytes(11, "/a b")),
    ];
    for (place, field) in wrong {
        let mut fields = full.to_vec();
        fields[place] = field;
        assert_eq!(file_of(&fields), None, "{fields:?}");
    }
}

#[test]
fn a_file_of_no_known_type_has_the_one_its_kind_has_as_a_rule() {
    let kinds = [
        (3, MediaKind::Image, "image/jpeg"),
        (7, MediaKind::File, "application/octet-stream"),
        (8, MediaKind::Audio, "audio/mpeg"),
        (9, MediaKind::Video, "video/mp4"),
        (26, MediaKind::Sticker, "image/webp"),
    ];
    for (field, kind, mime_type) in kinds {
        let nothing = IncomingContent::Media {
            details: MediaDetails::new(kind, mime_type),
            file: None,
            caption: None,
        };
        assert_eq!(read_here(&bytes(field, [])), without_context(nothing));
    }
}

#[test]
fn a_duration_is_rounded_to_seconds_but_never_to_none() {
    for (milliseconds, seconds) in [(0, 0), (1, 1), (1_499, 1), (1_500, 2), (u64::MAX, u32::MAX)] {
        let mut voice = details(MediaKind::Voice);
        voice.duration_ms = Some(milliseconds);
        voice.waveform = None;
        match read_there(&sent(&a_media(voice, None))).content {
            IncomingContent::Media { details, .. } => {
                assert_eq!(details.duration_ms, Some(u64::from(seconds) * 1000));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_file_answers_and_mentions_as_a_text_does() {
    let context = MessageContext {
        mentions: vec![super::user(super::OTHER)],
        expires_after: Some(604_800),
        ..MessageContext::default()
    };
    for kind in MediaKind::ALL {
        let encoded = encode_as(LOGIN, CONTACT, &a_media(details(kind), None), &context);
        assert_eq!(read_there(&encoded).context, context, "{kind:?}");
    }
}

#[test]
fn a_file_is_found_and_moved_in_every_kind_of_message() {
    for kind in MediaKind::ALL {
        for view_once in [false, true] {
            let details = MediaDetails {
                view_once,
                ..details(kind)
            };
            let encoded = sent(&a_media(details.clone(), None));
            assert_eq!(media_retry::media_key(&encoded), Some(a_file().key));
            let moved = media_retry::with_path(&encoded, "/v/elsewhere").unwrap();
            let file = RemoteMedia {
                path: "/v/elsewhere".to_owned(),
                ..a_file()
            };
            let expected = IncomingContent::Media {
                details,
                file: Some(file),
                caption: None,
            };
            assert_eq!(read_there(&moved), without_context(expected));
        }
    }
    let image = sent(&a_media(details(MediaKind::Image), None));
    assert_eq!(media_retry::with_path(&image, "elsewhere"), None);
    assert_eq!(media_retry::with_path(b"\x0a\x02hi", "/v/x"), None);
    assert_eq!(media_retry::with_path(b"\x0a\xff", "/v/x"), None);
    assert_eq!(media_retry::media_key(b"\x0a\x02hi"), None);
}
