//! Files both ways over real HTTP: hosted for the gatekeeper, fetched from it, and everything that can go wrong with one.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use drawbridge::{
    clock::SystemClock,
    domain::{
        ChatId, GatekeeperId, LoginId, MediaKey, MediaKind, RemoteMedia, RemoteUserId, Timestamp,
        Typing,
    },
    network::{
        ByteStream, ConnectionState, FetchedFile, MediaError, Network, NetworkSink,
        interop::{
            ConnectionPolicy, Gatekeeper, GatekeeperOptions,
            partner::{HostedMedia, SigningKey},
            profile::Profile,
            wire::media::Encryptor,
        },
    },
    store,
};
use futures_util::{FutureExt as _, StreamExt as _, stream};
use serde_json::json;

use super::{
    media::files,
    partner::{NOW, gatekeeper_key, install_tls},
    server::{Answer, MediaServer},
};

const MB: u64 = 1024 * 1024;
const KEY: MediaKey = MediaKey([9; 32]);

struct Nobody;

impl NetworkSink for Nobody {
    fn waiting(&self, _: LoginId, _: &ChatId) {}
    fn connection(&self, _: LoginId, _: ConnectionState) {}
    fn typing(&self, _: LoginId, _: &ChatId, _: &RemoteUserId, _: Typing) {}
    fn presence(&self, _: LoginId, _: &RemoteUserId, _: bool) {}
}

/// A gatekeeper's media server, and the side of the bridge that is under test.
pub(super) struct Carrier {
    pub(super) gatekeeper: Arc<Gatekeeper>,
    server: MediaServer,
    dir: tempfile::TempDir,
}

impl Carrier {
    pub(super) async fn new() -> Self {
        Self::with(Duration::from_secs(30), 100 * MB).await
    }

    async fn with(patience: Duration, max_media_bytes: u64) -> Self {
        install_tls();
        let dir = tempfile::tempdir().unwrap();
        let hosted = Arc::new(HostedMedia::new(dir.path().join("media")));
        let server = MediaServer::start(dir.path().join("media")).await;
        let extra = json!({
            "media_url": server.base,
            "limits": { "max_media_bytes": max_media_bytes },
        });
        let layers = ["whatsapp".to_owned(), "sandbox".to_owned()];
        let uri = format!("sqlite:{}", dir.path().join("bridge.db").display());
        let (db, _) = store::open(&uri, &[7; 32], None, NOW).await.unwrap();
        let gatekeeper = Gatekeeper::new(
            GatekeeperOptions {
                id: GatekeeperId::parse("whatsapp").unwrap(),
                name: "WhatsApp".to_owned(),
                profile: Arc::new(Profile::load(&layers, Some(&extra)).unwrap()),
                connection: ConnectionPolicy::Always,
                visible_id: "{mxid}".to_owned(),
                hosted,
                work_dir: dir.path().join("work"),
                patience,
                clock: Arc::new(SystemClock),
            },
            db,
            Arc::new(SigningKey::open(&gatekeeper_key().0, NOW).unwrap()),
            reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .build()
                .unwrap(),
            Arc::new(Nobody),
        );
        Self {
            gatekeeper,
            server,
            dir,
        }
    }

    fn work(&self) -> PathBuf {
        self.dir.path().join("work/whatsapp")
    }

    /// What is left on the disk of files on their way.
    fn left(&self) -> usize {
        let count = |folder: PathBuf| {
            if folder.exists() {
                files(&folder).len()
            } else {
                0
            }
        };
        count(self.work()) + count(self.dir.path().join("media"))
    }

    async fn fetch(&self, answer: Answer, file: &RemoteMedia, limit: u64) -> Fetched {
        self.server.answer(answer);
        self.gatekeeper.fetch(MediaKind::Image, file, limit).await
    }
}

type Fetched = Result<FetchedFile, MediaError>;

/// Why a file cannot be had.
fn reason(fetched: Fetched) -> MediaError {
    match fetched {
        Ok(_) => panic!("it was had"),
        Err(error) => error,
    }
}

fn pattern(length: usize) -> Vec<u8> {
    (0u32..).map(|n| (n % 251) as u8).take(length).collect()
}

fn chunks(file: &[u8], size: usize) -> ByteStream {
    let chunks: Vec<_> = file
        .chunks(size)
        .map(|chunk| Ok(Bytes::copy_from_slice(chunk)))
        .collect();
    stream::iter(chunks).boxed()
}

