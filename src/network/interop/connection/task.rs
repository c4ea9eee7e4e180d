//! The life of a login's connection: wanted or not, made, kept, lost, tried again.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    backoff::{Backoff, STABLE, Severity},
    handle::{Ask, AskError, Bells, Purpose},
    live::Live,
    signals::Signals,
};
use crate::{
    domain::{LoginId, Timestamp},
    network::{
        ConnectionState, NetworkError,
        interop::{
            context::Context,
            enlisting,
            session::Close,
            transport::{StanzaReader, StanzaWriter, TransportError},
        },
    },
    store::{LoginRow, LoginState, StoreError},
};

/// Why a connection is over, or was not made.
#[derive(Debug, thiserror::Error)]
pub(in crate::network::interop) enum Ended {
    /// It was told to stop.
    #[error("the bridge is shutting down")]
    Stopped,
    /// On demand: nothing to do for a while.
    #[error("nothing to do")]
    Idle,
    /// The login is gone or logged out.
    #[error("the login is logged out")]
    LoggedOut,
    /// The gatekeeper said so.
    #[error("{0}")]
    Closed(Close),
    /// The channel could not be made or broke.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The login could not be enlisted again, or its token not be made.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The store failed; what was received is not acknowledged and comes again.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Ended {
    fn severity(&self) -> Severity {
        match self {
            Self::Closed(Close::Reconnect | Close::Unenlisted { .. }) => Severity::Advised,
            Self::Closed(
                Close::Replaced | Close::Unavailable { .. } | Close::Refused { reason: 402 },
            ) => Severity::Lasting,
            // Banned, too old, or another process writes.
            Self::Closed(Close::Refused { reason: 403 | 406 } | Close::VersionTooOld)
            | Self::Store(StoreError::Fenced { .. } | StoreError::Closed) => Severity::Hopeless,
            Self::Closed(Close::Refused { .. }) | Self::Network(NetworkError::Refused(_)) => {
                Severity::Doubtful
            }
            _ => Severity::Passing,
        }
    }
}

/// What a [`Live`] connection shares with its task.
pub(super) struct Task {
    pub(super) context: Arc<Context>,
    pub(super) login: LoginId,
    pub(super) purpose: Purpose,
    pub(super) bells: Arc<Bells>,
    pub(super) signals: Arc<Signals>,
    pub(super) asks: mpsc::Receiver<Ask>,
    pub(super) stop: CancellationToken,
    /// An ask that came while there was no connection; it goes first.
    pub(super) held: Option<Ask>,
    /// Whether the gatekeeper took the login on the current or last connection.
    pub(super) logged_in: bool,
    state: watch::Sender<ConnectionState>,
    backoff: Backoff,
}

