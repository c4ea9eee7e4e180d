//! Files had from the homeserver: whole, in bounds, or not at all.

use std::{io, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use drawbridge::matrix::{Client, Download, DownloadError};
use futures_util::{StreamExt as _, stream};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::script::{self, Asked, Homeserver as Script, Reply, refusal};
use crate::homeserver::Homeserver;

pub(crate) const URI: &str = "mxc://example.org/aB_-9";
pub(crate) const LIMIT: u64 = 1_000_000;
const STALL: Duration = Duration::from_secs(10);
const NEW: &str = "GET /_matrix/client/v1/media/download/example.org/aB_-9";
const OLD: &str = "GET /_matrix/media/v3/download/example.org/aB_-9";

/// What came, and why it ended if not well.
pub(crate) async fn drained(download: Download) -> Result<Vec<u8>, io::Error> {
    let mut whole = Vec::new();
    let mut bytes = download.bytes;
    while let Some(piece) = bytes.next().await {
        whole.extend_from_slice(&piece?);
    }
    Ok(whole)
}

async fn have(server: &Script) -> Result<Vec<u8>, DownloadError> {
    let download = server.client().download(URI, LIMIT, STALL).await?;
    Ok(drained(download).await.expect("it comes whole"))
}

/// How a stream that breaks off says why.
async fn broken(client: &Client, limit: u64, stall: Duration) -> (u64, DownloadError) {
    let download = client.download(URI, limit, stall).await;
    let mut bytes = download.expect("it begins").bytes;
    let mut came = 0;
    loop {
        match bytes.next().await {
            Some(Ok(piece)) => came += piece.len() as u64,
            Some(Err(error)) => {
                assert!(bytes.next().await.is_none());
                let inner = error.into_inner().expect("a cause");
                let inner = inner.downcast().expect("a cause of ours");
                return (came, *inner);
            }
            None => panic!("it ended well"),
        }
    }
}

fn endless() -> Body {
    let piece = Bytes::from(vec![7; 10_000]);
    Body::from_stream(stream::repeat_with(move || {
        Ok::<_, io::Error>(piece.clone())
    }))
}

#[tokio::test]
async fn a_file_comes_with_its_kind_and_size() {
    let server =
        Script::start(|_| Reply::new(200, "file").with("content-type", "image/png; charset=x"))
            .await;
    let download = server.client().download(URI, 4, STALL).await.unwrap();
    assert_eq!(download.size, Some(4));
    assert_eq!(download.mime_type.as_deref(), Some("image/png; charset=x"));
    assert_eq!(drained(download).await.unwrap(), b"file");
    let asked = &server.asked()[0];
    assert_eq!(asked.what, NEW);
    assert_eq!(asked.query["user_id"], "@drawbridgebot:example.org");
    assert_eq!(asked.query["device_id"], "DRAWBRIDGE");
    assert_eq!(
        asked.headers["authorization"],
        format!("Bearer {}", script::AS_TOKEN)
    );
}

#[tokio::test]
async fn what_was_uploaded_is_had_again() {
    let server = Homeserver::start(script::AS_TOKEN, "hs").await;
    let client = script::client(&server.url());
    let content = vec![9; 5_000_000];
    let uri = server.upload(content.clone());
    let download = client.download(&uri, 5_000_000, STALL).await.unwrap();
    assert_eq!(drained(download).await.unwrap(), content);
    let error = client.download(URI, LIMIT, STALL).await.err().unwrap();
    assert!(matches!(error, DownloadError::NotFound), "{error}");
    // An address whose file is still on its way.
    let waiting = client.bot().create_media().await.unwrap().unwrap();
    let error = client.download(&waiting, LIMIT, STALL).await.err().unwrap();
    assert!(error.is_transient(), "{error}");
    assert_eq!(server.world().requests["download"], 3);
}

#[tokio::test]
async fn an_older_homeserver_is_asked_the_older_way_from_then_on() {
    let server = Script::start(|asked| {
        if asked.what == OLD {
            Reply::new(200, "file")
        } else {
            refusal(404, "M_UNRECOGNIZED").into()
        }
    })
    .await;
    let client = server.client();
    for _ in 0..2 {
        let download = client.download(URI, LIMIT, STALL).await.unwrap();
        assert_eq!(drained(download).await.unwrap(), b"file");
    }
    let asked: Vec<String> = server.asked().into_iter().map(|asked| asked.what).collect();
    assert_eq!(asked, [NEW, OLD, OLD]);
    assert_eq!(server.asked()[1].query["allow_redirect"], "true");
}

#[tokio::test]
async fn a_file_that_is_not_there_is_not_asked_for_the_older_way() {
    let server = Script::start(|_| refusal(404, "M_NOT_FOUND")).await;
    assert!(matches!(have(&server).await, Err(DownloadError::NotFound)));
    assert_eq!(server.asked().len(), 1);
    // Neither endpoint is there, so neither is the file; but that is not remembered as if the older one were.
    let server = Script::start(|_| refusal(404, "M_UNRECOGNIZED")).await;
    let client = server.client();
    for _ in 0..2 {
        let error = client.download(URI, LIMIT, STALL).await.err().unwrap();
        assert!(matches!(error, DownloadError::NotFound), "{error}");
    }
    assert_eq!(server.asked().len(), 4);
}

#[tokio::test]
async fn what_may_pass_is_tried_again_and_what_will_not_is_not() {
    for (first, tries, passes) in [
        (refusal(502, ""), 2, true),
        (refusal(429, "M_LIMIT_EXCEEDED"), 2, true),
        (refusal(403, "M_FORBIDDEN"), 1, false),
        (refusal(400, "M_UNKNOWN"), 1, false),
        (refusal(504, "M_NOT_YET_UPLOADED"), 1, true),
    ] {
        let given = first.clone();
        let server = Script::start(move |asked: &Asked| match asked.before {
            0 => Reply::from(given.clone()),
            _ => Reply::new(200, "file"),
        })
        .await;
        let result = have(&server).await;
        assert_eq!(server.asked().len(), tries, "{first:?}");
        match result {
            Ok(file) => assert_eq!((&file[..], tries), (&b"file"[..], 2)),
            Err(error) => assert_eq!(error.is_transient(), passes, "{first:?}: {error}"),
        }
    }
}

#[tokio::test]
async fn what_is_no_address_is_not_asked_for() {
    let server = Script::start(|_| refusal(500, "M_UNKNOWN")).await;
    for uri in [
        "",
        "https://example.org/x",
        "mxc://example.org/../x",
        "mxc://../x",
        "mxc://a/b?c=d",
    ] {
        let error = server
            .client()
            .download(uri, LIMIT, STALL)
            .await
            .err()
            .unwrap();
        assert!(matches!(error, DownloadError::Address), "{uri}: {error}");
    }
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn what_is_announced_as_too_large_does_not_begin() {
    let server = Script::start(|_| Reply::new(200, vec![0; 1_001])).await;
    let error = server
        .client()
        .download(URI, 1_000, STALL)
        .await
        .err()
        .unwrap();
    assert!(
        matches!(error, DownloadError::TooLarge { limit: 1_000 }),
        "{error}"
    );
    assert!(!error.is_transient());
    assert!(server.client().download(URI, 1_001, STALL).await.is_ok());
}

#[tokio::test]
async fn what_becomes_too_large_ends_at_the_limit() {
    let server = Script::start(|_| Reply::new(200, endless())).await;
    let (came, error) = broken(&server.client(), LIMIT, STALL).await;
    assert!(came <= LIMIT, "{came}");
    assert!(
        matches!(error, DownloadError::TooLarge { limit: LIMIT }),
        "{error}"
    );
}

/// A homeserver that gives the same answer to everybody and hangs up.
async fn curt(answer: &'static str) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.expect("a caller");
            let mut head = [0; 4_096];
            let read = socket.read(&mut head).await.expect("a request");
            assert!(read > 0);
            let answered = socket.write_all(answer.as_bytes()).await;
            answered.expect("somebody listens");
        }
    });
    script::client(&url)
}

