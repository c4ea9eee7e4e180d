//! The Matrix side as an ordinary client library (matrix-nio) reads it, run by the Python that has Synapse.

use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;

use super::{client::User, homeserver::python};

impl User {
    /// Every event of a room, oldest first: the library's class of it as `class`, what it makes of it, and the event as `source`.
    ///
    /// # Panics
    /// When the library takes an event to be malformed.
    pub(crate) async fn read_room(&self, room: &str) -> Vec<Value> {
        let lines = self.run_reader(&["messages", room]).await;
        let events: Vec<Value> = lines
            .lines()
            .map(|line| serde_json::from_str(line).expect("the reader writes JSON"))
            .collect();
        let malformed = events.iter().find(|event| event["class"] == "BadEvent");
        assert!(malformed.is_none(), "a client cannot read {malformed:?}");
        events
    }

    /// The file behind an `mxc://` URI.
    pub(crate) async fn download(&self, uri: &str) -> Vec<u8> {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        let path = file.path().to_str().expect("a path of letters");
        self.run_reader(&["download", uri, path]).await;
        std::fs::read(file.path()).expect("the reader wrote it")
    }

    async fn run_reader(&self, what: &[&str]) -> String {
        let output = Command::new(python())
            .arg("-c")
            .arg(include_str!("reader.py"))
            .args([&self.base, &self.mxid, &self.token])
            .args(what)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .expect("Python runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{what:?}: {err}");
        out
    }
}
