//! People as a login knows them: contacts, who is blocked, who takes messages of other apps, and what all of this is kept in.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, Weak},
};

use futures_util::future::BoxFuture;
use ruma::{OwnedRoomId, OwnedUserId};
use serde::Serialize;
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    context::{Bridge, BridgeError, lock},
    ghosts::Seen,
    workers::{Job, Outcome, Workers},
};
use crate::{
    domain::{ChatId, GatekeeperId, LoginId, PortalKey, Reachability, RemoteUserId},
    matrix::Intent,
    store::{
        GhostRow, Lane, LoginRow, LoginState, ReachabilityRow, RemoteMessageRow, RemoteNotice,
    },
};

/// How many profiles are brought at a time.
const AT_A_TIME: usize = 2;

/// Held while something is decided about one user.
type UserLock = Arc<tokio::sync::Mutex<()>>;

/// What is remembered of people and done for them.
pub(super) struct People {
    /// What the last look at each ghost found.
    pub(super) seen: Mutex<HashMap<OwnedUserId, Seen>>,
    naming: Mutex<HashMap<OwnedUserId, UserLock>>,
    /// What brings ghosts' pictures.
    pub(super) profiles: Workers<(GatekeeperId, RemoteUserId)>,
    pub(super) pace: Semaphore,
    /// What tells users how their connections are.
    pub(super) notices: Workers<LoginId>,
    /// What is done after each new connection.
    pub(super) greetings: Workers<LoginId>,
    /// As whom the bridge acts, by user; `None` for those who do not let it.
    pub(super) puppets: Mutex<HashMap<OwnedUserId, Option<Intent>>>,
    /// Who gave a token of their own.
    pub(super) logged_in: Mutex<HashSet<OwnedUserId>>,
    /// Whose accounts at gatekeepers are, as far as it was asked.
    pub(super) accounts: Mutex<HashMap<(GatekeeperId, RemoteUserId), Option<OwnedUserId>>>,
    /// Accounts that somebody says are theirs and has to show it.
    pub(super) claims: Mutex<HashSet<(GatekeeperId, RemoteUserId)>>,
    /// Users who are shown as writing for what they do elsewhere, and until when that can be told by the homeserver.
    pub(super) typing: Mutex<HashMap<(OwnedRoomId, OwnedUserId), Instant>>,
    /// What looks at users' own profiles once they may have changed.
    pub(super) own_profiles: Workers<OwnedUserId>,
    /// What each login was told since the start of its user's name.
    pub(super) named: Mutex<HashMap<LoginId, String>>,
}

fn workers<K: Clone + Eq + std::hash::Hash + Send + 'static>(
    this: &Weak<Bridge>,
    cancel: &CancellationToken,
    job: fn(Arc<Bridge>, K) -> BoxFuture<'static, Outcome>,
) -> Workers<K> {
    let this = this.clone();
    let job: Job<K> = Arc::new(move |key| match this.upgrade() {
        Some(bridge) => job(bridge, key),
        None => Box::pin(std::future::ready(Outcome::Done)),
    });
    Workers::new(job, cancel.clone())
}

impl People {
    pub(super) fn new(this: &Weak<Bridge>, cancel: &CancellationToken) -> Self {
        Self {
            seen: Mutex::default(),
            naming: Mutex::default(),
            profiles: workers(this, cancel, |bridge, (gatekeeper, remote)| {
                Box::pin(async move { bridge.carry_profile(&gatekeeper, &remote).await })
            }),
            pace: Semaphore::new(AT_A_TIME),
            notices: workers(this, cancel, |bridge, login| {
                Box::pin(async move { bridge.carry_connection(login).await })
            }),
            greetings: workers(this, cancel, |bridge, login| {
                Box::pin(async move { bridge.greet(login).await })
            }),
            puppets: Mutex::default(),
            logged_in: Mutex::default(),
            accounts: Mutex::default(),
            claims: Mutex::default(),
            typing: Mutex::default(),
            own_profiles: workers(this, cancel, |bridge, user| {
                Box::pin(async move { bridge.carry_own_profile(&user).await })
            }),
            named: Mutex::default(),
        }
    }

