//! The real program, as its operator runs it: a configuration file, a registration, a process.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde_json::Value;
use tokio::{
    net::TcpStream,
    process::{Child, Command},
    time::timeout,
};

use super::wait::until;

/// The bridge's process and the folder it lives in.
pub(crate) struct Bridge {
    config: PathBuf,
    log: PathBuf,
    appservice: String,
    process: Option<Child>,
}

impl Bridge {
    /// Writes the configuration; nothing runs yet.
    pub(crate) fn configure(folder: &Path, config: &Value) -> Self {
        fs::create_dir_all(folder).expect("a folder for the bridge");
        let path = folder.join("config.yaml");
        // JSON is YAML.
        fs::write(&path, config.to_string()).expect("the configuration");
        Self {
            log: folder.join("bridge.log"),
            appservice: config["appservice"]["listen"]
                .as_str()
                .expect("an address")
                .to_owned(),
            config: path,
            process: None,
        }
    }

    /// Changes a value of the configuration, by a path of keys, for the next start.
    pub(crate) fn reconfigure(&self, path: &str, value: Value) {
        let text = fs::read_to_string(&self.config).expect("the configuration");
        let mut config: Value = serde_json::from_str(&text).expect("it was written as JSON");
        *config.pointer_mut(path).expect("a key that is there") = value;
        fs::write(&self.config, config.to_string()).expect("the configuration");
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_drawbridge"));
        command
            .arg("--config")
            .arg(&self.config)
            .args(arguments)
            .current_dir(self.config.parent().expect("a folder"))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Runs a subcommand to its end; what it printed.
    pub(crate) async fn run(&self, arguments: &[&str]) -> String {
        let output = self
            .command(arguments)
            .output()
            .await
            .expect("the program runs");
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {out}{err}");
        out
    }

    /// Starts it; resolves when it listens.
    pub(crate) async fn start(&mut self) {
        self.start_with(&[]).await;
    }

    /// Starts it to end at a crash point.
    pub(crate) async fn start_failing(&mut self, at: &str) {
        self.start_with(&[("FAILPOINTS", at)]).await;
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn ended(&mut self) {
        let mut process = self.process.take().expect("the bridge runs");
        let ended = timeout(Duration::from_mins(1), process.wait()).await;
        let state = ended.expect("it comes to its crash point in time");
        state.expect("its state");
    }

    async fn start_with(&mut self, environment: &[(&str, &str)]) {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .expect("a log file");
        let process = self
            .command(&[])
            .envs(environment.iter().copied())
            .stdout(log.try_clone().expect("a log file"))
            .stderr(log)
            .spawn()
            .expect("the bridge starts");
        self.process = Some(process);
        let process = self.process.as_mut().expect("just started");
        until("the bridge to listen", Duration::from_mins(1), async || {
            let exited = process.try_wait().expect("its state");
            assert!(
                exited.is_none(),
                "the bridge exited: {}",
                self.log.display()
            );
            TcpStream::connect(&self.appservice).await.ok().map(drop)
        })
        .await;
    }

    /// The folder it lives in.
    pub(crate) fn folder(&self) -> &Path {
        self.config.parent().expect("a folder")
    }

    /// The process's id.
    pub(crate) fn id(&self) -> u32 {
        let id = self.process.as_ref().and_then(Child::id);
        id.expect("the bridge runs")
    }

    /// Kills it as a power cut would.
    pub(crate) async fn kill(&mut self) {
        let mut process = self.process.take().expect("the bridge runs");
        process.kill().await.expect("it can be killed");
    }

    /// What it logged so far.
    pub(crate) fn logged(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
