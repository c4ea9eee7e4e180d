//! Everything the homeserver knows, and how it changes.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{SERVER, devices::Devices};

/// A room.
#[derive(Debug, Default)]
pub(crate) struct Room {
    /// Every event, oldest first.
    pub(crate) events: Vec<Value>,
    /// Membership by user.
    pub(crate) members: BTreeMap<String, String>,
    /// Current state by type and key.
    pub(crate) state: HashMap<(String, String), Value>,
    /// What a user's device made of encrypted events, by their ids.
    pub(crate) opened: HashMap<String, Value>,
}

impl Room {
    /// Every event as a user's app shows it: what it could decrypt as it was said.
    pub(crate) fn shown(&self) -> Vec<&Value> {
        let shown = |event| self.as_shown(event);
        self.events.iter().map(shown).collect()
    }

    /// One of its events as a user's app shows it.
    pub(crate) fn as_shown<'e>(&'e self, event: &'e Value) -> &'e Value {
        // What was said before a redaction is gone for everybody.
        let stands = event["type"] == "m.room.encrypted"
            && event["content"]
                .as_object()
                .is_some_and(|content| !content.is_empty());
        let id = event["event_id"].as_str().filter(|_| stands);
        id.and_then(|id| self.opened.get(id)).unwrap_or(event)
    }

    /// Whether what is said in it has to be encrypted.
    pub(crate) fn is_encrypted(&self) -> bool {
        let key = ("m.room.encryption".to_owned(), String::new());
        self.state.contains_key(&key)
    }

    /// The current state, as whole events.
    pub(crate) fn whole_state(&self) -> Vec<Value> {
        let mut state: BTreeMap<(&str, &str), &Value> = BTreeMap::new();
        for event in &self.events {
            if let (Some(kind), Some(key)) = (event["type"].as_str(), event["state_key"].as_str()) {
                state.insert((kind, key), event);
            }
        }
        state.into_values().cloned().collect()
    }
}

/// An address that was made for a file.
#[derive(Debug)]
pub(crate) struct Media {
    /// Who made it.
    pub(crate) owner: String,
    /// The file, once it was uploaded.
    pub(crate) file: Option<File>,
}

/// A file.
#[derive(Debug)]
pub(crate) struct File {
    /// Its MIME type.
    pub(crate) mime_type: String,
    /// Its name.
    pub(crate) name: Option<String>,
    /// Its content.
    pub(crate) bytes: Bytes,
}

impl File {
    /// SHA-256 of its content, to compare large ones by.
    pub(crate) fn sha256(&self) -> [u8; 32] {
        Sha256::digest(&self.bytes).into()
    }
}

/// Everything the homeserver knows.
#[derive(Debug, Default)]
pub(crate) struct World {
    /// Rooms by id.
    pub(crate) rooms: BTreeMap<String, Room>,
    /// Aliases to rooms.
    pub(crate) aliases: HashMap<String, String>,
    /// Users the application service registered.
    pub(crate) registered: HashSet<String>,
    /// Who holds an `OpenID` token.
    pub(crate) openid: HashMap<String, String>,
    /// Display names.
    pub(crate) names: HashMap<String, String>,
    /// Addresses of pictures in profiles.
    pub(crate) avatars: HashMap<String, String>,
    /// Read receipts of the bridge's accounts as (room, user, event); private ones are left out.
    pub(crate) receipts: Vec<(String, String, String)>,
    /// What the bridge's accounts deleted as (room, user, event).
    pub(crate) redactions: Vec<(String, String, String)>,
    /// When the bridge's accounts began and stopped to write, as (room, user, whether they write).
    pub(crate) typed: Vec<(String, String, bool)>,
    /// Presence by user, in the specification's words.
    pub(crate) presence: BTreeMap<String, String>,
    /// Files by their addresses.
    pub(crate) media: BTreeMap<String, Media>,
    /// The largest file that is taken, in bytes; any if `None`.
    pub(crate) max_upload: Option<u64>,
    /// Who writes in each room.
    writing: BTreeMap<String, BTreeSet<String>>,
    /// What was shown to the application service and is kept nowhere: receipts, typing, presence.
    pub(super) ephemeral: Vec<Value>,
    /// Events in the order of the stream: room and index in it.
    pub(crate) stream: Vec<(String, usize)>,
    /// When each event of the stream came.
    pub(crate) times: Vec<SystemTime>,
    /// How long the application service took to take each transaction.
    pub(crate) taken: Vec<Duration>,
    /// What was answered to a transaction id, by user, device, room, type and id.
    pub(crate) sends: HashMap<String, String>,
    /// Accounts of the bridge whose joining is not answered for now.
    pub(crate) held: HashSet<String>,
    /// Requests counted by what they were.
    pub(crate) requests: BTreeMap<&'static str, usize>,
    /// The devices of all users.
    pub(crate) devices: Devices,
    serial: u64,
}