    /// What waits after a failure is tried again at once.
    pub(super) fn hurry(&self) {
        self.profiles.hurry();
        self.notices.hurry();
        self.greetings.hurry();
        self.own_profiles.hurry();
    }

    /// Waits until its workers have ended.
    pub(super) async fn stopped(&self) {
        self.profiles.stopped().await;
        self.notices.stopped().await;
        self.greetings.stopped().await;
        self.own_profiles.stopped().await;
    }

    pub(super) fn alone_with(&self, user: &OwnedUserId) -> UserLock {
        lock(&self.naming).entry(user.clone()).or_default().clone()
    }

    /// Forgets the lock of a user if nobody else waits for it.
    pub(super) fn done_with(&self, user: &OwnedUserId) {
        let mut naming = lock(&self.naming);
        if naming
            .get(user)
            .is_some_and(|lock| Arc::strong_count(lock) == 1)
        {
            naming.remove(user);
        }
    }
}

/// Somebody a login can write to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Contact {
    /// Where they are.
    pub gatekeeper: GatekeeperId,
    /// Their address there.
    pub user: RemoteUserId,
    /// What they are called.
    pub name: String,
    /// Their ghost.
    pub mxid: OwnedUserId,
    /// Their picture's address at the homeserver.
    pub avatar: Option<String>,
    /// Their phone number in international form, if their address is one.
    pub phone: Option<String>,
    /// The room of the login's chat with them, if there is one.
    pub room_id: Option<OwnedRoomId>,
}

impl Bridge {
    /// The people a login has chats or groups with, by name; only those with `text` in name or address, if given.
    ///
    /// # Errors
    /// The store's.
    pub async fn contacts(
        &self,
        login: LoginId,
        text: Option<&str>,
        limit: i64,
    ) -> Result<Vec<Contact>, BridgeError> {
        let text = text.map(str::to_owned);
        let found = self
            .db
            .read(move |txn| {
                let text = text.clone();
                Box::pin(async move {
                    let ghosts = txn.contacts(login, text.as_deref(), limit).await?;
                    let mut found = Vec::with_capacity(ghosts.len());
                    for ghost in ghosts {
                        let key = direct_key(&ghost.gatekeeper, login, &ghost.remote_id);
                        let room = txn.portal(&key).await?.and_then(|portal| portal.room_id);
                        found.push((ghost, room));
                    }
                    Ok(found)
                })
            })
            .await?;
        let contact = |(ghost, room)| self.as_contact(ghost, room);
        Ok(found.into_iter().map(contact).collect())
    }

    /// The contact that a phone number, user name or address means, asked at the gatekeeper.
    ///
    /// # Errors
    /// That there is none or it cannot be written to, and why.
    pub async fn contact(&self, login: LoginId, input: &str) -> Result<Contact, BridgeError> {
        let row = self.login_row(login).await?;
        let network = self.network(&row.gatekeeper)?;
        let user = network.resolve(login, input).await?;
        let ghost = self.ghost_row(&row.gatekeeper, &user).await?;
        let key = direct_key(&row.gatekeeper, login, &user);
        let portal = self
            .db
            .read(move |txn| {
                let key = key.clone();
                Box::pin(async move { txn.portal(&key).await })
            })
            .await?;
        Ok(self.as_contact(ghost, portal.and_then(|portal| portal.room_id)))
    }

    fn as_contact(&self, ghost: GhostRow, room: Option<String>) -> Contact {
        let name = ghost.name.clone();
        Contact {
            name: name.unwrap_or_else(|| self.address_name(&ghost.gatekeeper, &ghost.remote_id)),
            mxid: self.ghost_id(&ghost.gatekeeper, &ghost.remote_id),
            phone: self.phone_of(&ghost.gatekeeper, &ghost.remote_id),
            avatar: ghost.avatar.filter(|uri| !uri.is_empty()),
            room_id: room.and_then(|room| OwnedRoomId::try_from(room).ok()),
            gatekeeper: ghost.gatekeeper,
            user: ghost.remote_id,
        }
    }

