//! Files at the page: sent in pieces up to a limit, shown only if they can do no harm, and the page's own parts.

use drawbridge::domain::MediaKind;
use reqwest::{Response, StatusCode};
use serde_json::Value;
use waproto::{
    buffa::MessageField,
    whatsapp::{Message, message::DocumentMessage},
};

use super::{files, partner::INTEGRATOR, talk::Talk};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n not really";

impl Talk {
    fn files(&self, rest: &str) -> String {
        let (http, jid, login) = (self.stage.sandbox.http_address(), &self.jid, &self.login);
        format!("http://{http}/api/contacts/{jid}/chats/{login}/{rest}")
    }

    async fn upload(&self, query: &str, kind: &str, body: impl Into<reqwest::Body>) -> Response {
        let request = self.stage.http.post(self.files(&format!("files?{query}")));
        let request = request.header("content-type", kind).body(body);
        request.send().await.unwrap()
    }

    /// A file the page sent: its id.
    async fn sends(&self, query: &str, kind: &str, bytes: &[u8]) -> String {
        let answer = self.upload(query, kind, bytes.to_vec()).await;
        assert_eq!(answer.status(), StatusCode::OK, "{query}");
        let answer: Value = answer.json().await.unwrap();
        answer["id"].as_str().unwrap().to_owned()
    }

    async fn file(&self, side: &str, id: &str) -> Response {
        let path = self.files(&format!("messages/{side}/{id}/file"));
        self.stage.http.get(path).send().await.unwrap()
    }
}

#[tokio::test]
async fn the_page_sends_files_of_every_kind_and_shows_them() {
    let mut talk = Talk::start().await;
    let query = "kind=image&name=a.png&caption=*hi*&width=4&height=3&thumbnail=_9j_";
    let id = talk.sends(query, "image/png", PNG).await;
    let (_, got) = talk.hear().await;
    let image = got.image_message.into_option().unwrap();
    assert_eq!(image.mimetype.as_deref(), Some("image/png"));
    assert_eq!(image.caption.as_deref(), Some("*hi*"));
    assert_eq!((image.width, image.height), (Some(4), Some(3)));
    assert_eq!(image.jpeg_thumbnail, Some(vec![0xff, 0xd8, 0xff]));
    let shown = talk.file("mine", &id).await;
    assert_eq!(shown.status(), StatusCode::OK);
    let headers = shown.headers().clone();
    assert_eq!(headers["content-type"], "image/png");
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert_eq!(
        headers["content-disposition"],
        "inline; filename*=UTF-8''a.png"
    );
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("sandbox"));
    assert_eq!(shown.bytes().await.unwrap(), PNG);

    let path = talk.files(&format!("messages/mine/{id}/file"));
    let part = talk.stage.http.get(&path).header("range", "bytes=1-3");
    let part = part.send().await.unwrap();
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    let told = format!("bytes 1-3/{}", PNG.len());
    assert_eq!(part.headers()["content-range"], told.as_str());
    assert_eq!(part.bytes().await.unwrap(), "PNG");

    for kind in ["video", "gif", "audio", "voice", "file", "sticker"] {
        talk.sends(&format!("kind={kind}"), "some/type", b"x").await;
        let (node, _) = talk.hear().await;
        assert_eq!(node.attr("type").as_deref(), Some("media"), "{kind}");
    }
    talk.say("U1", "show me").await;
    let query = "kind=voice&seconds=2&waveform=ADJk&side=theirs&quotes=U1&view_once=true";
    talk.sends(query, "audio/ogg; codecs=opus", b"x").await;
    let (_, got) = talk.hear().await;
    let wrapper = got.view_once_message_v2_extension.into_option().unwrap();
    let voice = wrapper.message.audio_message.clone();
    assert_eq!(voice.waveform, Some(vec![0, 50, 100]));
    assert_eq!(voice.context_info.stanza_id.as_deref(), Some("U1"));
    let kept = talk.contact.sent();
    assert!(kept.iter().all(|m| m.content.file().is_some()));
    assert_eq!(kept[0].content.file().unwrap().kind, MediaKind::Image);
}

#[tokio::test]
async fn what_is_too_large_or_not_usable_is_refused_and_leaves_nothing() {
    let talk = Talk::start().await;
    let announced = talk
        .stage
        .http
        .post(talk.files("files?kind=file"))
        .header("content-length", 100 * 1024 * 1024 + 1)
        .body(vec![0; 10]);
    if let Ok(answer) = announced.send().await {
        assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }
    let pieces = futures_util::stream::iter((0..101).map(|_| {
        let piece = bytes::Bytes::from(vec![0; 1024 * 1024]);
        Ok::<_, std::io::Error>(piece)
    }));
    let body = reqwest::Body::wrap_stream(pieces);
    let streamed = talk
        .stage
        .http
        .post(talk.files("files?kind=file"))
        .body(body)
        .send()
        .await;
    if let Ok(answer) = streamed {
        assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }
    for query in [
        "kind=weather",
        "",
        "kind=image&thumbnail=%3Cb%3E",
        "kind=file&width=-1",
    ] {
        let answer = talk.upload(query, "image/png", "x").await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{query}");
    }
    let caption = format!("kind=image&caption={}", "x".repeat(4097));
    let answer = talk.upload(&caption, "image/png", "x").await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert!(talk.contact.sent().is_empty());
    let folder = talk.stage.dir.path().join("sandbox/phones");
    let phone = folder.join(talk.jid.to_string());
    talk.stage
        .until("the phone's folder is empty", || {
            std::fs::read_dir(&phone).is_ok_and(|mut entries| entries.next().is_none())
        })
        .await;
}

