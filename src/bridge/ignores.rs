//! Whom a user blocks at a gatekeeper they ignore in Matrix, and the other way round.
//!
//! An application service is not told of users' ignore lists. So they are compared after each connection, now and then, and when
//! somebody asks whom they block, with what both sides had the last time: what changed on one side is done on the other. The bridge
//! has to act as the user for that. The logins of a user share one ignore list, so it is one's turn at a time.

use std::{collections::BTreeSet, future::Future, time::Duration};

use ruma::OwnedUserId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    connections::LoginCondition,
    context::{Bridge, BridgeError},
};
use crate::{
    domain::{LoginId, RemoteUserId},
    matrix::Intent,
    store::{LoginRow, LoginState},
};

const IGNORED: &str = "m.ignored_user_list";
/// How often the lists of those who are connected are compared.
const EVERY: Duration = Duration::from_mins(10);

/// What is to be done so that two lists are the same again, after either changed since both were `last`.
#[derive(Debug, Default, PartialEq, Eq)]
struct Differences {
    block: Vec<RemoteUserId>,
    unblock: Vec<RemoteUserId>,
}

/// The lists as they were when they were last brought together.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Last {
    /// Who was ignored.
    ignored: BTreeSet<RemoteUserId>,
    /// Who of them because they were blocked. Who was ignored before that is not blocked for it, and stays ignored.
    both: BTreeSet<RemoteUserId>,
}

/// What changed in the ignore list since.
fn differences(last: &Last, ignored: &BTreeSet<RemoteUserId>) -> Differences {
    Differences {
        block: ignored.difference(&last.ignored).cloned().collect(),
        unblock: last.both.difference(ignored).cloned().collect(),
    }
}

fn ignored_key(login: &LoginRow) -> String {
    format!("ignored/{}", login.id)
}

impl Bridge {
    /// Compares the lists of those who are connected and as whom the bridge may act, now and then, until the bridge is stopped.
    pub async fn watch_ignored(&self) {
        while self.comes_round(EVERY).await {
            if let Err(error) = self.compare_all_ignored().await {
                tracing::warn!(%error, "ignored users could not be compared with blocked ones");
            }
        }
    }

    async fn compare_all_ignored(&self) -> Result<(), BridgeError> {
        let logins = self
            .db
            .read(|txn| Box::pin(async move { txn.logins().await }))
            .await?;
        for login in logins {
            if login.state != LoginState::Active || !self.is_connected(login.id) {
                continue;
            }
            if self.puppet_of_login(&login).await?.is_some()
                && let Err(error) = self.compare_blocked(&login).await
            {
                tracing::debug!(login = %login.id, %error, "the next time does");
            }
        }
        Ok(())
    }

    fn is_connected(&self, login: LoginId) -> bool {
        self.login_status(login).state == LoginCondition::Connected
    }

    /// Whom a login has blocked, after the lists of both sides were brought together if that can be done now.
    ///
    /// # Errors
    /// The store's.
    pub async fn blocked_now(&self, login: LoginId) -> Result<Vec<RemoteUserId>, BridgeError> {
        let row = self.login_row(login).await?;
        if self.is_connected(login)
            && let Err(error) = self.compare_blocked(&row).await
        {
            tracing::warn!(%login, %error, "ignored users could not be compared with blocked ones");
        }
        self.blocked(login).await
    }

    /// Takes the gatekeeper's list of blocked users for the true one, then brings the lists of both sides together.
    pub(super) async fn compare_blocked(&self, login: &LoginRow) -> Result<(), BridgeError> {
        self.in_turn(login, self.compare_lists(login)).await
    }

    /// Does something to the ignore list of a login's user while nothing else does.
    async fn in_turn<T>(
        &self,
        login: &LoginRow,
        work: impl Future<Output = Result<T, BridgeError>>,
    ) -> Result<T, BridgeError> {
        let Ok(owner) = OwnedUserId::try_from(login.mxid.as_str()) else {
            return work.await;
        };
        let turn = self.people.alone_with(&owner);
        let done = {
            let _alone = turn.lock().await;
            work.await
        };
        drop(turn);
        self.people.done_with(&owner);
        done
    }

