//! A bridge between a homeserver and a gatekeeper that knows groups, with two users who are logged in.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use drawbridge::{
    bridge::{Bridge, BridgeParts, CommandContext, Commands, RoomSettings, Settings},
    clock::ManualClock,
    config::{ChatRooms, Config},
    domain::{
        ChatId, GatekeeperId, Group, GroupFacts, GroupMember, GroupRole, LoginId, PortalId,
        PortalKey, RemoteUserId, StanzaId, Timestamp,
    },
    matrix::{Client, GhostNaming, RoomCipher, appservice::AppserviceSink as _},
    network::{Network, NetworkSink},
    store::{
        self, Database, GroupRow, Lane, LoginRow, LoginSecrets, LoginState, MatrixEventRow,
        NewRemoteMessage, RemoteNotice, StoreTxn,
    },
};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::{
    gatekeeper::Gatekeeper,
    homeserver::{Homeserver, World},
};

const AS_TOKEN: &str = "as-0123456789abcdef0123456789abcdef";
const HS_TOKEN: &str = "hs-0123456789abcdef0123456789abcdef";
pub(crate) const BOT: &str = "@drawbridgebot:test.example";
/// The users with a login, and what the gatekeeper calls them.
pub(crate) const ALICE: (&str, LoginId, &str) = ("@alice:test.example", LoginId(1), "1-1@interop");
pub(crate) const BOB: (&str, LoginId, &str) = ("@bob:test.example", LoginId(2), "1-2@interop");
const DEADLINE: Duration = Duration::from_secs(20);

/// Commands nobody writes.
struct Silence;

#[async_trait]
impl Commands for Silence {
    async fn answer(&self, _context: CommandContext) -> String {
        String::new()
    }
}

/// Everything there is.
pub(crate) struct Town {
    pub(crate) homeserver: Homeserver,
    pub(crate) gatekeeper: Arc<Gatekeeper>,
    pub(crate) bridge: Arc<Bridge>,
    pub(crate) db: Database,
    client: Client,
    cipher: Option<Arc<dyn RoomCipher>>,
    pub(crate) clock: ManualClock,
    rooms: RoomSettings,
    cancel: CancellationToken,
    _folder: TempDir,
    written: AtomicI64,
}

pub(crate) fn whatsapp() -> GatekeeperId {
    GatekeeperId::parse("whatsapp").expect("the test's own data is right")
}

pub(crate) fn group_id() -> ChatId {
    ChatId::parse("123-456@g.us").expect("the test's own data is right")
}

/// The member of a number.
pub(crate) fn person(number: usize) -> RemoteUserId {
    RemoteUserId::parse(format!("49155{number:04}@s.whatsapp.net"))
        .expect("the test's own data is right")
}

/// That member's ghost.
pub(crate) fn ghost(number: usize) -> String {
    format!("@_drawbridge_whatsapp_49155{number:04}=40s.whatsapp.net:test.example")
}

pub(crate) fn member(user: RemoteUserId, role: GroupRole) -> GroupMember {
    GroupMember { user, role }
}

/// A group of a user and people, of whom the first is an admin.
pub(crate) fn group_of(own: &[&str], people: usize) -> Group {
    let own = own.iter().map(|own| {
        member(
            RemoteUserId::parse(*own).expect("the test's own data is right"),
            GroupRole::Member,
        )
    });
    let people = (0..people).map(|number| {
        let role = match number {
            0 => GroupRole::Admin,
            _ => GroupRole::Member,
        };
        member(person(number), role)
    });
    Group {
        facts: GroupFacts {
            subject: "Garden".to_owned(),
            ..GroupFacts::default()
        },
        members: own.chain(people).collect(),
    }
}

pub(crate) fn rooms() -> RoomSettings {
    RoomSettings {
        direct_chats: ChatRooms::OnMessage,
        groups: ChatRooms::OnMessage,
        invite_back: false,
        personal_spaces: false,
        members_per_second: 500,
    }
}

