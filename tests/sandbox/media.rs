//! Files: what a contact sends, as a Partner fetches it; what a Partner hosts, as a contact opens it; and what can go wrong.

use std::time::Duration;

use drawbridge::{
    domain::MediaKind,
    sandbox::{CryptError, FileError, Flavour, MediaFault, MediaToSend, SandboxError},
};
use reqwest::StatusCode;
use waproto::{
    buffa::MessageField,
    whatsapp::{
        Message,
        message::{AudioMessage, ImageMessage},
    },
};

use super::{files, partner::INTEGRATOR, talk::Talk};

const WHOLE: usize = 200_000;

/// A picture a contact sends.
async fn picture(talk: &mut Talk, bytes: Vec<u8>) -> ImageMessage {
    let media = MediaToSend::bytes(MediaKind::Image, "image/png", bytes);
    talk.contact.send_media(&talk.login, media).await.unwrap();
    let (_, got) = talk.hear().await;
    got.image_message.into_option().unwrap()
}

async fn fetch(talk: &Talk, path: &str) -> reqwest::Response {
    let base = talk.stage.profile(Flavour::WhatsApp).media_url;
    let url = format!("{}{path}", base.as_str().trim_end_matches('/'));
    talk.stage.http.get(url).send().await.unwrap()
}

fn key(image: &ImageMessage) -> [u8; 32] {
    image.media_key.clone().unwrap().try_into().unwrap()
}

