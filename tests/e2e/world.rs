//! A homeserver, the bridge and a gatekeeper, put together for one test.

use std::sync::Arc;

use drawbridge::{
    clock::SystemClock,
    sandbox::{Flavour, Integrator, Sandbox, SandboxOptions},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    bridge::Bridge,
    client::User,
    federation::{ELSEWHERE, Federation},
    homeserver::{DOMAIN, Homeserver, free_port},
    postgres,
};

/// The bot of the bridge under test.
pub(crate) const BOT: &str = "@drawbridgebot:drawbridge.test";

/// Where the bridge keeps what it remembers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

/// The file of the token by which the bridge acts as everybody.
const PUPPET_TOKEN: &str = "double_puppet_token";

/// In whatever somebody writes in these tests and no log may tell: captions, names of files, options, names of places.
pub(crate) const MARKED: &str = "marmalade";

/// What is particular to a test.
pub(crate) struct Plan {
    pub(crate) engine: Engine,
    pub(crate) room_version: &'static str,
    /// `always` or `on_demand`.
    pub(crate) connection: &'static str,
    /// Whether the homeserver tells who is online.
    pub(crate) presence: bool,
    /// What the configuration says besides.
    pub(crate) config: Value,
    /// What the gatekeepers' profiles say besides.
    pub(crate) profile: Value,
    /// What the configuration says of each gatekeeper besides, by its id.
    pub(crate) gatekeepers: Value,
    /// What the profile of each gatekeeper says besides, by its id.
    pub(crate) profiles: Value,
    /// Whether a second registration lets the bridge act as everybody.
    pub(crate) double_puppets: bool,
    /// What the homeserver's configuration says besides.
    pub(crate) homeserver: Value,
    /// Whether there is another homeserver, whose users can be in rooms of this one.
    pub(crate) federated: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            engine: Engine::Sqlite,
            room_version: "12",
            connection: "always",
            presence: false,
            config: Value::Null,
            profile: Value::Null,
            gatekeepers: Value::Null,
            profiles: Value::Null,
            double_puppets: false,
            homeserver: Value::Null,
            federated: false,
        }
    }
}

/// Everything a message passes, running.
pub(crate) struct World {
    pub(crate) homeserver: Homeserver,
    elsewhere: Option<Homeserver>,
    pub(crate) bridge: Bridge,
    /// The gatekeeper, in the test's process, so that the test can look at its contacts and set its faults.
    pub(crate) sandbox: Sandbox,
    folder: TempDir,
}

