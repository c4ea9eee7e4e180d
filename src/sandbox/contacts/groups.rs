//! What a phone knows of its groups, and how it reads what it is told of them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    content::{Composed, Content},
    message::Message,
    phone::Phone,
};
use crate::{
    network::interop::wire::{Jid, Node},
    sandbox::{
        directory::{Role, members_hash},
        disk::{self, Change, Table},
    },
};

/// A group as a contact knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupInfo {
    /// Its address.
    pub jid: Jid,
    /// What it is called.
    pub subject: String,
    /// What is said about it, or empty.
    pub description: String,
    /// Who made it.
    pub creator: Option<Jid>,
    /// Whether only admins may write.
    pub announce: bool,
    /// Whether only admins may change the subject, the description and the picture.
    pub locked: bool,
    /// The id of its picture.
    pub picture: Option<String>,
    /// Who is in it. The contact is not, after it left or was removed.
    pub members: BTreeMap<Jid, Role>,
}

/// What somebody changed in a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum GroupChange {
    /// It was made, with the contact in it.
    Created,
    /// It is called otherwise.
    Subject {
        /// What it is called.
        subject: String,
    },
    /// Something else is said about it.
    Description {
        /// What is said, or empty.
        text: String,
    },
    /// Whether only admins may write.
    Announce {
        /// Whether it is so now.
        on: bool,
    },
    /// Whether only admins may change the subject, the description and the picture.
    Locked {
        /// Whether it is so now.
        on: bool,
    },
    /// It has another picture, or none.
    Picture {
        /// The picture's id.
        id: Option<String>,
    },
    /// Some are in it now.
    Added {
        /// Who.
        who: Vec<Jid>,
    },
    /// Some were taken out of it.
    Removed {
        /// Who.
        who: Vec<Jid>,
    },
    /// Somebody left it.
    Left {
        /// Who.
        who: Vec<Jid>,
    },
    /// Some are admins now.
    Promoted {
        /// Who.
        who: Vec<Jid>,
    },
    /// Some are no admins any more.
    Demoted {
        /// Who.
        who: Vec<Jid>,
    },
}

/// A group as a phone stores it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct GroupState {
    pub(super) info: GroupInfo,
    /// Who got the phone's sender key.
    pub(super) has_key: BTreeSet<Jid>,
}

impl GroupState {
    /// The change that stores it.
    pub(super) fn change(&self, owner: &Jid) -> Change {
        let parts = [owner.to_string(), self.info.jid.to_string()];
        let key = disk::key(parts.each_ref().map(String::as_bytes));
        let value = serde_json::to_vec(self).expect("a group is JSON");
        Change::Put(Table::ContactGroups, key, value)
    }
}

impl GroupInfo {
    /// Reads `<group id subject …>`.
    pub(super) fn read(node: &Node) -> Option<Self> {
        let members = node.children().iter();
        let members = members.filter(|child| child.tag == "participant");
        let description = node.find("description").and_then(body);
        let picture = node.find("picture").and_then(|picture| picture.attr("id"));
        Some(Self {
            jid: node.jid("id")?,
            subject: node.attr("subject")?.into_owned(),
            description: description.unwrap_or_default(),
            creator: node.jid("creator"),
            announce: node.find("announcement").is_some(),
            locked: node.find("locked").is_some(),
            picture: picture.map(std::borrow::Cow::into_owned),
            members: members.filter_map(member).collect(),
        })
    }

    /// The hash of who is in it.
    pub(super) fn hash(&self) -> String {
        members_hash(self.members.keys())
    }

    /// Does what somebody changed.
    fn apply(&mut self, change: &GroupChange) {
        match change {
            GroupChange::Created => {}
            GroupChange::Subject { subject } => self.subject.clone_from(subject),
            GroupChange::Description { text } => self.description.clone_from(text),
            GroupChange::Announce { on } => self.announce = *on,
            GroupChange::Locked { on } => self.locked = *on,
            GroupChange::Picture { id } => self.picture.clone_from(id),
            GroupChange::Added { who } | GroupChange::Demoted { who } => {
                self.give(who, Role::Member);
            }
            GroupChange::Promoted { who } => self.give(who, Role::Admin),
            GroupChange::Removed { who } | GroupChange::Left { who } => {
                self.members.retain(|jid, _| !who.contains(jid));
            }
        }
    }

    fn give(&mut self, who: &[Jid], role: Role) {
        for jid in who {
            self.members.insert(jid.clone(), role);
        }
    }
}

fn member(node: &Node) -> Option<(Jid, Role)> {
    let role = Role::of_type(node.attr("type").as_deref());
    Some((node.jid("jid")?.bare(), role))
}

fn body(node: &Node) -> Option<String> {
    let bytes = node.find("body")?.content_bytes()?;
    String::from_utf8(bytes.to_vec()).ok()
}

/// What an element of a `w:gp2` notification says; `None` for one the phone does not know.
fn read_change(node: &Node) -> Option<GroupChange> {
    let who = || {
        let named = node.children().iter().filter_map(member);
        named.map(|(jid, _)| jid).collect()
    };
    let text = |name| node.attr(name).map(std::borrow::Cow::into_owned);
    Some(match &*node.tag {
        "create" => GroupChange::Created,
        "subject" => GroupChange::Subject {
            subject: text("subject")?,
        },
        "description" => GroupChange::Description {
            text: body(node).unwrap_or_default(),
        },
        "announcement" | "not_announcement" => GroupChange::Announce {
            on: node.tag == "announcement",
        },
        "locked" | "unlocked" => GroupChange::Locked {
            on: node.tag == "locked",
        },
        "picture" => GroupChange::Picture { id: text("id") },
        "add" => GroupChange::Added { who: who() },
        "remove" => GroupChange::Removed { who: who() },
        "leave" => GroupChange::Left { who: who() },
        "promote" => GroupChange::Promoted { who: who() },
        "demote" => GroupChange::Demoted { who: who() },
        _ => return None,
    })
}