#[tokio::test]
async fn what_breaks_off_is_no_file() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n8\r\nhalf",
    ] {
        let client = curt(answer).await;
        let (came, error) = broken(&client, LIMIT, STALL).await;
        assert!(came <= 4, "{answer}");
        assert!(error.is_transient(), "{error}");
    }
}

#[tokio::test]
async fn a_homeserver_that_says_nothing_is_not_waited_for() {
    let impatient = Duration::from_millis(200);
    let server = Script::start(|_| {
        let begun = stream::iter([Ok::<_, io::Error>(Bytes::from_static(b"be"))]);
        Reply::new(200, Body::from_stream(begun.chain(stream::pending())))
    })
    .await;
    let (came, error) = broken(&server.client(), LIMIT, impatient).await;
    assert_eq!(came, 2);
    assert!(error.is_transient(), "{error}");
    // Nor before it says anything at all.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let client = script::client(&url);
    let error = client.download(URI, LIMIT, impatient).await.err().unwrap();
    assert!(error.is_transient(), "{error}");
}

#[tokio::test]
async fn a_slow_file_is_waited_for_as_long_as_it_comes() {
    let server = Script::start(|_| {
        let slowly = stream::iter(0..6).then(async |_| {
            tokio::time::sleep(Duration::from_millis(100)).await;
            Ok::<_, io::Error>(Bytes::from_static(b"x"))
        });
        Reply::new(200, Body::from_stream(slowly))
    })
    .await;
    let client = server.client();
    // All of it takes longer than may pass without anything.
    let download = client
        .download(URI, LIMIT, Duration::from_millis(400))
        .await
        .unwrap();
    assert_eq!(drained(download).await.unwrap(), b"xxxxxx");
}
