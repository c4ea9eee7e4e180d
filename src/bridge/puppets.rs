//! Double puppets: Matrix users as whom the bridge may act, and whose accounts at the gatekeepers are whose.
//!
//! A user gives a token of their own, or the homeserver has a second registration that gives one for everybody. What the bridge
//! sends so comes back like everything a user does; it carries a mark, by which it is known. A token that is not good any more is
//! told once and then not used; ghosts speak again.

use std::time::Duration;

use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    context::{Bridge, BridgeError, lock},
    routes::PortalRoute,
};
use crate::{
    domain::{GatekeeperId, RemoteUserId},
    matrix::{Intent, MatrixError},
    store::{Lane, PuppetRow},
};

/// What keys begin with under which it is kept who gave a token.
const GIVEN: &str = "puppet/";

/// For how long after it was shown last the homeserver may tell that a user writes.
const TYPING_ECHO: Duration = Duration::from_secs(2);

/// Why somebody's token is not taken.
#[derive(Debug, thiserror::Error)]
pub enum PuppetError {
    /// The configuration does not allow it.
    #[error(
        "this bridge does not take access tokens: its admin can allow it (double_puppets.allow_login)"
    )]
    NotAllowed,
    /// The bridge does not know where the user's homeserver is.
    #[error(
        "this bridge does not know where {0} is: its admin can tell it (double_puppets.homeservers)"
    )]
    UnknownHomeserver(String),
    /// The homeserver does not know the token.
    #[error("the homeserver does not know this token: copy it anew from your client, whole")]
    UnknownToken,
    /// It is somebody else's.
    #[error("this is the token of {0}, not yours")]
    SomebodyElse(OwnedUserId),
    /// The homeserver could not be asked.
    #[error("the homeserver could not be asked, try again: {0}")]
    Homeserver(MatrixError),
    /// The bridge failed.
    #[error(transparent)]
    Bridge(#[from] BridgeError),
}

/// Whether a token is not good any more.
fn is_token_lost(error: &MatrixError) -> bool {
    matches!(
        error.errcode(),
        Some("M_UNKNOWN_TOKEN" | "M_MISSING_TOKEN" | "M_USER_DEACTIVATED")
    )
}

fn given_key(user: &UserId) -> String {
    format!("{GIVEN}{user}")
}

impl Bridge {
    /// Reads who gave a token and which accounts are claimed; to be called before anything is carried.
    pub(super) async fn load_people(&self) -> Result<(), BridgeError> {
        let given = self
            .db
            .read(|txn| Box::pin(async move { txn.values(GIVEN).await }))
            .await?;
        let users = given.iter().filter_map(|(key, _)| {
            let user = key.strip_prefix(GIVEN)?;
            OwnedUserId::try_from(user).ok()
        });
        lock(&self.people.logged_in).extend(users);
        self.load_claims().await
    }

    /// The key of the mark on what is sent as a user.
    fn mark(&self) -> String {
        format!("{}.double_puppet", self.settings.namespace)
    }

    /// Whether an event of a Matrix user, of this content, is one the bridge sent as them.
    pub(super) fn is_puppet_echo(&self, sender: &UserId, content: &Value) -> bool {
        content[self.mark()] == json!(true) && !self.is_ours(sender)
    }

    fn has_puppet(&self, user: &UserId) -> bool {
        lock(&self.people.logged_in).contains(user) || self.has_common_token(user)
    }

    /// Whether the second registration's token is good for somebody.
    fn has_common_token(&self, user: &UserId) -> bool {
        self.settings.people.double_puppets.as_token.is_some()
            && user.server_name() == self.settings.server_name.as_str()
            && !self.is_ours(user)
    }

    /// A Matrix user to act as, if the bridge may.
    pub(super) async fn puppet_of(&self, user: &UserId) -> Result<Option<Intent>, BridgeError> {
        if !self.has_puppet(user) {
            return Ok(None);
        }
        if let Some(known) = lock(&self.people.puppets).get(user) {
            return Ok(known.clone());
        }
        let mxid = user.to_string();
        let given = self
            .db
            .read(move |txn| {
                let mxid = mxid.clone();
                Box::pin(async move { txn.puppet(&mxid).await })
            })
            .await?;
        let common = self.settings.people.double_puppets.as_token.as_ref();
        let puppet = match (given, common) {
            (Some(row), _) => Some(self.own_puppet(user, &row.token)?),
            (None, Some(token)) if self.has_common_token(user) => {
                Some(self.client.puppet(user, token.clone(), &self.mark())?)
            }
            _ => None,
        };
        lock(&self.people.puppets).insert(user.to_owned(), puppet.clone());
        Ok(puppet)
    }