    /// What somebody is called, for a sentence about them.
    pub(super) async fn called(
        &self,
        gatekeeper: &GatekeeperId,
        user: &RemoteUserId,
    ) -> Result<String, BridgeError> {
        let row = self.ghost_row(gatekeeper, user).await?;
        let name = row.name;
        Ok(name.unwrap_or_else(|| self.address_name(gatekeeper, user)))
    }

    /// Blocks somebody at the gatekeeper, or does so no more; whom a user blocks they ignore in Matrix, too, if the bridge may act
    /// as them.
    ///
    /// # Errors
    /// What the gatekeeper said.
    pub async fn block(
        &self,
        login: LoginId,
        user: &RemoteUserId,
        block: bool,
    ) -> Result<(), BridgeError> {
        let row = self.login_row(login).await?;
        let network = self.network(&row.gatekeeper)?;
        network.block(login, user, block).await?;
        self.store_blocked(login, user, block).await?;
        self.mirror_ignored(&row).await;
        Ok(())
    }

    /// Whom a login has blocked, as it is known here.
    ///
    /// # Errors
    /// The store's.
    pub async fn blocked(&self, login: LoginId) -> Result<Vec<RemoteUserId>, BridgeError> {
        Ok(self
            .db
            .read(move |txn| Box::pin(async move { txn.blocked(login).await }))
            .await?)
    }

    pub(super) async fn store_blocked(
        &self,
        login: LoginId,
        user: &RemoteUserId,
        block: bool,
    ) -> Result<(), BridgeError> {
        let user = user.clone();
        self.db
            .step(Lane::login(login), move |txn| {
                let user = user.clone();
                Box::pin(async move { txn.set_blocked(login, &user, block).await })
            })
            .await?;
        Ok(())
    }

    /// Asks somebody to take messages of other apps, and remembers it. What they answer later is told in the management room.
    ///
    /// # Errors
    /// What the gatekeeper said.
    pub async fn ask_reachability(
        &self,
        login: LoginId,
        user: &RemoteUserId,
    ) -> Result<Reachability, BridgeError> {
        let row = self.login_row(login).await?;
        let state = self
            .network(&row.gatekeeper)?
            .ask_reachability(login, user)
            .await?;
        self.store_reachability(login, user, state).await?;
        Ok(state)
    }

    async fn store_reachability(
        &self,
        login: LoginId,
        user: &RemoteUserId,
        state: Reachability,
    ) -> Result<(), BridgeError> {
        let row = ReachabilityRow {
            user: user.clone(),
            state,
            asked_at: self.now(),
        };
        self.db
            .step(Lane::login(login), move |txn| {
                let mut row = row.clone();
                Box::pin(async move {
                    let known = txn.reachabilities(login).await?;
                    if let Some(known) = known.iter().find(|known| known.user == row.user)
                        && row.state != Reachability::Asked
                    {
                        row.asked_at = known.asked_at;
                    }
                    txn.put_reachability(login, &row).await
                })
            })
            .await?;
        Ok(())
    }

    /// Takes what the gatekeeper tells of people: a name or a picture that changed, an answer to being asked, a block made elsewhere.
    pub(super) async fn take_people_notice(
        &self,
        login: LoginId,
        row: &RemoteMessageRow,
        notice: &RemoteNotice,
    ) -> Result<(), BridgeError> {
        let of = self.login_row(login).await?;
        let (gatekeeper, sender) = (&of.gatekeeper, &row.message.sender);
        match notice {
            RemoteNotice::Profile { name, picture } => {
                if self.ghost_row(gatekeeper, sender).await?.registered {
                    self.ghost(gatekeeper, sender, name.as_deref()).await?;
                }
                if *picture {
                    self.renew_picture(gatekeeper, sender).await?;
                }
            }
            RemoteNotice::Reachability { accepted } => {
                let state = if *accepted {
                    Reachability::Accepted
                } else {
                    Reachability::Declined
                };
                self.store_reachability(login, sender, state).await?;
                let name = self.called(gatekeeper, sender).await?;
                let text = if *accepted {
                    format!(
                        "{name} takes messages of other apps now. Write `start-chat {}` to begin.",
                        self.typed(gatekeeper, sender)
                    )
                } else {
                    format!("{name} does not want to take messages of other apps.")
                };
                let words = [
                    "reachability",
                    sender.as_str(),
                    row.message.stanza_id.as_str(),
                ];
                self.tell_owner_once(login, &words, &text).await?;
            }
            RemoteNotice::Blocked { user, blocked } => {
                self.store_blocked(login, user, *blocked).await?;
                let name = self.called(gatekeeper, user).await?;
                let text = if *blocked {
                    format!("{name} is blocked now: it was done in another program.")
                } else {
                    format!("{name} is not blocked any more: it was done in another program.")
                };
                let words = ["blocked", user.as_str(), row.message.stanza_id.as_str()];
                self.tell_owner_once(login, &words, &text).await?;
                self.mirror_ignored(&of).await;
            }
            _ => {}
        }
        Ok(())
    }

