//! A real Synapse in a folder of its own, on loopback, with one application service.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use rand::RngExt;
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use super::{federation::Federation, wait::until, world::merge};

/// The homeserver's name in every test.
pub(crate) const DOMAIN: &str = "drawbridge.test";

/// A port nobody listens on, below the range the system hands out for outgoing connections.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 9_000).expect("below 9,000");
    loop {
        let port = 20_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// A running Synapse.
pub(crate) struct Homeserver {
    folder: PathBuf,
    port: u16,
    /// Through which it reaches others, if it does.
    proxy: Option<String>,
    process: Option<Child>,
}

impl Homeserver {
    /// Starts Synapse with the registrations in these files and rooms of `room_version`; others reach it if it has a federation, in
    /// which it has a name. `more` is what its configuration says besides.
    pub(crate) async fn start(
        folder: &Path,
        port: u16,
        registrations: &[PathBuf],
        room_version: &str,
        presence: bool,
        federation: Option<(&Federation, &str)>,
        more: &Value,
    ) -> Self {
        fs::create_dir_all(folder).expect("a folder for Synapse");
        let seed: [u8; 32] = rand::rng().random();
        let key = format!("ed25519 a_test {}\n", STANDARD_NO_PAD.encode(seed));
        fs::write(folder.join("signing.key"), key).expect("a signing key");
        let plenty = json!({"per_second": 100_000, "burst_count": 100_000});
        let mut config = json!({
            "server_name": DOMAIN,
            "public_baseurl": format!("http://127.0.0.1:{port}/"),
            "pid_file": folder.join("pid"),
            "listeners": [{"port": port, "bind_addresses": ["127.0.0.1"], "type": "http", "tls": false,
                "resources": [{"names": ["client", "openid"]}]}],
            "database": {"name": "sqlite3", "args": {"database": folder.join("homeserver.db")}},
            "log_config": folder.join("log.yaml"),
            "media_store_path": folder.join("media"),
            "signing_key_path": folder.join("signing.key"),
            "macaroon_secret_key": "only for tests",
            "form_secret": "only for tests",
            "max_upload_size": "120M",
            "report_stats": false,
            "trusted_key_servers": [],
            "enable_registration": true,
            "enable_registration_without_verification": true,
            "presence": {"enabled": presence},
            "default_room_version": room_version,
            "app_service_config_files": registrations,
            "rc_message": plenty, "rc_registration": plenty, "rc_login": {"address": plenty, "account": plenty},
            "rc_joins": {"local": plenty, "remote": plenty}, "rc_joins_per_room": plenty,
            "rc_invites": {"per_room": plenty, "per_user": plenty, "per_issuer": plenty},
            "rc_room_creation": plenty, "rc_media_create": plenty,
            "rc_presence": {"per_user": plenty},
        });
        merge(&mut config, more);
        if let Some((federation, name)) = federation {
            federation.configure(name, &mut config);
        }
        let log = json!({
            "version": 1,
            "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
            "handlers": {"file": {"class": "logging.FileHandler", "formatter": "plain",
                "filename": folder.join("synapse.log")}},
            "root": {"level": "INFO", "handlers": ["file"]},
        });
        for (name, content) in [("homeserver.yaml", config), ("log.yaml", log)] {
            fs::write(folder.join(name), content.to_string()).expect("Synapse's configuration");
        }
        let mut homeserver = Self {
            folder: folder.to_owned(),
            port,
            proxy: federation.map(|(federation, _)| federation.proxy()),
            process: None,
        };
        homeserver.restart().await;
        homeserver
    }

    /// The base URL of its client API.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Starts it again in the same folder; resolves when it answers.
    pub(crate) async fn restart(&mut self) {
        let output = fs::File::create(self.folder.join("output.log")).expect("a log file");
        let mut command = Command::new(python());
        if let Some(proxy) = &self.proxy {
            command.env("https_proxy", proxy);
        }
        let child = command
            .args(["-m", "synapse.app.homeserver", "--config-path"])
            .arg(self.folder.join("homeserver.yaml"))
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a log file"))
            .stderr(output)
            .kill_on_drop(true)
            .spawn()
            .expect("Synapse starts");
        self.process = Some(child);
        let url = format!("{}/_matrix/client/versions", self.url());
        let http = super::client::http();
        let process = self.process.as_mut().expect("just started");
        until("Synapse to answer", Duration::from_secs(90), async || {
            let exited = process.try_wait().expect("its state");
            assert!(exited.is_none(), "Synapse exited, see its output.log");
            let answer = http.get(&url).send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
    }

    /// Kills it as a power cut would.
    pub(crate) async fn kill(&mut self) {
        let mut process = self.process.take().expect("Synapse runs");
        process.kill().await.expect("Synapse can be killed");
    }
}

/// The Python that has Synapse installed, and an ordinary client library.
pub(crate) fn python() -> PathBuf {
    let fallback = || {
        let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join(".demo/synapse-venv/bin/python");
        venv.exists().then_some(venv)
    };
    std::env::var_os("DRAWBRIDGE_TEST_SYNAPSE")
        .map(PathBuf::from)
        .or_else(fallback)
        .expect("a Synapse: run scripts/test, or set DRAWBRIDGE_TEST_SYNAPSE to a Python that has matrix-synapse")
}
