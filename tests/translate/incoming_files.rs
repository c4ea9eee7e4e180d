//! Files of the gatekeeper's users.

use drawbridge::{
    domain::{AttachmentKey, IncomingContent, IncomingMessage, MediaDetails, MediaKind},
    translate::{MatrixContext, MediaAtMatrix, Thumbnail},
};
use serde_json::json;

use super::world::{answering, bare, event_id, here_with, shown};

fn file(details: MediaDetails, caption: Option<&str>) -> IncomingMessage {
    bare(IncomingContent::Media {
        details,
        file: None,
        caption: caption.map(str::to_owned),
    })
}

fn picture() -> MediaDetails {
    MediaDetails {
        width: Some(640),
        height: Some(480),
        ..MediaDetails::new(MediaKind::Image, "image/jpeg")
    }
}

fn media(media: MediaAtMatrix) -> MatrixContext {
    here_with(|here| here.media = Some(media))
}

fn uploaded() -> MatrixContext {
    media(MediaAtMatrix::Uploaded {
        uri: "mxc://example.org/file".to_owned(),
        encryption: None,
        size: 12_345,
        thumbnail: None,
        blurhash: None,
    })
}

#[test]
fn kinds() {
    let rich = media(MediaAtMatrix::Uploaded {
        uri: "mxc://example.org/file".to_owned(),
        encryption: None,
        size: 12_345,
        thumbnail: Some(Thumbnail {
            uri: "mxc://example.org/small".to_owned(),
            encryption: None,
            mime_type: "image/jpeg".to_owned(),
            size: 900,
            width: 64,
            height: 48,
        }),
        blurhash: Some("LEHV6nWB2yk8pyo0adR*.7kCMdnj".to_owned()),
    });
    let of = |kind, mime: &str| MediaDetails::new(kind, mime);
    let voice = MediaDetails {
        duration_ms: Some(4_200),
        waveform: Some(vec![0, 50, 100, 200]),
        ..of(MediaKind::Voice, "audio/ogg; codecs=opus")
    };
    let named = MediaDetails {
        file_name: Some("../re:port\u{202e}fdp.exe".to_owned()),
        ..of(MediaKind::File, "application/pdf")
    };
    let video = MediaDetails {
        duration_ms: Some(61_000),
        ..MediaDetails {
            kind: MediaKind::Video,
            mime_type: "video/mp4".to_owned(),
            ..picture()
        }
    };
    let endless = MediaDetails {
        duration_ms: Some(u64::MAX),
        ..of(MediaKind::Audio, "audio/mpeg")
    };
    let cases = json!({
        "picture": shown(&file(picture(), None), &rich),
        "video": shown(&file(video, None), &uploaded()),
        "GIF": shown(&file(of(MediaKind::Gif, "video/mp4"), None), &uploaded()),
        "GIF that is a picture": shown(&file(of(MediaKind::Gif, "image/gif"), None), &uploaded()),
        "audio": shown(&file(endless, None), &uploaded()),
        "voice": shown(&file(voice, None), &uploaded()),
        "file with a name that hides something": shown(&file(named, None), &uploaded()),
        "file without a name, of a malformed type": shown(&file(of(MediaKind::File, "a\r\nb"), None), &uploaded()),
        "sticker": shown(&file(MediaDetails { width: Some(512), height: Some(512), ..of(MediaKind::Sticker, "image/webp") }, None), &uploaded()),
    });
    insta::assert_json_snapshot!(cases);
}

/// How files are told of in an encrypted room: nothing of them is at an address that opens without the event.
#[test]
fn encrypted_files() {
    let key = |byte: u8| AttachmentKey {
        key: [byte; 32],
        iv: [
            byte, byte, byte, byte, byte, byte, byte, byte, 0, 0, 0, 0, 0, 0, 0, 0,
        ],
        sha256: [byte + 1; 32],
    };
    let rich = media(MediaAtMatrix::Uploaded {
        uri: "mxc://example.org/file".to_owned(),
        encryption: Some(key(0xFB)),
        size: 12_345,
        thumbnail: Some(Thumbnail {
            uri: "mxc://example.org/small".to_owned(),
            encryption: Some(key(0x1F)),
            mime_type: "image/jpeg".to_owned(),
            size: 900,
            width: 64,
            height: 48,
        }),
        blurhash: Some("LEHV6nWB2yk8pyo0adR*.7kCMdnj".to_owned()),
    });
    let bare = media(MediaAtMatrix::Uploaded {
        uri: "mxc://example.org/file".to_owned(),
        encryption: Some(key(0xFB)),
        size: 12_345,
        thumbnail: None,
        blurhash: None,
    });
    let of = |kind, mime: &str| file(MediaDetails::new(kind, mime), None);
    let mut late = bare.clone();
    late.replaces = Some(event_id("$placeholder"));
    let cases = json!({
        "picture": shown(&file(picture(), Some("look")), &rich),
        "voice": shown(&of(MediaKind::Voice, "audio/ogg; codecs=opus"), &bare),
        "sticker": shown(&of(MediaKind::Sticker, "image/webp"), &bare),
        "in the place of a placeholder": shown(&of(MediaKind::File, "application/pdf"), &late),
    });
    insta::assert_json_snapshot!(cases);
}

#[test]
fn captions_answers_and_placeholders() {
    let sticker = || file(MediaDetails::new(MediaKind::Sticker, "image/webp"), None);
    let replacing = |mut here: MatrixContext| {
        here.replaces = Some(event_id("$placeholder"));
        here
    };
    let replying = |mut here: MatrixContext| {
        here.reply_to = Some(event_id("$earlier"));
        here
    };
    let cases = json!({
        "caption": shown(&file(picture(), Some("*look* at\nthis")), &uploaded()),
        "blank caption": shown(&file(picture(), Some(" \n")), &uploaded()),
        "an answer": shown(&file(picture(), None), &replying(uploaded())),
        "an answer to an unknown message": shown(&answering(file(picture(), Some("this")), Some("which?")), &uploaded()),
        "in the place of a placeholder": shown(&file(picture(), Some("look")), &replacing(uploaded())),
        "sticker in the place of a placeholder": shown(&sticker(), &replying(replacing(uploaded()))),
        "sticker that answers an unknown message": shown(&answering(sticker(), Some("which?")), &uploaded()),
    });
    insta::assert_json_snapshot!(cases);
}

#[test]
fn what_is_not_shown_says_so() {
    let voice = || file(MediaDetails::new(MediaKind::Voice, "audio/ogg"), None);
    let cases = json!({
        "asked for again": shown(&file(picture(), None), &media(MediaAtMatrix::AskedAgain)),
        "asked for again, with a caption": shown(&file(picture(), Some("*look*")), &media(MediaAtMatrix::AskedAgain)),
        "lost": shown(&voice(), &media(MediaAtMatrix::Lost("it is larger than 100 MB".to_owned()))),
        "to be seen once": shown(&file(picture(), None), &media(MediaAtMatrix::Withheld)),
        "nowhere": shown(&file(picture(), None), &here_with(|_| ())),
        "lost for good after it was asked for": shown(&voice(), &here_with(|here| {
            here.media = Some(MediaAtMatrix::Lost("the sender does not have it any more.".to_owned()));
            here.replaces = Some(event_id("$placeholder"));
        })),
    });
    insta::assert_json_snapshot!(cases);
}
