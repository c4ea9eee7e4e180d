//! Groups as the gatekeeper tells of them: asked for, stored if nothing newer came meanwhile, and brought to their rooms.

use std::collections::HashMap;

use crate::{
    bridge::{
        context::{Bridge, BridgeError},
        rooms::portal_key,
    },
    config::ChatRooms,
    domain::{
        ChatId, GatekeeperId, Group, GroupFacts, GroupMember, LoginId, PortalKey, RemoteUserId,
    },
    store::{GroupRow, Lane, StoreError, StoreTxn},
};

/// How often a group is asked for again because it changed while the answer was on its way.
const TRIES: usize = 3;

/// What the store knows of a group.
type Known = Option<(GroupFacts, Vec<GroupMember>)>;

async fn known(
    txn: &mut dyn StoreTxn,
    gatekeeper: &GatekeeperId,
    chat: &ChatId,
) -> Result<Known, StoreError> {
    let Some(row) = txn.group(gatekeeper, chat).await? else {
        return Ok(None);
    };
    let members = txn.group_members(gatekeeper, chat).await?;
    let members = members.into_iter().filter_map(|one| {
        let role = one.role?;
        Some(GroupMember {
            user: one.user,
            role,
        })
    });
    Ok(Some((row.facts, sorted(members.collect()))))
}

fn sorted(mut members: Vec<GroupMember>) -> Vec<GroupMember> {
    members.sort_by(|a, b| a.user.cmp(&b.user));
    members.dedup_by(|a, b| a.user == b.user);
    members
}

impl Bridge {
    /// Fetches all groups of a login, stores them, and brings their rooms to them, at the common pace. Groups without a room get one if
    /// the configuration wants that.
    ///
    /// # Errors
    /// Why they could not be fetched or stored.
    pub async fn sync_groups(&self, login: LoginId) -> Result<(), BridgeError> {
        let row = self.login_row(login).await?;
        let gatekeeper = row.gatekeeper.clone();
        let own = row.remote_login.as_deref();
        let Some(own) = own.and_then(|own| RemoteUserId::parse(own).ok()) else {
            return Ok(());
        };
        let mut before = self.known_groups(&gatekeeper, &own).await?;
        let groups = self.network(&gatekeeper)?.groups(login).await?;
        for (chat, group) in groups {
            let known = before.remove(&chat).flatten();
            let key = portal_key(&row, chat);
            if !self.store_group(login, &key, &known, &group).await? {
                self.fetch_group(login, &key).await?;
            }
            self.bring_or_make(login, &key).await?;
        }
        // Those the gatekeeper does not name any more, the login is in no more.
        for chat in before.into_keys() {
            let (key, own) = (portal_key(&row, chat), own.clone());
            let of = key.clone();
            self.db
                .step(Lane::login(login), move |txn| {
                    let (of, own) = (of.clone(), own.clone());
                    Box::pin(async move {
                        txn.set_group_role(&of.gatekeeper, &of.chat, &own, None)
                            .await
                    })
                })
                .await?;
            self.bring_or_make(login, &key).await?;
        }
        self.groups.spaces.wake(login);
        Ok(())
    }

    /// Wakes who brings a group's room to what is true; makes it a portal if groups get their rooms at once.
    pub(in crate::bridge) async fn bring_or_make(
        &self,
        login: LoginId,
        key: &PortalKey,
    ) -> Result<(), BridgeError> {
        let of = key.clone();
        let found = self
            .db
            .read(move |txn| {
                let of = of.clone();
                Box::pin(async move {
                    let logins = txn.group_logins(&of.gatekeeper, &of.chat).await?;
                    Ok((
                        txn.portal(&of).await?,
                        logins.iter().any(|one| one.id == login),
                    ))
                })
            })
            .await?;
        let portal = match found {
            (Some(portal), _) => portal,
            (None, true) if self.settings.rooms.groups == ChatRooms::AtOnce => {
                self.portal_row(login, &key.chat, None).await?.0
            }
            (None, _) => return Ok(()),
        };
        self.groups.members.wake(portal.id);
        Ok(())
    }

