//! What a user does with rooms as a whole, with a crash in the midst of it: groups made, rooms linked, unlinked and replaced. Each is
//! carried out by the next process, once.

use std::time::{Duration, Instant};

use drawbridge::sandbox::{ContactHandle, Flavour};
use serde_json::json;

use super::{
    START,
    group::ghost,
    oracle::Verdict,
    support::{
        bridge_process::BridgeProcess,
        homeserver::World,
        stage::{BOT, Stage, USER},
    },
};

/// How long a move may take after the next start.
const CARRIED_OUT: Duration = Duration::from_secs(30);

/// What the user does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Move {
    /// Makes a group with the contact.
    CreateGroup,
    /// Links a room to the contact.
    Link,
    /// Ends a link.
    Unlink,
    /// Replaces the chat's room by another.
    Upgrade,
}

/// Where it crashes, and in which move.
const POINTS: [(&str, Move); 7] = [
    ("create_group.after_ask", Move::CreateGroup),
    ("linking.after_entering", Move::Link),
    ("linking.after_store", Move::Link),
    ("linking.after_unlink", Move::Unlink),
    ("leaving.begun", Move::Unlink),
    ("upgrade.after_entering", Move::Upgrade),
    ("upgrade.after_store", Move::Upgrade),
];

fn membership(world: &World, room: &str, user: &str) -> Option<String> {
    world.rooms.get(room)?.members.get(user).cloned()
}

/// One move of the user's with one contact.
struct Case<'a> {
    stage: &'a Stage,
    contact: ContactHandle,
    /// The room it is about; none where a group is made.
    room: String,
    /// The room that takes its place.
    new: String,
}

/// Crashes at every point of every move; how many crashes there were.
pub(crate) async fn every_move(
    stage: &Stage,
    bridge: &mut BridgeProcess,
    verdict: &mut Verdict,
) -> usize {
    for (point, what) in POINTS {
        let case = Case::prepare(stage, what, point).await;
        bridge.kill();
        let mut dying = stage.spawn(Some(&format!("{point}=panic")));
        dying.listening(START).await;
        case.begin(what, point);
        assert!(
            dying.ended(START).await,
            "the bridge never came to the crash point {point}: see {}",
            stage.log()
        );
        *bridge = stage.spawn(None);
        assert!(bridge.listening(START).await, "see {}", stage.log());
        let text = format!("after {point}");
        case.say(&text).await;
        let end = Instant::now() + CARRIED_OUT;
        let mut wrong = case.unfinished(what, &text);
        while wrong.is_some() && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(50)).await;
            wrong = case.unfinished(what, &text);
        }
        if let Some(wrong) = wrong {
            verdict.complain(format!("after a crash at {point}: {wrong}"));
        }
    }
    POINTS.len()
}

impl<'a> Case<'a> {
    async fn prepare(stage: &'a Stage, what: Move, name: &str) -> Self {
        let contact = stage.sandbox.add_contact(Flavour::WhatsApp, name).await;
        let mut case = Self {
            stage,
            contact: contact.expect("a contact can be added"),
            room: String::new(),
            new: String::new(),
        };
        let jid = case.contact.jid().to_string();
        match what {
            Move::CreateGroup => {}
            Move::Link | Move::Unlink => {
                case.room = case.own_room().await;
                if what == Move::Unlink {
                    case.command(&format!("bridge {} whatsapp {jid}", case.room));
                    case.until_there(&case.room).await;
                }
            }
            Move::Upgrade => {
                case.say("hello").await;
                case.room = stage.room_of_group(&jid).await;
                let levels = json!({ "users": { BOT: 100, USER: 100 } });
                let homeserver = &stage.homeserver;
                homeserver.set_state(&case.room, BOT, "m.room.power_levels", "", levels);
                case.new = case.successor();
            }
        }
        case
    }

