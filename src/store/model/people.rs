//! The rows of people and groups: members, sender keys, accounts of one's own, who was asked what.

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::domain::{
    ChatId, GatekeeperId, GroupFacts, GroupRole, Reachability, RemoteUserId, Timestamp,
};

/// A group as the gatekeeper tells of it, and what its room shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRow {
    /// Where it is.
    pub gatekeeper: GatekeeperId,
    /// Which.
    pub chat: ChatId,
    /// What it is.
    pub facts: GroupFacts,
    /// What its room shows of that.
    pub shown: GroupShown,
}

/// What the room of a group shows of it; stored as JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GroupShown {
    /// What it is, as the room shows it; `None` while the room shows nothing of it.
    pub facts: Option<GroupFacts>,
    /// The address of the picture at the homeserver.
    pub avatar: Option<String>,
}

/// Somebody who is in a group, or whom its room still shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMemberRow {
    /// Who.
    pub user: RemoteUserId,
    /// What they may do; `None` once they are not in the group any more.
    pub role: Option<GroupRole>,
    /// What the room shows of that; `None` while they are not in the room.
    pub shown: Option<GroupRole>,
}

/// How far a message to a group is with one member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReceiptStage {
    /// Their device has it.
    Delivered,
    /// They read it.
    Read,
}

/// Where the name of a ghost comes from; one from a lesser source never replaces one from a better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum NameSource {
    /// It is made of the address.
    #[default]
    Address,
    /// Its user shows it.
    Profile,
    /// A user of the bridge calls them so.
    Contact,
}

/// A Matrix user as whom the bridge may act; the token is sealed at rest and wiped from memory when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct PuppetRow {
    /// Who.
    pub mxid: String,
    /// The access token they gave.
    pub token: String,
}

impl std::fmt::Debug for PuppetRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PuppetRow({}, ..)", self.mxid)
    }
}

/// Whom a login has asked to take messages of other apps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReachabilityRow {
    /// Who was asked.
    pub user: RemoteUserId,
    /// What they said.
    pub state: Reachability,
    /// When they were asked.
    pub asked_at: Timestamp,
}
