//! The task that keeps a contact's phone connected and carries out what it is told.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    sync::{
        mpsc::{UnboundedReceiver, WeakUnboundedSender},
        oneshot,
    },
    time::{Instant, MissedTickBehavior},
};

use super::{
    asking::Answered,
    cast::Saying,
    content::{Composed, File},
    files::Files,
    link::Link,
    partner,
    people::Deed,
    phone::{Phone, Reupload},
    signals::typing_node,
};
use crate::{
    domain::Typing,
    network::interop::wire::{Jid, Node},
    sandbox::{chat, error::LineError, error::SandboxError, office::Office},
};

/// How many inputs are taken into one commit.
const MOST_INPUTS: usize = 256;
const PING_EVERY: Duration = Duration::from_secs(25);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long connecting may take.
const DIAL: Duration = Duration::from_secs(10);

/// Where the id of what was written is told when it is stored.
pub(super) type Done = oneshot::Sender<Result<String, SandboxError>>;

/// What a phone is told by the person or the test that holds it.
pub(super) enum Command {
    /// Write a message.
    Write(Jid, Box<Composed>, Done),
    /// Send bytes in the place of a message.
    Raw(Jid, Vec<u8>, Done),
    /// Read a chat; with receipts gathered by message if the second is set.
    Read(Jid, bool),
    /// Listen to a voice note.
    Play(Jid, String),
    /// Say that the contact writes, or stopped.
    Typing(Jid, Typing),
    /// Say that the contact is there, or not.
    Presence(bool),
    /// Call somebody, with a picture if the second is set; the call's id is told.
    Call(Jid, bool, Done),
    /// Give up a call.
    HangUp(Jid, String),
    /// Connect, or stay away.
    Online(bool),
    /// Do something to the account.
    Does(Deed),
    /// Tell when what was told before is done as far as it can be without the gatekeeper.
    Settle(oneshot::Sender<()>),
    /// Forget the files that were sent, or have them again.
    LoseFiles(bool),
    /// A file that was asked for is uploaded, at this path, or cannot be had.
    Uploaded(Box<Reupload>, Option<String>),
    /// Ask the gatekeeper about groups, and tell the answer.
    Ask(Box<Node>, Answered),
    /// Forget the sender keys members of groups gave.
    ForgetSenderKeys(oneshot::Sender<()>),
    /// Forget all sessions and answer with new keys, as after a new installation.
    Reinstall(oneshot::Sender<()>),
}

/// Where a phone connects to.
#[derive(Clone)]
pub(in crate::sandbox) struct World {
    pub(in crate::sandbox) office: Arc<Office>,
    pub(in crate::sandbox) chat: SocketAddr,
    pub(in crate::sandbox) root_key: [u8; 32],
    /// Where the media server is.
    pub(in crate::sandbox) http: SocketAddr,
    /// The sandbox's folder.
    pub(in crate::sandbox) data_dir: Arc<PathBuf>,
}

enum Input {
    Command(Option<Command>),
    Stanza(Result<Option<Node>, LineError>),
    Ping,
    Line,
    Dial,
    End,
}

struct Actor {
    world: World,
    phone: Phone,
    files: Arc<Files>,
    commands: UnboundedReceiver<Command>,
    /// The other end of the same queue, for what is done meanwhile.
    to_self: WeakUnboundedSender<Command>,
    link: Option<Link>,
    dial_at: Instant,
    pause: Duration,
    due: Vec<(Instant, Jid, Saying)>,
    dones: Vec<(Done, Result<String, SandboxError>)>,
    heard: Vec<oneshot::Sender<()>>,
}

/// Runs a phone until the sandbox ends.
pub(super) async fn run(
    world: World,
    phone: Phone,
    files: Arc<Files>,
    commands: UnboundedReceiver<Command>,
    to_self: WeakUnboundedSender<Command>,
) {
    let mut actor = Actor {
        world,
        phone,
        files,
        commands,
        to_self,
        link: None,
        dial_at: Instant::now(),
        pause: FIRST_PAUSE,
        due: Vec::new(),
        dones: Vec::new(),
        heard: Vec::new(),
    };
    let mut ping = tokio::time::interval(PING_EVERY);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let input = actor.input(&mut ping).await;
        actor.phone.now = actor.world.office.now().0;
        let mut alive = match input {
            Input::Command(None) | Input::End => break,
            Input::Command(Some(command)) => {
                actor.command(command);
                true
            }
            Input::Stanza(stanza) => actor.stanza(stanza),
            Input::Ping => {
                if actor.phone.logged_in {
                    actor.phone.ping();
                }
                true
            }
            Input::Line => true,
            Input::Dial => {
                actor.dial().await;
                continue;
            }
        };
        alive &= actor.gather();
        actor.speak();
        actor.upload();
        if actor.finish(alive).await.is_err() {
            break;
        }
    }
    if let Some(mut link) = actor.link {
        link.close().await;
    }
}