impl Phone {
    /// `<notification type="w:gp2" from=G participant>`: what changed is done and told in the chat.
    pub(super) fn group_changed(&mut self, node: &Node) {
        let (Some(group), Some(element)) = (node.jid("from"), node.children().first()) else {
            return;
        };
        let id = node.attr("id").unwrap_or_default().into_owned();
        if self.shared.log().find(&group, false, &id).is_some() {
            // It came before, and the acknowledgement was lost.
            return;
        }
        let Some(change) = read_change(element) else {
            return;
        };
        let by = node.jid("participant").map(|by| by.bare());
        let other = by.as_ref().filter(|by| **by != self.stored.jid);
        if let (Some(by), Some(name)) = (other, node.attr("notify")) {
            self.called_by(by, &name);
        }
        let by = by.unwrap_or_else(|| group.clone());
        let mut change = change;
        if change == GroupChange::Created {
            let Some(info) = element.find("group").and_then(GroupInfo::read) else {
                return;
            };
            if element.attr("reason").is_some() {
                let who = vec![self.stored.jid.clone()];
                change = GroupChange::Added { who };
            }
            self.take_group(info);
        } else {
            let known = self.shared.groups().get(&group).map(|state| {
                let mut info = state.info.clone();
                info.apply(&change);
                info
            });
            match known {
                Some(info) => self.take_group(info),
                None => self.query_group(&group),
            }
        }
        let notice = Composed {
            text: self.sentence(&by, &change),
            ..Composed::of(Content::Group { by, change })
        };
        let notice = Message::told(id, &group, notice, self.now);
        let row = self.shared.log().add(&self.stored.jid, notice);
        self.changes.push(row);
        self.release(&group);
    }

    /// Takes what a group is now. The own sender key is another when somebody who has it is gone.
    pub(super) fn take_group(&mut self, info: GroupInfo) {
        let group = info.jid.clone();
        let mut groups = self.shared.groups();
        let mut has_key = match groups.get(&group) {
            Some(state) if state.info == info => return,
            Some(state) => state.has_key.clone(),
            None => BTreeSet::new(),
        };
        let is_in = |jid: &Jid| info.members.contains_key(jid);
        if !is_in(&self.stored.jid) || !has_key.iter().all(is_in) {
            has_key.clear();
            self.keyring.groups.rotate(&group);
        }
        let state = GroupState { info, has_key };
        self.changes.push(state.change(&self.stored.jid));
        groups.insert(group, state);
    }

    /// Changes who has the own sender key of a group.
    pub(super) fn note_key(&mut self, group: &Jid, how: impl FnOnce(&mut BTreeSet<Jid>)) {
        let mut groups = self.shared.groups();
        if let Some(state) = groups.get_mut(group) {
            how(&mut state.has_key);
            self.changes.push(state.change(&self.stored.jid));
        }
    }

    /// Somebody has other keys than before: they need the own sender keys again.
    pub(super) fn forget_key_of(&mut self, who: &Jid) {
        let groups: Vec<Jid> = {
            let groups = self.shared.groups();
            let with_key = groups
                .iter()
                .filter(|(_, state)| state.has_key.contains(who));
            with_key.map(|(group, _)| group.clone()).collect()
        };
        for group in groups {
            self.note_key(&group, |has_key| {
                has_key.remove(who);
            });
        }
    }

    fn known_as(&self, who: &Jid) -> String {
        if *who == self.stored.jid {
            return "you".to_owned();
        }
        let name = self.stored.names.get(who).cloned();
        name.unwrap_or_else(|| match who {
            Jid::User { user, .. } => format!("+{user}"),
            _ => who.to_string(),
        })
    }

    /// A change as a sentence for a person.
    fn sentence(&self, by: &Jid, change: &GroupChange) -> String {
        let whom = |who: &[Jid]| {
            let names: Vec<String> = who.iter().map(|jid| self.known_as(jid)).collect();
            names.join(", ")
        };
        let did = match change {
            GroupChange::Created => "made the group".to_owned(),
            GroupChange::Subject { subject } => format!("called the group “{subject}”"),
            GroupChange::Description { text } if text.is_empty() => {
                "took the description away".to_owned()
            }
            GroupChange::Description { .. } => "changed the description".to_owned(),
            GroupChange::Announce { on: true } => "let only admins write".to_owned(),
            GroupChange::Announce { on: false } => "let everybody write".to_owned(),
            GroupChange::Locked { on: true } => "let only admins change the group".to_owned(),
            GroupChange::Locked { on: false } => "let everybody change the group".to_owned(),
            GroupChange::Picture { id: Some(_) } => "changed the picture".to_owned(),
            GroupChange::Picture { id: None } => "took the picture away".to_owned(),
            GroupChange::Added { who } => format!("added {}", whom(who)),
            GroupChange::Removed { who } => format!("removed {}", whom(who)),
            GroupChange::Left { .. } => "left".to_owned(),
            GroupChange::Promoted { who } => format!("made admin: {}", whom(who)),
            GroupChange::Demoted { who } => format!("made a member again: {}", whom(who)),
        };
        let by = self.known_as(by);
        let mut letters = by.chars();
        let first = letters
            .next()
            .map(|letter| letter.to_uppercase().to_string());
        format!("{}{} {did}.", first.unwrap_or_default(), letters.as_str())
    }
}
