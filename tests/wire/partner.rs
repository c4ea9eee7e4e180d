//! The Partner's endpoints over real connections, HTTP/1.1 and HTTP/2, and the enlistment against a real server.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Json, Router,
    extract::State,
    routing::{get, post},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use drawbridge::{
    clock::ManualClock,
    config::PartnerConfig,
    domain::{GatekeeperId, Timestamp},
    network::interop::{
        enlistment::{self, EnlistError, EnlistmentKeys},
        partner::{
            self, HostedMedia, KeyError, MediaError, PartnerState, PushSink, Rotation, SigningKey,
        },
        profile::Profile,
        wire,
    },
    store::StoreError,
};
use futures_util::stream;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use reqwest::{Client, StatusCode, header};
use rsa::pkcs8::{EncodePublicKey as _, LineEnding};
use serde_json::{Value, json};
use tokio::net::TcpListener;

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const USER: &str = "@alice:example.org";
const ORIGIN: &str = "https://bridge.example.org";

fn install_tls() {
    // The first of the tests wins; the others find it done.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}")
}

fn profile(jwks_url: &str, enlist_url: &str) -> Profile {
    let layers = ["whatsapp".to_owned(), "sandbox".to_owned()];
    let extra = json!({
        "jwks_url": jwks_url,
        "enlist_url": enlist_url,
        "enlist_fields": {"version": "{protocol_version}"},
        "token": {"issuer": "integrator-{integrator_id}", "claims": {"n": 5}},
    });
    Profile::load(&layers, Some(&extra)).unwrap()
}

/// A key pair as a gatekeeper has, made once: making one takes a second.
fn gatekeeper_key() -> &'static (PathBuf, tempfile::TempDir) {
    static KEY: std::sync::OnceLock<(PathBuf, tempfile::TempDir)> = std::sync::OnceLock::new();
    KEY.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gatekeeper.pem");
        SigningKey::open(&path, NOW).unwrap();
        (path, dir)
    })
}

fn gatekeeper_jwks() -> Value {
    SigningKey::open(&gatekeeper_key().0, NOW)
        .unwrap()
        .public_keys()
}

fn sign(claims: &Value, change: impl FnOnce(&mut Header)) -> String {
    let pem = std::fs::read(&gatekeeper_key().0).unwrap();
    let mut header = Header::new(Algorithm::RS256);
    header.kid = gatekeeper_jwks()["keys"][0]["kid"]
        .as_str()
        .map(str::to_owned);
    change(&mut header);
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_rsa_pem(&pem).unwrap()).unwrap()
}