impl Actor {
    async fn input(&mut self, ping: &mut tokio::time::Interval) -> Input {
        let next_line = self.due.iter().map(|(at, ..)| *at).min();
        let wants_dial = self.link.is_none() && self.phone.stored.online;
        let stanza = async {
            match &mut self.link {
                Some(link) => link.stanza().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            command = self.commands.recv() => Input::Command(command),
            stanza = stanza => Input::Stanza(stanza),
            _ = ping.tick() => Input::Ping,
            () = sleep_until(next_line) => Input::Line,
            () = tokio::time::sleep_until(self.dial_at), if wants_dial => Input::Dial,
            () = self.world.office.cancel.cancelled() => Input::End,
        }
    }

    /// Takes what else has come already.
    fn gather(&mut self) -> bool {
        let mut left = MOST_INPUTS;
        while left > 0 {
            left -= 1;
            if let Ok(command) = self.commands.try_recv() {
                self.command(command);
                continue;
            }
            match self.link.as_mut().map(Link::ready) {
                Some(Ok(Some(node))) => {
                    if !self.stanza(Ok(Some(node))) {
                        return false;
                    }
                }
                Some(Err(_)) => return false,
                Some(Ok(None)) | None => return true,
            }
        }
        true
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Write(chat, message, done) => {
                let id = self.phone.write(&chat, *message);
                self.dones.push((done, id));
            }
            Command::Raw(chat, bytes, done) => {
                let id = self.phone.write_raw(&chat, bytes);
                self.dones.push((done, Ok(id)));
            }
            Command::Read(chat, false) => self.phone.read_chat(&chat),
            Command::Read(chat, true) => self.phone.read_chat_aggregated(&chat),
            Command::Play(chat, id) => self.phone.play(&chat, &id),
            Command::Typing(chat, state) => {
                let state = Node::new("chatstate")
                    .with("to", chat)
                    .child(typing_node(state));
                self.say_now(state);
            }
            Command::Presence(present) => {
                let kind = if present { "available" } else { "unavailable" };
                self.say_now(Node::new("presence").with("type", kind));
            }
            Command::Call(chat, video, done) => {
                let call = self.phone.call(&chat, video);
                self.dones.push((done, Ok(call)));
            }
            Command::HangUp(chat, call) => self.phone.hang_up(&chat, &call),
            Command::Online(online) => {
                self.phone.stored.online = online;
                self.phone.shared.set_person(&self.phone.stored);
                let row = self.phone.stored.change();
                self.phone.changes.push(row);
                self.dial_at = Instant::now();
            }
            Command::Does(deed) => self.phone.does(deed),
            Command::Settle(done) => self.heard.push(done),
            Command::LoseFiles(lost) => {
                self.phone.stored.lost_files = lost;
                let row = self.phone.stored.change();
                self.phone.changes.push(row);
            }
            Command::Uploaded(reupload, path) => self.phone.answer_file(&reupload, path),
            Command::Ask(iq, answered) => self.phone.ask(*iq, Some(answered)),
            Command::ForgetSenderKeys(done) => {
                self.phone.keyring.groups.forget_received();
                self.heard.push(done);
            }
            Command::Reinstall(done) => {
                if let Err(error) = self.phone.reinstall() {
                    tracing::error!(%error, "a contact's phone could not be installed anew");
                }
                self.heard.push(done);
            }
        }
    }

    /// Sends a stanza that is forgotten while there is no connection.
    fn say_now(&mut self, node: Node) {
        if self.phone.logged_in {
            self.phone.sends.push(node);
        }
    }

    fn stanza(&mut self, stanza: Result<Option<Node>, LineError>) -> bool {
        match stanza {
            Ok(Some(node)) => {
                if node.tag == "success" {
                    self.pause = FIRST_PAUSE;
                }
                self.phone.stanza(&node)
            }
            Ok(None) => true,
            Err(_) => false,
        }
    }

