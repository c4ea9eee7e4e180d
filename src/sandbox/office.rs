//! What every part of the gatekeeper shares, and the one way its state changes: a step, its commit, its effects.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use tokio::sync::{mpsc, oneshot};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    certificates::Certificates,
    directory::{Directory, Effect, Kind, Line, Mailbox, Outgoing, Step},
    disk::{Disk, DiskError},
    faults::Faults,
    flavour::Flavour,
    media::MediaStore,
    push::PushQueue,
    signing::Signing,
    token::Verifier,
};
use crate::{
    clock::Clock,
    domain::Timestamp,
    network::interop::wire::{Jid, Node},
};

/// What every part of the gatekeeper shares.
pub(super) struct Office {
    pub(super) directory: Mutex<Directory>,
    pub(super) disk: Disk,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) faults: Faults,
    pub(super) certificates: Certificates,
    pub(super) signing: Signing,
    pub(super) verifier: Verifier,
    /// The number of the Partner the sandbox plays itself.
    pub(super) plays: Option<u16>,
    pub(super) http: reqwest::Client,
    pub(super) media: MediaStore,
    pub(super) pushes: PushQueue,
    pub(super) tasks: TaskTracker,
    pub(super) cancel: CancellationToken,
    pub(super) line_ids: AtomicU64,
}

/// Ends when a step is durable and its effects have happened.
pub(super) struct Done(oneshot::Receiver<()>);

impl Future for Done {
    type Output = Result<(), DiskError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let wait = Pin::new(&mut self.get_mut().0);
        wait.poll(context).map_err(|_| DiskError::Closed)
    }
}

impl Office {
    pub(super) fn now(&self) -> Timestamp {
        Timestamp(self.clock.now_ms())
    }

    /// Whether a user is one of the Partner the sandbox plays itself.
    pub(super) fn plays(&self, user: &Jid) -> bool {
        matches!(user, Jid::Interop { integrator, .. } if self.plays == Some(*integrator))
    }

