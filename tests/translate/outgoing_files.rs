//! Files of Matrix users.

use drawbridge::{
    domain::MediaKind,
    translate::{PartContent, RoomEvent},
};
use serde_json::{Value, json};

use super::world::{There, event, message, there};

/// A file of some type, with further fields in its content.
#[expect(
    clippy::needless_pass_by_value,
    reason = "called with what `json!` makes"
)]
fn file(msgtype: &str, name: &str, info: Value, more: Value) -> RoomEvent {
    let mut content =
        json!({ "msgtype": msgtype, "body": name, "url": "mxc://example.org/file", "info": info });
    let fields = content.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    message(&content)
}

fn encrypted() -> Value {
    json!({
        "url": "mxc://example.org/secret",
        "v": "v2",
        "key": { "kty": "oct", "alg": "A256CTR", "ext": true, "key_ops": ["encrypt", "decrypt"], "k": "aWF6-32KGYaC3A_FEUCk1Bt0JA37zP0wrStgmdCaW-0" },
        "iv": "w+sE15fzSc0AAAAAAAAAAA",
        "hashes": { "sha256": "fdSLu/YkRx3Wyh3KQabP3rd6+SFiKg5lsJZQHtkSAYA=" },
    })
}

#[test]
fn kinds() {
    let png = || json!({ "mimetype": "image/png", "w": 640, "h": 480, "size": 1000, "thumbnail_url": "mxc://example.org/small", "thumbnail_info": { "size": 100 } });
    let none = || json!({});
    let sticker = |mime: &str| {
        event(
            "m.sticker",
            &json!({ "body": "a cat", "url": "mxc://example.org/cat", "info": { "mimetype": mime, "w": 256, "h": 256 } }),
        )
    };
    let waveform: Vec<u32> = (0..=128).map(|n| n * 8).collect();
    let voice = json!({
        "org.matrix.msc3245.voice": {},
        "org.matrix.msc1767.audio": { "duration": 4200, "waveform": waveform },
    });
    let cases = json!({
        "picture": there().shows(&file("m.image", "a.png", png(), none())),
        "picture without a type, by its name": there().shows(&file("m.image", "IMG.JPG", none(), none())),
        "picture without a type or a name that tells": there().shows(&file("m.image", "picture", none(), none())),
        "picture of a type that is not taken: as a file": there().shows(&file("m.image", "a.svg", json!({ "mimetype": "image/svg+xml" }), none())),
        "picture too large for one: as a file": there().shows(&file("m.image", "a.png", json!({ "mimetype": "image/png", "size": 20_000_000 }), none())),
        "animated": there().shows(&file("m.image", "a.gif", json!({ "mimetype": "image/gif" }), none())),
        "animated, where it is taken": There::with(|t| {
            let gif = t.capabilities.media.get_mut(&MediaKind::Gif).unwrap();
            gif.mime_types.push("image/gif".to_owned());
        }).shows(&file("m.image", "a.gif", json!({ "mimetype": "image/gif" }), none())),
        "video": there().shows(&file("m.video", "a.mp4", json!({ "mimetype": "video/mp4", "w": 1920, "h": 1080, "duration": 61_000 }), none())),
        "video of a type that is not taken: as a file": there().shows(&file("m.video", "a.webm", json!({ "mimetype": "video/webm" }), none())),
        "GIF that is a video": there().shows(&file("m.video", "a.mp4", json!({ "mimetype": "video/mp4", "fi.mau.gif": true }), none())),
        "audio": there().shows(&file("m.audio", "song.mp3", json!({ "mimetype": "audio/mpeg", "duration": 180_000 }), none())),
        "voice": there().shows(&file("m.audio", "Voice message.ogg", json!({ "mimetype": "audio/ogg", "duration": 4000 }), voice.clone())),
        "voice of a type that is not taken: as audio": there().shows(&file("m.audio", "voice.m4a", json!({ "mimetype": "audio/mp4" }), voice)),
        "short waveform": there().shows(&file("m.audio", "v.ogg", json!({ "mimetype": "audio/ogg" }), json!({ "org.matrix.msc3245.voice": {}, "org.matrix.msc1767.audio": { "waveform": [0, 512, 4000, "x"] } }))),
        "file": there().shows(&file("m.file", "report.pdf", json!({ "mimetype": "application/pdf", "size": 5000 }), none())),
        "contact card stays a file": there().shows(&file("m.file", "ada.vcf", json!({ "mimetype": "text/vcard" }), none())),
        "name that is a path": there().shows(&file("m.file", "../../etc/passwd\u{202e}", json!({ "mimetype": "text/plain" }), none())),
        "sticker": there().shows(&sticker("image/webp")),
        "sticker of a type that is not taken: as a picture": there().shows(&sticker("image/png")),
        "too large": there().shows(&file("m.video", "a.mp4", json!({ "mimetype": "video/mp4", "size": 200_000_000 }), none())),
        "not taken at all": There::with(|t| { t.capabilities.media.remove(&MediaKind::File); }).shows(&file("m.video", "a.webm", json!({ "mimetype": "video/webm" }), none())),
        "where there are no files": There::with(|t| t.capabilities.media.clear()).shows(&file("m.image", "a.png", png(), none())),
        "fields of wrong types": there().shows(&file("m.image", "a.png", json!({ "mimetype": 7, "w": "x", "h": -1, "size": 1.5 }), none())),
    });
    insta::assert_json_snapshot!(cases);
}

