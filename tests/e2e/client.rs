//! A Matrix user's client, in plain HTTP: what a person sees of the bridge.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// How long anything may take that a person waits for; generous, because the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// An HTTP client that trusts no proxy of the environment.
pub(crate) fn http() -> reqwest::Client {
    // A second installation in the same process is refused, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_mins(1))
        .build()
        .expect("an HTTP client")
}

/// What a client learnt from `/sync`.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    timelines: HashMap<String, Vec<Value>>,
    invites: HashMap<String, Vec<Value>>,
    reads: HashMap<String, HashSet<(String, String)>>,
    writers: HashMap<String, Vec<String>>,
    presences: HashMap<String, String>,
}

impl Seen {
    /// The events of a room that came by `/sync`, oldest first.
    pub(crate) fn timeline(&self, room: &str) -> &[Value] {
        self.timelines.get(room).map_or(&[], Vec::as_slice)
    }

    /// The room in which a text was written.
    pub(crate) fn room_with(&self, text: &str) -> Option<String> {
        let is_it = |event: &Value| event["content"]["body"] == text;
        let mut rooms = self.timelines.iter();
        let found = rooms.find(|(_, timeline)| timeline.iter().any(is_it));
        found.map(|(room, _)| room.clone())
    }

    /// Every invitation to a room that is no space, as room and inviter.
    pub(crate) fn invitations(&self) -> Vec<(String, String)> {
        let inviter = |state: &Vec<Value>| {
            state
                .iter()
                .find(|event| event["content"]["membership"] == "invite")
                .and_then(|event| event["sender"].as_str().map(str::to_owned))
        };
        self.invites
            .iter()
            .filter(|(_, state)| !is_space(state.as_slice()))
            .filter_map(|(room, state)| Some((room.clone(), inviter(state)?)))
            .collect()
    }

    /// The space somebody invited to.
    pub(crate) fn invitation_to_space(&self) -> Option<String> {
        let mut rooms = self.invites.iter();
        rooms
            .find(|(_, state)| is_space(state.as_slice()))
            .map(|(room, _)| room.clone())
    }

    /// The room of a name that somebody invited to.
    pub(crate) fn invitation_to(&self, name: &str, inviter: &str) -> Option<String> {
        let mut rooms = self.invitations().into_iter();
        let invited = rooms.find(|(room, by)| {
            let mut state = self.invites[room].iter();
            by == inviter && state.any(|event| event["content"]["name"] == name)
        });
        invited.map(|(room, _)| room)
    }

    /// Whether a user has read up to an event.
    pub(crate) fn has_read(&self, room: &str, event: &str, user: &str) -> bool {
        let key = (event.to_owned(), user.to_owned());
        self.reads
            .get(room)
            .is_some_and(|reads| reads.contains(&key))
    }

    /// Whether a user writes in a room.
    pub(crate) fn is_writing(&self, room: &str, user: &str) -> bool {
        self.writers
            .get(room)
            .is_some_and(|writers| writers.iter().any(|writer| writer == user))
    }

    /// Whether a user is online, away or neither, as told last.
    pub(crate) fn presence(&self, user: &str) -> Option<&str> {
        self.presences.get(user).map(String::as_str)
    }

    /// A message of a room as clients show it: what its newest edit says, else what it says itself.
    pub(crate) fn shown(&self, room: &str, event: &str) -> Option<&Value> {
        let timeline = self.timeline(room);
        let edit = timeline.iter().rev().find(|e| {
            let relation = &e["content"]["m.relates_to"];
            relation["rel_type"] == "m.replace" && relation["event_id"] == event
        });
        edit.map(|edit| &edit["content"]["m.new_content"])
            .or_else(|| {
                let original = timeline.iter().find(|e| e["event_id"] == event);
                original.map(|original| &original["content"])
            })
    }

    /// Whether an event of a room was deleted.
    pub(crate) fn is_redacted(&self, room: &str, event: &str) -> bool {
        self.timeline(room).iter().any(|e| {
            e["type"] == "m.room.redaction"
                && (e["redacts"] == event || e["content"]["redacts"] == event)
        })
    }

