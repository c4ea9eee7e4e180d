//! The Partner's public keys and pushes over real connections, HTTP/1.1 and HTTP/2.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{Json, Router, extract::State, routing::get};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use drawbridge::{
    clock::ManualClock,
    config::PartnerConfig,
    domain::{GatekeeperId, Timestamp},
    network::interop::{
        partner::{self, HostedMedia, PartnerState, PushSink, SigningKey},
        profile::Profile,
    },
    store::StoreError,
};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use reqwest::{Client, StatusCode, header};
use rsa::pkcs8::{EncodePublicKey as _, LineEnding};
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub(super) const NOW: Timestamp = Timestamp(1_700_000_000_000);
pub(super) const USER: &str = "@alice:example.org";
const ORIGIN: &str = "https://bridge.example.org";

pub(super) fn install_tls() {
    // The first of the tests wins; the others find it done.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

pub(super) async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}")
}

pub(super) fn profile(jwks_url: &str, enlist_url: &str) -> Profile {
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
pub(super) fn gatekeeper_key() -> &'static (PathBuf, tempfile::TempDir) {
    static KEY: std::sync::OnceLock<(PathBuf, tempfile::TempDir)> = std::sync::OnceLock::new();
    KEY.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gatekeeper.pem");
        SigningKey::open(&path, NOW).unwrap();
        (path, dir)
    })
}

pub(super) fn gatekeeper_jwks() -> Value {
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
pub(super) struct Stage {
    pub(super) base: String,
    sink: Arc<Sink>,
    pub(super) clock: ManualClock,
    fetches: Arc<AtomicUsize>,
    jwks: Arc<Mutex<Value>>,
    pub(super) media: Arc<HostedMedia>,
    pub(super) dir: tempfile::TempDir,
}

type Jwks = (Arc<Mutex<Value>>, Arc<AtomicUsize>);

async fn jwks(State((jwks, fetches)): State<Jwks>) -> Json<Value> {
    fetches.fetch_add(1, Ordering::SeqCst);
    Json(jwks.lock().unwrap().clone())
}

impl Stage {
    pub(super) async fn new() -> Self {
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
        let media = Arc::new(HostedMedia::new(config.media_dir.clone()));
        let state = PartnerState::new(
            signing,
            vec![Arc::clone(&sink)],
            Arc::clone(&media),
            &config,
            &Client::new(),
            Arc::new(clock.clone()),
        );
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
}

pub(super) fn clients() -> [(reqwest::Version, Client); 2] {
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
            header.kid = Some(format!("kid{invented}"));
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