#[tokio::test]
async fn hostile_names_are_names_and_hostile_files_are_saved_not_shown() {
    let mut talk = Talk::start().await;
    for (name, expected) in [
        ("..%2F..%2Fetc%2Fpasswd", Some("passwd")),
        ("C%3A%5Cx%5Cb.txt", Some("b.txt")),
        ("a%0D%0AX-Bad%3A%201.png", Some("aX-Bad: 1.png")),
        ("..", None),
    ] {
        talk.sends(&format!("kind=file&name={name}"), "a/b", name.as_bytes())
            .await;
        let (_, got) = talk.hear().await;
        let document = got.document_message.into_option().unwrap();
        assert_eq!(document.file_name.as_deref(), expected);
    }
    let page = b"<script>alert(1)</script>".to_vec();
    let sealed = files::seal("Document", &[8; 32], &page);
    let host = |talk: &Talk| {
        let mut hosted = talk.stage.seen.hosted.lock().unwrap();
        hosted.insert("page".to_owned(), sealed.clone());
    };
    host(&talk);
    for (id, kind) in [
        ("D1", "text/html"),
        ("D2", "image/svg+xml"),
        ("D3", "text/javascript"),
        ("D4", "application/pdf"),
        ("D5", "image/png\r\nX-Bad: 1"),
    ] {
        let message = Message {
            document_message: MessageField::some(DocumentMessage {
                mimetype: Some(kind.to_owned()),
                file_name: Some("../\"x\r\nX-Bad: 1\".html".to_owned()),
                file_sha256: Some(files::sha256(&page).to_vec()),
                file_length: Some(page.len() as u64),
                media_key: Some(vec![8; 32]),
                file_enc_sha256: Some(files::sha256(&sealed).to_vec()),
                direct_path: Some(format!("/interop/whatsapp/download/{INTEGRATOR}/page/")),
                ..DocumentMessage::default()
            }),
            ..Message::default()
        };
        talk.write(id, message).await;
        let answer = talk.file("theirs", id).await;
        let headers = answer.headers();
        assert_eq!(
            headers["content-type"], "application/octet-stream",
            "{kind}"
        );
        let way = headers["content-disposition"].to_str().unwrap();
        assert!(way.starts_with("attachment; filename*=UTF-8''"), "{way}");
        assert_eq!(headers.get("x-bad"), None);
        assert_eq!(answer.bytes().await.unwrap(), page);
    }
    talk.say("T1", "no file").await;
    for (side, id) in [("theirs", "T1"), ("theirs", "none"), ("mine", "D1")] {
        let status = talk.file(side, id).await.status();
        assert_eq!(status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_had_is_said_so() {
    let mut talk = Talk::start().await;
    let message = Message {
        document_message: MessageField::some(DocumentMessage {
            file_sha256: Some(vec![1; 32]),
            file_length: Some(1),
            media_key: Some(vec![8; 32]),
            file_enc_sha256: Some(vec![1; 32]),
            direct_path: Some(format!("/interop/whatsapp/download/{INTEGRATOR}/none/")),
            ..DocumentMessage::default()
        }),
        ..Message::default()
    };
    talk.write("D1", message).await;
    let answer = talk.file("theirs", "D1").await;
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
    let why: Value = answer.json().await.unwrap();
    assert!(why["error"].as_str().unwrap().contains("404"));
}

/// What a name ends with, behind its last dot.
fn ending(name: &str) -> Option<&str> {
    name.rsplit_once('.').map(|(_, ending)| ending)
}

#[tokio::test]
async fn the_page_is_made_of_its_own_parts_and_reads_no_text_as_html() {
    let talk = Talk::start().await;
    let get = async |path: &str| {
        let url = format!("http://{}{path}", talk.stage.sandbox.http_address());
        talk.stage.http.get(url).send().await.unwrap()
    };
    let page = get("/").await;
    let policy = page.headers()["content-security-policy"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(!policy.contains("unsafe"), "{policy}");
    assert!(policy.contains("script-src 'self'") && policy.contains("media-src 'self' blob:"));
    let page = page.text().await.unwrap();
    assert!(!page.contains("<script>") && !page.contains("style=") && !page.contains(" on"));
    let mut parts: Vec<String> = Vec::new();
    let mut waiting = vec![page];
    while let Some(text) = waiting.pop() {
        for quoted in text
            .split('"')
            .filter(|part| matches!(ending(part), Some("js" | "css")))
        {
            let name = quoted.rsplit('/').next().unwrap().to_owned();
            if parts.contains(&name) {
                continue;
            }
            let part = get(&format!("/page/{name}")).await;
            assert_eq!(part.status(), StatusCode::OK, "{name}");
            let kind = part.headers()["content-type"].to_str().unwrap().to_owned();
            let is_script = ending(&name) == Some("js");
            let expected = if is_script {
                "text/javascript"
            } else {
                "text/css"
            };
            assert!(kind.starts_with(expected), "{name}: {kind}");
            let text = part.text().await.unwrap();
            for way in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "createContextualFragment",
                "DOMParser",
                "srcdoc",
                "eval(",
                "new Function",
            ] {
                assert!(!text.contains(way), "{name} has {way}");
            }
            parts.push(name);
            waiting.push(text);
        }
    }
    assert!(parts.len() >= 9, "{parts:?}");
    assert_eq!(
        get("/page/nothing.js").await.status(),
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        get("/page/..%2Findex.html").await.status(),
        StatusCode::NOT_FOUND
    );
}
