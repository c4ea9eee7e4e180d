//! What a user does on a phone of their own is theirs in Matrix, and comes once.

use drawbridge::{
    domain::Typing,
    sandbox::{Flavour, Message, Received},
};
use serde_json::{Value, json};

use super::{
    client::{PATIENCE, User},
    contact::Contact,
    management::{Desk, ghost_of, room_in},
    puppets::claim,
    wait::until,
    world::{BOT, Plan, World},
};

/// A group of a user, their own phone, a friend on the other side, and another user of the bridge.
struct Scene {
    world: World,
    alice: User,
    desk: Desk,
    bob: User,
    nora: Contact,
    /// Alice's own phone.
    own: Contact,
    /// The ghost of the friend.
    ghost: String,
    group: String,
    /// The group's room.
    room: String,
    /// What Alice's phone wrote first.
    first: String,
}

impl Scene {
    async fn open() -> Self {
        let world = World::start(Plan {
            double_puppets: true,
            ..Plan::default()
        })
        .await;
        let mut alice = world.user("alice").await;
        let mut desk = Desk::open(&mut alice).await;
        desk.log_in(&mut alice, "whatsapp").await;
        let mut bob = world.user("bob").await;
        let mut his = Desk::open(&mut bob).await;
        his.log_in(&mut bob, "whatsapp").await;

        // Rooms are entered by themselves, and are direct chats to her clients.
        let nora = Contact::of(&world, &alice, Flavour::WhatsApp).await;
        let whom = format!("start-chat whatsapp {}", nora.number());
        let chat = room_in(&desk.command(&mut alice, &whom).await);
        alice.sees_member(&chat, &alice.mxid, "join").await;
        let ghost = ghost_of(&alice, &chat).await;
        until("the chat to be a direct one", PATIENCE, async || {
            let direct = alice.account_data("m.direct").await;
            let is_it = direct[&ghost].as_array()?.contains(&json!(chat));
            is_it.then_some(())
        })
        .await;

        let own = claim(&world, &mut alice, &mut desk).await;
        let login = world.sandbox.partner_login(Flavour::WhatsApp, &bob.mxid);
        let members = [nora.jid(), nora.user.clone(), login.expect("his login")];
        let members = members.map(|member| member.parse().expect("an address"));
        let group = own.phone.create_group("Gardeners", &members).await;
        let group = group.expect("a group").to_string();
        let first = says(&own, &group, "from my phone").await;
        let room = bob
            .watch("the group's message", |seen| {
                seen.room_with("from my phone")
            })
            .await;
        Self {
            world,
            alice,
            desk,
            bob,
            nora,
            own,
            ghost,
            group,
            room,
            first,
        }
    }

    /// What everybody wrote in the room, as sender and text.
    async fn written(&self) -> Vec<(String, String)> {
        let history = self.bob.history(&self.room).await;
        let text = |event: &Value| {
            let is_it = event["type"] == "m.room.message" && event["sender"] != BOT;
            let sender = event["sender"].as_str().filter(|_| is_it)?;
            let body = event["content"]["body"].as_str()?;
            Some((sender.to_owned(), body.to_owned()))
        };
        history.iter().filter_map(text).collect()
    }

    /// Everybody writes; the id of the friend's message.
    async fn everybody_writes(&mut self) -> String {
        self.alice.say(&self.room, "from Matrix").await;
        self.nora.receives("from Matrix").await;
        self.own.receives("from Matrix").await;
        self.bob.say(&self.room, "from Bob").await;
        self.own.receives("from Bob").await;
        let sent = says(&self.nora, &self.group, "from Nora").await;
        self.own.receives("from Nora").await;
        let heard = |body: &str| body == "from Nora";
        self.alice.hear(&self.room, &self.ghost, heard).await;
        sent
    }

