//! The scene: a homeserver, a gatekeeper with people, and the whole bridge between them, with its API.

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::{Duration, Instant},
};

use drawbridge::{
    app::App,
    clock::SystemClock,
    config::Config,
    sandbox::{ContactHandle, Flavour, Integrator, Sandbox, SandboxOptions},
};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{homeserver::Homeserver, postgres};

pub(crate) const ALICE: &str = "@alice:test.example";
pub(crate) const BOB: &str = "@bob:test.example";
pub(crate) const ADMIN: &str = "@admin:test.example";
/// Who may not use the bridge.
pub(crate) const EVE: &str = "@eve:test.example";
pub(crate) const BOT: &str = "@drawbridgebot:test.example";
pub(crate) const SECRET: &str = "provisioning-0123456789abcdef0123456789abcdef";
pub(crate) const HS_TOKEN: &str = "hs-0123456789abcdef0123456789abcdef";
const AS_TOKEN: &str = "as-0123456789abcdef0123456789abcdef";
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// Where the bridge keeps what it remembers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

/// What an API answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Answer {
    /// The body of an answer with this status.
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// The error code of a refusal with this status.
    pub(crate) fn refused(self, status: u16) -> String {
        let body = self.expect(status);
        let sentence = body["error"].as_str().unwrap_or_default();
        assert!(!sentence.is_empty(), "no sentence: {body}");
        body["errcode"].as_str().expect("a code").to_owned()
    }
}

pub(crate) struct Scene {
    pub(crate) homeserver: Homeserver,
    pub(crate) sandbox: Sandbox,
    /// Where the API is.
    pub(crate) api: String,
    /// Where the homeserver's endpoints are.
    pub(crate) appservice: String,
    pub(crate) http: reqwest::Client,
    /// The address of the bridge's database.
    pub(crate) database: String,
    stop: CancellationToken,
    running: Option<JoinHandle<()>>,
    _folder: TempDir,
}

pub(crate) fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address")
}

/// Where the test run's Postgres is.
pub(crate) fn cluster() -> String {
    std::env::var("DRAWBRIDGE_TEST_POSTGRES")
        .expect("a Postgres: run scripts/test, or scripts/postgres-run cargo test")
}

impl Scene {
    /// Everything runs, and the API is on its own listener.
    pub(crate) async fn start() -> Self {
        Self::on(Engine::Sqlite).await
    }

    /// The same with this database.
    pub(crate) async fn on(engine: Engine) -> Self {
        let listen = free_address().to_string();
        let provisioning = json!({ "enabled": true, "listen": listen, "secret": SECRET });
        Self::run(provisioning, engine).await
    }

    /// Everything runs, with these settings of the API.
    pub(crate) async fn with(provisioning: Value) -> Self {
        Self::run(provisioning, Engine::Sqlite).await
    }

