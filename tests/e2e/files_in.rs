//! Files of every kind from the gatekeeper to Matrix, and those that cannot be had.

use drawbridge::{
    domain::MediaKind,
    sandbox::{MediaFault, MediaToSend},
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

#[tokio::test(flavor = "multi_thread")]
async fn files_of_every_kind_reach_matrix() {
    let world = World::start(Plan::default()).await;
    let mut chat = Chat::open(&world).await;
    let contact = &chat.contact;

    // One after the other, so that their order is seen as well.
    let caption = format!("a picture of {MARKED}");
    let picture = pictures::jpeg(640, 480);
    let film = noise(MediaKind::Video, 250_000);
    let gif = noise(MediaKind::Gif, 8_000);
    let song = noise(MediaKind::Audio, 30_000);
    let note = noise(MediaKind::Voice, 20_000);
    let paper = noise(MediaKind::File, 60_000);
    let sticker = pictures::webp(512, 512);
    let once = pictures::jpeg(33, 44);
    let small = pictures::jpeg(72, 40);
    let bytes = |kind, mime: &str, bytes: &Vec<u8>| MediaToSend::bytes(kind, mime, bytes.clone());
    for media in [
        MediaToSend {
            width: Some(640),
            height: Some(480),
            thumbnail: small.clone(),
            ..bytes(MediaKind::Image, "image/jpeg", &picture).with_caption(&caption)
        },
        MediaToSend {
            width: Some(1280),
            height: Some(720),
            seconds: Some(12),
            thumbnail: small.clone(),
            ..bytes(MediaKind::Video, "video/mp4", &film).with_caption("a film")
        },
        MediaToSend {
            width: Some(320),
            height: Some(240),
            seconds: Some(2),
            ..bytes(MediaKind::Gif, "video/mp4", &gif).with_caption("a gif")
        },
        MediaToSend {
            seconds: Some(61),
            ..bytes(MediaKind::Audio, "audio/mpeg", &song)
        },
        MediaToSend {
            seconds: Some(3),
            waveform: (0..64).collect(),
            ..bytes(MediaKind::Voice, "audio/ogg; codecs=opus", &note)
        },
        bytes(MediaKind::File, "application/pdf", &paper)
            .named("tax.pdf")
            .with_caption("read this"),
        MediaToSend {
            width: Some(512),
            height: Some(512),
            ..bytes(MediaKind::Sticker, "image/webp", &sticker)
        },
        MediaToSend {
            view_once: true,
            ..bytes(MediaKind::Image, "image/jpeg", &once).with_caption("once")
        },
    ] {
        contact.sends_file(media).await;
    }
    contact.say("those were all").await;
    chat.hears("those were all").await;

    let events = chat.room().await;
    let files: Vec<&Value> = events
        .iter()
        .filter(|e| e["source"]["content"]["url"].is_string())
        .collect();
    let [
        picture_at,
        film_at,
        gif_at,
        song_at,
        note_at,
        paper_at,
        sticker_at,
        once_at,
    ] = files[..]
    else {
        panic!("{} files came", files.len());
    };

    // What each is to an ordinary client, and that its bytes are those that were sent.
    for (event, class, bytes) in [
        (picture_at, "RoomMessageImage", &picture),
        (film_at, "RoomMessageVideo", &film),
        (gif_at, "RoomMessageVideo", &gif),
        (song_at, "RoomMessageAudio", &song),
        (note_at, "RoomMessageAudio", &note),
        (paper_at, "RoomMessageFile", &paper),
        (sticker_at, "StickerEvent", &sticker),
        (once_at, "RoomMessageImage", &once),
    ] {
        assert_eq!(event["class"], class, "{event}");
        assert_eq!(event["source"]["sender"], chat.ghost.as_str());
        let content = &event["source"]["content"];
        assert_eq!(content["info"]["size"], bytes.len());
        let came = chat
            .alice
            .download(content["url"].as_str().expect("a URI"))
            .await;
        assert!(came == *bytes, "{class}: {} bytes", came.len());
    }

    // A picture: its caption, dimensions, a small one, a blurred one.
    let content = &picture_at["source"]["content"];
    assert_eq!(content["body"], caption);
    assert!(
        content["filename"]
            .as_str()
            .is_some_and(|name| name != caption)
    );
    let info = &content["info"];
    assert_eq!(info["mimetype"], "image/jpeg");
    assert_eq!((&info["w"], &info["h"]), (&json!(640), &json!(480)));
    assert!(
        info[BLURHASH].as_str().is_some_and(|hash| hash.len() > 6),
        "{info}"
    );
    let thumbnail = info["thumbnail_url"].as_str().expect("a small one");
    let (width, height) = pictures::dimensions(&chat.alice.download(thumbnail).await);
    assert_eq!(info["thumbnail_info"]["w"], width);
    assert_eq!(info["thumbnail_info"]["h"], height);

    // A film has its small picture from its sender; a GIF says that it is one.
    let info = &film_at["source"]["content"]["info"];
    assert_eq!(
        (&info["w"], &info["h"], &info["duration"]),
        (&json!(1280), &json!(720), &json!(12_000))
    );
    assert!(
        info["thumbnail_url"].is_string() && info[BLURHASH].is_string(),
        "{info}"
    );
    assert_eq!(gif_at["source"]["content"]["info"]["fi.mau.gif"], true);

    // Sound, and a voice note, which says that it is one and how loud it is.
    assert_eq!(song_at["source"]["content"]["info"]["duration"], 61_000);
    assert!(song_at["source"]["content"]["org.matrix.msc3245.voice"].is_null());
    let content = &note_at["source"]["content"];
    assert!(content["org.matrix.msc3245.voice"].is_object(), "{content}");
    let mime_type = content["info"]["mimetype"].as_str();
    assert!(
        mime_type.is_some_and(|mime| mime.starts_with("audio/ogg")),
        "{content}"
    );
    let audio = &content["org.matrix.msc1767.audio"];
    assert_eq!(audio["duration"], 3_000);
    let waveform = audio["waveform"].as_array().expect("a waveform");
    let loudness: Vec<u64> = waveform.iter().filter_map(Value::as_u64).collect();
    assert_eq!(loudness.len(), 64);
    assert!(
        loudness.is_sorted() && loudness[63] > 500 && loudness[63] <= 1024,
        "{loudness:?}"
    );

    // A file has its name, and a caption of its own.
    let content = &paper_at["source"]["content"];
    assert_eq!(
        (&content["filename"], &content["body"]),
        (&json!("tax.pdf"), &json!("read this"))
    );
    assert_eq!(sticker_at["source"]["content"]["info"]["w"], 512);
    assert_eq!(once_at["source"]["content"]["body"], "once");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_cannot_be_had_are_explained() {
    let world = World::start(Plan {
        config: json!({"bridge": {"view_once": "hide"}, "media": {"max_bytes": 200_000}}),
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

    // A connection that breaks, or a server that fails, is tried again.
    faults.inject_media(MediaFault::Cut, 1);
    chat.contact.sends_file(file("cut.bin")).await;
    chat.sees_file("cut.bin").await;
    faults.inject_media(MediaFault::Status(503), 1);
    chat.contact.sends_file(file("failed.bin")).await;
    chat.sees_file("failed.bin").await;

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
    assert_eq!(files.count(), 2, "the two that were tried again");
    let body = event(&events, &withheld)["body"].as_str().expect("a text");
    assert!(body.contains("once"), "{body}");
    assert_eq!(event(&events, &asked)["class"], "RoomMessageNotice");
}
