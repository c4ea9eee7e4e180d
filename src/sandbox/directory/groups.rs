//! Groups: who is in them with which role, what they are called, and what their members are told of changes.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Account, Directory, Step};
use crate::{
    network::interop::wire::{Jid, Node},
    sandbox::{
        disk::{self, Change, DiskError, Snapshot, Table},
        flavour::Flavour,
    },
};

/// The server of groups.
pub(in crate::sandbox) const GROUPS: &str = "g.us";

/// Whether an address is a group's.
pub(in crate::sandbox) fn is_group(jid: &Jid) -> bool {
    matches!(jid, Jid::User { server, .. } if server == GROUPS)
}

/// What a member of a group may do.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Write, unless only admins may.
    #[default]
    Member,
    /// Change the group and who is in it.
    Admin,
    /// The same as an admin, and nobody takes it away.
    Creator,
}

impl Role {
    /// Whether it changes the group and who is in it.
    #[must_use]
    pub fn is_admin(self) -> bool {
        self != Self::Member
    }

    /// The role an attribute `type` of a participant names.
    pub(in crate::sandbox) fn of_type(kind: Option<&str>) -> Self {
        match kind {
            Some("admin") => Self::Admin,
            Some("superadmin") => Self::Creator,
            _ => Self::Member,
        }
    }

    fn type_name(self) -> Option<&'static str> {
        match self {
            Self::Member => None,
            Self::Admin => Some("admin"),
            Self::Creator => Some("superadmin"),
        }
    }
}

/// `<participant jid [type]/>`.
pub(in crate::sandbox) fn participant(jid: &Jid, role: Role) -> Node {
    Node::new("participant")
        .with("jid", jid)
        .with_opt("type", role.type_name())
}

/// What is said about a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::sandbox) struct Description {
    pub(in crate::sandbox) id: String,
    pub(in crate::sandbox) text: String,
}

/// A group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::sandbox) struct Group {
    pub(in crate::sandbox) jid: Jid,
    pub(in crate::sandbox) flavour: Flavour,
    pub(in crate::sandbox) creator: Jid,
    /// What its creator's client called the creation, so that it happens once.
    pub(in crate::sandbox) key: String,
    /// When it was made, in seconds since the Unix epoch.
    pub(in crate::sandbox) created: i64,
    pub(in crate::sandbox) subject: String,
    /// Who gave it the subject.
    pub(in crate::sandbox) subject_by: Jid,
    pub(in crate::sandbox) subject_at: i64,
    pub(in crate::sandbox) description: Option<Description>,
    /// Whether only admins may write.
    pub(in crate::sandbox) announce: bool,
    /// Whether only admins may change the subject, the description and the picture.
    pub(in crate::sandbox) locked: bool,
    /// The id of its picture.
    pub(in crate::sandbox) picture: Option<String>,
    pub(in crate::sandbox) members: BTreeMap<Jid, Role>,
}

impl Group {
    /// The role of a member.
    pub(in crate::sandbox) fn role(&self, jid: &Jid) -> Option<Role> {
        self.members.get(jid).copied()
    }

    /// `<group id creation …>` with all that is known of it.
    pub(in crate::sandbox) fn node(&self) -> Node {
        let mut node = Node::new("group")
            .with("id", &self.jid)
            .with("creator", &self.creator)
            .with("creation", self.created.to_string())
            .with("subject", self.subject.as_str())
            .with("s_o", &self.subject_by)
            .with("s_t", self.subject_at.to_string());
        for (jid, role) in &self.members {
            node = node.child(participant(jid, *role));
        }
        if let Some(Description { id, text }) = &self.description {
            let body = Node::new("body").bytes(text.as_str());
            node = node.child(Node::new("description").with("id", id.as_str()).child(body));
        }
        for (is_so, tag) in [(self.announce, "announcement"), (self.locked, "locked")] {
            if is_so {
                node = node.child(Node::new(tag));
            }
        }
        match &self.picture {
            Some(id) => node.child(Node::new("picture").with("id", id.as_str())),
            None => node,
        }
    }

    /// The hash of who is in it.
    pub(in crate::sandbox) fn hash(&self) -> String {
        hash(self.members.keys())
    }
}