    async fn run(provisioning: Value, engine: Engine) -> Self {
        let homeserver = Homeserver::start(AS_TOKEN, HS_TOKEN).await;
        let folder = tempfile::tempdir().expect("a folder");
        let database = match engine {
            Engine::Sqlite => format!("sqlite:{}", folder.path().join("bridge.db").display()),
            Engine::Postgres => postgres::fresh(&cluster()).await,
        };
        let (partner, appservice) = (free_address(), free_address());
        let options = SandboxOptions {
            data_dir: folder.path().join("sandbox"),
            chat_listen: "127.0.0.1:0".to_owned(),
            http_listen: "127.0.0.1:0".to_owned(),
            integrators: vec![Integrator {
                id: 1,
                name: "drawbridge".to_owned(),
                base_url: format!("http://{partner}"),
            }],
            ..SandboxOptions::default()
        };
        let sandbox = Sandbox::start(options, Arc::new(SystemClock))
            .await
            .expect("a sandbox");
        let layer = folder.path().join("whatsapp.yaml");
        let profile = sandbox.profile_layer(Flavour::WhatsApp).to_string();
        std::fs::write(&layer, profile).expect("a profile");
        let config = json!({
            "homeserver": { "address": homeserver.url(), "domain": "test.example" },
            "appservice": {
                "address": format!("http://{appservice}"), "listen": appservice.to_string(),
                "as_token": AS_TOKEN, "hs_token": HS_TOKEN,
            },
            "database": {
                "uri": database,
                "sealing_key": "c2VhbGluZy1rZXktb2YtdGhlLXRlc3RzLTMyLWJ5dGU=",
                "guard_file": folder.path().join("guard"),
            },
            "bridge": { "permissions": {
                "*": "block", "test.example": "user", ADMIN: "admin", EVE: "block",
            } },
            "gatekeepers": [{
                "id": "whatsapp", "name": "WhatsApp", "profiles": ["whatsapp", "sandbox", layer],
                "connection": "always",
            }],
            "partner": {
                "listen": partner.to_string(), "address": format!("http://{partner}"),
                "signing_key_file": folder.path().join("partner.pem"),
                "media_dir": folder.path().join("media"),
            },
            "relay": { "enabled": true, "admins_only": false },
            "provisioning": provisioning,
            "sandbox": { "enabled": false },
        });
        let path = folder.path().join("config.yaml");
        std::fs::write(&path, config.to_string()).expect("a file");
        let config = Config::load(&path).expect("a configuration");
        let app = App::build(config, Arc::new(SystemClock))
            .await
            .expect("a bridge");
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let running = tokio::spawn(async move {
            app.run_until(stopped).await.expect("the bridge runs");
        });
        let appservice = format!("http://{appservice}");
        homeserver.set_appservice(&appservice);
        let listen = provisioning["listen"].as_str();
        Self {
            homeserver,
            sandbox,
            api: listen.map_or_else(|| appservice.clone(), |listen| format!("http://{listen}")),
            appservice,
            http: reqwest::Client::new(),
            database,
            stop,
            running: Some(running),
            _folder: folder,
        }
    }

    /// A request that nobody is named in.
    pub(crate) fn bare(&self, method: &str, path: &str) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        self.http.request(method, format!("{}{path}", self.api))
    }

    /// A request of a program with the secret for a user.
    pub(crate) fn request(&self, user: &str, method: &str, path: &str) -> RequestBuilder {
        self.bare(method, &format!("/_drawbridge/v1/{path}"))
            .query(&[("user_id", user)])
            .bearer_auth(SECRET)
    }

    /// What a program with the secret is answered that asks for a user.
    pub(crate) async fn ask(&self, user: &str, method: &str, path: &str) -> Answer {
        answer(self.request(user, method, path)).await
    }

    /// The same with a body.
    pub(crate) async fn tell(&self, user: &str, method: &str, path: &str, body: Value) -> Answer {
        answer(self.request(user, method, path).json(&body)).await
    }

    /// Logs a user in by the API; the login's number.
    pub(crate) async fn log_in(&self, user: &str) -> i64 {
        let flows = self.ask(user, "GET", "login_flows").await.expect(200);
        let terms = &flows[0]["terms"]["version"];
        let wanted = json!({ "gatekeeper": "whatsapp", "accepted_terms": terms });
        let login = self.tell(user, "POST", "logins", wanted).await.expect(200);
        login["login"].as_i64().expect("a number")
    }

    /// Somebody on the gatekeeper's side who does nothing by themselves.
    pub(crate) async fn contact(&self, name: &str) -> ContactHandle {
        let made = self.sandbox.add_contact(Flavour::WhatsApp, name).await;
        made.expect("a contact")
    }

    /// Asks again and again until the answer is as wanted.
    pub(crate) async fn until(
        &self,
        user: &str,
        path: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        let end = Instant::now() + DEADLINE;
        loop {
            let body = self.ask(user, "GET", path).await.expect(200);
            if wanted(&body) {
                return body;
            }
            assert!(Instant::now() < end, "{path} stays {body}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Stops the bridge and waits until it has ended.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        let running = self.running.take().expect("it runs");
        running.await.expect("the bridge ended well");
        self.homeserver.stop();
    }
}

/// Sends a request; what was answered. Whatever is not JSON is `null`.
pub(crate) async fn answer(request: RequestBuilder) -> Answer {
    let response = request.send().await.expect("an answer");
    Answer {
        status: response.status().as_u16(),
        body: response.json().await.unwrap_or_default(),
    }
}
