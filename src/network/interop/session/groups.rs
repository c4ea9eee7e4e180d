//! What is asked of groups, how the answers are read, and what a notification tells of a change.
//!
//! ```xml
//! <iq type="get" xmlns="w:g2" to="…@g.us"><query request="interactive"/></iq>                   answered by <group …/>
//! <iq type="get" xmlns="w:g2" to="g.us"><participating><participants/><description/></participating></iq>
//! <iq type="set" xmlns="w:g2" to="g.us"><create subject="…" key="…"><participant jid="…"/>…</create></iq>
//! <iq type="set" xmlns="w:g2" to="…@g.us"><add|remove|promote|demote><participant jid="…" [error="403"]/>…</add></iq>
//! <iq type="set" xmlns="w:g2" to="…@g.us"><subject>text</subject></iq>      or <description id><body/>, <announcement/>, <locked/>
//! <iq type="set" xmlns="w:g2" to="g.us"><leave><group id="…@g.us"/></leave></iq>
//! <group id="…@g.us" creator="…" subject="…"><participant jid="…" [type="admin|superadmin"]/>…<description id="…"><body>text</body>
//!   </description><announcement/><locked/><picture id="…"/></group>
//! <notification type="w:gp2" from="…@g.us" participant="who" id="…" t="…"><subject subject="…"/></notification>
//! ```

use serde::{Deserialize, Serialize};

use crate::{
    domain::{ChatId, Group, GroupChange, GroupFacts, GroupMember, GroupRole, RemoteUserId},
    network::interop::wire::{Jid, Node},
};

/// The server of groups.
pub(in crate::network::interop) const GROUPS: &str = "g.us";

/// The longest name of a group that is kept, in characters.
const MOST_SUBJECT_CHARS: usize = 255;

/// The longest text about a group that is kept, in characters.
const MOST_DESCRIPTION_CHARS: usize = 8192;

/// How a gatekeeper speaks of groups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GroupShape {
    /// The namespace of requests.
    pub xmlns: String,
    /// The type of the notification that tells a change.
    pub notification: String,
    /// The attribute of `<create>` by which the gatekeeper knows that it is the same creation.
    pub key: String,
    /// The element that names the picture, in a group and in a notification.
    pub picture: String,
}

impl Default for GroupShape {
    fn default() -> Self {
        Self {
            xmlns: "w:g2".to_owned(),
            notification: "w:gp2".to_owned(),
            key: "key".to_owned(),
            picture: "picture".to_owned(),
        }
    }
}

fn iq(kind: &'static str, shape: &GroupShape, to: &Jid) -> Node {
    Node::new("iq")
        .with("type", kind)
        .with("xmlns", shape.xmlns.as_str())
        .with("to", to)
}

/// The request for one group.
#[must_use]
pub fn one(shape: &GroupShape, group: &Jid) -> Node {
    iq("get", shape, group).child(Node::new("query").with("request", "interactive"))
}

/// The request for every group the asker is in.
#[must_use]
pub fn all(shape: &GroupShape) -> Node {
    let what = Node::new("participating")
        .child(Node::new("participants"))
        .child(Node::new("description"));
    iq("get", shape, &Jid::server(GROUPS)).child(what)
}

/// The request that makes a group.
#[must_use]
pub fn create(shape: &GroupShape, key: &str, subject: &str, members: &[Jid]) -> Node {
    let create = Node::new("create")
        .with("subject", subject)
        .with(shape.key.clone(), key);
    iq("set", shape, &Jid::server(GROUPS)).child(participants(create, members))
}

/// The request for a change. `members` are the addresses of those the change names, `id` is a new one for a text about the group.
#[must_use]
pub fn change(
    shape: &GroupShape,
    group: &Jid,
    change: &GroupChange,
    members: &[Jid],
    id: &str,
) -> Node {
    let asked = match change {
        GroupChange::Subject(subject) => Node::new("subject").bytes(subject.as_bytes()),
        GroupChange::Description(Some(text)) => Node::new("description")
            .with("id", id)
            .child(Node::new("body").bytes(text.as_bytes())),
        GroupChange::Description(None) => Node::new("description")
            .with("id", id)
            .with("delete", "true"),
        GroupChange::Announce(true) => Node::new("announcement"),
        GroupChange::Announce(false) => Node::new("not_announcement"),
        GroupChange::Locked(true) => Node::new("locked"),
        GroupChange::Locked(false) => Node::new("unlocked"),
        GroupChange::Add(_) => participants(Node::new("add"), members),
        GroupChange::Remove(_) => participants(Node::new("remove"), members),
        GroupChange::Promote(_) => participants(Node::new("promote"), members),
        GroupChange::Demote(_) => participants(Node::new("demote"), members),
        GroupChange::Leave => {
            let leave = Node::new("leave").child(Node::new("group").with("id", group));
            return iq("set", shape, &Jid::server(GROUPS)).child(leave);
        }
    };
    iq("set", shape, group).child(asked)
}

