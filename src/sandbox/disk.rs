//! What survives a restart: tables of bytes in one redb file, written by one thread that commits what waits together.
//!
//! The sandbox reads this file only when it starts; afterwards its state is in memory and every change is also queued here.
//! Changes are applied in the order they were queued, and what a change is to cause (an answer on the wire) runs on the writing
//! thread after the commit, in the same order.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Mutex, mpsc},
    thread::JoinHandle,
};

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use tokio::sync::oneshot;

/// How many changes are committed together at most.
const MOST_BATCHES: usize = 4096;

/// A table by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Table {
    /// The gatekeeper's own keys.
    Keys,
    /// Enlisted Partner users and registered phones.
    Users,
    /// One-time prekeys that nobody got yet.
    Prekeys,
    /// Stanzas that were not acknowledged yet.
    Mailbox,
    /// Groups.
    Groups,
    /// The pictures of users and groups, by their ids.
    Pictures,
    /// The contacts' names, scripts and keys.
    Contacts,
    /// The contacts' own one-time prekeys.
    ContactPrekeys,
    /// The contacts' ratchets.
    ContactSessions,
    /// The identity keys the contacts know.
    ContactIdentities,
    /// What the contacts wrote and got.
    ContactMessages,
    /// What the contacts' phones sent and the server did not acknowledge yet.
    ContactOutbox,
    /// What the contacts know of their groups.
    ContactGroups,
    /// The contacts' sender keys: their own and those they got.
    ContactSenderKeys,
}

const TABLES: [Table; 14] = [
    Table::Keys,
    Table::Users,
    Table::Prekeys,
    Table::Mailbox,
    Table::Groups,
    Table::Pictures,
    Table::Contacts,
    Table::ContactPrekeys,
    Table::ContactSessions,
    Table::ContactIdentities,
    Table::ContactMessages,
    Table::ContactOutbox,
    Table::ContactGroups,
    Table::ContactSenderKeys,
];

impl Table {
    fn definition(self) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
        TableDefinition::new(match self {
            Self::Keys => "keys",
            Self::Users => "users",
            Self::Prekeys => "prekeys",
            Self::Mailbox => "mailbox",
            Self::Groups => "groups",
            Self::Pictures => "pictures",
            Self::Contacts => "contacts",
            Self::ContactPrekeys => "contact_prekeys",
            Self::ContactSessions => "contact_sessions",
            Self::ContactIdentities => "contact_identities",
            Self::ContactMessages => "contact_messages",
            Self::ContactOutbox => "contact_outbox",
            Self::ContactGroups => "contact_groups",
            Self::ContactSenderKeys => "contact_sender_keys",
        })
    }
}

