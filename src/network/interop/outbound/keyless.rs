//! Members of groups for whom the gatekeeper has no keys: they are left out for a while and ask for what they cannot read.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use crate::{
    domain::{LoginId, Timestamp},
    network::interop::wire::Jid,
};

/// How long somebody without keys is not asked for again. Who gets keys meanwhile asks for what they cannot read, and brings them.
const WITHOUT_KEYS_MS: i64 = 60 * 60 * 1000;

/// How long somebody is not asked for again whose keys the gatekeeper cannot give now.
const FOR_NOW_MS: i64 = 60 * 1000;

/// How many are remembered before those whose time is over are forgotten.
const MANY: usize = 4096;

/// Who has no keys, until when. It lives as long as the process: after that the gatekeeper is asked again.
#[derive(Debug, Default)]
pub struct Keyless(Mutex<HashMap<(LoginId, Jid), Timestamp>>);

impl Keyless {
    /// Remembers that there are no keys for a user; `for_now` if the gatekeeper only cannot give them at the moment.
    pub fn remember(&self, login: LoginId, user: Jid, for_now: bool, now: Timestamp) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MANY {
            known.retain(|_, until| *until > now);
        }
        let wait = if for_now { FOR_NOW_MS } else { WITHOUT_KEYS_MS };
        known.insert((login, user), now.plus_millis(wait));
    }

    /// Whether there were none for a user a short while ago.
    #[must_use]
    pub fn knows(&self, login: LoginId, user: &Jid, now: Timestamp) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .get(&(login, user.clone()))
            .is_some_and(|until| *until > now)
    }
}
