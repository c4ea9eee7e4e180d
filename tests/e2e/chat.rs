//! A chat that is open on both sides: a user at a Matrix client, a contact with a phone.

use drawbridge::sandbox::Flavour;
use serde_json::{Value, json};

use super::{
    client::User,
    contact::Contact,
    management::{Desk, ghost_of},
    world::{World, merge},
};

/// A user with an open chat.
pub(crate) struct Chat {
    pub(crate) alice: User,
    pub(crate) desk: Desk,
    pub(crate) contact: Contact,
    pub(crate) room: String,
    /// The Matrix user that stands for the contact.
    pub(crate) ghost: String,
}

impl Chat {
    /// A new user, logged in at WhatsApp, with a chat with a new contact.
    pub(crate) async fn open(world: &World) -> Self {
        Self::open_at(world, "whatsapp", Flavour::WhatsApp).await
    }

    /// The same at a gatekeeper.
    pub(crate) async fn open_at(world: &World, gatekeeper: &str, flavour: Flavour) -> Self {
        let mut alice = world.user("alice").await;
        let mut desk = Desk::open(&mut alice).await;
        desk.log_in(&mut alice, gatekeeper).await;
        let contact = Contact::of(world, &alice, flavour).await;
        let whom = format!("{gatekeeper} {}", contact.number());
        let room = desk.start_chat(&mut alice, &whom).await;
        let ghost = ghost_of(&alice, &room).await;
        Self {
            alice,
            desk,
            contact,
            room,
            ghost,
        }
    }

    /// The user writes; the event's id.
    pub(crate) async fn say(&mut self, text: &str) -> String {
        self.alice.say(&self.room, text).await
    }

    /// The user sends any message; the event's id.
    pub(crate) async fn send(&mut self, content: &Value) -> String {
        let room = &self.room;
        self.alice.send(room, "m.room.message", content).await
    }

    /// The user sends a file as a message that says more than the least about it; its event id.
    pub(crate) async fn sends_file(
        &mut self,
        msgtype: &str,
        mime: &str,
        bytes: &[u8],
        more: Value,
    ) -> String {
        let uri = self.alice.upload(mime, bytes.to_vec()).await;
        let mut content = json!({"msgtype": msgtype, "body": "file", "url": uri,
            "info": {"mimetype": mime, "size": bytes.len()}});
        merge(&mut content, &more);
        self.send(&content).await
    }

    /// The user says something else in the place of an earlier message; the edit's event id.
    pub(crate) async fn edit(&mut self, event: &str, content: &Value) -> String {
        let mut edit = content.clone();
        let body = content["body"].as_str().unwrap_or_default();
        edit["body"] = json!(format!("* {body}"));
        edit["m.new_content"] = content.clone();
        edit["m.relates_to"] = json!({"rel_type": "m.replace", "event_id": event});
        self.send(&edit).await
    }

    /// The user reacts to a message; the event's id.
    pub(crate) async fn react(&mut self, event: &str, key: &str) -> String {
        let relation = json!({"rel_type": "m.annotation", "event_id": event, "key": key});
        let content = json!({"m.relates_to": relation});
        let room = &self.room;
        self.alice.send(room, "m.reaction", &content).await
    }

    /// The user deletes an event.
    pub(crate) async fn redact(&mut self, event: &str) {
        self.alice.redact(&self.room, event).await;
    }

    /// Waits for a message of the contact's in the room by its text; its event.
    pub(crate) async fn hears(&mut self, text: &str) -> Value {
        self.alice
            .hear(&self.room, &self.ghost, |body| body == text)
            .await
    }

    /// Waits for an event of the contact's in the room.
    pub(crate) async fn finds(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let (room, ghost) = (&self.room, &self.ghost);
        let of_ghost = |event: &&Value| event["sender"] == ghost.as_str() && is_it(event);
        self.alice
            .watch(what, |seen| {
                seen.timeline(room).iter().find(of_ghost).cloned()
            })
            .await
    }

    /// Waits for a notice of the bot's in the room; its event.
    pub(crate) async fn is_told(&mut self, what: &str) -> Value {
        self.alice
            .hear(&self.room, super::world::BOT, |body| body.contains(what))
            .await
    }

    /// Waits until a message in the room is shown with a text.
    pub(crate) async fn shows(&mut self, event: &str, text: &str) {
        let room = &self.room;
        let what = format!("{event} to say {text:?}");
        self.alice
            .watch(&what, |seen| {
                (seen.shown(room, event)?["body"] == text).then_some(())
            })
            .await;
    }

    /// Waits until a message in the room is shown with something in its text.
    pub(crate) async fn shows_text(&mut self, event: &str, text: &str) {
        let room = &self.room;
        let what = format!("{event} to say something with {text:?}");
        self.alice
            .watch(&what, |seen| {
                let shown = seen.shown(room, event)?["body"].as_str()?;
                shown.contains(text).then_some(())
            })
            .await;
    }

    /// Waits for a reaction of the contact's; its event's id.
    pub(crate) async fn sees_reaction(&mut self, to: &str, key: &str) -> String {
        let is_it = |event: &Value| {
            let relation = &event["content"]["m.relates_to"];
            event["type"] == "m.reaction" && relation["event_id"] == to && relation["key"] == key
        };
        id_of(&self.finds(&format!("the reaction {key}"), is_it).await)
    }

    /// Waits until an event of the room is deleted.
    pub(crate) async fn loses(&mut self, event: &str) {
        let room = &self.room;
        self.alice
            .watch(&format!("{event} to be deleted"), |seen| {
                seen.is_redacted(room, event).then_some(())
            })
            .await;
    }

    /// Everything in the room that is no state, as an ordinary client library reads it.
    pub(crate) async fn room(&self) -> Vec<Value> {
        let mut events = self.alice.read_room(&self.room).await;
        events.retain(|event| event["source"]["state_key"].is_null());
        events
    }
}

/// An event of what a client library read.
///
/// # Panics
/// When it is not there.
pub(crate) fn event<'e>(events: &'e [Value], id: &str) -> &'e Value {
    events
        .iter()
        .find(|event| event["event_id"] == id)
        .unwrap_or_else(|| panic!("no event {id}"))
}

/// The id of an event.
pub(crate) fn id_of(event: &Value) -> String {
    event["event_id"].as_str().expect("an id").to_owned()
}
