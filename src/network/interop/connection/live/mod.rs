//! A connection that holds: what is ready is read, committed in one step, answered in one write; what waits is sent.

mod events;

use std::{collections::HashMap, time::Duration};

use futures_util::FutureExt;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::{
    handle::{Ask, AskError},
    intake::{Intake, Wanted},
    outflow::Outflow,
    task::{Ended, Task},
    upkeep::{Chore, Upkeep},
};
use crate::{
    domain::Timestamp,
    network::interop::{
        session::{RequestId, Session, Transmit},
        transport::{StanzaReader, StanzaWriter, TransportError},
        wire::Node,
    },
};

/// How many stanzas are taken at a time.
pub(super) const BATCH: usize = 64;

/// How long the gatekeeper may refuse to take what is written.
const WRITE_LIMIT: Duration = Duration::from_secs(30);

/// How long the offline mailbox may take to come while nothing is heard.
const MAILBOX_GRACE: Duration = Duration::from_secs(30);

/// Who asked.
enum Asker {
    /// Somebody outside.
    Ask(oneshot::Sender<Result<Node, AskError>>),
    /// The login's own upkeep.
    Chore(Chore),
    /// The intake.
    Keys(Wanted),
}

/// One connection, from the payload to the end.
pub(super) struct Live<'t> {
    task: &'t mut Task,
    session: Session,
    reader: StanzaReader,
    writer: StanzaWriter,
    intake: Intake,
    outflow: Outflow,
    upkeep: Upkeep,
    askers: HashMap<RequestId, Asker>,
    /// Whether the offline mailbox has come; before that an on-demand connection is not idle.
    drained: bool,
    active: Instant,
    broken: Option<TransportError>,
}

impl<'t> Live<'t> {
    pub(super) fn new(task: &'t mut Task, reader: StanzaReader, writer: StanzaWriter) -> Self {
        let now = task.context.now();
        Self {
            session: Session::new(task.context.session_options(), rand::random(), now),
            reader,
            writer,
            intake: Intake::default(),
            outflow: Outflow::new(),
            upkeep: Upkeep::default(),
            askers: HashMap::new(),
            drained: false,
            active: Instant::now(),
            broken: None,
            task,
        }
    }

    fn now(&self) -> Timestamp {
        self.task.context.now()
    }

    /// Keeps the connection until it ends.
    pub(super) async fn run(mut self) -> Ended {
        loop {
            match self.settle().await {
                Ok(None) => {}
                Ok(Some(ended)) | Err(ended) => {
                    self.writer.close().await;
                    return ended;
                }
            }
            if let Some(ended) = self.wait().await {
                self.writer.close().await;
                return ended;
            }
        }
    }

    /// When the connection is idle long enough to be closed, if nothing happens until then.
    fn idle_at(&self) -> Option<Instant> {
        let idle = self.task.context.idle()?;
        let quiet = self.session.is_open() && self.session.is_quiet() && self.askers.is_empty();
        // A gatekeeper that never says the mailbox is empty must not hold the connection for ever.
        let grace = if self.drained {
            Duration::ZERO
        } else {
            MAILBOX_GRACE
        };
        quiet.then(|| self.active + idle + grace)
    }

    /// Waits for the next thing to do and takes it.
    async fn wait(&mut self) -> Option<Ended> {
        let open = self.session.is_open();
        let timeout = self.session.poll_timeout().map_or(Duration::ZERO, |at| {
            Duration::from_millis(u64::try_from(at.0 - self.now().0).unwrap_or(0))
        });
        let idle_at = self.idle_at();
        let Task {
            bells,
            signals,
            asks,
            held,
            stop,
            ..
        } = &mut *self.task;
        tokio::select! {
            () = stop.cancelled() => return Some(Ended::Stopped),
            () = bells.outbox.notified() => self.outflow.flush(),
            () = bells.push.notified() => self.active = Instant::now(),
            () = signals.rung(), if open => self.send_signals(),
            ask = next_ask(held, asks), if open => self.ask(ask),
            node = self.reader.next() => self.take(Some(node)),
            () = tokio::time::sleep(timeout) => {
                // What arrived while a step ran proves that the peer lives: it is looked at before the clock.
                match self.reader.next().now_or_never() {
                    None => {
                        let now = self.now();
                        self.session.handle_timeout(now);
                    }
                    arrived => self.take(arrived),
                }
            }
            () = sleep_until(idle_at), if idle_at.is_some() => return Some(Ended::Idle),
        }
        None
    }

