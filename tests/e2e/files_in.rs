//! Files of every kind from the gatekeeper to Matrix, and those that cannot be had.

use drawbridge::{
    domain::MediaKind,
    sandbox::{MediaFault, MediaSource, MediaToSend},
};
use serde_json::{Value, json};

use super::{
    chat::{Chat, event, id_of},
    pictures::{self, noise},
    world::{MARKED, Plan, World},
};

/// What a client shows instead of a picture while it loads.
const BLURHASH: &str = "xyz.amorgan.blurhash";

impl Chat {
    /// Waits for the file of the contact's with this body; its event's id.
    async fn sees_file(&mut self, body: &str) -> String {
        let is_it = |event: &Value| {
            let has_file = event["content"]["url"].is_string();
            has_file && event["content"]["body"] == body
        };
        id_of(&self.finds(&format!("the file {body:?}"), is_it).await)
    }

    /// Waits for the notice of the contact's that stands for a file, after so many others; its event's id.
    async fn sees_no_file(&mut self, nth: usize) -> String {
        let (room, ghost) = (&self.room, &self.ghost);
        let is_notice = |e: &&Value| {
            let is_edit = e["content"]["m.relates_to"]["rel_type"] == "m.replace";
            e["sender"] == ghost.as_str() && e["content"]["msgtype"] == "m.notice" && !is_edit
        };
        self.alice
            .watch(&format!("the notice of a file, number {nth}"), |seen| {
                seen.timeline(room)
                    .iter()
                    .filter(is_notice)
                    .nth(nth)
                    .map(id_of)
            })
            .await
    }
}

