//! A gatekeeper on the loopback interface that speaks the real wire from the other side.
//!
//! It is `WhatsApp` and Messenger at once, for one machine: enlistment that verifies the Partner's tokens by the Partner's own key
//! set, a chat server with its own root key, a prekey directory, mailboxes of 30 days, push calls, and contacts who are ordinary
//! clients of the chat server with second ratchets of their own. It shares nothing with the bridge but the codec of the wire.
//!
//! Invariants: what a client is told was taken is on disk; a one-time prekey is handed out once; a stanza leaves the mailbox
//! only when its client acknowledged it. All state is in memory and in one file ([`disk`]); each change is a step
//! ([`office`]) whose effects on the wire follow its commit.

mod certificates;
mod chat;
mod contacts;
mod directory;
mod disk;
mod enlistment;
mod error;
mod faults;
mod flavour;
mod http;
mod line;
mod media;
mod office;
mod people;
mod push;
mod signing;
mod silent;
mod sweep;
mod token;

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, atomic::AtomicU64},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use contacts::{
    ContactHandle, Counters, CryptError, FileError, GroupChange, GroupInfo, MediaSource,
    MediaToSend, Message, Picture, Received, Request, Script, Status, content,
};
pub use directory::Role;
pub use disk::DiskError;
pub use error::SandboxError;
pub use faults::{Fault, Faults, MediaFault};
pub use flavour::{Flavour, Integrator};

use self::{
    certificates::Certificates,
    contacts::{Contacts, World},
    directory::{Directory, Kind, Setting},
    disk::Disk,
    media::MediaStore,
    office::Office,
    push::PushQueue,
    signing::Signing,
    token::Verifier,
};
use crate::{
    clock::Clock,
    domain::Timestamp,
    network::interop::wire::{Jid, Node},
};

/// How the sandbox is set up.
#[derive(Debug, Clone)]
pub struct SandboxOptions {
    /// The folder of its database.
    pub data_dir: PathBuf,
    /// `host:port` of the chat server; port 0 takes a free one.
    pub chat_listen: String,
    /// `host:port` of everything else.
    pub http_listen: String,
    /// The Partners it has agreements with. It plays one more itself, [`Integrator::OTHER`], unless they have its number.
    pub integrators: Vec<Integrator>,
    /// Whether the scripted contacts are there from the start.
    pub with_cast: bool,
    /// After how long the late contact answers.
    pub late_by: Duration,
}

impl Default for SandboxOptions {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("sandbox"),
            chat_listen: "127.0.0.1:29341".to_owned(),
            http_listen: "127.0.0.1:29342".to_owned(),
            integrators: Vec::new(),
            with_cast: true,
            late_by: Duration::from_secs(20),
        }
    }
}

/// A running sandbox.
pub struct Sandbox {
    office: Arc<Office>,
    contacts: Arc<Contacts>,
    chat: SocketAddr,
    http: SocketAddr,
}

impl Sandbox {
    /// Starts it: database, listeners, contacts.
    ///
    /// # Errors
    /// What of the options or the surroundings does not work.
    pub async fn start(
        options: SandboxOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SandboxError> {
        // Another part of the process may have installed it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let chat_listener = listen(&options.chat_listen).await?;
        let http_listener = listen(&options.http_listen).await?;
        let address = |listener: &TcpListener| {
            listener
                .local_addr()
                .map_err(|source| SandboxError::Listen {
                    address: options.http_listen.clone(),
                    source,
                })
        };
        let (chat, http) = (address(&chat_listener)?, address(&http_listener)?);
        let now = Timestamp(clock.now_ms());
        let folder = options.data_dir.clone();
        // Opening the file and making an RSA key take their time.
        let opened = tokio::task::spawn_blocking(move || {
            let (disk, snapshot) = Disk::open(&folder)?;
            let mut changes = Vec::new();
            let certificates = Certificates::load(&snapshot, now, &mut changes)?;
            let signing = Signing::load(&snapshot, &mut changes)?;
            let directory = Directory::load(&snapshot)?;
            Ok::<_, DiskError>((disk, snapshot, changes, certificates, signing, directory))
        });
        let (disk, snapshot, changes, certificates, signing, mut directory) =
            opened.await.map_err(|_| SandboxError::Closed)??;
        disk.commit(changes).await?;
        let client = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .timeout(Duration::from_secs(15))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| SandboxError::Http(error.to_string()))?;
        let (integrators, plays) = people::integrators(options.integrators, http);
        directory.setting = Setting {
            integrators: integrators.clone(),
            origin: format!("http://{http}"),
        };
        let (pushes, push_queue) = PushQueue::new();
        let office = Arc::new(Office {
            directory: Mutex::new(directory),
            disk,
            clock,
            faults: Faults::default(),
            certificates,
            signing,
            verifier: Verifier::new(integrators, client.clone()),
            plays,
            http: client,
            media: MediaStore::new(options.data_dir.join("media")),
            pushes,
            tasks: TaskTracker::new(),
            cancel: CancellationToken::new(),
            line_ids: AtomicU64::new(1),
        });
        let cast: http::Cast = Arc::default();
        let info = json!({
            "root_key": hex(&office.certificates.root_key()),
            "chat_address": chat.to_string(),
            "http_address": http.to_string(),
        });
        let router = http::router(office.clone(), cast.clone(), info);
        let cancelled = office.cancel.clone().cancelled_owned();
        office.tasks.spawn(async move {
            let served = axum::serve(http_listener, router).with_graceful_shutdown(cancelled);
            if let Err(error) = served.await {
                tracing::error!(%error, "the sandbox's HTTP listener ended");
            }
        });
        office
            .tasks
            .spawn(chat::listen(office.clone(), chat_listener));
        office.tasks.spawn(push::run(office.clone(), push_queue));
        office.tasks.spawn(sweep::run(office.clone()));
        let world = World {
            office: office.clone(),
            chat,
            root_key: office.certificates.root_key(),
            http,
            data_dir: Arc::new(options.data_dir),
        };
        let contacts =
            Contacts::start(world, &snapshot, options.with_cast, options.late_by).await?;
        // The cell was empty: nobody else fills it.
        let _ = cast.set(contacts.clone());
        for user in office.absent_with_mail() {
            office.pushes.wanted(user);
        }
        Ok(Self {
            office,
            contacts,
            chat,
            http,
        })
    }

