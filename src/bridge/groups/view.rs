//! A group as the store has it: what is true of it, what its room shows, and which of its members are logins of this bridge.

use std::collections::{HashMap, HashSet};

use ruma::OwnedUserId;

use crate::{
    bridge::{
        context::{Bridge, BridgeError},
        owners::left_key,
        routes::owner_of,
    },
    domain::{GroupFacts, GroupRole, LoginId, PortalId, RemoteUserId},
    store::{GroupMemberRow, GroupRow, LoginRow, LoginState, PortalRow, StoreError, StoreTxn},
};

/// The login a member is.
#[derive(Debug, Clone)]
pub(in crate::bridge) struct Own {
    pub(in crate::bridge) login: LoginId,
    pub(in crate::bridge) owner: OwnedUserId,
    /// Whether it is in use.
    pub(in crate::bridge) active: bool,
    /// Whether its user left the room by themselves.
    pub(in crate::bridge) left: bool,
}

/// A group as the store has it.
pub(in crate::bridge) struct GroupView {
    pub(in crate::bridge) portal: PortalRow,
    /// `None` if the gatekeeper told nothing about it.
    pub(in crate::bridge) row: Option<GroupRow>,
    pub(in crate::bridge) members: Vec<GroupMemberRow>,
    pub(in crate::bridge) own: HashMap<RemoteUserId, Own>,
    /// A login that is in it.
    pub(in crate::bridge) login: Option<LoginId>,
    /// Since when no login has been in it, and whether the room was told.
    pub(in crate::bridge) closed: Option<String>,
}

/// Whether a member may change the group.
pub(super) fn is_admin(role: Option<GroupRole>) -> bool {
    role.is_some_and(|role| role >= GroupRole::Admin)
}

/// The key under which it is kept that no login is in a group any more.
pub(super) fn closed_key(portal: PortalId) -> String {
    format!("closed/{portal}")
}

impl GroupView {
    /// What it is.
    pub(in crate::bridge) fn facts(&self) -> GroupFacts {
        self.row
            .as_ref()
            .map(|row| row.facts.clone())
            .unwrap_or_default()
    }

    /// What its room shows of that.
    pub(super) fn shown_facts(&self) -> GroupFacts {
        let row = self.row.as_ref();
        row.and_then(|row| row.shown.facts.clone())
            .unwrap_or_default()
    }

    /// How many the room shows.
    pub(super) fn inside(&self) -> usize {
        let shown = self.members.iter().filter(|one| one.shown.is_some());
        shown.count()
    }

    /// Those of whom the room shows something else than is true: logins first, then admins.
    pub(in crate::bridge) fn unshown(&self) -> Vec<(&GroupMemberRow, Option<&Own>)> {
        let differs = self.members.iter().filter(|one| one.role != one.shown);
        let mut unshown: Vec<_> = differs.map(|one| (one, self.own.get(&one.user))).collect();
        unshown.sort_by_key(|(one, own)| (own.is_none(), !is_admin(one.role)));
        unshown
    }
}

/// Reads a group with its members, or with the next alone whom its room shows wrong.
async fn read_group(
    txn: &mut dyn StoreTxn,
    id: PortalId,
    only_next: bool,
) -> Result<Option<Read>, StoreError> {
    let Some(portal) = txn.portal_by_id(id).await? else {
        return Ok(None);
    };
    let (gatekeeper, chat) = (&portal.key.gatekeeper, &portal.key.chat);
    let row = txn.group(gatekeeper, chat).await?;
    let logins = txn.group_logins(gatekeeper, chat).await?;
    let login = logins.first().map(|login| login.id);
    let members = match (only_next, login) {
        (true, Some(_)) => txn.unshown_members(gatekeeper, chat, 1).await?,
        (true, None) => {
            let members = txn.group_members(gatekeeper, chat).await?;
            members
                .into_iter()
                .find(|one| one.shown.is_some())
                .into_iter()
                .collect()
        }
        (false, _) => txn.group_members(gatekeeper, chat).await?,
    };
    let names: HashSet<&str> = members.iter().map(|one| one.user.as_str()).collect();
    let own = own_among(txn, &portal, |name| names.contains(name)).await?;
    let closed = txn.value(&closed_key(id)).await?;
    Ok(Some(Read {
        portal,
        row,
        members,
        own,
        login,
        closed,
    }))
}

struct Read {
    portal: PortalRow,
    row: Option<GroupRow>,
    members: Vec<GroupMemberRow>,
    own: Vec<(LoginRow, bool)>,
    login: Option<LoginId>,
    closed: Option<String>,
}

/// Which of some members are logins of this bridge, and whether their users left the room.
async fn own_among(
    txn: &mut dyn StoreTxn,
    portal: &PortalRow,
    is_member: impl Fn(&str) -> bool + Send + Sync,
) -> Result<Vec<(LoginRow, bool)>, StoreError> {
    let mut own = Vec::new();
    for row in txn.logins().await? {
        let called = row.remote_login.as_deref();
        if row.gatekeeper == portal.key.gatekeeper && called.is_some_and(&is_member) {
            let left = txn.value(&left_key(portal, row.id)).await?;
            let left = left.is_some_and(|left| left != "no");
            own.push((row, left));
        }
    }
    Ok(own)
}

/// The same by what the gatekeeper calls them.
fn by_name(rows: Vec<(LoginRow, bool)>) -> Result<HashMap<RemoteUserId, Own>, BridgeError> {
    let mut own = HashMap::new();
    for (row, left) in rows {
        let called = row.remote_login.as_deref();
        let Some(called) = called.and_then(|own| RemoteUserId::parse(own).ok()) else {
            continue;
        };
        let one = Own {
            login: row.id,
            owner: owner_of(&row)?,
            active: row.state != LoginState::LoggedOut,
            left,
        };
        own.insert(called, one);
    }
    Ok(own)
}

impl Bridge {
    /// A group as the store has it.
    pub(in crate::bridge) async fn view_group(
        &self,
        id: PortalId,
    ) -> Result<GroupView, BridgeError> {
        self.read_view(id, false).await
    }

    /// The same with the member alone whose turn is next, if there is one.
    pub(super) async fn view_next(&self, id: PortalId) -> Result<GroupView, BridgeError> {
        self.read_view(id, true).await
    }

    async fn read_view(&self, id: PortalId, only_next: bool) -> Result<GroupView, BridgeError> {
        let read = self
            .db
            .read(move |txn| Box::pin(read_group(txn, id, only_next)))
            .await?;
        let read = read.ok_or_else(|| BridgeError::Inconsistent(format!("portal {id} is gone")))?;
        Ok(GroupView {
            portal: read.portal,
            row: read.row,
            members: read.members,
            own: by_name(read.own)?,
            login: read.login,
            closed: read.closed,
        })
    }
}
