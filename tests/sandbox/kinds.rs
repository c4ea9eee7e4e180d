//! Every kind of message a contact writes, as the protobuf and the stanza a Partner's user gets, and every kind it understands.

use drawbridge::{
    domain::MediaKind,
    network::interop::wire::Node,
    sandbox::{
        MediaToSend,
        content::{Card, Composed, Content, Location, Preview},
    },
};
use waproto::{
    buffa::MessageField,
    whatsapp::{
        ContextInfo, Message,
        message::{
            ContactMessage, ContactsArrayMessage, EventMessage, ExtendedTextMessage,
            FutureProofMessage, LocationMessage,
        },
    },
};

use super::talk::{Talk, text_message};

fn attributes(node: &Node) -> [Option<String>; 4] {
    let enc = node.find("enc").unwrap();
    [
        node.attr("type"),
        node.attr("edit"),
        enc.attr("mediatype"),
        enc.attr("decrypt-fail"),
    ]
    .map(|value| value.map(std::borrow::Cow::into_owned))
}

fn says(kind: &str, media_type: Option<&str>) -> [Option<String>; 4] {
    [Some(kind), None, media_type, None].map(|value| value.map(str::to_owned))
}

#[tokio::test]
async fn texts_with_marks_mentions_quotes_and_previews_reach_the_user() {
    let mut talk = Talk::start().await;
    talk.say("Q1", "quote me").await;
    let message = Composed {
        mentions_everybody: true,
        ..Composed::text("*bold* @7-1 and all")
    }
    .answering("Q1", &talk.login)
    .mentioning(talk.login.as_str());
    talk.contact.send(&talk.login, message).await.unwrap();
    let (node, got) = talk.hear().await;
    assert_eq!(attributes(&node), says("text", None));
    let extended = got.extended_text_message.into_option().unwrap();
    assert_eq!(extended.text.as_deref(), Some("*bold* @7-1 and all"));
    let context = extended.context_info.into_option().unwrap();
    assert_eq!(context.stanza_id.as_deref(), Some("Q1"));
    assert_eq!(context.participant.as_deref(), Some(talk.login.as_str()));
    assert_eq!(
        context.quoted_message.conversation.as_deref(),
        Some("quote me")
    );
    assert_eq!(context.mentioned_jid, [talk.login.clone()]);
    assert_eq!(context.non_jid_mentions, Some(1));

    let preview = Preview {
        url: "https://example.org/a".to_owned(),
        title: "A title".to_owned(),
        description: "A sentence.".to_owned(),
        thumbnail: vec![1, 2, 3],
    };
    let message = Composed {
        content: Content::Text {
            preview: Some(preview),
        },
        ..Composed::text("see https://example.org/a")
    };
    talk.contact.send(&talk.login, message).await.unwrap();
    let (node, got) = talk.hear().await;
    assert_eq!(attributes(&node), says("text", Some("url")));
    let extended = got.extended_text_message.into_option().unwrap();
    assert_eq!(
        extended.matched_text.as_deref(),
        Some("https://example.org/a")
    );
    assert_eq!(extended.title.as_deref(), Some("A title"));
    assert_eq!(extended.jpeg_thumbnail.as_deref(), Some(&[1, 2, 3][..]));
}

