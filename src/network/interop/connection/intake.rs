//! What came and must be remembered: committed in one step a batch, then answered.

use std::sync::Arc;

use crate::{
    domain::{ChatId, LoginId, Timestamp},
    network::interop::{
        context::Context,
        inbound::{self, Answer},
        profile::Profile,
        session::{Call, Event, acknowledgement},
        wire::{Jid, Node},
    },
    store::{Lane, StoreError, StoreTxn},
};

/// Stanzas of the same kind that came one after the other.
#[derive(Debug, Clone)]
enum Run {
    Messages(Vec<Node>),
    Receipt {
        node: Node,
        /// Whether keys were fetched for it already.
        again: bool,
    },
    IdentityChanged(Node),
    Notification(Node),
    Call {
        call: Call,
        node: Node,
    },
    Ack {
        node: Node,
        /// The place in the outbox of the copy it is for.
        seq: i64,
    },
}

impl Run {
    /// Whether it tells something besides messages and what became of one's own: what was read, a call, where a file is.
    fn tells(&self) -> bool {
        match self {
            Self::Messages(_) | Self::Ack { .. } => false,
            Self::Receipt { .. }
            | Self::IdentityChanged(_)
            | Self::Notification(_)
            | Self::Call { .. } => true,
        }
    }
}

/// Keys that are to be fetched.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Whose.
    pub(super) user: Jid,
    /// The receipt to take in once more afterwards; without it the user's identity changed.
    pub(super) receipt: Option<Node>,
}

/// What a committed batch asks for.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// The stanzas to send.
    pub(super) answers: Vec<Node>,
    /// The chats that have something waiting, each once.
    pub(super) chats: Vec<ChatId>,
    /// Whether the outbox has something new.
    pub(super) queued: bool,
    /// Keys to fetch.
    pub(super) wanted: Vec<Wanted>,
}

impl Taken {
    fn add(&mut self, stanza: &Run, answer: Answer) {
        self.queued |= answer.queued;
        if let Some(chat) = answer.chat
            && !self.chats.contains(&chat)
        {
            self.chats.push(chat);
        }
        match stanza {
            // What fetched keys did not mend is given up.
            Run::Receipt { node, again: true } if answer.again => {
                self.answers.extend(acknowledgement(node));
                return;
            }
            Run::Receipt { node, .. } => {
                let receipt = answer.again.then(|| node.clone());
                let wanted = answer.keys_wanted.map(|user| Wanted { user, receipt });
                self.wanted.extend(wanted);
            }
            _ => {
                let receipt = None;
                let wanted = answer.keys_wanted.map(|user| Wanted { user, receipt });
                self.wanted.extend(wanted);
            }
        }
        self.answers.extend(answer.nodes);
    }

    fn append(&mut self, other: Self) {
        self.answers.extend(other.answers);
        self.queued |= other.queued;
        self.wanted.extend(other.wanted);
        for chat in other.chats {
            if !self.chats.contains(&chat) {
                self.chats.push(chat);
            }
        }
    }
}

/// What waits for the next commit, in order of arrival.
#[derive(Debug, Default)]
pub(super) struct Intake {
    runs: Vec<Run>,
}

impl Intake {
    /// Takes in what the session told, if it is to be remembered.
    pub(super) fn push(&mut self, event: Event) {
        let run = match event {
            Event::Message(node) => {
                if let Some(Run::Messages(messages)) = self.runs.last_mut() {
                    messages.push(node);
                    return;
                }
                Run::Messages(vec![node])
            }
            Event::Receipt(node) => Run::Receipt { node, again: false },
            Event::IdentityChanged(node) => Run::IdentityChanged(node),
            Event::Notification(node) => Run::Notification(node),
            Event::Call { call, node } => Run::Call { call, node },
            Event::Acked(acked) => Run::Ack {
                node: acked.node,
                seq: acked.seq,
            },
            _ => return,
        };
        self.runs.push(run);
    }

