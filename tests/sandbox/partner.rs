//! A small Partner: its signing key, its key set and push endpoint over HTTP, and the sandbox it works with.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, atomic::AtomicU16, atomic::Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    routing::{get, post},
};
use drawbridge::{
    clock::{Clock, ManualClock},
    domain::Timestamp,
    network::interop::{
        partner::SigningKey,
        profile::Profile,
        wire::{
            Jid,
            enlistment::{self, Enlistment, EnlistmentKeys},
        },
    },
    sandbox::{Flavour, Integrator, Sandbox, SandboxOptions},
};
use serde_json::Value;
use tempfile::TempDir;

/// The Partner's number.
pub(crate) const INTEGRATOR: u16 = 7;
/// How long anything may take.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// What the Partner's endpoints saw, and how they answer.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) pushes: Mutex<Vec<(String, Value)>>,
    key_set: Mutex<Value>,
    /// The files the Partner hosts, by reference.
    pub(crate) hosted: Mutex<HashMap<String, Vec<u8>>>,
    /// The status of the next push answer, 0 for 200; taken once.
    pub(crate) refuse_push_with: AtomicU16,
}

/// A sandbox and a Partner.
pub(crate) struct Stage {
    pub(crate) sandbox: Sandbox,
    pub(crate) seen: Arc<Seen>,
    pub(crate) clock: ManualClock,
    pub(crate) key: SigningKey,
    pub(crate) http: reqwest::Client,
    pub(crate) base_url: String,
    pub(crate) dir: TempDir,
}

impl Stage {
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let seen = Arc::new(Seen::default());
        let router = Router::new()
            .route("/.well-known/oauth/openid/jwks", get(key_set))
            .route("/push", post(push))
            .route("/{reference}", get(hosted))
            .with_state(seen.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_millis();
        let clock = ManualClock::new(i64::try_from(now).unwrap());
        let sandbox = start(&dir, &base_url, &clock).await;
        let key =
            SigningKey::open(&dir.path().join("signing.pem"), Timestamp(clock.now_ms())).unwrap();
        let stage = Self {
            sandbox,
            seen,
            clock,
            key,
            http: reqwest::Client::new(),
            base_url,
            dir,
        };
        stage.publish(&stage.key);
        stage
    }

    /// Ends the sandbox and starts it again from what it stored.
    pub(crate) async fn restart(mut self) -> Self {
        self.sandbox.shutdown().await;
        self.sandbox = start(&self.dir, &self.base_url, &self.clock).await;
        self
    }

    /// Publishes a key set.
    pub(crate) fn publish(&self, key: &SigningKey) {
        *self.seen.key_set.lock().unwrap() = key.public_keys();
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp(self.clock.now_ms())
    }

    pub(crate) fn profile(&self, flavour: Flavour) -> Profile {
        let layers = [flavour.path().to_owned(), "sandbox".to_owned()];
        Profile::load(&layers, Some(&self.sandbox.profile_layer(flavour))).unwrap()
    }

    /// Enlists with a token and the protocol version: the answer as it came.
    pub(crate) async fn enlist(
        &self,
        flavour: Flavour,
        keys: &EnlistmentKeys,
        token: &str,
        version: &str,
    ) -> Value {
        let body = enlistment::encode(&Enlistment {
            keys: keys.clone(),
            token: token.to_owned(),
            extra: [("protocol_version".to_owned(), version.to_owned())].into(),
        });
        let answer = self
            .http
            .post(self.profile(flavour).enlist_url)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        answer.json().await.unwrap()
    }

    /// Waits until something is so.
    pub(crate) async fn until(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let waiting = async {
            while !condition() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        assert!(
            tokio::time::timeout(DEADLINE, waiting).await.is_ok(),
            "in vain: {what}"
        );
    }

    pub(crate) fn pushes(&self) -> Vec<(String, Value)> {
        self.seen.pushes.lock().unwrap().clone()
    }
}

/// The contact of a number at `WhatsApp`.
pub(crate) fn number(number: &str) -> Jid {
    Jid::user(number, "s.whatsapp.net")
}

async fn start(dir: &TempDir, base_url: &str, clock: &ManualClock) -> Sandbox {
    Sandbox::start(
        options(dir.path().join("sandbox"), base_url),
        Arc::new(clock.clone()),
    )
    .await
    .unwrap()
}

pub(crate) fn options(data_dir: std::path::PathBuf, base_url: &str) -> SandboxOptions {
    SandboxOptions {
        data_dir,
        chat_listen: "127.0.0.1:0".to_owned(),
        http_listen: "127.0.0.1:0".to_owned(),
        integrators: vec![Integrator {
            id: INTEGRATOR,
            name: "test partner".to_owned(),
            base_url: base_url.to_owned(),
        }],
        late_by: Duration::from_millis(50),
        ..SandboxOptions::default()
    }
}

async fn key_set(State(seen): State<Arc<Seen>>) -> Json<Value> {
    Json(seen.key_set.lock().unwrap().clone())
}

async fn hosted(
    State(seen): State<Arc<Seen>>,
    Path(reference): Path<String>,
) -> Result<Vec<u8>, StatusCode> {
    let hosted = seen.hosted.lock().unwrap().get(&reference).cloned();
    hosted.ok_or(StatusCode::NOT_FOUND)
}

async fn push(
    State(seen): State<Arc<Seen>>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> StatusCode {
    let token = headers["authorization"].to_str().unwrap().to_owned();
    seen.pushes.lock().unwrap().push((token, body));
    match seen.refuse_push_with.swap(0, Ordering::SeqCst) {
        0 => StatusCode::OK,
        code => StatusCode::from_u16(code).unwrap(),
    }
}

/// The login in the answer of an enlistment.
pub(crate) fn login_of(answer: &Value) -> Jid {
    assert_eq!(answer["status"], "ok", "{answer}");
    answer["login"].as_str().unwrap().parse().unwrap()
}