    /// What a user types for somebody.
    fn typed(&self, gatekeeper: &GatekeeperId, user: &RemoteUserId) -> String {
        let phone = self.phone_of(gatekeeper, user);
        phone.unwrap_or_else(|| user.to_string())
    }

    /// A login's row.
    pub(super) async fn login_row(&self, login: LoginId) -> Result<LoginRow, BridgeError> {
        let row = self
            .db
            .read(move |txn| Box::pin(async move { txn.login(login).await }))
            .await?;
        row.ok_or_else(|| BridgeError::Inconsistent(format!("login {login} is gone")))
    }

    /// The logins that have a chat or a group with somebody.
    pub(super) async fn logins_knowing(
        &self,
        gatekeeper: &GatekeeperId,
        remote: &RemoteUserId,
    ) -> Result<Vec<LoginRow>, BridgeError> {
        let (gatekeeper, remote) = (gatekeeper.clone(), remote.clone());
        Ok(self
            .db
            .read(move |txn| {
                let (gatekeeper, remote) = (gatekeeper.clone(), remote.clone());
                Box::pin(async move {
                    let mut knowing: Vec<LoginRow> = Vec::new();
                    for login in txn.logins().await? {
                        let key = direct_key(&gatekeeper, login.id, &remote);
                        let is_there =
                            login.gatekeeper == gatekeeper && login.state == LoginState::Active;
                        if is_there && txn.portal(&key).await?.is_some() {
                            knowing.push(login);
                        }
                    }
                    for chat in txn.groups_with(&gatekeeper, &remote).await? {
                        for login in txn.group_logins(&gatekeeper, &chat).await? {
                            let is_new = knowing.iter().all(|known| known.id != login.id);
                            if is_new && login.state == LoginState::Active {
                                knowing.push(login);
                            }
                        }
                    }
                    Ok(knowing)
                })
            })
            .await?)
    }

    /// A value that is kept under a key.
    pub(super) async fn kept(&self, key: &str) -> Result<Option<String>, BridgeError> {
        let key = key.to_owned();
        Ok(self
            .db
            .read(move |txn| {
                let key = key.clone();
                Box::pin(async move { txn.value(&key).await })
            })
            .await?)
    }

    /// Keeps a value under a key, or (`None`) nothing any more.
    pub(super) async fn keep(&self, key: &str, value: Option<&str>) -> Result<(), BridgeError> {
        let (key, value) = (key.to_owned(), value.map(str::to_owned));
        self.db
            .step(Lane::room(&key.clone()), move |txn| {
                let (key, value) = (key.clone(), value.clone());
                Box::pin(async move {
                    match value {
                        Some(value) => txn.set_value(&key, &value).await,
                        None => txn.delete_value(&key).await,
                    }
                })
            })
            .await?;
        Ok(())
    }
}

/// What makes the portal of a login's chat with somebody.
fn direct_key(gatekeeper: &GatekeeperId, login: LoginId, user: &RemoteUserId) -> PortalKey {
    PortalKey {
        gatekeeper: gatekeeper.clone(),
        chat: ChatId::direct(user),
        login: Some(login),
    }
}