#[tokio::test]
async fn places_cards_and_events_reach_the_user() {
    let mut talk = Talk::start().await;
    let place = Location {
        name: Some("Office".to_owned()),
        ..Location::at(51.5, -0.25)
    };
    talk.contact
        .send_location(&talk.login, place)
        .await
        .unwrap();
    let (node, got) = talk.hear().await;
    assert_eq!(attributes(&node), says("media", Some("location")));
    let location = got.location_message.into_option().unwrap();
    assert_eq!(
        (location.degrees_latitude, location.degrees_longitude),
        (Some(51.5), Some(-0.25))
    );
    let live = Location {
        live: true,
        ..Location::at(1.0, 2.0)
    };
    talk.contact.send_location(&talk.login, live).await.unwrap();
    let (node, got) = talk.hear().await;
    assert_eq!(attributes(&node), says("media", Some("livelocation")));
    assert!(got.live_location_message.is_set());

    let card = |name: &str| Card {
        name: name.to_owned(),
        vcard: format!("BEGIN:VCARD\nFN:{name}\nEND:VCARD"),
    };
    let one = vec![card("Ann")];
    talk.contact.send_contacts(&talk.login, one).await.unwrap();
    let (node, got) = talk.hear().await;
    assert_eq!(attributes(&node), says("media", Some("vcard")));
    let contact = got.contact_message.into_option().unwrap();
    assert_eq!(contact.display_name.as_deref(), Some("Ann"));
    let two = vec![card("Ann"), card("Bob")];
    talk.contact.send_contacts(&talk.login, two).await.unwrap();
    let (node, got) = talk.hear().await;
    assert_eq!(attributes(&node), says("media", Some("contact_array")));
    let contacts = got.contacts_array_message.into_option().unwrap().contacts;
    assert_eq!(contacts[1].vcard, Some(card("Bob").vcard));

    let event = Composed {
        content: Content::Event,
        ..Composed::text("Lunch")
    };
    talk.contact.send(&talk.login, event).await.unwrap();
    let (node, got) = talk.hear().await;
    assert_eq!(attributes(&node), says("event", None));
    let event = got.event_message.into_option().unwrap();
    assert_eq!(event.name.as_deref(), Some("Lunch"));
}

#[tokio::test]
async fn every_kind_of_file_reaches_the_user_in_its_own_message() {
    let mut talk = Talk::start().await;
    for kind in MediaKind::ALL {
        let media = MediaToSend {
            caption: "*caption*".to_owned(),
            width: Some(4),
            height: Some(3),
            seconds: Some(2),
            waveform: vec![50; 64],
            thumbnail: vec![9],
            ..MediaToSend::bytes(kind, "some/type", vec![7; 100]).named("a.bin")
        };
        talk.contact.send_media(&talk.login, media).await.unwrap();
        let (node, got) = talk.hear().await;
        let (media_type, length, path) = match kind {
            MediaKind::Image => {
                let image = got.image_message.into_option().unwrap();
                assert_eq!((image.width, image.height), (Some(4), Some(3)));
                assert_eq!(image.caption.as_deref(), Some("*caption*"));
                ("image", image.file_length, image.direct_path)
            }
            MediaKind::Video | MediaKind::Gif => {
                let video = got.video_message.into_option().unwrap();
                let is_gif = kind == MediaKind::Gif;
                assert_eq!(video.gif_playback.unwrap_or(false), is_gif);
                assert_eq!(video.seconds, Some(2));
                assert_eq!(video.jpeg_thumbnail.as_deref(), Some(&[9][..]));
                let name = if is_gif { "gif" } else { "video" };
                (name, video.file_length, video.direct_path)
            }
            MediaKind::Audio | MediaKind::Voice => {
                let audio = got.audio_message.into_option().unwrap();
                let is_voice = kind == MediaKind::Voice;
                assert_eq!(audio.ptt, Some(is_voice));
                assert_eq!(audio.waveform.map(|w| w.len()), Some(64));
                let name = if is_voice { "ptt" } else { "audio" };
                (name, audio.file_length, audio.direct_path)
            }
            MediaKind::File => {
                let wrapper = got.document_with_caption_message.into_option().unwrap();
                let mut inner = wrapper.message.into_option().unwrap();
                let document = inner.document_message.take().unwrap();
                assert_eq!(document.file_name.as_deref(), Some("a.bin"));
                assert_eq!(document.caption.as_deref(), Some("*caption*"));
                ("document", document.file_length, document.direct_path)
            }
            MediaKind::Sticker => {
                let sticker = got.sticker_message.into_option().unwrap();
                ("sticker", sticker.file_length, sticker.direct_path)
            }
        };
        assert_eq!(attributes(&node), says("media", Some(media_type)));
        assert_eq!(length, Some(100));
        assert!(path.unwrap().starts_with("/v/"), "{kind:?}");
    }
    for (kind, wrapped) in [(MediaKind::Image, 1), (MediaKind::Voice, 2)] {
        let media = MediaToSend {
            view_once: true,
            ..MediaToSend::bytes(kind, "some/type", vec![7; 100])
        };
        talk.contact.send_media(&talk.login, media).await.unwrap();
        let (_, got) = talk.hear().await;
        let at = [
            got.view_once_message.is_set(),
            got.view_once_message_v2.is_set(),
            got.view_once_message_v2_extension.is_set(),
        ];
        assert_eq!(at.iter().position(|set| *set), Some(wrapped));
    }
}

