//! The stage: a homeserver and a gatekeeper in this process, a Matrix user with a login, and a chat with each contact.

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use drawbridge::{
    clock::SystemClock,
    network::interop::wire::Jid,
    sandbox::{ContactHandle, Flavour, Integrator, Sandbox, SandboxOptions},
};

use serde_json::json;

use super::{
    bridge_process::{BridgeProcess, BridgeSetup, free_address},
    homeserver::{Homeserver, SERVER, World},
    postgres,
    user_device::UserDevice,
};

/// The Matrix user with the login.
pub(crate) const USER: &str = "@alice:test.example";
/// The bridge's bot.
pub(crate) const BOT: &str = "@drawbridgebot:test.example";
/// How long one step of the preparation may take.
const STEP: Duration = Duration::from_mins(1);

/// A database engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

impl FromStr for Engine {
    type Err = String;
    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "sqlite" => Ok(Self::Sqlite),
            "postgres" => Ok(Self::Postgres),
            other => Err(format!("{other} is no engine: sqlite or postgres")),
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        })
    }
}

impl Engine {
    /// The address of a new database; in this folder, if it is a file.
    pub(crate) async fn database(self, folder: &Path) -> String {
        match self {
            Self::Sqlite => format!("sqlite:{}", folder.join("bridge.db").display()),
            Self::Postgres => fresh_postgres().await,
        }
    }
}

/// A gatekeeper whose one Partner listens at this address, with its files in a folder.
pub(crate) async fn gatekeeper(folder: &Path, partner: SocketAddr) -> Sandbox {
    let options = SandboxOptions {
        data_dir: folder.to_owned(),
        chat_listen: "127.0.0.1:0".to_owned(),
        http_listen: "127.0.0.1:0".to_owned(),
        integrators: vec![Integrator {
            id: 1,
            name: "drawbridge".to_owned(),
            base_url: format!("http://{partner}"),
        }],
        with_cast: false,
        ..SandboxOptions::default()
    };
    let started = Sandbox::start(options, Arc::new(SystemClock)).await;
    started.expect("the sandbox starts")
}

/// A chat of the user with a contact.
pub(crate) struct Chat {
    contact: ContactHandle,
    login: String,
    room: Mutex<Option<String>>,
}

impl Chat {
    /// Its room on the homeserver, if it has one yet.
    pub(crate) fn room(&self) -> Option<String> {
        self.room.lock().unwrap().clone()
    }

    /// Its room on the homeserver.
    pub(crate) fn room_id(&self) -> String {
        self.room().expect("the chat has a room")
    }

    /// The contact writes to the user.
    pub(crate) async fn say(&self, body: &str) {
        self.contact
            .send_text(&self.login, body)
            .await
            .expect("the contact can write");
    }

    /// The contact writes to the user; nobody waits until the contact has stored it.
    pub(crate) fn say_at_once(&self, body: &str) {
        self.contact
            .post_text(&self.login, body)
            .expect("the contact can write");
    }

    /// The contact.
    pub(crate) fn contact(&self) -> &ContactHandle {
        &self.contact
    }

    /// The user's address at the gatekeeper, once there is a login.
    pub(crate) fn login_address(&self) -> Option<Jid> {
        self.login.parse().ok()
    }

    /// The same as text; empty without a login.
    pub(crate) fn login(&self) -> &str {
        &self.login
    }
}

/// The run's files: kept for whoever looks into a failure, removed otherwise.
struct Folder(tempfile::TempDir);

impl Folder {
    fn keep(&mut self) {
        self.0.disable_cleanup(true);
        eprintln!(
            "the files of this run are kept in {}",
            self.0.path().display()
        );
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.keep();
        }
    }
}

/// The stage.
pub(crate) struct Stage {
    pub(crate) engine: Engine,
    pub(crate) homeserver: Homeserver,
    pub(crate) chats: Vec<Chat>,
    pub(crate) sandbox: Sandbox,
    setup: BridgeSetup,
    dir: Folder,
    /// The gatekeeper's files.
    _far_end: tempfile::TempDir,
    login: Arc<Mutex<String>>,
    management: Mutex<String>,
    /// The user's devices, once rooms are encrypted.
    devices: Mutex<Vec<UserDevice>>,
}

