//! A handle on a contact, for the page, the scripts and the tests.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicBool, atomic::Ordering},
    time::Duration,
};

use tokio::sync::{mpsc, oneshot, watch};

use super::{Counters, Log, Message, Received, Script, Stored, Surroundings, actor::Command};
use crate::{
    domain::MessageRef,
    network::interop::wire::Jid,
    sandbox::{error::SandboxError, flavour::Flavour},
};

/// What a contact's task and its handles share.
pub(in crate::sandbox) struct Shared {
    log: Mutex<Log>,
    around: Mutex<Surroundings>,
    connected: AtomicBool,
    version: watch::Sender<u64>,
}

impl Shared {
    pub(super) fn new(log: Log, names: &BTreeMap<Jid, String>) -> Self {
        Self {
            log: Mutex::new(log),
            around: Mutex::new(Surroundings {
                names: names.clone(),
                typing: HashMap::new(),
            }),
            connected: AtomicBool::new(false),
            version: watch::Sender::new(0),
        }
    }

    pub(super) fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn around(&self) -> MutexGuard<'_, Surroundings> {
        self.around.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_name(&self, chat: &Jid, name: &str) {
        self.around().names.insert(chat.clone(), name.to_owned());
    }

    pub(super) fn set_typing(&self, chat: &Jid, typing: bool) {
        self.around().typing.insert(chat.bare(), typing);
    }

    pub(super) fn set_connected(&self, connected: bool) {
        self.connected.store(connected, Ordering::Relaxed);
    }

    pub(super) fn changed(&self) {
        self.version.send_modify(|version| *version += 1);
    }
}

/// A contact. Clones are the same contact.
#[derive(Clone)]
pub struct ContactHandle {
    jid: Jid,
    name: Arc<str>,
    number: u64,
    flavour: Flavour,
    script: Script,
    shared: Arc<Shared>,
    commands: mpsc::UnboundedSender<Command>,
}

impl ContactHandle {
    pub(super) fn new(
        stored: &Stored,
        shared: Arc<Shared>,
        commands: mpsc::UnboundedSender<Command>,
    ) -> Self {
        Self {
            jid: stored.jid.clone(),
            name: stored.name.as_str().into(),
            number: stored.number,
            flavour: stored.flavour,
            script: stored.script,
            shared,
            commands,
        }
    }

    /// The address.
    #[must_use]
    pub fn jid(&self) -> &Jid {
        &self.jid
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The phone number in international form, or the id at Messenger.
    #[must_use]
    pub fn phone(&self) -> String {
        match self.flavour {
            Flavour::WhatsApp => format!("+{}", self.number),
            Flavour::Messenger => self.number.to_string(),
        }
    }

    /// The number, without a sign before it.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The gatekeeper.
    #[must_use]
    pub fn flavour(&self) -> Flavour {
        self.flavour
    }

    /// What the contact does by itself.
    #[must_use]
    pub fn script(&self) -> Script {
        self.script
    }

    /// Whether the contact's phone is logged in at the chat server.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.shared.connected.load(Ordering::Relaxed)
    }

    /// Writes a message; its id, once it is stored. It is sent as soon as there is a connection and a session.
    ///
    /// # Errors
    /// [`SandboxError::Recipient`] for what is no user's address, [`SandboxError::Closed`] after the sandbox's end.
    pub async fn send_text(&self, to: &str, text: &str) -> Result<String, SandboxError> {
        self.write(to, text, None).await
    }

