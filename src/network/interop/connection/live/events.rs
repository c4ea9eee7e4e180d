//! What the session tells, sorted: to the intake, to who asked, to the bridge, to the login's upkeep.

use super::{Asker, Live};
use crate::{
    domain::Typing,
    network::{
        ConnectionState, NetworkError,
        interop::{
            connection::{
                handle::{AskError, Purpose},
                intake::Wanted,
                task::Ended,
                upkeep::Chore,
            },
            keys, notices,
            session::{Close, Event, RequestError},
            wire::{Jid, Node},
        },
    },
    store::{Lane, LoginState, StoreError},
};

impl Live<'_> {
    /// Sorts what the session tells. What is to be committed goes to the intake.
    pub(super) async fn handle_events(&mut self) -> Result<Option<Ended>, Ended> {
        let mut closed = None;
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::LoggedIn => {
                    self.task.logged_in = true;
                    self.task.signals.renew();
                    self.task.tell(ConnectionState::Connected);
                    self.begin_chores(Chore::at_login()).await?;
                }
                Event::Message(_)
                | Event::Receipt(_)
                | Event::IdentityChanged(_)
                | Event::Notification(_)
                | Event::Call { .. }
                | Event::Acked(_) => self.intake.push(event),
                Event::PrekeysLow { count } => {
                    tracing::debug!(login = self.task.login.0, count, "few prekeys are left");
                    self.begin_chores(vec![Chore::Refill]).await?;
                }
                Event::MailboxDrained { .. } => self.drained = true,
                Event::MailboxWaiting { .. } => {}
                Event::Typing {
                    chat,
                    participant,
                    state,
                } => self.tell_typing(&chat, participant.as_ref(), state),
                Event::Presence { from, available } => {
                    if let Some((_, who)) = notices::direct(&from) {
                        let sink = &self.task.context.sink;
                        sink.presence(self.task.login, &who, available);
                    }
                }
                Event::Answered { request, outcome } => match self.askers.remove(&request) {
                    Some(Asker::Ask(reply)) => {
                        // Who asked may have given up.
                        let _ = reply.send(outcome.map_err(AskError::from));
                    }
                    Some(Asker::Chore(chore)) => {
                        let next = self
                            .upkeep
                            .answered(&self.task.context, self.task.login, chore, outcome)
                            .await?;
                        self.begin_chores(next).await?;
                    }
                    Some(Asker::Keys(wanted)) => self.take_keys(wanted, outcome).await?,
                    None => {}
                },
                Event::Closed(close) => closed = Some(close),
            }
        }
        let Some(close) = closed else {
            return Ok(None);
        };
        // One that is logged out stays so.
        if matches!(close, Close::Unenlisted { .. }) && self.task.purpose == Purpose::Bridging {
            self.forget_enlistment().await?;
        }
        // A gatekeeper that says why hangs up at once, too.
        Ok(Some(match (close, self.broken.take()) {
            (Close::Lost, Some(error)) => Ended::Transport(error),
            (close, _) => Ended::Closed(close),
        }))
    }

    fn tell_typing(&self, chat: &Jid, participant: Option<&Jid>, state: Typing) {
        if let Some((chat, who)) = notices::member(chat, participant) {
            let sink = &self.task.context.sink;
            sink.typing(self.task.login, &chat, &who, state);
        }
    }

    pub(super) fn want_keys(&mut self, wanted: Wanted) {
        let identity_changed = wanted.receipt.is_none();
        let iq = keys::fetch(&self.task.context, &wanted.user, identity_changed);
        let now = self.now();
        let request = self.session.request(iq, now);
        self.askers.insert(request, Asker::Keys(wanted));
    }

    /// Makes the session the keys were wanted for. Without keys the receipt is taken in once more anyway, and given up then;
    /// unless there may be keys later: then it is not acknowledged and comes again on the next connection.
    async fn take_keys(
        &mut self,
        wanted: Wanted,
        outcome: Result<Node, RequestError>,
    ) -> Result<(), StoreError> {
        let login = self.task.login;
        match outcome {
            Err(error) if error.is_passing() => {
                tracing::debug!(%login, %error, "keys could not be fetched for now");
                return Ok(());
            }
            Ok(answer) => {
                let made = keys::establish(&self.task.context, login, &wanted.user, &answer);
                let made = made.await?;
                if let Err(error @ NetworkError::Unreachable(_)) = made {
                    tracing::debug!(%login, %error, "keys could not be fetched for now");
                    return Ok(());
                }
                if let Err(error) = made {
                    tracing::warn!(%login, %error, "no session could be made from the keys");
                }
            }
            Err(error) => tracing::warn!(%login, %error, "keys could not be fetched"),
        }
        if let Some(receipt) = wanted.receipt {
            self.intake.push_again(receipt);
        }
        Ok(())
    }

    /// The gatekeeper forgot the login: the next connect enlists it again.
    async fn forget_enlistment(&mut self) -> Result<(), Ended> {
        let login = self.task.login;
        self.task
            .context
            .db
            .step(Lane::login(login), move |txn| {
                Box::pin(txn.set_login_state(login, LoginState::Unenlisted, None))
            })
            .await?;
        Ok(())
    }

    async fn begin_chores(&mut self, chores: Vec<Chore>) -> Result<(), Ended> {
        for chore in chores {
            let begun = self
                .upkeep
                .begin(&self.task.context, self.task.login, chore)
                .await?;
            if let Some((chore, iq)) = begun {
                let now = self.now();
                let request = self.session.request(iq, now);
                self.askers.insert(request, Asker::Chore(chore));
            }
        }
        Ok(())
    }
}