impl Stage {
    /// Makes everything but the bridge, with this many contacts.
    pub(crate) async fn prepare(engine: Engine, contacts: usize) -> Self {
        Self::prepare_with(engine, contacts, json!({})).await
    }

    /// The same with other keys in the configuration of the bridge.
    pub(crate) async fn prepare_with(
        engine: Engine,
        contacts: usize,
        bridge: serde_json::Value,
    ) -> Self {
        let dir = Folder(tempfile::tempdir().unwrap());
        // In memory, so that the far end does not compete with the bridge for the disk.
        let far_end = tempfile::tempdir_in("/dev/shm")
            .or_else(|_| tempfile::tempdir())
            .unwrap();
        let tokens = (
            "as-token-of-the-crash-test-0123456789".to_owned(),
            "hs-token-of-the-crash-test-0123456789".to_owned(),
        );
        let homeserver = Homeserver::start(&tokens.0, &tokens.1).await;
        let listen = (free_address(), free_address());
        let sandbox = gatekeeper(far_end.path(), listen.1).await;
        let database = engine.database(dir.0.path()).await;
        let setup = BridgeSetup {
            dir: dir.0.path().to_owned(),
            database,
            homeserver: (homeserver.url(), SERVER.to_owned()),
            tokens,
            gatekeepers: vec![(
                "whatsapp".to_owned(),
                "whatsapp".to_owned(),
                sandbox.profile_layer(Flavour::WhatsApp),
            )],
            listen,
            bridge,
            log: std::env::var("DRAWBRIDGE_CRASH_LOG").unwrap_or_else(|_| "warn".to_owned()),
        };
        setup.write();
        homeserver.set_appservice(&setup.appservice_url());
        let mut scene = Self {
            engine,
            homeserver,
            chats: Vec::new(),
            sandbox,
            setup,
            dir,
            _far_end: far_end,
            login: Arc::default(),
            management: Mutex::default(),
            devices: Mutex::default(),
        };
        for _ in 0..contacts {
            scene.add_contact().await;
        }
        scene
    }

    async fn add_contact(&mut self) {
        let name = format!("Contact {}", self.chats.len());
        let contact = self
            .sandbox
            .add_contact(Flavour::WhatsApp, &name)
            .await
            .expect("a contact can be added");
        self.chats.push(Chat {
            contact,
            login: self.login.lock().unwrap().clone(),
            room: Mutex::default(),
        });
    }

    /// A contact who has no chat with the user yet.
    pub(crate) async fn add_stranger(&mut self) {
        self.add_contact().await;
    }

    /// Starts the bridge.
    pub(crate) fn spawn(&self, failpoints: Option<&str>) -> BridgeProcess {
        let binary = PathBuf::from(env!("CARGO_BIN_EXE_drawbridge"));
        self.setup.spawn(&binary, failpoints)
    }

    /// Where the bridge's log is.
    pub(crate) fn log(&self) -> String {
        self.dir.0.path().join("bridge.log").display().to_string()
    }

    /// The user logs in by the management room, opens half of the chats, and is written to by the other half's contacts.
    pub(crate) async fn log_in_and_open_chats(&mut self) {
        let management = self.homeserver.create_room(USER, &[BOT], true);
        self.management.lock().unwrap().clone_from(&management);
        self.answer(&management, None, "management room").await;
        self.homeserver
            .send_text(&management, USER, "login whatsapp");
        self.answer(&management, Some("login"), "logged in").await;
        let login = self
            .sandbox
            .partner_login(Flavour::WhatsApp, USER)
            .expect("the gatekeeper knows the login");
        self.login.lock().unwrap().clone_from(&login);
        for index in 0..self.chats.len() {
            self.chats[index].login.clone_from(&login);
            if index % 2 == 0 {
                let who = self.chats[index].contact.jid().to_string();
                self.homeserver
                    .send_text(&management, USER, &format!("start-chat {who}"));
                self.room_of(index).await;
            } else {
                self.chats[index].say("hello").await;
                self.room_of(index).await;
            }
        }
    }

