//! A handle on a contact, for the page, the scripts and the tests.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicBool, atomic::Ordering},
    time::Duration,
};

use tokio::sync::{mpsc, watch};

use super::{
    Counters, Log, Message, Received, Script, Stored, Surroundings,
    actor::Command,
    content::Content,
    files::{FileError, Files},
    groups::GroupState,
    profile::Person,
};
use crate::{
    domain::Typing,
    network::interop::wire::Jid,
    sandbox::{error::SandboxError, flavour::Flavour},
};

/// What a contact's task and its handles share.
pub(in crate::sandbox) struct Shared {
    log: Mutex<Log>,
    groups: Mutex<BTreeMap<Jid, GroupState>>,
    around: Mutex<Surroundings>,
    person: Mutex<Person>,
    connected: AtomicBool,
    version: watch::Sender<u64>,
}

impl Shared {
    pub(super) fn new(log: Log, stored: &Stored) -> Self {
        Self {
            log: Mutex::new(log),
            groups: Mutex::default(),
            around: Mutex::new(Surroundings {
                names: stored.names.clone(),
                ..Surroundings::default()
            }),
            person: Mutex::new(Person::of(stored)),
            connected: AtomicBool::new(false),
            version: watch::Sender::new(0),
        }
    }

    pub(super) fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn groups(&self) -> MutexGuard<'_, BTreeMap<Jid, GroupState>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_person(&self, stored: &Stored) {
        *self.person() = Person::of(stored);
    }

    fn person(&self) -> MutexGuard<'_, Person> {
        self.person.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn around(&self) -> MutexGuard<'_, Surroundings> {
        self.around.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_name(&self, chat: &Jid, name: &str) {
        self.around().names.insert(chat.clone(), name.to_owned());
    }

    /// Somebody does something in a chat; in a group, `who` does.
    pub(super) fn set_typing_in(&self, chat: &Jid, who: Option<&Jid>, typing: Typing) {
        let mut around = self.around();
        let mut shown = typing;
        if let Some(who) = who {
            let doing = around.typing_in.entry(chat.bare()).or_default();
            doing.insert(who.bare(), typing);
            let mut others = doing.values().copied();
            shown = others
                .find(|does| *does != Typing::Paused)
                .unwrap_or(typing);
        }
        around.typing.insert(chat.bare(), shown);
    }

    pub(super) fn set_present(&self, chat: &Jid, present: bool) {
        self.around().present.insert(chat.bare(), present);
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
    visible_id: Option<Arc<str>>,
    number: u64,
    flavour: Flavour,
    script: Script,
    pub(super) shared: Arc<Shared>,
    files: Arc<Files>,
    commands: mpsc::UnboundedSender<Command>,
}

impl ContactHandle {
    pub(super) fn new(
        stored: &Stored,
        shared: Arc<Shared>,
        files: Arc<Files>,
        commands: mpsc::UnboundedSender<Command>,
    ) -> Self {
        Self {
            jid: stored.jid.clone(),
            visible_id: stored.visible_id.as_deref().map(Into::into),
            number: stored.number,
            flavour: stored.flavour,
            script: stored.script,
            shared,
            files,
            commands,
        }
    }

    /// The address.
    #[must_use]
    pub fn jid(&self) -> &Jid {
        &self.jid
    }

    /// The phone number in international form, or the id at Messenger; of a Partner's user the identifier people see.
    #[must_use]
    pub fn phone(&self) -> String {
        match (&self.visible_id, self.flavour) {
            (Some(visible_id), _) => visible_id.to_string(),
            (None, Flavour::WhatsApp) => format!("+{}", self.number),
            (None, Flavour::Messenger) => self.number.to_string(),
        }
    }

