//! Push calls: an absent Partner user's Partner is told that something waits.
//!
//! `POST {base}/push`, `{"to": <the user-visible identifier>}`, `Authorization: Bearer <RS256 token of the gatekeeper>`.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::mpsc;

use super::{
    directory::{Kind, Mailbox},
    flavour::Flavour,
    office::Office,
};
use crate::network::interop::wire::Jid;

/// How long after one call the next for the same user may follow.
const SPACING: Duration = Duration::from_secs(2);
/// How long to wait before the first repetition; doubled each time.
const BACK_OFF: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_mins(1);
/// How often a call is tried.
const TRIES: u32 = 12;
/// How long a call may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Users whose Partner is to be called.
pub(super) struct PushQueue(mpsc::UnboundedSender<Jid>);

impl PushQueue {
    /// The queue and its end.
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Jid>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// Something waits for an absent user.
    pub(super) fn wanted(&self, user: Jid) {
        let _ = self.0.send(user);
    }
}

/// Users with a call under way, and whether something more came for them meanwhile.
type Busy = Arc<Mutex<HashMap<Jid, bool>>>;

/// Takes users from the queue until the sandbox ends; one call a user at a time.
pub(super) async fn run(office: Arc<Office>, mut queue: mpsc::UnboundedReceiver<Jid>) {
    let busy = Busy::default();
    loop {
        let user = tokio::select! {
            user = queue.recv() => user,
            () = office.cancel.cancelled() => None,
        };
        let Some(user) = user else { return };
        let mut all = busy.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(more) = all.get_mut(&user) {
            *more = true;
        } else {
            all.insert(user.clone(), false);
            let work = attend(office.clone(), busy.clone(), user);
            office.tasks.spawn(work);
        }
    }
}

/// Calls about one user, as long as something new comes for them.
async fn attend(office: Arc<Office>, busy: Busy, user: Jid) {
    loop {
        let calls = async {
            call(&office, &user).await;
            tokio::time::sleep(SPACING).await;
        };
        tokio::select! {
            () = calls => {}
            () = office.cancel.cancelled() => return,
        }
        let mut all = busy.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get_mut(&user) {
            Some(more) if *more => *more = false,
            _ => {
                all.remove(&user);
                return;
            }
        }
    }
}

/// Whether a message waits for a user who is not connected.
fn absent(office: &Office, user: &Jid) -> bool {
    let directory = office.directory();
    !directory.lines.contains_key(user)
        && directory.accounts.contains_key(user)
        && directory
            .mailboxes
            .get(user)
            .is_some_and(Mailbox::calls_owner)
}

async fn call(office: &Office, user: &Jid) {
    let target = {
        let directory = office.directory();
        directory
            .accounts
            .get(user)
            .and_then(|account| match &account.kind {
                Kind::Partner {
                    integrator,
                    visible_id,
                    ..
                } => Some((account.flavour, *integrator, visible_id.clone())),
                Kind::Phone => None,
            })
    };
    let Some((flavour, integrator, visible_id)) = target else {
        return;
    };
    let mut pause = BACK_OFF;
    for _ in 0..TRIES {
        if !absent(office, user) {
            return;
        }
        if send(office, flavour, integrator, &visible_id).await {
            return;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST);
    }
    tracing::warn!(%user, "a Partner does not answer push calls");
}

async fn send(office: &Office, flavour: Flavour, integrator: u16, visible_id: &str) -> bool {
    let Some(partner) = office
        .verifier
        .integrators()
        .iter()
        .find(|known| known.id == integrator)
    else {
        return false;
    };
    let token = office
        .signing
        .token(flavour, partner.origin(), office.now());
    let call = office
        .http
        .post(format!("{}/push", partner.origin()))
        .timeout(PATIENCE)
        .bearer_auth(token)
        .json(&serde_json::json!({"to": visible_id}));
    match call.send().await {
        Ok(answer) if answer.status().is_success() => true,
        Ok(answer) => {
            tracing::debug!(
                status = answer.status().as_u16(),
                "a Partner refused a push call"
            );
            false
        }
        Err(error) => {
            tracing::debug!(
                timeout = error.is_timeout(),
                "a Partner could not be called"
            );
            false
        }
    }
}
