//! One login with very many chats: groups whose rooms are all made when it connects, one of them with very many members.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use drawbridge::{
    domain::{GatekeeperId, RemoteUserId},
    matrix::GhostNaming,
    network::interop::wire::Jid,
    sandbox::{ContactHandle, Flavour, Sandbox},
};
use serde_json::{Value, json};

use super::support::{
    bridge_process::BridgeProcess,
    homeserver::{SERVER, World},
    process::resident_kilobytes,
    stage::{Engine, Stage},
};

/// How many members have phones that can write; a room's first twenty members come at once.
const WRITERS: usize = 60;
/// How often it is looked how far everything is.
pub(crate) const LOOK: Duration = Duration::from_millis(100);
/// How long the bridge may take to start.
pub(crate) const START: Duration = Duration::from_mins(1);

/// How much of everything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) portals: usize,
    pub(crate) members: usize,
    pub(crate) per_second: usize,
}

/// A message of somebody who was not in the room when they wrote it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Late {
    /// How long it took to be shown.
    pub(crate) took: Duration,
    /// How many members came into the room meanwhile.
    pub(crate) members_first: usize,
}

/// What was found.
#[derive(Debug)]
pub(crate) struct Figures {
    /// Which homeserver it was.
    pub(crate) homeserver: &'static str,
    /// How long it took until every room and member was there.
    pub(crate) filled: Duration,
    /// Requests of the bridge to the homeserver in that time, and the most in one second.
    pub(crate) requests: usize,
    pub(crate) most_a_second: usize,
    /// The same by what they were.
    pub(crate) kinds: Value,
    pub(crate) late: Vec<Late>,
    /// Resident memory in kilobytes: with a login and nothing else, when all was there, and after a new start.
    pub(crate) memory: [u64; 3],
    /// How long the bridge took to listen when all was there, and to show the first message after it was started.
    pub(crate) start: Duration,
    pub(crate) first_message: Duration,
    /// Requests from that start to that message.
    pub(crate) start_requests: usize,
}

impl Figures {
    /// As one line of JSON.
    pub(crate) fn json(&self, engine: Engine, size: Size) -> Value {
        let late: Vec<f64> = self.late.iter().map(|one| one.took.as_secs_f64()).collect();
        let worst = late.iter().copied().fold(0.0, f64::max);
        let ahead = self.late.iter().map(|one| one.members_first).max();
        let seconds = self.filled.as_secs_f64();
        json!({
            "homeserver": self.homeserver, "engine": engine.to_string(), "portals": size.portals, "members": size.members, "members_per_second": size.per_second,
            "filled_s": seconds, "requests": self.requests, "requests_per_s": count(self.requests) / seconds,
            "most_requests_in_a_second": self.most_a_second, "kinds": self.kinds,
            "late_messages": late.len(), "late_worst_s": worst, "members_before_a_late_message": ahead,
            "memory_mb": self.memory.map(|kilobytes| kilobytes / 1024),
            "start_ms": self.start.as_millis(), "first_message_ms": self.first_message.as_millis(),
            "start_requests": self.start_requests,
        })
    }
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

/// The scene.
struct Scene {
    stage: Stage,
    size: Size,
    cast: Cast,
}

/// The people of the scene, and the large group they are in.
pub(crate) struct Cast {
    pub(crate) owner: ContactHandle,
    /// Those whose phones can write.
    pub(crate) writers: Vec<ContactHandle>,
    pub(crate) large: Jid,
}

impl Cast {
    /// Makes the groups of a login.
    pub(crate) async fn gather(sandbox: &Sandbox, login: &Jid, size: Size) -> Self {
        let mut contacts = Vec::new();
        for number in 0..=WRITERS.min(size.members / 2) {
            let name = format!("Member {number}");
            let added = sandbox.add_contact(Flavour::WhatsApp, &name).await;
            contacts.push(added.expect("a contact can be added"));
        }
        let owner = contacts.remove(0);
        let rest = size.members - contacts.len() - 2;
        let silent = sandbox.add_silent_phones(Flavour::WhatsApp, rest);
        let mut members = silent.await.expect("phones can be added");
        members.extend(contacts.iter().map(|contact| contact.jid().clone()));
        members.push(login.clone());
        let made = owner.create_group("Large", &members).await;
        let large = made.expect("a group can be made");
        for number in 1..size.portals {
            let subject = format!("Small {number}");
            let made = owner.create_group(&subject, std::slice::from_ref(login));
            made.await.expect("a group can be made");
        }
        Self {
            owner,
            writers: contacts,
            large,
        }
    }
}

/// Makes everything and measures; gives up after a time.
pub(crate) async fn measure(engine: Engine, size: Size, deadline: Duration) -> Figures {
    let settings = json!({ "groups": "at_once", "members_per_second": size.per_second });
    let mut stage = Stage::prepare_with(engine, 0, settings).await;
    let mut bridge = started(&stage).await;
    stage.log_in_and_open_chats().await;
    let alone = resident_kilobytes(bridge.id());
    bridge.kill();
    let login = stage.login().expect("there is a login");
    // The groups are made while the bridge is away.
    let cast = Cast::gather(&stage.sandbox, &login, size).await;
    let scene = Scene { stage, size, cast };
    let bridge = started(&scene.stage).await;
    let mut figures = scene.fill(&bridge, deadline).await;
    figures.memory[0] = alone;
    figures.memory[1] = resident_kilobytes(bridge.id());
    drop(bridge);
    let bridge = scene.start_again(&mut figures).await;
    figures.memory[2] = resident_kilobytes(bridge.id());
    drop(bridge);
    scene.stage.finish(false).await;
    figures
}

async fn started(stage: &Stage) -> BridgeProcess {
    let mut bridge = stage.spawn(None);
    assert!(bridge.listening(START).await, "see {}", stage.log());
    bridge
}

impl Scene {
    /// The room of the large group, once it has one, and who is in it.
    fn room<'w>(&self, world: &'w World) -> Option<(&'w str, HashSet<&'w str>)> {
        let large = self.cast.large.to_string();
        let (room, of) = world.rooms.iter().find(|(_, room)| {
            let mut state = room.state.iter();
            state.any(|((kind, _), content)| {
                kind == "m.bridge" && content["channel"]["id"] == large.as_str()
            })
        })?;
        let members = of.members.iter().filter(|(_, is)| *is == "join");
        Some((room, members.map(|(user, _)| user.as_str()).collect()))
    }

