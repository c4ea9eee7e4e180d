//! A homeserver that answers by a script and remembers what it was asked.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Query, State},
    http::{HeaderMap, Method, Uri},
    response::Response,
};
use drawbridge::{config::Config, matrix::Client};
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub(crate) const AS_TOKEN: &str = "as-0123456789abcdef0123456789abcdef";

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// Method and path, such as `PUT /_matrix/client/v3/…`.
    pub(crate) what: String,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
    /// The body as it came.
    pub(crate) bytes: Bytes,
    /// How many requests for the same came before.
    pub(crate) before: usize,
}

/// What is answered.
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Body,
}

impl Reply {
    pub(crate) fn new(status: u16, body: impl Into<Body>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

impl From<(u16, Value)> for Reply {
    fn from((status, body): (u16, Value)) -> Self {
        Self::new(status, body.to_string()).with("content-type", "application/json")
    }
}

impl From<Reply> for Response {
    fn from(reply: Reply) -> Self {
        let mut answer = Response::builder().status(reply.status);
        for (name, value) in reply.headers {
            answer = answer.header(name, value);
        }
        answer.body(reply.body).expect("an answer")
    }
}

type Script = dyn Fn(&Asked) -> Reply + Send + Sync;

#[derive(Clone)]
pub(crate) struct Homeserver {
    script: Arc<Script>,
    log: Arc<Mutex<Vec<Asked>>>,
    pub(crate) url: String,
}

impl Homeserver {
    pub(crate) async fn start<R: Into<Reply>>(
        script: impl Fn(&Asked) -> R + Send + Sync + 'static,
    ) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let server = Self {
            script: Arc::new(move |asked| script(asked).into()),
            log: Arc::default(),
            url: format!("http://{}", listener.local_addr().expect("an address")),
        };
        let router = Router::new()
            .fallback(answer)
            .layer(DefaultBodyLimit::disable())
            .with_state(server.clone());
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
        client(&self.url)
    }
}

/// What the bridge makes its HTTP client of.
pub(crate) fn http() -> reqwest::ClientBuilder {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none())
}

/// A client of the homeserver `example.org` at an address.
pub(crate) fn client(url: &str) -> Client {
    client_over(http().build().expect("an HTTP client"), url)
}

/// The same over an HTTP client of one's own.
pub(crate) fn client_over(http: reqwest::Client, url: &str) -> Client {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("config.yaml");
    let config = json!({
        "homeserver": { "address": url, "domain": "example.org" },
        "appservice": {
            "as_token": AS_TOKEN,
            "hs_token": "hs-0123456789abcdef0123456789abcdef",
        },
        "database": { "sealing_key": "c2VhbGluZy1rZXktb2YtdGhlLXRlc3RzLTMyLWJ5dGU=" },
        "bridge": { "permissions": { "*": "user" } },
    });
    std::fs::write(&path, config.to_string()).expect("a file");
    let config = Config::load(&path).expect("a configuration");
    Client::new(&config.homeserver, &config.appservice, http).expect("a client")
}

async fn answer(
    State(server): State<Homeserver>,
    method: Method,
    uri: Uri,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let what = format!("{method} {}", uri.path());
    let asked = {
        let mut log = server.log.lock().expect("no panic");
        let asked = Asked {
            before: log.iter().filter(|asked| asked.what == what).count(),
            what,
            query,
            headers,
            body: serde_json::from_slice(&body).unwrap_or_default(),
            bytes: body,
        };
        log.push(asked.clone());
        asked
    };
    (server.script)(&asked).into()
}

/// A Matrix error.
pub(crate) fn refusal(status: u16, errcode: &str) -> (u16, Value) {
    (
        status,
        json!({ "errcode": errcode, "error": "the script says so" }),
    )
}