impl World {
    pub(crate) fn new_room(&mut self, creator: &str) -> String {
        self.serial += 1;
        let room_id = format!("!room{}:{SERVER}", self.serial);
        self.rooms.insert(room_id.clone(), Room::default());
        let create = json!({ "creator": creator, "room_version": "10" });
        self.append(&room_id, creator, "m.room.create", Some(""), create, None);
        self.member(&room_id, creator, creator, "join", false);
        room_id
    }

    pub(crate) fn member(
        &mut self,
        room_id: &str,
        by: &str,
        of: &str,
        membership: &str,
        is_direct: bool,
    ) {
        let mut content = json!({ "membership": membership });
        if is_direct {
            content["is_direct"] = json!(true);
        }
        if let Some(name) = self.names.get(of) {
            content["displayname"] = json!(name);
        }
        self.append(room_id, by, "m.room.member", Some(of), content, None);
    }

    pub(crate) fn append(
        &mut self,
        room_id: &str,
        sender: &str,
        kind: &str,
        state_key: Option<&str>,
        content: Value,
        ts: Option<u64>,
    ) -> String {
        self.serial += 1;
        let event_id = format!("$event{}", self.serial);
        let mut event = json!({
            "type": kind, "event_id": event_id, "room_id": room_id, "sender": sender,
            "origin_server_ts": ts.unwrap_or(1_700_000_000_000 + self.serial), "content": null, "unsigned": {},
        });
        event["content"] = content;
        let room = self.rooms.get_mut(room_id).expect("the room exists");
        if let Some(key) = state_key {
            event["state_key"] = json!(key);
            room.state
                .insert((kind.to_owned(), key.to_owned()), event["content"].clone());
            if kind == "m.room.member" {
                let membership = event["content"]["membership"].as_str().unwrap_or_default();
                room.members.insert(key.to_owned(), membership.to_owned());
            }
        }
        room.events.push(event);
        let index = room.events.len() - 1;
        self.stream.push((room_id.to_owned(), index));
        self.times.push(SystemTime::now());
        event_id
    }

    /// Deletes what an event says: in its place, and by an event that tells.
    pub(crate) fn redact(
        &mut self,
        room_id: &str,
        sender: &str,
        target: &str,
        reason: Option<&str>,
    ) -> String {
        let mut content = json!({ "redacts": target });
        if let Some(reason) = reason {
            content["reason"] = json!(reason);
        }
        let event_id = self.append(room_id, sender, "m.room.redaction", None, content, None);
        let room = self.rooms.get_mut(room_id).expect("the room exists");
        let redaction = room.events.last_mut().expect("it was appended");
        redaction["redacts"] = json!(target);
        let redaction = redaction.clone();
        if let Some(event) = room
            .events
            .iter_mut()
            .find(|event| event["event_id"] == target)
        {
            // Of the kinds a bridge deletes, nothing stays; a membership has to.
            event["content"] = match event["content"].get("membership") {
                Some(membership) => json!({ "membership": membership }),
                None => json!({}),
            };
            event["unsigned"] = json!({ "redacted_because": redaction });
        }
        event_id
    }