/// A file of each kind as a contact sends it, and what it is to an ordinary client.
fn one_of_each() -> [(&'static str, MediaToSend); 8] {
    let small = pictures::jpeg(72, 40);
    [
        (
            "RoomMessageImage",
            MediaToSend {
                width: Some(640),
                height: Some(480),
                thumbnail: small.clone(),
                ..MediaToSend::bytes(MediaKind::Image, "image/jpeg", pictures::jpeg(640, 480))
                    .with_caption(format!("a picture of {MARKED}"))
            },
        ),
        (
            "RoomMessageVideo",
            MediaToSend {
                width: Some(1280),
                height: Some(720),
                seconds: Some(12),
                thumbnail: small,
                ..made_up(MediaKind::Video, "video/mp4", 250_000).with_caption("a film")
            },
        ),
        (
            "RoomMessageVideo",
            MediaToSend {
                width: Some(320),
                height: Some(240),
                seconds: Some(2),
                ..made_up(MediaKind::Gif, "video/mp4", 8_000).with_caption("a gif")
            },
        ),
        (
            "RoomMessageAudio",
            MediaToSend {
                seconds: Some(61),
                ..made_up(MediaKind::Audio, "audio/mpeg", 30_000)
            },
        ),
        (
            "RoomMessageAudio",
            MediaToSend {
                seconds: Some(3),
                waveform: (0..64).collect(),
                ..made_up(MediaKind::Voice, "audio/ogg; codecs=opus", 20_000)
            },
        ),
        (
            "RoomMessageFile",
            made_up(MediaKind::File, "application/pdf", 60_000)
                .named("tax.pdf")
                .with_caption("read this"),
        ),
        (
            "StickerEvent",
            MediaToSend {
                width: Some(512),
                height: Some(512),
                ..MediaToSend::bytes(MediaKind::Sticker, "image/webp", pictures::webp(512, 512))
            },
        ),
        (
            "RoomMessageImage",
            MediaToSend {
                view_once: true,
                ..MediaToSend::bytes(MediaKind::Image, "image/jpeg", pictures::jpeg(33, 44))
                    .with_caption("once")
            },
        ),
    ]
}

fn made_up(kind: MediaKind, mime_type: &str, len: usize) -> MediaToSend {
    MediaToSend::bytes(kind, mime_type, noise(kind, len))
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_every_kind_reach_matrix() {
    let world = World::start(Plan::default()).await;
    let mut chat = Chat::open(&world).await;
    let sent = one_of_each();
    for (_, media) in &sent {
        chat.contact.sends_file(media.clone()).await;
    }
    chat.contact.say("those were all").await;
    chat.hears("those were all").await;

    // All came, in order, each as what it is, with the bytes that were sent.
    let mut events = chat.room().await;
    events.retain(|event| event["source"]["content"]["url"].is_string());
    assert_eq!(events.len(), sent.len());
    for (event, (class, media)) in events.iter().zip(&sent) {
        assert_eq!(event["class"], *class, "{event}");
        assert_eq!(event["source"]["sender"], chat.ghost.as_str());
        let MediaSource::Bytes(bytes) = &media.source else {
            panic!("they are in memory");
        };
        let content = &event["source"]["content"];
        assert_eq!(content["info"]["size"], bytes.len());
        let uri = content["url"].as_str().expect("a URI");
        let came = chat.alice.download(uri).await;
        assert!(came == *bytes, "{class}: {} bytes came", came.len());
    }
    let contents: Vec<&Value> = events.iter().map(|e| &e["source"]["content"]).collect();
    let [picture, film, gif, song, note, paper, sticker, once] = contents[..] else {
        panic!("they were counted");
    };
    a_picture_has_its_caption_and_a_small_one(&chat, picture).await;
    a_film_says_how_long_it_is(film);
    assert_eq!(gif["info"]["fi.mau.gif"], true);
    assert_eq!(gif["body"], "a gif");
    assert_eq!(song["info"]["duration"], 61_000);
    assert!(song["org.matrix.msc3245.voice"].is_null());
    a_voice_note_has_its_waveform(note);
    assert_eq!(
        (&paper["filename"], &paper["body"]),
        (&json!("tax.pdf"), &json!("read this"))
    );
    assert_eq!(sticker["info"]["w"], 512);
    assert_eq!(once["body"], "once");
}

async fn a_picture_has_its_caption_and_a_small_one(chat: &Chat, content: &Value) {
    let caption = format!("a picture of {MARKED}");
    assert_eq!(content["body"], caption);
    let name = content["filename"].as_str().expect("a name");
    assert_ne!(name, caption);
    let info = &content["info"];
    assert_eq!(info["mimetype"], "image/jpeg");
    assert_eq!((&info["w"], &info["h"]), (&json!(640), &json!(480)));
    let blurhash = info[BLURHASH].as_str().expect("a blurred one");
    assert!(blurhash.len() > 6, "{blurhash}");
    let thumbnail = info["thumbnail_url"].as_str().expect("a small one");
    let (width, height) = pictures::dimensions(&chat.alice.download(thumbnail).await);
    assert_eq!(info["thumbnail_info"]["w"], width);
    assert_eq!(info["thumbnail_info"]["h"], height);
}

fn a_film_says_how_long_it_is(content: &Value) {
    assert_eq!(content["body"], "a film");
    let info = &content["info"];
    assert_eq!((&info["w"], &info["h"]), (&json!(1280), &json!(720)));
    assert_eq!(info["duration"], 12_000);
    // Its sender sent a small picture of it.
    assert!(info["thumbnail_url"].is_string(), "{info}");
    assert!(info[BLURHASH].is_string(), "{info}");
}

fn a_voice_note_has_its_waveform(content: &Value) {
    assert!(content["org.matrix.msc3245.voice"].is_object(), "{content}");
    let mime_type = content["info"]["mimetype"].as_str().expect("a type");
    assert!(mime_type.starts_with("audio/ogg"), "{mime_type}");
    let audio = &content["org.matrix.msc1767.audio"];
    assert_eq!(audio["duration"], 3_000);
    let waveform = audio["waveform"].as_array().expect("a waveform");
    let loudness: Vec<u64> = waveform.iter().filter_map(Value::as_u64).collect();
    assert_eq!(loudness.len(), 64);
    // From 0 to 63 of 100 there, of 1024 here.
    assert!(loudness.is_sorted(), "{loudness:?}");
    assert!((600..=660).contains(&loudness[63]), "{loudness:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_cannot_be_had_are_explained() {
    let world = World::start(Plan {
        config: json!({"bridge": {"view_once": "hide"}, "media": {"max_bytes": 200_000, "patience_seconds": 1}}),
        ..Plan::default()
    })
    .await;
    let mut chat = Chat::open(&world).await;
    let faults = world.sandbox.faults();
    let bytes = noise(MediaKind::File, 150_000);
    let file = |name: &str| {
        MediaToSend::bytes(MediaKind::File, "application/octet-stream", bytes.clone()).named(name)
    };

    // What is not what was sent, in every way, costs itself alone.
    let spoilt = [
        MediaFault::WrongHash,
        MediaFault::Corrupt,
        MediaFault::Truncate,
        MediaFault::Oversize(100_000),
    ];
    for (nth, fault) in spoilt.into_iter().enumerate() {
        faults.inject_media(fault, 1);
        chat.contact.sends_file(file("spoilt.bin")).await;
        let notice = chat.sees_no_file(nth).await;
        assert_eq!(faults.pending(), 0, "{fault:?}");
        let room = chat.room.clone();
        let shown = chat.alice.seen.shown(&room, &notice).expect("it was seen");
        assert!(shown["url"].is_null(), "{fault:?}: {shown}");
    }
    let mut notices = spoilt.len();

    // Larger than is carried here, as its message says.
    let large = MediaToSend::bytes(
        MediaKind::File,
        "application/octet-stream",
        noise(MediaKind::File, 200_001),
    );
    chat.contact.sends_file(large.named("large.bin")).await;
    let large = chat.sees_no_file(notices).await;
    chat.shows_text(&large, "larger than 195 kB").await;
    notices += 1;

    // A connection that breaks, a server that fails, a file that stops coming: they are tried again.
    faults.inject_media(MediaFault::Cut, 1);
    chat.contact.sends_file(file("cut.bin")).await;
    chat.sees_file("cut.bin").await;
    faults.inject_media(MediaFault::Status(503), 1);
    chat.contact.sends_file(file("failed.bin")).await;
    chat.sees_file("failed.bin").await;
    faults.inject_media(MediaFault::Stall, 1);
    chat.contact.sends_file(file("stopped.bin")).await;
    chat.sees_file("stopped.bin").await;

    // Gone from the server: the contact's phone is asked for it, and it takes the place of the notice.
    faults.inject_media(MediaFault::Status(410), 1);
    chat.contact.sends_file(file("again.bin")).await;
    let asked = chat.sees_no_file(notices).await;
    notices += 1;
    let room = chat.room.clone();
    let content = chat
        .alice
        .watch("the file in its place", |seen| {
            let shown = seen.shown(&room, &asked)?;
            shown["url"].is_string().then(|| shown.clone())
        })
        .await;
    assert_eq!(
        (&content["msgtype"], &content["body"]),
        (&json!("m.file"), &json!("again.bin"))
    );
    let uri = content["url"].as_str().expect("a URI");
    assert!(chat.alice.download(uri).await == bytes);

    // Gone from the phone as well: the notice says so.
    chat.contact.loses_files();
    faults.inject_media(MediaFault::Status(404), 1);
    chat.contact.sends_file(file("lost.bin")).await;
    let lost = chat.sees_no_file(notices).await;
    notices += 1;
    chat.shows_text(&lost, "send it again").await;

    // To be seen once, which this bridge does not show.
    let once = MediaToSend {
        view_once: true,
        ..MediaToSend::bytes(MediaKind::Image, "image/jpeg", pictures::jpeg(20, 20))
    };
    chat.contact.sends_file(once).await;
    let withheld = chat.sees_no_file(notices).await;

    let events = chat.room().await;
    let files = events.iter().filter(|e| {
        let content = &e["source"]["content"];
        content["url"].is_string() && content["m.relates_to"].is_null()
    });
    assert_eq!(files.count(), 3, "those that were tried again");
    let body = event(&events, &withheld)["body"].as_str().expect("a text");
    assert!(body.contains("once"), "{body}");
    assert_eq!(event(&events, &asked)["class"], "RoomMessageNotice");
}
