//! What the stanza says about the message in it.

use drawbridge::{
    domain::{ContactCard, LinkPreview, Location, MediaDetails, MediaKind, OutgoingContent, Poll},
    network::interop::wire::message::Envelope,
};

use super::{CONTACT, a_file, a_message, id, sent};

fn envelope(
    kind: &'static str,
    mediatype: Option<&'static str>,
    edit: Option<&'static str>,
    decrypt_fail_hide: bool,
) -> Envelope {
    Envelope {
        kind,
        mediatype,
        edit,
        decrypt_fail_hide,
    }
}

fn linking(title: Option<&str>) -> OutgoingContent {
    OutgoingContent::Text {
        body: "u".to_owned(),
        preview: Some(LinkPreview {
            url: "u".to_owned(),
            title: title.map(str::to_owned),
            description: None,
            thumbnail: None,
        }),
    }
}

fn place(live: bool) -> OutgoingContent {
    OutgoingContent::Location(Location {
        latitude: 1.0,
        longitude: 2.0,
        accuracy: None,
        name: None,
        address: None,
        live,
    })
}

fn cards(count: usize) -> OutgoingContent {
    let card = ContactCard {
        name: "Ada".to_owned(),
        vcard: String::new(),
    };
    OutgoingContent::Contacts(vec![card; count])
}

fn reaction(emoji: &str) -> OutgoingContent {
    OutgoingContent::Reaction {
        target: a_message("3EB0", Some(CONTACT)),
        emoji: emoji.to_owned(),
    }
}

#[test]
fn every_kind_has_its_envelope_the_first_time_and_when_it_is_sent_again() {
    let text = OutgoingContent::Text {
        body: "hi".to_owned(),
        preview: None,
    };
    let edit = OutgoingContent::Edit {
        target: id("3EB0"),
        body: "better".to_owned(),
        caption_of: Some(MediaKind::Image),
    };
    let poll = OutgoingContent::Poll(Poll {
        question: "Tea?".to_owned(),
        options: vec!["yes".to_owned()],
        selectable: 0,
        secret: None,
    });
    let vote = OutgoingContent::PollVote {
        poll: a_message("3EB0", Some(CONTACT)),
        secret: [1; 32],
        choices: Vec::new(),
    };
    let cases = [
        (text, envelope("text", None, None, false)),
        (linking(None), envelope("text", None, None, false)),
        (linking(Some("")), envelope("text", None, None, false)),
        (
            linking(Some("t")),
            envelope("media", Some("url"), None, false),
        ),
        (reaction("x"), envelope("reaction", None, None, true)),
        (reaction(""), envelope("reaction", None, Some("7"), true)),
        (edit, envelope("text", None, Some("1"), true)),
        (
            OutgoingContent::Revoke {
                target: a_message("3EB0", None),
            },
            envelope("text", None, Some("7"), true),
        ),
        (
            OutgoingContent::Revoke {
                target: a_message("3EB0", Some("491555@s.whatsapp.net")),
            },
            envelope("text", None, Some("8"), true),
        ),
        (
            place(false),
            envelope("media", Some("location"), None, false),
        ),
        (
            place(true),
            envelope("media", Some("livelocation"), None, false),
        ),
        (cards(1), envelope("media", Some("vcard"), None, false)),
        (
            cards(2),
            envelope("media", Some("contact_array"), None, false),
        ),
        (poll, envelope("poll", None, None, false)),
        (vote, envelope("poll", None, None, true)),
        (
            OutgoingContent::Timer { seconds: 0 },
            envelope("text", None, None, false),
        ),
    ];
    for (content, expected) in cases {
        assert_eq!(Envelope::of(&content), expected, "{content:?}");
        assert_eq!(
            Envelope::of_plaintext(&sent(&content)),
            expected,
            "{content:?}"
        );
    }
}

#[test]
fn every_kind_of_file_has_its_envelope() {
    let names = [
        "image", "video", "gif", "audio", "ptt", "document", "sticker",
    ];
    for (kind, name) in MediaKind::ALL.into_iter().zip(names) {
        for view_once in [false, true] {
            let content = OutgoingContent::Media {
                details: MediaDetails {
                    view_once,
                    ..MediaDetails::new(kind, "x/y")
                },
                file: a_file(),
                caption: Some("c".to_owned()),
            };
            let expected = envelope("media", Some(name), None, false);
            assert_eq!(Envelope::of(&content), expected);
            assert_eq!(Envelope::of_plaintext(&sent(&content)), expected);
        }
    }
}