    /// An address for a file of a user.
    pub(crate) fn create_media(&mut self, owner: &str) -> String {
        self.serial += 1;
        let uri = format!("mxc://{SERVER}/media{}", self.serial);
        let owner = owner.to_owned();
        self.media.insert(uri.clone(), Media { owner, file: None });
        uri
    }

    /// A file a user uploads.
    pub(crate) fn upload(&mut self, bytes: Bytes) -> String {
        let uri = self.create_media("@somebody:test.example");
        let media = self.media.get_mut(&uri).expect("it was made");
        media.file = Some(File {
            mime_type: "application/octet-stream".to_owned(),
            name: None,
            bytes,
        });
        uri
    }

    /// These users write in a room; everybody is told.
    pub(crate) fn set_typing(&mut self, room_id: &str, users: &[&str]) {
        let now = users.iter().map(|user| (*user).to_owned()).collect();
        self.writing.insert(room_id.to_owned(), now);
        self.show_typing(room_id);
    }

    /// One user begins to write in a room or stops; everybody is told.
    pub(crate) fn type_in(&mut self, room_id: &str, user: &str, writes: bool) {
        let writing = self.writing.entry(room_id.to_owned()).or_default();
        if writes {
            writing.insert(user.to_owned());
        } else {
            writing.remove(user);
        }
        self.show_typing(room_id);
    }

    fn show_typing(&mut self, room_id: &str) {
        let users = &self.writing[room_id];
        let event =
            json!({ "type": "m.typing", "room_id": room_id, "content": { "user_ids": users } });
        self.ephemeral.push(event);
    }

    /// Everybody is told that a user read up to an event.
    pub(crate) fn show_receipt(&mut self, room_id: &str, user: &str, event_id: &str) {
        self.serial += 1;
        let read = json!({ user: { "ts": 1_700_000_000_000 + self.serial } });
        let content = json!({ event_id: { "m.read": read } });
        let event = json!({ "type": "m.receipt", "room_id": room_id, "content": content });
        self.ephemeral.push(event);
    }

    /// A user's presence; everybody is told.
    pub(crate) fn set_presence(&mut self, user: &str, state: &str) {
        self.presence.insert(user.to_owned(), state.to_owned());
        let content = json!({ "presence": state, "currently_active": state == "online" });
        let event = json!({ "type": "m.presence", "sender": user, "content": content });
        self.ephemeral.push(event);
    }

    /// An event of a room.
    pub(crate) fn event(&self, room_id: &str, event_id: &str) -> Option<&Value> {
        let events = &self.rooms.get(room_id)?.events;
        events.iter().find(|event| event["event_id"] == event_id)
    }

    /// What a user deleted in a room, oldest first.
    pub(crate) fn redactions_of(&self, room_id: &str, user: &str) -> Vec<&str> {
        third(&self.redactions, room_id, user)
    }

    /// The events up to which a user read a room, oldest first.
    pub(crate) fn receipts_of(&self, room_id: &str, user: &str) -> Vec<&str> {
        third(&self.receipts, room_id, user)
    }

    /// Whether a user writes in a room just now.
    pub(crate) fn is_typing(&self, room_id: &str, user: &str) -> bool {
        let writing = self.writing.get(room_id);
        writing.is_some_and(|users| users.contains(user))
    }

    /// The texts of a room's messages by somebody, in order, the sender's id with them.
    pub(crate) fn messages(&self, room_id: &str) -> Vec<(String, Value)> {
        self.rooms
            .get(room_id)
            .into_iter()
            .flat_map(Room::shown)
            .filter(|event| event["type"] == "m.room.message")
            .map(|event| {
                (
                    event["sender"].as_str().unwrap_or_default().to_owned(),
                    event["content"].clone(),
                )
            })
            .collect()
    }
}

/// The events that stand with a room and a user.
fn third<'a>(all: &'a [(String, String, String)], room_id: &str, user: &str) -> Vec<&'a str> {
    all.iter()
        .filter(|(room, of, _)| room == room_id && of == user)
        .map(|(_, _, event)| event.as_str())
        .collect()
}
