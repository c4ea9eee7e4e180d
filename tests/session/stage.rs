//! A gatekeeper's client side with a store of its own, and what a bridge would do with it.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use drawbridge::{
    clock::{Clock, SystemClock},
    config::PartnerConfig,
    domain::{
        ChatId, GatekeeperId, IncomingContent, LoginId, MessageContext, Outgoing, OutgoingContent,
        PortalId, RemoteUserId, StanzaId, Timestamp, Typing,
    },
    network::{
        ConnectionState, Enqueued, Network, NetworkSink, Origin,
        interop::{
            ConnectionPolicy, Gatekeeper, GatekeeperOptions,
            partner::{HostedMedia, PartnerState, SigningKey, router},
            profile::Profile,
        },
    },
    store::{Database, Lane, LoginRow, RemoteMessageRow},
};

use tokio::net::TcpListener;

use super::peer::{DEADLINE, within};

/// What the gatekeeper told.
#[derive(Default)]
pub(crate) struct Heard {
    chats: Mutex<Vec<(LoginId, ChatId)>>,
    states: Mutex<Vec<ConnectionState>>,
    typing: Mutex<Vec<(ChatId, RemoteUserId, Typing)>>,
    presence: Mutex<Vec<(RemoteUserId, bool)>>,
}

impl NetworkSink for Heard {
    fn waiting(&self, login: LoginId, chat: &ChatId) {
        self.chats.lock().unwrap().push((login, chat.clone()));
    }
    fn connection(&self, _: LoginId, state: ConnectionState) {
        self.states.lock().unwrap().push(state);
    }
    fn typing(&self, _: LoginId, chat: &ChatId, who: &RemoteUserId, state: Typing) {
        let heard = (chat.clone(), who.clone(), state);
        self.typing.lock().unwrap().push(heard);
    }
    fn presence(&self, _: LoginId, who: &RemoteUserId, available: bool) {
        self.presence.lock().unwrap().push((who.clone(), available));
    }
}

/// The client side.
pub(crate) struct Stage {
    pub(crate) gatekeeper: Arc<Gatekeeper>,
    pub(crate) db: Database,
    pub(crate) heard: Arc<Heard>,
    signing: Arc<SigningKey>,
    hosted: Arc<HostedMedia>,
    dir: tempfile::TempDir,
}

pub(crate) const USER: &str = "4915155550001@s.whatsapp.net";
pub(crate) const MXID: &str = "@alice:example.org";

pub(crate) fn chat() -> ChatId {
    ChatId::parse(USER).unwrap()
}

fn now() -> Timestamp {
    Timestamp(SystemClock.now_ms())
}

fn options(
    id: &str,
    profile: Arc<Profile>,
    connection: ConnectionPolicy,
    hosted: Arc<HostedMedia>,
    work_dir: PathBuf,
) -> GatekeeperOptions {
    GatekeeperOptions {
        id: GatekeeperId::parse(id).unwrap(),
        name: "WhatsApp".to_owned(),
        profile,
        connection,
        visible_id: "{mxid}".to_owned(),
        hosted,
        work_dir,
        patience: Duration::from_secs(10),
        clock: Arc::new(SystemClock),
    }
}

impl Stage {
    pub(crate) async fn new(layer: &serde_json::Value, connection: ConnectionPolicy) -> Self {
        Self::named(layer, connection, "{mxid}").await
    }

    /// With another template of what the gatekeeper's users see.
    pub(crate) async fn named(
        layer: &serde_json::Value,
        connection: ConnectionPolicy,
        visible_id: &str,
    ) -> Self {
        // Another test of this process may have installed it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let db = super::support::open_store(dir.path(), now()).await;
        let layers = ["whatsapp".to_owned()];
        let profile = Arc::new(Profile::load(&layers, Some(layer)).unwrap());
        let signing = SigningKey::open(&dir.path().join("partner.pem"), now()).unwrap();
        let signing = Arc::new(signing);
        let heard = Arc::new(Heard::default());
        let hosted = Arc::new(HostedMedia::new(dir.path().join("media")));
        let work = dir.path().join("work");
        let options = options("whatsapp", profile, connection, hosted.clone(), work);
        let gatekeeper = Gatekeeper::new(
            GatekeeperOptions {
                visible_id: visible_id.to_owned(),
                ..options
            },
            db.clone(),
            signing.clone(),
            reqwest::Client::new(),
            heard.clone(),
        );
        Self {
            gatekeeper,
            db,
            heard,
            signing,
            hosted,
            dir,
        }
    }

    /// Another gatekeeper over the same store.
    pub(crate) fn beside(&self, id: &str, layer: &serde_json::Value) -> Arc<Gatekeeper> {
        let layers = ["whatsapp".to_owned()];
        let profile = Arc::new(Profile::load(&layers, Some(layer)).unwrap());
        let work = self.dir.path().join("work");
        let hosted = self.hosted.clone();
        Gatekeeper::new(
            options(id, profile, ConnectionPolicy::Always, hosted, work),
            self.db.clone(),
            self.signing.clone(),
            reqwest::Client::new(),
            self.heard.clone(),
        )
    }

    /// Serves what the gatekeeper reaches a Partner by.
    pub(crate) fn serve_partner(&self, listener: TcpListener) {
        let bound = listener.local_addr().unwrap();
        let config = PartnerConfig {
            listen: bound.to_string(),
            address: format!("http://{bound}").parse().unwrap(),
            signing_key_file: self.dir.path().join("partner.pem"),
            media_dir: self.dir.path().join("media"),
        };
        let state = PartnerState::new(
            self.signing.clone(),
            vec![self.gatekeeper.clone()],
            self.hosted.clone(),
            &config,
            &reqwest::Client::new(),
            Arc::new(SystemClock),
        );
        tokio::spawn(async move { axum::serve(listener, router(state)).await.unwrap() });
    }

