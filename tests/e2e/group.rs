//! A group that both sides are in: Matrix users in its room, contacts with phones of their own.

use drawbridge::{
    domain::RemoteUserId,
    matrix::GhostNaming,
    sandbox::{ContactHandle, Flavour, GroupInfo, Role},
};
use serde_json::{Value, json};

use super::{
    chat::id_of,
    client::{PATIENCE, User},
    contact::Contact,
    homeserver::DOMAIN,
    management::Desk,
    wait::until,
    world::{BOT, World},
};

/// A contact can always do what it does: the sandbox runs as long as the test.
pub(crate) const CAN: &str = "the sandbox runs";

/// A gatekeeper.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) gatekeeper: &'static str,
    pub(crate) flavour: Flavour,
}

pub(crate) const WHATSAPP: Place = Place {
    gatekeeper: "whatsapp",
    flavour: Flavour::WhatsApp,
};

pub(crate) const MESSENGER: Place = Place {
    gatekeeper: "messenger",
    flavour: Flavour::Messenger,
};

impl Place {
    /// A new contact.
    pub(crate) async fn person(self, world: &World, name: &str) -> ContactHandle {
        let added = world.sandbox.add_contact(self.flavour, name).await;
        added.expect("one more contact")
    }

    /// What the gatekeeper calls a user who is logged in.
    pub(crate) fn login_of(self, world: &World, user: &User) -> String {
        let login = world.sandbox.partner_login(self.flavour, &user.mxid);
        login.expect("the gatekeeper knows the user")
    }

    /// The Matrix user that stands for an address.
    pub(crate) fn ghost(self, address: &str) -> String {
        let naming = GhostNaming::new("_drawbridge_", DOMAIN);
        let remote = RemoteUserId::parse(address).expect("a user's id");
        let gatekeeper = self.gatekeeper.to_owned().try_into().expect("an id");
        naming.mxid(&gatekeeper, &remote).to_string()
    }
}

/// A contact who is in the group; its chat is the group.
pub(crate) struct Member {
    pub(crate) contact: Contact,
    /// The Matrix user that stands for it.
    pub(crate) ghost: String,
}

impl Member {
    /// A contact in a group.
    pub(crate) fn of(place: Place, phone: ContactHandle, group: &str) -> Self {
        let ghost = place.ghost(&phone.jid().to_string());
        let user = group.to_owned();
        let contact = Contact { phone, user };
        Self { contact, ghost }
    }

    /// The group as the member's phone knows it.
    pub(crate) fn knows(&self) -> GroupInfo {
        let group = self.contact.phone.group(&self.contact.user);
        group.expect("the member knows the group")
    }

    /// Waits until the group is as it should be, as the member's phone knows it.
    pub(crate) async fn finds(&self, what: &str, is_it: impl Fn(&GroupInfo) -> bool) {
        until(what, PATIENCE, async || {
            let group = self.contact.phone.group(&self.contact.user)?;
            is_it(&group).then_some(())
        })
        .await;
    }

    /// Waits until somebody is in the group with a role, or not in it.
    pub(crate) async fn finds_role(&self, of: &str, role: Option<Role>) {
        let jid = of.parse().expect("an address");
        self.finds(&format!("{of} to be {role:?}"), |group| {
            group.members.get(&jid).copied() == role
        })
        .await;
    }

    /// Waits for a text of somebody's; its id.
    pub(crate) async fn gets(&self, from: &str, text: &str) -> String {
        let received = self.contact.receives(text).await;
        assert_eq!(received.chat.to_string(), self.contact.user, "{text}");
        assert_eq!(received.sender.to_string(), from, "{text}");
        received.id
    }
}

/// A group with two contacts; the first made it.
pub(crate) struct Group {
    pub(crate) place: Place,
    pub(crate) address: String,
    pub(crate) room: String,
    pub(crate) ann: Member,
    pub(crate) ben: Member,
}

impl Group {
    /// A contact makes a group with another and with users who are logged in, and they enter its room.
    pub(crate) async fn found(
        world: &World,
        place: Place,
        subject: &str,
        users: &mut [&mut User],
    ) -> Self {
        let group = Self::make(world, place, subject, users).await;
        let mut room = String::new();
        for user in users {
            room = user.joins_room_called(subject).await;
            user.hears(&room, &group.ann.ghost, "welcome").await;
        }
        Self { room, ..group }
    }

    /// The same, before anybody has entered its room.
    pub(crate) async fn make(
        world: &World,
        place: Place,
        subject: &str,
        users: &[&mut User],
    ) -> Self {
        let ann = place.person(world, "Ann").await;
        let ben = place.person(world, "Ben").await;
        let logins = users.iter().map(|user| place.login_of(world, user));
        let mut members: Vec<_> = logins
            .map(|login| login.parse().expect("an address"))
            .collect();
        members.push(ben.jid().clone());
        let made = ann.create_group(subject, &members).await.expect(CAN);
        let address = made.to_string();
        let group = Self {
            place,
            room: String::new(),
            ann: Member::of(place, ann, &address),
            ben: Member::of(place, ben, &address),
            address,
        };
        group.ann.contact.says("welcome").await;
        group
    }

    /// The contacts in it.
    pub(crate) fn contacts(&self) -> [&Member; 2] {
        [&self.ann, &self.ben]
    }

