//! Files the homeserver keeps elsewhere: fetched from there without the token, and never from inside our own network.

use std::{net::SocketAddr, time::Duration};

use drawbridge::matrix::{Client, DownloadError};

use super::{
    download::{LIMIT, URI, drained},
    script::{self, Homeserver as Script, Reply, refusal},
};

const STALL: Duration = Duration::from_secs(10);

fn to(location: &str) -> Reply {
    Reply::new(307, "").with("location", location)
}

async fn refused(client: &Client) -> String {
    let result = client.download(URI, LIMIT, STALL).await;
    let error = result.err().expect("it is refused");
    assert!(!error.is_transient(), "{error}");
    match error {
        DownloadError::Refused(reason) => reason,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_file_kept_elsewhere_is_fetched_there_without_the_token() {
    let elsewhere =
        Script::start(|_| Reply::new(200, "file").with("content-type", "image/gif")).await;
    let location = format!("{}/bucket/file?signed=yes", elsewhere.url);
    let server = Script::start(move |_| to(&location)).await;
    let download = server.client().download(URI, LIMIT, STALL).await.unwrap();
    assert_eq!(download.mime_type.as_deref(), Some("image/gif"));
    assert_eq!(drained(download).await.unwrap(), b"file");
    let asked = &elsewhere.asked()[0];
    assert_eq!(asked.what, "GET /bucket/file");
    assert_eq!(asked.query.len(), 1);
    assert_eq!(asked.query["signed"], "yes");
    assert!(!asked.headers.contains_key("authorization"));
}

#[tokio::test]
async fn a_way_within_the_homeserver_may_be_short() {
    let server = Script::start(|asked| {
        if asked.what == "GET /files/1" {
            assert!(!asked.headers.contains_key("authorization"));
            Reply::new(200, "file")
        } else {
            to("/files/1")
        }
    })
    .await;
    let download = server.client().download(URI, LIMIT, STALL).await.unwrap();
    assert_eq!(drained(download).await.unwrap(), b"file");
}

#[tokio::test]
async fn one_is_sent_on_three_times_and_no_more() {
    for (steps, arrives) in [(3, true), (4, false)] {
        let server = Script::start(move |asked| {
            let step: usize = asked
                .what
                .strip_prefix("GET /step/")
                .and_then(|step| step.parse().ok())
                .unwrap_or(0);
            if step == steps {
                Reply::new(200, "file")
            } else {
                to(&format!("/step/{}", step + 1))
            }
        })
        .await;
        let result = server.client().download(URI, LIMIT, STALL).await;
        assert_eq!(result.is_ok(), arrives, "{steps}");
        assert_eq!(server.asked().len(), 4);
    }
}

#[tokio::test]
async fn only_http_is_followed() {
    for location in [
        "file:///etc/passwd",
        "ftp://example.org/x",
        "data:text/plain,x",
        "mxc://example.org/x",
    ] {
        let server = Script::start(move |_| to(location)).await;
        refused(&server.client()).await;
    }
    let nowhere = Script::start(|_| Reply::new(302, "")).await;
    refused(&nowhere.client()).await;
}

#[tokio::test]
async fn what_is_not_there_either_is_not_there() {
    let elsewhere = Script::start(|asked| match asked.what.as_str() {
        "GET /gone" => Reply::new(404, "<Error/>"),
        "GET /later" => Reply::new(503, ""),
        _ => refusal(403, "").into(),
    })
    .await;
    for (path, expected) in [("gone", false), ("later", true), ("closed", false)] {
        let location = format!("{}/{path}", elsewhere.url);
        let server = Script::start(move |_| to(&location)).await;
        let result = server.client().download(URI, LIMIT, STALL).await;
        let error = result.err().unwrap();
        assert_eq!(error.is_transient(), expected, "{path}: {error}");
        let not_found = matches!(error, DownloadError::NotFound);
        assert_eq!(not_found, path == "gone", "{path}: {error}");
    }
}

/// A client of a homeserver that is not inside our network, as far as it can tell from its name.
fn far(server: &Script) -> Client {
    let address: SocketAddr = server.url["http://".len()..].parse().expect("an address");
    let http = script::http().resolve("hs.invalid", address);
    let url = format!("http://hs.invalid:{}", address.port());
    script::client_over(http.build().expect("an HTTP client"), &url)
}

#[tokio::test]
async fn a_homeserver_outside_leads_nowhere_inside() {
    let inside = Script::start(|_| Reply::new(200, "secret")).await;
    let port = inside.url.rsplit(':').next().unwrap().to_owned();
    for host in [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "10.0.0.1",
        "169.254.169.254",
    ] {
        let location = format!("http://{host}:{port}/latest/meta-data");
        let server = Script::start(move |_| to(&location)).await;
        let reason = refused(&far(&server)).await;
        assert!(reason.contains("inside"), "{host}: {reason}");
    }
    assert!(inside.asked().is_empty());
    // The same client has what the homeserver itself has.
    let server = Script::start(|_| Reply::new(200, "file")).await;
    let download = far(&server).download(URI, LIMIT, STALL).await.unwrap();
    assert_eq!(drained(download).await.unwrap(), b"file");
}