    /// Waits until every room and member is there; who is not in yet writes meanwhile.
    async fn fill(&self, bridge: &BridgeProcess, deadline: Duration) -> Figures {
        let began = Instant::now();
        let before = self.stage.homeserver.world().requests.clone();
        let total = |world: &World| world.requests.get("all").copied().unwrap_or(0);
        let mut looks: Vec<(Instant, usize)> = Vec::new();
        let (mut waiting, mut late) = (None::<(String, Instant, usize)>, Vec::new());
        let mut most_a_second = 0;
        let mut writers: Vec<&ContactHandle> = self.cast.writers.iter().collect();
        loop {
            let now = Instant::now();
            let mut next = None;
            let is_full = {
                let world = self.stage.homeserver.world();
                let requests = total(&world);
                looks.push((now, requests));
                let second = looks.iter().rev();
                let second = second.take_while(|(at, _)| now - *at <= Duration::from_secs(1));
                let first = second.last().map_or(requests, |(_, requests)| *requests);
                most_a_second = most_a_second.max(requests - first);
                let portals = portals(&world);
                match self.room(&world) {
                    None => false,
                    Some((room, members)) => {
                        if let Some((text, at, there)) = &waiting
                            && let Some(before) = came_before(&world, room, text)
                        {
                            late.push(Late {
                                took: at.elapsed(),
                                members_first: before.saturating_sub(*there),
                            });
                            waiting = None;
                        }
                        writers.retain(|one| !members.contains(ghost(one.jid(), SERVER).as_str()));
                        if waiting.is_none() {
                            next = writers.pop().map(|writer| (writer, members.len()));
                        }
                        // The bot and everybody but the user, who has not accepted the invitation.
                        portals == self.size.portals && members.len() == self.size.members
                    }
                }
            };
            if let Some((writer, there)) = next {
                let text = format!("late {}", late.len());
                let sent = writer.send_text(&self.cast.large.to_string(), &text).await;
                sent.expect("a member can write");
                waiting = Some((text, Instant::now(), there));
            } else if is_full && waiting.is_none() {
                break;
            }
            assert!(
                began.elapsed() < deadline,
                "the rooms are not filled in {deadline:?}, {} kB: see {}",
                resident_kilobytes(bridge.id()),
                self.stage.log()
            );
            tokio::time::sleep(LOOK).await;
        }
        let world = self.stage.homeserver.world();
        let earlier = |what: &str| before.get(what).copied().unwrap_or(0);
        let kinds = world.requests.iter();
        let kinds = kinds.map(|(what, count)| ((*what).to_owned(), json!(count - earlier(what))));
        Figures {
            homeserver: "in-process",
            filled: began.elapsed(),
            requests: total(&world) - earlier("all"),
            most_a_second,
            kinds: Value::Object(kinds.collect()),
            late,
            memory: [0; 3],
            start: Duration::ZERO,
            first_message: Duration::ZERO,
            start_requests: 0,
        }
    }

    /// Starts the bridge with everything there, and has a message come.
    async fn start_again(&self, figures: &mut Figures) -> BridgeProcess {
        let requests = || {
            let world = self.stage.homeserver.world();
            world.requests.get("all").copied().unwrap_or(0)
        };
        let before = requests();
        let large = self.cast.large.to_string();
        let sent = self.cast.owner.send_text(&large, "welcome").await;
        sent.expect("the owner can write");
        let began = Instant::now();
        let bridge = started(&self.stage).await;
        figures.start = began.elapsed();
        let shown = self.stage.homeserver.wait("the message", START, |world| {
            let (room, _) = self.room(world)?;
            let messages = world.messages(room);
            let mut bodies = messages.iter().map(|(_, content)| &content["body"]);
            bodies.any(|body| body == "welcome").then_some(())
        });
        shown.await;
        figures.first_message = began.elapsed();
        figures.start_requests = requests() - before;
        bridge
    }
}

/// How many came into a room before a text was written there, if it was.
fn came_before(world: &World, room: &str, text: &str) -> Option<usize> {
    let events = &world.rooms.get(room)?.events;
    let at = events.iter().position(|e| e["content"]["body"] == text)?;
    let joins = |event: &&Value| event["content"]["membership"] == "join";
    Some(events[..at].iter().filter(joins).count())
}

/// How many rooms of chats there are.
fn portals(world: &World) -> usize {
    let rooms = world.rooms.values();
    let is_portal = |state: &(String, String)| state.0 == "m.bridge";
    rooms
        .filter(|room| room.state.keys().any(is_portal))
        .count()
}

/// The ghost of a contact.
pub(crate) fn ghost(jid: &Jid, server: &str) -> String {
    let gatekeeper = GatekeeperId::parse("whatsapp").expect("a gatekeeper's id");
    let remote = RemoteUserId::parse(jid.to_string()).expect("an address of a user");
    let naming = GhostNaming::new("_drawbridge_", server);
    naming.mxid(&gatekeeper, &remote).to_string()
}