fn claims() -> Value {
    json!({"iss": "WHATSAPP", "aud": ORIGIN, "iat": NOW.seconds(), "exp": NOW.seconds() + 3600})
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

fn without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

/// Who is told of pushes.
struct Sink {
    id: GatekeeperId,
    profile: Profile,
    taken: Mutex<Vec<String>>,
    broken: Mutex<bool>,
}

#[async_trait::async_trait]
impl PushSink for Sink {
    fn gatekeeper(&self) -> &GatekeeperId {
        &self.id
    }
    fn profile(&self) -> &Profile {
        &self.profile
    }
    async fn pushed(&self, visible_id: &str) -> Result<bool, StoreError> {
        if *self.broken.lock().unwrap() {
            return Err(StoreError::Closed);
        }
        if visible_id != USER {
            return Ok(false);
        }
        self.taken.lock().unwrap().push(visible_id.to_owned());
        Ok(true)
    }
}

/// A bridge's endpoints and a gatekeeper's JWKS.
struct Stage {
    base: String,
    sink: Arc<Sink>,
    clock: ManualClock,
    fetches: Arc<AtomicUsize>,
    jwks: Arc<Mutex<Value>>,
    media: Arc<HostedMedia>,
    dir: tempfile::TempDir,
}

type Jwks = (Arc<Mutex<Value>>, Arc<AtomicUsize>);

async fn jwks(State((jwks, fetches)): State<Jwks>) -> Json<Value> {
    fetches.fetch_add(1, Ordering::SeqCst);
    Json(jwks.lock().unwrap().clone())
}

impl Stage {
    async fn new() -> Self {
        install_tls();
        let dir = tempfile::tempdir().unwrap();
        let (keys, fetches) = (Arc::new(Mutex::new(gatekeeper_jwks())), Arc::default());
        let gatekeeper = serve(
            Router::new()
                .route("/jwks", get(jwks))
                .with_state((Arc::clone(&keys), Arc::clone(&fetches))),
        )
        .await;
        let sink = Arc::new(Sink {
            id: GatekeeperId::parse("whatsapp").unwrap(),
            profile: profile(&format!("{gatekeeper}/jwks"), "http://127.0.0.1:1/"),
            taken: Mutex::default(),
            broken: Mutex::default(),
        });
        let config = PartnerConfig {
            listen: "127.0.0.1:0".to_owned(),
            address: format!("{ORIGIN}/").parse().unwrap(),
            signing_key_file: gatekeeper_key().0.clone(),
            media_dir: dir.path().join("media"),
        };
        let clock = ManualClock::new(NOW.0);
        let signing = Arc::new(SigningKey::open(&config.signing_key_file, NOW).unwrap());
        let state = PartnerState::new(
            signing,
            vec![Arc::clone(&sink)],
            &config,
            &Client::new(),
            Arc::new(clock.clone()),
        );
        let media = Arc::clone(state.media());
        let base = serve(partner::router(state)).await;
        Self {
            base,
            sink,
            clock,
            fetches,
            jwks: keys,
            media,
            dir,
        }
    }

    async fn push(&self, token: &str) -> StatusCode {
        self.push_to(&Client::new(), token, &json!({ "to": USER }).to_string())
            .await
            .status()
    }

    async fn push_to(&self, client: &Client, token: &str, body: &str) -> reqwest::Response {
        client
            .post(format!("{}/push", self.base))
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .body(body.to_owned())
            .send()
            .await
            .unwrap()
    }

    fn taken(&self) -> usize {
        self.sink.taken.lock().unwrap().len()
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }

    async fn host(&self, ciphertext: &'static [u8], expires: Timestamp) -> String {
        let chunks = stream::iter(ciphertext.chunks(3).map(|c| Ok(bytes::Bytes::from(c))));
        let reference = self.media.store(chunks, 100, expires).await.unwrap();
        reference.to_string()
    }

    async fn get(&self, path: &str, range: Option<&str>) -> reqwest::Response {
        let mut request = Client::new().get(format!("{}/{path}", self.base));
        if let Some(range) = range {
            request = request.header(header::RANGE, range);
        }
        request.send().await.unwrap()
    }
}

fn clients() -> [(reqwest::Version, Client); 2] {
    install_tls();
    [
        (
            reqwest::Version::HTTP_11,
            Client::builder().http1_only().build().unwrap(),
        ),
        (
            reqwest::Version::HTTP_2,
            Client::builder().http2_prior_knowledge().build().unwrap(),
        ),
    ]
}

#[tokio::test]
async fn the_public_keys_are_served_and_verify_our_tokens() {
    let stage = Stage::new().await;
    for (version, client) in clients() {
        let url = format!("{}/.well-known/oauth/openid/jwks", stage.base);
        let response = client.get(url).send().await.unwrap();
        assert_eq!(response.version(), version);
        assert_eq!(response.status(), StatusCode::OK);
        let text = response.text().await.unwrap();
        let jwks: Value = serde_json::from_str(&text).unwrap();
        let key = &jwks["keys"][0];
        assert_eq!(
            (&key["kty"], &key["alg"], &key["use"]),
            (&json!("RSA"), &json!("RS256"), &json!("sig"))
        );
        assert_eq!(key["e"], "AQAB");
        let decoding = DecodingKey::from_rsa_components(
            key["n"].as_str().unwrap(),
            key["e"].as_str().unwrap(),
        )
        .unwrap();
        let signing = SigningKey::open(&gatekeeper_key().0, NOW).unwrap();
        let token = signing.token(&stage.sink.profile, USER, NOW).unwrap();
        let header = jsonwebtoken::decode_header(&token).unwrap();
        assert_eq!(header.kid.as_deref(), key["kid"].as_str());
        let mut validation = Validation::new(Algorithm::RS256);
        validation.validate_exp = false;
        let claims = jsonwebtoken::decode::<Value>(&token, &decoding, &validation)
            .unwrap()
            .claims;
        assert_eq!(
            claims,
            json!({
                "iss": "integrator-1", "sub": USER, "n": 5,
                "iat": NOW.seconds(), "exp": NOW.seconds() + 3600,
            })
        );
    }
}

#[test]
fn the_thumbprint_is_that_of_rfc_7638() {
    // Over the members e, kty, n in this order, as section 3.2 says; taken from our own JWKS by another implementation.
    let jwks = gatekeeper_jwks();
    let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_value(jwks["keys"][0].clone()).unwrap();
    let thumbprint = jwk
        .thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256)
        .unwrap();
    assert_eq!(jwks["keys"][0]["kid"], thumbprint);
}

