//! A community: Matrix users in a public room of their own, a group of phones at WhatsApp, a contact at Messenger.

use std::time::{Duration, Instant};

use drawbridge::{
    domain::{MessageRef, RemoteUserId, StanzaId},
    matrix::GhostNaming,
    network::interop::wire::Jid,
    sandbox::{ContactHandle, Flavour, Message},
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    client::{PATIENCE, User, encode},
    contact::Contact,
    homeserver::DOMAIN,
    management::Desk,
    world::{BOT, World},
};

/// The prefix of commands in rooms.
pub(crate) const PREFIX: &str = "!drawbridge";

/// Who is there before any room is linked.
pub(crate) struct Community {
    /// The one with logins.
    pub(crate) alice: User,
    pub(crate) desk: Desk,
    /// A public room of Alice's, with the bot in it.
    pub(crate) room: String,
    /// Two phones that share the group with Alice.
    pub(crate) livia: Phone,
    pub(crate) liam: Phone,
    /// The group's address.
    pub(crate) group: String,
    /// Alice's address at WhatsApp.
    pub(crate) own: String,
}

/// A phone in the group.
pub(crate) struct Phone {
    pub(crate) handle: ContactHandle,
    pub(crate) group: String,
}

impl Community {
    /// Everybody, and Alice logged in at WhatsApp.
    pub(crate) async fn gather(world: &World) -> Self {
        let mut alice = world.user("alice").await;
        alice.call_oneself("Alice").await;
        let mut desk = Desk::open(&mut alice).await;
        desk.log_in(&mut alice, "whatsapp").await;
        let add = async |name: &str| {
            let added = world.sandbox.add_contact(Flavour::WhatsApp, name);
            added.await.expect("one more contact")
        };
        let (livia, liam) = (add("Livia Lake").await, add("Liam Lake").await);
        let own = world.sandbox.partner_login(Flavour::WhatsApp, &alice.mxid);
        let own = own.expect("the gatekeeper knows the user");
        let members = [liam.jid().clone(), own.parse::<Jid>().expect("an address")];
        let group = livia.create_group("Lake walks", &members).await;
        let group = group.expect("a group").to_string();
        let room = public_room(&mut alice).await;
        let phone = |handle| Phone {
            handle,
            group: group.clone(),
        };
        Self {
            livia: phone(livia),
            liam: phone(liam),
            alice,
            desk,
            room,
            group,
            own,
        }
    }

    /// Links the room to the group and lets Alice's login speak for the others.
    pub(crate) async fn link_group(&mut self) {
        let link = format!("bridge whatsapp {}", self.group);
        let answer = command_in(&mut self.alice, &self.room, &link).await;
        assert!(answer.contains("is linked to WhatsApp"), "{answer}");
        let answer = command_in(&mut self.alice, &self.room, "set-relay whatsapp").await;
        assert!(answer.contains("speaks in"), "{answer}");
    }

    /// Logs Alice in at Messenger, too, links the room to a contact there and lets that login speak for the others.
    pub(crate) async fn link_contact(&mut self, world: &World) -> Contact {
        self.desk.log_in(&mut self.alice, "messenger").await;
        let contact = Contact::of(world, &self.alice, Flavour::Messenger).await;
        let link = format!("bridge messenger {}", contact.number());
        let answer = command_in(&mut self.alice, &self.room, &link).await;
        assert!(answer.contains("is linked to Messenger"), "{answer}");
        let answer = command_in(&mut self.alice, &self.room, "set-relay messenger").await;
        assert!(answer.contains("speaks in"), "{answer}");
        contact
    }

    /// A new user under a name, in the room.
    pub(crate) async fn member(&self, world: &World, user: &str, name: &str) -> User {
        let user = world.user(user).await;
        user.call_oneself(name).await;
        user.join(&self.room).await;
        user
    }

    /// Waits for a message in the room; its event.
    pub(crate) async fn hears(&mut self, sender: &str, text: &str) -> Value {
        let room = &self.room;
        self.alice.hear(room, sender, |body| body == text).await
    }
}

/// A public room with the bot in it.
pub(crate) async fn public_room(user: &mut User) -> String {
    room_with_bot(user, json!({"preset": "public_chat"})).await
}

/// A room with the bot in it.
pub(crate) async fn room_with_bot(user: &mut User, mut body: Value) -> String {
    body["invite"] = json!([BOT]);
    let room = user.create_room(body).await;
    user.hear(&room, BOT, |body| body.contains("I can connect this room"))
        .await;
    room
}

/// Writes a command in a room that is no management room; the bot's answer.
pub(crate) async fn command_in(user: &mut User, room: &str, command: &str) -> String {
    let event = user.say(room, &format!("{PREFIX} {command}")).await;
    user.watch(&format!("the answer to {command}"), |seen| {
        let answers = |e: &&Value| {
            e["sender"] == BOT && e["content"]["m.relates_to"]["m.in_reply_to"]["event_id"] == event
        };
        let answer = seen.timeline(room).iter().find(answers)?;
        answer["content"]["body"].as_str().map(str::to_owned)
    })
    .await
}