fn participants(node: Node, members: &[Jid]) -> Node {
    members.iter().fold(node, |node, member| {
        node.child(Node::new("participant").with("jid", member))
    })
}

/// Those of a change's members whom the gatekeeper refused, each with its code.
#[must_use]
pub fn refused(answer: &Node) -> Vec<(RemoteUserId, u16)> {
    let changes = answer.children().iter().flat_map(Node::children);
    changes
        .filter(|child| child.tag == "participant")
        .filter_map(|one| {
            let code = one.number("error")?;
            let (user, _) = member(one)?;
            Some((user, u16::try_from(code).unwrap_or(0)))
        })
        .collect()
}

/// A `<group>`, with its address; `None` if it has none.
#[must_use]
pub fn read(shape: &GroupShape, node: &Node) -> Option<(ChatId, Group)> {
    let chat = address(&node.jid("id")?)?;
    let members: Vec<GroupMember> = members(node)
        .map(|(user, role)| GroupMember { user, role })
        .collect();
    let facts = GroupFacts {
        subject: short(&node.attr("subject").unwrap_or_default()),
        description: node.find("description").and_then(description),
        picture: node
            .find(&shape.picture)
            .and_then(|picture| Some(picture.attr("id")?.into_owned())),
        announce: node.find("announcement").is_some(),
        locked: node.find("locked").is_some(),
    };
    Some((chat, Group { facts, members }))
}

/// The groups in the answer to [`all`]; those without an address are left out.
#[must_use]
pub fn read_all(shape: &GroupShape, answer: &Node) -> Vec<(ChatId, Group)> {
    let groups = answer.find("groups").map_or(&[][..], Node::children);
    let groups = groups.iter().filter(|child| child.tag == "group");
    groups.filter_map(|group| read(shape, group)).collect()
}

/// A group's address as a chat; `None` if it is no group's.
#[must_use]
pub fn address(jid: &Jid) -> Option<ChatId> {
    let Jid::User {
        user,
        server,
        device: 0,
    } = jid
    else {
        return None;
    };
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> = user.split('-').collect();
    let valid = server == GROUPS && parts.len() <= 2 && parts.iter().all(|part| digits(part));
    valid.then(|| ChatId::parse(jid.to_string()).ok())?
}

/// The members an element names, each with the role it says, an ordinary one without.
pub(in crate::network::interop) fn members(
    node: &Node,
) -> impl Iterator<Item = (RemoteUserId, GroupRole)> {
    let children = node.children().iter();
    children
        .filter(|child| child.tag == "participant")
        .filter_map(member)
}

fn member(node: &Node) -> Option<(RemoteUserId, GroupRole)> {
    let jid = node.jid("jid")?.bare();
    if matches!(jid, Jid::Server(_)) || jid.server_name() == GROUPS {
        return None;
    }
    let role = match node.attr("type").as_deref() {
        Some("superadmin") => GroupRole::Owner,
        Some("admin") => GroupRole::Admin,
        _ => GroupRole::Member,
    };
    Some((RemoteUserId::parse(jid.to_string()).ok()?, role))
}

/// A name of a group, as far as it is kept.
pub(in crate::network::interop) fn short(subject: &str) -> String {
    subject.chars().take(MOST_SUBJECT_CHARS).collect()
}

/// The text in a `<description>`, if there is any.
pub(in crate::network::interop) fn description(node: &Node) -> Option<String> {
    if node.attr("delete").as_deref() == Some("true") {
        return None;
    }
    let bytes = node
        .find("body")
        .and_then(Node::content_bytes)
        .or_else(|| node.content_bytes())?;
    let text = String::from_utf8_lossy(bytes);
    let text: String = text.chars().take(MOST_DESCRIPTION_CHARS).collect();
    (!text.is_empty()).then_some(text)
}
