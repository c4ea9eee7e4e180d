//! Drives a Matrix client that encrypts: a program of its own, asked in lines of JSON (`protocol.md`).

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::watch,
    time::timeout,
};

/// How long an answer or an event may take; generous, because the machine may be busy.
const PATIENCE: Duration = Duration::from_mins(1);

/// By which library a client encrypts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Library {
    /// matrix-nio, with libolm.
    Nio,
    /// matrix-js-sdk, with its Rust cryptography.
    Js,
}

/// What a client shows of an event of a room.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Shown {
    pub(crate) room: String,
    pub(crate) sender: String,
    pub(crate) event_id: String,
    /// The type within, or `m.room.encrypted` if that is not known.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// The content within, or the ciphertext's.
    pub(crate) content: Value,
    pub(crate) encrypted: bool,
    /// The Megolm session of an encrypted event.
    pub(crate) session: Option<String>,
    /// `ok`, or the warning beside a decrypted message.
    pub(crate) verified: Option<String>,
    /// Why it could not be decrypted.
    pub(crate) error: Option<String>,
    pub(crate) state_key: Option<String>,
    /// Which event a redaction deletes.
    pub(crate) redacts: Option<String>,
}

impl Shown {
    /// The text of a message.
    pub(crate) fn body(&self) -> &str {
        self.content["body"].as_str().unwrap_or_default()
    }
}

/// What a client tells unasked.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Told {
    /// An event of a room's timeline; again when more is known of it.
    Message(Shown),
    /// A piece of state in a room's timeline.
    State(Shown),
    /// Somebody invited the user.
    Invite { room: String, sender: String },
    /// Somebody has read up to an event.
    Receipt {
        room: String,
        sender: String,
        event_id: String,
    },
    /// Who is writing.
    Typing { room: String, users: Vec<String> },
    /// The key of a session came, from who encrypts with it or forwarded.
    Key {
        room: String,
        sender: String,
        session: String,
        forwarded: bool,
    },
    /// Another device asks for a key.
    KeyRequest {
        room: String,
        sender: String,
        session: String,
    },
}

/// A device of a user, as a client sees it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Device {
    #[serde(rename = "device")]
    pub(crate) id: String,
    pub(crate) verified: bool,
    /// Whether the user's cross-signing keys have signed it; nio does not know.
    #[serde(default)]
    pub(crate) signed_by_owner: bool,
}

/// A file to send.
pub(crate) struct Attachment<'a> {
    /// `image`, `file`, `audio` or `video`.
    pub(crate) kind: &'a str,
    pub(crate) mime_type: &'a str,
    pub(crate) name: &'a str,
    pub(crate) bytes: &'a [u8],
    /// A JPEG.
    pub(crate) thumbnail: Option<&'a [u8]>,
    /// What the message says of it besides.
    pub(crate) info: Value,
}

#[derive(Debug, Default)]
struct Heard {
    answers: HashMap<u64, Result<Value, String>>,
    told: Vec<Told>,
}

/// A client, running, with what it told.
pub(crate) struct EncryptingClient {
    /// Who it is, such as `@alice:drawbridge.test`.
    pub(crate) mxid: String,
    /// Its device's id.
    pub(crate) device: String,
    /// By which library it encrypts.
    pub(crate) library: Library,
    folder: PathBuf,
    stdin: ChildStdin,
    heard: watch::Receiver<Heard>,
    next_id: u64,
    // Killed when it is dropped.
    _process: Child,
}

impl EncryptingClient {
    /// Starts a client and logs a user in on a new device; `folder` is the client's own.
    pub(crate) async fn login(
        library: Library,
        folder: &Path,
        base: &str,
        user: &str,
        password: &str,
    ) -> Self {
        fs::create_dir_all(folder).expect("a folder for the client");
        let log = fs::File::create(folder.join("client.log")).expect("a log file");
        let mut process = command(library)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .expect("the client starts");
        let (told, heard) = watch::channel(Heard::default());
        let stdout = process.stdout.take().expect("it was asked for");
        tokio::spawn(listen(stdout, told));
        let mut client = Self {
            mxid: String::new(),
            device: String::new(),
            library,
            folder: folder.to_owned(),
            stdin: process.stdin.take().expect("it was asked for"),
            heard,
            next_id: 0,
            _process: process,
        };
        let store = folder.join("store");
        let body = json!({"base": base, "user": user, "password": password, "store": store});
        let answer = client.demand("login", body).await;
        client.mxid = text(&answer, "user");
        client.device = text(&answer, "device");
        client
    }

    /// Asks the client anything of `protocol.md`; its answer, or what it says went wrong.
    pub(crate) async fn ask(&mut self, request: &str, mut with: Value) -> Result<Value, String> {
        self.next_id += 1;
        let id = self.next_id;
        with["id"] = json!(id);
        with["do"] = json!(request);
        let line = format!("{with}\n");
        let written = self.stdin.write_all(line.as_bytes()).await;
        assert!(written.is_ok(), "{request}: {} has ended", self.place());
        let what = format!("an answer to {request}");
        self.watch(&what, |heard| heard.answers.get(&id).cloned())
            .await
    }