/// One change.
#[derive(Debug, Clone)]
pub(super) enum Change {
    /// A row is written.
    Put(Table, Vec<u8>, Vec<u8>),
    /// A row is removed.
    Delete(Table, Vec<u8>),
}

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The folder cannot be made or read.
    #[error("the sandbox's folder cannot be used: {0}")]
    Folder(#[from] std::io::Error),
    /// redb's.
    #[error("the sandbox's database cannot be used: {0}")]
    Database(#[from] redb::Error),
    /// A row is not what it should be.
    #[error("the sandbox's table {table} has an unreadable row: {reason}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The writing thread has ended.
    #[error("the sandbox's database is closed")]
    Closed,
}

/// What runs after a commit.
type Then = Box<dyn FnOnce() + Send>;

enum Work {
    Commit(Vec<Change>, Then),
    Stop,
}

/// The rows of every table at the start.
pub(super) type Snapshot = BTreeMap<Table, Vec<(Vec<u8>, Vec<u8>)>>;

/// The way to the writing thread.
pub(super) struct Disk {
    queue: mpsc::Sender<Work>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Disk {
    /// Opens or makes the database in a folder. The second value is what is in it.
    pub(super) fn open(folder: &Path) -> Result<(Self, Snapshot), DiskError> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join("gatekeeper.redb");
        let database = Database::create(&path).map_err(redb::Error::from)?;
        restrict(&path)?;
        let snapshot = load(&database)?;
        let (queue, work) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("sandbox-disk".to_owned())
            .spawn(move || write(&database, &work))?;
        let disk = Self {
            queue,
            thread: Mutex::new(Some(thread)),
        };
        Ok((disk, snapshot))
    }

    /// Queues changes; `then` runs once they are durable, and never if they do not become so.
    pub(super) fn submit(&self, changes: Vec<Change>, then: impl FnOnce() + Send + 'static) {
        if self
            .queue
            .send(Work::Commit(changes, Box::new(then)))
            .is_err()
        {
            tracing::debug!("a change after the sandbox's end is dropped");
        }
    }

    /// Queues changes; the future ends when they are durable.
    pub(super) fn commit(
        &self,
        changes: Vec<Change>,
    ) -> impl Future<Output = Result<(), DiskError>> + use<> {
        let (done, wait) = oneshot::channel();
        self.submit(changes, move || {
            // Nobody has to wait for it.
            let _ = done.send(());
        });
        async move { wait.await.map_err(|_| DiskError::Closed) }
    }

    /// Writes what is queued and closes the database.
    pub(super) fn close(&self) {
        let _ = self.queue.send(Work::Stop);
        let thread = self.thread.lock().ok().and_then(|mut thread| thread.take());
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the sandbox's writing thread panicked");
        }
    }
}

/// A row's key: its parts with a zero byte after each.
pub(super) fn key<const N: usize>(parts: [&[u8]; N]) -> Vec<u8> {
    let mut key = Vec::new();
    for part in parts {
        key.extend_from_slice(part);
        key.push(0);
    }
    key
}

#[cfg(unix)]
fn restrict(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
fn restrict(_path: &Path) -> std::io::Result<()> {
    Ok(())
}

fn load(database: &Database) -> Result<Snapshot, redb::Error> {
    let begin = database.begin_write()?;
    for table in TABLES {
        begin.open_table(table.definition())?;
    }
    begin.commit()?;
    let read = database.begin_read()?;
    let mut snapshot = Snapshot::new();
    for table in TABLES {
        let opened = read.open_table(table.definition())?;
        let mut rows = Vec::new();
        for row in opened.iter()? {
            let (key, value) = row?;
            rows.push((key.value().to_vec(), value.value().to_vec()));
        }
        snapshot.insert(table, rows);
    }
    Ok(snapshot)
}

fn write(database: &Database, work: &mpsc::Receiver<Work>) {
    let mut stop = false;
    while !stop && let Ok(first) = work.recv() {
        let mut changes = Vec::new();
        let mut thens = Vec::new();
        let mut next = Some(first);
        while let Some(item) = next {
            match item {
                Work::Commit(more, then) => {
                    changes.extend(more);
                    thens.push(then);
                }
                Work::Stop => {
                    stop = true;
                    break;
                }
            }
            next = if thens.len() < MOST_BATCHES {
                work.try_recv().ok()
            } else {
                None
            };
        }
        if !changes.is_empty()
            && let Err(error) = apply(database, &changes)
        {
            tracing::error!(%error, "the sandbox cannot write its database and stops");
            return;
        }
        for then in thens {
            then();
        }
    }
}

fn apply(database: &Database, changes: &[Change]) -> Result<(), redb::Error> {
    let txn = database.begin_write()?;
    {
        let mut open = BTreeMap::new();
        for change in changes {
            let (Change::Put(table, ..) | Change::Delete(table, _)) = change;
            let opened = match open.entry(*table) {
                std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
                std::collections::btree_map::Entry::Vacant(entry) => {
                    entry.insert(txn.open_table(table.definition())?)
                }
            };
            match change {
                Change::Put(_, key, value) => {
                    opened.insert(key.as_slice(), value.as_slice())?;
                }
                Change::Delete(_, key) => {
                    opened.remove(key.as_slice())?;
                }
            }
        }
    }
    txn.commit()?;
    Ok(())
}