    /// A room of the user's with the bot in it.
    async fn own_room(&self) -> String {
        let homeserver = &self.stage.homeserver;
        let room = homeserver.create_room(USER, &[BOT], false);
        let levels = json!({ "users": { BOT: 100, USER: 100 } });
        homeserver.set_state(&room, USER, "m.room.power_levels", "", levels);
        let entered = homeserver.wait("the bot to enter", START, |world| {
            (membership(world, &room, BOT)? == "join").then_some(())
        });
        entered.await;
        room
    }

    fn successor(&self) -> String {
        let homeserver = &self.stage.homeserver;
        let new = homeserver.create_room(USER, &[], false);
        let create = json!({
            "creator": USER, "room_version": "12", "predecessor": { "room_id": self.room },
        });
        homeserver.set_state(&new, USER, "m.room.create", "", create);
        let rules = json!({ "join_rule": "public" });
        homeserver.set_state(&new, USER, "m.room.join_rules", "", rules);
        new
    }

    async fn until_there(&self, room: &str) {
        let ghost = ghost(self.contact.jid());
        let there = self.stage.homeserver.wait("the ghost", START, |world| {
            (membership(world, room, &ghost)? == "join").then_some(())
        });
        there.await;
    }

    fn command(&self, words: &str) {
        let management = self.stage.management();
        self.stage.homeserver.send_text(&management, USER, words);
    }

    fn begin(&self, what: Move, point: &str) {
        let jid = self.contact.jid();
        match what {
            Move::CreateGroup => self.command(&format!("create-group {point}: {jid}")),
            Move::Link => self.command(&format!("bridge {} whatsapp {jid}", self.room)),
            Move::Unlink => self.command(&format!("unbridge {}", self.room)),
            Move::Upgrade => {
                let tombstone = json!({ "body": "moved", "replacement_room": self.new });
                let homeserver = &self.stage.homeserver;
                homeserver.set_state(&self.room, USER, "m.room.tombstone", "", tombstone);
            }
        }
    }

    async fn say(&self, text: &str) {
        let login = self.stage.login().expect("there is a login").to_string();
        let sent = self.contact.send_text(&login, text).await;
        sent.expect("the contact can write");
    }

    /// What of a move is not as it has to be in the end.
    fn unfinished(&self, what: Move, text: &str) -> Option<String> {
        let world = self.stage.homeserver.world();
        let ghost = ghost(self.contact.jid());
        let is_in = |room: &str| membership(&world, room, &ghost).is_some_and(|is| is == "join");
        let times = |room: &str| {
            let messages = world.messages(room).into_iter();
            messages
                .filter(|(sender, content)| *sender == ghost && content["body"] == text)
                .count()
        };
        match what {
            Move::CreateGroup => {
                let groups = self.contact.groups();
                let [group] = &groups[..] else {
                    return Some(format!("there are {} groups", groups.len()));
                };
                let channel = group.jid.to_string();
                let rooms = world.rooms.iter().filter(|(_, room)| {
                    let mut state = room.state.iter();
                    state.any(|((kind, _), content)| {
                        kind == "m.bridge" && content["channel"]["id"] == channel.as_str()
                    })
                });
                let rooms: Vec<&String> = rooms.map(|(room, _)| room).collect();
                match &rooms[..] {
                    [room] if is_in(room) => None,
                    rooms => Some(format!("the rooms of the group are {rooms:?}")),
                }
            }
            Move::Link if !is_in(&self.room) => Some("the ghost is not in the room".to_owned()),
            Move::Unlink if is_in(&self.room) => Some("the ghost is in the room still".to_owned()),
            Move::Upgrade if is_in(&self.room) || !is_in(&self.new) => {
                Some("the ghost is in the wrong room".to_owned())
            }
            Move::Unlink => match times(&self.room) {
                0 => None,
                times => Some(format!("{text:?} is shown {times} times where no link is")),
            },
            Move::Link | Move::Upgrade => {
                // What comes in the midst of an upgrade is in the one room or in the other.
                let in_successor = if what == Move::Upgrade {
                    times(&self.new)
                } else {
                    0
                };
                match times(&self.room) + in_successor {
                    1 => None,
                    times => Some(format!("{text:?} is shown {times} times")),
                }
            }
        }
    }
}