    /// Feeds the session with a stanza that was read and those that are ready behind it.
    fn take(&mut self, first: Option<Result<Node, TransportError>>) {
        let now = self.now();
        let mut next = first;
        for taken in 1.. {
            match next {
                Some(Ok(node)) => self.session.handle_node(node, now),
                Some(Err(error)) => {
                    self.broken = Some(error);
                    self.session.handle_lost();
                    return;
                }
                None => return,
            }
            if taken == BATCH {
                return;
            }
            next = self.reader.next().now_or_never();
        }
    }

    /// Sends what is told and forgotten.
    fn send_signals(&mut self) {
        for node in self.task.signals.take() {
            self.session.answer(node);
        }
    }

    fn ask(&mut self, ask: Ask) {
        if ask.reply.is_closed() {
            return;
        }
        self.active = Instant::now();
        let now = self.now();
        let request = self.session.request(ask.iq, now);
        self.askers.insert(request, Asker::Ask(ask.reply));
    }

    /// Handles events, commits, answers and sends until nothing is left to do. The end, if there was one.
    async fn settle(&mut self) -> Result<Option<Ended>, Ended> {
        let login = self.task.login;
        loop {
            let closed = self.handle_events().await?;
            let (taken, failure) = self.intake.commit(&self.task.context, login).await;
            // What is committed waits, whatever fails from here on.
            for chat in &taken.chats {
                self.task.context.sink.waiting(login, chat);
            }
            if taken.queued {
                self.outflow.rewind();
            }
            let answered = !taken.answers.is_empty();
            for answer in taken.answers {
                self.session.answer(answer);
            }
            if let Some(error) = failure {
                // The store's failure ends the connection, whether or not what was committed before it can be acknowledged.
                let _ = self.write(answered).await;
                return Err(error.into());
            }
            for wanted in taken.wanted {
                self.want_keys(wanted);
            }
            let mut busy = answered;
            if closed.is_none() {
                let now = self.now();
                let db = &self.task.context.db;
                busy |= self.outflow.fill(db, login, &mut self.session, now).await? > 0;
            }
            if busy {
                self.active = Instant::now();
            }
            let wrote = self.write(answered).await;
            if let Some(ended) = closed {
                return Ok(Some(ended));
            }
            if !wrote? {
                return Ok(None);
            }
        }
    }

    /// Writes what the session has to say, in one write; whether there was anything.
    async fn write(&mut self, answered: bool) -> Result<bool, Ended> {
        let transmits: Vec<Transmit> =
            std::iter::from_fn(|| self.session.poll_transmit()).collect();
        if transmits.is_empty() {
            return Ok(false);
        }
        match tokio::time::timeout(WRITE_LIMIT, self.writer.write(&transmits)).await {
            Ok(written) => written?,
            Err(_) => return Err(TransportError::Timeout.into()),
        }
        if transmits
            .iter()
            .any(|transmit| matches!(transmit, Transmit::Encoded(_)))
        {
            fail::fail_point!("send.after_write");
        }
        if answered {
            fail::fail_point!("receive.after_ack");
        }
        Ok(true)
    }
}

/// The next question from outside; the one that was held while there was no connection first.
async fn next_ask(held: &mut Option<Ask>, asks: &mut mpsc::Receiver<Ask>) -> Ask {
    match held.take() {
        Some(ask) => ask,
        None => match asks.recv().await {
            Some(ask) => ask,
            // Nobody can ask any more; the task is about to be stopped.
            None => std::future::pending().await,
        },
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
