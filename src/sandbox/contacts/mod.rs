//! The sandbox's contacts: users of the gatekeeper whose phones are ordinary clients of the chat server, over TCP, each with keys
//! and ratchets of its own.
//!
//! A contact is a task ([`actor`]) around a phone without IO ([`phone`], [`writing`], [`incoming`], [`signals`]); a
//! [`ContactHandle`] speaks to the task and looks at the log. What messages say ([`content`]) is written and read by codecs of the
//! phones' own ([`compose`], [`understand`], [`attachment`], [`crypt`]), so that the bridge's are tested against others.

mod actor;
mod asking;
mod attachment;
mod cast;
mod compose;
pub mod content;
mod crypt;
mod files;
mod group_handle;
mod group_talk;
mod groups;
mod handle;
mod incoming;
mod keyring;
mod link;
mod log;
mod media;
mod message;
mod partner;
mod people;
mod phone;
mod portrait;
mod profile;
mod say;
mod sender_keys;
mod signals;
mod understand;
mod writing;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokio::sync::mpsc;

use actor::Command;
pub(super) use actor::World;
pub use cast::Script;
pub use crypt::CryptError;
pub use files::FileError;
use files::Files;
pub(super) use files::TakeError;
use groups::GroupState;
pub use groups::{GroupChange, GroupInfo};
pub use handle::ContactHandle;
use handle::Shared;
use keyring::{Keyring, OwnKeys};
use log::Log;
pub use media::{MediaSource, MediaToSend};
pub use message::{Counters, Message, Received, Status};
use people::Deed;
pub use people::{Picture, Request};
use phone::{Phone, Stored};

use super::{
    disk::{DiskError, Snapshot, Table},
    error::SandboxError,
    flavour::Flavour,
};
use crate::{
    domain::Typing,
    network::interop::wire::{self, Jid, Node, noise},
};

/// All contacts.
pub(super) struct Contacts {
    world: World,
    /// Where phones are registered.
    registration: String,
    late_by: Duration,
    handles: Mutex<BTreeMap<Jid, ContactHandle>>,
}

impl Contacts {
    /// Starts the contacts that are stored, and those of the cast that are missing.
    pub(super) async fn start(
        world: World,
        snapshot: &Snapshot,
        with_cast: bool,
        late_by: Duration,
    ) -> Result<Arc<Self>, SandboxError> {
        let contacts = Arc::new(Self {
            registration: format!("http://{}/phones/register", world.http),
            world,
            late_by,
            handles: Mutex::default(),
        });
        for (_, value) in &snapshot[&Table::Contacts] {
            let mut stored: Stored =
                serde_json::from_slice(value).map_err(|error| DiskError::Corrupt {
                    table: "contacts",
                    reason: error.to_string(),
                })?;
            let rows = |table| rows_of(snapshot, table, &stored.jid);
            let mut keyring = Keyring::new(stored.jid.clone(), &stored.keys)?;
            for table in [
                Table::ContactPrekeys,
                Table::ContactSessions,
                Table::ContactIdentities,
                Table::ContactSenderKeys,
            ] {
                for (rest, value) in rows(table) {
                    keyring.restore(table, rest, value);
                }
            }
            let mut log = Log::default();
            for (_, value) in rows(Table::ContactMessages) {
                log.restore(value)?;
            }
            let mut outbox: BTreeMap<u64, Node> = BTreeMap::new();
            for (rest, value) in rows(Table::ContactOutbox) {
                if let (Ok(number), Ok(node)) = (rest.try_into(), wire::decode(value)) {
                    outbox.insert(u64::from_be_bytes(number), node);
                }
            }
            let groups = rows(Table::ContactGroups).map(|(_, value)| value);
            let groups = groups.filter_map(|value| serde_json::from_slice(value).ok());
            let groups = groups.collect();
            contacts.register(&mut stored, &keyring).await?;
            contacts.spawn(stored, keyring, log, outbox, groups);
        }
        if with_cast {
            let missing = cast::CAST.into_iter().filter(|(flavour, number, ..)| {
                !contacts
                    .lock()
                    .contains_key(&cast::jid_of(*flavour, *number))
            });
            // Together, so that they share commits.
            let made = missing.map(|(flavour, number, name, script)| {
                contacts.make(flavour, number, name, script)
            });
            let made = futures_util::future::try_join_all(made).await?;
            if !made.is_empty() {
                cast::make_group(&contacts.world.office).await?;
            }
            contacts.add_others().await?;
        }
        Ok(contacts)
    }

    /// Adds a contact with the next free number.
    pub(super) async fn add(
        &self,
        flavour: Flavour,
        name: &str,
        script: Script,
    ) -> Result<ContactHandle, SandboxError> {
        let number = {
            let handles = self.lock();
            cast::numbers(flavour)
                .find(|number| !handles.contains_key(&cast::jid_of(flavour, *number)))
                .ok_or(SandboxError::NoNumbers)?
        };
        self.make(flavour, number, name, script).await
    }

