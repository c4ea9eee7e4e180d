//! Files in encrypted rooms, both ways: the homeserver keeps ciphertext, and each side has the bytes the other one sent.

use drawbridge::{
    domain::MediaKind,
    sandbox::{MediaSource, MediaToSend, content::File},
};
use serde_json::{Value, json};

use super::{
    chat::Chat,
    encrypted::{device, plan},
    encrypting::{Attachment, EncryptingClient, Library, Shown},
    pictures::{self, noise},
    world::World,
};

/// Waits for the client's file of a size on the phone, which must have these bytes; what its message says.
async fn delivered(chat: &Chat, bytes: &[u8]) -> File {
    let of_size = |size: u64| {
        chat.contact.gets("a file", move |m| {
            let file = m.content.file().filter(|file| file.size == size)?;
            Some((m.id.clone(), file.clone()))
        })
    };
    let (id, file) = of_size(bytes.len() as u64).await;
    let came = chat.contact.opens(&id).await;
    assert!(came == bytes, "{} bytes came", came.len());
    file
}

/// A picture with a small one, sound and a paper go out, each encrypted by the client.
async fn sends(chat: &Chat, client: &mut EncryptingClient) {
    // So that each client's files have sizes of their own.
    let more = u32::from(client.library == Library::Js);
    let (picture, square) = (pictures::jpeg(640 + more, 480), pictures::jpeg(40, 40));
    let sound = noise(MediaKind::Audio, 30_000 + more as usize);
    let paper = noise(MediaKind::File, 400_000 + more as usize);
    let file = |kind, mime_type, name, bytes, thumbnail| Attachment {
        kind,
        mime_type,
        name,
        bytes,
        thumbnail,
        info: json!({}),
    };
    let files = [
        file(
            "image",
            "image/jpeg",
            "sea.jpg",
            &picture[..],
            Some(&square[..]),
        ),
        file("audio", "audio/mpeg", "song.mp3", &sound, None),
        file("file", "application/pdf", "tax.pdf", &paper, None),
    ];
    for file in &files {
        client.send_file(&chat.room, file).await;
    }
    let came = delivered(chat, &picture).await;
    assert_eq!(
        (came.kind, came.width),
        (MediaKind::Image, Some(640 + more))
    );
    let (width, height) = pictures::dimensions(&came.thumbnail);
    assert_eq!(width, height, "it is made of the small picture");
    assert_eq!(delivered(chat, &sound).await.kind, MediaKind::Audio);
    let came = delivered(chat, &paper).await;
    assert_eq!(
        (came.kind, came.name.as_deref()),
        (MediaKind::File, Some("tax.pdf"))
    );
}

/// What a contact sends, by what its event is.
fn from_the_phone() -> Vec<(&'static str, MediaToSend)> {
    let made_up = |kind, mime_type, len| MediaToSend::bytes(kind, mime_type, noise(kind, len));
    vec![
        (
            "m.image",
            MediaToSend {
                width: Some(500),
                height: Some(400),
                ..MediaToSend::bytes(MediaKind::Image, "image/jpeg", pictures::jpeg(500, 400))
                    .with_caption("the garden")
            },
        ),
        (
            "m.video",
            MediaToSend {
                width: Some(1280),
                height: Some(720),
                seconds: Some(12),
                thumbnail: pictures::jpeg(72, 40),
                ..made_up(MediaKind::Video, "video/mp4", 3_000_000)
            },
        ),
        (
            "m.audio",
            MediaToSend {
                seconds: Some(3),
                waveform: (0..64).collect(),
                ..made_up(MediaKind::Voice, "audio/ogg; codecs=opus", 20_000)
            },
        ),
        (
            "m.file",
            made_up(MediaKind::File, "application/pdf", 60_000).named("tax.pdf"),
        ),
        (
            "m.sticker",
            MediaToSend::bytes(MediaKind::Sticker, "image/webp", pictures::webp(128, 128)),
        ),
    ]
}