impl Town {
    pub(crate) async fn new(rooms: RoomSettings) -> Self {
        let homeserver = Homeserver::start(AS_TOKEN, HS_TOKEN).await;
        let folder = tempfile::tempdir().expect("the test's own data is right");
        let uri = format!("sqlite:{}", folder.path().join("bridge.db").display());
        let (db, _) = store::open(&uri, &[7; 32], None, Timestamp(1))
            .await
            .expect("the test's own data is right");
        for (mxid, id, own) in [ALICE, BOB] {
            db.step(Lane::login(id), move |txn| {
                Box::pin(async move {
                    txn.insert_login(&login(mxid, id, own)).await?;
                    let room = format!("!management_{}:test.example", id.0);
                    txn.set_management_room(mxid, Some(&room)).await
                })
            })
            .await
            .expect("the test's own data is right");
        }
        let gatekeeper = Arc::new(Gatekeeper::new("whatsapp", &db));
        let cancel = CancellationToken::new();
        let clock = ManualClock::new(1_700_000_000_000);
        let with = (rooms.clone(), clock.clone(), None);
        let (bridge, client) = bridge(&homeserver, &db, &gatekeeper, with, &cancel).await;
        Self {
            homeserver,
            gatekeeper,
            bridge,
            db,
            client,
            cipher: None,
            clock,
            rooms,
            cancel,
            _folder: folder,
            written: AtomicI64::new(0),
        }
    }

    /// What opens encrypted events from now on, also after a restart.
    pub(crate) fn set_cipher(&mut self, cipher: Arc<dyn RoomCipher>) {
        self.client.set_cipher(cipher.clone());
        self.cipher = Some(cipher);
    }

    /// Ends the bridge and starts another one with the same store.
    pub(crate) async fn restart(&mut self) {
        self.cancel.cancel();
        self.bridge.stopped().await;
        self.cancel = CancellationToken::new();
        let with = (self.rooms.clone(), self.clock.clone(), self.cipher.clone());
        (self.bridge, self.client) = bridge(
            &self.homeserver,
            &self.db,
            &self.gatekeeper,
            with,
            &self.cancel,
        )
        .await;
    }

    /// The gatekeeper knows a group.
    pub(crate) fn set_group(&self, group: Group) {
        self.gatekeeper.known().groups.insert(group_id(), group);
    }

    /// What the network does when the gatekeeper tells that a group changed: the store has the truth, and a notice waits.
    pub(crate) async fn change(
        &self,
        to: LoginId,
        actor: RemoteUserId,
        notice: RemoteNotice,
        group: Group,
    ) {
        self.set_group(group.clone());
        self.step(to, move |txn| {
            let group = group.clone();
            Box::pin(async move {
                let shown = txn.group(&whatsapp(), &group_id()).await?;
                txn.put_group(&GroupRow {
                    gatekeeper: whatsapp(),
                    chat: group_id(),
                    facts: group.facts,
                    shown: shown.map(|row| row.shown).unwrap_or_default(),
                })
                .await?;
                txn.set_group_members(&whatsapp(), &group_id(), &group.members)
                    .await
            })
        })
        .await;
        self.arrive(to, &group_id(), actor, None, Some(notice))
            .await;
    }

    /// Alice's management room.
    pub(crate) async fn management_room(&self) -> String {
        let room = self.homeserver.create_room(ALICE.0, &[BOT], true);
        self.homeserver.join(&room, BOT);
        let is = room.clone();
        self.step(ALICE.1, move |txn| {
            let is = is.clone();
            Box::pin(async move { txn.set_management_room(ALICE.0, Some(&is)).await })
        })
        .await;
        room
    }

    /// Alice has no management room.
    pub(crate) async fn forget_management_room(&self) {
        self.step(ALICE.1, |txn| {
            Box::pin(async move { txn.set_management_room(ALICE.0, None).await })
        })
        .await;
    }

    /// Somebody linked a room of theirs to the group.
    pub(crate) async fn link(&self, room: &str) {
        let room = room.to_owned();
        self.step(ALICE.1, move |txn| {
            let room = room.clone();
            Box::pin(async move {
                let key = PortalKey {
                    gatekeeper: whatsapp(),
                    chat: group_id(),
                    login: None,
                };
                let portal = txn.ensure_portal(&key, PortalId(77)).await?;
                txn.set_portal_room(portal.id, Some(&room)).await?;
                txn.set_portal_linked(portal.id, true).await?;
                txn.set_portal_ready(portal.id, true).await
            })
        })
        .await;
    }