    /// Where the chat server is.
    #[must_use]
    pub fn chat_address(&self) -> SocketAddr {
        self.chat
    }

    /// Where everything else is.
    #[must_use]
    pub fn http_address(&self) -> SocketAddr {
        self.http
    }

    /// The public key the chat server's certificate chain ends at.
    #[must_use]
    pub fn root_key(&self) -> [u8; 32] {
        self.office.certificates.root_key()
    }

    /// The keys of a gatekeeper's profile that lead here.
    #[must_use]
    pub fn profile_layer(&self, flavour: Flavour) -> Value {
        let mut known = self.office.verifier.integrators().iter();
        let integrator = known.find(|known| Some(known.id) != self.office.plays);
        self.layer(flavour, integrator)
    }

    fn layer(&self, flavour: Flavour, integrator: Option<&Integrator>) -> Value {
        let base = format!("http://{}/{}", self.http, flavour.path());
        json!({
            "live": false,
            "integrator_id": integrator.map_or(1, |integrator| integrator.id),
            "enlist_url": format!("{base}/3p/interop_reg"),
            "jwks_url": format!("{base}/.well-known/jwks"),
            "media_url": format!("{base}/media"),
            "chat": {"transport": "tcp", "address": self.chat.to_string()},
            "root_key": hex(&self.root_key()),
            "push": {"issuer": flavour.issuer()},
            "token": {
                "issuer": integrator.map_or("drawbridge", |integrator| integrator.name.as_str()),
                "audience": flavour.issuer(),
                "claims": {"sub": "{visible_id}"},
            },
            "enlist_fields": {"protocol_version": "{protocol_version}"},
            "protocol_version": enlistment::PROTOCOL_VERSION,
            "stanzas": {"unenlisted_reasons": [chat::UNKNOWN_LOGIN]},
        })
    }

