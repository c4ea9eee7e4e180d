//! Files given to the homeserver: in two steps, as they come, and never half.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use drawbridge::matrix::{ByteStream, Intent, Upload, UploadError};
use futures_util::{StreamExt as _, stream};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::script::{self, Homeserver as Script, refusal};
use crate::homeserver::Homeserver;

const STALL: Duration = Duration::from_secs(10);
/// A piece of what is uploaded.
const PIECE: usize = 50_000;

fn upload(uri: Option<&str>, size: usize) -> Upload<'_> {
    Upload {
        uri,
        mime_type: "image/png",
        file_name: Some("a & b.png"),
        size: size as u64,
        stall: STALL,
    }
}

fn content(size: usize) -> Vec<u8> {
    (0..size)
        .map(|at| u8::try_from(at % 251).expect("less than 251"))
        .collect()
}

/// What is read from, given the announced size.
type Source = fn(usize) -> ByteStream;

/// A file of this size, in pieces.
fn file(size: usize) -> ByteStream {
    let whole = Bytes::from(content(size));
    let pieces = (0..size.div_ceil(PIECE)).map(move |at| {
        let end = size.min((at + 1) * PIECE);
        Ok(whole.slice(at * PIECE..end))
    });
    stream::iter(pieces).boxed()
}

/// The same, but at its end it turns out to be wrong.
fn wrong_at_its_end(size: usize) -> ByteStream {
    let fault = io::Error::new(io::ErrorKind::InvalidData, "the hash is wrong");
    file(size).chain(stream::iter([Err(fault)])).boxed()
}

async fn real() -> (Homeserver, Intent) {
    let server = Homeserver::start(script::AS_TOKEN, "hs").await;
    let client = script::client(&server.url());
    (server, client.bot())
}

#[tokio::test]
async fn a_file_goes_under_the_address_made_for_it_once() {
    let (server, bot) = real().await;
    let size = 3_000_000;
    let uri = bot.create_media().await.unwrap().unwrap();
    assert_eq!(server.media(&uri), None);
    for _ in 0..2 {
        // The second time it is there already.
        let put = bot
            .upload(upload(Some(&uri), size), move || file(size))
            .await;
        assert_eq!(put.unwrap(), uri);
    }
    let world = server.world();
    let stored = world.media[&uri].file.as_ref().unwrap();
    let expected: [u8; 32] = Sha256::digest(content(size)).into();
    assert_eq!(stored.sha256(), expected);
    assert_eq!(stored.mime_type, "image/png");
    assert_eq!(stored.name.as_deref(), Some("a & b.png"));
    assert_eq!(world.media[&uri].owner, "@drawbridgebot:example.org");
}

#[tokio::test]
async fn a_file_without_an_address_gets_one() {
    let (server, bot) = real().await;
    let uri = bot.upload(upload(None, 10), || file(10)).await.unwrap();
    assert_eq!(server.media(&uri).unwrap(), content(10));
    let empty = bot.upload(upload(None, 0), || file(0)).await.unwrap();
    assert_eq!(server.media(&empty).unwrap(), "");
}

#[tokio::test]
async fn an_upload_names_the_account_the_length_and_the_kind() {
    let server = Script::start(|asked| {
        if asked.what.ends_with("/config") {
            (200, json!({}))
        } else {
            (200, json!({ "content_uri": "mxc://example.org/x" }))
        }
    })
    .await;
    let bot = server.client().bot();
    let mut odd = upload(None, 5);
    odd.mime_type = "not\na type";
    bot.upload(odd, || file(5)).await.unwrap();
    let uri = "mxc://example.org:8448/aB_-9";
    bot.upload(upload(Some(uri), 5), || file(5)).await.unwrap();
    let asked = server.asked();
    assert_eq!(asked[1].what, "POST /_matrix/media/v3/upload");
    assert_eq!(asked[1].headers["content-type"], "application/octet-stream");
    let put = &asked[2];
    assert_eq!(
        put.what,
        "PUT /_matrix/media/v3/upload/example.org:8448/aB_-9"
    );
    assert_eq!(put.query["user_id"], "@drawbridgebot:example.org");
    assert_eq!(put.query["device_id"], "DRAWBRIDGE");
    assert_eq!(put.query["filename"], "a & b.png");
    assert_eq!(put.headers["content-length"], "5");
    assert_eq!(put.headers["content-type"], "image/png");
    assert!(!put.headers.contains_key("transfer-encoding"));
    assert_eq!(
        put.headers["authorization"],
        format!("Bearer {}", script::AS_TOKEN)
    );
    assert_eq!(put.bytes, content(5));
}

