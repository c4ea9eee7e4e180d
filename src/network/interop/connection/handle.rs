//! What the gatekeeper holds of a connection's task.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, mpsc, oneshot, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::{signals::Signals, task::Task};
use crate::{
    domain::{LoginId, Typing},
    network::{
        ConnectionState, NetworkError,
        interop::{
            context::Context,
            session::RequestError,
            wire::{Jid, Node},
        },
    },
};

/// How long a question may wait for a connection and its answer.
const PATIENCE: Duration = Duration::from_secs(25);

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::network::interop) enum AskError {
    /// The gatekeeper answered with an error, or did not.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The gatekeeper does not know the login any more.
    #[error("the gatekeeper does not know this login any more")]
    Unenlisted,
    /// There is no connection.
    #[error("{0}")]
    Offline(String),
}

impl From<AskError> for NetworkError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Request(ref why) if !why.is_passing() => Self::Refused(error.to_string()),
            AskError::Request(_) | AskError::Unenlisted | AskError::Offline(_) => {
                Self::Unreachable(error.to_string())
            }
        }
    }
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::network::interop) enum Purpose {
    /// Everything.
    Bridging,
    /// The deletion of a login that is logged out: it is not enlisted again if the gatekeeper has forgotten it.
    Farewell,
}

/// A request on its way to the task.
pub(super) struct Ask {
    pub(super) iq: Node,
    pub(super) reply: oneshot::Sender<Result<Node, AskError>>,
}

impl Ask {
    /// Tells who asked that there is no answer.
    pub(super) fn refuse(self, why: AskError) {
        // Who asked may have given up.
        let _ = self.reply.send(Err(why));
    }
}

/// Wakes the task.
#[derive(Debug, Default)]
pub(super) struct Bells {
    /// The outbox has new rows.
    pub(super) outbox: Notify,
    /// The gatekeeper holds something for the login.
    pub(super) push: Notify,
    /// The next try is to be made now.
    pub(super) retry: Notify,
}

/// A running task.
pub(in crate::network::interop) struct Connection {
    bells: Arc<Bells>,
    signals: Arc<Signals>,
    asks: mpsc::Sender<Ask>,
    state: watch::Receiver<ConnectionState>,
    stop: CancellationToken,
    task: tokio::sync::Mutex<Option<JoinHandle<()>>>,
}

impl Connection {
    /// Starts the task of a login.
    pub(in crate::network::interop) fn start(
        context: Arc<Context>,
        login: LoginId,
        purpose: Purpose,
    ) -> Self {
        let bells = Arc::new(Bells::default());
        let signals = Arc::new(Signals::default());
        let (asks, asked) = mpsc::channel(64);
        let (told, state) = watch::channel(ConnectionState::Connecting);
        let stop = CancellationToken::new();
        let task = Task::new(
            (context, login, purpose),
            (bells.clone(), signals.clone()),
            asked,
            told,
            stop.clone(),
        );
        Self {
            bells,
            signals,
            asks,
            state,
            stop,
            task: tokio::sync::Mutex::new(Some(tokio::spawn(task.run()))),
        }
    }

    /// The outbox has new rows.
    pub(in crate::network::interop) fn flush(&self) {
        self.bells.outbox.notify_one();
    }

    /// The gatekeeper says that it holds something for the login.
    pub(in crate::network::interop) fn pushed(&self) {
        self.bells.push.notify_one();
    }

    /// Makes the next try now, if one is waited for: somebody says that it will work.
    pub(in crate::network::interop) async fn hurry(&self) {
        let mut state = self.state.clone();
        let before = state.borrow_and_update().clone();
        if !matches!(
            before,
            ConnectionState::Waiting { .. } | ConnectionState::Failed { .. }
        ) {
            return;
        }
        self.bells.retry.notify_one();
        // That it is tried shows in the state; how it went is for `settled`.
        let tried = state.wait_for(|now| *now != before);
        let _ = tokio::time::timeout(PATIENCE, tried).await;
    }

    /// Tells a chat that the login's user writes, or stopped; not if there is no connection.
    pub(in crate::network::interop) fn typing(&self, chat: Jid, state: Typing) {
        if self.state() == ConnectionState::Connected {
            self.signals.typing(chat, state);
        }
    }

    /// Tells the gatekeeper whether the login's user is there: now, or when there is a connection.
    pub(in crate::network::interop) fn presence(&self, available: bool) {
        self.signals.presence(available);
    }

    /// Tells the gatekeeper what the login's user is called: now, or when there is a connection, and each new one.
    pub(in crate::network::interop) fn name(&self, name: String) {
        self.signals.name(name);
    }

    /// How the connection is.
    pub(in crate::network::interop) fn state(&self) -> ConnectionState {
        self.state.borrow().clone()
    }

    /// Waits until the connection is made, or known not to be for now.
    pub(in crate::network::interop) async fn settled(&self) -> ConnectionState {
        let mut state = self.state.clone();
        let settled = tokio::time::timeout(
            PATIENCE,
            state.wait_for(|state| *state != ConnectionState::Connecting),
        )
        .await;
        match settled {
            Ok(Ok(state)) => state.clone(),
            _ => self.state(),
        }
    }

    /// Asks the gatekeeper, over the connection, making one if there is none.
    pub(in crate::network::interop) async fn ask(&self, iq: Node) -> Result<Node, AskError> {
        let (reply, answer) = oneshot::channel();
        let ended = || AskError::Offline("this login's connection is shutting down".to_owned());
        let asked = async {
            self.asks
                .send(Ask { iq, reply })
                .await
                .map_err(|_| ended())?;
            answer.await.map_err(|_| ended())?
        };
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(answer) => answer,
            Err(_) => Err(match self.state() {
                ConnectionState::Waiting { reason, .. } | ConnectionState::Failed { reason } => {
                    AskError::Offline(reason)
                }
                _ => RequestError::Timeout.into(),
            }),
        }
    }

    /// Ends the task after what is in hand is committed.
    pub(in crate::network::interop) async fn stop(&self) {
        self.stop.cancel();
        if let Some(task) = self.task.lock().await.take()
            && let Err(error) = task.await
        {
            tracing::error!(%error, "a connection's task ended badly");
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
