//! The scene: a homeserver, a bridge, a gatekeeper, and Alice who is logged in there.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use drawbridge::{
    app,
    bridge::{Bridge, BridgeParts, CommandContext, Commands, LinkError},
    clock::ManualClock,
    config::Config,
    domain::{
        ChatId, GatekeeperId, Group, GroupFacts, GroupMember, GroupRole, LoginId, PortalId,
        PortalKey, RemoteUserId, Timestamp,
    },
    matrix::{
        Client, GhostNaming,
        appservice::{self, AppserviceState},
    },
    network::Network,
    store::{
        self, Database, GroupRow, GroupShown, Lane, LoginRow, LoginSecrets, LoginState, PortalRow,
    },
};
use ruma::{OwnedRoomId, OwnedUserId, UserId, user_id};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    gatekeeper::Gatekeeper,
    homeserver::{Homeserver, World},
};

pub(crate) const ALICE: &str = "@alice:test.example";
pub(crate) const BOB: &str = "@bob:test.example";
pub(crate) const BOT: &str = "@drawbridgebot:test.example";
pub(crate) const LOGIN: LoginId = LoginId(7);
/// Bob's.
pub(crate) const BOBS: LoginId = LoginId(8);
const AS_TOKEN: &str = "as-0123456789abcdef0123456789abcdef";
const HS_TOKEN: &str = "hs-0123456789abcdef0123456789abcdef";
const DEADLINE: Duration = Duration::from_secs(20);

/// Answers nothing.
struct Silent;

#[async_trait]
impl Commands for Silent {
    async fn answer(&self, _context: CommandContext) -> String {
        String::new()
    }
}

pub(crate) struct Scene {
    pub(crate) homeserver: Homeserver,
    pub(crate) bridge: Arc<Bridge>,
    pub(crate) gatekeeper: Arc<Gatekeeper>,
    pub(crate) db: Database,
    config: Config,
    cancel: CancellationToken,
    _folder: TempDir,
}

pub(crate) fn alice() -> &'static UserId {
    user_id!("@alice:test.example")
}

pub(crate) fn user(number: u32) -> RemoteUserId {
    RemoteUserId::parse(format!("4915155550{number:03}@s.whatsapp.net")).expect("an address")
}

pub(crate) fn whatsapp() -> GatekeeperId {
    GatekeeperId::parse("whatsapp").expect("an id")
}

pub(crate) fn group_chat() -> ChatId {
    ChatId::parse("4915155550001-1@g.us").expect("an address")
}

/// The ghost of a user.
pub(crate) fn ghost(number: u32) -> String {
    let naming = GhostNaming::new("_drawbridge_", "test.example");
    naming.mxid(&whatsapp(), &user(number)).to_string()
}

pub(crate) fn room(id: &str) -> OwnedRoomId {
    OwnedRoomId::try_from(id).expect("a room id")
}

fn own() -> RemoteUserId {
    RemoteUserId::parse("1-1001@interop").expect("an address")
}

/// A login of somebody's, which the gatekeeper calls `own`.
pub(crate) fn login_of(id: LoginId, mxid: &str, own: &RemoteUserId) -> LoginRow {
    LoginRow {
        id,
        gatekeeper: whatsapp(),
        mxid: mxid.to_owned(),
        visible_id: mxid.to_owned(),
        remote_login: Some(own.to_string()),
        state: LoginState::Active,
        secrets: LoginSecrets {
            noise_private: vec![1; 32],
            identity_pair: vec![2; 64],
            registration_id: 99,
        },
        next_prekey_id: 1,
        signed_prekey_id: 1,
    }
}