impl Task {
    pub(super) fn new(
        (context, login, purpose): (Arc<Context>, LoginId, Purpose),
        (bells, signals): (Arc<Bells>, Arc<Signals>),
        asks: mpsc::Receiver<Ask>,
        state: watch::Sender<ConnectionState>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            context,
            login,
            purpose,
            bells,
            signals,
            asks,
            stop,
            held: None,
            logged_in: false,
            state,
            backoff: Backoff::default(),
        }
    }

    /// Tells everybody a new state.
    pub(super) fn tell(&self, state: ConnectionState) {
        let changed = self.state.send_if_modified(|known| {
            let changed = *known != state;
            known.clone_from(&state);
            changed
        });
        if changed {
            self.context.sink.connection(self.login, state);
        }
    }

    /// Runs until it is stopped or the login is gone. Begins with a connection even on demand: a push that came while the
    /// bridge was down was lost.
    pub(super) async fn run(mut self) {
        while !self.stop.is_cancelled() {
            self.tell(ConnectionState::Connecting);
            let began = Instant::now();
            self.logged_in = false;
            let ended = self.connect().await;
            if self.logged_in {
                self.backoff.accepted();
            }
            if began.elapsed() >= STABLE {
                self.backoff.reset();
            } else if self.logged_in && ended.severity() == Severity::Passing {
                self.backoff.ease();
            }
            match ended {
                Ended::Stopped | Ended::LoggedOut => break,
                Ended::Closed(Close::Unenlisted { .. }) if self.purpose == Purpose::Farewell => {
                    self.refuse_asks();
                    break;
                }
                Ended::Idle => {
                    self.backoff.reset();
                    self.idle().await;
                }
                ended => self.wait(ended).await,
            }
        }
        self.tell(ConnectionState::Idle);
    }

    /// Tells who asks that there is no login to ask for.
    fn refuse_asks(&mut self) {
        self.asks.close();
        while let Some(ask) = self.held.take().or_else(|| self.asks.try_recv().ok()) {
            ask.refuse(AskError::Unenlisted);
        }
    }

    /// Waits until a connection is wanted.
    async fn idle(&mut self) {
        self.tell(ConnectionState::Idle);
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = self.bells.push.notified() => return,
                Some(ask) = self.asks.recv() => {
                    self.held = Some(ask);
                    return;
                }
                () = self.bells.outbox.notified() => {}
            }
            // The bell rings for steps that queued nothing, too. A connection tells what is wrong with the store.
            let login = self.login;
            let waiting = self
                .context
                .db
                .read(move |txn| Box::pin(txn.queue_length(login)))
                .await;
            if !matches!(waiting, Ok(0)) {
                return;
            }
        }
    }

    /// Waits for the next try, with the reason told. A push ends the wait for what may pass: the gatekeeper is there.
    async fn wait(&mut self, ended: Ended) {
        let severity = self.backoff.judge(ended.severity());
        let delay = self.backoff.next(severity);
        let login = self.login.0;
        if severity == Severity::Hopeless {
            tracing::error!(login, error = %ended, "the connection failed for good");
            self.tell(ConnectionState::Failed {
                reason: ended.to_string(),
            });
        } else {
            tracing::warn!(login, error = %ended, ?delay, "the connection ended");
            self.tell(ConnectionState::Waiting {
                reason: ended.to_string(),
                until: self.after(delay),
            });
        }
        if severity == Severity::Hopeless
            && let Some(ask) = self.held.take()
        {
            ask.refuse(AskError::Offline(ended.to_string()));
        }
        let over = tokio::time::sleep(delay);
        tokio::pin!(over);
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = &mut over => return,
                () = self.bells.retry.notified() => return,
                () = self.bells.push.notified(), if severity == Severity::Passing => return,
                // What waits for a connection that comes soon is held; where there is no hope it is told so.
                Some(ask) = self.asks.recv(), if severity == Severity::Hopeless => {
                    ask.refuse(AskError::Offline(ended.to_string()));
                }
            }
        }
    }

    fn after(&self, delay: Duration) -> Timestamp {
        self.context
            .now()
            .plus_millis(i64::try_from(delay.as_millis()).unwrap_or(i64::MAX))
    }

    /// Makes a connection and keeps it until it ends.
    async fn connect(&mut self) -> Ended {
        match self.open().await {
            Ok((reader, writer)) => Live::new(self, reader, writer).run().await,
            Err(ended) => ended,
        }
    }

    async fn open(&mut self) -> Result<(StanzaReader, StanzaWriter), Ended> {
        let stop = self.stop.clone();
        let opened = async {
            let row = self.enlisted().await?;
            enlisting::connect(&self.context, &row).await
        };
        tokio::select! {
            () = stop.cancelled() => Err(Ended::Stopped),
            opened = opened => opened,
        }
    }

    /// The login, enlisted: with the same keys again if the gatekeeper forgot it or the first time was interrupted.
    async fn enlisted(&self) -> Result<LoginRow, Ended> {
        let id = self.login;
        let row = self
            .context
            .db
            .read(move |txn| Box::pin(txn.login(id)))
            .await?
            .ok_or(Ended::LoggedOut)?;
        match (row.state, self.purpose) {
            (LoginState::Active, Purpose::Bridging) | (_, Purpose::Farewell) => Ok(row),
            (LoginState::LoggedOut, Purpose::Bridging) => Err(Ended::LoggedOut),
            (LoginState::Enlisting | LoginState::Unenlisted, Purpose::Bridging) => {
                Ok(enlisting::enlist(&self.context, row).await?)
            }
        }
    }
}