async fn read(file: &FetchedFile) -> (Vec<u8>, Option<io::Error>) {
    let mut read = Vec::new();
    let mut bytes = file.bytes();
    while let Some(chunk) = bytes.next().await {
        match chunk {
            Ok(chunk) => read.extend_from_slice(&chunk),
            Err(error) => return (read, Some(error)),
        }
    }
    (read, None)
}

/// A file as it lies at the gatekeeper, and as its message names it.
fn encrypted(file: &[u8]) -> (Vec<u8>, RemoteMedia) {
    let mut encryptor = Encryptor::new(&KEY, MediaKind::Image);
    let mut ciphertext = encryptor.update(file);
    let (rest, sealed) = encryptor.finish();
    ciphertext.extend(rest);
    let remote = RemoteMedia {
        path: "/v/t62.7118-24/1_n.enc?ccb=11-4&oh=01_A".to_owned(),
        key: KEY,
        sha256: sealed.sha256,
        encrypted_sha256: sealed.encrypted_sha256,
        size: sealed.size,
    };
    (ciphertext, remote)
}

#[tokio::test]
async fn a_file_of_any_kind_and_length_comes_back_as_it_was() {
    let carrier = Carrier::new().await;
    carrier.server.answer(Answer::Hosted);
    let lengths = [0, 1, 15, 16, 17, 32, 65_535, 65_536, 131_072, 1_000_003];
    for (kind, length) in MediaKind::ALL.iter().cycle().copied().zip(lengths) {
        let file = pattern(length);
        let remote = carrier
            .gatekeeper
            .host(kind, chunks(&file, 10_007), length as u64)
            .await
            .unwrap();
        assert_eq!(remote.size, length as u64);
        let reference = remote
            .path
            .strip_prefix("/interop/whatsapp/download/1/")
            .and_then(|rest| rest.strip_suffix('/'))
            .unwrap();
        assert_eq!(reference.len(), 32);
        let fetched = carrier
            .gatekeeper
            .fetch(kind, &remote, length as u64)
            .await
            .unwrap();
        assert_eq!(fetched.size, length as u64);
        for _ in 0..2 {
            let (read, failure) = read(&fetched).await;
            assert!(failure.is_none());
            assert!(read == file, "{length} bytes as {kind:?}");
        }
        drop(fetched);
        assert_eq!(files(&carrier.work()).len(), 0);
    }
    let hosted = files(&carrier.dir.path().join("media"));
    assert_eq!(hosted.len(), lengths.len());
}

#[tokio::test]
async fn only_ciphertext_is_on_the_disk_and_only_for_the_owner_and_as_long_as_it_is_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let carrier = Carrier::new().await;
    let secret = b"not to be found on any disk, ever".repeat(100);
    let (ciphertext, remote) = encrypted(&secret);
    let fetched = carrier
        .fetch(Answer::Bytes(ciphertext), &remote, MB)
        .await
        .unwrap();
    let name = files(&carrier.work()).into_iter().next().unwrap();
    let path = carrier.work().join(name);
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let stored = std::fs::read(&path).unwrap();
    assert!(!stored.windows(9).any(|window| window == &secret[..9]));
    let bytes = fetched.bytes();
    drop(fetched);
    assert!(path.exists(), "somebody reads it");
    let read: Vec<_> = bytes.map(|chunk| chunk.unwrap()).collect().await;
    assert_eq!(read.concat(), secret);
    assert!(!path.exists());
}

#[tokio::test]
async fn what_is_not_what_was_sent_is_refused_and_leaves_nothing() {
    let carrier = Carrier::new().await;
    let file = pattern(100_000);
    let (good, remote) = encrypted(&file);
    let damaged = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    let without = |count: usize| good[..good.len() - count].to_vec();
    let bodies = [
        damaged(0),
        damaged(good.len() / 2),
        damaged(good.len() - 11),
        damaged(good.len() - 1),
        without(1),
        without(16),
        without(good.len() - 5),
        Vec::new(),
        [&good[..], &[0; 16]].concat(),
    ];
    for (number, body) in bodies.into_iter().enumerate() {
        let error = reason(carrier.fetch(Answer::Bytes(body), &remote, MB).await);
        assert!(matches!(error, MediaError::Corrupt(_)), "{number}: {error}");
        assert!(!error.is_transient());
        assert_eq!(carrier.left(), 0, "{number}");
    }
    // The hash of the ciphertext and the key are the message's to say.
    let mut other = remote.clone();
    other.encrypted_sha256[0] ^= 1;
    let error = reason(carrier.fetch(Answer::Bytes(good.clone()), &other, MB).await);
    assert!(matches!(error, MediaError::Corrupt(_)), "{error}");
    other = remote.clone();
    other.key = MediaKey([8; 32]);
    let error = reason(carrier.fetch(Answer::Bytes(good), &other, MB).await);
    assert!(matches!(error, MediaError::Corrupt(_)), "{error}");
    assert_eq!(carrier.left(), 0);
}

