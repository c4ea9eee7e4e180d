//! What time does: stanzas expire after 30 days, and Partner users who did not connect for as long are un-enlisted.

use std::{sync::Arc, time::Duration};

use super::{directory::KEPT_MS, office::Office};
use crate::network::interop::wire::Jid;

const EVERY: Duration = Duration::from_mins(1);

/// Sweeps until the sandbox ends.
pub(super) async fn run(office: Arc<Office>) {
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = office.cancel.cancelled() => return,
        }
        once(&office).await;
    }
}

/// Sweeps once.
pub(super) async fn once(office: &Arc<Office>) {
    let now = office.now().0;
    let ((), done) = office.step(|directory, step| {
        directory.expire_mailboxes(now, step);
        let gone: Vec<Jid> = directory
            .accounts
            .values()
            .filter(|account| account.is_partner() && now - account.last_seen >= KEPT_MS)
            .map(|account| account.jid.clone())
            .filter(|jid| !directory.lines.contains_key(jid) && !office.plays(jid))
            .collect();
        for jid in gone {
            tracing::info!(login = %jid, "un-enlisted after 30 days without connecting");
            directory.leave_groups(&jid, now, step);
            directory.remove_account(&jid, step);
        }
    });
    if done.await.is_err() {
        tracing::debug!("the sandbox ended while it swept");
    }
}