    /// A user leaves a room, and the bridge has heard of it.
    pub(crate) async fn leave(&self, room: &str, user: &str) {
        let event = {
            let mut world = self.homeserver.world();
            world.member(room, user, user, "leave", false);
            world.rooms[room]
                .events
                .last()
                .cloned()
                .expect("the test's own data is right")
        };
        let row = MatrixEventRow {
            event_id: event["event_id"]
                .as_str()
                .expect("the test's own data is right")
                .to_owned(),
            room_id: room.to_owned(),
            json: event.to_string(),
            quarantine: None,
        };
        self.step(ALICE.1, move |txn| {
            let row = row.clone();
            Box::pin(async move {
                let id = row.event_id.clone();
                txn.accept_transaction(&id, b"hash", &[row], Timestamp(5))
                    .await
                    .map(drop)
            })
        })
        .await;
        self.bridge.rooms_waiting(&[room.to_owned()]);
        let end = tokio::time::Instant::now() + DEADLINE;
        loop {
            let of = room.to_owned();
            let waiting = self
                .db
                .read(move |txn| {
                    let of = of.clone();
                    Box::pin(async move { txn.waiting_events(&of, 10).await })
                })
                .await
                .expect("the test's own data is right");
            if waiting.is_empty() {
                return;
            }
            assert!(tokio::time::Instant::now() < end, "{waiting:?} still wait");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn step(
        &self,
        login: LoginId,
        step: impl for<'t> Fn(&'t mut dyn StoreTxn) -> BoxFuture<'t, Result<(), store::StoreError>>
        + Send
        + std::marker::Sync
        + 'static,
    ) {
        self.db
            .step(Lane::login(login), step)
            .await
            .expect("the test's own data is right");
    }

    /// Somebody writes in a chat of a login.
    pub(crate) async fn write(&self, to: LoginId, chat: &ChatId, by: RemoteUserId, text: &str) {
        self.arrive(to, chat, by, Some(text.to_owned()), None).await;
    }

    /// A login is told of somebody.
    pub(crate) async fn tell(&self, to: LoginId, of: RemoteUserId, notice: RemoteNotice) {
        let chat = ChatId::direct(&of);
        self.arrive(to, &chat, of, None, Some(notice)).await;
    }

    async fn arrive(
        &self,
        to: LoginId,
        chat: &ChatId,
        by: RemoteUserId,
        text: Option<String>,
        notice: Option<RemoteNotice>,
    ) {
        let number = self.written.fetch_add(1, Ordering::SeqCst);
        let message = NewRemoteMessage {
            login: to,
            chat: chat.clone(),
            sender: by,
            stanza_id: StanzaId::parse(format!("M{number}")).expect("the test's own data is right"),
            ciphertext_hash: vec![1; 32],
            plaintext: text.map(String::into_bytes),
            notice,
            sent_at: Timestamp(1_700_000_000_000 + number),
            display_name: None,
            received_at: Timestamp(1_700_000_000_000 + number),
        };
        self.step(to, move |txn| {
            let message = message.clone();
            Box::pin(async move { txn.put_remote_message(&message).await.map(drop) })
        })
        .await;
        self.bridge.waiting(to, chat);
    }

    /// Waits until the homeserver shows something.
    pub(crate) async fn wait<T>(&self, what: &str, check: impl Fn(&World) -> Option<T>) -> T {
        self.homeserver.wait(what, DEADLINE, check).await
    }

    /// Waits until a text is in a room; the room.
    pub(crate) async fn shown(&self, text: &str) -> String {
        self.wait(text, |world| {
            let mut rooms = world.rooms.keys();
            rooms
                .find(|room| {
                    let messages = world.messages(room);
                    messages.iter().any(|(_, content)| content["body"] == text)
                })
                .cloned()
        })
        .await
    }

    /// Waits until no message of a login waits in a chat.
    pub(crate) async fn all_taken(&self, login: LoginId, chat: &ChatId) {
        let end = tokio::time::Instant::now() + DEADLINE;
        loop {
            let of = chat.clone();
            let waiting = self
                .db
                .read(move |txn| {
                    let of = of.clone();
                    Box::pin(async move { txn.waiting_messages(login, &of, 10).await })
                })
                .await
                .expect("the test's own data is right");
            if waiting.is_empty() {
                return;
            }
            assert!(tokio::time::Instant::now() < end, "{waiting:?} still wait");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The portal of the group.
    pub(crate) async fn portal(&self) -> Option<PortalId> {
        let found = self
            .db
            .read(|txn| {
                Box::pin(async move {
                    let key = PortalKey {
                        gatekeeper: whatsapp(),
                        chat: group_id(),
                        login: None,
                    };
                    txn.portal(&key).await
                })
            })
            .await
            .expect("the test's own data is right");
        found.map(|portal| portal.id)
    }

    /// The requests the homeserver got so far.
    pub(crate) fn requests(&self) -> BTreeMap<&'static str, usize> {
        self.homeserver.world().requests.clone()
    }

    /// What a state event of a room says, and who sent the last one.
    pub(crate) fn state(&self, room: &str, kind: &str) -> (Value, String) {
        let world = self.homeserver.world();
        let events = &world.rooms[room].events;
        let mut events = events.iter().rev();
        let found = events.find(|event| event["type"] == kind && event.get("state_key").is_some());
        found.map_or((Value::Null, String::new()), |event| {
            let sender = event["sender"].as_str().unwrap_or_default();
            (event["content"].clone(), sender.to_owned())
        })
    }

    /// How somebody stands to a room.
    pub(crate) fn membership(&self, room: &str, user: &str) -> String {
        let world = self.homeserver.world();
        world.rooms[room]
            .members
            .get(user)
            .cloned()
            .unwrap_or_default()
    }
}

impl Drop for Town {
    fn drop(&mut self) {
        self.cancel.cancel();
        self.homeserver.stop();
    }
}

fn login(mxid: &str, id: LoginId, own: &str) -> LoginRow {
    LoginRow {
        id,
        gatekeeper: whatsapp(),
        mxid: mxid.to_owned(),
        visible_id: mxid.to_owned(),
        remote_login: Some(own.to_owned()),
        state: LoginState::Active,
        secrets: LoginSecrets {
            noise_private: vec![1; 32],
            identity_pair: vec![2; 64],
            registration_id: 9,
        },
        next_prekey_id: 1,
        signed_prekey_id: 1,
    }
}

async fn bridge(
    homeserver: &Homeserver,
    db: &Database,
    gatekeeper: &Arc<Gatekeeper>,
    (rooms, clock, cipher): (RoomSettings, ManualClock, Option<Arc<dyn RoomCipher>>),
    cancel: &CancellationToken,
) -> (Arc<Bridge>, Client) {
    let folder = tempfile::tempdir().expect("the test's own data is right");
    let path = folder.path().join("config.yaml");
    let config = json!({
        "homeserver": { "address": homeserver.url(), "domain": "test.example" },
        "appservice": { "as_token": AS_TOKEN, "hs_token": HS_TOKEN },
        "database": { "sealing_key": "c2VhbGluZy1rZXktb2YtdGhlLXRlc3RzLTMyLWJ5dGU=" },
        "bridge": { "permissions": { "*": "user" } },
    });
    std::fs::write(&path, config.to_string()).expect("the test's own data is right");
    let config = Config::load(&path).expect("the test's own data is right");
    let http = reqwest::Client::new();
    let client = Client::new(&config.homeserver, &config.appservice, http)
        .expect("the test's own data is right");
    if let Some(cipher) = cipher {
        client.set_cipher(cipher);
    }
    let bridge = Bridge::new(BridgeParts {
        db: db.clone(),
        client: client.clone(),
        naming: GhostNaming::new("_drawbridge_", "test.example"),
        settings: Settings {
            room_version: Some("11".to_owned()),
            gatekeeper_names: BTreeMap::from([(whatsapp(), "WhatsApp".to_owned())]),
            rooms,
            ..drawbridge::app::settings(&config)
        },
        clock: Arc::new(clock),
        cancel: cancel.clone(),
    });
    let network: Arc<dyn Network> = gatekeeper.clone();
    bridge.attach([network], Arc::new(Silence));
    bridge.start().await.expect("the test's own data is right");
    bridge
        .introduce_bot()
        .await
        .expect("the test's own data is right");
    (bridge, client)
}