#[tokio::test]
async fn a_push_is_taken_and_answered_with_nothing() {
    let stage = Stage::new().await;
    for (version, client) in clients() {
        let token = sign(&claims(), |_| {});
        let body = json!({ "to": USER }).to_string();
        let response = stage.push_to(&client, &token, &body).await;
        assert_eq!(response.version(), version);
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.bytes().await.unwrap().len(), 0);
    }
    assert_eq!(stage.taken(), 2);
    let several = with("aud", json!(["https://other.example.org", ORIGIN]));
    assert_eq!(stage.push(&sign(&several, |_| {})).await, StatusCode::OK);
    assert_eq!(stage.fetches(), 1);
}

#[tokio::test]
async fn a_push_whose_claims_are_wrong_is_refused() {
    let stage = Stage::new().await;
    let now = NOW.seconds();
    for wrong in [
        with("iss", json!("FACEBOOK")),
        with("aud", json!("https://other.example.org")),
        with("aud", json!([])),
        with("exp", json!((now + 3600).to_string())),
        with("exp", json!("never")),
        with("exp", json!(null)),
        with("iat", json!(now.to_string())),
        with("exp", json!(now + 3601)),
        with("iat", json!(now + 120)),
        with("nbf", json!(now + 120)),
        with("exp", json!(-1)),
        json!({"iss": "WHATSAPP", "aud": ORIGIN, "iat": now - 4000, "exp": now - 400}),
        without("iss"),
        without("aud"),
        without("exp"),
        without("iat"),
    ] {
        let status = stage.push(&sign(&wrong, |_| {})).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{wrong}");
    }
    assert_eq!(stage.taken(), 0);
}