    /// The user enters the rooms of all chats, waiting for those that are not made yet.
    pub(crate) async fn enter_all_rooms(&self) {
        for index in 0..self.chats.len() {
            self.room_of(index).await;
        }
    }

    /// Waits for the room of a chat and lets the user join it.
    async fn room_of(&self, index: usize) {
        let chat = &self.chats[index];
        if chat.room.lock().unwrap().is_some() {
            return;
        }
        let id = chat.contact.jid().to_string();
        let room = self
            .homeserver
            .wait(
                &format!("the room of chat {index} (log: {})", self.log()),
                STEP,
                |world| room_with_channel(world, &id),
            )
            .await;
        self.homeserver.join(&room, USER);
        *chat.room.lock().unwrap() = Some(room);
    }

    /// Waits for the room of a group and lets the user join it.
    pub(crate) async fn room_of_group(&self, group: &str) -> String {
        let what = format!("the room of {group} (log: {})", self.log());
        let found = self.homeserver.wait(&what, STEP, |world| {
            let room = room_with_channel(world, group)?;
            let members = &world.rooms[&room].members;
            members.contains_key(USER).then_some(room)
        });
        let room = found.await;
        self.homeserver.join(&room, USER);
        room
    }

    /// Switches encryption on in a room, with a key for so many messages. The user has a device from then on.
    pub(crate) async fn encrypt(&self, room: &str, rotate_after: u64) {
        if self.devices.lock().unwrap().is_empty() {
            let device = UserDevice::add(&self.homeserver, USER, "FIRST", false).await;
            self.devices.lock().unwrap().push(device);
        }
        let algorithm =
            json!({ "algorithm": "m.megolm.v1.aes-sha2", "rotation_period_msgs": rotate_after });
        let homeserver = &self.homeserver;
        homeserver.set_state(room, USER, "m.room.encryption", "", algorithm);
    }

    /// Whether a room is encrypted.
    pub(crate) fn is_encrypted(&self, room: &str) -> bool {
        self.homeserver.world().rooms[room].is_encrypted()
    }

    /// Whether the room of a chat is encrypted.
    pub(crate) fn has_encrypted_room(&self, chat: usize) -> bool {
        let room = self.chats[chat].room();
        room.is_some_and(|room| self.is_encrypted(&room))
    }

    /// The user has one more device, or none but the first any more.
    pub(crate) async fn change_devices(&self) {
        let second = self.devices().get(1).cloned();
        match second {
            Some(device) => {
                self.devices().truncate(1);
                device.log_out();
            }
            None => {
                let device = UserDevice::add(&self.homeserver, USER, "SECOND", true).await;
                self.devices().push(device);
            }
        }
    }