    fn take(&mut self, answer: &Value) {
        for event in list(&answer["presence"]["events"]) {
            if let (Some(user), Some(presence)) = (
                event["sender"].as_str(),
                event["content"]["presence"].as_str(),
            ) {
                self.presences.insert(user.to_owned(), presence.to_owned());
            }
        }
        for (room, joined) in fields(&answer["rooms"]["join"]) {
            self.invites.remove(room);
            let timeline = self.timelines.entry(room.clone()).or_default();
            for part in ["state", "timeline"] {
                timeline.extend(list(&joined[part]["events"]).cloned());
            }
            for event in list(&joined["ephemeral"]["events"]) {
                if event["type"] == "m.typing" {
                    let writers = list(&event["content"]["user_ids"]);
                    let writers = writers.filter_map(|user| user.as_str().map(str::to_owned));
                    self.writers.insert(room.clone(), writers.collect());
                }
                if event["type"] != "m.receipt" {
                    continue;
                }
                for (id, kinds) in fields(&event["content"]) {
                    for (user, _) in fields(&kinds["m.read"]) {
                        let reads = self.reads.entry(room.clone()).or_default();
                        reads.insert((id.clone(), user.clone()));
                    }
                }
            }
        }
        for (room, invited) in fields(&answer["rooms"]["invite"]) {
            let state = list(&invited["invite_state"]["events"]).cloned().collect();
            self.invites.insert(room.clone(), state);
        }
    }
}