#[tokio::test]
async fn the_end_of_a_file_with_another_hash_never_comes() {
    let carrier = Carrier::new().await;
    for length in [0, 16, 100, 65_536, 200_000] {
        let file = pattern(length);
        let (ciphertext, mut remote) = encrypted(&file);
        remote.sha256[31] ^= 1;
        let fetched = carrier
            .fetch(Answer::Bytes(ciphertext), &remote, MB)
            .await
            .unwrap();
        let (read, failure) = read(&fetched).await;
        assert_eq!(failure.unwrap().kind(), io::ErrorKind::InvalidData);
        assert!(read.len() < length || length == 0, "{length} bytes");
    }
    assert_eq!(carrier.left(), 0);
}

#[tokio::test]
async fn what_is_too_large_is_not_taken() {
    let carrier = Carrier::new().await;
    let (ciphertext, remote) = encrypted(&pattern(100_000));
    // The sender says so.
    let error = reason(carrier.fetch(Answer::Hosted, &remote, 99_999).await);
    assert!(matches!(error, MediaError::TooLarge { limit: 99_999 }));
    assert_eq!(carrier.server.requests(), 0);
    // The server says so, or gives more and more without having said anything.
    let mut modest = remote.clone();
    modest.size = 10;
    for answer in [
        Answer::Bytes(ciphertext.clone()),
        Answer::Chunked(ciphertext.clone()),
        Answer::Endless,
    ] {
        let error = reason(carrier.fetch(answer, &modest, 50_000).await);
        assert!(matches!(error, MediaError::TooLarge { limit: 50_000 }));
        assert_eq!(carrier.left(), 0);
    }
    let error = reason(carrier.fetch(Answer::Endless, &modest, 1 << 40).await);
    assert!(matches!(error, MediaError::Corrupt(_)), "{error}");
    assert_eq!(carrier.left(), 0);
    // As much as is allowed is taken.
    let fetched = carrier.fetch(Answer::Chunked(ciphertext), &remote, 100_000);
    assert_eq!(fetched.await.unwrap().size, 100_000);
}

#[tokio::test]
async fn what_the_server_says_decides_whether_it_is_tried_again() {
    let carrier = Carrier::new().await;
    let (ciphertext, remote) = encrypted(&pattern(1000));
    for (status, transient, gone) in [
        (404, false, true),
        (410, false, true),
        (403, false, true),
        (401, false, true),
        (400, false, false),
        (206, false, false),
        (204, false, false),
        (408, true, false),
        (429, true, false),
        (500, true, false),
        (503, true, false),
    ] {
        let error = reason(carrier.fetch(Answer::Status(status), &remote, MB).await);
        assert_eq!(error.is_transient(), transient, "{status}: {error}");
        assert_eq!(matches!(error, MediaError::Gone), gone, "{status}: {error}");
    }
    let cut = Answer::CutOff(ciphertext);
    let error = reason(carrier.fetch(cut, &remote, MB).await);
    assert!(matches!(error, MediaError::Unreachable(_)), "{error}");
    assert_eq!(carrier.left(), 0);
    carrier.server.stop();
    let error = reason(carrier.fetch(Answer::Hosted, &remote, MB).await);
    assert!(matches!(error, MediaError::Unreachable(_)), "{error}");
}