    /// The same, where the answer must be a success.
    pub(crate) async fn demand(&mut self, request: &str, with: Value) -> Value {
        let answer = self.ask(request, with).await;
        answer.unwrap_or_else(|error| panic!("{}: {error}", self.place()))
    }

    /// Waits until what the client told has an answer.
    ///
    /// # Panics
    /// When it has none in time, saying what was waited for and what was told.
    async fn watch<T>(&self, what: &str, mut look: impl FnMut(&Heard) -> Option<T>) -> T {
        let mut heard = self.heard.clone();
        let mut found = None;
        let waited = timeout(
            PATIENCE,
            heard.wait_for(|heard| {
                found = look(heard);
                found.is_some()
            }),
        )
        .await;
        let ended = matches!(waited, Ok(Err(_)));
        drop(waited);
        found.unwrap_or_else(|| {
            let why = if ended { "it has ended" } else { "in vain" };
            let heard = self.heard.borrow();
            let latest = &heard.told[heard.told.len().saturating_sub(12)..];
            panic!(
                "{} waited for {what}: {why}; told last: {latest:#?}",
                self.place()
            )
        })
    }

    /// Waits for something the client told, now or earlier.
    pub(crate) async fn told<T>(&self, what: &str, look: impl Fn(&Told) -> Option<T>) -> T {
        self.watch(what, |heard| heard.told.iter().find_map(&look))
            .await
    }

    /// Waits for an event of a room of which a condition holds.
    pub(crate) async fn shown(
        &self,
        what: &str,
        room: &str,
        holds: impl Fn(&Shown) -> bool,
    ) -> Shown {
        self.told(what, |told| match told {
            Told::Message(shown) | Told::State(shown) if shown.room == room && holds(shown) => {
                Some(shown.clone())
            }
            _ => None,
        })
        .await
    }

    /// Waits for a message of a room by its text.
    pub(crate) async fn hear(&self, room: &str, sender: &str, body: &str) -> Shown {
        let what = format!("{body:?} of {sender}");
        self.shown(&what, room, |shown| {
            shown.kind == "m.room.message" && shown.sender == sender && shown.body() == body
        })
        .await
    }

    /// Waits for an event that cannot be decrypted.
    pub(crate) async fn fail_to_read(&self, room: &str, event: &str) -> Shown {
        let what = format!("{event} without its key");
        self.shown(&what, room, |shown| {
            shown.event_id == event && shown.error.is_some()
        })
        .await
    }

    /// Waits for an invitation by somebody; its room.
    pub(crate) async fn invited_by(&self, inviter: &str) -> String {
        let what = format!("an invitation by {inviter}");
        self.told(&what, |told| match told {
            Told::Invite { room, sender } if sender == inviter => Some(room.clone()),
            _ => None,
        })
        .await
    }

    /// Makes a direct chat with somebody, as clients do.
    pub(crate) async fn direct_chat(&mut self, with: &str, encrypted: bool) -> String {
        let body = json!({"direct": true, "encrypted": encrypted, "invite": [with]});
        text(&self.demand("create", body).await, "room")
    }

    /// Joins a room.
    pub(crate) async fn join(&mut self, room: &str) {
        self.demand("join", json!({"room": room})).await;
    }

    /// Sends a text; its event id.
    pub(crate) async fn say(&mut self, room: &str, body: &str) -> String {
        self.sends("say", json!({"room": room, "text": body})).await
    }

    /// Answers an event with a text.
    pub(crate) async fn reply(&mut self, room: &str, to: &str, body: &str) -> String {
        let with = json!({"room": room, "text": body, "reply_to": to});
        self.sends("say", with).await
    }

    /// Changes a text.
    pub(crate) async fn edit(&mut self, room: &str, event: &str, body: &str) -> String {
        let with = json!({"room": room, "event": event, "text": body});
        self.sends("edit", with).await
    }

    /// Reacts to an event.
    pub(crate) async fn react(&mut self, room: &str, event: &str, key: &str) -> String {
        let with = json!({"room": room, "event": event, "key": key});
        self.sends("react", with).await
    }

    /// Deletes an event.
    pub(crate) async fn redact(&mut self, room: &str, event: &str) {
        let with = json!({"room": room, "event": event});
        self.demand("redact", with).await;
    }

    /// Sends a file, encrypted if the room is; the event's id.
    pub(crate) async fn send_file(&mut self, room: &str, file: &Attachment<'_>) -> String {
        let place = |name: &str, bytes: &[u8]| {
            let path = self.folder.join(name);
            fs::write(&path, bytes).expect("a file to send");
            path
        };
        let mut with = json!({"room": room, "kind": file.kind, "mime_type": file.mime_type,
            "name": file.name, "info": file.info, "path": place("sent", file.bytes)});
        if let Some(thumbnail) = file.thumbnail {
            with["thumbnail"] = json!(place("sent_small", thumbnail));
            with["thumbnail_type"] = json!("image/jpeg");
        }
        self.sends("send_file", with).await
    }

