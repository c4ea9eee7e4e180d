//! Files of every kind from Matrix to the gatekeeper: what arrives is what was sent, and what cannot be carried is explained.

use aes::cipher::{KeyIvInit, StreamCipher};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use drawbridge::{
    domain::MediaKind,
    sandbox::content::{Content, File},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    chat::Chat,
    contact::proto,
    pictures::{self, noise},
    world::{BOT, MARKED, Plan, World},
};

const MB: usize = 1024 * 1024;

impl Chat {
    /// Waits for a file of a kind with a caption on the phone, which must have these bytes; what its message says.
    async fn delivers(&self, kind: MediaKind, caption: &str, bytes: &[u8]) -> File {
        let (id, file) = self.contact.gets_file(kind, caption).await;
        assert_eq!(file.size, bytes.len() as u64, "{kind:?}");
        let came = self.contact.opens(&id).await;
        assert!(came == bytes, "{kind:?}: {} bytes came", came.len());
        file
    }

    /// Uploads a file encrypted; what its message says of where it is.
    async fn hides(&self, bytes: &[u8]) -> Value {
        let (ciphertext, mut file) = encrypted(bytes);
        let uri = self.alice.upload("application/octet-stream", ciphertext);
        file["url"] = json!(uri.await);
        file
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_every_kind_reach_the_contact() {
    let world = World::start(Plan {
        profile: json!({"features": {"media": {
            "file": {"max_bytes": MB, "mime_types": ["*/*"], "captions": true}}}}),
        ..Plan::default()
    })
    .await;
    let mut chat = Chat::open(&world).await;

    // A picture, with the small one its sender's client made.
    let bytes = pictures::jpeg(640, 480);
    let small = pictures::jpeg(80, 60);
    let thumbnail = chat.alice.upload("image/jpeg", small.clone()).await;
    let caption = format!("a picture of {MARKED}");
    let more = json!({"body": caption, "filename": "sea.jpg", "info": {"w": 640, "h": 480,
        "thumbnail_url": thumbnail,
        "thumbnail_info": {"mimetype": "image/jpeg", "w": 80, "h": 60, "size": small.len()}}});
    chat.sends_file("m.image", "image/jpeg", &bytes, more).await;
    let file = chat.delivers(MediaKind::Image, &caption, &bytes).await;
    assert_eq!((file.width, file.height), (Some(640), Some(480)));
    assert_eq!(file.mime_type, "image/jpeg");
    assert!(pictures::dimensions(&file.thumbnail).0 <= 100);
    let image = chat
        .contact
        .gets("the picture", |m| {
            let image = proto(m).image_message;
            image.is_set().then_some(image)
        })
        .await;
    let path = image.direct_path.as_deref().unwrap_or_default();
    assert!(path.starts_with("/interop/whatsapp/download/1/"), "{path}");
    assert_eq!(
        image.file_sha256.as_deref(),
        Some(&Sha256::digest(&bytes)[..])
    );
    assert_eq!(image.media_key.as_ref().map(Vec::len), Some(32));

    // A picture without anything said about it: it is looked at.
    let bytes = pictures::png(30, 20);
    chat.sends_file("m.image", "image/png", &bytes, json!({"body": "tiny.png"}))
        .await;
    let file = chat.delivers(MediaKind::Image, "", &bytes).await;
    assert_eq!((file.width, file.height), (Some(30), Some(20)));
    assert!(!file.thumbnail.is_empty());

    // A film, and one that is a GIF.
    let bytes = noise(MediaKind::Video, 300_000);
    let info = json!({"w": 320, "h": 240, "duration": 12_400});
    let more = json!({"body": "a film", "filename": "film.mp4", "info": info});
    chat.sends_file("m.video", "video/mp4", &bytes, more).await;
    let file = chat.delivers(MediaKind::Video, "a film", &bytes).await;
    assert_eq!(
        (file.width, file.height, file.seconds),
        (Some(320), Some(240), Some(12))
    );
    let bytes = noise(MediaKind::Gif, 9_000);
    let more = json!({"body": "cat.mp4", "info": {"w": 32, "h": 24, "fi.mau.gif": true, "fi.mau.loop": true, "fi.mau.autoplay": true}});
    chat.sends_file("m.video", "video/mp4", &bytes, more).await;
    chat.delivers(MediaKind::Gif, "", &bytes).await;

    // Sound, and a voice note with its waveform.
    let bytes = noise(MediaKind::Audio, 40_000);
    let more = json!({"body": "song.mp3", "info": {"duration": 61_000}});
    chat.sends_file("m.audio", "audio/mpeg", &bytes, more).await;
    let file = chat.delivers(MediaKind::Audio, "", &bytes).await;
    assert_eq!(file.seconds, Some(61));
    let bytes = noise(MediaKind::Voice, 20_000);
    let waveform: Vec<u32> = (0..100).map(|n| n * 10).collect();
    let more = json!({"body": "Voice message.ogg", "info": {"duration": 3_000},
        "org.matrix.msc3245.voice": {}, "org.matrix.msc1767.audio": {"duration": 3_000, "waveform": waveform}});
    chat.sends_file("m.audio", "audio/ogg", &bytes, more).await;
    let file = chat.delivers(MediaKind::Voice, "", &bytes).await;
    assert_eq!(file.seconds, Some(3));
    assert!(
        file.mime_type.starts_with("audio/ogg"),
        "{}",
        file.mime_type
    );
    assert!(
        (32..=64).contains(&file.waveform.len()),
        "{}",
        file.waveform.len()
    );
    assert!(file.waveform.is_sorted() && file.waveform.last().is_some_and(|loud| *loud > 80));
    assert!(file.waveform.iter().all(|loud| *loud <= 100));

    // A voice note of a kind the gatekeeper has not is sound.
    let bytes = noise(MediaKind::Voice, 10_000);
    let more = json!({"body": "note.m4a", "org.matrix.msc3245.voice": {}});
    chat.sends_file("m.audio", "audio/mp4", &bytes, more).await;
    let is_it = |m: &drawbridge::sandbox::Received| {
        m.content
            .file()
            .is_some_and(|file| file.size == 10_000)
            .then(|| m.clone())
    };
    let note = chat.contact.gets("the note", is_it).await;
    assert!(matches!(&note.content, Content::File(file) if file.kind == MediaKind::Audio));

    // A file, with its name and a caption; and what is a picture only in name.
    let bytes = noise(MediaKind::File, 70_000);
    let name = format!("{MARKED}.pdf");
    let more = json!({"body": "read this", "filename": name});
    chat.sends_file("m.file", "application/pdf", &bytes, more)
        .await;
    let file = chat.delivers(MediaKind::File, "read this", &bytes).await;
    assert_eq!(file.name, Some(name));
    assert_eq!(file.mime_type, "application/pdf");
    let bytes = b"<svg xmlns='http://www.w3.org/2000/svg'/>";
    let more = json!({"body": "drawing.svg"});
    chat.sends_file("m.image", "image/svg+xml", bytes, more)
        .await;
    let file = chat.delivers(MediaKind::File, "", bytes).await;
    assert_eq!(file.name.as_deref(), Some("drawing.svg"));

    // A sticker of a kind the gatekeeper does not take is made into one it takes.
    let bytes = pictures::png(128, 96);
    let uri = chat.alice.upload("image/png", bytes).await;
    let sticker =
        json!({"body": "wave", "url": uri, "info": {"mimetype": "image/png", "w": 128, "h": 96}});
    chat.alice.send(&chat.room, "m.sticker", &sticker).await;
    let (id, file) = chat.contact.gets_file(MediaKind::Sticker, "").await;
    assert_eq!(file.mime_type, "image/webp");
    let came = chat.contact.opens(&id).await;
    assert_eq!(&came[8..12], b"WEBP");
    assert_eq!(Some(pictures::dimensions(&came).0), file.width);

    encrypted_ones(&mut chat).await;
    refused(&mut chat).await;
}

/// Files the sender's client encrypted: a picture with its small one, a voice note, a sticker.
async fn encrypted_ones(chat: &mut Chat) {
    let bytes = pictures::jpeg(50, 40);
    let small = chat.hides(&pictures::jpeg(24, 24)).await;
    let image = json!({"msgtype": "m.image", "body": "hidden", "filename": "hidden.jpg", "file": chat.hides(&bytes).await,
        "info": {"mimetype": "image/jpeg", "size": bytes.len(), "thumbnail_file": small}});
    chat.send(&image).await;
    let file = chat.delivers(MediaKind::Image, "hidden", &bytes).await;
    let (width, height) = pictures::dimensions(&file.thumbnail);
    assert_eq!(width, height, "it is made of the small one");

    let bytes = noise(MediaKind::Voice, 20_001);
    let note = json!({"msgtype": "m.audio", "body": "note.ogg", "file": chat.hides(&bytes).await, "info": {"mimetype": "audio/ogg", "size": bytes.len()},
        "org.matrix.msc3245.voice": {}, "org.matrix.msc1767.audio": {"duration": 3_000}});
    chat.send(&note).await;
    let is_it = |m: &drawbridge::sandbox::Received| {
        let file = m.content.file().filter(|file| file.size == 20_001)?;
        Some((m.id.clone(), file.kind))
    };
    let (id, kind) = chat.contact.gets("the encrypted note", is_it).await;
    assert_eq!(kind, MediaKind::Voice);
    assert!(chat.contact.opens(&id).await == bytes);

    // A sticker of the size the gatekeeper takes goes as it is.
    let bytes = pictures::webp(512, 512);
    let size = bytes.len() as u64;
    let sticker = json!({"body": "wink", "file": chat.hides(&bytes).await, "info": {"mimetype": "image/webp"}});
    chat.alice.send(&chat.room, "m.sticker", &sticker).await;
    let is_it = |m: &drawbridge::sandbox::Received| {
        let file = m.content.file().filter(|file| file.size == size)?;
        Some((m.id.clone(), file.kind))
    };
    let (id, kind) = chat.contact.gets("the encrypted sticker", is_it).await;
    assert_eq!(kind, MediaKind::Sticker);
    assert!(chat.contact.opens(&id).await == bytes);
}

/// What cannot be carried: the sender is told why, the other side gets nothing, and what comes after goes on.
async fn refused(chat: &mut Chat) {
    let before = chat.contact.received_count();
    let bytes = noise(MediaKind::File, MB + 1);

    // Too large, as its message says.
    let more = json!({"body": "large.bin"});
    let honest = chat
        .sends_file("m.file", "application/octet-stream", &bytes, more)
        .await;
    let told = answered_notice(chat, &honest).await;
    assert!(told.contains("1 MB"), "{told}");

    // Too large, as only its bytes say.
    let more = json!({"body": "larger.bin", "info": {"size": 1000}});
    let lying = chat
        .sends_file("m.file", "application/octet-stream", &bytes, more)
        .await;
    let told = answered_notice(chat, &lying).await;
    assert!(told.contains("1 MB"), "{told}");

    // Encrypted with another key than its message says, or not there at all.
    let mut file = chat.hides(b"something else").await;
    file["hashes"]["sha256"] = json!(STANDARD_NO_PAD.encode([7; 32]));
    let content = json!({"msgtype": "m.file", "body": "forged.bin", "file": file,
        "info": {"mimetype": "application/octet-stream", "size": 14}});
    let forged = chat.send(&content).await;
    answered_notice(chat, &forged).await;
    let mut file = chat.hides(&pictures::webp(64, 48)).await;
    file["hashes"]["sha256"] = json!(STANDARD_NO_PAD.encode([7; 32]));
    let sticker = json!({"body": "forged", "file": file, "info": {"mimetype": "image/webp"}});
    chat.alice.send(&chat.room, "m.sticker", &sticker).await;
    // For the same reason as the file before it, so its notice counts it.
    chat.is_told("its hash is wrong). (2 messages)").await;
    let content = json!({"msgtype": "m.file", "body": "nowhere.bin", "url": "mxc://drawbridge.test/nowhere",
        "info": {"mimetype": "application/octet-stream", "size": 14}});
    let nowhere = chat.send(&content).await;
    answered_notice(chat, &nowhere).await;

    chat.say("after the files").await;
    chat.contact.receives("after the files").await;
    assert_eq!(chat.contact.received_count(), before + 1);
}

/// Waits for the bot's notice that answers an event; what it says.
async fn answered_notice(chat: &mut Chat, about: &str) -> String {
    let room = &chat.room;
    chat.alice
        .watch("a notice about a file", |seen| {
            seen.timeline(room)
                .iter()
                .find(|e| {
                    let to = &e["content"]["m.relates_to"]["m.in_reply_to"]["event_id"];
                    e["sender"] == BOT && *to == about
                })
                .and_then(|e| e["content"]["body"].as_str().map(str::to_owned))
        })
        .await
}

/// A file as a client encrypts it (Matrix specification, "Sending encrypted attachments"), and what its message says of that.
fn encrypted(bytes: &[u8]) -> (Vec<u8>, Value) {
    let key: [u8; 32] = rand::random();
    let mut iv: [u8; 16] = rand::random();
    iv[8..].fill(0);
    let mut ciphertext = bytes.to_vec();
    let mut cipher = ctr::Ctr128BE::<aes::Aes256>::new(&key.into(), &iv.into());
    cipher.apply_keystream(&mut ciphertext);
    let sha256 = STANDARD_NO_PAD.encode(Sha256::digest(&ciphertext));
    let file = json!({
        "v": "v2",
        "key": {"kty": "oct", "alg": "A256CTR", "ext": true, "key_ops": ["encrypt", "decrypt"],
            "k": URL_SAFE_NO_PAD.encode(key)},
        "iv": STANDARD_NO_PAD.encode(iv),
        "hashes": {"sha256": sha256},
    });
    (ciphertext, file)
}