#[tokio::test]
async fn a_message_leads_the_bridge_to_no_other_address() {
    let carrier = Carrier::new().await;
    let elsewhere = MediaServer::start(carrier.dir.path().join("media")).await;
    let (_, mut remote) = encrypted(&pattern(1000));
    for status in [301, 302, 307] {
        let away = Answer::Redirect(status, format!("{}/v/t1", elsewhere.base));
        let error = reason(carrier.fetch(away, &remote, MB).await);
        assert!(matches!(error, MediaError::Refused(_)), "{error}");
    }
    let asked = carrier.server.requests();
    for path in [
        format!("{}/v/t1", elsewhere.base),
        format!("//{}/v/t1", elsewhere.base.trim_start_matches("http://")),
        "@127.0.0.1/v".to_owned(),
        "/../v/t1".to_owned(),
        "/v/%2e%2e/%2E%2E/t1".to_owned(),
        "/v/t1\r\nHost: x".to_owned(),
        String::new(),
    ] {
        remote.path.clone_from(&path);
        let error = reason(carrier.fetch(Answer::Hosted, &remote, MB).await);
        assert!(matches!(error, MediaError::Corrupt(_)), "{path:?}: {error}");
    }
    assert_eq!(carrier.server.requests(), asked);
    assert_eq!(elsewhere.requests(), 0);
}

#[tokio::test]
async fn a_server_that_is_too_slow_is_given_up() {
    let carrier = Carrier::with(Duration::from_millis(600), MB).await;
    let (_, remote) = encrypted(&pattern(1000));
    for answer in [Answer::Silence, Answer::Stall, Answer::Drip] {
        let begun = std::time::Instant::now();
        let error = reason(carrier.fetch(answer, &remote, MB).await);
        assert!(matches!(error, MediaError::Unreachable(_)), "{error}");
        assert!(error.to_string().contains("slow"), "{error}");
        assert!(begun.elapsed() >= Duration::from_millis(500));
        assert_eq!(carrier.left(), 0);
    }
}

#[tokio::test]
async fn what_cannot_be_hosted_leaves_nothing_behind() {
    let carrier = Carrier::new().await;
    let gatekeeper = &carrier.gatekeeper;
    let file = pattern(100_000);
    let large = gatekeeper.host(MediaKind::File, chunks(&file, 1000), 99_999);
    assert!(matches!(
        large.await,
        Err(MediaError::TooLarge { limit: 99_999 })
    ));
    let broken = stream::iter([
        Ok(Bytes::from_static(b"half a file")),
        Err(io::ErrorKind::UnexpectedEof.into()),
    ]);
    let broken = gatekeeper.host(MediaKind::File, broken.boxed(), MB);
    assert!(matches!(broken.await, Err(MediaError::Source(_))));
    // Given up by who wanted it.
    let never = stream::iter([Ok(Bytes::from_static(b"half a file"))]).chain(stream::pending());
    let mut never = Box::pin(gatekeeper.host(MediaKind::File, never.boxed(), MB));
    for _ in 0..50 {
        assert!((&mut never).now_or_never().is_none());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(carrier.left(), 1, "it is being written");
    drop(never);
    assert_eq!(carrier.left(), 0);
    // The profile's limit holds, whatever the caller's is.
    let carrier = Carrier::with(Duration::from_secs(30), MB).await;
    let endless = stream::repeat_with(|| Ok(Bytes::from_static(&[0; 8 * 1024]))).boxed();
    let endless = carrier.gatekeeper.host(MediaKind::File, endless, u64::MAX);
    assert!(matches!(
        endless.await,
        Err(MediaError::TooLarge { limit: MB })
    ));
    assert_eq!(carrier.left(), 0);
}

#[tokio::test]
async fn what_an_earlier_process_left_is_deleted_at_the_start() {
    let carrier = Carrier::new().await;
    let (ciphertext, remote) = encrypted(&pattern(1000));
    let fetched = carrier
        .fetch(Answer::Bytes(ciphertext), &remote, MB)
        .await
        .unwrap();
    std::fs::write(carrier.work().join("0123-4567.part"), b"x").unwrap();
    carrier.gatekeeper.start().await.unwrap();
    assert_eq!(files(&carrier.work()).len(), 1);
    assert_eq!(read(&fetched).await.0, pattern(1000));
}

#[tokio::test]
async fn hosted_files_outlast_the_gatekeepers_mailbox() {
    let carrier = Carrier::new().await;
    let hosted = HostedMedia::new(carrier.dir.path().join("media"));
    let remote = carrier
        .gatekeeper
        .host(MediaKind::Voice, chunks(b"hello", 2), MB)
        .await
        .unwrap();
    assert_eq!(remote.size, 5);
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let in_days = |days: i64| {
        let now = Timestamp(i64::try_from(now.as_millis()).unwrap());
        now.plus_millis(days * 24 * 60 * 60 * 1000 + 60_000)
    };
    assert_eq!(hosted.sweep(in_days(30)).await.unwrap(), 0);
    assert_eq!(hosted.sweep(in_days(31)).await.unwrap(), 1);
}