    /// The user's devices.
    pub(crate) fn devices(&self) -> MutexGuard<'_, Vec<UserDevice>> {
        self.devices.lock().unwrap()
    }

    /// Somebody says something in a room, encrypted if it is the user in an encrypted room; the event's id.
    pub(crate) fn say_in(
        &self,
        room: &str,
        user: &str,
        kind: &str,
        content: serde_json::Value,
    ) -> String {
        let is_encrypted = user == USER && kind != "m.reaction" && self.is_encrypted(room);
        let device = self.devices().first().cloned();
        match device.filter(|_| is_encrypted) {
            Some(device) => {
                let sealed = device.seal(room, kind, &content);
                self.homeserver
                    .send_event(room, user, "m.room.encrypted", sealed)
            }
            None => self.homeserver.send_event(room, user, kind, content),
        }
    }

    /// The user's address at the gatekeeper, once there is a login.
    pub(crate) fn login(&self) -> Option<Jid> {
        self.login.lock().unwrap().parse().ok()
    }

    /// The room in which the user speaks with the bot, once there is a login.
    pub(crate) fn management(&self) -> String {
        self.management.lock().unwrap().clone()
    }

    /// Writes something beside the run's files.
    pub(crate) fn keep_file(&self, name: &str, text: &str) {
        std::fs::write(self.dir.0.path().join(name), text).unwrap();
    }

    async fn answer(&self, room: &str, _to: Option<&str>, text: &str) {
        let what = format!("{text:?} from the bot (log: {})", self.log());
        self.homeserver
            .wait(&what, STEP, |world| {
                world
                    .messages(room)
                    .iter()
                    .any(|(sender, content)| {
                        sender == BOT
                            && content["body"]
                                .as_str()
                                .is_some_and(|body| body.contains(text))
                    })
                    .then_some(())
            })
            .await;
    }

    /// When each message of a run arrived, by its number; waits until all have. Their bodies are the run and the number.
    pub(crate) async fn arrivals(
        &self,
        run: u64,
        count: usize,
        to_matrix: bool,
        deadline: Duration,
    ) -> Vec<SystemTime> {
        let end = tokio::time::Instant::now() + deadline;
        let prefix = format!("{run} ");
        loop {
            let mut times = vec![None; count];
            let mut arrived = 0;
            let mut note = |body: &str, at: SystemTime| {
                let number = body
                    .strip_prefix(&prefix)
                    .and_then(|n| n.parse::<usize>().ok());
                if let Some(slot) = number.and_then(|number| times.get_mut(number)) {
                    arrived += usize::from(slot.replace(at).is_none());
                }
            };
            if to_matrix {
                let reader = self.devices().first().cloned();
                if let Some(device) = reader {
                    device.catch_up();
                }
                let world = self.homeserver.world();
                for ((room, index), at) in world.stream.iter().zip(&world.times) {
                    let room = &world.rooms[room];
                    let event = room.as_shown(&room.events[*index]);
                    note(event["content"]["body"].as_str().unwrap_or_default(), *at);
                }
            } else {
                for message in self.chats.iter().flat_map(|chat| chat.contact.received()) {
                    let at = u64::try_from(message.at).unwrap_or_default();
                    note(&message.text, UNIX_EPOCH + Duration::from_millis(at));
                }
            }
            if arrived == count {
                return times.into_iter().flatten().collect();
            }
            assert!(
                tokio::time::Instant::now() < end,
                "only {arrived} of {count} messages arrived in {deadline:?}: see {}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Ends the stage; its files are kept if `keep`, with what either side shows.
    pub(crate) async fn finish(mut self, keep: bool) {
        if keep {
            self.write_chats();
            self.dir.keep();
        }
        self.homeserver.stop();
        self.sandbox.shutdown().await;
    }

    /// Writes each chat's room and the contact's log into a file.
    fn write_chats(&self) {
        for (index, chat) in self.chats.iter().enumerate() {
            let world = self.homeserver.world();
            let room = chat.room().and_then(|room| world.rooms.get(&room));
            let events = room.map(|room| &room.events);
            let log = chat.contact().log();
            let file = self.dir.0.path().join(format!("chat-{index}.json"));
            let json = json!({ "room": events, "phone": log }).to_string();
            std::fs::write(file, json).unwrap();
        }
    }
}

fn room_with_channel(world: &World, channel: &str) -> Option<String> {
    world
        .rooms
        .iter()
        .find(|(_, room)| {
            room.state.iter().any(|((kind, _), content)| {
                kind == "m.bridge" && content["channel"]["id"] == channel
            })
        })
        .map(|(id, _)| id.clone())
}

/// A database of its own in the cluster of the test run.
async fn fresh_postgres() -> String {
    let cluster = std::env::var("DRAWBRIDGE_TEST_POSTGRES")
        .expect("DRAWBRIDGE_TEST_POSTGRES names a Postgres cluster: run this by scripts/test or scripts/postgres-run");
    postgres::fresh(&cluster).await
}
