//! What a login's user is called and looks like, told to the gatekeepers.
//!
//! It is compared with what was told last, whenever it may have changed and after each connection; nothing is told twice.

use futures_util::StreamExt as _;
use ruma::{
    UserId,
    events::{AnyTimelineEvent, room::member::MembershipState},
};

use super::{
    context::{Bridge, BridgeError, lock},
    invites::member_change,
    outgoing::blocking,
    workers::Outcome,
};
use crate::{
    domain::LoginId,
    imaging,
    store::{LoginRow, LoginState},
    translate::clean_name,
};

/// The largest picture that is looked at, in bytes.
const LARGEST: u64 = 10 * 1024 * 1024;
/// The longer side of the picture that is told, in pixels.
const SIDE: u32 = 640;

/// A user as their profile shows them.
struct Shown {
    name: String,
    avatar: Option<String>,
}

/// Under which key the name is kept that a login's user chose for one gatekeeper.
fn own_name_key(login: LoginId) -> String {
    format!("own_name/{login}")
}

impl Bridge {
    /// Has a login's user called so at its gatekeeper, whatever their profile says.
    ///
    /// # Errors
    /// The store's, or that the login is gone.
    pub async fn choose_name(&self, login: LoginId, name: &str) -> Result<(), BridgeError> {
        let row = self.login_row(login).await?;
        let network = self.network(&row.gatekeeper)?.clone();
        self.keep(&own_name_key(login), Some(name)).await?;
        network.set_name(login, name);
        lock(&self.people.named).insert(login, name.to_owned());
        Ok(())
    }

    /// Looks at an event for a member whose name or picture changed with it.
    pub(super) fn note_own_profile(&self, event: &AnyTimelineEvent) {
        let change = member_change(event).filter(|change| {
            change.membership == MembershipState::Join
                && change.of == event.sender()
                && !self.is_ours(&change.of)
        });
        if let Some(change) = change {
            self.people.own_profiles.wake(change.of);
        }
    }

    pub(super) async fn carry_own_profile(&self, user: &UserId) -> Outcome {
        match self.owner_profile(user).await {
            Ok(()) => Outcome::Done,
            Err(error) if error.is_transient() => Outcome::Retry,
            Err(error) => {
                tracing::warn!(%user, %error, "a user's profile could not be told to the gatekeepers");
                Outcome::Done
            }
        }
    }

    /// The name or the picture of a user may have changed: the gatekeepers of their logins are told what has.
    pub(super) async fn owner_profile(&self, user: &UserId) -> Result<(), BridgeError> {
        let mxid = user.to_string();
        let logins = self
            .db
            .read(move |txn| {
                let mxid = mxid.clone();
                Box::pin(async move { txn.logins_of(&mxid).await })
            })
            .await?;
        let active = |login: &LoginRow| login.state == LoginState::Active;
        let logins: Vec<LoginRow> = logins.into_iter().filter(active).collect();
        if logins.is_empty() {
            return Ok(());
        }
        let shown = self.shown_profile(user).await?;
        for login in &logins {
            self.tell_profile(login, &shown).await?;
        }
        Ok(())
    }

    /// The same for one login alone.
    pub(super) async fn login_profile(&self, login: &LoginRow) -> Result<(), BridgeError> {
        let Ok(user) = UserId::parse(login.mxid.as_str()) else {
            return Ok(());
        };
        let shown = self.shown_profile(&user).await?;
        self.tell_profile(login, &shown).await
    }

    async fn shown_profile(&self, user: &UserId) -> Result<Shown, BridgeError> {
        let (name, avatar) = self.bot().profile_of(user).await?;
        let name = clean_name(&name.unwrap_or_default());
        let name = if name.is_empty() {
            user.localpart().to_owned()
        } else {
            name
        };
        Ok(Shown { name, avatar })
    }

    async fn tell_profile(&self, login: &LoginRow, shown: &Shown) -> Result<(), BridgeError> {
        let network = self.network(&login.gatekeeper)?.clone();
        let chosen = self.kept(&own_name_key(login.id)).await?;
        let name = chosen.unwrap_or_else(|| shown.name.clone());
        let told = lock(&self.people.named).get(&login.id).cloned();
        if told.as_ref() != Some(&name) {
            network.set_name(login.id, &name);
            lock(&self.people.named).insert(login.id, name);
        }
        let key = format!("own_picture/{}", login.id);
        let told = self.kept(&key).await?.unwrap_or_default();
        let avatar = shown.avatar.clone().unwrap_or_default();
        if told == avatar {
            return Ok(());
        }
        let jpeg = match &shown.avatar {
            None => None,
            Some(uri) => match self.as_jpeg(uri).await? {
                Some(jpeg) => Some(jpeg),
                // What cannot be told is not tried again before it is another one.
                None => return self.keep(&key, Some(&avatar)).await,
            },
        };
        match network.set_picture(login.id, None, jpeg).await {
            Ok(_) => {}
            Err(error) if error.is_transient() => return Err(error.into()),
            Err(error) => {
                tracing::warn!(login = %login.id, %error, "the gatekeeper does not take a user's picture");
            }
        }
        self.keep(&key, Some(&avatar)).await
    }

    /// A picture at the homeserver as a JPEG of moderate size; `None` if it is none or too large.
    pub(super) async fn as_jpeg(&self, uri: &str) -> Result<Option<Vec<u8>>, BridgeError> {
        let patience = self.settings.conversation.patience;
        let mut file = match self.client.download(uri, LARGEST, patience).await {
            Ok(file) => file,
            Err(error) if error.is_transient() => {
                return Err(BridgeError::Media(error.to_string()));
            }
            Err(error) => {
                tracing::info!(%error, "a user's picture cannot be had");
                return Ok(None);
            }
        };
        let mut bytes = Vec::new();
        while let Some(piece) = file.bytes.next().await {
            let piece = piece.map_err(|error| BridgeError::Media(error.to_string()))?;
            bytes.extend_from_slice(&piece);
        }
        let small = blocking(move || imaging::thumbnail(&bytes, SIDE)).await;
        Ok(small.flatten().map(|small| small.jpeg))
    }
}