    /// What her phone does to messages is hers; what it wrote cannot be changed from Matrix.
    async fn messages_are_changed(&mut self, of_nora: &str) -> String {
        let (own, group, room) = (&self.own.phone, &self.group, &self.room);
        let edited = own.edit(group, &self.first, "from my own phone").await;
        edited.expect("its own message");
        let reacted = own.react(group, of_nora, false, "👍").await;
        reacted.expect("a member can react");
        let me = self.alice.mxid.as_str();
        self.bob
            .watch("her reaction and edit", |seen| {
                let is_there = |kind: &str, part: &str| {
                    let mut events = seen.timeline(room).iter();
                    events.any(|event| {
                        let content = event["content"].to_string();
                        event["sender"] == me && event["type"] == kind && content.contains(part)
                    })
                };
                let both =
                    is_there("m.reaction", "👍") && is_there("m.room.message", "from my own phone");
                both.then_some(())
            })
            .await;

        let mut events = self.bob.seen.timeline(room).iter();
        let first = events.find(|event| event["content"]["body"] == "from my phone");
        let event = first.expect("it is there")["event_id"].as_str();
        let event = event.expect("an id").to_owned();
        let edit = json!({"msgtype": "m.text", "body": "* changed in Matrix",
            "m.new_content": {"msgtype": "m.text", "body": "changed in Matrix"},
            "m.relates_to": {"rel_type": "m.replace", "event_id": event}});
        self.alice.send(room, "m.room.message", &edit).await;
        let told = |m: &Received| m.text.contains("changed in Matrix").then_some(());
        self.nora.gets("the change", told).await;
        let kept = |message: &Message| message.text == "from my own phone";
        assert!(own.log().iter().any(kept));
        event
    }

    /// That she writes, reads and deletes on her phone is hers, too, and not told the others twice.
    async fn signs_are_shown(&mut self, event: &str) {
        let (own, group, room) = (&self.own.phone, &self.group, &self.room);
        let me = self.alice.mxid.as_str();
        own.typing(group, Typing::Composing).expect("a member");
        self.bob
            .watch("her writing", |seen| {
                seen.is_writing(room, me).then_some(())
            })
            .await;
        let last = self.bob.say(room, "from Bob again").await;
        self.own.receives("from Bob again").await;
        let place = group.parse().expect("an address");
        let login = self.nora.user.parse().expect("an address");
        assert!(!self.nora.phone.typing_in(&place).contains(&login));
        own.mark_read(group).expect("the sandbox runs");
        self.bob
            .watch("her having read it", |seen| {
                seen.has_read(room, &last, me).then_some(())
            })
            .await;
        own.revoke(group, &self.first).await.expect("its own");
        self.bob
            .watch("the deletion", |seen| {
                seen.is_redacted(room, event).then_some(())
            })
            .await;
    }

    /// Everything is there once on both sides: what is shown as hers is not sent for her.
    async fn all_came_once(&mut self) {
        self.alice.say(&self.room, "the end").await;
        for contact in [&self.nora, &self.own] {
            contact.receives("the end").await;
        }
        let received = self.own.phone.received().into_iter().map(|m| m.text);
        let is_plain = |text: &String| text.starts_with("from") || text == "the end";
        let received: Vec<String> = received.filter(is_plain).collect();
        let expected = [
            "from Matrix",
            "from Bob",
            "from Nora",
            "from Bob again",
            "the end",
        ];
        assert_eq!(received, expected);
        let shown = self.written().await;
        for (sender, text) in [
            (&self.alice.mxid, "from Matrix"),
            (&self.bob.mxid, "from Bob"),
            (&self.ghost, "from Nora"),
            (&self.alice.mxid, "the end"),
        ] {
            let its = shown.iter().filter(|(_, shown)| shown == text);
            let senders: Vec<&String> = its.map(|(sender, _)| sender).collect();
            assert_eq!(senders, [sender], "{text:?}");
        }
    }
}

async fn says(contact: &Contact, group: &str, text: &str) -> String {
    let sent = contact.phone.send_text(group, text).await;
    sent.expect("a member can write")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_users_do_on_their_own_phone_is_theirs_and_comes_once() {
    let mut scene = Scene::open().await;
    let me = scene.alice.mxid.clone();
    let first = (me.clone(), "from my phone".to_owned());
    assert!(scene.written().await.contains(&first));
    let of_nora = scene.everybody_writes().await;
    let event = scene.messages_are_changed(&of_nora).await;
    scene.signs_are_shown(&event).await;
    scene.all_came_once().await;

    // Taken back: the phone is somebody else again.
    let answer = scene
        .desk
        .command(&mut scene.alice, "unclaim-account")
        .await;
    assert!(answer.contains("somebody else"), "{answer}");
    says(&scene.own, &scene.group, "not me").await;
    let room = &scene.room;
    scene
        .bob
        .watch("a message of a ghost", |seen| {
            let mut events = seen.timeline(room).iter();
            events
                .any(|e| e["content"]["body"] == "not me" && e["sender"] != me.as_str())
                .then_some(())
        })
        .await;
    drop(scene.world);
}