    /// A user writes, and every contact gets it, as theirs; the event's id and the message's.
    pub(crate) async fn says(
        &self,
        world: &World,
        user: &mut User,
        text: &str,
    ) -> (String, String) {
        let event = user.say(&self.room, text).await;
        let login = self.place.login_of(world, user);
        let mut id = String::new();
        for member in self.contacts() {
            id = member.gets(&login, text).await;
        }
        (event, id)
    }
}

/// Changes members of a group as one of them: `add`, `remove`, `promote` or `demote`.
pub(crate) async fn change(by: &Member, what: &str, whom: &str) {
    let (phone, group) = (&by.contact.phone, by.contact.user.as_str());
    let whom = [whom.parse().expect("an address")];
    let done = match what {
        "add" => phone.add_members(group, &whom).await,
        "remove" => phone.remove_members(group, &whom).await,
        "promote" => phone.promote(group, &whom).await,
        _ => phone.demote(group, &whom).await,
    };
    assert!(done.expect(CAN).values().all(Result::is_ok), "{what}");
}

/// A new user with a login.
pub(crate) async fn logged_in(world: &World, name: &str, place: Place) -> (User, Desk) {
    let mut user = world.user(name).await;
    let mut desk = Desk::open(&mut user).await;
    desk.log_in(&mut user, place.gatekeeper).await;
    (user, desk)
}

impl User {
    /// Waits for an invitation of the bot's to a room of a name, and accepts it.
    pub(crate) async fn joins_room_called(&mut self, name: &str) -> String {
        let room = self
            .watch(&format!("an invitation to {name:?}"), |seen| {
                seen.invitation_to(name, BOT)
            })
            .await;
        self.join(&room).await;
        room
    }

    /// Waits for a text of somebody's in a room; its event's id.
    pub(crate) async fn hears(&mut self, room: &str, sender: &str, text: &str) -> String {
        id_of(&self.hear(room, sender, |body| body == text).await)
    }

    /// Waits for an event of somebody's in a room.
    pub(crate) async fn finds(
        &mut self,
        room: &str,
        sender: &str,
        what: &str,
        is_it: impl Fn(&Value) -> bool,
    ) -> Value {
        self.watch(what, |seen| {
            let mut events = seen.timeline(room).iter();
            events
                .find(|event| event["sender"] == sender && is_it(event))
                .cloned()
        })
        .await
    }

    /// Waits until a piece of a room's state is as it should be; the content.
    pub(crate) async fn sees_state(
        &self,
        room: &str,
        kind: &str,
        what: &str,
        is_it: impl Fn(&Value) -> bool,
    ) -> Value {
        until(what, PATIENCE, async || {
            self.state(room, kind, "").await.filter(&is_it)
        })
        .await
    }

    /// Waits until somebody's membership of a room is as it should be.
    pub(crate) async fn sees_membership(&self, room: &str, of: &str, membership: &str) {
        let what = format!("{of} to be {membership:?}");
        until(&what, PATIENCE, async || {
            let state = self.state(room, "m.room.member", of).await;
            let now = state.map_or(json!("leave"), |state| state["membership"].clone());
            (now == membership).then_some(())
        })
        .await;
    }

    /// The power of somebody in a room.
    pub(crate) async fn power_of(&self, room: &str, user: &str) -> i64 {
        let levels = self.state(room, "m.room.power_levels", "").await;
        let levels = levels.expect("power levels");
        let default = levels["users_default"].as_i64().unwrap_or(0);
        levels["users"][user].as_i64().unwrap_or(default)
    }

    /// Waits until somebody has a power in a room.
    pub(crate) async fn sees_power(&self, room: &str, of: &str, power: i64) {
        let what = format!("{of} to have the power {power}");
        until(&what, PATIENCE, async || {
            (self.power_of(room, of).await == power).then_some(())
        })
        .await;
    }

    /// Sets a piece of a room's state; the event's id.
    pub(crate) async fn sets(&self, room: &str, kind: &str, content: &Value) -> String {
        let path = format!("v3/rooms/{}/state/{kind}", super::client::encode(room));
        let answer = self
            .demand(reqwest::Method::PUT, &path, Some(content))
            .await;
        id_of(&answer)
    }

    /// Does something to somebody's membership: `invite`, `kick`, `ban`, `unban`.
    pub(crate) async fn does(&self, room: &str, what: &str, to: &str) {
        let path = format!("v3/rooms/{}/{what}", super::client::encode(room));
        self.post(&path, &json!({ "user_id": to })).await;
    }

    /// Gives somebody a power in a room.
    pub(crate) async fn gives_power(&self, room: &str, to: &str, power: i64) {
        let levels = self.state(room, "m.room.power_levels", "").await;
        let mut levels = levels.expect("power levels");
        levels["users"][to] = json!(power);
        self.sets(room, "m.room.power_levels", &levels).await;
    }

    /// All events of a room's state.
    pub(crate) async fn whole_state(&self, room: &str) -> Vec<Value> {
        let path = format!("v3/rooms/{}/state", super::client::encode(room));
        let answer = self.demand(reqwest::Method::GET, &path, None).await;
        answer.as_array().cloned().unwrap_or_default()
    }
}