    async fn compare_lists(&self, login: &LoginRow) -> Result<(), BridgeError> {
        let network = self.network(&login.gatekeeper)?.clone();
        let there: BTreeSet<RemoteUserId> = network.blocked(login.id).await?.into_iter().collect();
        let here: BTreeSet<RemoteUserId> = self.blocked(login.id).await?.into_iter().collect();
        for user in there.difference(&here) {
            self.store_blocked(login.id, user, true).await?;
        }
        for user in here.difference(&there) {
            self.store_blocked(login.id, user, false).await?;
        }
        let Some(puppet) = self.puppet_of_login(login).await? else {
            return Ok(());
        };
        if let Some(last) = self.last_ignored(login).await? {
            let list = puppet.account_data(IGNORED).await?.unwrap_or_default();
            let changed = differences(&last, &self.ignored_in(login, &list));
            let wanted = changed.block.iter().map(|user| (user, true));
            let unwanted = changed.unblock.iter().map(|user| (user, false));
            for (user, block) in wanted.chain(unwanted) {
                if there.contains(user) != block {
                    network.block(login.id, user, block).await?;
                    self.store_blocked(login.id, user, block).await?;
                }
            }
        }
        self.bring_ignored(login, &puppet).await
    }

    /// Has a user ignore in Matrix whom they block; that it fails holds nothing back.
    pub(super) async fn mirror_ignored(&self, login: &LoginRow) {
        let mirrored = async {
            match self.puppet_of_login(login).await? {
                Some(puppet) => self.bring_ignored(login, &puppet).await,
                None => Ok(()),
            }
        };
        if let Err(error) = self.in_turn(login, mirrored).await {
            tracing::warn!(login = %login.id, %error, "blocked users could not be ignored in Matrix");
        }
    }

    async fn bring_ignored(&self, login: &LoginRow, puppet: &Intent) -> Result<(), BridgeError> {
        let blocked: BTreeSet<RemoteUserId> = self.blocked(login.id).await?.into_iter().collect();
        let list = puppet.account_data(IGNORED).await?.unwrap_or_default();
        let ignored = self.ignored_in(login, &list);
        let last = self.last_ignored(login).await?.unwrap_or_default();
        let freed: Vec<&RemoteUserId> = last.both.difference(&blocked).collect();
        let mut wanted = list.clone();
        if !wanted["ignored_users"].is_object() {
            wanted = json!({ "ignored_users": {} });
        }
        for user in blocked.difference(&ignored) {
            let ghost = self.ghost_id(&login.gatekeeper, user);
            wanted["ignored_users"][ghost.as_str()] = json!({});
        }
        if let Some(users) = wanted["ignored_users"].as_object_mut() {
            for user in freed {
                users.remove(self.ghost_id(&login.gatekeeper, user).as_str());
            }
        }
        if wanted["ignored_users"] != list["ignored_users"]
            && !(list.is_null() && blocked.is_empty())
        {
            puppet.set_account_data(IGNORED, &wanted).await?;
        }
        let ignored = self.ignored_in(login, &wanted);
        let both = ignored.intersection(&blocked).cloned().collect();
        let text = json!(Last { ignored, both }).to_string();
        self.keep(&ignored_key(login), Some(&text)).await
    }

    /// The users of a login's gatekeeper whose ghosts are in an ignore list.
    fn ignored_in(&self, login: &LoginRow, list: &Value) -> BTreeSet<RemoteUserId> {
        let users = list["ignored_users"].as_object().into_iter().flatten();
        users
            .filter_map(|(user, _)| {
                let user = ruma::UserId::parse(user.as_str()).ok()?;
                let (gatekeeper, remote) = self.naming.parse(&user)?;
                (gatekeeper == login.gatekeeper).then_some(remote)
            })
            .collect()
    }

    async fn last_ignored(&self, login: &LoginRow) -> Result<Option<Last>, BridgeError> {
        let kept = self.kept(&ignored_key(login)).await?;
        Ok(kept.and_then(|text| serde_json::from_str(&text).ok()))
    }

    async fn puppet_of_login(&self, login: &LoginRow) -> Result<Option<Intent>, BridgeError> {
        match ruma::UserId::parse(login.mxid.as_str()) {
            Ok(user) => self.puppet_of(&user).await,
            Err(_) => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(names: &[&str]) -> BTreeSet<RemoteUserId> {
        let parse = |name: &&str| RemoteUserId::parse(*name).unwrap();
        names.iter().map(parse).collect()
    }

    #[test]
    fn only_what_changed_in_matrix_is_done_at_the_gatekeeper() {
        let last = Last {
            ignored: users(&["a@x", "b@x", "d@x"]),
            both: users(&["a@x", "b@x"]),
        };
        let one = |name: &str| vec![RemoteUserId::parse(name).unwrap()];
        assert_eq!(
            differences(&last, &users(&["b@x", "c@x"])),
            Differences {
                block: one("c@x"),
                unblock: one("a@x"),
            }
        );
        assert_eq!(differences(&last, &last.ignored), Differences::default());
    }
}