#[tokio::test]
async fn a_push_whose_signature_is_wrong_is_refused() {
    let stage = Stage::new().await;
    let good = sign(&claims(), |_| {});
    let parts: Vec<&str> = good.split('.').collect();
    let kid = gatekeeper_jwks()["keys"][0]["kid"].clone();
    let head = |alg: &str| {
        URL_SAFE_NO_PAD.encode(json!({"alg": alg, "typ": "JWT", "kid": kid}).to_string())
    };

    let other_claims = URL_SAFE_NO_PAD.encode(with("x", json!(1)).to_string());
    let mut wrong = vec![
        format!("{}.{other_claims}.{}", parts[0], parts[2]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}.", head("none"), parts[1]),
        format!("{}.{}", parts[0], parts[1]),
        String::new(),
        "..".to_owned(),
        sign(&claims(), |header| header.kid = None),
        sign(&claims(), |header| header.kid = Some("unknown".to_owned())),
    ];
    // The public key as the secret of an HMAC, in every form a verifier might take it.
    let pem = std::fs::read_to_string(&gatekeeper_key().0).unwrap();
    let private =
        <rsa::RsaPrivateKey as rsa::pkcs8::DecodePrivateKey>::from_pkcs8_pem(&pem).unwrap();
    let public = private.to_public_key();
    let n = URL_SAFE_NO_PAD
        .decode(gatekeeper_jwks()["keys"][0]["n"].as_str().unwrap())
        .unwrap();
    for secret in [
        public
            .to_public_key_pem(LineEnding::LF)
            .unwrap()
            .into_bytes(),
        public.to_public_key_der().unwrap().into_vec(),
        n,
    ] {
        let mut header = Header::new(Algorithm::HS256);
        header.kid = kid.as_str().map(str::to_owned);
        wrong.push(
            jsonwebtoken::encode(&header, &claims(), &EncodingKey::from_secret(&secret)).unwrap(),
        );
    }
    // Another RSA algorithm, and another key under the right id.
    wrong.push(sign(&claims(), |header| header.alg = Algorithm::RS512));
    let dir = tempfile::tempdir().unwrap();
    let forger = dir.path().join("forger.pem");
    SigningKey::open(&forger, NOW).unwrap();
    let mut header = Header::new(Algorithm::RS256);
    header.kid = kid.as_str().map(str::to_owned);
    let key = EncodingKey::from_rsa_pem(&std::fs::read(&forger).unwrap()).unwrap();
    wrong.push(jsonwebtoken::encode(&header, &claims(), &key).unwrap());

    for token in wrong {
        assert_eq!(
            stage.push(&token).await,
            StatusCode::UNAUTHORIZED,
            "{token}"
        );
    }
    let bare = Client::new()
        .post(format!("{}/push", stage.base))
        .body("{}")
        .send()
        .await
        .unwrap();
    assert_eq!(bare.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(stage.taken(), 0);
    assert_eq!(stage.push(&good).await, StatusCode::OK);
}

#[tokio::test]
async fn what_was_not_taken_is_not_answered_with_200() {
    let stage = Stage::new().await;
    let token = sign(&claims(), |_| {});
    let client = Client::new();
    let status = |body: &'static str| {
        let (client, token, stage) = (&client, &token, &stage);
        async move { stage.push_to(client, token, body).await.status() }
    };
    assert_eq!(
        status(r#"{"to":"@bob:example.org"}"#).await,
        StatusCode::NOT_FOUND
    );
    assert_eq!(status("{}").await, StatusCode::BAD_REQUEST);
    assert_eq!(status("[").await, StatusCode::BAD_REQUEST);
    let long = format!(r#"{{"to":"{}"}}"#, "x".repeat(5000));
    let response = stage.push_to(&client, &token, &long).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    *stage.sink.broken.lock().unwrap() = true;
    let response = stage
        .push_to(&client, &token, &json!({ "to": USER }).to_string())
        .await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.headers().contains_key(header::RETRY_AFTER));
}

#[tokio::test]
async fn a_new_key_is_fetched_once_and_invented_ids_fetch_nothing() {
    let stage = Stage::new().await;
    let known = stage.jwks.lock().unwrap().clone();
    *stage.jwks.lock().unwrap() = json!({"keys": [{"kty": "EC", "kid": "x"}, {"kid": "y"}]});
    let token = sign(&claims(), |_| {});
    assert_eq!(stage.push(&token).await, StatusCode::UNAUTHORIZED);
    assert_eq!(stage.fetches(), 1);

    // The gatekeeper rotates; within a minute of the last fetch nobody makes us fetch again, after it once is enough.
    *stage.jwks.lock().unwrap() = known;
    assert_eq!(stage.push(&token).await, StatusCode::UNAUTHORIZED);
    assert_eq!(stage.fetches(), 1);
    stage.clock.advance(60_000);
    let pushes: Vec<_> = (0..10).map(|_| stage.push(&token)).collect();
    for status in futures_util::future::join_all(pushes).await {
        assert_eq!(status, StatusCode::OK);
    }
    assert_eq!(stage.fetches(), 2);
    for invented in 0..20 {
        let token = sign(&claims(), |header| {
            header.kid = Some(format!("kid{invented}"))
        });
        assert_eq!(stage.push(&token).await, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(stage.fetches(), 2);
}

#[tokio::test]
async fn keys_are_asked_for_again_when_old_and_survive_a_failure_of_the_gatekeeper() {
    let stage = Stage::new().await;
    assert_eq!(stage.push(&sign(&claims(), |_| {})).await, StatusCode::OK);
    let hours = |hours: i64| {
        let at = NOW.seconds() + hours * 3600;
        sign(
            &json!({"iss": "WHATSAPP", "aud": ORIGIN, "iat": at, "exp": at + 3600}),
            |_| {},
        )
    };
    stage.clock.advance(2 * 3_600_000);
    assert_eq!(stage.push(&hours(2)).await, StatusCode::OK);
    assert_eq!(stage.fetches(), 2);
    *stage.jwks.lock().unwrap() = json!("out of order");
    stage.clock.advance(2 * 3_600_000);
    assert_eq!(stage.push(&hours(4)).await, StatusCode::OK);
    stage.clock.advance(24 * 3_600_000);
    assert_eq!(
        stage.push(&hours(28)).await,
        StatusCode::SERVICE_UNAVAILABLE
    );
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
        format!("/{}%00", reference),
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
async fn media_that_are_too_large_or_break_off_leave_nothing_behind() {
    let stage = Stage::new().await;
    let chunks = |last: Result<bytes::Bytes, std::io::Error>| {
        stream::iter([Ok(bytes::Bytes::from_static(b"01234")), last])
    };
    let large = chunks(Ok(bytes::Bytes::from_static(b"56789")));
    let error = stage.media.store(large, 9, NOW).await.unwrap_err();
    assert!(matches!(error, MediaError::TooLarge(9)));
    let broken = chunks(Err(std::io::ErrorKind::UnexpectedEof.into()));
    let error = stage.media.store(broken, 9, NOW).await.unwrap_err();
    assert!(matches!(error, MediaError::Io(_)));
    assert_eq!(files(&stage.dir.path().join("media")), HashSet::new());
    let empty = stage.host(b"", NOW.plus_millis(1)).await;
    assert_eq!(stage.get(&empty, None).await.status(), StatusCode::OK);
    let range = stage.get(&empty, Some("bytes=-5")).await;
    assert_eq!(range.status(), StatusCode::RANGE_NOT_SATISFIABLE);
}

fn files(folder: &Path) -> HashSet<String> {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn kids(key: &SigningKey) -> Vec<String> {
    let jwks = key.public_keys();
    let keys = jwks["keys"].as_array().unwrap();
    keys.iter()
        .map(|key| key["kid"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_rotation_publishes_before_and_after() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key.pem");
    let old = kids(&SigningKey::open(&path, NOW).unwrap());
    assert_eq!(old.len(), 1);
    assert_eq!(kids(&SigningKey::open(&path, NOW).unwrap()), old);
    assert_eq!(SigningKey::rotate(&path, NOW).unwrap(), Rotation::Prepared);
    let both = kids(&SigningKey::open(&path, NOW).unwrap());
    assert_eq!((both.len(), &both[0]), (2, &old[0]));
    assert_eq!(SigningKey::rotate(&path, NOW).unwrap(), Rotation::Switched);
    let after = SigningKey::open(&path, NOW).unwrap();
    assert_eq!(kids(&after), [both[1].clone(), old[0].clone()]);
    let token = after
        .token(
            &profile("http://127.0.0.1:1", "http://127.0.0.1:1"),
            USER,
            NOW,
        )
        .unwrap();
    let header = jsonwebtoken::decode_header(&token).unwrap();
    assert_eq!(header.kid, Some(both[1].clone()));
    let week_later = NOW.plus_millis(7 * 24 * 3_600_000 + 1000);
    assert_eq!(
        kids(&SigningKey::open(&path, week_later).unwrap()),
        [both[1].clone()]
    );
    for file in files(dir.path()) {
        let mode = std::fs::metadata(dir.path().join(&file))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[test]
fn a_rotation_that_was_interrupted_is_finished() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key.pem");
    SigningKey::open(&path, NOW).unwrap();
    SigningKey::rotate(&path, NOW).unwrap();
    let both = kids(&SigningKey::open(&path, NOW).unwrap());
    std::fs::rename(&path, dir.path().join("key.pem.previous")).unwrap();
    let after = kids(&SigningKey::open(&path, Timestamp(0)).unwrap());
    assert_eq!(after, [both[1].clone(), both[0].clone()]);
}

#[test]
fn a_key_that_others_may_read_or_that_is_none_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key.pem");
    std::fs::copy(&gatekeeper_key().0, &path).unwrap();
    let set =
        |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    for mode in [0o640, 0o604, 0o644] {
        set(mode);
        assert!(matches!(
            SigningKey::open(&path, NOW),
            Err(KeyError::Open(_))
        ));
    }
    set(0o600);
    SigningKey::open(&path, NOW).unwrap();
    std::fs::write(&path, "no key").unwrap();
    assert!(matches!(
        SigningKey::open(&path, NOW),
        Err(KeyError::Malformed(_))
    ));
}

fn keys() -> EnlistmentKeys {
    EnlistmentKeys {
        noise_public: [1; 32],
        registration_id: 0x0102_0304,
        identity: [2; 32],
        signed_prekey_id: 0x0001_0203,
        signed_prekey: [3; 32],
        signed_prekey_signature: [4; 64],
    }
}

#[tokio::test]
async fn an_enlistment_arrives_and_its_answer_is_understood() {
    install_tls();
    let bodies: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
    let seen = Arc::clone(&bodies);
    let base = serve(Router::new().route(
        "/ok",
        post(
            async move |headers: reqwest::header::HeaderMap, body: axum::body::Bytes| {
                assert_eq!(
                    headers[header::CONTENT_TYPE],
                    "application/x-www-form-urlencoded"
                );
                seen.lock().unwrap().push(body.to_vec());
                Json(json!({"login": "1-10853634039893@interop", "status": "ok"}))
            },
        ),
    ))
    .await;
    let profile = profile("http://127.0.0.1:1", &format!("{base}/ok"));
    let login = enlistment::enlist(&Client::new(), &profile, &keys(), "a.b.c")
        .await
        .unwrap();
    assert_eq!(login, "1-10853634039893@interop");
    let enlistment = wire::enlistment::parse(&bodies.lock().unwrap()[0]).unwrap();
    assert_eq!(enlistment.keys, keys());
    assert_eq!(enlistment.token, "a.b.c");
    assert_eq!(enlistment.extra["version"], "1");
}

#[tokio::test]
async fn an_enlistment_that_fails_says_whether_to_try_again() {
    install_tls();
    let base = serve(
        Router::new()
            .route(
                "/fail",
                post(async || r#"{"reason":"bad_integrator","status":"fail"}"#),
            )
            .route(
                "/odd",
                post(async || r#"{"login":"s.whatsapp.net","status":"ok"}"#),
            )
            .route("/html", post(async || "<html>"))
            .route("/huge", post(async || "x".repeat(100_000)))
            .route("/busy", post(async || StatusCode::SERVICE_UNAVAILABLE))
            .route("/limit", post(async || StatusCode::TOO_MANY_REQUESTS)),
    )
    .await;
    let enlist = async |path: &str, token: &str| {
        let profile = profile("http://127.0.0.1:1", &format!("{base}{path}"));
        enlistment::enlist(&Client::new(), &profile, &keys(), token)
            .await
            .unwrap_err()
    };
    match enlist("/fail", "a").await {
        EnlistError::Refused(reason) => assert_eq!(reason, "bad_integrator"),
        other => panic!("{other}"),
    }
    for path in ["/odd", "/html", "/huge"] {
        let error = enlist(path, "a").await;
        assert!(matches!(error, EnlistError::Malformed), "{path}: {error}");
        assert!(!error.is_transient());
    }
    for path in ["/busy", "/limit"] {
        assert!(enlist(path, "a").await.is_transient());
    }
    assert!(matches!(
        enlist("/absent", "a").await,
        EnlistError::Status(StatusCode::NOT_FOUND)
    ));
    assert!(matches!(
        enlist("/fail", &"a".repeat(5000)).await,
        EnlistError::TokenTooLong(5000)
    ));
    let gone = profile("http://127.0.0.1:1", "http://127.0.0.1:1/");
    let error = enlistment::enlist(&Client::new(), &gone, &keys(), "a")
        .await
        .unwrap_err();
    assert!(error.is_transient());
}
