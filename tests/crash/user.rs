//! What a Matrix user does in a room, as an ordinary client does it.

use drawbridge::domain::MediaKind;
use serde_json::{Value, json};

use super::{
    files::MadeUp,
    ledger::{Kind, Way, Written, has_caption, number_in},
    support::{
        homeserver::Homeserver,
        stage::{Stage, USER},
    },
    view,
};

/// The options of every poll, with their ids in the Matrix user's.
pub(crate) const OPTIONS: [(&str, &str); 3] = [("y", "yes"), ("n", "no"), ("m", "maybe")];

/// How many of a room's events are looked through for something to answer.
const LATEST: usize = 60;

/// The user in a room.
pub(crate) struct User<'a> {
    stage: &'a Stage,
    homeserver: &'a Homeserver,
    room: String,
    mxid: &'static str,
}

impl<'a> User<'a> {
    /// The user in a chat's room; `None` if it has none yet.
    pub(crate) fn of(stage: &'a Stage, chat: usize) -> Option<Self> {
        Some(Self {
            stage,
            homeserver: &stage.homeserver,
            room: stage.chats[chat].room()?,
            mxid: USER,
        })
    }

    /// The user in a room.
    pub(crate) fn in_room(stage: &'a Stage, room: &str) -> Self {
        Self::of_room(stage, room, USER)
    }

    /// Somebody in a room.
    pub(crate) fn of_room(stage: &'a Stage, room: &str, mxid: &'static str) -> Self {
        Self {
            stage,
            homeserver: &stage.homeserver,
            room: room.to_owned(),
            mxid,
        }
    }

    fn send(&self, kind: &str, content: Value) -> String {
        self.stage.say_in(&self.room, self.mxid, kind, content)
    }

    /// The latest numbered messages of the contact's that the room shows.
    pub(crate) fn seen(&self, prefix: &str) -> Vec<(usize, String)> {
        let world = self.homeserver.world();
        view::latest(&world, &self.room, LATEST)
            .into_iter()
            .filter_map(|shown| Some((number_in(&shown.text, prefix)?, shown.id)))
            .collect()
    }

    /// Writes a text, as an answer to an event if one is given.
    pub(crate) fn say(&self, text: &str, answers: Option<&str>) -> String {
        let mut content = json!({ "msgtype": "m.text", "body": text });
        if let Some(event_id) = answers {
            content["m.relates_to"] = json!({ "m.in_reply_to": { "event_id": event_id } });
        }
        self.send("m.room.message", content)
    }

    /// Sends a file; its event and what that says.
    pub(crate) fn send_file(&self, file: MadeUp, caption: &str) -> (String, Value) {
        let (name, mime_type, size) = (file.name(), file.mime_type(), file.bytes.len());
        let kind = file.kind;
        let url = self.homeserver.upload(file.bytes);
        let mut content = json!({
            "body": name, "filename": name, "url": url,
            "info": { "mimetype": mime_type, "size": size },
        });
        if has_caption(kind) {
            content["body"] = json!(caption);
        }
        let event_type = match kind {
            MediaKind::Sticker => "m.sticker",
            _ => "m.room.message",
        };
        match kind {
            MediaKind::Image => content["msgtype"] = json!("m.image"),
            MediaKind::Voice => {
                content["msgtype"] = json!("m.audio");
                content["org.matrix.msc3245.voice"] = json!({});
            }
            MediaKind::Sticker => {}
            _ => content["msgtype"] = json!("m.file"),
        }
        (self.send(event_type, content.clone()), content)
    }

    /// Sends a place.
    pub(crate) fn send_location(&self, name: &str, at: (f64, f64)) -> String {
        let uri = format!("geo:{},{}", at.0, at.1);
        self.send(
            "m.room.message",
            json!({
                "msgtype": "m.location", "body": name, "geo_uri": uri,
                "org.matrix.msc3488.location": { "uri": uri, "description": name },
            }),
        )
    }

    /// Asks in a poll.
    pub(crate) fn ask(&self, question: &str) -> String {
        let answers: Vec<Value> = OPTIONS
            .iter()
            .map(|(id, text)| json!({ "id": id, "org.matrix.msc1767.text": text }))
            .collect();
        let poll = json!({
            "kind": "org.matrix.msc3381.poll.disclosed", "max_selections": 1,
            "question": { "org.matrix.msc1767.text": question }, "answers": answers,
        });
        self.send(
            "org.matrix.msc3381.poll.start",
            json!({ "org.matrix.msc3381.poll.start": poll, "org.matrix.msc1767.text": question }),
        )
    }

    /// Votes in a poll, the user's own or the contact's.
    pub(crate) fn vote(&self, poll: &str, way: Way, option: usize) -> String {
        // The bridge numbers the options of a contact's poll.
        let id = match way {
            Way::Out => OPTIONS[option].0.to_owned(),
            Way::In => option.to_string(),
        };
        self.send(
            "org.matrix.msc3381.poll.response",
            json!({
                "org.matrix.msc3381.poll.response": { "answers": [id] },
                "m.relates_to": { "rel_type": "m.reference", "event_id": poll },
            }),
        )
    }

    /// Gives one of the user's messages another text.
    pub(crate) fn edit(&self, written: &Written, text: &str) -> String {
        let new = match written.kind {
            Kind::File(_) => {
                let mut content = written.content.clone();
                content["body"] = json!(text);
                content
            }
            _ => json!({ "msgtype": "m.text", "body": text }),
        };
        let mut content = new.clone();
        content["body"] = json!(format!("* {text}"));
        content["m.new_content"] = new;
        content["m.relates_to"] = json!({ "rel_type": "m.replace", "event_id": written.id });
        self.send("m.room.message", content)
    }

    /// Reacts to a message.
    pub(crate) fn react(&self, event_id: &str, emoji: &str) -> String {
        let relation = json!({ "rel_type": "m.annotation", "event_id": event_id, "key": emoji });
        self.send("m.reaction", json!({ "m.relates_to": relation }))
    }

    /// Deletes an event.
    pub(crate) fn redact(&self, event_id: &str) {
        self.homeserver.redact(&self.room, self.mxid, event_id);
    }

    /// Lets messages of the room disappear.
    pub(crate) fn set_timer(&self, seconds: u32) {
        let content = json!({ "type": "after_send", "timer": u64::from(seconds) * 1000 });
        let kind = "com.beeper.disappearing_timer";
        let mut world = self.homeserver.world();
        world.append(&self.room, USER, kind, Some(""), content, None);
    }

    /// Writes, or stops writing.
    pub(crate) fn typing(&self, writes: bool) {
        let users: &[&str] = if writes { &[USER] } else { &[] };
        self.homeserver.typing(&self.room, users);
    }

    /// Reads up to the newest message, or change of one.
    pub(crate) fn read(&self) {
        let newest = self.homeserver.world().rooms[&self.room]
            .shown()
            .into_iter()
            .rev()
            .find(|event| view::is_shown(event) && event["sender"] != USER)
            .and_then(|event| event["event_id"].as_str().map(str::to_owned));
        if let Some(event_id) = newest {
            self.homeserver.receipt(&self.room, USER, &event_id);
        }
    }
}