    /// The identifier people see, if it is a user of the Partner the sandbox plays.
    #[must_use]
    pub fn visible_id(&self) -> Option<&str> {
        self.visible_id.as_deref()
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

    /// A chat's messages, oldest first, as they are now. What changes others, such as reactions, is not among them.
    #[must_use]
    pub fn messages(&self, chat: &Jid) -> Vec<Message> {
        let log = self.shared.log();
        let shown = log.chat(chat).filter(|message| message.is_shown());
        shown.cloned().collect()
    }

    /// Everything of all chats, oldest first: what is shown, and what changes others.
    #[must_use]
    pub fn log(&self) -> Vec<Message> {
        self.shared.log().all().to_vec()
    }

    /// The last so many of them, oldest first.
    #[must_use]
    pub fn latest(&self, chat: &Jid, most: usize) -> Vec<Message> {
        let log = self.shared.log();
        let shown = log
            .chat(chat)
            .rev()
            .filter(|message| message.is_shown())
            .take(most);
        let mut latest: Vec<Message> = shown.cloned().collect();
        latest.reverse();
        latest
    }

    /// A message of a chat by its id, of the other side if both have one.
    #[must_use]
    pub fn message(&self, chat: &str, id: &str) -> Option<Message> {
        let chat = recipient(chat).ok()?;
        self.shared.log().either(&chat, id).cloned()
    }

    /// A message of a chat by its id and its side.
    #[must_use]
    pub fn message_of(&self, chat: &Jid, own: bool, id: &str) -> Option<Message> {
        self.shared.log().find(chat, own, id).cloned()
    }

    /// Who reacted to a message, and with what.
    #[must_use]
    pub fn reactions(&self, chat: &str, id: &str) -> BTreeMap<Jid, String> {
        let message = self.message(chat, id);
        message.map(|m| m.reactions).unwrap_or_default()
    }

    /// Who voted for each option of a poll, in the order of the options; empty if there is no such poll.
    #[must_use]
    pub fn tally(&self, chat: &str, poll: &str) -> Vec<(String, Vec<Jid>)> {
        let Some(message) = self.message(chat, poll) else {
            return Vec::new();
        };
        let options = message.content.poll().map_or(&[][..], |poll| &poll.options);
        let voters = |option: &String| {
            let chose = |(_, choices): &(&Jid, &Vec<String>)| choices.contains(option);
            let voters = message.votes.iter().filter(chose);
            voters.map(|(voter, _)| voter.clone()).collect()
        };
        options
            .iter()
            .map(|option| (option.clone(), voters(option)))
            .collect()
    }

    /// After how many seconds what is written in a chat disappears, 0 for never.
    #[must_use]
    pub fn timer(&self, chat: &str) -> u32 {
        let Ok(chat) = recipient(chat) else { return 0 };
        let log = self.shared.log();
        let last = log
            .chat(&chat)
            .rev()
            .find_map(|message| match message.content {
                Content::Timer { seconds } => Some(seconds),
                _ => None,
            });
        last.unwrap_or(0)
    }

    /// A message's file, on the phone's disk: fetched from the media server, decrypted and checked if the phone did not have it.
    ///
    /// # Errors
    /// [`SandboxError::File`] says why it cannot be had.
    pub async fn media_file(
        &self,
        chat: &str,
        own: bool,
        id: &str,
    ) -> Result<PathBuf, SandboxError> {
        let message = self.message_of(&recipient(chat)?, own, id);
        let file = message.as_ref().and_then(|message| message.content.file());
        Ok(self.files.open(file.ok_or(FileError::Missing)?).await?)
    }

    /// A message's file as bytes; the message is the other side's if both have one of the id.
    ///
    /// # Errors
    /// As [`media_file`](Self::media_file).
    pub async fn open_media(&self, chat: &str, id: &str) -> Result<Vec<u8>, SandboxError> {
        let own = self
            .message(chat, id)
            .is_some_and(|message| message.outgoing);
        let path = self.media_file(chat, own, id).await?;
        Ok(tokio::fs::read(path).await.map_err(FileError::Disk)?)
    }

    /// What went wrong since the sandbox started.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.shared.log().counters
    }

    /// Whether somebody is writing or recording to the contact, as they say.
    #[must_use]
    pub fn sees_typing(&self, chat: &Jid) -> bool {
        self.typing_of(chat) != Typing::Paused
    }

    /// What somebody says they do.
    #[must_use]
    pub fn typing_of(&self, chat: &Jid) -> Typing {
        let around = self.shared.around();
        around.typing.get(chat).copied().unwrap_or(Typing::Paused)
    }

    /// Whether somebody is there, as they said last; `None` if they said nothing.
    #[must_use]
    pub fn sees_present(&self, chat: &Jid) -> Option<bool> {
        self.shared.around().present.get(chat).copied()
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

    pub(super) fn person(&self) -> MutexGuard<'_, Person> {
        self.shared.person()
    }

    pub(super) fn files(&self) -> &Files {
        &self.files
    }

    pub(super) fn command(&self, command: Command) -> Result<(), SandboxError> {
        self.commands
            .send(command)
            .map_err(|_| SandboxError::Closed)
    }
}

/// The user of an address.
pub(super) fn recipient(text: &str) -> Result<Jid, SandboxError> {
    match text.parse::<Jid>() {
        Ok(jid) if !matches!(jid, Jid::Server(_)) => Ok(jid.bare()),
        _ => Err(SandboxError::Recipient(text.to_owned())),
    }
}