    /// The state, to be looked at.
    pub(super) fn directory(&self) -> MutexGuard<'_, Directory> {
        // A panic between two writes would leave the memory behind what was committed at most by that step.
        self.directory
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a step. Its changes are queued before anybody else's step can run; the future ends when they are durable and the
    /// effects have happened.
    pub(super) fn step<T>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut Directory, &mut Step) -> T,
    ) -> (T, Done) {
        let mut directory = self.directory();
        let mut step = Step::default();
        let result = work(&mut directory, &mut step);
        let (done, wait) = oneshot::channel();
        if step.changes.is_empty() && step.effects.is_empty() {
            let _ = done.send(());
        } else {
            let office = self.clone();
            let effects = step.effects;
            self.disk.submit(step.changes, move || {
                office.perform(effects);
                let _ = done.send(());
            });
        }
        drop(directory);
        (result, Done(wait))
    }

    /// Puts a new connection in the place of the account's old one and takes it up.
    pub(super) fn connect(
        self: &Arc<Self>,
        jid: &Jid,
        sender: mpsc::UnboundedSender<Outgoing>,
        read_receipts: Option<bool>,
    ) -> (u64, Done) {
        let id = self.line_ids.fetch_add(1, Ordering::Relaxed);
        let now = self.now();
        let ((), done) = self.step(|directory, step| {
            let line = Line {
                id,
                sender,
                online: false,
            };
            if let Some(old) = directory.lines.insert(jid.clone(), line) {
                let conflict =
                    Node::new("stream:error").child(Node::new("conflict").with("type", "replaced"));
                step.effects
                    .push(Effect::Answer(old.sender.clone(), conflict));
                step.effects.push(Effect::End(old.sender));
            }
            if let Some(account) = directory.accounts.get_mut(jid) {
                account.last_seen = now.0;
                if let (
                    Kind::Partner {
                        read_receipts: kept,
                        ..
                    },
                    Some(said),
                ) = (&mut account.kind, read_receipts)
                {
                    *kept = said;
                }
            }
            directory.save_account(jid, step);
            step.effects.push(Effect::Welcome(jid.clone(), id));
        });
        (id, done)
    }

    /// Takes that a connection ended. What waits for an absent Partner user is pushed.
    pub(super) fn disconnect(self: &Arc<Self>, jid: &Jid, line: u64) {
        let now = self.now();
        let (waiting, _done) = self.step(|directory, step| {
            if directory
                .lines
                .get(jid)
                .is_none_or(|current| current.id != line)
            {
                return false;
            }
            directory.lines.remove(jid);
            if let Some(account) = directory.accounts.get_mut(jid) {
                account.last_seen = now.0;
            }
            directory.save_account(jid, step);
            directory
                .mailboxes
                .get(jid)
                .is_some_and(Mailbox::calls_owner)
        });
        if waiting {
            self.pushes.wanted(jid.clone());
        }
    }

    /// Ends the connection of an account with a stanza before the end.
    pub(super) fn hang_up(&self, jid: &Jid, last: Option<Node>) {
        if let Some(line) = self.directory().lines.get(jid) {
            if let Some(last) = last {
                line.send(last);
            }
            let _ = line.sender.send(Outgoing::End);
        }
    }

    /// Partner users who are not connected and for whom messages wait.
    pub(super) fn absent_with_mail(&self) -> Vec<Jid> {
        let directory = self.directory();
        let partners = directory
            .accounts
            .values()
            .filter(|account| account.is_partner());
        partners
            .map(|account| account.jid.clone())
            .filter(|jid| !directory.lines.contains_key(jid))
            .filter(|jid| {
                directory
                    .mailboxes
                    .get(jid)
                    .is_some_and(Mailbox::calls_owner)
            })
            .collect()
    }

    fn perform(&self, effects: Vec<Effect>) {
        if effects.is_empty() {
            return;
        }
        let mut directory = self.directory();
        for effect in effects {
            match effect {
                Effect::Answer(sender, node) => {
                    let _ = sender.send(Outgoing::Stanza(node));
                }
                Effect::End(sender) => {
                    let _ = sender.send(Outgoing::End);
                }
                Effect::Live(to, node) => {
                    if let Some(line) = directory.lines.get(&to) {
                        line.send(node);
                    }
                }
                Effect::Deliver(to, number) => self.deliver(&mut directory, &to, number),
                Effect::Welcome(jid, line) => self.welcome(&mut directory, &jid, line),
            }
        }
    }

    fn deliver(&self, directory: &mut Directory, to: &Jid, number: u64) {
        let line = directory.lines.get(to).cloned();
        let Some(entry) = directory
            .mailboxes
            .get_mut(to)
            .and_then(|mailbox| mailbox.entry(number))
        else {
            return;
        };
        entry.durable = true;
        match line {
            Some(line) if line.online && entry.sent_on != line.id => {
                entry.sent_on = line.id;
                line.send(entry.node.clone());
            }
            None if entry.calls_owner() && matches!(to, Jid::Interop { .. }) => {
                self.pushes.wanted(to.clone());
            }
            // It comes with the mailbox.
            _ => {}
        }
    }

    /// `<success/>`, `<ib><offline_preview/></ib>`, the mailbox, `<ib><offline/></ib>`.
    fn welcome(&self, directory: &mut Directory, jid: &Jid, id: u64) {
        let Some(line) = directory.lines.get_mut(jid).filter(|line| line.id == id) else {
            return;
        };
        line.online = true;
        let line = line.clone();
        let flavour = directory
            .accounts
            .get(jid)
            .map_or(Flavour::WhatsApp, |account| account.flavour);
        let server = Jid::server(flavour.user_server());
        line.send(Node::new("success").with("t", self.now().seconds().to_string()));
        let mailbox = directory.mailboxes.entry(jid.clone()).or_default();
        let counts =
            ["message", "receipt", "notification", "call"].map(|tag| (tag, mailbox.count(tag)));
        let total: u64 = counts.iter().map(|(_, count)| count).sum();
        if total > 0 {
            let preview = counts.into_iter().fold(
                Node::new("offline_preview").with("count", total),
                |node, (tag, count)| node.with(tag, count),
            );
            line.send(Node::new("ib").with("from", &server).child(preview));
        }
        let mailbox = directory.mailboxes.entry(jid.clone()).or_default();
        for entry in mailbox.0.iter_mut().filter(|entry| entry.durable) {
            entry.sent_on = id;
            line.send(entry.node.clone());
        }
        line.send(
            Node::new("ib")
                .with("from", &server)
                .child(Node::new("offline").with("count", total)),
        );
        super::chat::prekeys_low(directory, jid, self.now(), &line);
    }
}
