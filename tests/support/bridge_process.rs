//! The real bridge as a child process, with a configuration of its own in a folder of its own.

use std::{
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

/// What a bridge under test needs to know.
pub(crate) struct BridgeSetup {
    /// Where its files are.
    pub(crate) dir: PathBuf,
    /// Its database, as an address.
    pub(crate) database: String,
    /// The homeserver's base URL and server name.
    pub(crate) homeserver: (String, String),
    /// The tokens shared with the homeserver: the application service's and the homeserver's.
    pub(crate) tokens: (String, String),
    /// Its gatekeepers: id, built-in profile, and the last layer of the profile.
    pub(crate) gatekeepers: Vec<(String, String, Value)>,
    /// Where it listens for the homeserver and for the gatekeepers.
    pub(crate) listen: (SocketAddr, SocketAddr),
    /// What it logs (`tracing` directives).
    pub(crate) log: String,
    /// Keys of its `bridge` section that are not the defaults.
    pub(crate) bridge: Value,
}

/// A free port of the loopback interface.
pub(crate) fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

impl BridgeSetup {
    /// The base URL of its application service endpoints.
    pub(crate) fn appservice_url(&self) -> String {
        format!("http://{}", self.listen.0)
    }

    /// Writes the configuration; its path.
    pub(crate) fn write(&self) -> PathBuf {
        let gatekeepers: Vec<Value> = self
            .gatekeepers
            .iter()
            .map(|(id, profile, layer)| {
                let file = self.dir.join(format!("{id}.profile.yaml"));
                std::fs::write(&file, layer.to_string()).unwrap();
                json!({ "id": id, "name": id, "profiles": [profile, "sandbox", file], "connection": "always" })
            })
            .collect();
        let mut bridge = json!({ "permissions": { "*": "user" }, "terms": "" });
        for (key, value) in self.bridge.as_object().into_iter().flatten() {
            bridge[key] = value.clone();
        }
        // JSON is YAML.
        let config = json!({
            "homeserver": { "address": self.homeserver.0, "domain": self.homeserver.1, "ephemeral": "transactions" },
            "appservice": {
                "address": self.appservice_url(), "listen": self.listen.0.to_string(),
                "as_token": self.tokens.0, "hs_token": self.tokens.1,
            },
            "database": {
                "uri": self.database,
                "sealing_key": "c2VhbGluZy1rZXktb2YtdGhlLXRlc3RzLTMyLWJ5dGU=",
                "guard_file": self.dir.join("guard"),
            },
            "bridge": bridge,
            "relay": { "enabled": true, "admins_only": false },
            "gatekeepers": gatekeepers,
            "partner": {
                "listen": self.listen.1.to_string(), "address": format!("http://{}", self.listen.1),
                "signing_key_file": self.dir.join("partner.pem"),
            },
            "sandbox": { "enabled": false },
            "logging": { "level": self.log, "format": "text" },
        });
        let path = self.dir.join("config.yaml");
        std::fs::write(&path, config.to_string()).unwrap();
        path
    }

    /// Starts the bridge. Its log is appended to `bridge.log` in its folder.
    pub(crate) fn spawn(&self, binary: &Path, failpoints: Option<&str>) -> BridgeProcess {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.dir.join("bridge.log"))
            .unwrap();
        let mut command = Command::new(binary);
        command
            .args(["run", "--config"])
            .arg(self.dir.join("config.yaml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        if let Some(failpoints) = failpoints {
            command.env("FAILPOINTS", failpoints);
        }
        BridgeProcess {
            child: command.spawn().expect("the bridge starts"),
            address: self.listen.0,
        }
    }
}

/// A running bridge; killed when dropped.
pub(crate) struct BridgeProcess {
    child: Child,
    address: SocketAddr,
}

impl BridgeProcess {
    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it listens for the homeserver; `false` if it ended or the deadline passed.
    pub(crate) async fn listening(&mut self, deadline: Duration) -> bool {
        let end = tokio::time::Instant::now() + deadline;
        while tokio::time::Instant::now() < end && !self.has_ended() {
            if tokio::net::TcpStream::connect(self.address).await.is_ok() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        false
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().ok().flatten().is_some()
    }

    /// Waits until it ends by itself; `false` if the deadline passed.
    pub(crate) async fn ended(&mut self, deadline: Duration) -> bool {
        let end = tokio::time::Instant::now() + deadline;
        while tokio::time::Instant::now() < end {
            if self.has_ended() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        false
    }

    /// Kills it at once (`SIGKILL`).
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for BridgeProcess {
    fn drop(&mut self) {
        self.kill();
    }
}