    /// Writes a message without waiting until it is stored: many written in a row share a commit and keep their order.
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text).
    pub fn post_text(&self, to: &str, text: &str) -> Result<(), SandboxError> {
        // Nobody waits at the other end.
        let (done, _) = oneshot::channel();
        self.command(Command::Write(recipient(to)?, text.to_owned(), None, done))
    }

    /// Writes a message that answers another; otherwise as [`send_text`](Self::send_text).
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text).
    pub async fn send_reply(
        &self,
        to: &str,
        text: &str,
        quotes: MessageRef,
    ) -> Result<String, SandboxError> {
        self.write(to, text, Some(quotes)).await
    }

    async fn write(
        &self,
        to: &str,
        text: &str,
        quotes: Option<MessageRef>,
    ) -> Result<String, SandboxError> {
        let to = recipient(to)?;
        let (done, wait) = oneshot::channel();
        self.command(Command::Write(to, text.to_owned(), quotes, done))?;
        wait.await.map_err(|_| SandboxError::Closed)?
    }

    /// Sends read receipts for what came in a chat.
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text).
    pub fn mark_read(&self, chat: &str) -> Result<(), SandboxError> {
        self.command(Command::Read(recipient(chat)?))
    }

    /// Says that the contact writes, or stopped.
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text).
    pub fn typing(&self, chat: &str, composing: bool) -> Result<(), SandboxError> {
        self.command(Command::Typing(recipient(chat)?, composing))
    }

    /// Connects the phone, or keeps it away.
    ///
    /// # Errors
    /// [`SandboxError::Closed`].
    pub fn set_online(&self, online: bool) -> Result<(), SandboxError> {
        self.command(Command::Online(online))
    }

    /// Blocks a user, or takes the block back. Only while connected.
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text).
    pub fn block(&self, user: &str, block: bool) -> Result<(), SandboxError> {
        self.command(Command::Block(recipient(user)?, block))
    }

    /// Installs the phone anew: all sessions are forgotten and the identity key is another.
    ///
    /// # Errors
    /// [`SandboxError::Closed`].
    pub async fn reinstall(&self) -> Result<(), SandboxError> {
        let (done, wait) = oneshot::channel();
        self.command(Command::Reinstall(done))?;
        wait.await.map_err(|_| SandboxError::Closed)
    }

    /// What came, decrypted, in order, each message once.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.shared.log().received()
    }

    /// How many messages came.
    #[must_use]
    pub fn received_count(&self) -> usize {
        self.shared.log().received_count()
    }

    /// What the contact wrote, in order, with how far each message has come.
    #[must_use]
    pub fn sent(&self) -> Vec<Message> {
        self.shared.log().sent()
    }

    /// With whom the contact has chats.
    #[must_use]
    pub fn chats(&self) -> Vec<Jid> {
        self.shared.log().chats().cloned().collect()
    }

    /// A chat's messages, oldest first.
    #[must_use]
    pub fn messages(&self, chat: &Jid) -> Vec<Message> {
        self.shared.log().chat(chat).cloned().collect()
    }

    /// What went wrong since the sandbox started.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.shared.log().counters
    }

    /// Whether somebody is writing to the contact, as they say.
    #[must_use]
    pub fn sees_typing(&self, chat: &Jid) -> bool {
        self.shared
            .around()
            .typing
            .get(chat)
            .copied()
            .unwrap_or(false)
    }

    /// What somebody who wrote to the contact calls themselves.
    #[must_use]
    pub fn name_of(&self, chat: &Jid) -> Option<String> {
        self.shared.around().names.get(chat).cloned()
    }

    /// Waits until something is so. It is looked at after each change of this contact.
    ///
    /// # Errors
    /// [`SandboxError::Deadline`] if it does not become so in time.
    pub async fn wait_for<T>(
        &self,
        mut condition: impl FnMut(&Self) -> Option<T>,
        deadline: Duration,
    ) -> Result<T, SandboxError> {
        let mut changes = self.changes();
        let waiting = async {
            loop {
                if let Some(found) = condition(self) {
                    return Ok(found);
                }
                if changes.changed().await.is_err() {
                    return Err(SandboxError::Closed);
                }
            }
        };
        tokio::time::timeout(deadline, waiting)
            .await
            .map_err(|_| SandboxError::Deadline)?
    }

    /// Counts the contact's changes.
    pub(in crate::sandbox) fn changes(&self) -> watch::Receiver<u64> {
        self.shared.version.subscribe()
    }

    fn command(&self, command: Command) -> Result<(), SandboxError> {
        self.commands
            .send(command)
            .map_err(|_| SandboxError::Closed)
    }
}

fn recipient(text: &str) -> Result<Jid, SandboxError> {
    match text.parse::<Jid>() {
        Ok(jid) if !matches!(jid, Jid::Server(_)) => Ok(jid.bare()),
        _ => Err(SandboxError::Recipient(text.to_owned())),
    }
}