    /// The fault switches.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.office.faults
    }

    /// Adds a contact that does nothing by itself, with the next free number.
    ///
    /// # Errors
    /// When the numbers are used up or the phone cannot be registered.
    pub async fn add_contact(
        &self,
        flavour: Flavour,
        name: &str,
    ) -> Result<ContactHandle, SandboxError> {
        self.contacts.add(flavour, name, Script::Live).await
    }

    /// Adds a contact that acts by itself.
    ///
    /// # Errors
    /// As [`add_contact`](Self::add_contact).
    pub async fn add_scripted(
        &self,
        flavour: Flavour,
        name: &str,
        script: Script,
    ) -> Result<ContactHandle, SandboxError> {
        self.contacts.add(flavour, name, script).await
    }

    /// All contacts, by gatekeeper and number.
    #[must_use]
    pub fn contacts(&self) -> Vec<ContactHandle> {
        self.contacts.all()
    }

    /// The contact of an address.
    ///
    /// # Errors
    /// [`SandboxError::NoContact`].
    pub fn contact(&self, jid: &str) -> Result<ContactHandle, SandboxError> {
        let jid: Jid = jid.parse().map_err(|_| SandboxError::NoContact)?;
        self.contacts.get(&jid).ok_or(SandboxError::NoContact)
    }

    /// The login of the Partner user with an identifier people see, such as `1-10853634039893@interop`.
    #[must_use]
    pub fn partner_login(&self, flavour: Flavour, visible_id: &str) -> Option<String> {
        let directory = self.office.directory();
        directory
            .partner_by_visible_id(flavour, visible_id)
            .map(|account| account.jid.to_string())
    }

    /// The logins of all Partner users but those the sandbox plays, by the identifier people see.
    #[must_use]
    pub fn partner_logins(&self) -> Vec<(String, String)> {
        let directory = self.office.directory();
        let partners = directory
            .accounts
            .values()
            .filter_map(|account| match &account.kind {
                Kind::Partner { visible_id, .. } if !self.office.plays(&account.jid) => {
                    Some((visible_id.clone(), account.jid.to_string()))
                }
                _ => None,
            });
        partners.collect()
    }

    /// Whether a user is connected.
    #[must_use]
    pub fn is_connected(&self, jid: &str) -> bool {
        let jid = jid.parse::<Jid>();
        jid.is_ok_and(|jid| self.office.directory().lines.contains_key(&jid))
    }

    /// How many stanzas wait in a user's mailbox.
    #[must_use]
    pub fn waiting(&self, jid: &str) -> usize {
        let directory = self.office.directory();
        let mailbox = jid
            .parse()
            .ok()
            .and_then(|jid: Jid| directory.mailboxes.get(&jid));
        mailbox.map_or(0, |mailbox| mailbox.0.len())
    }

    /// How many one-time prekeys the directory has of a user.
    #[must_use]
    pub fn prekeys_left(&self, jid: &str) -> usize {
        let directory = self.office.directory();
        let prekeys = jid
            .parse()
            .ok()
            .and_then(|jid: Jid| directory.prekeys.get(&jid));
        prekeys.map_or(0, std::collections::BTreeMap::len)
    }

    /// Un-enlists a Partner user at once, as 30 days without connecting do. Who enlists again has another login.
    ///
    /// # Errors
    /// [`SandboxError::Closed`].
    pub async fn unenlist(&self, jid: &str) -> Result<(), SandboxError> {
        let jid: Jid = jid
            .parse()
            .map_err(|_| SandboxError::Recipient(jid.to_owned()))?;
        self.office.unenlist(&jid).await
    }

    /// Tells a Partner user something in the gatekeeper's own name, by
    /// `<notification type="w:notice" from="s.whatsapp.net" id t><body>text</body></notification>`. No public document says how a
    /// gatekeeper does that: the shape is a guess.
    ///
    /// # Errors
    /// [`SandboxError::Recipient`] for who is not known, [`SandboxError::Closed`].
    pub async fn notify(&self, jid: &str, text: &str) -> Result<(), SandboxError> {
        let nobody = || SandboxError::Recipient(jid.to_owned());
        let to: Jid = jid.parse().map_err(|_| nobody())?;
        let now = self.office.now();
        let (known, done) = self.office.step(|directory, step| {
            let flavour = directory.accounts.get(&to)?.flavour;
            let notice = Node::new("notification")
                .with("type", "w:notice")
                .with("from", Jid::server(flavour.user_server()))
                .with("id", format!("notice-{}", rand::random::<u64>()))
                .with("t", now.seconds().to_string())
                .child(Node::new("body").bytes(text));
            directory.post(&to, notice, now.0, step);
            Some(())
        });
        known.ok_or_else(nobody)?;
        done.await.map_err(|_| SandboxError::Closed)
    }

    /// Deletes one file a contact uploaded, by the path its message names.
    ///
    /// # Errors
    /// The disk's.
    pub async fn forget_file(&self, flavour: Flavour, path: &str) -> Result<(), SandboxError> {
        let forgotten = self.office.media.forget_one(flavour, path).await;
        forgotten.map_err(|error| SandboxError::Disk(DiskError::Folder(error)))
    }

    /// Deletes every file of the media server, as time does: what is asked for is gone then.
    ///
    /// # Errors
    /// The disk's.
    pub async fn forget_media(&self) -> Result<(), SandboxError> {
        let forgotten = self.office.media.forget().await;
        forgotten.map_err(|error| SandboxError::Disk(DiskError::Folder(error)))
    }

    /// Does at once what happens once a minute: expiry of mailboxes and un-enlistment.
    pub async fn sweep(&self) {
        sweep::once(&self.office).await;
    }

    /// Asks a client to connect again, by `<stream:error code="515"/>`.
    pub fn ask_to_reconnect(&self, jid: &str) {
        if let Ok(jid) = jid.parse() {
            let error = Node::new("stream:error").with("code", "515");
            self.office.hang_up(&jid, Some(error));
        }
    }

    /// Cuts a client's connection.
    pub fn cut(&self, jid: &str) {
        if let Ok(jid) = jid.parse() {
            self.office.hang_up(&jid, None);
        }
    }

    /// Ends it. The database is closed when this returns, so another sandbox may open the folder.
    pub async fn shutdown(self) {
        self.office.cancel.cancel();
        self.office.tasks.close();
        // A browser may keep its connection open; the rest ends at once.
        let _ = tokio::time::timeout(Duration::from_secs(3), self.office.tasks.wait()).await;
        let office = self.office.clone();
        let closed = tokio::task::spawn_blocking(move || office.disk.close()).await;
        if closed.is_err() {
            tracing::error!("the sandbox's database was not closed in order");
        }
    }
}

async fn listen(address: &str) -> Result<TcpListener, SandboxError> {
    let listener = TcpListener::bind(address).await;
    let listener = listener.map_err(|source| SandboxError::Listen {
        address: address.to_owned(),
        source,
    })?;
    match listener.local_addr() {
        Ok(bound) if bound.ip().is_loopback() => Ok(listener),
        _ => Err(SandboxError::NotLoopback(address.to_owned())),
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes all that is written");
        text
    })
}