    async fn make(
        &self,
        flavour: Flavour,
        number: u64,
        name: &str,
        script: Script,
    ) -> Result<ContactHandle, SandboxError> {
        let jid = cast::jid_of(flavour, number);
        let keys = OwnKeys::generate(self.world.office.now().0);
        let mut stored = Stored::new(jid, flavour, number, name, script, keys);
        stored.people.opted_out = !script.starts_opted_in();
        if script == Script::Changing {
            let picture = portrait::portrait([11, 110, 105]);
            stored.people = stored.people.doing(Deed::Picture(picture));
        }
        self.keep_and_spawn(stored).await
    }

    /// Stores a contact that was just made, registers its phone if it needs to be, and starts it.
    async fn keep_and_spawn(&self, mut stored: Stored) -> Result<ContactHandle, SandboxError> {
        let keyring = Keyring::new(stored.jid.clone(), &stored.keys)?;
        self.world.office.disk.commit(vec![stored.change()]).await?;
        self.register(&mut stored, &keyring).await?;
        let log = Log::default();
        Ok(self.spawn(stored, keyring, log, BTreeMap::new(), Vec::new()))
    }

    /// Registers a phone, if it is not yet, as anybody's phone is registered: by HTTP.
    async fn register(&self, stored: &mut Stored, keyring: &Keyring) -> Result<(), SandboxError> {
        if stored.registered {
            return Ok(());
        }
        let failed = |reason: String| SandboxError::Registration(reason);
        let keys = keyring.device_keys();
        let body = serde_json::json!({
            "jid": stored.jid,
            "name": stored.name,
            "opted_in": !stored.people.opted_out,
            "noise_key": STANDARD.encode(noise::public_key(&stored.keys.noise_private)),
            "registration_id": keys.registration_id,
            "identity": STANDARD.encode(keys.identity),
            "signed_prekey_id": keys.signed.id,
            "signed_prekey": STANDARD.encode(keys.signed.value),
            "signed_prekey_signature": STANDARD.encode(&keys.signed.signature),
        });
        let answer = self
            .world
            .office
            .http
            .post(&self.registration)
            .json(&body)
            .send()
            .await;
        let answer = answer.map_err(|error| failed(error.to_string()))?;
        if !answer.status().is_success() {
            return Err(failed(answer.status().to_string()));
        }
        stored.registered = true;
        self.world.office.disk.commit(vec![stored.change()]).await?;
        Ok(())
    }

    fn spawn(
        &self,
        stored: Stored,
        keyring: Keyring,
        log: Log,
        outbox: BTreeMap<u64, Node>,
        groups: Vec<GroupState>,
    ) -> ContactHandle {
        let (commands, receiver) = mpsc::unbounded_channel::<Command>();
        let shared = Arc::new(Shared::new(log, &stored));
        let groups = groups.into_iter();
        *shared.groups() = groups
            .map(|group| (group.info.jid.clone(), group))
            .collect();
        let files = Arc::new(Files::new(
            self.world.office.clone(),
            &self.world.data_dir,
            self.world.http,
            &stored.jid,
            stored.flavour,
        ));
        let to_self = commands.downgrade();
        let handle = ContactHandle::new(&stored, shared.clone(), files.clone(), commands);
        let phone = Phone::new(stored, keyring, shared, outbox, self.late_by);
        let world = self.world.clone();
        world
            .office
            .tasks
            .clone()
            .spawn(actor::run(world, phone, files, receiver, to_self));
        self.lock().insert(handle.jid().clone(), handle.clone());
        handle
    }

    /// A contact.
    pub(super) fn get(&self, jid: &Jid) -> Option<ContactHandle> {
        self.lock().get(jid).cloned()
    }

    /// All of them but Partners' users, by gatekeeper and number.
    pub(super) fn all(&self) -> Vec<ContactHandle> {
        self.sorted(|contact| contact.visible_id().is_none())
    }

    /// The users of the Partner the sandbox plays, by gatekeeper and number.
    pub(super) fn partners(&self) -> Vec<ContactHandle> {
        self.sorted(|contact| contact.visible_id().is_some())
    }

    fn sorted(&self, wanted: impl Fn(&ContactHandle) -> bool) -> Vec<ContactHandle> {
        let mut all: Vec<ContactHandle> = self.lock().values().cloned().collect();
        all.retain(wanted);
        all.sort_by_key(|contact| (contact.flavour(), contact.number()));
        all
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Jid, ContactHandle>> {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The rows of one contact: the rest of each key, and the value.
fn rows_of<'s>(
    snapshot: &'s Snapshot,
    table: Table,
    owner: &Jid,
) -> impl Iterator<Item = (&'s [u8], &'s [u8])> {
    let prefix = super::disk::key([owner.to_string().as_bytes()]);
    snapshot[&table].iter().filter_map(move |(key, value)| {
        key.strip_prefix(prefix.as_slice())
            .map(|rest| (rest, value.as_slice()))
    })
}

/// What others do, and what those who wrote call themselves.
#[derive(Debug, Default)]
pub(super) struct Surroundings {
    pub(super) names: BTreeMap<Jid, String>,
    pub(super) typing: HashMap<Jid, Typing>,
    /// Who of a group's members does what.
    pub(super) typing_in: HashMap<Jid, BTreeMap<Jid, Typing>>,
    pub(super) present: HashMap<Jid, bool>,
}