fn wrapped(message: Message) -> MessageField<FutureProofMessage> {
    MessageField::some(FutureProofMessage {
        message: MessageField::some(message),
    })
}

#[tokio::test]
async fn a_contact_understands_what_the_user_writes() {
    let mut talk = Talk::start().await;
    let own = talk.contact.send_text(&talk.login, "mine").await.unwrap();
    let context = ContextInfo {
        stanza_id: Some(own.clone()),
        participant: Some(talk.jid.to_string()),
        quoted_message: MessageField::some(text_message("mine")),
        mentioned_jid: vec![talk.jid.to_string()],
        expiration: Some(86_400),
        ..ContextInfo::default()
    };
    let extended = Message {
        extended_text_message: MessageField::some(ExtendedTextMessage {
            text: Some("_yours_".to_owned()),
            context_info: MessageField::some(context),
            ..ExtendedTextMessage::default()
        }),
        ..Message::default()
    };
    let disappearing = Message {
        ephemeral_message: wrapped(extended),
        ..Message::default()
    };
    let got = talk.write("U1", disappearing.clone()).await;
    assert_eq!(got.text, "_yours_");
    let quotes = got.quotes.unwrap();
    assert_eq!(quotes.id.as_str(), own);
    assert_eq!(quotes.sender.map(String::from), Some(talk.jid.to_string()));
    assert_eq!(got.quoted_text.as_deref(), Some("mine"));
    assert_eq!(got.mentions, [talk.jid.to_string()]);
    assert_eq!(got.expires_after, Some(86_400));
    assert_eq!(got.plaintext, waproto::codec::message_to_vec(&disappearing));

    let place = LocationMessage {
        degrees_latitude: Some(1.25),
        degrees_longitude: Some(2.5),
        name: Some("<b>here</b>".to_owned()),
        ..LocationMessage::default()
    };
    let place = Message {
        location_message: MessageField::some(place),
        ..Message::default()
    };
    let got = talk.write("U2", place).await;
    let expected = Location {
        name: Some("<b>here</b>".to_owned()),
        ..Location::at(1.25, 2.5)
    };
    assert_eq!(got.content, Content::Location(expected));

    let card = ContactMessage {
        display_name: Some("Ann".to_owned()),
        vcard: Some("BEGIN:VCARD".to_owned()),
        ..ContactMessage::default()
    };
    let cards = Message {
        contacts_array_message: MessageField::some(ContactsArrayMessage {
            contacts: vec![card.clone(), card],
            ..ContactsArrayMessage::default()
        }),
        ..Message::default()
    };
    let got = talk.write("U3", cards).await;
    assert!(matches!(got.content, Content::Contacts { cards } if cards.len() == 2));

    let event = Message {
        event_message: MessageField::some(EventMessage {
            name: Some("Lunch".to_owned()),
            ..EventMessage::default()
        }),
        ..Message::default()
    };
    assert_eq!(talk.write("U4", event).await.content, Content::Event);
    let got = talk.write("U5", Message::default()).await;
    assert!(matches!(got.content, Content::Other { .. }));
}

#[tokio::test]
async fn bytes_that_are_no_message_go_as_they_are() {
    let mut talk = Talk::start().await;
    talk.contact
        .send_raw(&talk.login, vec![0xff, 0xff])
        .await
        .unwrap();
    let node = talk.client.next_of("message").await;
    let enc = node.find("enc").unwrap();
    let kind = drawbridge::signal::CiphertextKind::parse(&enc.attr("type").unwrap()).unwrap();
    let padded = talk
        .user
        .ratchet
        .decrypt(kind, enc.content_bytes().unwrap())
        .unwrap();
    assert!(padded.starts_with(&[0xff, 0xff]));
}