/// `2:` and the hash of the members' addresses, by which client and server see whether they know of the same members.
pub(in crate::sandbox) fn hash<'j>(members: impl Iterator<Item = &'j Jid>) -> String {
    let sorted: BTreeSet<String> = members.map(ToString::to_string).collect();
    let digest = sorted
        .iter()
        .fold(Sha256::new(), Sha256::chain_update)
        .finalize();
    format!("2:{}", STANDARD.encode(&digest[..6]))
}

/// All groups.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct Groups {
    pub(in crate::sandbox) all: BTreeMap<Jid, Group>,
}

impl Groups {
    /// The groups that were stored.
    pub(super) fn load(snapshot: &Snapshot) -> Result<Self, DiskError> {
        let mut groups = Self::default();
        for (_, value) in &snapshot[&Table::Groups] {
            let group: Group =
                serde_json::from_slice(value).map_err(|error| DiskError::Corrupt {
                    table: "groups",
                    reason: error.to_string(),
                })?;
            groups.all.insert(group.jid.clone(), group);
        }
        Ok(groups)
    }
}

fn row_key(jid: &Jid) -> Vec<u8> {
    disk::key([jid.to_string().as_bytes()])
}

/// What a group is made with.
pub(in crate::sandbox) struct NewGroup<'a> {
    pub(in crate::sandbox) creator: &'a Jid,
    pub(in crate::sandbox) flavour: Flavour,
    pub(in crate::sandbox) key: &'a str,
    pub(in crate::sandbox) subject: &'a str,
    pub(in crate::sandbox) members: &'a [Jid],
}

impl Directory {
    /// Writes a group, or that it is gone.
    pub(in crate::sandbox) fn save_group(&self, jid: &Jid, step: &mut Step) {
        let key = row_key(jid);
        step.changes.push(match self.groups.all.get(jid) {
            Some(group) => {
                let value = serde_json::to_vec(group).expect("a group is JSON");
                Change::Put(Table::Groups, key, value)
            }
            None => Change::Delete(Table::Groups, key),
        });
    }

    /// The group one user made under a key before, if they did.
    pub(in crate::sandbox) fn group_made(&self, creator: &Jid, key: &str) -> Option<&Group> {
        let mut groups = self.groups.all.values();
        groups.find(|group| group.creator == *creator && group.key == key)
    }

    /// The account of somebody a user may put into a group, or the code of why not.
    pub(in crate::sandbox) fn addable(
        &self,
        jid: &Jid,
        by: &Jid,
        flavour: Flavour,
    ) -> Result<&Account, u16> {
        let found = self.accounts.get(jid);
        let account = found.filter(|account| account.flavour == flavour);
        match account {
            None => Err(404),
            Some(account) => {
                let asking = self.accounts.get(by);
                let closed =
                    asking.is_some_and(|by| account.is_closed_to(by) || by.is_closed_to(account));
                if closed || account.blocked.contains(by) {
                    Err(403)
                } else {
                    Ok(account)
                }
            }
        }
    }

    /// Makes a group of those who can be in it, who are told.
    pub(in crate::sandbox) fn create_group(
        &mut self,
        new: &NewGroup<'_>,
        now: i64,
        step: &mut Step,
    ) -> Jid {
        let jid = loop {
            let number = rand::random_range(100_000_000_000_u64..1_000_000_000_000);
            let jid = Jid::user(format!("120363{number}"), GROUPS);
            if !self.groups.all.contains_key(&jid) {
                break jid;
            }
        };
        let mut members: BTreeMap<Jid, Role> = new
            .members
            .iter()
            .filter(|jid| self.addable(jid, new.creator, new.flavour).is_ok())
            .map(|jid| (jid.clone(), Role::Member))
            .collect();
        members.insert(new.creator.clone(), Role::Creator);
        let group = Group {
            jid: jid.clone(),
            flavour: new.flavour,
            creator: new.creator.clone(),
            key: new.key.to_owned(),
            created: now / 1000,
            subject: new.subject.to_owned(),
            subject_by: new.creator.clone(),
            subject_at: now / 1000,
            description: None,
            announce: false,
            locked: false,
            picture: None,
            members,
        };
        let create = Node::new("create").child(group.node());
        self.groups.all.insert(jid.clone(), group);
        self.save_group(&jid, step);
        self.tell_group(&jid, new.creator, &create, now, step);
        jid
    }