/// Whether the state that comes with an invitation is a space's.
fn is_space(state: &[Value]) -> bool {
    let mut events = state.iter();
    events.any(|e| e["type"] == "m.room.create" && e["content"]["type"] == "m.space")
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn fields(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// A Matrix user with a client.
/// Every user's password.
pub(crate) const PASSWORD: &str = "correct horse";

pub(crate) struct User {
    http: reqwest::Client,
    /// The homeserver's address.
    pub(crate) base: String,
    /// What it knows the user by.
    pub(crate) token: String,
    /// Who it is, such as `@alice:drawbridge.test`.
    pub(crate) mxid: String,
    since: Option<String>,
    next_txn: u64,
    /// What `/sync` brought so far.
    pub(crate) seen: Seen,
}

impl User {
    /// Registers a user and logs in.
    pub(crate) async fn register(base: &str, name: &str) -> Self {
        let mut user = Self {
            http: http(),
            base: base.to_owned(),
            token: String::new(),
            mxid: String::new(),
            since: None,
            next_txn: 0,
            seen: Seen::default(),
        };
        let body =
            json!({"username": name, "password": PASSWORD, "auth": {"type": "m.login.dummy"}});
        let answer = user.post("v3/register", &body).await;
        answer["access_token"]
            .as_str()
            .expect("a token")
            .clone_into(&mut user.token);
        answer["user_id"]
            .as_str()
            .expect("a user id")
            .clone_into(&mut user.mxid);
        user
    }

    /// Asks the client API anything; the answer's status and body.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> (StatusCode, Value) {
        let mut request = self
            .http
            .request(method, format!("{}/_matrix/client/{path}", self.base));
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.expect("the homeserver answers");
        let status = answer.status();
        (status, answer.json().await.unwrap_or(Value::Null))
    }

    /// The same, where the answer must be a success; its body.
    pub(crate) async fn demand(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let (status, answer) = self.ask(method, path, body).await;
        assert!(status.is_success(), "{path}: {status} {answer}");
        answer
    }

    /// Posts, where the answer must be a success; its body.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Value {
        self.demand(Method::POST, path, Some(body)).await
    }

    /// Makes a room.
    pub(crate) async fn create_room(&self, body: Value) -> String {
        let answer = self.post("v3/createRoom", &body).await;
        answer["room_id"].as_str().expect("a room id").to_owned()
    }

    /// Makes a direct chat with somebody, as clients do.
    pub(crate) async fn direct_chat(&self, with: &str) -> String {
        let body = json!({"preset": "trusted_private_chat", "is_direct": true, "invite": [with]});
        self.create_room(body).await
    }

    /// Joins a room.
    pub(crate) async fn join(&self, room: &str) {
        self.post(&format!("v3/join/{}", encode(room)), &json!({}))
            .await;
    }

    /// Sends any event; its id.
    pub(crate) async fn send(&mut self, room: &str, kind: &str, content: &Value) -> String {
        self.next_txn += 1;
        let path = format!("v3/rooms/{}/send/{kind}/t{}", encode(room), self.next_txn);
        let answer = self.demand(Method::PUT, &path, Some(content)).await;
        answer["event_id"].as_str().expect("an event id").to_owned()
    }

    /// Sends a text; its event id.
    pub(crate) async fn say(&mut self, room: &str, text: &str) -> String {
        let content = json!({"msgtype": "m.text", "body": text});
        self.send(room, "m.room.message", &content).await
    }

    /// Uploads a file; its `mxc://` URI.
    pub(crate) async fn upload(&self, mime_type: &str, bytes: Vec<u8>) -> String {
        let request = self
            .http
            .post(format!("{}/_matrix/media/v3/upload", self.base))
            .bearer_auth(&self.token)
            .header("content-type", mime_type)
            .body(bytes);
        let answer = request.send().await.expect("the homeserver answers");
        let answer: Value = answer.json().await.expect("JSON");
        let uri = answer["content_uri"].as_str();
        uri.unwrap_or_else(|| panic!("no upload: {answer}"))
            .to_owned()
    }

    /// Deletes an event.
    pub(crate) async fn redact(&mut self, room: &str, event: &str) {
        self.next_txn += 1;
        let (room, event) = (encode(room), encode(event));
        let path = format!("v3/rooms/{room}/redact/{event}/t{}", self.next_txn);
        self.demand(Method::PUT, &path, Some(&json!({}))).await;
    }

    /// Answers an event with a text, as clients do (spec 1.13: without a fallback).
    pub(crate) async fn reply(&mut self, room: &str, to: &str, text: &str) -> String {
        let content = json!({"msgtype": "m.text", "body": text, "m.relates_to": {"m.in_reply_to": {"event_id": to}}});
        self.send(room, "m.room.message", &content).await
    }

    /// Marks an event as read.
    pub(crate) async fn read(&self, room: &str, event: &str) {
        let path = format!("v3/rooms/{}/receipt/m.read/{}", encode(room), encode(event));
        self.post(&path, &json!({})).await;
    }

    /// A piece of a room's state.
    pub(crate) async fn state(&self, room: &str, kind: &str, key: &str) -> Option<Value> {
        let path = format!("v3/rooms/{}/state/{kind}/{}", encode(room), encode(key));
        let (status, answer) = self.ask(Method::GET, &path, None).await;
        status.is_success().then_some(answer)
    }

    /// The members of a room and their membership.
    pub(crate) async fn members(&self, room: &str) -> HashMap<String, String> {
        let path = format!("v3/rooms/{}/members", encode(room));
        let answer = self.demand(Method::GET, &path, None).await;
        list(&answer["chunk"])
            .filter_map(|event| {
                let membership = event["content"]["membership"].as_str()?;
                Some((
                    event["state_key"].as_str()?.to_owned(),
                    membership.to_owned(),
                ))
            })
            .collect()
    }

    /// A user's display name.
    pub(crate) async fn display_name(&self, user: &str) -> Option<String> {
        let path = format!("v3/profile/{}/displayname", encode(user));
        let (_, answer) = self.ask(Method::GET, &path, None).await;
        answer["displayname"].as_str().map(str::to_owned)
    }

    /// Every event of a room, oldest first, asked for afresh.
    pub(crate) async fn history(&self, room: &str) -> Vec<Value> {
        let mut events = Vec::new();
        let mut from = String::new();
        loop {
            let path = format!("v3/rooms/{}/messages?dir=b&limit=500{from}", encode(room));
            let answer = self.demand(Method::GET, &path, None).await;
            events.extend(list(&answer["chunk"]).cloned());
            match answer["end"].as_str() {
                Some(end) => from = format!("&from={}", encode(end)),
                None => break,
            }
        }
        events.reverse();
        events
    }

    /// The bodies of the messages one user sent to a room, oldest first.
    pub(crate) async fn bodies(&self, room: &str, sender: &str) -> Vec<String> {
        self.history(room)
            .await
            .iter()
            .filter(|event| event["type"] == "m.room.message" && event["sender"] == sender)
            .filter_map(|event| event["content"]["body"].as_str().map(str::to_owned))
            .collect()
    }

    /// Follows `/sync` until what was seen has the answer.
    ///
    /// # Panics
    /// When it has none in time, saying what was waited for and what was seen.
    pub(crate) async fn watch<T>(
        &mut self,
        what: &str,
        mut look: impl FnMut(&Seen) -> Option<T>,
    ) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(answer) = look(&self.seen) {
                return answer;
            }
            assert!(
                Instant::now() < deadline,
                "{} waited for {what} in vain; seen: {:?}",
                self.mxid,
                self.seen
            );
            let since = self.since.as_ref().map(|s| format!("&since={}", encode(s)));
            let filter = encode(r#"{"room":{"timeline":{"limit":1000}}}"#);
            let path = format!(
                "v3/sync?timeout=1000&set_presence=offline&filter={filter}{}",
                since.unwrap_or_default()
            );
            let answer = self.demand(Method::GET, &path, None).await;
            self.since = answer["next_batch"].as_str().map(str::to_owned);
            self.seen.take(&answer);
        }
    }

    /// Waits for a message in a room whose body satisfies a condition; the event.
    pub(crate) async fn hear(
        &mut self,
        room: &str,
        sender: &str,
        matches: impl Fn(&str) -> bool,
    ) -> Value {
        let what = format!("a message of {sender} in {room}");
        self.watch(&what, |seen| {
            let body = |event: &Value| event["content"]["body"].as_str().is_some_and(&matches);
            seen.timeline(room)
                .iter()
                .find(|e| e["type"] == "m.room.message" && e["sender"] == sender && body(e))
                .cloned()
        })
        .await
    }
}

/// Percent-encodes a path or query segment.
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            use std::fmt::Write;
            write!(out, "%{byte:02X}").expect("a string takes everything");
        }
    }
    out
}