    /// The file of an event, or its thumbnail, decrypted; it must have been encrypted if `encrypted`.
    pub(crate) async fn download(
        &mut self,
        room: &str,
        event: &str,
        thumbnail: bool,
        encrypted: bool,
    ) -> Vec<u8> {
        let to = self.folder.join("downloaded");
        let with = json!({"room": room, "event": event, "thumbnail": thumbnail, "to": to});
        let answer = self.demand("download", with).await;
        assert_eq!(answer["encrypted"], encrypted, "{event}: {answer}");
        fs::read(to).expect("the client wrote it")
    }

    /// Every event of a room, oldest first, asked for and decrypted afresh.
    pub(crate) async fn timeline(&mut self, room: &str) -> Vec<Shown> {
        let answer = self.demand("timeline", json!({"room": room})).await;
        serde_json::from_value(answer["events"].clone()).expect("events")
    }

    /// Loses the keys of a room, or one of them; how many.
    pub(crate) async fn forget(&mut self, room: &str, session: Option<&str>) -> u64 {
        let with = json!({"room": room, "session": session});
        let answer = self.demand("forget", with).await;
        answer["keys"].as_u64().expect("a number")
    }

    /// Asks the user's other devices for the key of an event.
    pub(crate) async fn ask_for_key(&mut self, room: &str, event: &str) {
        let with = json!({"room": room, "event": event});
        self.demand("ask", with).await;
    }

    /// Encrypts the next message of a room with a new key.
    pub(crate) async fn rotate(&mut self, room: &str) {
        self.demand("rotate", json!({"room": room})).await;
    }

    /// Keeps keys from a user's devices from now on.
    pub(crate) async fn hold_keys_from(&mut self, user: &str) {
        self.demand("hold", json!({"users": [user]})).await;
    }

    /// Lets the kept keys go; how many messages there were.
    pub(crate) async fn release_keys(&mut self) -> u64 {
        let answer = self.demand("release", json!({})).await;
        answer["messages"].as_u64().expect("a number")
    }

    /// The devices of a user.
    pub(crate) async fn devices(&mut self, user: &str) -> Vec<Device> {
        let answer = self.demand("devices", json!({"user": user})).await;
        serde_json::from_value(answer["devices"].clone()).expect("devices")
    }

    /// Verifies a device by hand.
    pub(crate) async fn trust(&mut self, user: &str, device: &str) {
        let with = json!({"user": user, "device": device});
        self.demand("trust", with).await;
    }

    /// Begins anew on what it stored.
    pub(crate) async fn restart(&mut self) {
        self.demand("restart", json!({})).await;
    }

    async fn sends(&mut self, request: &str, with: Value) -> String {
        text(&self.demand(request, with).await, "event_id")
    }

    fn place(&self) -> String {
        let log = self.folder.join("client.log");
        format!("{:?} of {} ({})", self.library, self.mxid, log.display())
    }
}

fn text(answer: &Value, field: &str) -> String {
    let text = answer[field].as_str();
    text.unwrap_or_else(|| panic!("no {field} in {answer}"))
        .to_owned()
}

/// Takes what a client says until it ends.
async fn listen(stdout: ChildStdout, told: watch::Sender<Heard>) {
    let mut lines = BufReader::new(stdout).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let mut value: Value = serde_json::from_str(&line).expect("a line of JSON");
        told.send_modify(|heard| match value["id"].as_u64() {
            Some(id) => {
                let answer = match value["error"].as_str() {
                    Some(error) => Err(error.to_owned()),
                    None => Ok(value["ok"].take()),
                };
                heard.answers.insert(id, answer);
            }
            None => heard
                .told
                .push(serde_json::from_value(value).expect("an event of the protocol")),
        });
    }
}

fn command(library: Library) -> Command {
    let clients = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
    match library {
        Library::Nio => {
            let python = installed("DRAWBRIDGE_TEST_NIO", ".demo/nio-venv/bin/python").expect(
                "a matrix-nio: run scripts/test, or set DRAWBRIDGE_TEST_NIO to what scripts/lib/nio-venv prints",
            );
            let mut command = Command::new(python);
            command.arg("-B").arg(clients.join("nio/client.py"));
            command
        }
        Library::Js => {
            let packages = installed("DRAWBRIDGE_TEST_NODE", ".demo/js").expect(
                "a matrix-js-sdk: run scripts/test, or set DRAWBRIDGE_TEST_NODE to what scripts/lib/node-client prints",
            );
            let node = packages.join("bin/node");
            let mut command = Command::new(if node.exists() { node } else { "node".into() });
            command
                .env("DRAWBRIDGE_TEST_NODE", packages)
                .arg(clients.join("js/start.mjs"));
            command
        }
    }
}

/// Where something is: as a variable says, or where the scripts put it.
fn installed(variable: &str, usual: &str) -> Option<PathBuf> {
    let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join(usual);
    std::env::var_os(variable)
        .map(PathBuf::from)
        .or_else(|| usual.exists().then_some(usual))
}