    /// Puts a text into the outbox as the bridge does, and rings.
    pub(crate) async fn send(&self, login: LoginId, id: &str, body: &str) {
        self.send_to(login, &chat(), id, body).await;
    }

    pub(crate) async fn send_to(&self, login: LoginId, chat: &ChatId, id: &str, body: &str) {
        let queued = self.enqueue_to(login, chat, id, body).await;
        assert_eq!(queued, Enqueued::Queued);
        self.gatekeeper.flush(login);
    }

    pub(crate) async fn enqueue(&self, login: LoginId, id: &str, body: &str) -> Enqueued {
        self.enqueue_to(login, &chat(), id, body).await
    }

    pub(crate) async fn enqueue_to(
        &self,
        login: LoginId,
        chat: &ChatId,
        id: &str,
        body: &str,
    ) -> Enqueued {
        let message = Outgoing {
            chat: chat.clone(),
            id: StanzaId::parse(id).unwrap(),
            content: OutgoingContent::Text {
                body: body.to_owned(),
                preview: None,
            },
            context: MessageContext::default(),
        };
        let origin = Origin {
            portal: PortalId(1),
            event_id: format!("$event-{id}"),
            part: 0,
        };
        let gatekeeper = self.gatekeeper.clone();
        self.db
            .step(Lane::login(login), move |txn| {
                let (gatekeeper, message, origin) =
                    (gatekeeper.clone(), message.clone(), origin.clone());
                Box::pin(async move {
                    gatekeeper
                        .enqueue(txn, login, &message, &origin, now())
                        .await
                })
            })
            .await
            .unwrap()
            .unwrap()
    }

    /// Queues a read receipt as the bridge does, and rings.
    pub(crate) async fn read(&self, login: LoginId, chat: &ChatId, ids: &[&str]) {
        let ids: Vec<StanzaId> = ids.iter().map(|id| StanzaId::parse(*id).unwrap()).collect();
        let (chat, sender) = (chat.clone(), chat.direct_user().unwrap());
        let gatekeeper = self.gatekeeper.clone();
        self.db
            .step(Lane::login(login), move |txn| {
                let (gatekeeper, ids) = (gatekeeper.clone(), ids.clone());
                let (chat, sender) = (chat.clone(), sender.clone());
                Box::pin(async move {
                    gatekeeper
                        .enqueue_read(txn, login, &chat, &sender, &ids, now())
                        .await
                })
            })
            .await
            .unwrap();
        self.gatekeeper.flush(login);
    }

    pub(crate) async fn queue_length(&self, login: LoginId) -> i64 {
        self.db
            .read(move |txn| Box::pin(txn.queue_length(login)))
            .await
            .unwrap()
    }

    pub(crate) async fn row(&self, login: LoginId) -> LoginRow {
        self.db
            .read(move |txn| Box::pin(txn.login(login)))
            .await
            .unwrap()
            .expect("the login")
    }

    pub(crate) async fn inbox(&self, login: LoginId) -> Vec<RemoteMessageRow> {
        self.inbox_of(login, &chat()).await
    }

    pub(crate) async fn inbox_of(&self, login: LoginId, chat: &ChatId) -> Vec<RemoteMessageRow> {
        let chat = chat.clone();
        self.db
            .read(move |txn| {
                let chat = chat.clone();
                Box::pin(async move { txn.waiting_messages(login, &chat, 1000).await })
            })
            .await
            .unwrap()
    }

    /// The texts that wait for their way into Matrix, in order; `None` for what could not be decrypted and for notices.
    pub(crate) async fn texts(&self, login: LoginId, chat: &ChatId) -> Vec<Option<String>> {
        let rows = self.inbox_of(login, chat).await;
        let text = |row: &RemoteMessageRow| {
            let plaintext = row.message.plaintext.as_deref()?;
            match self
                .gatekeeper
                .read_message(plaintext, &row.message.sender, "")
                .content
            {
                IncomingContent::Text { body, .. } => Some(body),
                other => panic!("{other:?}"),
            }
        };
        rows.iter().map(text).collect()
    }

    /// Waits until so many stanzas are in the outbox.
    pub(crate) async fn until_queued(&self, login: LoginId, count: i64) {
        within("an outbox of another length", async {
            while self.queue_length(login).await != count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    pub(crate) async fn until_sent(&self, login: LoginId) {
        self.until_queued(login, 0).await;
    }

    /// Waits until the connection is as wanted.
    pub(crate) async fn until_state(
        &self,
        login: LoginId,
        wanted: impl Fn(&ConnectionState) -> bool,
    ) -> ConnectionState {
        let begun = std::time::Instant::now();
        loop {
            let state = self.gatekeeper.connection(login);
            if wanted(&state) {
                return state;
            }
            assert!(begun.elapsed() < DEADLINE, "in vain, it is {state:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits for what a chat's members were heard doing, so many times.
    pub(crate) async fn until_typing(&self, count: usize) -> Vec<(ChatId, RemoteUserId, Typing)> {
        within("somebody writing", async {
            loop {
                let heard = self.heard.typing.lock().unwrap().clone();
                if heard.len() >= count {
                    return heard;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
    }

    /// Waits for who was heard coming and going, so many times.
    pub(crate) async fn until_presence(&self, count: usize) -> Vec<(RemoteUserId, bool)> {
        within("somebody's presence", async {
            loop {
                let heard = self.heard.presence.lock().unwrap().clone();
                if heard.len() >= count {
                    return heard;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
    }

    /// Waits until the bridge was told of the chat.
    pub(crate) async fn until_heard(&self) {
        within("news of the chat", async {
            while self.heard.chats.lock().unwrap().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }
}