    fn own_puppet(&self, user: &UserId, token: &str) -> Result<Intent, MatrixError> {
        let homeservers = &self.settings.people.double_puppets.homeservers;
        let address = homeservers.get(user.server_name().as_str());
        let is_here = user.server_name() == self.settings.server_name.as_str();
        let address = address.filter(|_| !is_here);
        self.client
            .logged_in(user, SecretString::from(token), &self.mark(), address)
    }

    /// Lets the bridge act as a user by an access token of theirs.
    ///
    /// # Errors
    /// Why the token is not taken.
    pub async fn log_in_puppet(&self, user: &UserId, token: &str) -> Result<(), PuppetError> {
        let rules = &self.settings.people.double_puppets;
        if !rules.allow_login {
            return Err(PuppetError::NotAllowed);
        }
        let server = user.server_name().as_str();
        if server != self.settings.server_name && !rules.homeservers.contains_key(server) {
            return Err(PuppetError::UnknownHomeserver(server.to_owned()));
        }
        let token = token.trim();
        // What cannot stand in a header is no token.
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(PuppetError::UnknownToken);
        }
        let puppet = self.own_puppet(user, token).map_err(BridgeError::from)?;
        match puppet.whoami().await {
            Ok(who) if who == user => {}
            Ok(who) => return Err(PuppetError::SomebodyElse(who)),
            Err(error) if error.is_transient() => return Err(PuppetError::Homeserver(error)),
            Err(_) => return Err(PuppetError::UnknownToken),
        }
        let row = PuppetRow {
            mxid: user.to_string(),
            token: token.to_owned(),
        };
        let key = given_key(user);
        self.db
            .step(Lane::room(&key.clone()), move |txn| {
                let (row, key) = (row.clone(), key.clone());
                Box::pin(async move {
                    txn.put_puppet(&row).await?;
                    txn.set_value(&key, "yes").await
                })
            })
            .await
            .map_err(BridgeError::from)?;
        lock(&self.people.logged_in).insert(user.to_owned());
        lock(&self.people.puppets).insert(user.to_owned(), Some(puppet));
        Ok(())
    }

    /// Forgets the token a user gave.
    ///
    /// # Errors
    /// The store's.
    pub async fn log_out_puppet(&self, user: &UserId) -> Result<(), BridgeError> {
        let (mxid, key) = (user.to_string(), given_key(user));
        self.db
            .step(Lane::room(&key.clone()), move |txn| {
                let (mxid, key) = (mxid.clone(), key.clone());
                Box::pin(async move {
                    txn.delete_puppet(&mxid).await?;
                    txn.delete_value(&key).await
                })
            })
            .await?;
        lock(&self.people.logged_in).remove(user);
        lock(&self.people.puppets).remove(user);
        Ok(())
    }

    /// By what the bridge acts as a user: a `token` they gave, or the `appservice` token for everybody; `None` if it does not.
    ///
    /// # Errors
    /// The store's.
    pub async fn puppet_kind(&self, user: &UserId) -> Result<Option<&'static str>, BridgeError> {
        Ok(match self.puppet_of(user).await? {
            None => None,
            Some(_) if lock(&self.people.logged_in).contains(user) => Some("token"),
            Some(_) => Some("appservice"),
        })
    }

    /// Who shows what a remote user does in a room: the Matrix user whose account that is, if the bridge may act as them and they
    /// are in the room, else the ghost.
    pub(super) async fn speaker(
        &self,
        route: &PortalRoute,
        room_id: &RoomId,
        remote: &RemoteUserId,
        shown: Option<&str>,
    ) -> Result<Intent, BridgeError> {
        let gatekeeper = &route.portal.key.gatekeeper;
        match self.puppet_at(gatekeeper, remote, room_id).await? {
            Some(puppet) => Ok(puppet),
            None => self.ghost(gatekeeper, remote, shown).await,
        }
    }

    /// The Matrix user whose account somebody is, if the bridge may act as them and they are in the room.
    pub(super) async fn puppet_at(
        &self,
        gatekeeper: &GatekeeperId,
        remote: &RemoteUserId,
        room_id: &RoomId,
    ) -> Result<Option<Intent>, BridgeError> {
        match self.account_owner(gatekeeper, remote).await? {
            Some(user) => self.puppet_in(&user, room_id).await,
            None => Ok(None),
        }
    }

    /// A user to act as in a room they are in. It is asked as them, so that a token that was lost is found out before it is needed.
    async fn puppet_in(
        &self,
        user: &UserId,
        room_id: &RoomId,
    ) -> Result<Option<Intent>, BridgeError> {
        let Some(puppet) = self.puppet_of(user).await? else {
            return Ok(None);
        };
        match puppet.state(room_id, "m.room.member", user.as_str()).await {
            Ok(Some(member)) if member["membership"] == "join" => Ok(Some(puppet)),
            Ok(_) => Ok(None),
            Err(error) if error.is_transient() => Err(error.into()),
            Err(error) => {
                self.note_puppet_failure(user, &error).await?;
                Ok(None)
            }
        }
    }

    /// Looks at why something was refused to a user as whom the bridge acts: a token that was lost is not used any more.
    pub(super) async fn note_puppet_failure(
        &self,
        user: &UserId,
        error: &MatrixError,
    ) -> Result<(), BridgeError> {
        if !is_token_lost(error) {
            tracing::debug!(%user, %error, "something was refused to a user the bridge acts as");
            return Ok(());
        }
        if !lock(&self.people.logged_in).contains(user) {
            tracing::error!(%error, "the homeserver does not know the token of the registration for double puppets: give it that registration, or take double_puppets.as_token_file away");
            lock(&self.people.puppets).insert(user.to_owned(), None);
            return Ok(());
        }
        tracing::info!(%user, "the token a user gave is not good any more");
        self.log_out_puppet(user).await?;
        let text = "The access token you gave is not good any more, so what you do in other apps is shown by your contact's ghost \
                    again. Write `login-matrix` with a new one to have it as yours.";
        self.tell_user(user, &["puppet", &self.now().0.to_string()], text)
            .await
    }

    /// Remembers that a user is shown as writing in a room, or as having stopped, for what they do elsewhere.
    pub(super) fn note_puppet_typing(
        &self,
        room_id: &OwnedRoomId,
        user: &UserId,
        time: Option<Duration>,
    ) {
        let mut typing = lock(&self.people.typing);
        let now = Instant::now();
        typing.retain(|_, until| *until > now);
        let key = (room_id.clone(), user.to_owned());
        match time {
            // What the homeserver tells of it may come a little later.
            Some(time) => typing.insert(key, now + time + TYPING_ECHO),
            None => typing.insert(key, now + TYPING_ECHO),
        };
    }

    /// Whether a user writes in a room only as the bridge shows it.
    pub(super) fn is_puppet_typing(&self, room_id: &OwnedRoomId, user: &UserId) -> bool {
        let key = (room_id.clone(), user.to_owned());
        let until = lock(&self.people.typing).get(&key).copied();
        until.is_some_and(|until| until > Instant::now())
    }

    /// Whose account at a gatekeeper this is, if somebody showed that it is theirs.
    pub(super) async fn account_owner(
        &self,
        gatekeeper: &GatekeeperId,
        remote: &RemoteUserId,
    ) -> Result<Option<OwnedUserId>, BridgeError> {
        let key = (gatekeeper.clone(), remote.clone());
        if let Some(known) = lock(&self.people.accounts).get(&key) {
            return Ok(known.clone());
        }
        let (of, id) = key.clone();
        let owner = self
            .db
            .read(move |txn| {
                let (of, id) = (of.clone(), id.clone());
                Box::pin(async move { txn.owner_of_account(&of, &id).await })
            })
            .await?
            .and_then(|owner| OwnedUserId::try_from(owner).ok());
        lock(&self.people.accounts).insert(key, owner.clone());
        Ok(owner)
    }
}
