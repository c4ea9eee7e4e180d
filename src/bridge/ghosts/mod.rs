//! Ghosts: the Matrix users that stand for the gatekeeper's users, and what they are called.
//!
//! A name has a source: what a user of the bridge calls them, what they call themselves, or their address. One from a lesser source
//! never takes the place of one from a better; so a name does not change with whoever was heard of last.

mod idle;
mod profile;

use ruma::OwnedUserId;

use super::context::{Bridge, BridgeError, lock};
use crate::{
    config::Level,
    domain::{GatekeeperId, LoginId, RemoteUserId},
    matrix::Intent,
    store::{GhostRow, Lane, NameSource},
    translate::display_name,
};

/// What the last look at a ghost found.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// The name its user showed then, as it came.
    shown: Option<String>,
}

/// A name somebody is to have.
struct Wanted {
    name: String,
    source: NameSource,
}

impl Bridge {
    /// The ghost of a remote user, known to the homeserver and with a name. `shown` is what its user shows as theirs now.
    pub(super) async fn ghost(
        &self,
        gatekeeper: &GatekeeperId,
        remote: &RemoteUserId,
        shown: Option<&str>,
    ) -> Result<Intent, BridgeError> {
        let mxid = self.naming.mxid(gatekeeper, remote);
        let intent = self.client.ghost(&mxid);
        let shown = shown.filter(|name| !name.trim().is_empty());
        let is_news = |seen: Option<&Seen>| {
            seen.is_none_or(|seen| shown.is_some() && seen.shown.as_deref() != shown)
        };
        if !is_news(lock(&self.people.seen).get(&mxid)) {
            return Ok(intent);
        }
        let naming = self.people.alone_with(&mxid);
        {
            let _alone = naming.lock().await;
            if is_news(lock(&self.people.seen).get(&mxid)) {
                self.refresh(gatekeeper, remote, &intent, shown).await?;
            }
        }
        drop(naming);
        self.people.done_with(&mxid);
        Ok(intent)
    }

    async fn refresh(
        &self,
        gatekeeper: &GatekeeperId,
        remote: &RemoteUserId,
        intent: &Intent,
        shown: Option<&str>,
    ) -> Result<(), BridgeError> {
        let before = self.ghost_row(gatekeeper, remote).await?;
        if !before.registered {
            intent.ensure_registered().await?;
        }
        let profile = shown.and_then(|name| self.shown_as(gatekeeper, name));
        if let Some(name) = &profile
            && before.name_source == NameSource::Contact
        {
            // Wanted again once nobody calls them otherwise.
            self.keep(&profile_name_key(&before.mxid), Some(name))
                .await?;
        }
        let wanted = match profile {
            Some(name) => Some(Wanted {
                name,
                source: NameSource::Profile,
            }),
            None if before.name_source == NameSource::Address => Some(Wanted {
                name: self.address_name(gatekeeper, remote),
                source: NameSource::Address,
            }),
            None => None,
        };
        let wanted = wanted.filter(|wanted| wanted.source >= before.name_source);
        let row = self.give_name(intent, before, wanted).await?;
        // What the profile tells besides may be another thing than before the start, too.
        if row.picture.is_none() || !self.is_identity_told(&row).await? {
            self.people
                .profiles
                .wake((gatekeeper.clone(), remote.clone()));
        }
        let mxid = intent.user_id().to_owned();
        lock(&self.ghosts).insert(mxid.clone(), row.name);
        let shown = shown.map(str::to_owned);
        lock(&self.people.seen).insert(mxid, Seen { shown });
        Ok(())
    }

    /// Gives a registered ghost its name, if it has another one, and stores both.
    async fn give_name(
        &self,
        intent: &Intent,
        before: GhostRow,
        wanted: Option<Wanted>,
    ) -> Result<GhostRow, BridgeError> {
        let mut row = before.clone();
        row.registered = true;
        if let Some(wanted) = wanted {
            if row.name.as_ref() != Some(&wanted.name) {
                intent.set_display_name(&wanted.name).await?;
            }
            row.name = Some(wanted.name);
            row.name_source = wanted.source;
        }
        if row == before {
            return Ok(row);
        }
        let changed = row.clone();
        Ok(self
            .db
            .step(Lane::room(&row.mxid), move |txn| {
                let mut changed = changed.clone();
                Box::pin(async move {
                    // The picture is another worker's.
                    if let Some(now) = txn.ghost(&changed.gatekeeper, &changed.remote_id).await? {
                        changed.picture = now.picture;
                        changed.avatar = now.avatar;
                    }
                    txn.put_ghost(&changed).await?;
                    Ok(changed)
                })
            })
            .await?)
    }