#[tokio::test]
async fn where_no_address_can_be_made_none_is_asked_for_again() {
    for (answer, times) in [
        (refusal(404, "M_UNRECOGNIZED"), 1),
        (refusal(404, ""), 1),
        (refusal(405, ""), 1),
        // Too many wait for their files; later there may be room.
        (
            (
                429,
                json!({ "errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 3_600_000 }),
            ),
            2,
        ),
    ] {
        let given = answer.clone();
        let server = Script::start(move |_| given.clone()).await;
        let bot = server.client().bot();
        for _ in 0..2 {
            assert_eq!(bot.create_media().await.unwrap(), None, "{answer:?}");
        }
        assert_eq!(server.asked().len(), times, "{answer:?}");
    }
    let server = Script::start(|_| refusal(403, "M_FORBIDDEN")).await;
    assert!(server.client().bot().create_media().await.is_err());
    let server = Script::start(|_| (200, json!({ "content_uri": "https://elsewhere/x" }))).await;
    assert!(server.client().bot().create_media().await.is_err());
}

#[tokio::test]
async fn what_fails_for_a_moment_is_sent_again_from_its_beginning() {
    let server = Script::start(
        |asked| match (asked.what.ends_with("/config"), asked.before) {
            (false, 0) => refusal(502, ""),
            (false, 1) => refusal(429, "M_LIMIT_EXCEEDED"),
            _ => (200, json!({})),
        },
    )
    .await;
    let opened = Arc::new(AtomicUsize::new(0));
    let counter = opened.clone();
    let uri = "mxc://example.org/x";
    let body = move || {
        counter.fetch_add(1, Ordering::SeqCst);
        file(PIECE * 3)
    };
    let bot = server.client().bot();
    bot.upload(upload(Some(uri), PIECE * 3), body)
        .await
        .unwrap();
    assert_eq!(opened.load(Ordering::SeqCst), 3);
    for asked in &server.asked()[1..] {
        assert_eq!(asked.bytes, content(PIECE * 3));
    }
}

#[tokio::test]
async fn a_file_that_turns_out_wrong_is_not_stored() {
    let (server, bot) = real().await;
    let size = PIECE * 4;
    let uri = bot.create_media().await.unwrap().unwrap();
    let sources: [(&str, Source); 4] = [
        ("wrong at its end", wrong_at_its_end),
        ("too short", |size| file(size - 1)),
        ("too long", |size| file(size + 1)),
        ("broken", |_| {
            let fault = io::Error::from(io::ErrorKind::ConnectionReset);
            file(PIECE).chain(stream::iter([Err(fault)])).boxed()
        }),
    ];
    for (name, source) in sources {
        let put = bot
            .upload(upload(Some(&uri), size), move || source(size))
            .await;
        let error = put.unwrap_err();
        assert!(matches!(error, UploadError::Source(_)), "{name}: {error}");
        assert_eq!(error.is_transient(), name == "broken", "{name}");
        assert_eq!(server.media(&uri), None, "{name}");
    }
    let put = bot
        .upload(upload(Some(&uri), 0), || wrong_at_its_end(0))
        .await;
    assert!(matches!(put, Err(UploadError::Source(_))));
    assert_eq!(server.media(&uri), None);
    // And the address is still good.
    bot.upload(upload(Some(&uri), size), move || file(size))
        .await
        .unwrap();
    assert_eq!(server.media(&uri).unwrap(), content(size));
}

#[tokio::test]
async fn what_is_too_large_is_told_before_anything_is_sent() {
    let (server, bot) = real().await;
    server.world().max_upload = Some(1_000);
    bot.upload(upload(None, 1_000), || file(1_000))
        .await
        .unwrap();
    let error = bot
        .upload(upload(None, 1_001), || unreachable!("nothing is read"))
        .await
        .unwrap_err();
    assert!(
        matches!(error, UploadError::TooLarge { limit: Some(1_000) }),
        "{error}"
    );
    assert!(!error.is_transient());
    // The operator may raise the limit while the bridge runs.
    server.world().max_upload = Some(2_000);
    bot.upload(upload(None, 1_001), || file(1_001))
        .await
        .unwrap();
    // And a homeserver may refuse what it did not announce.
    let script = Script::start(|asked| {
        if asked.what.contains("/config") {
            refusal(404, "M_UNRECOGNIZED")
        } else {
            refusal(413, "M_TOO_LARGE")
        }
    })
    .await;
    let put = script
        .client()
        .bot()
        .upload(upload(None, 5), || file(5))
        .await;
    assert!(matches!(put, Err(UploadError::TooLarge { limit: None })));
}

#[tokio::test]
async fn a_homeserver_that_cannot_say_its_limit_now_is_asked_later() {
    let server = Script::start(|_| refusal(503, "")).await;
    let bot = server.client().bot();
    let error = bot.upload(upload(None, 5), || file(5)).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
}

/// A homeserver that answers questions, but reads no more than the beginning of what is sent to it.
async fn deaf() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        let mut held = Vec::new();
        loop {
            let (mut socket, _) = listener.accept().await.expect("a caller");
            let mut head = [0; 256];
            let read = socket.read(&mut head).await.expect("a request");
            if head[..read].starts_with(b"GET") {
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
                socket.write_all(answer).await.expect("somebody listens");
            } else {
                held.push(socket);
            }
        }
    });
    url
}