/// The Matrix user that stands for somebody.
pub(crate) fn ghost(gatekeeper: &str, jid: &str) -> String {
    let naming = GhostNaming::new("_drawbridge_", DOMAIN);
    let gatekeeper = gatekeeper.to_owned().try_into().expect("an id");
    let remote = RemoteUserId::parse(jid).expect("an address");
    naming.mxid(&gatekeeper, &remote).to_string()
}

impl Phone {
    /// The address.
    pub(crate) fn jid(&self) -> String {
        self.handle.jid().to_string()
    }

    /// The Matrix user that stands for it.
    pub(crate) fn ghost(&self) -> String {
        ghost("whatsapp", &self.jid())
    }

    /// Writes to the group; the message's id.
    pub(crate) async fn says(&self, text: &str) -> String {
        let sent = self.handle.send_text(&self.group, text).await;
        sent.expect("a phone can always write")
    }

    /// Answers a message of somebody's in the group; the answer's id.
    pub(crate) async fn answers(&self, id: &str, sender: &str, text: &str) -> String {
        let quotes = MessageRef {
            id: StanzaId::parse(id).expect("an id"),
            sender: Some(RemoteUserId::parse(sender).expect("an address")),
        };
        let sent = self.handle.send_reply(&self.group, text, quotes).await;
        sent.expect("a phone can always write")
    }

    /// What others wrote in the group, as the phone shows it, oldest first.
    pub(crate) fn shows(&self) -> Vec<Message> {
        let group = self.group.parse().expect("an address");
        let mut messages = self.handle.messages(&group);
        messages.retain(|message| !message.outgoing && !message.notice && message.is_shown());
        messages
    }

    /// Waits for something the phone shows.
    pub(crate) async fn sees<T>(
        &self,
        what: &str,
        mut look: impl FnMut(&Message) -> Option<T>,
    ) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(answer) = self.shows().iter().find_map(&mut look) {
                return answer;
            }
            assert!(
                Instant::now() < deadline,
                "waited for {what} on {}'s phone in vain; it shows {:?}",
                self.handle.name(),
                self.texts()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits for a text; its message.
    pub(crate) async fn gets(&self, text: &str) -> Message {
        self.sees(&format!("{text:?}"), |message| {
            (message.text == text).then(|| message.clone())
        })
        .await
    }

    /// The texts it shows by others, without what keeps names from formatting.
    pub(crate) fn texts(&self) -> Vec<String> {
        let shown = self.shows().into_iter();
        shown
            .map(|message| message.text.replace('\u{200b}', ""))
            .collect()
    }
}

impl User {
    /// Sets the display name.
    pub(crate) async fn call_oneself(&self, name: &str) {
        let path = format!("v3/profile/{}/displayname", encode(&self.mxid));
        let body = json!({"displayname": name});
        self.demand(Method::PUT, &path, Some(&body)).await;
    }

    /// Sends a piece of state, where that must succeed.
    pub(crate) async fn set_state(&self, room: &str, kind: &str, key: &str, content: &Value) {
        let path = format!("v3/rooms/{}/state/{kind}/{}", encode(room), encode(key));
        self.demand(Method::PUT, &path, Some(content)).await;
    }

    /// Gives users power in a room of this user's.
    pub(crate) async fn give_power(&self, room: &str, users: &Value) {
        let levels = self.state(room, "m.room.power_levels", "").await;
        let mut levels = levels.expect("levels");
        for (user, level) in users.as_object().expect("users and levels") {
            levels["users"][user] = level.clone();
        }
        self.set_state(room, "m.room.power_levels", "", &levels)
            .await;
    }

    /// Bans somebody.
    pub(crate) async fn ban(&self, room: &str, user: &str) {
        let path = format!("v3/rooms/{}/ban", encode(room));
        self.post(&path, &json!({"user_id": user})).await;
    }

    /// Changes a message of anybody's, as far as the homeserver is asked.
    pub(crate) async fn edit(&mut self, room: &str, event: &str, text: &str) -> String {
        let new = json!({"msgtype": "m.text", "body": text});
        let content = json!({"msgtype": "m.text", "body": format!("* {text}"), "m.new_content": new,
            "m.relates_to": {"rel_type": "m.replace", "event_id": event}});
        self.send(room, "m.room.message", &content).await
    }

    /// Reacts to a message.
    pub(crate) async fn react(&mut self, room: &str, event: &str, key: &str) -> String {
        let content = json!({"m.relates_to":
            {"rel_type": "m.annotation", "event_id": event, "key": key}});
        self.send(room, "m.reaction", &content).await
    }
}