impl World {
    /// Starts it all.
    pub(crate) async fn start(plan: Plan) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let partner = format!("127.0.0.1:{}", free_port());
        let sandbox = Sandbox::start(
            SandboxOptions {
                data_dir: folder.path().join("sandbox"),
                chat_listen: "127.0.0.1:0".to_owned(),
                http_listen: "127.0.0.1:0".to_owned(),
                integrators: vec![Integrator {
                    id: 1,
                    name: "drawbridge".to_owned(),
                    base_url: format!("http://{partner}"),
                }],
                ..SandboxOptions::default()
            },
            Arc::new(SystemClock),
        )
        .await
        .expect("the sandbox starts");
        let port = free_port();
        let mut config = base_config(&format!("http://127.0.0.1:{port}"), &partner);
        config["database"] = database(plan.engine).await;
        config["sandbox"] = json!({"enabled": false});
        config["gatekeepers"] = [
            ("whatsapp", "WhatsApp", Flavour::WhatsApp),
            ("messenger", "Messenger", Flavour::Messenger),
        ]
        .into_iter()
        .map(|(id, name, flavour)| {
            let layer = folder.path().join(format!("{id}.yaml"));
            let mut profile = sandbox.profile_layer(flavour);
            merge(&mut profile, &plan.profile);
            merge(&mut profile, &plan.profiles[id]);
            std::fs::write(&layer, profile.to_string()).expect("a profile");
            let mut entry = json!({"id": id, "name": name, "profiles": [id, "sandbox", layer],
                    "connection": plan.connection, "idle_seconds": 1});
            merge(&mut entry, &plan.gatekeepers[id]);
            entry
        })
        .collect();
        if plan.double_puppets {
            config["double_puppets"] = json!({"as_token_file": PUPPET_TOKEN});
        }
        let elsewhere = free_port();
        if plan.federated {
            let address = format!("http://127.0.0.1:{elsewhere}");
            config["double_puppets"]["homeservers"] = json!({ELSEWHERE: address});
        }
        merge(&mut config, &plan.config);
        let mut bridge = Bridge::configure(&folder.path().join("bridge"), &config);
        let registration = folder.path().join("bridge/registration.yaml");
        bridge
            .run(&["registration", "--output", &registration.to_string_lossy()])
            .await;
        let mut registrations = vec![registration];
        if plan.double_puppets {
            let second = folder.path().join("bridge/double_puppets.yaml");
            let text = bridge.run(&["registration", "--double-puppet"]).await;
            std::fs::write(&second, text).expect("a registration");
            registrations.push(second);
        }
        let federation = if plan.federated {
            Some(Federation::start(folder.path()).await)
        } else {
            None
        };
        let homeserver = Homeserver::start(
            &folder.path().join("synapse"),
            port,
            &registrations,
            plan.room_version,
            plan.presence,
            federation.as_ref().map(|federation| (federation, DOMAIN)),
            &plan.homeserver,
        )
        .await;
        let elsewhere = match &federation {
            Some(federation) => Some(
                Homeserver::start(
                    &folder.path().join("elsewhere"),
                    elsewhere,
                    &[],
                    plan.room_version,
                    false,
                    Some((federation, ELSEWHERE)),
                    &Value::Null,
                )
                .await,
            ),
            None => None,
        };
        bridge.start().await;
        Self {
            homeserver,
            elsewhere,
            bridge,
            sandbox,
            folder,
        }
    }

    /// Where this world keeps its files.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// What is in one of the bridge's files of secrets.
    pub(crate) fn secret(&self, name: &str) -> String {
        let path = self.folder.path().join("bridge").join(name);
        let text = std::fs::read_to_string(path).expect("a secret's file");
        text.trim().to_owned()
    }

    /// A new user of the other homeserver.
    pub(crate) async fn stranger(&self, name: &str) -> User {
        let elsewhere = self.elsewhere.as_ref().expect("a federated world");
        User::register(&elsewhere.url(), name).await
    }

    /// A new Matrix user.
    pub(crate) async fn user(&self, name: &str) -> User {
        User::register(&self.homeserver.url(), name).await
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let log = self.bridge.logged();
        if std::thread::panicking() {
            self.folder.disable_cleanup(true);
            let lines: Vec<&str> = log.lines().collect();
            let tail = &lines[lines.len().saturating_sub(60)..];
            eprintln!(
                "kept {}; the bridge's log ends:\n{}",
                self.folder.path().display(),
                tail.join("\n")
            );
            return;
        }
        for secret in self.secrets() {
            let line = log.lines().find(|line| line.contains(&secret));
            assert!(line.is_none(), "the log tells {secret:?}: {line:?}");
        }
    }
}

impl World {
    /// What no log may contain: tokens, keys, phone numbers (those of the contacts have this beginning), and what was written.
    fn secrets(&self) -> Vec<String> {
        let bridge = self.folder.path().join("bridge");
        let read = |name: &&str| std::fs::read_to_string(bridge.join(name)).ok();
        let files: Vec<String> = ["as_token", "hs_token", "sealing_key", PUPPET_TOKEN]
            .iter()
            .filter_map(read)
            .map(|text| text.trim().to_owned())
            .collect();
        assert!(files.len() >= 3, "a secret's file is missing");
        let texts = [
            "4477009",
            "two\\nlines",
            "漢字",
            "queued 1",
            "while away",
            "wake up",
            MARKED,
        ];
        let texts = texts.map(str::to_owned);
        files.into_iter().chain(texts).collect()
    }
}

/// Puts what `more` says over what `base` says, map by map.
pub(crate) fn merge(base: &mut Value, more: &Value) {
    match (base, more) {
        (_, Value::Null) => {}
        (Value::Object(base), Value::Object(more)) => {
            for (key, value) in more {
                merge(base.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (base, more) => base.clone_from(more),
    }
}

/// A database of the test's own.
async fn database(engine: Engine) -> Value {
    match engine {
        Engine::Sqlite => json!({"uri": "sqlite:bridge.db"}),
        Engine::Postgres => {
            let cluster = std::env::var("DRAWBRIDGE_TEST_POSTGRES")
                .expect("a Postgres: run scripts/test, or scripts/postgres-run cargo test");
            let uri = postgres::fresh(&cluster).await;
            json!({"uri": uri, "guard_file": "bridge.guard"})
        }
    }
}

/// What every configuration of these tests has in common.
pub(crate) fn base_config(homeserver: &str, partner: &str) -> Value {
    let appservice = format!("127.0.0.1:{}", free_port());
    json!({
        "homeserver": {"address": homeserver, "domain": DOMAIN},
        "appservice": {"address": format!("http://{appservice}"), "listen": appservice},
        "bridge": {"permissions": {"*": "block", DOMAIN: "user", "@mallory:drawbridge.test": "block"}},
        "partner": {"listen": partner, "address": format!("http://{partner}"), "signing_key_file": "signing.pem"},
        "logging": {"level": "info,drawbridge=debug"},
    })
}