#[tokio::test]
async fn a_homeserver_that_takes_nothing_more_is_not_waited_for_nor_read_ahead_of() {
    let bot = script::client(&deaf().await).bot();
    let pieces = 4_000;
    let read = Arc::new(AtomicUsize::new(0));
    let counter = read.clone();
    let mut impatient = upload(None, pieces * PIECE);
    impatient.stall = Duration::from_millis(500);
    let body = move || {
        let counter = counter.clone();
        let piece = Bytes::from(vec![0; PIECE]);
        stream::iter(0..pieces)
            .map(move |_| {
                counter.fetch_add(1, Ordering::SeqCst);
                Ok(piece.clone())
            })
            .boxed()
    };
    let error = bot.upload(impatient, body).await.unwrap_err();
    assert!(matches!(error, UploadError::Stalled(_)), "{error}");
    assert!(error.is_transient());
    // What the two sockets hold, and no more.
    let read = read.load(Ordering::SeqCst);
    assert!(read > 0 && read < pieces / 8, "{read} of {pieces} pieces");
}

#[tokio::test]
async fn a_source_that_says_nothing_more_is_told_apart_from_a_homeserver_that_does() {
    let (server, bot) = real().await;
    let uri = bot.create_media().await.unwrap().unwrap();
    let mut patient = upload(Some(&uri), PIECE * 2);
    patient.stall = Duration::from_millis(200);
    let put = bot
        .upload(patient, || file(PIECE).chain(stream::pending()).boxed())
        .await;
    let Err(UploadError::Source(error)) = put else {
        panic!("{put:?}");
    };
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert_eq!(server.media(&uri), None);
}
