//! What the contacts that act by themselves do with what is not text.

use drawbridge::{domain::MediaKind, network::interop::wire::Jid};
use waproto::{
    buffa::MessageField,
    whatsapp::{
        Message, MessageContextInfo,
        message::{ImageMessage, LocationMessage, PollCreationMessage, poll_creation_message},
    },
};

use super::{files, partner::INTEGRATOR, talk::Talk};

async fn with_echo() -> Talk {
    Talk::with(Jid::user("447700900001", "s.whatsapp.net")).await
}

fn picture(reference: &str, plain: &[u8], sealed: &[u8]) -> Message {
    Message {
        image_message: MessageField::some(ImageMessage {
            mimetype: Some("image/png".to_owned()),
            caption: Some("look".to_owned()),
            file_sha256: Some(files::sha256(plain).to_vec()),
            file_length: Some(plain.len() as u64),
            width: Some(3),
            media_key: Some(vec![8; 32]),
            file_enc_sha256: Some(files::sha256(sealed).to_vec()),
            direct_path: Some(format!(
                "/interop/whatsapp/download/{INTEGRATOR}/{reference}/"
            )),
            ..ImageMessage::default()
        }),
        ..Message::default()
    }
}

#[tokio::test]
async fn the_echo_sends_the_same_file_back() {
    let mut talk = with_echo().await;
    let plain = vec![1; 5000];
    let sealed = files::seal("Image", &[8; 32], &plain);
    talk.stage
        .seen
        .hosted
        .lock()
        .unwrap()
        .insert("pic".to_owned(), sealed.clone());
    talk.write("U1", picture("pic", &plain, &sealed)).await;
    let (node, got) = talk.hear().await;
    let image = got.image_message.into_option().unwrap();
    assert_eq!(image.caption.as_deref(), Some("look"));
    assert_eq!(image.width, Some(3));
    assert_eq!(image.file_sha256, Some(files::sha256(&plain).to_vec()));
    assert_ne!(image.media_key, Some(vec![8; 32]));
    let id = node.attr("id").unwrap().into_owned();
    let back = talk.contact.open_media(&talk.login, &id).await.unwrap();
    assert_eq!(back, plain);

    let other = vec![2; 10];
    talk.write("U2", picture("nowhere", &other, &sealed)).await;
    let (_, got) = talk.hear().await;
    let text = got.conversation.unwrap();
    assert!(text.contains(MediaKind::Image.noun()), "{text}");
}

#[tokio::test]
async fn the_echo_reacts_votes_and_shows_places_back() {
    let mut talk = with_echo().await;
    talk.say("U1", "React").await;
    let (_, got) = talk.hear().await;
    let reaction = got.reaction_message.into_option().unwrap();
    assert_eq!(reaction.text.as_deref(), Some("👍"));
    assert_eq!(reaction.key.id.as_deref(), Some("U1"));
    let (_, got) = talk.hear().await;
    assert_eq!(got.conversation.as_deref(), Some("React"));

    let option = |name: &str| poll_creation_message::Option {
        option_name: Some(name.to_owned()),
        ..poll_creation_message::Option::default()
    };
    let poll = Message {
        poll_creation_message: MessageField::some(PollCreationMessage {
            name: Some("?".to_owned()),
            options: vec![option("yes"), option("no")],
            ..PollCreationMessage::default()
        }),
        message_context_info: MessageField::some(MessageContextInfo {
            message_secret: Some(vec![5; 32]),
            ..MessageContextInfo::default()
        }),
        ..Message::default()
    };
    talk.write("P1", poll).await;
    let (_, got) = talk.hear().await;
    let vote = got.poll_update_message.into_option().unwrap().vote;
    let (payload, iv) = (
        vote.enc_payload.clone().unwrap(),
        vote.enc_iv.clone().unwrap(),
    );
    let jid = talk.jid.to_string();
    let chosen = files::open_vote("P1", &talk.login, &jid, &[5; 32], &payload, &iv);
    assert_eq!(chosen, [files::sha256(b"yes").to_vec()]);

    let place = Message {
        location_message: MessageField::some(LocationMessage {
            degrees_latitude: Some(1.0),
            degrees_longitude: Some(2.0),
            ..LocationMessage::default()
        }),
        ..Message::default()
    };
    talk.write("L1", place).await;
    let (_, got) = talk.hear().await;
    assert_eq!(got.location_message.degrees_longitude, Some(2.0));
}
