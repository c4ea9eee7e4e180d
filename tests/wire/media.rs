//! Hosted media over real connections: what is served, and that nothing else is.

use std::{collections::HashSet, path::Path};

use drawbridge::domain::Timestamp;
use reqwest::{Client, StatusCode, header};

use super::partner::{NOW, Stage, clients};

impl Stage {
    async fn host(&self, ciphertext: &'static [u8], expires: Timestamp) -> String {
        let mut hosting = self.media.create(expires).await.unwrap();
        for chunk in ciphertext.chunks(3) {
            hosting.write(chunk).await.unwrap();
        }
        hosting.finish().await.unwrap().to_string()
    }

    async fn get(&self, path: &str, range: Option<&str>) -> reqwest::Response {
        let mut request = Client::new().get(format!("{}/{path}", self.base));
        if let Some(range) = range {
            request = request.header(header::RANGE, range);
        }
        request.send().await.unwrap()
    }
}

#[tokio::test]
async fn hosted_media_come_back_whole_and_in_parts() {
    let stage = Stage::new().await;
    let reference = stage.host(b"0123456789", NOW.plus_millis(1000)).await;
    assert_eq!(reference.len(), 32);
    for (version, client) in clients() {
        let response = client
            .get(format!("{}/{reference}", stage.base))
            .send()
            .await
            .unwrap();
        assert_eq!(response.version(), version);
        assert_eq!(response.status(), StatusCode::OK);
        let headers = response.headers().clone();
        assert_eq!(headers[header::CONTENT_TYPE], "application/octet-stream");
        assert_eq!(headers[header::CONTENT_DISPOSITION], "attachment");
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert_eq!(headers[header::CONTENT_LENGTH], "10");
        assert_eq!(response.bytes().await.unwrap(), &b"0123456789"[..]);
    }
    for (range, part, content_range) in [
        ("bytes=0-0", "0", "bytes 0-0/10"),
        ("bytes=2-4", "234", "bytes 2-4/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=7-999", "789", "bytes 7-9/10"),
        ("bytes=-3", "789", "bytes 7-9/10"),
        ("bytes=-999", "0123456789", "bytes 0-9/10"),
    ] {
        let response = stage.get(&reference, Some(range)).await;
        assert_eq!(response.status(), StatusCode::PARTIAL_CONTENT, "{range}");
        assert_eq!(response.headers()[header::CONTENT_RANGE], content_range);
        assert_eq!(response.text().await.unwrap(), part);
    }
    for range in ["bytes=10-", "bytes=-0", "bytes=99999999999999-"] {
        let response = stage.get(&reference, Some(range)).await;
        assert_eq!(
            response.status(),
            StatusCode::RANGE_NOT_SATISFIABLE,
            "{range}"
        );
        assert_eq!(response.headers()[header::CONTENT_RANGE], "bytes */10");
    }
    for range in [
        "bytes=4-2",
        "bytes=a-b",
        "lines=1-2",
        "bytes=0-1,3-4",
        "bytes=+1-2",
        "bytes=99999999999999999999-",
    ] {
        let response = stage.get(&reference, Some(range)).await;
        assert_eq!(response.status(), StatusCode::OK, "{range}");
        assert_eq!(response.text().await.unwrap(), "0123456789");
    }
    let head = Client::new()
        .head(format!("{}/{reference}", stage.base))
        .send()
        .await
        .unwrap();
    assert_eq!(head.headers()[header::CONTENT_LENGTH], "10");
}

/// What a server answers to a request line that no well-behaved client writes.
async fn raw(base: &str, path: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let address = base.strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn nothing_but_references_leads_to_a_file() {
    let stage = Stage::new().await;
    let reference = stage.host(b"0123456789", NOW.plus_millis(1000)).await;
    std::fs::write(stage.dir.path().join("secret"), b"12345678 secret").unwrap();
    std::fs::write(stage.dir.path().join("media/secret"), b"12345678 secret").unwrap();
    for path in [
        "/../secret".to_owned(),
        "/..%2fsecret".to_owned(),
        "/%2e%2e%2fsecret".to_owned(),
        "/..%5csecret".to_owned(),
        "/secret".to_owned(),
        "/%2fetc%2fpasswd".to_owned(),
        "//etc/passwd".to_owned(),
        format!("/{reference}%00"),
        format!(
            "/{}",
            reference
                .to_uppercase()
                .replace(|c: char| c.is_ascii_digit(), "A")
        ),
        format!("/{}", &reference[..31]),
        format!("/{reference}.new"),
        format!("/{reference}/"),
        format!("/+{}", &reference[..31]),
        format!("/{}", "0".repeat(32)),
    ] {
        let answer = raw(&stage.base, &path).await;
        let status = answer.split(' ').nth(1).unwrap();
        assert!(matches!(status, "404" | "400"), "{path}: {answer}");
        assert!(!answer.contains("secret"), "{path}");
    }
    assert!(
        raw(&stage.base, &format!("/{reference}"))
            .await
            .ends_with("0123456789")
    );
}

#[tokio::test]
async fn media_expire_and_are_swept() {
    let stage = Stage::new().await;
    let short = stage.host(b"short", NOW.plus_millis(1000)).await;
    let long = stage.host(b"long", NOW.plus_millis(9000)).await;
    let later = Timestamp(NOW.0 + 1000);
    assert_eq!(stage.get(&short, None).await.status(), StatusCode::OK);
    stage.clock.advance(1000);
    assert_eq!(
        stage.get(&short, None).await.status(),
        StatusCode::NOT_FOUND
    );
    assert_eq!(stage.get(&long, None).await.text().await.unwrap(), "long");
    std::fs::write(stage.dir.path().join("media/unfinished.new"), b"x").unwrap();
    assert_eq!(stage.media.sweep(later).await.unwrap(), 2);
    assert_eq!(stage.media.sweep(later).await.unwrap(), 0);
    assert_eq!(stage.get(&long, None).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn what_is_being_written_is_not_served_not_swept_and_gone_when_it_is_given_up() {
    let stage = Stage::new().await;
    let folder = stage.dir.path().join("media");
    let expires = NOW.plus_millis(1000);
    let mut hosting = stage.media.create(expires).await.unwrap();
    hosting.write(b"half").await.unwrap();
    let other = stage.media.create(expires).await.unwrap();
    let unfinished = files(&folder);
    assert_eq!(unfinished.len(), 2);
    for name in &unfinished {
        let reference = name.strip_suffix(".new").unwrap();
        let found = stage.get(reference, None).await;
        assert_eq!(found.status(), StatusCode::NOT_FOUND);
    }
    assert_eq!(stage.media.sweep(NOW).await.unwrap(), 0);
    drop(other);
    assert_eq!(files(&folder).len(), 1);
    hosting.write(b" and whole").await.unwrap();
    let reference = hosting.finish().await.unwrap().to_string();
    assert_eq!(files(&folder), HashSet::from([reference.clone()]));
    let whole = stage.get(&reference, None).await;
    assert_eq!(whole.text().await.unwrap(), "half and whole");
    // The same names would be an earlier process's.
    for name in &unfinished {
        std::fs::write(folder.join(name), b"x").unwrap();
    }
    assert_eq!(stage.media.sweep(NOW).await.unwrap(), 2);
    let empty = stage.host(b"", NOW.plus_millis(1)).await;
    assert_eq!(stage.get(&empty, None).await.status(), StatusCode::OK);
    let range = stage.get(&empty, Some("bytes=-5")).await;
    assert_eq!(range.status(), StatusCode::RANGE_NOT_SATISFIABLE);
}

pub(super) fn files(folder: &Path) -> HashSet<String> {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}
