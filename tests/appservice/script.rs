//! A homeserver that answers by a script and remembers what it was asked.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Query, State},
    http::{Method, StatusCode, Uri},
    response::IntoResponse as _,
};
use drawbridge::{config::Config, matrix::Client};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// Method and path, such as `PUT /_matrix/client/v3/…`.
    pub(crate) what: String,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) body: Value,
    /// How many requests for the same came before.
    pub(crate) before: usize,
}

type Script = dyn Fn(&Asked) -> (u16, Value) + Send + Sync;

#[derive(Clone)]
pub(crate) struct Homeserver {
    script: Arc<Script>,
    log: Arc<Mutex<Vec<Asked>>>,
    pub(crate) url: String,
}

impl Homeserver {
    pub(crate) async fn start(
        script: impl Fn(&Asked) -> (u16, Value) + Send + Sync + 'static,
    ) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let server = Self {
            script: Arc::new(script),
            log: Arc::default(),
            url: format!("http://{}", listener.local_addr().expect("an address")),
        };
        let router = Router::new().fallback(answer).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        server
    }

    /// What was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.log.lock().expect("no panic").clone()
    }

    /// What was asked so far, as method and path without the common part.
    pub(crate) fn asked_for(&self) -> Vec<String> {
        let short = |asked: Asked| asked.what.replace("/_matrix/client/v3/", "");
        self.asked().into_iter().map(short).collect()
    }

    /// A client of it.
    pub(crate) fn client(&self) -> Client {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("config.yaml");
        let config = json!({
            "homeserver": { "address": self.url, "domain": "example.org" },
            "appservice": {
                "as_token": "as-0123456789abcdef0123456789abcdef",
                "hs_token": "hs-0123456789abcdef0123456789abcdef",
            },
            "database": { "sealing_key": "c2VhbGluZy1rZXktb2YtdGhlLXRlc3RzLTMyLWJ5dGU=" },
            "bridge": { "permissions": { "*": "user" } },
        });
        std::fs::write(&path, config.to_string()).expect("a file");
        let config = Config::load(&path).expect("a configuration");
        Client::new(
            &config.homeserver,
            &config.appservice,
            reqwest::Client::new(),
        )
        .expect("a client")
    }
}

async fn answer(
    State(server): State<Homeserver>,
    method: Method,
    uri: Uri,
    Query(query): Query<BTreeMap<String, String>>,
    body: Bytes,
) -> axum::response::Response {
    let what = format!("{method} {}", uri.path());
    let asked = {
        let mut log = server.log.lock().expect("no panic");
        let asked = Asked {
            before: log.iter().filter(|asked| asked.what == what).count(),
            what,
            query,
            body: serde_json::from_slice(&body).unwrap_or_default(),
        };
        log.push(asked.clone());
        asked
    };
    let (status, body) = (server.script)(&asked);
    let status = StatusCode::from_u16(status).expect("a status");
    (status, Json(body)).into_response()
}

/// A Matrix error.
pub(crate) fn refusal(status: u16, errcode: &str) -> (u16, Value) {
    (
        status,
        json!({ "errcode": errcode, "error": "the script says so" }),
    )
}