#[test]
fn captions() {
    let captioned = |msgtype: &str, mime: &str, caption: &str| {
        file(
            msgtype,
            caption,
            json!({ "mimetype": mime }),
            json!({ "filename": "a.bin" }),
        )
    };
    let formatted = file(
        "m.image",
        "look",
        json!({ "mimetype": "image/png" }),
        json!({ "filename": "a.png", "format": "org.matrix.custom.html", "formatted_body": "<b>look</b>, <a href=\"https://matrix.to/#/@wa_4915555550002:example.org\">Bo</a>" }),
    );
    let short = There::with(|there| there.capabilities.max_text_chars = 12);
    let cases = json!({
        "caption": there().shows(&captioned("m.image", "image/png", "look at *this*")),
        "formatted caption": there().shows(&formatted),
        "name that is repeated is none": there().shows(&captioned("m.image", "image/png", "a.bin")),
        "blank caption": there().shows(&captioned("m.image", "image/png", "  ")),
        "where there is none under the kind: a text behind it": there().shows(&captioned("m.audio", "audio/mpeg", "my song")),
        "too long": short.shows(&captioned("m.image", "image/png", "one two three four")),
    });
    insta::assert_json_snapshot!(cases);
}

#[test]
fn encrypted_files() {
    let secret = |change: fn(&mut Value)| {
        let mut of = encrypted();
        change(&mut of);
        message(
            &json!({ "msgtype": "m.image", "body": "a.png", "file": of, "info": { "mimetype": "image/png", "thumbnail_file": of, "thumbnail_url": "mxc://e.org/t" } }),
        )
    };
    let at = |url: &str| {
        message(
            &json!({ "msgtype": "m.image", "body": "a.png", "url": url, "info": { "mimetype": "image/png" } }),
        )
    };
    let cases = json!({
        "encrypted": there().shows(&secret(|_| ())),
        "key too short": there().shows(&secret(|of| of["key"]["k"] = json!("c2hvcnQ"))),
        "key of another alphabet": there().shows(&secret(|of| of["key"]["k"] = json!("aWF6+32KGYaC3A/FEUCk1Bt0JA37zP0wrStgmdCaW+0"))),
        "no vector": there().shows(&secret(|of| of["iv"] = Value::Null)),
        "no hash": there().shows(&secret(|of| of["hashes"] = json!({}))),
        "another algorithm": there().shows(&secret(|of| of["key"]["alg"] = json!("A128CBC"))),
        "another version": there().shows(&secret(|of| of["v"] = json!("v9"))),
        "no place": there().shows(&message(&json!({ "msgtype": "m.image", "body": "a.png" }))),
        "a place elsewhere": there().shows(&at("https://evil.example/a")),
        "a place that climbs": there().shows(&at("mxc://e.org/../admin")),
        "a place without a server": there().shows(&at("mxc:///a")),
    });
    insta::assert_json_snapshot!(cases);
    let parts = there().parts(&secret(|_| ())).unwrap();
    let PartContent::Media { source, .. } = &parts[0].content else {
        panic!("a file was expected");
    };
    let key = source.encryption.as_ref().unwrap();
    assert_eq!(&key.key[..3], b"\x69\x61\x7a");
    assert_eq!(key.iv[8..], [0; 8]);
    assert_eq!(key.sha256[..2], [0x7d, 0xd4]);
}