    /// Takes in a receipt for which keys were fetched.
    pub(super) fn push_again(&mut self, node: Node) {
        self.runs.push(Run::Receipt { node, again: true });
    }

    /// Commits what waits in one step. If a stored row that a stanza needs is unreadable, the stanzas are committed one by one, and
    /// the one is left out: it is not acknowledged and costs nobody else. What was committed is told even if the store failed
    /// after it; then the failure is the second of the two.
    pub(super) async fn commit(
        &mut self,
        context: &Context,
        login: LoginId,
    ) -> (Taken, Option<StoreError>) {
        let runs = std::mem::take(&mut self.runs);
        if runs.is_empty() {
            return (Taken::default(), None);
        }
        let now = context.now();
        let runs = Arc::new(runs);
        let messages = runs.iter().any(|run| matches!(run, Run::Messages(_)));
        let acks = runs.iter().any(|run| matches!(run, Run::Ack { .. }));
        let (taken, failure) = match step(context, login, runs.clone(), now).await {
            Ok(taken) => (taken, None),
            Err(error) if is_of_one_item(&error) => singly(context, login, &runs, now).await,
            Err(error) => (Taken::default(), Some(error)),
        };
        if failure.is_some() {
            return (taken, failure);
        }
        if messages {
            fail::fail_point!("decrypt.after_commit");
        }
        if acks {
            fail::fail_point!("ack.after_commit");
        }
        if runs.iter().any(Run::tells) {
            fail::fail_point!("told.after_commit");
        }
        (taken, None)
    }
}

fn is_of_one_item(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Corrupt { .. } | StoreError::Unsealable { .. }
    )
}

/// Commits stanza by stanza up to the first failure that is not of the stanza alone.
async fn singly(
    context: &Context,
    login: LoginId,
    runs: &[Run],
    now: Timestamp,
) -> (Taken, Option<StoreError>) {
    let mut taken = Taken::default();
    for run in runs {
        let single: Vec<Run> = match run {
            Run::Messages(messages) => messages
                .iter()
                .map(|message| Run::Messages(vec![message.clone()]))
                .collect(),
            other => vec![other.clone()],
        };
        for run in single {
            match step(context, login, Arc::new(vec![run]), now).await {
                Err(error) if is_of_one_item(&error) => {
                    tracing::error!(%login, %error, "a stanza needs a row that is unreadable and is left out");
                }
                Err(error) => return (taken, Some(error)),
                Ok(one) => taken.append(one),
            }
        }
    }
    (taken, None)
}

async fn step(
    context: &Context,
    login: LoginId,
    runs: Arc<Vec<Run>>,
    now: Timestamp,
) -> Result<Taken, StoreError> {
    let profile = context.profile.clone();
    context
        .db
        .step(Lane::login(login), move |txn| {
            let (runs, profile) = (runs.clone(), profile.clone());
            Box::pin(async move {
                let mut taken = Taken::default();
                for run in runs.iter() {
                    for answer in take(txn, login, run, &profile, now).await? {
                        taken.add(run, answer);
                    }
                }
                if runs.iter().any(Run::tells) {
                    fail::fail_point!("told.before_commit");
                }
                Ok(taken)
            })
        })
        .await
}

async fn take(
    txn: &mut dyn StoreTxn,
    login: LoginId,
    run: &Run,
    profile: &Profile,
    now: Timestamp,
) -> Result<Vec<Answer>, StoreError> {
    let answer = match run {
        Run::Messages(messages) => return inbound::receive(txn, login, messages, now).await,
        Run::Receipt { node, .. } => inbound::receipt(txn, login, node, now).await?,
        Run::IdentityChanged(node) => inbound::identity_changed(txn, login, node).await?,
        Run::Notification(node) => inbound::notification(txn, login, node, profile, now).await?,
        Run::Call { call, node } => inbound::call(txn, login, call, node, now).await?,
        Run::Ack { node, seq } => {
            inbound::message_ack(txn, login, node, *seq, profile, now).await?
        }
    };
    Ok(vec![answer])
}