    /// Makes sure that the store knows a group. What the gatekeeper does not want to tell stays unknown.
    pub(in crate::bridge) async fn know_group(
        &self,
        login: LoginId,
        key: &PortalKey,
    ) -> Result<(), BridgeError> {
        if self.known_group(key).await?.is_some() {
            return Ok(());
        }
        match self.fetch_group(login, key).await {
            Err(BridgeError::Network(error)) if !error.is_transient() => {
                tracing::warn!(%login, %error, "the gatekeeper tells nothing about a group");
                Ok(())
            }
            other => other,
        }
    }

    /// Makes sure that a login is in a group.
    pub(in crate::bridge) async fn must_be_in(
        &self,
        login: LoginId,
        chat: &ChatId,
    ) -> Result<(), BridgeError> {
        let key = portal_key(&self.login_row(login).await?, chat.clone());
        let of = key.clone();
        let is_in = self
            .db
            .read(move |txn| {
                let of = of.clone();
                Box::pin(async move {
                    let logins = txn.group_logins(&of.gatekeeper, &of.chat).await?;
                    Ok(logins.iter().any(|one| one.id == login))
                })
            })
            .await?;
        // The gatekeeper refuses who is not in it.
        if is_in {
            Ok(())
        } else {
            self.fetch_group(login, &key).await
        }
    }

    /// Asks for a group and stores it.
    pub(in crate::bridge) async fn fetch_group(
        &self,
        login: LoginId,
        key: &PortalKey,
    ) -> Result<(), BridgeError> {
        for _ in 0..TRIES {
            let before = self.known_group(key).await?;
            let group = self
                .network(&key.gatekeeper)?
                .group(login, &key.chat)
                .await?;
            if self.store_group(login, key, &before, &group).await? {
                return Ok(());
            }
        }
        // It changes faster than it can be asked for, and each change is told.
        Ok(())
    }

    /// Stores a group, unless the store knows something else than before the group was asked for: that is newer. Whether it was
    /// stored.
    async fn store_group(
        &self,
        login: LoginId,
        key: &PortalKey,
        before: &Known,
        group: &Group,
    ) -> Result<bool, BridgeError> {
        let (key, before) = (key.clone(), before.clone());
        let (facts, members) = (group.facts.clone(), sorted(group.members.clone()));
        Ok(self
            .db
            .step(Lane::login(login), move |txn| {
                let (key, before) = (key.clone(), before.clone());
                let (facts, members) = (facts.clone(), members.clone());
                Box::pin(async move {
                    let (gatekeeper, chat) = (&key.gatekeeper, &key.chat);
                    let now = known(txn, gatekeeper, chat).await?;
                    if now.as_ref() == Some(&(facts.clone(), members.clone())) {
                        return Ok(true);
                    }
                    if now != before {
                        return Ok(false);
                    }
                    let shown = txn.group(gatekeeper, chat).await?.map(|row| row.shown);
                    let row = GroupRow {
                        gatekeeper: gatekeeper.clone(),
                        chat: chat.clone(),
                        facts,
                        shown: shown.unwrap_or_default(),
                    };
                    txn.put_group(&row).await?;
                    txn.set_group_members(gatekeeper, chat, &members).await?;
                    Ok(true)
                })
            })
            .await?)
    }

    async fn known_group(&self, key: &PortalKey) -> Result<Known, BridgeError> {
        let key = key.clone();
        Ok(self
            .db
            .read(move |txn| {
                let key = key.clone();
                Box::pin(async move { known(txn, &key.gatekeeper, &key.chat).await })
            })
            .await?)
    }

    async fn known_groups(
        &self,
        gatekeeper: &GatekeeperId,
        own: &RemoteUserId,
    ) -> Result<HashMap<ChatId, Known>, BridgeError> {
        let (gatekeeper, own) = (gatekeeper.clone(), own.clone());
        Ok(self
            .db
            .read(move |txn| {
                let (gatekeeper, own) = (gatekeeper.clone(), own.clone());
                Box::pin(async move {
                    let mut all = HashMap::new();
                    for chat in txn.groups_with(&gatekeeper, &own).await? {
                        let known = known(txn, &gatekeeper, &chat).await?;
                        all.insert(chat, known);
                    }
                    Ok(all)
                })
            })
            .await?)
    }
}
