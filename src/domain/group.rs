//! Groups: who is in them, what they may do, and what can be changed.

use serde::{Deserialize, Serialize};

use super::RemoteUserId;

/// What a member of a group may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupRole {
    /// Write, unless only admins may.
    Member,
    /// Change the group and its members.
    Admin,
    /// An admin that nobody can take that from: who made the group.
    Owner,
}

/// Somebody in a group.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GroupMember {
    /// Who.
    pub user: RemoteUserId,
    /// What they may do.
    pub role: GroupRole,
}

/// What a group is besides its members.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct GroupFacts {
    /// Its name.
    pub subject: String,
    /// A text about it.
    pub description: Option<String>,
    /// The id of its picture, which changes with the picture.
    pub picture: Option<String>,
    /// Whether only admins may write.
    pub announce: bool,
    /// Whether only admins may change name, text and picture.
    pub locked: bool,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// What it is.
    pub facts: GroupFacts,
    /// Who is in it.
    pub members: Vec<GroupMember>,
}

/// A change of a group, one that is asked for or one that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", content = "to", rename_all = "snake_case")]
pub enum GroupChange {
    /// It has another name.
    Subject(String),
    /// It has another text.
    Description(Option<String>),
    /// Only admins may write, or everybody.
    Announce(bool),
    /// Only admins may change what it is, or everybody.
    Locked(bool),
    /// These are in it now.
    Add(Vec<RemoteUserId>),
    /// These were removed.
    Remove(Vec<RemoteUserId>),
    /// These are admins now.
    Promote(Vec<RemoteUserId>),
    /// These are admins no more.
    Demote(Vec<RemoteUserId>),
    /// Whoever does it leaves.
    Leave,
}

/// A picture of a user or a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Picture {
    /// There is none, or it is not shown to the login.
    None,
    /// It is the one that is known.
    Same,
    /// A JPEG.
    Jpeg {
        /// Its id.
        id: String,
        /// The file.
        bytes: Vec<u8>,
    },
}

/// What came of asking somebody to take messages of other apps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reachability {
    /// They were asked and have not answered.
    Asked,
    /// They take them.
    Accepted,
    /// They do not want to.
    Declined,
}
