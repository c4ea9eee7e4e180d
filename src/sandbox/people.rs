//! What the sandbox lets a test do to people: users of a Partner of its own, and what users do in clients of theirs that are elsewhere.

use std::{net::SocketAddr, sync::Arc};

use serde_json::Value;

use super::{ContactHandle, Flavour, Integrator, Sandbox, SandboxError, Script, office::Office};
use crate::network::interop::wire::{Jid, Node};

/// The name of the Partner the sandbox plays.
pub(super) const OTHER_NAME: &str = "OtherBridge";

/// The Partners there are, and the number of the one that is played: none if the options have one of its number or name.
pub(super) fn integrators(
    mut known: Vec<Integrator>,
    http: SocketAddr,
) -> (Vec<Integrator>, Option<u16>) {
    let is_other = |known: &Integrator| known.id == Integrator::OTHER || known.name == OTHER_NAME;
    if known.iter().any(is_other) {
        return (known, None);
    }
    known.push(Integrator {
        id: Integrator::OTHER,
        name: OTHER_NAME.to_owned(),
        base_url: format!("http://{http}/other"),
    });
    (known, Some(Integrator::OTHER))
}

impl Office {
    /// Blocks a user for another, or takes it back, and tells the other's client so.
    pub(super) async fn block_elsewhere(
        self: &Arc<Self>,
        by: &Jid,
        user: &Jid,
        block: bool,
    ) -> Result<(), SandboxError> {
        let now = self.now().0;
        let (known, done) = self.step(|directory, step| {
            if !directory.set_blocked(by, user, block, step) {
                return false;
            }
            let flavour = directory.accounts[by].flavour;
            let item = Node::new("item")
                .with("action", if block { "block" } else { "unblock" })
                .with("jid", user);
            let server = Jid::server(flavour.user_server());
            directory.notify(by, &server, "blocklist", item, now, step);
            true
        });
        if !known {
            return Err(SandboxError::Recipient(by.to_string()));
        }
        done.await.map_err(|_| SandboxError::Closed)
    }

    /// Un-enlists a Partner's user at once.
    pub(super) async fn unenlist(self: &Arc<Self>, jid: &Jid) -> Result<(), SandboxError> {
        self.hang_up(jid, None);
        let now = self.now().0;
        let ((), done) = self.step(|directory, step| {
            directory.leave_groups(jid, now, step);
            directory.remove_account(jid, step);
        });
        done.await.map_err(|_| SandboxError::Closed)
    }
}

impl Sandbox {
    /// Adds a user of the Partner the sandbox plays ([`Integrator::OTHER`]): a real client with ratchets of its own, as contacts
    /// are, whom people see as `visible_id`. Partners' users cannot write to each other directly.
    ///
    /// # Errors
    /// [`SandboxError::NotPlayed`], or why the user could not be enlisted.
    pub async fn add_partner_user(
        &self,
        flavour: Flavour,
        visible_id: &str,
        name: &str,
        script: Script,
    ) -> Result<ContactHandle, SandboxError> {
        self.contacts
            .add_partner(flavour, visible_id, name, script)
            .await
    }

    /// The users of the Partner the sandbox plays. They are not among [`contacts`](Self::contacts).
    #[must_use]
    pub fn partner_users(&self) -> Vec<ContactHandle> {
        self.contacts.partners()
    }

    /// The profile keys that lead here for another Partner than the first of the options: `None` if there is none of the number.
    #[must_use]
    pub fn profile_layer_of(&self, flavour: Flavour, integrator: u16) -> Option<Value> {
        let known = self.office.verifier.integrators();
        let integrator = known.iter().find(|known| known.id == integrator)?;
        Some(self.layer(flavour, Some(integrator)))
    }

    /// Blocks a user for another, or takes it back, as if the other had done so in another client of the same account.
    ///
    /// # Errors
    /// [`SandboxError::Recipient`] for who is not known, [`SandboxError::Closed`].
    pub async fn block_elsewhere(
        &self,
        by: &str,
        user: &str,
        block: bool,
    ) -> Result<(), SandboxError> {
        let [by, user] = [by, user].map(|text| {
            let jid = text.parse::<Jid>();
            jid.map_err(|_| SandboxError::Recipient(text.to_owned()))
        });
        self.office.block_elsewhere(&by?, &user?, block).await
    }

    /// Whether a user has blocked another, by what the gatekeeper knows.
    #[must_use]
    pub fn is_blocked(&self, by: &str, user: &str) -> bool {
        let (Ok(by), Ok(user)) = (by.parse::<Jid>(), user.parse::<Jid>()) else {
            return false;
        };
        let directory = self.office.directory();
        let account = directory.accounts.get(&by);
        account.is_some_and(|account| account.blocked.contains(&user))
    }
}