    /// Tells everybody in a group what somebody changed.
    pub(in crate::sandbox) fn tell_group(
        &mut self,
        group: &Jid,
        by: &Jid,
        change: &Node,
        now: i64,
        step: &mut Step,
    ) {
        let members = self.groups.all.get(group).map(|group| group.members.keys());
        let members: Vec<Jid> = members.into_iter().flatten().cloned().collect();
        self.tell(group, &members, by, change, now, step);
    }

    /// Tells some what somebody changed in a group.
    pub(in crate::sandbox) fn tell(
        &mut self,
        group: &Jid,
        whom: &[Jid],
        by: &Jid,
        change: &Node,
        now: i64,
        step: &mut Step,
    ) {
        let name = self.accounts.get(by).and_then(Account::shown_name);
        let notification = Node::new("notification")
            .with("type", "w:gp2")
            .with("from", group)
            .with("participant", by)
            .with("id", format!("group-{}", rand::random::<u64>()))
            .with("t", (now / 1000).to_string())
            .with_opt("notify", name)
            .child(change.clone());
        for member in whom {
            self.post(member, notification.clone(), now, step);
        }
    }

    /// Takes members out of a group, by themselves or by an admin; all who were in it are told. Somebody is admin afterwards,
    /// and a group without members is gone.
    pub(in crate::sandbox) fn take_out(
        &mut self,
        group: &Jid,
        by: &Jid,
        gone: &[Jid],
        now: i64,
        step: &mut Step,
    ) {
        let Some(found) = self.groups.all.get_mut(group) else {
            return;
        };
        let before: Vec<Jid> = found.members.keys().cloned().collect();
        let tag = if gone == [by.clone()] {
            "leave"
        } else {
            "remove"
        };
        let mut change = Node::new(tag);
        for jid in gone {
            if let Some(role) = found.members.remove(jid) {
                change = change.child(participant(jid, role));
            }
        }
        let mut heir = None;
        if !found.members.values().any(|role| role.is_admin())
            && let Some((jid, role)) = found.members.iter_mut().next()
        {
            *role = Role::Admin;
            heir = Some(jid.clone());
        }
        if found.members.is_empty() {
            self.groups.all.remove(group);
        }
        self.save_group(group, step);
        self.tell(group, &before, by, &change, now, step);
        if let Some(heir) = heir {
            let promote = Node::new("promote").child(participant(&heir, Role::Admin));
            self.tell_group(group, by, &promote, now, step);
        }
    }

    /// Takes a user who is to be removed out of all their groups.
    pub(in crate::sandbox) fn leave_groups(&mut self, jid: &Jid, now: i64, step: &mut Step) {
        for group in self.groups_of(jid) {
            self.take_out(&group, jid, std::slice::from_ref(jid), now, step);
        }
    }

    /// The groups a user is in.
    pub(in crate::sandbox) fn groups_of(&self, jid: &Jid) -> Vec<Jid> {
        let groups = self.groups.all.values();
        let with_user = groups.filter(|group| group.members.contains_key(jid));
        with_user.map(|group| group.jid.clone()).collect()
    }

    /// Everybody a user shares a group with.
    pub(in crate::sandbox) fn group_peers(&self, jid: &Jid) -> BTreeSet<Jid> {
        let groups = self.groups.all.values();
        let with_user = groups.filter(|group| group.members.contains_key(jid));
        let mut peers: BTreeSet<Jid> = with_user
            .flat_map(|group| group.members.keys())
            .cloned()
            .collect();
        peers.remove(jid);
        peers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_the_members_does_not_depend_on_their_order() {
        let (a, b) = (Jid::user("1", "s.whatsapp.net"), Jid::interop(1, 9));
        let one = hash([&a, &b].into_iter());
        assert_eq!(one, hash([&b, &a].into_iter()));
        assert_ne!(one, hash([&a].into_iter()));
        // The first six bytes of `printf '1-9@interop1@s.whatsapp.net' | sha256sum`, in base64.
        let digest = Sha256::digest("1-9@interop1@s.whatsapp.net");
        assert_eq!(one, format!("2:{}", STANDARD.encode(&digest[..6])));
        assert_eq!(one.len(), 10);
    }
}