    /// Calls somebody as a login's user does, or (`None`) as they call themselves again. The name is the ghost's for everybody, so
    /// only an admin may give one to somebody whom others know, too.
    ///
    /// # Errors
    /// Why not, in a sentence.
    pub async fn name_contact(
        &self,
        login: LoginId,
        user: &RemoteUserId,
        name: Option<&str>,
    ) -> Result<String, BridgeError> {
        let owner = self.login_row(login).await?;
        let gatekeeper = owner.gatekeeper.clone();
        let is_admin = ruma::UserId::parse(owner.mxid.as_str())
            .is_ok_and(|of| self.level(&of) >= Level::Admin);
        if !is_admin {
            let knowing = self.logins_knowing(&gatekeeper, user).await?;
            if knowing.iter().any(|other| other.mxid != owner.mxid) {
                return Err(BridgeError::Inconsistent(
                    "others of this bridge know them, too, and would see that name: ask an admin"
                        .to_owned(),
                ));
            }
        }
        let intent = self.ghost(&gatekeeper, user, None).await?;
        let mxid = intent.user_id().to_owned();
        let naming = self.people.alone_with(&mxid);
        let named = {
            let _alone = naming.lock().await;
            self.call_contact(&gatekeeper, user, &intent, name).await
        };
        drop(naming);
        self.people.done_with(&mxid);
        named
    }

    async fn call_contact(
        &self,
        gatekeeper: &GatekeeperId,
        user: &RemoteUserId,
        intent: &Intent,
        name: Option<&str>,
    ) -> Result<String, BridgeError> {
        let row = self.ghost_row(gatekeeper, user).await?;
        let key = profile_name_key(&row.mxid);
        let wanted = match name {
            Some(name) => {
                let name = self.shown_as(gatekeeper, name).ok_or_else(|| {
                    BridgeError::Inconsistent(
                        "that is no name one could see, or it is the bot's: choose another"
                            .to_owned(),
                    )
                })?;
                if row.name_source == NameSource::Profile {
                    self.keep(&key, row.name.as_deref()).await?;
                }
                Wanted {
                    name,
                    source: NameSource::Contact,
                }
            }
            None if row.name_source == NameSource::Contact => match self.kept(&key).await? {
                Some(name) => Wanted {
                    name,
                    source: NameSource::Profile,
                },
                None => Wanted {
                    name: self.address_name(gatekeeper, user),
                    source: NameSource::Address,
                },
            },
            None => return Ok(row.name.unwrap_or_default()),
        };
        let row = self.give_name(intent, row, Some(wanted)).await?;
        if row.name_source != NameSource::Contact {
            self.keep(&key, None).await?;
        }
        lock(&self.ghosts).insert(intent.user_id().to_owned(), row.name.clone());
        Ok(row.name.unwrap_or_default())
    }

    /// The stored ghost of a user, or one as it begins.
    pub(super) async fn ghost_row(
        &self,
        gatekeeper: &GatekeeperId,
        remote: &RemoteUserId,
    ) -> Result<GhostRow, BridgeError> {
        let (of, id) = (gatekeeper.clone(), remote.clone());
        let row = self
            .db
            .read(move |txn| {
                let (of, id) = (of.clone(), id.clone());
                Box::pin(async move { txn.ghost(&of, &id).await })
            })
            .await?;
        Ok(row.unwrap_or_else(|| GhostRow {
            gatekeeper: gatekeeper.clone(),
            remote_id: remote.clone(),
            mxid: self.naming.mxid(gatekeeper, remote).to_string(),
            registered: false,
            name: None,
            name_source: NameSource::Address,
            picture: None,
            avatar: None,
        }))
    }

    /// What somebody is shown as who is called so; `None` for what is no name or would pass for the bot.
    fn shown_as(&self, gatekeeper: &GatekeeperId, name: &str) -> Option<String> {
        let settings = &self.settings;
        let reserved = [settings.bot_displayname.as_str()];
        let at = self.gatekeeper_name(gatekeeper);
        display_name(&settings.displayname_template, at, name, &reserved)
    }

    /// What somebody is shown as who shows no name.
    pub(super) fn address_name(&self, gatekeeper: &GatekeeperId, remote: &RemoteUserId) -> String {
        let name = self.made_up_name(gatekeeper, remote);
        self.shown_as(gatekeeper, &name).unwrap_or(name)
    }

    /// The name of somebody who showed none: the phone number in international form, or the user part of the address.
    pub(super) fn made_up_name(&self, gatekeeper: &GatekeeperId, remote: &RemoteUserId) -> String {
        self.phone_of(gatekeeper, remote).unwrap_or_else(|| {
            let user = remote.as_str().split('@').next();
            user.unwrap_or_default().to_owned()
        })
    }

    /// The ghost's user id of a remote user.
    pub(super) fn ghost_id(&self, gatekeeper: &GatekeeperId, remote: &RemoteUserId) -> OwnedUserId {
        self.naming.mxid(gatekeeper, remote)
    }
}

/// Under which key the name a contact shows is kept while somebody calls them otherwise.
fn profile_name_key(mxid: &str) -> String {
    format!("profile_name/{mxid}")
}