    /// Lets the contact say by itself what is due.
    fn speak(&mut self) {
        let now = Instant::now();
        for (chat, line) in std::mem::take(&mut self.phone.lines) {
            if line.after.is_zero() {
                self.say(chat, line.saying);
            } else {
                self.due.push((now + line.after, chat, line.saying));
            }
        }
        let (due, later) = std::mem::take(&mut self.due)
            .into_iter()
            .partition(|(at, ..)| *at <= now);
        self.due = later;
        let due: Vec<(Instant, Jid, Saying)> = due;
        for (_, chat, saying) in due {
            self.say(chat, saying);
        }
    }

    fn say(&mut self, chat: Jid, saying: Saying) {
        match saying {
            Saying::Message(message) => {
                if let Err(error) = self.phone.write(&chat, *message) {
                    tracing::debug!(%error, "a contact cannot answer");
                }
            }
            Saying::AddToGroup => self.phone.add_to_a_group(&chat),
            Saying::SendBack(file, caption) => self.send_back(chat, *file, caption),
            Saying::Does(deed) => self.phone.does(deed),
        }
    }

    /// Fetches a file and sends it as the contact's own.
    fn send_back(&self, chat: Jid, file: File, caption: String) {
        let (files, to_self) = (self.files.clone(), self.to_self.clone());
        self.meanwhile(async move {
            let message = match files.send_back(&file, caption).await {
                Ok(message) => message,
                Err(error) => {
                    let text = format!("I cannot open {}: {error}.", file.kind.noun());
                    Composed::text(text)
                }
            };
            // Nobody waits at the other end.
            let (done, _) = oneshot::channel();
            tell(&to_self, Command::Write(chat, Box::new(message), done));
        });
    }

    /// Uploads what the other side asked for.
    fn upload(&mut self) {
        for reupload in std::mem::take(&mut self.phone.reuploads) {
            let (files, to_self) = (self.files.clone(), self.to_self.clone());
            let lost = self.phone.stored.lost_files;
            self.meanwhile(async move {
                let path = if lost {
                    None
                } else {
                    let uploaded = files.send_again(&reupload.file).await;
                    uploaded
                        .inspect_err(|error| tracing::warn!(%error, "a file cannot be sent again"))
                        .ok()
                };
                tell(&to_self, Command::Uploaded(Box::new(reupload), path));
            });
        }
    }

    /// Does something that takes its time; it ends with the sandbox.
    fn meanwhile(&self, work: impl Future<Output = ()> + Send + 'static) {
        let office = self.world.office.clone();
        self.world.office.tasks.spawn(async move {
            tokio::select! {
                () = work => {}
                () = office.cancel.cancelled() => {}
            }
        });
    }

    /// Commits, then sends, then tells those who wait.
    async fn finish(&mut self, alive: bool) -> Result<(), SandboxError> {
        let mut changes = std::mem::take(&mut self.phone.changes);
        changes.extend(self.phone.keyring.changes());
        if !changes.is_empty() {
            self.world.office.disk.commit(changes).await?;
        }
        for (done, outcome) in self.dones.drain(..) {
            let _ = done.send(outcome);
        }
        for (done, answer) in self.phone.answers.drain(..) {
            let _ = done.send(answer);
        }
        for done in self.heard.drain(..) {
            let _ = done.send(());
        }
        let sends = std::mem::take(&mut self.phone.sends);
        let mut alive = alive && self.phone.stored.online;
        if let Some(link) = &mut self.link
            && !sends.is_empty()
            && link.send(&sends).await.is_err()
        {
            alive = false;
        }
        if !alive && let Some(mut link) = self.link.take() {
            link.close().await;
            self.phone.disconnected();
            self.later();
        }
        self.phone.shared.set_connected(self.phone.logged_in);
        self.phone.shared.changed();
        Ok(())
    }

    fn later(&mut self) {
        self.dial_at = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    async fn dial(&mut self) {
        let stored = &self.phone.stored;
        let payload = match &stored.visible_id {
            Some(visible_id) => partner::payload(&self.world.office, stored, visible_id),
            None => chat::phone_payload(stored.number, stored.flavour),
        };
        let dial = Link::dial(
            self.world.chat,
            stored.keys.noise_private,
            &self.world.root_key,
            &payload,
            self.world.office.now(),
        );
        match tokio::time::timeout(DIAL, dial).await {
            Ok(Ok(link)) => self.link = Some(link),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a contact could not connect");
                self.later();
            }
            Err(_) => self.later(),
        }
    }
}

fn tell(phone: &WeakUnboundedSender<Command>, command: Command) {
    if let Some(phone) = phone.upgrade() {
        // It ended meanwhile.
        let _ = phone.send(command);
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
