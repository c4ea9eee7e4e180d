//! The task that keeps a contact's phone connected and carries out what it is told.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc::UnboundedReceiver, oneshot},
    time::{Instant, MissedTickBehavior},
};

use super::{link::Link, phone::Phone};
use crate::{
    domain::MessageRef,
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

/// What a phone is told by the person or the test that holds it.
pub(super) enum Command {
    /// Write a text, perhaps as an answer to a message; the id is told when the message is stored.
    Write(
        Jid,
        String,
        Option<MessageRef>,
        oneshot::Sender<Result<String, SandboxError>>,
    ),
    /// Read a chat.
    Read(Jid),
    /// Say that the contact writes, or stopped.
    Typing(Jid, bool),
    /// Connect, or stay away.
    Online(bool),
    /// Block a user, or take it back.
    Block(Jid, bool),
    /// Forget all sessions and answer with new keys, as after a new installation.
    Reinstall(oneshot::Sender<()>),
}

/// Where a phone connects to.
#[derive(Clone)]
pub(in crate::sandbox) struct World {
    pub(in crate::sandbox) office: Arc<Office>,
    pub(in crate::sandbox) chat: SocketAddr,
    pub(in crate::sandbox) root_key: [u8; 32],
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
    commands: UnboundedReceiver<Command>,
    link: Option<Link>,
    dial_at: Instant,
    pause: Duration,
    due: Vec<(Instant, Jid, String)>,
    dones: Vec<(oneshot::Sender<Result<String, SandboxError>>, String)>,
    reinstalled: Vec<oneshot::Sender<()>>,
}

/// Runs a phone until the sandbox ends.
pub(super) async fn run(world: World, phone: Phone, commands: UnboundedReceiver<Command>) {
    let mut actor = Actor {
        world,
        phone,
        commands,
        link: None,
        dial_at: Instant::now(),
        pause: FIRST_PAUSE,
        due: Vec::new(),
        dones: Vec::new(),
        reinstalled: Vec::new(),
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
            Command::Write(chat, text, quotes, done) => {
                let id = self.phone.write(&chat, &text, quotes);
                self.dones.push((done, id));
            }
            Command::Read(chat) => self.phone.read_chat(&chat),
            Command::Typing(chat, composing) => {
                let state = Node::new(if composing { "composing" } else { "paused" });
                if self.phone.logged_in {
                    self.phone
                        .sends
                        .push(Node::new("chatstate").with("to", chat).child(state));
                }
            }
            Command::Online(online) => {
                self.phone.stored.online = online;
                let row = self.phone.stored.change();
                self.phone.changes.push(row);
                self.dial_at = Instant::now();
            }
            Command::Block(jid, block) => {
                if self.phone.logged_in {
                    self.phone.block(&jid, block);
                }
            }
            Command::Reinstall(done) => {
                if let Err(error) = self.phone.reinstall() {
                    tracing::error!(%error, "a contact's phone could not be installed anew");
                }
                self.reinstalled.push(done);
            }
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
                self.phone.write(&chat, &line.text, None);
            } else {
                self.due.push((now + line.after, chat, line.text));
            }
        }
        let (due, later) = std::mem::take(&mut self.due)
            .into_iter()
            .partition(|(at, ..)| *at <= now);
        self.due = later;
        let due: Vec<(Instant, Jid, String)> = due;
        for (_, chat, text) in due {
            self.phone.write(&chat, &text, None);
        }
    }

    /// Commits, then sends, then tells those who wait.
    async fn finish(&mut self, alive: bool) -> Result<(), SandboxError> {
        let mut changes = std::mem::take(&mut self.phone.changes);
        changes.extend(self.phone.keyring.changes());
        if !changes.is_empty() {
            self.world.office.disk.commit(changes).await?;
        }
        for (done, id) in self.dones.drain(..) {
            let _ = done.send(Ok(id));
        }
        for done in self.reinstalled.drain(..) {
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
        let payload = chat::phone_payload(stored.number, stored.flavour);
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

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