/// Waits for the contact's file of a kind and size.
async fn sees(chat: &Chat, client: &EncryptingClient, kind: &str, size: usize) -> Shown {
    let what = format!("{kind} of {size} bytes");
    client
        .shown(&what, &chat.room, |shown| {
            let is = shown.content["msgtype"].as_str().unwrap_or(&shown.kind);
            let info = &shown.content["info"];
            shown.sender == chat.ghost && is == kind && info["size"] == size
        })
        .await
}

/// A file came as it was sent, and the homeserver has something else.
async fn is_whole(chat: &Chat, client: &mut EncryptingClient, kind: &str, bytes: &[u8]) -> Value {
    let shown = sees(chat, client, kind, bytes.len()).await;
    assert!(shown.encrypted && shown.error.is_none(), "{shown:?}");
    let content = shown.content;
    assert!(content["url"].is_null(), "{content}");
    let event = &shown.event_id;
    let came = client.download(&chat.room, event, false, true).await;
    assert!(came == bytes, "{kind}: {} bytes came", came.len());
    is_ciphertext(chat, &content["file"], bytes).await;
    let info = &content["info"];
    assert!(info["thumbnail_url"].is_null(), "{content}");
    if info["thumbnail_info"].is_object() {
        let small = client.download(&chat.room, event, true, true).await;
        assert_eq!(info["thumbnail_info"]["size"], small.len());
        let (width, height) = pictures::dimensions(&small);
        assert_eq!(info["thumbnail_info"]["w"], width);
        assert_eq!(info["thumbnail_info"]["h"], height);
        is_ciphertext(chat, &info["thumbnail_file"], &small).await;
        assert_ne!(info["thumbnail_file"]["key"], content["file"]["key"]);
    }
    content
}

/// What the homeserver keeps of a file is as long as it, and not it.
async fn is_ciphertext(chat: &Chat, file: &Value, bytes: &[u8]) {
    let uri = file["url"].as_str().expect("an address");
    let kept = chat.alice.download(uri).await;
    assert_eq!(kept.len(), bytes.len());
    let piece = bytes.len().min(64);
    let same = kept.iter().zip(bytes).filter(|(kept, plain)| kept == plain);
    assert!(same.count() < bytes.len() / 8 + piece / 2, "{uri} is plain");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_go_both_ways_as_ciphertext() {
    let mut world = World::start(plan()).await;
    let chat = Chat::open(&world).await;
    let mut nio = device(&world, &chat.alice, Library::Nio).await;
    let mut js = device(&world, &chat.alice, Library::Js).await;
    for client in [&mut nio, &mut js] {
        sends(&chat, client).await;
    }

    let sent = from_the_phone();
    for (_, media) in &sent {
        chat.contact.sends_file(media.clone()).await;
    }
    for client in [&mut nio, &mut js] {
        for (kind, media) in &sent {
            // This library reads no encrypted stickers, which the specification does not name.
            if *kind == "m.sticker" && client.library == Library::Nio {
                continue;
            }
            let MediaSource::Bytes(bytes) = &media.source else {
                panic!("they are in memory");
            };
            let content = is_whole(&chat, client, kind, bytes).await;
            let info = &content["info"];
            match *kind {
                "m.image" => assert_eq!(content["body"], "the garden"),
                "m.audio" => assert!(content["org.matrix.msc3245.voice"].is_object()),
                "m.file" => assert_eq!(info["mimetype"], "application/pdf"),
                _ => {}
            }
            let is_visual = matches!(*kind, "m.image" | "m.video" | "m.sticker");
            assert_eq!(info["thumbnail_info"].is_object(), is_visual, "{kind}");
        }
    }

    // The bridge ends when the homeserver has a file, and does not know that: the next one finds it there, under the same key.
    world.bridge.kill().await;
    world.bridge.start_failing("upload.after_sent=panic").await;
    let picture = pictures::jpeg(321, 123);
    let media = MediaToSend::bytes(MediaKind::Image, "image/jpeg", picture.clone());
    chat.contact.sends_file(media).await;
    world.bridge.ended().await;
    world
        .bridge
        .start_failing("upload.after_sent=1*off->panic")
        .await;
    world.bridge.ended().await;
    world.bridge.start().await;
    for client in [&mut nio, &mut js] {
        is_whole(&chat, client, "m.image", &picture).await;
    }
}