#[tokio::test]
async fn a_partner_fetches_what_a_contact_sends() {
    let mut talk = Talk::start().await;
    let plain: Vec<u8> = (0..WHOLE).map(|n| n.to_le_bytes()[0]).collect();
    let image = picture(&mut talk, plain.clone()).await;
    let path = image.direct_path.clone().unwrap();
    let answer = fetch(&talk, &path).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let headers = answer.headers().clone();
    assert_eq!(headers["content-type"], "application/octet-stream");
    let sealed = answer.bytes().await.unwrap();
    assert_eq!(headers["content-length"], sealed.len().to_string().as_str());
    assert_eq!(files::open("Image", &key(&image), &sealed), plain);
    assert_eq!(image.file_sha256, Some(files::sha256(&plain).to_vec()));
    assert_eq!(image.file_enc_sha256, Some(files::sha256(&sealed).to_vec()));
    assert_eq!(image.file_length, Some(WHOLE as u64));

    let (without_token, _) = path.split_once('?').unwrap();
    for wrong in [
        without_token.to_owned(),
        path.replace("oh=", "oh=0"),
        "/v/t62.7118-24/../x_n.enc".to_owned(),
        "/v/nothing".to_owned(),
    ] {
        let status = fetch(&talk, &wrong).await.status();
        assert!(status.is_client_error(), "{wrong}: {status}");
    }
    talk.stage.sandbox.forget_media().await.unwrap();
    assert_eq!(fetch(&talk, &path).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn every_fault_of_the_media_server_happens_as_often_as_it_is_told() {
    let mut talk = Talk::start().await;
    let image = picture(&mut talk, vec![5; WHOLE]).await;
    let path = image.direct_path.clone().unwrap();
    let whole = fetch(&talk, &path).await.bytes().await.unwrap();
    let faults = |talk: &Talk, fault| talk.stage.sandbox.faults().inject_media(fault, 1);

    for status in [404, 410, 503] {
        faults(&talk, MediaFault::Status(status));
        assert_eq!(fetch(&talk, &path).await.status().as_u16(), status);
    }
    faults(&talk, MediaFault::Cut);
    let cut = fetch(&talk, &path).await;
    assert_eq!(cut.content_length(), Some(whole.len() as u64));
    assert!(cut.bytes().await.is_err());
    faults(&talk, MediaFault::Truncate);
    let half = fetch(&talk, &path).await.bytes().await.unwrap();
    assert_eq!(half, whole[..whole.len() / 2]);
    faults(&talk, MediaFault::Corrupt);
    let corrupt = fetch(&talk, &path).await.bytes().await.unwrap();
    let differ = corrupt.iter().zip(&whole).filter(|(a, b)| a != b).count();
    assert_eq!((corrupt.len(), differ), (whole.len(), 1));
    faults(&talk, MediaFault::Oversize(100_000));
    let long = fetch(&talk, &path).await.bytes().await.unwrap();
    assert_eq!(long.len(), whole.len() + 100_000);
    faults(&talk, MediaFault::Slow(Duration::from_millis(50)));
    let begun = std::time::Instant::now();
    assert_eq!(fetch(&talk, &path).await.bytes().await.unwrap(), whole);
    assert!(begun.elapsed() >= Duration::from_millis(200));
    faults(&talk, MediaFault::Stall);
    let stalled = fetch(&talk, &path).await;
    assert!(
        tokio::time::timeout(Duration::from_millis(300), stalled.bytes())
            .await
            .is_err()
    );
    assert_eq!(fetch(&talk, &path).await.bytes().await.unwrap(), whole);
    assert_eq!(talk.stage.sandbox.faults().pending(), 0);

    faults(&talk, MediaFault::WrongHash);
    let plain = vec![6; 1000];
    let wrong = picture(&mut talk, plain.clone()).await;
    assert_ne!(wrong.file_sha256, Some(files::sha256(&plain).to_vec()));
    let sealed = fetch(&talk, wrong.direct_path.as_deref().unwrap()).await;
    let sealed = sealed.bytes().await.unwrap();
    assert_eq!(files::open("Image", &key(&wrong), &sealed), plain);
}

/// A voice note a Partner's user sends; what is hosted may be something else.
fn voice(reference: &str, plain: &[u8], hashes: (&[u8], &[u8])) -> Message {
    let (of_plain, of_sealed) = hashes;
    let path = format!("/interop/whatsapp/download/{INTEGRATOR}/{reference}/");
    Message {
        audio_message: MessageField::some(AudioMessage {
            mimetype: Some("audio/ogg; codecs=opus".to_owned()),
            file_sha256: Some(files::sha256(of_plain).to_vec()),
            file_length: Some(plain.len() as u64),
            ptt: Some(true),
            media_key: Some(vec![8; 32]),
            file_enc_sha256: Some(files::sha256(of_sealed).to_vec()),
            direct_path: Some(path),
            ..AudioMessage::default()
        }),
        ..Message::default()
    }
}

#[tokio::test]
async fn a_contact_opens_what_a_partner_hosts_and_checks_it() {
    let mut talk = Talk::start().await;
    let login = talk.login.clone();
    let plain = vec![3; 70_001];
    let sealed = files::seal("Audio", &[8; 32], &plain);
    let host = |talk: &Talk, reference: &str, bytes: &[u8]| {
        let mut hosted = talk.stage.seen.hosted.lock().unwrap();
        hosted.insert(reference.to_owned(), bytes.to_vec());
    };
    host(&talk, "good", &sealed);
    talk.write("M1", voice("good", &plain, (&plain, &sealed)))
        .await;
    assert_eq!(talk.contact.open_media(&login, "M1").await.unwrap(), plain);
    talk.stage.seen.hosted.lock().unwrap().remove("good");
    assert_eq!(
        talk.contact.open_media(&login, "M1").await.unwrap(),
        plain,
        "the phone keeps it"
    );

    let mut changed = sealed.clone();
    changed[0] ^= 1;
    host(&talk, "changed", &changed);
    host(&talk, "short", &sealed[..1000]);
    host(&talk, "whole", &sealed);
    let other = vec![4; plain.len()];
    let cases = [
        ("changed", &changed, Some(CryptError::Mac)),
        ("short", &sealed, Some(CryptError::Cut)),
        ("whole", &sealed, Some(CryptError::Hash)),
        ("whole", &changed, Some(CryptError::EncryptedHash)),
        ("nowhere", &sealed, None),
    ];
    for (number, (reference, of_sealed, expected)) in cases.into_iter().enumerate() {
        let id = format!("W{number}");
        let message = voice(reference, &other, (&other, of_sealed));
        talk.write(&id, message).await;
        let error = talk.contact.open_media(&login, &id).await.unwrap_err();
        match (error, expected) {
            (SandboxError::File(FileError::Crypt(error)), Some(expected)) => {
                assert_eq!(error, expected, "{reference}");
            }
            (SandboxError::File(FileError::Status(404)), None) => {}
            (error, _) => panic!("{reference}: {error}"),
        }
    }
    let fresh = vec![5; 100];
    let fresh_sealed = files::seal("Audio", &[8; 32], &fresh);
    host(&talk, "fresh", &fresh_sealed);
    talk.write("S1", voice("fresh", &fresh[..10], (&fresh, &fresh_sealed)))
        .await;
    let error = talk.contact.open_media(&login, "S1").await.unwrap_err();
    assert!(matches!(
        error,
        SandboxError::File(FileError::Size { said: 10, .. })
    ));

    let text = talk.say("T1", "no file").await;
    let error = talk.contact.open_media(&login, &text.id).await.unwrap_err();
    assert!(matches!(error, SandboxError::File(FileError::Missing)));
}

#[tokio::test]
async fn only_known_partners_references_are_passed_on() {
    let talk = Talk::start().await;
    talk.stage
        .seen
        .hosted
        .lock()
        .unwrap()
        .insert("ok".to_owned(), b"yes".to_vec());
    let good = fetch(&talk, "/interop/whatsapp/download/7/ok/").await;
    assert_eq!(good.bytes().await.unwrap(), "yes");
    for path in [
        "/interop/whatsapp/download/8/ok/",
        "/interop/messenger/download/7/ok/",
        "/interop/whatsapp/download/7/..%2Fpush/",
        "/interop/whatsapp/download/7/%2e%2e/",
        "/interop/whatsapp/download/7/missing/",
        "/interop/whatsapp/download/7/a%3Fb/",
    ] {
        let status = fetch(&talk, path).await.status();
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn a_large_file_is_sent_from_the_disk() {
    let mut talk = Talk::start().await;
    let path = talk.stage.dir.path().join("large");
    let file = std::fs::File::create(&path).unwrap();
    file.set_len(30 * 1024 * 1024 + 5).unwrap();
    let media = MediaToSend::path(MediaKind::File, "application/zip", &path);
    let id = talk.contact.send_media(&talk.login, media).await.unwrap();
    let (_, got) = talk.hear().await;
    let document = got.document_message.into_option().unwrap();
    assert_eq!(document.file_length, Some(30 * 1024 * 1024 + 5));
    let kept = talk.contact.message(&talk.login, &id).unwrap();
    assert_eq!(kept.content.file().unwrap().size, 30 * 1024 * 1024 + 5);
    let mut answer = fetch(&talk, &document.direct_path.unwrap()).await;
    let mut length = 0;
    while let Some(chunk) = answer.chunk().await.unwrap() {
        length += chunk.len();
    }
    assert_eq!(length, 30 * 1024 * 1024 + 16 + 10);
    let none = MediaToSend::path(MediaKind::File, "a/b", "/nonexistent/file");
    let error = talk.contact.send_media(&talk.login, none).await;
    assert!(matches!(error, Err(SandboxError::File(FileError::Disk(_)))));
}