impl Scene {
    pub(crate) async fn start() -> Self {
        let homeserver = Homeserver::start(AS_TOKEN, HS_TOKEN).await;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("config.yaml");
        let config = json!({
            "homeserver": { "address": homeserver.url(), "domain": "test.example" },
            "appservice": { "as_token": AS_TOKEN, "hs_token": HS_TOKEN },
            "database": { "sealing_key": "c2VhbGluZy1rZXktb2YtdGhlLXRlc3RzLTMyLWJ5dGU=" },
            "bridge": { "permissions": { "test.example": "user", "*": "relay" }, "personal_spaces": false },
            "relay": { "enabled": true, "admins_only": false },
        });
        std::fs::write(&path, config.to_string()).expect("a file");
        let config = Config::load(&path).expect("a configuration");
        let uri = format!("sqlite:{}", folder.path().join("bridge.db").display());
        let (db, _) = store::open(&uri, &[7; 32], None, Timestamp(1))
            .await
            .expect("a database");
        let clock = Arc::new(ManualClock::new(1_700_000_000_000));
        let naming = GhostNaming::new("_drawbridge_", "test.example");
        let gatekeeper = Arc::new(Gatekeeper::new("whatsapp", &db));
        let cancel = CancellationToken::new();
        let bridge = bridge(&config, &db, &gatekeeper, &cancel);
        db.step(Lane::login(LOGIN), |txn| {
            Box::pin(async move { txn.insert_login(&login_of(LOGIN, ALICE, &own())).await })
        })
        .await
        .expect("a login");
        bridge.introduce_bot().await.expect("a bot");
        let names = BTreeMap::from([(whatsapp(), "WhatsApp".to_owned())]);
        let state = AppserviceState::new(db.clone(), &HS_TOKEN.into(), bridge.clone(), clock)
            .with_directory(naming, names);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, appservice::router(state)).await });
        homeserver.set_appservice(&url);
        Self {
            homeserver,
            bridge,
            gatekeeper,
            db,
            config,
            cancel,
            _folder: folder,
        }
    }

    /// Ends the bridge and starts another one with the same store. What comes from the homeserver goes to the first one still.
    pub(crate) async fn restart(&mut self) {
        self.cancel.cancel();
        self.bridge.stopped().await;
        self.cancel = CancellationToken::new();
        self.bridge = bridge(&self.config, &self.db, &self.gatekeeper, &self.cancel);
        self.bridge.start().await.expect("a bridge");
        self.bridge.introduce_bot().await.expect("a bot");
    }

    /// Bob has a login, too.
    pub(crate) async fn log_bob_in(&self) -> RemoteUserId {
        let own = RemoteUserId::parse("1-1002@interop").expect("an address");
        let row = login_of(BOBS, BOB, &own);
        self.db
            .step(Lane::login(BOBS), move |txn| {
                let row = row.clone();
                Box::pin(async move { txn.insert_login(&row).await })
            })
            .await
            .expect("a login");
        own
    }

    /// What waits to be sent to a chat, in order.
    pub(crate) async fn queued(&self, chat: &ChatId) -> Vec<String> {
        let queued = self
            .db
            .read(|txn| Box::pin(async move { txn.queued(LOGIN, 0, 99).await }))
            .await
            .expect("the store");
        let of_chat = queued.into_iter().filter(|row| row.row.chat == *chat);
        of_chat
            .map(|row| String::from_utf8_lossy(&row.row.payload).into_owned())
            .collect()
    }

    /// Waits until so many messages wait to be sent to a chat.
    pub(crate) async fn queues_some(&self, chat: &ChatId, count: usize) -> Vec<String> {
        let end = tokio::time::Instant::now() + DEADLINE;
        loop {
            let queued = self.queued(chat).await;
            if queued.len() >= count {
                return queued;
            }
            assert!(tokio::time::Instant::now() < end, "{chat}: {queued:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until these wait to be sent to a chat, and nothing else.
    pub(crate) async fn queues(&self, chat: &ChatId, texts: &[&str]) {
        assert_eq!(self.queues_some(chat, texts.len()).await, texts);
    }

    /// A room of somebody's with the bot in it and these levels.
    pub(crate) fn room_with_bot(&self, creator: &str, levels: Value) -> String {
        let room = self.homeserver.create_room(creator, &[], false);
        self.homeserver.set_member(&room, creator, BOT, "invite");
        self.homeserver.set_member(&room, BOT, BOT, "join");
        self.homeserver
            .set_state(&room, creator, "m.room.power_levels", "", levels);
        room
    }

    /// A group with Alice's login as its admin and two others, as the gatekeeper and the store know it.
    pub(crate) async fn group(&self) -> ChatId {
        let member = |user: RemoteUserId, role| GroupMember { user, role };
        let group = Group {
            facts: GroupFacts {
                subject: "Hike".to_owned(),
                ..GroupFacts::default()
            },
            members: vec![
                member(own(), GroupRole::Admin),
                member(user(1), GroupRole::Member),
                member(user(2), GroupRole::Member),
            ],
        };
        let chat = group_chat();
        let given = (chat.clone(), group.clone());
        self.gatekeeper.known().groups.extend([given]);
        let row = GroupRow {
            gatekeeper: whatsapp(),
            chat: chat.clone(),
            facts: group.facts.clone(),
            shown: GroupShown {
                facts: Some(group.facts),
                avatar: None,
            },
        };
        let members = group.members;
        self.db
            .step(Lane::login(LOGIN), move |txn| {
                let (row, members) = (row.clone(), members.clone());
                Box::pin(async move {
                    txn.put_group(&row).await?;
                    txn.set_group_members(&row.gatekeeper, &row.chat, &members)
                        .await
                })
            })
            .await
            .expect("a group");
        chat
    }

    /// A room that the bridge made for that group, with everybody in it.
    pub(crate) async fn group_room(&self) -> String {
        let chat = self.group().await;
        let room = self.homeserver.create_room(BOT, &[ALICE], false);
        self.homeserver.join(&room, ALICE);
        let levels = json!({ "users": { BOT: 100, ALICE: 50 } });
        self.homeserver
            .set_state(&room, BOT, "m.room.power_levels", "", levels);
        for number in [1, 2] {
            self.homeserver
                .set_member(&room, BOT, &ghost(number), "invite");
            self.homeserver
                .set_member(&room, &ghost(number), &ghost(number), "join");
        }
        let room_id = room.clone();
        self.db
            .step(Lane::login(LOGIN), move |txn| {
                let (room, chat) = (room_id.clone(), chat.clone());
                Box::pin(async move {
                    let key = PortalKey {
                        gatekeeper: whatsapp(),
                        chat: chat.clone(),
                        login: None,
                    };
                    let portal = txn.ensure_portal(&key, PortalId(5)).await?;
                    txn.set_portal_room(portal.id, Some(&room)).await?;
                    txn.set_portal_ready(portal.id, true).await?;
                    for number in [1, 2] {
                        let shown = Some(GroupRole::Member);
                        txn.set_member_shown(&whatsapp(), &chat, &user(number), shown)
                            .await?;
                    }
                    Ok(())
                })
            })
            .await
            .expect("a portal");
        room
    }

    /// Links a room to a chat of Alice's login, as somebody asks for it.
    pub(crate) async fn link(
        &self,
        by: &str,
        chat: ChatId,
        room_id: &str,
    ) -> Result<PortalRow, LinkError> {
        let (by, room_id) = (mxid(by), room(room_id));
        self.bridge.link_room(&by, LOGIN, &chat, &room_id).await
    }

    pub(crate) async fn portals(&self, room_id: &str) -> Vec<PortalRow> {
        let room_id = room(room_id);
        self.bridge.portals_in(&room_id).await.expect("the store")
    }

    /// Whether the store says that somebody is in the group.
    pub(crate) async fn is_member(&self, number: u32) -> bool {
        let members = self
            .db
            .read(|txn| {
                Box::pin(async move { txn.group_members(&whatsapp(), &group_chat()).await })
            })
            .await
            .expect("the store");
        members
            .iter()
            .any(|member| member.user == user(number) && member.role.is_some())
    }

    /// Waits until the bot said something in a room that contains this.
    pub(crate) async fn said(&self, room: &str, part: &str) -> String {
        let what = format!("{part:?} in {room}");
        self.homeserver
            .wait(&what, DEADLINE, |world| notice(world, room, part))
            .await
    }

    /// Waits for something.
    pub(crate) async fn wait<T>(&self, what: &str, check: impl Fn(&World) -> Option<T>) -> T {
        self.homeserver.wait(what, DEADLINE, check).await
    }
}

fn bridge(
    config: &Config,
    db: &Database,
    gatekeeper: &Arc<Gatekeeper>,
    cancel: &CancellationToken,
) -> Arc<Bridge> {
    let http = reqwest::Client::new();
    let client = Client::new(&config.homeserver, &config.appservice, http).expect("a client");
    let bridge = Bridge::new(BridgeParts {
        db: db.clone(),
        client,
        naming: GhostNaming::new("_drawbridge_", "test.example"),
        settings: app::settings(config),
        clock: Arc::new(ManualClock::new(1_700_000_000_000)),
        cancel: cancel.clone(),
    });
    let networks: [Arc<dyn Network>; 1] = [gatekeeper.clone()];
    bridge.attach(networks, Arc::new(Silent));
    bridge
}

/// The first notice of the bot in a room that contains a text.
pub(crate) fn notice(world: &World, room: &str, part: &str) -> Option<String> {
    world
        .messages(room)
        .into_iter()
        .filter(|(sender, _)| sender == BOT)
        .filter_map(|(_, content)| content["body"].as_str().map(str::to_owned))
        .find(|body| body.contains(part))
}

/// How somebody is in a room.
pub(crate) fn membership(world: &World, room: &str, user: &str) -> Option<String> {
    world.rooms.get(room)?.members.get(user).cloned()
}

pub(crate) fn mxid(user: &str) -> OwnedUserId {
    OwnedUserId::try_from(user).expect("a user id")
}
